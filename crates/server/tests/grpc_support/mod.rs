//! A broker in memory behind the gRPC door, and clients of it.

#![allow(dead_code, unreachable_pub, reason = "each test file uses its part")]

use std::net::{Ipv4Addr, SocketAddr};
use std::sync::Arc;
use std::time::Duration;

use bytes::Bytes;
use litemq_domain::access::Secret;
use litemq_domain::{GroupName, GroupOptions, TopicName, TopicOptions};
use litemq_protocol::v2;
use litemq_server::access::signature::{SCHEME, mac};
use litemq_server::broker::{Broker, BrokerOptions, NewGroup, NewTopic};
use litemq_server::front::grpc::{GrpcOptions, serve};
use litemq_server::front::stop::{StopSwitch, stop_switch};
use litemq_server::front::tls::{CertificateSource, server_config};
use litemq_server::observe::Metrics;
use litemq_storage::MemoryStore;
use tokio::net::TcpListener;
use tokio::task::JoinHandle;
use tonic::Request;
use tonic::transport::{Channel, Endpoint};
use v2::admin_client::AdminClient;
use v2::messaging_service_client::MessagingServiceClient;
use v2::receive_message_response::Content;
use v2::settings::PubSub;
use v2::telemetry_command::Command;
use v2::{
    ClientType, LiteSubscriptionAction, Message, MessageType, Resource, Settings, SystemProperties,
    TelemetryCommand,
};

/// The parent topic of every test.
pub const TOPIC: &str = "orders";
/// An ordered group bound to it.
pub const ORDERED: &str = "ordered-workers";
/// A group without order bound to it.
pub const UNORDERED: &str = "workers";

/// What signing clients sign.
pub const DATE: &str = "20260102T030405Z";

/// A served door.
pub struct Door {
    pub address: SocketAddr,
    pub broker: Arc<Broker>,
    pub store: Arc<MemoryStore>,
    pub certificate: Vec<u8>,
    switch: StopSwitch,
    serving: JoinHandle<()>,
}

impl Door {
    pub async fn open() -> Self {
        Self::open_with(GrpcOptions::default()).await
    }

    pub async fn open_with(options: GrpcOptions) -> Self {
        Self::open_over(BrokerOptions::default(), options).await
    }

    pub async fn open_over(of_broker: BrokerOptions, options: GrpcOptions) -> Self {
        Self::open_store(Arc::new(MemoryStore::new()), of_broker, options).await
    }

    /// A door on this address.
    pub async fn open_on(listen: SocketAddr) -> Self {
        let store = Arc::new(MemoryStore::new());
        Self::start(store, BrokerOptions::default(), GrpcOptions::default(), listen).await
    }

    /// A door over what another one has stored.
    pub async fn open_store(
        store: Arc<MemoryStore>,
        of_broker: BrokerOptions,
        options: GrpcOptions,
    ) -> Self {
        Self::start(store, of_broker, options, (Ipv4Addr::LOCALHOST, 0).into()).await
    }

    async fn start(
        store: Arc<MemoryStore>,
        of_broker: BrokerOptions,
        options: GrpcOptions,
        listen: SocketAddr,
    ) -> Self {
        let metrics = Arc::new(Metrics::new());
        let broker = Broker::open(store.clone(), of_broker, metrics.clone()).await.unwrap();
        let bind = TopicName::new(TOPIC).unwrap();
        broker
            .create_topic(NewTopic { name: bind.clone(), options: TopicOptions::default() })
            .await
            .unwrap();
        for (name, ordered) in [(ORDERED, true), (UNORDERED, false)] {
            let group = NewGroup {
                name: GroupName::new(name).unwrap(),
                bind: bind.clone(),
                options: GroupOptions {
                    ordered,
                    client_quota: Some(100),
                    ..GroupOptions::default()
                },
            };
            broker.create_group(group).await.unwrap();
        }

        let folder = tempfile::tempdir().unwrap();
        let source = CertificateSource::SelfSigned { folder: folder.path().into(), hosts: vec![] };
        let tls = server_config(&source).unwrap();
        let certificate = std::fs::read(folder.path().join("cert.pem")).unwrap();
        let listener = TcpListener::bind(listen).await.unwrap();
        let address = listener.local_addr().unwrap();
        let (switch, stopping) = stop_switch();
        let serving =
            tokio::spawn(serve(broker.clone(), metrics, listener, Some(tls), options, stopping));
        Self { address, broker, store, certificate, switch, serving }
    }

    pub async fn channel(&self) -> Channel {
        Endpoint::from_shared(format!("http://{}", self.address)).unwrap().connect().await.unwrap()
    }

    /// A client on a connection of its own that says it is written in `language`.
    pub async fn client(&self, id: &str, language: &'static str) -> Client {
        Client::new(self.channel().await, id, language)
    }

    /// Stops as the binary does.
    pub async fn stop(self) {
        self.broker.begin_shutdown();
        self.switch.stop();
        self.serving.await.unwrap();
    }
}

/// One client.
#[derive(Clone)]
pub struct Client {
    pub grpc: MessagingServiceClient<Channel>,
    pub admin: AdminClient<Channel>,
    id: String,
    language: &'static str,
    authorization: Option<String>,
}

impl Client {
    pub fn new(channel: Channel, id: &str, language: &'static str) -> Self {
        let admin = AdminClient::new(channel.clone());
        let grpc = MessagingServiceClient::new(channel)
            .max_decoding_message_size(16 << 20)
            .max_encoding_message_size(64 << 20);
        Self { grpc, admin, id: id.to_owned(), language, authorization: None }
    }

    /// The same client with these credentials, signing as the SDKs do.
    pub fn signing(self, user: &str, secret: &str) -> Self {
        let mac = mac(&Secret::new(secret).unwrap(), DATE.as_bytes());
        let hex: String = mac.iter().map(|byte| format!("{byte:02x}")).collect();
        let authorization =
            format!("{SCHEME} Credential={user}, SignedHeaders=x-mq-date-time, Signature={hex}");
        self.authorized_by(&authorization)
    }

    /// The same client with this header.
    pub fn authorized_by(self, authorization: &str) -> Self {
        Self { authorization: Some(authorization.to_owned()), ..self }
    }

    /// A request with this client's metadata.
    pub fn request<T>(&self, message: T) -> Request<T> {
        let mut request = Request::new(message);
        request.metadata_mut().insert("x-mq-client-id", self.id.parse().unwrap());
        request.metadata_mut().insert("x-mq-language", self.language.parse().unwrap());
        if let Some(authorization) = &self.authorization {
            request.metadata_mut().insert("authorization", authorization.parse().unwrap());
            request.metadata_mut().insert("x-mq-date-time", DATE.parse().unwrap());
        }
        request
    }

    pub async fn send(&self, messages: Vec<Message>) -> v2::SendMessageResponse {
        let request = self.request(v2::SendMessageRequest { messages });
        self.grpc.clone().send_message(request).await.unwrap().into_inner()
    }

    pub async fn sync(
        &self,
        action: LiteSubscriptionAction,
        group: &str,
        names: &[&str],
    ) -> v2::Status {
        let request = self.request(v2::SyncLiteSubscriptionRequest {
            action: action.into(),
            topic: Some(resource(TOPIC)),
            group: Some(resource(group)),
            lite_topic_set: names.iter().map(|name| (*name).to_owned()).collect(),
            ..v2::SyncLiteSubscriptionRequest::default()
        });
        let response = self.grpc.clone().sync_lite_subscription(request).await.unwrap();
        response.into_inner().status.unwrap()
    }

    pub async fn subscribe(&self, group: &str, names: &[&str]) {
        let status = self.sync(LiteSubscriptionAction::PartialAdd, group, names).await;
        assert_eq!(status.code(), v2::Code::Ok, "{status:?}");
    }

    /// Receives with automatic renewal, waiting for up to so many seconds.
    pub async fn receive(&self, group: &str, batch: i32, wait_s: i64) -> Received {
        self.receive_as(receive_request(group, batch, wait_s)).await
    }

    pub async fn receive_as(&self, request: v2::ReceiveMessageRequest) -> Received {
        let request = self.request(request);
        let mut stream = self.grpc.clone().receive_message(request).await.unwrap().into_inner();
        let mut received = Received::default();
        while let Some(part) = stream.message().await.unwrap() {
            received.add(part.content.unwrap());
        }
        received
    }

    pub async fn ack(&self, group: &str, message: &Message) -> v2::AckMessageResponse {
        self.ack_handle(group, handle(message), None).await
    }

    pub async fn ack_handle(
        &self,
        group: &str,
        receipt_handle: &str,
        lite_topic: Option<&str>,
    ) -> v2::AckMessageResponse {
        let request = self.request(v2::AckMessageRequest {
            group: Some(resource(group)),
            topic: Some(resource(TOPIC)),
            entries: vec![v2::AckMessageEntry {
                message_id: "any".to_owned(),
                receipt_handle: receipt_handle.to_owned(),
                lite_topic: lite_topic.map(str::to_owned),
            }],
        });
        self.grpc.clone().ack_message(request).await.unwrap().into_inner()
    }
}

/// The parts of an answer to a receive.
#[derive(Debug, Default)]
pub struct Received {
    /// Which parts came, in order: `s`tatus, `m`essage, `t`imestamp.
    pub parts: String,
    pub status: v2::Status,
    pub messages: Vec<Message>,
}

impl Received {
    fn add(&mut self, content: Content) {
        match content {
            Content::Status(status) => {
                self.parts.push('s');
                self.status = status;
            }
            Content::Message(message) => {
                self.parts.push('m');
                self.messages.push(message);
            }
            Content::DeliveryTimestamp(_) => self.parts.push('t'),
        }
    }

    pub fn bodies(&self) -> Vec<&[u8]> {
        self.messages.iter().map(|message| message.body.as_ref()).collect()
    }
}

pub fn receive_request(group: &str, batch: i32, wait_s: i64) -> v2::ReceiveMessageRequest {
    v2::ReceiveMessageRequest {
        group: Some(resource(group)),
        message_queue: Some(v2::MessageQueue {
            topic: Some(resource(TOPIC)),
            ..v2::MessageQueue::default()
        }),
        batch_size: batch,
        auto_renew: true,
        long_polling_timeout: Some(prost_types::Duration { seconds: wait_s, nanos: 0 }),
        ..v2::ReceiveMessageRequest::default()
    }
}

/// What a client says of itself on its Telemetry stream.
pub fn settings(client_type: ClientType, role: PubSub) -> TelemetryCommand {
    let settings = Settings {
        client_type: Some(client_type.into()),
        pub_sub: Some(role),
        ..Settings::default()
    };
    TelemetryCommand { command: Some(Command::Settings(settings)), status: None }
}

pub fn resource(name: &str) -> Resource {
    Resource { name: name.to_owned(), ..Resource::default() }
}

/// A message to a lite topic of [`TOPIC`]; its id is made of both texts.
pub fn message(lite_topic: &str, body: &str) -> Message {
    let mut message = message_of(lite_topic, Bytes::copy_from_slice(body.as_bytes()));
    message.system_properties.as_mut().unwrap().message_id = format!("{lite_topic}-{body}");
    message
}

pub fn message_of(lite_topic: &str, body: Bytes) -> Message {
    Message {
        topic: Some(resource(TOPIC)),
        system_properties: Some(SystemProperties {
            message_id: format!("{lite_topic}-{}", body.len()),
            message_type: MessageType::Lite.into(),
            lite_topic: Some(lite_topic.to_owned()),
            ..SystemProperties::default()
        }),
        body,
        ..Message::default()
    }
}

pub fn handle(message: &Message) -> &str {
    message.system_properties.as_ref().unwrap().receipt_handle()
}

pub fn lite_topic(message: &Message) -> &str {
    message.system_properties.as_ref().unwrap().lite_topic()
}

pub fn attempt(message: &Message) -> i32 {
    message.system_properties.as_ref().unwrap().delivery_attempt()
}

/// For what should come soon; a test that needs it all has failed.
pub async fn soon<F: Future>(what: F) -> F::Output {
    tokio::time::timeout(Duration::from_secs(10), what).await.expect("too slow")
}
