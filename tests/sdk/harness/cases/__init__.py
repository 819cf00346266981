"""The cases. Each is one promise to a user of an SDK, told once for all languages."""

import sys

from . import delivery, lifetimes, quotas, refusals, samples, settling, subscriptions

# The long ones are first, so that the short ones fill the gaps. Beside each is what it takes of an SDK: fields of `Sdk`.
_ALL = (
    (delivery.messages_of_a_killed_consumer_go_to_another, ()),
    (lifetimes.an_expired_lite_topic_is_gone_and_its_next_life_starts_anew, ()),
    (subscriptions.the_newest_subscriber_owns_a_lite_topic, ()),
    (quotas.a_full_sync_over_the_quota_changes_nothing, ("sends_letters",)),
    (delivery.loses_nothing_when_the_broker_is_killed, ()),
    (delivery.acked_messages_stay_acked, ()),
    (delivery.unacked_messages_return_after_the_lease, ("has_simple_consumer",)),
    (settling.suspended_messages_come_again_and_count_no_attempt, ("has_suspend",)),
    (subscriptions.hands_a_session_over_without_loss, ()),
    (settling.nacks_of_a_simple_consumer_count_up_to_the_dead_letters, ("has_simple_consumer",)),
    (delivery.messages_that_fail_are_tried_again, ()),
    (settling.messages_that_always_fail_become_dead_letters, ()),
    (settling.what_became_of_a_message_can_be_asked, ()),
    (subscriptions.subscribes_and_unsubscribes_at_run_time, ()),
    (subscriptions.a_wildcard_group_gets_every_lite_topic, ()),
    (subscriptions.starts_where_the_offset_option_says, ("has_offset_options",)),
    (subscriptions.a_take_over_may_start_anew, ()),
    (subscriptions.an_unsubscribe_may_start_anew, ()),
    (subscriptions.goes_on_where_an_administrator_says, ()),
    (subscriptions.hears_that_an_administrator_ended_a_subscription, ("obeys_notices",)),
    (delivery.works_on_one_lite_topic_side_by_side, ("is_concurrent",)),
    (delivery.keeps_to_the_consume_rate_of_a_group, ()),
    (delivery.sends_and_receives_in_order, ()),
    (quotas.no_send_goes_over_the_quota_of_lite_topics, ()),
    (quotas.no_subscription_goes_over_the_quota_of_a_client, ()),
    (refusals.says_what_is_wrong_with_a_group, ()),
    (refusals.serves_who_has_the_right_and_nobody_else, ()),
    (refusals.says_what_is_wrong_with_a_lite_name, ()),
    (lifetimes.the_first_send_may_set_the_time_to_live, ()),
    (samples.runs_the_published_examples, ("has_samples", "has_many_loopbacks")),
    (samples.runs_the_sample_programs, ("has_samples",)),
)


def cases_of(sdk):
    """The cases of one SDK."""
    def has(ability):
        # Beyond Linux, loopback is one address.
        return sys.platform == "linux" if ability == "has_many_loopbacks" else getattr(sdk, ability)

    return [case for case, abilities in _ALL if all(has(ability) for ability in abilities)]
