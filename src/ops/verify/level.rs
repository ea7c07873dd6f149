//! The ladder of claims: what each kind of check shows, and what it does not.
//!
//! A report never claims more than its level. The sentences are fixed, so that two reports can be compared word for
//! word.

/// How deep a check goes. Each level detects what the one below cannot.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Level {
    /// The snapshot is there.
    Inventory = 0,
    /// Its block map can be listed.
    BlockMap = 1,
    /// Each block arrives as its checksum says.
    Transport = 2,
    /// Each block is what a trusted manifest or another copy says.
    Content = 3,
    /// A restored device or image holds the blocks of the snapshot.
    Restored = 4,
    /// The file system on it has its structure.
    FileSystem = 5,
}

impl Level {
    /// Every one, lowest first.
    pub const ALL: [Self; 6] =
        [Self::Inventory, Self::BlockMap, Self::Transport, Self::Content, Self::Restored, Self::FileSystem];

    /// Its number, 0 to 5.
    pub const fn number(self) -> u8 {
        self as u8
    }

    /// Its name: `transport`.
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Inventory => "inventory",
            Self::BlockMap => "block-map",
            Self::Transport => "transport",
            Self::Content => "content",
            Self::Restored => "restored",
            Self::FileSystem => "file-system",
        }
    }

    /// What a pass at this level shows.
    pub const fn shows(self) -> &'static str {
        match self {
            Self::Inventory => {
                "The snapshot exists, is completed and may be read; none of its data was looked at."
            }
            Self::BlockMap => {
                "The service lists the snapshot's blocks in order, and where it says how much there is, as much as that."
            }
            Self::Transport => {
                "Every block read has its full length, and its bytes hash to the SHA-256 that the service sent with it."
            }
            Self::Content => {
                "Every block read hashes to what the baseline says it should be: no bit rot, tampering, bad copy or \
                 misplaced block since the baseline was made."
            }
            Self::Restored => {
                "Every block read from the target holds what the snapshot or its manifest says: the restore is the data \
                 that was backed up."
            }
            Self::FileSystem => {
                "The target holds what the snapshot or its manifest says, and the file system of every partition that was \
                 looked at says that it is clean."
            }
        }
    }

    /// What it does not show.
    pub const fn does_not_show(self) -> &'static str {
        match self {
            Self::Inventory => "It does not show that any block can be read.",
            Self::BlockMap => "It does not show what the blocks hold.",
            Self::Transport => {
                "It does not show that the stored data is the right data: a wrong block stored with its own checksum passes."
            }
            Self::Content => {
                "It does not show that a restored volume holds these blocks, nor that applications can use them."
            }
            Self::Restored => {
                "It does not show that the file system is consistent or that applications can use the data."
            }
            Self::FileSystem => {
                "It does not show that the rest of the file system is consistent, nor that files hold what applications \
                 expect."
            }
        }
    }
}

/// What is no level.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error(
    "expected a level from 0 to 5, or its name: inventory, block-map, transport, content, restored, file-system"
)]
pub struct LevelError;

impl std::str::FromStr for Level {
    type Err = LevelError;

    /// `3`, `L3` or `content`.
    fn from_str(text: &str) -> Result<Self, LevelError> {
        let is = |level: &Self| {
            let number = level.to_string();
            text == level.as_str() || text.eq_ignore_ascii_case(&number) || text == &number[1..]
        };
        Self::ALL.into_iter().find(is).ok_or(LevelError)
    }
}

impl std::fmt::Display for Level {
    /// `L3`.
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "L{}", self.number())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn each_level_has_its_own_sentences() {
        for (at, level) in Level::ALL.into_iter().enumerate() {
            assert_eq!((usize::from(level.number()), level.to_string()), (at, format!("L{at}")));
            for sentence in [level.shows(), level.does_not_show()] {
                assert!(sentence.ends_with('.') && !sentence.contains("  "), "{sentence}");
                let same = Level::ALL.iter().flat_map(|other| [other.shows(), other.does_not_show()]);
                assert_eq!(same.filter(|other| *other == sentence).count(), 1);
            }
        }
    }
}
