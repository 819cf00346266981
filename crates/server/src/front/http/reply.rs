//! Answers and refusals, all of them JSON.

use axum::extract::rejection::{JsonRejection, PathRejection, QueryRejection};
use axum::extract::{FromRequest, FromRequestParts, Path, Query, Request};
use axum::response::{IntoResponse, Response};
use axum::{Json, http};
use http::header::{HeaderValue, WWW_AUTHENTICATE};
use http::request::Parts;
use http::{Method, StatusCode, Uri};
use litemq_domain::{Error, ErrorCode};
use litemq_protocol::v2;
use serde::de::DeserializeOwned;

use super::model::{ErrorDetail, ErrorView};
use crate::front::status::door_codes;
use crate::observe::code_name;

/// The answer of a handler.
pub(super) type Reply<T> = Result<T, Refusal>;

/// A request that is refused or failed.
#[derive(Debug)]
pub(super) enum Refusal {
    /// By the broker or by its rules.
    Domain(Error),
    /// By HTTP's rules.
    Http(HttpRefusal, String),
}

/// What only HTTP knows of.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum HttpRefusal {
    Forbidden,
    MediaTypeUnsupported,
    MethodNotAllowed,
    RequestTimeout,
    RequestTooLarge,
    RouteNotFound,
}

/// A domain error inside a response, for whoever counts errors.
#[derive(Debug, Clone, Copy)]
pub(super) struct Failed(pub(super) ErrorCode);

impl Refusal {
    /// The request does not say what it should.
    pub(super) fn bad_request(message: impl Into<String>) -> Self {
        Error::new(ErrorCode::BadRequest, message).into()
    }
}

impl From<Error> for Refusal {
    fn from(error: Error) -> Self {
        Self::Domain(error)
    }
}

impl IntoResponse for Refusal {
    fn into_response(self) -> Response {
        match self {
            Self::Domain(error) => {
                let codes = door_codes(error.code);
                let name = code_name(error.code);
                let mut response = refuse(codes.http, name, codes.rocketmq, error.message);
                if error.code == ErrorCode::Unauthenticated {
                    let scheme =
                        HeaderValue::from_static("Basic realm=\"litemq\", charset=\"UTF-8\"");
                    response.headers_mut().insert(WWW_AUTHENTICATE, scheme);
                }
                response.extensions_mut().insert(Failed(error.code));
                response
            }
            Self::Http(refusal, message) => {
                let (status, name, rocketmq) = refusal.codes();
                refuse(status, name, rocketmq, message)
            }
        }
    }
}

impl HttpRefusal {
    fn codes(self) -> (StatusCode, &'static str, v2::Code) {
        use v2::Code as Mq;
        match self {
            Self::Forbidden => (StatusCode::FORBIDDEN, "FORBIDDEN", Mq::Forbidden),
            Self::MediaTypeUnsupported => {
                (StatusCode::UNSUPPORTED_MEDIA_TYPE, "MEDIA_TYPE_UNSUPPORTED", Mq::BadRequest)
            }
            Self::MethodNotAllowed => {
                (StatusCode::METHOD_NOT_ALLOWED, "METHOD_NOT_ALLOWED", Mq::BadRequest)
            }
            Self::RequestTimeout => {
                (StatusCode::GATEWAY_TIMEOUT, "REQUEST_TIMEOUT", Mq::ProxyTimeout)
            }
            Self::RequestTooLarge => {
                (StatusCode::PAYLOAD_TOO_LARGE, "REQUEST_TOO_LARGE", Mq::PayloadTooLarge)
            }
            Self::RouteNotFound => (StatusCode::NOT_FOUND, "ROUTE_NOT_FOUND", Mq::NotFound),
        }
    }
}

/// Runs a change to its end even when the client goes away or the request takes too long: a change
/// that stopped half way would be durable and unknown.
pub(super) async fn to_the_end<T: Send + 'static>(
    change: impl Future<Output = litemq_domain::Result<T>> + Send + 'static,
) -> litemq_domain::Result<T> {
    tokio::spawn(change).await.unwrap_or_else(|error| {
        tracing::error!(%error, "a change did not come to its end");
        Err(Error::new(ErrorCode::Internal, "the change did not come to its end; see the log"))
    })
}

/// Answers for paths that are not served.
pub(super) async fn unknown_route(uri: Uri) -> Refusal {
    let path = uri.path().escape_debug().to_string();
    Refusal::Http(
        HttpRefusal::RouteNotFound,
        format!("there is no '{path}'; see /api/v1/openapi.json for what there is"),
    )
}

/// Answers for methods that a path does not have.
pub(super) async fn unknown_method(method: Method, uri: Uri) -> Refusal {
    let path = uri.path().escape_debug().to_string();
    Refusal::Http(HttpRefusal::MethodNotAllowed, format!("'{path}' has no method {method}"))
}

/// A JSON body of a known form.
pub(super) struct Form<T>(pub(super) T);

impl<T: DeserializeOwned, S: Send + Sync> FromRequest<S> for Form<T> {
    type Rejection = Refusal;

    async fn from_request(request: Request, state: &S) -> Result<Self, Refusal> {
        let Json(form) = Json::from_request(request, state).await.map_err(json_refusal)?;
        Ok(Self(form))
    }
}

/// A query of a known form.
pub(super) struct Params<T>(pub(super) T);

impl<T: DeserializeOwned, S: Send + Sync> FromRequestParts<S> for Params<T> {
    type Rejection = Refusal;

    async fn from_request_parts(parts: &mut Parts, state: &S) -> Result<Self, Refusal> {
        let params = Query::from_request_parts(parts, state).await;
        let Query(params) = params.map_err(|rejection: QueryRejection| {
            Refusal::bad_request(rejection.body_text().escape_debug().to_string())
        })?;
        Ok(Self(params))
    }
}

/// The names in the path.
pub(super) struct Segments<T>(pub(super) T);

impl<T: DeserializeOwned + Send, S: Send + Sync> FromRequestParts<S> for Segments<T> {
    type Rejection = Refusal;

    async fn from_request_parts(parts: &mut Parts, state: &S) -> Result<Self, Refusal> {
        let segments = Path::from_request_parts(parts, state).await;
        let Path(segments) = segments.map_err(|rejection: PathRejection| {
            Refusal::bad_request(rejection.body_text().escape_debug().to_string())
        })?;
        Ok(Self(segments))
    }
}

fn json_refusal(rejection: JsonRejection) -> Refusal {
    let message = rejection.body_text().escape_debug().to_string();
    match rejection.status() {
        StatusCode::PAYLOAD_TOO_LARGE => Refusal::Http(HttpRefusal::RequestTooLarge, message),
        StatusCode::UNSUPPORTED_MEDIA_TYPE => {
            Refusal::Http(HttpRefusal::MediaTypeUnsupported, message)
        }
        _ => Refusal::bad_request(message),
    }
}

fn refuse(status: StatusCode, code: &str, rocketmq: v2::Code, message: String) -> Response {
    let detail = ErrorDetail { code: code.to_owned(), rocketmq_code: rocketmq.into(), message };
    (status, Json(ErrorView { error: detail })).into_response()
}
