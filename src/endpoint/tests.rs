//! The whole service without its socket, over a shelf in memory and a clock that is moved by hand.

mod bin;
mod copies;
mod describe;
mod keys;
mod lists;
mod random;
mod regions;
mod starts;
mod switches;
mod templates;
mod tokens;
mod volumes;
mod wire;
mod writes;

use super::service::Service;
use super::*;
use crate::block::{BlockIndex, Digest};
use crate::monitor::ManualClock;
use crate::shelf::memory::{MemoryShelf, MemoryVault};
use crate::shelf::{Content, Shelf, ShelfWriter, VaultWriter};
use crate::snapshot::UnixMillis;
use bytes::Bytes;
use http::{HeaderMap, Request};
use serde_json::{Value, json};

/// 2026-09-22 09:08:24.246 UTC, so that times look like those recorded.
const NOW: UnixMillis = UnixMillis(1_790_068_104_246);

/// Where requests are sent to unless they go elsewhere.
const HOME: &str = "us-east-1";

struct Bench {
    shelf: Arc<MemoryShelf>,
    vault: Arc<MemoryVault>,
    clock: Arc<ManualClock>,
    service: Service,
    /// Where requests are sent to.
    region: std::sync::Mutex<&'static str>,
}

#[derive(Debug)]
struct Answer {
    status: u16,
    headers: HeaderMap,
    body: Bytes,
}

impl Answer {
    fn json(&self) -> Value {
        serde_json::from_slice(&self.body).unwrap()
    }

    fn text(&self) -> String {
        String::from_utf8(self.body.to_vec()).unwrap()
    }

    fn header(&self, name: &str) -> &str {
        self.headers.get(name).map_or("", |value| value.to_str().unwrap())
    }

    /// Status, exception and reason, as one word each.
    fn refusal(&self) -> (u16, String, String) {
        let kind = self.header("x-amzn-errortype").split(':').next().unwrap().to_owned();
        (self.status, kind, self.json()["Reason"].as_str().unwrap_or("-").to_owned())
    }

    #[track_caller]
    fn refused(&self, status: u16, kind: &str, reason: &str) {
        assert_eq!(self.refusal(), (status, kind.to_owned(), reason.to_owned()), "{}", self.text());
    }
}

impl Bench {
    fn new() -> Self {
        Self::with(Settings::default())
    }

    fn with(account: Settings) -> Self {
        Self::over(Arc::new(MemoryShelf::new()), Arc::new(ManualClock::at(NOW)), account)
    }

    fn over(shelf: Arc<MemoryShelf>, clock: Arc<ManualClock>, account: Settings) -> Self {
        Self::configured(shelf, clock, Config { account, ..Config::default() })
    }

    /// With switches; the clock is the bench's.
    fn switched(config: Config) -> Self {
        Self::configured(Arc::new(MemoryShelf::new()), Arc::new(ManualClock::at(NOW)), config)
    }

    fn configured(shelf: Arc<MemoryShelf>, clock: Arc<ManualClock>, config: Config) -> Self {
        let config = Config { clock: Arc::clone(&clock) as Arc<dyn Clock>, ..config };
        let vault = Arc::new(MemoryVault::default());
        let shelves = Shelves::writable(Arc::clone(&shelf) as Arc<dyn ShelfWriter>);
        let service = Service::new(config, shelves.keeping(Arc::clone(&vault) as Arc<dyn VaultWriter>));
        Self { shelf, vault, clock, service, region: HOME.into() }
    }

    /// Another process over the same shelf.
    fn restarted(&self) -> Self {
        Self::over(Arc::clone(&self.shelf), Arc::clone(&self.clock), Settings::default())
    }

    /// Sends what follows to another Region.
    fn go_to(&self, region: &'static str) {
        *self.region.lock().unwrap() = region;
    }

    fn advance(&self, seconds: u64) {
        self.clock.advance(Duration::from_secs(seconds));
    }

    fn send(&self, service: &str, request: http::request::Builder, body: impl Into<Bytes>) -> Answer {
        let authorization = format!(
            "AWS4-HMAC-SHA256 Credential=AKTEST/20260101/{}/{service}/aws4_request, \
             SignedHeaders=host;x-amz-date, Signature={:064}",
            self.region.lock().unwrap(),
            0
        );
        let request = request.header("authorization", authorization).body(()).unwrap();
        let answered = self.service.answer(&request.into_parts().0, Ok(body.into()));
        let (head, body) = answered.response.into_parts();
        Answer { status: head.status.as_u16(), headers: head.headers, body }
    }

    fn get(&self, target: &str) -> Answer {
        self.send("ebs", Request::get(target), "")
    }

    fn ec2(&self, form: &str) -> Answer {
        let kind = "application/x-www-form-urlencoded; charset=utf-8";
        self.send("ec2", Request::post("/").header("content-type", kind), form.to_owned())
    }

    fn start(&self, asked: &Value) -> Answer {
        self.send("ebs", Request::post("/snapshots"), asked.to_string())
    }

    /// Starts a snapshot of 1 GiB.
    fn started(&self, parent: Option<&str>) -> String {
        let started = self.start(&json!({"VolumeSize": 1, "ParentSnapshotId": parent}));
        assert_eq!(started.status, 201, "{}", started.text());
        started.json()["SnapshotId"].as_str().unwrap().to_owned()
    }

    fn put(&self, id: &str, index: u32, bytes: &Bytes) -> Answer {
        let request = Request::put(format!("/snapshots/{id}/blocks/{index}"))
            .header("x-amz-data-length", "524288")
            .header("x-amz-checksum-algorithm", "SHA256")
            .header("x-amz-checksum", Digest::of(bytes).to_base64());
        self.send("ebs", request, bytes.clone())
    }

    fn complete(&self, id: &str, count: u32, headers: &[(&str, &str)]) -> Answer {
        let request = Request::post(format!("/snapshots/completion/{id}"))
            .header("x-amz-changedblockscount", count.to_string());
        let request = headers.iter().fold(request, |request, (name, value)| request.header(*name, *value));
        self.send("ebs", request, "")
    }

    /// Starts, writes and completes; returns when it shows. Writes past the wire, which would hash every block.
    fn completed(&self, parent: Option<&str>, blocks: impl IntoIterator<Item = u32>) -> String {
        let id = self.started(parent);
        let content =
            Content { bytes: Bytes::from_static(b"stands for a block"), digest: Digest::ZERO_BLOCK };
        let mut count = 0;
        for index in blocks {
            self.shelf.put(&id.parse().unwrap(), BlockIndex::new(index), &content).unwrap();
            count += 1;
        }
        assert_eq!(self.complete(&id, count, &[]).status, 202);
        self.advance(1);
        id
    }

    /// State and message, as seen now.
    fn state(&self, id: &str) -> (String, Option<String>) {
        let seen = self.ec2(&format!("Action=DescribeSnapshots&SnapshotId.1={id}"));
        (of(&seen, "status").unwrap(), of(&seen, "statusMessage"))
    }

    /// Every page of a listing.
    fn pages(&self, target: &str) -> Vec<Value> {
        let mut pages: Vec<Value> = Vec::new();
        loop {
            let token = pages.last().map(|page| page["NextToken"].clone());
            let target = match token {
                None => target.to_owned(),
                Some(Value::Null) => return pages,
                Some(token) => format!("{target}&pageToken={}", token.as_str().unwrap()),
            };
            let page = self.get(&target);
            assert_eq!(page.status, 200, "{}", page.text());
            pages.push(page.json());
        }
    }
}

/// Status and code of EC2's answer; no code where it is none.
fn code(answer: &Answer) -> (u16, String) {
    let code = of(answer, "Code").unwrap_or_else(|| "-".to_owned());
    (answer.status, code)
}

/// The text of the first element of this name.
fn of(answer: &Answer, name: &str) -> Option<String> {
    let text = answer.text();
    let (_, rest) = text.split_once(&format!("<{name}>"))?;
    Some(rest.split_once('<')?.0.to_owned())
}

/// The indexes of a page of either listing.
fn indexes(page: &Value) -> Vec<u64> {
    let results = page.get("Blocks").or_else(|| page.get("ChangedBlocks")).unwrap().as_array().unwrap();
    results.iter().map(|result| result["BlockIndex"].as_u64().unwrap()).collect()
}

/// Results of each page.
fn shape(pages: &[Value]) -> Vec<usize> {
    pages.iter().map(|page| indexes(page).len()).collect()
}
