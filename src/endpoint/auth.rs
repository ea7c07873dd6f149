//! Who asks: the Authorization header of Signature Version 4.
//!
//! Region, service and access key are parsed, the signature's form is checked, its value is not: an endpoint has
//! no secret keys. Codes are those AWS answers with.

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

#[cfg(test)]
mod tests {
    use super::*;

    const SOUND: &str = "AWS4-HMAC-SHA256 Credential=AKID/20260101/eu-west-1/ebs/aws4_request, \
                         SignedHeaders=host;x-amz-date, \
                         Signature=0123456789abcdef0123456789abcdef0123456789abcdef0123456789abcdef";

    #[test]
    fn a_credential_scope_names_key_region_and_service() {
        let caller = admit(Side::Ebs, Some(SOUND.as_bytes()), Some("AKID")).unwrap();
        let told = (caller.access_key.as_str(), caller.region.as_str(), caller.service.as_str());
        assert_eq!(told, ("AKID", "eu-west-1", "ebs"));
        let tight = SOUND.replace(", ", ",");
        assert_eq!(admit(Side::Ebs, Some(tight.as_bytes()), None).unwrap(), caller);
    }

    #[test]
    fn whatever_is_not_version_4_is_refused() {
        let without = |part: &str| SOUND.replace(part, "");
        let bad = [
            String::new(),
            "Basic eDp5".into(),
            "AWS4-HMAC-SHA256".into(),
            without("Credential=AKID"),
            without("/aws4_request"),
            without("/20260101"),
            without("host;"),
            without(", Signature=0123456789abcdef"),
            SOUND.replace("AKID", ""),
            SOUND.replace("AKID", "A/B"),
            SOUND.replace("20260101", "yesterday"),
            SOUND.replace("0123456789abcdef0", "x"),
            SOUND.replace("SHA256", "SHA1"),
            format!("{SOUND}, Signature=00"),
            format!("{SOUND}, More=x"),
        ];
        for header in bad {
            assert!(admit(Side::Ebs, Some(header.as_bytes()), None).is_err(), "{header}");
            assert!(admit(Side::Query, Some(header.as_bytes()), None).is_err(), "{header}");
        }
        assert!(admit(Side::Ebs, Some(&[0xff, 0xfe]), None).is_err(), "not even text");
        assert!(admit(Side::Ebs, None, None).is_err());
    }

    #[test]
    fn a_scope_for_one_service_does_not_open_another() {
        assert!(admit(Side::Query, Some(SOUND.as_bytes()), None).is_err());
        let ec2 = SOUND.replace("/ebs/", "/ec2/");
        assert!(admit(Side::Ebs, Some(ec2.as_bytes()), None).is_err());
        assert!(admit(Side::Query, Some(ec2.as_bytes()), None).is_ok());
    }
}
