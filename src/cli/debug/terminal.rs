//! The debugger in a real terminal: keys are read, the screen is drawn, long work goes on in between.
//!
//! A key that is held down is never queued up behind drawings. However this ends, by a key, a signal, an error or a
//! panic, the terminal is as it was before.

use std::io;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::{Duration, Instant};

use ratatui::DefaultTerminal;
use ratatui::crossterm::event::{poll, read};
use tokio::signal::unix::{SignalKind, signal};

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
/// Between two looks for a signal while nobody presses a key.
const IDLE: Duration = Duration::from_millis(100);

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
    let asked = asked_to_end().map_err(CliError::io("listening for signals"))?;
    let mut terminal = ratatui::try_init().map_err(CliError::io("the terminal"))?;
    let _restored = Restored;
    match drive(&mut terminal, debugger, palette, &asked) {
        // The terminal may have gone away together with who sat at it.
        Err(_) if asked.load(Ordering::Relaxed) => Ok(()),
        ended => ended.map_err(CliError::io("the terminal")),
    }
}

/// Becomes true once a signal asks for the end: SIGTERM, or SIGHUP when the terminal's window is closed.
fn asked_to_end() -> io::Result<Arc<AtomicBool>> {
    let asked = Arc::new(AtomicBool::new(false));
    let runtime = tokio::runtime::Builder::new_current_thread().enable_io().build()?;
    let (mut terminate, mut hang_up) = {
        let _entered = runtime.enter();
        (signal(SignalKind::terminate())?, signal(SignalKind::hangup())?)
    };
    let told = Arc::clone(&asked);
    // It waits until the process ends.
    std::thread::Builder::new().name("signals".to_owned()).spawn(move || {
        runtime.block_on(async {
            tokio::select! {
                _ = terminate.recv() => {}
                _ = hang_up.recv() => {}
            }
        });
        told.store(true, Ordering::Relaxed);
    })?;
    Ok(asked)
}

fn drive(
    terminal: &mut DefaultTerminal,
    debugger: &mut Debugger,
    palette: Palette,
    asked: &AtomicBool,
) -> io::Result<()> {
    let mut piece = PIECE_MIN;
    let is_over = |debugger: &Debugger| debugger.over || asked.load(Ordering::Relaxed);
    while !is_over(debugger) {
        terminal.draw(|frame| view::draw(frame, debugger, palette))?;
        if debugger.is_busy() {
            let begin = Instant::now();
            debugger.work(piece);
            let next = if begin.elapsed() < PIECE { piece.saturating_mul(2) } else { piece / 2 };
            piece = next.clamp(PIECE_MIN, PIECE_MAX);
        } else {
            while !is_over(debugger) && !poll(IDLE)? {}
            if !is_over(debugger)
                && let Some(key) = Key::of(&read()?)
            {
                debugger.key(key);
            }
        }
        let begin = Instant::now();
        while !is_over(debugger) && begin.elapsed() < UNSEEN && poll(Duration::ZERO)? {
            if let Some(key) = Key::of(&read()?) {
                debugger.key(key);
            }
        }
    }
    Ok(())
}
