//! Files of variables, as docker and dotenv read them.
//!
//! `NAME=value`, with `export ` before it or not. Single quotes keep everything as it is; double quotes know `\n`, `\r`,
//! `\t`, `\"`, `\\` and `\$`; both may span lines. Without quotes a value ends at ` #` or at the end of its line, and white
//! space around it does not count. Nothing is expanded: a `$` stays, and a note says so. A name alone is the variable of
//! the environment and says nothing. The last of two equal names wins. Errors name lines and never repeat them.

use std::collections::BTreeMap;

/// A variable and where it stands.
#[derive(Clone, PartialEq, Eq)]
pub(crate) struct Variable {
    pub(crate) name: String,
    pub(crate) value: String,
    /// From 1.
    pub(crate) line: usize,
    /// Whether docker compose would have expanded something in it.
    pub(crate) expandable: bool,
}

/// A line that is not a variable.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct BadLine {
    /// From 1.
    pub(crate) line: usize,
    pub(crate) wrong: &'static str,
}

/// Every variable and every bad line of a file.
pub(crate) fn parse(text: &str) -> (Vec<Variable>, Vec<BadLine>) {
    let mut variables: BTreeMap<String, Variable> = BTreeMap::new();
    let mut bad = Vec::new();
    let mut rest = text.strip_prefix('\u{feff}').unwrap_or(text);
    let mut line = 1;
    while !rest.is_empty() {
        let begin = rest;
        let entry = entry(&mut rest);
        match entry {
            Ok(Some((name, value))) => {
                let Value { text: value, expandable } = value;
                variables.insert(name.clone(), Variable { name, value, line, expandable });
            }
            Ok(None) => {}
            Err(wrong) => bad.push(BadLine { line, wrong }),
        }
        let read = begin.len().saturating_sub(rest.len());
        line += begin.get(..read).unwrap_or_default().matches('\n').count();
    }
    let mut variables: Vec<Variable> = variables.into_values().collect();
    variables.sort_by_key(|variable| variable.line);
    (variables, bad)
}

struct Value {
    text: String,
    expandable: bool,
}

/// Takes one entry, up to and with the end of its last line.
fn entry(rest: &mut &str) -> Result<Option<(String, Value)>, &'static str> {
    let whole = *rest;
    let (first, after) = whole.split_once('\n').unwrap_or((whole, ""));
    *rest = after;
    let line = first.trim();
    if line.is_empty() || line.starts_with('#') {
        return Ok(None);
    }
    let line = line.strip_prefix("export ").map_or(line, str::trim_start);
    let Some((name, _)) = line.split_once('=') else {
        return if is_name(line) { Ok(None) } else { Err("is not NAME=value") };
    };
    let name = name.trim_end();
    if !is_name(name) {
        return Err("does not begin with a name (letters, digits and `_`)");
    }
    let value = whole.split_once('=').map_or("", |(_, value)| value);
    let value = value.trim_start_matches([' ', '\t']);
    let quote = value.chars().next().filter(|c| matches!(c, '"' | '\''));
    let Some(quote) = quote else {
        let value = value.split('\n').next().unwrap_or_default();
        return Ok(Some((name.to_owned(), unquoted(value))));
    };
    let body = value.get(1..).unwrap_or_default();
    let (value, tail) = quoted(body, quote).ok_or("has a quote that is not closed")?;
    let (tail, after) = tail.split_once('\n').unwrap_or((tail, ""));
    *rest = after;
    let tail = tail.trim();
    if !tail.is_empty() && !tail.starts_with('#') {
        return Err("goes on after its closing quote");
    }
    Ok(Some((name.to_owned(), value)))
}

fn is_name(text: &str) -> bool {
    let fits = |c: char| c.is_ascii_alphanumeric() || c == '_';
    text.chars().next().is_some_and(|c| !c.is_ascii_digit()) && text.chars().all(fits)
}

fn unquoted(value: &str) -> Value {
    let value = value.trim();
    let end = value.find(" #").or_else(|| value.find("\t#")).unwrap_or(value.len());
    let end = if value.starts_with('#') { 0 } else { end };
    let text = value.get(..end).unwrap_or(value).trim_end().to_owned();
    let expandable = text.split('$').skip(1).any(is_variable);
    Value { text, expandable }
}

/// Whether docker compose would take what follows a `$` for a variable.
fn is_variable(after: &str) -> bool {
    after.starts_with(|c: char| c == '{' || c == '_' || c.is_ascii_alphabetic())
}

/// The text up to the closing quote, and what follows it.
fn quoted(body: &str, quote: char) -> Option<(Value, &str)> {
    let mut value = Value { text: String::new(), expandable: false };
    let mut chars = body.char_indices();
    while let Some((at, c)) = chars.next() {
        match c {
            c if c == quote => return Some((value, body.get(at + 1..)?)),
            '\\' if quote == '"' => match chars.next()?.1 {
                'n' => value.text.push('\n'),
                'r' => value.text.push('\r'),
                't' => value.text.push('\t'),
                c @ ('"' | '\\' | '$') => value.text.push(c),
                c => value.text.extend(['\\', c]),
            },
            c => {
                value.expandable |= quote == '"' && c == '$' && body.get(at + 1..).is_some_and(is_variable);
                value.text.push(c);
            }
        }
    }
    None
}

#[cfg(test)]
mod tests {
    #![expect(clippy::unwrap_used, reason = "tests")]
    use proptest::prelude::*;

    use super::*;

    fn one(text: &str) -> String {
        let (variables, bad) = parse(text);
        assert_eq!(bad, [], "{text}");
        variables.into_iter().next().unwrap().value
    }

    #[test]
    fn quotes_work_as_in_docker_and_dotenv() {
        for (text, value) in [
            ("A=1", "1"),
            ("  export A = 1  ", "1"),
            ("A=", ""),
            ("A=x # why", "x"),
            ("A=x#y", "x#y"),
            ("A= # nothing", ""),
            ("A=http://h/?a=b&c=d", "http://h/?a=b&c=d"),
            ("A='x # \\n $B'", "x # \\n $B"),
            ("A=\"x # y\" # why", "x # y"),
            ("A=\"a\\n\\t\\\"\\\\\\$b\\q\"", "a\n\t\"\\$b\\q"),
            ("A=\"two\nlines\"\nB=2", "two\nlines"),
            ("\u{feff}A=1\r\n", "1"),
            ("A=1\nA=2", "2"),
        ] {
            assert_eq!(one(text), value, "{text}");
        }
    }

    #[test]
    fn lines_are_counted_through_values_of_several_lines() {
        let (variables, bad) = parse("# c\n\nA='x\ny'\nB=2\nnot a variable\nC\nD=\"open\nE=5\n");
        let lines: Vec<_> =
            variables.iter().map(|variable| (variable.name.as_str(), variable.line)).collect();
        assert_eq!(lines, [("A", 3), ("B", 5), ("E", 9)]);
        assert_eq!(bad.iter().map(|bad| bad.line).collect::<Vec<_>>(), [6, 8]);
    }

    #[test]
    fn what_compose_would_expand_is_marked() {
        let marked = |text: &str| parse(text).0.first().unwrap().expandable;
        assert!(marked("A=${B}") && marked("A=x$B") && marked("A=\"$B\""));
        assert!(!marked("A='$B'") && !marked("A=\"\\$B\"") && !marked("A=5$") && !marked("A=$5"));
    }

    #[test]
    fn as_many_names_as_a_file_holds_are_read_in_time() {
        // A hundred thousand names took minutes when each was compared with all before it.
        let text: String = (0..100_000).map(|n| format!("A{n}=1\n")).collect();
        let (variables, bad) = parse(&format!("{text}A7=2\n"));
        assert_eq!((variables.len(), bad.len()), (100_000, 0));
        let last = variables.last().unwrap();
        assert_eq!((last.name.as_str(), last.value.as_str(), last.line), ("A7", "2", 100_001));
    }

    proptest! {
        #[test]
        fn no_text_makes_the_reader_panic(text in "([A-Z=\"'# \\\\$\n\r{}a-c]|.){0,80}") {
            let (variables, bad) = parse(&text);
            prop_assert!(variables.len() + bad.len() <= text.lines().count() + 1);
        }

        #[test]
        fn what_is_quoted_comes_back(value in "[^']{0,40}") {
            prop_assert_eq!(one(&format!("A='{value}'\n")), value);
        }
    }
}
