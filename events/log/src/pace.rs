//! How long the second stage waits for those whom it has just answered.
//!
//! Writers that append again as soon as they are answered would fall into parts: some wait for the write under way while
//! others queue the next one, and every sync is paid by a few of them. So before it writes, the second stage may wait
//! until as many are on their way as there were. Whether that pays depends on how long they stay away: a thread of this
//! process is back before long, a client over the network has two messages to send, and where answers and requests take
//! about as long as a write, two halves that take turns keep both the disk and the processors busy. So every way of
//! waiting is tried for some commits, and the one with which most appends were answered in a second is kept for a while,
//! longer each time that it wins again; then only those that came near it are mostly tried. Where they do not come back,
//! nothing is waited for. What a crash in here means: nothing was promised yet.

use std::time::Duration;

/// As many on their way are not waited for: what more there are can be sequenced during the write.
const LEVEL_MAX: usize = 64;

/// Longest wait, however slow the disk is.
const WAIT_MAX: Duration = Duration::from_millis(5);

/// The ways of waiting that are tried: for how long, in quarters of what a write takes, and for which part of them.
const WAITS: [(u32, usize); 5] = [(0, 1), (2, 1), (6, 2), (6, 1), (16, 1)];

/// Commits between trials: twice as many each time that they end as before, half as many when they do not.
const KEPT_MIN: u32 = 96;
const KEPT_MAX: u32 = 6_144;

/// Commits of one trial: at least so many, and longer where much hangs on it, because the shorter it is the more chance
/// has a part in it.
const TRIAL_MIN: u32 = 24;
const TRIAL_OF_KEPT: u32 = 32;

/// Another way of waiting must answer so much more, in percent, than the one in use.
const GAIN: u128 = 103;

/// What a way of waiting must have answered, in percent of the one in use, to be tried next time; each so many times in a
/// row that the same one wins, all are.
const NEAR: u128 = 90;
const ALL_EVERY: u32 = 4;

/// What the second stage has learnt of its callers.
#[derive(Debug, Default)]
pub(crate) struct Pace {
    level: usize,
    took: Duration,
    /// Which of [`WAITS`] is in use.
    wait: usize,
    /// The one that was kept last.
    best: usize,
    /// Whether `wait` is being tried; else it is kept.
    trying: bool,
    /// Commits until the trial, or the time of keeping, ends.
    left: u32,
    kept: u32,
    /// How many times in a row `best` has won.
    won: u32,
    /// How many were on their way when the trials began anew, and how many at most since the last ones began.
    usual: usize,
    peak: usize,
    seen: Seen,
    /// What the trials so far have shown.
    rates: [u128; WAITS.len()],
    /// Which ways are tried this time.
    near: [bool; WAITS.len()],
}

/// What one trial has shown so far.
#[derive(Debug, Default, Clone, Copy)]
struct Seen {
    begun: Option<Duration>,
    answered: usize,
    came: u32,
    in_vain: u32,
}

impl Pace {
    /// A write took `took` and ended `now`, answering `answered`; then `level` appends were on their way, those among
    /// them.
    pub(crate) fn wrote(&mut self, level: usize, answered: usize, took: Duration, now: Duration) {
        self.level = level.min(LEVEL_MAX);
        self.took = took;
        if self.level < 2 {
            return;
        }
        self.peak = self.peak.max(self.level);
        if self.level > self.usual.saturating_mul(2) || self.kept == 0 {
            self.anew(self.level);
        }
        match self.seen.begun {
            None => self.seen.begun = Some(now),
            Some(_) => self.seen.answered = self.seen.answered.saturating_add(answered),
        }
        // Those who stay away are not waited for until a trial ends.
        let given_up = self.seen.in_vain > 3 && self.seen.in_vain > self.seen.came;
        self.left = if given_up { 0 } else { self.left.saturating_sub(1) };
        if self.left > 0 {
            return;
        }
        if !self.trying {
            // Some ways of waiting have fewer on their way at once: what counts is how many there were under all of them.
            let peak = std::mem::take(&mut self.peak);
            return if peak < self.usual / 2 { self.anew(peak) } else { self.compare() };
        }
        let passed = now.saturating_sub(self.seen.begun.unwrap_or(now)).as_nanos().max(1);
        if let Some(rate) = self.rates.get_mut(self.wait) {
            *rate = if given_up { 0 } else { self.seen.answered as u128 * 1_000_000_000_000 / passed };
        }
        match self.next(self.wait + 1) {
            Some(wait) => self.begin(wait),
            None => self.keep(),
        }
    }

    /// The way of waiting that is tried next, of those from `wait` on.
    fn next(&self, wait: usize) -> Option<usize> {
        (wait..WAITS.len()).find(|wait| self.near.get(*wait).is_some_and(|near| *near))
    }

    /// What was learnt is of other callers.
    fn anew(&mut self, level: usize) {
        (self.usual, self.kept, self.best, self.won) = (level, KEPT_MIN, 0, 0);
        self.compare();
    }

    /// Begins the trials: of all, or of those that came near the one in use the last time.
    fn compare(&mut self) {
        let best = self.rates.get(self.best).copied().unwrap_or_default();
        let all = self.won.is_multiple_of(ALL_EVERY);
        self.near = self.rates.map(|rate| all || rate * 100 >= best * NEAR);
        self.rates = [0; WAITS.len()];
        match self.next(0) {
            Some(wait) => self.begin(wait),
            None => self.keep(),
        }
    }

    fn begin(&mut self, wait: usize) {
        let left = TRIAL_MIN.max(self.kept / TRIAL_OF_KEPT);
        (self.wait, self.trying, self.left, self.seen) = (wait, true, left, Seen::default());
    }

    fn keep(&mut self) {
        let mut best = (self.best, self.rates.get(self.best).map_or(0, |rate| rate * GAIN / 100));
        for (wait, rate) in self.rates.iter().enumerate() {
            if *rate > best.1 {
                best = (wait, *rate);
            }
        }
        (self.kept, self.won) = if best.0 == self.best {
            ((self.kept * 2).min(KEPT_MAX), self.won.saturating_add(1))
        } else {
            ((self.kept / 2).max(KEPT_MIN), 0)
        };
        self.best = best.0;
        (self.wait, self.trying, self.left, self.seen) = (best.0, false, self.kept, Seen::default());
    }

    /// How many on their way to wait for, and for how long.
    pub(crate) fn awaited(&mut self) -> Option<(usize, Duration)> {
        let level = std::mem::take(&mut self.level);
        let (quarters, part) = WAITS.get(self.wait).copied().unwrap_or((0, 1));
        let wanted = level.div_ceil(part);
        (level >= 2 && quarters > 0).then(|| (wanted, (self.took * quarters / 4).min(WAIT_MAX)))
    }

    /// Whether they came.
    pub(crate) fn waited(&mut self, came: bool) {
        let counted = if came { &mut self.seen.came } else { &mut self.seen.in_vain };
        *counted = counted.saturating_add(1);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const MICRO: Duration = Duration::from_micros(1);

    /// Writers who come back `away` after an answer, each a little later than the one before, and a write that takes
    /// 100 us and 2 more for each append: appends answered in a second, by this pace or by a wait that never changes.
    fn rate(writers: u32, away: u32, fixed: Option<usize>) -> u64 {
        let mut pace = Pace::default();
        let mut back: Vec<Duration> = (0..writers).map(|n| MICRO * n).collect();
        let (mut now, mut answered) = (Duration::ZERO, 0_u64);
        while now < Duration::from_secs(1) {
            if let Some(wait) = fixed {
                (pace.wait, pace.trying, pace.left) = (wait, false, u32::MAX);
            }
            if let Some((level, limit)) = pace.awaited() {
                back.sort_unstable();
                let all = back.get(level.saturating_sub(1)).copied().unwrap_or(Duration::MAX);
                pace.waited(all <= now + limit);
                now = now.max(all.min(now + limit));
            }
            now = now.max(back.iter().min().copied().unwrap_or_default());
            let taken: Vec<_> =
                (0..back.len()).filter(|at| back.get(*at).is_some_and(|at| *at <= now)).collect();
            let took = MICRO * (100 + 2 * u32::try_from(taken.len()).unwrap_or(u32::MAX));
            now += took;
            let level = back.iter().filter(|at| **at <= now).count();
            for (nth, at) in (0..).zip(&taken) {
                if let Some(back) = back.get_mut(*at) {
                    *back = now + MICRO * (away + 5 * nth);
                }
            }
            answered += taken.len() as u64;
            pace.wrote(level, taken.len(), took, now);
        }
        answered
    }

    #[test]
    fn what_answers_most_is_found_whoever_comes_back_when() {
        for writers in [4, 16, 64] {
            for away in [20, 50, 100, 150, 300, 600, 2_000] {
                let best = (0..WAITS.len()).map(|wait| rate(writers, away, Some(wait))).max().unwrap_or(0);
                let found = rate(writers, away, None);
                assert!(found * 100 >= best * 90, "{writers} away for {away} us: {found} of {best}");
            }
        }
    }

    #[test]
    fn waiting_pays_where_they_are_back_soon() {
        assert!(rate(4, 20, None) * 10 > rate(4, 20, Some(0)) * 14);
    }

    #[test]
    fn halves_take_turns_where_coming_back_takes_about_as_long_as_a_write() {
        let halves = WAITS.iter().position(|(_, part)| *part == 2);
        let others = (0..WAITS.len()).filter(|wait| Some(*wait) != halves);
        let best = others.map(|wait| rate(16, 100, Some(wait))).max().unwrap_or(0);
        let found = rate(16, 100, None);
        assert!(found * 100 > best * 105, "{found} and {best}");
    }

    #[test]
    fn one_writer_is_never_waited_for() {
        let mut pace = Pace::default();
        assert_eq!(pace.awaited(), None);
        for n in 1..1_000 {
            pace.wrote(1, 1, MICRO * 200, MICRO * 300 * n);
            assert_eq!(pace.awaited(), None);
        }
    }

    #[test]
    fn those_who_stay_away_are_waited_for_ever_more_seldom_and_never_long() {
        let mut pace = Pace::default();
        let mut waits = 0;
        for n in 1..20_000 {
            pace.wrote(8, 4, Duration::from_secs(1), Duration::from_secs(n));
            if let Some((level, limit)) = pace.awaited() {
                assert!((4..=8).contains(&level) && limit == WAIT_MAX, "{level} for {limit:?}");
                waits += 1;
                pace.waited(false);
            }
        }
        assert!((1..200).contains(&waits), "{waits} waits in vain");
    }
}
