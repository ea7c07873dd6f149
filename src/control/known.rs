//! An answer, or why there is none.

use crate::fault::{Fault, Kind};

/// A fact that was told, or the reason why nobody knows. Unknown is never "none".
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Known<T> {
    /// Told.
    Known(T),
    /// Not told, and why, in one line.
    Unknown(String),
}

impl<T> Known<T> {
    /// The fact, where it was told.
    pub fn get(&self) -> Option<&T> {
        match self {
            Self::Known(fact) => Some(fact),
            Self::Unknown(_) => None,
        }
    }

    /// Why it is not known, where it is not.
    pub fn reason(&self) -> Option<&str> {
        match self {
            Self::Known(_) => None,
            Self::Unknown(why) => Some(why),
        }
    }

    /// What follows from it.
    pub fn map<U>(self, follow: impl FnOnce(T) -> U) -> Known<U> {
        match self {
            Self::Known(fact) => Known::Known(follow(fact)),
            Self::Unknown(why) => Known::Unknown(why),
        }
    }
}

/// Turns a denial, and the refusal of an endpoint that does not know the question, into "not known": work may go on
/// without the answer. Everything else stays a fault.
pub fn known<T>(answer: Result<T, Fault>) -> Result<Known<T>, Fault> {
    match answer {
        Ok(fact) => Ok(Known::Known(fact)),
        Err(fault) if matches!(fault.kind, Kind::Denied | Kind::Refused) => {
            Ok(Known::Unknown(fault.what().to_owned()))
        }
        Err(fault) => Err(fault),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::fault::{Place, Scope};

    #[test]
    fn a_denial_is_unknown_and_a_throttle_is_a_fault() {
        let fault = |kind| Err::<u32, _>(Fault::new(kind, Place::Service, "no"));
        assert_eq!(known(Ok(0)).unwrap(), Known::Known(0));
        assert_eq!(known(fault(Kind::Denied)).unwrap(), Known::Unknown("no".into()));
        assert_eq!(known(fault(Kind::Refused)).unwrap().reason(), Some("no"));
        for kind in [Kind::Throttled(Scope::Account), Kind::ExpiredCredentials, Kind::Service] {
            assert_eq!(known(fault(kind)).unwrap_err().kind, kind);
        }
    }
}
