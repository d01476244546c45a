//! The prooflog program.
fn main() {}
