//! What every request passes: is it meant for this server, does it end in time, did it fail.
//!
//! On loopback the door may ask nobody for credentials, and where it does a browser would send them
//! by itself, so a web page of somebody else must not be able to use it. Two checks see to that. A
//! page that points its own name at 127.0.0.1 (DNS rebinding) sends that name as Host: only
//! loopback names, the bound address and configured names are let in. A page that sends a form or a
//! script request from elsewhere sends its Origin: whatever changes something must come from this
//! server's own origin, or from no page at all.

use std::net::IpAddr;

use axum::extract::{Request, State};
use axum::http::header::{CONTENT_LENGTH, HOST, ORIGIN};
use axum::http::uri::Authority;
use axum::http::{HeaderMap, HeaderValue};
use axum::middleware::Next;
use axum::response::{IntoResponse, Response};
use tokio::time::timeout;

use super::App;
use super::limits::{MESSAGE_BODY_BYTES_MAX, REQUEST_MAX};
use super::reply::{Failed, HttpRefusal, Refusal};

/// Paths that answer whatever the Host is, because health checkers choose their own.
const OPEN_PATHS: [&str; 2] = ["/healthz", "/readyz"];

/// The host names that requests may name.
#[derive(Debug, Clone)]
pub struct AllowedHosts {
    bound: IpAddr,
    names: Vec<String>,
}

impl AllowedHosts {
    /// Loopback names, the bound address, and these names (lower case, without port). When bound to
    /// all addresses every address is allowed: no name, so nothing that could be rebound.
    pub fn new(bound: IpAddr, names: Vec<String>) -> Self {
        Self { bound, names }
    }

    /// Whether nobody beyond this machine can come here.
    pub(super) fn is_loopback(&self) -> bool {
        self.bound.to_canonical().is_loopback()
    }

    fn allow(&self, authority: &Authority) -> bool {
        let host = authority.host().to_ascii_lowercase();
        let bare = host.strip_prefix('[').and_then(|host| host.strip_suffix(']')).unwrap_or(&host);
        if self.names.iter().any(|name| name == bare) {
            return true;
        }
        if let Ok(address) = bare.parse::<IpAddr>() {
            return address.is_loopback() || address == self.bound || self.bound.is_unspecified();
        }
        bare == "localhost" || bare.ends_with(".localhost")
    }
}

/// Lets a request through, or not, and looks at its answer.
pub(super) async fn watch(State(app): State<App>, request: Request, next: Next) -> Response {
    if let Err(refusal) = check(&app.hosts, &request) {
        return refusal.into_response();
    }
    let response = match timeout(REQUEST_MAX, next.run(request)).await {
        Ok(response) => response,
        Err(_) => Refusal::Http(
            HttpRefusal::RequestTimeout,
            format!("no answer within {REQUEST_MAX:?}; it may have happened all the same"),
        )
        .into_response(),
    };
    if let Some(Failed(code)) = response.extensions().get() {
        app.metrics.error(*code);
    }
    response
}

fn check(hosts: &AllowedHosts, request: &Request) -> Result<(), Refusal> {
    check_declared_body(request.headers())?;
    if OPEN_PATHS.contains(&request.uri().path()) {
        return Ok(());
    }
    let host = authority(request.headers().get(HOST));
    // A request line with a whole URL names the host twice; both must be right.
    let asked = request.uri().authority();
    let allowed = host.as_ref().is_some_and(|host| hosts.allow(host))
        && asked.is_none_or(|asked| hosts.allow(asked));
    if !allowed {
        return Err(forbidden(
            "the Host header names none of this server's names; add yours to http_hosts",
        ));
    }
    if !request.method().is_safe() && !same_origin(request.headers(), host.as_ref()) {
        return Err(forbidden("the request comes from a web page of another origin"));
    }
    Ok(())
}

/// What no path would take is not waited for.
fn check_declared_body(headers: &HeaderMap) -> Result<(), Refusal> {
    let declared =
        headers.get(CONTENT_LENGTH).and_then(|length| length.to_str().ok()?.parse().ok());
    if declared.is_some_and(|bytes: u64| bytes > MESSAGE_BODY_BYTES_MAX as u64) {
        return Err(Refusal::Http(
            HttpRefusal::RequestTooLarge,
            format!("the body has more than {MESSAGE_BODY_BYTES_MAX} bytes"),
        ));
    }
    Ok(())
}

fn same_origin(headers: &HeaderMap, host: Option<&Authority>) -> bool {
    let Some(origin) = headers.get(ORIGIN) else { return true };
    let origin = origin.to_str().ok().and_then(|origin| origin.split_once("://"));
    let (Some((_, origin)), Some(host)) = (origin, host) else { return false };
    origin.eq_ignore_ascii_case(host.as_str())
}

fn authority(value: Option<&HeaderValue>) -> Option<Authority> {
    value.and_then(|value| Authority::try_from(value.as_bytes()).ok())
}

fn forbidden(message: &str) -> Refusal {
    Refusal::Http(HttpRefusal::Forbidden, message.to_owned())
}

#[cfg(test)]
mod tests {
    use std::net::{Ipv4Addr, Ipv6Addr};

    use super::*;

    fn allows(hosts: &AllowedHosts, host: &str) -> bool {
        hosts.allow(&host.parse().unwrap())
    }

    #[test]
    fn a_loopback_door_knows_loopback_names_and_configured_ones_only() {
        let hosts =
            AllowedHosts::new(IpAddr::V4(Ipv4Addr::LOCALHOST), vec!["litemq.internal".to_owned()]);
        for host in [
            "localhost",
            "LOCALHOST:8080",
            "a.localhost:8080",
            "127.0.0.1:8080",
            "127.9.9.9",
            "[::1]:8080",
            "litemq.internal:80",
        ] {
            assert!(allows(&hosts, host), "{host}");
        }
        for host in
            ["evil.example", "localhost.evil.example", "evillocalhost", "10.0.0.1", "[fe80::1]"]
        {
            assert!(!allows(&hosts, host), "{host}");
        }
    }

    #[test]
    fn a_door_on_all_addresses_knows_every_address_and_no_foreign_name() {
        let hosts = AllowedHosts::new(IpAddr::V6(Ipv6Addr::UNSPECIFIED), Vec::new());
        assert!(allows(&hosts, "10.0.0.1:8080"));
        assert!(allows(&hosts, "[fe80::1]:8080"));
        assert!(!allows(&hosts, "evil.example:8080"));
    }
}
