//! How hard to work, from what was typed and where.

use crate::aws::{self, Session, ThisInstance, quota};
use crate::block::{BlockSize, ByteSize};
use crate::cli::args::{Global, Limit, Share};
use crate::cli::complaint::Complaint;
use crate::fault::{Fault, Kind, Place};
use crate::pipeline::{Settings, Stop};
use std::ffi::OsString;
use std::path::PathBuf;

/// Bounds of a run. AWS's quotas hold for AWS, and wherever a share of them is asked for.
pub(crate) fn settings(global: &Global, state_dir: PathBuf, is_aws: bool, region: &str) -> Settings {
    let mut settings = match is_aws {
        true => Settings::within_aws_quotas(state_dir, region),
        false => Settings::open(state_dir),
    };
    settings.trusts_state_dir = global.trust_state_dir;
    settings.trusts_resumed = global.trust_resumed;
    if let Some(share) = global.quota_share {
        within(&mut settings, share, region);
    }
    if let Some(Limit(rate)) = global.rate_get {
        settings.blocks_per_second = rate.map(|rate| rate.get());
        settings.blocks_per_second_per_snapshot = settings.blocks_per_second;
    }
    if let Some(Limit(rate)) = global.rate_list {
        settings.lists_per_second = rate.map(|rate| rate.get());
    }
    if let Some(in_flight) = global.concurrency.0 {
        settings.concurrency = Some(in_flight.get());
        // Every block in flight will want its bytes; half as many again wait to be delivered.
        let claimed = BlockSize::EBS.of(in_flight.get() as u64 * 3 / 2);
        settings.memory = ByteSize::max(settings.memory, claimed);
    }
    settings
}

fn within(settings: &mut Settings, share: Share, region: &str) {
    settings.blocks_per_second = Some(share.of(quota::blocks_per_second(region)));
    settings.blocks_per_second_per_snapshot = Some(share.of(quota::BLOCKS_PER_SECOND_PER_SNAPSHOT));
    settings.lists_per_second = Some(share.of(quota::LISTS_PER_SECOND));
}

/// Where checkpoints are kept: what was asked for, or below the XDG state directory.
pub(crate) fn state_dir(global: &Global) -> Result<PathBuf, Complaint> {
    if let Some(dir) = &global.state_dir {
        return Ok(dir.clone());
    }
    let absolute = |dir: OsString| Some(PathBuf::from(dir)).filter(|dir| dir.is_absolute());
    variable("XDG_STATE_HOME")
        .and_then(absolute)
        .or_else(|| Some(absolute(variable("HOME")?)?.join(".local/state")))
        .map(|dir| dir.join("icecore"))
        .ok_or_else(|| {
            let what = "no home directory to keep checkpoints in; give --state-dir DIR or set ICECORE_STATE";
            Complaint::Usage(what.to_owned())
        })
}

/// What an account is called in checkpoints: its profile and Region, or whatever stands in for AWS. Asking STS for
/// its number would need a right that reading blocks does not.
pub(crate) fn label(global: &Global, session: &Session) -> String {
    let instead = || variable("AWS_ENDPOINT_URL_EBS").or_else(|| variable("AWS_ENDPOINT_URL"));
    match session.is_aws() {
        true => {
            let profile = global.profile.clone().map(OsString::from).or_else(|| variable("AWS_PROFILE"));
            // Keys in the environment name no profile; the id of the key is no secret and tells accounts apart.
            let key = || variable("AWS_ACCESS_KEY_ID");
            let who = profile.or_else(key).map(|who| who.to_string_lossy().into_owned());
            format!("{} as {}", session.region(), who.as_deref().unwrap_or("default"))
        }
        false => instead().map_or_else(
            || format!("profile endpoint in {}", session.region()),
            |url| url.to_string_lossy().into_owned(),
        ),
    }
}

/// Who runs the program, for the tags of what it makes.
pub(crate) fn user() -> String {
    let name = ["USER", "LOGNAME"].into_iter().find_map(variable).filter(|name| !name.is_empty());
    name.map_or_else(|| "unknown".to_owned(), |name| name.to_string_lossy().into_owned())
}

/// The instance that this machine is.
pub(crate) async fn this_instance(stop: &Stop) -> Result<ThisInstance, Complaint> {
    let is_off = variable("AWS_EC2_METADATA_DISABLED").is_some_and(|off| off.eq_ignore_ascii_case("true"));
    let unknown = |why: &str| Fault::new(Kind::Refused, Place::Service, why).hint("give --instance");
    if is_off {
        return Err(
            unknown("which instance this is must not be asked: AWS_EC2_METADATA_DISABLED is set").into()
        );
    }
    tokio::select! {
        found = aws::this_instance() => Ok(found?),
        () = stop.requested() => Err(Fault::new(Kind::Interrupted, Place::Program, "interrupted").into()),
    }
}

/// A variable of the environment; one that is empty is not set.
#[expect(
    clippy::disallowed_methods,
    reason = "what clap does not read: XDG, whom the SDK asks, who runs this"
)]
pub(crate) fn variable(name: &str) -> Option<OsString> {
    std::env::var_os(name).filter(|value| !value.is_empty())
}

#[cfg(test)]
mod tests {
    use super::*;
    use clap::Parser;

    #[derive(clap::Parser)]
    struct Line {
        #[command(flatten)]
        global: Global,
    }

    fn given(words: &[&str], is_aws: bool) -> Settings {
        let line = Line::parse_from(["x"].iter().chain(words));
        settings(&line.global, PathBuf::new(), is_aws, "eu-central-2")
    }

    #[test]
    fn quotas_are_for_aws_alone() {
        assert_eq!(given(&[], true).blocks_per_second, Some(500));
        assert_eq!(given(&[], false).blocks_per_second, None);
        let shared = given(&["--quota-share", "0.1"], true);
        assert_eq!((shared.blocks_per_second, shared.lists_per_second), (Some(100), Some(5)));
        // To rehearse against an endpoint that keeps AWS's quotas.
        assert_eq!(given(&["--quota-share", "1"], false).blocks_per_second, Some(1_000));
    }

    #[test]
    fn large_regions_have_five_times_the_quota_and_one_snapshot_has_not() {
        let line = Line::parse_from(["x"]);
        for (region, blocks) in [("eu-west-1", 2_500), ("eu-central-2", 500), ("xx-new-1", 500)] {
            let settings = settings(&line.global, PathBuf::new(), true, region);
            assert_eq!(settings.blocks_per_second, Some(blocks), "{region}");
            assert_eq!(settings.blocks_per_second_per_snapshot, Some(800), "{region}");
        }
    }

    #[test]
    fn a_rate_that_was_typed_holds_everywhere() {
        for is_aws in [true, false] {
            let settings = given(&["--rate-get", "900", "--rate-list", "none"], is_aws);
            assert_eq!(settings.blocks_per_second, Some(900));
            assert_eq!(settings.blocks_per_second_per_snapshot, Some(900));
            assert_eq!(settings.lists_per_second, None);
        }
    }

    #[test]
    fn many_in_flight_get_memory_for_all() {
        assert_eq!(given(&["--concurrency", "8"], false).memory, given(&[], false).memory);
        assert_eq!(given(&["--concurrency", "1024"], false).memory, ByteSize::from_mib(768));
    }
}
