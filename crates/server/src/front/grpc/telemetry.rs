//! Telemetry: the stream that a client keeps open. Each of its settings is answered at once.

use std::sync::Arc;

use litemq_protocol::v2;
use tokio::sync::mpsc;
use tokio_stream::wrappers::ReceiverStream;
use tonic::{Status, Streaming};
use tracing::debug;
use v2::TelemetryCommand;
use v2::telemetry_command::Command;

use super::call::Call;
use super::limits::TELEMETRY_COMMANDS_MAX;
use super::{Door, reply, settings};
use crate::broker::Broker;
use crate::front::stop::Stopping;
use crate::observe::Metrics;

/// What a client gets on its stream. A failure ends it: there is no other way to tell one.
pub(super) type Commands = ReceiverStream<Answer>;

pub(super) type Answer = Result<TelemetryCommand, Status>;
type Outbox = mpsc::Sender<Answer>;

impl Door {
    pub(super) fn open_telemetry(
        &self,
        call: Call,
        incoming: Streaming<TelemetryCommand>,
    ) -> Commands {
        let (outbox, commands) = mpsc::channel(TELEMETRY_COMMANDS_MAX);
        let broker = Arc::clone(&self.broker);
        let metrics = Arc::clone(&self.metrics);
        let stopping = self.stopping.clone();
        tokio::spawn(async move {
            let _open = broker.sessions().telemetry_opened(&call.client);
            let answer = |asked| answer_settings(&broker, &metrics, &call, asked);
            converse(answer, incoming, &outbox, stopping).await;
        });
        ReceiverStream::new(commands)
    }
}

/// Ends when the client half-closes, is gone or is at fault, or when the server stops.
async fn converse(
    answer_settings: impl Fn(v2::Settings) -> Answer,
    mut incoming: Streaming<TelemetryCommand>,
    outbox: &Outbox,
    mut stopping: Stopping,
) {
    loop {
        let received = tokio::select! {
            biased;
            () = stopping.wait() => return,
            () = outbox.closed() => return,
            received = incoming.message() => received,
        };
        let answer = match received {
            Ok(None) => return,
            Ok(Some(TelemetryCommand { command: Some(Command::Settings(asked)), .. })) => {
                answer_settings(asked)
            }
            // Answers to commands that this server never sends.
            Ok(Some(_)) => continue,
            Err(status) => Err(status),
        };
        let ends = answer.is_err();
        if outbox.send(answer).await.is_err() || ends {
            return;
        }
    }
}

fn answer_settings(broker: &Broker, metrics: &Metrics, call: &Call, asked: v2::Settings) -> Answer {
    // Without the connection, which may be gone before what it sent is read.
    broker.sessions().seen(&call.client, None);
    let settings = settings::answer(broker, call, asked).map_err(|error| {
        metrics.error(error.code);
        debug!(client = %call.client, code = ?error.code, %error, "refused the settings of a client");
        reply::telemetry_end(&error)
    })?;
    // Python drops an answer without a status.
    Ok(TelemetryCommand { status: Some(reply::ok()), command: Some(Command::Settings(settings)) })
}
