//! Routes, settings, heartbeats and refusals: what a client meets before its first message.

#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::indexing_slicing,
    reason = "a helper that cannot go on fails its test"
)]

mod grpc_support;

use std::sync::Arc;

use grpc_support::*;
use hyper_util::rt::TokioIo;
use litemq_protocol::v2;
use litemq_server::front::grpc::GrpcOptions;
use rustls::pki_types::pem::PemObject;
use rustls::pki_types::{CertificateDer, ServerName};
use tokio::net::TcpStream;
use tokio::sync::mpsc;
use tokio_stream::wrappers::ReceiverStream;
use tonic::Request;
use tonic::transport::{Channel, Endpoint};
use v2::admin_client::AdminClient;
use v2::settings::PubSub;
use v2::telemetry_command::Command;
use v2::{AddressScheme, ClientType, Code, TelemetryCommand};

fn consumer_settings(group: &str) -> TelemetryCommand {
    let topic = Some(resource(TOPIC));
    let subscription = v2::Subscription {
        group: Some(resource(group)),
        subscriptions: vec![v2::SubscriptionEntry { topic, expression: None }],
        ..v2::Subscription::default()
    };
    settings(ClientType::LitePushConsumer, PubSub::Subscription(subscription))
}

/// A client's Telemetry stream: what it says goes into the first, what it hears comes from the last.
async fn telemetry(
    client: &Client,
) -> (mpsc::Sender<TelemetryCommand>, tonic::Streaming<TelemetryCommand>) {
    let (say, said) = mpsc::channel(8);
    let request = client.request(ReceiverStream::new(said));
    let heard = client.grpc.clone().telemetry(request).await.unwrap().into_inner();
    (say, heard)
}

#[tokio::test]
async fn every_settings_is_answered_at_once_and_the_stream_stays_open() {
    let door = Door::open().await;
    let client = door.client("c1", "JAVA").await;
    let (say, mut heard) = telemetry(&client).await;
    for _ in 0..3 {
        say.send(consumer_settings(ORDERED)).await.unwrap();
        let answer = soon(heard.message()).await.unwrap().unwrap();
        assert_eq!(answer.status.unwrap().code(), Code::Ok);
        let Some(Command::Settings(settings)) = answer.command else { panic!("no settings") };
        let Some(PubSub::Subscription(filled)) = settings.pub_sub else { panic!("no consumer") };
        assert_eq!(filled.fifo, Some(true));
        assert_eq!(filled.lite_subscription_quota, Some(100));
        assert_eq!(filled.group.unwrap().name, ORDERED);
    }
    drop(say);
    assert!(soon(heard.message()).await.unwrap().is_none(), "half-close ends the stream with OK");
}

#[tokio::test]
async fn refused_settings_end_the_stream_with_the_clients_fault() {
    let door = Door::open().await;
    let client = door.client("c1", "JAVA").await;
    let (say, mut heard) = telemetry(&client).await;
    say.send(consumer_settings("no-such-group")).await.unwrap();
    let status = soon(heard.message()).await.unwrap_err();
    assert_eq!(status.code(), tonic::Code::InvalidArgument);
    assert!(status.message().contains("no-such-group"), "{status:?}");
    assert!(status.message().contains("40003"), "{status:?}");
}

#[tokio::test]
async fn a_stop_ends_telemetry_with_ok() {
    let door = Door::open().await;
    let client = door.client("c1", "JAVA").await;
    let (say, mut heard) = telemetry(&client).await;
    say.send(consumer_settings(ORDERED)).await.unwrap();
    soon(heard.message()).await.unwrap().unwrap();
    soon(door.stop()).await;
    assert!(soon(heard.message()).await.unwrap().is_none());
}

fn producer_settings() -> TelemetryCommand {
    let publishing = v2::Publishing { topics: vec![resource(TOPIC)], ..v2::Publishing::default() };
    settings(ClientType::Producer, PubSub::Publishing(publishing))
}

#[tokio::test]
async fn a_lite_consumer_is_told_that_its_subscription_ended_and_no_other_client_is() {
    let door = Door::open().await;
    let (lite, other) = (door.client("c1", "JAVA").await, door.client("c2", "GO").await);
    let (say_lite, mut lite_hears) = telemetry(&lite).await;
    let (say_other, mut other_hears) = telemetry(&other).await;
    say_lite.send(consumer_settings(ORDERED)).await.unwrap();
    say_other.send(producer_settings()).await.unwrap();
    for heard in [&mut lite_hears, &mut other_hears] {
        let answer = soon(heard.message()).await.unwrap().unwrap();
        assert!(matches!(answer.command, Some(Command::Settings(_))), "{answer:?}");
    }
    lite.subscribe(ORDERED, &["a", "b"]).await;
    other.subscribe(ORDERED, &["a"]).await;
    lite.send(vec![message("a", "1")]).await;
    door.broker.delete_lite(TOPIC, "a").await.unwrap();
    let told = soon(lite_hears.message()).await.unwrap().unwrap();
    assert_eq!(told.status.as_ref().map(v2::Status::code), Some(Code::Ok));
    let Some(Command::NotifyUnsubscribeLiteCommand(notice)) = told.command else {
        panic!("{told:?}")
    };
    assert_eq!(notice.lite_topic, "a");
    // A Go producer would die of it.
    say_other.send(producer_settings()).await.unwrap();
    let next = soon(other_hears.message()).await.unwrap().unwrap();
    assert!(matches!(next.command, Some(Command::Settings(_))), "{next:?}");
}

async fn route(
    client: &Client,
    topic: &str,
    used: Option<v2::Endpoints>,
) -> v2::QueryRouteResponse {
    let request = v2::QueryRouteRequest { topic: Some(resource(topic)), endpoints: used };
    client.grpc.clone().query_route(client.request(request)).await.unwrap().into_inner()
}

fn home(response: &v2::QueryRouteResponse) -> &v2::Endpoints {
    response.message_queues[0].broker.as_ref().unwrap().endpoints.as_ref().unwrap()
}

#[tokio::test]
async fn a_route_leads_to_the_address_that_the_client_used() {
    let door = Door::open().await;
    let client = door.client("c1", "JAVA").await;
    let used = v2::Endpoints {
        scheme: AddressScheme::DomainName.into(),
        addresses: vec![v2::Address { host: "mq.example".to_owned(), port: 18081 }],
    };
    let found = route(&client, TOPIC, Some(used.clone())).await;
    assert_eq!(found.status.as_ref().unwrap().code(), Code::Ok);
    assert_eq!(found.message_queues.len(), 1);
    assert_eq!(*home(&found), used);

    let found = route(&client, TOPIC, None).await;
    assert_eq!(home(&found).scheme(), AddressScheme::IPv4);
    assert_eq!(home(&found).addresses[0].port, i32::from(door.address.port()));
}

#[tokio::test]
async fn an_advertised_address_beats_the_one_that_the_client_used() {
    let advertise = Some("public.example:443".parse().unwrap());
    let door = Door::open_with(GrpcOptions { advertise, ..GrpcOptions::default() }).await;
    let found = route(&door.client("c1", "JAVA").await, TOPIC, None).await;
    assert_eq!(home(&found).addresses[0].host, "public.example");
}

#[tokio::test]
async fn an_unknown_topic_has_no_route_and_an_illegal_name_is_told_apart() {
    let door = Door::open().await;
    let client = door.client("c1", "HTTP").await;
    let status = route(&client, "nowhere", None).await.status.unwrap();
    assert_eq!(status.code(), Code::TopicNotFound);
    assert!(
        status
            .message
            .contains("CODE: 17  DESC: No topic route info in name server for the topic: nowhere")
    );
    for illegal in ["", "a b", "a/b"] {
        let status = route(&client, illegal, None).await.status.unwrap();
        assert_eq!(status.code(), Code::IllegalTopic, "{illegal:?}");
    }
}

#[tokio::test]
async fn an_assignment_is_one_queue_for_any_group() {
    let door = Door::open().await;
    let client = door.client("c1", "GO").await;
    for group in [ORDERED, "not-there-yet"] {
        let request = client.request(v2::QueryAssignmentRequest {
            topic: Some(resource(TOPIC)),
            group: Some(resource(group)),
            endpoints: None,
        });
        let found = client.grpc.clone().query_assignment(request).await.unwrap().into_inner();
        assert_eq!(found.status.unwrap().code(), Code::Ok);
        assert_eq!(found.assignments.len(), 1);
    }
}

#[tokio::test]
async fn a_namespace_is_part_of_the_name_inside_and_not_outside() {
    let door = Door::open().await;
    let name = litemq_domain::TopicName::new("tenant%chats").unwrap();
    let topic =
        litemq_server::broker::NewTopic { name, options: litemq_domain::TopicOptions::default() };
    door.broker.create_topic(topic).await.unwrap();
    let client = door.client("c1", "HTTP").await;
    let mut request =
        client.request(v2::QueryRouteRequest { topic: Some(resource("chats")), endpoints: None });
    request.metadata_mut().insert("x-mq-namespace", "tenant".parse().unwrap());
    let found = client.grpc.clone().query_route(request).await.unwrap().into_inner();
    assert_eq!(found.message_queues[0].topic.as_ref().unwrap().name, "chats");
    assert_eq!(route(&client, "chats", None).await.status.unwrap().code(), Code::TopicNotFound);
}

#[tokio::test]
async fn a_heartbeat_is_ok_even_from_nobody() {
    let door = Door::open().await;
    let mut grpc = door.client("c1", "GO").await.grpc;
    let response = grpc.heartbeat(Request::new(v2::HeartbeatRequest::default())).await.unwrap();
    assert_eq!(response.into_inner().status.unwrap().code(), Code::Ok);
}

#[tokio::test]
async fn a_termination_is_ok_without_group_settings_or_client() {
    let door = Door::open().await;
    let client = door.client("c1", "GO").await;
    let no_group = || v2::NotifyClientTerminationRequest { group: None };
    let empty_group = v2::NotifyClientTerminationRequest { group: Some(resource("")) };
    for request in
        [client.request(no_group()), client.request(empty_group), Request::new(no_group())]
    {
        let response = client.grpc.clone().notify_client_termination(request).await.unwrap();
        assert_eq!(response.into_inner().status.unwrap().code(), Code::Ok);
    }
}

#[tokio::test]
async fn calls_without_a_client_id_are_refused_in_the_reply() {
    let door = Door::open().await;
    let mut grpc = door.client("c1", "GO").await.grpc;
    let send = grpc.send_message(Request::new(v2::SendMessageRequest::default())).await.unwrap();
    assert_eq!(send.into_inner().status.unwrap().code(), Code::ClientIdRequired);
    let ack = grpc.ack_message(Request::new(v2::AckMessageRequest::default())).await.unwrap();
    assert_eq!(ack.into_inner().status.unwrap().code(), Code::ClientIdRequired);
    let said = tokio_stream::iter([consumer_settings(ORDERED)]);
    let status = grpc.telemetry(Request::new(said)).await.unwrap_err();
    assert_eq!(status.code(), tonic::Code::InvalidArgument);
}

#[tokio::test]
async fn a_receive_tells_what_is_wrong_with_it() {
    let door = Door::open().await;
    let client = door.client("c1", "JAVA").await;
    let with = |change: fn(&mut v2::ReceiveMessageRequest)| {
        let mut request = receive_request(ORDERED, 1, 0);
        change(&mut request);
        request
    };
    for (request, code) in [
        (with(|r| r.group = Some(resource("nobody"))), Code::ConsumerGroupNotFound),
        (with(|r| r.group = None), Code::IllegalConsumerGroup),
        (with(|r| r.message_queue = None), Code::IllegalTopic),
        (with(|r| r.auto_renew = false), Code::IllegalInvisibleTime),
        (
            with(|r| {
                let filter = v2::FilterExpression { expression: "||".to_owned(), r#type: 1 };
                r.filter_expression = Some(filter);
            }),
            Code::IllegalFilterExpression,
        ),
        (
            with(|r| {
                r.long_polling_timeout = Some(prost_types::Duration { seconds: -1, nanos: 0 });
            }),
            Code::IllegalPollingTime,
        ),
        (with(|_| ()), Code::MessageNotFound),
    ] {
        let received = client.receive_as(request).await;
        assert_eq!(received.status.code(), code, "{:?}", received.status);
        assert_eq!(received.parts, "st");
    }
}

#[tokio::test]
async fn what_is_not_served_is_said_and_never_hangs() {
    let door = Door::open().await;
    let mut grpc = door.client("c1", "JAVA").await.grpc;
    let told = |status: Option<v2::Status>| {
        assert_eq!(status.unwrap().code(), Code::NotImplemented);
    };
    told(
        grpc.end_transaction(v2::EndTransactionRequest::default())
            .await
            .unwrap()
            .into_inner()
            .status,
    );
    told(
        grpc.recall_message(v2::RecallMessageRequest::default()).await.unwrap().into_inner().status,
    );
    told(grpc.update_offset(v2::UpdateOffsetRequest::default()).await.unwrap().into_inner().status);
    told(grpc.get_offset(v2::GetOffsetRequest::default()).await.unwrap().into_inner().status);
    told(grpc.query_offset(v2::QueryOffsetRequest::default()).await.unwrap().into_inner().status);
    let pulled = grpc.pull_message(v2::PullMessageRequest::default()).await.unwrap();
    let mut pulled = pulled.into_inner();
    match pulled.message().await.unwrap().unwrap().content {
        Some(v2::pull_message_response::Content::Status(status)) => told(Some(status)),
        other => panic!("{other:?}"),
    }
    assert!(pulled.message().await.unwrap().is_none());

    let mut admin = AdminClient::new(door.channel().await);
    let spans = admin.query_time_span(v2::QueryTimeSpanRequest::default()).await;
    told(spans.unwrap().into_inner().status);
}

async fn tls_channel(door: &Door) -> Channel {
    let mut trusted = rustls::RootCertStore::empty();
    trusted.add(CertificateDer::from_pem_slice(&door.certificate).unwrap()).unwrap();
    let ring = Arc::new(rustls::crypto::ring::default_provider());
    let mut config = rustls::ClientConfig::builder_with_provider(ring)
        .with_safe_default_protocol_versions()
        .unwrap()
        .with_root_certificates(trusted)
        .with_no_client_auth();
    config.alpn_protocols = vec![b"h2".to_vec()];
    let connector = tokio_rustls::TlsConnector::from(Arc::new(config));
    let address = door.address;
    let connect = tower::service_fn(move |_: http::Uri| {
        let connector = connector.clone();
        async move {
            let name = ServerName::try_from("localhost").unwrap();
            let stream = connector.connect(name, TcpStream::connect(address).await?).await?;
            Ok::<_, std::io::Error>(TokioIo::new(stream))
        }
    });
    let endpoint = Endpoint::from_shared(format!("http://{address}")).unwrap();
    endpoint.connect_with_connector(connect).await.unwrap()
}

#[tokio::test]
async fn sdks_with_and_without_tls_meet_on_one_port() {
    let door = Door::open().await;
    let java = Client::new(tls_channel(&door).await, "java", "JAVA");
    let python = door.client("python", "PYTHON").await;
    python.subscribe(UNORDERED, &["s1"]).await;
    java.send(vec![message("s1", "from java")]).await;
    assert_eq!(python.receive(UNORDERED, 1, 5).await.bodies(), [b"from java"]);
}
