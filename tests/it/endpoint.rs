//! The endpoint over loopback, with bytes written by hand: statuses, headers, bodies, and what it does not take.

use icecore::block::Digest;
use icecore::endpoint::{Config, Running, Shelves, start};
use icecore::fault::Kind;
use icecore::shelf::conformance::{completed, filled};
use icecore::shelf::memory::MemoryShelf;
use std::sync::Arc;
use std::time::Duration;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpStream;

const KEY: &str = "Authorization: AWS4-HMAC-SHA256 Credential=AKTEST/20260101/us-east-1/ebs/aws4_request, \
                   SignedHeaders=host;x-amz-date, \
                   Signature=0000000000000000000000000000000000000000000000000000000000000000\r\n";

/// An endpoint over a shelf in memory that holds one snapshot of two blocks.
async fn endpoint(config: Config) -> (Running, String) {
    let shelf = Arc::new(MemoryShelf::new());
    let id = completed(&*shelf, None, &[(0, 1), (7, 2)]).info.id;
    let running = start(config, Shelves::writable(shelf)).await.unwrap();
    (running, id.to_string())
}

struct Answer {
    status: u16,
    head: String,
    body: Vec<u8>,
}

impl Answer {
    fn text(&self) -> String {
        String::from_utf8_lossy(&self.body).into_owned()
    }

    fn header(&self, name: &str) -> Option<&str> {
        let mut lines = self.head.lines().filter_map(|line| line.split_once(": "));
        lines.find(|(key, _)| key.eq_ignore_ascii_case(name)).map(|(_, value)| value)
    }
}

async fn connect(running: &Running) -> TcpStream {
    TcpStream::connect(running.url().strip_prefix("http://").unwrap()).await.unwrap()
}

/// Reads one answer; the connection may live on.
async fn answer(stream: &mut TcpStream) -> Answer {
    let mut bytes = Vec::new();
    let mut at = None;
    while at.is_none() {
        let n = stream.read_buf(&mut bytes).await.unwrap();
        assert!(n > 0, "closed before an answer: {}", String::from_utf8_lossy(&bytes));
        at = bytes.windows(4).position(|four| four == b"\r\n\r\n");
    }
    let body = bytes.split_off(at.unwrap() + 4);
    let head = String::from_utf8(bytes).unwrap();
    let status = head.split(' ').nth(1).unwrap().parse().unwrap();
    let mut answer = Answer { status, head, body };
    let length: usize = answer.header("content-length").unwrap_or("0").parse().unwrap();
    while answer.body.len() < length {
        assert!(stream.read_buf(&mut answer.body).await.unwrap() > 0, "closed within a body");
    }
    answer
}

async fn ask(stream: &mut TcpStream, request: &[u8]) -> Answer {
    stream.write_all(request).await.unwrap();
    answer(stream).await
}

async fn get(running: &Running, path: &str, headers: &str) -> Answer {
    let request = format!("GET {path} HTTP/1.1\r\nHost: localhost\r\n{headers}\r\n");
    ask(&mut connect(running).await, request.as_bytes()).await
}

#[tokio::test]
async fn a_block_is_listed_and_read_over_one_connection() {
    let (running, id) = endpoint(Config::default()).await;
    let mut stream = connect(&running).await;
    let request = format!("GET /snapshots/{id}/blocks HTTP/1.1\r\nHost: localhost\r\n{KEY}\r\n");
    let listed = ask(&mut stream, request.as_bytes()).await;
    assert_eq!((listed.status, listed.header("content-type")), (200, Some("application/json")));
    assert!(listed.header("x-amzn-requestid").is_some());
    let token =
        listed.text().split("\"BlockToken\":\"").nth(2).unwrap().split('"').next().unwrap().to_owned();

    let request =
        format!("GET /snapshots/{id}/blocks/7?blockToken={token} HTTP/1.1\r\nHost: localhost\r\n{KEY}\r\n");
    let block = ask(&mut stream, request.as_bytes()).await;
    assert_eq!((block.status, block.body.len()), (200, 524_288));
    assert_eq!(Digest::of(&block.body), filled(2).digest);
    assert_eq!(block.header("x-amz-checksum"), Some(filled(2).digest.to_base64().as_str()));
    assert_eq!(block.header("x-amz-data-length"), Some("524288"));
    assert_eq!(block.header("x-amz-checksum-algorithm"), Some("SHA256"));
    assert_eq!((running.counts().of("GetSnapshotBlock"), running.counts().total()), (1, 2));
    running.stop().await;
}

#[tokio::test]
async fn only_loopback_is_bound_and_a_taken_port_is_told() {
    let shelves = || Shelves::writable(Arc::new(MemoryShelf::new()));
    let elsewhere = Config { listen: "0.0.0.0:0".parse().unwrap(), ..Config::default() };
    let fault = start(elsewhere, shelves()).await.unwrap_err();
    assert_eq!(fault.kind, Kind::Unsuitable);
    assert!(fault.to_string().starts_with("0.0.0.0:0: is not a loopback address"), "{fault}");

    let (running, _) = endpoint(Config::default()).await;
    let taken = running.url().strip_prefix("http://").unwrap().parse().unwrap();
    let fault = start(Config { listen: taken, ..Config::default() }, shelves()).await.unwrap_err();
    assert_eq!(fault.kind, Kind::Unsuitable);
    assert_eq!(fault.advice(), Some("take another port, or port 0 for any"));
}

#[tokio::test]
async fn nobody_is_let_in_without_authorization_or_with_another_key() {
    let only = Config { access_key: Some("AKOTHER".into()), ..Config::default() };
    let (running, id) = endpoint(only).await;
    let path = format!("/snapshots/{id}/blocks");
    let refused = get(&running, &path, "").await;
    assert_eq!(refused.status, 403);
    assert!(refused.header("x-amzn-errortype").unwrap().starts_with("MissingAuthenticationTokenException:"));
    assert_eq!(refused.text(), r#"{"message":"Missing Authentication Token"}"#);
    let refused = get(&running, &path, KEY).await;
    assert_eq!(refused.status, 403);
    assert!(refused.header("x-amzn-errortype").unwrap().starts_with("UnrecognizedClientException:"));
    assert_eq!(get(&running, &path, &KEY.replace("AKTEST", "AKOTHER")).await.status, 200);
    assert_eq!(get(&running, "/", "").await.status, 403);
    assert_eq!(running.counts().total(), 1, "who is not let in is not counted");
}

#[tokio::test]
async fn malformed_requests_get_a_4xx_and_the_server_lives() {
    let (running, id) = endpoint(Config::default()).await;
    let huge = format!("GET / HTTP/1.1\r\nHost: localhost\r\nX: {}\r\n\r\n", "a".repeat(300_000));
    let many = format!("GET / HTTP/1.1\r\nHost: localhost\r\n{}\r\n", "X: y\r\n".repeat(100));
    for (request, status) in [
        ("GARBAGE\r\n\r\n".to_owned(), 400),
        ("GET / HTTP/1.1\r\nBad Header: x\r\n\r\n".to_owned(), 400),
        (huge, 431),
        (many, 431),
        (format!("GET /nothing/here HTTP/1.1\r\nHost: localhost\r\n{KEY}\r\n"), 404),
        (format!("DELETE /snapshots/{id} HTTP/1.1\r\nHost: localhost\r\n{KEY}\r\n"), 404),
        (format!("GET /snapshots/{id}/blocks?maxResults=x HTTP/1.1\r\nHost: localhost\r\n{KEY}\r\n"), 400),
        (format!("GET /snapshots/%ff%00/blocks HTTP/1.1\r\nHost: localhost\r\n{KEY}\r\n"), 400),
        (format!("POST /snapshots HTTP/1.1\r\nHost: localhost\r\n{KEY}Content-Length: 2\r\n\r\n{{]"), 400),
        (format!("POST /snapshots HTTP/1.1\r\nHost: localhost\r\n{KEY}Content-Length: 9000000\r\n\r\n"), 413),
        (
            format!(
                "PUT /snapshots/{id}/blocks/0 HTTP/1.1\r\nHost: localhost\r\nAuthorization: Basic eA==\r\n\r\n"
            ),
            403,
        ),
    ] {
        let mut stream = connect(&running).await;
        let refused = ask(&mut stream, request.as_bytes()).await;
        assert_eq!(refused.status, status, "{:.60}", request);
    }
    assert_eq!(get(&running, &format!("/snapshots/{id}/blocks"), KEY).await.status, 200, "it lives");
}

#[tokio::test]
async fn a_400_hangs_up_and_a_404_does_not() {
    let (running, id) = endpoint(Config::default()).await;
    let request = |path: &str| format!("GET {path} HTTP/1.1\r\nHost: localhost\r\n{KEY}\r\n").into_bytes();
    let mut stream = connect(&running).await;
    assert_eq!(ask(&mut stream, &request("/snapshots/snap-0fff/blocks")).await.status, 404);
    let refused = ask(&mut stream, &request(&format!("/snapshots/{id}/blocks?maxResults=1"))).await;
    assert_eq!((refused.status, refused.header("connection")), (400, Some("close")));
    assert_eq!(stream.read(&mut [0]).await.unwrap(), 0, "closed");
}

#[tokio::test]
async fn requests_under_way_are_answered_when_the_endpoint_stops() {
    let (running, id) = endpoint(Config::default()).await;
    let mut stream = connect(&running).await;
    let head = format!(
        "PUT /snapshots/{id}/blocks/0 HTTP/1.1\r\nHost: localhost\r\n{KEY}Expect: 100-continue\r\nContent-Length: 4\r\n\r\n"
    );
    // The interim answer says that the request is being served.
    assert_eq!(ask(&mut stream, head.as_bytes()).await.status, 100);
    let (answered, ()) = tokio::join!(ask(&mut stream, b"late"), running.stop());
    assert_eq!(answered.status, 400, "a block of four bytes");
}

#[tokio::test]
async fn an_unbounded_body_is_cut_off() {
    let (running, id) = endpoint(Config::default()).await;
    let mut stream = connect(&running).await;
    let head = format!(
        "PUT /snapshots/{id}/blocks/0 HTTP/1.1\r\nHost: localhost\r\n{KEY}Transfer-Encoding: chunked\r\n\r\n"
    );
    stream.write_all(head.as_bytes()).await.unwrap();
    let chunk = [b"80000\r\n".as_slice(), &vec![0; 0x80000], b"\r\n"].concat();
    stream.write_all(&chunk).await.unwrap();
    // The second chunk passes the limit; the answer comes without the last one ever being sent.
    stream.write_all(&chunk[..100_000]).await.unwrap();
    assert_eq!(answer(&mut stream).await.status, 413);
}

#[tokio::test]
async fn idle_connections_are_closed() {
    let (running, id) = endpoint(Config { idle: Duration::from_millis(50), ..Config::default() }).await;
    let mut silent = connect(&running).await;
    let mut used = connect(&running).await;
    let request = format!("GET /snapshots/{id}/blocks HTTP/1.1\r\nHost: localhost\r\n{KEY}\r\n");
    assert_eq!(ask(&mut used, request.as_bytes()).await.status, 200);
    for stream in [&mut silent, &mut used] {
        let mut rest = Vec::new();
        // Closed, with or without a last word: what counts is that this returns.
        let _ = stream.read_to_end(&mut rest).await;
        assert!(!String::from_utf8_lossy(&rest).contains(" 200 "));
    }
}

#[tokio::test]
async fn stopping_ends_idle_connections_and_frees_the_port() {
    let (running, _) = endpoint(Config::default()).await;
    let mut idle = connect(&running).await;
    let address = running.url().strip_prefix("http://").unwrap().to_owned();
    running.stop().await;
    let mut rest = Vec::new();
    let _ = idle.read_to_end(&mut rest).await;
    assert!(TcpStream::connect(&address).await.is_err(), "nobody listens any more");
}

#[tokio::test]
async fn unknown_actions_are_answered_in_xml() {
    let (running, _) = endpoint(Config::default()).await;
    for (service, action, code) in [
        (
            "ec2",
            "Action=RunInstances&Version=2016-11-15",
            "<Response><Errors><Error><Code>InvalidAction</Code>",
        ),
        ("sts", "Action=AssumeRole&Version=2011-06-15", "<Code>InvalidAction</Code>"),
        ("ec2", "Version=2016-11-15", "<Code>MissingAction</Code>"),
    ] {
        let key = KEY.replace("/ebs/", &format!("/{service}/"));
        let request = format!(
            "POST / HTTP/1.1\r\nHost: localhost\r\n{key}Content-Type: application/x-www-form-urlencoded; charset=utf-8\r\n\
             Content-Length: {}\r\n\r\n{action}",
            action.len()
        );
        let refused = ask(&mut connect(&running).await, request.as_bytes()).await;
        assert_eq!((refused.status, refused.header("content-type")), (400, Some("text/xml;charset=UTF-8")));
        assert!(refused.text().contains(code), "{}", refused.text());
    }
}

#[tokio::test]
async fn a_request_that_a_web_page_may_have_sent_is_refused_before_anything_is_done() {
    let (running, id) = endpoint(Config::default()).await;
    for headers in [
        "Host: evil.example",
        "Host: localhost\r\nOrigin: null",
        "Host: localhost\r\nSec-Fetch-Site: cross-site",
    ] {
        let request = format!("GET /snapshots/{id}/blocks HTTP/1.1\r\n{headers}\r\n{KEY}\r\n");
        let refused = ask(&mut connect(&running).await, request.as_bytes()).await;
        assert_eq!(refused.status, 403, "{headers}");
        assert!(
            refused.text().contains("web page") || refused.text().contains("loopback name"),
            "{}",
            refused.text()
        );
    }
    let form = "POST / HTTP/1.1\r\nHost: evil.example\r\nContent-Length: 0\r\n\r\n";
    assert_eq!(ask(&mut connect(&running).await, form.as_bytes()).await.status, 403);
    assert!(running.counts().iter().all(|(_, asked)| asked == 0), "nothing was looked at");
}

#[tokio::test]
async fn a_length_given_in_two_ways_is_a_bad_request_in_either_order() {
    let (running, id) = endpoint(Config::default()).await;
    let [length, chunked] = ["Content-Length: 5\r\n", "Transfer-Encoding: chunked\r\n"];
    for headers in [format!("{length}{chunked}"), format!("{chunked}{length}")] {
        let request = format!(
            "PUT /snapshots/{id}/blocks/1 HTTP/1.1\r\nHost: localhost\r\n{headers}{KEY}\r\n0\r\n\r\n"
        );
        let refused = ask(&mut connect(&running).await, request.as_bytes()).await;
        assert_eq!(refused.status, 400, "{headers}: {}", refused.text());
        assert!(refused.text().contains("exclude each other"), "{headers}: {}", refused.text());
    }
}

#[tokio::test]
async fn idle_clients_keep_nobody_out_and_a_busy_one_is_not_cut_off() {
    let latency = Duration::from_millis(300);
    let (running, id) = endpoint(Config { latency, ..Config::default() }).await;
    let request = format!("GET /snapshots/{id}/blocks HTTP/1.1\r\nHost: localhost\r\n{KEY}\r\n");
    let mut busy = connect(&running).await;
    busy.write_all(request.as_bytes()).await.unwrap();
    let mut idle = Vec::new();
    for _ in 0..600 {
        idle.push(connect(&running).await);
    }
    assert_eq!(answer(&mut busy).await.status, 200);
    let mut late = connect(&running).await;
    assert_eq!(ask(&mut late, request.as_bytes()).await.status, 200);
    // The oldest has given way.
    assert_eq!(idle[0].read(&mut [0; 1]).await.unwrap_or(0), 0);
}
