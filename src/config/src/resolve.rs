//! From items to settings: for each key the item of the highest rank wins.
//!
//! Every item is read, so that a wrong one that loses is reported too; what counts for all chains is reported once. What
//! the operator should know about older names is said here, because only here is known which of them counted.

use std::collections::BTreeMap;

use prooflog_events::ids::ChainId;
use prooflog_net::Salt;

use crate::check;
use crate::collect::{ChainItems, Collected, Item, Rank};
use crate::draft::ChainDraft;
use crate::effective::EffectiveValue;
use crate::kinds::{Context, Given};
use crate::problem::{Note, NoteKind, Origin, Problem};
use crate::process::ProcessConfig;
use crate::table::{Key, Program, Scope, Sharing, chain_keys, process_keys, row};

/// Where the value of each key came from; what is not in it has its default.
pub(crate) type Origins = BTreeMap<&'static str, Origin>;

/// A rollup before it is checked.
pub(crate) struct Draft {
    pub(crate) chain: ChainDraft,
    pub(crate) origins: Origins,
    pub(crate) problems: Vec<Problem>,
    /// Its name, or its place in the file.
    pub(crate) called: String,
}

/// Everything before it is checked.
pub(crate) struct Resolved {
    pub(crate) process: ProcessConfig,
    pub(crate) process_origins: Origins,
    pub(crate) drafts: Vec<Draft>,
    pub(crate) problems: Vec<Problem>,
    pub(crate) notes: Vec<Note>,
    pub(crate) broken: bool,
}

/// Reads every item.
pub(crate) fn resolve(mut found: Collected, salt: Salt) -> Resolved {
    refuse_quarrels(&mut found);
    refuse_what_belongs_to_one(&mut found);
    let mut reader =
        Reader { context: Context { salt, hint: None }, problems: found.problems, notes: found.notes };
    let (mut process, mut process_origins) = (ProcessConfig::default(), Origins::new());
    reader.fill(process_keys(), &found.shared, &mut process, &mut process_origins);
    // What counts for all chains is read once for its problems, then for each chain.
    let (mut common, mut common_origins) = (ChainDraft::default(), Origins::new());
    reader.fill(chain_keys(), &found.shared, &mut common, &mut common_origins);
    say_what_was_mapped(&found.shared, &mut process, &mut common, &mut reader);
    let every: Vec<&Item> =
        found.shared.iter().chain(found.chains.iter().flat_map(|chain| &chain.items)).collect();
    say_other_defaults(&every, &mut reader);
    let mut drafts = Vec::new();
    for (number, chain) in (1_usize..).zip(&found.chains) {
        drafts.push(reader.draft(number, chain, &found.shared, &mut found.by_id));
    }
    for (id, items) in found.by_id {
        let right = "name the chain in the file, or set PROOFLOG_CHAIN_ID".to_owned();
        let origin = items.first().map(|item| item.origin.clone());
        reader.problems.push(Problem::new(
            format!("PROOFLOG_CHAIN_{id}_*"),
            origin,
            "no chain has this id",
            right,
        ));
    }
    let Reader { problems, notes, .. } = reader;
    Resolved { process, process_origins, drafts, problems, notes, broken: found.broken }
}

/// What reading needs and leaves behind.
struct Reader {
    context: Context,
    problems: Vec<Problem>,
    notes: Vec<Note>,
}

impl Reader {
    /// Reads the items of each key in the order of their ranks, so that the highest stays.
    fn fill<'a, T: 'static>(
        &mut self,
        keys: impl Iterator<Item = &'static Key<T>>,
        items: impl IntoIterator<Item = &'a Item>,
        target: &mut T,
        origins: &mut Origins,
    ) {
        let mut by_key: BTreeMap<&str, Vec<&Item>> = BTreeMap::new();
        for item in items {
            by_key.entry(item.key).or_default().push(item);
        }
        for key in keys {
            let mut items = by_key.remove(key.name).unwrap_or_default();
            items.sort_by_key(|item| item.rank);
            for item in items {
                self.context.hint = None;
                match key.place.set(target, &item.given, &mut self.context) {
                    Ok(()) => drop(origins.insert(key.name, item.origin.clone())),
                    Err(wrong) => {
                        let right = format!("it must be {}", key.place.right());
                        self.problems.push(Problem::new(key.name, Some(item.origin.clone()), wrong, right));
                    }
                }
                if let Some(hint) = self.context.hint.take() {
                    self.notes.push(Note::warning(item.origin.to_string(), Some(key.name), hint));
                }
            }
        }
    }

    fn draft(
        &mut self,
        number: usize,
        items: &ChainItems,
        shared: &[Item],
        by_id: &mut BTreeMap<u64, Vec<Item>>,
    ) -> Draft {
        let mut aside = self.aside();
        let (mut chain, mut origins) = (ChainDraft::default(), Origins::new());
        // Which variables are meant for this chain depends on its id.
        let id = chain_keys().filter(|key| key.name == "chain-id");
        aside.fill(id, shared.iter().chain(&items.items), &mut chain, &mut origins);
        let own = chain.id.and_then(|id| by_id.remove(&id)).unwrap_or_default();
        // The problems of its own items are its own; those of shared ones have been said.
        let mut only_own = self.aside();
        let (mut scratch, mut unused) = (ChainDraft::default(), Origins::new());
        only_own.fill(chain_keys(), items.items.iter().chain(&own), &mut scratch, &mut unused);
        self.notes.append(&mut only_own.notes);
        aside.fill(chain_keys(), shared.iter().chain(&items.items).chain(&own), &mut chain, &mut origins);
        let called = check::name(&chain).unwrap_or_else(|| match &items.origin {
            Some(origin) => format!("number {number} ({origin})"),
            None => format!("number {number}"),
        });
        let problems = items.problems.iter().cloned().chain(only_own.problems).collect();
        Draft { chain, origins, problems, called }
    }

    fn aside(&self) -> Self {
        let context = Context { salt: self.context.salt, hint: None };
        Self { context, problems: Vec::new(), notes: Vec::new() }
    }
}

/// Two older names, or one with and without prefix, that say different things: which one counted depended on the
/// program that read them.
fn refuse_quarrels(found: &mut Collected) {
    let older: Vec<&Item> = found.shared.iter().filter(|item| item.older.is_some()).collect();
    let mut problems = Vec::new();
    for (at, item) in older.iter().enumerate() {
        let same = |other: &&&Item| other.key == item.key && other.rank == item.rank;
        let earlier = older.get(..at).unwrap_or_default().iter().find(same);
        let beaten = found.shared.iter().any(|other| other.key == item.key && other.rank > item.rank);
        if let Some(other) = earlier.filter(|other| other.given.words != item.given.words && !beaten) {
            let wrong = format!("{} and {} say different things", other.origin, item.origin);
            let right = format!("keep one of them, or set {}", crate::table::variable(item.key));
            problems.push(Problem::new(item.key, Some(item.origin.clone()), wrong, right));
        }
    }
    found.problems.append(&mut problems);
}

/// With several chains, what can belong to one only must be said by each.
fn refuse_what_belongs_to_one(found: &mut Collected) {
    if found.chains.len() < 2 {
        return;
    }
    let own = |key: &str| row(key).is_some_and(|row| row.scope == Scope::Chain(Sharing::Own));
    let (wrong, kept): (Vec<Item>, Vec<Item>) = found.shared.drain(..).partition(|item| own(item.key));
    found.shared = kept;
    let right = "with several chains, write it in each [[chain]]";
    let problem =
        |item: Item| Problem::new(item.key, Some(item.origin), "can belong to one chain only", right);
    found.problems.extend(wrong.into_iter().map(problem));
}

/// Which older names were read, as what.
fn say_what_was_mapped(
    items: &[Item],
    process: &mut ProcessConfig,
    common: &mut ChainDraft,
    reader: &mut Reader,
) {
    for item in items {
        let Some(older) = item.older else { continue };
        let winner = items.iter().filter(|other| other.key == item.key).max_by_key(|other| other.rank);
        let beaten = winner.filter(|winner| winner.rank > item.rank);
        let mut text: Vec<String> = Vec::new();
        if let Some(winner) = beaten {
            text.push(format!("not used, because of {}.", winner.origin));
        } else if let Some(loser) =
            items.iter().find(|other| other.key == item.key && other.rank == Rank::File)
        {
            text.push(format!("beats {}.", loser.origin));
        }
        let said = [older.changed, older.remark].into_iter().filter(|said| !said.is_empty());
        text.extend(said.map(str::to_owned));
        let differ = defaults_differ(older.defaults);
        if !differ.is_empty() {
            text.push(format!("Its default was {differ}."));
        }
        let value = beaten.is_none().then(|| shown(item.key, process, common));
        let (kind, name, changed) = (NoteKind::Mapped, name_of(&item.origin), !older.changed.is_empty());
        reader.notes.push(Note { kind, name, key: Some(item.key), value, changed, text: text.join(" ") });
    }
}

/// The variable that an origin names.
fn name_of(origin: &Origin) -> String {
    match origin {
        Origin::EnvFile { name, .. } | Origin::Env { name } | Origin::Flag { name } => name.clone(),
        Origin::Default | Origin::File { .. } => origin.to_string(),
    }
}

fn shown(key: &str, process: &mut ProcessConfig, common: &mut ChainDraft) -> String {
    let of_process = process_keys().find(|known| known.name == key).map(|known| known.place.show(process));
    let of_chain = || chain_keys().find(|known| known.name == key).map(|known| known.place.show(common));
    of_process.or_else(of_chain).unwrap_or_default()
}

/// What each program took by default, if they did not agree.
fn defaults_differ(defaults: &[(Program, &str)]) -> String {
    let first = defaults.first().map(|(_, value)| value);
    if defaults.iter().all(|(_, value)| Some(value) == first) {
        return String::new();
    }
    let each = defaults.iter().map(|(program, value)| format!("{value} ({})", program.name()));
    each.collect::<Vec<_>>().join(", ")
}

/// For who comes from an older proposer: keys that nobody set, and that had another default there.
fn say_other_defaults(items: &[&Item], reader: &mut Reader) {
    let older: Vec<_> = items.iter().filter_map(|item| item.older).collect();
    if older.is_empty() {
        return;
    }
    // A name that only one program knew tells which one it was.
    let alone = |older: &&crate::table::Older| match older.defaults {
        [(program, _), rest @ ..] => rest.is_empty().then_some(*program),
        [] => None,
    };
    let mut seen: Vec<Program> = older.iter().filter_map(alone).collect();
    if seen.contains(&Program::Go) {
        seen.push(Program::GoCompose);
    }
    let context = &mut Context { salt: reader.context.salt, hint: None };
    let set = |key: &str| items.iter().any(|item| item.key == key);
    for key in process_keys().filter(|key| !set(key.name)) {
        reader.notes.extend(other_default(key, ProcessConfig::default, &seen, context));
    }
    for key in chain_keys().filter(|key| !set(key.name)) {
        reader.notes.extend(other_default(key, ChainDraft::default, &seen, context));
    }
}

fn other_default<T: 'static>(
    key: &Key<T>,
    default: fn() -> T,
    seen: &[Program],
    context: &mut Context,
) -> Option<Note> {
    let ours = key.place.show(&mut default());
    let mut differing: Vec<String> = Vec::new();
    for older in key.older {
        for (program, value) in older.defaults {
            let given = Given { bare: older.bare, ..Given::text((*value).to_owned()) };
            let mut theirs = default();
            let read = !value.is_empty() && key.place.set(&mut theirs, &given, context).is_ok();
            if read && (seen.is_empty() || seen.contains(program)) && key.place.show(&mut theirs) != ours {
                differing.push(format!(
                    "{} ({}, {})",
                    key.place.show(&mut theirs),
                    older.name,
                    program.name()
                ));
            }
        }
    }
    if differing.is_empty() {
        return None;
    }
    let ours = if ours.is_empty() { "nothing".to_owned() } else { ours };
    let text = format!("is not set: {ours} here, before {}", differing.join(", "));
    let (kind, name) = (NoteKind::DefaultDiffers, key.name.to_owned());
    Some(Note { kind, name, key: Some(key.name), value: None, changed: false, text })
}

/// The value in force of every key of `T`.
pub(crate) fn effective<T: 'static>(
    keys: impl Iterator<Item = &'static Key<T>>,
    target: &mut T,
    origins: &Origins,
    chain: Option<ChainId>,
) -> Vec<EffectiveValue> {
    let value = |key: &'static Key<T>| EffectiveValue {
        chain,
        key: key.name,
        value: key.place.show(target),
        origin: origins.get(key.name).cloned().unwrap_or(Origin::Default),
    };
    keys.map(value).collect()
}
