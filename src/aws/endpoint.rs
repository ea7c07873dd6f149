//! Where requests go when not to the Region's own endpoint.

use crate::fault::{Fault, Kind, Place};
use aws_config::SdkConfig;
use aws_types::service_config::ServiceConfigKey;
use http::Uri;
use std::net::IpAddr;

/// Domains of AWS's own endpoints in all partitions (botocore `endpoints.json`, `dnsSuffix`, with the dual-stack
/// ones), private links included.
const AWS_DOMAINS: [&str; 13] = [
    "amazonaws.com",
    "api.aws",
    "amazonaws.com.cn",
    "api.amazonwebservices.com.cn",
    "amazonaws.eu",
    "api.amazonwebservices.eu",
    "c2s.ic.gov",
    "api.aws.ic.gov",
    "sc2s.sgov.gov",
    "api.aws.scloud",
    "cloud.adc-e.uk",
    "api.cloud-aws.adc-e.uk",
    "csp.hci.ic.gov",
];

/// The endpoint that configuration puts in the place of AWS's own for EBS, if any.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Override(Option<Elsewhere>);

#[derive(Clone, Debug, PartialEq, Eq)]
struct Elsewhere {
    url: String,
    host: String,
}

impl Override {
    /// As the EBS client will find it: said in code, else for EBS, else for all services.
    pub(super) fn of(config: &SdkConfig) -> Result<Self, Fault> {
        let url = of_service(config, "EBS").or_else(|| config.endpoint_url().map(ToOwned::to_owned));
        let elsewhere = url.map(|url| Ok(Elsewhere { host: check(&url)?, url }));
        elsewhere.transpose().map(Self)
    }

    fn host(&self) -> Option<&str> {
        self.0.as_ref().map(|elsewhere| elsewhere.host.as_str())
    }

    /// Where it is, if it is not AWS.
    pub(super) fn url(&self) -> Option<&str> {
        self.0.as_ref().filter(|_| !self.is_aws()).map(|elsewhere| elsewhere.url.as_str())
    }

    pub(super) fn is_aws(&self) -> bool {
        self.host().is_none_or(|host| {
            let host = host.trim_end_matches('.').to_ascii_lowercase();
            AWS_DOMAINS.iter().any(|domain| {
                host.strip_suffix(domain).is_some_and(|rest| rest.is_empty() || rest.ends_with('.'))
            })
        })
    }

    pub(super) fn is_loopback(&self) -> bool {
        self.host().is_some_and(|host| {
            let address = host.trim_start_matches('[').trim_end_matches(']').parse::<IpAddr>();
            host == "localhost" || address.is_ok_and(|address| address.is_loopback())
        })
    }
}

/// Checks the endpoints of all services that a run may ask: the SDK panics over some that are no URL.
pub(super) fn check_all(config: &SdkConfig) -> Result<(), Fault> {
    let of_all = config.endpoint_url().map(ToOwned::to_owned);
    let of_one = ["EBS", "EC2", "STS", "SSO", "SSO OIDC"].iter().filter_map(|id| of_service(config, id));
    of_all.into_iter().chain(of_one).try_for_each(|url| check(&url).map(drop))
}

/// The endpoint that the environment or the profile sets for one service, where none was typed.
fn of_service(config: &SdkConfig, service_id: &str) -> Option<String> {
    let key = ServiceConfigKey::builder()
        .service_id(service_id)
        .env("AWS_ENDPOINT_URL")
        .profile("endpoint_url")
        .build();
    config
        .service_config()
        .filter(|_| !config.get_origin("endpoint_url").is_client_config())
        .and_then(|services| services.load_config(key.ok()?))
}

/// The host of an endpoint URL. The URL becomes the name of the account in logs, reports and checkpoints, and requests
/// carry nothing of it but host, port and path: one with a user, a query or a fragment is refused, and not repeated.
pub(super) fn check(url: &str) -> Result<String, Fault> {
    let refused = |what: String| Err(Fault::new(Kind::Refused, Place::Service, what));
    let bare = without_secrets(url);
    let uri = url.parse::<Uri>().ok().filter(|uri| matches!(uri.scheme_str(), Some("http" | "https")));
    let Some(host) = uri.as_ref().and_then(Uri::host).filter(|host| !host.is_empty()) else {
        return refused(format!(
            "'{bare}' is not an endpoint URL: expected http://HOST:PORT or https://HOST"
        ));
    };
    if bare != url {
        return refused(format!(
            "the endpoint URL '{bare}' has a user, a query or a fragment, which no request would carry; remove it"
        ));
    }
    Ok(host.to_owned())
}

/// The URL without its user, query and fragment, which may hold a password or a token.
fn without_secrets(url: &str) -> String {
    let end = url.find(['?', '#']).unwrap_or(url.len());
    let (scheme, rest) = url[..end].split_once("://").unwrap_or(("", &url[..end]));
    let (authority, path) = rest.split_at(rest.find('/').unwrap_or(rest.len()));
    let host = authority.rsplit_once('@').map_or(authority, |(_, host)| host);
    match scheme {
        "" => format!("{host}{path}"),
        _ => format!("{scheme}://{host}{path}"),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn over(url: &str) -> Override {
        Override(Some(Elsewhere { url: url.to_owned(), host: check(url).unwrap() }))
    }

    #[test]
    fn only_amazons_domains_are_aws() {
        for (url, aws) in [
            ("https://ebs.us-east-1.amazonaws.com", true),
            ("https://ebs-fips.us-east-1.api.aws/", true),
            ("https://ebs.cn-north-1.amazonaws.com.cn", true),
            ("https://vpce-1.ebs.eu-west-1.vpce.amazonaws.com:443", true),
            ("https://EBS.US-EAST-1.AMAZONAWS.COM.", true),
            ("http://127.0.0.1:4566", false),
            ("https://notamazonaws.com", false),
            ("https://amazonaws.com.example.org", false),
            ("http://localhost.localstack.cloud:4566", false),
        ] {
            assert_eq!(over(url).is_aws(), aws, "{url}");
        }
        assert!(Override(None).is_aws());
    }

    #[test]
    fn this_machine_is_known_by_its_addresses() {
        for (url, here) in [
            ("http://127.0.0.1:1", true),
            ("http://[::1]:1", true),
            ("http://localhost:1", true),
            ("http://10.0.0.1", false),
        ] {
            assert_eq!(over(url).is_loopback(), here, "{url}");
        }
    }

    #[test]
    fn what_is_no_url_is_refused_with_the_form_expected() {
        for bad in ["", "localhost:9000", "ftp://host", "/path", "http://"] {
            assert_eq!(check(bad).unwrap_err().kind, Kind::Refused, "{bad}");
        }
    }

    #[test]
    fn a_url_with_a_secret_is_refused_and_the_secret_not_shown() {
        for (url, shown) in [
            ("http://host:1/?token=SECRET", "'http://host:1/'"),
            ("http://host:1/a#SECRET", "'http://host:1/a'"),
            ("https://user:SECRET@host/a", "'https://host/a'"),
            ("http://SECRET@host?SECRET", "'http://host'"),
            ("ftp://user:SECRET@host/a?SECRET", "'ftp://host/a'"),
            ("user:SECRET@host", "'host'"),
        ] {
            let fault = check(url).unwrap_err();
            assert_eq!(fault.kind, Kind::Refused);
            let said = format!("{fault} {fault:?}");
            assert!(said.contains(shown) && !said.contains("SECRET"), "{said}");
        }
    }
}
