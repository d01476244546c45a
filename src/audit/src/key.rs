//! The key that signs checkpoints: Ed25519, as text in the form of C2SP signed notes.
//!
//! A key belongs to one log: its name is the log's origin, so a checkpoint of another log never verifies with it. The
//! private key is in one file that only its owner can read, and is never shown. What a crash means: a key file that is
//! not complete is refused by its form, and the next try says that it is there.

use std::fmt;
use std::fs::{File, OpenOptions};
use std::io::{Read, Write};
use std::path::Path;
use std::str::FromStr;

use base64::prelude::{BASE64_STANDARD, Engine};
use ed25519_dalek::SigningKey as Secret;
use prooflog_events::ids::LogId;
use signed_note::{Signer, StandardSigner, StandardVerifier, key_id, new_ed25519_verifier_key};

use crate::error::AuditError;

/// Most bytes of a key's text: twice what a key takes.
const KEY_BYTES_MAX: usize = 512;

/// Ed25519 in signed notes.
const ED25519: u8 = 1;

/// The name of a log in checkpoints and keys.
#[must_use]
pub fn origin(log: LogId) -> String {
    format!("prooflog/{log}")
}

/// The log that a name stands for; names have one spelling.
pub(crate) fn log_of(name: &str) -> Option<LogId> {
    let log = name.strip_prefix("prooflog/")?.parse().ok()?;
    (origin(log) == name).then_some(log)
}

/// Makes a new key for a log in a new file, and returns the public key, which anyone may have.
///
/// # Errors
/// When the file is there already or cannot be written, or the system gives no randomness.
pub fn keygen(path: &Path, log: LogId) -> Result<VerifyingKey, AuditError> {
    let mut seed = [0_u8; 32];
    getrandom::fill(&mut seed).map_err(|error| AuditError::Key(format!("no randomness: {error}")))?;
    let secret = Secret::from_bytes(&seed);
    let name = origin(log);
    let id = key_id(&name, &[&[ED25519], secret.verifying_key().as_bytes().as_slice()].concat());
    let encoded = BASE64_STANDARD.encode([&[ED25519], seed.as_slice()].concat());
    let text = format!("PRIVATE+KEY+{name}+{id:08x}+{encoded}\n");
    let file = || path.display().to_string();
    let mut out = create_private(path).map_err(AuditError::io(file()))?;
    out.write_all(text.as_bytes()).and_then(|()| out.sync_all()).map_err(AuditError::io(file()))?;
    new_ed25519_verifier_key(&name, &secret.verifying_key()).parse()
}

#[cfg(unix)]
fn create_private(path: &Path) -> std::io::Result<File> {
    use std::os::unix::fs::OpenOptionsExt;
    OpenOptions::new().write(true).create_new(true).mode(0o600).open(path)
}

#[cfg(not(unix))]
fn create_private(path: &Path) -> std::io::Result<File> {
    OpenOptions::new().write(true).create_new(true).open(path)
}

#[cfg(unix)]
fn is_open_to_others(file: &File) -> std::io::Result<bool> {
    use std::os::unix::fs::PermissionsExt;
    Ok(file.metadata()?.permissions().mode() & 0o077 != 0)
}

#[cfg(not(unix))]
const fn is_open_to_others(_: &File) -> std::io::Result<bool> {
    Ok(false)
}

/// A private key.
#[derive(Clone)]
pub struct SigningKey {
    log: LogId,
    signer: StandardSigner,
}

impl fmt::Debug for SigningKey {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "SigningKey({})", origin(self.log))
    }
}

impl SigningKey {
    /// Reads the file that [`keygen`] made.
    ///
    /// # Errors
    /// When it cannot be read, others can read it, or it holds no such key. No error shows what is in it.
    pub fn read(path: &Path) -> Result<Self, AuditError> {
        let name = path.display();
        let file = File::open(path).map_err(AuditError::io(name.to_string()))?;
        if is_open_to_others(&file).map_err(AuditError::io(name.to_string()))? {
            let text = format!("{name} can be read by others: `chmod 600` it, and think of making a new key");
            return Err(AuditError::Key(text));
        }
        let mut text = String::new();
        let limited = file.take(KEY_BYTES_MAX as u64 + 1).read_to_string(&mut text);
        limited.map_err(AuditError::io(name.to_string()))?;
        let no_key = || AuditError::Key(format!("{name} holds no private key of `audit keygen`"));
        if text.len() > KEY_BYTES_MAX {
            return Err(no_key());
        }
        let signer = StandardSigner::new(text.trim_end()).map_err(|_| no_key())?;
        let log = log_of(signer.name()).ok_or_else(no_key)?;
        Ok(Self { log, signer })
    }

    /// The log that it signs for.
    #[must_use]
    pub const fn log(&self) -> LogId {
        self.log
    }

    pub(crate) const fn signer(&self) -> &StandardSigner {
        &self.signer
    }
}

/// A public key: `prooflog/<log id>+<key id>+<base64>`.
#[derive(Clone)]
pub struct VerifyingKey {
    text: String,
    log: LogId,
    verifier: StandardVerifier,
}

impl fmt::Display for VerifyingKey {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.text)
    }
}

impl fmt::Debug for VerifyingKey {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "VerifyingKey({self})")
    }
}

impl FromStr for VerifyingKey {
    type Err = AuditError;

    fn from_str(text: &str) -> Result<Self, AuditError> {
        let text = text.trim_end();
        let expected = "a public key of `audit keygen`";
        if text.len() > KEY_BYTES_MAX {
            return Err(AuditError::Form { expected, why: "it is too long".to_owned() });
        }
        let verifier = StandardVerifier::new(text)
            .map_err(|error| AuditError::Form { expected, why: error.to_string() })?;
        let name = signed_note::Verifier::name(&verifier);
        let why = || format!("its name is `{name}`, and not that of a log (prooflog/0x…)");
        let log = log_of(name).ok_or_else(|| AuditError::Form { expected, why: why() })?;
        Ok(Self { text: text.to_owned(), log, verifier })
    }
}

impl VerifyingKey {
    /// The log whose checkpoints it verifies.
    #[must_use]
    pub const fn log(&self) -> LogId {
        self.log
    }

    pub(crate) const fn verifier(&self) -> &StandardVerifier {
        &self.verifier
    }
}

#[cfg(test)]
mod tests {
    #![expect(clippy::unwrap_used, clippy::indexing_slicing, reason = "tests")]
    use super::*;
    use proptest::prelude::*;

    const LOG: LogId = LogId([5; 16]);

    /// What must never show. Base64 has signs of the separator too: the secret is what follows the
    /// fourth, and whoever took what follows the last would look for a letter or two.
    fn secret_of(key: &str) -> &str {
        let secret = key.trim_end().splitn(5, '+').nth(4).unwrap();
        assert!(secret.len() > 40, "{} letters", secret.len());
        secret
    }

    #[test]
    fn a_key_is_made_once_and_only_its_owner_can_read_it() {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("key");
        let public = keygen(&path, LOG).unwrap();
        assert_eq!(public.log(), LOG);
        assert!(public.to_string().starts_with(&format!("prooflog/{LOG}+")));
        assert_eq!(public.to_string().parse::<VerifyingKey>().unwrap().to_string(), public.to_string());
        let before = std::fs::read(&path).unwrap();
        assert!(keygen(&path, LOG).is_err());
        assert_eq!(std::fs::read(&path).unwrap(), before);
        assert_eq!(SigningKey::read(&path).unwrap().log(), LOG);
        assert_ne!(keygen(&dir.path().join("other"), LOG).unwrap().to_string(), public.to_string());
    }

    #[test]
    #[cfg(unix)]
    fn a_key_that_others_can_read_is_refused_and_never_shown() {
        use std::os::unix::fs::PermissionsExt;
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("key");
        keygen(&path, LOG).unwrap();
        let mode = std::fs::metadata(&path).unwrap().permissions().mode();
        assert_eq!(mode & 0o777, 0o600);
        let text = std::fs::read_to_string(&path).unwrap();
        let secret = secret_of(&text);
        assert!(!format!("{:?}", SigningKey::read(&path).unwrap()).contains(secret));
        std::fs::set_permissions(&path, std::fs::Permissions::from_mode(0o640)).unwrap();
        assert!(SigningKey::read(&path).unwrap_err().to_string().contains("chmod 600"));
        std::fs::set_permissions(&path, std::fs::Permissions::from_mode(0o600)).unwrap();
        for wrong in [text.replace("prooflog/", "elsewhere/"), text.replace("KEY", "key"), text.repeat(9)] {
            std::fs::write(&path, wrong).unwrap();
            let error = SigningKey::read(&path).unwrap_err().to_string();
            assert!(error.contains("no private key") && !error.contains(secret), "{error}");
        }
    }

    #[test]
    fn a_public_key_of_another_name_or_with_a_changed_letter_is_refused() {
        let dir = tempfile::tempdir().unwrap();
        let text = keygen(&dir.path().join("key"), LOG).unwrap().to_string();
        assert!(text.replace("prooflog/0x", "prooflog/").parse::<VerifyingKey>().is_err());
        assert!(text.replacen("05", "06", 1).parse::<VerifyingKey>().is_err());
        let peter = "PeterNeumann+c74f20a3+ARpc2QcUPDhMQegwxbzhKqiBfsVkmqq/LDE4izWy10TW";
        assert!(peter.parse::<VerifyingKey>().unwrap_err().to_string().contains("PeterNeumann"));
    }

    proptest! {
        #[test]
        fn arbitrary_text_is_no_key_and_no_panic(text in "(prooflog/)?[+a-z0-9/=\u{0}-\u{ff}]{0,80}") {
            prop_assert!(text.parse::<VerifyingKey>().is_err());
        }

        #[test]
        fn a_changed_private_key_breaks_nothing_and_is_never_shown(
            at in any::<prop::sample::Index>(),
            with in "[0-9a-zA-Z+/= ]",
        ) {
            let dir = tempfile::tempdir().unwrap();
            let path = dir.path().join("key");
            keygen(&path, LOG).unwrap();
            let text = std::fs::read_to_string(&path).unwrap();
            let secret = secret_of(&text).to_owned();
            let mut chars: Vec<char> = text.chars().collect();
            let at = at.index(chars.len());
            chars[at] = with.chars().next().unwrap();
            // Written over, the file stays its owner's alone.
            std::fs::write(&path, chars.iter().collect::<String>()).unwrap();
            let said = match SigningKey::read(&path) {
                Ok(key) => format!("{key:?}"),
                Err(error) => error.to_string(),
            };
            prop_assert!(!said.contains(&secret));
        }
    }
}
