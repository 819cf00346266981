//! What LiteMQ speaks is what the SDKs speak, and the committed code is what `proto/` says.

#[path = "../../codegen.rs"]
mod codegen;
mod drift;
mod encoding;
mod rows;
mod wire;
