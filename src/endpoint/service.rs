//! One request, from its bytes to its answer.

use crate::account::Account;
use crate::aws;
use crate::block::Digest;
use crate::endpoint::act::{self, World};
use crate::endpoint::auth::{self, Side};
use crate::endpoint::body::Course;
use crate::endpoint::counts::{Counter, Counts};
use crate::endpoint::fault::Faults;
use crate::endpoint::quota::Meter;
use crate::endpoint::token::Seal;
use crate::endpoint::wire::{self, Call, Dialect, Refusal, Reply};
use crate::endpoint::{Config, Quotas, Settings, Shelves};
use crate::monitor::Clock;
use bytes::Bytes;
use http::header::{AUTHORIZATION, CONTENT_TYPE};
use http::request::Parts;
use http::{HeaderName, HeaderValue, Response, StatusCode};
use std::fmt;
use std::sync::Arc;

/// Names the store in every answer, so that what a client keeps of it is not taken for another's.
const STORE: HeaderName = HeaderName::from_static(aws::STORE);
const REQUEST_ID: HeaderName = HeaderName::from_static("x-amzn-requestid");

/// What answers requests, whatever brought them.
pub(super) struct Service {
    world: World,
    store: HeaderValue,
    clock: Arc<dyn Clock>,
    access_key: Option<String>,
    counter: Counter,
    meter: Meter,
    faults: Faults,
}

/// An answer, and how it is to be sent.
#[derive(Debug)]
pub(super) struct Answered {
    pub(super) response: Response<Bytes>,
    pub(super) course: Course,
}

impl Service {
    pub(super) fn new(config: Config, shelves: Shelves) -> Self {
        let limits_storage = config.account.limits_storage || config.quotas != Quotas::None;
        let settings = Settings { limits_storage, ..config.account };
        let account = Account::new(settings, shelves, config.clock.now());
        let secret = account.shelf().secret();
        let (seal, store) = (Seal::new(&secret), store_name(&secret));
        let (ready_after, pending_limit) = (config.ready_after, config.quotas.pending());
        Self {
            world: World { account, seal, ready_after, pending_limit },
            store,
            clock: config.clock,
            access_key: config.access_key,
            counter: Counter::default(),
            meter: Meter::new(config.quotas),
            faults: Faults::new(config.faults),
        }
    }

    pub(super) fn account(&self) -> &Account {
        &self.world.account
    }

    pub(super) fn counts(&self) -> Counts {
        self.counter.counts()
    }

    /// Answers. Blocks on the shelf's I/O.
    pub(super) fn answer(&self, head: &Parts, body: Result<Bytes, Refusal>) -> Answered {
        let request_id = request_id();
        let dialect = dialect(head);
        let mut course = Course::Whole;
        let reply = self.act(head, body, dialect, &request_id, &mut course);
        let reply = reply.unwrap_or_else(|refusal| refusal.print(dialect, &request_id));
        let mut response = write(reply, &request_id);
        response.headers_mut().insert(STORE, self.store.clone());
        Answered { response, course }
    }

    /// The order in which a request is looked at. What limits or disturbs requests comes after it is known who
    /// asks for what, and before anything is done; a fault may have a second word after that.
    fn act(
        &self,
        head: &Parts,
        body: Result<Bytes, Refusal>,
        dialect: Dialect,
        request_id: &str,
        course: &mut Course,
    ) -> Result<Reply, Refusal> {
        let authorization = head.headers.get(AUTHORIZATION).map(HeaderValue::as_bytes);
        let side = if dialect == Dialect::Ebs { Side::Ebs } else { Side::Query };
        let caller = auth::admit(side, authorization, self.access_key.as_deref())?;
        let call = call(head, body?, &caller.region, request_id);
        let (action, call) = match dialect {
            Dialect::Ebs => act::ebs(&head.method, head.uri.path(), call)?,
            Dialect::Ec2 => act::query(act::EC2, call, "The action {} is not valid for this web service.")?,
            Dialect::Sts => act::query(act::STS, call, "Could not find operation {} for version 2011-06-15")?,
        };
        tracing::debug!(operation = action.name, region = caller.region, %request_id);
        self.counter.add(action.name);
        let now = self.clock.now();
        self.meter.admit(dialect, action.name, &caller.region, &call, now)?;
        let Some(effect) = self.faults.meet(action.name, &call) else {
            return (action.act)(&self.world, now, &call);
        };
        tracing::debug!(operation = action.name, ?effect, %request_id, "a fault by plan");
        *course = effect.course();
        effect.refuse(dialect, action.name, &call)?;
        if effect.keeps_from_acting() {
            return Ok(Reply::new(StatusCode::OK, wire::ebs::JSON, ""));
        }
        let call = Call { fate: effect.fate(), ..call };
        let reply = (action.act)(&self.world, now, &call)?;
        effect.alter(&self.world, &call, reply)
    }
}

impl fmt::Debug for Service {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Service").field("world", &self.world).finish_non_exhaustive()
    }
}

/// Who is asked: EC2 and STS share the root path, and the credential scope names the service.
fn dialect(head: &Parts) -> Dialect {
    if head.uri.path() != "/" {
        return Dialect::Ebs;
    }
    let authorization = head.headers.get(AUTHORIZATION).and_then(|value| value.to_str().ok());
    let is_sts = authorization.is_some_and(|text| text.contains("/sts/aws4_request"));
    if is_sts { Dialect::Sts } else { Dialect::Ec2 }
}

fn call(head: &Parts, body: Bytes, region: &str, request_id: &str) -> Call {
    let mut query = wire::parameters(head.uri.query().unwrap_or_default());
    let content_type = head.headers.get(CONTENT_TYPE).map(HeaderValue::as_bytes).unwrap_or_default();
    if content_type.starts_with(b"application/x-www-form-urlencoded") {
        query.extend(wire::parameters(&String::from_utf8_lossy(&body)));
    }
    Call {
        path: Vec::new(),
        query,
        headers: head.headers.clone(),
        body,
        region: region.to_owned(),
        fate: None,
        request_id: request_id.to_owned(),
    }
}

fn write(reply: Reply, request_id: &str) -> Response<Bytes> {
    let mut response = Response::new(reply.body);
    *response.status_mut() = reply.status;
    let headers = response.headers_mut();
    headers.extend(reply.headers);
    headers.insert(CONTENT_TYPE, HeaderValue::from_static(reply.content_type));
    if let Ok(id) = HeaderValue::from_str(request_id) {
        headers.insert(REQUEST_ID, id);
    }
    response
}

/// A name for a collection that tells nothing of its secret: a digest of it, cut.
fn store_name(secret: &[u8; 32]) -> HeaderValue {
    let digest = Digest::of(&[b"icecore store ".as_slice(), secret].concat()).to_string();
    HeaderValue::from_str(&digest[..32]).unwrap_or_else(|_| unreachable!("hexadecimal digits"))
}

/// A name for one answer, in the form of a UUID: not a secret, only unlikely to repeat.
fn request_id() -> String {
    let number = fastrand::u128(..);
    let part = |from: u32, digits: usize| {
        let bits = (number >> from) & ((1 << (4 * digits)) - 1);
        format!("{bits:0digits$x}")
    };
    format!("{}-{}-{}-{}-{}", part(96, 8), part(80, 4), part(64, 4), part(48, 4), part(0, 12))
}
