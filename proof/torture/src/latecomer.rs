//! A consumer that takes longer than its lease: it acks with handles that may be worth nothing any more.

use std::sync::Arc;
use std::time::Duration;

use litemq_checker::history::{Delivered, Event, Settle, SettleResult, Settled};
use litemq_clients::client::{Client, Receiving};
use litemq_clients::connect::Address;
use litemq_clients::letter::Letters;
use litemq_clients::recorder::Recorder;
use litemq_clients::workload::lite_topic;

const BATCH: i32 = 8;

/// Messages in the hands of a latecomer.
#[derive(Debug)]
pub(crate) struct Latecomer {
    client: Client<Address>,
    group: String,
    recorder: Arc<Recorder>,
    lease: Duration,
    held: Vec<(Delivered, String)>,
}

impl Latecomer {
    /// Subscribes and takes some messages.
    pub(crate) async fn take(
        name: &str,
        group: &str,
        lites: usize,
        letters: Letters,
        lease: Duration,
        (address, recorder): (Address, &Arc<Recorder>),
    ) -> Self {
        let client = Client::new(name, "JAVA", address);
        let recorder = Arc::clone(recorder);
        let mut own = Self { client, group: group.to_owned(), recorder, lease, held: Vec::new() };
        let names: Vec<String> = (0..lites).map(lite_topic).collect();
        let (client, lites) = (name.to_owned(), names.iter().cloned().collect());
        own.recorder.record(Event::Subscribed { client, lites, at: own.recorder.now() });
        while own.client.subscribe(group, names.iter().cloned()).await.is_err() {}
        while own.held.is_empty() {
            own.receive(letters).await;
        }
        own
    }

    pub(crate) fn held(&self) -> usize {
        self.held.len()
    }

    /// Acks one by one, whatever became of the leases; how many were taken and how many refused.
    pub(crate) async fn ack_late(mut self) -> (u64, u64) {
        let (mut taken, mut refused) = (0, 0);
        for (delivered, handle) in std::mem::take(&mut self.held) {
            let asked_at = self.recorder.now();
            let answer = self.client.ack(&self.group, std::slice::from_ref(&handle)).await;
            let result = match answer.as_deref() {
                Ok([status]) if status.code == OK => SettleResult::Done,
                Ok([status]) => SettleResult::Refused(status.message.clone()),
                _ => SettleResult::Unknown,
            };
            taken += u64::from(result == SettleResult::Done);
            refused += u64::from(matches!(result, SettleResult::Refused(_)));
            self.recorder.record(Event::Settled(Settled {
                group: self.group.clone(),
                lite: delivered.lite,
                offset: delivered.offset,
                attempt: delivered.attempt,
                how: Settle::Ack,
                asked_at,
                answered_at: self.recorder.now(),
                result,
            }));
        }
        let (client, at) = (self.client.id().to_owned(), self.recorder.now());
        self.recorder.record(Event::Left { client, at });
        while self.client.terminate(&self.group).await.is_err() {}
        (taken, refused)
    }

    async fn receive(&mut self, letters: Letters) {
        let how = Receiving { language: "JAVA", batch: BATCH, invisible: Some(self.lease) };
        let receive = self.recorder.next_receive();
        let asked_at = self.recorder.now();
        let Ok(messages) = self.client.receive(&self.group, how, receive).await else { return };
        for message in messages {
            let damage = letters.difference(&message);
            let system = message.system_properties.unwrap_or_default();
            let delivered = Delivered {
                group: self.group.clone(),
                client: self.client.id().to_owned(),
                receive,
                asked_at,
                at: self.recorder.now(),
                lite: system.lite_topic().to_owned(),
                offset: u64::try_from(system.queue_offset()).unwrap(),
                id: system.message_id.clone(),
                attempt: u32::try_from(system.delivery_attempt()).unwrap(),
                lease: self.lease,
                damage,
            };
            self.recorder.record(Event::Delivered(delivered.clone()));
            self.held.push((delivered, system.receipt_handle().to_owned()));
        }
    }
}

/// `apache.rocketmq.v2.Code.OK`.
const OK: i32 = 20_000;
