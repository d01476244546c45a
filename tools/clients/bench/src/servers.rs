//! The processes that are measured: each alone, ended when it is dropped.

use std::io::{BufRead as _, BufReader};
use std::path::Path;
use std::process::{Child, Command, Stdio};
use std::time::Duration;

use umadb::CliOptions;

use crate::Outcome;
use crate::follow::Kind;

/// What speaks at the other end.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Speaks {
    EventStore,
    /// The same, with nothing behind it.
    Nothing,
    UmaDb,
}

pub(crate) struct Process {
    child: Child,
    pub(crate) address: String,
    pub(crate) speaks: Speaks,
}

impl Drop for Process {
    fn drop(&mut self) {
        // What does not end is not waited for for ever: it is killed.
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

impl Process {
    pub(crate) fn id(&self) -> u32 {
        self.child.id()
    }

    pub(crate) fn is_ceiling(&self) -> bool {
        self.speaks == Speaks::Nothing
    }

    /// Our server over a log on disk.
    pub(crate) fn ours(bench: &Path, dir: &Path) -> Outcome<Self> {
        let mut command = Command::new(bench);
        command.args(["serve", "--write", "--dir"]).arg(dir);
        Self::listening(command, Speaks::EventStore)
    }

    /// The same protocol with nothing behind it.
    pub(crate) fn ceiling(bench: &str, events: u64) -> Outcome<Self> {
        let mut command = Command::new(bench);
        command.args(["serve", "--ceiling", &events.to_string()]);
        Self::listening(command, Speaks::Nothing)
    }

    fn listening(mut command: Command, speaks: Speaks) -> Outcome<Self> {
        let mut child = command.stdout(Stdio::piped()).spawn()?;
        let line = first_line(&mut child)?;
        let address = line.trim().strip_prefix("listening on ").ok_or("it does not listen")?.to_owned();
        Ok(Self { child, address, speaks })
    }

    /// UmaDB with the settings that its own program has.
    pub(crate) async fn umadb(path: &Path) -> Outcome<Self> {
        // It does not tell which port it took.
        let address = std::net::TcpListener::bind("127.0.0.1:0")?.local_addr()?.to_string();
        let mut command = Command::new(std::env::current_exe()?);
        command.args(["umadb", &address]).arg(path).stdout(Stdio::null());
        let process = Self { child: command.spawn()?, address, speaks: Speaks::UmaDb };
        for _ in 0..200 {
            if tokio::net::TcpStream::connect(&process.address).await.is_ok() {
                return Ok(process);
            }
            tokio::time::sleep(Duration::from_millis(50)).await;
        }
        Err("UmaDB does not listen".into())
    }

    /// Those who follow a server, ready.
    pub(crate) fn follow(server: &Self, kind: Kind, count: usize) -> Outcome<Self> {
        // In life they are somewhere else: what is measured is what they cost the server.
        let mut command = Command::new("nice");
        command.args(["-n", "19"]).arg(std::env::current_exe()?);
        command.args(["follow", &server.address, kind.name(), &count.to_string()]);
        let mut child = command.stdout(Stdio::piped()).spawn()?;
        first_line(&mut child)?;
        Ok(Self { child, address: String::new(), speaks: server.speaks })
    }
}

fn first_line(child: &mut Child) -> Outcome<String> {
    let output = child.stdout.take().ok_or("no output")?;
    let mut line = String::new();
    if BufReader::new(output).read_line(&mut line)? == 0 {
        return Err("a process ended before it was ready".into());
    }
    Ok(line)
}

/// UmaDB until it is killed.
pub(crate) fn umadb(listen_addr: String, db_path: String) -> Outcome<()> {
    let options = CliOptions { listen_addr, db_path, ..CliOptions::default() };
    umadb::start_server_with_cli_options(options).map_err(|error| error.to_string().into())
}
