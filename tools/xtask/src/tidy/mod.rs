//! The rules of the house, checked on every file that git tracks. They run as a test.
//!
//! [`sizes`] keeps files and functions small, [`walls`] keeps rooms to what they may use, [`tree`] finds sources that
//! nobody compiles, manifests that left the lint table and goldens that nobody reads, [`prose`] keeps documents linked.
//! What is over a size today stands in `tidy.toml` ([`ratchet`]) and may only shrink. Each rule has a test in which it
//! fails: a rule that cannot fail is a wish.

mod prose;
mod ratchet;
mod sizes;
mod source;
mod tree;
mod walls;

use std::path::Path;
use std::process::Command;

use source::Source;

/// Something that breaks a rule.
#[derive(Debug, Clone, PartialEq, Eq)]
struct Finding {
    /// The table of `tidy.toml` that may allow it; none if nothing may.
    table: Option<&'static str>,
    /// What it is about: a file, or a file and a function.
    subject: String,
    /// How large it is, where that is the question.
    size: usize,
    /// For people.
    text: String,
}

impl Finding {
    fn never(subject: &str, text: String) -> Self {
        Self { table: None, subject: subject.to_owned(), size: 0, text }
    }

    fn sized(table: &'static str, subject: String, size: usize, text: String) -> Self {
        Self { table: Some(table), subject, size, text }
    }
}

/// Every tracked file, by name; what is not text has no text.
struct Repository {
    files: Vec<(String, String)>,
}

impl Repository {
    fn open(root: &Path) -> Result<Self, String> {
        let output = Command::new("git").args(["ls-files", "-z"]).current_dir(root).output();
        let output = output.map_err(|error| format!("git ls-files: {error}"))?;
        if !output.status.success() || output.stdout.is_empty() {
            return Err(format!("git ls-files names no file: {}", String::from_utf8_lossy(&output.stderr)));
        }
        let names = String::from_utf8_lossy(&output.stdout).into_owned();
        let names = names.split('\0').filter(|name| !name.is_empty() && root.join(name).is_file());
        let text = |name: &str| std::fs::read_to_string(root.join(name)).unwrap_or_default();
        Ok(Self { files: names.map(|name| (name.to_owned(), text(name))).collect() })
    }

    /// Names and texts of the files whose name ends like this.
    fn ending<'a>(&'a self, end: &'a str) -> impl Iterator<Item = (&'a str, &'a str)> {
        let found = self.files.iter().filter(move |(name, _)| name.ends_with(end));
        found.map(|(name, text)| (name.as_str(), text.as_str()))
    }

    /// Rust sources that people write. What a generator writes is as long as it is.
    fn written(&self) -> impl Iterator<Item = (&str, &str)> {
        self.ending(".rs").filter(|(name, _)| !name.contains("/src/generated/"))
    }

    fn has(&self, name: &str) -> bool {
        let folder = format!("{name}/");
        self.files.iter().any(|(file, _)| file == name || file.starts_with(&folder))
    }
}

/// Everything that breaks a rule, one line each.
pub(crate) fn check(root: &Path) -> Result<Vec<String>, String> {
    let repository = Repository::open(root)?;
    let allowed = std::fs::read_to_string(root.join(ratchet::FILE)).unwrap_or_default();
    ratchet::apply(&findings(&repository)?, &allowed)
}

/// Files that are worth splitting already; they break no rule.
pub(crate) fn thoughts(root: &Path) -> Result<Vec<String>, String> {
    let repository = Repository::open(root)?;
    let sources = repository.written().map(|(name, text)| Source::parse(name, text));
    let sources = sources.collect::<Result<Vec<_>, _>>()?;
    Ok(sources.iter().filter_map(sizes::thought).collect())
}

fn findings(repository: &Repository) -> Result<Vec<Finding>, String> {
    let sources = repository.written().map(|(name, text)| Source::parse(name, text));
    let mut sources = sources.collect::<Result<Vec<_>, _>>()?;
    tree::mark_tests(&mut sources);
    let mut found = Vec::new();
    for source in &sources {
        found.extend(sizes::check(source));
        found.extend(walls::check(source));
        found.extend(prose::opening(source));
    }
    found.extend(tree::check(repository, &sources)?);
    found.extend(prose::documents(repository));
    Ok(found)
}

#[cfg(test)]
mod tests {
    #![expect(clippy::unwrap_used, reason = "tests")]
    use super::*;

    #[test]
    fn the_repository_is_tidy() {
        let found = check(&crate::root()).unwrap();
        assert!(found.is_empty(), "{} findings:\n{}", found.len(), found.join("\n"));
    }

    #[test]
    fn a_folder_that_git_does_not_know_is_an_error_and_not_tidy() {
        assert!(check(Path::new("/")).is_err());
    }
}
