//! Our `.proto` files compiled to descriptors, and the descriptors to Rust.
//!
//! Shared by the generator (`examples/generate.rs`) and the tests, so that what is committed and
//! what is checked come from one recipe.

use std::error::Error;
use std::path::{Path, PathBuf};

use prost_types::FileDescriptorSet;

/// The protocol, relative to `proto/`.
const PROTO_FILES: [&str; 3] = [
    "apache/rocketmq/v2/definition.proto",
    "apache/rocketmq/v2/admin.proto",
    "apache/rocketmq/v2/service.proto",
];

/// Where the generated code is committed.
pub(crate) fn generated_dir() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("src/generated")
}

/// Compiles `proto/` with its comments; well-known types are included.
pub(crate) fn descriptors() -> Result<FileDescriptorSet, Box<dyn Error>> {
    let root = Path::new(env!("CARGO_MANIFEST_DIR")).join("proto");
    Ok(protox::compile(PROTO_FILES, [root])?)
}

/// Writes one file, named after the package, into `out_dir`, which must exist.
///
/// Bodies are `Bytes`, so a message is shared and not copied; maps are ordered, so equal messages
/// encode to equal bytes.
pub(crate) fn generate(out_dir: &Path) -> Result<(), Box<dyn Error>> {
    tonic_prost_build::configure()
        .bytes(".apache.rocketmq.v2")
        .btree_map(".apache.rocketmq.v2")
        .build_transport(true)
        .emit_rerun_if_changed(false)
        .out_dir(out_dir)
        .compile_fds(descriptors()?)?;
    Ok(())
}
