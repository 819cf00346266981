//! Kinds of worlds.

use crate::plan::{Kind, Scenario};

/// Every scenario by its name.
pub(crate) const ALL: &[Scenario] = &[
    Scenario {
        name: "smoke",
        load_secs: (5, 10),
        pause_ms: (500, 3_000),
        faults: &[(1, Kind::Kill)],
    },
    Scenario {
        name: "power_cuts",
        load_secs: (8, 20),
        pause_ms: (200, 3_000),
        faults: &[(8, Kind::PowerCut), (2, Kind::Kill), (2, Kind::Checkpoint), (1, Kind::Restart)],
    },
    Scenario {
        name: "flaky_network",
        load_secs: (15, 40),
        pause_ms: (200, 2_000),
        faults: &[
            (3, Kind::Cut),
            (3, Kind::Hold),
            (3, Kind::Deafen),
            (3, Kind::Mute),
            (2, Kind::Slow),
            (2, Kind::Stall),
            (1, Kind::Kill),
        ],
    },
];
