//! Which events of the whole log a client wants.
//!
//! A filter looks at the stream's name or at the type, by any of several beginnings or by a regular expression that is
//! searched for. Expressions come from outside: their length, their compiled size and the steps of one match are
//! limited, and one that needs more ends the read. The two expressions that official clients send with nearly every
//! read are recognised and cost a comparison. A crash in here means nothing.

use std::sync::Arc;

use fancy_regex::Expr;
use prooflog_events::envelope::{Peek, category};

use crate::error::Refusal;
use crate::groups::PREFIX;
use crate::limits::{PREFIXES, REGEX_BYTES, REGEX_STEPS};
use crate::names::LinkStream;
use crate::wire::streams::read_req::options::FilterOptions;
use crate::wire::streams::read_req::options::filter_options::{Expression, Filter as Asked, Window};

/// What the compiled parts of an expression take together at most, and as much again while they are used.
const REGEX_SIZE: usize = 256 << 10;
/// Steps of its program.
const REGEX_PROGRAM: usize = 4_096;
/// Events between checkpoints where the client does not say.
const WINDOW: u32 = 32;

/// What a filter looks at.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum On {
    Stream,
    Type,
}

/// Which events are wanted.
#[derive(Debug, Clone)]
pub(crate) enum Wanted {
    Everything,
    /// Any of these beginnings; none of them matches nothing.
    Prefix(On, Arc<[String]>),
    /// Not empty and not beginning with `$`.
    NotSystem(On),
    /// What the Python client leaves out by default.
    NotPythonsSystem(On),
    Regex(On, Arc<fancy_regex::Regex>),
    /// Those that a computed link stream leads to.
    Linked(LinkStream),
    /// The same without what persistent subscriptions write: one that parks would be given that, and park it.
    NotOfGroups(Arc<Self>),
}

/// A filter as a subscription asks for it.
#[derive(Debug, Clone)]
pub(crate) struct Filtered {
    pub(crate) wanted: Wanted,
    /// Events considered between two checkpoints.
    pub(crate) window: u64,
}

impl Filtered {
    pub(crate) fn parse(asked: &FilterOptions) -> Result<Self, Refusal> {
        if asked.checkpoint_interval_multiplier == 0 {
            return Err(Refusal::invalid("the checkpoint interval multiplier is at least 1"));
        }
        let size = match asked.window {
            Some(Window::Max(0)) => return Err(Refusal::invalid("the window is at least 1")),
            Some(Window::Max(max)) => max,
            Some(Window::Count(_)) => WINDOW,
            None => return Err(Refusal::invalid("the filter's window is missing")),
        };
        let window = u64::from(size).saturating_mul(u64::from(asked.checkpoint_interval_multiplier));
        let wanted = match &asked.filter {
            Some(Asked::StreamIdentifier(expression)) => match index(expression)? {
                Some(wanted) => wanted,
                None => parse(On::Stream, expression)?,
            },
            Some(Asked::EventType(expression)) => parse(On::Type, expression)?,
            None => return Err(Refusal::invalid("the filter says nothing")),
        };
        Ok(Self { wanted, window })
    }
}

/// A secondary index, which clients ask for as a single beginning of stream names.
fn index(expression: &Expression) -> Result<Option<Wanted>, Refusal> {
    let ([name], "") = (expression.prefix.as_slice(), expression.regex.as_str()) else { return Ok(None) };
    let Some(rest) = name.strip_prefix("$idx-") else { return Ok(None) };
    let of = |prefix| rest.strip_prefix(prefix).filter(|rest: &&str| !rest.is_empty());
    match (rest, of("ce-"), of("et-")) {
        ("all", ..) => Ok(Some(Wanted::NotSystem(On::Stream))),
        (_, Some(category), _) => Ok(Some(Wanted::Linked(LinkStream::Category(category.to_owned())))),
        (_, _, Some(kind)) => Ok(Some(Wanted::Linked(LinkStream::Type(kind.to_owned())))),
        _ => Err(Refusal::NoIndex(name.chars().take(256).collect())),
    }
}

fn parse(on: On, expression: &Expression) -> Result<Wanted, Refusal> {
    match expression.regex.as_str() {
        "" => {
            if expression.prefix.len() > PREFIXES {
                return Err(Refusal::Invalid(format!("a filter has at most {PREFIXES} prefixes")));
            }
            Ok(Wanted::Prefix(on, expression.prefix.clone().into()))
        }
        r"^[^\$].*" | "^[^$].*" => Ok(Wanted::NotSystem(on)),
        PYTHONS_DEFAULT => Ok(Wanted::NotPythonsSystem(on)),
        regex if regex.len() > REGEX_BYTES => {
            Err(Refusal::Invalid(format!("a regular expression has at most {REGEX_BYTES} bytes")))
        }
        regex => Ok(Wanted::Regex(on, Arc::new(compile(regex)?))),
    }
}

const PYTHONS_DEFAULT: &str = r"^(?!(\$.+$|PersistentConfig\d+$|Result$))";

fn compile(regex: &str) -> Result<fancy_regex::Regex, Refusal> {
    let unusable = |error: fancy_regex::Error| {
        let text: String = error.to_string().chars().take(512).collect();
        Refusal::Invalid(format!("the regular expression cannot be used: {text}"))
    };
    let tree = Expr::parse_tree(regex).map_err(unusable)?.expr;
    // The compiler puts what is called in the place of each call, nineteen deep: a few bytes would take all memory. The
    // expressions of .NET, which clients write, have no such calls.
    let calls =
        |node: &Expr| matches!(node, Expr::SubroutineCall(_) | Expr::DefineGroup { .. } | Expr::AstNode(..));
    if tree.has_descendant_or_self(calls) {
        return Err(Refusal::invalid("a regular expression that calls its own groups cannot be used"));
    }
    // Between two of what only backtracking decides stands a part that is compiled for itself.
    let share = REGEX_SIZE / hard(&tree).saturating_mul(2).saturating_add(1);
    let mut builder = fancy_regex::RegexBuilder::new(regex);
    builder.backtrack_limit(REGEX_STEPS).max_prog_size(REGEX_PROGRAM);
    builder.delegate_size_limit(share).delegate_dfa_size_limit(share);
    builder.build().map_err(unusable)
}

/// How many parts of an expression cannot be decided without backtracking.
fn hard(node: &Expr) -> usize {
    let is_easy = matches!(
        node,
        Expr::Empty
            | Expr::Any { .. }
            | Expr::Assertion(_)
            | Expr::Literal { .. }
            | Expr::Delegate { .. }
            | Expr::Concat(_)
            | Expr::Alt(_)
            | Expr::Group(_)
            | Expr::Repeat { .. }
    );
    node.children_iter().map(hard).fold(usize::from(!is_easy), usize::saturating_add)
}

impl Wanted {
    /// Whether it passes some over, and takes a comparison for each.
    pub(crate) fn is_quick(&self) -> bool {
        match self {
            Self::Everything | Self::Regex(..) => false,
            Self::NotOfGroups(wanted) => !matches!(**wanted, Self::Regex(..)),
            _ => true,
        }
    }

    /// What the names of all wanted streams begin with, if that is what they are wanted for.
    pub(crate) fn beginnings(&self) -> Option<&[String]> {
        match self {
            Self::Prefix(On::Stream, beginnings) => Some(beginnings),
            _ => None,
        }
    }

    /// Whether an event is wanted.
    pub(crate) fn matches(&self, event: &Peek<'_>) -> Result<bool, Refusal> {
        let text = |on: &On| match on {
            On::Stream => event.stream,
            On::Type => event.type_name,
        };
        Ok(match self {
            Self::Everything => true,
            Self::Prefix(on, prefixes) => prefixes.iter().any(|prefix| text(on).starts_with(prefix)),
            Self::NotSystem(on) => is_not_system(text(on)),
            Self::NotPythonsSystem(on) => is_not_pythons_system(text(on)),
            Self::Regex(on, regex) => regex
                .is_match(text(on))
                .map_err(|_| Refusal::invalid("the regular expression takes too many steps on an event"))?,
            Self::Linked(of) => is_linked(of, event),
            Self::NotOfGroups(wanted) => !event.stream.starts_with(PREFIX) && wanted.matches(event)?,
        })
    }
}

fn is_not_system(text: &str) -> bool {
    !text.is_empty() && !text.starts_with('$')
}

fn is_not_pythons_system(text: &str) -> bool {
    // `.` is anything but the end of a line.
    let is_system = text.strip_prefix('$').is_some_and(|rest| !rest.is_empty() && !rest.contains('\n'));
    let is_config = text
        .strip_prefix("PersistentConfig")
        .is_some_and(|rest| !rest.is_empty() && rest.chars().all(|c| c.is_ascii_digit()));
    !(is_system || is_config || text == "Result")
}

/// Whether a computed link stream leads to this event.
pub(crate) fn is_linked(of: &LinkStream, event: &Peek<'_>) -> bool {
    !event.stream.starts_with('$')
        && match of {
            LinkStream::Category(wanted) => event.stream.contains('-') && category(event.stream) == wanted,
            LinkStream::Type(wanted) => event.type_name == wanted,
            LinkStream::Streams => event.revision.0 == 0,
        }
}

#[cfg(test)]
mod tests {
    #![expect(clippy::unwrap_used, reason = "tests")]
    use prooflog_events::ids::{Position, Revision};
    use proptest::prelude::*;

    use super::*;

    fn event<'a>(stream: &'a str, type_name: &'a str) -> Peek<'a> {
        Peek { position: Position(1), stream, revision: Revision(0), type_name }
    }

    fn asked(regex: &str, prefix: &[&str]) -> Expression {
        Expression { regex: regex.to_owned(), prefix: prefix.iter().map(|p| (*p).to_owned()).collect() }
    }

    fn by_regex(regex: &str, text: &str) -> bool {
        Wanted::Regex(On::Type, Arc::new(compile(regex).unwrap())).matches(&event("s", text)).unwrap()
    }

    #[test]
    fn a_regex_is_searched_for_and_wins_over_prefixes_and_nothing_matches_nothing() {
        let wanted = parse(On::Type, &asked("b+", &["x"])).unwrap();
        assert!(wanted.matches(&event("s", "abbc")).unwrap());
        assert!(!wanted.matches(&event("s", "x")).unwrap());
        let wanted = parse(On::Stream, &asked("", &["a-", "b-"])).unwrap();
        assert!(wanted.matches(&event("b-1", "t")).unwrap());
        assert!(!parse(On::Stream, &asked("", &[])).unwrap().matches(&event("b-1", "t")).unwrap());
        // As the Python client includes: the anchor binds only the first.
        let wanted = parse(On::Type, &asked("^a|b$", &[])).unwrap();
        assert!(wanted.matches(&event("s", "xb")).unwrap());
    }

    #[test]
    fn an_expression_that_takes_too_long_is_an_error_and_not_a_busy_thread() {
        let wanted = parse(On::Stream, &asked(r"^(a|a)*(?=x)\1$", &[])).unwrap();
        let text = "a".repeat(64);
        assert!(matches!(wanted.matches(&event(&text, "t")), Err(Refusal::Invalid(_))));
        assert!(matches!(parse(On::Stream, &asked("(", &[])), Err(Refusal::Invalid(_))));
        assert!(matches!(parse(On::Stream, &asked(&"a".repeat(4_000), &[])), Err(Refusal::Invalid(_))));
        assert!(matches!(parse(On::Stream, &asked(r"(\pL{1000}){1000}", &[])), Err(Refusal::Invalid(_))));
    }

    #[test]
    fn an_expression_that_grows_when_it_is_compiled_is_refused_before_it_is() {
        // Each call of a group is replaced by the group, calls and all.
        let circle: String = (1..=60).map(|n| format!(r"(a\g<{}>?)", n % 60 + 1)).collect();
        for calling in
            [r"(a|b\g<1>\g<1>\g<1>)", r"(?<n>a|b\g<n>\g<n>)", r"a|b\g<0>", r"(?P<x>a(?P>x)?)", &circle]
        {
            let refused = parse(On::Stream, &asked(calling, &[])).unwrap_err();
            assert!(format!("{refused:?}").contains("calls its own groups"), "{calling}: {refused:?}");
        }
        // Many parts of their own have no more room than one.
        let parts: String = (b'a'..=b'z').map(|c| format!(r"(?={}\w{{30}})", char::from(c))).collect();
        assert!(matches!(parse(On::Stream, &asked(&parts, &[])), Err(Refusal::Invalid(_))));
        let few = r"^(?=.*Proof)(?!\$)(\w+)-\1$";
        assert!(by_regex(few, "Proof-Proof") && !by_regex(few, "Proof-Other"));
    }

    #[test]
    fn indexes_are_asked_for_as_a_single_prefix() {
        assert!(matches!(index(&asked("", &["$idx-all"])), Ok(Some(Wanted::NotSystem(On::Stream)))));
        let wanted = index(&asked("", &["$idx-ce-span"])).unwrap().unwrap();
        assert!(wanted.matches(&event("span-1-2", "t")).unwrap());
        assert!(!wanted.matches(&event("span", "t")).unwrap());
        assert_eq!(index(&asked("", &["$idx-no"])).unwrap_err(), Refusal::NoIndex("$idx-no".to_owned()));
        assert!(index(&asked("", &["$idx-all", "a"])).unwrap().is_none());
    }

    proptest! {
        #[test]
        fn what_is_recognised_means_what_the_expression_means(
            text in r"(\$|PersistentConfig|Result|a|[0-9]|\n|-){0,4}",
        ) {
            prop_assert_eq!(is_not_system(&text), by_regex("^[^$].*", &text));
            prop_assert_eq!(is_not_system(&text), by_regex(r"^[^\$].*", &text));
            prop_assert_eq!(is_not_pythons_system(&text), by_regex(PYTHONS_DEFAULT, &text));
        }

        #[test]
        fn no_expression_panics(regex in ".{0,40}", text in ".{0,40}") {
            if let Ok(wanted) = parse(On::Type, &asked(&regex, &[])) {
                let _ = wanted.matches(&event("s", &text));
            }
        }
    }
}
