//! One permission: an action, what it is on, and under which condition.

/// A permission that a task needs.
#[derive(Debug, PartialEq, Eq)]
pub struct Need {
    /// The action, as policies write it: `ebs:GetSnapshotBlock`.
    pub action: &'static str,
    /// All that the action is checked against.
    pub on: &'static [On],
    /// Narrower than that.
    pub only: Only,
    /// Why it is needed although no call of its name is sent; `None` where one is.
    pub unseen: Option<&'static str>,
}

/// What an action is on.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum On {
    /// It knows no resources (service authorization reference, "list_amazonec2").
    Anything,
    /// Snapshots. Their ARNs have no account (EBS user guide, "ebsapi-permissions").
    Snapshots,
    /// Volumes.
    Volumes,
    /// Instances.
    Instances,
    /// Keys of KMS.
    Keys,
}

/// A condition.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Only {
    /// None.
    Always,
    /// Where the request tags what it makes with a run of ours.
    TaggedByUs,
    /// On what a run of ours has made, or marked, as its tag says.
    Ours,
    /// While this action makes what is tagged.
    Making(&'static str),
    /// Where it is a service of AWS's that asks for us.
    ForAws,
}

impl Need {
    /// An action that is called, on this.
    pub const fn of(action: &'static str, on: &'static [On]) -> Self {
        Self { action, on, only: Only::Always, unseen: None }
    }

    /// The same, under a condition.
    #[must_use]
    pub const fn only(self, only: Only) -> Self {
        Self { only, ..self }
    }

    /// The same, of an action that is never called: `why` it is needed all the same.
    #[must_use]
    pub const fn unseen(self, why: &'static str) -> Self {
        Self { unseen: Some(why), ..self }
    }

    /// The action without its service.
    pub fn operation(&self) -> &'static str {
        self.action.split_once(':').map_or(self.action, |(_, operation)| operation)
    }
}
