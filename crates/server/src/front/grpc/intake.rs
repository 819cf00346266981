//! Requests as they come in: whole messages, in time, and counted while they are in memory.
//!
//! tonic reserves what the first five bytes of a message declare, decodes whatever it is given, and
//! waits for ever. So a message is handed to it only when all of it is here; until then it costs what
//! has come of it, and it may not take longer than [`IntakeLimits::time_max`]. What it will be when
//! decoded is counted before it is.

use std::pin::Pin;
use std::sync::{Arc, Mutex, PoisonError};
use std::task::{Context, Poll, ready};
use std::time::Duration;

use bytes::{Buf, Bytes, BytesMut};
use hyper::body::{Body, Frame, SizeHint};
use tokio::time::{Instant, Sleep, sleep_until};
use tonic::Status;

use super::shape::Shape;
use crate::broker::{Pool, Taken};

type BoxError = Box<dyn std::error::Error + Send + Sync>;

/// The flag and the length before each message.
const PREFIX_BYTES: usize = 5;

/// What a request may be.
#[derive(Debug, Clone, Copy)]
pub(super) struct IntakeLimits {
    /// Bytes of one message.
    pub(super) message_bytes_max: usize,
    /// Time from the start of a call to the end of its request, whatever that is. On a stream, from
    /// the first byte of a message to its last.
    pub(super) time_max: Duration,
    /// Whether messages come for as long as the call lives.
    pub(super) is_stream: bool,
    /// What is in a message, for its size when decoded.
    pub(super) shape: Shape,
}

/// What a call's requests take of the bytes of all; kept until the answer is written.
#[derive(Debug)]
pub(super) struct Held(Mutex<Taken>);

impl Held {
    /// Nothing yet, of a pool.
    pub(super) fn of(pool: &Arc<Pool>) -> Arc<Self> {
        Arc::new(Self(Mutex::new(pool.take_anyway(0))))
    }

    fn try_grow(&self, by: usize) -> bool {
        self.0.lock().unwrap_or_else(PoisonError::into_inner).try_grow(by)
    }

    fn left(&self) -> usize {
        self.0.lock().unwrap_or_else(PoisonError::into_inner).left()
    }

    fn max(&self) -> usize {
        self.0.lock().unwrap_or_else(PoisonError::into_inner).max()
    }

    fn shrink_to(&self, bytes: usize) {
        self.0.lock().unwrap_or_else(PoisonError::into_inner).shrink_to(bytes);
    }
}

/// A request body whose frames are whole messages.
#[derive(Debug)]
pub(super) struct WholeMessages<B> {
    body: B,
    limits: IntakeLimits,
    held: Arc<Held>,
    /// What has come of the next message.
    parts: BytesMut,
    started: Instant,
    deadline: Option<Pin<Box<Sleep>>>,
    is_over: bool,
}

impl<B> WholeMessages<B> {
    /// The messages of a body, which count as held.
    pub(super) fn of(body: B, limits: IntakeLimits, held: Arc<Held>) -> Self {
        let parts = BytesMut::new();
        let started = Instant::now();
        Self { body, limits, held, parts, started, deadline: None, is_over: false }
    }

    /// The next message if all of it is here.
    fn take_whole(&mut self) -> Result<Option<Bytes>, Status> {
        let Some(len) = self.whole_len(&self.parts)? else { return Ok(None) };
        let message = self.parts.split_to(len).freeze();
        self.admit(message).map(Some)
    }

    /// Takes data in. What is one whole message by itself, as most requests are, is handed on.
    fn take_in(&mut self, data: Bytes) -> Result<Option<Bytes>, Status> {
        if !self.limits.is_stream && self.started.elapsed() > self.limits.time_max {
            return Err(self.too_late());
        }
        if !self.held.try_grow(data.len()) {
            return Err(too_many());
        }
        if self.parts.is_empty() && self.whole_len(&data)? == Some(data.len()) {
            return self.admit(data).map(Some);
        }
        self.parts.extend_from_slice(&data);
        Ok(None)
    }

    /// The length of the first message, if all of it is among these bytes.
    fn whole_len(&self, bytes: &[u8]) -> Result<Option<usize>, Status> {
        let Some(len) = declared(bytes) else { return Ok(None) };
        if len > self.limits.message_bytes_max {
            let max = self.limits.message_bytes_max;
            return Err(Status::out_of_range(format!(
                "the message has {len} bytes; at most {max} are allowed"
            )));
        }
        Ok((bytes.len() >= PREFIX_BYTES + len).then_some(PREFIX_BYTES + len))
    }

    /// Lets a whole message pass if what it becomes fits.
    fn admit(&mut self, message: Bytes) -> Result<Bytes, Status> {
        if self.limits.is_stream {
            self.deadline = None;
        }
        let content = message.get(PREFIX_BYTES..).unwrap_or(&[]);
        let decoded = self.limits.shape.decoded_bytes(content, self.held.left());
        match decoded {
            Some(bytes) if self.held.try_grow(bytes) => Ok(message),
            Some(_) => Err(self.does_not_fit(content)),
            None => Err(Status::invalid_argument(
                "a message of the request has too many fields or is too long",
            )),
        }
    }

    /// There may be room later, or there never is.
    fn does_not_fit(&self, content: &[u8]) -> Status {
        let max = self.held.max();
        match self.limits.shape.decoded_bytes(content, max) {
            Some(bytes) if content.len() + bytes > max => Status::out_of_range(format!(
                "the request takes more than the {max} bytes of memory that one address may have; \
                 send less in one request"
            )),
            _ => too_many(),
        }
    }

    fn check_time(&mut self, context: &mut Context<'_>) -> Poll<Status> {
        if self.limits.is_stream && self.parts.is_empty() {
            return Poll::Pending;
        }
        let from = if self.limits.is_stream { Instant::now() } else { self.started };
        let until = from + self.limits.time_max;
        let deadline = self.deadline.get_or_insert_with(|| Box::pin(sleep_until(until)));
        ready!(deadline.as_mut().poll(context));
        Poll::Ready(self.too_late())
    }

    fn too_late(&self) -> Status {
        let time_max = self.limits.time_max;
        Status::deadline_exceeded(format!("the request did not arrive in {time_max:?}"))
    }
}

impl<B> Body for WholeMessages<B>
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
        if self.limits.is_stream {
            // The message before is decoded and answered.
            self.held.shrink_to(self.parts.len());
        }
        loop {
            match self.take_whole() {
                Ok(Some(message)) => return Poll::Ready(Some(Ok(Frame::data(message)))),
                Ok(None) if self.is_over => return Poll::Ready(self.rest()),
                Ok(None) => {}
                Err(refused) => return Poll::Ready(Some(Err(refused.into()))),
            }
            let frame = match Pin::new(&mut self.body).poll_frame(context) {
                Poll::Ready(Some(Ok(frame))) => frame,
                Poll::Ready(Some(Err(error))) => return Poll::Ready(Some(Err(error.into()))),
                Poll::Ready(None) => {
                    self.is_over = true;
                    continue;
                }
                Poll::Pending => {
                    let late = ready!(self.check_time(context));
                    return Poll::Ready(Some(Err(late.into())));
                }
            };
            match frame.into_data() {
                Ok(data) => match self.take_in(data) {
                    Ok(Some(message)) => return Poll::Ready(Some(Ok(Frame::data(message)))),
                    Ok(None) => {}
                    Err(refused) => return Poll::Ready(Some(Err(refused.into()))),
                },
                Err(trailers) => return Poll::Ready(Some(Ok(trailers))),
            }
        }
    }

    fn is_end_stream(&self) -> bool {
        self.parts.is_empty() && (self.is_over || self.body.is_end_stream())
    }

    fn size_hint(&self) -> SizeHint {
        SizeHint::default()
    }
}

impl<B> WholeMessages<B> {
    /// What is left of a body that ended in the middle of a message; tonic says what is wrong with it.
    fn rest(&mut self) -> Option<Result<Frame<Bytes>, BoxError>> {
        let rest = std::mem::take(&mut self.parts).freeze();
        let declared = declared(&rest).unwrap_or(0);
        if rest.is_empty() {
            return None;
        }
        // Without its declaration, for which tonic would make room.
        let told = if declared > rest.len() { rest.slice(..1) } else { rest };
        Some(Ok(Frame::data(told)))
    }
}

/// The length that the first bytes declare.
fn declared(parts: &[u8]) -> Option<usize> {
    let mut length = parts.get(1..PREFIX_BYTES)?;
    usize::try_from(length.get_u32()).ok()
}

fn too_many() -> Status {
    Status::resource_exhausted("the server holds too many requests; retry")
}

#[cfg(test)]
mod tests;
