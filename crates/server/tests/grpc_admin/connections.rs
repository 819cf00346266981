//! Who is connected and subscribed.

use litemq_protocol::v2;
use v2::{Code, MessageModel};

use super::asking::Telling;
use super::grpc_support::*;
use super::{admin, administrator, told};

fn connections(lite: Option<&str>) -> v2::ListConsumerConnectionRequest {
    v2::ListConsumerConnectionRequest {
        group: Some(resource(UNORDERED)),
        topic: Some(resource(TOPIC)),
        lite_topic: lite.map(str::to_owned),
        ..Default::default()
    }
}

fn ids(clients: &[v2::ClientInfo]) -> Vec<&str> {
    clients.iter().map(|client| client.client_id.as_str()).collect()
}

#[tokio::test]
async fn connected_clients_of_a_group_are_listed_with_what_they_say_of_themselves() {
    let door = Door::open().await;
    let admin = administrator(&door).await;
    let said = Telling::consumer(&door, "said-so", UNORDERED).await;
    let quiet = door.client("quiet", "PYTHON").await;
    quiet.subscribe(UNORDERED, &["a", "b"]).await;
    door.client("other", "GO").await.subscribe(ORDERED, &["a"]).await;

    let found = admin!(admin, list_consumer_connection, connections(None));
    told(found.status, Code::Ok);
    assert_eq!(ids(&found.client_info), ["quiet", "said-so"]);
    let info = &found.client_info[1];
    assert_eq!((info.version.as_str(), info.hostname.as_str()), ("5.2.1", "somewhere"));
    assert_eq!((info.language.as_str(), info.egress_ip.as_str()), ("JAVA", "127.0.0.1"));
    assert_eq!(info.message_model(), MessageModel::LiteSelective);

    said.client.subscribe(UNORDERED, &["b"]).await;
    for (lite, clients) in [("a", &["quiet"][..]), ("b", &["quiet", "said-so"])] {
        door.client("producer", "GO").await.send(vec![message(lite, "x")]).await;
        let found = admin!(admin, list_consumer_connection, connections(Some(lite)));
        assert_eq!(ids(&found.client_info), clients, "{lite}");
    }
}

#[tokio::test]
async fn a_topic_lists_its_groups_and_a_group_its_clients() {
    let door = Door::open().await;
    let admin = administrator(&door).await;
    let request =
        || v2::ListSubscriptionRequest { topic: Some(resource(TOPIC)), ..Default::default() };
    let listed = admin!(admin, list_subscription, request()).subscription_info;
    let names = |listed: &[v2::SubscriptionInfo]| -> Vec<(String, bool)> {
        let name = |info: &v2::SubscriptionInfo| info.group.as_ref().unwrap().name.clone();
        listed.iter().map(|info| (name(info), info.online)).collect()
    };
    assert_eq!(names(&listed), [(ORDERED.to_owned(), false), (UNORDERED.to_owned(), false)]);
    let client = door.client("d", "GO").await;
    client.subscribe(UNORDERED, &["a"]).await;
    let listed = admin!(admin, list_subscription, request()).subscription_info;
    assert_eq!(names(&listed), [(ORDERED.to_owned(), false), (UNORDERED.to_owned(), true)]);

    let request =
        v2::DescribeSubscriptionRequest { group: Some(resource(UNORDERED)), ..Default::default() };
    let described = admin!(admin, describe_subscription, request).client_subscription_info;
    let ids: Vec<_> =
        described.iter().map(|one| one.client_info.as_ref().unwrap().client_id.as_str()).collect();
    assert_eq!(ids, ["d"]);
    let info = described[0].subscription_info.as_ref().unwrap();
    assert_eq!(info.topic.as_ref().unwrap().name, TOPIC);
    assert!(info.online && info.subscription_consistency);
}
