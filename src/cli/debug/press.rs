//! What each key does.
//!
//! The keys are those of `less` and `gdb` where these have one for it. The help names all of them; a test holds it to that.

use prooflog_events::ids::{Position, Revision};
use prooflog_events::port::Direction as Along;
use prooflog_log::Record;

use super::super::exit::CliError;
use super::super::source::Moment;
use super::breaks::Pattern;
use super::keys::Key;
use super::model::{Asking, Debugger, Message, Mode, Pane};
use super::scene::Happened;
use super::walk::Direction;

/// Events that one page is.
const PAGE: u64 = 100;
/// Characters of a prompt at most.
const PROMPT_MAX: usize = 1_000;

impl Debugger {
    /// Does what a key says while nothing is being worked on.
    pub(super) fn press(&mut self, key: Key) -> Result<(), CliError> {
        match std::mem::replace(&mut self.mode, Mode::Looking) {
            Mode::Looking => {
                self.message = None;
                return self.looking(key);
            }
            Mode::Asking(asking, text) => self.asking(key, asking, text),
            Mode::Help if matches!(key, Key::Char('q' | '?') | Key::Escape | Key::Enter | Key::Interrupt) => {
                self.scroll = 0;
            }
            Mode::Help => {
                self.scroll_by(key);
                self.mode = Mode::Help;
            }
            Mode::Breaks => self.listing(key),
        }
        Ok(())
    }

    fn looking(&mut self, key: Key) -> Result<(), CliError> {
        let in_list = self.pane == Pane::Events;
        match key {
            Key::Char('q') | Key::Interrupt => self.over = true,
            Key::Char('n' | ' ') | Key::Right => self.step(Direction::Forward, 1),
            Key::Char('p') | Key::Left => self.step(Direction::Backward, 1),
            Key::Down | Key::Char('j') if in_list => self.step(Direction::Forward, 1),
            Key::Up | Key::Char('k') if in_list => self.step(Direction::Backward, 1),
            Key::PageDown => self.step(Direction::Forward, PAGE),
            Key::PageUp => self.step(Direction::Backward, PAGE),
            Key::Char(']') => self.step_batch(Direction::Forward)?,
            Key::Char('[') => self.step_batch(Direction::Backward)?,
            Key::Char('g') | Key::Home => self.jump(Position(1).min(self.history.head())),
            Key::Char('G') | Key::End => self.jump(self.history.head()),
            Key::Char('c') => self.run(Direction::Forward),
            Key::Char('C') => self.run(Direction::Backward),
            Key::Char('.') => self.search(Direction::Forward),
            Key::Char(',') => self.search(Direction::Backward),
            Key::Char('r') => self.same_stream(Direction::Forward)?,
            Key::Char('R') => self.same_stream(Direction::Backward)?,
            Key::Char('t') => self.same_type(Direction::Forward),
            Key::Char('T') => self.same_type(Direction::Backward),
            Key::Char('u') => self.go_to_cause(),
            Key::Char('\'') | Key::Backspace => self.back(),
            Key::Char('F') => self.look_again(),
            other => self.arranging(other),
        }
        Ok(())
    }

    /// Keys that change what is shown and not where.
    fn arranging(&mut self, key: Key) {
        match key {
            Key::Char(':') => self.mode = Mode::Asking(Asking::Place, String::new()),
            Key::Char('/') => self.mode = Mode::Asking(Asking::Pattern, String::new()),
            Key::Char('b') => self.mode = Mode::Asking(Asking::Breakpoint, String::new()),
            Key::Char('B') => (self.mode, self.chosen) = (Mode::Breaks, 0),
            Key::Tab => (self.pane, self.scroll) = (self.pane.after(1), 0),
            Key::BackTab => (self.pane, self.scroll) = (self.pane.after(Pane::ALL.len() - 1), 0),
            Key::Char('z') | Key::Enter => self.zoomed = !self.zoomed,
            Key::Char('?') => (self.mode, self.scroll) = (Mode::Help, 0),
            Key::Escape => self.zoomed = false,
            Key::Up | Key::Down | Key::Char('j' | 'k') => self.scroll_by(key),
            _ => self.problem("no such key: ? lists them"),
        }
    }

    fn scroll_by(&mut self, key: Key) {
        self.scroll = match key {
            Key::Up | Key::Char('k') => self.scroll.saturating_sub(1),
            Key::Down | Key::Char('j') => self.scroll.saturating_add(1),
            Key::PageUp => self.scroll.saturating_sub(10),
            Key::PageDown => self.scroll.saturating_add(10),
            _ => self.scroll,
        };
    }

    fn asking(&mut self, key: Key, asking: Asking, mut text: String) {
        match key {
            Key::Escape | Key::Interrupt => return,
            Key::Backspace if text.is_empty() => return,
            Key::Backspace => drop(text.pop()),
            Key::Char(c) if text.chars().count() < PROMPT_MAX && !c.is_control() => text.push(c),
            Key::Enter => {
                self.message = None;
                return self.answered(asking, text.trim());
            }
            _ => {}
        }
        self.mode = Mode::Asking(asking, text);
    }

    fn answered(&mut self, asking: Asking, text: &str) {
        match asking {
            Asking::Place if text.is_empty() => {}
            Asking::Place => match self.place(text) {
                Ok(at) => self.jump(at),
                Err(problem) => self.problem(&problem),
            },
            Asking::Pattern => {
                // As in `less`: nothing means the last one again.
                self.pattern = Pattern::new(text).or_else(|| self.pattern.take());
                self.search(Direction::Forward);
            }
            Asking::Breakpoint if text.is_empty() => (self.mode, self.chosen) = (Mode::Breaks, 0),
            Asking::Breakpoint => {
                self.message = Some(match self.stop_at(text) {
                    Ok(()) => Message::Fact(format!("stops at {text}: c runs forwards, C backwards")),
                    Err(problem) => Message::Problem(problem),
                });
                self.read_rows();
            }
        }
    }

    /// A moment, or a number of events from here.
    fn place(&self, text: &str) -> Result<Position, String> {
        let by = |digits: &str| digits.trim().parse::<u64>().map_err(|_| format!("`{text}` is no place"));
        if let Some(digits) = text.strip_prefix('+') {
            return Ok(Position(self.cursor.0.saturating_add(by(digits)?).min(self.history.head().0)));
        }
        if let Some(digits) = text.strip_prefix('-') {
            return Ok(Position(self.cursor.0.saturating_sub(by(digits)?)));
        }
        let moment: Moment = text.parse()?;
        self.history.source().position_of(moment).map_err(|error| error.to_string())
    }

    /// Keys of the list of breakpoints.
    fn listing(&mut self, key: Key) {
        self.mode = Mode::Breaks;
        match key {
            Key::Escape | Key::Interrupt | Key::Enter | Key::Char('q' | 'B') => self.mode = Mode::Looking,
            Key::Char('b') => self.mode = Mode::Asking(Asking::Breakpoint, String::new()),
            Key::Up | Key::Char('k') => self.chosen = self.chosen.saturating_sub(1),
            Key::Down | Key::Char('j') => {
                self.chosen = self.chosen.saturating_add(1).min(self.breaks.len().saturating_sub(1));
            }
            Key::Char(' ') => {
                if let Some(point) = self.breaks.get_mut(self.chosen) {
                    point.on = !point.on;
                }
                self.read_rows();
            }
            Key::Char('d') if self.chosen < self.breaks.len() => {
                self.breaks.remove(self.chosen);
                self.chosen = self.chosen.min(self.breaks.len().saturating_sub(1));
                self.read_rows();
            }
            _ => {}
        }
    }

    fn step(&mut self, direction: Direction, events: u64) {
        let to = match direction {
            Direction::Forward => Position(self.cursor.0.saturating_add(events).min(self.history.head().0)),
            Direction::Backward => Position(self.cursor.0.saturating_sub(events)),
        };
        match direction {
            _ if to != self.cursor => self.go(to),
            Direction::Forward => self.problem("this is the newest event: F looks for more"),
            Direction::Backward => self.problem("this is before the first event"),
        }
    }

    fn step_batch(&mut self, direction: Direction) -> Result<(), CliError> {
        let (first, last) = self.history.batch(self.cursor)?;
        let to = match direction {
            Direction::Forward if self.cursor < last => last,
            Direction::Forward => self.history.batch(last.next().min(self.history.head()))?.1,
            Direction::Backward => Position(first.0.saturating_sub(1)),
        };
        self.go(to);
        Ok(())
    }

    fn event(&self) -> Option<&Happened> {
        self.scene.as_ref()?.event.as_ref()
    }

    fn same_stream(&mut self, direction: Direction) -> Result<(), CliError> {
        let Some(event) = self.event() else { return Ok(()) };
        let wanted = match direction {
            Direction::Forward => event.revision.0.checked_add(1),
            Direction::Backward => event.revision.0.checked_sub(1),
        };
        let name = event.stream.clone();
        let found = match wanted {
            Some(revision) => {
                let reader = self.history.source().reader();
                let page = reader.stream(&name, Revision(revision), Along::Forward, 1)?;
                page.records.first().map(Record::position)
            }
            None => None,
        };
        match (found, direction) {
            (Some(at), _) => self.jump(at),
            (None, Direction::Forward) => self.problem(&format!("this is the last event of {name}")),
            (None, Direction::Backward) => self.problem(&format!("this is the first event of {name}")),
        }
        Ok(())
    }

    fn same_type(&mut self, direction: Direction) {
        let pattern = self.event().and_then(|event| Pattern::new(&event.type_name));
        if let Some(pattern) = pattern {
            self.pattern = Some(pattern);
            self.search(direction);
        }
    }

    fn go_to_cause(&mut self) {
        let cause = self.event().and_then(|event| event.cause.as_ref());
        match cause.and_then(|cause| cause.position) {
            Some(at) => self.jump(at),
            None => self.problem("it came from outside: no event of this log led to it"),
        }
    }

    fn back(&mut self) {
        match self.trail.pop() {
            Some(at) => self.go(at),
            None => self.problem("no jump was made from anywhere else"),
        }
    }

    fn look_again(&mut self) {
        let before = self.history.head();
        let message = match self.history.look_again(&self.dir) {
            Ok(()) => Message::Fact(match self.history.head().0.saturating_sub(before.0) {
                0 => "nothing has come since".to_owned(),
                more => format!("{more} events have come since: G goes to the newest"),
            }),
            Err(error) => Message::Problem(error.to_string()),
        };
        self.look();
        self.message = Some(message);
    }
}
