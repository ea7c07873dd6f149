//! Options of every command, accepted before it and after it.

use crate::cost::Usd;
use crate::render::Format;
use clap::ValueEnum;
use std::fmt;
use std::num::{NonZeroU32, NonZeroUsize};
use std::path::PathBuf;
use std::str::FromStr;

/// What was typed beside the command itself.
#[derive(Clone, Debug, clap::Args)]
pub(crate) struct Global {
    /// AWS Region; by default what the environment and the profile say
    #[arg(long, global = true, value_name = "REGION", help_heading = PLACE)]
    pub region: Option<String>,

    /// Profile of the AWS configuration
    #[arg(long, global = true, value_name = "NAME", help_heading = PLACE)]
    pub profile: Option<String>,

    /// Ask this endpoint instead of AWS
    #[arg(long, global = true, value_name = "URL", help_heading = PLACE)]
    pub endpoint_url: Option<String>,

    /// Use the store in DIR instead of an account
    #[arg(long, global = true, value_name = "DIR", env = "ICECORE_LOCAL", hide_env_values = true, help_heading = PLACE)]
    pub local: Option<PathBuf>,

    /// Show the result as text or json; some commands know csv, jsonl, cbt, junit or metrics as well
    #[arg(long, global = true, value_name = "FORMAT", default_value = "text", help_heading = OUTPUT)]
    pub format: Format,

    /// Write the result to FILE too, complete or not at all
    #[arg(long, global = true, value_name = "FILE", help_heading = OUTPUT)]
    pub report_file: Option<PathBuf>,

    /// Show progress: a bar on a terminal, a line every 10 s elsewhere
    #[arg(long, global = true, value_name = "WHEN", default_value = "auto", help_heading = OUTPUT)]
    pub progress: ProgressWhen,

    /// Say nothing but errors and the ids of new snapshots
    #[arg(short, long, global = true, conflicts_with = "verbose", help_heading = OUTPUT)]
    pub quiet: bool,

    /// Say more: -v retries, -vv requests
    #[arg(short, long, global = true, action = clap::ArgAction::Count, help_heading = OUTPUT)]
    pub verbose: u8,

    /// Write what goes to standard error as text or as one JSON object a line
    #[arg(long, global = true, value_name = "FORMAT", default_value = "text", help_heading = OUTPUT)]
    pub log_format: LogFormat,

    /// Keep checkpoints and the ledger in DIR; by default in icecore below the XDG state directory
    #[arg(long, global = true, value_name = "DIR", env = "ICECORE_STATE", hide_env_values = true, help_heading = WORK)]
    pub state_dir: Option<PathBuf>,

    /// Use what is found in the state directory even if other users may write to it, as in a container's volume
    #[arg(long, global = true, help_heading = WORK)]
    pub trust_state_dir: bool,

    /// Count the work of an interrupted run even where nothing proves that the image or device is unchanged since
    #[arg(long, global = true, help_heading = WORK)]
    pub trust_resumed: bool,

    /// Blocks in flight at once: a number or auto
    #[arg(long, global = true, value_name = "N", default_value = "auto", help_heading = WORK)]
    pub concurrency: Concurrency,

    /// Most blocks to read or write a second: a number or none; by default half of AWS's quota, none elsewhere
    #[arg(long, global = true, value_name = "N", help_heading = WORK)]
    pub rate_get: Option<Limit>,

    /// Most pages to list a second: a number or none; by default half of AWS's quota, none elsewhere
    #[arg(long, global = true, value_name = "N", help_heading = WORK)]
    pub rate_list: Option<Limit>,

    /// Share of AWS's default quotas to use, above 0 and at most 1; by default half on AWS, no limit elsewhere
    #[arg(long, global = true, value_name = "F", help_heading = WORK)]
    pub quota_share: Option<Share>,

    /// Most that the requests of this run may cost on an AWS account, in USD; 10 unless given
    #[arg(long, global = true, value_name = "USD", help_heading = WORK)]
    pub max_usd: Option<Usd>,
}

const PLACE: &str = "Where";
const OUTPUT: &str = "Output";
const WORK: &str = "How hard to work";

/// When progress is shown.
#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
pub(crate) enum ProgressWhen {
    /// A bar on a terminal, lines elsewhere
    Auto,
    /// The same, even where the output is quiet
    Always,
    /// Not at all
    Never,
}

/// What standard error looks like.
#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
pub(crate) enum LogFormat {
    /// Lines for people
    Text,
    /// One JSON object a line
    Json,
}

/// A rate, or none.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Limit(pub Option<NonZeroU32>);

impl FromStr for Limit {
    type Err = &'static str;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        match text {
            "none" => Ok(Self(None)),
            _ => text.parse().map(|n| Self(Some(n))).map_err(|_| "expected a number from 1 on, or none"),
        }
    }
}

/// How many blocks are in flight; `None` leaves it to the program.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Concurrency(pub Option<NonZeroUsize>);

impl Concurrency {
    /// More would only cost memory: the claims on it are 512 KiB each.
    const MOST: usize = 1024;
}

impl FromStr for Concurrency {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        match text {
            "auto" => Ok(Self(None)),
            _ => match text.parse::<NonZeroUsize>() {
                Ok(n) if n.get() <= Self::MOST => Ok(Self(Some(n))),
                _ => Err(format!("expected a number from 1 to {}, or auto", Self::MOST)),
            },
        }
    }
}

/// A part of a whole in thousandths, 1 to 1,000.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Share(u32);

impl Share {
    /// This share of a quota, at least one.
    pub(crate) fn of(self, quota: u32) -> u32 {
        (quota * self.0 / 1000).max(1)
    }
}

impl FromStr for Share {
    type Err = &'static str;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        let refused = "expected a decimal number above 0 and at most 1, with at most 3 decimals, as in 0.25";
        let (whole, decimals) = text.split_once('.').unwrap_or((text, ""));
        let digits = whole.bytes().chain(decimals.bytes()).all(|byte| byte.is_ascii_digit());
        if !digits || decimals.len() > 3 || whole.len() > 1 {
            return Err(refused);
        }
        match format!("{whole}{decimals:0<3}").parse() {
            Ok(thousandths @ 1..=1000) => Ok(Self(thousandths)),
            _ => Err(refused),
        }
    }
}

impl fmt::Display for ProgressWhen {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Auto => "auto",
            Self::Always => "always",
            Self::Never => "never",
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_share_is_above_nothing_and_at_most_all() {
        for (text, of_thousand) in [("1", 1000), ("1.0", 1000), ("0.5", 500), (".25", 250), ("0.001", 1)] {
            assert_eq!(text.parse::<Share>().unwrap().of(1000), of_thousand, "{text}");
        }
        assert_eq!("0.001".parse::<Share>().unwrap().of(50), 1);
        for bad in ["", "0", "1.001", "-0.5", "0.0001", "half", "2", "10"] {
            assert!(bad.parse::<Share>().is_err(), "{bad}");
        }
    }

    #[test]
    fn limits_and_concurrency_are_numbers_from_one_or_a_word() {
        assert_eq!("none".parse(), Ok(Limit(None)));
        assert_eq!("7".parse(), Ok(Limit(NonZeroU32::new(7))));
        assert_eq!("auto".parse(), Ok(Concurrency(None)));
        assert_eq!("1024".parse(), Ok(Concurrency(NonZeroUsize::new(1024))));
        for bad in ["0", "-1", "auto", ""] {
            assert!(bad.parse::<Limit>().is_err(), "{bad}");
        }
        for bad in ["0", "1025", "none", ""] {
            assert!(bad.parse::<Concurrency>().is_err(), "{bad}");
        }
    }
}
