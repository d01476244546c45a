//! What stands in each pane, line by line, for a width.
//!
//! It makes lines with their colours and draws none: where they go is the screen's business.

use prooflog_events::ids::StreamId;
use prooflog_projections::State;
use prooflog_projections::state::chain::Chain;
use prooflog_projections::state::phase::Phase;
use prooflog_projections::state::unit::Unit;
use ratatui::layout::Rect;
use ratatui::style::Style;
use ratatui::text::{Line, Span};
use serde_json::Value;

use super::super::super::output;
use super::super::super::replay::wide;
use super::super::model::{Debugger, Pane};
use super::super::names::{Tone, clock, fit, grouped, short, shortened, tone_of};
use super::super::owed::{Since, Weight};
use super::super::rows::{Place, Row};
use super::super::scene::{Happened, Meaning, Scene};
use super::style::Palette;
use crate::words::held_by;

/// Units of a rollup that are listed at most.
const UNITS_MAX: usize = 200;
/// Below this width a unit is told in few words.
const NARROW: usize = 72;
/// Columns of the names of facts.
const NAMES: usize = 14;
/// From this width on the list names the types.
const TYPES_FROM: usize = 100;

/// Title and lines of a pane.
pub(super) fn contents(
    debugger: &Debugger,
    pane: Pane,
    area: Rect,
    palette: Palette,
) -> (String, Vec<Line<'static>>) {
    let (width, height) = (usize::from(area.width), usize::from(area.height.saturating_sub(1)));
    if pane == Pane::Events {
        return ("EVENTS".to_owned(), events(debugger, width, height, palette));
    }
    let Some(scene) = &debugger.scene else {
        let name = match pane {
            Pane::Events | Pane::Event => "EVENT",
            Pane::Changes => "CHANGED",
            Pane::State => "STATE",
            Pane::Owed => "OWED",
        };
        let text = if debugger.is_busy() { "" } else { "not known: it was given up, or cannot be read" };
        return (name.to_owned(), vec![Line::styled(text, palette.of(Tone::Dim))]);
    };
    match pane {
        Pane::Events | Pane::Event => event(scene, width, palette),
        Pane::Changes => of_meaning(scene, "CHANGED", width, palette, changes),
        Pane::State => of_meaning(scene, "STATE", width, palette, state),
        Pane::Owed => of_meaning(scene, "OWED", width, palette, owed),
    }
}

type OfMeaning = fn(&Scene, &Meaning, usize, Palette) -> (String, Vec<Line<'static>>);

fn of_meaning(
    scene: &Scene,
    name: &str,
    width: usize,
    palette: Palette,
    of: OfMeaning,
) -> (String, Vec<Line<'static>>) {
    match &scene.meaning {
        Ok(meaning) => of(scene, meaning, width, palette),
        Err(problem) => (name.to_owned(), wrapped(&output::clean(problem), width, palette.of(Tone::Bad), 0)),
    }
}

/// The list, with the cursor in its middle where there is enough on both sides.
fn events(debugger: &Debugger, width: usize, height: usize, palette: Palette) -> Vec<Line<'static>> {
    let rows = &debugger.rows;
    let at = rows.iter().position(|row| row.position == debugger.cursor);
    let from = at.unwrap_or(0).saturating_sub(height / 2).min(rows.len().saturating_sub(height));
    let digits = debugger.history.head().0.to_string().len();
    let mut lines = Vec::new();
    if debugger.cursor.0 == 0 {
        lines.push(Line::styled(" > the empty log", palette.cursor(Tone::Plain)));
    }
    let streams = rows.iter().skip(from).take(height).map(|row| row.stream.chars().count()).max();
    let columns = (digits, streams.unwrap_or(0).min(18), width);
    for row in rows.iter().skip(from).take(height) {
        lines.push(list_line(row, row.position == debugger.cursor, columns, palette));
    }
    lines
}

fn list_line(
    row: &Row,
    is_here: bool,
    (digits, streams, width): (usize, usize, usize),
    palette: Palette,
) -> Line<'static> {
    let mark = if row.stops { "●" } else { " " };
    let batch = match row.place {
        Place::Alone => " ",
        Place::First => "┌",
        Place::Middle => "│",
        Place::Last => "└",
    };
    let here = if is_here { ">" } else { " " };
    let (position, time) = (row.position, clock(row.time));
    let stream = fit(&row.stream, streams);
    let kind = if width >= TYPES_FROM { format!("{:<20} ", fit(&row.type_name, 20)) } else { String::new() };
    let front = format!("{here}{position:>digits$} {time} {batch} ");
    let rest = format!("{stream:<streams$} {kind}{}", row.text);
    let room = width.saturating_sub(front.chars().count() + 1);
    let rest = fit(&rest, room);
    if is_here {
        let style = palette.cursor(row.tone);
        return Line::from(vec![
            Span::styled(mark, palette.of(Tone::Bad)),
            Span::styled(format!("{front}{rest:<room$}"), style),
        ]);
    }
    Line::from(vec![
        Span::styled(mark, palette.of(Tone::Bad)),
        Span::styled(front, palette.of(Tone::Dim)),
        Span::styled(rest, palette.of(row.tone)),
    ])
}

/// A text in as many lines as it takes, the later ones further in; what is longer than a line, as a hash, is cut.
fn wrapped(text: &str, width: usize, style: Style, indent: usize) -> Vec<Line<'static>> {
    let width = width.max(indent + 8);
    let body = text.trim_start_matches(' ');
    let mut line = " ".repeat(text.len() - body.len());
    let mut lines = Vec::new();
    for (nth, word) in body.split(' ').enumerate() {
        if nth > 0 && line.chars().count() + 1 + word.chars().count() <= width {
            line.push(' ');
        } else if nth > 0 {
            lines.push(Line::styled(std::mem::replace(&mut line, " ".repeat(indent)), style));
        }
        line.push_str(word);
        while let Some((cut, _)) = line.char_indices().nth(width) {
            let rest = format!("{}{}", " ".repeat(indent), line.split_off(cut));
            lines.push(Line::styled(std::mem::replace(&mut line, rest), style));
        }
    }
    lines.push(Line::styled(line, style));
    lines
}

/// A fact: its name, and its value in as many lines as it takes.
fn fact(name: &str, value: &str, width: usize, tone: Tone, palette: Palette) -> Vec<Line<'static>> {
    let indent = NAMES + 1;
    let value = output::clean(value);
    let lines = wrapped(&value, width.saturating_sub(indent), palette.of(tone), 0);
    let mut name = format!(" {:<NAMES$}", fit(name, NAMES));
    lines
        .into_iter()
        .map(|line| {
            let front = std::mem::replace(&mut name, " ".repeat(indent));
            let mut spans = vec![Span::styled(front, palette.of(Tone::Dim))];
            let style = line.style;
            spans.extend(line.spans.into_iter().map(|span| span.patch_style(style)));
            Line::from(spans)
        })
        .collect()
}

fn event(scene: &Scene, width: usize, palette: Palette) -> (String, Vec<Line<'static>>) {
    let Some(event) = &scene.event else {
        return ("EVENT".to_owned(), vec![Line::raw(" nothing has happened yet")]);
    };
    let tone = if event.outside { Tone::Foreign } else { tone_of(&event.type_name) };
    let mut lines: Vec<Line<'static>> =
        wrapped(&format!(" {}", event.text), width, palette.of(tone).patch(palette.of(Tone::Title)), 1);
    let mut add = |name: &str, value: &str, tone: Tone| {
        lines.extend(fact(name, value, width, tone, palette));
    };
    let of = if event.correlation.is_empty() || event.correlation == event.stream {
        String::new()
    } else {
        format!(", of {}", short(&event.correlation))
    };
    add("stream", &format!("{} at {}{of}", short(&event.stream), event.revision), Tone::Plain);
    let (first, last) = scene.batch;
    let batch = if first == last { String::new() } else { format!(", batch {first} to {last}") };
    add("by", &format!("{}{batch}", event.actor), Tone::Plain);
    add("caused by", &cause(event), Tone::Plain);
    if let Some(input) = &event.input {
        add("decided on", &format!("{} {}", input.name, flat(&input.data)), Tone::Plain);
    }
    for (name, value) in wide::fields(&event.data) {
        add(if name.is_empty() { "says" } else { &name }, &value, Tone::Plain);
    }
    add("hash", &event.hash.to_string(), Tone::Dim);
    (format!("EVENT {} {}", grouped(event.position.0), event.type_name), lines)
}

fn cause(event: &Happened) -> String {
    match &event.cause {
        None => "nothing in this log: it came from outside".to_owned(),
        Some(cause) => {
            let stream = short(&cause.stream);
            match (cause.position, &cause.type_name, &cause.text) {
                (Some(at), Some(kind), Some(text)) => format!("{at} {stream} {kind}: {text}"),
                _ => format!("revision {} of {stream}, which is not there", cause.revision),
            }
        }
    }
}

/// Data on one line.
fn flat(value: &Value) -> String {
    let fields = wide::fields(value);
    let fields = fields.iter().filter(|(name, _)| *name != "input");
    fields.map(|(name, value)| format!("{name}={value}")).collect::<Vec<_>>().join(" ")
}

fn changes(_: &Scene, meaning: &Meaning, width: usize, palette: Palette) -> (String, Vec<Line<'static>>) {
    let mut lines = Vec::new();
    let mut subject = "";
    for change in &meaning.changes {
        if change.subject != subject {
            subject = &change.subject;
            lines.push(Line::styled(format!(" {}", short(subject)), palette.of(Tone::Title)));
        }
        let text = match (&change.before, &change.after) {
            (None, Some(after)) => format!("+ {after}"),
            (Some(before), Some(after)) => format!("{before} → {after}"),
            (Some(before), None) => format!("{before} → gone"),
            (None, None) => continue,
        };
        lines.extend(fact(change.fact, &text, width, Tone::Plain, palette));
    }
    if lines.is_empty() {
        lines.push(Line::styled(" nothing that decisions rest on", palette.of(Tone::Dim)));
    }
    (format!("CHANGED {}", meaning.changes.len()), lines)
}

fn owed(_: &Scene, meaning: &Meaning, width: usize, palette: Palette) -> (String, Vec<Line<'static>>) {
    let mut lines = Vec::new();
    for line in &meaning.owed.effects {
        let (sign, tone) = match (line.since, line.weight) {
            (Since::New, _) => ("+", Tone::Good),
            (Since::Changed, Weight::Standing) => ("~", Tone::Dim),
            (Since::Changed, _) => ("~", Tone::Warn),
            (Since::Gone, _) => ("-", Tone::Dim),
            (Since::Before, Weight::Spends) => (" ", Tone::Act),
            (Since::Before, Weight::Asks) => (" ", Tone::Plain),
            (Since::Before, Weight::Standing) => (" ", Tone::Dim),
        };
        let text = format!(" {sign} {}", shortened(&line.text));
        lines.extend(wrapped(&text, width, palette.of(tone), 3));
    }
    (format!("OWED {} at {}", meaning.owed.count(), grouped(meaning.owed.at.0)), lines)
}

fn state(scene: &Scene, meaning: &Meaning, width: usize, palette: Palette) -> (String, Vec<Line<'static>>) {
    let of = scene.event.as_ref().and_then(|event| event.stream.parse::<StreamId>().ok());
    let mut lines = Vec::new();
    // The rollup that the event is of comes first.
    let own = match of {
        Some(StreamId::Chain(chain)) => Some(chain),
        Some(StreamId::Unit(unit)) => Some(unit.chain),
        _ => None,
    };
    let state = &meaning.state;
    let mut chains: Vec<&Chain> = state.chains.values().collect();
    chains.sort_by_key(|chain| (Some(chain.id) != own, chain.id));
    chains.into_iter().for_each(|chain| of_chain(chain, of, (width, palette), &mut lines));
    of_accounts(state, of, (width, palette), &mut lines);
    if lines.is_empty() {
        lines.push(Line::raw(" no rollup yet"));
    }
    let inside = if scene.position == scene.batch.1 { "" } else { ", inside a batch" };
    (format!("STATE at {}{inside}", grouped(scene.position.0)), lines)
}

fn of_chain(
    chain: &Chain,
    of: Option<StreamId>,
    (width, palette): (usize, Palette),
    lines: &mut Vec<Line<'static>>,
) {
    let block = |block: Option<prooflog_events::ids::L2Block>| {
        block.map_or_else(|| "-".to_owned(), |block| block.to_string())
    };
    let count = |phase: Phase| chain.units().filter(|unit| unit.phase == phase).count();
    let name = output::clean(&chain.registration.name);
    lines.push(Line::styled(format!(" rollup {} ({name})", chain.id), palette.of(Tone::Title)));
    let mut say = |text: String, tone: Tone| {
        lines.extend(wrapped(&format!("   {text}"), width, palette.of(tone), 3));
    };
    say(
        format!(
            "contract {}  confirmed {}  proven {}  finalized {}",
            block(chain.contract.latest.map(|latest| latest.block)),
            block(chain.contract.confirmed.map(|latest| latest.block)),
            block(chain.proven_to()),
            block(chain.finalized.map(|head| head.block)),
        ),
        Tone::Plain,
    );
    say(
        format!(
            "waiting {}  in flight {}  complete {}  parked {}",
            count(Phase::Ready),
            chain.index.spans_in_flight.saturating_add(chain.index.aggs_in_flight),
            count(Phase::Complete),
            count(Phase::Parked),
        ),
        Tone::Plain,
    );
    held_by(chain).into_iter().for_each(|reason| say(reason, Tone::Bad));
    let mut units: Vec<&Unit> = chain
        .units()
        .filter(|unit| unit.phase != Phase::Complete || of == Some(StreamId::Unit(unit.id)))
        .collect();
    units.sort_by_key(|unit| (of != Some(StreamId::Unit(unit.id)), unit.id.kind, unit.range.start));
    for unit in units.iter().take(UNITS_MAX) {
        let tone = match unit.phase {
            _ if of == Some(StreamId::Unit(unit.id)) => Tone::Act,
            Phase::Parked => Tone::Bad,
            _ => Tone::Plain,
        };
        say(of_unit(unit, width), tone);
    }
    if units.len() > UNITS_MAX {
        say(format!("and {} more: prooflog requests", units.len() - UNITS_MAX), Tone::Dim);
    }
}

fn of_unit(unit: &Unit, width: usize) -> String {
    let (id, range, phase) = (unit.id.to_string(), unit.range.to_string(), unit.phase.name());
    let since = clock(unit.since);
    if width < NARROW {
        return format!("{id:<11} {range} {phase} {}", unit.attempt);
    }
    let until = match unit.phase {
        phase if phase.is_in_flight() => format!(" until {}", clock(unit.deadline)),
        _ if unit.not_before > unit.since => format!(" waits until {}", clock(unit.not_before)),
        _ => String::new(),
    };
    format!("{id:<12} {range:<14} {phase:<13} try {} since {since}{until}", unit.attempt)
}

fn of_accounts(
    state: &State,
    of: Option<StreamId>,
    (width, palette): (usize, Palette),
    lines: &mut Vec<Line<'static>>,
) {
    for signer in state.signers.values() {
        let next = signer.next.map_or_else(|| "unknown".to_owned(), |nonce| nonce.to_string());
        let low = if signer.low.is_some() { ", BALANCE LOW" } else { "" };
        let title = format!(" account {}: next nonce {next}{low}", short(&signer.id.to_string()));
        lines.push(Line::styled(fit(&title, width), palette.of(Tone::Title)));
        for slot in signer.slots.values() {
            let tone = if of == Some(StreamId::Tx(slot.id)) { Tone::Act } else { Tone::Plain };
            let (nonce, phase, version) = (slot.id.nonce, slot.phase.name(), slot.version);
            let text = format!("   nonce {nonce}  {phase}  version {version}  max fee {}", slot.fees.max_fee);
            lines.push(Line::styled(fit(&text, width), palette.of(tone)));
        }
    }
}
