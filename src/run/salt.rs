//! The salt of a data directory, and randomness where an id is made.

use std::path::Path;

use prooflog_net::Salt;

use super::RunError;

/// The salt for digests of endpoints: made with the data directory, which it stays with. A directory that is not there
/// or cannot be written has none that could be compared with anything later.
pub(crate) fn salt_of(dir: &Path) -> Salt {
    let path = dir.join("salt");
    if let Ok(bytes) = std::fs::read(&path) {
        return bytes.try_into().map(Salt).unwrap_or_default();
    }
    if !dir.join("HEAD").is_file() {
        return Salt::default();
    }
    let Ok(bytes) = random() else { return Salt::default() };
    match std::fs::write(&path, bytes) {
        Ok(()) => Salt(bytes),
        Err(_) => Salt::default(),
    }
}

/// Bytes that nobody can guess.
pub(crate) fn random() -> Result<[u8; 16], RunError> {
    let mut bytes = [0; 16];
    getrandom::fill(&mut bytes).map_err(|error| RunError::Io {
        what: "asking the system for randomness",
        source: std::io::Error::other(error.to_string()),
    })?;
    Ok(bytes)
}
