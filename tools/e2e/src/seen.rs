//! The program as a dashboard, a load balancer and the system see it: metrics, health, memory.
//!
//! Where it listens is read from what it printed, because the system chooses the port. Nothing is kept between two
//! looks.

use std::io::{Read, Write};
use std::net::{SocketAddr, TcpStream};
use std::time::Duration;

use serde_json::Value;

use crate::engine::{EngineError, Setup, io};

/// How long an answer may take.
const LIMIT: Duration = Duration::from_secs(30);

/// Bytes of memory of a process.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Memory {
    /// Resident now.
    pub resident: u64,
    /// The most that was ever resident.
    pub peak: u64,
}

impl Memory {
    /// Of a process, as the system tells it.
    ///
    /// # Errors
    /// When the process is gone, or the system does not tell.
    pub fn of(pid: u32) -> Result<Self, EngineError> {
        let status = std::fs::read_to_string(format!("/proc/{pid}/status")).map_err(io("its memory"))?;
        let bytes = |name: &str| {
            let line = status.lines().find_map(|line| line.strip_prefix(name))?;
            line.split_whitespace().next()?.parse::<u64>().ok().map(|kib| kib * 1024)
        };
        match (bytes("VmRSS:"), bytes("VmHWM:")) {
            (Some(resident), Some(peak)) => Ok(Self { resident, peak }),
            _ => Err(io("its memory")(std::io::ErrorKind::Unsupported.into())),
        }
    }
}

/// What `/metrics` said.
#[derive(Debug, Clone)]
pub struct Metrics(String);

impl Metrics {
    /// A sample by its name and labels as they are written; `None` where there is none.
    #[must_use]
    pub fn value(&self, sample: &str) -> Option<f64> {
        let line = self.0.lines().find_map(|line| line.strip_prefix(sample)?.strip_prefix(' '))?;
        line.trim().parse().ok()
    }

    /// The sum of all samples of a name.
    #[must_use]
    pub fn sum(&self, name: &str) -> f64 {
        let of = |line: &&str| {
            line.strip_prefix(name).is_some_and(|rest| rest.starts_with('{') || rest.starts_with(' '))
        };
        let value = |line: &str| line.rsplit(' ').next()?.parse::<f64>().ok();
        self.0.lines().filter(of).filter_map(value).sum()
    }

    /// The whole text.
    #[must_use]
    pub fn text(&self) -> &str {
        &self.0
    }
}

impl Setup {
    /// Where the running program shows metrics and health, once it has said so.
    #[must_use]
    pub fn observed_at(&self) -> Option<SocketAddr> {
        let printed = self.printed();
        let line = printed.lines().rfind(|line| line.contains("metrics and health"))?;
        line.split("address=").nth(1)?.split_whitespace().next()?.parse().ok()
    }

    /// Status and body of a path beside `/metrics`.
    ///
    /// # Errors
    /// When nobody answers.
    pub fn get(&self, path: &str) -> Result<(u16, String), EngineError> {
        let address =
            self.observed_at().ok_or_else(|| io("its address")(std::io::ErrorKind::NotFound.into()))?;
        let asked = || -> std::io::Result<String> {
            let mut stream = TcpStream::connect_timeout(&address, LIMIT)?;
            stream.set_read_timeout(Some(LIMIT))?;
            write!(stream, "GET {path} HTTP/1.1\r\nhost: {address}\r\nconnection: close\r\n\r\n")?;
            let mut answer = String::new();
            stream.read_to_string(&mut answer)?;
            Ok(answer)
        };
        let answer = asked().map_err(io("asking for its health"))?;
        let (head, body) = answer.split_once("\r\n\r\n").unwrap_or((&answer, ""));
        let status = head.split(' ').nth(1).and_then(|status| status.parse().ok()).unwrap_or(0);
        let body = if head.to_lowercase().contains("transfer-encoding: chunked") {
            unchunked(body)
        } else {
            body.to_owned()
        };
        Ok((status, body))
    }

    /// What `/metrics` says.
    ///
    /// # Errors
    /// When nobody answers.
    pub fn metrics(&self) -> Result<Metrics, EngineError> {
        Ok(Metrics(self.get("/metrics")?.1))
    }

    /// Whether a rollup, or any, is ready, and the whole answer.
    ///
    /// # Errors
    /// When nobody answers.
    pub fn ready(&self, chain: Option<u64>) -> Result<(bool, Value), EngineError> {
        let path = chain.map_or_else(|| "/readyz".to_owned(), |chain| format!("/readyz?chain={chain}"));
        let (status, body) = self.get(&path)?;
        Ok((status == 200, serde_json::from_str(&body).unwrap_or_default()))
    }
}

/// The pieces of a chunked body.
fn unchunked(mut body: &str) -> String {
    let mut whole = String::new();
    while let Some((size, rest)) = body.split_once("\r\n") {
        let size = usize::from_str_radix(size.trim(), 16).unwrap_or(0);
        let Some(piece) = rest.get(..size).filter(|_| size > 0) else { break };
        whole.push_str(piece);
        body = rest.get(size..).unwrap_or_default().trim_start_matches("\r\n");
    }
    whole
}
