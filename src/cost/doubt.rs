//! How sure a figure is.

use std::fmt;

/// What keeps a figure from being exact.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub enum Doubt {
    /// It shares with a snapshot whose blocks could not be looked at.
    Neighbour,
    /// There are more snapshots that could share than were compared.
    NotCompared,
    /// It is not completed.
    Pending,
    /// It failed for good; AWS does not say what it bills.
    Error,
    /// It is in the Recycle Bin, where it cannot be listed.
    Binned,
    /// It is archived, and AWS does not say how large it is.
    SizeUntold,
    /// AWS finds no lineage in common with a snapshot that it must share one with.
    Unrelated,
    /// Listing was denied.
    Denied,
    /// The service refused for too long.
    Throttled,
    /// The service failed.
    Failed,
    /// It went away meanwhile.
    Vanished,
    /// The run stopped before it.
    NotListed,
    /// Listings contradict each other.
    Contradicted,
}

impl Doubt {
    /// Every one of them.
    pub const ALL: [Self; 13] = [
        Self::Neighbour,
        Self::NotCompared,
        Self::Pending,
        Self::Error,
        Self::Binned,
        Self::SizeUntold,
        Self::Unrelated,
        Self::Denied,
        Self::Throttled,
        Self::Failed,
        Self::Vanished,
        Self::NotListed,
        Self::Contradicted,
    ];

    /// For programs.
    pub const fn code(self) -> &'static str {
        match self {
            Self::Neighbour => "neighbour_unknown",
            Self::NotCompared => "not_compared_with_all",
            Self::Pending => "pending",
            Self::Error => "error",
            Self::Binned => "in_recycle_bin",
            Self::SizeUntold => "size_untold",
            Self::Unrelated => "unrelated",
            Self::Denied => "denied",
            Self::Throttled => "throttled",
            Self::Failed => "failed",
            Self::Vanished => "vanished",
            Self::NotListed => "not_listed",
            Self::Contradicted => "contradicted",
        }
    }

    /// For people: a clause.
    pub const fn sentence(self) -> &'static str {
        match self {
            Self::Neighbour => "it may share blocks with a snapshot that could not be looked at",
            Self::NotCompared => "more snapshots could share its blocks than were compared; see --compare",
            Self::Pending => "it is not completed",
            Self::Error => "it failed, and AWS does not say what it bills",
            Self::Binned => "it is in the Recycle Bin, where its blocks cannot be listed",
            Self::SizeUntold => "it is archived, and AWS does not say how large it is",
            Self::Unrelated => "AWS finds no lineage in common with the snapshot it must come from",
            Self::Denied => "listing its blocks was denied",
            Self::Throttled => "the service refused for too long",
            Self::Failed => "the service failed",
            Self::Vanished => "it went away meanwhile",
            Self::NotListed => "the run stopped before it",
            Self::Contradicted => "what was listed of it contradicts what was listed of others",
        }
    }
}

/// How sure a figure is. Later ones are less sure.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Quality {
    /// It is this much.
    Exact,
    /// It is this much or less.
    AtMost(Doubt),
    /// It is not known. What is shown is without it.
    Unknown(Doubt),
}

impl Quality {
    /// For programs.
    pub const fn code(self) -> &'static str {
        match self {
            Self::Exact => "exact",
            Self::AtMost(_) => "at_most",
            Self::Unknown(_) => "unknown",
        }
    }

    /// Why, unless it is exact.
    pub const fn doubt(self) -> Option<Doubt> {
        match self {
            Self::Exact => None,
            Self::AtMost(doubt) | Self::Unknown(doubt) => Some(doubt),
        }
    }
}

impl fmt::Display for Quality {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad(self.code())
    }
}
