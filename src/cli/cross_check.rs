//! Checks of the arguments that clap cannot make: between the values of one option, and between options.

use crate::cli::complaint::Complaint;
use crate::snapshot::{Arn, SnapshotId, Tag, VolumeId};
use clap::{Arg, ArgMatches, Command};
use std::any::TypeId;
use std::collections::BTreeMap;

/// Checks all arguments, those of subcommands included, and returns the Region that ARNs among them name.
///
/// # Errors
/// `Usage` where a key is given twice with different values, and where two ARNs, or an ARN and `--region`, are of
/// different Regions.
pub(super) fn check(command: &Command, matches: &ArgMatches) -> Result<Option<String>, Complaint> {
    let (mut region, mut level) = (None, Some((command, matches)));
    while let Some((command, matches)) = level {
        for arg in command.get_arguments() {
            distinct_keys(arg, matches)?;
            of_one_region(arg, matches, &mut region)?;
        }
        level = matches.subcommand().and_then(|(name, below)| Some((command.find_subcommand(name)?, below)));
    }
    Ok(region)
}

fn is_of<T: 'static>(arg: &Arg) -> bool {
    arg.get_value_parser().type_id() == TypeId::of::<T>()
}

fn distinct_keys(arg: &Arg, matches: &ArgMatches) -> Result<(), Complaint> {
    if !is_of::<Tag>(arg) {
        return Ok(());
    }
    let mut values = BTreeMap::new();
    for tag in matches.try_get_many::<Tag>(arg.get_id().as_str()).ok().flatten().into_iter().flatten() {
        let earlier = values.insert(&tag.key, &tag.value);
        if let Some(earlier) = earlier.filter(|earlier| *earlier != &tag.value) {
            let option = arg.get_long().unwrap_or("tag");
            return Err(Complaint::Usage(crate::render::escaped(&format!(
                "--{option} gives the key '{}' two values, '{earlier}' and '{}'; give one of them",
                tag.key, tag.value
            ))));
        }
    }
    Ok(())
}

fn of_one_region(arg: &Arg, matches: &ArgMatches, region: &mut Option<String>) -> Result<(), Complaint> {
    if !is_of::<SnapshotId>(arg) && !is_of::<VolumeId>(arg) {
        return Ok(());
    }
    let typed = matches.try_get_many::<String>("region").ok().flatten().into_iter().flatten().next();
    for word in matches.get_raw(arg.get_id().as_str()).into_iter().flatten() {
        let Some(arn) = word.to_str().and_then(Arn::parse) else { continue };
        let known = typed.or(region.as_ref());
        if let Some(other) = known.filter(|other| *other != arn.region) {
            let what = format!("{} is of Region {}, not of {other}", arn.id, arn.region);
            return Err(Complaint::Usage(format!("{what}; give snapshots of one Region")));
        }
        *region = Some(arn.region.to_owned());
    }
    Ok(())
}
