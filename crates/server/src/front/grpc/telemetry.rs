//! Telemetry: the stream that a client keeps open. Each of its settings is answered at once.

use std::sync::Arc;

use litemq_domain::{Error, ErrorCode};
use litemq_protocol::v2;
use tonic::{Status, Streaming};
use tracing::debug;
use v2::settings::PubSub;
use v2::telemetry_command::Command;
use v2::{ClientType, NotifyUnsubscribeLiteCommand, TelemetryCommand};

use super::call::{Call, Language};
use super::outbox::{Answer, Commands, Counted, Outbox};
use super::rights::{Asker, Asks as _};
use super::session::note_consumer;
use super::{Door, reply, settings};
use crate::broker::{Broker, Notice, Pool, TelemetryStream};
use crate::front::stop::Stopping;
use crate::front::unread::Unread;
use crate::observe::Metrics;

impl Door {
    pub(super) fn open_telemetry(
        &self,
        call: Call,
        incoming: Streaming<TelemetryCommand>,
        answers: &Arc<Pool>,
        unread: Arc<Unread>,
    ) -> Commands {
        let stream = self.broker.sessions().telemetry_opened(&call.client, answers);
        let (outbox, commands) = Outbox::open(Arc::clone(answers), unread);
        let broker = Arc::clone(&self.broker);
        let metrics = Arc::clone(&self.metrics);
        let stopping = self.stopping.clone();
        tokio::spawn(async move {
            let answer = |asked| answer_settings(&broker, &metrics, &call, &outbox, asked);
            converse(answer, &stream, incoming, &outbox, stopping).await;
        });
        commands
    }
}

/// Ends when the client half-closes, is gone, is at fault or does not read its answers, or when the
/// server stops.
async fn converse(
    answer_settings: impl Fn(v2::Settings) -> Counted,
    stream: &TelemetryStream,
    mut incoming: Streaming<TelemetryCommand>,
    outbox: &Outbox,
    mut stopping: Stopping,
) {
    // Go dies of a notice to a consumer that is not of lite topics.
    let mut hears_notices = false;
    let mut told = None;
    loop {
        let received = tokio::select! {
            biased;
            () = stopping.wait() => return,
            () = outbox.closed() => return,
            received = incoming.message() => received,
            () = outbox.put(&mut told), if told.is_some() => continue,
            notice = stream.next_notice(), if hears_notices && told.is_none() => {
                told = Some(outbox.count_small(Ok(command_of(notice))));
                continue;
            }
        };
        let answer = match received {
            Ok(None) => return,
            Ok(Some(TelemetryCommand { command: Some(Command::Settings(asked)), .. })) => {
                hears_notices = is_of_lite_topics(asked.client_type());
                answer_settings(asked)
            }
            // Answers to commands that this server never sends.
            Ok(Some(_)) => continue,
            Err(status) => outbox.count_small(Err(status)),
        };
        let ends = answer.is_end();
        // A client that does not read gets no further: waiting for it would leave what it sends unread.
        if !outbox.offer(answer) || ends {
            return;
        }
    }
}

fn is_of_lite_topics(client_type: ClientType) -> bool {
    matches!(client_type, ClientType::LitePushConsumer | ClientType::LiteSimpleConsumer)
}

/// Java, Go and C# drop the name from their set; Python and Node ignore the command, and their next
/// full sync brings the name again.
fn command_of(notice: Notice) -> TelemetryCommand {
    let Notice::Unsubscribed(lite_topic) = notice;
    let lite_topic = lite_topic.as_str().to_owned();
    let command = NotifyUnsubscribeLiteCommand { lite_topic };
    TelemetryCommand {
        status: Some(reply::ok()),
        command: Some(Command::NotifyUnsubscribeLiteCommand(command)),
    }
}

/// The stream of a client that may not have one.
pub(super) fn refused(
    language: Language,
    error: &Error,
    answers: Arc<Pool>,
    unread: Arc<Unread>,
) -> Result<Commands, Status> {
    let (outbox, commands) = Outbox::open(answers, unread);
    outbox.offer(outbox.count_small(Ok(refusal(language, error)?)));
    Ok(commands)
}

fn answer_settings(
    broker: &Broker,
    metrics: &Metrics,
    call: &Call,
    outbox: &Outbox,
    asked: v2::Settings,
) -> Counted {
    let language = call.language.of_settings(asked.user_agent.as_ref());
    let answered = admitted(broker, call, &asked)
        .and_then(|()| settings::answer(broker, call, asked))
        .and_then(|settings| {
            note_subscriber(broker, call, &settings);
            outbox.count(TelemetryCommand {
                // Python drops an answer without a status.
                status: Some(reply::ok()),
                command: Some(Command::Settings(settings)),
            })
        });
    answered.unwrap_or_else(|error| {
        metrics.error(error.code);
        debug!(client = %call.client, code = ?error.code, %error, "refused the settings of a client");
        outbox.count_small(refusal(language, &error))
    })
}

fn note_subscriber(broker: &Broker, call: &Call, settings: &v2::Settings) {
    if let Some(PubSub::Subscription(subscription)) = &settings.pub_sub {
        let consumer = (settings.client_type(), subscription.group.as_ref());
        note_consumer(broker, &call.client, &call.namespace, consumer);
    }
}

/// The stream may be older than what its user may do now.
fn admitted(broker: &Broker, call: &Call, asked: &v2::Settings) -> litemq_domain::Result<()> {
    let caller = broker.access().renewed(&call.caller)?;
    Asker { caller: &caller, namespace: &call.namespace }.check(asked.asked(), broker)?;
    // Without the connection, which may be gone before what it sent is read.
    match broker.sessions().seen(&call.client, caller.user(), None) {
        Err(error) if error.code != ErrorCode::Overloaded => Err(error),
        _ => Ok(()),
    }
}

/// The answer that makes the start of a client fail at once with the reason in its error.
fn refusal(language: Language, error: &Error) -> Answer {
    match language {
        // It opens a stream that has ended again and again, and its start waits on; but a status
        // without a command fails the start.
        Language::Node => {
            Ok(TelemetryCommand { status: Some(reply::failed(error)), command: None })
        }
        _ => Err(reply::telemetry_end(error)),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn node_hears_a_refusal_as_a_status_and_all_others_as_the_end_of_the_stream() {
        let error = Error::new(ErrorCode::ConsumerGroupIllegal, "no group 'g'");
        let told = refusal(Language::Node, &error).unwrap();
        assert!(told.command.is_none());
        let status = told.status.unwrap();
        assert_eq!(status.code(), v2::Code::IllegalConsumerGroup);
        assert_eq!(status.message, "no group 'g'");
        for language in [Language::Java, Language::Go, Language::Python, Language::Unknown] {
            let ended = refusal(language, &error).unwrap_err();
            assert_eq!(ended.code(), tonic::Code::InvalidArgument, "{language:?}");
            assert!(ended.message().contains("no group 'g'"), "{ended:?}");
        }
    }
}
