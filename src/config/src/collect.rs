//! From sources to items: every value with its key, its origin and its rank.
//!
//! What is no key is reported here. A strange variable is left alone unless it has our prefix; an older name is taken
//! for its key or named in a note, and its value goes nowhere else.

use std::collections::BTreeMap;
use std::ffi::OsStr;

use crate::env_file;
use crate::kinds::{Bare, Exposure, Given, Words};
use crate::nearest::nearest;
use crate::older::{Meaning, OLDER_PREFIX, meaning};
use crate::problem::{Note, Origin, Problem};
use crate::sources::{CONFIG, ENV_FILE, SourceFile, Sources};
use crate::table::{Older, PREFIX, Row, Scope, in_capitals, row, rows, variable};
use crate::toml_file::{self, Entry};

/// Variables of ours that configure nothing: what our commands and scripts read for themselves. A shell may have them
/// set, so the program starts beside them; any other name with our prefix is a slip.
const OTHER_VARIABLES: [&str; 7] = [
    // Of commands to a running engine.
    "PROOFLOG_PASSWORD",
    "PROOFLOG_USER",
    // Of building, testing and the devnet.
    "PROOFLOG_ANVIL",
    "PROOFLOG_CACHE",
    "PROOFLOG_TEST_DIR",
    "PROOFLOG_UPDATE_DOCS",
    "PROOFLOG_UPDATE_GOLDEN",
];

/// Who wins: the higher one.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) enum Rank {
    /// The file: its top, or `[defaults]`.
    File,
    /// The file: a `[[chain]]`.
    FileChain,
    /// An older name in the file of variables.
    OlderEnvFile,
    /// An older name in the environment.
    OlderEnv,
    /// The file of variables.
    EnvFile,
    /// The file of variables, for one chain.
    EnvFileChain,
    /// The environment.
    Env,
    /// The environment, for one chain.
    EnvChain,
    /// The command line.
    Flag,
}

/// A value for a key. No Debug: it may be a secret.
#[derive(Clone)]
pub(crate) struct Item {
    pub(crate) key: &'static str,
    pub(crate) given: Given,
    pub(crate) origin: Origin,
    pub(crate) rank: Rank,
    /// The older name that it was given under.
    pub(crate) older: Option<&'static Older>,
}

/// What a `[[chain]]` says.
#[derive(Default)]
pub(crate) struct ChainItems {
    pub(crate) items: Vec<Item>,
    pub(crate) problems: Vec<Problem>,
    /// Where it begins.
    pub(crate) origin: Option<Origin>,
}

/// Everything that was said.
#[derive(Default)]
pub(crate) struct Collected {
    /// For the process, and for all chains.
    pub(crate) shared: Vec<Item>,
    /// Each `[[chain]]` of the file; one that says nothing where the file has none.
    pub(crate) chains: Vec<ChainItems>,
    /// Variables for one chain, by its id.
    pub(crate) by_id: BTreeMap<u64, Vec<Item>>,
    pub(crate) problems: Vec<Problem>,
    pub(crate) notes: Vec<Note>,
    /// Whether the file could not be read as TOML, so that nothing can be said about what is missing.
    pub(crate) broken: bool,
}

/// Takes the sources apart.
pub(crate) fn collect(sources: &Sources) -> Collected {
    let mut found = Collected::default();
    if let Some(file) = &sources.file {
        found.take_file(file);
    }
    if let Some(file) = &sources.env_file {
        found.take_env_file(file);
    }
    let mut env: Vec<_> = sources.env.iter().collect();
    env.sort();
    for (name, value) in env {
        found.take_variable(name, value);
    }
    for (key, values) in &sources.flags {
        found.take_flag(key, values);
    }
    if found.chains.is_empty() && !found.broken {
        found.chains.push(ChainItems::default());
    }
    found.warn_of_open_files(sources);
    found
}

impl Collected {
    fn take_file(&mut self, source: &SourceFile) {
        let file = toml_file::parse(&source.text);
        let at = |line: usize| Origin::File { path: source.path.clone(), line };
        self.broken = file.broken;
        let bad = |bad: toml_file::BadFile| Problem::new(bad.key, Some(at(bad.line)), bad.wrong, "");
        self.problems.extend(file.bad.into_iter().map(bad));
        for (entries, part) in [(file.top, Part::Top), (file.defaults, Part::Defaults)] {
            for entry in entries {
                let origin = at(entry.line);
                take_entry(entry, part, origin, &mut self.shared, &mut self.problems);
            }
        }
        for table in file.chains {
            let mut chain = ChainItems { origin: Some(at(table.line)), ..ChainItems::default() };
            chain.problems.extend(table.bad.into_iter().map(bad));
            for entry in table.entries {
                let origin = at(entry.line);
                take_entry(entry, Part::Chain, origin, &mut chain.items, &mut chain.problems);
            }
            self.chains.push(chain);
        }
    }

    fn take_env_file(&mut self, source: &SourceFile) {
        let (variables, bad) = env_file::parse(&source.text);
        for bad in bad {
            let origin = Origin::File { path: source.path.clone(), line: bad.line };
            self.problems.push(Problem::new(ENV_FILE, Some(origin), bad.wrong, "a line is NAME=value"));
        }
        for variable in variables {
            let (path, line, name) = (source.path.clone(), variable.line, variable.name);
            let origin = Origin::EnvFile { path, line, name: name.clone() };
            let known = self.take(&name, variable.value, &origin, From::EnvFile);
            if known && variable.expandable {
                let text = "has a `$` that is taken as it stands: nothing is expanded";
                self.notes.push(Note::warning(name, None, text));
            }
        }
    }

    fn take_variable(&mut self, name: &OsStr, value: &OsStr) {
        let lossy = name.to_string_lossy();
        let origin = Origin::Env { name: lossy.clone().into_owned() };
        if let Some(value) = value.to_str() {
            self.take(&lossy, value.to_owned(), &origin, From::Env);
        } else if lossy.starts_with(PREFIX) || matches!(meaning(&lossy), Some(Meaning::Key(..))) {
            let wrong = "is not UTF-8 text";
            self.problems.push(Problem::new(lossy.into_owned(), Some(origin), wrong, "write it as UTF-8"));
        }
    }

    /// Takes a variable; whether it means something here.
    fn take(&mut self, name: &str, value: String, origin: &Origin, from: From) -> bool {
        if name.starts_with(PREFIX) {
            self.take_ours(name, value, origin, from);
            return true;
        }
        match meaning(name) {
            Some(Meaning::Key(row, older)) => {
                let rank = from.rank(Rank::OlderEnvFile, Rank::OlderEnv);
                let given = Given { words: Words::One(value), bare: older.bare };
                self.push(Item { key: row.name, given, origin: origin.clone(), rank, older: Some(older) });
                true
            }
            Some(Meaning::Retired(kind, why)) => {
                let (name, text) = (name.to_owned(), why.to_owned());
                self.notes.push(Note { kind, name, key: None, value: None, changed: false, text });
                true
            }
            Some(Meaning::Unknown) => {
                self.notes.push(Note::warning(name, None, "is not known and has no effect"));
                false
            }
            None => false,
        }
    }

    fn take_ours(&mut self, name: &str, value: String, origin: &Origin, from: From) {
        let sources = [variable(CONFIG), variable(ENV_FILE)];
        if OTHER_VARIABLES.contains(&name)
            || (sources.iter().any(|source| source == name) && from == From::Env)
        {
            return;
        }
        if let Some(row) = rows().find(|row| variable(row.name) == name) {
            let (given, rank) = (Given::text(value), from.rank(Rank::EnvFile, Rank::Env));
            return self.push(Item { key: row.name, given, origin: origin.clone(), rank, older: None });
        }
        if let Some((id, row)) = for_one_chain(name) {
            let rank = from.rank(Rank::EnvFileChain, Rank::EnvChain);
            let items = self.by_id.entry(id).or_default();
            if !value.is_empty() {
                items.push(Item {
                    key: row.name,
                    given: Given::text(value),
                    origin: origin.clone(),
                    rank,
                    older: None,
                });
            }
            return;
        }
        let right = match nearest(name, rows().map(|row| variable(row.name)).chain(sources)) {
            Some(known) => format!("did you mean {known}?"),
            None => "docs/configuration.md lists every variable".to_owned(),
        };
        self.problems.push(Problem::new(
            shortened(name),
            Some(origin.clone()),
            "is not a known variable",
            right,
        ));
    }

    /// Takes a value that counts for the process or for all chains. An empty variable counts as none, because compose
    /// files pass on what is not set.
    fn push(&mut self, item: Item) {
        if item.given.one().is_ok_and(|text| !text.is_empty()) {
            self.shared.push(item);
        }
    }

    fn take_flag(&mut self, name: &str, values: &[String]) {
        if [CONFIG, ENV_FILE].contains(&name) {
            return;
        }
        let origin = Origin::Flag { name: name.to_owned() };
        let Some(row) = row(name) else {
            let wrong = "is not a known flag";
            return self.problems.push(Problem::new(
                shortened(name),
                Some(origin),
                wrong,
                suggestion(name, rows()),
            ));
        };
        let words = match values {
            [one] => Words::One(one.clone()),
            many => Words::Many(many.to_vec()),
        };
        if row.exposure == Exposure::Secret {
            let text = "other users of this machine can see flags: use the variable or a file";
            self.notes.push(Note::warning(format!("--{name}"), Some(row.name), text));
        }
        let given = Given { words, bare: Bare::Guess };
        self.shared.push(Item { key: row.name, given, origin, rank: Rank::Flag, older: None });
    }

    /// Says which files with secrets others can read.
    fn warn_of_open_files(&mut self, sources: &Sources) {
        let items = self.shared.iter().chain(self.chains.iter().flat_map(|chain| &chain.items));
        let items: Vec<&Item> = items.chain(self.by_id.values().flatten()).collect();
        let files = [&sources.file, &sources.env_file].into_iter().flatten();
        for file in files.filter(|file| file.readable_by_others) {
            let stands_there = |origin: &Origin| match origin {
                Origin::File { path, .. } | Origin::EnvFile { path, .. } => *path == file.path,
                _ => false,
            };
            let secret = |item: &&&Item| row(item.key).is_some_and(|row| row.exposure == Exposure::Secret);
            let found = items.iter().filter(|item| stands_there(&item.origin)).find(secret);
            if let Some(item) = found {
                let text = "holds secrets and can be read by other users: chmod 600";
                self.notes.push(Note::warning(file.path.display().to_string(), Some(item.key), text));
            }
        }
    }
}

/// Where a variable was found.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum From {
    EnvFile,
    Env,
}

impl From {
    const fn rank(self, file: Rank, env: Rank) -> Rank {
        match self {
            Self::EnvFile => file,
            Self::Env => env,
        }
    }
}

/// Where in the file a key was found.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Part {
    Top,
    Defaults,
    Chain,
}

/// Takes an entry of the file, if it is a key that may stand there.
fn take_entry(entry: Entry, part: Part, origin: Origin, items: &mut Vec<Item>, problems: &mut Vec<Problem>) {
    let named = row(&entry.key);
    let named =
        named.or_else(|| (part == Part::Chain).then(|| row(&format!("chain-{}", entry.key))).flatten());
    let Some(row) = named else {
        let known = rows().filter(|row| (row.scope == Scope::Process) == (part == Part::Top));
        let right = suggestion(&entry.key, known);
        return problems.push(Problem::new(shortened(&entry.key), Some(origin), "is not a known key", right));
    };
    let misplaced = match (row.scope, part) {
        (Scope::Process, Part::Top) | (Scope::Chain(_), Part::Defaults | Part::Chain) => None,
        (Scope::Process, _) => Some(("belongs to the process", "write it above the first table of a chain")),
        (Scope::Chain(_), Part::Top) => {
            Some(("belongs to a chain", "write it under [defaults] or [[chain]]"))
        }
    };
    if let Some((wrong, right)) = misplaced {
        return problems.push(Problem::new(row.name, Some(origin), wrong, right));
    }
    let rank = if part == Part::Chain { Rank::FileChain } else { Rank::File };
    let given = Given { words: entry.words, bare: Bare::Guess };
    items.push(Item { key: row.name, given, origin, rank, older: None });
}

/// The chain and the key of a variable such as `PROOFLOG_CHAIN_10_L1_RPC`.
fn for_one_chain(name: &str) -> Option<(u64, Row)> {
    let (id, key) = name.strip_prefix("PROOFLOG_CHAIN_")?.split_once('_')?;
    let row = rows().find(|row| matches!(row.scope, Scope::Chain(_)) && in_capitals(row.name) == key)?;
    (row.name != "chain-id").then_some((id.parse().ok()?, row))
}

fn suggestion(name: &str, known: impl Iterator<Item = Row>) -> String {
    match nearest(name, known.map(|row| row.name)) {
        Some(known) => format!("did you mean {known}?"),
        None => "docs/configuration.md lists every key".to_owned(),
    }
}

/// An unknown name as it may be shown: a slip may have put a value in its place.
fn shortened(name: &str) -> String {
    let known_prefix = [PREFIX, OLDER_PREFIX].iter().any(|prefix| name.starts_with(prefix));
    let most = if known_prefix { 64 } else { 40 };
    let mut text: String = name.chars().filter(|c| !c.is_control()).take(most).collect();
    if text.len() < name.len() {
        text.push('…');
    }
    text
}
