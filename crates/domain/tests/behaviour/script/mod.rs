//! A tiny language for behaviour: steps between `|`, each with what it must show after `->`.
//!
//! ```text
//! group g unordered attempts=3 quota=2      a group; `of=dead` consumes the dead letters of `g`
//! group g exclusive | group g wild=a*       with `reset-takeover`, `reset-unsub`, `rate=5`
//! send a m1 m2 [id=x] [ttl=10m]       to lite topic a; with an id, a repeat shows `again 0`
//! options ttl=10m reads undelivered subscribed quota=2        of the topic; what is left out is off
//! room 3 | room any                   lite topics that may be alive, dead letters aside
//! create a [ttl=never] | extend a 30m | pin a | unpin a | ttl a 10m     `ttl a parent` is the topic's
//! life a -> 10m 540s                  time to live, `own` if so, time left, what protects it
//! events -> created expired           what the last step did to lite topics
//! sub c1 a b [from=newest] | unsub c1 a | full c1 a | leave c1          `c1@h` is client c1 of group h
//! claim c1 10s [max=2] [each=1] -> a:m1 b:m2#2 ...        `#2` is the attempt, `...` is more
//! claim c1 auto                       a lease that is renewed
//! claim c1 auto try=7                 with an attempt id; the same again repeats the answer
//! ack m1 | hide m1 30s | suspend m1 30s | back m1         `m1~1` is its first handle, `m1@h` of h
//! wait 9s | jump 9s | tick            `jump` is a wait in which nothing else happens
//! offline c1 | online c1 | gone c1 [renewed] | broken c1      `broken` is one connection
//! dead m1 | burials -> a:m1#3 | bury m1 [as=x1] | unburied m1
//! move g [a] to=oldest                   or `newest`, an offset, `-3` for the last three
//! expel c1 [a] | told -> c1@g:a          who was told of the end of what; `?` if it had asked
//! letters a -> 0..2 resent=0..1       dead letters of lite topic a, and those sent again
//! resend a 0 1 [as=x] -> 0:5 again=1  letter 0 is message 5 of a again; with `as` it is called x-0
//! remove-letters a | trim-letters a 2
//! remove a | remove-topic | remove-group g | step | steps | trim a 2
//! show a -> 0..3 g=1/1/1(c1)          committed/in flight/ready(subscribers)
//! lag g -> 3/1 in 2                    not settled, of these in flight, in so many lite topics
//! ages g -> a=<9s b=4s                 how long the oldest waits, or less; most g -> a=3/1 b=1/0
//! list [prefix=a] [after=b] [max=2] -> a b | names -> 2 | pairs -> 1 | woke -> c1@g
//! restart [snapshot]                  from all records, or from the last snapshot and those since
//! hold | durable | crash [snapshot]   after `hold` nothing becomes durable until `durable`; a crash
//!                                     is a restart from what is durable
//! ```
//!
//! A refusal shows as `!` and its error code; where nothing is expected, it fails the script.

mod account;
mod drain;
mod replay;
mod room;
pub(crate) mod step;
pub(crate) mod world;
mod write;

pub(crate) use drain::Handed;
pub(crate) use replay::{check_recovered, check_restarts};
use step::Step;
use world::World;

/// Runs a script, and again up to each of its steps: a shard recovered there, from its records or
/// from a snapshot taken in pieces, must look the same and hand out the same.
pub(crate) fn check(script: &str) {
    let steps: Vec<(&str, Step, Option<String>)> = script
        .split('|')
        .map(str::trim)
        .map(|text| {
            let (step, expected) = Step::parse(text);
            (text, step, expected)
        })
        .collect();
    let mut world = World::new();
    for (number, (text, step, expected)) in steps.iter().enumerate() {
        let shown = world.apply(step);
        let fits = match expected {
            None => !shown.starts_with('!'),
            Some(expected) if expected.ends_with("...") => shown == *expected,
            Some(expected) => shown.trim_end_matches("...").trim_end() == expected,
        };
        let wanted = expected.as_deref().unwrap_or("no refusal");
        assert!(fits, "step {}: {text}\n  expected: {wanted}\n  shown:    {shown}", number + 1);
    }
    for prefix in 1..=steps.len() {
        let mut world = World::new();
        for (_, step, _) in &steps[..prefix] {
            world.apply(step);
        }
        check_restarts(world, &format!("after step {prefix}: {}", steps[prefix - 1].0));
    }
}
