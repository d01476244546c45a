//! What the server does for a request: checks, a witness, and a proof that will be there later.
//!
//! A refusal is a status with words, as the real server answers it. Everything that a real program would refuse to prove
//! is refused here: members that do not follow each other, heads that are not on the chain, blocks that are not safe.

use std::collections::BTreeSet;
use std::time::{Duration, Instant};

use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use serde::Deserialize;

use crate::book::{Ending, Proven};
use crate::hex32::{Hex, Word};
use crate::proof::{ProofBytes, PublicValues, Statement, aggregate};
use crate::script::FaultKind;
use crate::server::Chain;
use crate::sources::L1Block;

/// An answer that is no success.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Refusal {
    pub(crate) status: u16,
    pub(crate) text: String,
    pub(crate) error_class: Option<String>,
}

impl Refusal {
    pub(crate) fn plain(text: impl Into<String>) -> Self {
        Self { status: 500, text: text.into(), error_class: None }
    }

    pub(crate) fn classed(status: u16, class: &str, text: impl Into<String>) -> Self {
        Self { status, text: text.into(), error_class: Some(class.to_owned()) }
    }
}

/// The body of a span request.
#[derive(Debug, Clone, Deserialize)]
pub(crate) struct SpanRequest {
    pub(crate) start: u64,
    pub(crate) end: u64,
}

/// The body of an aggregate request.
#[derive(Debug, Clone, Deserialize)]
pub(crate) struct AggRequest {
    subproofs: Vec<String>,
    head: String,
    #[serde(default)]
    prover_address: Option<Hex<20>>,
    #[serde(default)]
    config_name: Option<Word>,
}

/// What is asked for, understood as far as that needs no other system.
#[derive(Debug, Clone)]
pub(crate) enum Asked {
    Span(SpanRequest),
    Agg { members: Vec<Statement>, head: Word, prover: Option<Hex<20>>, config_name: Option<Word> },
}

/// A request that cannot be understood.
pub(crate) enum Misunderstood {
    /// An element is not base64: the server's thread dies of it.
    Fatal,
    Refused(Refusal),
}

impl Asked {
    /// Reads the body of an aggregate request.
    pub(crate) fn agg(request: &AggRequest) -> Result<Self, Misunderstood> {
        let refused = |text: String| Misunderstood::Refused(Refusal::plain(text));
        let mut members = Vec::new();
        for (n, member) in request.subproofs.iter().enumerate() {
            let bytes = STANDARD.decode(member).map_err(|_| Misunderstood::Fatal)?;
            let statement = Statement::verify(&bytes);
            members.push(statement.ok_or_else(|| refused(format!("subproof {n} does not verify")))?);
        }
        let head = Hex::parse(&request.head).filter(|_| request.head.starts_with("0x"));
        let head = head.ok_or_else(|| refused("head is not 0x and 32 bytes of hex".to_owned()))?;
        if members.is_empty() {
            return Err(refused("there are no subproofs".to_owned()));
        }
        Ok(Self::Agg { members, head, prover: request.prover_address, config_name: request.config_name })
    }

    /// First and last block.
    pub(crate) fn range(&self) -> (u64, u64) {
        match self {
            Self::Span(span) => (span.start, span.end),
            Self::Agg { members, .. } => {
                (members.first().map_or(0, |first| first.start), members.last().map_or(0, |last| last.end))
            }
        }
    }
}

/// Does what comes before the network is asked; how the request will end.
pub(crate) async fn prepare(
    chain: &Chain,
    asked: &Asked,
    fate: Option<&FaultKind>,
) -> Result<Ending, Refusal> {
    let range = asked.range();
    let (ticket, witness_ms, limit_ms, is_unexecutable) = {
        let mut book = chain.book();
        if book.is_full(Instant::now()) {
            return Err(Refusal::classed(429, "capacity", "queue full"));
        }
        let ticket = book.next_number();
        if matches!(asked, Asked::Span(_)) {
            book.witness_of.insert(range, ticket);
        }
        let script = &book.script;
        (ticket, script.witness_ms, script.witness_limit_ms, script.is_unexecutable(range.0, range.1))
    };
    let is_too_slow = limit_ms > 0 && witness_ms > limit_ms;
    chain.book().witness_begins();
    tokio::time::sleep(Duration::from_millis(if is_too_slow { limit_ms } else { witness_ms })).await;
    let made = if is_too_slow {
        Err(Refusal::plain("witness generation timed out"))
    } else {
        match asked {
            Asked::Span(span) => span_proof(chain, span, ticket).await,
            Asked::Agg { members, head, .. } => agg_proof(chain, asked, members, *head).await,
        }
    };
    chain.book().witness_ends();
    let proven = made?;
    Ok(match fate {
        Some(FaultKind::Unfulfillable) => Ending::Unfulfillable(2),
        Some(FaultKind::Unexecutable) => Ending::Unfulfillable(3),
        _ if is_unexecutable && matches!(asked, Asked::Span(_)) => Ending::Unfulfillable(3),
        _ => Ending::Proof(proven),
    })
}

async fn span_proof(chain: &Chain, span: &SpanRequest, ticket: u64) -> Result<Proven, Refusal> {
    if span.start >= span.end {
        return Err(Refusal::plain(format!("({}, {}] holds no block", span.start, span.end)));
    }
    if chain.book().witness_of.get(&(span.start, span.end)) != Some(&ticket) {
        return Err(Refusal::plain("the witness files are gone: No such file or directory (os error 2)"));
    }
    let config = &chain.config;
    let heads = chain.sources.heads(config.l1_head).await.map_err(Refusal::plain)?;
    if span.end > heads.safe_l2 {
        let text = format!("Failed to validate L2 block #{}: the safe head is {}", span.end, heads.safe_l2);
        return Err(Refusal::classed(500, "data_not_ready", text));
    }
    let statement = Statement {
        start: span.start,
        end: span.end,
        pre_root: chain.sources.root(span.start).await.map_err(Refusal::plain)?,
        post_root: chain.sources.root(span.end).await.map_err(Refusal::plain)?,
        l1_number: heads.l1.number,
        l1_hash: heads.l1.hash,
        rollup_config: config.rollup_config_hash,
        range_vkey: config.range_vkey_commitment,
    };
    let size = chain.book().script.proof_bytes.unwrap_or(config.proof_bytes);
    // A span's public values are its statement: nothing is padded or compressed there.
    let encoded = statement.encode();
    Ok(Proven {
        proof: ProofBytes::padded(encoded.clone(), size),
        l1_head: heads.l1,
        public_values: encoded,
        blocks: span.end.saturating_sub(span.start),
    })
}

async fn agg_proof(
    chain: &Chain,
    asked: &Asked,
    members: &[Statement],
    head: Word,
) -> Result<Proven, Refusal> {
    let config = &chain.config;
    let (Some(first), Some(last)) = (members.first(), members.last()) else {
        return Err(Refusal::plain("there are no subproofs"));
    };
    for (left, right) in members.iter().zip(members.iter().skip(1)) {
        if (left.end, left.post_root) != (right.start, right.pre_root) {
            let text = format!("block {} does not follow block {}", right.start, left.end);
            return Err(Refusal::plain(text));
        }
    }
    let is_ours = |member: &Statement| {
        (member.rollup_config, member.range_vkey) == (config.rollup_config_hash, config.range_vkey_commitment)
    };
    if !members.iter().all(is_ours) {
        return Err(Refusal::plain("a subproof was made under other commitments"));
    }
    let head = chain.sources.l1_by_hash(head).await.map_err(Refusal::plain)?;
    check_heads(chain, members, head).await?;
    let Asked::Agg { prover, config_name, .. } = asked else {
        return Err(Refusal::plain("not an aggregate"));
    };
    if let (Some(asked), Some(ours)) = (config_name, config.config_name)
        && *asked != ours
    {
        return Err(Refusal::plain(format!("the configuration {asked} is not served here")));
    }
    let values = PublicValues {
        l1_head: head.hash,
        pre_root: first.pre_root,
        claim_root: last.post_root,
        claim_block: last.end,
        rollup_config: config.rollup_config_hash,
        range_vkey: config.range_vkey_commitment,
        prover: prover.unwrap_or(config.prover_address),
    };
    let public_values = values.encode(config.generation);
    let proof = aggregate(config.selector, config.aggregation_vkey, &public_values);
    Ok(Proven {
        proof: ProofBytes::padded(proof, 0),
        l1_head: head,
        public_values,
        blocks: last.end.saturating_sub(first.start),
    })
}

/// Each member's L1 head must lie on the chain of headers that ends at `head`.
async fn check_heads(chain: &Chain, members: &[Statement], head: L1Block) -> Result<(), Refusal> {
    let wanted: BTreeSet<(u64, Word)> =
        members.iter().map(|member| (member.l1_number, member.l1_hash)).collect();
    if let Some((number, _)) = wanted.iter().find(|(number, _)| *number > head.number) {
        let text = format!("a subproof reads L1 block {number}, above the head {}", head.number);
        return Err(Refusal::plain(text));
    }
    let numbers: Vec<u64> = wanted.iter().map(|(number, _)| *number).collect();
    let canonical = chain.sources.l1_hashes(&numbers).await.map_err(Refusal::plain)?;
    for ((number, hash), canonical) in wanted.iter().zip(canonical) {
        if canonical != Some(*hash) {
            return Err(Refusal::plain(format!(
                "L1 block {number} {hash} of a subproof is not on the chain"
            )));
        }
    }
    Ok(())
}
