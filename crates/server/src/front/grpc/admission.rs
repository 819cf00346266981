//! The bytes of requests that are being read or worked on, all together bounded.

use std::pin::Pin;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::task::{Context, Poll, ready};

use bytes::Bytes;
use hyper::body::{Body, Frame, SizeHint};
use tonic::Status;

type BoxError = Box<dyn std::error::Error + Send + Sync>;

/// What all requests hold together.
#[derive(Debug)]
pub(super) struct InFlight {
    bytes: AtomicUsize,
    bytes_max: usize,
}

/// What one request holds, until dropped.
#[derive(Debug)]
pub(super) struct Held {
    in_flight: Arc<InFlight>,
    bytes: AtomicUsize,
}

/// A request body that counts what it hands on and breaks off when all bodies are too much.
#[derive(Debug)]
pub(super) struct CountedBody<B> {
    body: B,
    held: Arc<Held>,
}

impl InFlight {
    pub(super) fn new(bytes_max: usize) -> Arc<Self> {
        Arc::new(Self { bytes: AtomicUsize::new(0), bytes_max })
    }

    /// Counts a body from now on; its bytes are held until the second value is dropped too.
    pub(super) fn count<B>(self: &Arc<Self>, body: B) -> (CountedBody<B>, Arc<Held>) {
        let in_flight = Arc::clone(self);
        let held = Arc::new(Held { in_flight, bytes: AtomicUsize::new(0) });
        (CountedBody { body, held: Arc::clone(&held) }, held)
    }
}

impl Held {
    /// Whether so many more bytes fit. They are counted in any case, for they are here.
    fn add(&self, bytes: usize) -> bool {
        self.bytes.fetch_add(bytes, Ordering::Relaxed);
        let before = self.in_flight.bytes.fetch_add(bytes, Ordering::Relaxed);
        before.saturating_add(bytes) <= self.in_flight.bytes_max
    }
}

impl Drop for Held {
    fn drop(&mut self) {
        self.in_flight.bytes.fetch_sub(*self.bytes.get_mut(), Ordering::Relaxed);
    }
}

impl<B> Body for CountedBody<B>
where
    B: Body<Data = Bytes> + Unpin,
    B::Error: Into<BoxError>,
{
    type Data = Bytes;
    type Error = BoxError;

    fn poll_frame(
        mut self: Pin<&mut Self>,
        context: &mut Context<'_>,
    ) -> Poll<Option<Result<Frame<Bytes>, BoxError>>> {
        let frame = ready!(Pin::new(&mut self.body).poll_frame(context));
        let bytes = match &frame {
            Some(Ok(frame)) => frame.data_ref().map_or(0, Bytes::len),
            _ => 0,
        };
        if !self.held.add(bytes) {
            let refused = Status::resource_exhausted("the server holds too many requests; retry");
            return Poll::Ready(Some(Err(refused.into())));
        }
        Poll::Ready(frame.map(|frame| frame.map_err(Into::into)))
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

    fn read(body: &mut CountedBody<String>) -> Result<Bytes, BoxError> {
        let mut context = Context::from_waker(std::task::Waker::noop());
        match Pin::new(body).poll_frame(&mut context) {
            Poll::Ready(Some(frame)) => frame.map(|frame| frame.into_data().unwrap()),
            _ => panic!("no frame"),
        }
    }

    #[test]
    fn bodies_beyond_the_bound_are_refused_and_leave_no_trace() {
        let in_flight = InFlight::new(10);
        let (mut first, first_held) = in_flight.count("12345678".to_owned());
        let (mut second, second_held) = in_flight.count("abc".to_owned());
        assert_eq!(read(&mut first).unwrap(), "12345678");
        let error = read(&mut second).unwrap_err();
        let status = error.downcast_ref::<Status>().unwrap();
        assert_eq!(status.code(), tonic::Code::ResourceExhausted);
        drop((second, second_held));

        drop(first);
        assert_eq!(in_flight.bytes.load(Ordering::Relaxed), 8, "held while worked on");
        drop(first_held);
        assert_eq!(in_flight.bytes.load(Ordering::Relaxed), 0);
        let (mut third, _held) = in_flight.count("abc".to_owned());
        assert!(read(&mut third).is_ok());
    }
}
