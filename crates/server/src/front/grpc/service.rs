//! The calls of the protocol: who calls and whether he may is found out here, and each call has a
//! file of its own.

use std::sync::Arc;

use litemq_domain::{Error, Result};
use litemq_protocol::v2;
use tonic::{Request, Response, Status, Streaming};
use v2::messaging_service_server::MessagingService;

use super::call::{Call, caller, language, namespace};
use super::deliver::Answer;
use super::outbox::Commands;
use super::rights::{Asker, Asks};
use super::session::note_call;
use super::telemetry;
use super::{Door, Peer, reply};
use crate::access::Caller;
use crate::broker::Pool;
use crate::front::unread::Unread;

type Served<T> = std::result::Result<Response<T>, Status>;

/// A reply that can say why there is no other.
trait Refusal {
    fn refusal(error: &Error) -> Self;
}

macro_rules! refusals {
    ($($response:ident)*) => {
        $(impl Refusal for v2::$response {
            #[allow(clippy::needless_update)] // some replies are a status and nothing else
            fn refusal(error: &Error) -> Self {
                Self { status: Some(reply::failed(error)), ..Self::default() }
            }
        })*
    };
}

refusals! {
    QueryRouteResponse SendMessageResponse QueryAssignmentResponse AckMessageResponse
    ForwardMessageToDeadLetterQueueResponse ChangeInvisibleDurationResponse
    SyncLiteSubscriptionResponse
}

impl Door {
    fn refused<T: Refusal>(&self, error: &Error) -> Served<T> {
        self.metrics.error(error.code);
        Ok(Response::new(T::refusal(error)))
    }

    /// What the caller's address may have of the answers of all.
    fn answers_of<T>(&self, request: &Request<T>) -> Arc<Pool> {
        let peer = request.extensions().get::<Arc<Peer>>();
        let answers = peer
            .map_or_else(|| self.broker.shares().answer_bytes.pool(), |peer| &peer.answer_bytes);
        Arc::clone(answers)
    }

    /// Reads who calls, checks that he may, and notes that the client lives.
    fn admit<T: Asks>(&self, request: Request<T>) -> Result<(Call, T)> {
        let call = Call::read(&request, self.authorize(&request)?)?;
        let connection = call.connection.map(|connection| connection.id);
        let asked = request.get_ref().asked();
        note_call(&self.broker, &call.client, &call.caller, connection, asked)?;
        Ok((call, request.into_inner()))
    }

    /// The user who calls, if he may.
    pub(super) fn authorize<T: Asks>(&self, request: &Request<T>) -> Result<Caller> {
        let caller = caller(request, self.broker.access(), self.broker.now())?;
        let asker = Asker { caller: &caller, namespace: namespace(request)? };
        asker.check(request.get_ref().asked(), &*self.broker)?;
        Ok(caller)
    }

    /// The status of a call that is part of the protocol and not of this server.
    fn not_served<T: Asks>(&self, request: &Request<T>, call: &str) -> Option<v2::Status> {
        Some(match self.authorize(request) {
            Ok(_) => reply::not_implemented(call),
            Err(error) => {
                self.metrics.error(error.code);
                reply::failed(&error)
            }
        })
    }
}

#[tonic::async_trait]
impl MessagingService for Door {
    async fn query_route(
        &self,
        request: Request<v2::QueryRouteRequest>,
    ) -> Served<v2::QueryRouteResponse> {
        match self.admit(request) {
            Ok((call, request)) => Ok(Response::new(self.route(&call, request))),
            Err(error) => self.refused(&error),
        }
    }

    async fn heartbeat(
        &self,
        request: Request<v2::HeartbeatRequest>,
    ) -> Served<v2::HeartbeatResponse> {
        Ok(Response::new(self.beat(&request)))
    }

    async fn send_message(
        &self,
        request: Request<v2::SendMessageRequest>,
    ) -> Served<v2::SendMessageResponse> {
        match self.admit(request) {
            Ok((call, request)) => Ok(Response::new(self.send(&call, request).await)),
            Err(error) => self.refused(&error),
        }
    }

    async fn query_assignment(
        &self,
        request: Request<v2::QueryAssignmentRequest>,
    ) -> Served<v2::QueryAssignmentResponse> {
        match self.admit(request) {
            Ok((call, request)) => Ok(Response::new(self.assignment(&call, request))),
            Err(error) => self.refused(&error),
        }
    }

    type ReceiveMessageStream = Answer;

    async fn receive_message(&self, request: Request<v2::ReceiveMessageRequest>) -> Served<Answer> {
        let answers = self.answers_of(&request);
        Ok(Response::new(match self.admit(request) {
            Ok((call, request)) => self.receive(&call, request, &answers).await,
            Err(error) => {
                self.metrics.error(error.code);
                Answer::none(reply::failed(&error), self.broker.now())
            }
        }))
    }

    async fn ack_message(
        &self,
        request: Request<v2::AckMessageRequest>,
    ) -> Served<v2::AckMessageResponse> {
        match self.admit(request) {
            Ok((call, request)) => Ok(Response::new(self.ack(&call, request).await)),
            Err(error) => self.refused(&error),
        }
    }

    async fn forward_message_to_dead_letter_queue(
        &self,
        request: Request<v2::ForwardMessageToDeadLetterQueueRequest>,
    ) -> Served<v2::ForwardMessageToDeadLetterQueueResponse> {
        match self.admit(request) {
            Ok((call, request)) => Ok(Response::new(self.dead_letter(&call, request).await)),
            Err(error) => self.refused(&error),
        }
    }

    async fn change_invisible_duration(
        &self,
        request: Request<v2::ChangeInvisibleDurationRequest>,
    ) -> Served<v2::ChangeInvisibleDurationResponse> {
        match self.admit(request) {
            Ok((call, request)) => Ok(Response::new(self.change_invisible(&call, request).await)),
            Err(error) => self.refused(&error),
        }
    }

    async fn sync_lite_subscription(
        &self,
        request: Request<v2::SyncLiteSubscriptionRequest>,
    ) -> Served<v2::SyncLiteSubscriptionResponse> {
        match self.admit(request) {
            Ok((call, request)) => Ok(Response::new(self.sync_subscription(&call, request).await)),
            Err(error) => self.refused(&error),
        }
    }

    type TelemetryStream = Commands;

    async fn telemetry(
        &self,
        request: Request<Streaming<v2::TelemetryCommand>>,
    ) -> Served<Commands> {
        let (language, answers) = (language(&request), self.answers_of(&request));
        let unread = request.extensions().get::<Arc<Unread>>().cloned().unwrap_or_default();
        match self.admit(request) {
            Ok((call, incoming)) => {
                Ok(Response::new(self.open_telemetry(call, incoming, &answers, unread)))
            }
            Err(error) => {
                self.metrics.error(error.code);
                telemetry::refused(language, &error, answers, unread).map(Response::new)
            }
        }
    }

    async fn notify_client_termination(
        &self,
        request: Request<v2::NotifyClientTerminationRequest>,
    ) -> Served<v2::NotifyClientTerminationResponse> {
        Ok(Response::new(self.terminate(&request).await))
    }

    async fn end_transaction(
        &self,
        request: Request<v2::EndTransactionRequest>,
    ) -> Served<v2::EndTransactionResponse> {
        let status = self.not_served(&request, "EndTransaction");
        Ok(Response::new(v2::EndTransactionResponse { status }))
    }

    async fn recall_message(
        &self,
        request: Request<v2::RecallMessageRequest>,
    ) -> Served<v2::RecallMessageResponse> {
        let status = self.not_served(&request, "RecallMessage");
        Ok(Response::new(v2::RecallMessageResponse { status, ..Default::default() }))
    }

    type PullMessageStream =
        tokio_stream::Once<std::result::Result<v2::PullMessageResponse, Status>>;

    async fn pull_message(
        &self,
        request: Request<v2::PullMessageRequest>,
    ) -> Served<Self::PullMessageStream> {
        let status = self.not_served(&request, "PullMessage");
        let content = status.map(v2::pull_message_response::Content::Status);
        Ok(Response::new(tokio_stream::once(Ok(v2::PullMessageResponse { content }))))
    }

    async fn update_offset(
        &self,
        request: Request<v2::UpdateOffsetRequest>,
    ) -> Served<v2::UpdateOffsetResponse> {
        let status = self.not_served(&request, "UpdateOffset");
        Ok(Response::new(v2::UpdateOffsetResponse { status }))
    }

    async fn get_offset(
        &self,
        request: Request<v2::GetOffsetRequest>,
    ) -> Served<v2::GetOffsetResponse> {
        let status = self.not_served(&request, "GetOffset");
        Ok(Response::new(v2::GetOffsetResponse { status, ..Default::default() }))
    }

    async fn query_offset(
        &self,
        request: Request<v2::QueryOffsetRequest>,
    ) -> Served<v2::QueryOffsetResponse> {
        let status = self.not_served(&request, "QueryOffset");
        Ok(Response::new(v2::QueryOffsetResponse { status, ..Default::default() }))
    }
}
