//! Two real EVM chains, a rollup node, a prover and the contracts, on one machine.
