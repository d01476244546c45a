//! What this process must not leave behind, even when it is killed: other processes, and directories.
//!
//! A program that is tied to us ends with us where `setpriv` (util-linux) is there to see to it. A directory cannot end by
//! itself, so it bears the name of the process that made it, and the next process that makes one removes those of processes
//! that are gone. What a crash in here means: something is left behind until then.

use std::ffi::OsStr;
use std::path::Path;
use std::process::{Command, Stdio};
use std::sync::{Once, OnceLock};

use tempfile::TempDir;

const NAME: &str = "prooflog-devnet";

/// A program that ends with the thread that starts it.
#[must_use]
pub fn tied_to_us(program: impl AsRef<OsStr>) -> Command {
    static HAS_SETPRIV: OnceLock<bool> = OnceLock::new();
    let has_setpriv = || {
        let asked =
            Command::new("setpriv").arg("--version").stdout(Stdio::null()).stderr(Stdio::null()).status();
        asked.is_ok_and(|status| status.success())
    };
    if *HAS_SETPRIV.get_or_init(has_setpriv) {
        let mut command = Command::new("setpriv");
        command.args(["--pdeathsig", "KILL"]).arg(program);
        return command;
    }
    Command::new(program)
}

/// A directory that is removed when it is dropped, or by a later process.
///
/// # Errors
/// When it cannot be made.
pub fn scratch() -> std::io::Result<TempDir> {
    static SWEPT: Once = Once::new();
    SWEPT.call_once(|| sweep(&std::env::temp_dir()));
    let prefix = format!("{NAME}-{}-{}-", namespace(), std::process::id());
    tempfile::Builder::new().prefix(&prefix).tempdir()
}

/// The numbers of processes mean something only within one of these.
fn namespace() -> String {
    let link = std::fs::read_link("/proc/self/ns/pid").unwrap_or_default();
    link.to_string_lossy().chars().filter(char::is_ascii_digit).collect()
}

/// Removes directories of processes that are gone.
fn sweep(place: &Path) {
    let namespace = namespace();
    let is_left = |name: &str| {
        let ours = name.strip_prefix(NAME)?.strip_prefix('-')?.strip_prefix(&namespace)?.strip_prefix('-')?;
        let process: u32 = ours.split('-').next()?.parse().ok()?;
        Some(!Path::new("/proc").join(process.to_string()).exists())
    };
    if namespace.is_empty() {
        return;
    }
    for entry in std::fs::read_dir(place).into_iter().flatten().flatten() {
        if is_left(&entry.file_name().to_string_lossy()) == Some(true) {
            // Another process may be removing it as well.
            let _ = std::fs::remove_dir_all(entry.path());
        }
    }
}

#[cfg(test)]
#[expect(clippy::unwrap_used, reason = "tests")]
mod tests {
    use super::*;

    #[test]
    fn directories_of_processes_that_are_gone_are_removed_and_no_others() {
        let place = tempfile::tempdir().unwrap();
        let mut gone = Command::new("true").spawn().unwrap();
        gone.wait().unwrap();
        let named = |process: u32, space: &str| place.path().join(format!("{NAME}-{space}-{process}-abc"));
        let (here, us) = (namespace(), std::process::id());
        let left = named(gone.id(), &here);
        let kept = [
            named(us, &here),
            named(gone.id(), "1"),
            place.path().join("somebody-elses"),
            place.path().join(format!("{NAME}-{here}-x")),
        ];
        for dir in kept.iter().chain([&left]) {
            std::fs::create_dir_all(dir.join("below")).unwrap();
        }
        sweep(place.path());
        assert!(!left.exists());
        assert!(kept.iter().all(|dir| dir.exists()), "{kept:?}");
    }
}
