//! `prooflog-bench`: generates logs and measures.

fn main() -> std::process::ExitCode {
    prooflog_bench::cli::main()
}
