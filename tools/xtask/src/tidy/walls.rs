//! Walls: what a room may not say.
//!
//! The pure rooms have no clock, randomness, IO, threads, async, floats or unordered maps: the same log must fold to
//! the same state everywhere and for ever. Vendor crates stay in the rooms that own them. Nothing anywhere is left open.
//! Tests may use what they like, except leaving something open.

use super::Finding;
use super::source::{self, Source, Token};

/// A run of words and why it is banned.
type Ban = (&'static str, &'static str);

const PURE_ROOMS: [&str; 3] = ["events/src/", "projections/src/", "src/core/src/"];

const PURE: &[Ban] = &[
    ("SystemTime", "`now` arrives with the input"),
    ("Instant", "`now` arrives with the input"),
    ("HashMap", "its order differs from run to run: BTreeMap, or `Map` of projections"),
    ("HashSet", "its order differs from run to run: BTreeSet, or `Set` of projections"),
    ("RandomState", "no randomness"),
    ("DefaultHasher", "its result may change with the compiler: SHA-256"),
    ("rand", "no randomness"),
    ("getrandom", "no randomness"),
    ("new_v4", "no randomness: ids are derived"),
    ("now_v7", "no clock: ids are derived"),
    ("async", "waiting is for adapters"),
    ("await", "waiting is for adapters"),
    ("tokio", "waiting is for adapters"),
    ("Mutex", "one thread folds"),
    ("RwLock", "one thread folds"),
    ("thread_local", "state is an argument"),
    ("f32", "floats round differently: integers with a unit"),
    ("f64", "floats round differently: integers with a unit"),
    (source::FLOAT, "floats round differently: integers with a unit"),
    ("std::fs", "IO is for adapters"),
    ("std::io", "IO is for adapters"),
    ("std::net", "IO is for adapters"),
    ("std::env", "configuration arrives as a value"),
    ("std::process", "only `main` ends the process"),
    ("std::thread", "one thread folds"),
];

const EVERYWHERE: &[Ban] = &[
    ("todo!", "nothing is left open"),
    ("unimplemented!", "nothing is left open"),
    ("dbg!", "nothing is left behind"),
    ("#[ignore", "a test that does not run shows nothing"),
];

/// Crates that only some rooms may name. A crate of the same family begins with the name and an underscore.
const OWNERS: &[(&str, &[&str])] = &[
    // The bench measures raw RocksDB as the yardstick of the log.
    ("rocksdb", &["events/store/", "tools/bench/"]),
    ("librocksdb_sys", &["events/store/", "tools/bench/"]),
    // The devnet deploys contracts and computes what the adapter must agree with.
    ("alloy", &["src/l1/", "tools/devnet/"]),
    // Databases of other proposers; the tests of the program make some.
    ("rusqlite", &["src/import/", "tests/", "tools/e2e/tests/"]),
    ("postgres", &["src/import/"]),
    ("reqwest", &["src/net/", "src/prover/", "src/l1/", "src/node/", "src/api/", "tools/devnet/"]),
];

/// Every wall that `source` breaks.
pub(super) fn check(source: &Source) -> Vec<Finding> {
    let mut found = Vec::new();
    for (words, why) in EVERYWHERE {
        report(source, lines_with(source, words).min(), &format!("`{words}`: {why}"), &mut found);
    }
    if PURE_ROOMS.iter().any(|room| source.name.starts_with(room)) {
        for (words, why) in PURE {
            let line = lines_with(source, words).filter(|line| !source.is_test(*line)).min();
            report(source, line, &format!("`{words}` in a pure room: {why}"), &mut found);
        }
    }
    for (name, rooms) in
        OWNERS.iter().filter(|(_, rooms)| !rooms.iter().any(|room| source.name.starts_with(room)))
    {
        let text = format!("only {} may name the crate `{name}`", rooms.join(" and "));
        report(source, lines_naming(source, name).into_iter().min(), &text, &mut found);
    }
    found
}

/// One finding per rule and file, at the first line.
fn report(source: &Source, line: Option<usize>, text: &str, found: &mut Vec<Finding>) {
    if let Some(line) = line {
        found.push(Finding::never(&source.name, format!("{}:{line}: {text}", source.name)));
    }
}

/// Lines on which the run of words stands among the tokens or is imported.
fn lines_with<'a>(source: &'a Source, words: &'a str) -> impl Iterator<Item = usize> + 'a {
    let wanted = if words == source::FLOAT { vec![words.to_owned()] } else { opened(words) };
    let spelled = source.tokens.windows(wanted.len()).filter_map(move |window| {
        let same = window.iter().map(|token| &token.text).eq(wanted.iter());
        same.then(|| window.first().map(|token| token.line)).flatten()
    });
    let below = format!("{words}::");
    let imports = source.imports.iter().filter(move |(path, _)| path == words || path.starts_with(&below));
    spelled.chain(imports.map(|(_, line)| *line))
}

/// `#[ignore` is not a whole token stream: it is closed to be parsed, and cut again.
fn opened(words: &str) -> Vec<String> {
    match words.strip_prefix("#[") {
        Some(_) => source::pattern(&format!("{words}]")).into_iter().take(3).collect(),
        None => source::pattern(words),
    }
}

/// Lines that name the crate: as the first word of a path, or in an import.
fn lines_naming(source: &Source, name: &str) -> Vec<usize> {
    let family = format!("{name}_");
    let is_named = |word: &str| word == name || word.starts_with(&family);
    let is_path = |before: Option<&Token>, at: &Token, after: &Token| {
        is_named(&at.text) && after.text == "::" && before.is_none_or(|before| before.text != "::")
    };
    let mut lines = Vec::new();
    let mut before: Option<&Token> = None;
    for pair in source.tokens.windows(2) {
        if let [at, after] = pair {
            if is_path(before, at, after) {
                lines.push(at.line);
            }
            before = Some(at);
        }
    }
    let root = |path: &str| path.split("::").next().is_some_and(is_named);
    lines.extend(source.imports.iter().filter(|(path, _)| root(path)).map(|(_, line)| *line));
    lines
}

#[cfg(test)]
mod tests {
    #![expect(clippy::unwrap_used, reason = "tests")]
    use super::*;

    fn findings(name: &str, text: &str) -> usize {
        check(&Source::parse(name, text).unwrap()).len()
    }

    #[test]
    fn every_ban_of_the_pure_rooms_is_found_there_and_nowhere_else() {
        for (words, _) in PURE {
            let code = match *words {
                source::FLOAT => "fn f() { g(1.5); }".to_owned(),
                "async" => "async fn f() {}".to_owned(),
                "await" => "fn f() { g!(x.await); }".to_owned(),
                words => format!("fn f() {{ {words}::g(); }}"),
            };
            for room in PURE_ROOMS {
                assert_eq!(findings(&format!("{room}x.rs"), &code), 1, "{words}");
            }
            assert_eq!(findings("src/engine/src/x.rs", &code), 0, "{words}");
            assert_eq!(
                findings("src/core/src/x.rs", &format!("#[cfg(test)]\nmod tests {{ {code} }}")),
                0,
                "{words}"
            );
        }
    }

    #[test]
    fn nested_imports_and_macros_hide_nothing_and_comments_and_strings_say_nothing() {
        assert_eq!(findings("src/core/src/x.rs", "use std::{collections::BTreeMap, fs};"), 1);
        assert_eq!(findings("src/core/src/x.rs", "use std::time::Instant as Moment;"), 1);
        assert_eq!(findings("src/core/src/x.rs", "macro_rules! m { () => { std::fs::read(\"x\") } }"), 1);
        assert_eq!(findings("src/core/src/x.rs", "// HashMap\nconst T: &str = \"std::fs HashMap 1.5\";"), 0);
        assert_eq!(findings("src/core/src/x.rs", "fn f() { InstantReply::new(); a.rand_b(); }"), 0);
    }

    #[test]
    fn what_is_left_open_is_found_in_tests_too() {
        for code in ["fn f() { todo!() }", "fn f() { unimplemented!() }", "fn f() { dbg!(1); }"] {
            assert_eq!(findings("tests/x.rs", code), 1, "{code}");
        }
        assert_eq!(
            findings("src/x.rs", "#[cfg(test)]\nmod tests { #[test]\n#[ignore = \"slow\"]\nfn t() {} }"),
            1
        );
    }

    #[test]
    fn vendor_crates_stay_in_their_rooms() {
        for (code, owner) in [
            ("fn f() { rocksdb::DB::open(); }", "events/store/src/x.rs"),
            ("use rocksdb::DB;", "tools/bench/src/x.rs"),
            ("use alloy_primitives::U256;", "src/l1/src/x.rs"),
            ("use reqwest::Client;", "src/prover/src/x.rs"),
        ] {
            assert_eq!(findings("src/engine/src/x.rs", code), 1, "{code}");
            assert_eq!(findings(owner, code), 0, "{code}");
        }
        assert_eq!(findings("src/engine/src/x.rs", "fn f() { crate::rocksdb::open(); }"), 0);
    }
}
