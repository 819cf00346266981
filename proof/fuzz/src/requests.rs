//! Requests of the protocol as arbitrary bytes: each gets an answer that clients understand, and
//! what is accepted keeps to the published limits.

use futures_util::{Stream, StreamExt as _};
use http_body_util::Full;
use litemq_protocol::v2;
use litemq_protocol::v2::messaging_service_server::MessagingService;
use prost::Message;
use tonic::codec::{Codec as _, Streaming};
use tonic::{Request, Response, Status};
use tonic_prost::ProstCodec;
use v2::receive_message_response::Content;

use crate::Target;
use crate::broker::{World, check_status, empty, request, run};
use crate::content::check_stored;

/// This target.
pub const TARGET: Target = Target { name: "requests", heap_mib_max: 128, check };

/// Languages that are answered differently.
const LANGUAGES: [&str; 5] = ["JAVA", "GO", "PYTHON", "HTTP", ""];
const NAMESPACES: [&str; 3] = ["", "ns", "%DLQ%"];
const TIMEOUTS: [&str; 3] = ["", "3S", "99999999H"];
/// Parts of one answer: a status, messages and a timestamp.
const PARTS_MAX: usize = 34;

/// Which call a request is; the first byte of an input chooses.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[allow(missing_docs, reason = "each is the call of its name")]
pub enum Call {
    QueryRoute,
    Heartbeat,
    Send,
    QueryAssignment,
    Receive,
    Ack,
    DeadLetter,
    ChangeInvisible,
    Sync,
    Terminate,
    Telemetry,
    EndTransaction,
    Recall,
    Pull,
    UpdateOffset,
    GetOffset,
    QueryOffset,
}

/// All calls, in the order of the first byte.
pub const CALLS: [Call; 17] = [
    Call::QueryRoute,
    Call::Heartbeat,
    Call::Send,
    Call::QueryAssignment,
    Call::Receive,
    Call::Ack,
    Call::DeadLetter,
    Call::ChangeInvisible,
    Call::Sync,
    Call::Terminate,
    Call::Telemetry,
    Call::EndTransaction,
    Call::Recall,
    Call::Pull,
    Call::UpdateOffset,
    Call::GetOffset,
    Call::QueryOffset,
];

/// The call, who calls, and the request's bytes.
fn check(bytes: &[u8]) {
    let [call, caller, body @ ..] = bytes else { return };
    let call = CALLS[usize::from(*call) % CALLS.len()];
    run(answer(call, *caller, body));
}

async fn answer(call: Call, caller: u8, body: &[u8]) {
    let world = empty().await;
    let door = &world.door;
    match call {
        Call::QueryRoute => {
            let Some(asked) = decode::<v2::QueryRouteRequest>(caller, body) else { return };
            check_status(told(door.query_route(asked).await).status.as_ref());
        }
        Call::Heartbeat => {
            let Some(asked) = decode::<v2::HeartbeatRequest>(caller, body) else { return };
            check_status(told(door.heartbeat(asked).await).status.as_ref());
        }
        Call::Send => send(&world, caller, body).await,
        Call::QueryAssignment => {
            let Some(asked) = decode::<v2::QueryAssignmentRequest>(caller, body) else { return };
            check_status(told(door.query_assignment(asked).await).status.as_ref());
        }
        Call::Receive => {
            let Some(asked) = decode::<v2::ReceiveMessageRequest>(caller, body) else { return };
            check_parts(told(door.receive_message(asked).await)).await;
        }
        Call::Ack => {
            let Some(asked) = decode::<v2::AckMessageRequest>(caller, body) else { return };
            let entries = asked.get_ref().entries.len();
            let answer = told(door.ack_message(asked).await);
            check_status(answer.status.as_ref());
            assert!(answer.entries.is_empty() || answer.entries.len() == entries);
            answer.entries.iter().for_each(|entry| {
                check_status(entry.status.as_ref());
            });
        }
        Call::DeadLetter => {
            let asked = decode::<v2::ForwardMessageToDeadLetterQueueRequest>(caller, body);
            let Some(asked) = asked else { return };
            let answer = door.forward_message_to_dead_letter_queue(asked).await;
            check_status(told(answer).status.as_ref());
        }
        Call::ChangeInvisible => {
            let asked = decode::<v2::ChangeInvisibleDurationRequest>(caller, body);
            let Some(asked) = asked else { return };
            let handle = asked.get_ref().receipt_handle.clone();
            let answer = told(door.change_invisible_duration(asked).await);
            let code = check_status(answer.status.as_ref());
            assert_ne!(code, v2::Code::Ok, "nothing was handed out");
            assert_eq!(answer.receipt_handle, handle);
        }
        Call::Sync => {
            let asked = decode::<v2::SyncLiteSubscriptionRequest>(caller, body);
            let Some(asked) = asked else { return };
            check_status(told(door.sync_lite_subscription(asked).await).status.as_ref());
        }
        Call::Terminate => {
            let asked = decode::<v2::NotifyClientTerminationRequest>(caller, body);
            let Some(asked) = asked else { return };
            check_status(told(door.notify_client_termination(asked).await).status.as_ref());
        }
        Call::Telemetry => telemetry(&world, caller, body).await,
        Call::EndTransaction => {
            let Some(asked) = decode::<v2::EndTransactionRequest>(caller, body) else { return };
            check_not_served(told(door.end_transaction(asked).await).status.as_ref());
        }
        Call::Recall => {
            let Some(asked) = decode::<v2::RecallMessageRequest>(caller, body) else { return };
            check_not_served(told(door.recall_message(asked).await).status.as_ref());
        }
        Call::Pull => {
            let Some(asked) = decode::<v2::PullMessageRequest>(caller, body) else { return };
            let answers: Vec<_> = told(door.pull_message(asked).await).collect().await;
            assert_eq!(answers.len(), 1);
        }
        Call::UpdateOffset => {
            let Some(asked) = decode::<v2::UpdateOffsetRequest>(caller, body) else { return };
            check_not_served(told(door.update_offset(asked).await).status.as_ref());
        }
        Call::GetOffset => {
            let Some(asked) = decode::<v2::GetOffsetRequest>(caller, body) else { return };
            check_not_served(told(door.get_offset(asked).await).status.as_ref());
        }
        Call::QueryOffset => {
            let Some(asked) = decode::<v2::QueryOffsetRequest>(caller, body) else { return };
            check_not_served(told(door.query_offset(asked).await).status.as_ref());
        }
    }
}

fn check_not_served(status: Option<&v2::Status>) {
    assert_ne!(check_status(status), v2::Code::Ok, "nothing does it");
}

/// The request, if the bytes are one; with the metadata that the second byte chooses.
fn decode<T: Message + Default>(caller: u8, body: &[u8]) -> Option<Request<T>> {
    Some(with_metadata(T::decode(body).ok()?, caller))
}

fn with_metadata<T>(message: T, caller: u8) -> Request<T> {
    let caller = usize::from(caller);
    let mut asked = request(message, "client", LANGUAGES[caller % LANGUAGES.len()]);
    let namespace = NAMESPACES[caller / LANGUAGES.len() % NAMESPACES.len()];
    let timeout = TIMEOUTS[caller / LANGUAGES.len() / NAMESPACES.len() % TIMEOUTS.len()];
    for (name, value) in [("x-mq-namespace", namespace), ("grpc-timeout", timeout)] {
        if !value.is_empty() {
            asked.metadata_mut().insert(name, value.parse().unwrap());
        }
    }
    asked
}

/// Failures travel in the answer: the call itself does not fail.
fn told<T>(answer: Result<Response<T>, Status>) -> T {
    answer.expect("an answer").into_inner()
}

async fn send(world: &World<impl MessagingService>, caller: u8, body: &[u8]) {
    let Some(asked) = decode::<v2::SendMessageRequest>(caller, body) else { return };
    let messages = asked.get_ref().messages.clone();
    let answer = told(world.door.send_message(asked).await);
    let code = check_status(answer.status.as_ref());
    if code != v2::Code::Ok {
        return;
    }
    assert_eq!(answer.entries.len(), messages.len());
    for (message, entry) in messages.iter().zip(&answer.entries) {
        assert_eq!(check_status(entry.status.as_ref()), v2::Code::Ok);
        assert!(!entry.message_id.is_empty());
        // A message whose id came before in this request is not stored again.
        let ids = messages.iter().filter(|other| id(other) == id(message));
        if ids.count() == 1 {
            check_stored(world, message, entry.offset).await;
        }
    }
}

fn id(message: &v2::Message) -> Option<(&str, &str)> {
    let system = message.system_properties.as_ref()?;
    Some((system.lite_topic(), &system.message_id))
}

/// A status, messages, a timestamp; or a status and a timestamp.
async fn check_parts(answer: impl Stream<Item = Result<v2::ReceiveMessageResponse, Status>>) {
    let parts: Vec<_> = answer.take(PARTS_MAX + 1).collect().await;
    assert!((2..=PARTS_MAX).contains(&parts.len()), "{} parts", parts.len());
    for (at, part) in parts.iter().enumerate() {
        match part.as_ref().expect("a part").content.as_ref().expect("with content") {
            Content::Status(status) if at == 0 => {
                check_status(Some(status));
            }
            Content::DeliveryTimestamp(_) if at + 1 == parts.len() => {}
            Content::Message(_) if at > 0 && at + 1 < parts.len() => {}
            other => panic!("part {at} is {other:?}"),
        }
    }
}

/// Frames of a Telemetry stream: each settings get an answer, or the stream ends with the reason.
async fn telemetry(world: &World<impl MessagingService>, caller: u8, body: &[u8]) {
    let mut codec = ProstCodec::<v2::TelemetryCommand, v2::TelemetryCommand>::default();
    let body = Full::new(bytes::Bytes::copy_from_slice(body));
    let stream = Streaming::new_request(codec.decoder(), body, None, Some(64 << 10));
    let answers = told(world.door.telemetry(with_metadata(stream, caller)).await);
    let answers: Vec<_> = answers.collect().await;
    for (at, answer) in answers.iter().enumerate() {
        match answer {
            Ok(command) => {
                check_status(command.status.as_ref());
            }
            Err(status) => {
                assert_eq!(at + 1, answers.len(), "nothing after the end");
                assert_ne!(status.code(), tonic::Code::Ok);
            }
        }
    }
}
