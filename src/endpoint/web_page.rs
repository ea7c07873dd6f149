//! Keeps web pages out.
//!
//! A browser on this machine reaches loopback addresses, and after DNS rebinding a page of any site may send requests
//! to this port under its own host name. Such a request differs from a program's in three headers: its Host is not a
//! loopback name, and it carries Origin or Sec-Fetch-Site (WHATWG Fetch; W3C Fetch Metadata), which no AWS client
//! sends.

use crate::endpoint::wire::Refusal;
use http::header::{HOST, ORIGIN};
use http::request::Parts;
use http::uri::Authority;
use std::net::{Ipv4Addr, Ipv6Addr};

/// Refuses a request that a web page may have sent.
pub(super) fn refuse(head: &Parts) -> Result<(), Refusal> {
    for name in [ORIGIN.as_str(), "sec-fetch-site"] {
        if head.headers.contains_key(name) {
            return Err(denied(format!(
                "Requests of web pages are not served: the request has the header {name}."
            )));
        }
    }
    let mut hosts = head.headers.get_all(HOST).iter();
    let (host, more) = (hosts.next(), hosts.next());
    let host = host.filter(|_| more.is_none()).and_then(|host| Authority::try_from(host.as_bytes()).ok());
    match host {
        Some(host) if is_loopback(host.host()) && head.uri.host().is_none_or(is_loopback) => Ok(()),
        _ => Err(denied("Host must be a loopback name: localhost, 127.0.0.1 or [::1].".to_owned())),
    }
}

fn denied(message: String) -> Refusal {
    Refusal::common("AccessDeniedException", message)
}

fn is_loopback(host: &str) -> bool {
    let address = host.strip_prefix('[').and_then(|rest| rest.strip_suffix(']'));
    match address {
        Some(address) => address.parse::<Ipv6Addr>().is_ok_and(|address| address.is_loopback()),
        None => {
            host.eq_ignore_ascii_case("localhost")
                || host.parse::<Ipv4Addr>().is_ok_and(|address| address.is_loopback())
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use http::Request;

    fn is_served(uri: &str, headers: &[(&str, &str)]) -> bool {
        let mut request = Request::builder().uri(uri);
        for (name, value) in headers {
            request = request.header(*name, *value);
        }
        refuse(&request.body(()).unwrap().into_parts().0).is_ok()
    }

    #[test]
    fn only_loopback_names_are_served() {
        for host in ["localhost", "LocalHost:8080", "127.0.0.1:8080", "127.3.2.1", "[::1]:8080", "[::1]"] {
            assert!(is_served("/", &[("host", host)]), "{host}");
        }
        for host in [
            "evil.example",
            "evil.example:8080",
            "localhost.evil.example",
            "127.0.0.1.evil.example",
            "10.0.0.1",
        ] {
            assert!(!is_served("/", &[("host", host)]), "{host}");
            assert!(
                !is_served(&format!("http://{host}/"), &[("host", "localhost")]),
                "in the target: {host}"
            );
        }
        for host in ["", "0.0.0.0", "[::]", "user@localhost/", "127.1", "[::1", "localhost evil"] {
            assert!(!is_served("/", &[("host", host)]), "{host:?}");
        }
        assert!(!is_served("/", &[]), "without a host");
        assert!(!is_served("/", &[("host", "localhost"), ("host", "evil.example")]), "two hosts");
    }

    #[test]
    fn what_browsers_add_is_refused_whatever_it_says() {
        for (name, value) in [
            ("origin", "http://evil.example"),
            ("origin", "null"),
            ("origin", "http://127.0.0.1:8080"),
            ("sec-fetch-site", "cross-site"),
            ("sec-fetch-site", "same-origin"),
            ("sec-fetch-site", "none"),
        ] {
            assert!(!is_served("/", &[("host", "127.0.0.1:8080"), (name, value)]), "{name}: {value}");
        }
    }
}
