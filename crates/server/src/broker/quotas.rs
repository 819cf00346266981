//! How much the broker may hold. Changed at any time, kept over restarts.

use litemq_domain::Quotas;
use litemq_domain::Result;
use litemq_domain::persisted::{quotas_key, quotas_value};
use litemq_storage::Op;

use super::Broker;
use super::admin::put;
use super::request::QuotaChange;

/// How much there is, and how much there may be.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct QuotaUse {
    /// Lite topics alive, dead letters aside.
    pub lite_topics: u64,
    /// Pairs of a client and a lite topic that it is subscribed to.
    pub subscriptions: u64,
    /// The bounds.
    pub quotas: Quotas,
}

impl Broker {
    /// How much there is, and how much there may be.
    pub fn quotas(&self) -> QuotaUse {
        let (lite_topics, lite_topics_max) = self.context.catalog.lite_topics().all();
        let (subscriptions, subscriptions_max) = self.context.subscriptions.all();
        let quotas = Quotas { lite_topics_max, subscriptions_max };
        QuotaUse { lite_topics, subscriptions, quotas }
    }

    /// Changes how much there may be. What is there stays, also when it is more.
    ///
    /// # Errors
    /// When the store has failed.
    pub async fn set_quotas(&self, change: QuotaChange) -> Result<QuotaUse> {
        self.to_the_end(|broker| async move {
            let _counters = broker.counters.lock().await;
            let quotas = change.of(broker.quotas().quotas);
            broker.persist(vec![put_quotas(quotas)]).await?;
            broker.apply_quotas(quotas);
            Ok(broker.quotas())
        })
        .await
    }

    pub(super) fn apply_quotas(&self, quotas: Quotas) {
        self.context.catalog.lite_topics().set_all_max(quotas.lite_topics_max);
        self.context.subscriptions.set_all_max(quotas.subscriptions_max);
    }
}

pub(super) fn put_quotas(quotas: Quotas) -> Op {
    put(quotas_key(), quotas_value(quotas))
}
