//! Finding messages.

use litemq_protocol::v2;
use v2::Code;
use v2::list_message_request::SearchKey;

use super::grpc_support::*;
use super::{admin, administrator, at, told};

fn messages_of(search_key: Option<SearchKey>) -> v2::ListMessageRequest {
    v2::ListMessageRequest { topic: Some(resource(TOPIC)), search_key, ..Default::default() }
}

fn bodies(answer: &v2::ListMessageResponse) -> Vec<String> {
    let body = |message: &v2::Message| String::from_utf8(message.body.to_vec()).unwrap();
    answer.messages.iter().map(body).collect()
}

/// All pages, and how many there were.
async fn all(admin: &Client, request: v2::ListMessageRequest) -> (Vec<String>, usize) {
    let (mut found, mut pages, mut scroll_id) = (Vec::new(), 0, None);
    loop {
        let request = v2::ListMessageRequest { scroll_id: scroll_id.take(), ..request.clone() };
        let answer = admin!(admin, query_message, request);
        told(answer.status.clone(), Code::Ok);
        found.extend(bodies(&answer));
        pages += 1;
        if answer.scroll_id.is_empty() {
            return (found, pages);
        }
        scroll_id = Some(answer.scroll_id);
    }
}

#[tokio::test]
async fn messages_of_a_lite_topic_or_of_all_are_read_page_by_page() {
    let door = Door::open().await;
    let admin = administrator(&door).await;
    for (lite, bodies) in [("a", &["1", "2", "3"][..]), ("b", &["4", "5"]), ("c", &["6"])] {
        admin.send(bodies.iter().map(|body| message(lite, body)).collect()).await;
    }
    let of_a = || messages_of(Some(SearchKey::LiteTopic("a".to_owned())));
    let answer = admin!(admin, query_message, of_a());
    assert_eq!(
        (bodies(&answer), answer.scroll_id.as_str()),
        (vec!["1".into(), "2".into(), "3".into()], "")
    );
    let shown = answer.messages[0].system_properties.as_ref().unwrap();
    assert_eq!((shown.lite_topic(), shown.message_id.as_str()), ("a", "a-1"));
    assert!(shown.receipt_handle.is_none(), "nothing can be settled with it");

    for (most, pages) in [(1, 3), (2, 2), (3, 1), (1000, 1)] {
        let request = v2::ListMessageRequest { max_message_nums: most, ..of_a() };
        let (found, count) = all(&admin, request).await;
        assert_eq!((found.join(" ").as_str(), count), ("1 2 3", pages), "{most} at once");
    }
    for most in [1, 2, 4, 5, 1000] {
        let request = v2::ListMessageRequest { max_message_nums: most, ..messages_of(None) };
        assert_eq!(all(&admin, request).await.0.join(" "), "1 2 3 4 5 6", "{most} at once");
    }
    let sized = v2::ListMessageRequest { page_size: Some(2), page_num: Some(1), ..of_a() };
    assert_eq!(all(&admin, sized).await, (vec!["1".into(), "2".into(), "3".into()], 2));
}

#[tokio::test]
async fn messages_are_found_by_id_key_and_time_wherever_they_are() {
    let door = Door::open().await;
    let admin = administrator(&door).await;
    let mut with_key = message("b", "2");
    with_key.system_properties.as_mut().unwrap().keys = vec!["order-7".to_owned()];
    admin.send(vec![message("a", "1"), with_key, message("c", "3")]).await;
    let by_id = messages_of(Some(SearchKey::MessageId("c-3".to_owned())));
    assert_eq!(all(&admin, by_id).await.0, ["3"]);
    let by_key = messages_of(Some(SearchKey::MessageKey("order-7".to_owned())));
    assert_eq!(all(&admin, by_key).await.0, ["2"]);
    let nothing = messages_of(Some(SearchKey::MessageId("nothing".to_owned())));
    assert!(all(&admin, nothing).await.0.is_empty());

    for (begin_timestamp, end_timestamp, count) in
        [(None, at(1), 0), (at(1), None, 3), (at(1), at(i64::MAX), 3), (at(i64::MAX), None, 0)]
    {
        let request =
            v2::ListMessageRequest { begin_timestamp, end_timestamp, ..messages_of(None) };
        assert_eq!(all(&admin, request).await.0.len(), count);
    }
}

#[tokio::test]
async fn an_answer_is_no_larger_than_clients_read_and_the_rest_follows() {
    let door = Door::open().await;
    let admin = administrator(&door).await;
    for n in 0..5u8 {
        let mut large = message_of("a", vec![n; 1 << 20].into());
        large.system_properties.as_mut().unwrap().message_id = n.to_string();
        admin.send(vec![large]).await;
    }
    let (found, pages) = all(&admin, messages_of(None)).await;
    assert_eq!((found.len(), pages), (5, 3));
}

#[tokio::test]
async fn a_page_whose_lite_topic_was_removed_goes_on_with_the_next() {
    let door = Door::open().await;
    let admin = administrator(&door).await;
    admin.send(vec![message("a", "1"), message("a", "2"), message("b", "3")]).await;
    let one = v2::ListMessageRequest { max_message_nums: 1, ..messages_of(None) };
    let first = admin!(admin, query_message, one.clone());
    assert_eq!(bodies(&first), ["1"]);
    door.broker.delete_lite(TOPIC, "a").await.unwrap();
    let next = v2::ListMessageRequest { scroll_id: Some(first.scroll_id), ..one };
    assert_eq!(bodies(&admin!(admin, query_message, next)), ["3"]);
}

#[tokio::test]
async fn what_cannot_be_looked_for_is_refused_with_the_reason() {
    let door = Door::open().await;
    let admin = administrator(&door).await;
    admin.send(vec![message("a", "1")]).await;
    let key = |key| messages_of(Some(key));
    let all = || messages_of(None);
    let span = |from, to| v2::ListMessageRequest {
        begin_timestamp: at(from),
        end_timestamp: at(to),
        ..messages_of(None)
    };
    for (request, code) in [
        (key(SearchKey::LiteTopic("nothing".into())), Code::NotFound),
        (key(SearchKey::LiteTopic("a b".into())), Code::IllegalLiteTopic),
        (key(SearchKey::MessageId(String::new())), Code::IllegalMessageId),
        (key(SearchKey::MessageKey(String::new())), Code::IllegalMessageKey),
        (key(SearchKey::Subscription(UNORDERED.into())), Code::NotImplemented),
        (v2::ListMessageRequest { max_message_nums: -1, ..all() }, Code::BadRequest),
        (v2::ListMessageRequest { max_message_nums: i32::MAX, ..all() }, Code::BadRequest),
        (v2::ListMessageRequest { page_size: Some(1001), ..all() }, Code::BadRequest),
        (v2::ListMessageRequest { page_num: Some(2), ..all() }, Code::BadRequest),
        (v2::ListMessageRequest { queue_id: Some(1), ..all() }, Code::BadRequest),
        (v2::ListMessageRequest { broker_name: Some("x".into()), ..all() }, Code::BadRequest),
        (v2::ListMessageRequest { scroll_id: Some("x".into()), ..all() }, Code::BadRequest),
        (
            v2::ListMessageRequest {
                scroll_id: Some("0:b".into()),
                ..key(SearchKey::LiteTopic("a".into()))
            },
            Code::BadRequest,
        ),
        (span(2, 1), Code::BadRequest),
        (span(-1, 1), Code::BadRequest),
        (v2::ListMessageRequest { topic: Some(resource("nothing")), ..all() }, Code::TopicNotFound),
    ] {
        let answer = admin!(admin, query_message, request.clone());
        let status = answer.status.unwrap();
        assert_eq!(status.code(), code, "{request:?}: {status:?}");
        assert!(answer.messages.is_empty());
    }
}
