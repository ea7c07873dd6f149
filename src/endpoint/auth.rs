//! Who asks: the Authorization header of Signature Version 4.
//!
//! Region, service and access key are parsed, the signature's form is checked, its value is not: an endpoint has
//! no secret keys. The messages are AWS's.

use crate::endpoint::wire::Refusal;
use http::StatusCode;

/// The caller, as its credential scope names it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Caller {
    pub(super) region: String,
    pub(super) service: String,
    pub(super) access_key: String,
}

/// Which AWS service a path belongs to; each refuses in its own words.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Side {
    Ebs,
    /// EC2 and STS share a path, the credential scope tells them apart.
    Query,
}

/// Lets a caller in, or says why not.
pub(super) fn admit(side: Side, header: Option<&[u8]>, only: Option<&str>) -> Result<Caller, Refusal> {
    let header = header.ok_or_else(|| missing(side))?;
    let caller = std::str::from_utf8(header).ok().and_then(parse).ok_or_else(|| incomplete(side))?;
    if only.is_some_and(|only| only != caller.access_key) {
        return Err(unknown_key(side, &caller));
    }
    let fits = match side {
        Side::Ebs => caller.service == "ebs",
        Side::Query => matches!(caller.service.as_str(), "ec2" | "sts"),
    };
    if fits { Ok(caller) } else { Err(other_service(side)) }
}

/// `AWS4-HMAC-SHA256 Credential=KEY/DATE/REGION/SERVICE/aws4_request, SignedHeaders=a;b, Signature=HEX`
fn parse(header: &str) -> Option<Caller> {
    let fields = header.strip_prefix("AWS4-HMAC-SHA256")?;
    let fields = fields.strip_prefix(' ')?;
    let (mut credential, mut signed, mut signature) = (None, None, None);
    for field in fields.split(',') {
        let (name, value) = field.trim().split_once('=')?;
        let slot = match name {
            "Credential" => &mut credential,
            "SignedHeaders" => &mut signed,
            "Signature" => &mut signature,
            _ => return None,
        };
        if slot.replace(value).is_some() {
            return None;
        }
    }
    signed?.split(';').find(|name| *name == "host")?;
    let is_hex = |text: &str| text.len() == 64 && text.bytes().all(|b| b.is_ascii_hexdigit());
    signature.filter(|text| is_hex(text))?;
    let scope: Vec<&str> = credential?.split('/').collect();
    let [access_key, date, region, service, "aws4_request"] = scope[..] else { return None };
    let is_date = date.len() == 8 && date.bytes().all(|b| b.is_ascii_digit());
    let is_word = |text: &str| {
        (1..=128).contains(&text.len())
            && text.bytes().all(|b| b.is_ascii_alphanumeric() || b"-_".contains(&b))
    };
    let sound = is_date && [access_key, region, service].into_iter().all(is_word);
    sound.then(|| Caller {
        region: region.to_owned(),
        service: service.to_owned(),
        access_key: access_key.to_owned(),
    })
}

fn missing(side: Side) -> Refusal {
    match side {
        Side::Ebs => Refusal::common("MissingAuthenticationTokenException", "Missing Authentication Token"),
        Side::Query => Refusal::query(
            StatusCode::FORBIDDEN,
            "MissingAuthenticationToken",
            "Request is missing Authentication Token",
        ),
    }
}

fn incomplete(side: Side) -> Refusal {
    const MESSAGE: &str = "Authorization header requires 'Credential', 'SignedHeaders' and 'Signature' \
                           parameters of AWS4-HMAC-SHA256";
    match side {
        Side::Ebs => Refusal::common("IncompleteSignatureException", MESSAGE),
        Side::Query => Refusal::query(StatusCode::FORBIDDEN, "IncompleteSignature", MESSAGE),
    }
}

fn unknown_key(side: Side, caller: &Caller) -> Refusal {
    const MESSAGE: &str = "The security token included in the request is invalid.";
    match side {
        Side::Ebs => Refusal::common("UnrecognizedClientException", MESSAGE),
        Side::Query if caller.service == "sts" => {
            Refusal::query(StatusCode::FORBIDDEN, "InvalidClientTokenId", MESSAGE)
        }
        Side::Query => Refusal::query(
            StatusCode::UNAUTHORIZED,
            "AuthFailure",
            "AWS was not able to validate the provided access credentials",
        ),
    }
}

fn other_service(side: Side) -> Refusal {
    match side {
        Side::Ebs => Refusal::common(
            "InvalidSignatureException",
            "Credential should be scoped to correct service: 'ebs'.",
        ),
        Side::Query => Refusal::query(
            StatusCode::FORBIDDEN,
            "SignatureDoesNotMatch",
            "Credential should be scoped to correct service: 'ec2' or 'sts'.",
        ),
    }
}
