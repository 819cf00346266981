//! The front doors: gRPC for the SDKs, HTTP for administration.

pub mod grpc;
pub mod http;
pub mod listen;
pub mod status;
pub mod tls;
