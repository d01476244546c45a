//! `prooflog-load`: the program under load on real chains, and a table of what it took.
//!
//! Exit code 0 means that everything asked for happened within the goals; 1 that something did not.
#![expect(clippy::print_stdout, clippy::print_stderr, reason = "a command for people")]

use std::process::ExitCode;

use clap::{Parser, Subcommand};
use prooflog_e2e::load::{Backlog, Many, backlog, many};

/// Puts the program under load on real chains.
#[derive(Parser)]
#[command(version, about)]
struct Arguments {
    #[command(subcommand)]
    load: Load,
}

#[derive(Subcommand)]
enum Load {
    /// Many rollups in one process, one without a contract and one without a prover.
    Chains {
        /// How many.
        #[arg(long, default_value_t = 100)]
        rollups: u64,
        /// Submissions of each that are measured.
        #[arg(long, default_value_t = 2)]
        rounds: usize,
        /// Seconds between two looks.
        #[arg(long, default_value_t = 12)]
        poll: u64,
        /// Blocks of a submission, at a block per second.
        #[arg(long, default_value_t = 150)]
        interval: u64,
    },
    /// A long backlog before a prover of fixed capacity, compared with the ideal schedule.
    Backlog {
        /// Spans.
        #[arg(long, default_value_t = 2_000)]
        spans: u64,
        /// Proofs proven at once.
        #[arg(long, default_value_t = 50)]
        workers: usize,
        /// Milliseconds of a proof.
        #[arg(long, default_value_t = 3_000)]
        proving_ms: u64,
        /// Milliseconds of a witness.
        #[arg(long, default_value_t = 200)]
        witness_ms: u64,
    },
}

#[tokio::main]
async fn main() -> ExitCode {
    let dir = match tempfile::Builder::new().prefix("prooflog-load").tempdir() {
        Ok(dir) => dir,
        Err(error) => {
            eprintln!("no directory to work in: {error}");
            return ExitCode::FAILURE;
        }
    };
    let say = |line: &str| println!("{line}");
    let shown = match Arguments::parse().load {
        Load::Chains { rollups, rounds, poll, interval } => {
            let plan = Many { rollups, rounds, poll, interval };
            many(dir.path(), plan, &say).await.map(|report| (report.to_string(), report.reached()))
        }
        Load::Backlog { spans, workers, proving_ms, witness_ms } => {
            let plan = Backlog { spans, workers, proving_ms, witness_ms };
            backlog(dir.path(), plan, &say).await.map(|report| (report.to_string(), report.reached()))
        }
    };
    match shown {
        Ok((shown, reached)) => {
            println!("\n{shown}");
            if reached { ExitCode::SUCCESS } else { ExitCode::FAILURE }
        }
        Err(error) => {
            eprintln!("{error}\nwhat it left is in {}", dir.keep().display());
            ExitCode::FAILURE
        }
    }
}
