//! Words of AWS's that may become more: an enum of those known, and whatever else comes, as it came.

macro_rules! words {
    ($(#[$doc:meta])* $name:ident { $($(#[$of:meta])* $variant:ident = $text:literal,)+ }) => {
        $(#[$doc])*
        #[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
        pub enum $name {
            $($(#[$of])* $variant,)+
            /// A word that this program does not know.
            Other(Box<str>),
        }

        impl $name {
            /// As AWS writes it.
            pub fn as_str(&self) -> &str {
                match self {
                    $(Self::$variant => $text,)+
                    Self::Other(text) => text,
                }
            }
        }

        impl From<&str> for $name {
            fn from(text: &str) -> Self {
                match text {
                    $($text => Self::$variant,)+
                    other => Self::Other(other.into()),
                }
            }
        }

        impl std::fmt::Display for $name {
            fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
                f.pad(self.as_str())
            }
        }
    };
}

pub(super) use words;

#[cfg(test)]
mod tests {
    use crate::estate::VolumeState;

    #[test]
    fn a_word_that_is_not_known_is_kept_as_it_came() {
        assert_eq!(VolumeState::from("in-use"), VolumeState::InUse);
        assert_eq!(VolumeState::from("melting"), VolumeState::Other("melting".into()));
        assert_eq!(VolumeState::from("melting").to_string(), "melting");
    }
}
