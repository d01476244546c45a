//! Conditions over the state of a rollup, and over an event where there is one, in the Common Expression Language.
//!
//! A condition comes from outside: its length and its nesting are limited before it is read, only operators and four
//! functions over texts are let through, and there are no loops, so that it is decided in a time that its length limits.
//! It can look at what [`variables`] lists and at nothing else. What a crash in here means: nothing; nothing is kept.

mod variables;

use cel::common::ast::{Expr, IdedExpr, operators};
use cel::common::value::CowVal;
use cel::context::VariableResolver;
use cel::{Context, ExecutionError, Program, Value};
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::Arc;

pub(crate) use variables::{Look, Said, Seen, Subject, Variable, all, documentation};

/// Bytes of a condition at most.
const LENGTH_MAX: usize = 1_000;
/// Brackets, signs and alternatives within each other at most.
const DEPTH_MAX: usize = 24;
/// Parts of a condition within each other at most.
const TREE_MAX: usize = 128;

/// What may be called beside the operators: all of them look at a text or a list that is there already.
const FUNCTIONS: [&str; 4] = ["size", "contains", "startsWith", "endsWith"];

/// The operators that are let through.
const OPERATORS: [&str; 16] = [
    operators::CONDITIONAL,
    operators::LOGICAL_AND,
    operators::LOGICAL_OR,
    operators::LOGICAL_NOT,
    operators::SUBSTRACT,
    operators::ADD,
    operators::MULTIPLY,
    operators::DIVIDE,
    operators::MODULO,
    operators::EQUALS,
    operators::NOT_EQUALS,
    operators::GREATER_EQUALS,
    operators::LESS_EQUALS,
    operators::GREATER,
    operators::LESS,
    operators::NEGATE,
];

/// Why a text is no condition.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("no condition: {0}")]
pub(crate) struct ConditionError(String);

/// A condition that was checked.
pub(crate) struct Condition {
    text: String,
    program: Program,
    variables: Vec<&'static Variable>,
    env: Arc<cel::Env>,
}

/// Where the evaluation gets its values.
struct Values<'l>(&'l Look<'l>);

impl VariableResolver for Values<'_> {
    fn resolve<'b>(&'b self, name: &str) -> Option<CowVal<'b, 'b>> {
        let value = match variables::find(name)?.of(self.0) {
            Said::Number(number) => Value::Int(number),
            Said::Flag(flag) => Value::Bool(flag),
            Said::Text(text) => Value::String(Arc::new(text)),
        };
        value.try_into().ok().map(CowVal::Owned)
    }
}

impl Condition {
    /// Reads a condition.
    ///
    /// # Errors
    /// When it is too long or too deep, is not of the language, names something unknown, or is not true or false.
    pub(crate) fn parse(text: &str) -> Result<Self, ConditionError> {
        check_text(text)?;
        // The parser is somebody else's: should one text in a million make it panic, that is a text it cannot read.
        let parsed = catch_unwind(AssertUnwindSafe(|| Program::compile(text)));
        let program = match parsed {
            Ok(Ok(program)) => program,
            Ok(Err(errors)) => return Err(syntax(errors.errors.first().map_or("", |e| &e.msg))),
            Err(_) => return Err(wrong("it cannot be read")),
        };
        let mut variables = Vec::new();
        check(program.expression(), TREE_MAX, &mut variables)?;
        variables.sort_by_key(|variable| variable.name);
        variables.dedup_by_key(|variable| variable.name);
        let condition = Self { text: text.to_owned(), program, variables, env: Arc::new(cel::Env::stdlib()) };
        condition.holds(&Look::nothing())?;
        Ok(condition)
    }

    /// As it was given.
    pub(crate) fn text(&self) -> &str {
        &self.text
    }

    /// What it looks at, in the order of their names.
    pub(crate) fn variables(&self) -> &[&'static Variable] {
        &self.variables
    }

    /// Whether it holds. Where a number cannot be computed (a division by zero, one out of range) it does not.
    ///
    /// # Errors
    /// When it compares what cannot be compared, or is not true or false.
    pub(crate) fn holds(&self, look: &Look<'_>) -> Result<bool, ConditionError> {
        let values = Values(look);
        let mut context = Context::with_env(Arc::clone(&self.env));
        context.set_variable_resolver(&values);
        match self.program.execute(&context) {
            Ok(Value::Bool(holds)) => Ok(holds),
            Ok(_) => Err(wrong("it must be true or false, as in `parked > 0`")),
            Err(
                ExecutionError::DivisionByZero(_)
                | ExecutionError::RemainderByZero(_)
                | ExecutionError::Overflow(..),
            ) => Ok(false),
            Err(ExecutionError::NoSuchOverload(_)) => {
                Err(wrong("it compares or computes what does not go together, as a number with a text"))
            }
            Err(error) => Err(wrong(&error.to_string())),
        }
    }

    /// What it looks at, as it was.
    pub(crate) fn values(&self, look: &Look<'_>) -> Vec<(&'static str, Said)> {
        self.variables.iter().map(|variable| (variable.name, variable.of(look))).collect()
    }
}

/// What the parser says, without the list of everything that could have stood there.
fn syntax(message: &str) -> ConditionError {
    let what = message.split(" expecting ").next().unwrap_or_default();
    let what = what.trim_start_matches("Syntax error: ");
    if what.contains("<EOF>") {
        return wrong("it ends too early: something must follow, as in `parked > 0`");
    }
    wrong(&format!("it cannot be read ({what}); as in `parked > 0 && lag > 1800`"))
}

fn wrong(text: &str) -> ConditionError {
    let text: String = text.chars().take(200).map(|c| if c.is_control() { ' ' } else { c }).collect();
    ConditionError(text)
}

/// What is refused before the parser sees it: what is long, deep or not plain text.
fn check_text(text: &str) -> Result<(), ConditionError> {
    if text.len() > LENGTH_MAX {
        return Err(wrong(&format!("it is longer than {LENGTH_MAX} bytes")));
    }
    if text.trim().is_empty() {
        return Err(wrong("it is empty; as in `parked > 0`"));
    }
    if let Some(odd) = text.chars().find(|c| !(c.is_ascii_graphic() || *c == ' ')) {
        return Err(wrong(&format!("{odd:?} cannot stand in it")));
    }
    let (mut depth, mut signs) = (0_usize, 0_usize);
    for c in text.bytes() {
        match c {
            b'(' | b'[' | b'{' => depth += 1,
            b')' | b']' | b'}' => depth = depth.saturating_sub(1),
            b'?' => signs += 1,
            _ => {}
        }
        if depth.max(signs) > DEPTH_MAX {
            return Err(wrong(&format!("more than {DEPTH_MAX} brackets or alternatives within each other")));
        }
    }
    Ok(())
}

/// Lets through what is decided in one pass over the text, and notes what it looks at.
fn check(part: &IdedExpr, left: usize, variables: &mut Vec<&'static Variable>) -> Result<(), ConditionError> {
    let left = left.checked_sub(1).ok_or_else(|| wrong("too many parts"))?;
    match &part.expr {
        Expr::Literal(_) => Ok(()),
        Expr::Ident(name) => {
            variables.push(variables::find(name).ok_or_else(|| {
                wrong(&format!("there is no variable `{name}` (docs/conditions.md lists them)"))
            })?);
            Ok(())
        }
        Expr::Call(call) => {
            let name = call.func_name.as_str();
            if !OPERATORS.contains(&name) && name != operators::IN && !FUNCTIONS.contains(&name) {
                return Err(wrong(&format!("there is no function `{name}`")));
            }
            let parts = call.target.iter().map(|target| &**target).chain(&call.args);
            parts.into_iter().try_for_each(|part| check(part, left, variables))
        }
        Expr::List(list) => list.elements.iter().try_for_each(|part| check(part, left, variables)),
        Expr::Comprehension(_) => Err(wrong("there are no loops (`all`, `exists`, `map`, `filter`)")),
        Expr::Select(_) | Expr::Map(_) | Expr::Struct(_) | Expr::Unspecified => {
            Err(wrong("a variable has no parts, and there are no maps and messages"))
        }
    }
}

#[cfg(test)]
mod tests {
    #![expect(clippy::unwrap_used, reason = "tests")]
    use super::*;
    use proptest::prelude::*;

    fn holds(text: &str) -> Result<bool, ConditionError> {
        Condition::parse(text)?.holds(&Look::nothing())
    }

    #[test]
    fn a_condition_is_decided_as_it_reads() {
        for (text, expected) in [
            ("true", true),
            ("spans == 0 && !paused", true),
            ("1 + 2 * 3 == 7", true),
            ("position > 5 || rollups == 1", false),
            ("type == ''", true),
            ("type in ['Parked', '']", true),
            ("type.startsWith('Par') || size(type) == 0", true),
            ("(paused ? 1 : 2) == 2", true),
            ("1 / spans > 0", false),
            ("9223372036854775807 + 1 > 0", false),
            ("latest_block == -1", true),
        ] {
            assert_eq!(holds(text), Ok(expected), "{text}");
        }
    }

    #[test]
    fn what_is_no_condition_is_refused_in_words() {
        for (text, word) in [
            ("", "empty"),
            ("spans", "true or false"),
            ("spans > 'a'", "go together"),
            ("nonsense > 1", "no variable `nonsense`"),
            ("[1, 2].all(x, x > 0)", "no loops"),
            ("matches('a', 'b')", "no function"),
            ("timestamp('x') == 1", "no function"),
            ("spans >", ""),
            ("spans.parts > 1", "no parts"),
            ("parked > 0\n", "cannot stand"),
            ("1 == 1 && \u{7f}", "cannot stand"),
        ] {
            let error = holds(text).unwrap_err().to_string();
            assert!(error.starts_with("no condition: ") && error.contains(word), "{text}: {error}");
        }
    }

    #[test]
    fn what_is_long_or_deep_is_refused_before_it_is_read() {
        let within = |open: &str, times: usize| open.repeat(times);
        for text in [
            " ".repeat(1_001),
            format!("{}1{} == 1", within("(", 400), within(")", 400)),
            format!("{}true", within("true?true:", 90)),
            format!("{}1 == 1", within("1+", 480)),
            within("[", 900),
        ] {
            assert!(holds(&text).is_err(), "{text}");
        }
        for text in [
            format!("{}paused", within("!", 990)),
            format!("{}true", within("1==1&&", 160)),
            format!("{}1 == 1", within("-", 990)),
            format!("{}1 == 1", within("- ", 490)),
        ] {
            // What many signs in a row come to is the parser's business; that it comes back is ours.
            drop(holds(&text));
        }
    }

    fn piece() -> impl Strategy<Value = String> {
        let words: Vec<String> = all().iter().map(|variable| variable.name.to_owned()).collect();
        let signs = [
            "&&",
            "||",
            "!",
            "-",
            "+",
            "*",
            "/",
            "%",
            "==",
            "!=",
            ">=",
            "<=",
            ">",
            "<",
            " in ",
            "?",
            ":",
            "(",
            ")",
            "[",
            "]",
            "{",
            "}",
            ",",
            ".",
            "'",
            "\"",
            "'''",
            "\\",
            "\\u",
            "0x",
            "1",
            "9223372036854775807",
            "1u",
            "1.5",
            "1e999",
            "b'a'",
            "r'",
            "null",
            "true",
            "false",
            "has(",
            ".map(x,",
            ".all(x,",
            "size(",
            "`",
            "//",
            "$",
            "\\xff",
            "_",
            "@in",
        ];
        prop_oneof![
            2 => prop::sample::select(words),
            5 => prop::sample::select(signs.map(str::to_owned).to_vec()),
        ]
    }

    proptest! {
        #[test]
        fn no_text_makes_it_panic(pieces in prop::collection::vec(piece(), 0..40), any in "\\PC{0,40}") {
            let text = pieces.concat();
            // The parser itself must not panic either: the guard is for what nobody thought of.
            if check_text(&text).is_ok() {
                drop(Program::compile(&text));
            }
            drop(holds(&text));
            drop(holds(&any));
            drop(holds(&(any + &text)));
        }
    }
}
