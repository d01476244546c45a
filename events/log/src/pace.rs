//! How long the second stage waits for those whom it has just answered.
//!
//! Writers that append again as soon as they are answered would fall into two halves: one waits for the write under way
//! while the other queues the next one, and every sync is paid by half of them. So before it writes, the second stage
//! waits until as many are on their way as there were, for a part of what a write takes. Where they do not come back,
//! it soon stops waiting. What a crash in here means: nothing was promised yet.

use std::time::Duration;

/// As many on their way are not waited for: what more there are can be sequenced during the write.
const LEVEL_MAX: usize = 64;

/// Longest wait, however slow the disk is.
const WAIT_MAX: Duration = Duration::from_millis(5);

/// Commits without a wait after waits in vain, as a power of two.
const SKIPS_MAX: u32 = 6;

/// What the second stage has learnt of its callers.
#[derive(Debug, Default)]
pub(crate) struct Pace {
    level: usize,
    wait: Duration,
    in_vain: u32,
    skips: u32,
}

impl Pace {
    /// A write took `took`; when it ended, `level` appends were on their way, those that it wrote among them.
    pub(crate) fn wrote(&mut self, level: usize, took: Duration) {
        self.level = level.min(LEVEL_MAX);
        self.wait = (took / 2).min(WAIT_MAX);
    }

    /// How many on their way to wait for, and for how long.
    pub(crate) fn awaited(&mut self) -> Option<(usize, Duration)> {
        let level = std::mem::take(&mut self.level);
        if level < 2 {
            return None;
        }
        match self.skips.checked_sub(1) {
            Some(left) => {
                self.skips = left;
                None
            }
            None => Some((level, self.wait)),
        }
    }

    /// Whether they came. Callers that have other things to do are asked for ever more seldom.
    pub(crate) fn waited(&mut self, came: bool) {
        self.in_vain = if came { 0 } else { (self.in_vain + 1).min(SKIPS_MAX) };
        self.skips = if came { 0 } else { 1 << self.in_vain };
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn one_writer_is_never_waited_for() {
        let mut pace = Pace::default();
        assert_eq!(pace.awaited(), None);
        pace.wrote(1, Duration::from_micros(200));
        assert_eq!(pace.awaited(), None);
    }

    #[test]
    fn those_who_come_back_are_waited_for_each_time_and_a_part_of_a_write_at_most() {
        let mut pace = Pace::default();
        for _ in 0..10 {
            pace.wrote(16, Duration::from_micros(200));
            assert_eq!(pace.awaited(), Some((16, Duration::from_micros(100))));
            pace.waited(true);
        }
        pace.wrote(1_000, Duration::from_secs(1));
        assert_eq!(pace.awaited(), Some((LEVEL_MAX, WAIT_MAX)));
    }

    #[test]
    fn those_who_stay_away_are_waited_for_ever_more_seldom() {
        let mut pace = Pace::default();
        let mut waits = 0;
        for _ in 0..1_000 {
            pace.wrote(8, Duration::from_micros(200));
            if pace.awaited().is_some() {
                waits += 1;
                pace.waited(false);
            }
        }
        assert!(waits < 30, "{waits} waits in vain");
    }
}
