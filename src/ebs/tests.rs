use super::*;
use crate::aws::responder::{Reply, Responder, message, reply};
use crate::block::{BlockIndex, Digest, GiB};
use crate::fault::{Kind, Scope, TokenKind};
use crate::snapshot::{BlockToken, PageToken, SnapshotState, UnixMillis, Written};
use crate::source::conformance::{filled, request};
use crate::source::{Listed, SnapshotWriter};
use aws_credential_types::Credentials;
use aws_credential_types::provider::{ProvideCredentials, SharedCredentialsProvider, future};
use futures_util::future::ready;
use std::sync::atomic::{AtomicU32, Ordering};
use std::time::Duration;

const TAIL: &str = ":http://internal.amazon.com/coral/com.amazon.zeppelindataservice/";

fn id() -> SnapshotId {
    "snap-0abc".parse().unwrap()
}

/// A listing's reply with explicit nulls, as AWS writes it.
fn listing(blocks: &[(i32, &str)], next: &str, volume_size: &str) -> Reply {
    let entry = |(index, token): &(i32, &str)| format!(r#"{{"BlockIndex":{index},"BlockToken":"{token}"}}"#);
    let blocks = blocks.iter().map(entry).collect::<Vec<_>>().join(",");
    let body = format!(
        r#"{{"BlockSize":524288,"Blocks":[{blocks}],"ExpiryTime":1.790922504246E9,"NextToken":{next},"VolumeSize":{volume_size}}}"#
    );
    reply(200, "", body)
}

/// Opens snapshot and first page, then lists on with what the first page said.
async fn second_page(second: Reply) -> Result<crate::source::Page<Listed>, Fault> {
    let server = Responder::serving([listing(&[(3, "t3"), (7, "t7")], r#""more""#, "1"), second]).await;
    let source = Ebs::new(&server.session()).open(&id()).await.unwrap();
    let first = source.list(Cursor::start()).await.unwrap();
    source.list(first.next.unwrap()).await
}

/// What fetching block 4 gives when the service replies so.
async fn fetched(reply: Reply) -> Result<crate::source::Fetched, Fault> {
    // Silence is waited out for real: sockets know nothing of virtual time.
    let stalls = matches!(reply, Reply::Stalls(_));
    let limit = if stalls { Duration::from_millis(800) } else { Duration::from_secs(60) };
    let server = Responder::serving([listing(&[], "null", "1"), reply]).await;
    let source = Ebs::new(&server.session_within(limit)).open(&id()).await.unwrap();
    source.fetch(&Listed { index: BlockIndex::new(4), token: BlockToken::new("t0ken+/=") }).await
}

#[tokio::test]
async fn opening_tells_the_geometry_and_keeps_the_first_page() {
    let server =
        Responder::serving([listing(&[(3, "t3")], "null", "2"), listing(&[(3, "t3")], "null", "2")]).await;
    let source = Ebs::new(&server.session()).open(&id()).await.unwrap();
    assert_eq!(source.geometry().n_blocks(), 4096);
    let page = source.list(Cursor::start()).await.unwrap();
    assert_eq!(page.entries, [Listed { index: BlockIndex::new(3), token: BlockToken::new("t3") }]);
    assert_eq!((page.next, page.volume_size.map(GiB::get)), (None, Some(2)));
    assert_eq!(server.asked().len(), 1, "the first page is not asked for twice");
    source.list(Cursor::start()).await.unwrap();
    assert_eq!(server.asked().len(), 2, "a second walk asks anew: tokens expire");
}

#[tokio::test]
async fn requests_say_who_asks_and_where_to_start() {
    let pages = (0..4).map(|_| listing(&[], "null", "1"));
    let server = Responder::serving(pages).await;
    let source = Ebs::new(&server.session()).open(&id()).await.unwrap();
    source.list(Cursor::at(BlockIndex::new(5))).await.unwrap();
    let token = Some(PageToken::new("a+/="));
    source.list(Cursor { from: BlockIndex::new(9), token }).await.unwrap();
    let asked = server.asked();
    let line = |n: usize| asked[n].lines().next().unwrap().to_owned();
    assert_eq!(line(0), "GET /snapshots/snap-0abc/blocks?maxResults=10000 HTTP/1.1");
    assert_eq!(line(1), "GET /snapshots/snap-0abc/blocks?maxResults=10000&startingBlockIndex=5 HTTP/1.1");
    assert_eq!(line(2), "GET /snapshots/snap-0abc/blocks?pageToken=a%2B%2F%3D&maxResults=10000 HTTP/1.1");
    let agent = asked[0].lines().find(|line| line.to_lowercase().starts_with("user-agent:")).unwrap();
    assert!(agent.contains(concat!("icecore/", env!("CARGO_PKG_VERSION"))), "{agent}");
    assert!(asked[0].contains("Credential=AKIDLOCAL/"), "signed");
}

#[tokio::test]
async fn an_empty_page_with_a_token_is_not_the_end() {
    let page = second_page(listing(&[], r#""still more""#, "null")).await.unwrap();
    let next = page.next.unwrap();
    assert_eq!((next.from.get(), next.token), (8, Some(PageToken::new("still more"))));
}

#[tokio::test]
async fn a_listing_that_is_none_is_corrupt() {
    for (second, told) in [
        (listing(&[(7, "t")], "null", "1"), "goes back to block 7"),
        (listing(&[(9, "t"), (9, "t")], "null", "1"), "goes back to block 9"),
        (listing(&[(2048, "t")], "null", "1"), "beyond the volume"),
        (listing(&[(9, "")], "null", "1"), "no token"),
        (listing(&[(-1, "t")], "null", "1"), "not a block index"),
        (listing(&[(9, "t")], r#""more""#, "1"), "does not advance"),
        (listing(&[(9, "t")], "null", "2"), "size changed"),
        (reply(200, "", "{"), "cannot be read"),
        (reply(200, "", r#"{"Blocks":[{"BlockIndex":"x"}]}"#), "cannot be read"),
        (reply(200, "", r#"{"Blocks":[{"BlockToken":"t"}]}"#), "no block index"),
    ] {
        let fault = second_page(second).await.unwrap_err();
        assert_eq!(fault.kind, Kind::Corrupt, "{fault}");
        assert!(fault.to_string().contains(told), "{fault} / {told}");
    }
}

#[tokio::test]
async fn a_snapshot_without_size_or_of_other_blocks_is_not_opened() {
    for (first, kind) in [
        (listing(&[], "null", "null"), Kind::Corrupt),
        (listing(&[], "null", "0"), Kind::Corrupt),
        (reply(200, "", r#"{"BlockSize":512,"Blocks":[],"VolumeSize":1}"#), Kind::NotReadable),
    ] {
        let server = Responder::serving([first]).await;
        let fault = Ebs::new(&server.session()).open(&id()).await.unwrap_err();
        assert_eq!(fault.kind, kind, "{fault}");
    }
}

#[tokio::test]
async fn changes_have_a_token_for_each_snapshot_that_has_the_block() {
    let body = r#"{"BlockSize":null,"ChangedBlocks":[
        {"BlockIndex":1,"FirstBlockToken":"a","SecondBlockToken":null},
        {"BlockIndex":2,"FirstBlockToken":null,"SecondBlockToken":"b"},
        {"BlockIndex":9000,"FirstBlockToken":"c","SecondBlockToken":"d"}],
        "ExpiryTime":null,"LastEvaluatedBlockIndex":null,"NextToken":null,"VolumeSize":null}"#;
    let none = r#"{"ChangedBlocks":[{"BlockIndex":1,"FirstBlockToken":null,"SecondBlockToken":null}]}"#;
    let server = Responder::serving([reply(200, "", body), reply(200, "", none)]).await;
    let feed = Ebs::new(&server.session()).compare(&id(), &"snap-0def".parse().unwrap());
    let page = feed.changes(Cursor::start()).await.unwrap();
    let shape: Vec<_> =
        page.entries.iter().map(|c| (c.index.get(), c.first.is_some(), c.second.is_some())).collect();
    assert_eq!(shape, [(1, true, false), (2, false, true), (9000, true, true)]);
    assert!(page.next.is_none() && page.volume_size.is_none());
    let line = server.asked()[0].lines().next().unwrap().to_owned();
    assert!(line.starts_with("GET /snapshots/snap-0def/changedblocks?firstSnapshotId=snap-0abc&"), "{line}");
    assert_eq!(feed.changes(Cursor::start()).await.unwrap_err().kind, Kind::Corrupt);
}

fn block_headers() -> String {
    format!(
        "x-amz-Data-Length: 524288\nx-amz-Checksum: {}\nx-amz-Checksum-Algorithm: SHA256",
        Digest::ZERO_BLOCK.to_base64()
    )
}

#[tokio::test]
async fn a_block_comes_whole_and_unchecked() {
    let block = fetched(reply(200, &block_headers(), vec![9; 524_288])).await.unwrap();
    assert_eq!(block.bytes, vec![9; 524_288]);
    assert_eq!(block.claimed, Digest::ZERO_BLOCK, "what it claims, true or not");
}

#[tokio::test]
async fn a_block_without_all_its_headers_is_corrupt() {
    let all = block_headers();
    let without = |name: &str| {
        all.lines().filter(|line| !line.starts_with(&format!("{name}:"))).collect::<Vec<_>>().join("\n")
    };
    for headers in [
        without("x-amz-Data-Length"),
        without("x-amz-Checksum"),
        without("x-amz-Checksum-Algorithm"),
        all.replace("SHA256", "CRC32"),
        all.replace("524288", "524287"),
        all.replace("524288", "many"),
        all.replace("B4VN", "!!!!"),
        String::new(),
    ] {
        let fault = fetched(reply(200, &headers, vec![0; 524_288])).await.unwrap_err();
        assert_eq!(fault.kind, Kind::Corrupt, "{headers}: {fault}");
        assert!(fault.to_string().starts_with("block 4 of snap-0abc: "), "{fault}");
    }
}

#[tokio::test]
async fn a_body_that_is_no_block_is_not_taken() {
    let headers = block_headers();
    let part = |length| message(200, &headers, &[0; 100_000], length);
    for (reply, kind) in [
        (reply(200, &headers, vec![0; 524_289]), Kind::Corrupt),
        (reply(200, &headers, vec![0; 524_287]), Kind::Corrupt),
        (reply(200, &headers, []), Kind::Corrupt),
        (Reply::Whole(part(524_288)), Kind::Unreachable),
        (Reply::Breaks(part(524_288)), Kind::Unreachable),
        (Reply::Stalls(part(524_288)), Kind::Timeout),
        (Reply::Stalls(Vec::new()), Kind::Timeout),
        (Reply::Breaks(Vec::new()), Kind::Unreachable),
        (Reply::Breaks(b"HTTP/1.1 2".to_vec()), Kind::Unreachable),
        (Reply::Whole(b"SSH-2.0-OpenSSH\r\n".to_vec()), Kind::Unreachable),
    ] {
        let fault = fetched(reply).await.unwrap_err();
        assert_eq!(fault.kind, kind, "{fault}");
        assert!(fault.kind.is_retryable(), "{fault}");
    }
}

#[tokio::test]
async fn both_styles_of_error_are_understood() {
    let token = "AlMBsecret";
    let coral = |name: &str| format!("x-amzn-ErrorType: {name}{TAIL}");
    for (reply, kind, told) in [
        (
            reply(
                404,
                &coral("ResourceNotFoundException"),
                r#"{"Message":"The snapshot 'snap-0abc' does not exist.","Reason":"SNAPSHOT_NOT_FOUND"}"#,
            ),
            Kind::NotFound,
            "the snapshot 'snap-0abc' does not exist",
        ),
        (
            reply(
                400,
                &coral("ValidationException"),
                format!(
                    r#"{{"Message":"The block token {token} is invalid.","Reason":"INVALID_BLOCK_TOKEN"}}"#
                ),
            ),
            Kind::InvalidToken(TokenKind::Block),
            "the block token is not valid, or no longer",
        ),
        (
            reply(
                400,
                "x-amzn-ErrorType: ValidationException:http://internal.amazon.com/coral/com.amazon.coral.validate/",
                r#"{"message":"1 validation error detected: Value '99' at 'maxResults' failed"}"#,
            ),
            Kind::Refused,
            "1 validation error detected: Value '99' at 'maxResults' failed",
        ),
        (
            reply(
                400,
                &coral("RequestThrottledException"),
                r#"{"Message":"slow","Reason":"ACCOUNT_THROTTLED"}"#,
            ),
            Kind::Throttled(Scope::Account),
            "slow",
        ),
        (
            reply(400, &coral("RequestThrottledException"), r#"{"Message":"slow","Reason":null}"#),
            Kind::Throttled(Scope::Snapshot),
            "slow",
        ),
        (
            reply(400, "x-amzn-ErrorType: ThrottlingException", ""),
            Kind::Throttled(Scope::Account),
            "ThrottlingException",
        ),
        (
            reply(
                404,
                &coral("ResourceNotFoundException"),
                r#"{"Message":"KMS key not found","Reason":"DEPENDENCY_RESOURCE_NOT_FOUND"}"#,
            ),
            Kind::Denied,
            "KMS key not found",
        ),
        (
            reply(
                403,
                "",
                r#"{"__type":"com.x#AccessDeniedException","Message":"User: arn:aws:x is not authorized"}"#,
            ),
            Kind::Denied,
            "user: arn:aws:x is not authorized",
        ),
        (reply(500, "Content-Type: text/html", "<html>oops</html>"), Kind::Service, "HTTP 500"),
        (reply(502, "Content-Type: text/html", ""), Kind::Service, "HTTP 502"),
        (reply(404, "Content-Type: text/html", "<html>nginx</html>"), Kind::Refused, "HTTP 404"),
    ] {
        let fault = fetched(reply).await.unwrap_err();
        assert_eq!(fault.kind, kind, "{fault}");
        assert!(fault.to_string().contains(told), "{fault} / {told}");
        assert!(!format!("{fault:?}").contains(token), "{fault:?}");
    }
}

#[tokio::test]
async fn a_started_snapshot_is_told_with_its_nulls() {
    let body = r#"{"BlockSize":524288,"Description":"conformance","KmsKeyArn":null,"OwnerId":"123456789012",
        "ParentSnapshotId":null,"Progress":null,"SnapshotId":"snap-0def","SseType":null,
        "StartTime":1.790922504246E9,"Status":"pending","Tags":null,"VolumeSize":1}"#;
    let lost = r#"{"Status":"pending","StartTime":1.0}"#;
    let server = Responder::serving([reply(201, "", body), reply(201, "", lost)]).await;
    let ebs = Ebs::new(&server.session());
    let mut new = request(Some(&id()));
    new.client_token = Some("once".into());
    new.timeout_minutes = Some(70);
    let info = ebs.start(&new).await.unwrap();
    assert_eq!((info.id.as_str(), info.state, info.encrypted), ("snap-0def", SnapshotState::Pending, false));
    assert_eq!(info.start_time, UnixMillis(1_790_922_504_246));
    assert_eq!(info.parent, Some(id()));
    let sent = server.asked().remove(0);
    assert!(sent.starts_with("POST /snapshots HTTP/1.1"), "{sent}");
    for part in [
        r#""VolumeSize":1"#,
        r#""ParentSnapshotId":"snap-0abc""#,
        r#""ClientToken":"once""#,
        r#""Timeout":70"#,
        r#""Tags":[{"Key":"suite","Value":"conformance"}]"#,
    ] {
        assert!(sent.contains(part), "{part} in {sent}");
    }
    assert_eq!(ebs.start(&new).await.unwrap_err().kind, Kind::Corrupt, "a snapshot without a name");
}

#[tokio::test]
async fn a_written_block_carries_its_checksum_and_the_reply_is_compared() {
    let wrong =
        format!("x-amz-Checksum: {}\nx-amz-Checksum-Algorithm: SHA256", Digest::ZERO_BLOCK.to_base64());
    let mismatch =
        r#"{"message":"The value passed in as x-amz-Checksum does not match the computed checksum."}"#;
    let server = Responder::serving([
        reply(201, "", "{}"),
        reply(201, &wrong, "{}"),
        reply(403, "x-amzn-ErrorType: InvalidSignatureException:http://x/", mismatch),
    ])
    .await;
    let ebs = Ebs::new(&server.session());
    let block = filled(7, 1);
    ebs.put(&id(), &block).await.unwrap();
    let sent = server.asked().remove(0).to_lowercase();
    assert!(sent.starts_with("put /snapshots/snap-0abc/blocks/7 http/1.1"), "{sent}");
    for header in [
        "x-amz-data-length: 524288",
        "x-amz-checksum-algorithm: sha256",
        "x-amz-content-sha256: unsigned-payload",
        &format!("x-amz-checksum: {}", block.digest().to_base64().to_lowercase()),
    ] {
        assert!(sent.contains(header), "{header} in {sent}");
    }
    assert_eq!(ebs.put(&id(), &block).await.unwrap_err().kind, Kind::Corrupt);
    assert_eq!(ebs.put(&id(), &block).await.unwrap_err().kind, Kind::Corrupt);
    let part = crate::source::Block::hashed(BlockIndex::ZERO, vec![0; 512].into());
    assert_eq!(ebs.put(&id(), &part).await.unwrap_err().kind, Kind::Refused);
    assert_eq!(server.asked().len(), 3, "half a block is not sent");
}

#[tokio::test]
async fn completion_sends_count_and_linear_checksum() {
    let server = Responder::serving([reply(202, "", r#"{"Status":"pending"}"#), reply(202, "", "{}")]).await;
    let ebs = Ebs::new(&server.session());
    let written = Written { blocks: 3, checksum: Digest::ZERO_BLOCK };
    assert_eq!(ebs.complete(&id(), written).await.unwrap(), SnapshotState::Pending);
    let sent = server.asked().remove(0).to_lowercase();
    for part in [
        "post /snapshots/completion/snap-0abc http/1.1",
        "x-amz-changedblockscount: 3",
        "x-amz-checksum-aggregation-method: linear",
        "x-amz-checksum-algorithm: sha256",
    ] {
        assert!(sent.contains(part), "{part} in {sent}");
    }
    let silent = ebs.complete(&id(), written).await.unwrap_err();
    assert_eq!(silent.kind, Kind::Corrupt, "unknown is not pending");
}

/// Gives out `KEY0`, `KEY1`, .. one per provider, and counts how often it was asked.
#[derive(Debug)]
struct Counting {
    key: String,
    asked: Arc<AtomicU32>,
}

impl ProvideCredentials for Counting {
    fn provide_credentials<'a>(&'a self) -> future::ProvideCredentials<'a>
    where
        Self: 'a,
    {
        self.asked.fetch_add(1, Ordering::SeqCst);
        let keys = Credentials::new(&self.key, "s3cret", None, None, "counting");
        future::ProvideCredentials::ready(Ok(keys))
    }
}

#[tokio::test]
async fn expired_credentials_are_loaded_again_once_for_all() {
    let expired = || {
        let body = r#"{"message":"The security token included in the request is expired"}"#;
        reply(403, "x-amzn-ErrorType: ExpiredTokenException", body)
    };
    let server = Responder::serving([expired(), expired(), listing(&[], "null", "1")]).await;
    let (loads, asked) = (Arc::new(AtomicU32::new(0)), Arc::new(AtomicU32::new(0)));
    let (loaded, ask) = (Arc::clone(&loads), Arc::clone(&asked));
    let load = Box::new(move || {
        let key = format!("KEY{}", loaded.fetch_add(1, Ordering::SeqCst));
        let provider = SharedCredentialsProvider::new(Counting { key, asked: Arc::clone(&ask) });
        ready(Some(provider)).boxed()
    });
    let session = server.session_loading(load).await;
    let ebs = Ebs::new(&session);
    let seen = session.generation();
    for _ in 0..2 {
        assert_eq!(ebs.open(&id()).await.unwrap_err().kind, Kind::ExpiredCredentials);
    }
    assert_eq!(asked.load(Ordering::SeqCst), 1, "one identity is cached for both requests");

    futures_util::future::join_all((0..8).map(|_| session.refresh(seen))).await;
    assert_eq!(loads.load(Ordering::SeqCst), 2, "eight failed together, one reloads");
    assert_ne!(session.generation(), seen);
    ebs.open(&id()).await.unwrap();
    let signed = server.asked();
    assert!(signed[0].contains("Credential=KEY0/") && signed[1].contains("Credential=KEY0/"));
    assert!(signed[2].contains("Credential=KEY1/"), "the same client signs with the new key");
}

#[tokio::test]
async fn nobody_at_the_address_is_unreachable() {
    let free = std::net::TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap();
    let local = crate::aws::Local {
        url: format!("http://{free}"),
        access_key_id: "AKIDLOCAL".into(),
        secret_access_key: "s3cret".into(),
        region: "us-east-1".into(),
    };
    let session = Session::local(local, crate::aws::Deadlines::default()).unwrap();
    assert!(!session.is_aws());
    let fault = Ebs::new(&session).open(&id()).await.unwrap_err();
    assert_eq!(fault.kind, Kind::Unreachable);
    assert_eq!(fault.to_string(), "snap-0abc: the service cannot be reached: connection refused");
}
