//! The debugger without a terminal: keys in, something to draw out.
//!
//! It has no clock: whatever takes long is done in pieces by [`Debugger::work`], and whoever drives it decides how much
//! at a time and looks for keys in between. What a key does to it depends on nothing but the log and the keys before.
//! What a crash in here means: nothing; the log is only read.

use std::path::PathBuf;

use prooflog_events::envelope::Envelope;
use prooflog_events::ids::{ChainId, Position};

use serde_json::{Value, json};

use super::super::exit::CliError;
use super::breaks::{BREAKS_MAX, Breakpoint, Pattern};
use super::history::{Budget, History};
use super::keys::Key;
use super::rows::Row;
use super::scene::Scene;
use super::walk::{Direction, Goal, Step, Walk};

/// Events that one key press may fold before it shows that it is not done.
const AT_ONCE: u64 = 8_192;
/// Places that are remembered to go back to.
const TRAIL_MAX: usize = 1_000;

/// Where keys that scroll go.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Pane {
    Events,
    Event,
    Changes,
    State,
    Owed,
}

impl Pane {
    pub(super) const ALL: [Self; 5] = [Self::Events, Self::Event, Self::Changes, Self::State, Self::Owed];

    pub(super) fn after(self, steps: usize) -> Self {
        let at = Self::ALL.iter().position(|pane| *pane == self).unwrap_or(0);
        Self::ALL.get((at + steps) % Self::ALL.len()).copied().unwrap_or(self)
    }
}

/// What is asked of whoever sits there.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Asking {
    /// Where to go.
    Place,
    /// What to look for.
    Pattern,
    /// Where to stop.
    Breakpoint,
}

/// What keys mean.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) enum Mode {
    Looking,
    Asking(Asking, String),
    Help,
    Breaks,
}

/// Something said in the last line.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) enum Message {
    Fact(String),
    Problem(String),
}

/// What it is doing that takes longer than a key press.
enum Work {
    /// The state at the cursor is being folded.
    Looking,
    /// On the way to a match.
    Searching(Walk, Pattern),
    /// On the way to a breakpoint.
    Running(Walk),
}

/// The debugger.
pub(super) struct Debugger {
    pub(super) dir: PathBuf,
    pub(super) history: History,
    chain: Option<ChainId>,
    pub(super) cursor: Position,
    pub(super) scene: Option<Scene>,
    pub(super) rows: Vec<Row>,
    pub(super) pane: Pane,
    pub(super) scroll: usize,
    pub(super) zoomed: bool,
    pub(super) mode: Mode,
    pub(super) breaks: Vec<Breakpoint>,
    pub(super) chosen: usize,
    pub(super) pattern: Option<Pattern>,
    work: Option<Work>,
    pub(super) message: Option<Message>,
    pub(super) trail: Vec<Position>,
    pub(super) over: bool,
}

impl Debugger {
    /// Looks at a position of a log.
    pub(super) fn open(dir: PathBuf, history: History, at: Position, chain: Option<ChainId>) -> Self {
        let mut debugger = Self {
            dir,
            history,
            chain,
            cursor: at,
            scene: None,
            rows: Vec::new(),
            pane: Pane::Events,
            scroll: 0,
            zoomed: false,
            mode: Mode::Looking,
            breaks: Vec::new(),
            chosen: 0,
            pattern: None,
            work: None,
            message: None,
            trail: Vec::new(),
            over: false,
        };
        debugger.look();
        debugger
    }

    /// Adds a breakpoint, and says why not.
    pub(super) fn stop_at(&mut self, text: &str) -> Result<(), String> {
        if self.breaks.len() >= BREAKS_MAX {
            return Err(format!("there are {BREAKS_MAX} breakpoints already"));
        }
        self.breaks.push(Breakpoint::parse(text)?);
        Ok(())
    }

    /// Whether [`Self::work`] has anything to do.
    pub(super) const fn is_busy(&self) -> bool {
        self.work.is_some()
    }

    /// What it is doing, and how far it has come.
    pub(super) fn doing(&self) -> Option<(String, Position, u64)> {
        let head = self.history.head();
        let (what, walk) = match self.work.as_ref()? {
            Work::Looking => (String::new(), None),
            Work::Searching(walk, pattern) => (format!("looking for {}", pattern.text()), Some(walk)),
            Work::Running(walk) => ("running to a breakpoint".to_owned(), Some(walk)),
        };
        if let Some((at, target)) = self.history.folded() {
            let percent = at.0.saturating_mul(100).checked_div(target.0).unwrap_or(100);
            return Some((format!("folding to position {target}"), at, percent));
        }
        let (at, percent) = walk.map_or((self.cursor, 100), |walk| walk.progress(head));
        Some((what, at, percent))
    }

    /// Does a piece of what takes long: about so many events. A log that cannot be read or does not fold is told, and can
    /// be looked at all the same where it can.
    pub(super) fn work(&mut self, events: u64) {
        let mut budget = Budget(events.max(1));
        let Some(mut work) = self.work.take() else { return };
        let step = match &mut work {
            Work::Looking => {
                match Scene::of(&mut self.history, self.cursor, &mut budget) {
                    Ok(Some(scene)) => self.scene = Some(scene),
                    Ok(None) => self.work = Some(work),
                    Err(error) => self.say(&error),
                }
                return;
            }
            Work::Searching(walk, pattern) => {
                walk.step(&mut self.history, &Goal::Match(pattern), &mut budget)
            }
            Work::Running(walk) => {
                walk.step(&mut self.history, &Goal::Break(&self.breaks, self.chain), &mut budget)
            }
        };
        match step {
            Ok(Step::On) => self.work = Some(work),
            Ok(Step::Found(at)) => {
                let was = self.stopped_by(&work, at);
                self.jump(at);
                if let Some(text) = was {
                    self.message = Some(Message::Fact(text));
                }
            }
            Ok(Step::Nothing) => {
                let text = match &work {
                    Work::Searching(walk, pattern) => format!("no {} {}", pattern.text(), walk.way()),
                    Work::Running(walk) => format!("no breakpoint stops {}", walk.way()),
                    Work::Looking => String::new(),
                };
                self.problem(&text);
            }
            Err(error) => self.say(&error),
        }
    }

    /// Tells an error in the last line.
    pub(super) fn say(&mut self, error: &CliError) {
        self.message = Some(Message::Problem(error.to_string()));
    }

    /// Tells in the last line why nothing happens.
    pub(super) fn problem(&mut self, text: &str) {
        self.message = Some(Message::Problem(text.to_owned()));
    }

    /// Which breakpoints a run ended at; those on conditions are named too, as they were looked at on the way.
    fn stopped_by(&self, work: &Work, at: Position) -> Option<String> {
        if !matches!(work, Work::Running(_)) {
            return None;
        }
        let record = self.history.source().reader().record(at).ok()??;
        let envelope = record.envelope().ok()?;
        let plain = self.breaks.iter().filter(|point| point.marks(&envelope));
        let named: Vec<&str> = plain.map(Breakpoint::text).collect();
        let conditions = self.breaks.iter().filter(|point| point.on && point.needs_state());
        let named = if named.is_empty() { conditions.map(Breakpoint::text).collect() } else { named };
        Some(format!("stopped: {}", named.join(", ")))
    }

    /// Does everything that takes long, however long it takes.
    pub(super) fn finish(&mut self) {
        while self.is_busy() {
            self.work(AT_ONCE);
        }
    }

    /// Stays where it is. If the state there is still being folded, the event is shown without it.
    fn give_up(&mut self) {
        let at = self.doing().map_or(self.cursor, |(_, at, _)| at);
        self.work = None;
        self.history.give_up();
        self.problem(&format!("given up at position {at}"));
    }

    /// What it shows, as data.
    pub(super) fn document(&self) -> Value {
        let message = self.message.as_ref().map(|message| match message {
            Message::Fact(text) | Message::Problem(text) => text,
        });
        let mut document = self.scene.as_ref().map(|scene| scene.document(self.history.head()));
        if let (Some(Value::Object(fields)), Some(text)) = (&mut document, message) {
            fields.insert("message".to_owned(), Value::String(text.clone()));
        }
        document.unwrap_or_else(|| json!({ "position": self.cursor, "problem": message }))
    }

    /// Takes a key.
    pub(super) fn key(&mut self, key: Key) {
        if self.work.is_none() {
            if let Err(error) = self.press(key) {
                self.say(&error);
            }
        } else if matches!(key, Key::Escape | Key::Interrupt | Key::Char('q')) {
            self.give_up();
        }
    }

    /// Leaves for the next match of what was looked for last.
    pub(super) fn search(&mut self, direction: Direction) {
        let Some(pattern) = self.pattern.clone() else {
            return self.problem("nothing was looked for yet: / asks for a type or a stream");
        };
        let walk = Walk::start(self.cursor, direction, &Goal::Match(&pattern));
        self.work = Some(Work::Searching(walk, pattern));
        self.work(AT_ONCE);
    }

    /// Leaves for a match without doing the first piece of the way.
    #[cfg(test)]
    pub(super) fn leave_for(&mut self, text: &str) {
        if let Some(pattern) = Pattern::new(text) {
            let walk = Walk::start(self.cursor, Direction::Forward, &Goal::Match(&pattern));
            self.work = Some(Work::Searching(walk, pattern));
        }
    }

    /// Leaves for the next breakpoint.
    pub(super) fn run(&mut self, direction: Direction) {
        if !self.breaks.iter().any(|point| point.on) {
            return self.problem("there is no breakpoint: b sets one");
        }
        let walk = Walk::start(self.cursor, direction, &Goal::Break(&self.breaks, self.chain));
        self.work = Some(Work::Running(walk));
        self.work(AT_ONCE);
    }

    /// Goes far: where it was is remembered.
    pub(super) fn jump(&mut self, to: Position) {
        if to != self.cursor {
            self.trail.push(self.cursor);
            if self.trail.len() > TRAIL_MAX {
                self.trail.remove(0);
            }
        }
        self.go(to);
    }

    pub(super) fn go(&mut self, to: Position) {
        self.cursor = to;
        self.scroll = 0;
        self.look();
    }

    /// Looks at the cursor; what is not known at once is worked on.
    pub(super) fn look(&mut self) {
        self.scene = None;
        self.read_rows();
        self.work = Some(Work::Looking);
        self.work(AT_ONCE);
    }

    pub(super) fn read_rows(&mut self) {
        let marks = |envelope: &Envelope<'_>| self.breaks.iter().any(|point| point.marks(envelope));
        match super::rows::around(&self.history, self.cursor, &marks) {
            Ok(rows) => self.rows = rows,
            Err(error) => self.say(&error),
        }
    }
}
