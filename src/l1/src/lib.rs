//! The L1 as effects and inputs: contracts read at pinned blocks, transactions, their fate.
