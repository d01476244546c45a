//! Rows of sending: confirmations, fees, the life of transactions.
//!
//! Amounts per gas were numbers of gwei in older programs, and bare numbers still are.

use super::Program::{Go, OpProposer, Rust};
use super::{At, Key, Older, keys};
use crate::draft::ChainDraft;
use crate::kinds::{Amount, Count, Percent, Seconds, Small};

const GWEI: u128 = 1_000_000_000;
const DAY: u64 = 86_400;

pub(super) const KEYS: &[Key<ChainDraft>] = keys! { ChainDraft;
    "num-confirmations" Shared Count { least: 0, most: 200, of: "L1 blocks" }, |c| c.policy.confirmations,
    "L1 blocks under which a fact counts as confirmed. Above 200 a checkpoint would expire first.", [
        Older::new("NUM_CONFIRMATIONS", &[(Go, "10"), (OpProposer, "10")])
            .remark("The Rust proposer waited for 3 and could not be told otherwise."),
    ];
    "min-balance" Shared Amount { bare: None }, |c| c.policy.min_balance,
    "Balance of the sender below which the operator is warned.", [];
    "txmgr.resubmission-timeout" Shared Seconds { least: 1, most: DAY }, |c| c.policy.fees.resubmission_secs,
    "Time without inclusion after which the fees of a transaction are raised.", [
        Older::new("RESUBMISSION_TIMEOUT", &[(Go, "48s"), (OpProposer, "48s")]),
        Older::new("TX_CONFIRMATION_TIMEOUT", &[(Rust, "60")]).bare()
            .changed("After this time the Rust proposer gave the transaction up; here the same one is sent again \
                      with higher fees."),
    ];
    "txmgr.not-in-mempool-timeout" Shared Seconds { least: 1, most: DAY }, |c| c.policy.fees.not_in_mempool_secs,
    "Time unknown to the mempool after which the same bytes are sent again.", [
        Older::new("TXMGR_TX_NOT_IN_MEMPOOL_TIMEOUT", &[(Go, "2m"), (OpProposer, "2m")])
            .changed("The transaction was given up; here the same bytes are sent again."),
    ];
    "txmgr.bump-percent" Shared Percent { least: 10, most: 1_000 }, |c| c.policy.fees.bump_percent,
    "By how much a replacement raises both fees; the public mempool takes none below 10.", [];
    "txmgr.fee-limit-multiplier" Shared Small { least: 1, most: 1_000, of: "times" },
    |c| c.policy.fees.limit_multiplier,
    "A fee is at most this multiple of what the L1 suggests now, above `txmgr.fee-limit-threshold`.", [
        Older::new("TXMGR_FEE_LIMIT_MULTIPLIER", &[(Go, "5"), (OpProposer, "5")]),
    ];
    "txmgr.fee-limit-threshold" Shared Amount { bare: Some(GWEI) }, |c| c.policy.fees.limit_threshold,
    "Fee per gas below which the multiple does not bind. A bare number is gwei.", [
        Older::new("TXMGR_FEE_LIMIT_THRESHOLD", &[(Go, "100"), (OpProposer, "100")]).bare(),
    ];
    "txmgr.max-fee" Shared Amount { bare: Some(GWEI) }, |c| c.policy.fees.max_fee,
    "Fee per gas that is never exceeded. A bare number is gwei.", [];
    "txmgr.min-tip-cap" Shared Amount { bare: Some(GWEI) }, |c| c.policy.fees.min_tip,
    "Least tip per gas. A bare number is gwei.", [
        Older::new("TXMGR_MIN_TIP_CAP", &[(Go, "1"), (OpProposer, "1")]).bare(),
    ];
    "txmgr.min-base-fee" Shared Amount { bare: Some(GWEI) }, |c| c.policy.fees.min_base_fee,
    "Least base fee assumed. A bare number is gwei.", [
        Older::new("TXMGR_MIN_BASEFEE", &[(Go, "1"), (OpProposer, "1")]).bare(),
    ];
    "txmgr.gas-margin-percent" Shared Percent { least: 0, most: 1_000 }, |c| c.policy.fees.gas_margin_percent,
    "What is added to a gas estimate.", [];
    "txmgr.max-gas-limit" Shared Count { least: 21_000, most: 1_000_000_000, of: "gas" },
    |c| c.policy.fees.max_gas_limit,
    "Highest gas limit of a retry that ran out of gas.", [];
    "txmgr.max-pending" Shared Small { least: 1, most: 64, of: "transactions" }, |c| c.policy.fees.max_pending,
    "Transactions of one sender that may be pending at once. Where more wait than fit, what has waited longest goes \
     first.", [];
};
