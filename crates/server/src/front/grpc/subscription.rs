//! SyncLiteSubscription.

use litemq_domain::limits::SYNC_NAMES_MAX;
use litemq_domain::{Error, ErrorCode, LiteTopicName, Result};
use litemq_protocol::v2;
use v2::offset_option::{OffsetType, Policy};
use v2::{
    LiteSubscriptionAction, OffsetOption, SyncLiteSubscriptionRequest, SyncLiteSubscriptionResponse,
};

use super::Door;
use super::call::Call;
use super::resource::{check_bound, find_group, find_topic, full_name};
use crate::broker::SyncAction;

impl Door {
    pub(super) async fn sync_subscription(
        &self,
        call: &Call,
        request: SyncLiteSubscriptionRequest,
    ) -> SyncLiteSubscriptionResponse {
        let outcome = self.sync(call, request).await;
        SyncLiteSubscriptionResponse { status: Some(self.outcome(call, &outcome)) }
    }

    async fn sync(&self, call: &Call, request: SyncLiteSubscriptionRequest) -> Result<()> {
        let topic = find_topic(&*self.broker, &full_name(call, request.topic.as_ref()))?;
        let group = find_group(&*self.broker, &full_name(call, request.group.as_ref()))
            .map_err(|error| Error::new(ErrorCode::ConsumerGroupIllegal, error.message))?;
        check_bound(&topic, &group)?;
        let action = action(request.action)?;
        if action == SyncAction::PartialAdd {
            check_offset_option(request.offset_option.as_ref())?;
        }
        let names = names(action, &request.lite_topic_set)?;
        self.broker.sync_subscription(&call.client, &group, action, names).await
    }
}

fn action(number: i32) -> Result<SyncAction> {
    match LiteSubscriptionAction::try_from(number) {
        Ok(LiteSubscriptionAction::PartialAdd) => Ok(SyncAction::PartialAdd),
        Ok(LiteSubscriptionAction::PartialRemove) => Ok(SyncAction::PartialRemove),
        Ok(LiteSubscriptionAction::CompleteAdd) => Ok(SyncAction::CompleteAdd),
        Ok(LiteSubscriptionAction::CompleteRemove) => Ok(SyncAction::CompleteRemove),
        Err(_) => Err(Error::new(ErrorCode::BadRequest, format!("the action {number} is unknown"))),
    }
}

/// An added name must be legal. In a removal, or in a full set, one that is not is left out: it
/// cannot be subscribed to, and one bad name must not cost a client all its others.
fn names(action: SyncAction, set: &[String]) -> Result<Vec<LiteTopicName>> {
    if set.len() > SYNC_NAMES_MAX {
        return Err(Error::new(
            ErrorCode::LiteSubscriptionQuotaExceeded,
            format!("the request has {} lite topics; at most {SYNC_NAMES_MAX} fit", set.len()),
        ));
    }
    let checked = set.iter().map(|name| LiteTopicName::new(name));
    match action {
        SyncAction::PartialAdd => checked.collect(),
        SyncAction::PartialRemove | SyncAction::CompleteAdd => Ok(checked.flatten().collect()),
        SyncAction::CompleteRemove => Ok(Vec::new()),
    }
}

/// A group continues where it is, or starts at the oldest message. Other starts are not there yet,
/// and a client that asks for one must not believe that it got it.
fn check_offset_option(option: Option<&OffsetOption>) -> Result<()> {
    match option.and_then(|option| option.offset_type.as_ref()) {
        None => Ok(()),
        Some(OffsetType::Policy(policy)) if *policy == i32::from(Policy::Last) => Ok(()),
        Some(_) => Err(Error::new(
            ErrorCode::NotImplemented,
            "offset options other than LAST are not implemented; a group starts at the oldest \
             message and continues where it was",
        )),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn set(names: &[&str]) -> Vec<String> {
        names.iter().map(|name| (*name).to_owned()).collect()
    }

    #[test]
    fn a_bad_name_refuses_an_add_and_is_left_out_of_everything_else() {
        let mixed = set(&["a", "a/b", "c"]);
        let error = names(SyncAction::PartialAdd, &mixed).unwrap_err();
        assert_eq!(error.code, ErrorCode::LiteTopicIllegal);
        for action in [SyncAction::PartialRemove, SyncAction::CompleteAdd] {
            let kept = names(action, &mixed).unwrap();
            assert_eq!(kept.iter().map(LiteTopicName::as_str).collect::<Vec<_>>(), ["a", "c"]);
        }
    }

    #[test]
    fn an_empty_set_and_names_of_one_character_are_fine() {
        assert!(names(SyncAction::CompleteAdd, &[]).unwrap().is_empty());
        assert_eq!(names(SyncAction::PartialAdd, &set(&["o", "-", "1"])).unwrap().len(), 3);
    }

    #[test]
    fn actions_are_known_by_their_number() {
        assert_eq!(action(0).unwrap(), SyncAction::PartialAdd);
        assert_eq!(action(3).unwrap(), SyncAction::CompleteRemove);
        assert_eq!(action(4).unwrap_err().code, ErrorCode::BadRequest);
    }

    #[test]
    fn an_offset_option_that_would_be_ignored_is_refused() {
        let option = |offset_type| Some(OffsetOption { offset_type });
        let policy = |policy: Policy| option(Some(OffsetType::Policy(policy.into())));
        for fine in [None, option(None), policy(Policy::Last)] {
            assert!(check_offset_option(fine.as_ref()).is_ok(), "{fine:?}");
        }
        for refused in [
            policy(Policy::Max),
            policy(Policy::Min),
            option(Some(OffsetType::Offset(3))),
            option(Some(OffsetType::TailN(1))),
            option(Some(OffsetType::Timestamp(1))),
        ] {
            let error = check_offset_option(refused.as_ref()).unwrap_err();
            assert_eq!(error.code, ErrorCode::NotImplemented, "{refused:?}");
        }
    }
}
