//! From the SDK's errors to faults.

use crate::aws::credentials::trouble;
use crate::aws::refusal::{Answer, one_line};
use crate::aws::{CREDENTIALS_HINT, FAULT};
use crate::fault::{Fault, Kind, Place};
use aws_credential_types::provider::error::CredentialsError;
use aws_smithy_runtime_api::client::orchestrator::HttpResponse;
use aws_smithy_runtime_api::client::result::SdkError;
use aws_smithy_types::error::metadata::ProvideErrorMetadata;
use aws_types::request_id::RequestId;
use std::error::Error;
use std::{fmt, io, iter};

const NETWORK: &str = "check the network, the Region and --endpoint-url";

/// What the service said about it, for logs and for AWS's support.
#[derive(Debug)]
struct Told {
    status: u16,
    code: Option<String>,
    request_id: Option<String>,
}

impl fmt::Display for Told {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "HTTP {}", self.status)?;
        self.code.iter().try_for_each(|code| write!(f, " {code}"))?;
        self.request_id.iter().try_for_each(|id| write!(f, ", request {id}"))
    }
}

impl Error for Told {}

/// The fault behind an SDK error. `reason` is EBS's second name for it, where it gives one; only the service's
/// client can tell. The error itself is dropped: it may hold tokens.
pub fn classify<E>(error: &SdkError<E, HttpResponse>, reason: Option<&str>, at: Place) -> Fault
where
    E: ProvideErrorMetadata + Error + 'static,
{
    match error {
        SdkError::ServiceError(answer) => {
            let raw = answer.raw();
            let (code, message) = (answer.err().code(), answer.err().message());
            let cause = raw.headers().get(FAULT);
            let answered = Answer { status: raw.status().as_u16(), code, reason, message, cause };
            if raw.status().is_success() {
                return unreadable(at);
            }
            refused(&answered, raw.request_id(), at)
        }
        SdkError::ResponseError(broken) => {
            let raw = broken.raw();
            if let Some(network) = network(error, &at) {
                return network;
            }
            if raw.status().is_success() {
                return unreadable(at);
            }
            // A page that is no error of AWS's: a proxy's, a load balancer's.
            refused(&Answer { status: raw.status().as_u16(), ..Answer::default() }, raw.request_id(), at)
        }
        SdkError::TimeoutError(_) => timeout(at),
        SdkError::DispatchFailure(failure) if failure.is_timeout() => timeout(at),
        other => network(other, &at).unwrap_or_else(|| {
            let what = deepest(other).unwrap_or_else(|| "the request could not be sent".into());
            // What cannot be built now cannot be built later.
            let built = !matches!(other, SdkError::ConstructionFailure(_));
            let kind = if built { Kind::Unreachable } else { Kind::Refused };
            Fault::new(kind, at, what).hint(NETWORK)
        }),
    }
}

/// A body that ended before its end.
pub fn broken_body(error: &(dyn Error + 'static), at: Place) -> Fault {
    let why = deepest(error).unwrap_or_else(|| "no reason given".into());
    Fault::new(Kind::Unreachable, at, format!("the connection broke within the body: {why}"))
}

fn refused(answer: &Answer<'_>, request_id: Option<&str>, at: Place) -> Fault {
    let verdict = answer.verdict();
    let told =
        Told { status: answer.status, code: answer.code.map(one_line), request_id: request_id.map(one_line) };
    let fault = Fault::new(verdict.kind, at, verdict.sentence).because(told);
    match verdict.hint {
        Some(hint) => fault.hint(hint),
        None => fault,
    }
}

/// Success in name, but not what the API's model promises. Asking again may help, as with a body gone wrong.
fn unreadable(at: Place) -> Fault {
    Fault::new(Kind::Corrupt, at, "the service's reply cannot be read")
}

fn timeout(at: Place) -> Fault {
    Fault::new(Kind::Timeout, at, "no connection in time").hint(NETWORK)
}

/// Credentials that do not load and connections that fail, wherever in the chain of causes they are.
fn network(error: &(dyn Error + 'static), at: &Place) -> Option<Fault> {
    let mut causes = chain(error).filter_map(|cause| cause.downcast_ref::<io::Error>());
    if let Some(limit) = causes.find_map(|error| Fault::open_files_limit(at.clone(), error)) {
        return Some(limit);
    }
    if let Some(credentials) = chain(error).find_map(|cause| cause.downcast_ref::<CredentialsError>()) {
        let fault = Fault::new(Kind::NoCredentials, at.clone(), trouble(credentials));
        return Some(fault.hint(CREDENTIALS_HINT));
    }
    let io = chain(error).find_map(|cause| cause.downcast_ref::<io::Error>())?;
    let why = deepest(io).unwrap_or_else(|| reason(&io.to_string()));
    Some(
        Fault::new(Kind::Unreachable, at.clone(), format!("the service cannot be reached: {why}"))
            .hint(NETWORK),
    )
}

fn chain<'a>(error: &'a (dyn Error + 'static)) -> impl Iterator<Item = &'a (dyn Error + 'static)> {
    iter::successors(Some(error), |error| (*error).source())
}

/// The last cause says what happened; those above say where in the SDK.
fn deepest(error: &(dyn Error + 'static)) -> Option<String> {
    chain(error).last().map(|cause| reason(&cause.to_string()))
}

/// Without Rust's `(os error 111)`.
fn reason(text: &str) -> String {
    one_line(text.split(" (os error ").next().unwrap_or(text))
}
