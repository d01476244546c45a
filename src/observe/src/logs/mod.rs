//! The diagnostic log: text, JSON or logfmt, to be filtered anew while the process runs.
//!
//! It is for people and log collectors; what is true stands in the event log. Lines pass a mask for secrets and are
//! written by a thread of their own. What a crash means: a line is missing.

mod facts;
mod logfmt;
mod mask;
mod writer;

use std::io::Write;
use std::str::FromStr;
use std::time::Duration;

use tracing::Dispatch;
use tracing_subscriber::filter::EnvFilter;
use tracing_subscriber::layer::SubscriberExt as _;
use tracing_subscriber::util::SubscriberInitExt as _;
use tracing_subscriber::{Layer, Registry, fmt, reload};

pub use facts::log_fact;
pub use mask::{Secrets, TooShort};
use writer::Lines;

/// Longest wait for lines at the end of the process.
const FLUSH_LIMIT: Duration = Duration::from_secs(1);

/// How lines look.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum LogFormat {
    /// For people.
    #[default]
    Text,
    /// One JSON object per line.
    Json,
    /// `key=value` pairs.
    Logfmt,
}

impl FromStr for LogFormat {
    type Err = LogError;

    fn from_str(text: &str) -> Result<Self, LogError> {
        match text {
            "text" | "terminal" | "pretty" => Ok(Self::Text),
            "json" => Ok(Self::Json),
            "logfmt" => Ok(Self::Logfmt),
            _ => Err(LogError::Format(text.chars().take(64).collect())),
        }
    }
}

/// How the log is set up.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct LogSettings {
    /// How lines look.
    pub format: LogFormat,
    /// A level (`info`), or levels by module (`info,prooflog_l1=debug`).
    pub filter: String,
}

impl Default for LogSettings {
    fn default() -> Self {
        Self { format: LogFormat::Text, filter: "info".to_owned() }
    }
}

/// Why the log cannot be set up or changed.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum LogError {
    /// The format is not known.
    #[error("`{0}` is not a log format: use text, json or logfmt")]
    Format(String),
    /// The filter does not parse.
    #[error("not a log filter: {0}; use a level such as `info`, or `info,prooflog_l1=debug`")]
    Filter(String),
    /// The log was set up before.
    #[error("the log is set up already")]
    Twice,
    /// The thread that writes could not be started, or is gone.
    #[error("the log cannot be written: {0}")]
    Writer(String),
}

/// Changes the log while the process runs. Clones control the same log.
#[derive(Clone)]
pub struct LogControl {
    filter: reload::Handle<EnvFilter, Registry>,
    lines: Lines,
}

impl std::fmt::Debug for LogControl {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("LogControl")
    }
}

impl LogControl {
    /// Filters from now on by a level, or levels by module.
    ///
    /// # Errors
    /// When the filter does not parse; the one before stays.
    pub fn set_filter(&self, filter: &str) -> Result<(), LogError> {
        self.filter.reload(parse(filter)?).map_err(|error| LogError::Writer(error.to_string()))
    }

    /// Lines that were lost since the last call, because nobody took them.
    #[must_use]
    pub fn take_lost(&self) -> u64 {
        self.lines.take_lost()
    }

    /// Waits, for a second at most, until everything logged so far is written. Call it before the process ends.
    pub fn flush(&self) {
        self.lines.flush(FLUSH_LIMIT);
    }
}

/// Sets the log of this process up, on standard error. What a panic says goes through it too.
///
/// # Errors
/// When the filter does not parse, or a log was set up before.
pub fn init_logging(settings: &LogSettings, secrets: Secrets) -> Result<LogControl, LogError> {
    let (subscriber, control) = logging(settings, secrets, std::io::stderr())?;
    subscriber.try_init().map_err(|_| LogError::Twice)?;
    let at_panic = control.clone();
    std::panic::set_hook(Box::new(move |panic| {
        tracing::error!(panic = %panic, "a thread ended by a bug");
        at_panic.flush();
    }));
    Ok(control)
}

/// The log, not yet that of the process, written to `out`.
///
/// # Errors
/// When the filter does not parse, or no thread can be started.
pub fn logging(
    settings: &LogSettings,
    secrets: Secrets,
    out: impl Write + Send + 'static,
) -> Result<(Dispatch, LogControl), LogError> {
    let lines = Lines::start(out, secrets).map_err(|error| LogError::Writer(error.to_string()))?;
    let (filter, handle) = reload::Layer::new(parse(&settings.filter)?);
    let control = LogControl { filter: handle, lines: lines.clone() };
    let layer = fmt::layer().with_writer(lines).with_ansi(false).log_internal_errors(false);
    let layer: Box<dyn Layer<_> + Send + Sync> = match settings.format {
        LogFormat::Text => layer.boxed(),
        LogFormat::Json => layer.json().flatten_event(true).boxed(),
        LogFormat::Logfmt => layer.fmt_fields(logfmt::Fields).event_format(logfmt::Logfmt).boxed(),
    };
    Ok((Dispatch::new(tracing_subscriber::registry().with(filter).with(layer)), control))
}

fn parse(filter: &str) -> Result<EnvFilter, LogError> {
    let filter = filter.trim();
    // The name that OP Stack services use.
    let filter = if filter.eq_ignore_ascii_case("crit") { "error" } else { filter };
    EnvFilter::builder().parse(filter).map_err(|error| LogError::Filter(error.to_string()))
}
