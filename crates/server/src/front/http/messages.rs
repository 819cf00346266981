//! `/api/v1/topics/{topic}/lite/{name}/messages`: sending by hand and looking without consuming.

use axum::Json;
use axum::body::Body;
use axum::extract::{FromRequestParts, State};
use axum::http::header::{CONTENT_LENGTH, CONTENT_TYPE};
use axum::http::request::Parts;
use axum::http::{HeaderValue, StatusCode};
use axum::response::{IntoResponse, Response};
use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use bytes::Bytes;
use litemq_domain::{Error, ErrorCode, LiteTopicName, Timestamp, TopicName};
use litemq_protocol::v2::Encoding;
use serde::Serialize;

use super::App;
use super::limits::{PEEK_MESSAGES_DEFAULT, PEEK_MESSAGES_MAX, SMALL_BODY_BYTES_MAX};
use super::lite::check_limit;
use super::model::{
    BodyFormat, DeadLetterView, ErrorView, MessageOrder, MessagePage, MessageView, NewMessageForm,
    PeekQuery, ResentFromView, SentView,
};
use super::reply::{Form, Params, Refusal, Reply, Segments};
use super::rights::Asker;
use super::server::Remote;
use crate::broker::{DeadLetterReason, Look, NewMessage, Peeked, StoredMessage, Taken};
use crate::config::units::{format_time, parse_time};
use crate::front::content::Content;

/// Sends one message; the answer comes when it is durable.
#[utoipa::path(post, path = "/api/v1/topics/{topic}/lite/{name}/messages", tag = "messages",
    params(("topic", description = "the parent topic"), ("name", description = "the lite topic")),
    request_body = NewMessageForm,
    responses((status = 201, body = SentView), (status = "default", body = ErrorView)))]
pub(super) async fn send(
    State(app): State<App>,
    Segments((topic, name)): Segments<(String, String)>,
    asker: Asker,
    _permit: SendPermit,
    Form(form): Form<NewMessageForm>,
) -> Reply<(StatusCode, Json<SentView>)> {
    let topic = TopicName::new(&topic)?;
    let lite_topic = LiteTopicName::new(&name)?;
    let message = stored_message(&app, form)?;
    Content {
        body_bytes: message.body.len(),
        user_properties: &message.user_properties,
        tag: message.tag.as_deref(),
        keys: &message.keys,
        message_id: &message.message_id,
        trace_context: message.trace_context.as_deref(),
    }
    .check()?;
    let topic = app.broker.topic(topic.as_str())?;
    let message_id = message.message_id.clone();
    let by = app.broker.who(&asker.0, None);
    let messages = vec![NewMessage { lite_topic, message }];
    let sent = app.broker.send_by(by, &topic, messages).await.pop().unwrap_or_else(|| {
        Err(Error::new(ErrorCode::Internal, "the broker gave no result for the message"))
    })?;
    let view = SentView { message_id, offset: sent.offset, repeated: sent.repeated };
    Ok((StatusCode::CREATED, Json(view)))
}

/// Looks at messages without consuming them.
#[utoipa::path(get, path = "/api/v1/topics/{topic}/lite/{name}/messages", tag = "messages",
    params(("topic", description = "the parent topic"), ("name", description = "the lite topic"),
        PeekQuery),
    responses((status = 200, body = MessagePage), (status = "default", body = ErrorView)))]
pub(super) async fn peek(
    State(app): State<App>,
    Segments((topic, name)): Segments<(String, String)>,
    Params(query): Params<PeekQuery>,
    permit: BodyPermit,
) -> Reply<Response> {
    let found = app.broker.look(&topic, &name, &look_of(query)?).await?;
    let messages = found.messages.into_iter().map(view).collect();
    large_json(&MessagePage { messages, next: found.next }, permit)
}

/// What a query asks for.
pub(super) fn look_of(query: PeekQuery) -> Reply<Look> {
    let limit = query.limit.unwrap_or(PEEK_MESSAGES_DEFAULT);
    check_limit(limit, PEEK_MESSAGES_MAX)?;
    Ok(Look {
        from: query.from,
        before: query.before,
        from_time: time("from_time", query.from_time)?,
        to_time: time("to_time", query.to_time)?,
        key: query.key,
        id: query.id,
        newest_first: query.order == MessageOrder::Newest,
        limit,
    })
}

fn time(name: &str, text: Option<String>) -> Reply<Option<Timestamp>> {
    let time = text.map(|text| parse_time(&text)).transpose();
    time.map_err(|problem| Refusal::bad_request(format!("{name}: {problem}")))
}

/// An answer with message bodies, which counts as in memory until it is written.
pub(super) fn large_json(answer: &impl Serialize, permit: BodyPermit) -> Reply<Response> {
    let page = serde_json::to_vec(answer)
        .map_err(|error| Error::new(ErrorCode::Internal, error.to_string()))?;
    let json = HeaderValue::from_static("application/json");
    let body = Body::from(Bytes::from_owner(Page { json: page, _permit: permit }));
    Ok(([(CONTENT_TYPE, json)], body).into_response())
}

/// A page on its way out: it is in memory until it is written.
struct Page {
    json: Vec<u8>,
    _permit: BodyPermit,
}

impl AsRef<[u8]> for Page {
    fn as_ref(&self) -> &[u8] {
        &self.json
    }
}

/// The right to have message bodies in memory, taken before the first byte is read.
pub(super) struct BodyPermit {
    _held: Taken,
}

impl FromRequestParts<App> for BodyPermit {
    type Rejection = Refusal;

    async fn from_request_parts(parts: &mut Parts, app: &App) -> Result<Self, Refusal> {
        let held = match parts.extensions.get() {
            Some(Remote(address)) => app.bodies.of(*address).try_take(1),
            None => app.bodies.pool().try_take(1),
        };
        held.map(|held| Self { _held: held }).ok_or_else(|| {
            Error::new(ErrorCode::Overloaded, "too many messages at a time; try again").into()
        })
    }
}

/// The right to send. A small message needs no [`BodyPermit`]: as few are in memory as there are
/// connections.
pub(super) struct SendPermit {
    _held: Option<BodyPermit>,
}

impl FromRequestParts<App> for SendPermit {
    type Rejection = Refusal;

    async fn from_request_parts(parts: &mut Parts, app: &App) -> Result<Self, Refusal> {
        let declared = parts.headers.get(CONTENT_LENGTH).and_then(|length| length.to_str().ok());
        let declared: Option<usize> = declared.and_then(|length| length.parse().ok());
        let _held = match declared.is_some_and(|bytes| bytes <= SMALL_BODY_BYTES_MAX) {
            true => None,
            false => Some(BodyPermit::from_request_parts(parts, app).await?),
        };
        Ok(Self { _held })
    }
}

fn stored_message(app: &App, form: NewMessageForm) -> Reply<StoredMessage> {
    let body = match form.body_format {
        BodyFormat::Text => form.body.into_bytes(),
        BodyFormat::Base64 => STANDARD
            .decode(&form.body)
            .map_err(|problem| Refusal::bad_request(format!("body is no base64: {problem}")))?,
    };
    let now = app.broker.now();
    Ok(StoredMessage {
        message_id: form.message_id.unwrap_or_else(|| app.message_ids.next(now)),
        tag: form.tag,
        keys: form.keys,
        user_properties: form.properties,
        body_encoding: Encoding::Identity.into(),
        born_at_ms: now.0,
        born_host: "http".to_owned(),
        trace_context: form.trace_context,
        body: Bytes::from(body),
        dead_letter: None,
        resent: None,
    })
}

pub(super) fn view(peeked: Peeked) -> MessageView {
    let message = peeked.message;
    let (body_format, body) = match std::str::from_utf8(&message.body) {
        Ok(text) => (BodyFormat::Text, text.to_owned()),
        Err(_) => (BodyFormat::Base64, STANDARD.encode(&message.body)),
    };
    let dead_letter = message.dead_letter.map(|origin| DeadLetterView {
        offset: origin.offset,
        attempts: origin.attempts,
        stored_at: format_time(Timestamp(origin.stored_at_ms)),
        reason: match origin.reason() {
            DeadLetterReason::Unknown => "UNKNOWN",
            DeadLetterReason::AttemptsUsedUp => "ATTEMPTS_USED_UP",
            DeadLetterReason::GivenUpByClient => "GIVEN_UP_BY_CLIENT",
        }
        .to_owned(),
        topic: origin.topic,
        message_id: origin.message_id,
    });
    let resent_from = message.resent.map(|from| ResentFromView {
        topic: from.topic,
        offset: from.offset,
        times: from.times,
    });
    MessageView {
        offset: peeked.offset,
        message_id: message.message_id,
        stored_at: format_time(peeked.stored_at),
        born_at: format_time(Timestamp(message.born_at_ms)),
        born_host: message.born_host,
        keys: message.keys,
        tag: message.tag,
        properties: message.user_properties,
        dead_letter,
        resent_from,
        trace_context: message.trace_context,
        gzip: message.body_encoding == i32::from(Encoding::Gzip),
        body_format,
        body,
    }
}
