//! STS GetCallerIdentity: what clients ask first, to learn whose snapshots are theirs.

use crate::endpoint::act::World;
use crate::endpoint::wire::ec2::{STS, Xml};
use crate::endpoint::wire::{Call, Refusal, Reply};
use crate::snapshot::UnixMillis;
use http::StatusCode;

pub(super) fn act(world: &World, _: UnixMillis, call: &Call) -> Result<Reply, Refusal> {
    let account = &world.account.settings().owner_id;
    let body = Xml::document("GetCallerIdentityResponse", Some(STS), |xml| {
        xml.nest("GetCallerIdentityResult", |xml| {
            xml.text("Arn", &format!("arn:aws:iam::{account}:user/icecore"));
            xml.text("UserId", "AIDAICECORE0000000000");
            xml.text("Account", account);
        });
        xml.nest("ResponseMetadata", |xml| xml.text("RequestId", &call.request_id));
    });
    Ok(Reply::new(StatusCode::OK, Xml::CONTENT_TYPE, body))
}
