//! The screen: what the model holds, laid out for the size of the terminal.
//!
//! At 80 columns the event stands above what it changed and what was owed, and the state takes their place when it is
//! chosen; from 110 columns on all four stand beside each other. Colours have one meaning each, and none is needed:
//! every mark is a sign too.

mod help;
mod panes;
mod style;

use ratatui::Frame;
use ratatui::layout::{Constraint, Layout, Rect};
use ratatui::style::{Modifier, Style};
use ratatui::text::{Line, Span};
use ratatui::widgets::{Block, Borders, Clear, Paragraph};

#[cfg(test)]
pub(super) use help::KEYS;
pub(super) use style::Palette;

use super::super::output;
use super::model::{Asking, Debugger, Message, Mode, Pane};
use super::names::{Tone, fit, grouped};

/// From this size on everything stands beside each other.
const WIDE: (u16, u16) = (110, 34);
/// Below this nothing can be shown.
const LEAST: (u16, u16) = (40, 12);

/// The keys that are always shown.
const FOOTER: &str = " n/p step  PgDn/PgUp 100  g/G ends  : go  / find  b break  c/C run  ? help  q";

/// Draws everything.
pub(super) fn draw(frame: &mut Frame<'_>, debugger: &mut Debugger, palette: Palette) {
    let area = frame.area();
    if area.width < LEAST.0 || area.height < LEAST.1 {
        frame.render_widget(Paragraph::new("this window is too small: q quits"), area);
        return;
    }
    let [head, body, keys, last] = Layout::vertical([
        Constraint::Length(1),
        Constraint::Min(1),
        Constraint::Length(1),
        Constraint::Length(1),
    ])
    .areas(area);
    header(frame, debugger, head);
    match debugger.mode {
        Mode::Help => overlay(frame, debugger, palette, body, (" KEYS ", &help::lines(palette))),
        Mode::Breaks => {
            let lines = help::breakpoints(debugger, palette);
            overlay(frame, debugger, palette, body, (" BREAKPOINTS ", &lines));
        }
        Mode::Looking | Mode::Asking(..) => panes(frame, debugger, palette, body),
    }
    let text = fit(FOOTER, usize::from(keys.width));
    frame.render_widget(Paragraph::new(Line::styled(text, palette.of(Tone::Dim))), keys);
    bottom(frame, debugger, palette, last);
}

fn header(frame: &mut Frame<'_>, debugger: &Debugger, area: Rect) {
    let name = debugger.dir.file_name().map_or_else(String::new, |name| name.to_string_lossy().into_owned());
    let time = debugger.scene.as_ref().and_then(|scene| scene.event.as_ref()).map(|event| event.time);
    let time = time.map_or_else(String::new, output::time);
    let (at, head) = (grouped(debugger.cursor.0), grouped(debugger.history.head().0));
    let right = format!("{at} of {head}  {time} ");
    let room = usize::from(area.width).saturating_sub(right.chars().count());
    let left = fit(&format!(" prooflog debug  {}", output::clean(&name)), room.saturating_sub(1));
    let text = format!("{left:<room$}{right}");
    let style = Style::new().add_modifier(Modifier::REVERSED | Modifier::BOLD);
    frame.render_widget(Paragraph::new(Line::styled(text, style)), area);
}

/// The panes, as the size allows.
fn panes(frame: &mut Frame<'_>, debugger: &mut Debugger, palette: Palette, area: Rect) {
    let chosen = debugger.pane;
    let shown = |frame: &mut Frame<'_>, debugger: &mut Debugger, pane: Pane, area: Rect| {
        let (title, lines) = panes::contents(debugger, pane, area, palette);
        pane_of(frame, debugger, palette, (pane, area), (&title, &lines));
    };
    if debugger.zoomed {
        let list = if chosen == Pane::Events { area.height } else { 5 };
        let [top, rest] = Layout::vertical([Constraint::Length(list), Constraint::Min(0)]).areas(area);
        shown(frame, debugger, Pane::Events, top);
        if chosen != Pane::Events {
            shown(frame, debugger, chosen, rest);
        }
        return;
    }
    let halves = |area: Rect| -> [Rect; 2] {
        let [left, _, right] =
            Layout::horizontal([Constraint::Fill(1), Constraint::Length(1), Constraint::Fill(1)]).areas(area);
        [left, right]
    };
    if frame.area().width >= WIDE.0 && frame.area().height >= WIDE.1 {
        let [top, middle, low] =
            Layout::vertical([Constraint::Fill(3), Constraint::Fill(4), Constraint::Fill(4)]).areas(area);
        shown(frame, debugger, Pane::Events, top);
        let [left, right] = halves(middle);
        shown(frame, debugger, Pane::Event, left);
        shown(frame, debugger, Pane::Changes, right);
        let [left, right] = halves(low);
        shown(frame, debugger, Pane::State, left);
        shown(frame, debugger, Pane::Owed, right);
        return;
    }
    let [top, middle, low] =
        Layout::vertical([Constraint::Fill(1), Constraint::Fill(1), Constraint::Fill(1)]).areas(area);
    shown(frame, debugger, Pane::Events, top);
    shown(frame, debugger, Pane::Event, middle);
    if chosen == Pane::State {
        shown(frame, debugger, Pane::State, low);
    } else {
        let [left, right] = halves(low);
        shown(frame, debugger, Pane::Changes, left);
        shown(frame, debugger, Pane::Owed, right);
    }
}

/// One pane under its title, scrolled if it is the chosen one.
fn pane_of(
    frame: &mut Frame<'_>,
    debugger: &mut Debugger,
    palette: Palette,
    (pane, area): (Pane, Rect),
    (title, lines): (&str, &[Line<'static>]),
) {
    let is_chosen = pane == debugger.pane;
    let room = usize::from(area.height.saturating_sub(1));
    let most = lines.len().saturating_sub(room);
    let from = if is_chosen && pane != Pane::Events {
        debugger.scroll = debugger.scroll.min(most);
        debugger.scroll
    } else {
        0
    };
    let style = if is_chosen { palette.chosen() } else { palette.of(Tone::Dim) };
    let mut block = Block::new().borders(Borders::TOP).border_style(style);
    block = block.title_top(Line::from(Span::styled(format!(" {title} "), style)));
    if pane != Pane::Events && most > from {
        let more = Line::from(Span::styled(format!(" {} more ", most - from), style)).right_aligned();
        block = block.title_top(more);
    }
    let seen: Vec<Line<'static>> = lines.iter().skip(from).take(room).cloned().collect();
    frame.render_widget(Paragraph::new(seen).block(block), area);
}

/// A list over everything.
fn overlay(
    frame: &mut Frame<'_>,
    debugger: &mut Debugger,
    palette: Palette,
    area: Rect,
    (title, lines): (&str, &[Line<'static>]),
) {
    let room = usize::from(area.height.saturating_sub(2));
    debugger.scroll = debugger.scroll.min(lines.len().saturating_sub(room));
    let seen: Vec<Line<'static>> = lines.iter().skip(debugger.scroll).take(room).cloned().collect();
    let block = Block::bordered().border_style(palette.chosen()).title_top(title.to_owned());
    frame.render_widget(Clear, area);
    frame.render_widget(Paragraph::new(seen).block(block), area);
}

/// The last line: what is asked, how far it has come, or what there is to say.
fn bottom(frame: &mut Frame<'_>, debugger: &Debugger, palette: Palette, area: Rect) {
    let width = usize::from(area.width);
    let line = if let Mode::Asking(asking, text) = &debugger.mode {
        let what = match asking {
            Asking::Place => " go to (272, +100, head~5, 2026-11-23T17:00:00Z, 90m ago): ",
            Asking::Pattern => " find (a type or its beginning, a stream): ",
            Asking::Breakpoint => " stop at (a type, a stream, a condition): ",
        };
        // What is typed last is seen.
        let room = width.saturating_sub(what.chars().count() + 1);
        let hidden = text.chars().count().saturating_sub(room);
        let seen: String = text.chars().skip(hidden).collect();
        let typed = u16::try_from(what.chars().count() + seen.chars().count()).unwrap_or(u16::MAX);
        frame.set_cursor_position((area.x.saturating_add(typed).min(area.right().saturating_sub(1)), area.y));
        Line::from(vec![Span::styled(what, palette.of(Tone::Act)), Span::raw(output::clean(&seen))])
    } else if let Some((what, at, percent)) = debugger.doing() {
        let text = format!(" {what}: position {}, {percent} %   Esc gives up", grouped(at.0));
        Line::styled(fit(&text, width), palette.of(Tone::Act))
    } else {
        match &debugger.message {
            Some(Message::Fact(text)) => {
                Line::styled(fit(&format!(" {}", output::clean(text)), width), palette.of(Tone::Good))
            }
            Some(Message::Problem(text)) => {
                Line::styled(fit(&format!(" {}", output::clean(text)), width), palette.of(Tone::Warn))
            }
            None => Line::default(),
        }
    };
    frame.render_widget(Paragraph::new(line), area);
}
