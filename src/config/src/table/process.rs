//! Rows of the process: directory, log lines, limits of outside calls, listeners.
//!
//! Listeners are on this machine only unless they are told otherwise.

use super::Program::{Go, GoCompose, OpProposer, Rust};
use super::{At, Key, Older, keys};
use crate::kinds::{Beginnings, Choice, Directory, File, Filter, Host, HostPort, Port, Size, Span, Switch};
use crate::process::{LogFormat, ProcessConfig};

const FORMATS: &[(&str, LogFormat)] = &[
    ("text", LogFormat::Text),
    ("json", LogFormat::Json),
    ("pretty", LogFormat::Text),
    ("terminal", LogFormat::Text),
    ("logfmt", LogFormat::Logfmt),
    ("json-pretty", LogFormat::Json),
];

const INTERFACES: &str =
    "The old default was all interfaces; here only this machine reaches it unless this is set.";

pub(super) const KEYS: &[Key<ProcessConfig>] = keys! { ProcessConfig;
    "data-dir" Shared Directory, |p| p.data_dir,
    "Directory of the log. One process at a time holds it.", [];
    "min-free-space" Shared Size { least: 1 << 20, most: 1 << 50 }, |p| p.min_free_bytes,
    "Free space on the disk of the data directory below which no new proof is started. What was bought is still \
     collected and submitted.", [];
    "stop-timeout" Shared Span { least_ms: 0, most_ms: 3_600_000 }, |p| p.stop_timeout,
    "How long a stop waits for calls under way before it ends them. Nothing is lost either way.", [];
    "log.level" Shared Filter, |p| p.log.filter,
    "What is logged: a level, or directives as in `RUST_LOG`.", [
        Older::new("LOG_LEVEL", &[(Go, "info"), (OpProposer, "info")]),
        Older::new("RUST_LOG", &[(Rust, "info")]),
    ];
    "log.format" Shared Choice(FORMATS), |p| p.log.format,
    "How log lines look. They go to standard error.", [
        Older::new("LOG_FORMAT", &[(Go, "text"), (OpProposer, "text"), (Rust, "pretty")])
            .remark("`pretty` and `terminal` are taken for `text`, `json-pretty` for `json`."),
    ];
    "network.connect-timeout" Shared Span { least_ms: 1, most_ms: 600_000 }, |p| p.connect_timeout,
    "How long a connection to any outside system may take to stand.", [];
    "network.max-answer-size" Shared Size { least: 64 << 10, most: 1 << 30 }, |p| p.max_answer_bytes,
    "Largest answer of a node. Proofs have a limit of their own, `prover.max-proof-size`.", [];
    "rpc.enabled" Shared Switch, |p| p.rpc.enabled,
    "Whether the operator's HTTP interface may listen. It does where `rpc.enable-admin` is set too: it has nothing but \
     what an operator may see and command.", [];
    "rpc.addr" Shared Host, |p| p.rpc.addr,
    "Address that the operator's HTTP interface listens on.", [
        Older::new("RPC_ADDR", &[(Go, "0.0.0.0"), (OpProposer, "0.0.0.0")]).remark(INTERFACES),
    ];
    "rpc.port" Shared Port, |p| p.rpc.port,
    "Port of the operator's HTTP interface.", [
        Older::new("RPC_PORT", &[(Go, "8545"), (OpProposer, "8545")]),
    ];
    "rpc.enable-admin" Shared Switch, |p| p.rpc_admin,
    "Whether users with the role `operate` may command over the operator's HTTP interface, and it listens.", [
        Older::new("RPC_ENABLE_ADMIN", &[(Go, "false"), (OpProposer, "false")]),
    ];
    "metrics.enabled" Shared Switch, |p| p.metrics.enabled,
    "Whether the metrics' address is served: `/metrics`, `/healthz` and `/readyz`.", [
        Older::new("METRICS_ENABLED", &[(Go, "false"), (GoCompose, "true"), (OpProposer, "false")]),
    ];
    "metrics.addr" Shared Host, |p| p.metrics.addr,
    "Address that metrics are served on. In a container, `0.0.0.0`.", [
        Older::new("METRICS_ADDR", &[(Go, "0.0.0.0"), (OpProposer, "0.0.0.0")]).remark(INTERFACES),
    ];
    "metrics.port" Shared Port, |p| p.metrics.port,
    "Port of the metrics.", [
        Older::new("METRICS_PORT", &[(Go, "7300"), (OpProposer, "7300"), (Rust, "8080")])
            .remark("The older proposers served metrics on all interfaces; here `metrics.addr` says where."),
    ];
    "eventstore.enabled" Shared Switch, |p| p.eventstore.listener.enabled,
    "Whether the log is served to clients of the EventStore protocol.", [];
    "eventstore.addr" Shared Host, |p| p.eventstore.listener.addr,
    "Address that the EventStore interface listens on.", [];
    "eventstore.port" Shared Port, |p| p.eventstore.listener.port,
    "Port of the EventStore interface.", [];
    "eventstore.guests" Shared Switch, |p| p.eventstore.guests,
    "Whether clients that give no password may read.", [];
    "eventstore.write" Shared Switch, |p| p.eventstore.write,
    "Whether users with the role `annotate` may append to streams of their own. Nobody can append to the engine's.", [];
    "eventstore.write-to" Shared Beginnings, |p| p.eventstore.write_to,
    "Beginnings of the names of the streams that they may append to. Without it, of all that are not the engine's.", [];
    "eventstore.write-per-day" Shared Size { least: 1 << 10, most: 1 << 50 }, |p| p.eventstore.write_per_day,
    "What all clients together may append in one day (UTC), or since the process began if that was later.", [];
    "eventstore.tls" Shared Switch, |p| p.eventstore.tls,
    "Whether the EventStore interface speaks TLS.", [];
    "eventstore.tls-cert" Shared File, |p| p.eventstore.tls_cert,
    "PEM file of the certificate chain. Without it one for `localhost` is made and kept in the data directory; clients \
     trust it by `eventstore-ca.pem` beside it.", [];
    "eventstore.tls-key" Shared File, |p| p.eventstore.tls_key,
    "PEM file of the certificate's private key.", [];
    "eventstore.advertise" Shared HostPort, |p| p.eventstore.advertise,
    "Name and port that clients are sent to which ask for the members of the cluster. Without it, those that they came \
     by.", [];
};
