//! Colours, by what they mean. Without colours there are bold and faint letters.

use ratatui::style::{Color, Modifier, Style};

use super::super::names::Tone;

/// Whether there are colours.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(in super::super) enum Palette {
    /// The sixteen that every terminal has, in the user's own shades.
    Colours,
    /// None, as `NO_COLOR` asks for.
    None,
}

impl Palette {
    /// How a meaning looks.
    pub(in super::super) fn of(self, tone: Tone) -> Style {
        let plain = Style::new();
        let coloured = |colour: Color| match self {
            Self::Colours => plain.fg(colour),
            Self::None => plain,
        };
        match tone {
            Tone::Plain => plain,
            Tone::Dim => match self {
                Self::Colours => plain.fg(Color::DarkGray),
                Self::None => plain.add_modifier(Modifier::DIM),
            },
            Tone::Good => coloured(Color::Green),
            Tone::Warn => coloured(Color::Yellow),
            Tone::Bad => coloured(Color::Red).add_modifier(Modifier::BOLD),
            Tone::Act => coloured(Color::Cyan),
            Tone::Foreign => coloured(Color::Magenta),
            Tone::Title => plain.add_modifier(Modifier::BOLD),
        }
    }

    /// How the title of the chosen pane looks.
    pub(super) fn chosen(self) -> Style {
        self.of(Tone::Act).add_modifier(Modifier::BOLD)
    }

    /// How the line at the cursor looks.
    pub(super) fn cursor(self, tone: Tone) -> Style {
        self.of(tone).add_modifier(Modifier::REVERSED)
    }
}
