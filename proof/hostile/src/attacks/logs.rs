//! Text that would forge a line of the log, or colour one, wherever a client has a word.

use litemq_protocol::v2;
use litemq_protocol::v2::LiteSubscriptionAction::{CompleteAdd, PartialAdd};
use prost::Message as _;

use super::{Field, Outcome, broken};
use crate::letters::{
    CROWD, TOPIC, ack_request, message, receive_request, resource, send, settings, sync_request,
};
use crate::wire::{Reads, Wire, attacker, connect};

/// What a forged line would start with.
pub(crate) const FORGED: &str = "2026-01-01T00:00:00Z ERROR forged";

pub(super) async fn log_injection(field: Field) -> Outcome {
    let evil = format!("a\r\n{FORGED}\u{1b}[31m\u{9b}\u{2028}");
    let client = "evil\u{1b}[31m";
    let mut letter = message(&evil, &evil, vec![b'x']);
    letter.user_properties = [(evil.clone(), evil.clone())].into();
    let system = letter.system_properties.as_mut().unwrap();
    system.tag = Some(evil.clone());
    system.keys = vec![evil.clone()];
    system.born_host.clone_from(&evil);
    let mut poll = receive_request(&evil, 0);
    poll.filter_expression =
        Some(v2::FilterExpression { r#type: v2::FilterType::Tag.into(), expression: evil.clone() });
    let mut told = settings(1);
    if let Some(v2::telemetry_command::Command::Settings(settings)) = told.command.as_mut() {
        settings.client_properties = [(evil.clone(), evil.clone())].into();
    }
    let mut elsewhere = message("a", "i", vec![b'x']);
    elsewhere.topic = Some(v2::Resource { resource_namespace: evil.clone(), name: evil.clone() });
    let mut settle = ack_request(&evil, vec![evil.clone()]);
    settle.topic = Some(resource(TOPIC));
    let posts = [
        ("SendMessage", send(vec![letter])),
        ("SendMessage", send(vec![elsewhere])),
        ("ReceiveMessage", poll.encode_to_vec()),
        ("AckMessage", settle.encode_to_vec()),
        ("AckMessage", ack_request(CROWD, vec![evil.clone()]).encode_to_vec()),
        (
            "SyncLiteSubscription",
            sync_request(CROWD, PartialAdd, vec![evil.clone()]).encode_to_vec(),
        ),
        ("SyncLiteSubscription", sync_request(&evil, CompleteAdd, vec![]).encode_to_vec()),
        ("Telemetry", told.encode_to_vec()),
    ];
    let mut pace = field.pace();
    let mut acts = 0;
    'attack: loop {
        for (method, body) in &posts {
            if !pace.next().await {
                break 'attack;
            }
            let mut wire =
                Wire::open(attacker(0), field.grpc, Reads::Eagerly).await.map_err(broken)?;
            wire.request(method, client, body).await.map_err(broken)?;
            pace.next().await;
            acts += 1;
        }
        // The paths and headers of the HTTP door say something too.
        let mut http = connect(attacker(0), field.http).await.map_err(broken)?;
        let path = "/api/v1/topics/a%0d%0a2026-01-01T00:00:00Z%20ERROR%20forged%1b%5b31m";
        let request =
            format!("GET {path} HTTP/1.1\r\nhost: localhost\r\nconnection: close\r\n\r\n");
        tokio::io::AsyncWriteExt::write_all(&mut http, request.as_bytes()).await.map_err(broken)?;
    }
    Ok(acts)
}
