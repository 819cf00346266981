//! What the generator's options promise to the rest of LiteMQ.

use litemq_protocol::v2::Message;
use prost::Message as _;
use prost::bytes::Bytes;

#[test]
fn a_decoded_body_shares_the_buffer_it_came_in() {
    let sent = Message { body: Bytes::from(vec![7; 1024]), ..Default::default() };
    let wire = Bytes::from(sent.encode_to_vec());

    let received = Message::decode(wire.clone()).unwrap();

    assert_eq!(received, sent);
    assert!(wire.as_ptr_range().contains(&received.body.as_ptr()));
}

#[test]
fn equal_messages_encode_to_equal_bytes() {
    let pair = |n: u32| (format!("key-{n}"), format!("value-{n}"));
    let rising = Message { user_properties: (0..64).map(pair).collect(), ..Default::default() };
    let falling =
        Message { user_properties: (0..64).rev().map(pair).collect(), ..Default::default() };

    assert_eq!(rising.encode_to_vec(), falling.encode_to_vec());
}
