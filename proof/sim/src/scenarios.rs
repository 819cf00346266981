//! Kinds of worlds.

use crate::plan::{FAIR, Kind, Scenario, secs};

/// Every scenario by its name.
pub(crate) const ALL: &[Scenario] = &[
    Scenario {
        name: "smoke",
        load_secs: (5, 10),
        faults: &[(1, Kind::Kill), (1, Kind::KillAtAct)],
        ..FAIR
    },
    Scenario {
        name: "power_cuts",
        faults: &[
            (8, Kind::PowerCut),
            // A slow sync leaves time for an answer that should have waited for it.
            (6, Kind::SlowDisk),
            (3, Kind::KillAtAct),
            (2, Kind::Checkpoint),
            (1, Kind::Restart),
        ],
        ..FAIR
    },
    Scenario {
        name: "flaky_network",
        load_secs: (15, 30),
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
        ..FAIR
    },
    Scenario {
        name: "client_churn",
        load_secs: (15, 30),
        pause_ms: (100, 1_500),
        faults: &[
            (4, Kind::Die),
            (2, Kind::Vanish),
            (2, Kind::Cut),
            (1, Kind::Kill),
            (1, Kind::Stall),
        ],
        is_fragile: true,
        ..FAIR
    },
    Scenario {
        // What a client held that is gone, and whose connections say so, goes to others at once.
        name: "hand_over",
        load_secs: (20, 40),
        pause_ms: (500, 4_000),
        faults: &[(1, Kind::Die)],
        long_ms: (2_000, 8_000),
        quiet: secs(10),
        // The longest lease that a client chooses for itself is 20 s.
        calm_max: secs(25),
        ..FAIR
    },
    Scenario {
        name: "bad_disk",
        faults: &[
            (3, Kind::FailSync),
            (2, Kind::FailWrite),
            (2, Kind::SlowDisk),
            (2, Kind::PowerCut),
            (1, Kind::Kill),
            (1, Kind::Checkpoint),
        ],
        ..FAIR
    },
    Scenario {
        name: "disk_full",
        faults: &[(4, Kind::FillDisk), (1, Kind::Kill), (1, Kind::PowerCut), (2, Kind::Checkpoint)],
        is_fragile: true,
        ..FAIR
    },
    Scenario {
        name: "removals",
        pause_ms: (100, 1_000),
        faults: &[
            (8, Kind::Remove),
            (1, Kind::Kill),
            (1, Kind::PowerCut),
            (1, Kind::Checkpoint),
            (1, Kind::Cut),
        ],
        ..FAIR
    },
    Scenario {
        // Long enough for lite topics to expire and come again.
        name: "modes",
        load_secs: (70, 90),
        pause_ms: (100, 2_000),
        faults: &[
            (4, Kind::Reset),
            (6, Kind::Note),
            (2, Kind::Die),
            (1, Kind::Vanish),
            (2, Kind::Cut),
            (1, Kind::Deafen),
            (1, Kind::Hold),
            (1, Kind::Kill),
            (1, Kind::PowerCut),
            (1, Kind::Checkpoint),
        ],
        producer_pause_ms: (300, 900),
        has_modes: true,
        ..FAIR
    },
    Scenario {
        name: "clocks",
        faults: &[(3, Kind::SetWallBack), (2, Kind::Kill), (2, Kind::Restart), (1, Kind::PowerCut)],
        is_fragile: true,
        ..FAIR
    },
    Scenario {
        name: "long_silence",
        load_secs: (120, 200),
        pause_ms: (2_000, 15_000),
        faults: &[
            (2, Kind::Die),
            (1, Kind::Vanish),
            (2, Kind::Cut),
            (2, Kind::Deafen),
            (2, Kind::Mute),
            (2, Kind::Stall),
            (1, Kind::Kill),
        ],
        long_ms: (20_000, 120_000),
        producer_pause_ms: (800, 2_000),
        ..FAIR
    },
    Scenario {
        name: "everything",
        load_secs: (20, 40),
        pause_ms: (50, 1_500),
        faults: &[
            (2, Kind::Cut),
            (2, Kind::Hold),
            (1, Kind::Deafen),
            (1, Kind::Mute),
            (1, Kind::Slow),
            (1, Kind::Stall),
            (2, Kind::Die),
            (1, Kind::Vanish),
            (1, Kind::Kill),
            (2, Kind::KillAtAct),
            (3, Kind::PowerCut),
            (1, Kind::Restart),
            (1, Kind::FailSync),
            (1, Kind::FailWrite),
            (1, Kind::SlowDisk),
            (1, Kind::FillDisk),
            (2, Kind::Checkpoint),
            (2, Kind::Remove),
            (1, Kind::SetWallBack),
        ],
        is_fragile: true,
        ..FAIR
    },
];
