//! The gRPC door: the RocketMQ v2 protocol, for the official SDKs.
//!
//! One file for each call. Names and sizes are checked here and turned into the domain's types; what
//! a message does from then on is the broker's business.

mod ack;
mod admin;
mod backoff;
mod call;
mod change_invisible;
mod check;
mod dead_letter;
mod deliver;
mod endpoints;
mod intake;
mod limits;
mod outbox;
mod poll;
mod questions;
mod receive;
mod reply;
mod resource;
mod rights;
mod route;
mod send;
mod service;
mod session;
mod settings;
mod settle;
mod shape;
mod subscription;
mod telemetry;
mod wiretime;

use std::convert::Infallible;
use std::sync::Arc;
use std::time::Duration;

use http::{Request, Response};
use hyper::body::Incoming;
use litemq_domain::{Error, ErrorCode};
use litemq_protocol::v2;
use litemq_protocol::v2::admin_server::AdminServer;
use litemq_protocol::v2::messaging_service_server::{MessagingService, MessagingServiceServer};
use rustls::ServerConfig;
use tonic::Status;
use tonic::body::Body;
use tower::Service;
use tracing::debug;

use self::admin::Administration;
use self::call::Call;
pub use self::endpoints::{AddressError, AdvertisedAddress};
use self::intake::{Held, IntakeLimits, WholeMessages};
use self::limits::{
    ACK_REQUEST_BYTES_MAX, REQUEST_BYTES_MAX, REQUEST_TIME_MAX, RESPONSE_BYTES_MAX,
    SMALL_REQUEST_BYTES_MAX, TELEMETRY_BYTES_MAX,
};
use self::questions::Questions;
use self::shape::Shape;
use crate::broker::{Broker, ConnectionId, Pool};
use crate::front::accept::Listener;
use crate::front::listen::{self, Connection, Handler, PortOptions};
use crate::front::stop::Stopping;
use crate::front::unread::{Outgoing, Unread};
use crate::observe::{DoorMetrics, Metrics};

const ADMIN_PATH: &str = "/apache.rocketmq.v2.Admin/";
const MESSAGING_PATH: &str = "/apache.rocketmq.v2.MessagingService/";

/// What an operator may set.
#[derive(Debug, Clone)]
pub struct GrpcOptions {
    /// Where routes send clients; when absent, to the address they used themselves.
    pub advertise: Option<AdvertisedAddress>,
    /// Connections, and the end at a stop.
    pub port: PortOptions,
    /// How long a request may take to arrive.
    pub request_time_max: Duration,
}

impl Default for GrpcOptions {
    fn default() -> Self {
        Self { advertise: None, port: PortOptions::default(), request_time_max: REQUEST_TIME_MAX }
    }
}

/// Serves the protocol on a listener, plaintext and, with `tls`, TLS. Ends when `stopping` says so
/// and open calls have ended or had [`PortOptions::drain_max`] to do so; call
/// [`Broker::begin_shutdown`] before, so that parked receives are answered.
pub async fn serve<L: Listener>(
    broker: Arc<Broker>,
    metrics: Arc<Metrics>,
    listener: L,
    tls: Option<Arc<ServerConfig>>,
    options: GrpcOptions,
    stopping: Stopping,
) {
    let (stop, request_time_max) = (stopping.clone(), options.request_time_max);
    let door = Arc::new(Door::new(broker, metrics, options.advertise, stop));
    let connections = options.port.metrics.clone();
    let calls = Calls::new(door, connections, request_time_max);
    listen::serve(listener, tls, options.port, calls, stopping).await;
}

/// The door without its socket: every call of the protocol, as [`serve`] answers it.
pub fn calls(
    broker: Arc<Broker>,
    metrics: Arc<Metrics>,
    advertise: Option<AdvertisedAddress>,
    stopping: Stopping,
) -> impl MessagingService {
    Door::new(broker, metrics, advertise, stopping)
}

/// What all calls share.
#[derive(Debug)]
struct Door {
    broker: Arc<Broker>,
    metrics: Arc<Metrics>,
    advertise: Option<AdvertisedAddress>,
    stopping: Stopping,
    questions: Arc<Questions>,
}

impl Door {
    fn new(
        broker: Arc<Broker>,
        metrics: Arc<Metrics>,
        advertise: Option<AdvertisedAddress>,
        stopping: Stopping,
    ) -> Self {
        Self { broker, metrics, advertise, stopping, questions: Arc::default() }
    }

    /// The status of a failure, which is counted.
    fn failed(&self, call: &Call, error: &Error) -> v2::Status {
        self.metrics.error(error.code);
        debug!(client = %call.client, code = ?error.code, %error, "refused a request");
        reply::failed(error)
    }

    /// Counts what was refused before any handler saw it.
    fn count_refusal(&self, response: &Response<Body>) {
        match response.extensions().get::<Status>().map(Status::code) {
            None | Some(tonic::Code::Ok | tonic::Code::Unimplemented) => {}
            Some(tonic::Code::ResourceExhausted) => self.metrics.error(ErrorCode::Overloaded),
            Some(_) => self.metrics.error(ErrorCode::BadRequest),
        }
    }

    /// The status of an outcome.
    fn outcome<T>(&self, call: &Call, outcome: &Result<T, Error>) -> v2::Status {
        outcome.as_ref().map_or_else(|error| self.failed(call, error), |_| reply::ok())
    }
}

/// Leads each request to its service.
#[derive(Clone)]
struct Calls(Arc<Services>);

struct Services {
    door: Arc<Door>,
    messaging: MessagingServiceServer<Door>,
    admin: AdminServer<Administration>,
    request_time_max: Duration,
}

/// What one connection may take, together with others of its address.
#[derive(Debug)]
struct Peer {
    calls: Arc<Pool>,
    request_bytes: Arc<Pool>,
    answer_bytes: Arc<Pool>,
}

impl Calls {
    fn new(door: Arc<Door>, connections: DoorMetrics, request_time_max: Duration) -> Self {
        let admin = Administration::new(Arc::clone(&door), connections);
        Self(Arc::new(Services {
            // How large a request of each kind may be is checked before.
            messaging: MessagingServiceServer::from_arc(Arc::clone(&door))
                .max_decoding_message_size(REQUEST_BYTES_MAX)
                .max_encoding_message_size(RESPONSE_BYTES_MAX),
            admin: AdminServer::new(admin)
                .max_decoding_message_size(SMALL_REQUEST_BYTES_MAX)
                .max_encoding_message_size(RESPONSE_BYTES_MAX),
            request_time_max,
            door,
        }))
    }
}

/// The calls that differ in how much they may hold, and for how long.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Kind {
    Send,
    Sync,
    Ack,
    /// Waits for long; its request is small and gone by then.
    Receive,
    Telemetry,
    Other,
}

impl Kind {
    fn of(path: &str) -> Self {
        match path.strip_prefix(MESSAGING_PATH) {
            Some("SendMessage") => Self::Send,
            Some("SyncLiteSubscription") => Self::Sync,
            Some("AckMessage") => Self::Ack,
            Some("ReceiveMessage") => Self::Receive,
            Some("Telemetry") => Self::Telemetry,
            _ => Self::Other,
        }
    }

    fn limits(self, time_max: Duration) -> IntakeLimits {
        let (message_bytes_max, shape) = match self {
            Self::Send => (REQUEST_BYTES_MAX, Shape::Messages),
            Self::Sync => (REQUEST_BYTES_MAX, Shape::Names),
            Self::Ack => (ACK_REQUEST_BYTES_MAX, Shape::Entries),
            Self::Telemetry => (TELEMETRY_BYTES_MAX, Shape::Told),
            Self::Receive | Self::Other => (SMALL_REQUEST_BYTES_MAX, Shape::Small),
        };
        IntakeLimits { message_bytes_max, time_max, is_stream: self == Self::Telemetry, shape }
    }
}

impl Handler for Calls {
    type Peer = Arc<Peer>;

    fn connected(&self, connection: &Connection) -> Arc<Peer> {
        let shares = self.0.door.broker.shares();
        let address = connection.remote.ip();
        Arc::new(Peer {
            calls: shares.calls.of(address),
            request_bytes: shares.request_bytes.of(address),
            answer_bytes: shares.answer_bytes.of(address),
        })
    }

    async fn answer(
        &self,
        mut request: Request<Incoming>,
        peer: &Arc<Peer>,
        unread: &Arc<Unread>,
    ) -> Response<Body> {
        let services = &*self.0;
        let Some(call) = peer.calls.try_take(1) else {
            services.door.metrics.error(ErrorCode::Overloaded);
            return Status::resource_exhausted("too many calls are open; retry").into_http();
        };
        let kind = Kind::of(request.uri().path());
        let held = Held::of(&peer.request_bytes);
        let limits = kind.limits(services.request_time_max);
        request.extensions_mut().insert(Arc::clone(peer));
        request.extensions_mut().insert(Arc::clone(unread));
        // A poll outlives its request.
        let kept = (kind != Kind::Receive).then(|| Arc::clone(&held));
        let request = request.map(|body| WholeMessages::of(body, limits, held));
        let answered: Result<_, Infallible> = if request.uri().path().starts_with(ADMIN_PATH) {
            services.admin.clone().call(request).await
        } else {
            services.messaging.clone().call(request).await
        };
        let response = match answered {
            Ok(response) => response,
            Err(never) => match never {},
        };
        services.door.count_refusal(&response);
        let (bytes, unread) = (Arc::clone(&peer.answer_bytes), Arc::clone(unread));
        response.map(|body| {
            Body::new(match kind {
                Kind::Telemetry => Outgoing::stream(body, (call, kept), bytes, unread),
                _ => Outgoing::whole(body, (call, kept), bytes, unread),
            })
        })
    }

    fn connection_closed(&self, connection: ConnectionId) {
        self.0.door.broker.sessions().connection_closed(connection);
    }
}
