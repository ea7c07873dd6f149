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
    /// JUnit XML, for CI.
    Junit,
    /// OpenMetrics text, for a textfile collector.
    Metrics,
}

/// A word that names no format.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("'{0}' is not a format: expected text, json, jsonl, csv, cbt, junit or metrics")]
pub struct FormatError(String);

impl Format {
    /// Every one of them.
    pub const ALL: [Self; 7] =
        [Self::Text, Self::Json, Self::Jsonl, Self::Csv, Self::Cbt, Self::Junit, Self::Metrics];

    /// As it is typed.
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Text => "text",
            Self::Json => "json",
            Self::Jsonl => "jsonl",
            Self::Csv => "csv",
            Self::Cbt => "cbt",
            Self::Junit => "junit",
            Self::Metrics => "metrics",
        }
    }

    /// Whether whoever reads it waits for it also of a run that could not begin.
    pub const fn tells_of_failure(self) -> bool {
        matches!(self, Self::Junit | Self::Metrics)
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
