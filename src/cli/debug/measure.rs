//! How long a key press takes to be answered, on a log of any size: random keys, each until the screen is drawn.
//!
//! Beside it stands what the same log takes, in the same run, for one record read at random and for the state at a
//! random position, which is what a key that jumps cannot do without.

use std::collections::BTreeMap;
use std::path::Path;
use std::time::{Duration, Instant};

use prooflog_events::ids::Position;
use prooflog_replay::state_at;
use ratatui::Terminal;
use ratatui::backend::TestBackend;
use serde::Serialize;

use super::super::exit::CliError;
use super::super::output::{self, Form, json_line};
use super::super::source::{Moment, Source};
use super::history::History;
use super::keys::Key;
use super::model::Debugger;
use super::view::{self, Palette};

/// The screen that is drawn.
const SIZE: (u16, u16) = (120, 40);

/// Microseconds of many presses.
#[derive(Debug, Clone, Copy, Serialize)]
struct Times {
    count: usize,
    p50: u64,
    p99: u64,
    max: u64,
}

/// Everything that was measured.
#[derive(Serialize)]
struct Measured {
    events: u64,
    /// Until something was on the screen: the answer, or how far it has come.
    answered: Times,
    /// Until the answer was there, however far away, by what was pressed. Searches go until they find something.
    done: BTreeMap<&'static str, Times>,
    /// One record read at random.
    record: Times,
    /// The state at a random position.
    state: Times,
}

/// Numbers that look random and are the same every time.
struct Random(u64);

impl Random {
    fn below(&mut self, bound: u64) -> u64 {
        self.0 ^= self.0 << 13;
        self.0 ^= self.0 >> 7;
        self.0 ^= self.0 << 17;
        self.0 % bound.max(1)
    }
}

fn times(mut all: Vec<Duration>) -> Times {
    all.sort_unstable();
    let micros = |at: usize| {
        let time = all.get(at.min(all.len().saturating_sub(1))).copied().unwrap_or_default();
        u64::try_from(time.as_micros()).unwrap_or(u64::MAX)
    };
    let count = all.len();
    Times { count, p50: micros(count / 2), p99: micros(count * 99 / 100), max: micros(count) }
}

/// What is pressed: its name, and the keys.
fn press(random: &mut Random, head: u64) -> (&'static str, Vec<Key>) {
    let text = |text: String| {
        let keys: Vec<Key> = text.chars().map(Key::Char).chain([Key::Enter]).collect();
        keys
    };
    match random.below(20) {
        0..=4 => ("next", vec![Key::Char('n')]),
        5..=9 => ("previous", vec![Key::Char('p')]),
        10 => ("page on", vec![Key::PageDown]),
        11..=12 => ("page back", vec![Key::PageUp]),
        13 => ("batch on", vec![Key::Char(']')]),
        14 => ("batch back", vec![Key::Char('[')]),
        15 => ("same request", vec![Key::Char(if random.below(2) == 0 { 'r' } else { 'R' })]),
        16 => ("cause", vec![Key::Char('u')]),
        17 => ("search", vec![Key::Char(if random.below(2) == 0 { 't' } else { 'T' })]),
        _ => ("jump", text(format!(":{}", random.below(head) + 1))),
    }
}

/// Presses so many keys.
pub(super) fn run(source: Source, dir: &Path, count: u64, form: Form) -> Result<(), CliError> {
    let (log, head) = (source.log(), source.head().position.0);
    let mut random = Random(0x9e37_79b9_7f4a_7c15);
    let (mut records, mut states) = (Vec::new(), Vec::new());
    for _ in 0..count {
        let at = Position(random.below(head) + 1);
        let begin = Instant::now();
        source.reader().record(at)?;
        records.push(begin.elapsed());
    }
    for _ in 0..(count / 10).max(1) {
        let at = Position(random.below(head) + 1);
        let begin = Instant::now();
        drop(state_at(&source.reader(), log, at)?);
        states.push(begin.elapsed());
    }
    let at = source.position_of(Moment::HEAD)?;
    let mut debugger = Debugger::open(dir.to_owned(), History::new(source), at, None);
    let Ok(mut terminal) = Terminal::new(TestBackend::new(SIZE.0, SIZE.1));
    let mut draw = |debugger: &mut Debugger| {
        let Ok(_) = terminal.draw(|frame| view::draw(frame, debugger, Palette::Colours));
    };
    debugger.finish();
    let (mut answered, mut done) = (Vec::new(), BTreeMap::<_, Vec<Duration>>::new());
    for _ in 0..count {
        let (name, keys) = press(&mut random, head);
        let mut begin = Instant::now();
        for key in keys {
            begin = Instant::now();
            debugger.key(key);
            draw(&mut debugger);
            answered.push(begin.elapsed());
        }
        if debugger.is_busy() {
            debugger.finish();
            draw(&mut debugger);
        }
        done.entry(name).or_default().push(begin.elapsed());
    }
    let measured = Measured {
        events: head,
        answered: times(answered),
        done: done.into_iter().map(|(name, all)| (name, times(all))).collect(),
        record: times(records),
        state: times(states),
    };
    show(&measured, form)
}

fn show(measured: &Measured, form: Form) -> Result<(), CliError> {
    output::print(|out| match form {
        Form::Json => json_line(out, measured),
        Form::Text => {
            let row = |name: &str, times: &Times| {
                let Times { count, p50, p99, max } = times;
                vec![name.to_owned(), count.to_string(), p50.to_string(), p99.to_string(), max.to_string()]
            };
            let mut rows = vec![row("a key is answered", &measured.answered)];
            rows.extend(measured.done.iter().map(|(name, times)| row(&format!("{name}, done"), times)));
            rows.push(row("yardstick: one record", &measured.record));
            rows.push(row("yardstick: one state", &measured.state));
            writeln!(out, "{} events; times in microseconds", measured.events)?;
            output::table(out, &["WHAT", "COUNT", "P50", "P99", "MAX"], &rows)
        }
    })
}
