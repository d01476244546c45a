//! `prooflog-demo`: shows the program at work on real chains, and checks what it shows.
//!
//! Exit code 0 means that everything was shown and held; 1 that something did not.
#![expect(clippy::print_stdout, clippy::print_stderr, reason = "a demo is to be watched")]

use std::process::ExitCode;

use clap::Parser;
use prooflog_e2e::demo;

/// Shows the program at work on real chains.
#[derive(Parser)]
#[command(version, about)]
struct Arguments {
    /// Go on when everything was shown, until interrupted.
    #[arg(long)]
    keep_running: bool,
}

#[tokio::main]
async fn main() -> ExitCode {
    let arguments = Arguments::parse();
    let dir = match tempfile::Builder::new().prefix("prooflog-demo").tempdir() {
        Ok(dir) => dir,
        Err(error) => {
            eprintln!("no directory to work in: {error}");
            return ExitCode::FAILURE;
        }
    };
    let (devnet, engine, setup) = match demo::run(dir.path(), &|line| println!("{line}")).await {
        Ok(running) => running,
        Err(error) => {
            let kept = dir.keep();
            eprintln!("the demo FAILED: {error}\nwhat it left is in {}", kept.display());
            return ExitCode::FAILURE;
        }
    };
    if arguments.keep_running {
        println!("\nit goes on; look at it from another terminal, end it with Ctrl-C:");
        println!("  prooflog --data-dir {} status", setup.data.display());
        println!("  prooflog --data-dir {} events --follow", setup.data.display());
        for rollup in &devnet.rollups {
            println!(
                "  curl -s {} -H 'content-type: application/json' -d '{{\"jsonrpc\":\"2.0\",\"id\":1,\"method\":\"optimism_syncStatus\",\"params\":[]}}'",
                rollup.node
            );
        }
        // Without signals it ends when it is killed.
        let _ = tokio::signal::ctrl_c().await;
    }
    match engine.stop() {
        Ok(status) if status.success() => {
            println!("\nthe demo showed everything and everything held");
            ExitCode::SUCCESS
        }
        Ok(status) => {
            eprintln!("prooflog did not end in order: {status}\n{}", setup.printed());
            ExitCode::FAILURE
        }
        Err(error) => {
            eprintln!("{error}");
            ExitCode::FAILURE
        }
    }
}
