//! Send, deliver, ack, and beside it some messages that are not acknowledged at first, at a server
//! that is already there: how soon they come again, and what the others feel.

use std::time::Duration;

use super::deliver::{self, Round};
use super::unacked::Unacked;
use crate::Result;
use crate::args::RedeliverArgs;

/// Runs one round.
pub(crate) async fn run(args: &RedeliverArgs) -> Result<Round> {
    let first = args.deliver.channels.get();
    let channels = first..first + args.unacked_channels.get();
    let invisible = Duration::from_secs(args.invisible_seconds);
    let unacked = Unacked::new(args.unacked_one_of.get(), invisible, channels)?;
    deliver::run(&args.deliver, Some(unacked)).await
}
