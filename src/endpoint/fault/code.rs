//! Refusals of EC2's that have no effect of their own in a plan: by their codes, as `error=VolumeLimitExceeded`.

use crate::endpoint::fault::Effect;
use crate::endpoint::wire::Refusal;
use http::StatusCode;

/// A refusal that a plan can ask for.
#[derive(Debug, PartialEq, Eq)]
pub(in crate::endpoint) struct Code {
    /// As plans write it.
    word: &'static str,
    status: StatusCode,
    message: &'static str,
    /// Actions that can be refused so.
    by: &'static [&'static str],
}

const MADE: &[&str] = &["CreateVolume"];
const ATTACHED: &[&str] = &["AttachVolume"];
const DELETED: &[&str] = &["DeleteSnapshot"];

/// Codes and their meaning are those of the EC2 API reference, "errors-overview".
static CODES: [Code; 9] = [
    refused("error=VolumeLimitExceeded", MADE, "You have exceeded your maximum volume limit"),
    refused("error=MaxIOPSLimitExceeded", MADE, "You have exceeded your maximum IOPS limit"),
    refused("error=IdempotentParameterMismatch", MADE, "The client token belongs to another request"),
    refused("error=InvalidVolume.ZoneMismatch", ATTACHED, "The volume is not in the zone of the instance"),
    refused("error=AttachmentLimitExceeded", ATTACHED, "The instance has no room for another volume"),
    refused("error=VolumeInUse", &["AttachVolume", "DeleteVolume"], "The volume is attached to an instance"),
    refused(
        "error=IncorrectState",
        &["AttachVolume", "CreateVolume", "DeleteVolume", "DetachVolume"],
        "It is not in a state in which this can be done",
    ),
    refused("error=InvalidSnapshot.InUse", DELETED, "The snapshot is in use by an image"),
    Code {
        word: "error=InsufficientVolumeCapacity",
        status: StatusCode::INTERNAL_SERVER_ERROR,
        message: "There is not enough capacity for the volume",
        by: MADE,
    },
];

const fn refused(word: &'static str, by: &'static [&'static str], message: &'static str) -> Code {
    Code { word, status: StatusCode::BAD_REQUEST, message, by }
}

impl Code {
    /// Every one, with the word that plans have for it.
    pub(super) fn effects() -> impl Iterator<Item = (&'static str, Effect)> {
        CODES.iter().map(|code| (code.word, Effect::Refused(code)))
    }

    pub(super) fn suits(&self, operation: &str) -> bool {
        self.by.contains(&operation)
    }

    pub(super) fn refusal(&self) -> Refusal {
        let code = self.word.split_once('=').map_or(self.word, |(_, code)| code);
        Refusal::query(self.status, code, self.message)
    }
}
