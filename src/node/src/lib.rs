//! The rollup node and the L2 node as effects and inputs.
