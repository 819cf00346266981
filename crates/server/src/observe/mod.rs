//! What an operator sees: metrics and logs. Never a message body, never a lite topic as a label.

mod door;
mod logging;
mod metrics;
mod names;
mod snapshot;

pub use door::{DoorMetrics, OpenConnection};
pub use logging::{check_log_level, init_logging, set_log_level};
pub use metrics::{GroupMetrics, Metrics, TopicMetrics, code_name};
pub use snapshot::{GroupGauges, Snapshot, TopicGauges};
