//! The debugger in a real terminal: keys are read, the screen is drawn, long work goes on in between.
//!
//! A key that is held down is never queued up behind drawings. However this ends, by a key, an error or a panic, the
//! terminal is as it was before.

use std::io;
use std::time::{Duration, Instant};

use ratatui::DefaultTerminal;
use ratatui::crossterm::event::{poll, read};

use super::super::exit::CliError;
use super::keys::Key;
use super::model::Debugger;
use super::view::{self, Palette};

/// What one piece of long work may take before keys are looked for.
const PIECE: Duration = Duration::from_millis(30);
/// Events of the smallest and the largest piece.
const PIECE_MIN: u64 = 1_024;
const PIECE_MAX: u64 = 1 << 20;
/// What keys that are waiting may take before the screen is drawn again.
const UNSEEN: Duration = Duration::from_millis(40);

/// Gives the terminal back when it goes away.
struct Restored;

impl Drop for Restored {
    fn drop(&mut self) {
        ratatui::restore();
    }
}

/// Runs until it is over.
pub(super) fn run(debugger: &mut Debugger, palette: Palette) -> Result<(), CliError> {
    // This also sees to it that a panic gives the terminal back before it is told.
    let mut terminal = ratatui::try_init().map_err(CliError::io("the terminal"))?;
    let _restored = Restored;
    drive(&mut terminal, debugger, palette).map_err(CliError::io("the terminal"))
}

fn drive(terminal: &mut DefaultTerminal, debugger: &mut Debugger, palette: Palette) -> io::Result<()> {
    let mut piece = PIECE_MIN;
    while !debugger.over {
        terminal.draw(|frame| view::draw(frame, debugger, palette))?;
        if debugger.is_busy() {
            let begin = Instant::now();
            debugger.work(piece);
            let next = if begin.elapsed() < PIECE { piece.saturating_mul(2) } else { piece / 2 };
            piece = next.clamp(PIECE_MIN, PIECE_MAX);
        } else if let Some(key) = Key::of(&read()?) {
            debugger.key(key);
        }
        let begin = Instant::now();
        while !debugger.over && begin.elapsed() < UNSEEN && poll(Duration::ZERO)? {
            if let Some(key) = Key::of(&read()?) {
                debugger.key(key);
            }
        }
    }
    Ok(())
}
