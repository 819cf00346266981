//! The front doors: gRPC for the SDKs, HTTP for administration.

pub mod grpc;
pub mod http;
pub mod listen;
mod preface;
pub mod status;
pub mod stop;
pub mod tls;
