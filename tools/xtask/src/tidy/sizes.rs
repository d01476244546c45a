//! Sizes: what is small is read before it is changed.
//!
//! Tests do not count. A file of more than [`FILE_LINES_THINK`] lines is worth a thought and is not a finding. A bool in
//! a public signature is: the caller's `true` says nothing, a named choice does.

use super::Finding;
use super::source::{Function, Source};

/// Where splitting is worth a thought; `xtask tidy` lists these files and passes.
const FILE_LINES_THINK: usize = 400;
const FILE_LINES_MAX: usize = 700;
const FUNCTION_LINES_MAX: usize = 70;
const PARAMETERS_MAX: usize = 5;

/// Everything in `source` that is too large.
pub(super) fn check(source: &Source) -> Vec<Finding> {
    let mut found = Vec::new();
    let (name, lines) = (&source.name, source.code_lines());
    if lines > FILE_LINES_MAX {
        let text = format!("{name}: {lines} lines, at most {FILE_LINES_MAX}: split it");
        found.push(Finding::sized("file", name.clone(), lines, text));
    }
    for function in source.functions.iter().filter(|function| !source.is_test(function.line)) {
        found.extend(check_function(name, function));
    }
    found
}

/// A line for a file that is worth splitting already.
pub(super) fn thought(source: &Source) -> Option<String> {
    let lines = source.code_lines();
    let is_large = lines > FILE_LINES_THINK && !source.test;
    is_large
        .then(|| format!("{}: {lines} lines, think about splitting it at {FILE_LINES_THINK}", source.name))
}

fn check_function(file: &str, function: &Function) -> Vec<Finding> {
    let mut found = Vec::new();
    let (place, subject) = (format!("{file}:{}", function.line), format!("{file} {}", function.name));
    let (name, lines, parameters) = (&function.name, function.lines, function.parameters);
    if lines > FUNCTION_LINES_MAX {
        let text = format!("{place}: fn {name} has {lines} lines, at most {FUNCTION_LINES_MAX}");
        found.push(Finding::sized("function", subject.clone(), lines, text));
    }
    if parameters > PARAMETERS_MAX {
        let text = format!("{place}: fn {name} has {parameters} parameters, at most {PARAMETERS_MAX}");
        found.push(Finding::sized("parameters", subject.clone(), parameters, text));
    }
    if function.public && function.takes_bool {
        let text = format!("{place}: pub fn {name} takes a bool: give the choice a name");
        found.push(Finding::sized("bool", subject, 1, text));
    }
    found
}

#[cfg(test)]
mod tests {
    #![expect(clippy::unwrap_used, reason = "tests")]
    use super::*;

    fn tables(text: &str) -> Vec<&'static str> {
        let found = check(&Source::parse("src/x.rs", text).unwrap());
        found.into_iter().filter_map(|finding| finding.table).collect()
    }

    #[test]
    fn a_long_file_is_found_and_its_tests_do_not_count() {
        let lines = "// line\n".repeat(FILE_LINES_MAX);
        assert!(tables(&lines).is_empty());
        assert_eq!(tables(&format!("{lines}// line\n")), ["file"]);
        assert!(tables(&format!("#[cfg(test)]\nmod tests {{\n{lines}}}\n")).is_empty());
        // Code after the tests counts again.
        assert_eq!(tables(&format!("#[cfg(test)]\nmod tests {{}}\n{lines}// line\n")), ["file"]);
    }

    #[test]
    fn a_file_on_its_way_is_a_thought_and_no_finding() {
        let source = Source::parse("src/x.rs", &"// line\n".repeat(FILE_LINES_THINK + 1)).unwrap();
        assert!(thought(&source).is_some() && check(&source).is_empty());
    }

    #[test]
    fn a_long_function_is_found_also_after_tests_and_in_traits() {
        let long = format!("fn long() {{\n{}}}\n", "let _ = 1;\n".repeat(FUNCTION_LINES_MAX));
        assert_eq!(tables(&long), ["function"]);
        assert_eq!(tables(&format!("#[cfg(test)]\nmod tests {{}}\n{long}")), ["function"]);
        assert_eq!(tables(&format!("trait T {{\n{long}}}\n")), ["function"]);
        assert!(tables(&format!("#[cfg(test)]\nmod tests {{\n{long}}}\n")).is_empty());
    }

    #[test]
    fn many_parameters_and_public_bools_are_found() {
        assert_eq!(tables("fn many(a: u8, b: u8, c: u8, d: u8, e: u8, f: u8) {}"), ["parameters"]);
        assert_eq!(tables("pub fn flag(on: bool) {}"), ["bool"]);
        assert_eq!(tables("pub trait T { fn flag(&self, on: bool); }"), ["bool"]);
        assert_eq!(tables("impl S { pub fn flag(&self, on: bool) {} }"), ["bool"]);
        assert!(tables("fn flag(on: bool) {} pub fn many(a: u8, b: u8) {}").is_empty());
    }
}
