//! `prooflog-devnet`: the devnet alone, for a person with a wallet and curl.
//!
//! Everything listens on this machine only and ends with this process. Exit code 0 means that it was interrupted after it
//! ran; 3 that something it needs is not there.
#![expect(clippy::print_stdout, clippy::print_stderr, reason = "a command for people")]

use std::path::{Path, PathBuf};
use std::process::ExitCode;

use clap::{Args, Parser, Subcommand, ValueEnum};
use prooflog_devnet::{Devnet, DevnetConfig, Generation, Proofs};
use prooflog_devnet_prover::Script;

/// Two real EVM chains, a rollup node, a prover's server and the contracts, on one machine.
#[derive(Parser)]
#[command(name = "prooflog-devnet", version, about)]
struct Arguments {
    #[command(subcommand)]
    command: Command,
}

#[derive(Subcommand)]
enum Command {
    /// Bring it up and keep it until interrupted.
    #[command(after_help = "Example: prooflog-devnet up --rollups 2 --write devnet")]
    Up(Up),
}

/// Interface of the contracts.
#[derive(Debug, Clone, Copy, ValueEnum)]
enum Contracts {
    V1,
    V2,
    V3,
}

#[derive(Args)]
struct Up {
    /// Interface generation of the output oracles.
    #[arg(long, value_enum, default_value = "v2")]
    generation: Contracts,
    /// Submissions go through a dispute game factory, whose games cost so many wei.
    #[arg(long)]
    bond: Option<u128>,
    /// The verifier demands the empty proof, and the prover's mock calls are used.
    #[arg(long)]
    mock: bool,
    /// How many rollups: one L2 chain under so many chain ids, each with an oracle of its own.
    #[arg(long, default_value_t = 1)]
    rollups: u64,
    /// Seconds between two L1 blocks.
    #[arg(long, default_value_t = 1)]
    l1_block_time: u64,
    /// Seconds between two L2 blocks.
    #[arg(long, default_value_t = 1)]
    l2_block_time: u64,
    /// Smallest distance of two outputs, in blocks.
    #[arg(long, default_value_t = 20)]
    submission_interval: u64,
    /// What the prover's server does, well and badly: JSON, as `POST /devnet/script` takes it.
    #[arg(long)]
    script: Option<PathBuf>,
    /// Directory for a configuration with which `prooflog run` serves the devnet.
    #[arg(long)]
    write: Option<PathBuf>,
}

/// Latency that a person can watch.
fn watchable() -> Script {
    Script { witness_ms: 500, proving_ms: 3_000, proof_bytes: Some(100_000), ..Script::default() }
}

fn config(up: &Up) -> Result<DevnetConfig, String> {
    let script = match &up.script {
        None => watchable(),
        Some(path) => {
            let told = |error: &dyn std::fmt::Display| format!("{}: {error}", path.display());
            let text = std::fs::read_to_string(path).map_err(|error| told(&error))?;
            serde_json::from_str(&text).map_err(|error| told(&error))?
        }
    };
    Ok(DevnetConfig {
        generation: match up.generation {
            Contracts::V1 => Generation::V1,
            Contracts::V2 => Generation::V2,
            Contracts::V3 => Generation::V3,
        },
        bond: up.bond,
        proofs: if up.mock { Proofs::Empty } else { Proofs::Binding },
        l1_block_time: up.l1_block_time,
        l2_block_time: up.l2_block_time,
        submission_interval: up.submission_interval,
        rollups: up.rollups,
        script,
        ..DevnetConfig::default()
    })
}

/// Writes what `prooflog run` needs. The key is the public one of the devnet, so it may stand in a file.
fn write(dir: &Path, devnet: &Devnet) -> std::io::Result<()> {
    std::fs::create_dir_all(dir)?;
    std::fs::write(dir.join("prooflog.toml"), devnet.prooflog_config())?;
    let env: Vec<String> =
        devnet.prooflog_env().iter().map(|(name, value)| format!("{name}=\"{value}\"\n")).collect();
    std::fs::write(dir.join("prooflog.env"), env.concat())
}

fn tell(devnet: &Devnet) {
    println!("\nL1 (chain 900)   {}", devnet.l1.url());
    println!("L2 (chain 901)   {}", devnet.l2.url());
    for rollup in &devnet.rollups {
        println!("rollup {}", rollup.chain);
        println!("  rollup node    {}", rollup.node);
        println!("  prover         {}", rollup.prover);
        println!("  output oracle  {}", rollup.oracle);
        if let Some(factory) = rollup.factory {
            println!("  game factory   {factory}");
        }
    }
    println!("contracts' owner {}", devnet.parts.owner);
    println!("challenger       {}", devnet.parts.challenger);
    println!("proposer         {}", devnet.proposer);
    for (name, value) in devnet.prooflog_env() {
        println!("  {name}=\"{value}\"");
    }
    println!("\nall accounts hold 10,000 ether that is worth nothing; the L1's accounts sign by themselves");
    println!("(eth_sendTransaction). docs/devnet.md shows what to do with it. Ctrl-C ends everything.");
}

async fn up(up: &Up) -> Result<(), String> {
    let devnet = Devnet::start(config(up)?, &|line| println!("{line}")).await;
    let devnet = devnet.map_err(|error| error.to_string())?;
    tell(&devnet);
    if let Some(dir) = &up.write {
        write(dir, &devnet).map_err(|error| format!("{}: {error}", dir.display()))?;
        let shown = dir.display();
        println!("\nprooflog run --config {shown}/prooflog.toml --env-file {shown}/prooflog.env");
    }
    // Without signals it ends when it is killed, and the chains with it.
    let _ = tokio::signal::ctrl_c().await;
    Ok(())
}

#[tokio::main]
async fn main() -> ExitCode {
    let Command::Up(arguments) = Arguments::parse().command;
    match up(&arguments).await {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            eprintln!("prooflog-devnet: {error}");
            ExitCode::from(3)
        }
    }
}
