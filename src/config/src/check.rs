//! From drafts to settings: what is missing, what contradicts itself, and what two chains cannot share.
//!
//! A key that could not be read was reported and does not count as missing. What two chains quarrel about stops both:
//! nobody can say which of them is right, and a wrong guess costs money.

use prooflog_events::ids::{Address, ChainId, L1ChainId};
use prooflog_events::policy::{Policy, PolicyError};
use prooflog_events::values::Mode;
use prooflog_net::Endpoint;

use crate::chain::{ChainConfig, ProverConfig};
use crate::draft::ChainDraft;
use crate::problem::{Note, Problem};
use crate::process::{EventStoreConfig, Listener, ProcessConfig};
use crate::resolve::{Draft, Origins};
use crate::signer;

/// What is found while a chain is checked.
pub(crate) struct Findings<'a> {
    pub(crate) origins: &'a Origins,
    /// Problems that stand elsewhere already.
    pub(crate) elsewhere: &'a [Problem],
    pub(crate) problems: Vec<Problem>,
    pub(crate) notes: Vec<Note>,
}

impl Findings<'_> {
    /// A problem with a value, wherever it came from.
    pub(crate) fn wrong(&mut self, key: &'static str, wrong: impl Into<String>, right: impl Into<String>) {
        self.problems.push(Problem::new(key, self.origins.get(key).cloned(), wrong, right));
    }

    /// A value that nothing will read.
    pub(crate) fn idle(&mut self, key: &'static str, needs: &str) {
        if let Some(origin) = self.origins.get(key) {
            let text = format!("has no effect without {needs}");
            self.notes.push(Note::warning(origin.to_string(), Some(key), text));
        }
    }

    /// Whether something is known to be wrong with the key: it may not be missing then, only unreadable.
    pub(crate) fn is_reported(&self, key: &str) -> bool {
        self.problems.iter().chain(self.elsewhere).any(|problem| problem.key == key)
    }

    fn required<T>(&mut self, key: &'static str, value: Option<T>) -> Option<T> {
        if value.is_none() && !self.is_reported(key) {
            let right = format!("set {key}, or the variable {}", crate::table::variable(key));
            self.wrong(key, "is missing", right);
        }
        value
    }
}

/// The settings of a chain, or everything that is wrong with it.
pub(crate) fn chain(
    draft: &Draft,
    elsewhere: &[Problem],
    notes: &mut Vec<Note>,
) -> Result<ChainConfig, Vec<Problem>> {
    let problems = draft.problems.clone();
    let mut found = Findings { origins: &draft.origins, elsewhere, problems, notes: Vec::new() };
    let c = &draft.chain;
    let id = found.required("chain-id", c.id.map(ChainId));
    found.required("l1-rpc", c.l1.first());
    found.required("rollup-rpc", c.rollup.first());
    let oracle = found.required("oracle-address", c.oracle);
    let prover = found.required("prover.url", c.prover.clone());
    let signer = signer::choose(&c.signer, &mut found);
    let mode = if c.mock { Mode::Mock } else { Mode::Real };
    let policy = Policy { mode, ..c.policy.clone() };
    policy_fits(&policy, c, &mut found);
    notes.append(&mut found.notes);
    match (id, oracle, prover, signer) {
        (Some(id), Some(oracle), Some(endpoint), Some(signer)) if found.problems.is_empty() => {
            Ok(ChainConfig {
                id,
                name: name(c).unwrap_or_default(),
                l1: c.l1.clone(),
                l1_chain_id: c.l1_chain_id.map(L1ChainId),
                rollup: c.rollup.clone(),
                l2: c.l2.clone(),
                oracle,
                factory: c.factory,
                prover: ProverConfig {
                    endpoint,
                    status_timeout: c.status_timeout,
                    max_proof_bytes: c.max_proof_bytes,
                },
                signer,
                signer_address: c.signer.address,
                safe_db_fallback: c.safe_db_fallback,
                wait_node_sync: c.wait_node_sync,
                node_sync_timeout: c.node_sync_timeout,
                poll_interval: c.poll_interval,
                network_timeout: c.network_timeout,
                policy,
            })
        }
        _ => Err(found.problems),
    }
}

/// Values that are right alone and wrong together.
fn policy_fits(policy: &Policy, draft: &ChainDraft, found: &mut Findings<'_>) {
    if policy.backoff_max_secs < policy.backoff_min_secs {
        found.wrong(
            "retry.backoff-max",
            "is below retry.backoff-min",
            "a pause grows from the one to the other",
        );
    } else if let Err(PolicyError { key, problem }) = policy.check() {
        found.wrong(key_of_field(key), problem, "");
    }
    let fees = &policy.fees;
    for (key, floor) in [("txmgr.min-tip-cap", fees.min_tip), ("txmgr.min-base-fee", fees.min_base_fee)] {
        if floor > fees.max_fee {
            found.wrong(
                key,
                "is above txmgr.max-fee",
                "nothing could be sent: lower it, or raise txmgr.max-fee",
            );
        }
    }
    if policy.account_in_flight > 0 && policy.prover_account.is_empty() {
        found.wrong("prover.account-limit", "limits no account", "set prover.account as well");
    }
    if policy.span_gas > 0 && draft.l2.is_none() {
        found.wrong(
            "span.gas",
            "needs an L2 node that knows the gas of blocks",
            "set l2-rpc, or span.gas to 0",
        );
    }
    if draft.factory.is_some() && draft.factory == draft.oracle {
        found.wrong("factory-address", "is the oracle's address", "name the game factory, or nothing");
    }
}

/// The key behind a field of the policy.
fn key_of_field(field: &str) -> &'static str {
    match field {
        "span_blocks" => "span.blocks",
        "max_members" => "max-members",
        "max_witness_in_flight" => "max-witness-in-flight",
        "max_proofs_in_flight" => "max-proofs-in-flight",
        "witness_timeout_secs" => "prover.witness-timeout",
        "proving_timeout_secs" => "prover.proving-timeout",
        "split_after" => "retry.split-after",
        "park_after" => "retry.park-after",
        "backoff_min_secs" => "retry.backoff-min",
        "backoff_max_secs" => "retry.backoff-max",
        "degrade_after" => "retry.degrade-after",
        "lost_after" => "retry.lost-after",
        "fees.max_pending" => "txmgr.max-pending",
        "fees.bump_percent" => "txmgr.bump-percent",
        "confirmations" => "num-confirmations",
        _ => "policy",
    }
}

/// What is wrong with the settings of the process, and what its operator should know.
pub(crate) fn process(process: &ProcessConfig, origins: &Origins) -> (Vec<Problem>, Vec<Note>) {
    let mut found = Findings { origins, elsewhere: &[], problems: Vec::new(), notes: Vec::new() };
    listeners(process, &mut found);
    eventstore(&process.eventstore, &mut found);
    (found.problems, found.notes)
}

/// Listeners that would take each other's place.
fn listeners(process: &ProcessConfig, found: &mut Findings<'_>) {
    let listeners: [(&'static str, &Listener); 3] = [
        ("rpc.port", &process.rpc),
        ("metrics.port", &process.metrics),
        ("eventstore.port", &process.eventstore.listener),
    ];
    for (at, (key, listener)) in listeners.iter().enumerate() {
        let meets = |other: &Listener| {
            let addresses =
                other.addr == listener.addr || other.addr.is_unspecified() || listener.addr.is_unspecified();
            addresses
                && other.port == listener.port
                && other.enabled
                && listener.enabled
                && listener.port != 0
        };
        if let Some((other, _)) = listeners.iter().take(at).find(|(_, other)| meets(other)) {
            found.wrong(key, format!("is taken by {other}"), "give each listener its own port");
        }
    }
}

fn eventstore(eventstore: &EventStoreConfig, found: &mut Findings<'_>) {
    match (&eventstore.tls_cert, &eventstore.tls_key) {
        (Some(_), None) => {
            found.wrong("eventstore.tls-cert", "is useless without its key", "set eventstore.tls-key")
        }
        (None, Some(_)) => {
            found.wrong("eventstore.tls-key", "belongs to no certificate", "set eventstore.tls-cert");
        }
        _ => {}
    }
    if !eventstore.tls {
        found.idle("eventstore.tls-cert", "eventstore.tls");
        found.idle("eventstore.tls-key", "eventstore.tls");
        if !eventstore.listener.addr.is_loopback()
            && let Some(origin) = origins_of(found, "eventstore.addr")
        {
            let text = "reaches beyond this machine without TLS: passwords can be read on the way; set eventstore.tls, \
                        unless something before it speaks TLS";
            found.notes.push(Note::warning(origin, Some("eventstore.addr"), text.to_owned()));
        }
    }
    if !eventstore.write {
        found.idle("eventstore.write-per-day", "eventstore.write");
        found.idle("eventstore.write-to", "eventstore.write");
    }
}

/// Where a value came from; nothing for a default.
fn origins_of(found: &Findings<'_>, key: &str) -> Option<String> {
    found.origins.get(key).map(ToString::to_string)
}

/// What two chains have in common and must not.
pub(crate) fn chains(drafts: &[Draft]) -> Vec<Problem> {
    let mut problems = Vec::new();
    for (at, draft) in drafts.iter().enumerate() {
        let earlier = drafts.get(..at).unwrap_or_default();
        for (key, same, why) in RULES {
            if let Some(other) = earlier.iter().find(|other| same(&draft.chain, &other.chain)) {
                let wrong = format!("is that of chain {} too", other.called);
                let key = format!("chain {}: {key}", draft.called);
                let origin = draft.origins.get(key_part(&key)).cloned();
                problems.push(Problem::new(key, origin, wrong, *why));
            }
        }
        let quarrel = |other: &&Draft| {
            let (ours, theirs) = (&draft.chain.policy, &other.chain.policy);
            !ours.prover_account.is_empty()
                && ours.prover_account == theirs.prover_account
                && ours.account_in_flight != theirs.account_in_flight
        };
        if let Some(other) = earlier.iter().find(quarrel) {
            let wrong = format!("differs from that of chain {} in the same account", other.called);
            let origin = draft.origins.get("prover.account-limit").cloned();
            let key = format!("chain {}: prover.account-limit", draft.called);
            problems.push(Problem::new(key, origin, wrong, "set it once, in [defaults]"));
        }
    }
    problems
}

/// The key in `chain 10: prover.url`.
fn key_part(text: &str) -> &str {
    text.rsplit_once(' ').map_or(text, |(_, key)| key)
}

/// A key, whether two chains quarrel about it, and what would be right.
type Rule = (&'static str, fn(&ChainDraft, &ChainDraft) -> bool, &'static str);

const RULES: &[Rule] = &[
    ("chain-id", |a, b| a.id.is_some() && a.id == b.id, "write each chain once"),
    (
        "chain-name",
        |a, b| name(a).is_some() && name(a) == name(b) && a.id != b.id,
        "give each chain its own name",
    ),
    ("prover.url", same_prover, "a server proves one chain: each needs its own"),
    (
        "oracle-address",
        same_oracle,
        "an oracle takes outputs of one chain; on two L1s, set l1-chain-id for both",
    ),
];

/// What a chain is called.
pub(crate) fn name(draft: &ChainDraft) -> Option<String> {
    if draft.name.is_empty() { draft.id.map(|id| id.to_string()) } else { Some(draft.name.clone()) }
}

fn same_prover(a: &ChainDraft, b: &ChainDraft) -> bool {
    // A slash at the end makes no other server.
    let url = |endpoint: &Option<Endpoint>| {
        endpoint.as_ref().map(|endpoint| endpoint.url().as_str().trim_end_matches('/').to_owned())
    };
    a.prover.is_some() && url(&a.prover) == url(&b.prover)
}

fn same_oracle(a: &ChainDraft, b: &ChainDraft) -> bool {
    let apart = matches!((a.l1_chain_id, b.l1_chain_id), (Some(a), Some(b)) if a != b);
    a.oracle.is_some_and(|oracle: Address| b.oracle == Some(oracle)) && !apart
}
