//! Logs to break, and this very executable as another process.

use std::collections::BTreeMap;
use std::io::{BufRead, BufReader, Lines};
use std::ops::ControlFlow;
use std::path::Path;
use std::process::{Child, ChildStdout, Command, Stdio};

use prooflog_events::envelope::Envelope;
use prooflog_events::ids::{Hash32, Position};
use prooflog_events::port::SequenceRead;
use prooflog_log::conformance::{LOG, batch, event};
use prooflog_log::verify::verify;
use prooflog_log::{Append, Log, NewRecord, Reader};
use prooflog_store::{OpenOptions, OpenReport, RocksStore, StoreError};

/// Says which part a child process plays; without it the part returns at once.
pub(crate) const PART_DIR: &str = "PROOFLOG_TEST_DIR";

pub(crate) fn create(dir: &Path) -> Log<RocksStore> {
    Log::open(prooflog_store::open(dir, OpenOptions::or_create(LOG).ballast(0)).unwrap().0).unwrap()
}

pub(crate) fn try_open(dir: &Path) -> Result<(RocksStore, OpenReport), StoreError> {
    prooflog_store::open(dir, OpenOptions::existing().ballast(0))
}

pub(crate) fn reopen(dir: &Path) -> Log<RocksStore> {
    Log::open(try_open(dir).unwrap().0).unwrap()
}

/// An append of one event that names a large blob, stored before.
pub(crate) fn with_blob(log: &Log<RocksStore>, stream: &str, bytes: Vec<u8>) -> Append {
    let hash = log.put_blob(bytes).unwrap();
    let mut append = batch(vec![NewRecord::native(stream, "Blob", 1, hash.0.to_vec())]);
    append.named.push(hash);
    append
}

/// What a log says: all its stored bytes, and the bytes of all blobs that it names.
#[derive(PartialEq, Eq)]
pub(crate) struct Content {
    pub(crate) records: Vec<Vec<u8>>,
    blobs: BTreeMap<Hash32, Vec<u8>>,
}

impl Content {
    /// The names of all blobs.
    pub(crate) fn blobs(&self) -> impl Iterator<Item = &Hash32> {
        self.blobs.keys()
    }
}

/// Reads and verifies everything; the error as text, with its position if it has one.
pub(crate) fn content<R: SequenceRead>(sequence: &R) -> Result<Content, (String, Option<Position>)> {
    let failed = |error: prooflog_events::port::SequenceError| {
        let at = match &error {
            prooflog_events::port::SequenceError::Damaged { position, .. } => *position,
            _ => None,
        };
        (error.to_string(), at)
    };
    let reader = Reader::new(sequence).map_err(failed)?;
    let mut content = Content { records: Vec::new(), blobs: BTreeMap::new() };
    let mut named = Vec::new();
    reader
        .for_each(Position(1), Position(u64::MAX), &mut |_, stored| {
            content.records.push(stored.to_vec());
            if let Ok(envelope) = Envelope::decode(stored)
                && envelope.type_name == "Blob"
            {
                named.push(Hash32(envelope.payload.try_into().unwrap()));
            }
            ControlFlow::Continue(())
        })
        .map_err(failed)?;
    verify(sequence, &mut |_| ControlFlow::Continue(())).map_err(|error| match error {
        prooflog_log::VerifyError::Bad { position, .. } => (error.to_string(), Some(position)),
        prooflog_log::VerifyError::Read(error) => failed(error),
        prooflog_log::VerifyError::Stopped => (error.to_string(), None),
    })?;
    for hash in named {
        let bytes = reader.blob(hash).map_err(failed)?;
        let bytes = bytes.ok_or_else(|| (format!("blob {hash} is missing"), None))?;
        content.blobs.insert(hash, bytes);
    }
    Ok(content)
}

/// The bytes of every file below `dir`, but for the lock.
pub(crate) fn files(dir: &Path) -> BTreeMap<String, Vec<u8>> {
    let mut found = BTreeMap::new();
    for sub in [dir.to_owned(), dir.join("db")] {
        for entry in std::fs::read_dir(&sub).unwrap() {
            let path = entry.unwrap().path();
            let name = path.strip_prefix(dir).unwrap().to_string_lossy().into_owned();
            if path.is_file() && name != "LOCK" {
                found.insert(name, std::fs::read(&path).unwrap());
            }
        }
    }
    found
}

/// Writes files as [`files`] gave them.
pub(crate) fn write_files(dir: &Path, files: &BTreeMap<String, Vec<u8>>) {
    let _ = std::fs::remove_dir_all(dir);
    std::fs::create_dir_all(dir.join("db")).unwrap();
    for (name, bytes) in files {
        std::fs::write(dir.join(name), bytes).unwrap();
    }
}

/// This executable in another process, playing the test `part` on `dir`.
pub(crate) struct Part {
    pub(crate) child: Child,
    pub(crate) lines: Lines<BufReader<ChildStdout>>,
}

pub(crate) fn command(part: &str, dir: &Path) -> Command {
    let mut command = Command::new(std::env::current_exe().unwrap());
    command.args(["--exact", part, "--nocapture", "--test-threads=1"]).env(PART_DIR, dir);
    command.stdout(Stdio::piped()).stderr(Stdio::null());
    command
}

impl Part {
    pub(crate) fn start(mut command: Command) -> Self {
        let mut child = command.spawn().unwrap();
        let lines = BufReader::new(child.stdout.take().unwrap()).lines();
        Self { child, lines }
    }

    /// The next line that the part said, without its `> `; `None` at its end.
    pub(crate) fn hear(&mut self) -> Option<String> {
        // The first line stands behind the name of the test.
        let said = |line: String| line.split_once("> ").map(|(_, said)| said.to_owned());
        self.lines.by_ref().map_while(Result::ok).find_map(said)
    }

    pub(crate) fn kill(&mut self) {
        self.child.kill().unwrap();
        self.child.wait().unwrap();
    }
}

impl Drop for Part {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

/// Says a line to the parent; a part whose parent is gone ends.
pub(crate) fn say(line: &str) {
    use std::io::Write;
    let mut out = std::io::stdout().lock();
    if out.write_all(format!("> {line}\n").as_bytes()).and_then(|()| out.flush()).is_err() {
        std::process::exit(0);
    }
}

/// The directory that this process plays a part on, if it plays one.
pub(crate) fn part_dir() -> Option<std::path::PathBuf> {
    std::env::var_os(PART_DIR).map(Into::into)
}

/// A log with records in files, records in the write-ahead log, and blobs in both.
pub(crate) fn varied(dir: &Path) -> Log<RocksStore> {
    let log = create(dir);
    for n in 0..40_u8 {
        log.append(batch(vec![
            event(&format!("s-{}", n % 5), &"old".repeat(usize::from(n))),
            event("t", "u"),
        ]))
        .unwrap();
    }
    let append = with_blob(&log, "blobs", vec![0xb1; 300_000]);
    log.append(append).unwrap();
    // Closing moves everything into files.
    drop(log);
    let log = reopen(dir);
    for n in 0..40_u8 {
        log.append(batch(vec![
            event(&format!("s-{}", n % 5), &"new".repeat(usize::from(n))),
            event("t", "v"),
        ]))
        .unwrap();
    }
    let append = with_blob(&log, "blobs", vec![0xb2; 300_000]);
    log.append(append).unwrap();
    log
}
