//! The formats there are.

use std::fmt;
use std::str::FromStr;

/// How a report is shown.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Format {
    /// For people.
    #[default]
    Text,
    /// One object that names its schema.
    Json,
    /// One object a line.
    Jsonl,
    /// A header and rows, as RFC 4180 has them.
    Csv,
    /// Byte ranges as in the responses of Kubernetes' changed-block-tracking API (CSI SnapshotMetadata).
    Cbt,
}

/// A word that names no format.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("'{0}' is not a format: expected text, json, jsonl, csv or cbt")]
pub struct FormatError(String);

impl Format {
    /// Every one of them.
    pub const ALL: [Self; 5] = [Self::Text, Self::Json, Self::Jsonl, Self::Csv, Self::Cbt];

    /// As it is typed.
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Text => "text",
            Self::Json => "json",
            Self::Jsonl => "jsonl",
            Self::Csv => "csv",
            Self::Cbt => "cbt",
        }
    }
}

impl FromStr for Format {
    type Err = FormatError;

    fn from_str(text: &str) -> Result<Self, FormatError> {
        let named = Self::ALL.into_iter().find(|format| format.as_str() == text);
        named.ok_or_else(|| FormatError(text.chars().take(40).collect()))
    }
}

impl fmt::Display for Format {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad(self.as_str())
    }
}
