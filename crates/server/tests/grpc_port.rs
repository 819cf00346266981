//! The gRPC port below the protocol: what is served, what is turned away, and how it stops.

#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::indexing_slicing,
    reason = "a helper that cannot go on fails its test"
)]

use std::sync::{Arc, Mutex};
use std::time::Duration;

use bytes::Bytes;
use http::{Request, Response};
use hyper::body::Incoming;
use litemq_server::broker::{ConnectionId, Pool};
use litemq_server::front::listen::{self, Connection, Handler, PortOptions};
use litemq_server::front::stop::{StopSwitch, Stopping, stop_switch};
use litemq_server::front::tls::{self, CertificateSource};
use litemq_server::front::unread::{Outgoing, Unread};
use rustls::pki_types::pem::PemObject;
use rustls::pki_types::{CertificateDer, ServerName};
use tokio::io::{AsyncRead, AsyncReadExt, AsyncWrite, AsyncWriteExt};
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::{Notify, mpsc};
use tokio::task::JoinHandle;
use tonic::body::Body;

/// Answers with the number of the connection; the path `/wait` waits for a word first.
#[derive(Clone)]
struct Numbers {
    arrived: mpsc::UnboundedSender<()>,
    go_on: Arc<Notify>,
    closed: Arc<Mutex<Vec<u64>>>,
    closing: mpsc::UnboundedSender<()>,
}

impl Handler for Numbers {
    type Peer = ();

    fn connected(&self, _: &Connection) {}

    async fn answer(
        &self,
        request: Request<Incoming>,
        (): &(),
        unread: &Arc<Unread>,
    ) -> Response<Body> {
        if request.uri().path() == "/large" {
            return Response::new(large_answer(unread));
        }
        if request.uri().path() == "/wait" {
            self.arrived.send(()).unwrap();
            self.go_on.notified().await;
        }
        let connection = request.extensions().get::<Connection>().unwrap();
        Response::new(Body::new(connection.id.0.to_string()))
    }

    fn connection_closed(&self, connection: ConnectionId) {
        self.closed.lock().unwrap().push(connection.0);
        self.closing.send(()).ok();
    }
}

/// An answer that is read for long.
fn large_answer(unread: &Arc<Unread>) -> Body {
    let content = "0".repeat(1 << 20);
    Body::new(Outgoing::whole(content, (), Pool::new(1 << 20), Arc::clone(unread)))
}

struct Port {
    address: std::net::SocketAddr,
    handler: Numbers,
    arrived: mpsc::UnboundedReceiver<()>,
    closing: mpsc::UnboundedReceiver<()>,
    switch: StopSwitch,
    serving: JoinHandle<()>,
    trusted: rustls::RootCertStore,
}

impl Port {
    async fn open() -> Self {
        Self::open_with(PortOptions::default()).await
    }

    async fn open_with(options: PortOptions) -> Self {
        let folder = tempfile::tempdir().unwrap();
        let source = CertificateSource::SelfSigned { folder: folder.path().into(), hosts: vec![] };
        let config = tls::server_config(&source).unwrap();
        let mut trusted = rustls::RootCertStore::empty();
        let certificate = CertificateDer::from_pem_file(folder.path().join("cert.pem")).unwrap();
        trusted.add(certificate).unwrap();

        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let address = listener.local_addr().unwrap();
        let (arrived_sender, arrived) = mpsc::unbounded_channel();
        let (closing_sender, closing) = mpsc::unbounded_channel();
        let handler = Numbers {
            arrived: arrived_sender,
            go_on: Arc::default(),
            closed: Arc::default(),
            closing: closing_sender,
        };
        let (switch, stopping): (StopSwitch, Stopping) = stop_switch();
        let serving =
            tokio::spawn(listen::serve(listener, Some(config), options, handler.clone(), stopping));
        Self { address, handler, arrived, closing, switch, serving, trusted }
    }

    async fn plain(&self) -> TcpStream {
        TcpStream::connect(self.address).await.unwrap()
    }

    async fn tls(&self, protocols: &[&[u8]]) -> tokio_rustls::client::TlsStream<TcpStream> {
        let ring = Arc::new(rustls::crypto::ring::default_provider());
        let mut config = rustls::ClientConfig::builder_with_provider(ring)
            .with_safe_default_protocol_versions()
            .unwrap()
            .with_root_certificates(self.trusted.clone())
            .with_no_client_auth();
        config.alpn_protocols = protocols.iter().map(|p| p.to_vec()).collect();
        let name = ServerName::try_from("localhost").unwrap();
        let connector = tokio_rustls::TlsConnector::from(Arc::new(config));
        connector.connect(name, self.plain().await).await.unwrap()
    }
}

/// An HTTP/2 client on a stream, and the task that drives it.
async fn http2<S>(stream: S) -> (h2::client::SendRequest<Bytes>, JoinHandle<Result<(), h2::Error>>)
where
    S: AsyncRead + AsyncWrite + Unpin + Send + 'static,
{
    let (client, connection) = h2::client::handshake(stream).await.unwrap();
    (client, tokio::spawn(connection))
}

async fn get(client: &h2::client::SendRequest<Bytes>, path: &str) -> Result<String, h2::Error> {
    let mut client = client.clone().ready().await?;
    let request = Request::get(format!("http://localhost{path}")).body(()).unwrap();
    let (response, _) = client.send_request(request, true)?;
    let mut body = response.await?.into_body();
    let mut text = Vec::new();
    while let Some(data) = body.data().await {
        text.extend_from_slice(&data?);
    }
    Ok(String::from_utf8(text).unwrap())
}

#[tokio::test]
async fn tls_and_plaintext_are_served_on_one_port() {
    let port = Port::open().await;
    let (plain, _) = http2(port.plain().await).await;
    let stream = port.tls(&[b"h2"]).await;
    assert_eq!(stream.get_ref().1.alpn_protocol(), Some(&b"h2"[..]));
    let (secure, _) = http2(stream).await;
    assert_eq!(get(&plain, "/").await.unwrap(), "1");
    assert_eq!(get(&secure, "/").await.unwrap(), "2");
}

#[tokio::test]
async fn a_tls_client_without_alpn_is_served_too() {
    let port = Port::open().await;
    let (client, _) = http2(port.tls(&[]).await).await;
    assert_eq!(get(&client, "/").await.unwrap(), "1");
}

#[tokio::test]
async fn the_end_of_a_connection_is_told_with_its_number() {
    let mut port = Port::open().await;
    let (client, driver) = http2(port.plain().await).await;
    assert_eq!(get(&client, "/").await.unwrap(), "1");
    driver.abort();
    drop(client);
    port.closing.recv().await.unwrap();
    assert_eq!(*port.handler.closed.lock().unwrap(), [1]);
}

#[tokio::test]
async fn a_call_that_is_open_when_its_connection_breaks_is_given_up() {
    let mut port = Port::open().await;
    let (client, driver) = http2(port.plain().await).await;
    let waiting = tokio::spawn(async move { get(&client, "/wait").await });
    port.arrived.recv().await.unwrap();
    driver.abort();
    port.closing.recv().await.unwrap();
    assert!(waiting.await.unwrap().is_err());
}

#[tokio::test]
async fn a_client_that_speaks_http1_is_told_so() {
    let port = Port::open().await;
    let mut stream = port.plain().await;
    stream.write_all(b"GET / HTTP/1.1\r\nhost: a\r\n\r\n").await.unwrap();
    let mut answer = String::new();
    stream.read_to_string(&mut answer).await.unwrap();
    assert!(answer.starts_with("HTTP/1.1 400"), "{answer}");
}

/// Time is paused: it jumps ahead as soon as nothing but time can happen.
#[tokio::test(start_paused = true)]
async fn a_silent_client_is_dropped_after_ten_seconds() {
    let port = Port::open().await;
    for first_bytes in [&b""[..], b"PRI * HTTP/2.0\r\n", b"\x16\x03\x01"] {
        let started = tokio::time::Instant::now();
        let mut stream = port.plain().await;
        stream.write_all(first_bytes).await.unwrap();
        let mut rest = Vec::new();
        // The end of the stream, or a reset: both say that the server is done with it.
        drop(stream.read_to_end(&mut rest).await);
        assert!(rest.is_empty(), "{rest:?}");
        assert!(started.elapsed() >= listen::OPENING_MAX, "{:?}", started.elapsed());
        assert!(started.elapsed() < listen::OPENING_MAX * 2, "{:?}", started.elapsed());
    }
}

#[tokio::test]
async fn a_stop_lets_open_calls_end_and_takes_no_new_ones() {
    let mut port = Port::open().await;
    let (client, _) = http2(port.plain().await).await;
    let waiting = tokio::spawn({
        let client = client.clone();
        async move { get(&client, "/wait").await }
    });
    port.arrived.recv().await.unwrap();
    port.switch.stop();
    while TcpStream::connect(port.address).await.is_ok() {
        tokio::task::yield_now().await;
    }
    assert!(!port.serving.is_finished());
    port.handler.go_on.notify_one();
    assert_eq!(waiting.await.unwrap().unwrap(), "1");
    port.serving.await.unwrap();
}

#[tokio::test(start_paused = true)]
async fn a_stop_waits_for_open_calls_no_longer_than_the_bound() {
    let mut port = Port::open().await;
    let (client, _) = http2(port.plain().await).await;
    let waiting = tokio::spawn(async move { get(&client, "/wait").await });
    port.arrived.recv().await.unwrap();
    let stopped = tokio::time::Instant::now();
    port.switch.stop();
    port.serving.await.unwrap();
    assert!(stopped.elapsed() >= listen::DRAIN_MAX);
    assert!(stopped.elapsed() < listen::DRAIN_MAX + Duration::from_secs(1));
    assert!(waiting.await.unwrap().is_err());
}

#[tokio::test]
async fn one_address_has_its_share_of_the_connections_and_no_more() {
    let options =
        PortOptions { connections_max: 4, address_share_percent: 50, ..PortOptions::default() };
    let mut port = Port::open_with(options).await;
    let (first, driver) = http2(port.plain().await).await;
    let (second, _) = http2(port.plain().await).await;
    assert_eq!(get(&first, "/").await.unwrap(), "1");
    assert_eq!(get(&second, "/").await.unwrap(), "2");
    let mut third = port.plain().await;
    assert_eq!(third.read(&mut [0]).await.unwrap_or(0), 0, "closed at once");

    driver.abort();
    drop(first);
    port.closing.recv().await.unwrap();
    loop {
        // The place is free shortly after the end is told.
        let mut stream = port.plain().await;
        stream.write_all(b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n").await.ok();
        if stream.read(&mut [0]).await.unwrap_or(0) > 0 {
            break;
        }
    }
}

#[tokio::test(start_paused = true)]
async fn a_client_that_reads_none_of_its_answers_is_cut_off() {
    let mut port = Port::open().await;
    let mut client = h2::client::Builder::new();
    client.initial_window_size(10);
    let (mut client, connection) = client.handshake::<_, Bytes>(port.plain().await).await.unwrap();
    tokio::spawn(connection);
    let started = tokio::time::Instant::now();
    let request = Request::get("http://localhost/large").body(()).unwrap();
    let (response, _) = client.send_request(request, true).unwrap();
    let _unread = response.await.unwrap().into_body();
    port.closing.recv().await.unwrap();
    assert!(started.elapsed() >= listen::STALL_MAX, "{:?}", started.elapsed());
    assert!(started.elapsed() < listen::STALL_MAX * 2, "{:?}", started.elapsed());
}
