//! An EVM chain in a process of its own.
//!
//! `anvil` is found, not installed: `tools/devnet/setup` does that. The process ends with the value that started it, and,
//! where the system can, with this process even if it is killed.

use std::io::{BufRead, BufReader};
use std::path::PathBuf;
use std::process::{Child, Stdio};
use std::sync::mpsc;
use std::time::Duration;

use prooflog_net::{Endpoint, Limits, RpcClient, Salt};

use crate::DevnetError;
use crate::left::{scratch, tied_to_us};

/// How long a chain may take to start.
const START_LIMIT: Duration = Duration::from_secs(30);

/// How a chain runs.
#[derive(Debug, Clone)]
pub struct AnvilConfig {
    /// Its chain id.
    pub chain_id: u64,
    /// Seconds between two blocks; 0 makes blocks only when asked to.
    pub block_time: u64,
    /// Timestamp of its first block, in seconds; now if `None`.
    pub timestamp: Option<u64>,
    /// Further arguments.
    pub arguments: Vec<String>,
}

/// A running chain.
#[derive(Debug)]
pub struct Anvil {
    child: Child,
    rpc: RpcClient,
    url: String,
    /// Where it keeps states that it has no memory for.
    _files: tempfile::TempDir,
}

impl Anvil {
    /// Starts a chain on a free port of this machine.
    ///
    /// # Errors
    /// When `anvil` is not there or does not start.
    pub fn start(config: &AnvilConfig) -> Result<Self, DevnetError> {
        let files = scratch().map_err(DevnetError::io("a directory for a chain"))?;
        let mut command = tied_to_us(anvil_path()?);
        command.arg("--cache-path").arg(files.path());
        command.args(["--port", "0", "--host", "127.0.0.1", "--chain-id", &config.chain_id.to_string()]);
        if config.block_time > 0 {
            command.args(["--block-time", &config.block_time.to_string()]);
        } else {
            command.arg("--no-mining");
        }
        if let Some(timestamp) = config.timestamp {
            command.args(["--timestamp", &timestamp.to_string()]);
        }
        command.args(&config.arguments).stdin(Stdio::null()).stdout(Stdio::piped()).stderr(Stdio::null());
        let mut child = command.spawn().map_err(|error| DevnetError::Anvil(error.to_string()))?;
        let out = child.stdout.take();
        let url = match out.map(listening) {
            Some(Ok(address)) => format!("http://{address}"),
            _ => {
                // It is of no use; whether it can be ended does not matter.
                let _ = child.kill();
                return Err(DevnetError::Anvil("it did not say where it listens".to_owned()));
            }
        };
        let rpc = rpc(&url)?;
        Ok(Self { child, rpc, url, _files: files })
    }

    /// Where it answers.
    #[must_use]
    pub fn url(&self) -> &str {
        &self.url
    }

    /// Asks it things.
    #[must_use]
    pub const fn rpc(&self) -> &RpcClient {
        &self.rpc
    }
}

impl Drop for Anvil {
    fn drop(&mut self) {
        // It may have ended already.
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

/// A client for a chain of ours.
pub(crate) fn rpc(url: &str) -> Result<RpcClient, DevnetError> {
    let endpoint =
        Endpoint::parse(url, Salt::default()).map_err(|error| DevnetError::Anvil(error.to_string()))?;
    let limits = Limits { call: Duration::from_secs(30), body: 64 << 20, ..Limits::default() };
    RpcClient::new(endpoint, limits).map_err(|error| DevnetError::Anvil(error.to_string()))
}

/// Reads on until it says where it listens, and for ever after, so that it never waits for a reader.
fn listening(out: impl std::io::Read + Send + 'static) -> Result<String, mpsc::RecvTimeoutError> {
    let (tell, told) = mpsc::channel();
    std::thread::spawn(move || {
        for line in BufReader::new(out).lines().map_while(Result::ok) {
            if let Some(address) = line.strip_prefix("Listening on ") {
                // Who asked may have given up.
                let _ = tell.send(address.trim().to_owned());
            }
        }
    });
    told.recv_timeout(START_LIMIT)
}

/// Where `anvil` is: `PROOFLOG_ANVIL`, the cache that `tools/devnet/setup` fills, the path.
///
/// # Errors
/// When it is nowhere.
pub fn anvil_path() -> Result<PathBuf, DevnetError> {
    if let Some(path) = std::env::var_os("PROOFLOG_ANVIL").map(PathBuf::from) {
        return Some(path).filter(|path| path.is_file()).ok_or(DevnetError::NoAnvil);
    }
    let cache = std::env::var_os("PROOFLOG_CACHE").map(PathBuf::from);
    let cache = cache.or_else(|| Some(PathBuf::from(std::env::var_os("HOME")?).join(".cache/prooflog")));
    let installed = cache.map(|cache| cache.join("devnet/anvil"));
    let path = std::env::var_os("PATH").unwrap_or_default();
    let on_path = std::env::split_paths(&path).map(|dir| dir.join("anvil"));
    installed.into_iter().chain(on_path).find(|path| path.is_file()).ok_or(DevnetError::NoAnvil)
}
