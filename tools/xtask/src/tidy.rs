//! The rules of the house, checked on the sources that git tracks.
//!
//! Sizes: a file of at most 700 lines, a function of at most 70, five parameters, no bool parameter in a public
//! function; tests do not count. Prose: every file opens with a module comment of 3 to 15 lines, short ones and tests of at least one. Walls: what a room may
//! not call ([`WALLS`]). What is over a size today stands in `tidy.txt` with its size, and may only shrink.

use std::path::{Path, PathBuf};
use std::process::Command;

use syn::spanned::Spanned as _;
use syn::visit::Visit;

const MAX_FILE_LINES: usize = 700;
const MAX_FUNCTION_LINES: usize = 70;
const MAX_PARAMETERS: usize = 5;
/// A file this short explains itself in one line.
const SHORT_FILE_LINES: usize = 120;
const MODULE_COMMENT_LINES: std::ops::RangeInclusive<usize> = 3..=15;

/// Words that the files of a room may not contain, and why.
pub(crate) const WALLS: &[(&str, &[&str], &str)] = &[
    ("events/src/", PURE, "the words of the log are pure"),
    ("projections/src/", PURE, "folds are pure"),
    ("src/core/src/", PURE, "the core is pure"),
    ("", &["todo!(", "unimplemented!(", "dbg!(", "#[ignore"], "nothing is left open"),
];

const PURE: &[&str] = &[
    "SystemTime",
    "Instant::now",
    "HashMap",
    "HashSet",
    "rand::",
    "async fn",
    "std::fs",
    "std::net",
    "std::thread",
    "std::env",
    "f32",
    "f64",
];

/// Crates that only some rooms may name.
const OWNERS: &[(&str, &[&str])] = &[
    ("rocksdb::", &["events/store/", "tools/bench/"]),
    ("alloy::", &["src/l1/"]),
    ("reqwest::", &["src/prover/", "src/l1/", "src/node/"]),
];

/// Everything that breaks a rule, one line each.
pub(crate) fn check(root: &Path) -> Result<Vec<String>, String> {
    let allowed = std::fs::read_to_string(root.join("tools/xtask/tidy.txt")).unwrap_or_default();
    let mut found = Vec::new();
    for file in tracked(root)? {
        let name = file.to_string_lossy().into_owned();
        let Ok(source) = std::fs::read_to_string(root.join(&file)) else { continue };
        found.extend(check_file(&name, &source)?);
    }
    Ok(ratchet(found, &allowed))
}

/// A finding that may stay: it names its size, and `tidy.txt` holds at least that.
fn ratchet(found: Vec<Finding>, allowed: &str) -> Vec<String> {
    let limit = |key: &str| {
        allowed
            .lines()
            .find_map(|line| line.strip_prefix(key)?.strip_prefix(": ")?.trim().parse::<usize>().ok())
    };
    found
        .into_iter()
        .filter(|finding| limit(&finding.key).is_none_or(|limit| finding.size > limit || finding.size == 0))
        .map(|finding| finding.text)
        .collect()
}

struct Finding {
    key: String,
    size: usize,
    text: String,
}

fn tracked(root: &Path) -> Result<Vec<PathBuf>, String> {
    let output = Command::new("git").arg("ls-files").arg("*.rs").current_dir(root).output();
    let output = output.map_err(|error| format!("git ls-files: {error}"))?;
    Ok(String::from_utf8_lossy(&output.stdout).lines().map(PathBuf::from).collect())
}

fn is_test(name: &str) -> bool {
    name.contains("/tests/") || name.starts_with("tests/")
}

fn check_file(name: &str, source: &str) -> Result<Vec<Finding>, String> {
    let mut found = Vec::new();
    let code = source.split("\n#[cfg(test)]").next().unwrap_or(source);
    let mut report = |key: String, size: usize, text: String| found.push(Finding { key, size, text });
    let lines = code.lines().count();
    if !is_test(name) && lines > MAX_FILE_LINES {
        report(
            format!("file {name}"),
            lines,
            format!("{name}: {lines} lines, at most {MAX_FILE_LINES}: split it"),
        );
    }
    let comment = source.lines().take_while(|line| line.starts_with("//!")).count();
    let least = if is_test(name) || lines < SHORT_FILE_LINES { 1 } else { *MODULE_COMMENT_LINES.start() };
    if comment < least || comment > *MODULE_COMMENT_LINES.end() {
        let text = format!(
            "{name}: opens with a module comment of {comment} lines, {least} to 15 say what it is for"
        );
        report(format!("comment {name}"), 0, text);
    }
    if name != "tools/xtask/src/tidy.rs" {
        words(name, code, &mut report);
    }
    if !is_test(name) {
        let syntax = syn::parse_file(code).map_err(|error| format!("{name}: {error}"))?;
        let mut functions = Functions { name, report: &mut report };
        functions.visit_file(&syntax);
    }
    Ok(found)
}

fn words(name: &str, code: &str, report: &mut dyn FnMut(String, usize, String)) {
    let plain: Vec<&str> = code.lines().filter(|line| !line.trim_start().starts_with("//")).collect();
    for (room, banned, why) in WALLS.iter().filter(|(room, _, _)| name.starts_with(room)) {
        for word in banned.iter().filter(|word| plain.iter().any(|line| has_word(line, word))) {
            report(format!("word {name}"), 0, format!("{name}: `{word}` is banned in `{room}`: {why}"));
        }
    }
    for (word, owners) in OWNERS {
        let is_owner = owners.iter().any(|owner| name.starts_with(owner));
        if !is_owner && plain.iter().any(|line| has_word(line, word)) {
            report(
                format!("word {name}"),
                0,
                format!("{name}: only {} may name `{word}`", owners.join(" and ")),
            );
        }
    }
}

/// Whether `line` has `word` and not as the tail of a longer name.
fn has_word(line: &str, word: &str) -> bool {
    line.match_indices(word).any(|(at, _)| {
        let before = line.get(..at).and_then(|head| head.chars().next_back());
        before.is_none_or(|c| !(c.is_alphanumeric() || c == '_'))
    })
}

struct Functions<'a> {
    name: &'a str,
    report: &'a mut dyn FnMut(String, usize, String),
}

impl Functions<'_> {
    fn function(&mut self, public: bool, signature: &syn::Signature, block: &syn::Block) {
        let (name, function) = (self.name, signature.ident.to_string());
        let lines = block.span().end().line.saturating_sub(block.span().start().line) + 1;
        if lines > MAX_FUNCTION_LINES {
            let text = format!("{name}: fn {function} has {lines} lines, at most {MAX_FUNCTION_LINES}");
            (self.report)(format!("function {name} {function}"), lines, text);
        }
        let inputs = &signature.inputs;
        if inputs.len() > MAX_PARAMETERS {
            let text =
                format!("{name}: fn {function} has {} parameters, at most {MAX_PARAMETERS}", inputs.len());
            (self.report)(format!("parameters {name} {function}"), inputs.len(), text);
        }
        let has_bool = inputs.iter().any(|input| match input {
            syn::FnArg::Typed(typed) => {
                matches!(&*typed.ty, syn::Type::Path(path) if path.path.is_ident("bool"))
            }
            syn::FnArg::Receiver(_) => false,
        });
        if public && has_bool {
            (self.report)(
                format!("bool {name} {function}"),
                0,
                format!("{name}: pub fn {function} takes a bool: name it"),
            );
        }
    }
}

impl<'ast> Visit<'ast> for Functions<'_> {
    fn visit_item_fn(&mut self, item: &'ast syn::ItemFn) {
        self.function(matches!(item.vis, syn::Visibility::Public(_)), &item.sig, &item.block);
        syn::visit::visit_item_fn(self, item);
    }

    fn visit_impl_item_fn(&mut self, item: &'ast syn::ImplItemFn) {
        self.function(matches!(item.vis, syn::Visibility::Public(_)), &item.sig, &item.block);
        syn::visit::visit_impl_item_fn(self, item);
    }
}

#[cfg(test)]
mod tests {
    #![expect(clippy::unwrap_used, reason = "tests")]
    use super::*;

    const OPENING: &str = "//! One.\n//! Two.\n//! Three.\n";

    fn texts(name: &str, body: &str) -> Vec<String> {
        let found = check_file(name, &format!("{OPENING}{body}")).unwrap();
        found.into_iter().map(|finding| finding.text).collect()
    }

    #[test]
    fn the_repository_is_tidy() {
        let found = check(&crate::root()).unwrap();
        assert!(found.is_empty(), "{}", found.join("\n"));
    }

    #[test]
    fn a_clock_in_a_pure_room_is_found_and_elsewhere_it_is_not() {
        let body = "fn now() { std::time::SystemTime::now(); }";
        assert_eq!(texts("src/core/src/x.rs", body).len(), 1);
        assert!(texts("src/engine/src/x.rs", body).is_empty());
    }

    #[test]
    fn vendor_crates_stay_in_their_rooms() {
        let body = "fn open() { rocksdb::open(); }";
        assert_eq!(texts("src/engine/src/x.rs", body).len(), 1);
        assert!(texts("events/store/src/x.rs", body).is_empty());
    }

    #[test]
    fn long_files_long_functions_many_parameters_and_bools_are_found() {
        let long = format!("fn long() {{\n{}}}", "let _ = 1;\n".repeat(MAX_FUNCTION_LINES));
        assert_eq!(texts("src/x.rs", &long).len(), 1);
        assert_eq!(texts("src/x.rs", &"// line\n".repeat(MAX_FILE_LINES)).len(), 1);
        assert_eq!(texts("src/x.rs", "fn many(a: u8, b: u8, c: u8, d: u8, e: u8, f: u8) {}").len(), 1);
        assert_eq!(texts("src/x.rs", "pub fn flag(on: bool) {}").len(), 1);
        assert!(texts("src/x.rs", "fn flag(on: bool) {}").is_empty());
    }

    #[test]
    fn a_file_without_an_opening_and_an_open_end_are_found() {
        assert_eq!(check_file("src/x.rs", "fn f() {}").unwrap().len(), 1);
        let long = format!("//! One.\n{}", "// line\n".repeat(SHORT_FILE_LINES));
        assert_eq!(check_file("src/x.rs", &long).unwrap().len(), 1);
        assert_eq!(texts("src/x.rs", "fn f() { todo!() }").len(), 1);
    }

    #[test]
    fn what_was_too_large_may_only_shrink() {
        let finding = |size| vec![Finding { key: "file a.rs".to_owned(), size, text: "large".to_owned() }];
        assert!(ratchet(finding(800), "file a.rs: 800").is_empty());
        assert_eq!(ratchet(finding(801), "file a.rs: 800"), ["large"]);
        assert_eq!(ratchet(finding(800), ""), ["large"]);
    }
}
