//! What a client is asked on its Telemetry stream.

use litemq_protocol::v2;
use tokio::sync::mpsc;
use tokio_stream::wrappers::ReceiverStream;
use tonic::Streaming;
use v2::settings::PubSub;
use v2::telemetry_command::Command;
use v2::{ClientType, Code, Settings, TelemetryCommand};

use super::grpc_support::*;
use super::{admin, administrator, told};

/// A client that has said what it is on its Telemetry stream.
pub(crate) struct Telling {
    pub(crate) client: Client,
    id: String,
    settings: Settings,
    say: mpsc::Sender<TelemetryCommand>,
    heard: Streaming<TelemetryCommand>,
}

impl Telling {
    pub(crate) async fn consumer(door: &Door, id: &str, group: &str) -> Self {
        let subscription = v2::Subscription {
            group: Some(resource(group)),
            subscriptions: vec![v2::SubscriptionEntry {
                topic: Some(resource(TOPIC)),
                expression: None,
            }],
            ..Default::default()
        };
        let role = PubSub::Subscription(subscription);
        Self::open(door, id, ClientType::LitePushConsumer, role).await
    }

    async fn producer(door: &Door, id: &str) -> Self {
        let role = PubSub::Publishing(v2::Publishing::default());
        Self::open(door, id, ClientType::Producer, role).await
    }

    async fn open(door: &Door, id: &str, client_type: ClientType, role: PubSub) -> Self {
        let client = door.client(id, "JAVA").await;
        let (say, said) = mpsc::channel(1);
        let settings = Settings {
            client_type: Some(client_type.into()),
            pub_sub: Some(role),
            user_agent: Some(v2::Ua {
                language: v2::Language::Java.into(),
                version: "5.2.1".to_owned(),
                hostname: "somewhere".to_owned(),
                ..Default::default()
            }),
            ..Settings::default()
        };
        let command = Some(Command::Settings(settings.clone()));
        say.send(TelemetryCommand { command, status: None }).await.unwrap();
        let request = client.request(ReceiverStream::new(said));
        let mut heard = client.grpc.clone().telemetry(request).await.unwrap().into_inner();
        let answer = soon(heard.message()).await.unwrap().unwrap();
        assert!(matches!(answer.command, Some(Command::Settings(_))));
        Self { client, id: id.to_owned(), settings, say, heard }
    }

    /// What it has said until now is taken up when this returns.
    async fn is_heard(&mut self) {
        self.says(Command::Settings(self.settings.clone()), None).await;
        assert!(matches!(self.hears().await, Command::Settings(_)));
    }

    async fn hears(&mut self) -> Command {
        soon(self.heard.message()).await.unwrap().unwrap().command.unwrap()
    }

    async fn says(&self, command: Command, status: Option<v2::Status>) {
        self.say.send(TelemetryCommand { command: Some(command), status }).await.unwrap();
    }

    /// Hears that it is asked for its threads, and gives the nonce.
    async fn hears_of_threads(&mut self) -> String {
        match self.hears().await {
            Command::PrintThreadStackTraceCommand(command) => command.nonce,
            other => panic!("{other:?}"),
        }
    }

    async fn hears_of_message(&mut self) -> (String, v2::Message) {
        match self.hears().await {
            Command::VerifyMessageCommand(command) => (command.nonce, command.message.unwrap()),
            other => panic!("{other:?}"),
        }
    }
}

fn threads_of(client: &str, group: Option<&str>) -> v2::PrintThreadStackTraceRequest {
    v2::PrintThreadStackTraceRequest {
        client_id: client.to_owned(),
        group: group.map(resource),
        ..Default::default()
    }
}

fn trace(nonce: &str, text: &str) -> Command {
    let (nonce, thread_stack_trace) = (nonce.to_owned(), Some(text.to_owned()));
    Command::ThreadStackTrace(v2::ThreadStackTrace { nonce, thread_stack_trace })
}

#[tokio::test]
async fn a_client_is_asked_for_its_threads_and_its_answer_comes_back_by_nonce() {
    let door = Door::open().await;
    let admin = administrator(&door).await;
    let mut consumer = Telling::consumer(&door, "consumer", UNORDERED).await;
    let mut producer = Telling::producer(&door, "producer").await;
    let long = "at a.very.deep.Call\n".repeat(20_000);
    for (group, client, text) in
        [(Some(UNORDERED), &mut consumer, "main"), (None, &mut producer, long.as_str())]
    {
        let asked = tokio::spawn({
            let (admin, request) = (admin.clone(), threads_of(&client.id, group));
            async move { admin!(admin, print_thread_stack_trace, request) }
        });
        let nonce = client.hears_of_threads().await;
        client.says(trace("4711", "of something else"), None).await;
        client.says(trace(&nonce, text), None).await;
        let answer = asked.await.unwrap();
        told(answer.status, Code::Ok);
        assert_eq!(answer.thread_stack_trace.as_deref(), Some(text));
    }
}

#[tokio::test]
async fn another_client_cannot_answer_in_its_place() {
    let door = Door::open().await;
    let admin = administrator(&door).await;
    let mut asked_one = Telling::consumer(&door, "asked", UNORDERED).await;
    let mut other = Telling::consumer(&door, "other", UNORDERED).await;
    let asked = tokio::spawn({
        let request = threads_of("asked", Some(UNORDERED));
        async move { admin!(admin, print_thread_stack_trace, request) }
    });
    let nonce = asked_one.hears_of_threads().await;
    other.says(trace(&nonce, "forged"), None).await;
    other.is_heard().await;
    asked_one.says(trace(&nonce, "true"), None).await;
    assert_eq!(asked.await.unwrap().thread_stack_trace.as_deref(), Some("true"));
}

#[tokio::test]
async fn a_client_that_is_not_there_or_is_of_another_group_is_not_asked() {
    let door = Door::open().await;
    let admin = administrator(&door).await;
    let _of_other = Telling::consumer(&door, "of-other", ORDERED).await;
    let silent = door.client("without-stream", "GO").await;
    silent.subscribe(UNORDERED, &["a"]).await;
    for (client, text) in [
        ("nobody", "'nobody' is not connected"),
        ("of-other", "is not connected for consumer group 'workers'"),
        ("without-stream", "no Telemetry stream"),
    ] {
        let request = threads_of(client, Some(UNORDERED));
        let answer = admin!(admin, print_thread_stack_trace, request);
        let found = told(answer.status, Code::NotFound);
        assert!(found.contains(text), "{found}");
    }
    let nobody = admin!(admin, print_thread_stack_trace, threads_of("", None));
    told(nobody.status, Code::ClientIdRequired);
}

#[tokio::test]
async fn a_client_that_does_not_answer_in_time_is_said_to_be_silent() {
    let door = Door::open().await;
    let admin = administrator(&door).await;
    let mut consumer = Telling::consumer(&door, "consumer", UNORDERED).await;
    let request = admin.request(threads_of("consumer", Some(UNORDERED)));
    let mut asking = admin.admin.clone();
    let asked = tokio::spawn(async move { asking.print_thread_stack_trace(request).await });
    let nonce = consumer.hears_of_threads().await;
    let answer = asked.await.unwrap().unwrap().into_inner();
    let text = told(answer.status, Code::ProxyTimeout);
    assert!(text.contains("did not answer in 10 s"), "{text}");
    // Too late, and without effect.
    consumer.says(trace(&nonce, "late"), None).await;
}

#[tokio::test]
async fn a_client_consumes_a_message_once_more_and_nothing_is_settled_by_it() {
    let door = Door::open().await;
    let admin = administrator(&door).await;
    let mut consumer = Telling::consumer(&door, "consumer", UNORDERED).await;
    consumer.client.subscribe(UNORDERED, &["a"]).await;
    consumer.client.send(vec![message("a", "1"), message("a", "2"), message("b", "3")]).await;
    let verify = |id: &str| {
        let request = v2::VerifyMessageRequest {
            client_id: "consumer".to_owned(),
            group: Some(resource(UNORDERED)),
            topic: Some(resource(TOPIC)),
            message_id: id.to_owned(),
            ..Default::default()
        };
        let admin = admin.clone();
        tokio::spawn(async move { admin!(admin, verify_message, request) })
    };
    for code in [Code::Ok, Code::FailedToConsumeMessage] {
        let asked = verify("a-2");
        let (nonce, shown) = consumer.hears_of_message().await;
        assert_eq!((shown.body.as_ref(), lite_topic(&shown)), (&b"2"[..], "a"));
        let system = shown.system_properties.unwrap();
        assert!(system.receipt_handle.is_none(), "there is nothing to settle it with");
        assert!(system.body_digest.is_some());
        let result = Command::VerifyMessageResult(v2::VerifyMessageResult { nonce });
        let status = v2::Status { code: code.into(), message: "said the client".to_owned() };
        consumer.says(result, Some(status)).await;
        assert_eq!(told(asked.await.unwrap().status, code), "said the client");
    }
    let lite = door.broker.describe_lite(TOPIC, "a").await.unwrap();
    assert_eq!((lite.groups[0].ready, lite.groups[0].in_flight), (2, 0));

    // Of a lite topic that it is not subscribed to.
    told(verify("b-3").await.unwrap().status, Code::MessageNotFound);
    told(verify("nothing").await.unwrap().status, Code::MessageNotFound);
    told(verify("").await.unwrap().status, Code::IllegalMessageId);
}
