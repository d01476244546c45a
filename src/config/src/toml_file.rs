//! The configuration file: TOML, taken apart into keys, texts and lines.
//!
//! Tables and dots mean the same, `_` in a key means `-`. What the TOML reader says is reported with its line and its
//! reason and never with the text that it quotes, because that line may hold a secret.

use toml::Spanned;
use toml::de::{DeTable, DeValue};

use crate::kinds::Words;

/// Most bytes of a configuration file.
pub(crate) const FILE_BYTES_MAX: usize = 1 << 20;
/// Most rollups of one process.
const CHAINS_MAX: usize = 1_000;

/// A key and its value as the file has them. No Debug: the value may be a secret.
#[derive(Clone, PartialEq, Eq)]
pub(crate) struct Entry {
    /// With dots for tables and `-` for `_`.
    pub(crate) key: String,
    pub(crate) words: Words,
    /// From 1.
    pub(crate) line: usize,
}

/// What is wrong with the file as such.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct BadFile {
    /// The key, where there is one.
    pub(crate) key: String,
    /// From 1.
    pub(crate) line: usize,
    pub(crate) wrong: String,
}

/// One `[[chain]]`.
#[derive(Default)]
pub(crate) struct ChainTable {
    pub(crate) entries: Vec<Entry>,
    pub(crate) bad: Vec<BadFile>,
    /// Where it begins, from 1.
    pub(crate) line: usize,
}

/// The file, taken apart.
#[derive(Default)]
pub(crate) struct File {
    pub(crate) top: Vec<Entry>,
    pub(crate) defaults: Vec<Entry>,
    pub(crate) chains: Vec<ChainTable>,
    pub(crate) bad: Vec<BadFile>,
    /// Whether it is TOML at all. If not, nothing in it was believed.
    pub(crate) broken: bool,
}

/// Takes a file apart.
pub(crate) fn parse(text: &str) -> File {
    let text = text.strip_prefix('\u{feff}').unwrap_or(text);
    let lines = Lines::new(text);
    let mut file = File::default();
    let (table, errors) = DeTable::parse_recoverable(text);
    if !errors.is_empty() {
        file.broken = true;
        for error in errors {
            let line = error.span().map_or(1, |span| lines.of(span.start));
            file.bad.push(BadFile { key: "file".to_owned(), line, wrong: error.message().to_owned() });
        }
        file.bad.dedup_by_key(|bad| bad.line);
        return file;
    }
    for (key, value) in table.get_ref() {
        match (key.get_ref().as_ref(), value.get_ref()) {
            ("defaults", DeValue::Table(table)) => {
                flatten("", table, &lines, &mut (&mut file.defaults, &mut file.bad));
            }
            ("chain", DeValue::Array(chains)) => take_chains(chains.iter(), &lines, &mut file),
            ("chain" | "defaults", _) => file.bad.push(BadFile {
                key: key.get_ref().to_string(),
                line: lines.of(key.span().start),
                wrong: "is not written as `[[chain]]`, `[defaults]`".to_owned(),
            }),
            _ => entry("", key, value, &lines, &mut (&mut file.top, &mut file.bad)),
        }
    }
    once(&mut file.top, &mut file.bad);
    once(&mut file.defaults, &mut file.bad);
    file
}

fn take_chains<'a, 'b: 'a>(
    chains: impl Iterator<Item = &'a Spanned<DeValue<'b>>>,
    lines: &Lines,
    file: &mut File,
) {
    for chain in chains {
        let line = lines.of(chain.span().start);
        let DeValue::Table(table) = chain.get_ref() else {
            let wrong = "is not a table".to_owned();
            file.bad.push(BadFile { key: "chain".to_owned(), line, wrong });
            continue;
        };
        if file.chains.len() >= CHAINS_MAX {
            let wrong = format!("there are more than {CHAINS_MAX}");
            return file.bad.push(BadFile { key: "chain".to_owned(), line, wrong });
        }
        let mut found = ChainTable { line, ..ChainTable::default() };
        flatten("", table, lines, &mut (&mut found.entries, &mut found.bad));
        once(&mut found.entries, &mut found.bad);
        file.chains.push(found);
    }
}

/// Where entries and complaints go.
type Out<'a> = (&'a mut Vec<Entry>, &'a mut Vec<BadFile>);

fn flatten(prefix: &str, table: &DeTable<'_>, lines: &Lines, out: &mut Out<'_>) {
    for (key, value) in table {
        entry(prefix, key, value, lines, out);
    }
}

fn entry(
    prefix: &str,
    key: &Spanned<std::borrow::Cow<'_, str>>,
    value: &Spanned<DeValue<'_>>,
    lines: &Lines,
    out: &mut Out<'_>,
) {
    let line = lines.of(key.span().start);
    let dot = if prefix.is_empty() { "" } else { "." };
    let key = format!("{prefix}{dot}{}", key.get_ref().replace('_', "-"));
    let words = match value.get_ref() {
        DeValue::Table(table) => return flatten(&key, table, lines, out),
        DeValue::Array(values) => {
            values.iter().map(|value| scalar(value.get_ref())).collect::<Option<_>>().map(Words::Many)
        }
        value => scalar(value).map(Words::One),
    };
    match words {
        Some(words) => out.0.push(Entry { key, words, line }),
        None => {
            out.1.push(BadFile { key, line, wrong: "is a list of something else than values".to_owned() })
        }
    }
}

/// A single value as text.
fn scalar(value: &DeValue<'_>) -> Option<String> {
    match value {
        DeValue::String(text) => Some(text.to_string()),
        DeValue::Integer(number) => Some(number.to_string()),
        DeValue::Float(number) => Some(number.to_string()),
        DeValue::Boolean(switch) => Some(switch.to_string()),
        DeValue::Datetime(time) => Some(time.to_string()),
        DeValue::Array(_) | DeValue::Table(_) => None,
    }
}

/// A key in two spellings is two values, and nobody can say which one counts.
fn once(entries: &mut Vec<Entry>, bad: &mut Vec<BadFile>) {
    entries.sort_by_key(|entry| entry.line);
    let mut seen = std::collections::BTreeMap::new();
    entries.retain(|entry| match seen.get(&entry.key) {
        None => {
            seen.insert(entry.key.clone(), entry.line);
            true
        }
        Some(first) => {
            let wrong = format!("stands in line {first} already, in another spelling");
            bad.push(BadFile { key: entry.key.clone(), line: entry.line, wrong });
            false
        }
    });
}

/// Where lines begin.
struct Lines(Vec<usize>);

impl Lines {
    fn new(text: &str) -> Self {
        Self(text.match_indices('\n').map(|(at, _)| at + 1).collect())
    }

    /// The line of a byte, from 1.
    fn of(&self, byte: usize) -> usize {
        self.0.partition_point(|begin| *begin <= byte) + 1
    }
}

#[cfg(test)]
mod tests {
    #![expect(clippy::unwrap_used, reason = "tests")]
    use proptest::prelude::*;

    use super::*;

    fn keys(entries: &[Entry]) -> Vec<(&str, usize)> {
        entries.iter().map(|entry| (entry.key.as_str(), entry.line)).collect()
    }

    #[test]
    fn tables_dots_and_underscores_are_the_same_key() {
        let text = "data_dir = \"x\"\nrpc.port = 1\n[metrics]\nport = 2\n\n[defaults.span]\nblocks = 3\n\
                    [[chain]]\nid = 10\n[chain.prover]\nurl = \"u\"\n[[chain]]\nid = 11\n";
        let file = parse(text);
        assert!(!file.broken && file.bad.is_empty());
        assert_eq!(keys(&file.top), [("data-dir", 1), ("rpc.port", 2), ("metrics.port", 4)]);
        assert_eq!(keys(&file.defaults), [("span.blocks", 7)]);
        assert_eq!(file.chains.len(), 2);
        let first = file.chains.first().unwrap();
        assert_eq!((first.line, keys(&first.entries)), (8, vec![("id", 9), ("prover.url", 11)]));
    }

    #[test]
    fn two_spellings_of_a_key_are_refused() {
        let file = parse("[defaults]\nl1_rpc = \"a\"\nl1-rpc = \"b\"\n");
        assert_eq!(file.bad.iter().map(|bad| bad.line).collect::<Vec<_>>(), [3]);
    }

    #[test]
    fn every_error_of_the_reader_has_its_line_and_quotes_nothing() {
        let file = parse("a = 1\nprivate-key = hunter2\nb = \"hunter2\nc = 3\nmnemonic hunter2\n");
        assert!(file.broken);
        let lines: Vec<usize> = file.bad.iter().map(|bad| bad.line).collect();
        assert!(lines.contains(&2) && lines.contains(&3), "{lines:?}");
        assert!(!format!("{:?}", file.bad).contains("hunter2"), "{:?}", file.bad);
    }

    #[test]
    fn numbers_keep_how_they_were_written() {
        let file =
            parse("a = 0x5aAeb6053F3E94C9b9A09f33669435E7Ef1BeAed\nb = 0.5\nc = [1, \"x\"]\nd = [[1]]\n");
        let words: Vec<_> = file.top.iter().map(|entry| entry.words.clone()).collect();
        assert!(words.first().unwrap() == &Words::One("0x5aAeb6053F3E94C9b9A09f33669435E7Ef1BeAed".into()));
        assert!(words.get(2).unwrap() == &Words::Many(vec!["1".into(), "x".into()]));
        assert_eq!(file.bad.len(), 1);
    }

    proptest! {
        #[test]
        fn no_text_makes_the_reader_panic(text in "([a-c=\\[\\].\"'# \n{}0-9,_-]|chain|defaults|.){0,80}") {
            let _ = parse(&text);
        }
    }
}
