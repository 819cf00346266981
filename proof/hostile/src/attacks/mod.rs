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
use crate::settings::{
    CALLS, CONNECTIONS, HTTP_CONNECTIONS, SESSIONS, STREAMS_PER_CONNECTION, Term,
};
use Term::{
    Answers, Calls, Connections, HttpBodies, HttpConnections, Requests, Sessions, Stored, Unsynced,
};

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
    /// What it may make the broker's memory grow by.
    pub(crate) terms: &'static [Term],
    pub(crate) run: fn(Field) -> Running,
}

/// Makes the table of attacks: of a module each function, for how many milliseconds it goes on, and the terms
/// of the bound on memory that it may use.
macro_rules! attacks {
    ($($module:ident: $($name:ident $lasts_ms:literal $terms:expr),*;)*) => {
        &[$($(Attack {
            name: stringify!($name),
            lasts: Duration::from_millis($lasts_ms),
            terms: &$terms,
            run: |field| Box::pin($module::$name(field)),
        },)*)*]
    };
}

/// Connections and calls of an attack that has a few and goes on.
const FEW: [Term; 2] = [Connections(8), Calls(STREAMS_PER_CONNECTION)];
/// The same with requests that are large.
const LARGE: [Term; 4] = [FEW[0], FEW[1], Requests, Unsynced];

/// All attacks.
#[rustfmt::skip]
pub(crate) const ATTACKS: &[Attack] = attacks! {
    doors:
        silent_connections 700 [Connections(2000)],
        silent_handshakes 700 [Connections(2000)],
        silent_prefaces 600 [Connections(2000)],
        one_address_takes_all 1000 [Connections(CONNECTIONS / 2)],
        http_slow_headers 700 [HttpConnections(HTTP_CONNECTIONS / 2)],
        http_huge_headers 700 [HttpConnections(8)],
        http_huge_bodies 700 [HttpConnections(8)],
        http_pipelining 700 [HttpConnections(8)],
        http_endless_chunks 700 [HttpConnections(1), HttpBodies(1)];
    streams:
        idle_polls 700 [Connections(3), Calls(3000), Sessions(300)],
        idle_telemetry 700 [Connections(3), Calls(3000), Sessions(3000)],
        too_many_streams 700 [Connections(1), Calls(STREAMS_PER_CONNECTION)],
        too_many_calls 1500 [Connections(6), Calls(CALLS / 2), Sessions(600)];
    bodies:
        declared_4_mib 700 [Connections(4), Calls(CALLS / 2)],
        declared_4_gib 700 [Connections(4), Calls(CALLS / 2)],
        trickled_bodies 700 [Connections(1), Calls(500)],
        messages_without_end 700 [Connections(1), Calls(200), Requests],
        hoarded_bodies 700 [Connections(8), Calls(128), Requests];
    readers:
        unread_receives 700 [Connections(36), Calls(144), Requests, Unsynced, Answers],
        unread_sockets 700 [Connections(36), Calls(144), Requests, Unsynced, Answers],
        unread_telemetry 1500 [Connections(16), Calls(320), Sessions(320), Answers],
        http_unread_answers 2000 [HttpConnections(100), HttpBodies(8), LARGE[0], LARGE[1], Requests, Unsynced];
    frames:
        rapid_reset 1000 FEW, made_you_reset 1000 FEW, reset_flood 700 FEW, settings_flood 700 FEW,
        ping_flood 700 FEW, unread_pings 700 FEW, tiny_data 700 FEW, window_overflow 700 FEW,
        priority_flood 700 FEW, unknown_frames 700 FEW;
    headers:
        continuation_flood 700 FEW,
        header_bomb 700 FEW,
        large_headers 700 [Connections(4), Calls(2000)],
        calls_full_of_headers 4000 [Connections(8), Calls(CALLS)];
    requests:
        empty_messages 1000 LARGE, tiny_messages 1000 LARGE, property_bomb 1000 LARGE, many_keys 700 LARGE,
        nested_groups 700 LARGE, broken_text 700 LARGE, compressed_requests 700 FEW,
        compressed_bodies 700 FEW, abused_names 1000 LARGE, bad_handles 700 LARGE;
    subscriptions:
        million_names_at_once 1500 [FEW[0], Requests, Stored(30_000)],
        million_names_over_time 1500 [FEW[0], Requests, Stored(30_000)];
    logs:
        log_injection 700 FEW;
    clients:
        fresh_clients 2500 [FEW[0], FEW[1], Sessions(SESSIONS)];
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
