//! The limits and choices in force for one rollup. They are an event (`PolicyChanged`), because decisions rest on them:
//! replaying the log must see the policy of the moment, not that of today.
//!
//! Times are in seconds, money in wei, sizes in bytes or blocks; each field says its unit. Values come from the
//! operator's configuration, which checks them ([`Policy::check`]); a policy in the log has passed that check.

use bincode::{Decode, Encode};
use serde::{Deserialize, Serialize};

use crate::ids::{Address, Hash32, Wei};
use crate::values::Mode;

/// What to do while the contract is in optimistic mode.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Encode, Decode, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum OptimisticPolicy {
    /// Buy nothing and submit nothing; what is in flight is still collected.
    Hold,
    /// Submit finalized, agreed outputs without proof.
    Submit,
}

/// What to do after the challenger deleted outputs.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Encode, Decode, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum AfterDeletion {
    /// Submit nothing until an operator resumes: a deletion is an emergency brake.
    Hold,
    /// Submit again at once.
    Resubmit,
}

/// How a rollup's blocks are cut, proven and paid for.
#[derive(Debug, Clone, PartialEq, Eq, Encode, Decode, Serialize, Deserialize)]
pub struct Policy {
    /// Real proofs, or the server's mock endpoints.
    pub mode: Mode,
    /// Longest span, in blocks.
    pub span_blocks: u64,
    /// Gas at which a span is cut before it reaches `span_blocks`; 0 turns cutting by gas off.
    pub span_gas: u64,
    /// Blocks kept between the finalized head and what is planned, for data that becomes provable later.
    pub plan_behind_finalized: u64,
    /// Blocks above the contract that may be started; 0 derives it (see [`Policy::blocks_ahead`]).
    pub max_blocks_ahead: u64,
    /// Own threshold of a submission in blocks; the contract's interval holds as well.
    pub submission_blocks: u64,
    /// Age in seconds after which a short span is cut at the tip, if only it is missing for a submission.
    pub max_span_age_secs: u64,
    /// Spans in one aggregate at most.
    pub max_members: u32,
    /// Witness generations in flight at most.
    pub max_witness_in_flight: u32,
    /// Requests in flight at most, witness generations included.
    pub max_proofs_in_flight: u32,
    /// Prover account that this rollup shares with others of the same name; empty for one of its own.
    pub prover_account: String,
    /// Requests in flight at most over all rollups of the account; 0 is no limit.
    pub account_in_flight: u32,
    /// Seconds that a witness call may take.
    pub witness_timeout_secs: u64,
    /// Seconds that a proof may take after it was requested.
    pub proving_timeout_secs: u64,
    /// Failures of its own after which a span of more than one block is halved.
    pub split_after: u32,
    /// Failures of its own after which a unit that cannot be halved is parked.
    pub park_after: u32,
    /// First pause before a retry, in seconds; it doubles with each failure in a row.
    pub backoff_min_secs: u64,
    /// Longest pause before a retry or a probe, in seconds.
    pub backoff_max_secs: u64,
    /// Failures in a row across different units that put the prover into degraded mode.
    pub degrade_after: u32,
    /// Failed looks at one proof id after which it can be declared lost.
    pub lost_after: u32,
    /// Seconds that those failures must span, with other answers in between.
    pub lost_grace_secs: u64,
    /// Seconds without a new finalized block after which the chain counts as stalled.
    pub stall_after_secs: u64,
    /// L1 blocks under which a fact counts as confirmed.
    pub confirmations: u64,
    /// Account that sends; several rollups of one L1 may share it.
    pub signer: Address,
    /// Prover address named in proofs; the signer's where `None`.
    pub prover_address: Option<Address>,
    /// Config name of the third contract generation; zero for the others.
    pub config_name: Hash32,
    /// Behaviour in optimistic mode.
    pub optimistic: OptimisticPolicy,
    /// Behaviour after outputs were deleted.
    pub after_deletion: AfterDeletion,
    /// Seconds that proof bytes are kept after their unit was settled beyond rollback.
    pub keep_proofs_secs: u64,
    /// Fees and the life of transactions.
    pub fees: FeePolicy,
    /// Balance below which the operator is warned.
    pub min_balance: Wei,
    /// Only observe: plan, and neither request a proof nor send a transaction.
    pub observe: bool,
}

/// How much a transaction may cost, and when it is sent again.
#[derive(Debug, Clone, PartialEq, Eq, Encode, Decode, Serialize, Deserialize)]
pub struct FeePolicy {
    /// Seconds without inclusion after which fees are raised.
    pub resubmission_secs: u64,
    /// Seconds unknown to the mempool after which the same bytes are sent again.
    pub not_in_mempool_secs: u64,
    /// Percent by which a replacement raises both fees; at least 10, the rule of the public mempool.
    pub bump_percent: u32,
    /// A fee is at most this multiple of what the L1 suggests now, above `limit_threshold`.
    pub limit_multiplier: u32,
    /// Fee per gas below which the multiple does not bind, in wei.
    pub limit_threshold: Wei,
    /// Fee per gas that is never exceeded, in wei.
    pub max_fee: Wei,
    /// Least tip per gas, in wei.
    pub min_tip: Wei,
    /// Least base fee assumed, in wei.
    pub min_base_fee: Wei,
    /// Percent added to a gas estimate.
    pub gas_margin_percent: u32,
    /// Highest gas limit of a retry that ran out of gas.
    pub max_gas_limit: u64,
    /// Slots of one signer that may be pending at once.
    pub max_pending: u32,
}

/// A setting that cannot be right.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("{key}: {problem}")]
pub struct PolicyError {
    /// The setting, by its field name.
    pub key: &'static str,
    /// What is wrong, and what would be right.
    pub problem: &'static str,
}

impl Policy {
    /// Sensible limits for a chain whose L1 sender is `signer`: what the README's example uses.
    #[must_use]
    pub fn with_signer(signer: Address) -> Self {
        Self {
            mode: Mode::Real,
            span_blocks: 300,
            span_gas: 0,
            plan_behind_finalized: 0,
            max_blocks_ahead: 0,
            submission_blocks: 0,
            max_span_age_secs: 3_600,
            max_members: 64,
            max_witness_in_flight: 5,
            max_proofs_in_flight: 20,
            prover_account: String::new(),
            account_in_flight: 0,
            witness_timeout_secs: 1_200,
            proving_timeout_secs: 14_400,
            split_after: 3,
            park_after: 5,
            backoff_min_secs: 10,
            backoff_max_secs: 900,
            degrade_after: 3,
            lost_after: 5,
            lost_grace_secs: 300,
            stall_after_secs: 1_800,
            confirmations: 10,
            signer,
            prover_address: None,
            config_name: Hash32::ZERO,
            optimistic: OptimisticPolicy::Hold,
            after_deletion: AfterDeletion::Hold,
            keep_proofs_secs: 14 * 24 * 3_600,
            fees: FeePolicy::default(),
            min_balance: Wei(100_000_000_000_000_000),
            observe: false,
        }
    }

    /// Blocks above the contract that may be started, given the contract's submission interval.
    #[must_use]
    pub fn blocks_ahead(&self, contract_interval: u64) -> u64 {
        if self.max_blocks_ahead > 0 {
            // Less than one submission and the span that completes it would never lead to a submission.
            let least = self.threshold(contract_interval).saturating_add(self.span_blocks);
            return self.max_blocks_ahead.max(least);
        }
        let by_interval = self.threshold(contract_interval).saturating_mul(10);
        let by_capacity =
            u64::from(self.max_proofs_in_flight).saturating_mul(4).saturating_mul(self.span_blocks);
        by_interval.max(by_capacity)
    }

    /// Blocks that a submission needs: at least one, the contract's interval and our own threshold.
    #[must_use]
    pub fn threshold(&self, contract_interval: u64) -> u64 {
        contract_interval.max(self.submission_blocks).max(1)
    }

    /// The first setting that cannot be right.
    ///
    /// # Errors
    /// Names the setting and what would be right.
    pub fn check(&self) -> Result<(), PolicyError> {
        let positive: [(&'static str, u64); 12] = [
            ("span_blocks", self.span_blocks),
            ("max_members", u64::from(self.max_members)),
            ("max_witness_in_flight", u64::from(self.max_witness_in_flight)),
            ("max_proofs_in_flight", u64::from(self.max_proofs_in_flight)),
            ("witness_timeout_secs", self.witness_timeout_secs),
            ("proving_timeout_secs", self.proving_timeout_secs),
            ("split_after", u64::from(self.split_after)),
            ("park_after", u64::from(self.park_after)),
            ("backoff_min_secs", self.backoff_min_secs),
            ("degrade_after", u64::from(self.degrade_after)),
            ("lost_after", u64::from(self.lost_after)),
            ("fees.max_pending", u64::from(self.fees.max_pending)),
        ];
        if let Some((key, _)) = positive.iter().find(|(_, value)| *value == 0) {
            return Err(PolicyError { key, problem: "is 0, must be at least 1" });
        }
        if self.backoff_max_secs < self.backoff_min_secs {
            return Err(PolicyError { key: "backoff_max_secs", problem: "is below backoff_min_secs" });
        }
        if self.fees.bump_percent < 10 {
            return Err(PolicyError {
                key: "fees.bump_percent",
                problem: "is below 10, the mempool's replacement rule",
            });
        }
        if self.confirmations > 200 {
            return Err(PolicyError {
                key: "confirmations",
                problem: "is above 200: a checkpoint would expire first",
            });
        }
        Ok(())
    }
}

impl Default for FeePolicy {
    fn default() -> Self {
        const GWEI: u128 = 1_000_000_000;
        Self {
            resubmission_secs: 48,
            not_in_mempool_secs: 120,
            bump_percent: 15,
            limit_multiplier: 5,
            limit_threshold: Wei(100 * GWEI),
            max_fee: Wei(1_000 * GWEI),
            min_tip: Wei(GWEI),
            min_base_fee: Wei(GWEI),
            gas_margin_percent: 25,
            max_gas_limit: 10_000_000,
            max_pending: 8,
        }
    }
}
