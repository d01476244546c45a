//! `prooflog-bench`: generates logs and measures.

/// See the reason in the workspace's `Cargo.toml`.
#[global_allocator]
static ALLOCATOR: mimalloc::MiMalloc = mimalloc::MiMalloc;

fn main() -> std::process::ExitCode {
    prooflog_bench::cli::main()
}
