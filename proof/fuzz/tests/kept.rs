//! Every input that was kept, without a fuzzer: seeds, and what once broke a promise. And that the seeds
//! are those of today: each kind of record and each call has one.

#![allow(clippy::unwrap_used, clippy::panic, reason = "a helper that cannot go on fails its test")]

use std::collections::BTreeSet;
use std::path::Path;
use std::sync::atomic::{AtomicUsize, Ordering};

use litemq_domain::persisted::{CatalogRecord, Key};
use litemq_fuzz::TARGETS;
use litemq_fuzz::http::answers;
use litemq_fuzz::records::{Entry, Owner, parse};
use litemq_fuzz::requests::CALLS;
use litemq_fuzz::seeds::{Seeds, is_found, kept_dir};

/// Panics of all threads: one in a task that nobody waits for must not go unseen.
static PANICS: AtomicUsize = AtomicUsize::new(0);

#[test]
fn every_input_that_was_kept_keeps_the_promises() {
    let tell = std::panic::take_hook();
    std::panic::set_hook(Box::new(move |panic| {
        PANICS.fetch_add(1, Ordering::Relaxed);
        tell(panic);
    }));
    let mut inputs = 0;
    for target in TARGETS {
        for folder in ["regressions", "corpus"] {
            let dir = Path::new(env!("CARGO_MANIFEST_DIR")).join(folder).join(target.name);
            let Ok(entries) = std::fs::read_dir(&dir) else { continue };
            for entry in entries {
                let path = entry.unwrap().path();
                target.run(&std::fs::read(&path).unwrap());
                assert_eq!(PANICS.load(Ordering::Relaxed), 0, "{}", path.display());
                inputs += 1;
            }
        }
    }
    assert!(inputs > 100, "{inputs} inputs");
}

/// Names each kind of a record; a new one does not compile until it is among them.
macro_rules! kinds {
    ($of:ident, $record:ident: $($kind:ident)*) => {
        (
            match $record { $($of::$kind { .. } => stringify!($kind),)* },
            [$(stringify!($kind)),*],
        )
    };
}

fn kind_of_catalog(record: &CatalogRecord) -> (&'static str, [&'static str; 9]) {
    kinds!(CatalogRecord, record:
        Topic Group Counters Identity Time Quotas User Policy AccessCounters)
}

fn kind_of_shard(key: Key) -> (&'static str, [&'static str; 5]) {
    kinds!(Key, key: Channel Cursor Subscription Resends ResentLetters)
}

#[test]
fn the_kept_seeds_are_those_that_the_code_makes_today() {
    let seeds = Seeds::all();
    for target in TARGETS {
        let made: BTreeSet<&str> =
            seeds.iter().filter(|(of, ..)| *of == target.name).map(|(_, name, _)| name).collect();
        let kept = std::fs::read_dir(kept_dir(target.name)).unwrap();
        let kept: BTreeSet<String> = kept
            .map(|entry| entry.unwrap().file_name().into_string().unwrap())
            .filter(|name| !is_found(name))
            .collect();
        assert!(kept.iter().eq(made.iter()), "{}: {ANEW}", target.name);
    }
    for (target, name, bytes) in seeds.iter() {
        let kept = std::fs::read(kept_dir(target).join(name)).unwrap();
        assert!(kept == bytes, "{target}/{name}: {ANEW}");
    }
}

const ANEW: &str = "make the seeds anew with `cargo run --example seeds`";

#[test]
fn every_kind_of_record_has_a_seed_that_is_read() {
    for target in ["persisted", "recovery"] {
        let (mut missing, mut missing_of_shards) = (BTreeSet::new(), BTreeSet::new());
        let (mut seen, mut seen_of_shards) = (BTreeSet::new(), BTreeSet::new());
        for (_, _, bytes) in Seeds::all().iter().filter(|(of, ..)| *of == target) {
            for entry in parse(bytes) {
                match entry {
                    Entry::Put(Owner::Catalog, key, value) => {
                        let record = CatalogRecord::decode(&key, &value).unwrap();
                        let (kind, all) = kind_of_catalog(&record);
                        seen.insert(kind);
                        missing.extend(all);
                    }
                    Entry::Put(_, key, _) => {
                        let (kind, all) = kind_of_shard(Key::decode(&key).unwrap());
                        seen_of_shards.insert(kind);
                        missing_of_shards.extend(all);
                    }
                    Entry::Delete(..) | Entry::Append(..) => {}
                }
            }
        }
        assert_eq!((seen, seen_of_shards), (missing, missing_of_shards), "{target}");
    }
}

#[test]
fn every_call_of_the_grpc_door_has_a_seed() {
    let seeds = Seeds::all();
    for (first, call) in CALLS.iter().enumerate() {
        let is_of = |bytes: &[u8]| bytes.first().is_some_and(|byte| usize::from(*byte) == first);
        let mut of_call = seeds.iter().filter(|(of, _, bytes)| *of == "requests" && is_of(bytes));
        assert!(of_call.next().is_some(), "{call:?} has no seed");
    }
}

#[test]
fn every_path_and_method_of_the_http_door_has_a_seed_that_is_accepted() {
    let [(_, _, document)] = &answers(b"GET /api/v1/openapi.json")[..] else {
        panic!("no document")
    };
    let document: serde_json::Value = serde_json::from_str(document).unwrap();
    let mut missing: BTreeSet<(String, String)> = BTreeSet::new();
    for (path, methods) in document["paths"].as_object().unwrap() {
        let methods = methods.as_object().unwrap().keys();
        missing.extend(methods.map(|method| (method.to_uppercase(), path.clone())));
    }
    assert!(missing.len() > 30, "{missing:?}");
    for (_, name, bytes) in Seeds::all().iter().filter(|(of, ..)| *of == "http") {
        for (asked, status, body) in answers(bytes) {
            // One asks for what only lost messages would make.
            let is_accepted = status.is_success() || (name == "absent" && status == 404);
            assert!(is_accepted, "{name}: {asked}: {status} {body}");
            missing.retain(|(method, path)| !is_request_to(&asked, method, path));
        }
    }
    assert!(missing.is_empty(), "no seed for {missing:?}");
}

/// Whether a request has this method and a path of this form, in which `{…}` is any name.
fn is_request_to(asked: &str, method: &str, form: &str) -> bool {
    let Some((asked_method, uri)) = asked.split_once(' ') else { return false };
    let path = uri.split('?').next().unwrap_or_default();
    asked_method == method
        && path.split('/').count() == form.split('/').count()
        && path.split('/').zip(form.split('/')).all(|(is, of)| of.starts_with('{') || is == of)
}
