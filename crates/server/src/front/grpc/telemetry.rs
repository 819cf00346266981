//! Telemetry: the stream that a client keeps open. Each of its settings is answered at once; between
//! them it is told what ended, and asked what an administrator wants to know.

use std::sync::Arc;

use litemq_domain::{ClientId, Error, ErrorCode};
use litemq_protocol::v2;
use tonic::{Status, Streaming};
use tracing::debug;
use v2::settings::PubSub;
use v2::telemetry_command::Command;
use v2::{ClientType, NotifyUnsubscribeLiteCommand, TelemetryCommand};

use super::call::{Call, Language};
use super::outbox::{Answer, Commands, Counted, Outbox};
use super::questions::{self, Questions};
use super::rights::{Asker, Asks as _};
use super::session::{note_call, note_consumer, note_profile};
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
        let (stopping, questions) = (self.stopping.clone(), Arc::clone(&self.questions));
        tokio::spawn(async move {
            let answer = |asked| answer_settings(&broker, &metrics, &call, &outbox, asked);
            let asked = Asked { client: &call.client, questions: &questions };
            converse(answer, &asked, &stream, incoming, &outbox, stopping).await;
        });
        commands
    }
}

/// Ends when the client half-closes, is gone, is at fault or does not read its answers, or when the
/// server stops.
async fn converse(
    answer_settings: impl Fn(v2::Settings) -> Counted,
    asked: &Asked<'_>,
    stream: &TelemetryStream,
    mut incoming: Streaming<TelemetryCommand>,
    outbox: &Outbox,
    mut stopping: Stopping,
) {
    // Nothing before its settings are answered, which is what its start waits for.
    let mut hears = None;
    let mut told = None;
    loop {
        let received = tokio::select! {
            biased;
            () = stopping.wait() => return,
            () = outbox.closed() => return,
            received = incoming.message() => received,
            () = outbox.put(&mut told), if told.is_some() => continue,
            notice = stream.next_notice(), if hears.is_some() && told.is_none() => {
                // Where there is no room the notice is dropped, and who asks hears of nothing.
                let command = asked.command_of(notice, hears.unwrap_or_default());
                told = command.and_then(|command| outbox.count(command).ok());
                continue;
            }
        };
        let answer = match received {
            Ok(None) => return,
            Ok(Some(TelemetryCommand { command: Some(Command::Settings(settings)), .. })) => {
                hears = Some(settings.client_type());
                answer_settings(settings)
            }
            Ok(Some(command)) => {
                asked.take(command);
                continue;
            }
            Err(status) => outbox.count_small(Err(status)),
        };
        let ends = answer.is_end();
        // A client that does not read gets no further: waiting for it would leave what it sends unread.
        if !outbox.offer(answer) || ends {
            return;
        }
    }
}

/// A client that can be asked something.
struct Asked<'a> {
    client: &'a ClientId,
    questions: &'a Questions,
}

impl Asked<'_> {
    /// Java, Go and C# drop a name that they are told of from their set; Python and Node ignore the
    /// command, and their next full sync brings the name again. Go dies of it when it is not a consumer
    /// of lite topics.
    fn command_of(&self, notice: Notice, hears: ClientType) -> Option<TelemetryCommand> {
        let command = match notice {
            Notice::Unsubscribed(lite_topic) => {
                let is_of_lite_topics =
                    matches!(hears, ClientType::LitePushConsumer | ClientType::LiteSimpleConsumer);
                let lite_topic = lite_topic.as_str().to_owned();
                let command = NotifyUnsubscribeLiteCommand { lite_topic };
                is_of_lite_topics.then_some(Command::NotifyUnsubscribeLiteCommand(command))
            }
            Notice::Asked(number) => self.questions.command(number),
        };
        Some(TelemetryCommand { status: Some(reply::ok()), command: Some(command?) })
    }

    /// Takes an answer; what answers nothing is dropped.
    fn take(&self, said: TelemetryCommand) {
        let (nonce, answer) = match said.command {
            Some(Command::ThreadStackTrace(trace)) => {
                (trace.nonce, questions::Answer::StackTrace(trace.thread_stack_trace))
            }
            Some(Command::VerifyMessageResult(result)) => {
                let outcome = said.status.unwrap_or_else(reply::ok);
                (result.nonce, questions::Answer::Consumed(outcome))
            }
            _ => return,
        };
        self.questions.answered(self.client, &nonce, answer);
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
            note_profile(broker, call, language, &settings);
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
    match note_call(broker, &call.client, &caller, None, asked.asked()) {
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
