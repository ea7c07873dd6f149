//! Instances, as far as volumes are attached to them.

use crate::estate::word::words;
use crate::snapshot::{InstanceId, Tags};

words! {
    /// Where an instance stands (EC2 model, `InstanceStateName`).
    InstanceState {
        /// Starting.
        Pending = "pending",
        /// Running.
        Running = "running",
        /// On its way to its end.
        ShuttingDown = "shutting-down",
        /// Gone; seen for about an hour.
        Terminated = "terminated",
        /// On its way to a stop.
        Stopping = "stopping",
        /// Stopped.
        Stopped = "stopped",
    }
}

/// An instance of ours.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Instance {
    /// Its name.
    pub id: InstanceId,
    /// Where it stands.
    pub state: InstanceState,
    /// Its Availability Zone: only volumes of the same one can be attached.
    pub zone: String,
    /// Its type, as `m6i.large`: the bounds of its EBS throughput follow from it.
    pub kind: String,
    /// Device names in use: a new attachment needs another one.
    pub devices: Vec<String>,
    /// Its tags.
    pub tags: Tags,
}

impl Instance {
    /// Whether volumes can be attached to it now (EC2 API reference, AttachVolume).
    pub fn takes_volumes(&self) -> bool {
        matches!(self.state, InstanceState::Running | InstanceState::Stopped)
    }
}
