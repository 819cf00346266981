//! What clients share, and what one that takes too much is told.

#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::indexing_slicing,
    reason = "a helper that cannot go on fails its test"
)]

mod grpc_support;

use std::sync::Arc;
use std::time::Duration;

use bytes::Bytes;
use grpc_support::*;
use http::Request;
use litemq_protocol::v2;
use litemq_server::broker::BrokerOptions;
use litemq_server::front::grpc::GrpcOptions;
use litemq_server::front::listen::PortOptions;
use prost::Message as _;
use tokio::net::TcpStream;
use tokio::sync::mpsc;
use tokio_stream::wrappers::ReceiverStream;
use tonic::transport::Endpoint;
use v2::settings::PubSub;
use v2::{ClientType, Code, TelemetryCommand};

async fn door(of_broker: BrokerOptions) -> Door {
    Door::open_over(of_broker, GrpcOptions::default()).await
}

/// A call by hand: its status, once these bytes of its body came and no more.
async fn unfinished_call(door: &Door, method: &str, body: &[u8]) -> String {
    let stream = TcpStream::connect(door.address).await.unwrap();
    let (client, connection) = h2::client::handshake(stream).await.unwrap();
    tokio::spawn(connection);
    let request =
        Request::post(format!("http://localhost/apache.rocketmq.v2.MessagingService/{method}"))
            .header("content-type", "application/grpc")
            .header("te", "trailers")
            .header("x-mq-client-id", "c1")
            .body(())
            .unwrap();
    let (response, mut sending) =
        client.ready().await.unwrap().send_request(request, false).unwrap();
    sending.send_data(Bytes::copy_from_slice(body), false).unwrap();
    let response = response.await.unwrap();
    response.headers()["grpc-status"].to_str().unwrap().to_owned()
}

/// A producer's settings with so many topics of 100 bytes.
fn settings_of_topics(count: usize) -> TelemetryCommand {
    let publishing = v2::Publishing {
        topics: (0..count).map(|n| resource(&format!("{n:0>100}"))).collect(),
        ..v2::Publishing::default()
    };
    settings(ClientType::Producer, PubSub::Publishing(publishing))
}

/// Time is paused: it jumps ahead as soon as nothing but time can happen.
#[tokio::test(start_paused = true)]
async fn a_request_that_does_not_arrive_is_given_up_after_its_time() {
    let door = door(BrokerOptions::default()).await;
    let deadline_exceeded = (tonic::Code::DeadlineExceeded as i32).to_string();
    // Nothing, a part of the declaration, and 4 MiB that do not follow it.
    for body in [&[][..], &[0, 0], &[0, 0, 0x40, 0, 0, 1, 2, 3]] {
        let started = tokio::time::Instant::now();
        assert_eq!(unfinished_call(&door, "SendMessage", body).await, deadline_exceeded);
        let took = started.elapsed();
        assert!(took >= Duration::from_secs(30) && took < Duration::from_secs(40), "{took:?}");
    }
    assert_eq!(door.broker.shares().request_bytes.pool().used(), 0);
    assert_eq!(door.broker.shares().calls.pool().used(), 0);
}

#[tokio::test]
async fn a_declaration_beyond_the_limit_of_its_call_is_refused_at_once() {
    let door = door(BrokerOptions::default()).await;
    let out_of_range = (tonic::Code::OutOfRange as i32).to_string();
    for (method, bytes) in
        [("SendMessage", 1u32 << 30), ("QueryRoute", 65 << 10), ("AckMessage", 3 << 20)]
    {
        let declared = [&[0][..], &bytes.to_be_bytes()].concat();
        assert_eq!(unfinished_call(&door, method, &declared).await, out_of_range, "{method}");
    }
}

#[tokio::test]
async fn a_request_that_is_small_on_the_wire_and_huge_in_memory_is_refused_undecoded() {
    let door =
        door(BrokerOptions { in_flight_bytes_max: 64 << 20, ..BrokerOptions::default() }).await;
    let out_of_range = (tonic::Code::OutOfRange as i32).to_string();
    // 100,000 empty messages: 200 kB, and a hundred megabytes once decoded.
    let empties = [0x0a, 0].repeat(100_000);
    let body = [&[0][..], &u32::try_from(empties.len()).unwrap().to_be_bytes(), &empties].concat();
    assert_eq!(unfinished_call(&door, "SendMessage", &body).await, out_of_range);
    let client = door.client("c1", "JAVA").await;
    let sent = client.send(vec![message_of("a", "fine".into())]).await;
    assert_eq!(sent.status.unwrap().code(), Code::Ok);
}

#[tokio::test]
async fn one_address_has_its_share_of_the_calls_and_a_call_that_ends_makes_room() {
    let door = door(BrokerOptions { calls_max: 4, ..BrokerOptions::default() }).await;
    let client = door.client("c1", "JAVA").await;
    client.subscribe(UNORDERED, &["a"]).await;
    let polls: Vec<_> = (0..2)
        .map(|_| {
            let client = client.clone();
            tokio::spawn(async move { client.receive(UNORDERED, 1, 20).await })
        })
        .collect();
    while door.broker.parked_receives() < 2 {
        tokio::task::yield_now().await;
    }
    let one_more =
        client.request(v2::QueryRouteRequest { topic: Some(resource(TOPIC)), endpoints: None });
    let refused = client.grpc.clone().query_route(one_more).await.unwrap_err();
    assert_eq!(refused.code(), tonic::Code::ResourceExhausted, "{refused:?}");
    assert!(refused.message().contains("calls"), "{refused:?}");

    door.broker.begin_shutdown();
    for poll in polls {
        assert!(poll.await.unwrap().messages.is_empty());
    }
    while door.broker.shares().calls.pool().used() > 0 {
        tokio::task::yield_now().await;
    }
    let again =
        client.request(v2::QueryRouteRequest { topic: Some(resource(TOPIC)), endpoints: None });
    assert!(client.grpc.clone().query_route(again).await.is_ok());
}

#[tokio::test]
async fn a_new_client_too_many_is_refused_and_those_who_are_known_go_on() {
    let door = door(BrokerOptions { sessions_max: 2, ..BrokerOptions::default() }).await;
    let clients = [door.client("c1", "JAVA").await, door.client("c2", "JAVA").await];
    for client in &clients {
        client.subscribe(UNORDERED, &["a"]).await;
    }
    let late = door.client("c3", "JAVA").await;
    let refused = late.sync(v2::LiteSubscriptionAction::PartialAdd, UNORDERED, &["a"]).await;
    assert_eq!(refused.code(), Code::TooManyRequests, "{refused:?}");
    let beat = late.request(v2::HeartbeatRequest::default());
    let beat = late.grpc.clone().heartbeat(beat).await.unwrap().into_inner();
    assert_eq!(beat.status.unwrap().code(), Code::Ok, "an endpoint without heartbeats is not used");
    assert_eq!(door.broker.sessions().count(), 2);
    clients[0].subscribe(UNORDERED, &["b"]).await;
    let goodbye = clients[1].request(v2::NotifyClientTerminationRequest::default());
    clients[1].grpc.clone().notify_client_termination(goodbye).await.unwrap();
    late.subscribe(UNORDERED, &["a"]).await;
}

#[tokio::test]
async fn a_client_that_does_not_read_its_telemetry_is_cut_off() {
    let port = PortOptions { stall_max: Duration::from_millis(200), ..PortOptions::default() };
    let door = Door::open_with(GrpcOptions { port, ..GrpcOptions::default() }).await;
    let client = door.client("c1", "JAVA").await;
    let settings = settings_of_topics(400);
    let (say, said) = mpsc::channel(1);
    let request = client.request(ReceiverStream::new(said));
    let _unread = client.grpc.clone().telemetry(request).await.unwrap().into_inner();
    let mut told = 0;
    while say.send(settings.clone()).await.is_ok() {
        told += 1;
        // Each answer has 40 kB; a client's windows are a few megabytes.
        assert!(told < 10_000, "nobody minds");
    }
}

/// A client by hand that gives no answer a window: how many of its streams, each with one answer, are open.
async fn unread_streams(door: &Door, streams: usize, settings: &TelemetryCommand) -> Unread {
    let stream = TcpStream::connect(door.address).await.unwrap();
    let mut http = h2::client::Builder::new();
    let (client, connection) = http.initial_window_size(0).handshake(stream).await.unwrap();
    let connection = tokio::spawn(async move { drop(connection.await) });
    let content = settings.encode_to_vec();
    let prefix = u32::try_from(content.len()).unwrap().to_be_bytes();
    let said = Bytes::from([&[0][..], &prefix, &content].concat());
    let mut kept = Vec::new();
    for n in 0..streams {
        let path = "http://localhost/apache.rocketmq.v2.MessagingService/Telemetry";
        let request = Request::post(path)
            .header("content-type", "application/grpc")
            .header("te", "trailers")
            .header("x-mq-client-id", format!("unread@{n}"))
            .body(())
            .unwrap();
        let mut ready = client.clone().ready().await.unwrap();
        let (response, mut sending) = ready.send_request(request, false).unwrap();
        sending.send_data(said.clone(), false).unwrap();
        kept.push((response.await.unwrap(), sending));
    }
    Unread { _kept: kept, connection }
}

struct Unread {
    _kept: Vec<(http::Response<h2::RecvStream>, h2::SendStream<Bytes>)>,
    connection: tokio::task::JoinHandle<()>,
}

#[tokio::test]
async fn answers_that_wait_on_telemetry_streams_are_counted_refused_and_given_up_and_others_go_on()
{
    let port = PortOptions { stall_max: Duration::from_millis(500), ..PortOptions::default() };
    let of_broker = BrokerOptions { answer_bytes_max: 2 << 20, ..BrokerOptions::default() };
    let door = Door::open_over(of_broker, GrpcOptions { port, ..GrpcOptions::default() }).await;
    let answers = Arc::clone(door.broker.shares().answer_bytes.pool());
    let unread = unread_streams(&door, 100, &settings_of_topics(400)).await;
    // About 140 kB each, of which seven fit into the half that one address may have.
    soon(async {
        while answers.used() < 800 << 10 {
            tokio::task::yield_now().await;
        }
    })
    .await;
    assert!(answers.used() <= (1 << 20) + (100 << 10), "{} bytes", answers.used());

    let elsewhere = Endpoint::from_shared(format!("http://{}", door.address))
        .unwrap()
        .local_address(Some([127, 0, 0, 2].into()));
    let client = Client::new(elsewhere.connect().await.unwrap(), "c1", "JAVA");
    let (say, said) = mpsc::channel(1);
    say.send(settings_of_topics(400)).await.unwrap();
    let request = client.request(ReceiverStream::new(said));
    let mut heard = client.grpc.clone().telemetry(request).await.unwrap().into_inner();
    let answer = heard.message().await.unwrap().unwrap();
    assert_eq!(answer.status.unwrap().code(), Code::Ok);
    drop((say, heard));

    soon(unread.connection).await.unwrap();
    soon(async {
        while answers.used() > 0 {
            tokio::task::yield_now().await;
        }
    })
    .await;
}

#[tokio::test]
async fn settings_are_refused_while_there_is_no_room_for_their_answer() {
    let of_broker = BrokerOptions { answer_bytes_max: 200 << 10, ..BrokerOptions::default() };
    let door = door(of_broker).await;
    let (java, node) = (door.client("c1", "JAVA").await, door.client("c2", "HTTP").await);
    for client in [&java, &node] {
        let (say, said) = mpsc::channel(2);
        say.send(settings_of_topics(400)).await.unwrap();
        say.send(settings_of_topics(1)).await.unwrap();
        let request = client.request(ReceiverStream::new(said));
        let mut heard = client.grpc.clone().telemetry(request).await.unwrap().into_inner();
        match heard.message().await {
            // Node hears of it and may go on.
            Ok(told) => {
                assert_eq!(told.unwrap().status.unwrap().code(), Code::TooManyRequests);
                let smaller = heard.message().await.unwrap().unwrap();
                assert_eq!(smaller.status.unwrap().code(), Code::Ok);
            }
            Err(ended) => assert!(ended.message().contains("42900"), "{ended:?}"),
        }
    }
}

#[tokio::test]
async fn an_attempt_id_of_any_length_is_not_kept() {
    let door = door(BrokerOptions::default()).await;
    let client = door.client("c1", "JAVA").await;
    let mut request = receive_request(UNORDERED, 1, 0);
    request.attempt_id = Some("i".repeat(300));
    let received = client.receive_as(request).await;
    assert_eq!(received.status.code(), Code::BadRequest, "{:?}", received.status);
}
