//! Changing what a client is subscribed to, within its quota, as one step over all shards.

use std::collections::BTreeSet;
use std::sync::Arc;

use litemq_domain::limits::SYNC_NAMES_MAX;
use litemq_domain::{
    ClientId, ClientKey, Error, ErrorCode, Group, GroupId, LiteTopicName, Result, SyncOutcome,
    UserKey,
};

use super::held::Digest;
use super::limits::SYNC_NAMES_PER_STEP;
use super::request::{Start, SyncAction};
use super::sessions::Sessions;
use super::sets::Changing;
use super::shard::command::{Change, Command, Sync};
use super::{Broker, group_deleted};

impl Broker {
    /// Changes what a client is subscribed to. Repeats are free, removals always pass, and a change
    /// over the quota is refused whole.
    ///
    /// # Errors
    /// [`ErrorCode::LiteSubscriptionQuotaExceeded`].
    pub async fn sync_subscription(
        &self,
        client: &ClientId,
        group: &Arc<Group>,
        action: SyncAction,
        names: Vec<LiteTopicName>,
    ) -> Result<()> {
        let (client, group) = (client.clone(), group.id);
        self.to_the_end(|broker| async move {
            broker.change_subscription(&client, group, action, names, None).await
        })
        .await
    }

    /// Adds lite topics to a client's set and moves the group to a place in each of them, also in those
    /// that the client has already.
    ///
    /// # Errors
    /// As [`Self::sync_subscription`]; nothing has changed then.
    pub async fn subscribe_from(
        &self,
        client: &ClientId,
        group: &Arc<Group>,
        names: Vec<LiteTopicName>,
        start: Start,
    ) -> Result<()> {
        let (client, group) = (client.clone(), group.id);
        let action = SyncAction::PartialAdd;
        self.to_the_end(|broker| async move {
            broker.change_subscription(&client, group, action, names, Some(start)).await
        })
        .await
    }

    async fn change_subscription(
        &self,
        client: &ClientId,
        group: GroupId,
        action: SyncAction,
        names: Vec<LiteTopicName>,
        start: Option<Start>,
    ) -> Result<()> {
        if names.len() > SYNC_NAMES_MAX {
            return Err(Error::new(
                ErrorCode::LiteSubscriptionQuotaExceeded,
                format!("one request may name at most {SYNC_NAMES_MAX} lite topics"),
            ));
        }
        let named = self.digest_of(&names).await;
        let key = self.keys.client(client);
        let changing = self.context.subscriptions.change(key, group).await;
        // Only now, as its mode is the same until the end of the change.
        let group = self.context.catalog.group_by_id(group).ok_or_else(group_deleted)?;
        if group.options.wildcard().is_some() {
            return self.change_membership(client, &group, action, named.names(), &changing);
        }
        let user = self.context.sessions.user_of(key);
        if action == SyncAction::CompleteAdd && changing.has_exactly(named, user) {
            self.context.sessions.keep(client);
            return room_within_quota(&changing, &group, named.names());
        }
        let (mut names, now) = (set_of(names).await, self.now());
        let mut noted = Vec::new();
        match action {
            SyncAction::CompleteAdd => changing.keep_added(&mut names, &group, now),
            SyncAction::PartialRemove => changing.forget_added(&names),
            SyncAction::CompleteRemove => changing.forget_all_added(),
            SyncAction::PartialAdd => noted = changing.note_added(&names, now),
        }
        let client = Changed { client, key, user, group: group.id };
        let changed = match self.take_room(&changing, client, &group, (action, &names)).await {
            Ok(()) => self.sync_shards(&changing, client, (action, names), start).await,
            Err(error) => Err(error),
        };
        if changed.is_err() {
            changing.forget_added(&noted);
        }
        // What has subscriptions has a session, which ends them some day.
        self.context.sessions.keep(client.client);
        changed
    }

    /// A client of a wildcard group has no set: it is there, or it is not. What a full sync names does
    /// not matter.
    fn change_membership(
        &self,
        client: &ClientId,
        group: &Group,
        action: SyncAction,
        names: u64,
        changing: &Changing<'_>,
    ) -> Result<()> {
        match action {
            SyncAction::PartialAdd if names > 0 => Err(Error::new(
                ErrorCode::BadRequest,
                format!(
                    "all clients of consumer group '{}' share its lite topics; they receive without \
                     subscribing to any",
                    group.name
                ),
            )),
            SyncAction::PartialAdd | SyncAction::CompleteAdd => {
                changing.set_joined(true);
                self.context.sessions.keep(client);
                Ok(())
            }
            SyncAction::PartialRemove => Ok(()),
            SyncAction::CompleteRemove => {
                changing.set_joined(false);
                Ok(())
            }
        }
    }

    /// Notes a client of a group, if it is a wildcard group. Some SDKs never sync a set without names,
    /// so whatever they send says that they are there.
    pub fn join(&self, client: &ClientId, group: &Group) {
        if group.options.wildcard().is_none() {
            return;
        }
        let is_wildcard = || {
            let present = self.context.catalog.group_by_id(group.id);
            present.is_some_and(|group| group.options.wildcard().is_some())
        };
        self.context.subscriptions.join(self.keys.client(client), group.id, is_wildcard);
        self.context.sessions.keep(client);
    }

    /// Takes a lite topic, or all it has for the group, from a client, which is told; how many. It may
    /// subscribe again.
    ///
    /// # Errors
    /// [`ErrorCode::ConsumerGroupNotFound`], a name that is none, or [`ErrorCode::BadRequest`] for a
    /// wildcard group: its clients have no lite topics of their own that could be taken.
    pub async fn expel(
        &self,
        client: &ClientId,
        group: &str,
        lite_topic: Option<&str>,
    ) -> Result<u64> {
        let (group, name) = (self.group(group)?, lite_topic.map(LiteTopicName::new).transpose()?);
        if group.options.wildcard().is_some() {
            return Err(Error::new(
                ErrorCode::BadRequest,
                format!(
                    "all clients of consumer group '{}' share its lite topics, so none can be taken from \
                     one; to keep a client out, disable its user or deny it the group",
                    group.name
                ),
            ));
        }
        self.end_subscriptions(client, group.id, name).await
    }

    /// The same without the checks; nothing for a client that has no lite topics of its own.
    pub(super) async fn end_subscriptions(
        &self,
        client: &ClientId,
        group: GroupId,
        name: Option<LiteTopicName>,
    ) -> Result<u64> {
        let client = self.keys.client(client);
        self.to_the_end(move |broker| async move {
            // A full sync must not keep what the client added just before.
            let changing = broker.context.subscriptions.change(client, group).await;
            match &name {
                Some(name) => changing.forget_added([name]),
                None => changing.forget_all_added(),
            }
            let mut expelled = 0;
            for shard in &broker.shards {
                let name = name.clone();
                expelled += shard.ask(|reply| Command::Expel(client, group, name, reply)).await?;
            }
            Ok(expelled)
        })
        .await
    }

    /// A client says goodbye: its subscriptions end, and what it holds goes back at once.
    ///
    /// # Errors
    /// When the store has failed.
    pub async fn terminate(&self, client: &ClientId) -> Result<()> {
        let client = self.keys.client(client);
        self.to_the_end(|broker| async move { broker.end_client(client, |_| true).await }).await
    }

    /// The same for a client that was silent for too long, unless it is back.
    pub(super) async fn end_expired(&self, client: ClientKey) -> Result<()> {
        self.end_client(client, |sessions| sessions.is_expired(client)).await
    }

    /// Subscriptions first, so that nothing that goes back comes to the same client again. The
    /// session goes last: while there is one, whatever is left will be ended some day.
    async fn end_client(
        &self,
        client: ClientKey,
        is_gone: impl Fn(&Sessions) -> bool,
    ) -> Result<()> {
        // The shards know the client by its key; the id is only for new subscriptions.
        let nobody = ClientId::new("-")?;
        let subscriptions = &self.context.subscriptions;
        for group in subscriptions.groups_of(client) {
            let changing = subscriptions.change(client, group).await;
            if !is_gone(&self.context.sessions) {
                return Ok(());
            }
            let of = Changed { client: &nobody, key: client, user: None, group };
            let nothing = (SyncAction::CompleteRemove, BTreeSet::new());
            self.sync_shards(&changing, of, nothing, None).await?;
            changing.forget_all_added();
            changing.set_joined(false);
        }
        self.tell_shards(|| Command::ReleaseClient { client, renewed_only: false }).await?;
        if is_gone(&self.context.sessions) && subscriptions.groups_of(client).is_empty() {
            self.context.signals.forget(client);
            self.context.sessions.forget(client);
        }
        Ok(())
    }

    /// Takes room for what the set will be, within the quota of a client and that of the broker.
    async fn take_room(
        &self,
        changing: &Changing<'_>,
        client: Changed<'_>,
        group: &Group,
        (action, names): (SyncAction, &BTreeSet<LiteTopicName>),
    ) -> Result<()> {
        let quota = quota_of(group);
        let (named, count) = (names.len() as u64, changing.count());
        let wanted = match action {
            SyncAction::PartialRemove | SyncAction::CompleteRemove => return Ok(()),
            SyncAction::CompleteAdd => named,
            SyncAction::PartialAdd if changing.is_unlimited() && count + named <= quota => {
                return changing.take_room(count + named);
            }
            // Whatever it has: it will have these.
            SyncAction::PartialAdd if named > quota => named,
            SyncAction::PartialAdd => count + self.count_new(client.key, group.id, names).await?,
        };
        room_within_quota(changing, group, wanted)
    }

    async fn count_new(
        &self,
        key: ClientKey,
        group: GroupId,
        names: &BTreeSet<LiteTopicName>,
    ) -> Result<u64> {
        let mut new = 0;
        for (shard, names) in self.shards.iter().zip(self.by_shard(names)) {
            if !names.is_empty() {
                new += shard.ask(|reply| Command::CountNew(key, group, names, reply)).await?;
            }
        }
        Ok(new)
    }

    /// Changes the set in each shard, which counts what has changed.
    async fn sync_shards(
        &self,
        changing: &Changing<'_>,
        client: Changed<'_>,
        (action, names): (SyncAction, BTreeSet<LiteTopicName>),
        start: Option<Start>,
    ) -> Result<()> {
        let named = self.digest_of(&names).await;
        let outcome = self.sync_each_shard(client, action, &names, start).await;
        changing.learn(action, (named, client.user), outcome.as_ref().ok().copied());
        outcome.map(drop)
    }

    async fn sync_each_shard(
        &self,
        client: Changed<'_>,
        action: SyncAction,
        names: &BTreeSet<LiteTopicName>,
        start: Option<Start>,
    ) -> Result<SyncOutcome> {
        let Changed { client, key, user, group } = client;
        let whole = matches!(action, SyncAction::CompleteAdd | SyncAction::CompleteRemove);
        let mut all = SyncOutcome::default();
        for (shard, names) in self.shards.iter().zip(self.by_shard(names)) {
            let steps = steps(action, names);
            for (change, names) in steps.into_iter().filter(|(_, names)| whole || !names.is_empty())
            {
                let starts = match start {
                    Some(start) => self.starts_of(shard, group, &names, start).await?,
                    None => Vec::new(),
                };
                let sync = Sync { client: client.clone(), key, user, group, change, names, starts };
                let outcome = shard.ask(|reply| Command::Sync(sync, reply)).await?;
                all.added += outcome.added;
                all.removed += outcome.removed;
            }
        }
        Ok(all)
    }

    /// What these names are recognised by, made in steps between which others run.
    async fn digest_of<'n>(&self, names: impl IntoIterator<Item = &'n LiteTopicName>) -> Digest {
        let mut digest = Digest::default();
        for name in names {
            digest.add(self.keys.member(name));
            if digest.names().is_multiple_of(SYNC_NAMES_PER_STEP as u64) {
                tokio::task::yield_now().await;
            }
        }
        digest
    }

    fn by_shard(&self, names: &BTreeSet<LiteTopicName>) -> Vec<Vec<LiteTopicName>> {
        let mut parts = vec![Vec::new(); self.shards.len()];
        for name in names {
            if let Some(part) = parts.get_mut(self.keys.shard(name)) {
                part.push(name.clone());
            }
        }
        parts
    }
}

/// The set of these names, made in steps between which others run.
async fn set_of(names: Vec<LiteTopicName>) -> BTreeSet<LiteTopicName> {
    let mut set = BTreeSet::new();
    for (n, name) in names.into_iter().enumerate() {
        set.insert(name);
        if n % SYNC_NAMES_PER_STEP == SYNC_NAMES_PER_STEP - 1 {
            tokio::task::yield_now().await;
        }
    }
    set
}

fn quota_of(group: &Group) -> u64 {
    group.options.client_quota.map_or(u64::MAX, u64::from)
}

/// Takes room for the set to have so many lite topics, if a client may.
fn room_within_quota(changing: &Changing<'_>, group: &Group, wanted: u64) -> Result<()> {
    let quota = quota_of(group);
    if wanted <= quota {
        return changing.take_room(wanted);
    }
    Err(Error::new(
        ErrorCode::LiteSubscriptionQuotaExceeded,
        format!(
            "the client would have {wanted} lite topics of consumer group '{}'; its quota is {quota}",
            group.name
        ),
    ))
}

/// A client whose set is changed.
#[derive(Clone, Copy)]
struct Changed<'a> {
    client: &'a ClientId,
    key: ClientKey,
    /// Whose it is.
    user: Option<UserKey>,
    group: GroupId,
}

/// A change as steps between which the shard serves others. A large full set is added name by name
/// first, so that only what it does not have is left for the last step.
fn steps(action: SyncAction, names: Vec<LiteTopicName>) -> Vec<(Change, Vec<LiteTopicName>)> {
    let change = match action {
        SyncAction::PartialAdd => Change::Add,
        SyncAction::PartialRemove => Change::Remove,
        SyncAction::CompleteAdd => Change::Replace,
        SyncAction::CompleteRemove => Change::Clear,
    };
    if names.len() <= SYNC_NAMES_PER_STEP {
        return vec![(change, names)];
    }
    let small = |change| names.chunks(SYNC_NAMES_PER_STEP).map(move |step| (change, step.to_vec()));
    match change {
        Change::Add | Change::AddFree | Change::Remove => small(change).collect(),
        Change::Replace | Change::Clear => {
            let mut steps: Vec<_> = small(Change::AddFree).collect();
            steps.push((change, names));
            steps
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn names(count: usize) -> Vec<LiteTopicName> {
        (0..count).map(|n| LiteTopicName::new(&n.to_string()).unwrap()).collect()
    }

    #[test]
    fn a_large_change_is_made_in_steps_that_add_up_to_it() {
        let many = names(SYNC_NAMES_PER_STEP * 2 + 1);
        for (action, change) in
            [(SyncAction::PartialAdd, Change::Add), (SyncAction::PartialRemove, Change::Remove)]
        {
            let steps = steps(action, many.clone());
            let is_step = |(step, names): &(Change, Vec<_>)| {
                *step == change && names.len() <= SYNC_NAMES_PER_STEP
            };
            assert!(steps.iter().all(is_step));
            let all: Vec<_> = steps.into_iter().flat_map(|(_, names)| names).collect();
            assert_eq!(all, many);
        }
        let steps = steps(SyncAction::CompleteAdd, many.clone());
        let changes: Vec<Change> = steps.iter().map(|(change, _)| *change).collect();
        let free = Change::AddFree;
        assert_eq!(changes, [free, free, free, Change::Replace], "takes nothing from owners");
        assert_eq!(steps.last(), Some(&(Change::Replace, many)));
    }

    #[test]
    fn a_usual_change_is_one_step() {
        let few = names(SYNC_NAMES_PER_STEP);
        for (action, change) in
            [(SyncAction::CompleteAdd, Change::Replace), (SyncAction::PartialAdd, Change::Add)]
        {
            assert_eq!(steps(action, few.clone()), [(change, few.clone())]);
        }
    }
}
