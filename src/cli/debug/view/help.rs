//! The page of keys, and the list of breakpoints.

use ratatui::text::{Line, Span};

use super::super::model::Debugger;
use super::super::names::Tone;
use super::style::Palette;

/// Every key and what it does; an empty key is a heading.
pub(in super::super) const KEYS: &[(&str, &str)] = &[
    ("", "One step"),
    ("n → Space", "the next event (↓ and j too, while EVENTS is chosen)"),
    ("p ←", "the event before (↑ and k too)"),
    ("] [", "the next batch, the batch before: one decision"),
    ("PgDn PgUp", "100 events on, 100 events back"),
    ("", "Far"),
    ("g G", "the first event, the newest (Home and End too)"),
    (":", "a position, +N, -N, head~N, a time, or `90m ago`"),
    ("/", "the next event of a type, of a stream, or of what belongs to it"),
    (". ,", "the next match, the match before"),
    ("t T", "the next event of the same type, the one before"),
    ("r R", "the next event of the same request or stream, the one before"),
    ("u", "up: the event that led to this one"),
    ("' Backspace", "back to where the last jump began"),
    ("", "Breakpoints"),
    ("b", "stop at a type, a stream, or a condition (docs/conditions.md)"),
    ("B", "the list: Space switches one off and on, d deletes it"),
    ("c C", "run to the next one, run backwards"),
    ("", "The screen"),
    ("Tab", "choose the next pane (Shift-Tab the one before), then ↑ ↓ scroll it"),
    ("z Enter", "the chosen pane alone, and back"),
    ("F", "look for what a running engine has added since"),
    ("Esc Ctrl-C", "give up what takes long"),
    ("? q", "this page; quit"),
    ("", "Signs"),
    ("┌ │ └", "one batch: decided together, durable together"),
    ("●", "a breakpoint stops here"),
    ("+ ~ -", "owed since this batch; asked differently since; no longer owed"),
    ("", "The same as data"),
    ("", "  prooflog debug --at 272 --json    prooflog events --json"),
    ("", "  prooflog diff 271 272 --json      prooflog show span-10-27 --at 272 --json"),
];

/// The page of keys.
pub(super) fn lines(palette: Palette) -> Vec<Line<'static>> {
    let line = |(key, text): &(&'static str, &'static str)| {
        if key.is_empty() {
            return Line::styled(format!(" {text}"), palette.of(Tone::Title));
        }
        Line::from(vec![Span::styled(format!("   {key:<13}"), palette.of(Tone::Act)), Span::raw(*text)])
    };
    KEYS.iter().map(line).collect()
}

/// The list of breakpoints.
pub(super) fn breakpoints(debugger: &Debugger, palette: Palette) -> Vec<Line<'static>> {
    let mut lines = Vec::new();
    for (at, point) in debugger.breaks.iter().enumerate() {
        let mark = if point.on { "●" } else { "○" };
        let text = format!(" {mark} {:<10} {}", point.kind(), point.text());
        let tone = if point.on { Tone::Plain } else { Tone::Dim };
        let style = if at == debugger.chosen { palette.cursor(tone) } else { palette.of(tone) };
        lines.push(Line::styled(text, style));
    }
    if lines.is_empty() {
        lines.push(Line::raw(" none yet"));
    }
    lines.push(Line::default());
    let keys = " b adds one   Space off and on   d deletes   Esc goes back";
    lines.push(Line::styled(keys, palette.of(Tone::Dim)));
    lines
}
