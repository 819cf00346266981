//! Counters of one door.

use prometheus_client::encoding::{EncodeLabel, EncodeLabelSet, LabelSetEncoder};
use prometheus_client::metrics::counter::Counter;
use prometheus_client::metrics::family::Family;
use prometheus_client::metrics::gauge::Gauge;
use prometheus_client::registry::Registry;

use super::metrics::registered;
use super::names;

/// The counters of one door. A clone counts into the same counters; the default into none that are
/// shown.
#[derive(Debug, Clone, Default)]
pub struct DoorMetrics {
    connections: Gauge,
    refused: Counter,
    failed_accepts: Counter,
}

/// A connection that counts as open until dropped.
#[derive(Debug)]
pub struct OpenConnection(Gauge);

impl DoorMetrics {
    /// A connection is open while the value lives.
    pub fn opened(&self) -> OpenConnection {
        self.connections.inc();
        OpenConnection(self.connections.clone())
    }

    /// Connections that are open.
    pub fn open(&self) -> u64 {
        u64::try_from(self.connections.get()).unwrap_or(0)
    }

    /// A connection was closed at once, for there were too many.
    pub fn refused(&self) {
        self.refused.inc();
    }

    /// A connection could not be taken up.
    pub fn failed_accept(&self) {
        self.failed_accepts.inc();
    }
}

impl Drop for OpenConnection {
    fn drop(&mut self) {
        self.0.dec();
    }
}

#[derive(Debug, Clone, PartialEq, Eq, Hash)]
struct DoorLabel(&'static str);

impl EncodeLabelSet for DoorLabel {
    fn encode(&self, encoder: &mut LabelSetEncoder<'_>) -> std::fmt::Result {
        ("door", self.0).encode(encoder.encode_label())
    }
}

#[derive(Debug)]
pub(super) struct DoorFamilies {
    connections: Family<DoorLabel, Gauge>,
    refused: Family<DoorLabel, Counter>,
    failed_accepts: Family<DoorLabel, Counter>,
}

impl DoorFamilies {
    pub(super) fn register(registry: &mut Registry) -> Self {
        Self {
            connections: registered(registry, names::CONNECTIONS, Family::default()),
            refused: registered(registry, names::CONNECTIONS_REFUSED, Family::default()),
            failed_accepts: registered(registry, names::ACCEPTS_FAILED, Family::default()),
        }
    }

    pub(super) fn of(&self, door: &'static str) -> DoorMetrics {
        let label = DoorLabel(door);
        DoorMetrics {
            connections: self.connections.get_or_create_owned(&label),
            refused: self.refused.get_or_create_owned(&label),
            failed_accepts: self.failed_accepts.get_or_create_owned(&label),
        }
    }
}
