//! `prooflog-sim`: runs of the simulated ring from the command line.

fn main() -> std::process::ExitCode {
    prooflog_sim::cli::main()
}
