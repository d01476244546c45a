//! Everything that can be found out before money is spent, with what to do about it.
//!
//! Each check looks at one thing and says one thing. A check that could not be made is not a check that passed. Nothing
//! is written, signed or requested.

use std::time::{SystemTime, UNIX_EPOCH};

use prooflog_config::{ChainConfig, Loaded};
use prooflog_events::ids::{Micros, Wei};
use prooflog_events::phrase::Phrase;
use prooflog_events::values::Mode;
use prooflog_l1::{Approval, OracleReport, Terms, VerifierKind};
use prooflog_net::Limits;
use prooflog_node::SafeDb;
use prooflog_prover::Validation;
use serde::Serialize;

use super::Spending;
use super::sides::Side;
use super::start::{L1s, StartError, limits, reach};

/// How a check ended.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
#[serde(rename_all = "snake_case")]
pub(crate) enum Grade {
    /// As it should be.
    Good,
    /// It works, and an operator should know.
    Warning,
    /// It must be mended before money is spent.
    Bad,
}

/// What a check found.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub(crate) struct Finding {
    /// The rollup; the process without one.
    pub(crate) chain: Option<String>,
    /// What was looked at.
    pub(crate) check: &'static str,
    /// How it is.
    pub(crate) grade: Grade,
    /// What was found.
    pub(crate) found: String,
    /// What to do, where something is to be done.
    pub(crate) mend: String,
}

/// Findings about one rollup, or about the process.
struct Report {
    chain: Option<String>,
    findings: Vec<Finding>,
}

impl Report {
    fn add(&mut self, check: &'static str, grade: Grade, found: impl Into<String>, mend: &str) {
        let (chain, found, mend) = (self.chain.clone(), found.into(), mend.to_owned());
        self.findings.push(Finding { chain, check, grade, found, mend });
    }

    fn good(&mut self, check: &'static str, found: impl Into<String>) {
        self.add(check, Grade::Good, found, "");
    }
}

/// Looks at everything.
pub(crate) async fn examine(loaded: &Loaded) -> Vec<Finding> {
    let mut all = process(loaded).findings;
    let l1s = L1s::default();
    for chain in &loaded.chains {
        match chain {
            Ok(config) => {
                let mut report = Report { chain: Some(config.name.clone()), findings: Vec::new() };
                rollup(config, loaded, &l1s, &mut report).await;
                all.extend(report.findings);
            }
            Err(problem) => {
                let mut report = Report { chain: Some(problem.name.clone()), findings: Vec::new() };
                report.add("configuration", Grade::Bad, problem.to_string(), "mend the settings named here");
                all.extend(report.findings);
            }
        }
    }
    all
}

fn process(loaded: &Loaded) -> Report {
    let mut report = Report { chain: None, findings: Vec::new() };
    let (dir, minimum) = (&loaded.process.data_dir, loaded.process.min_free_bytes);
    // A directory that is not there yet will be made beside its nearest ancestor.
    let there = dir.ancestors().find(|dir| dir.is_dir()).unwrap_or_else(|| std::path::Path::new("."));
    match prooflog_store::free_space(there) {
        Ok(free) if free < minimum => {
            let found = format!("{free} bytes free in {}, {minimum} are the least", dir.display());
            report.add("disk", Grade::Bad, found, "make room, move --data-dir, or lower min-free-space");
        }
        Ok(free) => report.good("disk", format!("{free} bytes free in {}", dir.display())),
        Err(error) => {
            report.add("disk", Grade::Bad, error.to_string(), "check --data-dir and its permissions")
        }
    }
    if loaded.process.eventstore.listener.enabled {
        match super::eventstore::examine(loaded) {
            Ok(()) => report.good("eventstore", "users and certificate can be used"),
            Err(error) => {
                report.add("eventstore", Grade::Bad, error.to_string(), "mend the file named here");
            }
        }
    }
    report
}

async fn rollup(config: &ChainConfig, loaded: &Loaded, l1s: &L1s, report: &mut Report) {
    let limits = limits(&loaded.process);
    let side = match reach(config, limits, l1s, Spending::Observing).await {
        Ok((side, _)) => side,
        Err(error) => {
            let mend = "nothing else of this rollup can be checked before this is mended";
            return report.add("endpoints", Grade::Bad, error.to_string(), mend);
        }
    };
    report.good(
        "endpoints",
        format!("L1 {} and the rollup node of chain {} answer", side.l1.chain(), config.id),
    );
    let changed = super::pinned::changed(&loaded.process.data_dir, config.id, &side.rollup.settings);
    if !changed.is_empty() {
        let found: Vec<String> = changed.iter().map(ToString::to_string).collect();
        let mend = "where a node was upgraded, see that the contract takes the configuration that the server proves under";
        report.add("rollup config", Grade::Warning, found.join("; "), mend);
    }
    each_l1(config, &side, (l1s, limits), report).await;
    each_node(config, &side, report).await;
    clock(&side, report).await;
    safe_db(&side, report).await;
    balance(&side, report).await;
    let policy = config.policy(side.sender);
    let terms = Terms { sender: side.sender, config_name: policy.config_name, factory: config.factory };
    match side.l1.inspect(config.oracle, &terms).await {
        Ok(oracle) => contract(&side, &oracle, policy.mode, report),
        Err(error) => {
            report.add("contract", Grade::Bad, error.to_string(), "check the oracle's address and L1")
        }
    }
    commitments(&side, report).await;
    anchor(&side, &terms, report).await;
}

/// Each L1 endpoint by itself: one that fails is only noticed when it is needed.
async fn each_l1(config: &ChainConfig, side: &Side, (l1s, limits): (&L1s, Limits), report: &mut Report) {
    let mend = "mend this endpoint or take it out: it is what is left when the others fail";
    for endpoint in &config.l1 {
        let asked = async {
            let alone = l1s.get(side.l1.chain(), std::slice::from_ref(endpoint), limits)?;
            let head = alone.identity().await?.head.block.number;
            Ok::<_, StartError>((head, alone.code_size(config.oracle).await?))
        };
        match asked.await {
            Ok((head, 0)) => {
                let found = format!("{endpoint} is at block {head} and has no code at {}", config.oracle);
                report.add("L1 endpoint", Grade::Bad, found, mend);
            }
            Ok(_) => {}
            Err(error) => report.add("L1 endpoint", Grade::Bad, format!("{endpoint}: {error}"), mend),
        }
    }
}

/// Each rollup node by itself: roots are only agreed if every one of them tells the truth.
async fn each_node(config: &ChainConfig, side: &Side, report: &mut Report) {
    let mend = "mend this node or take it out: it must serve the same rollup as the others";
    for node in side.node.endpoints() {
        let name = node.name();
        match (node.rollup_config().await, node.sync_status().await) {
            (Ok(told), Ok(_)) if told.l2_chain_id != config.id.0 => {
                let found = format!("{name} serves chain {}, not {}", told.l2_chain_id, config.id);
                report.add("rollup node", Grade::Bad, found, mend);
            }
            (Ok(_), Ok(_)) => {}
            (Err(error), _) | (_, Err(error)) => {
                report.add("rollup node", Grade::Bad, error.to_string(), mend)
            }
        }
    }
}

async fn clock(side: &Side, report: &mut Report) {
    /// Seconds between our clock and the L1's newest block that are no sign of anything.
    const APART_MAX: u64 = 120;
    let now = SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default().as_micros();
    let now = Micros(u64::try_from(now).unwrap_or(u64::MAX));
    match side.l1.head().await {
        Ok(head) => {
            let apart = now.secs_since(head.time).max(head.time.secs_since(now));
            if apart > APART_MAX {
                let found = format!("{apart} s between this clock and the L1's newest block");
                report.add(
                    "clock",
                    Grade::Warning,
                    found,
                    "check NTP here, and whether the L1 node is in sync",
                );
            } else {
                report.good("clock", format!("{apart} s from the L1's newest block"));
            }
        }
        Err(error) => report.add("clock", Grade::Bad, error.to_string(), "check the L1 endpoints"),
    }
}

async fn safe_db(side: &Side, report: &mut Report) {
    let l1 = match side.node.heads().await {
        Ok(heads) => heads.current_l1.number,
        Err(error) => {
            return report.add(
                "rollup node",
                Grade::Bad,
                error.to_string(),
                "wait until it is in sync, or mend it",
            );
        }
    };
    let asked = side.node.safe_head_at_l1(l1).await;
    if asked.iter().all(|(_, found)| matches!(found, SafeDb::On(_))) {
        return report.good("SafeDB", "on");
    }
    for (node, found) in asked {
        match found {
            SafeDb::On(_) => report.good("SafeDB", format!("on at {node}")),
            SafeDb::Off { message } => {
                let mend = "start the rollup node with SafeDB enabled: without it the server guesses L1 heads, and \
                            some ranges can never be proven";
                let grade = if side.config.safe_db_fallback { Grade::Warning } else { Grade::Bad };
                report.add("SafeDB", grade, format!("off at {node}: {message}"), mend);
            }
            SafeDb::Unknown { cause } => {
                report.add(
                    "SafeDB",
                    Grade::Bad,
                    cause.to_string(),
                    "the question itself failed: mend the rollup node's endpoint",
                );
            }
        }
    }
}

async fn balance(side: &Side, report: &mut Report) {
    let minimum = side.config.policy(side.sender).min_balance;
    match side.l1.balance(side.sender).await {
        Ok(balance) if balance < minimum => {
            let found = format!("{} has {}, {} is the least", side.sender, ether(balance), ether(minimum));
            let grade = if balance == Wei(0) { Grade::Bad } else { Grade::Warning };
            report.add("balance", grade, found, "send it some ether on L1");
        }
        Ok(balance) => report.good("balance", format!("{} has {}", side.sender, ether(balance))),
        Err(error) => report.add("balance", Grade::Bad, error.to_string(), "check the L1 endpoints"),
    }
}

fn contract(side: &Side, oracle: &OracleReport, mode: Mode, report: &mut Report) {
    let interface = &oracle.interface;
    let generation = interface.generation.phrase();
    report.good("contract", format!("version {}, of the {generation} generation", interface.version));
    match (&oracle.verifier_kind, mode) {
        (VerifierKind::Missing, _) => {
            let mend = "the contract's owner must set a verifier";
            report.add("verifier", Grade::Bad, format!("no code at {}", oracle.verifier), mend);
        }
        (VerifierKind::Mock, Mode::Real) => {
            let mend = "real proofs would be bought for a contract that does not check them: set mock, or the verifier";
            report.add("verifier", Grade::Bad, "the mock verifier, in real mode", mend);
        }
        (VerifierKind::Real(_), Mode::Mock) => {
            let mend = "an empty proof will be refused: unset mock, or deploy the mock verifier";
            report.add("verifier", Grade::Bad, "a real verifier, in mock mode", mend);
        }
        _ => report.good("verifier", format!("{} fits the mode", oracle.verifier)),
    }
    match &oracle.approval {
        Approval::No { fallback_in } => {
            let wait = fallback_in.map(|secs| format!("; anyone may in {secs} s")).unwrap_or_default();
            let found = format!("{} may not submit{wait}", side.sender);
            report.add("approval", Grade::Bad, found, "the contract's owner must approve this account");
        }
        Approval::Sender => {
            report.good("approval", format!("{} may submit: the contract's list has it", side.sender));
        }
        Approval::Everyone => report.good("approval", format!("{} may submit, as anyone may", side.sender)),
        Approval::Fallback => {
            let found = format!("{} may submit: nobody did for so long that anyone may", side.sender);
            report.good("approval", found);
        }
    }
    if oracle.optimistic {
        let mend = "nothing is proven or submitted in this mode unless optimistic = submit";
        report.add("mode", Grade::Warning, "the contract is in optimistic mode", mend);
    }
    interval(oracle.submission_interval, report);
    if let Some(other) = oracle.factory_mismatch {
        let named = oracle.factory.map_or_else(|| "no factory".to_owned(), |own| format!("factory {own}"));
        let found = format!("the oracle names {named}, the configuration {other}");
        report.add(
            "factory",
            Grade::Warning,
            found,
            "correct the configured address; the oracle's own is used",
        );
    }
    if oracle.keys.0.0 == [0; 32] {
        let found = "the contract has no commitments under the configured name";
        report.add("commitments", Grade::Bad, found, "check the config name, or have the owner add it");
    }
}

async fn commitments(side: &Side, report: &mut Report) {
    match side.prover.validate(side.config.oracle).await {
        Validation::Answered { rollup_config_ok: true, agg_vkey_ok: true, range_vkey_ok: true } => {
            report.good("prover", "it proves what the contract accepts");
        }
        Validation::Answered { rollup_config_ok, agg_vkey_ok, range_vkey_ok } => {
            let differs: Vec<&str> = [
                (rollup_config_ok, "rollup config hash"),
                (agg_vkey_ok, "aggregation key"),
                (range_vkey_ok, "range key commitment"),
            ]
            .into_iter()
            .filter(|(ok, _)| !ok)
            .map(|(_, what)| what)
            .collect();
            let found = format!("it proves something else: {} differ", differs.join(", "));
            report.add(
                "prover",
                Grade::Bad,
                found,
                "run the server of this rollup's release, or update the contract",
            );
        }
        Validation::Unreachable { text, .. } => {
            report.add("prover", Grade::Bad, text, "start the prover's server, or correct its address");
        }
    }
}

/// Whether our rollup nodes and the contract agree where the next aggregate starts.
async fn anchor(side: &Side, terms: &Terms, report: &mut Report) {
    let ask = prooflog_l1::ReadContract {
        chain: side.config.id,
        oracle: side.config.oracle,
        // At that depth the engine reads as well: an endpoint that keeps too little of the state shows here.
        confirmations: side.config.policy(side.sender).confirmations,
        checkpoints: Vec::new(),
        canonical: Vec::new(),
        since: None,
        terms: *terms,
    };
    let latest = match side.l1.read_contract(&ask).await {
        Ok(read) => read.latest,
        Err(error) => {
            let mend = "mend what is named here; where it is state that the L1 endpoint threw away, use one that keeps \
                        more of it, or lower num-confirmations";
            return report.add("agreement", Grade::Bad, error.to_string(), mend);
        }
    };
    let Some(latest) = latest else {
        let mend = "the contract must be given its first output before anything can be proven";
        return report.add("agreement", Grade::Bad, "the contract has no output", mend);
    };
    match side.node.output(latest.block).await {
        Ok(read) => {
            let differs =
                read.nodes.iter().filter(|node| node.root.is_some_and(|root| root != latest.root)).count();
            let silent = read.nodes.iter().filter(|node| node.root.is_none()).count();
            if differs > 0 {
                let found =
                    format!("{differs} rollup nodes have another output root at block {}", latest.block);
                report.add(
                    "agreement",
                    Grade::Bad,
                    found,
                    "nothing is bought until they agree: check both sides",
                );
            } else if silent > 0 {
                let found =
                    format!("{silent} rollup nodes do not tell the output root at block {}", latest.block);
                report.add("agreement", Grade::Warning, found, "they may be pruned or behind");
            } else {
                report.good("agreement", format!("the roots at block {} are the same", latest.block));
            }
        }
        Err(error) => {
            report.add("agreement", Grade::Bad, error.to_string(), "the rollup node must know that block")
        }
    }
}

/// The contract's submission interval: one of no blocks is no rule at all.
fn interval(blocks: u64, report: &mut Report) {
    if blocks == 0 {
        let mend = "it is taken as 1, so `submission-blocks` decides alone: set that";
        report.add("interval", Grade::Warning, "the contract's submission interval is 0 blocks", mend);
    }
}

/// An amount as a person reads it.
fn ether(wei: Wei) -> String {
    const ETHER: u128 = 1_000_000_000_000_000_000;
    let (whole, rest) = (wei.0 / ETHER, wei.0 % ETHER / (ETHER / 10_000));
    format!("{whole}.{rest:04} ether")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_interval_of_no_blocks_is_a_warning_that_names_the_setting_and_others_are_no_finding() {
        let mut report = Report { chain: None, findings: Vec::new() };
        interval(1, &mut report);
        assert_eq!(report.findings, []);
        interval(0, &mut report);
        let told: Vec<_> = report.findings.iter().map(|finding| (finding.check, finding.grade)).collect();
        assert_eq!(told, [("interval", Grade::Warning)]);
        assert!(report.findings.iter().all(|finding| finding.mend.contains("submission-blocks")));
    }

    #[test]
    fn amounts_are_shown_in_ether() {
        assert_eq!(ether(Wei(1_234_567_000_000_000_000)), "1.2345 ether");
        assert_eq!(ether(Wei(0)), "0.0000 ether");
    }
}
