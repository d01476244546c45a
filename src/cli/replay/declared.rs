//! The file of declared changes: TOML, one `[[change]]` for each.
//!
//! Everything in it is checked, so that a slip in a name does not leave a change undeclared, or declare too much.

use std::io::Read;
use std::path::Path;

use prooflog_engine::redecide::{Change, Since};
use prooflog_events::event::EventType;
use prooflog_events::ids::Position;
use prooflog_events::input::Input;
use serde::Deserialize;

use crate::cli::exit::CliError;

/// Bytes that a file may have.
const BYTES_MAX: u64 = 1 << 20;

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct File {
    #[serde(default)]
    change: Vec<Entry>,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Entry {
    about: String,
    events: Vec<String>,
    #[serde(default)]
    inputs: Vec<String>,
    since: When,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields, rename_all = "lowercase")]
enum When {
    Behaviour(u32),
    Release(String),
    Position(u64),
}

/// Reads the changes that a file declares.
pub(super) fn read(path: &Path) -> Result<Vec<Change>, CliError> {
    let name = path.display();
    let mut text = String::new();
    let file = std::fs::File::open(path).map_err(CliError::io(name.to_string()))?;
    let read = file.take(BYTES_MAX + 1).read_to_string(&mut text).map_err(CliError::io(name.to_string()))?;
    if read as u64 > BYTES_MAX {
        return Err(CliError::Usage(format!("{name} is larger than 1 MiB")));
    }
    parse(&text).map_err(|wrong| CliError::Usage(format!("{name}: {wrong}")))
}

fn parse(text: &str) -> Result<Vec<Change>, String> {
    let file: File = toml::from_str(text).map_err(|error| error.to_string())?;
    file.change.into_iter().map(change).collect()
}

fn change(entry: Entry) -> Result<Change, String> {
    let event =
        |name: &String| EventType::from_name(name).ok_or_else(|| format!("`{name}` is no type of event"));
    let events = entry.events.iter().map(event).collect::<Result<Vec<_>, _>>()?;
    if events.is_empty() || entry.about.trim().is_empty() {
        return Err("a change says what it is about and which events it concerns".to_owned());
    }
    if let Some(name) = entry.inputs.iter().find(|name| Input::ALL.iter().all(|(known, _)| known != name)) {
        return Err(format!("`{name}` is no input"));
    }
    let since = match entry.since {
        When::Behaviour(behaviour) => Since::Behaviour(behaviour),
        When::Release(release) => Since::Release(release.parse()?),
        When::Position(position) => Since::Position(Position(position)),
    };
    Ok(Change { about: entry.about, events, inputs: entry.inputs, since })
}

#[cfg(test)]
mod tests {
    #![expect(clippy::unwrap_used, clippy::indexing_slicing, reason = "tests")]

    use super::*;
    use proptest::prelude::*;

    const GOOD: &str = r#"
        [[change]]
        about = "spans wait longer"
        events = ["Retried", "Parked"]
        inputs = ["TimerDue"]
        since = { release = "0.3.0" }
    "#;

    #[test]
    fn a_change_says_what_it_is_about_which_events_and_since_when() {
        let changes = parse(GOOD).unwrap();
        assert_eq!(changes.len(), 1);
        assert_eq!(changes[0].events, [EventType::Retried, EventType::Parked]);
        assert_eq!(changes[0].since, Since::Release("0.3.0".parse().unwrap()));
        assert!(parse("").unwrap().is_empty());
    }

    #[test]
    fn a_slip_in_a_declaration_is_refused() {
        for (was, is) in [
            ("Retried", "Retired"),
            ("TimerDue", "Timer"),
            ("0.3.0", "0.3"),
            ("release", "version"),
            ("about", "abuot"),
            ("[\"Retried\", \"Parked\"]", "[]"),
            ("spans wait longer", " "),
            ("since = { release = \"0.3.0\" }", "since = { release = \"0.3.0\", position = 7 }"),
            ("since = { release = \"0.3.0\" }", ""),
        ] {
            assert!(parse(&GOOD.replacen(was, is, 1)).is_err(), "{was} -> {is}");
        }
    }

    proptest! {
        #[test]
        fn no_text_breaks_the_reader(text in ".{0,200}", cut in 0..200_usize) {
            let _ = parse(&text);
            let _ = parse(&GOOD.chars().take(cut).collect::<String>());
        }
    }
}
