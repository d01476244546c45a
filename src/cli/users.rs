//! `users`: who may command the engine over its port.
//!
//! A password is read from standard input, never from the command line, where other users of the machine could see it.

use std::io::BufRead;
use std::path::Path;

use clap::{Subcommand, ValueEnum};
use prooflog_access::{Credentials, Role};
use serde_json::json;

use super::exit::CliError;
use super::output::{self, Form, json_line, table, tell};
use crate::run::RunError;

/// What a user may do.
#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
pub(crate) enum Part {
    /// Look.
    Read,
    /// Append to streams of their own.
    Annotate,
    /// Command the engine.
    Operate,
}

/// What to do with users.
#[derive(Subcommand)]
pub(crate) enum Users {
    /// Add a user, or change role and password; the password is read from standard input.
    #[command(after_help = "Example: prooflog users set ann operate < password.txt")]
    Set {
        /// Their name.
        name: String,
        /// What they may do.
        role: Part,
    },
    /// Remove a user.
    #[command(after_help = "Example: prooflog users remove ann")]
    Remove {
        /// Their name.
        name: String,
    },
    /// Show all users.
    #[command(after_help = "Example: prooflog users list --json")]
    List,
}

/// What a role is called here.
fn word(role: Role) -> String {
    format!("{role:?}").to_lowercase()
}

/// Changes or shows the users of a data directory.
pub(crate) fn run(dir: &Path, users: &Users, form: Form) -> Result<(), CliError> {
    let path = dir.join("users.toml");
    let mut known = Credentials::load(&path).map_err(RunError::from)?;
    match users {
        Users::Set { name, role } => {
            let role = match role {
                Part::Read => Role::Read,
                Part::Annotate => Role::Annotate,
                Part::Operate => Role::Operate,
            };
            let mut password = String::new();
            std::io::stdin().lock().read_line(&mut password).map_err(CliError::io("standard input"))?;
            let password = password.trim_end_matches(['\r', '\n']);
            known.set(name, role, password).map_err(RunError::from)?;
            let role = word(role);
            tell(form, &json!({ "name": name, "role": role }), &format!("{name} may {role}"))
        }
        Users::Remove { name } => {
            known.remove(name).map_err(RunError::from)?;
            tell(form, &json!({ "removed": name }), &format!("{name} is no user any more"))
        }
        Users::List => {
            let rows: Vec<(String, String)> =
                known.users().map(|user| (user.name, word(user.role))).collect();
            output::print(|out| match form {
                Form::Json => rows
                    .iter()
                    .try_for_each(|(name, role)| json_line(out, &json!({ "name": name, "role": role }))),
                Form::Text => {
                    let cells: Vec<Vec<String>> =
                        rows.iter().map(|(name, role)| vec![name.clone(), role.clone()]).collect();
                    table(out, &["NAME", "ROLE"], &cells)
                }
            })
        }
    }
}
