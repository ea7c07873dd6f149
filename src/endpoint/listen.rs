//! The socket: who may connect, how many, for how long, and how it all ends.

use crate::endpoint::body::{Course, Sent};
use crate::endpoint::connection::{Connection, Registry};
use crate::endpoint::service::{Answered, Service};
use crate::endpoint::stall::Impatient;
use crate::endpoint::web_page;
use crate::endpoint::wire::Refusal;
use crate::endpoint::{Config, Counts, Shelves};
use crate::estate::Held;
use crate::fault::{Fault, Kind, Place};
use bytes::{Bytes, BytesMut};
use http::{Request, Response, StatusCode};
use http_body_util::BodyExt;
use hyper::body::{Body, Incoming};
use hyper::server::conn::http1;
use hyper::service::service_fn;
use hyper_util::rt::{TokioIo, TokioTimer};
use std::error::Error;
use std::fmt;
use std::net::SocketAddr;
use std::sync::Arc;
use std::time::Duration;
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::watch;
use tokio::task::{JoinHandle, JoinSet};
use tokio::time::Instant;

/// Bytes of a request's body: a block, and room for the forms of EC2 and the JSON of a start.
const BODY_LIMIT: usize = 524_288 + 16_384;
/// Bytes of a request's headers, tokens in its query included. hyper answers more with 431.
const HEAD_LIMIT: usize = 64 * 1024;
/// Headers of a request: SDKs send about twenty.
const HEADERS_LIMIT: usize = 64;
/// Connections at a time. For one more, the one that has been idle longest is closed; where none is idle, it waits.
/// Every one may hold a body, which makes 300 MiB at worst.
const CONNECTIONS: usize = 512;
/// How long requests may take to end once the endpoint is told to stop.
const STOP_WAIT: Duration = Duration::from_millis(1200);

/// An endpoint that listens. Dropped, it stops at once.
#[derive(Debug)]
pub struct Running {
    address: SocketAddr,
    service: Arc<Service>,
    stop: watch::Sender<bool>,
    accepting: JoinHandle<()>,
}

/// Binds, and serves until it is stopped or dropped. Needs a tokio runtime with I/O and time.
///
/// # Errors
/// `Unsuitable` when the address is not loopback or taken.
pub async fn start(config: Config, shelves: Shelves) -> Result<Running, Fault> {
    let (listener, address) = bind(config.listen).await?;
    let (idle, latency) = (config.idle, config.latency);
    let service = Arc::new(Service::new(config, shelves));
    let (stop, stopped) = watch::channel(false);
    let desk = Desk { service: Arc::clone(&service), idle, latency, stopped };
    let accepting = tokio::spawn(accept(listener, desk));
    Ok(Running { address, service, stop, accepting })
}

impl Running {
    /// Where it listens: `http://127.0.0.1:5931`.
    pub fn url(&self) -> String {
        format!("http://{}", self.address)
    }

    /// How often each operation was asked for until now.
    pub fn counts(&self) -> Counts {
        self.service.counts()
    }

    /// Looks at what the account holds beside its snapshots in a Region, and changes it, as somebody else in the
    /// account would. Blocks on the vault's I/O.
    ///
    /// # Errors
    /// `Denied` where the collection is only looked at.
    pub fn edit<T>(&self, region: &str, act: impl FnOnce(&mut Held) -> T) -> Result<T, Fault> {
        self.service.account().edit(region, |holdings| Ok(act(&mut holdings.held)))
    }

    /// Stops: no new connections, requests under way end, idle connections are closed; what has not ended after
    /// a good second is cut off.
    pub async fn stop(mut self) {
        // Nobody listens any more only if the accepting task is gone, which is what is wanted.
        let _ = self.stop.send(true);
        let _ = tokio::time::timeout(STOP_WAIT, &mut self.accepting).await;
    }
}

impl Drop for Running {
    fn drop(&mut self) {
        // The connections are in a set that the task owns: they go with it.
        self.accepting.abort();
    }
}

async fn bind(address: SocketAddr) -> Result<(TcpListener, SocketAddr), Fault> {
    let fault = |what: String| Fault::new(Kind::Unsuitable, Place::Address(address.to_string()), what);
    if !address.ip().is_loopback() {
        let why = "is not a loopback address, and an endpoint verifies no signatures";
        return Err(fault(why.into()).hint("listen on 127.0.0.1 or [::1]"));
    }
    let bound = async {
        let listener = TcpListener::bind(address).await?;
        let address = listener.local_addr()?;
        Ok::<_, std::io::Error>((listener, address))
    };
    bound.await.map_err(|error| match error.kind() {
        std::io::ErrorKind::AddrInUse => {
            fault("is in use by another program".into()).hint("take another port, or port 0 for any")
        }
        _ => fault(format!("cannot listen there: {error}")).because(error),
    })
}

/// What every connection works with.
#[derive(Clone)]
struct Desk {
    service: Arc<Service>,
    idle: Duration,
    latency: Duration,
    stopped: watch::Receiver<bool>,
}

/// No answer is given: the connection ends as if cut.
#[derive(Debug)]
struct Cut;

impl fmt::Display for Cut {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("the connection is cut by plan")
    }
}

impl Error for Cut {}

async fn accept(listener: TcpListener, desk: Desk) {
    let mut stopped = desk.stopped.clone();
    let registry = Arc::new(Registry::default());
    let mut connections = JoinSet::new();
    loop {
        let accepted = tokio::select! {
            accepted = listener.accept() => accepted,
            () = told(&mut stopped) => break,
        };
        while connections.try_join_next().is_some() {}
        let stream = match accepted {
            Ok((stream, _)) => stream,
            Err(error) => {
                // Out of file descriptors, most likely: an idle connection holds one, or one closes a moment later.
                tracing::warn!(%error, "cannot accept a connection");
                registry.close_oldest_idle();
                tokio::time::sleep(Duration::from_millis(20)).await;
                continue;
            }
        };
        while connections.len() >= CONNECTIONS {
            registry.close_oldest_idle();
            tokio::select! {
                _ = connections.join_next() => {}
                () = registry.idle() => {}
                () = told(&mut stopped) => break,
            }
        }
        connections.spawn(serve(stream, desk.clone(), registry.add()));
    }
    drop(listener);
    while connections.join_next().await.is_some() {}
}

async fn serve(stream: TcpStream, desk: Desk, connection_state: Arc<Connection>) {
    let (idle, mut stopped) = (desk.idle, desk.stopped.clone());
    // A reply's head and body are written together; the last part of a body must not wait for an ACK.
    if let Err(error) = stream.set_nodelay(true) {
        tracing::debug!(%error, "cannot set TCP_NODELAY");
    }
    let state = Arc::clone(&connection_state);
    let answer = service_fn(move |request| answer(desk.clone(), Arc::clone(&state), request));
    let mut connection = http1::Builder::new()
        .timer(TokioTimer::new())
        .header_read_timeout(idle)
        .max_buf_size(HEAD_LIMIT)
        .max_headers(HEADERS_LIMIT)
        .serve_connection(TokioIo::new(Impatient::new(stream, idle, Arc::clone(&connection_state))), answer);
    let ended = tokio::select! {
        ended = &mut connection => ended,
        () = told(&mut stopped) => {
            std::pin::Pin::new(&mut connection).graceful_shutdown();
            (&mut connection).await
        }
        () = connection_state.closed_for_another() => {
            // A request may have arrived since it was chosen.
            if !connection_state.is_busy() {
                return;
            }
            std::pin::Pin::new(&mut connection).graceful_shutdown();
            (&mut connection).await
        }
    };
    let Err(error) = ended else { return };
    tracing::debug!(%error, "a connection ended early");
    if error.source().is_some_and(|source| source.is::<Cut>()) {
        // Closed with nothing lingering, the client's kernel hears of a reset instead of an end.
        let stream = connection.into_parts().io.into_inner().into_inner();
        if let Err(error) = stream.set_zero_linger() {
            tracing::debug!(%error, "cannot reset a connection");
        }
    }
}

/// Waits until the endpoint is told to stop, or dropped.
async fn told(stopped: &mut watch::Receiver<bool>) {
    let _ = stopped.wait_for(|stopped| *stopped).await;
}

async fn answer(
    mut desk: Desk,
    connection: Arc<Connection>,
    request: Request<Incoming>,
) -> Result<Response<Sent>, Cut> {
    let (arrived, patience) = (Instant::now(), desk.idle);
    let (busy, is_ambiguous) = connection.begin();
    let (head, body) = request.into_parts();
    let read = async {
        web_page::refuse(&head)?;
        if is_ambiguous {
            let what = "Content-Length and Transfer-Encoding exclude each other.";
            return Err(unread(StatusCode::BAD_REQUEST, "SerializationException", what));
        }
        let late =
            |_| unread(StatusCode::REQUEST_TIMEOUT, "RequestTimeoutException", "The body did not arrive.");
        tokio::time::timeout(patience, read(body)).await.map_err(late)?
    };
    let body = read.await;
    // The shelf reads files. A thread of the blocking pool costs ten microseconds, a block a few hundred.
    let service = desk.service;
    let answered = tokio::task::spawn_blocking(move || service.answer(&head, body)).await;
    let Answered { response, course } = answered.unwrap_or_else(|error| {
        tracing::error!(%error, "an action broke down");
        let mut response = Response::new(Bytes::new());
        *response.status_mut() = StatusCode::INTERNAL_SERVER_ERROR;
        Answered { response, course: Course::Whole }
    });
    if !desk.latency.is_zero() {
        tokio::time::sleep_until(arrived + desk.latency).await;
    }
    match course {
        Course::Reset => Err(Cut),
        Course::Never => {
            // The client hangs up some day, which drops this; or the endpoint is told to stop.
            told(&mut desk.stopped).await;
            Err(Cut)
        }
        Course::Whole | Course::Slow(_) | Course::Truncated => {
            Ok(response.map(|body| Sent::new(body, course).holding(busy)))
        }
    }
}

/// A whole body, if it is not too large.
async fn read(mut body: Incoming) -> Result<Bytes, Refusal> {
    let too_large =
        || unread(StatusCode::PAYLOAD_TOO_LARGE, "RequestEntityTooLargeException", "The body is too large.");
    let expected = body.size_hint();
    if expected.lower() > BODY_LIMIT as u64 {
        return Err(too_large());
    }
    let mut whole = BytesMut::with_capacity(usize::try_from(expected.lower()).unwrap_or_default());
    while let Some(frame) = body.frame().await {
        let frame = frame
            .map_err(|_| unread(StatusCode::BAD_REQUEST, "SerializationException", "The body broke off."))?;
        let Ok(data) = frame.into_data() else { continue };
        if whole.len() + data.len() > BODY_LIMIT {
            return Err(too_large());
        }
        whole.extend_from_slice(&data);
    }
    Ok(whole.freeze())
}

fn unread(status: StatusCode, code: &'static str, message: &'static str) -> Refusal {
    Refusal::common_with(status, code, message)
}
