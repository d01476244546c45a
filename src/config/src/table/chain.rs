//! Rows of a rollup: what it is, whom it asks, how it is cut and proven.
//!
//! Bounds keep out what nobody can mean; what only contradicts another key is found later.

use prooflog_events::limits::BLOB_BYTES_MAX;
use prooflog_events::policy::{AfterDeletion, OptimisticPolicy};

use super::Program::{Go, GoCompose, OpProposer, Rust};
use super::{At, Key, Older, keys};
use crate::draft::ChainDraft;
use crate::kinds::{
    Account, Choice, ConfigName, Count, Id, Label, Seconds, Size, Small, Span, Switch, Url, Urls,
};

/// Blocks that anyone could mean.
const BLOCKS: u64 = 1_000_000_000;
/// What the log keeps in one piece.
const PROOF_MOST: u64 = BLOB_BYTES_MAX as u64;
/// Ten years: longer is a mistake.
const LONG: u64 = 10 * 365 * 86_400;

const OPTIMISTIC: &[(&str, OptimisticPolicy)] =
    &[("hold", OptimisticPolicy::Hold), ("submit", OptimisticPolicy::Submit)];

const AFTER_DELETION: &[(&str, AfterDeletion)] =
    &[("hold", AfterDeletion::Hold), ("resubmit", AfterDeletion::Resubmit)];

pub(super) const KEYS: &[Key<ChainDraft>] = keys! { ChainDraft;
    "chain-id" Own Id, |c| c.id,
    "Chain id of the rollup (L2). In a `[[chain]]` it is written `id`. Required.", [];
    "chain-name" Own Label { right: "a name of letters, digits, `.`, `_` and `-`" }, |c| c.name,
    "Name in metrics and messages; the chain id where none is set. In a `[[chain]]` it is written `name`.", [];
    "l1-rpc" Shared Urls, |c| c.l1,
    "L1 nodes, the preferred one first. Required.", [
        Older::new("L1_RPC", &[(Go, ""), (Rust, "")]),
        Older::new("L1_ETH_RPC", &[(OpProposer, "")]),
    ];
    "l1-chain-id" Shared Id,
    |c| c.l1_chain_id,
    "Chain id that the L1 nodes must have. Two rollups may use one oracle address only on L1s that both name here.",
    [];
    "rollup-rpc" Own Urls, |c| c.rollup,
    "Rollup nodes (op-node), the preferred one first. Output roots are asked of all of them. Required.", [
        Older::new("L2_NODE_RPC", &[(Go, ""), (Rust, "")]),
        Older::new("ROLLUP_RPC", &[(OpProposer, "")]),
    ];
    "l2-rpc" Own Url, |c| c.l2,
    "L2 execution node. Without it spans are cut by block count alone and statistics are unknown.", [
        Older::new("L2_RPC", &[(Go, ""), (Rust, "")])
            .changed("It was needed to make witnesses, which the prover's server does now; here it is optional."),
    ];
    "oracle-address" Own Account, |c| c.oracle,
    "Output oracle on L1 (OPSuccinctL2OutputOracle). Required.", [
        Older::new("L2OO_ADDRESS", &[(Go, ""), (Rust, ""), (OpProposer, "")]),
    ];
    "factory-address" Own Account, |c| c.factory,
    "Game factory on L1 that submissions go through. An oracle of the third generation names its own, and this is only \
     compared with it.", [
        Older::new("DGF_ADDRESS", &[(Go, ""), (Rust, "")])
            .changed("An oracle of the third generation names its factory itself; there this is only compared."),
        Older::new("GAME_FACTORY_ADDRESS", &[(OpProposer, "")])
            .changed("An oracle of the third generation names its factory itself; there this is only compared."),
    ];
    "config-name" Shared ConfigName, |c| c.policy.config_name,
    "Which of the contract's configurations proofs are made for: its name, or the keccak256 hash of it. Only the \
     third contract generation knows names. The default is the hash of `opsuccinct_genesis`.", [
        Older::new("OP_SUCCINCT_CONFIG_NAME", &[(Rust, "opsuccinct_genesis")]),
    ];
    "prover-address" Shared Account, |c| c.policy.prover_address,
    "Address that proofs name as their prover; the sender's where none is set.", [
        Older::new("PROVER_ADDRESS", &[(Rust, "")]),
    ];
    "prover.url" Own Url, |c| c.prover,
    "The prover's server. One server proves one rollup. Required.", [
        Older::new("OP_SUCCINCT_SERVER_URL", &[(Go, "http://127.0.0.1:3000"), (GoCompose, "http://op-succinct-server:3000")])
            .remark("There is no default here."),
    ];
    "prover.mock" Shared Switch, |c| c.mock,
    "Whether the server's mock calls are used. The contract must have the mock verifier.", [
        Older::new("OP_SUCCINCT_MOCK", &[(Go, "false"), (Rust, "false")]),
    ];
    "prover.account" Shared Label { right: "a name of letters, digits, `.`, `_` and `-`" },
    |c| c.policy.prover_account,
    "Account at the prover that rollups of the same name share; empty for one of its own.", [];
    "prover.account-limit" Shared Small { least: 0, most: 100_000, of: "requests (0: no limit)" },
    |c| c.policy.account_in_flight,
    "Requests in flight at most over all rollups of the account, which must agree on it.", [];
    "prover.witness-timeout" Shared Seconds { least: 1, most: 86_400 }, |c| c.policy.witness_timeout_secs,
    "How long the server may make a witness. The server has such a limit too; the call itself gets a minute more.", [
        Older::new("WITNESS_GEN_TIMEOUT", &[(Go, "1200")]).bare(),
    ];
    "prover.proving-timeout" Shared Seconds { least: 1, most: LONG }, |c| c.policy.proving_timeout_secs,
    "How long a proof may take after it was requested. The first answer after it that brings no proof ends the request; where nobody answers, it ends as much later again, a day at most.", [
        Older::new("MAX_PROOF_TIME", &[(Go, "14400")]).bare()
            .changed("It had no effect before; now a proof that takes longer counts as timed out and is tried again."),
        Older::new("PROVING_TIMEOUT", &[(Rust, "14400")]).bare(),
    ];
    "prover.status-timeout" Shared Span { least_ms: 1, most_ms: 3_600_000 }, |c| c.status_timeout,
    "How long a status call, which may carry a proof, may go without progress.", [];
    "prover.max-proof-size" Shared Size { least: 1 << 10, most: PROOF_MOST }, |c| c.max_proof_bytes,
    "Largest proof that is taken. The log keeps none that is larger than the most that can be set.", [];
    "span.blocks" Shared Count { least: 1, most: BLOCKS, of: "blocks" }, |c| c.policy.span_blocks,
    "Longest span.", [
        Older::new("MAX_BLOCK_RANGE_PER_SPAN_PROOF", &[(Go, "50"), (GoCompose, "300")]),
        Older::new("RANGE_PROOF_INTERVAL", &[(Rust, "1800")]),
    ];
    "span.gas" Shared Count { least: 0, most: u64::MAX, of: "gas (0: off)" }, |c| c.policy.span_gas,
    "Gas at which a span is cut before it is full. Needs `l2-rpc`.", [
        Older::new("RANGE_PROOF_EVM_GAS_LIMIT", &[(Rust, "0")]),
    ];
    "max-span-age" Shared Seconds { least: 1, most: LONG }, |c| c.policy.max_span_age_secs,
    "Age after which a short span is cut at the tip, if only it is missing for a submission.", [];
    "plan-behind-finalized" Shared Count { least: 0, most: BLOCKS, of: "blocks" },
    |c| c.policy.plan_behind_finalized,
    "Blocks kept between the finalized head and what is planned, for chains whose data becomes provable later.", [];
    "max-blocks-ahead" Shared Count { least: 0, most: BLOCKS, of: "blocks (0: derived)" },
    |c| c.policy.max_blocks_ahead,
    "Blocks above the contract that may be started. Derived, it is the greater of ten submissions and four times \
     what is in flight at most.", [];
    "submission-blocks" Shared Count { least: 0, most: BLOCKS, of: "blocks (0: only the contract's interval)" },
    |c| c.policy.submission_blocks,
    "Own threshold of a submission; the contract's interval holds as well.", [
        Older::new("SUBMISSION_INTERVAL", &[(Rust, "1800")]),
    ];
    "max-members" Shared Small { least: 1, most: 10_000, of: "spans" }, |c| c.policy.max_members,
    "Spans in one aggregate at most.", [];
    "max-witness-in-flight" Shared Small { least: 1, most: 100_000, of: "requests" },
    |c| c.policy.max_witness_in_flight,
    "Witnesses that the server makes at once at most.", [
        Older::new("MAX_CONCURRENT_WITNESS_GEN", &[(Go, "5"), (Rust, "1")]),
    ];
    "max-proofs-in-flight" Shared Small { least: 1, most: 100_000, of: "requests" },
    |c| c.policy.max_proofs_in_flight,
    "Requests in flight at most, those whose witness is being made included.", [
        Older::new("MAX_CONCURRENT_PROOF_REQUESTS", &[(Go, "20"), (GoCompose, "10"), (Rust, "1")]),
    ];
    "retry.split-after" Shared Small { least: 1, most: 1_000, of: "failures" }, |c| c.policy.split_after,
    "Failures of its own after which a span of more than one block is halved.", [];
    "retry.park-after" Shared Small { least: 1, most: 1_000, of: "failures" }, |c| c.policy.park_after,
    "Failures of its own after which what cannot be halved waits for an operator.", [];
    "retry.backoff-min" Shared Seconds { least: 1, most: LONG }, |c| c.policy.backoff_min_secs,
    "First pause before a retry; it doubles with each failure in a row.", [];
    "retry.backoff-max" Shared Seconds { least: 1, most: LONG }, |c| c.policy.backoff_max_secs,
    "Longest pause before a retry or a probe.", [];
    "retry.degrade-after" Shared Small { least: 1, most: 1_000, of: "failures" }, |c| c.policy.degrade_after,
    "Failures in a row of different spans after which the prover counts as degraded and is only probed.", [];
    "retry.lost-after" Shared Small { least: 1, most: 1_000, of: "failed looks" }, |c| c.policy.lost_after,
    "Failed looks at one proof after which it can be declared lost.", [];
    "retry.lost-grace" Shared Seconds { least: 0, most: LONG }, |c| c.policy.lost_grace_secs,
    "Time that those failed looks must span, with other answers in between.", [];
    "stall-after" Shared Seconds { least: 1, most: LONG }, |c| c.policy.stall_after_secs,
    "Time without a new finalized block after which the rollup counts as stalled.", [];
    "optimistic" Shared Choice(OPTIMISTIC), |c| c.policy.optimistic,
    "While the contract is in optimistic mode: buy and submit nothing, or submit finalized outputs without proof.", [];
    "after-deletion" Shared Choice(AFTER_DELETION), |c| c.policy.after_deletion,
    "After the challenger deleted outputs: submit nothing until an operator resumes, or submit again at once.", [];
    "keep-proofs-for" Shared Seconds { least: 0, most: LONG }, |c| c.policy.keep_proofs_secs,
    "How long the bytes of a proof are kept after it was settled beyond rollback.", [];
    "safe-db-fallback" Shared Switch, |c| c.safe_db_fallback,
    "Whether a rollup node without SafeDB is a warning instead of a fault. Without SafeDB the server guesses L1 \
     heads, and some ranges can never be proven.", [
        Older::new("SAFE_DB_FALLBACK", &[(Rust, "false")]),
    ];
    "wait-node-sync" Shared Switch, |c| c.wait_node_sync,
    "Whether to wait at start until the rollup node has caught up with L1.", [
        Older::new("WAIT_NODE_SYNC", &[(Go, "false"), (OpProposer, "false")])
            .changed("It waited for ever; now `node-sync-timeout` ends it."),
    ];
    "node-sync-timeout" Shared Span { least_ms: 1_000, most_ms: 10 * 365 * 86_400_000 }, |c| c.node_sync_timeout,
    "How long `wait-node-sync` waits. Then the rollup is stopped with that reason, and a process none of whose rollups \
     is left ends with exit code 3.", [];
    "poll-interval" Shared Span { least_ms: 10, most_ms: 86_400_000 }, |c| c.poll_interval,
    "Pause between two looks at the outside. The looks are shared: the shortest pause of any rollup holds for all, and \
     the engine's own in whole seconds.", [
        Older::new("POLL_INTERVAL", &[(Go, "12s"), (GoCompose, "20s"), (OpProposer, "12s")]),
        Older::new("LOOP_INTERVAL", &[(Rust, "60")]).bare()
            .changed("Every loop started at most one request; now all free capacity is filled whenever something \
                      happens, and this is only how often it looks."),
    ];
    "network-timeout" Shared Span { least_ms: 1, most_ms: 3_600_000 }, |c| c.network_timeout,
    "How long a call to L1, a rollup node or the L2 node may take.", [
        Older::new("NETWORK_TIMEOUT", &[(OpProposer, "10s")]),
        Older::new("NETWORK_CALLS_TIMEOUT", &[(Rust, "15")]).bare()
            .changed("It bounded calls to the prover network, which the prover's server makes now; here it bounds \
                      calls to the nodes."),
    ];
};
