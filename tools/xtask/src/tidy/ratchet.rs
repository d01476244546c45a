//! What is over a size today, and may only shrink.
//!
//! `tidy.toml` has one table per rule and in it one entry per subject with its size. An entry that is larger than its
//! subject, or whose subject is within the rule, is a finding too: so the file never allows more than there is.

use std::collections::BTreeMap;

use super::Finding;

/// Where the entries stand.
pub(super) const FILE: &str = "tools/xtask/tidy.toml";

/// The findings that `allowed` does not cover, and the entries of it that are out of date.
pub(super) fn apply(found: &[Finding], allowed: &str) -> Result<Vec<String>, String> {
    let tables: BTreeMap<String, BTreeMap<String, usize>> =
        toml::from_str(allowed).map_err(|error| format!("{FILE}: {error}"))?;
    let limit_of =
        |table: &str, subject: &str| tables.get(table).and_then(|entries| entries.get(subject)).copied();
    let mut texts = Vec::new();
    let mut sizes: BTreeMap<(&str, &str), usize> = BTreeMap::new();
    for finding in found {
        let limit = finding.table.and_then(|table| limit_of(table, &finding.subject));
        if limit.is_none_or(|limit| finding.size > limit) {
            texts.push(finding.text.clone());
        }
        if let Some(table) = finding.table {
            let size = sizes.entry((table, &finding.subject)).or_default();
            *size = finding.size.max(*size);
        }
    }
    for (table, entries) in &tables {
        for (subject, limit) in entries {
            match sizes.get(&(table.as_str(), subject.as_str())) {
                None => {
                    texts.push(format!("{FILE}: [{table}] \"{subject}\" is not needed any more: delete it"))
                }
                Some(size) if size < limit => {
                    texts.push(format!("{FILE}: [{table}] \"{subject}\" has shrunk to {size}: say so"));
                }
                Some(_) => {}
            }
        }
    }
    Ok(texts)
}

#[cfg(test)]
mod tests {
    #![expect(clippy::unwrap_used, reason = "tests")]
    use super::*;

    fn found(size: usize) -> Vec<Finding> {
        vec![Finding::sized("file", "a.rs".to_owned(), size, "large".to_owned())]
    }

    #[test]
    fn what_was_too_large_may_only_shrink() {
        let allowed = "[file]\n\"a.rs\" = 800\n";
        assert!(apply(&found(800), allowed).unwrap().is_empty());
        assert_eq!(apply(&found(801), allowed).unwrap(), ["large"]);
        assert_eq!(apply(&found(800), "").unwrap(), ["large"]);
        assert_eq!(apply(&found(790), allowed).unwrap().len(), 1);
        assert_eq!(apply(&[], allowed).unwrap().len(), 1);
        assert!(apply(&[], "not toml").is_err());
    }

    #[test]
    fn what_has_no_size_is_never_allowed() {
        let finding = vec![Finding::never("a.rs", "banned".to_owned())];
        assert_eq!(apply(&finding, "[word]\n\"a.rs\" = 1\n").unwrap().len(), 2);
    }
}
