//! Whole configurations: what a start gets, what it is told, and what it is refused.
#![expect(clippy::unwrap_used, reason = "tests")]

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};

use prooflog_config::{
    ChainConfig, ConfigErrors, Loaded, NoteKind, Origin, SignerConfig, SourceFile, Sources, load,
};
use prooflog_events::ids::{Address, ChainId};
use prooflog_events::policy::Policy;
use prooflog_events::values::Mode;
use prooflog_net::Salt;

const KEY: &str = "0x0000000000000000000000000000000000000000000000000000000000c0ffee";

fn file(text: &str) -> Option<SourceFile> {
    let path = PathBuf::from("prooflog.toml");
    Some(SourceFile { path, text: text.to_owned(), readable_by_others: false })
}

fn env(pairs: &[(&str, &str)]) -> Vec<(std::ffi::OsString, std::ffi::OsString)> {
    pairs.iter().map(|(name, value)| ((*name).into(), (*value).into())).collect()
}

fn of_file(text: &str) -> Result<Loaded, ConfigErrors> {
    load(&Sources { file: file(text), ..Sources::default() }, Salt([7; 16]))
}

fn of_env(pairs: &[(&str, &str)]) -> Result<Loaded, ConfigErrors> {
    load(&Sources { env: env(pairs), ..Sources::default() }, Salt([7; 16]))
}

fn address(byte: u8) -> Address {
    Address([byte; 20])
}

/// A chain that starts, with the number in everything that has to be its own.
fn chain_table(id: u8) -> String {
    let oracle = address(id);
    format!(
        "[[chain]]\nid = {id}\nl1-rpc = \"http://l1\"\nrollup-rpc = \"http://node-{id}\"\n\
         oracle-address = \"{oracle}\"\nprover.url = \"http://prover-{id}:3000\"\nprivate-key = \"{KEY}\"\n"
    )
}

/// The least that a start needs, as variables.
const LEAST: [(&str, &str); 6] = [
    ("PROOFLOG_CHAIN_ID", "10"),
    ("PROOFLOG_L1_RPC", "http://l1"),
    ("PROOFLOG_ROLLUP_RPC", "http://node"),
    ("PROOFLOG_ORACLE_ADDRESS", "0x0a0a0a0a0a0a0a0a0a0a0a0a0a0a0a0a0a0a0a0a"),
    ("PROOFLOG_PROVER_URL", "http://prover:3000"),
    ("PROOFLOG_PRIVATE_KEY", KEY),
];

/// Every variable with our prefix that a script or a program of this project names, with a file that does.
fn variables_in_use(root: &Path, found: &mut BTreeMap<String, PathBuf>) {
    for entry in std::fs::read_dir(root).unwrap() {
        let path = entry.unwrap().path();
        if path.is_dir() && !path.ends_with("target") && !path.ends_with("golden") {
            variables_in_use(&path, found);
        }
        // What is no text names no variables.
        let Ok(text) = std::fs::read_to_string(&path) else { continue };
        let rust = path.extension().is_some_and(|ending| ending == "rs");
        for (at, _) in text.match_indices("PROOFLOG_") {
            let (before, name) = text.split_at(at);
            let name: String = name.chars().take_while(|c| c.is_ascii_uppercase() || *c == '_').collect();
            // Rust reads its environment with `var`, `var_os`, a helper `variable`, and clap's `env`.
            let reads = ["var(\"", "var_os(\"", "variable(\"", "env = \""];
            if !name.ends_with('_') && (!rust || reads.iter().any(|call| before.ends_with(call))) {
                found.entry(name).or_insert_with(|| path.clone());
            }
        }
    }
}

fn only(loaded: &Loaded) -> &ChainConfig {
    assert_eq!(loaded.chains.len(), 1);
    loaded.chains.first().unwrap().as_ref().unwrap()
}

fn words(result: Result<Loaded, ConfigErrors>) -> String {
    result.unwrap_err().to_string()
}

#[test]
fn one_chain_goes_from_toml_to_its_policy() {
    let text = format!(
        "data-dir = \"/var/lib/prooflog\"\n[metrics]\nport = 9300\n{}\
         span.blocks = 100\nmax_proofs_in_flight = 7\nkeep-proofs-for = \"36h\"\nprover.mock = true\n\
         [chain.txmgr]\nmax-fee = \"250 gwei\"\n",
        chain_table(10)
    );
    let loaded = of_file(&text).unwrap();
    assert_eq!(loaded.process.data_dir, PathBuf::from("/var/lib/prooflog"));
    assert_eq!(loaded.process.metrics.socket().unwrap().to_string(), "127.0.0.1:9300");
    let chain = only(&loaded);
    assert_eq!((chain.id, chain.name.as_str(), chain.oracle), (ChainId(10), "10", address(10)));
    let policy = chain.policy(address(9));
    assert_eq!(policy.signer, address(9));
    assert_eq!((policy.span_blocks, policy.max_proofs_in_flight), (100, 7));
    assert_eq!((policy.keep_proofs_secs, policy.mode), (36 * 3_600, Mode::Mock));
    assert_eq!(policy.fees.max_fee.0, 250_000_000_000);
    policy.check().unwrap();
}

#[test]
fn without_a_file_variables_are_enough_and_the_defaults_are_those_of_the_policy() {
    let loaded = of_env(&LEAST).unwrap();
    let policy = only(&loaded).policy(address(9));
    let default = Policy::with_signer(address(9));
    assert_eq!(policy, Policy { config_name: policy.config_name, ..default });
    assert!(loaded.report.is_empty(), "{:?}", loaded.report);
}

#[test]
fn variables_that_our_own_scripts_and_commands_read_do_not_stop_the_program() {
    let root = Path::new(env!("CARGO_MANIFEST_DIR")).join("../..");
    let mut used = BTreeMap::new();
    for room in [".ci", "packaging", "src", "tests", "tools"] {
        variables_in_use(&root.join(room), &mut used);
    }
    for name in ["PROOFLOG_ANVIL", "PROOFLOG_CACHE", "PROOFLOG_USER", "PROOFLOG_UPDATE_GOLDEN"] {
        assert!(used.contains_key(name), "{name} is not found: this test sees nothing");
    }
    for (name, path) in used {
        let mut pairs = LEAST.to_vec();
        pairs.push((&name, ""));
        assert!(of_env(&pairs).is_ok(), "{name}, which {} reads, stops the start", path.display());
    }
    let mut slip = LEAST.to_vec();
    slip.push(("PROOFLOG_ANVILS", "x"));
    assert!(words(of_env(&slip)).contains("PROOFLOG_ANVILS"), "what nobody reads is a slip");
}

#[test]
fn a_chain_that_is_wrong_is_left_out_and_the_others_run() {
    let text = format!("{}{}span.blocks = 0\nspan.colour = 1\n", chain_table(10), chain_table(11));
    let loaded = of_file(&text).unwrap();
    assert!(loaded.chains.first().unwrap().is_ok());
    let left_out = loaded.chains.get(1).unwrap().as_ref().unwrap_err();
    assert_eq!((left_out.id, left_out.problems.len()), (Some(ChainId(11)), 2));
    let words = left_out.to_string();
    assert!(words.contains("prooflog.toml:15") && words.contains("span.colour"), "{words}");
    assert!(loaded.effective.iter().all(|value| value.chain != Some(ChainId(11))));
}

#[test]
fn a_wrong_value_for_all_chains_stops_the_start_once() {
    let text = format!("{}{}[defaults]\nspan.blocks = 0\n", chain_table(10), chain_table(11));
    let errors = of_file(&text).unwrap_err();
    assert_eq!(errors.0.len(), 1, "{errors}");
}

#[test]
fn all_problems_come_at_once_each_with_its_place() {
    let text = "rpc.prot = 1\nspan.gas = 5\n[metrics]\nport = 70000\n[[chain]]\nid = \"ten\"\nrpc.port = 1\n";
    let sources = Sources {
        file: file(text),
        env: env(&[("PROOFLOG_L1_RPCS", "http://l1"), ("PROOFLOG_ROLLUP_RPC", "node:1")]),
        flags: vec![("poll-interval".to_owned(), vec!["soon".to_owned()])],
        ..Sources::default()
    };
    let words = words(load(&sources, Salt::default()));
    for part in [
        "rpc.prot (prooflog.toml:1): is not a known key; did you mean rpc.port?",
        "span.gas (prooflog.toml:2): belongs to a chain",
        "metrics.port (prooflog.toml:4): 70000 is too much",
        "chain-id (prooflog.toml:6): `ten` is not a whole number",
        "rpc.port (prooflog.toml:7): belongs to the process",
        "PROOFLOG_L1_RPCS (variable PROOFLOG_L1_RPCS): is not a known variable; did you mean PROOFLOG_L1_RPC?",
        "rollup-rpc (variable PROOFLOG_ROLLUP_RPC): number 1 is not an http or https URL",
        "poll-interval (--poll-interval): `soon`",
        "oracle-address: is missing; set oracle-address, or the variable PROOFLOG_ORACLE_ADDRESS",
        "signer: is missing",
    ] {
        assert!(words.contains(part), "no `{part}` in\n{words}");
    }
    assert!(!words.contains("rollup-rpc: is missing"), "what cannot be read is not missing:\n{words}");
}

#[test]
fn two_signers_are_refused_and_both_are_named() {
    let mut pairs = LEAST.to_vec();
    pairs.push(("HSM_KEY_NAME", "key"));
    let words = words(of_env(&pairs));
    assert!(words.contains("private-key (variable PROOFLOG_PRIVATE_KEY)"), "{words}");
    assert!(words.contains("gcp.key (variable HSM_KEY_NAME)"), "{words}");
}

#[test]
fn an_address_alone_is_a_signer_for_observing() {
    let mut pairs = LEAST.to_vec();
    pairs.retain(|(name, _)| *name != "PROOFLOG_PRIVATE_KEY");
    pairs.push(("PROOFLOG_SIGNER_ADDRESS", "0x0909090909090909090909090909090909090909"));
    assert_eq!(only(&of_env(&pairs).unwrap()).signer, SignerConfig::Nobody(address(9)));
}

#[test]
fn chains_cannot_share_an_id_a_server_or_an_oracle() {
    let two = |change: &dyn Fn(String) -> String| of_file(&(chain_table(10) + &change(chain_table(11))));
    assert!(two(&|text| text).is_ok());
    for (from, to, key) in [
        ("id = 11", "id = 10", "chain-id"),
        ("http://prover-11:3000", "http://prover-10:3000/", "prover.url"),
        (address(11).to_string().as_str(), address(10).to_string().as_str(), "oracle-address"),
    ] {
        let words = words(two(&|text| text.replace(from, to)));
        assert!(words.contains(key), "{words}");
    }
    let same_oracle = |text: String| text.replace(&address(11).to_string(), &address(10).to_string());
    let on_two_l1s =
        chain_table(10) + "l1-chain-id = 1\n" + &same_oracle(chain_table(11)) + "l1-chain-id = 5\n";
    assert!(of_file(&on_two_l1s).is_ok());
}

#[test]
fn what_can_belong_to_one_chain_only_is_refused_for_several() {
    let both = chain_table(10) + &chain_table(11);
    let sources = Sources { file: file(&both), env: env(&[("PROVER_ADDRESS", KEY)]), ..Sources::default() };
    assert!(load(&sources, Salt::default()).is_err(), "an address has 20 bytes");
    let sources = Sources {
        file: file(&both),
        env: env(&[("OP_SUCCINCT_SERVER_URL", "http://x")]),
        ..Sources::default()
    };
    let words = words(load(&sources, Salt::default()));
    assert!(
        words.contains("prover.url (variable OP_SUCCINCT_SERVER_URL): can belong to one chain only"),
        "{words}"
    );
}

#[test]
fn a_variable_can_be_for_one_chain_of_several() {
    let both = chain_table(10) + &chain_table(11);
    let vars = [
        ("PROOFLOG_SPAN_BLOCKS", "5"),
        ("PROOFLOG_CHAIN_11_SPAN_BLOCKS", "6"),
        ("PROOFLOG_CHAIN_11_PROVER_URL", "http://y"),
    ];
    let loaded =
        load(&Sources { file: file(&both), env: env(&vars), ..Sources::default() }, Salt::default()).unwrap();
    let blocks: Vec<u64> =
        loaded.chains.iter().map(|chain| chain.as_ref().unwrap().policy(address(1)).span_blocks).collect();
    assert_eq!(blocks, [5, 6]);
    let vars = [("PROOFLOG_CHAIN_12_SPAN_BLOCKS", "6")];
    let words =
        words(load(&Sources { file: file(&both), env: env(&vars), ..Sources::default() }, Salt::default()));
    assert!(words.contains("no chain has this id"), "{words}");
}

#[test]
fn values_that_contradict_each_other_are_refused() {
    for (more, key) in [
        ("retry.backoff-min = \"1h\"\nretry.backoff-max = \"1m\"", "retry.backoff-max"),
        ("txmgr.min-tip-cap = \"10 ether\"", "txmgr.min-tip-cap"),
        ("prover.account-limit = 3", "prover.account-limit"),
        ("span.gas = 3", "span.gas"),
        ("num-confirmations = 201", "num-confirmations"),
        ("txmgr.bump-percent = 9", "txmgr.bump-percent"),
        ("max-members = 0", "max-members"),
        ("poll-interval = \"0s\"", "poll-interval"),
        ("mnemonic = \"test test\"", "private-key"),
    ] {
        let words = words(of_file(&(chain_table(10) + more + "\n")));
        assert!(words.contains(key), "{more}: {words}");
    }
    let words = words(of_file(&format!("rpc.port = 7300\n{}", chain_table(10))));
    assert!(words.contains("metrics.port: is taken by rpc.port"), "{words}");
}

#[test]
fn an_old_env_file_starts_unchanged_and_is_explained() {
    let go = "L1_RPC=http://l1\nL2_NODE_RPC=http://node\nL2_RPC=http://l2\nL2OO_ADDRESS=0x0a0a0a0a0a0a0a0a0a0a0a0a0a0a0a0a0a0a0a0a\n\
              OP_SUCCINCT_SERVER_URL=http://op-succinct-server:3000\nPRIVATE_KEY=\"0000000000000000000000000000000000000000000000000000000000c0ffee\"\n\
              POLL_INTERVAL=20s\nMAX_PROOF_TIME=7200\nMAX_CONCURRENT_PROOF_REQUESTS=10\nAGG_PROOF_MODE=groth16\n\
              NETWORK_PRIVATE_KEY=0xhunter2\nSLACK_TOKEN=xoxb-hunter2\nDGF_ADDRESS=0x0000000000000000000000000000000000000000\n\
              OP_PROPOSER_TXMGR_MIN_TIP_CAP=2.5\nOP_PROPOSER_LOG_FORMAT=logfmt\nMETRICS_PORT=\nPROOFLOG_CHAIN_ID=10\n";
    let sources = Sources {
        env_file: Some(SourceFile {
            path: PathBuf::from(".env"),
            text: go.to_owned(),
            readable_by_others: true,
        }),
        ..Sources::default()
    };
    let loaded = load(&sources, Salt::default()).unwrap();
    let chain = only(&loaded);
    let policy = chain.policy(address(1));
    assert_eq!((policy.proving_timeout_secs, policy.max_proofs_in_flight), (7_200, 10));
    assert_eq!(policy.fees.min_tip.0, 2_500_000_000);
    assert_eq!(chain.factory, None);
    let report: Vec<String> = loaded.report.iter().map(ToString::to_string).collect();
    let all = report.join("\n");
    for part in [
        "mapped: L1_RPC -> l1-rpc = http://l1#",
        "mapped: PRIVATE_KEY -> private-key = ***",
        "mapped: MAX_PROOF_TIME -> prover.proving-timeout = 2h [meaning changed]: It had no effect before",
        "mapped: MAX_CONCURRENT_PROOF_REQUESTS -> max-proofs-in-flight = 10: Its default was 20 (Go proposer), 10",
        "mapped: OP_PROPOSER_LOG_FORMAT -> log.format = logfmt",
        "moved: AGG_PROOF_MODE",
        "moved: NETWORK_PRIVATE_KEY",
        "no effect: SLACK_TOKEN",
        "other default: span.blocks: is not set: 300 here, before 50 (MAX_BLOCK_RANGE_PER_SPAN_PROOF, Go proposer)",
        "warning: .env -> private-key: holds secrets and can be read by other users",
    ] {
        assert!(all.contains(part), "no `{part}` in\n{all}");
    }
    assert!(!all.contains("hunter2"), "{all}");
    assert!(!all.contains("1800 (RANGE_PROOF_INTERVAL"), "the Rust proposer was not there:\n{all}");
    assert!(loaded.report.iter().any(|note| note.kind == NoteKind::Mapped && note.changed));
}

#[test]
fn older_names_that_quarrel_are_refused_unless_ours_decides() {
    let mut pairs = LEAST.to_vec();
    pairs.extend([("MAX_BLOCK_RANGE_PER_SPAN_PROOF", "300"), ("RANGE_PROOF_INTERVAL", "1800")]);
    let words = words(of_env(&pairs));
    assert!(
        words.contains("MAX_BLOCK_RANGE_PER_SPAN_PROOF") && words.contains("RANGE_PROOF_INTERVAL"),
        "{words}"
    );
    pairs.push(("PROOFLOG_SPAN_BLOCKS", "400"));
    let loaded = of_env(&pairs).unwrap();
    assert_eq!(only(&loaded).policy(address(1)).span_blocks, 400);
    let text = loaded.report.iter().map(ToString::to_string).collect::<Vec<_>>().join("\n");
    assert!(text.contains("not used, because of variable PROOFLOG_SPAN_BLOCKS"), "{text}");
}

#[test]
fn a_bare_number_is_seconds_and_says_so_unless_the_old_name_never_had_units() {
    let mut pairs = LEAST.to_vec();
    pairs.extend([("PROOFLOG_POLL_INTERVAL", "12"), ("PROVING_TIMEOUT", "600")]);
    let loaded = of_env(&pairs).unwrap();
    assert_eq!(only(&loaded).poll_interval.as_secs(), 12);
    let guesses: Vec<_> =
        loaded.report.iter().filter(|note| note.text.contains("taken for seconds")).collect();
    assert_eq!(guesses.len(), 1, "{guesses:?}");
    assert_eq!(guesses.first().unwrap().key, Some("poll-interval"));
}

#[test]
fn the_digest_tells_values_apart_and_not_where_they_came_from() {
    let by_env = of_env(&LEAST).unwrap().digest;
    let mut sources = Sources { env: env(&LEAST), ..Sources::default() };
    let digest = |sources: &Sources| load(sources, Salt([7; 16])).unwrap().digest;
    sources.flags.push(("span.blocks".to_owned(), vec!["300".to_owned()]));
    assert_eq!(digest(&sources), by_env, "the default, said aloud");
    sources.flags.push(("span.gas".to_owned(), vec!["0".to_owned()]));
    assert_eq!(digest(&sources), by_env);
    sources.flags.push(("max-members".to_owned(), vec!["9".to_owned()]));
    assert_ne!(digest(&sources), by_env);
    // Another key of the same kind is no other configuration.
    let other = KEY.replace("c0ffee", "facade");
    let pairs = LEAST.map(|(name, value)| (name, if name.ends_with("KEY") { other.as_str() } else { value }));
    assert_eq!(of_env(&pairs).unwrap().digest, by_env);
}

#[test]
fn the_effective_print_says_where_each_value_came_from() {
    let loaded = of_file(&chain_table(10)).unwrap();
    let of = |key: &str| loaded.effective.iter().find(|value| value.key == key).unwrap();
    assert_eq!(of("span.blocks").origin, Origin::Default);
    assert_eq!(of("l1-rpc").origin, Origin::File { path: PathBuf::from("prooflog.toml"), line: 3 });
    assert_eq!(of("private-key").to_string(), "[10] private-key = ***  (prooflog.toml:7)");
    assert_eq!(of("keep-proofs-for").value, "14d");
    assert_eq!(of("txmgr.fee-limit-threshold").value, "100 gwei");
}
