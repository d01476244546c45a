//! How far something long has come: a bar on a terminal, now and then a line elsewhere.
//!
//! It goes to standard error, so that it never stands between data.

use std::io::{IsTerminal, Write};
use std::time::{Duration, Instant};

use super::output;

/// Cells of the bar.
const CELLS: u64 = 30;
/// Between two drawings on a terminal.
const REDRAW: Duration = Duration::from_millis(100);
/// Between two lines elsewhere.
const LINE: Duration = Duration::from_secs(10);

/// One long thing.
pub(crate) struct Progress {
    what: &'static str,
    total: u64,
    began: Instant,
    shown: Instant,
    terminal: bool,
    drawn: bool,
}

impl Progress {
    /// It begins, and will have `total` records.
    pub(crate) fn start(what: &'static str, total: u64) -> Self {
        let now = Instant::now();
        Self { what, total, began: now, shown: now, terminal: std::io::stderr().is_terminal(), drawn: false }
    }

    /// So many are done.
    pub(crate) fn at(&mut self, done: u64) {
        let pause = if self.terminal { REDRAW } else { LINE };
        if self.shown.elapsed() < pause {
            return;
        }
        self.shown = Instant::now();
        let words = words(self.what, done, self.total, self.began.elapsed());
        if self.terminal {
            self.drawn = true;
            let _ = write!(std::io::stderr(), "\r\x1b[2K{} {words}", bar(done, self.total));
            let _ = std::io::stderr().flush();
        } else {
            output::aside(words);
        }
    }

    /// It is done; says at which rate.
    pub(crate) fn end(self) -> String {
        rate(self.total, self.began.elapsed())
    }
}

impl Drop for Progress {
    fn drop(&mut self) {
        if self.drawn {
            let _ = write!(std::io::stderr(), "\r\x1b[2K");
        }
    }
}

fn bar(done: u64, total: u64) -> String {
    let full = done.saturating_mul(CELLS).checked_div(total).unwrap_or(CELLS).min(CELLS);
    (0..CELLS).map(|cell| if cell < full { '█' } else { '░' }).collect()
}

fn words(what: &str, done: u64, total: u64, took: Duration) -> String {
    let left = total.saturating_sub(done);
    let millis = u64::try_from(took.as_millis()).unwrap_or(u64::MAX);
    let seconds = millis.saturating_mul(left).checked_div(done.saturating_mul(1_000)).unwrap_or(0);
    format!("{what}: {done} of {total} records, {}, {seconds} s left", rate(done, took))
}

/// Records in a second.
fn rate(done: u64, took: Duration) -> String {
    let micros = u64::try_from(took.as_micros()).unwrap_or(u64::MAX).max(1);
    let rate = u128::from(done) * 1_000_000 / u128::from(micros);
    format!("{rate}/s")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_bar_fills_and_what_is_left_follows_from_the_rate() {
        assert_eq!(bar(0, 10).matches('█').count(), 0);
        assert_eq!(bar(5, 10).matches('█').count(), 15);
        assert_eq!(bar(0, 0).matches('█').count(), 30, "nothing to do is done");
        let text = words("verifying", 2_500, 10_000, Duration::from_secs(5));
        assert_eq!(text, "verifying: 2500 of 10000 records, 500/s, 15 s left");
        assert_eq!(words("verifying", 0, 10, Duration::ZERO), "verifying: 0 of 10 records, 0/s, 0 s left");
    }
}
