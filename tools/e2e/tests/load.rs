//! The program under load, in small: the same code that `prooflog-load` runs at full size.
#![expect(clippy::print_stdout, clippy::unwrap_used, reason = "tests")]

use prooflog_e2e::load::{Backlog, Many, backlog, many};

#[tokio::test(flavor = "multi_thread")]
async fn ten_rollups_in_one_process_submit_beside_one_without_contract_and_one_without_prover() {
    let dir = tempfile::tempdir().unwrap();
    let plan = Many { rollups: 10, rounds: 1, poll: 2, interval: 10 };
    let report = many(dir.path(), plan, &|_| {}).await.unwrap();
    println!("{report}");
    assert!(report.confirmed.0 >= 1, "{report}");
    assert!(report.misconfigured.starts_with("not ready"), "{report}");
    assert!(report.misconfigured.contains("there is no contract at"), "{report}");
    assert!(report.without_prover.contains("the prover"), "{report}");
    assert!(report.calls.iter().all(|(_, calls)| *calls > 0.0), "{report}");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_backlog_keeps_every_worker_of_the_prover_busy() {
    let dir = tempfile::tempdir().unwrap();
    let plan = Backlog { spans: 200, workers: 20, proving_ms: 2_000, witness_ms: 100 };
    let report = backlog(dir.path(), plan, &|_| {}).await.unwrap();
    println!("{report}");
    assert_eq!(report.paid_twice, 0, "{report}");
    // One request per look would take five times as long; the goal of 1.05 is measured where nothing else runs.
    assert!(report.ratio() < 2.0, "{report}");
    assert_eq!(report.tenths.len(), 10, "{report}");
    assert!(report.tenths.iter().all(|tenth| tenth.processor > 0.0 && tenth.decision > 0.0), "{report}");
}
