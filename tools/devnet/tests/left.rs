//! A process that is killed leaves no chain behind.
#![expect(clippy::unwrap_used, clippy::print_stdout, reason = "tests")]

use std::io::{BufRead, BufReader};
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};

use prooflog_devnet::{Anvil, AnvilConfig};

/// Set for the process that is to be killed.
const TO_BE_KILLED: &str = "DEVNET_TEST_TO_BE_KILLED";

/// Numbers of the processes that a process started.
fn children(process: u32) -> Vec<u32> {
    let tasks = std::fs::read_dir(format!("/proc/{process}/task")).unwrap().flatten();
    let listed = tasks.filter_map(|task| std::fs::read_to_string(task.path().join("children")).ok());
    listed
        .flat_map(|text| text.split_whitespace().filter_map(|id| id.parse().ok()).collect::<Vec<u32>>())
        .collect()
}

/// Directories of a process.
fn directories(process: u32) -> Vec<PathBuf> {
    let mark = format!("-{process}-");
    let entries = std::fs::read_dir(std::env::temp_dir()).unwrap().flatten().map(|entry| entry.path());
    let name = |path: &PathBuf| path.file_name().unwrap_or_default().to_string_lossy().into_owned();
    entries.filter(|path| name(path).starts_with("prooflog-devnet-") && name(path).contains(&mark)).collect()
}

fn start() -> Anvil {
    let config = AnvilConfig { chain_id: 901, block_time: 0, timestamp: None, arguments: Vec::new() };
    Anvil::start(&config).unwrap()
}

#[test]
fn a_process_that_is_killed_takes_its_chain_with_it_and_the_next_one_removes_its_directory() {
    if std::env::var_os(TO_BE_KILLED).is_some() {
        let _chain = start();
        println!("started");
        loop {
            std::thread::park();
        }
    }
    let name = "a_process_that_is_killed_takes_its_chain_with_it_and_the_next_one_removes_its_directory";
    let mut process = Command::new(std::env::current_exe().unwrap())
        .args(["--exact", name, "--nocapture"])
        .env(TO_BE_KILLED, "1")
        .stdout(Stdio::piped())
        .spawn()
        .unwrap();
    let lines = BufReader::new(process.stdout.take().unwrap()).lines().map_while(Result::ok);
    assert!(lines.into_iter().any(|line| line.contains("started")));
    let (chains, left) = (children(process.id()), directories(process.id()));
    assert_eq!((chains.len(), left.len()), (1, 1), "{chains:?}, {left:?}");
    process.kill().unwrap();
    process.wait().unwrap();
    // Whoever it belongs to now lets it go at once.
    while chains.iter().any(|chain| is_alive(*chain)) {
        std::thread::yield_now();
    }
    let next = start();
    assert_eq!(directories(process.id()), Vec::<PathBuf>::new());
    assert_eq!(directories(std::process::id()).len(), 1);
    drop(next);
    assert_eq!(directories(std::process::id()), Vec::<PathBuf>::new());
}

/// Whether a process runs: one that ended and was not waited for does not.
fn is_alive(process: u32) -> bool {
    let status = std::fs::read_to_string(Path::new("/proc").join(process.to_string()).join("status"));
    status.is_ok_and(|status| !status.lines().any(|line| line.starts_with("State:") && line.contains('Z')))
}
