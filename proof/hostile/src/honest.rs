//! The honest client: it sends, receives and acks at a steady rate whatever others do, and measures.

use std::collections::HashMap;
use std::net::SocketAddr;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::sync::{Arc, Mutex};
use std::thread::JoinHandle;
use std::time::{Duration, Instant};

use litemq_protocol::v2;
use tonic::Request;
use tonic::transport::{Channel, Endpoint};
use v2::LiteSubscriptionAction::PartialAdd;
use v2::messaging_service_client::MessagingServiceClient;
use v2::receive_message_response::Content;

use crate::http::get;
use crate::latency::Sample;
use crate::letters::{HONEST, ack_request, message, receive_request, sync_request};

const SEND_INTERVAL: Duration = Duration::from_millis(5);
const PROBE_INTERVAL: Duration = Duration::from_millis(250);
/// A call that takes longer has failed.
const CALL_MAX: Duration = Duration::from_secs(5);
const LITE_TOPICS: u64 = 8;
const BODY: usize = 1024;

/// An honest client on a thread of its own.
#[derive(Debug)]
pub(crate) struct Honest {
    seen: Arc<Seen>,
    thread: Option<JoinHandle<()>>,
}

#[derive(Debug, Default)]
struct Seen {
    samples: Mutex<Vec<Sample>>,
    under_way: Mutex<HashMap<String, Instant>>,
    failures: Mutex<Vec<String>>,
    sent: AtomicU64,
    is_over: AtomicBool,
}

impl Seen {
    fn fail(&self, failure: impl Into<String>) {
        self.failures.lock().unwrap().push(failure.into());
    }

    fn goes_on(&self) -> bool {
        !self.is_over.load(Ordering::Relaxed)
    }
}

impl Honest {
    pub(crate) fn start(grpc: SocketAddr, http: SocketAddr) -> Self {
        let seen = Arc::new(Seen::default());
        let thread = std::thread::spawn({
            let seen = Arc::clone(&seen);
            move || {
                let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build();
                runtime.unwrap().block_on(live(grpc, http, seen));
            }
        });
        Self { seen, thread: Some(thread) }
    }

    /// Everything measured so far.
    pub(crate) fn samples(&self) -> Vec<Sample> {
        self.seen.samples.lock().unwrap().clone()
    }

    /// What failed since the last call.
    pub(crate) fn take_failures(&self) -> Vec<String> {
        std::mem::take(&mut *self.seen.failures.lock().unwrap())
    }

    pub(crate) fn sent(&self) -> u64 {
        self.seen.sent.load(Ordering::Relaxed)
    }

    /// Stops sending and waits until everything is delivered.
    pub(crate) fn finish(mut self) -> Result<u64, String> {
        self.seen.is_over.store(true, Ordering::Relaxed);
        if let Some(thread) = self.thread.take() {
            thread.join().map_err(|_| "the honest client broke down".to_owned())?;
        }
        let left = self.seen.under_way.lock().unwrap().len();
        match (left, self.take_failures().first()) {
            (0, None) => Ok(self.sent()),
            (0, Some(failure)) => Err(failure.clone()),
            _ => Err(format!("{left} messages of the honest client were never delivered")),
        }
    }
}

type Grpc = MessagingServiceClient<Channel>;

async fn live(grpc: SocketAddr, http: SocketAddr, seen: Arc<Seen>) {
    let endpoint = Endpoint::from_shared(format!("http://{grpc}")).unwrap();
    let mut grpc = MessagingServiceClient::new(endpoint.connect().await.unwrap());
    let names = (0..LITE_TOPICS).map(lite_topic).collect();
    let subscribed = grpc.sync_lite_subscription(ours(sync_request(HONEST, PartialAdd, names)));
    let status = subscribed.await.unwrap().into_inner().status.unwrap_or_default();
    assert_eq!(status.code(), v2::Code::Ok, "{status:?}");
    let consuming = tokio::spawn(consume(grpc.clone(), Arc::clone(&seen)));
    let probing = tokio::spawn(probe(http, Arc::clone(&seen)));
    produce(grpc, &seen).await;
    probing.await.unwrap();
    let drained = tokio::time::timeout(CALL_MAX * 2, async {
        while !seen.under_way.lock().unwrap().is_empty() {
            tokio::time::sleep(SEND_INTERVAL).await;
        }
    });
    drop(drained.await);
    consuming.abort();
}

/// Sends on time, whether or not the sends before were answered: a stall delays all that fall into it.
async fn produce(grpc: Grpc, seen: &Arc<Seen>) {
    let mut ticks = tokio::time::interval(SEND_INTERVAL);
    let mut n = 0;
    while seen.goes_on() {
        let at = ticks.tick().await.into_std();
        n += 1;
        let id = format!("honest-{n}");
        let message = message(&lite_topic(n % LITE_TOPICS), &id, vec![b'h'; BODY]);
        seen.under_way.lock().unwrap().insert(id.clone(), at);
        seen.sent.fetch_add(1, Ordering::Relaxed);
        let (mut grpc, seen) = (grpc.clone(), Arc::clone(seen));
        tokio::spawn(async move {
            let call = grpc.send_message(ours(v2::SendMessageRequest { messages: vec![message] }));
            let refused = match tokio::time::timeout(CALL_MAX, call).await {
                Ok(Ok(answer)) => refusal(answer.into_inner().status),
                Ok(Err(status)) => Some(status.to_string()),
                Err(_) => Some(format!("no answer in {CALL_MAX:?}")),
            };
            if let Some(refused) = refused {
                seen.under_way.lock().unwrap().remove(&id);
                seen.fail(format!("a send failed: {refused}"));
            }
        });
    }
}

async fn consume(mut grpc: Grpc, seen: Arc<Seen>) {
    loop {
        match receive(&mut grpc, &seen).await {
            Ok(handles) if handles.is_empty() => {}
            Ok(handles) => {
                let (mut grpc, seen) = (grpc.clone(), Arc::clone(&seen));
                tokio::spawn(async move {
                    if let Err(failure) = ack(&mut grpc, handles).await {
                        seen.fail(format!("an ack failed: {failure}"));
                    }
                });
            }
            Err(failure) => {
                seen.fail(format!("a receive failed: {failure}"));
                tokio::time::sleep(PROBE_INTERVAL).await;
            }
        }
    }
}

async fn receive(grpc: &mut Grpc, seen: &Seen) -> Result<Vec<String>, String> {
    let told = |status: tonic::Status| status.to_string();
    let request = ours(receive_request(HONEST, 5));
    let mut answer = grpc.receive_message(request).await.map_err(told)?.into_inner();
    let mut handles = Vec::new();
    while let Some(part) = answer.message().await.map_err(told)? {
        match part.content {
            Some(Content::Message(message)) => {
                let system = message.system_properties.unwrap_or_default();
                if let Some(at) = seen.under_way.lock().unwrap().remove(&system.message_id) {
                    seen.samples.lock().unwrap().push(Sample { at, took: at.elapsed() });
                }
                handles.extend(system.receipt_handle);
            }
            Some(Content::Status(status)) if status.code() != v2::Code::MessageNotFound => {
                refusal(Some(status)).map_or(Ok(()), Err)?;
            }
            _ => {}
        }
    }
    Ok(handles)
}

async fn ack(grpc: &mut Grpc, handles: Vec<String>) -> Result<(), String> {
    let answer = grpc.ack_message(ours(ack_request(HONEST, handles))).await;
    let answer = answer.map_err(|status| status.to_string())?.into_inner();
    refusal(answer.status).map_or(Ok(()), Err)
}

/// What keeps a container alive: the readiness of the HTTP door, on a connection of its own.
async fn probe(http: SocketAddr, seen: Arc<Seen>) {
    while seen.goes_on() {
        match tokio::time::timeout(CALL_MAX, get(http, "/readyz")).await {
            Ok(Ok(answer)) if answer.starts_with("HTTP/1.1 200") => {}
            Ok(Ok(answer)) => seen.fail(format!("a probe was answered {answer}")),
            Ok(Err(error)) => seen.fail(format!("a probe failed: {error}")),
            Err(_) => seen.fail(format!("a probe had no answer in {CALL_MAX:?}")),
        }
        tokio::time::sleep(PROBE_INTERVAL).await;
    }
}

fn refusal(status: Option<v2::Status>) -> Option<String> {
    let status = status.unwrap_or_default();
    (status.code() != v2::Code::Ok).then(|| format!("{:?} {}", status.code(), status.message))
}

fn lite_topic(n: u64) -> String {
    format!("honest-{n}")
}

fn ours<T>(message: T) -> Request<T> {
    let mut request = Request::new(message);
    request.metadata_mut().insert("x-mq-client-id", "honest@1@1@1".parse().unwrap());
    request.metadata_mut().insert("x-mq-language", "JAVA".parse().unwrap());
    request
}
