//! Time over a restart.

use std::sync::Arc;
use std::time::Duration;

use litemq_domain::Timestamp;
use litemq_server::broker::{BrokerOptions, Edge};
use litemq_storage::MemoryStore;

use crate::support::{GROUP, NOW, World, bodies, broker, group};

const HOUR_MS: u64 = 3_600_000;
/// Some morning.
const START_MS: u64 = 1_800_000_000_000;

async fn open_at(store: &Arc<MemoryStore>, wall_ms: u64) -> World {
    let edge = Edge::Given { wall_time: Timestamp(wall_ms), hash_key: [7; 16] };
    let options = BrokerOptions { edge, ..BrokerOptions::default() };
    let world = World::of(broker(Arc::clone(store) as _, options).await, group(GROUP)).await;
    tokio::spawn(Arc::clone(&world.broker).keep_up());
    world
}

#[tokio::test(start_paused = true)]
async fn a_lease_ends_in_time_when_the_wall_clock_is_set_back_while_the_broker_is_down() {
    let store = Arc::new(MemoryStore::new());
    let world = open_at(&store, START_MS).await;
    world.subscribe("c", &["a"]).await;
    world.send("a", "1").await;
    // Long after the last send it is handed out.
    tokio::time::sleep(Duration::from_secs(2 * 3600)).await;
    assert_eq!(bodies(&world.receive("c", NOW).await), ["1"]);
    tokio::time::sleep(Duration::from_secs(5)).await;
    drop(world);
    let store = Arc::new(store.reopen());
    let world = open_at(&store, START_MS + HOUR_MS).await;
    // Its lease is one of 30 s.
    tokio::time::sleep(Duration::from_secs(60)).await;
    assert_eq!(bodies(&world.receive("c", NOW).await), ["1"]);
}
