//! The front doors: gRPC for the SDKs, HTTP for administration.

pub mod accept;
mod content;
pub mod grpc;
pub mod http;
pub mod listen;
mod message_ids;
mod preface;
mod reserved;
pub mod status;
pub mod stop;
pub mod tls;
pub mod unread;
