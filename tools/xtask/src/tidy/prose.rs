//! Prose: what every file opens with, and documents that can be found.
//!
//! A document that nothing links is read by nobody and goes stale; a link that leads nowhere is worse than none.

use super::source::Source;
use super::{Finding, Repository};

/// A file this short, and any test, explains itself in one line.
const SHORT_FILE_LINES: usize = 120;
const OPENING_LINES_MIN: usize = 3;
const OPENING_LINES_MAX: usize = 15;

/// Whether the file opens by saying what it is for, what holds in it, and what a crash in it means.
pub(super) fn opening(source: &Source) -> Option<Finding> {
    let is_short = source.test || source.code_lines() < SHORT_FILE_LINES;
    let least = if is_short { 1 } else { OPENING_LINES_MIN };
    let (name, lines) = (&source.name, source.opening);
    (lines < least || lines > OPENING_LINES_MAX).then(|| {
        let text = format!(
            "{name}: opens with {lines} lines of `//!`, {least} to {OPENING_LINES_MAX} say what it is for"
        );
        Finding::never(name, text)
    })
}

/// Documents that nothing links, and links that lead nowhere.
pub(super) fn documents(repository: &Repository) -> Vec<Finding> {
    let mut found = Vec::new();
    let mut linked = Vec::new();
    for (name, text) in repository.ending(".md") {
        for target in links(text) {
            let path = resolve(name, target);
            if !repository.has(&path) {
                found.push(Finding::never(name, format!("{name}: the link to `{target}` leads nowhere")));
            }
            if path != name {
                linked.push(path);
            }
        }
    }
    let documents = repository.ending(".md").filter(|(name, _)| name.starts_with("docs/"));
    for (name, _) in documents {
        // A link to a folder leads to its README.
        let folder = name.strip_suffix("/README.md");
        if !linked.iter().any(|path| path == name || Some(path.as_str()) == folder) {
            found.push(Finding::never(name, format!("{name}: nothing links it")));
        }
    }
    found
}

/// Relative targets of `[text](target)`, outside of code.
fn links(text: &str) -> Vec<&str> {
    let mut in_code = false;
    let mut found = Vec::new();
    for line in text.lines() {
        if line.trim_start().starts_with("```") {
            in_code = !in_code;
        } else if !in_code {
            let targets = line.split("](").skip(1).filter_map(|rest| rest.split(')').next());
            found.extend(targets.map(|target| target.split('#').next().unwrap_or(target)));
        }
    }
    found.retain(|target| !target.is_empty() && !target.contains("://") && !target.starts_with("mailto:"));
    found
}

/// `target` as named in `file`, from the top of the repository.
fn resolve(file: &str, target: &str) -> String {
    let mut parts: Vec<&str> = file.split('/').collect();
    parts.pop();
    for part in target.split('/') {
        match part {
            "" | "." => {}
            ".." => drop(parts.pop()),
            part => parts.push(part),
        }
    }
    parts.join("/")
}

#[cfg(test)]
mod tests {
    #![expect(clippy::unwrap_used, reason = "tests")]
    use super::*;

    #[test]
    fn a_file_opens_with_what_it_is_for() {
        let is_found = |text: &str| opening(&Source::parse("src/x.rs", text).unwrap()).is_some();
        let long = "// line\n".repeat(SHORT_FILE_LINES);
        assert!(is_found("fn f() {}"));
        assert!(!is_found("//! One.\nfn f() {}"));
        assert!(is_found(&format!("//! One.\n//! Two.\n{long}")));
        assert!(!is_found(&format!("//! One.\n//!\n//! Three.\n{long}")));
        assert!(is_found(&"//! More.\n".repeat(OPENING_LINES_MAX + 1)));
    }

    #[test]
    fn documents_are_linked_and_links_lead_somewhere() {
        let files = [
            ("README.md", "[a](docs/a.md) [d](docs/d/) [gone](docs/gone.md#part) [web](https://example.org)"),
            ("docs/a.md", "[up](../README.md) [self](a.md)\n```\n[code](none.md)\n```\n"),
            ("docs/d/README.md", ""),
            ("docs/lost.md", "[self](lost.md)"),
        ];
        let files = files.map(|(name, text)| (name.to_owned(), text.to_owned())).to_vec();
        let found: Vec<String> =
            documents(&Repository { files }).into_iter().map(|finding| finding.text).collect();
        assert_eq!(
            found,
            ["README.md: the link to `docs/gone.md` leads nowhere", "docs/lost.md: nothing links it"]
        );
    }
}
