//! What must hold for every row of the table, whichever rows there are.
#![expect(clippy::unwrap_used, reason = "tests")]

use std::collections::{BTreeMap, BTreeSet};
use std::path::PathBuf;

use prooflog_net::Salt;
use proptest::prelude::*;

use crate::collect::collect;
use crate::draft::ChainDraft;
use crate::kinds::{Context, Exposure, Given};
use crate::load::load;
use crate::older::{Meaning, RETIRED, meaning};
use crate::problem::Origin;
use crate::process::ProcessConfig;
use crate::resolve::resolve;
use crate::sources::{SourceFile, Sources};
use crate::table::{Key, Row, Scope, chain_keys, process_keys, row, rows, variable};

const KEY: &str = "00000000000000000000000000000000000000000000000000000000facade00";

/// Two right texts for each key.
fn samples() -> BTreeMap<&'static str, [String; 2]> {
    let process = process_keys().map(|key| (key.name, key.place.samples()));
    process.chain(chain_keys().map(|key| (key.name, key.place.samples()))).collect()
}

fn source(path: &str, text: &str) -> Option<SourceFile> {
    Some(SourceFile { path: PathBuf::from(path), text: text.to_owned(), readable_by_others: false })
}

/// The layers, the lowest first.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
enum Layer {
    Defaults,
    Chain,
    OlderEnvFile,
    OlderEnv,
    EnvFile,
    Env,
    EnvChain,
    Flag,
}

const LAYERS: [Layer; 8] = [
    Layer::Defaults,
    Layer::Chain,
    Layer::OlderEnvFile,
    Layer::OlderEnv,
    Layer::EnvFile,
    Layer::Env,
    Layer::EnvChain,
    Layer::Flag,
];

#[derive(Default, Clone)]
struct Layered {
    top: String,
    defaults: String,
    chain: String,
    env_file: String,
    env: Vec<(String, String)>,
    flags: Vec<(String, Vec<String>)>,
}

impl Layered {
    /// Whether the key can stand in the layer.
    fn set(&mut self, row: &Row, layer: Layer, value: &str) -> bool {
        let line = format!("{} = {value:?}\n", row.name);
        let of_chain = row.scope != Scope::Process;
        let older = row.older.first().map(|older| older.name);
        let quoted = format!("{value:?}");
        match (layer, older) {
            (Layer::Defaults, _) if of_chain => self.defaults.push_str(&line),
            (Layer::Defaults, _) => self.top.push_str(&line),
            (Layer::Chain, _) if of_chain => self.chain.push_str(&line),
            (Layer::OlderEnvFile, Some(name)) => self.env_file.push_str(&format!("{name}={quoted}\n")),
            (Layer::OlderEnv, Some(name)) => self.env.push((format!("OP_PROPOSER_{name}"), value.to_owned())),
            (Layer::EnvFile, _) => self.env_file.push_str(&format!("{}={quoted}\n", variable(row.name))),
            (Layer::Env, _) => self.env.push((variable(row.name), value.to_owned())),
            (Layer::EnvChain, _) if of_chain && row.name != "chain-id" => {
                let name = variable(row.name).replacen("PROOFLOG_", "PROOFLOG_CHAIN_7777_", 1);
                self.env.push((name, value.to_owned()));
            }
            (Layer::Flag, _) => self.flags.push((row.name.to_owned(), vec![value.to_owned()])),
            _ => return false,
        }
        true
    }

    fn sources(&self) -> Sources {
        let text = format!("{}[defaults]\n{}[[chain]]\n{}", self.top, self.defaults, self.chain);
        let env = self.env.iter().map(|(name, value)| (name.into(), value.into())).collect();
        Sources {
            file: source("file", &text),
            env_file: source("vars", &self.env_file),
            env,
            flags: self.flags.clone(),
        }
    }
}

fn layer_of(origin: &Origin) -> BTreeSet<Layer> {
    let layers: &[Layer] = match origin {
        Origin::Default => &[],
        Origin::File { .. } => &[Layer::Defaults, Layer::Chain],
        Origin::EnvFile { .. } => &[Layer::OlderEnvFile, Layer::EnvFile],
        Origin::Env { .. } => &[Layer::OlderEnv, Layer::Env, Layer::EnvChain],
        Origin::Flag { .. } => &[Layer::Flag],
    };
    layers.iter().copied().collect()
}

/// What stands at the key, and where it came from.
fn in_force(name: &str, sources: &Sources) -> (String, Origin) {
    let mut resolved = resolve(collect(sources), Salt::default());
    assert!(resolved.problems.is_empty(), "{name}: {:?}", resolved.problems);
    let draft = resolved.drafts.first_mut().unwrap();
    assert!(draft.problems.is_empty(), "{name}: {:?}", draft.problems);
    let (value, origins) = match process_keys().find(|key| key.name == name) {
        Some(key) => (key.place.show(&mut resolved.process), &resolved.process_origins),
        None => {
            let key = chain_keys().find(|key| key.name == name).unwrap();
            (key.place.show(&mut draft.chain), &draft.origins)
        }
    };
    (value, origins.get(name).cloned().unwrap_or(Origin::Default))
}

/// A chain with an id that variables for one chain can name, unless the id is what is asked for.
fn base(row: &Row) -> Layered {
    let mut layered = Layered::default();
    if row.name != "chain-id" {
        layered.chain.push_str("id = 7777\n");
    }
    layered
}

#[test]
fn the_higher_layer_wins_for_every_key() {
    let samples = samples();
    let mut pairs = 0;
    for row in rows() {
        let [low_text, high_text] = samples.get(row.name).unwrap();
        for (at, low) in LAYERS.iter().enumerate() {
            for high in LAYERS.iter().skip(at + 1) {
                let mut alone = base(&row);
                let mut both = base(&row);
                if !both.set(&row, *low, low_text) || !both.set(&row, *high, high_text) {
                    continue;
                }
                alone.set(&row, *high, high_text);
                let (value, origin) = in_force(row.name, &both.sources());
                assert_eq!(value, in_force(row.name, &alone.sources()).0, "{}: {low:?}, {high:?}", row.name);
                assert!(layer_of(&origin).contains(high), "{}: {low:?} beat {high:?}", row.name);
                let (low_value, _) = {
                    let mut only_low = base(&row);
                    only_low.set(&row, *low, low_text);
                    in_force(row.name, &only_low.sources())
                };
                let told_apart = row.exposure != Exposure::Secret;
                assert!(!told_apart || low_value != value, "{}: the samples are one value", row.name);
                pairs += 1;
            }
        }
    }
    assert!(pairs > 1_000, "{pairs}");
}

#[test]
fn nothing_is_set_when_nothing_was_said() {
    for row in rows() {
        let (_, origin) = in_force(row.name, &Sources::default());
        assert_eq!(origin, Origin::Default, "{}", row.name);
    }
}

/// What a start needs beside `key` for `key` to count, and what must be away.
fn beside(key: &str) -> (Vec<(&'static str, &'static str)>, bool) {
    let gcp = vec![("gcp.project", "p"), ("gcp.location", "l"), ("gcp.keyring", "r"), ("gcp.key", "k")];
    let address = ("signer.address", "0x0909090909090909090909090909090909090909");
    let remote = vec![
        ("signer.endpoint", "http://signer"),
        address,
        ("signer.tls.cert", "c"),
        ("signer.tls.key", "k"),
    ];
    match key {
        "span.gas" => (vec![("l2-rpc", "http://l2")], true),
        "prover.account-limit" => (vec![("prover.account", "shared")], true),
        "private-key" | "private-key-file" | "mnemonic" | "mnemonic-file" | "aws.key-id" => {
            (vec![address], false)
        }
        "retry.backoff-max" => (vec![("retry.backoff-min", "1s")], true),
        "hd-path" => (vec![("mnemonic", "words")], false),
        "aws.region" => (vec![("aws.key-id", "id")], false),
        "keystore.path" | "keystore.password-file" => {
            (vec![("keystore.path", "a"), ("keystore.password-file", "b")], false)
        }
        "eventstore.tls-cert" | "eventstore.tls-key" => {
            (vec![("eventstore.tls-cert", "c"), ("eventstore.tls-key", "k")], true)
        }
        key if key.starts_with("gcp.") => (gcp, false),
        key if key.starts_with("signer.") => (remote, false),
        _ => (vec![], true),
    }
}

const LEAST: [(&str, &str); 5] = [
    ("chain-id", "10"),
    ("l1-rpc", "http://l1"),
    ("rollup-rpc", "http://node"),
    ("oracle-address", "0x0a0a0a0a0a0a0a0a0a0a0a0a0a0a0a0a0a0a0a0a"),
    ("prover.url", "http://prover"),
];

/// The settings of a start with these flags, as Debug shows them.
fn started(flags: &BTreeMap<String, String>) -> String {
    let flags = flags.iter().map(|(key, value)| (key.clone(), vec![value.clone()])).collect();
    let sources = Sources { flags, ..Sources::default() };
    let loaded = load(&sources, Salt::default()).unwrap();
    format!("{:?} {:?}", loaded.process, loaded.chains)
}

#[test]
fn every_key_reaches_the_settings() {
    for (key, [one, other]) in samples() {
        if key == "keystore.password" {
            continue;
        }
        let (more, with_key) = beside(key);
        let flags = LEAST.into_iter().chain(more).chain(with_key.then_some(("private-key", KEY)));
        let mut flags: BTreeMap<String, String> =
            flags.map(|(key, value)| (key.to_owned(), value.to_owned())).collect();
        let without = started(&flags);
        flags.insert(key.to_owned(), one);
        let with_one = started(&flags);
        flags.insert(key.to_owned(), other);
        assert!(with_one != without || started(&flags) != without, "{key} changes nothing");
    }
}

#[test]
fn names_are_in_the_manner_of_the_op_stack_and_no_two_collide() {
    let mut variables = BTreeSet::new();
    for row in rows() {
        let fits = |c: char| c.is_ascii_lowercase() || c.is_ascii_digit() || ".-".contains(c);
        assert!(
            row.name.chars().all(fits) && row.name.starts_with(|c: char| c.is_ascii_lowercase()),
            "{}",
            row.name
        );
        assert!(variables.insert(variable(row.name)), "{}", row.name);
        assert!(row.doc.ends_with('.') && !row.doc.contains("  "), "{}", row.name);
        assert!(row.name != "id" && row.name != "name", "{} would hide a chain's own", row.name);
    }
    assert_eq!(variable("txmgr.resubmission-timeout"), "PROOFLOG_TXMGR_RESUBMISSION_TIMEOUT");
}

fn defaults_read<T: 'static>(key: &Key<T>, default: fn() -> T) {
    let context = &mut Context { salt: Salt::default(), hint: None };
    for older in key.older {
        for (program, value) in older.defaults.iter().filter(|(_, value)| !value.is_empty()) {
            let given = Given { bare: older.bare, ..Given::text((*value).to_owned()) };
            let read = key.place.set(&mut default(), &given, context);
            assert_eq!(read, Ok(()), "{} of {}", older.name, program.name());
            assert_eq!(context.hint.take(), None, "{}: its default would be a guess", older.name);
        }
    }
    // What is shown as the default can be written down.
    let shown = key.place.show(&mut default());
    if !shown.is_empty() {
        let read = key.place.set(&mut default(), &Given::text(shown), context);
        assert_eq!((read, context.hint.take()), (Ok(()), None), "{}", key.name);
    }
}

#[test]
fn what_older_programs_took_by_default_can_be_read() {
    process_keys().for_each(|key| defaults_read(key, ProcessConfig::default));
    chain_keys().for_each(|key| defaults_read(key, ChainDraft::default));
}

#[test]
fn every_older_name_is_reported_and_no_retired_value_is_echoed() {
    let samples = samples();
    for row in rows() {
        for older in row.older {
            let [value, _] = samples.get(row.name).unwrap();
            let sources = Sources { env: vec![(older.name.into(), value.into())], ..Sources::default() };
            let notes = resolve(collect(&sources), Salt::default()).notes;
            let note = notes.iter().find(|note| note.name == older.name).unwrap();
            assert_eq!((note.key, note.changed), (Some(row.name), !older.changed.is_empty()));
        }
    }
    for retired in RETIRED {
        for prefix in ["", "OP_PROPOSER_"] {
            let name = format!("{prefix}{}", retired.name);
            let sources = Sources { env: vec![(name.into(), CANARY.into())], ..Sources::default() };
            let notes = resolve(collect(&sources), Salt::default()).notes;
            assert_eq!(notes.first().map(|note| note.kind), Some(retired.kind), "{}", retired.name);
            assert!(!format!("{notes:?}").contains(CANARY));
        }
    }
    assert!(matches!(meaning("OP_PROPOSER_WHATEVER"), Some(Meaning::Unknown)));
}

const CANARY: &str = "hunter2.hunter2.hunter2.hunter2.hunter2";

/// Everything that a load shows to anyone.
fn shown(sources: &Sources) -> String {
    match load(sources, Salt::default()) {
        Err(errors) => format!("{errors} {errors:?} {sources:?}"),
        Ok(loaded) => {
            let notes: Vec<String> = loaded.report.iter().map(ToString::to_string).collect();
            let values: Vec<String> = loaded.effective.iter().map(ToString::to_string).collect();
            format!("{loaded:?} {notes:?} {values:?} {sources:?}")
        }
    }
}

#[test]
fn a_secret_shows_nowhere_whether_it_is_right_or_wrong_or_in_the_wrong_place() {
    let url = format!("https://{CANARY}:{CANARY}@host/{CANARY}?k={CANARY}");
    let header = format!("Authorization: {CANARY}");
    let texts = [CANARY, &url, &header, &format!("{CANARY}://x"), &format!("0x{CANARY}")];
    for row in rows() {
        for layer in LAYERS {
            for text in texts {
                let mut layered = Layered::default();
                for (key, value) in LEAST.iter().filter(|(key, _)| *key != row.name) {
                    layered.flags.push(((*key).to_owned(), vec![(*value).to_owned()]));
                }
                layered.set(&row, layer, text);
                let shown = shown(&layered.sources());
                // What is open and can be any text is shown when it is right.
                let is_open = row.exposure == Exposure::Open && !shown.contains("is not");
                let any = is_open && ["chain-name", "prover.account", "hd-path"].contains(&row.name)
                    || ["file", "path", "data-dir", "tls", "aws", "gcp"]
                        .iter()
                        .any(|part| row.name.contains(part));
                assert!(any || !shown.contains("hunter2"), "{} in {layer:?}: {shown}", row.name);
            }
        }
    }
}

#[test]
fn a_key_or_a_mnemonic_in_the_place_of_a_file_or_a_name_does_not_show() {
    let words = "hunter2 ".repeat(12);
    for row in rows().filter(|row| row.name != "config-name") {
        for text in [KEY, &format!("0x{KEY}"), words.trim()] {
            let others = LEAST.iter().filter(|(key, _)| *key != row.name);
            let mut flags: Vec<_> =
                others.map(|(key, value)| ((*key).to_owned(), vec![(*value).to_owned()])).collect();
            flags.push((row.name.to_owned(), vec![text.to_owned()]));
            if !["private-key", "mnemonic"].contains(&row.name) {
                flags.push(("private-key".to_owned(), vec![KEY.to_owned()]));
            }
            let shown = shown(&Sources { flags, ..Sources::default() });
            assert!(!shown.contains("facade") && !shown.contains("hunter2"), "{}: {shown}", row.name);
        }
    }
}

#[test]
fn a_broken_file_shows_no_line() {
    for line in [
        format!("private-key = {CANARY}"),
        format!("private-key = \"{CANARY}"),
        format!("private-key: {CANARY}"),
        format!("mnemonic = '''{CANARY}"),
        format!("private-key = \"{CANARY}\"\nprivate-key = \"{CANARY}\""),
        format!("private-key = [\"{CANARY}\", {{ a = \"{CANARY}\" }}]"),
        format!("private-key = \"{CANARY}\\q\""),
        format!("private-key.x = \"{CANARY}\""),
        format!("[[chain]]\nid = 1\nmnemonic = \"{CANARY}\" {CANARY}"),
        format!("[defaults]\nprivate-key = \"{CANARY}\""),
        format!("signer = \"{CANARY}\""),
        format!("chain = \"{CANARY}\""),
    ] {
        let file = shown(&Sources { file: source("file", &line), ..Sources::default() });
        assert!(!file.contains("hunter2"), "{line}: {file}");
        let vars = shown(&Sources { env_file: source("vars", &line), ..Sources::default() });
        assert!(!vars.contains("hunter2"), "{line}: {vars}");
    }
}

#[test]
fn secrets_reach_the_settings_as_they_were_written() {
    let mut flags = LEAST.to_vec();
    flags.push(("private-key", KEY));
    let flags = flags.iter().map(|(key, value)| ((*key).to_owned(), vec![(*value).to_owned()])).collect();
    let loaded = load(&Sources { flags, ..Sources::default() }, Salt::default()).unwrap();
    let chain = loaded.chains.first().unwrap().as_ref().unwrap();
    let expected = prooflog_net::Secret::new(KEY.to_owned());
    assert!(chain.signer == crate::SignerConfig::PrivateKey(expected));
    assert!(loaded.report.iter().any(|note| note.text.contains("can see flags")));
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(200))]

    #[test]
    fn no_file_and_no_variables_make_a_load_panic(
        file in "((\\[\\[chain\\]\\]|\\[defaults\\]|id|l1-rpc|span.blocks|private_key|mnemonic|\\[rpc\\]|port) ?=? ?(\"http://h\"|10|'x'|true|\\[1\\]|.)?\n){0,8}",
        vars in "((export )?(PROOFLOG_|OP_PROPOSER_)?(L1_RPC|CHAIN_ID|CHAIN_10_L1_RPC|POLL_INTERVAL|.{0,5})=(\"|')?.{0,9}(\"|')?\n){0,6}",
        name in "PROOFLOG_[A-Z_0-9]{0,20}",
        value in ".{0,20}",
    ) {
        let sources = Sources {
            file: source("file", &file),
            env_file: source("vars", &vars),
            env: vec![(name.into(), value.into())],
            flags: vec![],
        };
        let _ = shown(&sources);
    }

    #[test]
    fn any_text_for_any_key_is_read_or_refused(at in any::<prop::sample::Index>(), text in ".{0,60}|[0-9a-fx.,:/ ]{0,60}") {
        let names: Vec<&str> = rows().map(|row| row.name).collect();
        let name = at.get(&names);
        prop_assert!(row(name).is_some());
        let sources = Sources { flags: vec![((*name).to_owned(), vec![text])], ..Sources::default() };
        let _ = shown(&sources);
    }
}
