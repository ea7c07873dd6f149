//! Requests and replies as bytes: parsed and printed here, decided elsewhere.

pub(super) mod ebs;
pub(super) mod ec2;
mod error;
pub(super) mod filter;

pub(super) use error::{Dialect, Refusal};

use crate::shelf::Fate;
use bytes::Bytes;
use http::{HeaderMap, HeaderName, HeaderValue, StatusCode};
use percent_encoding::percent_decode_str;

/// A request that has been routed: what its action reads.
#[derive(Debug)]
pub(super) struct Call {
    /// The variable parts of the path, decoded, in order.
    pub(super) path: Vec<String>,
    /// The query string's parameters; EC2's come in the body and are added here.
    pub(super) query: Vec<(String, String)>,
    pub(super) headers: HeaderMap,
    pub(super) body: Bytes,
    /// The Region asked, as the credential scope names it.
    pub(super) region: String,
    /// What goes wrong after the answer, by plan.
    pub(super) fate: Option<Fate>,
    /// What this answer is called, in its header and in EC2's body.
    pub(super) request_id: String,
}

impl Call {
    /// A query parameter, the first of its name.
    pub(super) fn query(&self, name: &str) -> Option<&str> {
        self.query.iter().find(|(key, _)| key == name).map(|(_, value)| value.as_str())
    }

    /// A header that is text.
    pub(super) fn header(&self, name: &str) -> Option<&str> {
        self.headers.get(name).and_then(|value| value.to_str().ok())
    }
}

/// What is answered.
#[derive(Debug)]
pub(super) struct Reply {
    pub(super) status: StatusCode,
    pub(super) content_type: &'static str,
    pub(super) headers: Vec<(HeaderName, HeaderValue)>,
    pub(super) body: Bytes,
}

impl Reply {
    pub(super) fn new(status: StatusCode, content_type: &'static str, body: impl Into<Bytes>) -> Self {
        Self { status, content_type, headers: Vec::new(), body: body.into() }
    }

    #[must_use]
    pub(super) fn header(mut self, name: &'static str, value: HeaderValue) -> Self {
        self.headers.push((HeaderName::from_static(name), value));
        self
    }
}

/// `a=1&b=%20` in pairs, decoded. In a form a plus is a space (EC2); in AWS's own query strings no plus stands
/// for anything else, since clients write it as `%2B`.
pub(super) fn parameters(text: &str) -> Vec<(String, String)> {
    let decoded = |part: &str| {
        let spaced = part.replace('+', " ");
        percent_decode_str(&spaced).decode_utf8_lossy().into_owned()
    };
    let pairs = text.split('&').filter(|pair| !pair.is_empty());
    pairs
        .map(|pair| pair.split_once('=').unwrap_or((pair, "")))
        .map(|(k, v)| (decoded(k), decoded(v)))
        .collect()
}

/// The variable parts of a path that has this shape; `{}` stands for one part.
pub(super) fn matched(shape: &str, path: &str) -> Option<Vec<String>> {
    let (shape, path): (Vec<_>, Vec<_>) = (shape.split('/').collect(), path.split('/').collect());
    if shape.len() != path.len() {
        return None;
    }
    let mut variables = Vec::new();
    for (expected, part) in shape.into_iter().zip(path) {
        if expected == "{}" {
            variables.push(percent_decode_str(part).decode_utf8_lossy().into_owned());
        } else if expected != part {
            return None;
        }
    }
    Some(variables)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn parameters_are_decoded_once() {
        let pair = |key: &str, value: &str| (key.to_owned(), value.to_owned());
        assert_eq!(
            parameters("a=AA%2B%2F%3D&b=x+y&&c&d=%2525"),
            [pair("a", "AA+/="), pair("b", "x y"), pair("c", ""), pair("d", "%25")]
        );
        assert_eq!(parameters(""), []);
    }

    #[test]
    fn a_path_matches_its_shape_part_by_part() {
        let variables = matched("/snapshots/{}/blocks/{}", "/snapshots/snap-1/blocks/%37");
        assert_eq!(variables, Some(vec!["snap-1".to_owned(), "7".to_owned()]));
        for other in
            ["/snapshots/snap-1/blocks", "/snapshots/snap-1/blocks/7/", "/snapshots/snap-1/changed/7"]
        {
            assert_eq!(matched("/snapshots/{}/blocks/{}", other), None, "{other}");
        }
    }
}
