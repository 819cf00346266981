//! Answers as they go out: counted until they are written, and a connection whose answers nobody reads
//! is found.

use std::pin::Pin;
use std::sync::{Arc, Mutex, PoisonError};
use std::task::{Context, Poll, ready};
use std::time::Duration;

use bytes::Bytes;
use hyper::body::{Body, Frame, SizeHint};
use tokio::time::Instant;

use crate::broker::{Pool, Taken};

/// Answers of one connection that their client has not read.
#[derive(Debug, Default)]
pub struct Unread(Mutex<State>);

#[derive(Debug, Default)]
struct State {
    count: usize,
    /// When one of them moved last.
    moved_at: Option<Instant>,
}

impl Unread {
    /// How long none of the unread answers has moved; nothing when there is none.
    pub fn stalled_for(&self) -> Option<Duration> {
        let state = self.lock();
        state.moved_at.filter(|_| state.count > 0).map(|at| at.elapsed())
    }

    fn change(&self, change: impl FnOnce(usize) -> usize) {
        let mut state = self.lock();
        state.count = change(state.count);
        state.moved_at = Some(Instant::now());
    }

    fn lock(&self) -> std::sync::MutexGuard<'_, State> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// Counts as unread until dropped.
#[derive(Debug)]
pub struct Waiting(Arc<Unread>);

impl Waiting {
    /// One more unread answer.
    pub fn of(unread: &Arc<Unread>) -> Self {
        unread.change(|count| count + 1);
        Self(Arc::clone(unread))
    }
}

impl Drop for Waiting {
    fn drop(&mut self) {
        self.0.change(|count| count.saturating_sub(1));
    }
}

/// An answer. What its call holds is given back when its last byte is written.
#[derive(Debug)]
pub struct Outgoing<B, H> {
    body: B,
    held: Arc<H>,
    bytes: Arc<Pool>,
    unread: Arc<Unread>,
    /// Not for a stream on which there may be nothing to read for long.
    _waiting: Option<Waiting>,
}

/// Bytes of an answer that are not written yet.
struct Chunk<H> {
    bytes: Bytes,
    _counted: Taken,
    _held: Arc<H>,
    _waiting: Waiting,
}

impl<H> AsRef<[u8]> for Chunk<H> {
    fn as_ref(&self) -> &[u8] {
        &self.bytes
    }
}

impl<B, H> Outgoing<B, H> {
    /// An answer that can be read at once, to its end.
    pub fn whole(body: B, held: H, bytes: Arc<Pool>, unread: Arc<Unread>) -> Self {
        let waiting = Some(Waiting::of(&unread));
        Self { body, held: Arc::new(held), bytes, unread, _waiting: waiting }
    }

    /// An answer whose parts come as things happen.
    pub fn stream(body: B, held: H, bytes: Arc<Pool>, unread: Arc<Unread>) -> Self {
        Self { body, held: Arc::new(held), bytes, unread, _waiting: None }
    }
}

impl<B, H> Body for Outgoing<B, H>
where
    B: Body<Data = Bytes> + Unpin,
    H: Send + Sync + 'static,
{
    type Data = Bytes;
    type Error = B::Error;

    fn poll_frame(
        mut self: Pin<&mut Self>,
        context: &mut Context<'_>,
    ) -> Poll<Option<Result<Frame<Bytes>, B::Error>>> {
        let frame = ready!(Pin::new(&mut self.body).poll_frame(context));
        Poll::Ready(frame.map(|frame| {
            frame.map(|frame| {
                frame.map_data(|bytes| {
                    let (counted, held) =
                        (self.bytes.take_anyway(bytes.len()), Arc::clone(&self.held));
                    let waiting = Waiting::of(&self.unread);
                    let chunk = Chunk { bytes, _counted: counted, _held: held, _waiting: waiting };
                    Bytes::from_owner(chunk)
                })
            })
        }))
    }

    fn is_end_stream(&self) -> bool {
        self.body.is_end_stream()
    }

    fn size_hint(&self) -> SizeHint {
        self.body.size_hint()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn next<H: Send + Sync + 'static>(body: &mut Outgoing<String, H>) -> Bytes {
        let mut context = Context::from_waker(std::task::Waker::noop());
        match Pin::new(body).poll_frame(&mut context) {
            Poll::Ready(Some(frame)) => frame.unwrap().into_data().unwrap(),
            _ => panic!("no frame"),
        }
    }

    #[test]
    fn what_a_call_holds_is_given_back_with_the_last_byte_of_its_answer() {
        let (pool, calls) = (Pool::new(100), Pool::new(1));
        let call = calls.try_take(1).unwrap();
        let body = "12345678".to_owned();
        let mut answer = Outgoing::whole(body, call, Arc::clone(&pool), Arc::default());
        let mut unwritten = next(&mut answer);
        drop(answer);
        assert_eq!((pool.used(), calls.used()), (8, 1));
        drop(unwritten.split_to(7));
        assert_eq!((pool.used(), calls.used()), (8, 1));
        drop(unwritten);
        assert_eq!((pool.used(), calls.used()), (0, 0));
    }

    #[tokio::test(start_paused = true)]
    async fn an_answer_that_does_not_move_is_stalled_and_one_that_moves_is_not() {
        let unread = Arc::<Unread>::default();
        assert_eq!(unread.stalled_for(), None);
        let pool = Pool::new(100);
        let mut answer = Outgoing::whole("12345678".to_owned(), (), pool, Arc::clone(&unread));
        tokio::time::advance(Duration::from_secs(5)).await;
        assert_eq!(unread.stalled_for(), Some(Duration::from_secs(5)), "no window for it");
        let unwritten = next(&mut answer);
        drop(answer);
        tokio::time::advance(Duration::from_secs(3)).await;
        assert_eq!(unread.stalled_for(), Some(Duration::from_secs(3)), "not written");
        drop(unwritten);
        assert_eq!(unread.stalled_for(), None);
    }

    #[tokio::test(start_paused = true)]
    async fn a_quiet_stream_is_not_stalled() {
        let unread = Arc::<Unread>::default();
        let body = "12345678".to_owned();
        let mut answer = Outgoing::stream(body, (), Pool::new(100), Arc::clone(&unread));
        tokio::time::advance(Duration::from_secs(500)).await;
        assert_eq!(unread.stalled_for(), None);
        let _unwritten = next(&mut answer);
        tokio::time::advance(Duration::from_secs(5)).await;
        assert_eq!(unread.stalled_for(), Some(Duration::from_secs(5)));
    }
}
