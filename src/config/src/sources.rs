//! Where configuration comes from, as text: the file, the file of variables, the environment, the flags.
//!
//! This is the only place that touches the disk. A [`Sources`] holds secrets in the clear, so it does not show.

use std::ffi::OsString;
use std::fmt;
use std::io::Read;
use std::path::{Path, PathBuf};

use clap::ArgMatches;
use clap::parser::ValueSource;

use crate::env_file::parse;
use crate::problem::{ConfigErrors, Origin, Problem};
use crate::table::{rows, variable};
use crate::toml_file::FILE_BYTES_MAX;

/// The flag, and with it the variable, of the configuration file.
pub(crate) const CONFIG: &str = "config";
/// The flag, and with it the variable, of the file of variables.
pub(crate) const ENV_FILE: &str = "env-file";

/// A file that was read.
#[derive(Clone, PartialEq, Eq)]
pub struct SourceFile {
    /// Its path, for messages.
    pub path: PathBuf,
    /// Its content.
    pub text: String,
    /// Whether other users of this machine can read it.
    pub readable_by_others: bool,
}

/// Everything that was said about the configuration, unread.
#[derive(Clone, Default, PartialEq, Eq)]
pub struct Sources {
    /// The configuration file.
    pub file: Option<SourceFile>,
    /// The file of variables; a variable of the environment beats one in it.
    pub env_file: Option<SourceFile>,
    /// The environment, whatever else is in it.
    pub env: Vec<(OsString, OsString)>,
    /// Keys and what the command line gave for each, in order.
    pub flags: Vec<(String, Vec<String>)>,
}

impl fmt::Debug for Sources {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let path = |file: &Option<SourceFile>| file.as_ref().map(|file| file.path.clone());
        f.debug_struct("Sources")
            .field("file", &path(&self.file))
            .field("env_file", &path(&self.env_file))
            .finish_non_exhaustive()
    }
}

impl fmt::Debug for SourceFile {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("SourceFile").field("path", &self.path).finish_non_exhaustive()
    }
}

impl Sources {
    /// Takes what the command line says (parsed with [`crate::command_args`]) and what `env` says (usually
    /// [`std::env::vars_os`]), and reads the files that they name.
    ///
    /// # Errors
    /// When a file cannot be read, is no UTF-8 text, or is larger than 1 MiB.
    pub fn read(
        matches: &ArgMatches,
        env: impl IntoIterator<Item = (OsString, OsString)>,
    ) -> Result<Self, ConfigErrors> {
        let mut sources = Self { env: env.into_iter().collect(), ..Self::default() };
        for key in rows().map(|row| row.name).chain([CONFIG, ENV_FILE]) {
            // A command that does not take the flag does not know its name either.
            let given = matches!(matches.try_contains_id(key), Ok(true))
                && matches.value_source(key) == Some(ValueSource::CommandLine);
            let values = given.then(|| matches.get_many::<String>(key)).flatten();
            if let Some(values) = values {
                sources.flags.push((key.to_owned(), values.cloned().collect()));
            }
        }
        let mut problems = Vec::new();
        sources.file = sources.named_file(CONFIG, &mut problems);
        sources.env_file = sources.named_file(ENV_FILE, &mut problems);
        if problems.is_empty() { Ok(sources) } else { Err(ConfigErrors(problems)) }
    }

    /// A variable that is no setting: of the environment, or else of the file of variables.
    #[must_use]
    pub fn variable(&self, name: &str) -> Option<String> {
        let of_environment = self.env.iter().find(|(known, _)| *known == *name);
        if let Some((_, value)) = of_environment {
            return value.to_str().map(str::to_owned);
        }
        let (variables, _) = parse(&self.env_file.as_ref()?.text);
        variables.into_iter().find(|variable| variable.name == name).map(|variable| variable.value)
    }

    /// The file that a flag or a variable names.
    fn named_file(&self, key: &str, problems: &mut Vec<Problem>) -> Option<SourceFile> {
        let name = variable(key);
        let flag = self.flags.iter().find(|(flag, _)| flag == key).and_then(|(_, values)| values.last());
        let (path, origin) = match flag {
            Some(path) => (PathBuf::from(path), Origin::Flag { name: key.to_owned() }),
            None => {
                let (_, path) = self.env.iter().find(|(known, path)| *known == *name && !path.is_empty())?;
                (PathBuf::from(path), Origin::Env { name })
            }
        };
        match read_text(&path) {
            Ok((text, readable_by_others)) => Some(SourceFile { path, text, readable_by_others }),
            Err(wrong) => {
                let wrong = format!("{} {wrong}", path.display());
                problems.push(Problem::new(
                    key,
                    Some(origin),
                    wrong,
                    "it must be a text file of at most 1 MiB",
                ));
                None
            }
        }
    }
}

/// The text of a file, and whether others can read it.
pub(crate) fn read_text(path: &Path) -> Result<(String, bool), String> {
    let failed = |error: std::io::Error| format!("cannot be read: {error}");
    let file = std::fs::File::open(path).map_err(failed)?;
    let open = file.metadata().map(|data| readable_by_others(&data)).map_err(failed)?;
    let mut bytes = Vec::new();
    file.take(FILE_BYTES_MAX as u64 + 1).read_to_end(&mut bytes).map_err(failed)?;
    if bytes.len() > FILE_BYTES_MAX {
        return Err("is too large".to_owned());
    }
    // The error of the conversion would hold the bytes.
    String::from_utf8(bytes).map(|text| (text, open)).map_err(|_| "is not UTF-8 text".to_owned())
}

#[cfg(unix)]
fn readable_by_others(data: &std::fs::Metadata) -> bool {
    use std::os::unix::fs::PermissionsExt;
    data.is_file() && data.permissions().mode() & 0o044 != 0
}

#[cfg(not(unix))]
const fn readable_by_others(_: &std::fs::Metadata) -> bool {
    false
}
