//! A stream that gives up on a peer who does not take what is written, or does not finish the head of a request.
//!
//! hyper bounds how long a request may take to arrive together with how long a connection may be idle, and does not
//! bound how long an answer may take to leave: a client that stops reading would keep its connection, and a block of
//! memory, for ever.

use crate::endpoint::connection::Connection;
use std::fmt;
use std::io::{self, IoSlice};
use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll, ready};
use std::time::Duration;
use tokio::io::{AsyncRead, AsyncWrite, ReadBuf};
use tokio::time::{Instant, Sleep};

/// Ends with `TimedOut` when no byte could be written for `patience`, or when the deadline of the connection passes
/// while the head of a request is read.
pub(super) struct Impatient<S> {
    stream: S,
    patience: Duration,
    /// Set while a write waits.
    deadline: Option<Pin<Box<Sleep>>>,
    connection: Arc<Connection>,
    /// Set while a read waits, for the deadline of the connection.
    head: Option<Pin<Box<Sleep>>>,
}

impl<S: AsyncWrite + Unpin> Impatient<S> {
    pub(super) fn new(stream: S, patience: Duration, connection: Arc<Connection>) -> Self {
        Self { stream, patience, deadline: None, connection, head: None }
    }

    /// The stream as it was.
    pub(super) fn into_inner(self) -> S {
        self.stream
    }

    fn poll<T>(
        &mut self,
        cx: &mut Context<'_>,
        write: impl FnOnce(Pin<&mut S>, &mut Context<'_>) -> Poll<io::Result<T>>,
    ) -> Poll<io::Result<T>> {
        if let Poll::Ready(done) = write(Pin::new(&mut self.stream), cx) {
            self.deadline = None;
            return Poll::Ready(done);
        }
        let patience = self.patience;
        let deadline = self
            .deadline
            .get_or_insert_with(|| Box::pin(tokio::time::sleep_until(Instant::now() + patience)));
        ready!(deadline.as_mut().poll(cx));
        Poll::Ready(Err(io::Error::new(io::ErrorKind::TimedOut, "the client does not read its answer")))
    }
}

impl<S: AsyncRead + Unpin> AsyncRead for Impatient<S> {
    fn poll_read(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        buffer: &mut ReadBuf<'_>,
    ) -> Poll<io::Result<()>> {
        let before = buffer.filled().len();
        if let Poll::Ready(read) = Pin::new(&mut self.stream).poll_read(cx, buffer) {
            self.head = None;
            self.connection.receive(&buffer.filled()[before..]);
            return Poll::Ready(read);
        }
        let Some(deadline) = self.connection.deadline() else {
            self.head = None;
            return Poll::Pending;
        };
        let head = self.head.get_or_insert_with(|| Box::pin(tokio::time::sleep_until(deadline)));
        ready!(head.as_mut().poll(cx));
        Poll::Ready(Err(io::Error::new(io::ErrorKind::TimedOut, "the head of a request did not arrive")))
    }
}

impl<S: AsyncWrite + Unpin> AsyncWrite for Impatient<S> {
    fn poll_write(mut self: Pin<&mut Self>, cx: &mut Context<'_>, bytes: &[u8]) -> Poll<io::Result<usize>> {
        self.poll(cx, |stream, cx| stream.poll_write(cx, bytes))
    }

    fn poll_write_vectored(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        parts: &[IoSlice<'_>],
    ) -> Poll<io::Result<usize>> {
        self.poll(cx, |stream, cx| stream.poll_write_vectored(cx, parts))
    }

    fn is_write_vectored(&self) -> bool {
        self.stream.is_write_vectored()
    }

    fn poll_flush(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        self.poll(cx, |stream, cx| stream.poll_flush(cx))
    }

    fn poll_shutdown(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        self.poll(cx, |stream, cx| stream.poll_shutdown(cx))
    }
}

impl<S> fmt::Debug for Impatient<S> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Impatient").field("patience", &self.patience).finish_non_exhaustive()
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::endpoint::connection::{HEAD_TIMEOUT, Registry};
    use tokio::io::{AsyncReadExt, AsyncWriteExt};

    const MINUTE: Duration = Duration::from_secs(60);

    fn connection() -> Arc<Connection> {
        Arc::new(Registry::default()).add()
    }

    #[tokio::test(start_paused = true)]
    async fn a_peer_that_reads_nothing_is_given_up() {
        let (near, _far) = tokio::io::duplex(16);
        let began = Instant::now();
        let error = Impatient::new(near, MINUTE, connection()).write_all(&[0; 100]).await.unwrap_err();
        assert_eq!((error.kind(), began.elapsed()), (io::ErrorKind::TimedOut, MINUTE));
    }

    #[tokio::test(start_paused = true)]
    async fn a_peer_that_reads_slowly_is_not() {
        let (near, mut far) = tokio::io::duplex(1);
        let reading = tokio::spawn(async move {
            for _ in 0..10 {
                tokio::time::sleep(MINUTE / 2).await;
                far.read_u8().await.unwrap();
            }
        });
        Impatient::new(near, MINUTE, connection()).write_all(&[0; 10]).await.unwrap();
        reading.await.unwrap();
    }

    #[tokio::test(start_paused = true)]
    async fn a_peer_that_does_not_finish_the_head_of_a_request_is_given_up() {
        let (near, mut far) = tokio::io::duplex(100);
        let began = Instant::now();
        let mut stream = Impatient::new(near, MINUTE, connection());
        far.write_all(b"GET").await.unwrap();
        let mut bytes = [0; 10];
        assert_eq!(stream.read(&mut bytes).await.unwrap(), 3);
        let error = stream.read(&mut bytes).await.unwrap_err();
        assert_eq!((error.kind(), began.elapsed()), (io::ErrorKind::TimedOut, HEAD_TIMEOUT));
    }

    #[tokio::test(start_paused = true)]
    async fn a_peer_whose_request_is_being_answered_may_wait() {
        let (near, mut far) = tokio::io::duplex(100);
        let connection = connection();
        let mut stream = Impatient::new(near, MINUTE, Arc::clone(&connection));
        let _busy = connection.begin();
        let reading = tokio::spawn(async move { stream.read_u8().await });
        tokio::time::sleep(MINUTE).await;
        far.write_all(b"G").await.unwrap();
        assert_eq!(reading.await.unwrap().unwrap(), b'G');
    }
}
