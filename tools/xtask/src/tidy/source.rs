//! One Rust file, parsed: its tokens, its functions, the paths it imports, and which of its lines are tests.
//!
//! Rules look at tokens and never at text, so a word in a comment or in a string breaks none of them, and a word inside
//! a macro does. Lines under `#[cfg(test)]` or `#[test]` count as tests wherever they stand in the file.

use std::ops::RangeInclusive;

use proc_macro2::{TokenStream, TokenTree};
use syn::spanned::Spanned as _;
use syn::visit::{self, Visit};

/// A token with the line it starts on.
pub(super) struct Token {
    pub(super) text: String,
    pub(super) line: usize,
}

/// A function, or the declaration of one in a trait.
pub(super) struct Function {
    pub(super) name: String,
    pub(super) line: usize,
    /// Lines of its body.
    pub(super) lines: usize,
    pub(super) parameters: usize,
    pub(super) public: bool,
    pub(super) takes_bool: bool,
}

/// `mod name;`, with what is needed to find its file.
pub(super) struct Module {
    pub(super) name: String,
    /// `#[path = "..."]`.
    pub(super) path: Option<String>,
    pub(super) test: bool,
}

/// One parsed file.
pub(super) struct Source {
    pub(super) name: String,
    pub(super) lines: usize,
    /// Lines of the comment that the file opens with.
    pub(super) opening: usize,
    pub(super) tokens: Vec<Token>,
    pub(super) functions: Vec<Function>,
    pub(super) modules: Vec<Module>,
    /// Imported paths, written out: `use std::{fs, io}` is `std::fs` and `std::io`.
    pub(super) imports: Vec<(String, usize)>,
    /// Every string in it.
    pub(super) strings: Vec<String>,
    /// The whole file is a test.
    pub(super) test: bool,
    test_lines: Vec<RangeInclusive<usize>>,
}

impl Source {
    pub(super) fn parse(name: &str, text: &str) -> Result<Self, String> {
        let file = syn::parse_file(text).map_err(|error| format!("{name}: {error}"))?;
        let stream: TokenStream = text.parse().map_err(|error| format!("{name}: {error}"))?;
        let mut seen = Seen::default();
        seen.visit_file(&file);
        let mut tokens = Vec::new();
        let mut strings = Vec::new();
        flatten(stream, &mut tokens, &mut strings);
        Ok(Self {
            name: name.to_owned(),
            lines: text.lines().count(),
            opening: text.lines().take_while(|line| line.starts_with("//!")).count(),
            tokens,
            functions: seen.functions,
            modules: seen.modules,
            imports: seen.imports,
            strings,
            test: name.starts_with("tests/") || name.contains("/tests/") || is_test(&file.attrs),
            test_lines: seen.test_lines,
        })
    }

    pub(super) fn is_test(&self, line: usize) -> bool {
        self.test || self.test_lines.iter().any(|lines| lines.contains(&line))
    }

    /// Lines that are not tests.
    pub(super) fn code_lines(&self) -> usize {
        (1..=self.lines).filter(|line| !self.is_test(*line)).count()
    }
}

#[derive(Default)]
struct Seen {
    functions: Vec<Function>,
    modules: Vec<Module>,
    imports: Vec<(String, usize)>,
    test_lines: Vec<RangeInclusive<usize>>,
}

impl Seen {
    fn function(&mut self, public: bool, signature: &syn::Signature, block: Option<&syn::Block>) {
        let lines = block.map_or(0, |block| {
            let span = block.span();
            span.end().line.saturating_sub(span.start().line) + 1
        });
        let is_bool = |input: &syn::FnArg| match input {
            syn::FnArg::Typed(typed) => {
                matches!(&*typed.ty, syn::Type::Path(path) if path.path.is_ident("bool"))
            }
            syn::FnArg::Receiver(_) => false,
        };
        self.functions.push(Function {
            name: signature.ident.to_string(),
            line: signature.span().start().line,
            lines,
            parameters: signature.inputs.len(),
            public,
            takes_bool: signature.inputs.iter().any(is_bool),
        });
    }

    fn imported(&mut self, before: &str, tree: &syn::UseTree) {
        let line = tree.span().start().line;
        match tree {
            syn::UseTree::Path(path) => self.imported(&format!("{before}{}::", path.ident), &path.tree),
            syn::UseTree::Name(name) => self.imports.push((format!("{before}{}", name.ident), line)),
            syn::UseTree::Rename(name) => self.imports.push((format!("{before}{}", name.ident), line)),
            syn::UseTree::Glob(_) => self.imports.push((format!("{before}*"), line)),
            syn::UseTree::Group(group) => group.items.iter().for_each(|tree| self.imported(before, tree)),
        }
    }
}

impl<'ast> Visit<'ast> for Seen {
    fn visit_item(&mut self, item: &'ast syn::Item) {
        if is_test(attributes(item)) {
            let span = item.span();
            self.test_lines.push(span.start().line..=span.end().line);
        }
        visit::visit_item(self, item);
    }

    fn visit_item_mod(&mut self, item: &'ast syn::ItemMod) {
        if item.content.is_none() {
            let path =
                item.attrs.iter().find(|attribute| attribute.path().is_ident("path")).and_then(text_of);
            self.modules.push(Module { name: item.ident.to_string(), path, test: is_test(&item.attrs) });
        }
        visit::visit_item_mod(self, item);
    }

    fn visit_item_use(&mut self, item: &'ast syn::ItemUse) {
        self.imported("", &item.tree);
    }

    fn visit_item_fn(&mut self, item: &'ast syn::ItemFn) {
        self.function(is_public(&item.vis), &item.sig, Some(&item.block));
        visit::visit_item_fn(self, item);
    }

    fn visit_impl_item_fn(&mut self, item: &'ast syn::ImplItemFn) {
        self.function(is_public(&item.vis), &item.sig, Some(&item.block));
        visit::visit_impl_item_fn(self, item);
    }

    fn visit_item_trait(&mut self, item: &'ast syn::ItemTrait) {
        for declared in &item.items {
            if let syn::TraitItem::Fn(declared) = declared {
                self.function(is_public(&item.vis), &declared.sig, declared.default.as_ref());
            }
        }
        visit::visit_item_trait(self, item);
    }
}

const fn is_public(visibility: &syn::Visibility) -> bool {
    matches!(visibility, syn::Visibility::Public(_))
}

fn attributes(item: &syn::Item) -> &[syn::Attribute] {
    match item {
        syn::Item::Const(item) => &item.attrs,
        syn::Item::Enum(item) => &item.attrs,
        syn::Item::Fn(item) => &item.attrs,
        syn::Item::Impl(item) => &item.attrs,
        syn::Item::Macro(item) => &item.attrs,
        syn::Item::Mod(item) => &item.attrs,
        syn::Item::Static(item) => &item.attrs,
        syn::Item::Struct(item) => &item.attrs,
        syn::Item::Trait(item) => &item.attrs,
        syn::Item::Type(item) => &item.attrs,
        syn::Item::Use(item) => &item.attrs,
        _ => &[],
    }
}

/// `#[test]`, or a `#[cfg(...)]` that only a test build satisfies.
fn is_test(attributes: &[syn::Attribute]) -> bool {
    attributes.iter().any(|attribute| {
        if attribute.path().is_ident("test") {
            return true;
        }
        let Ok(list) = attribute.meta.require_list() else { return false };
        let (mut words, mut strings) = (Vec::new(), Vec::new());
        flatten(list.tokens.clone(), &mut words, &mut strings);
        let has = |word: &str| words.iter().any(|token| token.text == word);
        attribute.path().is_ident("cfg") && has("test") && !has("not") && !has("any")
    })
}

fn text_of(attribute: &syn::Attribute) -> Option<String> {
    match &attribute.meta.require_name_value().ok()?.value {
        syn::Expr::Lit(syn::ExprLit { lit: syn::Lit::Str(text), .. }) => Some(text.value()),
        _ => None,
    }
}

/// All tokens in order, groups with their delimiters; `::` is one token. Strings go to `strings`.
fn flatten(stream: TokenStream, tokens: &mut Vec<Token>, strings: &mut Vec<String>) {
    // Whether the token before was a `:` that another punctuation mark touches.
    let mut colon = false;
    for tree in stream {
        let line = tree.span().start().line;
        let mut push = |text: &str| tokens.push(Token { text: text.to_owned(), line });
        match tree {
            TokenTree::Group(group) => {
                let (open, close) = match group.delimiter() {
                    proc_macro2::Delimiter::Parenthesis => ("(", ")"),
                    proc_macro2::Delimiter::Brace => ("{", "}"),
                    proc_macro2::Delimiter::Bracket => ("[", "]"),
                    proc_macro2::Delimiter::None => ("", ""),
                };
                push(open);
                flatten(group.stream(), tokens, strings);
                tokens.push(Token { text: close.to_owned(), line: group.span_close().start().line });
                colon = false;
            }
            TokenTree::Punct(mark) if mark.as_char() == ':' => {
                match tokens.last_mut().filter(|_| colon) {
                    Some(first) => "::".clone_into(&mut first.text),
                    None => tokens.push(Token { text: ":".to_owned(), line }),
                }
                colon = !colon && mark.spacing() == proc_macro2::Spacing::Joint;
            }
            TokenTree::Punct(mark) => {
                push(&mark.to_string());
                colon = false;
            }
            TokenTree::Ident(word) => {
                push(&word.to_string());
                colon = false;
            }
            TokenTree::Literal(literal) => {
                match syn::Lit::new(literal.clone()) {
                    syn::Lit::Str(text) => strings.push(text.value()),
                    syn::Lit::Float(_) => push(FLOAT),
                    _ => push(&literal.to_string()),
                }
                colon = false;
            }
        }
    }
}

/// What a float literal is among the tokens.
pub(super) const FLOAT: &str = "<float>";

/// The words of a rule, as they stand among the tokens.
pub(super) fn pattern(text: &str) -> Vec<String> {
    let (mut tokens, mut strings) = (Vec::new(), Vec::new());
    if let Ok(stream) = text.parse() {
        flatten(stream, &mut tokens, &mut strings);
    }
    tokens.into_iter().map(|token| token.text).filter(|text| !text.is_empty()).collect()
}

#[cfg(test)]
mod tests {
    #![expect(clippy::unwrap_used, reason = "tests")]
    use super::*;

    #[test]
    fn only_what_is_test_is_left_out_wherever_it_stands() {
        let text =
            "//! One.\n#[cfg(test)]\nmod fixtures {\n    fn f() {}\n}\nfn code() {}\n#[test]\nfn t() {}\n";
        let source = Source::parse("src/x.rs", text).unwrap();
        let tests: Vec<usize> = (1..=8).filter(|line| source.is_test(*line)).collect();
        assert_eq!(tests, [2, 3, 4, 5, 7, 8]);
        assert_eq!(source.code_lines(), 2);
        assert!(!Source::parse("src/x.rs", "#[cfg(not(test))]\nfn f() {}").unwrap().is_test(1));
        assert!(Source::parse("src/tests/x.rs", "fn f() {}").unwrap().is_test(1));
    }

    #[test]
    fn nested_imports_are_written_out_and_paths_are_patterns() {
        let source = Source::parse("src/x.rs", "use std::{fs as f, io::{self, Read}};").unwrap();
        let paths: Vec<&str> = source.imports.iter().map(|(path, _)| path.as_str()).collect();
        assert_eq!(paths, ["std::fs", "std::io::self", "std::io::Read"]);
        assert_eq!(pattern("std::fs"), ["std", "::", "fs"]);
        assert_eq!(pattern("a: b"), ["a", ":", "b"]);
    }
}
