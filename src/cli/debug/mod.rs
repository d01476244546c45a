//! `debug`: a debugger over the log. Step forwards and backwards, run to a breakpoint, look at everything on the way.
//!
//! [`model`] is the debugger without a terminal, [`view`] draws it, [`terminal`] joins both to a real one. With `--keys`
//! the keys come from the command line and the screen is printed; with `--json` what it shows is one document. It only
//! reads: beside a running engine, a backup, or the file of an export.

mod breaks;
mod history;
mod keys;
mod measure;
mod model;
mod names;
mod owed;
mod press;
mod rows;
mod scene;
mod terminal;
#[cfg(test)]
mod tests;
mod view;
mod walk;

use std::io::IsTerminal;
use std::path::Path;
use std::str::FromStr;

use clap::Args;
use prooflog_events::ids::ChainId;
use ratatui::Terminal;
use ratatui::backend::TestBackend;

use super::exit::CliError;
use super::output::{self, Form, json_line};
use super::source::{Moment, Source};
use history::History;
use keys::Keys;
use model::Debugger;
use view::Palette;

/// How to look.
#[derive(Args)]
pub(crate) struct Debug {
    /// Stop here when running: a type, a stream or a condition (docs/conditions.md). May be given several times.
    #[arg(long = "break", value_name = "WHERE")]
    breaks: Vec<String>,
    /// Press these keys, print the screen and end: `/Parked<enter>n`, with `<enter> <esc> <tab> <up> <down> <pgdn> ...`
    #[arg(long)]
    keys: Option<Keys>,
    /// Columns and lines of the screen that is printed.
    #[arg(long, default_value = "80x24", requires = "keys")]
    size: Size,
    /// Press so many random keys and tell how long each took to answer.
    #[arg(long, hide = true, conflicts_with = "keys")]
    measure: Option<u64>,
}

/// The size of a screen.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Size {
    columns: u16,
    lines: u16,
}

impl FromStr for Size {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        let size = text.split_once('x').and_then(|(columns, lines)| {
            let (columns, lines) = (columns.parse().ok()?, lines.parse().ok()?);
            (1..=500).contains(&columns).then_some(())?;
            (1..=200).contains(&lines).then_some(Self { columns, lines })
        });
        size.ok_or_else(|| format!("`{text}` is no size: columns and lines as 80x24, at most 500x200"))
    }
}

/// Opens the debugger.
pub(crate) fn run(
    dir: &Path,
    at: Moment,
    debug: &Debug,
    chain: Option<ChainId>,
    form: Form,
) -> Result<(), CliError> {
    let source = Source::open(dir, Moment::HEAD)?;
    let at = source.position_of(at)?;
    if let Some(count) = debug.measure {
        return measure::run(source, dir, count, form);
    }
    let is_for_people = debug.keys.is_none() && form == Form::Text;
    if is_for_people && !(std::io::stdout().is_terminal() && std::io::stdin().is_terminal()) {
        let text = "this is no terminal: `--json` tells what it shows, `--keys` prints the screen";
        return Err(CliError::Usage(text.to_owned()));
    }
    let mut debugger = Debugger::open(dir.to_owned(), History::new(source), at, chain);
    for text in &debug.breaks {
        debugger.stop_at(text).map_err(CliError::Usage)?;
    }
    debugger.read_rows();
    if is_for_people {
        let has_colours = std::env::var_os("NO_COLOR").is_none_or(|value| value.is_empty());
        let palette = if has_colours { Palette::Colours } else { Palette::None };
        return terminal::run(&mut debugger, palette);
    }
    debugger.finish();
    for key in debug.keys.iter().flat_map(|keys| &keys.0) {
        debugger.key(*key);
        debugger.finish();
    }
    match form {
        Form::Json => {
            let document = debugger.document();
            output::print(|out| json_line(out, &document))
        }
        Form::Text => {
            let screen = screen(&mut debugger, debug.size);
            output::print(|out| out.write_all(screen.as_bytes()))
        }
    }
}

/// What a terminal of a size would show.
fn screen(debugger: &mut Debugger, size: Size) -> String {
    let Ok(mut terminal) = Terminal::new(TestBackend::new(size.columns, size.lines));
    let Ok(_) = terminal.draw(|frame| view::draw(frame, debugger, Palette::None));
    let buffer = terminal.backend().buffer();
    let mut text = String::new();
    for row in buffer.content().chunks(usize::from(size.columns)) {
        let line: String = row.iter().map(ratatui::buffer::Cell::symbol).collect();
        text.push_str(line.trim_end());
        text.push('\n');
    }
    text
}
