//! What the engine records, as it is recorded.
//!
//! Reads the lines of `prooflog events --follow --json`. Everything read is kept, so that a question can be about the
//! past as well. A wait that takes longer than its limit is an error that shows the last events.

use std::collections::BTreeMap;
use std::io::{BufRead, BufReader};
use std::path::Path;
use std::process::{Child, Stdio};
use std::sync::mpsc::{Receiver, RecvTimeoutError, channel};
use std::time::{Duration, Instant};

use serde_json::Value;

use crate::engine::{EngineError, Setup};

/// Events that are shown when a wait fails.
const SHOWN: usize = 25;

/// Why a wait ended without what was waited for.
#[derive(Debug, thiserror::Error)]
pub enum StoryError {
    /// It took too long.
    #[error("no {wanted} within {limit:?}; the last events:\n{last}")]
    Timeout {
        /// What was waited for.
        wanted: String,
        /// The limit.
        limit: Duration,
        /// The last events, one per line.
        last: String,
    },
    /// The reader ended.
    #[error("`prooflog events --follow` ended while waiting for {0}")]
    Ended(String),
    /// The program could not be run.
    #[error(transparent)]
    Engine(#[from] EngineError),
}

/// The events of a log, from the first on.
#[derive(Debug)]
pub struct Story {
    reader: Child,
    lines: Receiver<String>,
    events: Vec<Value>,
    limit: Duration,
}

impl Story {
    /// Follows the log of a setup, which must exist: waits for it to be made, `limit` at most, which is also how long
    /// each later wait may take.
    ///
    /// # Errors
    /// When the log is not made or cannot be read.
    pub fn follow(setup: &Setup, limit: Duration) -> Result<Self, StoryError> {
        wait_for_log(&setup.data, limit)?;
        let mut command = setup.tied(&["events", "--follow", "--from", "1", "--json"])?;
        let spawned = command.stdin(Stdio::null()).stdout(Stdio::piped()).stderr(Stdio::inherit()).spawn();
        let mut reader = spawned.map_err(|source| EngineError::Io { what: "following the log", source })?;
        let (tell, lines) = channel();
        if let Some(out) = reader.stdout.take() {
            std::thread::spawn(move || {
                for line in BufReader::new(out).lines().map_while(Result::ok) {
                    if tell.send(line).is_err() {
                        return;
                    }
                }
            });
        }
        Ok(Self { reader, lines, events: Vec::new(), limit })
    }

    /// Everything read so far.
    #[must_use]
    pub fn events(&self) -> &[Value] {
        &self.events
    }

    /// How often each type was recorded so far.
    #[must_use]
    pub fn counts(&self) -> BTreeMap<String, usize> {
        let mut counts = BTreeMap::new();
        for event in &self.events {
            *counts.entry(type_of(event).to_owned()).or_default() += 1;
        }
        counts
    }

    /// How often a type was recorded so far.
    #[must_use]
    pub fn count(&self, name: &str) -> usize {
        self.events.iter().filter(|event| type_of(event) == name).count()
    }

    /// Waits until a type was recorded so often in all.
    ///
    /// # Errors
    /// When it takes too long.
    pub fn wait_for(&mut self, name: &str, times: usize) -> Result<&Value, StoryError> {
        let wanted = format!("{name} (number {times})");
        self.wait_until(&wanted, |events| {
            events.iter().filter(|event| type_of(event) == name).count() >= times
        })?;
        let found = self.events.iter().filter(|event| type_of(event) == name).nth(times.saturating_sub(1));
        found.ok_or(StoryError::Ended(wanted))
    }

    /// Waits until something holds of everything recorded so far.
    ///
    /// # Errors
    /// When it takes too long.
    pub fn wait_until(
        &mut self,
        wanted: &str,
        mut holds: impl FnMut(&[Value]) -> bool,
    ) -> Result<(), StoryError> {
        let deadline = Instant::now() + self.limit;
        loop {
            self.events.extend(self.lines.try_iter().filter_map(|line| serde_json::from_str(&line).ok()));
            if holds(&self.events) {
                return Ok(());
            }
            match self.lines.recv_timeout(deadline.saturating_duration_since(Instant::now())) {
                Ok(line) => self.events.extend(serde_json::from_str::<Value>(&line).ok()),
                Err(RecvTimeoutError::Timeout) => {
                    let (wanted, limit) = (wanted.to_owned(), self.limit);
                    return Err(StoryError::Timeout { wanted, limit, last: self.last() });
                }
                Err(RecvTimeoutError::Disconnected) => return Err(StoryError::Ended(wanted.to_owned())),
            }
        }
    }

    /// The last events, one per line.
    #[must_use]
    pub fn last(&self) -> String {
        let from = self.events.len().saturating_sub(SHOWN);
        let line = |event: &Value| {
            let text = |key: &str| event.get(key).map(ToString::to_string).unwrap_or_default();
            format!("{} {} {} {}", text("position"), text("stream"), text("type"), text("data"))
        };
        self.events.iter().skip(from).map(line).collect::<Vec<_>>().join("\n")
    }
}

impl Drop for Story {
    fn drop(&mut self) {
        // It may have ended already.
        let _ = self.reader.kill();
        let _ = self.reader.wait();
    }
}

/// The type of an event.
fn type_of(event: &Value) -> &str {
    event.get("type").and_then(Value::as_str).unwrap_or_default()
}

/// A log appears with its `HEAD` file, which is written after the first batch.
fn wait_for_log(data: &Path, limit: Duration) -> Result<(), StoryError> {
    const LOOK_AGAIN: Duration = Duration::from_millis(20);
    let begun = Instant::now();
    while !data.join("HEAD").is_file() {
        if begun.elapsed() > limit {
            let wanted = format!("log in {}", data.display());
            return Err(StoryError::Timeout { wanted, limit, last: String::new() });
        }
        std::thread::sleep(LOOK_AGAIN);
    }
    Ok(())
}
