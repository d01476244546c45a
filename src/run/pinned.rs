//! A rollup's configuration as its node told it before, and what is different now.
//!
//! A node that was upgraded may tell of a fork before it is active. Proofs are made under what the prover's server reads,
//! and whether they count is for the contract to say, which the server is asked about before anything is bought; nothing
//! is decided here. But who sees the hash rejected wants to know which value changed. What a crash in here means: the
//! difference is told once more.

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};

use prooflog_events::ids::ChainId;

/// Values of a configuration by their paths.
pub(crate) type Values = BTreeMap<String, String>;

/// A value that is not what it was; `None` where it is not told.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Changed {
    /// Its path.
    pub(crate) field: String,
    /// As it was told before.
    pub(crate) before: Option<String>,
    /// As it is told now.
    pub(crate) now: Option<String>,
}

impl std::fmt::Display for Changed {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        let shown = |value: &Option<String>| value.clone().unwrap_or_else(|| "nothing".to_owned());
        write!(f, "{} was {} and is {}", self.field, shown(&self.before), shown(&self.now))
    }
}

fn file(dir: &Path, chain: ChainId) -> PathBuf {
    dir.join(format!("rollup-{chain}.json"))
}

/// What is different from what was told before; nothing where nothing was. A file that cannot be read is none.
pub(crate) fn changed(dir: &Path, chain: ChainId, now: &Values) -> Vec<Changed> {
    let kept = std::fs::read(file(dir, chain)).ok();
    let kept: Option<Values> = kept.and_then(|bytes| serde_json::from_slice(&bytes).ok());
    let Some(kept) = kept else { return Vec::new() };
    let mut fields: Vec<&String> = kept.keys().chain(now.keys()).collect();
    fields.sort_unstable();
    fields.dedup();
    fields
        .into_iter()
        .filter(|field| kept.get(*field) != now.get(*field))
        .map(|field| Changed {
            field: field.clone(),
            before: kept.get(field).cloned(),
            now: now.get(field).cloned(),
        })
        .collect()
}

/// Keeps a configuration for the next start to compare with, as a whole or not at all.
pub(crate) fn keep(dir: &Path, chain: ChainId, values: &Values) {
    let path = file(dir, chain);
    let new = path.with_extension("new");
    let written = serde_json::to_vec_pretty(values)
        .map_err(std::io::Error::other)
        .and_then(|bytes| std::fs::write(&new, bytes))
        .and_then(|()| std::fs::rename(&new, &path));
    if let Err(error) = written {
        tracing::warn!(%error, path = %path.display(), "the rollup's configuration is not kept");
    }
}

#[cfg(test)]
#[expect(clippy::unwrap_used, reason = "tests")]
mod tests {
    use super::*;

    fn values(pairs: &[(&str, &str)]) -> Values {
        pairs.iter().map(|(field, value)| ((*field).to_owned(), (*value).to_owned())).collect()
    }

    #[test]
    fn what_changed_is_told_value_by_value_until_it_is_kept() {
        let dir = tempfile::tempdir().unwrap();
        let chain = ChainId(10);
        let before = values(&[("block_time", "2"), ("fjord_time", "7"), ("genesis.l2.number", "0")]);
        assert_eq!(changed(dir.path(), chain, &before), [], "nothing was told before");
        keep(dir.path(), chain, &before);
        let now = values(&[("block_time", "2"), ("genesis.l2.number", "1"), ("isthmus_time", "99")]);
        let told: Vec<String> = changed(dir.path(), chain, &now).iter().map(ToString::to_string).collect();
        assert_eq!(
            told,
            [
                "fjord_time was 7 and is nothing",
                "genesis.l2.number was 0 and is 1",
                "isthmus_time was nothing and is 99"
            ]
        );
        assert_eq!(changed(dir.path(), ChainId(11), &now), [], "another rollup's");
        keep(dir.path(), chain, &now);
        assert_eq!(changed(dir.path(), chain, &now), []);
        std::fs::write(file(dir.path(), chain), "{").unwrap();
        assert_eq!(changed(dir.path(), chain, &before), [], "what cannot be read is told from anew");
    }
}
