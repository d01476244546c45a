//! `config`: what holds, and where it came from; secrets masked.

use std::path::PathBuf;

use clap::ArgMatches;
use clap::parser::ValueSource;
use prooflog_config::{Loaded, ProcessConfig, Sources, load, load_process};
use serde_json::json;

use super::exit::CliError;
use super::output::{self, Form, json_line, table};
use crate::run::salt_of;

/// Reads the configuration that a command line, the environment and the files make.
pub(crate) fn read(matches: &ArgMatches) -> Result<Loaded, CliError> {
    let sources = sources(matches)?;
    // Digests of addresses are salted by the data directory, whose place is part of the configuration.
    let unsalted = load(&sources, prooflog_net::Salt::default())?;
    let salt = salt_of(&unsalted.process.data_dir);
    Ok(load(&sources, salt)?)
}

/// Reads what of it concerns the process alone.
pub(crate) fn read_process(matches: &ArgMatches) -> Result<ProcessConfig, CliError> {
    let (process, notes) = load_process(&sources(matches)?)?;
    for note in &notes {
        output::aside(note);
    }
    Ok(process)
}

/// Whether the command line or the environment names a file, or the command line any setting.
pub(crate) fn is_meant(matches: &ArgMatches) -> Result<bool, CliError> {
    let sources = sources(matches)?;
    let has_flags = sources.flags.iter().any(|(key, _)| key != "data-dir");
    Ok(sources.file.is_some() || sources.env_file.is_some() || has_flags)
}

/// Variables that are no settings: those of the environment, and below them those of `--env-file`.
pub(crate) struct Variables {
    sources: Sources,
}

impl Variables {
    /// Reads them.
    pub(crate) fn read(matches: &ArgMatches) -> Result<Self, CliError> {
        Ok(Self { sources: sources(matches)? })
    }

    /// The value of one, if it is set to anything.
    pub(crate) fn get(&self, name: &str) -> Option<String> {
        self.sources.variable(name).filter(|value| !value.is_empty())
    }
}

fn sources(matches: &ArgMatches) -> Result<Sources, CliError> {
    let mut sources = Sources::read(matches, std::env::vars_os())?;
    // The one flag that every command has is not of the table's making.
    if matches.value_source("data_dir") == Some(ValueSource::CommandLine)
        && let Some(dir) = matches.get_one::<PathBuf>("data_dir")
    {
        sources.flags.push(("data-dir".to_owned(), vec![dir.display().to_string()]));
    }
    Ok(sources)
}

/// Tells what an operator should know of the configuration, on standard error.
pub(crate) fn report(loaded: &Loaded) {
    for note in &loaded.report {
        output::aside(note);
    }
    for problem in loaded.chains.iter().filter_map(|chain| chain.as_ref().err()) {
        output::aside(problem);
    }
}

/// Shows every value in force.
pub(crate) fn run(matches: &ArgMatches, form: Form) -> Result<(), CliError> {
    let loaded = read(matches)?;
    report(&loaded);
    output::print(|out| match form {
        Form::Json => loaded.effective.iter().try_for_each(|value| {
            let origin = value.origin.to_string();
            json_line(
                out,
                &json!({ "chain": value.chain, "key": value.key, "value": value.value, "origin": origin }),
            )
        }),
        Form::Text => {
            let rows: Vec<Vec<String>> = loaded
                .effective
                .iter()
                .map(|value| {
                    let chain = value.chain.map(|chain| chain.to_string()).unwrap_or_default();
                    vec![chain, value.key.to_owned(), value.value.clone(), value.origin.to_string()]
                })
                .collect();
            table(out, &["CHAIN", "KEY", "VALUE", "FROM"], &rows)
        }
    })
}
