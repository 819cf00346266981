//! ChangeLogLevel and GetProxyRuntimeStats.

use litemq_domain::{Error, ErrorCode, Result};
use litemq_protocol::v2;
use tokio::time::{Instant, sleep};
use v2::change_log_level_request::Level;

use super::super::limits::RATE_SPAN;
use super::super::reply;
use super::super::route::BROKER_NAME;
use super::{Administration, Administrator};
use crate::observe::set_log_level;

/// What this server logs of itself from now on, until the next start. What its libraries log stays as it
/// is configured: some write whole requests, with their credentials, at the lowest levels.
pub(super) fn log(request: &v2::ChangeLogLevelRequest) -> Result<v2::ChangeLogLevelResponse> {
    let level = match Level::try_from(request.level) {
        Ok(Level::Trace) => "trace",
        Ok(Level::Debug) => "debug",
        Ok(Level::Info) => "info",
        Ok(Level::Warn) => "warn",
        Ok(Level::Error) => "error",
        Err(_) => {
            let text =
                format!("there is no log level {}; give 0 (trace) to 4 (error)", request.level);
            return Err(Error::new(ErrorCode::BadRequest, text));
        }
    };
    set_log_level(level).map_err(|problem| Error::new(ErrorCode::Internal, problem))?;
    tracing::warn!(level, "the log level was changed");
    let remark = format!("LiteMQ logs at {level} until its next start");
    Ok(v2::ChangeLogLevelResponse { remark })
}

/// How busy the node is. Rates are of the second that the call takes.
pub(super) async fn stats(
    admin: &Administration,
    _: &Administrator,
    _: v2::GetProxyRuntimeStatsRequest,
) -> Result<v2::GetProxyRuntimeStatsResponse> {
    let _place = admin.search()?;
    let (began, before) = (Instant::now(), admin.broker().throughput());
    sleep(RATE_SPAN).await;
    let (span, after) = (began.elapsed().as_secs_f64(), admin.broker().throughput());
    // A topic that was deleted meanwhile takes its count with it.
    let rate = |before: u64, after: u64| after.saturating_sub(before) as f64 / span;
    let connected = admin.broker().connected();
    let count = |count: u64| i64::try_from(count).unwrap_or(i64::MAX);
    Ok(v2::GetProxyRuntimeStatsResponse {
        status: Some(reply::ok()),
        proxy_name: BROKER_NAME.to_owned(),
        version: env!("CARGO_PKG_VERSION").to_owned(),
        in_tps: rate(before.0, after.0),
        out_tps: rate(before.1, after.1),
        connections: count(admin.connections.open()),
        producers: count(connected.producers),
        consumers: count(connected.consumers),
    })
}
