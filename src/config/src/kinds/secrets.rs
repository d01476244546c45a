//! What never shows: keys, words, passwords, headers.
//!
//! Shown is only whether there is one.

use prooflog_net::Secret;

use super::{Context, Exposure, Given, Kind, MASK, Shape, hide};

/// Any text that is not shown.
pub(crate) struct Hidden {
    pub(crate) right: &'static str,
}

/// A private key: 32 bytes of hex.
pub(crate) struct Hex32;

/// HTTP headers, each `Name: value`; the values are not shown.
pub(crate) struct Headers;

/// A header: its name and its value.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Header {
    /// The name.
    pub name: String,
    /// The value.
    pub value: Secret<String>,
}

fn mask(secret: Option<&Secret<String>>) -> String {
    secret.map_or("", |_| MASK).to_owned()
}

impl Kind for Hidden {
    type Value = Option<Secret<String>>;
    const EXPOSURE: Exposure = Exposure::Secret;

    fn read(&self, given: &Given, _: &mut Context) -> Result<Self::Value, String> {
        let text = given.one()?;
        Ok((!text.is_empty()).then(|| hide(text)))
    }

    fn show(&self, value: &Self::Value) -> String {
        mask(value.as_ref())
    }

    fn right(&self) -> String {
        self.right.to_owned()
    }

    #[cfg(test)]
    fn samples(&self) -> [String; 2] {
        ["seven words".to_owned(), "thirteen words".to_owned()]
    }
}

impl Kind for Hex32 {
    type Value = Option<Secret<String>>;
    const EXPOSURE: Exposure = Exposure::Secret;

    fn read(&self, given: &Given, _: &mut Context) -> Result<Self::Value, String> {
        let text = given.one()?;
        let mut bytes = [0; 32];
        hex::decode_to_slice(text.strip_prefix("0x").unwrap_or(text), &mut bytes)
            .map_err(|_| "is not 32 bytes of hex")?;
        if bytes == [0; 32] {
            return Err("is zero".to_owned());
        }
        Ok(Some(hide(text)))
    }

    fn show(&self, value: &Self::Value) -> String {
        mask(value.as_ref())
    }

    fn right(&self) -> String {
        "a private key: 64 hex digits, with or without 0x".to_owned()
    }

    #[cfg(test)]
    fn samples(&self) -> [String; 2] {
        ["07".repeat(32), format!("0x{}", "13".repeat(32))]
    }
}

impl Kind for Headers {
    type Value = Vec<Header>;
    const SHAPE: Shape = Shape::List;
    const EXPOSURE: Exposure = Exposure::Secret;

    fn read(&self, given: &Given, _: &mut Context) -> Result<Self::Value, String> {
        let token = |c: char| c.is_ascii_alphanumeric() || "-_".contains(c);
        let visible = |c: char| c == ' ' || c.is_ascii_graphic();
        let header = |text: &str| {
            let (name, value) = text.split_once([':', '='])?;
            let (name, value) = (name.trim(), value.trim());
            let fits = !name.is_empty() && name.chars().all(token) && value.chars().all(visible);
            fits.then(|| Header { name: name.to_owned(), value: hide(value) })
        };
        let headers: Option<Vec<Header>> = given.each().into_iter().map(header).collect();
        headers.ok_or_else(|| "has a part that is not `Name: value`".to_owned())
    }

    fn show(&self, value: &Self::Value) -> String {
        value.iter().map(|_| MASK).collect::<Vec<_>>().join(",")
    }

    fn right(&self) -> String {
        "headers such as `Authorization: Bearer ...`, with commas between".to_owned()
    }

    #[cfg(test)]
    fn samples(&self) -> [String; 2] {
        ["Seven: 7".to_owned(), "Thirteen: 13,More: 1".to_owned()]
    }
}
