//! One file per group of rows; each answers with its rows and leaves nothing behind.

pub(crate) mod appends;
pub(crate) mod backlog;
pub(crate) mod beside;
pub(crate) mod blobs;
pub(crate) mod deciding;
pub(crate) mod folding;
pub(crate) mod inspect;
pub(crate) mod opening;
pub(crate) mod stages;
pub(crate) mod travel;

/// How much is measured.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Sizes {
    /// Events of the log with 1,000 live requests.
    pub(crate) events: u64,
    /// Events of the log with many live requests.
    pub(crate) events_crowded: u64,
    /// Its live requests.
    pub(crate) crowd: u64,
    /// Synced writes per turn with one writer.
    pub(crate) appends: u64,
    /// Turns of each measurement against its yardstick.
    pub(crate) turns: usize,
    /// Random positions visited.
    pub(crate) visits: u64,
    /// Observations decided.
    pub(crate) decisions: usize,
    /// Spans of the backlog.
    pub(crate) backlog: u64,
    /// Decisions of one turn beside clients, and connections of those who only connect.
    pub(crate) beside: (usize, usize),
}

impl Sizes {
    /// What docs/performance.md records.
    pub(crate) const FULL: Self = Self {
        events: 10_000_000,
        events_crowded: 3_000_000,
        crowd: 100_000,
        appends: 4_000,
        turns: 7,
        visits: 500,
        decisions: 20_000,
        backlog: 10_000,
        beside: (600, 10_000),
    };

    /// Enough to see that everything works.
    pub(crate) const QUICK: Self = Self {
        events: 120_000,
        events_crowded: 150_000,
        crowd: 10_000,
        appends: 300,
        turns: 3,
        visits: 50,
        decisions: 2_000,
        backlog: 1_000,
        beside: (60, 200),
    };
}
