//! Connections of an endpoint: how long the head of a request may take, and which idle connection gives way.
//!
//! A connection is idle (no byte of a request has arrived), receives the head of a request, or is busy with one. The
//! head of a request must arrive within [`HEAD_TIMEOUT`], and so must the first byte of a new connection. An idle
//! connection may stay until the endpoint's idle timeout, but when all places are taken, the one that has been idle
//! longest is closed for the next client. A busy connection is never closed for another.

use std::collections::BTreeMap;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;
use tokio::sync::Notify;
use tokio::time::Instant;

/// Time for the whole head of a request, from its first byte; on a new connection, from when it was accepted.
pub(super) const HEAD_TIMEOUT: Duration = Duration::from_secs(5);

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Phase {
    /// No byte of a request since then.
    Idle(Instant),
    /// The head of a request since then.
    Head(Instant),
    /// A request has arrived and its answer is on its way.
    Busy,
}

#[derive(Debug)]
struct State {
    phase: Phase,
    /// Whether a request was answered on it: a client that has shown itself may stay idle.
    was_used: bool,
    head: HeadScan,
}

/// One connection. Shared by its stream, the task that serves it and the registry.
#[derive(Debug)]
pub(super) struct Connection {
    state: Mutex<State>,
    /// Signalled when it is to give way.
    closing: Notify,
    registry: Arc<Registry>,
    number: u64,
}

/// Marks a connection as busy until it is dropped, which is when the answer has been handed to the socket.
#[derive(Debug)]
pub(super) struct BusyGuard(Arc<Connection>);

impl Drop for BusyGuard {
    fn drop(&mut self) {
        {
            let mut state = self.0.state();
            state.phase = Phase::Idle(Instant::now());
            state.was_used = true;
            state.head = HeadScan::default();
        }
        self.0.registry.changed.notify_one();
    }
}

impl Connection {
    fn state(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Takes note of bytes that have arrived.
    pub(super) fn receive(&self, bytes: &[u8]) {
        let mut state = self.state();
        if let Phase::Idle(_) = state.phase {
            state.phase = Phase::Head(Instant::now());
        }
        if state.phase != Phase::Busy {
            state.head.read(bytes);
        }
    }

    /// When the head of the request must have arrived; `None` where nothing is due.
    pub(super) fn deadline(&self) -> Option<Instant> {
        let state = self.state();
        match state.phase {
            Phase::Head(since) => Some(since + HEAD_TIMEOUT),
            Phase::Idle(since) if !state.was_used => Some(since + HEAD_TIMEOUT),
            Phase::Idle(_) | Phase::Busy => None,
        }
    }

    /// The head of a request has arrived: marks the connection as busy. Returns whether the head gave the length of the
    /// body in two ways as well.
    pub(super) fn begin(self: &Arc<Self>) -> (BusyGuard, bool) {
        let mut state = self.state();
        state.phase = Phase::Busy;
        let is_ambiguous = state.head.is_ambiguous();
        drop(state);
        (BusyGuard(Arc::clone(self)), is_ambiguous)
    }

    /// Whether a request is being answered.
    pub(super) fn is_busy(&self) -> bool {
        self.state().phase == Phase::Busy
    }

    /// Waits until the connection has to give way.
    pub(super) async fn closed_for_another(&self) {
        self.closing.notified().await;
    }
}

impl Drop for Connection {
    fn drop(&mut self) {
        self.registry.connections().remove(&self.number);
    }
}

/// All open connections.
#[derive(Debug, Default)]
pub(super) struct Registry {
    connections: Mutex<BTreeMap<u64, std::sync::Weak<Connection>>>,
    /// Signalled when a connection has become idle.
    changed: Notify,
}

impl Registry {
    fn connections(&self) -> MutexGuard<'_, BTreeMap<u64, std::sync::Weak<Connection>>> {
        self.connections.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Adds a connection that was just accepted.
    pub(super) fn add(self: &Arc<Self>) -> Arc<Connection> {
        let mut connections = self.connections();
        let number = connections.last_key_value().map_or(0, |(last, _)| last + 1);
        let state = State { phase: Phase::Idle(Instant::now()), was_used: false, head: HeadScan::default() };
        let connection = Arc::new(Connection {
            state: Mutex::new(state),
            closing: Notify::new(),
            registry: Arc::clone(self),
            number,
        });
        connections.insert(number, Arc::downgrade(&connection));
        connection
    }

    /// Closes the connection that has been idle longest. Returns whether there is one.
    pub(super) fn close_oldest_idle(&self) -> bool {
        // Upgraded first, and dropped after the lock: the last owner's drop takes the lock.
        let connections: Vec<_> = self.connections().values().filter_map(std::sync::Weak::upgrade).collect();
        let idle = connections.iter().filter_map(|connection| match connection.state().phase {
            Phase::Idle(since) => Some((since, connection)),
            Phase::Head(_) | Phase::Busy => None,
        });
        let oldest = idle.min_by_key(|(since, _)| *since);
        if let Some((_, connection)) = oldest {
            connection.closing.notify_one();
        }
        oldest.is_some()
    }

    /// Waits until a connection has become idle.
    pub(super) async fn idle(&self) {
        self.changed.notified().await;
    }
}

/// Looks for Content-Length beside Transfer-Encoding in the head of a request. The parser takes such a request by its
/// Transfer-Encoding and drops the other header, but a proxy in front may have gone by the other (RFC 9112, 6.3).
#[derive(Debug, Default)]
struct HeadScan {
    /// The start of the line that is being read, in lower case.
    line: Vec<u8>,
    has_length: bool,
    has_encoding: bool,
    /// The empty line was read: a body follows.
    is_over: bool,
}

impl HeadScan {
    const LENGTH: &[u8] = b"content-length:";
    const ENCODING: &[u8] = b"transfer-encoding:";

    fn read(&mut self, bytes: &[u8]) {
        for byte in bytes {
            if self.is_over {
                return;
            }
            match byte {
                b'\n' => {
                    self.has_length |= self.line.starts_with(Self::LENGTH);
                    self.has_encoding |= self.line.starts_with(Self::ENCODING);
                    self.is_over = self.line.is_empty() || self.line == b"\r";
                    self.line.clear();
                }
                _ if self.line.len() < Self::ENCODING.len() => self.line.push(byte.to_ascii_lowercase()),
                _ => {}
            }
        }
    }

    fn is_ambiguous(&self) -> bool {
        self.has_length && self.has_encoding
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const SECOND: Duration = Duration::from_secs(1);

    #[tokio::test(start_paused = true)]
    async fn the_connection_that_was_idle_longest_gives_way_and_no_busy_one() {
        let registry = Arc::new(Registry::default());
        let [first, second, third] = [(), (), ()].map(|()| registry.add());
        tokio::time::advance(SECOND).await;
        drop(first.begin());
        let busy = third.begin();
        assert!(registry.close_oldest_idle());
        // The second: the first was used a second later, the third is busy.
        second.closed_for_another().await;
        drop(second);
        assert!(registry.close_oldest_idle());
        first.closed_for_another().await;
        drop(first);
        assert!(!registry.close_oldest_idle(), "the only one left is busy");
        drop(busy);
        registry.idle().await;
        assert!(registry.close_oldest_idle());
    }

    #[tokio::test(start_paused = true)]
    async fn a_head_is_due_five_seconds_after_its_first_byte_and_an_answered_client_may_rest() {
        let registry = Arc::new(Registry::default());
        let connection = registry.add();
        let accepted = Instant::now();
        assert_eq!(connection.deadline(), Some(accepted + HEAD_TIMEOUT), "a new connection has to speak");
        tokio::time::advance(SECOND).await;
        connection.receive(b"GET / HT");
        tokio::time::advance(SECOND).await;
        connection.receive(b"TP/1.1\r\n");
        assert_eq!(connection.deadline(), Some(accepted + SECOND + HEAD_TIMEOUT), "more bytes buy no time");
        let (busy, _) = connection.begin();
        assert_eq!(connection.deadline(), None);
        drop(busy);
        assert_eq!(connection.deadline(), None, "it may be used again much later");
        connection.receive(b"G");
        assert!(connection.deadline().is_some());
    }

    #[test]
    fn a_length_given_in_two_ways_is_seen_in_any_order_and_in_any_pieces() {
        let twice =
            ["Content-Length: 3\r\nTransfer-Encoding: chunked", "TRANSFER-ENCODING: x\ncontent-length:3"];
        let once =
            ["Content-Length: 3\r\nContent-Length: 3", "X-Transfer-Encoding: a\r\nContent-Length: 1", "A: b"];
        let cases = twice.map(|head| (head, true)).into_iter().chain(once.map(|head| (head, false)));
        for (headers, expected) in cases {
            // The body may look like a header.
            let request =
                format!("PUT /a HTTP/1.1\r\n{headers}\r\n\r\nTransfer-Encoding: a\nContent-Length: 1\n");
            for piece in [1, 2, 7, 1000] {
                let mut scan = HeadScan::default();
                request.as_bytes().chunks(piece).for_each(|bytes| scan.read(bytes));
                assert_eq!(scan.is_ambiguous(), expected, "{headers:?} in pieces of {piece}");
            }
        }
    }
}
