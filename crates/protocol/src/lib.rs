//! RocketMQ v2 wire types: our own `.proto` files and the Rust code generated from them.
//!
//! No behaviour lives here: no validation, no defaults, no error mapping. Names, numbers and types
//! are those of `apache.rocketmq.v2`, so the official SDKs talk to LiteMQ unmodified; the comments
//! in `proto/` say what LiteMQ does with each field.
//!
//! The generated code is committed, so a build needs neither `protoc` nor a build script. After a
//! change under `proto/`, regenerate it:
//!
//! ```text
//! cargo run -p litemq-protocol --example generate
//! ```
//!
//! Two tests keep this honest. `tests/protocol/wire.rs` compares `proto/` with the table of the
//! protocol in `tests/rocketmq-v2.tsv`, row by row; `tests/protocol/drift.rs` compares the committed
//! code with a fresh generation.
//!
//! `bytes` fields are [`prost::bytes::Bytes`], shared without a copy. Maps are `BTreeMap`, so equal
//! messages encode to equal bytes.

/// Messages, enums, clients and servers of `apache.rocketmq.v2`.
pub mod v2 {
    // Nobody writes or reads this code by hand; the lints are for people.
    #![allow(clippy::all, missing_docs, unused_qualifications)]

    include!("generated/apache.rocketmq.v2.rs");
}
