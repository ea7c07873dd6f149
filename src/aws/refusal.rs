//! What an answer means that is no success: by the error's name, since throttles come as HTTP 400.
//!
//! The names are those of botocore's EBS model, of the EC2 API's list of error codes, and of AWS's common errors;
//! the pairs of name, reason and text were recorded live.

use crate::aws::{FAULT_DAMAGED, FAULT_LOCAL};
use crate::fault::{Kind, Scope, TokenKind};

/// An answer that is no success.
///
/// [`FAULT`]: crate::aws::FAULT
#[derive(Clone, Copy, Debug, Default)]
pub(super) struct Answer<'a> {
    pub(super) status: u16,
    /// The error's name: `ValidationException`, `InvalidSnapshot.NotFound`.
    pub(super) code: Option<&'a str>,
    /// EBS's second name: `UNRELATED_SNAPSHOTS`.
    pub(super) reason: Option<&'a str>,
    pub(super) message: Option<&'a str>,
    /// Cause that an endpoint over a store names: the header [`FAULT`].
    pub(super) cause: Option<&'a str>,
}

/// What it means, for machines and for people.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Verdict {
    pub(super) kind: Kind,
    pub(super) sentence: String,
    pub(super) hint: Option<&'static str>,
}

const KMS: &str =
    "a missing KMS right: allow kms:Decrypt on the snapshot's key, or ask for the key to be enabled";
const KEYS: &str = "check the access key, its secret and this machine's clock";
const SIGN_IN: &str = "sign in again: aws sso login, or renew the session's keys";
const CHECK: &str = "icecore store check DIR names everything that is damaged";
const STORE_FILES: &str =
    "look at the store's files: permissions, room on the disk, and the limits of the process (ulimit -a)";
const ID: &str = "check the id, the Region and the account with icecore list";
const IAM: &str = "icecore iam-policy prints the rights a command needs";

impl Answer<'_> {
    pub(super) fn verdict(&self) -> Verdict {
        let (kind, hint) = self.kind();
        Verdict { kind, sentence: self.sentence(kind), hint }
    }

    fn kind(&self) -> (Kind, Option<&'static str>) {
        let message = self.message.unwrap_or_default();
        let bare = |kind| (kind, None);
        match self.cause {
            Some(FAULT_DAMAGED) => return (Kind::Damaged, Some(CHECK)),
            Some(FAULT_LOCAL) => return (Kind::Local, Some(STORE_FILES)),
            _ => {}
        }
        match self.code.unwrap_or_default() {
            "ThrottlingException" | "Throttling" | "RequestLimitExceeded" | "TooManyRequestsException" => {
                bare(Kind::Throttled(Scope::Account))
            }
            "RequestThrottledException" | "RequestThrottleException" => bare(match self.reason {
                Some("ACCOUNT_THROTTLED") => Kind::Throttled(Scope::Account),
                _ => Kind::Throttled(Scope::Snapshot),
            }),
            "AccessDeniedException" | "AccessDenied" if self.reason == Some("DEPENDENCY_ACCESS_DENIED") => {
                (Kind::Denied, Some(KMS))
            }
            "AccessDeniedException" | "AccessDenied" | "UnauthorizedOperation" => (Kind::Denied, Some(IAM)),
            "ExpiredToken" | "ExpiredTokenException" | "RequestExpired" => {
                (Kind::ExpiredCredentials, Some(SIGN_IN))
            }
            // The body's checksum, not the request's signature (recorded live for PutSnapshotBlock).
            "InvalidSignatureException" if message.contains("x-amz-Checksum") => bare(Kind::Corrupt),
            "UnrecognizedClientException"
            | "UnrecognizedClient"
            | "InvalidClientTokenId"
            | "AuthFailure"
            | "SignatureDoesNotMatch"
            | "InvalidSignatureException"
            | "IncompleteSignature"
            | "IncompleteSignatureException"
            | "MissingAuthenticationToken"
            | "MissingAuthenticationTokenException"
            | "OptInRequired" => (Kind::Denied, Some(KEYS)),
            "ResourceNotFoundException" => match self.reason {
                Some("DEPENDENCY_RESOURCE_NOT_FOUND") => (Kind::Denied, Some(KMS)),
                _ => (Kind::NotFound, Some(ID)),
            },
            // A well-formed id can still be one that AWS never gave out.
            "InvalidID" => (Kind::NotFound, Some(ID)),
            code if code.ends_with("ID.Malformed") => (Kind::NotFound, Some(ID)),
            "ValidationException" => self.validation(),
            "InvalidSnapshot.InUse" => (Kind::Refused, Some("deregister the image that uses it first")),
            "ServiceQuotaExceededException" => bare(Kind::Quota),
            code if code.ends_with(".NotFound") => (Kind::NotFound, Some(ID)),
            code if code.contains("LimitExceeded") => bare(Kind::Quota),
            _ => self.by_status(),
        }
    }

    fn validation(&self) -> (Kind, Option<&'static str>) {
        let message = self.message.unwrap_or_default();
        let kind = match self.reason {
            Some("UNRELATED_SNAPSHOTS") => Kind::Unrelated,
            Some("INVALID_PAGE_TOKEN") => Kind::InvalidToken(TokenKind::Page),
            Some("INVALID_BLOCK_TOKEN") => Kind::InvalidToken(TokenKind::Block),
            // Constraint errors give no reason; they name the member.
            None if message.contains(" at 'pageToken' ") => Kind::InvalidToken(TokenKind::Page),
            None if message.contains(" at 'blockToken' ") => Kind::InvalidToken(TokenKind::Block),
            _ if message.contains("Public snapshots are not supported") => Kind::NotReadable,
            // Documented as worth another try, though a short body earns it every time.
            _ if message.contains("Failed to read block data") => Kind::Service,
            _ => Kind::Refused,
        };
        (kind, None)
    }

    /// For what carries no name that we know: a proxy's page, a new error.
    fn by_status(&self) -> (Kind, Option<&'static str>) {
        match self.status {
            401 | 403 | 407 => (Kind::Denied, None),
            408 => (Kind::Timeout, None),
            429 => (Kind::Throttled(Scope::Account), None),
            500.. => (Kind::Service, None),
            404 if self.code.is_none() => {
                (Kind::Refused, Some("is this an endpoint of EBS? check --endpoint-url"))
            }
            _ => (Kind::Refused, None),
        }
    }

    /// AWS's own words where they are fit to be shown: some repeat a token, or the signed request with one in it.
    fn sentence(&self, kind: Kind) -> String {
        let code = self.code.unwrap_or_default();
        match kind {
            Kind::InvalidToken(TokenKind::Block) => {
                return "the block token is not valid, or no longer".into();
            }
            Kind::InvalidToken(TokenKind::Page) => return "the page token is not valid, or no longer".into(),
            Kind::Denied if code.contains("Signature") => {
                return "the request's signature is not accepted".into();
            }
            _ => {}
        }
        let message = self.message.map(one_line).filter(|message| !message.is_empty());
        message.unwrap_or_else(|| match self.code {
            Some(code) => format!("the service answered {}", one_line(code)),
            None => format!("the service answered HTTP {}", self.status),
        })
    }
}

/// Longest sentence shown, in characters; AWS's own are at most 256.
const SENTENCE: usize = 300;

/// As one line, lower case at the start unless the word is no plain one, without full stop.
pub(super) fn one_line(text: &str) -> String {
    // EC2 appends a kilobyte of base64 that only an administrator can decode.
    let told = text.split(" Encoded authorization failure message").next().unwrap_or(text);
    let words: Vec<_> = told.split_whitespace().collect();
    let line: String = words.join(" ").chars().filter(|c| !c.is_control()).take(SENTENCE).collect();
    let line = line.trim_end_matches('.');
    let mut rest = line.chars();
    let plain = |word: &str| word.chars().skip(1).all(|c| !c.is_uppercase());
    match rest.next() {
        Some(first) if line.split(' ').next().is_some_and(plain) => {
            first.to_lowercase().chain(rest).collect()
        }
        _ => line.to_owned(),
    }
}

#[cfg(test)]
mod tests;
