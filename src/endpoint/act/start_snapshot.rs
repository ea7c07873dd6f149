//! StartSnapshot: a new, pending snapshot, upon a parent or on its own.

use crate::account::{Encryption, EncryptionError};
use crate::block::{BlockSize, GiB};
use crate::endpoint::act::World;
use crate::endpoint::wire::ebs::{Constraints, Time, reply, unreadable};
use crate::endpoint::wire::{Call, Refusal, Reply};
use crate::shelf::{Grant, Shelved};
use crate::snapshot::{NewSnapshot, SnapshotId, SnapshotInfo, SnapshotState, Tags, UnixMillis};
use http::StatusCode;
use serde::{Deserialize, Serialize};

/// What [`is_key_arn`] looks for, as the model writes it and a refusal shows it.
const KEY_ARN: &str = "arn:aws[a-z\\-]*:kms:.*:[0-9]{12}:key/.*";

#[derive(Deserialize)]
#[serde(rename_all = "PascalCase")]
struct Asked {
    volume_size: Option<i64>,
    parent_snapshot_id: Option<String>,
    tags: Option<Vec<AskedTag>>,
    description: Option<String>,
    client_token: Option<String>,
    encrypted: Option<bool>,
    kms_key_arn: Option<String>,
    timeout: Option<i64>,
}

#[derive(Deserialize)]
#[serde(rename_all = "PascalCase")]
struct AskedTag {
    key: Option<String>,
    value: Option<String>,
}

#[derive(Serialize)]
#[serde(rename_all = "PascalCase")]
struct Body<'a> {
    block_size: u32,
    description: Option<&'a str>,
    kms_key_arn: Option<&'a str>,
    owner_id: &'a str,
    parent_snapshot_id: Option<&'a str>,
    snapshot_id: &'a str,
    sse_type: Option<&'static str>,
    start_time: Time,
    status: &'static str,
    tags: Option<Vec<Tag<'a>>>,
    volume_size: u32,
}

#[derive(Serialize)]
#[serde(rename_all = "PascalCase")]
struct Tag<'a> {
    key: &'a str,
    value: &'a str,
}

pub(super) fn act(world: &World, now: UnixMillis, call: &Call) -> Result<Reply, Refusal> {
    let asked = parse(call)?;
    let token = asked.client_token.as_deref();
    let started = world.account.start_once(&call.region, token, |writer| {
        let grant = grant(world, call, &asked, now)?;
        Ok::<_, Refusal>(writer.start(&grant)?)
    })?;
    if started.asked != asked {
        let message = "Current request does not match request stored with this token.";
        return Err(Refusal::service(StatusCode::CONFLICT, "ConflictException", None, message));
    }
    Ok(print(&started))
}

fn parse(call: &Call) -> Result<NewSnapshot, Refusal> {
    let asked: Asked = serde_json::from_slice(&call.body)
        .map_err(|error| unreadable(format!("The request body is not that of a StartSnapshot: {error}")))?;
    let mut constraints = Constraints::new();
    let size = constraints.required("volumeSize", asked.volume_size);
    constraints.range("volumeSize", size, 1, i64::MAX);
    let parent = constraints.snapshot_id("parentSnapshotId", asked.parent_snapshot_id.as_deref());
    constraints.length("description", asked.description.as_deref(), 0, 255);
    constraints.length("clientToken", asked.client_token.as_deref(), 0, 255);
    constraints.pattern("clientToken", asked.client_token.as_deref(), "^[\\S]+$", |text| {
        !text.is_empty() && !text.contains(char::is_whitespace)
    });
    constraints.length("kmsKeyArn", asked.kms_key_arn.as_deref(), 1, 2048);
    constraints.pattern("kmsKeyArn", asked.kms_key_arn.as_deref(), KEY_ARN, is_key_arn);
    constraints.range("timeout", asked.timeout, 10, 4320);
    let mut tags = Tags::new();
    let mut repeated = false;
    for (n, tag) in asked.tags.unwrap_or_default().into_iter().enumerate() {
        let member = |field: &str| format!("tags.{}.member.{field}", n + 1);
        constraints.length(&member("key"), tag.key.as_deref(), 0, 127);
        constraints.length(&member("value"), tag.value.as_deref(), 0, 255);
        repeated |= tags.insert(tag.key.unwrap_or_default(), tag.value.unwrap_or_default()).is_some();
    }
    let Some(size) = size else { return Err(constraints.refusal()) };
    constraints.check()?;
    if repeated || tags.len() > 50 || tags.keys().any(|key| key.is_empty() || key.starts_with("aws:")) {
        let message = "Tags must have different keys, at most 50, not empty and not starting with 'aws:'";
        return Err(Refusal::validation("INVALID_TAG", message));
    }
    let volume_size =
        GiB::try_from(size).map_err(|error| Refusal::validation("INVALID_VOLUME_SIZE", error.to_string()))?;
    Ok(NewSnapshot {
        volume_size,
        parent,
        description: asked.description,
        tags,
        client_token: asked.client_token,
        encrypted: asked.encrypted,
        kms_key_id: asked.kms_key_arn,
        timeout_minutes: asked.timeout.and_then(|minutes| u32::try_from(minutes).ok()),
    })
}

fn is_key_arn(text: &str) -> bool {
    let Some((head, _)) = text.split_once(":key/") else { return false };
    let Some((head, account)) = head.rsplit_once(':') else { return false };
    let mut parts = head.splitn(4, ':');
    parts.next() == Some("arn")
        && parts.next().is_some_and(|partition| partition.starts_with("aws"))
        && parts.next() == Some("kms")
        && parts.next().is_some()
        && account.len() == 12
        && account.bytes().all(|b| b.is_ascii_digit())
}

fn grant(world: &World, call: &Call, asked: &NewSnapshot, now: UnixMillis) -> Result<Grant, Refusal> {
    if let Some(limit) = world.pending_limit {
        let is_pending = |shelved: &&Shelved| shelved.info.state == SnapshotState::Pending;
        if world.account.list(&call.region, now)?.iter().filter(is_pending).count() >= limit {
            let message = format!("You have reached the limit of {limit} pending snapshots.");
            let status = StatusCode::BAD_REQUEST;
            return Err(Refusal::service(status, "ConcurrentLimitExceededException", None, message));
        }
    }
    let settings = world.account.settings();
    let parent = asked.parent.as_ref().map(|id| parent(world, call, id, now)).transpose()?;
    if let Some(parent) = &parent
        && asked.volume_size < parent.volume_size
    {
        let message = format!(
            "The volume size {} is smaller than that of the parent snapshot, {}",
            asked.volume_size.get(),
            parent.volume_size.get()
        );
        return Err(Refusal::validation("INVALID_VOLUME_SIZE", message));
    }
    let key = asked.kms_key_id.as_deref();
    let defaults = world.account.defaults(&call.region)?;
    let encryption = Encryption::decide(&defaults, parent.as_ref(), asked.encrypted, key).map_err(
        |error: EncryptionError| Refusal::validation("INVALID_PARAMETER_VALUE", error.to_string()),
    )?;
    let kms_key_id = encryption.key();
    Ok(Grant {
        asked: asked.clone(),
        owner_id: settings.owner_id.clone(),
        encrypted: kms_key_id.is_some(),
        kms_key_id,
        now,
    })
}

fn parent(world: &World, call: &Call, id: &SnapshotId, now: UnixMillis) -> Result<SnapshotInfo, Refusal> {
    let found = world
        .account
        .find(&call.region, id, now)?
        .filter(|shelved| shelved.info.state != SnapshotState::Error);
    let info = found.ok_or_else(|| Refusal::no_snapshot(id))?.info;
    if info.state != SnapshotState::Completed {
        let message = format!("Source snapshot ({id}) is not complete.");
        return Err(Refusal::validation("INVALID_SNAPSHOT_ID", message));
    }
    Ok(info)
}

/// The answer to the start, which a repetition gets again word for word: what was asked, not what became of it.
fn print(started: &Shelved) -> Reply {
    let (info, asked) = (&started.info, &started.asked);
    let tags = asked.tags.iter().map(|(key, value)| Tag { key, value }).collect();
    reply(
        StatusCode::CREATED,
        &Body {
            block_size: BlockSize::EBS.bytes(),
            description: asked.description.as_deref(),
            kms_key_arn: info.kms_key_id.as_deref(),
            owner_id: &info.owner_id,
            parent_snapshot_id: asked.parent.as_ref().map(SnapshotId::as_str),
            snapshot_id: info.id.as_str(),
            sse_type: info.encrypted.then_some("sse-kms"),
            start_time: Time(info.start_time),
            status: SnapshotState::Pending.as_str(),
            tags: (!asked.tags.is_empty()).then_some(tags),
            volume_size: info.volume_size.get(),
        },
    )
}
