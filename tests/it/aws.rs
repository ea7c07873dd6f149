//! What the environment and the profile say reaches AWS's clients.
//!
//! Each case runs one test of this binary again as a child, with an environment of its own and nothing else in it.

use icecore::aws::{Options, Session};
use icecore::ebs::Ebs;
use icecore::source::BlockService;
use std::io::{BufRead, BufReader, Write};
use std::net::{SocketAddr, TcpListener};
use std::process::Command;

/// The child: loads a session, asks it for one snapshot, prints what it learned.
#[tokio::test]
#[expect(clippy::disallowed_methods, reason = "the parent test speaks to its child so")]
async fn child_tells_what_it_loaded() {
    let Ok(mode) = std::env::var("ICECORE_TEST_CHILD") else { return };
    let mut options = Options::default();
    for (name, value) in mode.split_terminator(';').filter_map(|pair| pair.split_once('=')) {
        match name {
            "region" => options.region = Some(value.into()),
            "profile" => options.profile = Some(value.into()),
            "endpoint" => options.endpoint_url = Some(value.into()),
            other => panic!("no option {other}"),
        }
    }
    match Session::load(options).await {
        Err(fault) => println!("\ntold: {:?}: {fault} ({})", fault.kind, fault.advice().unwrap_or("-")),
        Ok(session) => {
            println!("\ntold: region {} aws {}", session.region(), session.is_aws());
            // No name to look up: where AWS itself would be asked, nothing is.
            if !session.is_aws() || std::env::var("ASK_ANYWAY").is_ok() {
                let fault = Ebs::new(&session).open(&"snap-0abc".parse().unwrap()).await.unwrap_err();
                println!("told: {:?}: {fault} ({})", fault.kind, fault.advice().unwrap_or("-"));
            }
        }
    }
}

/// What a child tells with these options and variables. `{dir}` is an empty directory with these two files.
fn told(options: &str, variables: &[(&str, &str)], config: &str) -> String {
    let dir = tempfile::tempdir().unwrap();
    let file = |name: &str| dir.path().join(name).into_os_string();
    std::fs::write(file("config"), config).unwrap();
    let child = Command::new(std::env::current_exe().unwrap())
        .args(["--exact", "aws::child_tells_what_it_loaded", "--nocapture"])
        .env_clear()
        .env("HOME", dir.path())
        .env("AWS_CONFIG_FILE", file("config"))
        .env("AWS_SHARED_CREDENTIALS_FILE", file("credentials"))
        .env("AWS_EC2_METADATA_DISABLED", "true")
        .env("ICECORE_TEST_CHILD", options)
        .envs(variables.iter().copied())
        .output()
        .unwrap();
    assert!(child.status.success(), "{}", String::from_utf8_lossy(&child.stderr));
    let text = String::from_utf8(child.stdout).unwrap();
    text.lines().filter_map(|line| line.strip_prefix("told: ")).collect::<Vec<_>>().join("\n")
}

/// Answers every request with this status, which tells who was asked.
fn answering(status: u16) -> SocketAddr {
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let address = listener.local_addr().unwrap();
    std::thread::spawn(move || {
        for stream in listener.incoming() {
            let mut stream = stream.unwrap();
            let head =
                BufReader::new(&stream).lines().map_while(Result::ok).take_while(|line| !line.is_empty());
            head.for_each(drop);
            let _ = write!(stream, "HTTP/1.1 {status} X\r\nContent-Length: 0\r\nConnection: close\r\n\r\n");
        }
    });
    address
}

const KEYS: [(&str, &str); 2] = [("AWS_ACCESS_KEY_ID", "AKID"), ("AWS_SECRET_ACCESS_KEY", "s3cret")];

#[test]
fn an_endpoint_for_ebs_wins_over_one_for_all_and_the_command_line_over_both() {
    let (all, ebs) = (format!("http://{}", answering(411)), format!("http://{}", answering(412)));
    let region = ("AWS_REGION", "eu-west-1");
    let for_all = [KEYS[0], KEYS[1], region, ("AWS_ENDPOINT_URL", &all)];
    let for_ebs = [KEYS[0], KEYS[1], region, ("AWS_ENDPOINT_URL", &all), ("AWS_ENDPOINT_URL_EBS", &ebs)];
    let of_profile = format!(
        "[profile lab]\nservices = s\nregion = eu-west-1\n[services s]\nebs =\n  endpoint_url = {ebs}\n"
    );
    for (options, variables, config, status) in [
        (String::new(), &for_all[..], "", 411),
        (String::new(), &for_ebs[..], "", 412),
        (format!("endpoint={all}"), &for_ebs[..], "", 411),
        ("profile=lab".into(), &KEYS[..], of_profile.as_str(), 412),
    ] {
        let told = told(&options, variables, config);
        assert!(told.starts_with("region eu-west-1 aws false\n"), "{told}");
        assert!(told.contains(&format!("snap-0abc: the service answered HTTP {status} ")), "{told}");
    }
}

#[test]
fn without_an_endpoint_it_is_aws_in_the_region_told() {
    let config = "[default]\nregion = eu-north-1\n[profile lab]\nregion = eu-south-1\n";
    for (options, variables, region) in [
        ("", &[][..], "eu-north-1"),
        ("profile=lab", &[][..], "eu-south-1"),
        ("", &[("AWS_PROFILE", "lab")][..], "eu-south-1"),
        ("", &[("AWS_REGION", "eu-west-3")][..], "eu-west-3"),
        ("region=eu-west-2", &[("AWS_REGION", "eu-west-3")][..], "eu-west-2"),
    ] {
        assert_eq!(told(options, variables, config), format!("region {region} aws true"));
    }
}

#[test]
fn what_is_missing_is_named_with_what_to_do() {
    let region = told("", &KEYS, "");
    assert!(region.starts_with("Refused: AWS: no Region is configured (give --region"), "{region}");
    let keys = told("region=eu-west-1", &[("ASK_ANYWAY", "1")], "");
    assert!(
        keys.contains("\nNoCredentials: snap-0abc: no credentials were found (set AWS_PROFILE"),
        "{keys}"
    );
    let url = told("endpoint=localhost:1", &KEYS, "");
    assert!(url.starts_with("Refused: AWS: 'localhost:1' is not an endpoint URL"), "{url}");
    let from_environment =
        told("", &[KEYS[0], KEYS[1], ("AWS_REGION", "x"), ("AWS_ENDPOINT_URL_EBS", "nowhere")], "");
    assert!(from_environment.starts_with("Refused: AWS: 'nowhere' is not"), "{from_environment}");
}
