//! Flags, built from the table.

use clap::{Arg, ArgAction, ValueHint};

use crate::kinds::{Exposure, Shape};
use crate::sources::{CONFIG, ENV_FILE};
use crate::table::{Row, Scope, rows, variable};

/// The flags of every key, and `--config` and `--env-file`. Their ids are the keys. The environment is not clap's
/// business: who wins is decided in one place, together with the files.
#[must_use]
pub fn command_args() -> Vec<Arg> {
    with_files(|_| true)
}

/// The flags of the keys of the process, and `--config` and `--env-file`.
#[must_use]
pub fn process_args() -> Vec<Arg> {
    with_files(|row| row.scope == Scope::Process)
}

fn with_files(is_wanted: fn(&Row) -> bool) -> Vec<Arg> {
    let file = |name: &'static str, help: &'static str| {
        let help = format!("{help} [env: {}]", variable(name));
        Arg::new(name).long(name).value_name("FILE").value_hint(ValueHint::FilePath).help(help)
    };
    let mut args = vec![
        file(CONFIG, "Configuration file (TOML)").help_heading("Configuration"),
        file(ENV_FILE, "File of environment variables").help_heading("Configuration"),
    ];
    args.extend(rows().filter(is_wanted).map(|row| arg(&row)));
    args
}

fn arg(row: &Row) -> Arg {
    let group = row.name.split_once('.').map_or("Configuration", |(group, _)| group);
    let mut help = format!("{} [env: {}]", row.doc, variable(row.name));
    if row.exposure == Exposure::Secret {
        help.push_str(" (other users can see a flag: use the variable or a file)");
    }
    let arg = Arg::new(row.name).long(row.name).help(help).help_heading(group);
    match row.shape {
        Shape::One => arg.value_name("VALUE"),
        Shape::List => arg.value_name("LIST").action(ArgAction::Append),
        Shape::Switch => {
            arg.value_name("BOOL").num_args(0..=1).require_equals(true).default_missing_value("true")
        }
    }
}
