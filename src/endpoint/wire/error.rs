//! Refusals, in the words and the clothes of each protocol.
//!
//! EBS has two styles, told apart by the suffix of `x-amzn-ErrorType` and by the spelling of the body's keys
//! (both recorded live). EC2 and STS wrap theirs in different XML.

use crate::aws;
use crate::endpoint::wire::Reply;
use crate::endpoint::wire::ec2::Xml;
use crate::fault::{Fault, Kind, Place};
use crate::snapshot::SnapshotId;
use http::{HeaderValue, StatusCode};
use serde::Serialize;

/// Who answers.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(in crate::endpoint) enum Dialect {
    Ebs,
    Ec2,
    Sts,
}

/// Which layer of EBS refused; it shows in the header and in the body.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Origin {
    /// The service itself: `Message`, `Reason`.
    Service,
    /// The check of the model's constraints: `message` alone.
    Constraint,
    /// What all services share: `message` alone.
    Common,
}

/// A request that is not granted.
#[derive(Debug)]
pub(in crate::endpoint) struct Refusal {
    status: StatusCode,
    code: &'static str,
    message: String,
    reason: Option<&'static str>,
    origin: Origin,
    /// Value of the header [`aws::FAULT`]: why asking again cannot help.
    cause: Option<&'static str>,
}

impl Refusal {
    /// EBS, 400 ValidationException with a reason of the model's enumeration.
    pub(in crate::endpoint) fn validation(reason: &'static str, message: impl Into<String>) -> Self {
        Self::service(StatusCode::BAD_REQUEST, "ValidationException", Some(reason), message)
    }

    /// EBS, an error that the service models.
    pub(in crate::endpoint) fn service(
        status: StatusCode,
        code: &'static str,
        reason: Option<&'static str>,
        message: impl Into<String>,
    ) -> Self {
        Self { status, code, message: message.into(), reason, origin: Origin::Service, cause: None }
    }

    /// EBS, 404: there is no such snapshot, or none that can be read. The same words for both.
    pub(in crate::endpoint) fn no_snapshot(id: &SnapshotId) -> Self {
        Self::not_found(format!("The snapshot '{id}' does not exist."))
    }

    /// EBS, 404 in these words.
    pub(in crate::endpoint) fn not_found(message: String) -> Self {
        let reason = Some("SNAPSHOT_NOT_FOUND");
        Self::service(StatusCode::NOT_FOUND, "ResourceNotFoundException", reason, message)
    }

    /// EBS, 400: the model's constraints do not hold.
    pub(in crate::endpoint) fn constraint(message: String) -> Self {
        let (status, code) = (StatusCode::BAD_REQUEST, "ValidationException");
        Self { status, code, message, reason: None, origin: Origin::Constraint, cause: None }
    }

    /// EBS, 403 of the layer before the service: signatures and checksums.
    pub(in crate::endpoint) fn common(code: &'static str, message: impl Into<String>) -> Self {
        Self::common_with(StatusCode::FORBIDDEN, code, message)
    }

    /// EBS, any status, of the layer before the service.
    pub(in crate::endpoint) fn common_with(
        status: StatusCode,
        code: &'static str,
        message: impl Into<String>,
    ) -> Self {
        Self { status, code, message: message.into(), reason: None, origin: Origin::Common, cause: None }
    }

    /// EC2 or STS.
    pub(in crate::endpoint) fn query(
        status: StatusCode,
        code: &'static str,
        message: impl Into<String>,
    ) -> Self {
        Self::common_with(status, code, message)
    }

    /// A failure of the store: the same, with the cause where asking again cannot help.
    pub(in crate::endpoint) fn caused_by(self, fault: &Fault) -> Self {
        let cause = match fault.kind {
            Kind::Corrupt => Some(aws::FAULT_DAMAGED),
            Kind::Local => Some(aws::FAULT_LOCAL),
            _ => None,
        };
        Self { cause, ..self }
    }

    /// As the protocol writes it.
    pub(in crate::endpoint) fn print(self, dialect: Dialect, request_id: &str) -> Reply {
        let cause = self.cause;
        let reply = self.print_in(dialect, request_id);
        match cause {
            Some(cause) => reply.header(aws::FAULT, HeaderValue::from_static(cause)),
            None => reply,
        }
    }

    fn print_in(self, dialect: Dialect, request_id: &str) -> Reply {
        match dialect {
            Dialect::Ebs => self.json(),
            Dialect::Ec2 => {
                let body = Xml::document("Response", None, |xml| {
                    xml.nest("Errors", |xml| xml.nest("Error", |xml| self.code_and_message(xml)));
                    xml.text("RequestID", request_id);
                });
                Reply::new(self.status, Xml::CONTENT_TYPE, body)
            }
            Dialect::Sts => {
                let body = Xml::document("ErrorResponse", Some(super::ec2::STS), |xml| {
                    xml.nest("Error", |xml| {
                        xml.text("Type", "Sender");
                        self.code_and_message(xml);
                    });
                    xml.text("RequestId", request_id);
                });
                Reply::new(self.status, Xml::CONTENT_TYPE, body)
            }
        }
    }

    fn code_and_message(&self, xml: &mut Xml) {
        xml.text("Code", self.code);
        xml.text("Message", &self.message);
    }

    fn json(self) -> Reply {
        let (suffix, body) = match self.origin {
            Origin::Service => {
                let body = ServiceBody { message: &self.message, reason: self.reason };
                ("com.amazon.zeppelindataservice", super::ebs::print(&body))
            }
            Origin::Constraint => ("com.amazon.coral.validate", self.plain_body()),
            Origin::Common => ("com.amazon.coral.service", self.plain_body()),
        };
        let kind = format!("{}:http://internal.amazon.com/coral/{suffix}/", self.code);
        let mut reply = Reply::new(self.status, super::ebs::JSON, body);
        if let Ok(kind) = HeaderValue::try_from(kind) {
            reply = reply.header("x-amzn-errortype", kind);
        }
        if self.status == StatusCode::BAD_REQUEST {
            // As recorded: after a 400 the service hangs up, after a 403, 404 or 409 it does not.
            reply = reply.header("connection", HeaderValue::from_static("close"));
        }
        reply
    }

    fn plain_body(&self) -> Vec<u8> {
        super::ebs::print(&PlainBody { message: &self.message })
    }
}

/// What a shelf could not do, in EBS's words. EC2's actions look at the kind themselves.
impl From<Fault> for Refusal {
    fn from(fault: Fault) -> Self {
        match fault.kind {
            Kind::Denied => Self::service(
                StatusCode::FORBIDDEN,
                "AccessDeniedException",
                Some("UNAUTHORIZED_ACCOUNT"),
                fault.to_string(),
            ),
            Kind::NotFound => Self::not_found(fault.to_string()),
            Kind::Refused => Self::validation("INVALID_SNAPSHOT_ID", fault.to_string()),
            _ => {
                tracing::error!(%fault, "the shelf cannot answer");
                let status = StatusCode::INTERNAL_SERVER_ERROR;
                Self::service(status, "InternalServerException", None, told(&fault)).caused_by(&fault)
            }
        }
    }
}

/// What went wrong, without the block or snapshot: whoever asked knows which.
fn told(fault: &Fault) -> String {
    match fault.at {
        Place::Block(..) | Place::Snapshot(_) => fault.what().to_owned(),
        _ => fault.to_string(),
    }
}

#[derive(Serialize)]
struct ServiceBody<'a> {
    #[serde(rename = "Message")]
    message: &'a str,
    #[serde(rename = "Reason")]
    reason: Option<&'static str>,
}

#[derive(Serialize)]
struct PlainBody<'a> {
    message: &'a str,
}
