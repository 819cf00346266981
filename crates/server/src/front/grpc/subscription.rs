//! SyncLiteSubscription.

use litemq_domain::limits::SYNC_NAMES_MAX;
use litemq_domain::{Error, ErrorCode, LiteTopicName, Result, Timestamp};
use litemq_protocol::v2;
use v2::offset_option::{OffsetType, Policy};
use v2::{
    LiteSubscriptionAction, OffsetOption, SyncLiteSubscriptionRequest, SyncLiteSubscriptionResponse,
};

use super::Door;
use super::call::Call;
use super::resource::{check_bound, find_group, find_topic, full_name};
use super::rights::Asker;
use crate::broker::{Start, SyncAction};

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
        let asker = Asker { caller: &call.caller, namespace: &call.namespace };
        asker.check_names(&request).await?;
        let topic = find_topic(&*self.broker, &full_name(call, request.topic.as_ref()))?;
        let group = find_group(&*self.broker, &full_name(call, request.group.as_ref()))
            .map_err(|error| Error::new(ErrorCode::ConsumerGroupIllegal, error.message))?;
        check_bound(&topic, &group)?;
        let action = action(request.action)?;
        let start = match action {
            SyncAction::PartialAdd => start(request.offset_option.as_ref())?,
            _ => None,
        };
        let names = names(action, &request.lite_topic_set)?;
        match start {
            Some(start) => self.broker.subscribe_from(&call.client, &group, names, start).await,
            None => self.broker.sync_subscription(&call.client, &group, action, names).await,
        }
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

/// Where the group goes on; it stays where it is if nothing is asked, and starts at the oldest message.
/// The numbers are signed on the wire; what lies beyond what is stored is as near as can be, but below
/// zero there is nothing near.
fn start(option: Option<&OffsetOption>) -> Result<Option<Start>> {
    let Some(asked) = option.and_then(|option| option.offset_type.as_ref()) else {
        return Ok(None);
    };
    let positive = |number: i64, what: &str| {
        u64::try_from(number).map_err(|_| {
            Error::new(ErrorCode::BadRequest, format!("{what} is {number}; give 0 or more"))
        })
    };
    match asked {
        OffsetType::Policy(number) => match Policy::try_from(*number) {
            Ok(Policy::Last) => Ok(None),
            Ok(Policy::Min) => Ok(Some(Start::Oldest)),
            Ok(Policy::Max) => Ok(Some(Start::Newest)),
            Err(_) => Err(Error::new(
                ErrorCode::BadRequest,
                format!("the offset policy {number} is unknown; give LAST, MIN or MAX"),
            )),
        },
        OffsetType::Offset(offset) => Ok(Some(Start::Offset(positive(*offset, "the offset")?))),
        OffsetType::TailN(count) => Ok(Some(Start::Tail(positive(*count, "tail n")?))),
        OffsetType::Timestamp(at) => {
            Ok(Some(Start::Time(Timestamp(positive(*at, "the timestamp")?))))
        }
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
    fn every_offset_option_is_a_place_to_start_and_nothing_lies_below_zero() {
        let read = |offset_type| start(Some(&OffsetOption { offset_type: Some(offset_type) }));
        let policy = |policy: Policy| OffsetType::Policy(policy.into());
        assert_eq!(start(None), Ok(None));
        assert_eq!(start(Some(&OffsetOption { offset_type: None })), Ok(None));
        for (asked, place) in [
            (policy(Policy::Last), None),
            (policy(Policy::Min), Some(Start::Oldest)),
            (policy(Policy::Max), Some(Start::Newest)),
            (OffsetType::Offset(0), Some(Start::Offset(0))),
            (OffsetType::Offset(i64::MAX), Some(Start::Offset(i64::MAX as u64))),
            (OffsetType::TailN(3), Some(Start::Tail(3))),
            (OffsetType::Timestamp(5), Some(Start::Time(Timestamp(5)))),
        ] {
            assert_eq!(read(asked), Ok(place), "{asked:?}");
        }
        for refused in [
            OffsetType::Policy(3),
            OffsetType::Policy(-1),
            OffsetType::Offset(-1),
            OffsetType::TailN(i64::MIN),
            OffsetType::Timestamp(-1),
        ] {
            assert_eq!(read(refused).unwrap_err().code, ErrorCode::BadRequest, "{refused:?}");
        }
    }
}
