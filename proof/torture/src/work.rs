//! The load: who sends, who receives, and how they end.

use std::sync::Arc;
use std::time::Duration;

use litemq_checker::history::Group;
use litemq_clients::client::Receiving;
use litemq_clients::letter::Letters;
use litemq_clients::recorder::Recorder;
use litemq_clients::workload::{Habits, Load, Sharing};
use tokio::sync::watch;
use tokio::task::JoinSet;

use crate::broker::Broker;

const ORDERED: &str = "ordered";
const UNORDERED: &str = "unordered";
pub(crate) const LITE_TOPICS: usize = 48;
/// Producers pause while more than this is owed, so that the end is never far.
const OWED_MAX: u64 = 1200;
pub(crate) const LEASE: Duration = Duration::from_secs(10);

/// The groups of the load.
pub(crate) fn groups() -> Vec<Group> {
    [(ORDERED, true), (UNORDERED, false)]
        .map(|(name, ordered)| Group { name: name.to_owned(), ordered })
        .to_vec()
}

/// Tasks, and how to end them: first who sends, then who receives.
#[derive(Debug)]
pub(crate) struct Work {
    producers: (watch::Sender<bool>, JoinSet<()>),
    consumers: (watch::Sender<bool>, JoinSet<()>),
}

impl Work {
    pub(crate) fn start(
        letters: Letters,
        recorder: &Arc<Recorder>,
        broker: &Broker,
        producers: usize,
        consumers: Vec<Habits>,
    ) -> Self {
        let load = |stop: &watch::Sender<bool>| Load {
            letters,
            recorder: Arc::clone(recorder),
            way: broker.address(),
            lite_topics: LITE_TOPICS,
            owed_max: OWED_MAX,
            pause: Duration::ZERO,
            stop: stop.subscribe(),
        };
        let (stop_producers, stop_consumers) =
            (watch::Sender::new(false), watch::Sender::new(false));
        let sending = (0..producers).map(|number| load(&stop_producers).produce(number)).collect();
        let receiving =
            consumers.into_iter().map(|habits| load(&stop_consumers).consume(habits)).collect();
        Self { producers: (stop_producers, sending), consumers: (stop_consumers, receiving) }
    }

    pub(crate) async fn end(&mut self) {
        for (stop, tasks) in [&mut self.producers, &mut self.consumers] {
            stop.send_replace(true);
            while let Some(ended) = tasks.join_next().await {
                ended.unwrap();
            }
        }
    }
}

/// Consumers of many kinds.
pub(crate) fn mixed() -> Vec<Habits> {
    let consumer = |name: &str, group: &str, language, batch, invisible, share| Habits {
        name: name.to_owned(),
        group: group.to_owned(),
        sharing: Sharing::Shared,
        receiving: Receiving { language, batch, invisible },
        share,
        stays: false,
        nacks: 5,
        suspends: 0,
        greed: 0,
        syncs: false,
        // What is renewed comes back only when its client leaves.
        forgets: usize::from(invisible.is_some()),
    };
    vec![
        consumer("push-a", ORDERED, "JAVA", 8, None, 60),
        consumer("push-b", ORDERED, "PYTHON", 4, None, 60),
        consumer("simple-a", ORDERED, "JAVA", 16, Some(LEASE), 100),
        consumer("simple-b", ORDERED, "PYTHON", 1, Some(LEASE), 100),
        consumer("free-push", UNORDERED, "GO", 16, None, 70),
        consumer("free-simple", UNORDERED, "JAVA", 32, Some(LEASE), 100),
    ]
}

/// Consumers that settle whatever is left.
pub(crate) fn drainers() -> Vec<Habits> {
    [ORDERED, UNORDERED]
        .map(|group| Habits {
            name: format!("drain-{group}"),
            group: group.to_owned(),
            sharing: Sharing::Shared,
            receiving: Receiving { language: "JAVA", batch: 32, invisible: Some(LEASE) },
            share: 100,
            stays: false,
            nacks: 0,
            suspends: 0,
            greed: 0,
            syncs: false,
            forgets: 0,
        })
        .to_vec()
}
