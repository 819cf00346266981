//! Calls of the HTTP door.

use std::time::Duration;

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use serde::Serialize;
use serde::de::DeserializeOwned;
use ureq::http::header::{AUTHORIZATION, HeaderValue};
use ureq::http::{Response, Uri};
use ureq::{Agent, Body, RequestBuilder};

use super::CliError;
use crate::front::http::model::ErrorView;

/// Time for one call; the server's own bound is shorter.
const CALL_MAX: Duration = Duration::from_secs(40);
/// Bytes of an answer.
const ANSWER_BYTES_MAX: u64 = 256 << 20;

/// A server that can be asked.
pub(super) struct Client {
    agent: Agent,
    server: String,
    authorization: Option<HeaderValue>,
}

impl Client {
    /// A client of the server at `http://HOST:PORT` with a name and its secret. Nothing is sent yet.
    pub(super) fn new(
        server: &str,
        credentials: Option<(String, String)>,
    ) -> Result<Self, CliError> {
        let uri: Option<Uri> = server.parse().ok();
        let valid = uri.is_some_and(|uri| {
            uri.scheme_str() == Some("http")
                && matches!(uri.path(), "" | "/")
                && uri.query().is_none()
        });
        if !valid {
            let given = server.escape_debug();
            return Err(CliError::Usage(format!(
                "--server is '{given}'; give http://HOST:PORT, such as http://127.0.0.1:8080"
            )));
        }
        let config = Agent::config_builder()
            .http_status_as_error(false)
            .timeout_global(Some(CALL_MAX))
            .max_redirects(0)
            // The server is this machine or one nearby, whatever proxies there are for the web.
            .proxy(None);
        let server = server.trim_end_matches('/').to_owned();
        let authorization = credentials.map(|(user, secret)| basic(&user, &secret)).transpose()?;
        Ok(Self { agent: config.build().new_agent(), server, authorization })
    }

    /// GET with a query.
    pub(super) fn get<T: DeserializeOwned>(
        &self,
        path: &str,
        query: &[(&str, Option<String>)],
    ) -> Result<T, CliError> {
        let given = query.iter().filter_map(|(key, value)| Some((*key, value.as_deref()?)));
        let call = self.agent.get(self.url(path)).query_pairs(given);
        self.answer(self.signed(call).call())
    }

    /// POST of a JSON form.
    pub(super) fn post<T: DeserializeOwned>(
        &self,
        path: &str,
        form: &impl Serialize,
    ) -> Result<T, CliError> {
        self.answer(self.signed(self.agent.post(self.url(path))).send_json(form))
    }

    /// PATCH with a JSON form.
    pub(super) fn patch<T: DeserializeOwned>(
        &self,
        path: &str,
        form: &impl Serialize,
    ) -> Result<T, CliError> {
        self.answer(self.signed(self.agent.patch(self.url(path))).send_json(form))
    }

    /// DELETE.
    pub(super) fn delete(&self, path: &str) -> Result<(), CliError> {
        self.text(self.signed(self.agent.delete(self.url(path))).call()).map(drop)
    }

    fn signed<B>(&self, call: RequestBuilder<B>) -> RequestBuilder<B> {
        match &self.authorization {
            Some(authorization) => call.header(AUTHORIZATION, authorization),
            None => call,
        }
    }

    /// DELETE with a query, of what is answered.
    pub(super) fn remove<T: DeserializeOwned>(
        &self,
        path: &str,
        query: &[(&str, Option<String>)],
    ) -> Result<T, CliError> {
        let given = query.iter().filter_map(|(key, value)| Some((*key, value.as_deref()?)));
        self.answer(self.agent.delete(self.url(path)).query_pairs(given).call())
    }

    fn url(&self, path: &str) -> String {
        format!("{}/api/v1/{path}", self.server)
    }

    fn answer<T: DeserializeOwned>(
        &self,
        called: Result<Response<Body>, ureq::Error>,
    ) -> Result<T, CliError> {
        let text = self.text(called)?;
        serde_json::from_str(&text).map_err(|error| self.not_litemq(&error.to_string()))
    }

    fn text(&self, called: Result<Response<Body>, ureq::Error>) -> Result<String, CliError> {
        let mut response = called.map_err(|error| self.unreachable(&error))?;
        let body = response.body_mut().with_config().limit(ANSWER_BYTES_MAX).read_to_string();
        let text = body.map_err(|error| self.unreachable(&error))?;
        if response.status().is_success() {
            return Ok(text);
        }
        match serde_json::from_str::<ErrorView>(&text) {
            Ok(ErrorView { error }) => {
                let (code, message) = (error.code.escape_debug(), visible(&error.message));
                Err(CliError::Failed(format!("{code}: {message}")))
            }
            Err(_) => Err(self.not_litemq(&format!("status {}", response.status()))),
        }
    }

    fn unreachable(&self, error: &ureq::Error) -> CliError {
        let error = match error {
            ureq::Error::Io(error) => error.to_string(),
            error => error.to_string(),
        };
        let (server, error) = (&self.server, visible(&error));
        CliError::Failed(format!(
            "cannot reach {server}: {error}; is the server running, and --server right?"
        ))
    }

    fn not_litemq(&self, what: &str) -> CliError {
        let (server, what) = (&self.server, visible(what));
        CliError::Failed(format!("{server} does not answer like a LiteMQ server: {what}"))
    }
}

fn basic(user: &str, secret: &str) -> Result<HeaderValue, CliError> {
    let token = format!("Basic {}", STANDARD.encode(format!("{user}:{secret}")));
    let mut value = HeaderValue::try_from(token)
        .map_err(|_| CliError::Usage("the credentials do not fit into a header".to_owned()))?;
    value.set_sensitive(true);
    Ok(value)
}

/// A name as one segment of a path.
pub(super) fn segment(name: &str) -> String {
    let mut segment = String::with_capacity(name.len());
    for byte in name.bytes() {
        match byte {
            b'a'..=b'z' | b'A'..=b'Z' | b'0'..=b'9' | b'-' | b'_' | b'~' => {
                segment.push(char::from(byte));
            }
            // A dot too: `..` would be taken for the folder above.
            _ => segment.push_str(&format!("%{byte:02X}")),
        }
    }
    segment
}

/// Text of others without control characters, which a terminal would obey.
pub(super) fn visible(text: &str) -> String {
    let mut visible = String::with_capacity(text.len());
    for c in text.chars() {
        match c.is_control() {
            true => visible.extend(c.escape_default()),
            false => visible.push(c),
        }
    }
    visible
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_name_stays_one_segment_whatever_is_in_it() {
        assert_eq!(segment("%DLQ%a|b"), "%25DLQ%25a%7Cb");
        assert_eq!(segment("../x?y#z"), "%2E%2E%2Fx%3Fy%23z");
        assert_eq!(segment("chat-1_A"), "chat-1_A");
    }

    #[test]
    fn control_characters_do_not_reach_the_terminal() {
        assert_eq!(visible("a\u{1b}[2J\nb é"), "a\\u{1b}[2J\\nb é");
    }

    #[test]
    fn a_server_is_a_plain_http_address() {
        for server in ["http://127.0.0.1:8080", "http://broker:80/"] {
            assert!(Client::new(server, None).is_ok(), "{server}");
        }
        for server in ["127.0.0.1:8080", "https://broker", "http://", "http://b/path", ""] {
            assert!(matches!(Client::new(server, None), Err(CliError::Usage(_))), "{server}");
        }
    }
}
