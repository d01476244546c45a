//! Lines to the outside, written by a thread of their own.
//!
//! Whoever logs hands a masked line over and goes on. If nobody takes the lines (a full pipe, a hanging disk), the queue
//! fills, further lines are dropped and counted, and work goes on.

use std::io::{self, Write};
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::mpsc::{Receiver, SyncSender, sync_channel};
use std::time::Duration;

use tracing_subscriber::fmt::MakeWriter;

use super::mask::Secrets;

/// Lines that may wait.
const QUEUE_LINES: usize = 4_096;
/// Bytes of one line; the rest is cut off.
const LINE_BYTES_MAX: usize = 64 << 10;

enum Message {
    Line(Vec<u8>),
    Flush(SyncSender<()>),
}

/// Where lines go.
#[derive(Clone)]
pub(crate) struct Lines {
    queue: SyncSender<Message>,
    lost: Arc<AtomicU64>,
    secrets: Secrets,
}

impl Lines {
    /// Starts the thread that writes to `out`.
    ///
    /// # Errors
    /// When no thread can be started.
    pub(crate) fn start(out: impl Write + Send + 'static, secrets: Secrets) -> io::Result<Self> {
        let (queue, lines) = sync_channel(QUEUE_LINES);
        std::thread::Builder::new().name("log-lines".into()).spawn(move || write_all(lines, out))?;
        Ok(Self { queue, lost: Arc::default(), secrets })
    }

    /// Lines lost since the last call.
    pub(crate) fn take_lost(&self) -> u64 {
        self.lost.swap(0, Ordering::Relaxed)
    }

    /// Waits until everything handed over so far is written, at most for `limit`.
    pub(crate) fn flush(&self, limit: Duration) {
        let (done, is_done) = sync_channel(1);
        if self.queue.try_send(Message::Flush(done)).is_ok() {
            let _ = is_done.recv_timeout(limit);
        }
    }
}

fn write_all(lines: Receiver<Message>, mut out: impl Write) {
    for message in lines {
        match message {
            // An output that fails is no reason to stop anything.
            Message::Line(line) => drop(out.write_all(&line)),
            Message::Flush(done) => {
                let _ = out.flush();
                let _ = done.try_send(());
            }
        }
    }
}

/// One event's line, handed over when it is complete.
pub(crate) struct Line<'a> {
    lines: &'a Lines,
    bytes: Vec<u8>,
}

impl Write for Line<'_> {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        // Kept whole until it is masked: a secret may be written in pieces.
        self.bytes.extend_from_slice(bytes);
        Ok(bytes.len())
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}

impl Drop for Line<'_> {
    fn drop(&mut self) {
        if self.bytes.is_empty() {
            return;
        }
        let mut line = self.lines.secrets.mask_bytes(&self.bytes).into_owned();
        if line.len() > LINE_BYTES_MAX {
            line.truncate(LINE_BYTES_MAX);
            line.extend_from_slice("...\n".as_bytes());
        }
        if self.lines.queue.try_send(Message::Line(line)).is_err() {
            self.lines.lost.fetch_add(1, Ordering::Relaxed);
        }
    }
}

impl<'a> MakeWriter<'a> for Lines {
    type Writer = Line<'a>;

    fn make_writer(&'a self) -> Line<'a> {
        Line { lines: self, bytes: Vec::new() }
    }
}
