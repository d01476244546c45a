//! Words: switches, choices, labels, filters, names that are hashed.
//!
//! The words of older programs are understood and shown as ours.

use prooflog_events::ids::Hash32;
use sha3::{Digest, Keccak256};

use super::{Context, Given, Kind, Shape, is_secret_like, quoted};

/// On or off.
pub(crate) struct Switch;

/// One of a few words; several words may mean the same, the first of them is the one to use.
pub(crate) struct Choice<V: 'static>(pub(crate) &'static [(&'static str, V)]);

/// Any text of at most so many characters.
pub(crate) struct Text {
    pub(crate) most: usize,
    pub(crate) right: &'static str,
}

/// A name that is fit for a label: letters, digits, `.`, `_` and `-`.
pub(crate) struct Label {
    pub(crate) right: &'static str,
}

/// Beginnings of names, with commas between.
pub(crate) struct Beginnings;

/// What is logged: a level, or directives as in `RUST_LOG`.
pub(crate) struct Filter;

/// A config name of the third contract generation: its hash, or the text that is hashed.
pub(crate) struct ConfigName;

const LEVELS: [&str; 6] = ["trace", "debug", "info", "warn", "error", "off"];

impl Kind for Switch {
    type Value = bool;
    const SHAPE: Shape = Shape::Switch;

    fn read(&self, given: &Given, _: &mut Context) -> Result<bool, String> {
        let text = given.one()?;
        match text.to_ascii_lowercase().as_str() {
            "true" | "1" | "t" | "yes" | "on" => Ok(true),
            "false" | "0" | "f" | "no" | "off" => Ok(false),
            _ => Err(format!("{} is neither true nor false", quoted(text))),
        }
    }

    fn show(&self, value: &bool) -> String {
        value.to_string()
    }

    fn right(&self) -> String {
        "true or false".to_owned()
    }

    #[cfg(test)]
    fn samples(&self) -> [String; 2] {
        ["true".to_owned(), "false".to_owned()]
    }
}

impl<V: Copy + PartialEq + Sync> Kind for Choice<V> {
    type Value = V;

    fn read(&self, given: &Given, _: &mut Context) -> Result<V, String> {
        let text = given.one()?;
        let found = self.0.iter().find(|(word, _)| word.eq_ignore_ascii_case(text));
        found.map(|(_, value)| *value).ok_or_else(|| format!("{} is not known", quoted(text)))
    }

    fn show(&self, value: &V) -> String {
        self.0.iter().find(|(_, known)| known == value).map_or("", |(word, _)| word).to_owned()
    }

    fn right(&self) -> String {
        let mut words: Vec<String> = Vec::new();
        for (_, value) in self.0 {
            let word = self.show(value);
            if !words.contains(&word) {
                words.push(word);
            }
        }
        words.join(" or ")
    }

    #[cfg(test)]
    fn samples(&self) -> [String; 2] {
        // The first is often the default.
        let first = self.0.first();
        let other = self.0.iter().find(|(_, value)| first.is_some_and(|first| *value != first.1));
        [other, first].map(|choice| choice.map_or("", |(word, _)| word).to_owned())
    }
}

impl Kind for Text {
    type Value = String;

    fn read(&self, given: &Given, _: &mut Context) -> Result<String, String> {
        let text = given.one()?;
        if is_secret_like(text) {
            return Err("looks like a secret, and would be shown".to_owned());
        }
        if text.len() > self.most || text.chars().any(char::is_control) {
            return Err(format!("has more than {} bytes, or control characters", self.most));
        }
        Ok(text.to_owned())
    }

    fn show(&self, value: &String) -> String {
        value.clone()
    }

    fn right(&self) -> String {
        self.right.to_owned()
    }

    #[cfg(test)]
    fn samples(&self) -> [String; 2] {
        ["m/44'/60'/0'/0/7".to_owned(), "m/44'/60'/0'/0/13".to_owned()]
    }
}

impl Kind for Label {
    type Value = String;

    fn read(&self, given: &Given, _: &mut Context) -> Result<String, String> {
        let text = given.one()?;
        let fits = |c: char| c.is_ascii_alphanumeric() || "._-".contains(c);
        if is_secret_like(text) {
            return Err("looks like a secret, and would be shown".to_owned());
        }
        if text.len() > 64 || !text.chars().all(fits) {
            return Err("has other characters than letters, digits, `.`, `_` and `-`, or over 64".to_owned());
        }
        Ok(text.to_owned())
    }

    fn show(&self, value: &String) -> String {
        value.clone()
    }

    fn right(&self) -> String {
        self.right.to_owned()
    }

    #[cfg(test)]
    fn samples(&self) -> [String; 2] {
        ["seven".to_owned(), "thirteen".to_owned()]
    }
}

impl Kind for Beginnings {
    type Value = Vec<String>;
    const SHAPE: Shape = Shape::List;

    fn read(&self, given: &Given, _: &mut Context) -> Result<Vec<String>, String> {
        let texts = given.each();
        if texts.len() > 64 {
            return Err("has more than 64 parts".to_owned());
        }
        for (place, text) in (1..).zip(&texts) {
            if is_secret_like(text) {
                return Err(format!("number {place} looks like a secret, and would be shown"));
            }
            if text.len() > 128 || text.chars().any(char::is_control) {
                return Err(format!("number {place} has more than 128 bytes, or control characters"));
            }
        }
        Ok(texts.into_iter().map(str::to_owned).collect())
    }

    fn show(&self, value: &Vec<String>) -> String {
        value.join(",")
    }

    fn right(&self) -> String {
        "beginnings of names, with commas between".to_owned()
    }

    #[cfg(test)]
    fn samples(&self) -> [String; 2] {
        ["seven-,eight-".to_owned(), "thirteen".to_owned()]
    }
}

impl Kind for Filter {
    type Value = String;

    fn read(&self, given: &Given, _: &mut Context) -> Result<String, String> {
        let text = given.one()?.to_ascii_lowercase();
        let level = |word: &str| match word.trim() {
            "crit" | "eror" => Some("error"),
            "trce" => Some("trace"),
            "dbug" => Some("debug"),
            "warning" => Some("warn"),
            word => LEVELS.into_iter().find(|level| *level == word),
        };
        let target = |c: char| c.is_ascii_alphanumeric() || "_:-".contains(c);
        let directive = |part: &str| match part.split_once('=') {
            None => level(part).map(str::to_owned),
            Some((name, word)) => {
                let fits = !name.is_empty() && name.chars().all(target);
                level(word).filter(|_| fits).map(|level| format!("{name}={level}"))
            }
        };
        let parts: Option<Vec<String>> = text.split(',').map(|part| directive(part.trim())).collect();
        parts.map(|parts| parts.join(",")).ok_or_else(|| format!("{} is not a filter", quoted(&text)))
    }

    fn show(&self, value: &String) -> String {
        value.clone()
    }

    fn right(&self) -> String {
        format!("{}, or directives such as info,prooflog_l1=debug", LEVELS.join(", "))
    }

    #[cfg(test)]
    fn samples(&self) -> [String; 2] {
        ["debug".to_owned(), "warn,prooflog=trace".to_owned()]
    }
}

/// The hash that a contract knows a config by.
pub(crate) fn config_name(text: &str) -> Hash32 {
    Hash32(Keccak256::digest(text.as_bytes()).into())
}

impl Kind for ConfigName {
    type Value = Hash32;

    fn read(&self, given: &Given, _: &mut Context) -> Result<Hash32, String> {
        let text = given.one()?;
        if let Some(digits) = text.strip_prefix("0x") {
            let mut bytes = [0; 32];
            return match hex::decode_to_slice(digits, &mut bytes) {
                Ok(()) => Ok(Hash32(bytes)),
                Err(_) => Err("begins with 0x and is not 32 bytes of hex".to_owned()),
            };
        }
        if text.is_empty() || text.len() > 256 {
            return Err("is empty, or has more than 256 bytes".to_owned());
        }
        Ok(config_name(text))
    }

    fn show(&self, value: &Hash32) -> String {
        value.to_string()
    }

    fn right(&self) -> String {
        "a name, which is hashed with keccak256, or its hash (0x and 64 digits)".to_owned()
    }

    #[cfg(test)]
    fn samples(&self) -> [String; 2] {
        ["seven".to_owned(), format!("0x{}", "13".repeat(32))]
    }
}

#[cfg(test)]
mod tests {
    #![expect(clippy::unwrap_used, reason = "tests")]
    use prooflog_net::Salt;

    use super::*;

    fn read<K: Kind>(kind: &K, text: &str) -> Result<K::Value, String> {
        let mut context = Context { salt: Salt::default(), hint: None };
        kind.read(&Given::text(text.to_owned()), &mut context)
    }

    #[test]
    fn filters_are_levels_or_directives_and_know_the_words_of_go() {
        assert_eq!(read(&Filter, "CRIT").unwrap(), "error");
        assert_eq!(read(&Filter, "info, prooflog_l1=trce").unwrap(), "info,prooflog_l1=trace");
        for text in ["loud", "info;debug", "=info", "a b=info", ""] {
            assert!(read(&Filter, text).is_err(), "{text}");
        }
    }

    #[test]
    fn a_config_name_is_hashed_unless_it_is_a_hash() {
        // keccak256("opsuccinct_genesis"), as the contract computes it.
        let hashed = read(&ConfigName, "opsuccinct_genesis").unwrap();
        assert_eq!(read(&ConfigName, &hashed.to_string()).unwrap(), hashed);
        // keccak256 of nothing is a well known value; this tells keccak from the later SHA-3.
        assert!(config_name("").to_string().starts_with("0xc5d2460186f7233c927e7db2dcc703c0e500b653ca8227"));
        assert!(read(&ConfigName, "0x12").is_err());
    }

    #[test]
    fn switches_know_the_words_of_go_and_of_people() {
        assert!(read(&Switch, "True").unwrap() && !read(&Switch, "0").unwrap());
        assert!(read(&Switch, "maybe").is_err());
    }
}
