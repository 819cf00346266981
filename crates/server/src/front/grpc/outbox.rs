//! The answers that wait for one client to read them on its Telemetry stream: a few, and all of them
//! counted among the unread answers of everybody. A connection that leaves them unread is stalled.

use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll};

use litemq_domain::{Error, ErrorCode, Result};
use litemq_protocol::v2;
use prost::Message as _;
use tokio::sync::mpsc;
use tokio_stream::Stream;
use tonic::Status;
use v2::TelemetryCommand;
use v2::settings::PubSub;

use super::limits::TELEMETRY_COMMANDS_MAX;
use crate::broker::{Pool, Taken};
use crate::front::unread::{Unread, Waiting};

/// A command for the client, or the end of its stream.
pub(super) type Answer = std::result::Result<TelemetryCommand, Status>;

/// What a small answer takes at most, besides its text: a refusal, a notice.
const SMALL_BYTES: usize = 512;
/// What a topic, a subscription or a label of settings takes at most, besides its bytes on the wire.
const ENTRY_BYTES: usize = 256;

/// Where the answers of one stream are put.
#[derive(Debug)]
pub(super) struct Outbox {
    sender: mpsc::Sender<Told>,
    unread: Arc<Unread>,
    bytes: Arc<Pool>,
}

/// What a client gets on its stream. A failure ends it.
#[derive(Debug)]
pub(super) struct Commands(mpsc::Receiver<Told>);

/// An answer that has been counted.
#[derive(Debug)]
pub(super) struct Counted {
    answer: Answer,
    bytes: Taken,
}

/// Counted, and unread, until it is encoded; its bytes are counted from then on.
#[derive(Debug)]
struct Told {
    counted: Counted,
    _unread: Waiting,
}

impl Outbox {
    /// An outbox for a client whose address may have so much of the answers of all.
    pub(super) fn open(bytes: Arc<Pool>, unread: Arc<Unread>) -> (Self, Commands) {
        let (sender, receiver) = mpsc::channel(TELEMETRY_COMMANDS_MAX);
        (Self { sender, unread, bytes }, Commands(receiver))
    }

    /// Counts settings, which are as large as the client makes them.
    ///
    /// # Errors
    ///
    /// Overloaded while the answers that nobody reads leave no room.
    pub(super) fn count(&self, command: TelemetryCommand) -> Result<Counted> {
        let bytes = self.bytes.try_take(bytes_of(&command)).ok_or_else(|| {
            Error::new(
                ErrorCode::Overloaded,
                "too many answers wait to be read; read them, and retry later",
            )
        })?;
        Ok(Counted { answer: Ok(command), bytes })
    }

    /// Counts a small answer, which is never refused.
    pub(super) fn count_small(&self, answer: Answer) -> Counted {
        let text = match &answer {
            Ok(command) => command.status.as_ref().map_or(0, |status| status.message.len()),
            Err(status) => status.message().len(),
        };
        Counted { bytes: self.bytes.take_anyway(SMALL_BYTES + text), answer }
    }

    /// Puts an answer in unless it is full or nobody is there; whether it was.
    pub(super) fn offer(&self, counted: Counted) -> bool {
        self.sender.try_send(self.told(counted)).is_ok()
    }

    /// Puts an answer in as soon as there is a place. Nothing is put in when the wait is given up.
    pub(super) async fn put(&self, counted: &mut Option<Counted>) {
        let Ok(place) = self.sender.reserve().await else { return };
        if let Some(counted) = counted.take() {
            place.send(self.told(counted));
        }
    }

    /// Waits until the client's stream is gone.
    pub(super) async fn closed(&self) {
        self.sender.closed().await;
    }

    fn told(&self, counted: Counted) -> Told {
        Told { counted, _unread: Waiting::of(&self.unread) }
    }
}

impl Counted {
    /// Whether nothing may follow it.
    pub(super) fn is_end(&self) -> bool {
        self.answer.is_err()
    }
}

impl Stream for Commands {
    type Item = Answer;

    fn poll_next(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<Option<Answer>> {
        self.0.poll_recv(context).map(|told| {
            let Counted { answer, bytes } = told?.counted;
            drop(bytes);
            Some(answer)
        })
    }
}

/// What a command takes in memory at most, bytes.
fn bytes_of(command: &TelemetryCommand) -> usize {
    let entries = match &command.command {
        Some(v2::telemetry_command::Command::Settings(settings)) => {
            let listed = match &settings.pub_sub {
                Some(PubSub::Publishing(publishing)) => publishing.topics.len(),
                Some(PubSub::Subscription(subscription)) => subscription.subscriptions.len(),
                None => 0,
            };
            listed + settings.client_properties.len()
        }
        _ => 0,
    };
    size_of::<Told>() + SMALL_BYTES + command.encoded_len() + entries * ENTRY_BYTES
}

#[cfg(test)]
mod tests {
    use tokio_stream::StreamExt as _;
    use v2::telemetry_command::Command;
    use v2::{Publishing, Resource, Settings};

    use super::*;

    fn settings(topics: usize) -> TelemetryCommand {
        let topics = vec![Resource::default(); topics];
        let publishing = Publishing { topics, ..Publishing::default() };
        let settings =
            Settings { pub_sub: Some(PubSub::Publishing(publishing)), ..Settings::default() };
        TelemetryCommand { status: None, command: Some(Command::Settings(settings)) }
    }

    #[tokio::test]
    async fn an_answer_counts_until_it_is_read_or_its_stream_is_gone() {
        let pool = Pool::new(1 << 20);
        let (outbox, mut commands) = Outbox::open(Arc::clone(&pool), Arc::default());
        let first = outbox.count(settings(10)).unwrap();
        let each = pool.used();
        assert!(each > 10 * (size_of::<Resource>() + 2), "{each}");
        assert!(outbox.offer(first) && outbox.offer(outbox.count(settings(10)).unwrap()));
        assert_eq!(pool.used(), 2 * each);
        assert!(commands.next().await.unwrap().is_ok());
        assert_eq!(pool.used(), each);
        drop(commands);
        outbox.closed().await;
        assert_eq!(pool.used(), 0);
    }

    #[test]
    fn settings_are_refused_where_there_is_no_room_and_what_is_small_is_not() {
        let pool = Pool::new(4096);
        let (outbox, _commands) = Outbox::open(Arc::clone(&pool), Arc::default());
        let refused = outbox.count(settings(1000)).unwrap_err();
        assert_eq!((refused.code, pool.used()), (ErrorCode::Overloaded, 0));
        let _all = pool.try_take(4096).unwrap();
        assert!(outbox.offer(outbox.count_small(Err(Status::aborted("no")))));
    }

    #[test]
    fn the_memory_of_empty_names_is_counted_and_not_their_two_bytes() {
        let names = 30_000;
        let bytes = bytes_of(&settings(names));
        assert!(bytes > names * 2 * size_of::<Resource>(), "{bytes}");
    }

    #[tokio::test(start_paused = true)]
    async fn a_connection_that_leaves_answers_in_an_outbox_is_stalled() {
        let unread = Arc::<Unread>::default();
        let (outbox, mut commands) = Outbox::open(Pool::new(1 << 20), Arc::clone(&unread));
        assert!(outbox.offer(outbox.count(settings(1)).unwrap()));
        let span = std::time::Duration::from_secs(5);
        tokio::time::advance(span).await;
        assert_eq!(unread.stalled_for(), Some(span));
        assert!(commands.next().await.is_some());
        assert_eq!(unread.stalled_for(), None);
    }
}
