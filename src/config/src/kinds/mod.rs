//! What a value can be.
//!
//! Each kind reads a text, shows a value, and says what a right text looks like.
//!
//! A reason for refusing a text never repeats it, except for short numbers and words: a secret may stand in the wrong
//! place.

mod numbers;
mod places;
mod secrets;
mod words;

pub(crate) use numbers::{Amount, Count, Id, Percent, Port, Seconds, Size, Small, Span};
pub(crate) use places::{Account, Directory, File, Host, HostPort, Url, Urls};
pub use secrets::Header;
pub(crate) use secrets::{Headers, Hex32, Hidden};
pub(crate) use words::{Beginnings, Choice, ConfigName, Filter, Label, Switch, Text, config_name};

use prooflog_net::{Salt, Secret};

/// What was written for a key: one value, or the elements of a list. It has no Debug: it may be a secret.
#[derive(Clone, PartialEq, Eq)]
pub(crate) enum Words {
    /// One value.
    One(String),
    /// A list that the source wrote as one.
    Many(Vec<String>),
}

/// What a number without a unit is taken for.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Bare {
    /// As the key has it, with a note that the unit was guessed.
    Guess,
    /// As the key has it: this name never had units.
    Known,
}

/// A value as written, with what is known about its unit.
#[derive(Clone, PartialEq, Eq)]
pub(crate) struct Given {
    pub(crate) words: Words,
    pub(crate) bare: Bare,
}

impl Given {
    pub(crate) const fn text(text: String) -> Self {
        Self { words: Words::One(text), bare: Bare::Guess }
    }

    /// The one value that this is.
    pub(crate) fn one(&self) -> Result<&str, String> {
        match &self.words {
            Words::One(text) => Ok(text.trim()),
            Words::Many(_) => Err("is a list, and takes one value".to_owned()),
        }
    }

    /// The elements: of a list, or of a text with commas.
    pub(crate) fn each(&self) -> Vec<&str> {
        let parts: Vec<&str> = match &self.words {
            Words::One(text) => text.split(',').collect(),
            Words::Many(texts) => texts.iter().flat_map(|text| text.split(',')).collect(),
        };
        parts.into_iter().map(str::trim).filter(|part| !part.is_empty()).collect()
    }
}

/// What reading needs and leaves behind.
pub(crate) struct Context {
    /// For the digests of endpoints.
    pub(crate) salt: Salt,
    /// What the operator should know about the value just read.
    pub(crate) hint: Option<String>,
}

/// How a value looks on the command line.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Shape {
    /// One value.
    One,
    /// Several, with commas or by repeating the flag.
    List,
    /// On or off: the flag alone means on.
    Switch,
}

/// How much of a value may be shown.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Exposure {
    /// All of it.
    Open,
    /// Scheme, host and digest.
    Masked,
    /// Only that there is one.
    Secret,
}

/// A kind of value.
pub(crate) trait Kind: Sync {
    /// What a text is read into.
    type Value;
    /// How it looks on the command line.
    const SHAPE: Shape = Shape::One;
    /// How much of it may be shown.
    const EXPOSURE: Exposure = Exposure::Open;
    /// Reads a value, or says what is wrong with it.
    fn read(&self, given: &Given, context: &mut Context) -> Result<Self::Value, String>;
    /// The value as it may be shown; empty where there is none.
    fn show(&self, value: &Self::Value) -> String;
    /// What a right text looks like.
    fn right(&self) -> String;
    /// Two right texts with different values.
    #[cfg(test)]
    fn samples(&self) -> [String; 2];
}

/// What is shown of a secret.
pub(crate) const MASK: &str = "***";

/// Short numbers and words may be repeated in a reason; anything longer could be a secret in the wrong place.
fn quoted(text: &str) -> String {
    let short = text.len() <= 16 && text.chars().all(|c| c.is_ascii_alphanumeric() || " .-_%+".contains(c));
    if short { format!("`{text}`") } else { "what is written".to_owned() }
}

/// Whether a text that should be harmless is a private key or a mnemonic: it would be shown from there on.
fn is_secret_like(text: &str) -> bool {
    let digits = text.strip_prefix("0x").unwrap_or(text);
    let key = digits.len() == 64 && digits.bytes().all(|byte| byte.is_ascii_hexdigit());
    key || text.split_whitespace().count() >= 12
}

/// A secret, hidden.
fn hide(text: &str) -> Secret<String> {
    Secret::new(text.to_owned())
}
