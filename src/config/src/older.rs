//! Names of older proposers.
//!
//! Those that mean a key of ours stand in the table; here are those that mean none, and how a variable's name is
//! looked up in both. The values of names that mean none are never looked at.

use crate::problem::NoteKind;
use crate::table::{Older, Row, rows};

/// What the Go proposer and op-proposer put before each name.
pub(crate) const OLDER_PREFIX: &str = "OP_PROPOSER_";

/// An older name that is no key of ours, and why.
pub(crate) struct Retired {
    pub(crate) name: &'static str,
    pub(crate) kind: NoteKind,
    pub(crate) why: &'static str,
}

const fn moved(name: &'static str, why: &'static str) -> Retired {
    Retired { name, kind: NoteKind::Moved, why }
}

const fn dead(name: &'static str, why: &'static str) -> Retired {
    Retired { name, kind: NoteKind::Dead, why }
}

const NETWORK: &str = "the prover's server talks to the prover network: set it there";
const PROOF: &str = "the prover's server chooses how proofs are made: set it there";
const WITNESS: &str = "the prover's server makes the witnesses: set it there";
const BATCHES: &str = "batches are not decoded here";
const PROFILE: &str = "there is no profiling listener";
const COLOUR: &str = "log lines have no colour and no process id";
const TRACES: &str = "traces are not sent anywhere; logs go to standard error";

/// Every older name that is no key of ours.
pub(crate) static RETIRED: &[Retired] = &[
    moved("NETWORK_PRIVATE_KEY", NETWORK),
    moved("NETWORK_RPC_URL", NETWORK),
    moved("USE_KMS_REQUESTER", NETWORK),
    moved("MAX_PRICE_PER_PGU", NETWORK),
    moved("MIN_AUCTION_PERIOD", NETWORK),
    moved("AUCTION_TIMEOUT", NETWORK),
    moved("WHITELIST", NETWORK),
    moved("RANGE_PROOF_STRATEGY", PROOF),
    moved("AGG_PROOF_STRATEGY", PROOF),
    moved(
        "AGG_PROOF_MODE",
        "the prover's server chooses groth16 (the Go proposer's default) or plonk (the Rust proposer's), and the \
         contract's verifier must be of the same kind",
    ),
    moved("RANGE_CYCLE_LIMIT", PROOF),
    moved("RANGE_GAS_LIMIT", PROOF),
    moved("AGG_CYCLE_LIMIT", PROOF),
    moved("AGG_GAS_LIMIT", PROOF),
    moved("CLI_CLUSTER_RPC", NETWORK),
    moved("CLI_S3_BUCKET", NETWORK),
    moved("CLI_S3_REGION", NETWORK),
    moved("CLI_REDIS_NODES", NETWORK),
    moved("L1_BEACON_RPC", WITNESS),
    moved("L1_CONFIG_DIR", WITNESS),
    moved("L2_CONFIG_DIR", WITNESS),
    moved("CELESTIA_CONNECTION", WITNESS),
    moved("CELESTIA_INDEXER_RPC", WITNESS),
    moved("NAMESPACE", WITNESS),
    moved("AUTH_TOKEN", WITNESS),
    moved("EIGENDA_PROXY_ADDRESS", WITNESS),
    moved("PORT", "it is the port of the prover's server"),
    dead(
        "DB_PATH",
        "the Go proposer's database is not read at start; `prooflog import op-succinct` takes it over",
    ),
    dead(
        "DATABASE_URL",
        "the Rust proposer's database is not read at start; `prooflog import op-succinct` takes it over",
    ),
    dead("USE_CACHED_DB", "the log is always continued"),
    dead("TX_CACHE_OUT_DIR", BATCHES),
    dead("BATCH_INBOX", BATCHES),
    dead("BATCHER_ADDRESS", BATCHES),
    dead("SLACK_TOKEN", "alerts are rules on metrics"),
    dead("ACTIVE_SEQUENCER_CHECK_DURATION", "rollup nodes are asked in order of preference"),
    dead("ALLOW_NON_FINALIZED", "it had no effect before either: only finalized blocks are proven"),
    dead("PROPOSAL_INTERVAL", "submissions go by blocks: see submission-blocks"),
    dead("OUTPUT_RETRY_INTERVAL", "see retry.backoff-min"),
    dead("GAME_TYPE", "it is 6, the type that op-succinct registers"),
    dead("SUPERROOT_RPCS", "super roots are not supported"),
    dead("SUPERNODE_RPCS", "super roots are not supported"),
    dead("TXMGR_TX_SEND_TIMEOUT", "a transaction is replaced until it is included or its purpose is gone"),
    dead("TXMGR_RECEIPT_QUERY_INTERVAL", "see poll-interval"),
    dead("SAFE_ABORT_NONCE_TOO_LOW_COUNT", "what became of a nonce is looked up instead of counted"),
    dead("LOG_COLOR", COLOUR),
    dead("LOG_PID", COLOUR),
    dead("PPROF_ENABLED", PROFILE),
    dead("PPROF_ADDR", PROFILE),
    dead("PPROF_PORT", PROFILE),
    dead("OTLP_ENABLED", TRACES),
    dead("OTLP_ENDPOINT", TRACES),
    dead("LOGGER_NAME", TRACES),
];

/// What an older name means.
pub(crate) enum Meaning {
    /// A key of ours.
    Key(Row, &'static Older),
    /// None, and why.
    Retired(NoteKind, &'static str),
    /// It has the prefix of older names, and nobody knows it.
    Unknown,
}

/// What the name of a variable meant to an older proposer; `None` for a stranger.
pub(crate) fn meaning(variable: &str) -> Option<Meaning> {
    let name = variable.strip_prefix(OLDER_PREFIX).unwrap_or(variable);
    let key = rows().find_map(|row| {
        let older = row.older.iter().find(|older| older.name == name)?;
        Some(Meaning::Key(row, older))
    });
    if key.is_some() {
        return key;
    }
    if let Some(retired) = RETIRED.iter().find(|retired| retired.name == name) {
        return Some(Meaning::Retired(retired.kind, retired.why));
    }
    if name.starts_with("SP1_") {
        return Some(Meaning::Retired(NoteKind::Moved, PROOF));
    }
    (name != variable).then_some(Meaning::Unknown)
}

#[cfg(test)]
mod tests {
    #![expect(clippy::unwrap_used, reason = "tests")]
    use std::collections::BTreeSet;

    use super::*;

    #[test]
    fn every_older_name_means_one_thing() {
        let mut seen = BTreeSet::new();
        let names = rows().flat_map(|row| row.older).map(|older| older.name);
        for name in names.chain(RETIRED.iter().map(|retired| retired.name)) {
            assert!(seen.insert(name), "{name}");
            assert!(
                !name.starts_with(OLDER_PREFIX)
                    && name.chars().all(|c| c == '_' || c.is_ascii_uppercase() || c.is_ascii_digit())
            );
        }
    }

    #[test]
    fn names_are_found_with_and_without_prefix() {
        for name in ["L1_RPC", "OP_PROPOSER_L1_RPC"] {
            assert!(matches!(meaning(name), Some(Meaning::Key(row, _)) if row.name == "l1-rpc"));
        }
        assert!(matches!(meaning("SP1_PROVER"), Some(Meaning::Retired(NoteKind::Moved, _))));
        assert!(matches!(meaning("OP_PROPOSER_NEVER_HEARD"), Some(Meaning::Unknown)));
        assert!(meaning("HOME").is_none());
        // What the proposer itself needs is not mistaken for what its server needs.
        assert!(matches!(meaning("RANGE_PROOF_EVM_GAS_LIMIT").unwrap(), Meaning::Key(..)));
    }
}
