//! The body of an answer, on its way: whole, in pieces, or breaking off.

use crate::endpoint::connection::BusyGuard;
use bytes::Bytes;
use hyper::body::{Body, Frame, SizeHint};
use std::io;
use std::pin::Pin;
use std::task::{Context, Poll, ready};
use std::time::Duration;
use tokio::time::Sleep;

/// How an answer is sent.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Course {
    Whole,
    /// In pieces, so far apart.
    Slow(Duration),
    /// Half of it; then the connection breaks.
    Truncated,
    /// Not at all: the connection is reset.
    Reset,
    /// Not at all, and the connection stays.
    Never,
}

/// Pieces of a slow body.
const PIECES: usize = 16;
/// What was sent must be on its way before the connection breaks, or the client sees no part of the answer.
const BEFORE_THE_BREAK: Duration = Duration::from_millis(5);

/// A body being sent.
#[derive(Debug)]
pub(super) struct Sent {
    rest: Bytes,
    /// Bytes announced and not sent yet.
    announced: u64,
    piece: usize,
    pause: Duration,
    waiting: Option<Pin<Box<Sleep>>>,
    /// Its connection is busy until the body is gone.
    _busy: Option<BusyGuard>,
}

impl Sent {
    pub(super) fn new(mut body: Bytes, course: Course) -> Self {
        let announced = body.len() as u64;
        let (piece, pause) = match course {
            Course::Slow(pause) => (body.len().div_ceil(PIECES).max(1), pause),
            _ => (body.len().max(1), BEFORE_THE_BREAK),
        };
        if course == Course::Truncated {
            body.truncate(body.len() / 2);
        }
        Self { rest: body, announced, piece, pause, waiting: None, _busy: None }
    }

    /// Keeps its connection busy until the body is gone.
    pub(super) fn holding(self, busy: BusyGuard) -> Self {
        Self { _busy: Some(busy), ..self }
    }
}

impl Body for Sent {
    type Data = Bytes;
    type Error = io::Error;

    fn poll_frame(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
    ) -> Poll<Option<Result<Frame<Bytes>, io::Error>>> {
        if let Some(waiting) = &mut self.waiting {
            ready!(waiting.as_mut().poll(cx));
            self.waiting = None;
        }
        if self.rest.is_empty() {
            let broken = || Err(io::Error::new(io::ErrorKind::BrokenPipe, "the body breaks off by plan"));
            return Poll::Ready((self.announced > 0).then(broken));
        }
        let length = self.piece.min(self.rest.len());
        let piece = self.rest.split_to(length);
        self.announced -= length as u64;
        if self.announced > 0 {
            self.waiting = Some(Box::pin(tokio::time::sleep(self.pause)));
        }
        Poll::Ready(Some(Ok(Frame::data(piece))))
    }

    fn is_end_stream(&self) -> bool {
        self.announced == 0
    }

    fn size_hint(&self) -> SizeHint {
        SizeHint::with_exact(self.announced)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use http_body_util::BodyExt;
    use tokio::time::Instant;

    const SECOND: Duration = Duration::from_secs(1);

    #[tokio::test(start_paused = true)]
    async fn a_slow_body_arrives_whole_and_late() {
        let began = Instant::now();
        let sent = Sent::new(Bytes::from(vec![7; 1000]), Course::Slow(SECOND));
        assert_eq!(sent.collect().await.unwrap().to_bytes(), vec![7; 1000]);
        assert_eq!(began.elapsed(), 15 * SECOND, "sixteen pieces, fifteen pauses");
    }

    #[tokio::test(start_paused = true)]
    async fn a_truncated_body_announces_all_of_itself_and_breaks() {
        let mut sent = Sent::new(Bytes::from(vec![7; 1000]), Course::Truncated);
        assert_eq!(sent.size_hint().exact(), Some(1000));
        assert_eq!(sent.frame().await.unwrap().unwrap().into_data().unwrap().len(), 500);
        assert!(sent.frame().await.unwrap().is_err());
    }
}
