//! Keys, as a terminal or `--keys` gives them.

use std::str::FromStr;

use ratatui::crossterm::event::{Event, KeyCode, KeyEvent, KeyEventKind, KeyModifiers};

/// A key.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Key {
    Char(char),
    Enter,
    Escape,
    Tab,
    BackTab,
    Backspace,
    Up,
    Down,
    Left,
    Right,
    PageUp,
    PageDown,
    Home,
    End,
    /// Control and C.
    Interrupt,
}

/// Names of keys that are no characters.
const NAMED: [(&str, Key); 15] = [
    ("enter", Key::Enter),
    ("esc", Key::Escape),
    ("tab", Key::Tab),
    ("backtab", Key::BackTab),
    ("backspace", Key::Backspace),
    ("up", Key::Up),
    ("down", Key::Down),
    ("left", Key::Left),
    ("right", Key::Right),
    ("pgup", Key::PageUp),
    ("pgdn", Key::PageDown),
    ("home", Key::Home),
    ("end", Key::End),
    ("c-c", Key::Interrupt),
    ("lt", Key::Char('<')),
];

impl Key {
    /// The key that a terminal reports; nothing for what is no key press, or none that is used here.
    pub(super) fn of(event: &Event) -> Option<Self> {
        let Event::Key(KeyEvent { code, modifiers, kind, .. }) = event else { return None };
        if *kind == KeyEventKind::Release {
            return None;
        }
        Some(match code {
            KeyCode::Char('c') if modifiers.contains(KeyModifiers::CONTROL) => Self::Interrupt,
            KeyCode::Char(_) if modifiers.intersects(KeyModifiers::CONTROL | KeyModifiers::ALT) => {
                return None;
            }
            KeyCode::Char(c) => Self::Char(*c),
            KeyCode::Enter => Self::Enter,
            KeyCode::Esc => Self::Escape,
            KeyCode::Tab => Self::Tab,
            KeyCode::BackTab => Self::BackTab,
            KeyCode::Backspace => Self::Backspace,
            KeyCode::Up => Self::Up,
            KeyCode::Down => Self::Down,
            KeyCode::Left => Self::Left,
            KeyCode::Right => Self::Right,
            KeyCode::PageUp => Self::PageUp,
            KeyCode::PageDown => Self::PageDown,
            KeyCode::Home => Self::Home,
            KeyCode::End => Self::End,
            _ => return None,
        })
    }
}

/// Keys one after another, as `/Parked<enter>n`.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Keys(pub(super) Vec<Key>);

impl FromStr for Keys {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        let mut keys = Vec::new();
        let mut rest = text;
        while let Some(c) = rest.chars().next() {
            rest = rest.get(c.len_utf8()..).unwrap_or_default();
            if c != '<' {
                keys.push(Key::Char(c));
                continue;
            }
            let names = || NAMED.map(|(name, _)| format!("<{name}>")).join(" ");
            let (name, after) =
                rest.split_once('>').ok_or_else(|| format!("`<` begins a key: {}", names()))?;
            let key = NAMED.iter().find(|(known, _)| *known == name);
            keys.push(key.ok_or_else(|| format!("there is no key <{name}>, but {}", names()))?.1);
            rest = after;
        }
        Ok(Self(keys))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn keys_are_characters_and_names() {
        let keys = |text: &str| text.parse::<Keys>().map(|keys| keys.0);
        assert_eq!(keys("n<enter>é"), Ok(vec![Key::Char('n'), Key::Enter, Key::Char('é')]));
        assert_eq!(keys("a<lt>b"), Ok(vec![Key::Char('a'), Key::Char('<'), Key::Char('b')]));
        assert_eq!(keys(""), Ok(vec![]));
        assert!(keys("<nonsense>").is_err() && keys("a<").is_err());
    }

    #[test]
    fn a_terminal_reports_presses_and_not_releases() {
        let press = |code, modifiers| Event::Key(KeyEvent::new(code, modifiers));
        assert_eq!(Key::of(&press(KeyCode::Char('n'), KeyModifiers::NONE)), Some(Key::Char('n')));
        assert_eq!(Key::of(&press(KeyCode::Char('c'), KeyModifiers::CONTROL)), Some(Key::Interrupt));
        assert_eq!(Key::of(&press(KeyCode::Char('n'), KeyModifiers::CONTROL)), None);
        let release = KeyEvent { kind: KeyEventKind::Release, ..KeyEvent::from(KeyCode::Char('n')) };
        assert_eq!(Key::of(&Event::Key(release)), None);
        assert_eq!(Key::of(&Event::Resize(80, 24)), None);
    }
}
