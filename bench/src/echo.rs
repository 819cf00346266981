//! The bare unary echo: tonic, the same requests, an answer of the same size, and nothing behind.
//! What a send costs beyond it is ours to make cheaper.

use std::convert::Infallible;
use std::future::{Ready, ready};
use std::net::SocketAddr;
use std::path::Path;
use std::task::{Context, Poll};

use litemq_protocol::v2;
use tonic::body::Body;
use tonic::codegen::{BoxFuture, Service, http};
use tonic::server::{Grpc, NamedService, UnaryService};
use tonic::transport::Server;
use tonic::transport::server::TcpIncoming;
use tonic_prost::ProstCodec;
use v2::{Code, SendMessageRequest, SendMessageResponse, SendResultEntry, Status};

use crate::Result;
use crate::args::Common;
use crate::server::{Running, await_port, free_address, spawn};

/// Starts the echo as a process of its own.
pub(crate) async fn start(common: &Common, folder: &Path) -> Result<Running> {
    let address = free_address()?;
    let arguments = ["echo-server".to_owned(), "--listen".to_owned(), address.to_string()];
    let binary = std::env::current_exe()?;
    let child = spawn(common, &binary, &arguments, &folder.join("echo.log"))?;
    await_port(address).await?;
    Running::new(child, address)
}

/// Serves until killed.
pub(crate) async fn serve(listen: SocketAddr) -> Result<()> {
    let incoming = TcpIncoming::bind(listen)?.with_nodelay(Some(true));
    Ok(Server::builder().add_service(Echo).serve_with_incoming(incoming).await?)
}

#[derive(Debug, Clone)]
struct Echo;

impl NamedService for Echo {
    const NAME: &'static str = "apache.rocketmq.v2.MessagingService";
}

impl Service<http::Request<Body>> for Echo {
    type Response = http::Response<Body>;
    type Error = Infallible;
    type Future = BoxFuture<Self::Response, Infallible>;

    fn poll_ready(&mut self, _: &mut Context<'_>) -> Poll<std::result::Result<(), Infallible>> {
        Poll::Ready(Ok(()))
    }

    fn call(&mut self, request: http::Request<Body>) -> Self::Future {
        Box::pin(async move { Ok(Grpc::new(ProstCodec::default()).unary(Echo, request).await) })
    }
}

impl UnaryService<SendMessageRequest> for Echo {
    type Response = SendMessageResponse;
    type Future = Ready<std::result::Result<tonic::Response<SendMessageResponse>, tonic::Status>>;

    fn call(&mut self, request: tonic::Request<SendMessageRequest>) -> Self::Future {
        let entries = request.into_inner().messages.into_iter().map(|message| {
            let message_id = message.system_properties.map(|system| system.message_id);
            let message_id = message_id.unwrap_or_default();
            SendResultEntry {
                status: Some(ok()),
                transaction_id: message_id.clone(),
                message_id,
                offset: 1,
                recall_handle: String::new(),
            }
        });
        let entries = entries.collect();
        ready(Ok(tonic::Response::new(SendMessageResponse { status: Some(ok()), entries })))
    }
}

fn ok() -> Status {
    Status { code: Code::Ok.into(), message: "OK".to_owned() }
}
