//! Tokens of the EBS direct APIs. They open data, so they are shown only to the request that spends them.

use std::fmt;

macro_rules! token {
    ($(#[$doc:meta])* $name:ident) => {
        $(#[$doc])*
        #[derive(Clone, PartialEq, Eq)]
        pub struct $name(Box<str>);

        impl $name {
            /// A token as the service gave it. Its form is the service's business: never checked, never decoded.
            pub fn new(token: impl Into<Box<str>>) -> Self {
                Self(token.into())
            }

            /// The token itself, for the request that spends it and nothing else.
            pub fn reveal(&self) -> &str {
                &self.0
            }
        }

        impl fmt::Debug for $name {
            fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str(concat!(stringify!($name), "(..)"))
            }
        }
    };
}

token! {
    /// Opens one block of one snapshot until the listing's expiry time.
    BlockToken
}

token! {
    /// Continues a listing; valid for 60 minutes (EBS user guide, "ebsapi-faq").
    PageToken
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn debug_output_keeps_the_secret() {
        let shown = format!("{:?} {:?}", BlockToken::new("s3cret"), PageToken::new("s3cret"));
        assert_eq!(shown, "BlockToken(..) PageToken(..)");
    }
}
