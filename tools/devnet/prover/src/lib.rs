//! A server with the interface of the op-succinct prover, with scripted latency and faults.
