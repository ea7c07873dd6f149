//! What a bundle says of itself: the part that is hashed into the next one, and signed.

use crate::block::Digest;
use crate::evidence::PublicKey;
use crate::evidence::told::Told;
use crate::snapshot::UnixMillis;
use jiff::Timestamp;
use serde::{Deserialize, Deserializer, Serialize, Serializer};
use std::collections::BTreeMap;
use std::fmt::Display;
use std::str::FromStr;

const SCHEMA: &str = "icecore/evidence/1";

/// What the run that keeps a bundle tells of itself beside its report.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct About {
    /// The command that ran.
    pub command: String,
    /// The program and its version.
    pub tool: String,
    /// SHA-256 of the program's file.
    #[serde(with = "as_text")]
    pub tool_sha256: Option<Digest>,
    /// The machine's name.
    pub host: Option<String>,
    /// The name of the user that ran it on that machine, as the machine's list of users has it. Versions up to 0.1 took
    /// what the environment said.
    pub user: Option<String>,
    /// The id of that user (the real user id of the process); `None` in bundles of versions up to 0.1.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub uid: Option<u32>,
    /// The user id with whose rights it ran, where that is another one.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub effective_uid: Option<u32>,
    /// The user that the environment named (`SUDO_USER`, else `USER`), where that is another one: a claim of the caller.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub claimed_user: Option<String>,
    /// Whose credentials asked AWS; `None` where nobody tells.
    #[serde(default)]
    pub principal_arn: Option<String>,
    /// Until when the evidence is to be believed; then the test is due again.
    #[serde(with = "as_time")]
    pub expires_at: Option<UnixMillis>,
    /// What else was to be noted: a ticket, a control, an owner.
    pub labels: BTreeMap<String, String>,
}

/// A file of a bundle.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Listed {
    /// Its name in the bundle.
    pub name: String,
    /// Its length.
    pub bytes: u64,
    /// Its SHA-256.
    #[serde(with = "as_text")]
    pub sha256: Option<Digest>,
}

/// What a bundle says of itself. Fields are only ever added.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Statement {
    schema: String,
    /// Its place in the chain, from 1.
    pub number: u64,
    /// SHA-256 of the statement before; `None` of the first.
    #[serde(with = "as_text")]
    pub previous: Option<Digest>,
    /// When the bundle was made.
    #[serde(with = "as_time")]
    pub kept_at: Option<UnixMillis>,
    /// The schema of its report.
    pub report: Option<String>,
    /// The state of its report: `pass`.
    pub state: Option<String>,
    /// The state of a verification that the report holds beside its own work, as of a volume that was warmed; the worst
    /// of several. `None` where it holds none.
    pub verified: Option<String>,
    /// Who made it.
    #[serde(flatten)]
    pub about: About,
    /// Its files, the report first.
    pub files: Vec<Listed>,
    /// Whose signature is beside it; `None` where there is to be none.
    #[serde(with = "as_text")]
    pub public_key: Option<PublicKey>,
}

impl Statement {
    /// The first statement of a chain; [`following`](Self::following) makes it a later one.
    pub(super) fn of(
        about: &About,
        kept_at: UnixMillis,
        told: Told,
        files: Vec<Listed>,
        public_key: Option<PublicKey>,
    ) -> Self {
        Self {
            schema: SCHEMA.to_owned(),
            number: 1,
            previous: None,
            kept_at: Some(kept_at),
            report: told.schema,
            state: told.state,
            verified: told.verified,
            about: about.clone(),
            files,
            public_key,
        }
    }

    /// The same with this number, behind the statement with this hash.
    pub(super) fn following(self, previous: Option<Digest>, number: u64) -> Self {
        Self { number, previous, ..self }
    }

    /// The bytes that are hashed and signed: JSON, a field a line.
    pub(super) fn encode(&self) -> Vec<u8> {
        // Strings, numbers and maps with string keys always have a JSON form.
        let mut bytes = serde_json::to_vec_pretty(self).unwrap_or_default();
        bytes.push(b'\n');
        bytes
    }

    /// Reads one; says why where it is none.
    pub(super) fn decode(bytes: &[u8]) -> Result<Self, String> {
        let statement: Self = serde_json::from_slice(bytes).map_err(|error| error.to_string())?;
        match statement.schema.as_str() {
            SCHEMA => Ok(statement),
            other => Err(format!("its schema is {other}, not {SCHEMA}")),
        }
    }
}

/// Values that have a text form, as strings.
mod as_text {
    use super::*;

    pub(super) fn serialize<T: Display, S: Serializer>(value: &Option<T>, out: S) -> Result<S::Ok, S::Error> {
        value.as_ref().map(ToString::to_string).serialize(out)
    }

    pub(super) fn deserialize<'de, T, D>(input: D) -> Result<Option<T>, D::Error>
    where
        T: FromStr<Err: Display>,
        D: Deserializer<'de>,
    {
        let text = Option::<String>::deserialize(input)?;
        text.map(|text| text.parse().map_err(serde::de::Error::custom)).transpose()
    }
}

/// Times in UTC as RFC 3339 has them.
mod as_time {
    use super::*;

    pub(super) fn serialize<S: Serializer>(time: &Option<UnixMillis>, out: S) -> Result<S::Ok, S::Error> {
        let time = time.and_then(|time| Timestamp::from_millisecond(time.0).ok());
        time.map(|time| time.to_string()).serialize(out)
    }

    pub(super) fn deserialize<'de, D: Deserializer<'de>>(input: D) -> Result<Option<UnixMillis>, D::Error> {
        let text = Option::<String>::deserialize(input)?;
        let parsed =
            text.map(|text| text.parse::<Timestamp>().map_err(serde::de::Error::custom)).transpose()?;
        Ok(parsed.map(|time| UnixMillis(time.as_millisecond())))
    }
}
