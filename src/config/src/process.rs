//! What the process needs, whatever chains it serves.
//!
//! Its defaults are the defaults of the table.

use std::net::{IpAddr, Ipv4Addr, SocketAddr};
use std::path::PathBuf;
use std::time::Duration;

/// How log lines look.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum LogFormat {
    /// For people.
    Text,
    /// One JSON document per line.
    Json,
    /// `key=value` pairs.
    Logfmt,
}

/// What is logged, and how.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct LogConfig {
    /// A level, or directives as in `RUST_LOG`.
    pub filter: String,
    /// How lines look.
    pub format: LogFormat,
}

/// Where to listen, and whether.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Listener {
    /// Whether to listen at all.
    pub enabled: bool,
    /// The address to listen on.
    pub addr: IpAddr,
    /// The port; 0 takes any free one.
    pub port: u16,
}

impl Listener {
    const fn local(enabled: bool, port: u16) -> Self {
        Self { enabled, addr: IpAddr::V4(Ipv4Addr::LOCALHOST), port }
    }

    /// Address and port, if it is to listen.
    #[must_use]
    pub const fn socket(&self) -> Option<SocketAddr> {
        if self.enabled { Some(SocketAddr::new(self.addr, self.port)) } else { None }
    }
}

/// The log for clients of the EventStore protocol.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct EventStoreConfig {
    /// Where it listens.
    pub listener: Listener,
    /// Whether who gives no password may read.
    pub guests: bool,
    /// Whether users with the role may append to streams of their own.
    pub write: bool,
    /// Beginnings of the names of those streams; empty for all that are not the engine's.
    pub write_to: Vec<String>,
    /// Bytes that all of them together may append in one day (UTC).
    pub write_per_day: u64,
    /// Whether it speaks TLS.
    pub tls: bool,
    /// PEM file of the certificate chain; without it one is made, for this machine's names only.
    pub tls_cert: Option<PathBuf>,
    /// PEM file of its private key.
    pub tls_key: Option<PathBuf>,
    /// Name and port that clients which ask for the members are sent to; without it, those that they came by.
    pub advertise: Option<(String, u16)>,
}

/// The settings of the process.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ProcessConfig {
    /// Directory of the log.
    pub data_dir: PathBuf,
    /// What is logged, and how.
    pub log: LogConfig,
    /// The operator's HTTP interface.
    pub rpc: Listener,
    /// Whether that interface also takes commands.
    pub rpc_admin: bool,
    /// The metrics.
    pub metrics: Listener,
    /// The log for clients of the EventStore protocol.
    pub eventstore: EventStoreConfig,
    /// Free bytes on the disk of the data directory below which no new proof is started.
    pub min_free_bytes: u64,
    /// How long a connection to an outside system may take to stand.
    pub connect_timeout: Duration,
    /// Largest answer of a node, in bytes. Proofs have a limit of their own.
    pub max_answer_bytes: u64,
    /// How long a stop waits for calls under way before it ends them.
    pub stop_timeout: Duration,
}

impl Default for ProcessConfig {
    fn default() -> Self {
        Self {
            data_dir: PathBuf::from("./prooflog-data"),
            log: LogConfig { filter: "info".to_owned(), format: LogFormat::Text },
            rpc: Listener::local(true, 8_545),
            rpc_admin: false,
            metrics: Listener::local(true, 7_300),
            eventstore: EventStoreConfig {
                listener: Listener::local(false, 2_113),
                guests: true,
                write: false,
                write_to: Vec::new(),
                write_per_day: 1 << 30,
                tls: false,
                tls_cert: None,
                tls_key: None,
                advertise: None,
            },
            min_free_bytes: 4 << 30,
            connect_timeout: Duration::from_secs(5),
            max_answer_bytes: 16 << 20,
            stop_timeout: Duration::from_secs(30),
        }
    }
}
