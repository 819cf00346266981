//! Who may administer: the table of every call and caller is in `grpc_access`.

use std::net::{IpAddr, Ipv4Addr};
use std::sync::Arc;

use litemq_protocol::v2;
use litemq_server::access::AccessOptions;
use litemq_server::broker::BrokerOptions;
use litemq_server::front::grpc::GrpcOptions;
use litemq_storage::MemoryStore;
use tonic::transport::Endpoint;
use v2::Code;

use super::grpc_support::*;
use super::{admin, told};

fn status_of_topic() -> v2::DescribeTopicStatusRequest {
    v2::DescribeTopicStatusRequest { topic: Some(resource(TOPIC)), ..Default::default() }
}

#[tokio::test]
async fn without_authentication_only_connections_on_loopback_are_served() {
    let Some(outside) = own_address() else { return };
    let door = Door::open_on((Ipv4Addr::UNSPECIFIED, 0).into()).await;
    let port = door.address.port();
    for (address, code) in [(IpAddr::V4(Ipv4Addr::LOCALHOST), Code::Ok), (outside, Code::Forbidden)]
    {
        let uri = format!("http://{}", std::net::SocketAddr::new(address, port));
        let channel = Endpoint::from_shared(uri).unwrap().connect().await.unwrap();
        let client = Client::new(channel, "administrator", "");
        let text = told(admin!(client, describe_topic_status, status_of_topic()).status, code);
        assert_eq!(text.contains("access.enabled"), code == Code::Forbidden, "{text}");
        told(client.send(vec![message("a", "x")]).await.status, Code::Ok);
    }
}

#[tokio::test]
async fn with_authentication_a_call_without_credentials_is_refused_also_on_loopback() {
    let access = AccessOptions { enabled: true, ..AccessOptions::default() };
    let options = BrokerOptions { access, ..BrokerOptions::default() };
    let store = Arc::new(MemoryStore::new());
    let door = Door::open_store(store, options, GrpcOptions::default()).await;
    let client = door.client("administrator", "").await;
    told(admin!(client, describe_topic_status, status_of_topic()).status, Code::Unauthorized);
}

#[tokio::test]
async fn an_administrator_needs_no_client_id_and_leaves_no_session() {
    let door = Door::open().await;
    let admin = door.client("administrator", "").await;
    let request = tonic::Request::new(status_of_topic());
    let answer = admin.admin.clone().describe_topic_status(request).await.unwrap();
    told(answer.into_inner().status, Code::Ok);
    told(admin!(admin, describe_topic_status, status_of_topic()).status, Code::Ok);
    assert_eq!(door.broker.sessions().count(), 0);
}

/// An address of this machine that is not on loopback; some have none.
fn own_address() -> Option<IpAddr> {
    let socket = std::net::UdpSocket::bind((Ipv4Addr::UNSPECIFIED, 0)).ok()?;
    // Sends nothing; the system picks the address that it would send from.
    socket.connect((Ipv4Addr::new(192, 0, 2, 1), 9)).ok()?;
    Some(socket.local_addr().ok()?.ip())
}
