//! Chores of the repository, as a program instead of scripts.
//!
//! `xtask catalog` writes events/CATALOG.md from the sources of the vocabulary; with `--check` it only says whether the
//! file is fresh; `xtask proto` does the same for the generated gRPC code. The tidy rules live in [`tidy`] and run as a test. What a crash means: nothing was written.
#![expect(clippy::print_stdout, clippy::print_stderr, reason = "a command for people")]

mod catalog;
mod proto;
mod tidy;

use std::process::ExitCode;

use clap::{Parser, Subcommand};

#[derive(Parser)]
#[command(about = "Chores of the repository")]
struct Args {
    #[command(subcommand)]
    chore: Chore,
}

#[derive(Subcommand)]
enum Chore {
    /// Write the catalog of every event, input and field.
    Catalog {
        /// Only say whether it is fresh.
        #[arg(long)]
        check: bool,
    },
    /// Write the generated code of the EventStore protocol.
    Proto {
        /// Only say whether it is fresh.
        #[arg(long)]
        check: bool,
    },
    /// Check the rules of the house.
    Tidy,
}

fn main() -> ExitCode {
    let result = match Args::parse().chore {
        Chore::Catalog { check } => catalog::run(&root(), catalog::Run::of(check)),
        Chore::Proto { check } => proto::run(&root(), catalog::Run::of(check)),
        Chore::Tidy => tidy::check(&root()).and_then(|found| match found.as_slice() {
            [] => tidy::thoughts(&root())
                .map(|thoughts| [thoughts, vec!["tidy".to_owned()]].concat().join("\n")),
            found => Err(found.join("\n")),
        }),
    };
    match result {
        Ok(text) => {
            println!("{text}");
            ExitCode::SUCCESS
        }
        Err(text) => {
            eprintln!("{text}");
            ExitCode::FAILURE
        }
    }
}

/// The repository's top folder, two above this crate.
fn root() -> std::path::PathBuf {
    let here = std::path::Path::new(env!("CARGO_MANIFEST_DIR"));
    here.ancestors().nth(2).unwrap_or(here).to_path_buf()
}
