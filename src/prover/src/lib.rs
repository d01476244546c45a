//! The op-succinct prover server as effects and inputs.
