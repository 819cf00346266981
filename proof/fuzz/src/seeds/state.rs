//! Seeds of what is read from a store, a handle, a header or a name.

use litemq_domain::{GroupId, Handle};

use super::{Seeds, shards};
use crate::persisted::NOW;
use crate::records::encode;
use crate::reseal::{Kind, reseal};

pub(super) fn make(seeds: &mut Seeds) {
    for (name, entries) in shards::stages() {
        seeds.keep("persisted", name, &encode(&entries));
        let mut all = shards::catalog();
        all.extend(entries);
        seeds.keep("recovery", name, &encode(&all));
    }
    for target in ["persisted", "recovery"] {
        seeds.keep(target, "catalog", &encode(&shards::catalog()));
    }
    seeds.keep("recovery", "identity", &encode(&shards::identity()));
    handles(seeds);
    authorizations(seeds);
    names(seeds);
    // Not seeds: the checksums stand where those who make them right again look for them.
    for (kind, extension) in
        [(Kind::Meta, ""), (Kind::Segment, "log"), (Kind::Index, "idx"), (Kind::Checkpoint, "ckpt")]
    {
        for path in crate::folder::files(extension) {
            let before = crate::folder::disk().contents(&path).unwrap();
            let mut after = before.clone();
            reseal(kind, &mut after);
            assert!(after == before, "{}", path.display());
        }
    }
}

fn handles(seeds: &mut Seeds) {
    let place = litemq_domain::Place { slot: 1, generation: 0, offset: 2 };
    let handle = Handle { shard: 0, place, group: GroupId(1), epoch: 1, visible_at: NOW };
    seeds.keep("handle", "valid", &handle.encode(b"0123456789abcdef"));
    seeds.keep("handle", "forged", &[handle.encode(&[0; 16]), vec![1; 40]].concat());
    seeds.keep("handle", "fields", &[7; 90]);
}

/// A date, a region and two numbers, then the header, which is the rest.
fn authorizations(seeds: &mut Seeds) {
    let hex = "0123456789abcdef0123456789abcdef01234567";
    for (name, header) in [
        (
            "java",
            format!(
                "MQv2-HMAC-SHA1 Credential=tenant-a, SignedHeaders=x-mq-date-time, Signature={hex}"
            ),
        ),
        (
            "go",
            format!(
                "MQv2-HMAC-SHA1 Credential=tenant-a//Rocketmq, SignedHeaders=x-mq-date-time, Signature={hex}"
            ),
        ),
        (
            "empty",
            format!("MQv2-HMAC-SHA1 Credential=, SignedHeaders=x-mq-date-time, Signature={hex}"),
        ),
        ("basic", "Basic dGVuYW50LWE6c2VjcmV0LW9mLWI=".to_owned()),
    ] {
        seeds.keep("authorization", name, header.as_bytes());
    }
}

fn names(seeds: &mut Seeds) {
    for (name, text) in [
        ("lite", "session-42_A"),
        ("longest-lite", &"a".repeat(64)),
        ("too-long", &"a".repeat(128)),
        ("reserved", "%RETRY%workers"),
        ("dead-letters", "%DLQ%workers"),
        ("system-group", "CID_RMQ_SYS_x"),
        ("unicode", "caf\u{e9}\u{202e}"),
        ("control", "a\nb"),
        ("filter", "a||b || c"),
    ] {
        seeds.keep("names", name, text.as_bytes());
    }
    seeds.keep("names", "pairs", b"ab\0a\x01\x01bb\x01\x01a\x01\x01ab\x02\x03\x01\x02");
}
