//! The gRPC door: the RocketMQ v2 protocol, for the official SDKs.
//!
//! One file for each call. Names and sizes are checked here and turned into the domain's types; what
//! a message does from then on is the broker's business.

mod ack;
mod admin;
mod admission;
mod backoff;
mod call;
mod change_invisible;
mod check;
mod dead_letter;
mod deliver;
mod endpoints;
mod limits;
mod poll;
mod receive;
mod reply;
mod resource;
mod route;
mod send;
mod service;
mod session;
mod settings;
mod settle;
mod subscription;
mod telemetry;
mod wiretime;

use std::convert::Infallible;
use std::sync::Arc;

use http::{Request, Response};
use hyper::body::Incoming;
use litemq_domain::{ClientId, Error};
use litemq_protocol::v2;
use litemq_protocol::v2::admin_server::AdminServer;
use litemq_protocol::v2::messaging_service_server::{MessagingService, MessagingServiceServer};
use rustls::ServerConfig;
use tonic::body::Body;
use tower::Service;
use tracing::debug;

use self::admin::NotServed;
use self::admission::InFlight;
use self::call::Call;
pub use self::endpoints::{AddressError, AdvertisedAddress};
use self::limits::{
    REQUEST_BYTES_IN_FLIGHT_MAX, REQUEST_BYTES_MAX, RESPONSE_BYTES_MAX, TELEMETRY_REQUEST_BYTES_MAX,
};
use crate::broker::{Broker, ConnectionId};
use crate::front::accept::Listener;
use crate::front::listen::{self, Handler, PortOptions};
use crate::front::stop::Stopping;
use crate::observe::Metrics;

const ADMIN_PATH: &str = "/apache.rocketmq.v2.Admin/";
const TELEMETRY_PATH: &str = "/apache.rocketmq.v2.MessagingService/Telemetry";

/// What an operator may set.
#[derive(Debug, Clone, Default)]
pub struct GrpcOptions {
    /// Where routes send clients; when absent, to the address they used themselves.
    pub advertise: Option<AdvertisedAddress>,
    /// Connections, and the end at a stop.
    pub port: PortOptions,
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
    let stop = stopping.clone();
    let door = Arc::new(Door { broker, metrics, advertise: options.advertise, stopping: stop });
    listen::serve(listener, tls, options.port, Calls::new(door), stopping).await;
}

/// The door without its socket: every call of the protocol, as [`serve`] answers it.
pub fn calls(
    broker: Arc<Broker>,
    metrics: Arc<Metrics>,
    advertise: Option<AdvertisedAddress>,
    stopping: Stopping,
) -> impl MessagingService {
    Door { broker, metrics, advertise, stopping }
}

/// What all calls share.
#[derive(Debug)]
struct Door {
    broker: Arc<Broker>,
    metrics: Arc<Metrics>,
    advertise: Option<AdvertisedAddress>,
    stopping: Stopping,
}

impl Door {
    /// The status of a failure, which is counted.
    fn failed(&self, call: &Call, error: &Error) -> v2::Status {
        self.failed_for(&call.client, error)
    }

    fn failed_for(&self, client: &ClientId, error: &Error) -> v2::Status {
        self.metrics.error(error.code);
        debug!(%client, code = ?error.code, %error, "refused a request");
        reply::failed(error)
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
    /// The same with a small limit: its streams stay open, so what they hold is not counted.
    telemetry: MessagingServiceServer<Door>,
    admin: AdminServer<NotServed>,
    in_flight: Arc<InFlight>,
}

impl Calls {
    fn new(door: Arc<Door>) -> Self {
        Self(Arc::new(Services {
            messaging: MessagingServiceServer::from_arc(Arc::clone(&door))
                .max_decoding_message_size(REQUEST_BYTES_MAX)
                .max_encoding_message_size(RESPONSE_BYTES_MAX),
            telemetry: MessagingServiceServer::from_arc(Arc::clone(&door))
                .max_decoding_message_size(TELEMETRY_REQUEST_BYTES_MAX)
                .max_encoding_message_size(RESPONSE_BYTES_MAX),
            admin: AdminServer::new(NotServed)
                .max_decoding_message_size(TELEMETRY_REQUEST_BYTES_MAX),
            in_flight: InFlight::new(REQUEST_BYTES_IN_FLIGHT_MAX),
            door,
        }))
    }
}

impl Handler for Calls {
    async fn answer(&self, request: Request<Incoming>) -> Response<Body> {
        let services = &*self.0;
        let path = request.uri().path();
        let answered: Result<_, Infallible> = if path == TELEMETRY_PATH {
            services.telemetry.clone().call(request).await
        } else if path.starts_with(ADMIN_PATH) {
            services.admin.clone().call(request).await
        } else {
            let (parts, body) = request.into_parts();
            let (body, held) = services.in_flight.count(body);
            let answered = services.messaging.clone().call(Request::from_parts(parts, body)).await;
            drop(held);
            answered
        };
        match answered {
            Ok(response) => response,
            Err(never) => match never {},
        }
    }

    fn connection_closed(&self, connection: ConnectionId) {
        self.0.door.broker.sessions().connection_closed(connection);
    }
}
