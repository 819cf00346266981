//! Time as an argument.

use std::fmt;
use std::ops::Add;

/// A moment, milliseconds since the Unix epoch.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord, Default)]
pub struct Timestamp(pub u64);

/// A moment in whole seconds, where that is exact enough; 0 is none. Good until the year 2106.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Default)]
pub(crate) struct Second(pub(crate) u32);

/// A span, milliseconds.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord, Default)]
pub struct DurationMs(pub u64);

impl DurationMs {
    /// So many seconds.
    pub const fn from_secs(secs: u64) -> Self {
        Self(secs * 1000)
    }

    /// So many hours.
    pub const fn from_hours(hours: u64) -> Self {
        Self(hours * 3_600_000)
    }
}

impl Timestamp {
    /// Time passed since `earlier`; zero when that lies ahead.
    pub fn since(self, earlier: Self) -> DurationMs {
        DurationMs(self.0.saturating_sub(earlier.0))
    }
}

impl Second {
    /// No moment.
    pub(crate) const NONE: Self = Self(0);

    /// The second in which a moment lies.
    pub(crate) fn of(at: Timestamp) -> Self {
        Self(u32::try_from(at.0 / 1000).unwrap_or(u32::MAX))
    }

    /// The first second that begins no earlier; none beyond the last one.
    pub(crate) fn not_before(at: Timestamp) -> Option<Self> {
        u32::try_from(at.0.div_ceil(1000)).ok().map(Self)
    }

    /// When it begins.
    pub(crate) fn start(self) -> Timestamp {
        Timestamp(u64::from(self.0) * 1000)
    }

    /// When it is over.
    pub(crate) fn end(self) -> Timestamp {
        self.start() + DurationMs::from_secs(1)
    }

    /// When it begins, unless it is none.
    pub(crate) fn given(self) -> Option<Timestamp> {
        (self != Self::NONE).then(|| self.start())
    }
}

impl Add<DurationMs> for Timestamp {
    type Output = Self;

    fn add(self, span: DurationMs) -> Self {
        Self(self.0.saturating_add(span.0))
    }
}

impl fmt::Display for DurationMs {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let ms = self.0;
        match ms {
            0 => write!(f, "0s"),
            _ if ms.is_multiple_of(3_600_000) => write!(f, "{}h", ms / 3_600_000),
            _ if ms.is_multiple_of(60_000) => write!(f, "{}m", ms / 60_000),
            _ if ms.is_multiple_of(1000) => write!(f, "{}s", ms / 1000),
            _ => write!(f, "{ms}ms"),
        }
    }
}
