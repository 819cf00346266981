//! Time, connections and restarts: when leases end.

use litemq_domain::DurationMs;

use super::{RENEWAL, RESTART_GRACE, Reference};

impl Reference {
    pub(crate) fn gone(&mut self, client: &str, renewed_only: bool) {
        let now = self.now;
        for delivery in self.deliveries.values_mut().flatten() {
            let renewed = delivery.remembered_until.is_some();
            if delivery.client == client && !delivery.burying && (renewed || !renewed_only) {
                delivery.end_lease(delivery.visible.0.min(now));
            }
        }
    }

    pub(crate) fn set_connected(&mut self, client: &str, connected: bool) {
        if connected {
            self.offline.remove(client);
        } else {
            self.offline.insert(client.to_owned());
        }
    }

    /// What a client was given and has not kept for a renewal may not have reached it.
    pub(crate) fn doubt(&mut self, client: &str) {
        for delivery in self.deliveries.values_mut().flatten() {
            let is_open = !delivery.settled && !delivery.burying;
            let in_doubt = delivery.remembered_until.is_some() && !delivery.confirmed;
            if delivery.client == client && is_open && in_doubt {
                delivery.end_lease(delivery.visible.1);
            }
        }
    }

    /// Time passes in which nothing else happens.
    pub(crate) fn jump(&mut self, span: DurationMs) {
        self.is_unticked = true;
        let before = self.now;
        self.now = self.now + span;
        for delivery in self.deliveries.values_mut().flatten() {
            let (first, last) = delivery.visible;
            let ends = first == last && before < last && last <= self.now;
            delivery.is_late |= ends && !delivery.burying;
        }
    }

    pub(crate) fn tick(&mut self) {
        self.is_unticked = false;
        let now = self.now;
        for delivery in self.deliveries.values_mut().flatten() {
            delivery.is_late = false;
            let Some(bound) = delivery.renewed_until else { continue };
            if delivery.visible.1 > now || delivery.burying || delivery.settled {
                continue;
            }
            if bound <= now || self.offline.contains(&delivery.client) {
                delivery.end_lease(delivery.visible.1);
            } else {
                let visible_at = (now + RENEWAL).min(bound);
                delivery.visible = (visible_at, visible_at);
                delivery.confirmed = true;
            }
        }
    }

    /// Time passes as in a running server; how many leases end, and how many are renewed.
    pub(crate) fn wait(&mut self, span: DurationMs) -> (u64, u64) {
        self.tick();
        let before = self.now;
        let (mut ended, mut renewed) = (0, 0);
        self.now = self.now + span;
        for delivery in self.deliveries.values_mut().flatten() {
            let is_connected = !self.offline.contains(&delivery.client);
            while delivery.visible.1 <= self.now
                && !delivery.burying
                && let Some(bound) = delivery.renewed_until
            {
                if !is_connected || bound <= delivery.visible.1 {
                    delivery.end_lease(delivery.visible.1);
                } else {
                    let visible_at = (delivery.visible.1 + RENEWAL).min(bound);
                    delivery.visible = (visible_at, visible_at);
                    delivery.confirmed = true;
                    renewed += 1;
                }
            }
            let is_leased = delivery.attempts > 0 && !delivery.settled && !delivery.burying;
            ended += u64::from(
                is_leased && delivery.visible.1 > before && delivery.visible.1 <= self.now,
            );
        }
        (ended, renewed)
    }

    /// This is what was durable before a crash at a later moment: what is not the shard's goes on.
    pub(crate) fn catch_up(&mut self, later: &Self) {
        self.now = later.now;
        self.room = later.room;
        self.offline.clone_from(&later.offline);
        self.claims = later.claims;
    }

    /// After a restart a lease that was renewed holds for a while, and at most to the end of its
    /// renewal; how long depends on what was written when. One that was not ends at its time.
    pub(crate) fn restart(&mut self, from_snapshot: bool) {
        for sent in &mut self.sends {
            sent.is_known &= !from_snapshot;
        }
        self.begin_grace();
        let grace = self.now + RESTART_GRACE;
        self.is_unticked = false;
        self.last_receive.clear();
        self.even_until.clear();
        for delivery in self.deliveries.values_mut().flatten().filter(|found| !found.settled) {
            delivery.burying = false;
            delivery.is_late = false;
            if !delivery.confirmed && delivery.remembered_until.is_some() {
                delivery.end_lease(delivery.visible.1);
            }
            if let Some(bound) = delivery.remembered_until.filter(|bound| *bound > self.now) {
                let certain = match delivery.renewed_until {
                    Some(_) => grace,
                    None => grace.min(delivery.visible.0),
                };
                delivery.visible = (certain.min(bound), bound);
                delivery.renewed_until = None;
            }
        }
    }
}
