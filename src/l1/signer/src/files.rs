//! Secrets from files and from the environment.
//!
//! A file with a secret must not be open to every user of the machine. Files are read up to a limit; what is no plain
//! file (a pipe would be waited for) is refused. Contents never enter an error. What a crash means: nothing is kept.

use std::fs::File;
use std::io::Read;
use std::path::Path;

use prooflog_net::Secret;

use crate::{SignerError, Words};

/// Most bytes of a file: a chain of certificates fits, a wrong path to something huge does not hurt.
const FILE_MAX: u64 = 256 << 10;
/// Longest name of a variable that is repeated. A private key in its place is longer.
const NAME_MAX: usize = 48;

/// The bytes of a file that anybody may read, such as a certificate.
pub(crate) fn public(path: &Path) -> Result<Vec<u8>, SignerError> {
    read(path, |_| Ok(()))
}

/// The bytes of a file that holds a secret.
pub(crate) fn private(path: &Path) -> Result<Secret<Vec<u8>>, SignerError> {
    read(path, |data| guarded(path, data)).map(Secret::new)
}

/// The text of a file that holds a secret, without white space around it.
pub(crate) fn private_text(path: &Path) -> Result<Secret<String>, SignerError> {
    let bytes = private(path)?;
    let text = std::str::from_utf8(bytes.expose()).map_err(|_| failed(path, "is no text".to_owned()))?;
    match text.trim() {
        "" => Err(failed(path, "is empty: put the secret in".to_owned())),
        text => Ok(Secret::new(text.to_owned())),
    }
}

/// The value of a variable of the environment, without white space around it.
pub(crate) fn variable(name: &str) -> Result<Secret<String>, SignerError> {
    let failed = |problem| SignerError::Variable { name: shown(name), problem };
    // The standard library panics on names that no variable can have.
    let value = if name.is_empty() || name.contains(['=', '\0']) { None } else { std::env::var_os(name) };
    let value =
        value.ok_or_else(|| failed("is not set: set it, or configure another source of the secret"))?;
    let value = value.to_str().ok_or_else(|| failed("is no text"))?;
    match value.trim() {
        "" => Err(failed("is empty: put the secret in")),
        value => Ok(Secret::new(value.to_owned())),
    }
}

/// The secret that the configuration points to.
pub(crate) fn words(words: &Words) -> Result<Secret<String>, SignerError> {
    match words {
        Words::Inline(secret) => Ok(Secret::new(secret.expose().trim().to_owned())),
        Words::File(path) => private_text(path),
        Words::Variable(name) => variable(name),
    }
}

/// A name as it may be shown: somebody may have put the secret itself in its place.
fn shown(name: &str) -> String {
    let is_plain = name.len() <= NAME_MAX && name.chars().all(|c| c.is_ascii_alphanumeric() || c == '_');
    if is_plain { name.to_owned() } else { "whose name is not repeated".to_owned() }
}

fn failed(path: &Path, problem: String) -> SignerError {
    SignerError::File { path: path.to_owned(), problem }
}

fn read(
    path: &Path,
    check: impl FnOnce(&std::fs::Metadata) -> Result<(), SignerError>,
) -> Result<Vec<u8>, SignerError> {
    let unreadable = |error: std::io::Error| failed(path, format!("cannot be read: {error}"));
    // Asked before opening too: opening a pipe waits for its writer.
    if !std::fs::metadata(path).map_err(unreadable)?.is_file() {
        return Err(failed(path, "is no plain file".to_owned()));
    }
    let file = File::open(path).map_err(unreadable)?;
    check(&file.metadata().map_err(unreadable)?)?;
    let mut bytes = Vec::new();
    file.take(FILE_MAX + 1).read_to_end(&mut bytes).map_err(unreadable)?;
    if bytes.len() as u64 > FILE_MAX {
        return Err(failed(path, format!("is larger than {FILE_MAX} bytes: is this the right file?")));
    }
    Ok(bytes)
}

#[cfg(unix)]
fn guarded(path: &Path, data: &std::fs::Metadata) -> Result<(), SignerError> {
    use std::os::unix::fs::PermissionsExt;
    let mode = data.permissions().mode() & 0o777;
    if mode & 0o007 == 0 {
        return Ok(());
    }
    let problem = format!(
        "holds a secret and is open to every user of this machine (mode {mode:04o}): chmod 600 {}, or \
         defaultMode 0400 where it is mounted",
        path.display()
    );
    Err(failed(path, problem))
}

#[cfg(not(unix))]
fn guarded(_: &Path, _: &std::fs::Metadata) -> Result<(), SignerError> {
    Ok(())
}
