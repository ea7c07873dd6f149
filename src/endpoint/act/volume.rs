//! What the actions on volumes have in common: the words of their refusals.

use crate::account::VolumeError;
use crate::endpoint::wire::Refusal;
use crate::endpoint::wire::ec2::{bad, no_instance, no_volume, refusal};

/// An account's refusal in EC2's words, of an action on this volume and, where there is one, this instance.
pub(super) fn refused(error: &VolumeError, volume: &str, instance: &str) -> Refusal {
    match error {
        VolumeError::NoSnapshot => bad("InvalidSnapshot.NotFound", "Snapshot does not exist"),
        VolumeError::Snapshot(state) => {
            bad("IncorrectState", format!("Snapshot is in invalid state - {state}"))
        }
        VolumeError::NoSize => {
            bad("MissingParameter", "The request must contain the parameter size/snapshot")
        }
        VolumeError::Encryption(error) => bad("InvalidParameterCombination", error.to_string()),
        VolumeError::Token => bad(
            "IdempotentParameterMismatch",
            "The client token you have provided is associated with a resource whose parameters differ from those \
             of this request",
        ),
        VolumeError::NoVolume => no_volume(volume),
        VolumeError::State(state) => {
            bad("IncorrectState", format!("The volume '{volume}' is in the state '{state}'"))
        }
        VolumeError::InUse => {
            bad("VolumeInUse", format!("Volume {volume} is currently attached to an instance"))
        }
        VolumeError::NoInstance => no_instance(instance),
        VolumeError::Instance => bad("IncorrectState", format!("Instance '{instance}' is not 'running'.")),
        VolumeError::Zone => bad(
            "InvalidVolume.ZoneMismatch",
            format!("The volume '{volume}' is not in the same availability zone as instance '{instance}'"),
        ),
        VolumeError::Device => bad(
            "InvalidParameterValue",
            "Invalid value for unixDevice. The attachment point is already in use",
        ),
        VolumeError::Limit => {
            bad("AttachmentLimitExceeded", format!("Instance '{instance}' has no room for another volume"))
        }
        VolumeError::Storage => {
            bad("VolumeLimitExceeded", "You have exceeded your maximum volume limit for this volume type")
        }
        VolumeError::NotThere => {
            bad("InvalidAttachment.NotFound", format!("The volume '{volume}' is not attached there"))
        }
        VolumeError::Fault(fault) => refusal(fault),
    }
}
