//! Secrets that must never be written, whoever logs them.
//!
//! Each is looked for in every form in which a log line may show it: as it is, and as JSON or `Debug` escape it. Letters
//! match in either case, because hex keys are printed in both.

use std::borrow::Cow;
use std::sync::{Arc, PoisonError, RwLock};

/// What stands in place of a secret.
pub(crate) const MASK: &str = "***";
/// Shorter ones would be found in every second word.
const SHORTEST: usize = 4;

/// A secret too short to be told from ordinary text: it has fewer than four bytes.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("the secret is shorter than {SHORTEST} bytes: it cannot be told from ordinary text, and is none")]
pub struct TooShort;

/// The registered secrets. Clones are the same set.
#[derive(Clone, Default)]
pub struct Secrets(Arc<RwLock<Vec<Vec<u8>>>>);

impl std::fmt::Debug for Secrets {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("Secrets(***)")
    }
}

impl Secrets {
    /// Registers a secret: it is masked from now on. Of one with several lines, each line is masked.
    ///
    /// # Errors
    /// When it is too short to be masked without masking everything.
    pub fn add(&self, secret: &str) -> Result<(), TooShort> {
        let secret = secret.trim();
        if secret.len() < SHORTEST {
            return Err(TooShort);
        }
        let mut forms = Vec::new();
        let bare = secret.strip_prefix("0x").filter(|digits| digits.len() >= 2 * SHORTEST);
        for text in secret.lines().map(str::trim).chain(bare).filter(|line| line.len() >= SHORTEST) {
            forms.extend(forms_of(text));
        }
        let mut known = self.0.write().unwrap_or_else(PoisonError::into_inner);
        known.extend(forms);
        // The longest first, so that no end of one stays visible behind a shorter one.
        known.sort_by(|a, b| b.len().cmp(&a.len()).then_with(|| a.cmp(b)));
        known.dedup();
        Ok(())
    }

    /// `text` without secrets.
    #[must_use]
    pub fn mask<'a>(&self, text: &'a str) -> Cow<'a, str> {
        match self.mask_bytes(text.as_bytes()) {
            Cow::Borrowed(_) => Cow::Borrowed(text),
            Cow::Owned(bytes) => Cow::Owned(String::from_utf8_lossy(&bytes).into_owned()),
        }
    }

    /// `bytes` without secrets.
    pub(crate) fn mask_bytes<'a>(&self, bytes: &'a [u8]) -> Cow<'a, [u8]> {
        let known = self.0.read().unwrap_or_else(PoisonError::into_inner);
        if known.is_empty() {
            return Cow::Borrowed(bytes);
        }
        let mut out: Option<Vec<u8>> = None;
        let mut at = 0;
        while let Some(rest) = bytes.get(at..).filter(|rest| !rest.is_empty()) {
            let found = known.iter().find(|secret| starts_with(rest, secret));
            match (found, &mut out) {
                (Some(secret), out) => {
                    let out = out.get_or_insert_with(|| bytes.get(..at).unwrap_or_default().to_vec());
                    out.extend_from_slice(MASK.as_bytes());
                    at += secret.len();
                }
                (None, out) => {
                    if let Some(out) = out {
                        out.extend(rest.first());
                    }
                    at += 1;
                }
            }
        }
        out.map_or(Cow::Borrowed(bytes), Cow::Owned)
    }
}

fn starts_with(text: &[u8], secret: &[u8]) -> bool {
    text.get(..secret.len()).is_some_and(|start| start.eq_ignore_ascii_case(secret))
}

/// A secret as it is, and as JSON, `Debug` and both of them show it.
fn forms_of(secret: &str) -> Vec<Vec<u8>> {
    let debug = |text: &str| {
        let quoted = format!("{text:?}");
        quoted.get(1..quoted.len().saturating_sub(1)).unwrap_or(text).to_owned()
    };
    let json = |text: &str| {
        let quoted = serde_json::to_string(text).unwrap_or_default();
        quoted.get(1..quoted.len().saturating_sub(1)).unwrap_or(text).to_owned()
    };
    let mut forms: Vec<Vec<u8>> =
        [secret.to_owned(), debug(secret), json(secret), json(&debug(secret))].map(String::into_bytes).into();
    forms.sort();
    forms.dedup();
    forms
}

#[cfg(test)]
#[expect(clippy::unwrap_used, reason = "tests")]
mod tests {
    use super::*;

    #[test]
    fn a_secret_is_masked_in_every_case_and_form() {
        let secrets = Secrets::default();
        secrets.add("0xDEADbeef00112233").unwrap();
        secrets.add("pa\"ss\\wörd").unwrap();
        let text = r#"k=0xdeadBEEF00112233 bare=DEADBEEF00112233 {"p":"pa\"ss\\wörd"} pa"ss\wörd"#;
        let masked = secrets.mask(text);
        assert_eq!(masked, r#"k=*** bare=*** {"p":"***"} ***"#);
    }

    #[test]
    fn a_longer_secret_is_masked_whole_although_a_shorter_one_begins_it() {
        let secrets = Secrets::default();
        secrets.add("abcd").unwrap();
        secrets.add("abcdefgh").unwrap();
        assert_eq!(secrets.mask("xabcdefghx abcdx"), "x***x ***x");
    }

    #[test]
    fn every_line_of_a_key_file_is_a_secret() {
        let secrets = Secrets::default();
        secrets.add("-----BEGIN KEY-----\nMIGHAgEAMBMG\nByqGSM49\n-----END KEY-----\n").unwrap();
        assert_eq!(secrets.mask("it says ByqGSM49 somewhere"), "it says *** somewhere");
    }

    #[test]
    fn text_without_secrets_is_not_copied() {
        let secrets = Secrets::default();
        secrets.add("hunter22").unwrap();
        assert!(matches!(secrets.mask("nothing to see"), Cow::Borrowed(_)));
        assert_eq!(secrets.add("abc"), Err(TooShort));
        assert!(!format!("{secrets:?}").contains("hunter22"));
    }
}
