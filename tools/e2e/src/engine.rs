//! The `prooflog` program as a child process.
//!
//! It is found beside the running executable, because both are built together. What it prints goes to a file in its
//! directory; nothing of it is lost when it is killed. Dropping kills it.

use std::ffi::OsStr;
use std::fs::File;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, ExitStatus, Output, Stdio};

use prooflog_devnet::tied_to_us;
use serde_json::Value;

/// What went wrong with the program.
#[derive(Debug, thiserror::Error)]
pub enum EngineError {
    /// The binary is not there.
    #[error("no `prooflog` beside {0}: build the workspace first")]
    NoBinary(PathBuf),
    /// The system refused something.
    #[error("{what}: {source}")]
    Io {
        /// What was attempted.
        what: &'static str,
        /// What the system said.
        source: std::io::Error,
    },
    /// A command of it failed.
    #[error("`prooflog {command}` ended with {code:?}: {text}")]
    Failed {
        /// The command.
        command: String,
        /// Its exit code.
        code: Option<i32>,
        /// What it said.
        text: String,
    },
}

pub(crate) fn io(what: &'static str) -> impl FnOnce(std::io::Error) -> EngineError {
    move |source| EngineError::Io { what, source }
}

/// Where the program works and with what.
#[derive(Debug, Clone)]
pub struct Setup {
    /// Its data directory.
    pub data: PathBuf,
    /// Its configuration file.
    pub config: PathBuf,
    /// Its environment, which holds the key and nothing of ours.
    pub env: Vec<(String, String)>,
    /// Where its output goes.
    pub output: PathBuf,
}

impl Setup {
    /// In a directory, with this configuration.
    ///
    /// # Errors
    /// When the file cannot be written.
    pub fn write(dir: &Path, config: &str, env: Vec<(String, String)>) -> Result<Self, EngineError> {
        let file = dir.join("prooflog.toml");
        std::fs::write(&file, config).map_err(io("writing the configuration"))?;
        Ok(Self { data: dir.join("data"), config: file, env, output: dir.join("prooflog.log") })
    }

    /// A command of the program on this data directory.
    ///
    /// # Errors
    /// When the binary is not there.
    pub fn command<S: AsRef<OsStr>>(&self, arguments: &[S]) -> Result<Command, EngineError> {
        Ok(self.having(Command::new(binary()?), arguments))
    }

    /// The same as a process that runs for long, and ends with this one even if this one is killed.
    pub(crate) fn tied<S: AsRef<OsStr>>(&self, arguments: &[S]) -> Result<Command, EngineError> {
        Ok(self.having(tied_to_us(binary()?), arguments))
    }

    fn having<S: AsRef<OsStr>>(&self, mut command: Command, arguments: &[S]) -> Command {
        command.env_clear().envs(self.env.iter().cloned());
        for kept in ["PATH", "TMPDIR", "HOME"] {
            if let Some(value) = std::env::var_os(kept) {
                command.env(kept, value);
            }
        }
        command.env("USER", "tester").arg("--data-dir").arg(&self.data).args(arguments);
        command
    }

    /// Runs a command to its end.
    ///
    /// # Errors
    /// When it cannot be started.
    pub fn run<S: AsRef<OsStr>>(&self, arguments: &[S]) -> Result<Output, EngineError> {
        self.command(arguments)?.output().map_err(io("running prooflog"))
    }

    /// Runs a command that must succeed, and gives its JSON lines.
    ///
    /// # Errors
    /// When it fails or answers with something else.
    pub fn json(&self, arguments: &[&str]) -> Result<Vec<Value>, EngineError> {
        let output = self.run(&[arguments, &["--json"]].concat())?;
        let failed = |text: String| EngineError::Failed {
            command: arguments.join(" "),
            code: output.status.code(),
            text,
        };
        if !output.status.success() {
            return Err(failed(String::from_utf8_lossy(&output.stderr).into_owned()));
        }
        let lines = output.stdout.split(|byte| *byte == b'\n').filter(|line| !line.is_empty());
        lines.map(|line| serde_json::from_slice(line).map_err(|error| failed(error.to_string()))).collect()
    }

    /// What the program printed so far.
    #[must_use]
    pub fn printed(&self) -> String {
        std::fs::read_to_string(&self.output).unwrap_or_default()
    }
}

/// A running engine.
#[derive(Debug)]
pub struct Engine {
    child: Child,
}

impl Engine {
    /// Starts `prooflog run`.
    ///
    /// # Errors
    /// When it cannot be started.
    pub fn start(setup: &Setup) -> Result<Self, EngineError> {
        Self::start_with(setup, &[])
    }

    /// Starts `prooflog run` with further arguments.
    ///
    /// # Errors
    /// When it cannot be started.
    pub fn start_with(setup: &Setup, arguments: &[&str]) -> Result<Self, EngineError> {
        let out = File::options().create(true).append(true).open(&setup.output).map_err(io("its output"))?;
        let err = out.try_clone().map_err(io("its output"))?;
        let mut command = setup.tied(&["run"])?;
        command.arg("--config").arg(&setup.config).args(arguments);
        let child =
            command.stdin(Stdio::null()).stdout(out).stderr(err).spawn().map_err(io("starting prooflog"))?;
        Ok(Self { child })
    }

    /// Its process id.
    #[must_use]
    pub fn pid(&self) -> u32 {
        self.child.id()
    }

    /// Kills it as a crash would: with no chance to say anything.
    ///
    /// # Errors
    /// When the system refuses.
    pub fn kill(mut self) -> Result<(), EngineError> {
        self.child.kill().map_err(io("killing prooflog"))?;
        self.child.wait().map(drop).map_err(io("killing prooflog"))
    }

    /// Ends it in order.
    ///
    /// # Errors
    /// When the system refuses.
    pub fn stop(mut self) -> Result<ExitStatus, EngineError> {
        let asked = Command::new("kill").args(["-TERM", &self.child.id().to_string()]).status();
        asked.map_err(io("asking prooflog to end"))?;
        self.child.wait().map_err(io("waiting for prooflog"))
    }

    /// Waits until it ends by itself.
    ///
    /// # Errors
    /// When the system refuses.
    pub fn wait(mut self) -> Result<ExitStatus, EngineError> {
        self.child.wait().map_err(io("waiting for prooflog"))
    }

    /// Whether it still runs.
    #[must_use]
    pub fn runs(&mut self) -> bool {
        matches!(self.child.try_wait(), Ok(None))
    }
}

impl Drop for Engine {
    fn drop(&mut self) {
        // It may have ended already.
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

/// The program, built beside what runs now.
fn binary() -> Result<PathBuf, EngineError> {
    let this = std::env::current_exe().map_err(io("finding this program"))?;
    let found = this.ancestors().skip(1).take(2).map(|dir| dir.join("prooflog")).find(|path| path.is_file());
    found.ok_or(EngineError::NoBinary(this))
}
