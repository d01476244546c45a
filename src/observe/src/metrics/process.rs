//! The standard numbers of a process, read from `/proc/self` at the moment of a scrape; NaN where there is none.

use std::fs;

use super::sheet::{Key, Sheet};
use super::table::{Def, Kind, Scope, Unknown, table};

/// Clock ticks per second in `/proc/self/stat`: the same on every Linux that we run on.
const TICKS: f64 = 100.0;

table! {
    CPU: Kind::Counter, Process, Nan, [], "seconds", "CPU time used, of user and system.",
        ["process_cpu_seconds_total"];
    RESIDENT: Kind::Gauge, Process, Nan, [], "bytes", "Resident memory.", ["process_resident_memory_bytes"];
    VIRTUAL: Kind::Gauge, Process, Nan, [], "bytes", "Virtual memory.", ["process_virtual_memory_bytes"];
    THREADS: Kind::Gauge, Process, Nan, [], "threads", "Threads.", ["process_threads"];
    OPEN_FDS: Kind::Gauge, Process, Nan, [], "files", "Open file descriptors.", ["process_open_fds"];
    MAX_FDS: Kind::Gauge, Process, Nan, [], "files", "File descriptors that may be open.", ["process_max_fds"];
    START: Kind::Gauge, Process, Nan, [], "unix seconds", "When the process started.",
        ["process_start_time_seconds"];
}

pub(crate) fn fill(sheet: &mut Sheet) {
    let mut known = |def: &'static Def, value| sheet.set_known(Key::new(def, None, &[]), value);
    let status = fs::read_to_string("/proc/self/status").unwrap_or_default();
    let field = |name: &str| status.lines().find_map(|line| number(line.strip_prefix(name)?));
    known(&RESIDENT, field("VmRSS:").map(|kib| kib * 1_024.0));
    known(&VIRTUAL, field("VmSize:").map(|kib| kib * 1_024.0));
    known(&THREADS, field("Threads:"));
    let limits = fs::read_to_string("/proc/self/limits").unwrap_or_default();
    known(&MAX_FDS, limits.lines().find_map(|line| number(line.strip_prefix("Max open files")?)));
    known(&OPEN_FDS, fs::read_dir("/proc/self/fd").ok().map(|files| files.count() as f64));
    let stat = fs::read_to_string("/proc/self/stat").unwrap_or_default();
    // The second field is the name in parentheses, which may hold anything; the third follows the last of them.
    let fields: Vec<&str> = stat.rsplit_once(')').map_or("", |(_, rest)| rest).split_whitespace().collect();
    let ticks = |field: usize| fields.get(field.saturating_sub(3)).and_then(|text| text.parse::<f64>().ok());
    known(&CPU, ticks(14).zip(ticks(15)).map(|(user, system)| (user + system) / TICKS));
    known(&START, boot_time().zip(ticks(22)).map(|(boot, since)| boot + since / TICKS));
}

fn boot_time() -> Option<f64> {
    fs::read_to_string("/proc/stat").ok()?.lines().find_map(|line| number(line.strip_prefix("btime ")?))
}

/// The first number of a text.
fn number(text: &str) -> Option<f64> {
    text.split_whitespace().next()?.parse().ok()
}
