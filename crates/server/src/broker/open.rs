//! Opening the broker: recovers the catalog and the shards from the store and starts the actors.

use std::collections::BTreeMap;
use std::sync::atomic::AtomicUsize;
use std::sync::{Arc, Weak};
use std::time::Duration;

use litemq_domain::access::{Directory, Policy};
use litemq_domain::limits::{TTL_MAX, TTL_MIN};
use litemq_domain::persisted::{
    CatalogRecord, Counters, Identity, Malformed, identity_key, identity_value,
};
use litemq_domain::{
    DurationMs, Group, Quotas, Shard, ShardConfig, ShardRecovery, Timestamp, Topic,
};
use litemq_storage::{ChannelRef, Lsn, ShardId, ShardStore, StateSink, StoreError};
use tokio::sync::{Mutex, Semaphore, watch};
use tokio::time::Instant;

use super::Broker;
use super::admin::{CATALOG, put, put_counters};
use super::catalog::Catalog;
use super::clock::Clock;
use super::durability::wait_for;
use super::edge::Edge;
use super::identity::Keys;
use super::life::Life;
use super::limits::{
    ADDRESS_SHARE_PERCENT, ANSWER_BYTES_MAX, CALLS_MAX, SESSIONS_MAX, SHARDS_MAX, TRACE_BYTES_MAX,
};
use super::pool::{ClientShares, Pool, Shares};
use super::ready::ReadySignals;
use super::sessions::Sessions;
use super::sets::SubscriptionSets;
use super::shard::{ActorContext, ShardHandle};
use super::trace::{TraceBudget, WhoTable};
use crate::access::{Access, AccessOptions};
use crate::observe::Metrics;

/// Settings of a broker.
#[derive(Debug, Clone)]
pub struct BrokerOptions {
    /// Number of shards of a new data folder; one that exists keeps its own.
    pub shards: u16,
    /// Payload bytes of sends that may be under way, and as many bytes of requests before.
    pub in_flight_bytes_max: u64,
    /// Bytes of answers that their clients have not read.
    pub answer_bytes_max: usize,
    /// Calls open at a time.
    pub calls_max: usize,
    /// Clients known at a time. Those with subscriptions come back after a restart, however many.
    pub sessions_max: usize,
    /// How much of that one client address may have, percent; sessions are not divided.
    pub address_share_percent: u8,
    /// How long messages are kept.
    pub retention: Duration,
    /// Shortest time to live that may be asked for; of what there is, nothing changes.
    pub ttl_min: DurationMs,
    /// Longest time to live that may be asked for, besides for ever.
    pub ttl_max: DurationMs,
    /// Longest time between two checkpoints.
    pub checkpoint_interval: Duration,
    /// Most log bytes between two checkpoints.
    pub checkpoint_log_bytes: u64,
    /// Bytes of the trace of what happened to messages; 0 is off.
    pub trace_bytes_max: usize,
    /// What is checked about callers.
    pub access: AccessOptions,
    /// Where time, chance and threads come from.
    pub edge: Edge,
}

impl Default for BrokerOptions {
    fn default() -> Self {
        Self {
            shards: 2,
            in_flight_bytes_max: 256 << 20,
            answer_bytes_max: ANSWER_BYTES_MAX,
            calls_max: CALLS_MAX,
            sessions_max: SESSIONS_MAX,
            address_share_percent: ADDRESS_SHARE_PERCENT,
            retention: Duration::from_secs(72 * 3600),
            ttl_min: TTL_MIN,
            ttl_max: TTL_MAX,
            checkpoint_interval: Duration::from_secs(60),
            checkpoint_log_bytes: 1 << 30,
            trace_bytes_max: TRACE_BYTES_MAX,
            access: AccessOptions::default(),
            edge: Edge::System,
        }
    }
}

impl Broker {
    /// Opens a broker over a store that was not used yet in this process.
    ///
    /// # Errors
    /// When the store cannot be recovered; nothing was changed then.
    pub async fn open(
        store: Arc<dyn ShardStore>,
        options: BrokerOptions,
        metrics: Arc<Metrics>,
    ) -> Result<Arc<Self>, StoreError> {
        let recovering = Arc::clone(&store);
        let recovery = options.edge.off_thread(move || Recovery::read(recovering.as_ref())).await?;
        let identity = match recovery.identity {
            Some(identity) => identity,
            None if recovery.is_empty() => first_start(store.as_ref(), &options).await?,
            None => return Err(StoreError::Invalid("the log has no identity record".to_owned())),
        };
        if !(1..=SHARDS_MAX).contains(&identity.shards) {
            let shards = identity.shards;
            return Err(StoreError::Unreadable(format!("a data folder of {shards} shards")));
        }
        if identity.shards != options.shards {
            tracing::warn!(
                shards = identity.shards,
                configured = options.shards,
                "the number of shards is fixed at the first start; the setting is ignored"
            );
        }
        Self::start(store, options, metrics, recovery, identity)
    }

    fn start(
        store: Arc<dyn ShardStore>,
        options: BrokerOptions,
        metrics: Arc<Metrics>,
        recovery: Recovery,
        identity: Identity,
    ) -> Result<Arc<Self>, StoreError> {
        let keys = Keys::new(identity.hash_key, identity.shards);
        // Time does not go back over a restart.
        let clock = Clock::starting_at(options.edge.wall_time().max(recovery.newest_time()));
        let catalog = Arc::new(Catalog::new(Arc::clone(&metrics)));
        recovery.topics.iter().for_each(|topic| catalog.put_topic(Arc::clone(topic)));
        recovery.groups.iter().for_each(|group| catalog.put_group(Arc::clone(group)));
        let sessions = Arc::new(Sessions::new(clock, keys, options.sessions_max));
        let trace = TraceBudget::of(options.trace_bytes_max, identity.shards);
        let context = Arc::new(ActorContext {
            store,
            clock,
            signals: Arc::new(ReadySignals::new(identity.shards)),
            sessions: Arc::clone(&sessions),
            catalog: Arc::clone(&catalog),
            subscriptions: SubscriptionSets::default(),
            life: watch::Sender::new(Life::Serving),
            trace_bytes: trace.ring_bytes,
            who: WhoTable::new(trace.who_bytes),
        });
        let counters = recovery.counters;
        catalog.lite_topics().set_all_max(recovery.quotas.lite_topics_max);
        context.subscriptions.set_all_max(recovery.quotas.subscriptions_max);
        let access = Access::new(options.access.clone(), recovery.directory()?);
        let shards = recovery
            .into_shards(identity, clock.now(), options.edge)?
            .into_iter()
            .map(|shard| {
                for found in shard.subscribers() {
                    sessions.recover(&found.client, found.user);
                    context.subscriptions.recover(found.key, found.group, found.lite_topics);
                }
                for (topic, count) in shard.counts(clock.now()).lite_topics {
                    catalog.lite_topics().recover(topic, count);
                }
                ShardHandle::start(shard, Arc::clone(&context))
            })
            .collect();
        let in_flight = usize::try_from(options.in_flight_bytes_max).unwrap_or(usize::MAX);
        let shared = |max| Shares::new(Pool::new(max), options.address_share_percent);
        let shares = ClientShares {
            calls: shared(options.calls_max),
            request_bytes: shared(in_flight),
            answer_bytes: shared(options.answer_bytes_max),
        };
        Ok(Arc::new_cyclic(|itself| Self {
            itself: Weak::clone(itself),
            context,
            keys,
            access,
            metrics,
            shards,
            counters: Mutex::new(counters),
            in_flight: Arc::new(Semaphore::new(in_flight.min(Semaphore::MAX_PERMITS))),
            shares,
            parked: AtomicUsize::new(0),
            turn: AtomicUsize::new(0),
            options,
        }))
    }
}

/// Draws what is fixed for the life of a data folder.
async fn first_start(
    store: &dyn ShardStore,
    options: &BrokerOptions,
) -> Result<Identity, StoreError> {
    let hash_key = options.edge.hash_key()?;
    let identity = Identity { hash_key, shards: options.shards.clamp(1, SHARDS_MAX) };
    let ops =
        vec![put(identity_key(), identity_value(identity)), put_counters(Counters::default())];
    let lsn = store.submit(litemq_storage::Batch { ops })?;
    wait_for(&mut store.durable(), lsn)
        .await
        .map_err(|error| StoreError::Failed(error.to_string()))?;
    Ok(identity)
}

/// What the store remembers.
#[derive(Debug, Default)]
struct Recovery {
    identity: Option<Identity>,
    counters: Counters,
    topics: Vec<Arc<Topic>>,
    groups: Vec<Arc<Group>>,
    quotas: Quotas,
    users: Directory,
    policies: Vec<Policy>,
    shards: Vec<ShardRecovery>,
    last_append_at: Timestamp,
    noted_at: Timestamp,
}

impl Recovery {
    /// The newest time that is known: of a message, whether the log or a checkpoint tells it, or of
    /// the clock itself.
    fn newest_time(&self) -> Timestamp {
        let newest = self.shards.iter().map(ShardRecovery::newest_send_at).max();
        newest.unwrap_or_default().max(self.last_append_at).max(self.noted_at)
    }

    fn read(store: &dyn ShardStore) -> Result<Self, StoreError> {
        let mut reader = Reader::default();
        let started = Instant::now();
        let recovered = store.recover(&mut reader)?;
        let Reader { catalog, mut recovery } = reader;
        for (key, value) in catalog {
            match CatalogRecord::decode(&key, &value)
                .map_err(|error| malformed(CATALOG, &key, &error))?
            {
                CatalogRecord::Topic(topic) => recovery.topics.push(Arc::new(topic)),
                CatalogRecord::Group(group) => recovery.groups.push(Arc::new(group)),
                CatalogRecord::Counters(counters) => recovery.counters = counters,
                CatalogRecord::Identity(identity) => recovery.identity = Some(identity),
                CatalogRecord::Quotas(quotas) => recovery.quotas = quotas,
                CatalogRecord::Time(noted_at) => recovery.noted_at = noted_at,
                CatalogRecord::User(user) => recovery.users.put_user(user),
                CatalogRecord::Policy(policy) => recovery.policies.push(policy),
                CatalogRecord::AccessCounters(counters) => recovery.users.set_counters(counters),
            }
        }
        if recovered.durable > Lsn(0) {
            tracing::info!(
                replayed_bytes = recovered.replayed_bytes,
                torn_bytes = recovered.torn_bytes,
                took_ms = started.elapsed().as_millis() as u64,
                "read the log"
            );
        }
        Ok(recovery)
    }

    /// Users with their policies, which come after all users.
    fn directory(&self) -> Result<Directory, StoreError> {
        let mut directory = self.users.clone();
        for policy in &self.policies {
            if !directory.put_policy(policy.clone()) {
                let id = policy.id.0;
                return Err(StoreError::Invalid(format!(
                    "policy {id} of a user that is not there"
                )));
            }
        }
        Ok(directory)
    }

    fn is_empty(&self) -> bool {
        self.topics.is_empty() && self.groups.is_empty() && self.shards.is_empty()
    }

    fn into_shards(
        self,
        identity: Identity,
        now: Timestamp,
        edge: Edge,
    ) -> Result<Vec<Shard>, StoreError> {
        let Self { topics, groups, shards, .. } = self;
        if shards.len() > usize::from(identity.shards) {
            let found = shards.len();
            return Err(StoreError::Invalid(format!(
                "records of {found} shards in a data folder of {}",
                identity.shards
            )));
        }
        let mut shards = shards.into_iter();
        let recoveries: Vec<_> = (0..identity.shards)
            .map(|number| {
                let config = ShardConfig { number, hash_key: identity.hash_key };
                let mut recovery = shards.next().unwrap_or_else(|| ShardRecovery::new(config));
                recovery.configure(config);
                recovery
            })
            .collect();
        // Each shard builds its tables by itself.
        let jobs = recoveries.into_iter().map(|recovery| {
            let (topics, groups) = (topics.clone(), groups.clone());
            move || recovery.finish(now, topics, groups)
        });
        let shards = edge
            .side_by_side(jobs)
            .ok_or_else(|| StoreError::Invalid("a shard cannot be recovered".to_owned()))?;
        let told = |(number, shard): (usize, Result<Shard, Malformed>)| {
            shard.map_err(|error| StoreError::Unreadable(format!("shard {number}: {error}")))
        };
        shards.into_iter().enumerate().map(told).collect()
    }
}

/// Sorts what the store says into the catalog and the shards.
#[derive(Debug, Default)]
struct Reader {
    /// The last value of each key of the catalog.
    catalog: BTreeMap<Vec<u8>, Vec<u8>>,
    recovery: Recovery,
}

impl Reader {
    fn shard(&mut self, shard: ShardId) -> Result<&mut ShardRecovery, StoreError> {
        let number = usize::from(shard.0);
        if shard.0 >= SHARDS_MAX {
            return Err(StoreError::Invalid(format!("a record of shard {number}")));
        }
        while self.recovery.shards.len() <= number {
            // The key is known only at the end.
            let config = ShardConfig { number: shard.0, hash_key: [0; 16] };
            self.recovery.shards.push(ShardRecovery::new(config));
        }
        self.recovery
            .shards
            .get_mut(number)
            .ok_or_else(|| StoreError::Invalid(format!("a record of shard {number}")))
    }
}

impl StateSink for Reader {
    fn put(&mut self, shard: ShardId, key: &[u8], value: &[u8]) -> Result<(), StoreError> {
        if shard == CATALOG {
            self.catalog.insert(key.to_vec(), value.to_vec());
            return Ok(());
        }
        self.shard(shard)?.put(key, value).map_err(|error| malformed(shard, key, &error))
    }

    fn delete(&mut self, shard: ShardId, key: &[u8]) -> Result<(), StoreError> {
        if shard == CATALOG {
            self.catalog.remove(key);
            return Ok(());
        }
        self.shard(shard)?.delete(key).map_err(|error| malformed(shard, key, &error))
    }

    fn appended(&mut self, channel: ChannelRef, offset: u64, at_ms: u64, tag: u64) {
        self.recovery.last_append_at = self.recovery.last_append_at.max(Timestamp(at_ms));
        if let Ok(shard) = self.shard(channel.shard) {
            shard.appended(channel.slot, channel.generation, offset, Timestamp(at_ms), tag);
        }
    }

    fn dropped(&mut self, _channel: ChannelRef) {
        // The slot's own record says so.
    }
}

fn malformed(shard: ShardId, key: &[u8], error: &Malformed) -> StoreError {
    let owner =
        if shard == CATALOG { "the catalog".to_owned() } else { format!("shard {}", shard.0) };
    let kind = match key.first() {
        Some(1) => "a lite topic",
        Some(2) => "a position",
        Some(3) => "a subscription",
        Some(16) => "a topic",
        Some(17) => "a consumer group",
        Some(21) => "the quotas",
        Some(32) => "a user",
        Some(33) => "a policy",
        _ => "a setting",
    };
    StoreError::Unreadable(format!("{kind} of {owner}: {error}"))
}
