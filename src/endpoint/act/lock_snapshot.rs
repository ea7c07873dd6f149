//! EC2 LockSnapshot: from now on nobody deletes it, until the lock expires.

use crate::endpoint::act::World;
use crate::endpoint::wire::ec2::{bad, dry_run, refusal, reply, required, snapshot_id};
use crate::endpoint::wire::{Call, Refusal, Reply};
use crate::estate::{Lock, LockState};
use crate::fault::Fault;
use crate::snapshot::UnixMillis;

const HOUR: i64 = 60 * 60 * 1000;

pub(super) fn act(world: &World, now: UnixMillis, call: &Call) -> Result<Reply, Refusal> {
    let id = snapshot_id(required(call, "SnapshotId")?)?;
    let number = |name: &str, most: i64| {
        let Some(text) = call.query(name) else { return Ok(None) };
        let number = text.parse::<i64>().ok().filter(|number| (1..=most).contains(number));
        let message =
            || format!("Value ({text}) for parameter {name} is invalid: it must be from 1 to {most}");
        number.map(Some).ok_or_else(|| bad("InvalidParameterValue", message()))
    };
    let (days, cool_off) = (number("LockDuration", 36_500)?, number("CoolOffPeriod", 72)?);
    let days =
        days.ok_or_else(|| bad("MissingParameter", "The request must contain the parameter LockDuration"))?;
    let state = match (required(call, "LockMode")?, cool_off) {
        ("governance", None) => LockState::Governance,
        ("compliance", None) => LockState::Compliance,
        ("compliance", Some(_)) => LockState::CoolOff,
        ("governance", Some(_)) => {
            let message = "The parameter CoolOffPeriod cannot be used with the lock mode governance";
            return Err(bad("InvalidParameterCombination", message));
        }
        (other, _) => {
            return Err(bad("InvalidParameterValue", format!("'{other}' is not a valid lock mode")));
        }
    };
    world.snapshot(call, &id, now)?;
    let held = world.held(call, now)?;
    let is_fixed = |lock: &&Lock| lock.snapshot == id && lock.state == LockState::Compliance;
    let expires = now.plus_millis(days * 24 * HOUR);
    if held.locks.iter().find(is_fixed).is_some_and(|lock| lock.expires.is_none_or(|until| expires < until)) {
        return Err(bad("InvalidParameterValue", "A lock in compliance mode can only be extended"));
    }
    dry_run(call)?;
    let lock = Lock { snapshot: id.clone(), state: state.clone(), expires: Some(expires) };
    let locked = world.account.edit::<_, Fault>(&call.region, |holdings| {
        holdings.held.locks.retain(|lock| lock.snapshot != id);
        holdings.held.locks.push(lock);
        Ok(())
    });
    locked.map_err(|fault| refusal(&fault))?;
    Ok(reply(call, "LockSnapshot", |xml| {
        xml.text("snapshotId", id.as_str());
        xml.text("lockState", state.as_str());
        xml.text("lockDuration", &days.to_string());
        xml.at("lockCreatedOn", Some(now));
        xml.at("lockExpiresOn", Some(expires));
    }))
}
