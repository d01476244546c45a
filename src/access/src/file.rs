//! The file of users: TOML, readable by its owner alone, replaced as a whole.

use std::collections::BTreeMap;
use std::io::{Read, Write};
use std::path::Path;

use crate::{AccessError, Entry};

/// Bytes of the file at most.
const FILE_MAX: u64 = 1 << 20;

fn wrong(path: &Path) -> impl Fn(String) -> AccessError + '_ {
    move |problem| AccessError::File { path: path.to_owned(), problem }
}

pub(crate) fn load(path: &Path) -> Result<BTreeMap<String, Entry>, AccessError> {
    let wrong = wrong(path);
    let file = match std::fs::File::open(path) {
        Ok(file) => file,
        Err(error) if error.kind() == std::io::ErrorKind::NotFound => return Ok(BTreeMap::new()),
        Err(error) => return Err(wrong(format!("cannot be read: {error}"))),
    };
    let data = file.metadata().map_err(|error| wrong(format!("cannot be read: {error}")))?;
    if is_open(&data) {
        return Err(wrong(format!("others can read it: chmod 600 {}", path.display())));
    }
    let mut text = String::new();
    let read = file.take(FILE_MAX + 1).read_to_string(&mut text);
    read.map_err(|error| wrong(format!("cannot be read: {error}")))?;
    if text.len() as u64 > FILE_MAX {
        return Err(wrong("is larger than a megabyte".to_owned()));
    }
    // The parser's words would repeat the line, which holds a hash.
    toml::from_str(&text).map_err(|error| {
        let line = error.span().map_or(0, |span| text.get(..span.start).unwrap_or_default().lines().count());
        wrong(format!("line {line} is no entry of a user: [name] with role and hash"))
    })
}

pub(crate) fn replace(path: &Path, users: &BTreeMap<String, Entry>) -> Result<(), AccessError> {
    let wrong = wrong(path);
    let text = toml::to_string(users).map_err(|error| wrong(error.to_string()))?;
    let partial = path.with_extension("new");
    let write = || {
        let mut file = private(&partial)?;
        file.write_all(text.as_bytes())?;
        file.sync_all()?;
        std::fs::rename(&partial, path)
    };
    write().map_err(|error| wrong(format!("cannot be written: {error}")))
}

#[cfg(unix)]
fn private(path: &Path) -> std::io::Result<std::fs::File> {
    use std::os::unix::fs::OpenOptionsExt;
    std::fs::OpenOptions::new().write(true).create(true).truncate(true).mode(0o600).open(path)
}

#[cfg(not(unix))]
fn private(path: &Path) -> std::io::Result<std::fs::File> {
    std::fs::File::create(path)
}

#[cfg(unix)]
fn is_open(data: &std::fs::Metadata) -> bool {
    use std::os::unix::fs::PermissionsExt;
    data.permissions().mode() & 0o077 != 0
}

#[cfg(not(unix))]
const fn is_open(_: &std::fs::Metadata) -> bool {
    false
}
