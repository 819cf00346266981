//! The attacks: each floods, stalls or lies for a while, paced so that it is not the processor that is
//! measured, and says what it did or what the broker should not have let it do.

mod bodies;
mod clients;
mod doors;
mod frames;
mod headers;
pub(crate) use logs::FORGED;

mod logs;
mod readers;
mod requests;
mod streams;
mod subscriptions;

use std::future::Future;
use std::net::SocketAddr;
use std::pin::Pin;
use std::time::Duration;

use litemq_checker::dice::Dice;
use tokio::time::{Instant, MissedTickBehavior, interval, sleep_until};

use crate::http::metric;

/// How often a paced attack acts.
const TICK: Duration = Duration::from_millis(10);

/// What an attack did, or what it could do and should not.
pub(crate) type Outcome = Result<u64, String>;

/// Where an attack takes place.
#[derive(Debug, Clone)]
pub(crate) struct Field {
    pub(crate) grpc: SocketAddr,
    pub(crate) http: SocketAddr,
    pub(crate) lasts: Duration,
    pub(crate) until: Instant,
    pub(crate) dice: Dice,
}

type Running = Pin<Box<dyn Future<Output = Outcome> + Send>>;

/// One attack.
pub(crate) struct Attack {
    pub(crate) name: &'static str,
    /// How long it goes on.
    pub(crate) lasts: Duration,
    pub(crate) run: fn(Field) -> Running,
}

/// Makes the table of attacks: `name: module::function for milliseconds`.
macro_rules! attacks {
    ($($module:ident: $($name:ident $lasts_ms:literal)*;)*) => {
        &[$($(Attack {
            name: stringify!($name),
            lasts: Duration::from_millis($lasts_ms),
            run: |field| Box::pin($module::$name(field)),
        },)*)*]
    };
}

/// All attacks.
pub(crate) const ATTACKS: &[Attack] = attacks! {
    doors: silent_connections 700 silent_handshakes 700 silent_prefaces 600 one_address_takes_all 1000
        http_slow_headers 700 http_huge_headers 700 http_huge_bodies 700 http_pipelining 700
        http_endless_chunks 700;
    streams: idle_polls 700 idle_telemetry 700 too_many_streams 700 too_many_calls 1500;
    bodies: declared_4_mib 700 declared_4_gib 700 trickled_bodies 700 hoarded_bodies 700;
    readers: unread_receives 700 unread_sockets 700 unread_telemetry 1500 http_unread_answers 2000;
    frames: rapid_reset 1000 made_you_reset 1000 reset_flood 700 settings_flood 700 ping_flood 700
        unread_pings 700 tiny_data 700 window_overflow 700 priority_flood 700 unknown_frames 700;
    headers: continuation_flood 700 header_bomb 700 large_headers 700;
    requests: empty_messages 1000 tiny_messages 1000 property_bomb 1000 many_keys 700 nested_groups 700
        broken_text 700 compressed_requests 700 compressed_bodies 700 abused_names 1000 bad_handles 700;
    subscriptions: million_names_at_once 1500 million_names_over_time 1500;
    logs: log_injection 700;
    clients: fresh_clients 2500;
};

/// Attacks whose traces are looked for in a log that says everything.
pub(crate) const LOGGED: &[&str] = &["log_injection", "abused_names"];

impl Field {
    pub(crate) fn goes_on(&self) -> bool {
        Instant::now() < self.until
    }

    /// A clock for acts that come one batch a tick.
    pub(crate) fn pace(&self) -> Pace {
        let mut ticks = interval(TICK);
        ticks.set_missed_tick_behavior(MissedTickBehavior::Delay);
        Pace { ticks, until: self.until }
    }

    pub(crate) async fn hold(&self) {
        sleep_until(self.until).await;
    }

    /// Holds until what started last must have been given up, which takes the broker so long.
    pub(crate) async fn hold_for(&self, time_max: Duration) {
        sleep_until(self.until.max(Instant::now() + time_max * 8 / 5)).await;
    }

    /// A gauge of the broker, which stays below its limit.
    pub(crate) async fn expect_at_most(&self, gauge: &str, limit: u64) -> Result<(), String> {
        match metric(self.http, gauge).await {
            Ok(Some(value)) if value <= limit => Ok(()),
            Ok(found) => Err(format!("{gauge} is {found:?}, its limit is {limit}")),
            Err(error) => Err(format!("no metrics: {error}")),
        }
    }
}

/// Lets a batch of acts through every tick until the attack is over.
#[derive(Debug)]
pub(crate) struct Pace {
    ticks: tokio::time::Interval,
    until: Instant,
}

impl Pace {
    pub(crate) async fn next(&mut self) -> bool {
        self.ticks.tick().await;
        Instant::now() < self.until
    }
}

/// What the broker should have done and did not.
pub(crate) fn expect(holds: bool, what: impl FnOnce() -> String) -> Result<(), String> {
    if holds { Ok(()) } else { Err(what()) }
}

/// An attacker that cannot connect has failed, and not the broker.
pub(crate) fn broken(error: std::io::Error) -> String {
    format!("the attacker broke down: {error}")
}
