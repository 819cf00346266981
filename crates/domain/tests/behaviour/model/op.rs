//! Random operations. Handles and messages being buried are picked when an operation is done.

use proptest::prelude::*;

pub(crate) const LITES: [&str; 3] = ["a", "b", "c"];
pub(crate) const GROUPS: [&str; 2] = ["g", "h"];
pub(crate) const CLIENTS: [&str; 3] = ["c1", "c2", "c3"];

/// A client of a group, by number.
pub(crate) type Pair = (usize, usize);

#[derive(Debug, Clone)]
pub(crate) enum Op {
    Send(usize, usize),
    Subscribe(Pair, Vec<usize>),
    Unsubscribe(Pair, Vec<usize>),
    Replace(Pair, Vec<usize>),
    Leave(Pair),
    Claim { pair: Pair, seconds: Option<u64>, max: usize, each: usize },
    Ack(usize),
    Hide(usize, u64),
    Suspend(usize, u64),
    GiveBack(usize),
    BeginBurial(usize),
    Bury(usize),
    BurialFailed(usize),
    Gone(usize, bool),
    Connected(usize, bool),
    Wait(u64),
    Remove(usize),
    Trim(usize, u64),
    Rules { group: usize, ordered: bool, attempts: u16 },
    Restart,
}

pub(crate) fn ops() -> impl Strategy<Value = Vec<Op>> {
    prop::collection::vec(op(), 1..120)
}

fn op() -> impl Strategy<Value = Op> {
    let pair = || (0..CLIENTS.len(), 0..GROUPS.len());
    let lites = || prop::collection::vec(0..LITES.len(), 0..4);
    let seconds = || prop_oneof![Just(0_u64), 1..20_u64, 50..70_u64];
    prop_oneof![
        8 => (0..LITES.len(), 1..4_usize).prop_map(|(lite, count)| Op::Send(lite, count)),
        4 => (pair(), lites()).prop_map(|(pair, lites)| Op::Subscribe(pair, lites)),
        1 => (pair(), lites()).prop_map(|(pair, lites)| Op::Unsubscribe(pair, lites)),
        1 => (pair(), lites()).prop_map(|(pair, lites)| Op::Replace(pair, lites)),
        1 => pair().prop_map(Op::Leave),
        10 => (pair(), prop::option::of(1..20_u64), 0..6_usize, 0..4_usize).prop_map(
            |(pair, seconds, max, each)| Op::Claim { pair, seconds, max, each }
        ),
        8 => (0..8_usize).prop_map(Op::Ack),
        2 => (0..8_usize, seconds()).prop_map(|(handle, seconds)| Op::Hide(handle, seconds)),
        2 => (0..8_usize, seconds()).prop_map(|(handle, seconds)| Op::Suspend(handle, seconds)),
        1 => (0..8_usize).prop_map(Op::GiveBack),
        1 => (0..8_usize).prop_map(Op::BeginBurial),
        2 => (0..4_usize).prop_map(Op::Bury),
        1 => (0..4_usize).prop_map(Op::BurialFailed),
        1 => (0..CLIENTS.len(), any::<bool>()).prop_map(|(client, only)| Op::Gone(client, only)),
        1 => (0..CLIENTS.len(), any::<bool>()).prop_map(|(client, on)| Op::Connected(client, on)),
        6 => prop_oneof![8 => 0..20_u64, 4 => 50..70_u64, 1 => Just(11_000_u64)]
            .prop_map(Op::Wait),
        1 => (0..LITES.len()).prop_map(Op::Remove),
        1 => (0..LITES.len(), 0..6_u64).prop_map(|(lite, first)| Op::Trim(lite, first)),
        1 => (0..GROUPS.len(), any::<bool>(), 1..4_u16).prop_map(|(group, ordered, attempts)| {
            Op::Rules { group, ordered, attempts }
        }),
        1 => Just(Op::Restart),
    ]
}
