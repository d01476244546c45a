//! `prooflog devnet`: hands over to `prooflog-devnet`, which is built beside this program and knows nothing of it.

use std::ffi::OsString;
use std::os::unix::process::CommandExt;
use std::path::PathBuf;
use std::process::Command;

use super::exit::CliError;

/// The program that brings a devnet up.
const PROGRAM: &str = "prooflog-devnet";

/// Becomes the devnet's program; comes back only if that cannot be.
pub(super) fn run(arguments: &[OsString]) -> CliError {
    let Some(program) = find() else {
        let text =
            format!("there is no {PROGRAM} beside this program or on the path: it is built with the sources");
        return CliError::Usage(format!("{text}, by tools/devnet/up"));
    };
    CliError::io(program.display().to_string())(Command::new(&program).args(arguments).exec())
}

fn find() -> Option<PathBuf> {
    let beside = std::env::current_exe().ok().and_then(|this| Some(this.parent()?.join(PROGRAM)));
    let path = std::env::var_os("PATH").unwrap_or_default();
    let on_path = std::env::split_paths(&path).map(|dir| dir.join(PROGRAM)).collect::<Vec<_>>();
    beside.into_iter().chain(on_path).find(|program| program.is_file())
}
