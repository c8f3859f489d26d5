//! Rust sources as the rules need them: every path written, every string literal, every function.
//!
//! It reads tokens, not syntax trees: a path inside a macro call (`assert!`, `matches!`,
//! `proptest!`) counts like any other, which a syntax tree would hide. Comments are no tokens,
//! and doc comments are left out, so prose may name what code may not.

use std::str::FromStr;

use proc_macro2::{Delimiter, Group, TokenStream, TokenTree};

/// What one file says.
#[derive(Default)]
pub(crate) struct Source {
    pub(crate) paths: Vec<Written>,
    pub(crate) literals: Vec<Literal>,
    pub(crate) functions: Vec<Function>,
    pub(crate) modules: Vec<Declared>,
}

/// A path such as `crate::vault::Customer`; a group in a `use` is written out, one path per leaf.
pub(crate) struct Written {
    pub(crate) segments: Vec<String>,
    pub(crate) line: usize,
    /// Inside `#[cfg(test)]`, or in a file of tests.
    pub(crate) in_test: bool,
    /// The inline modules (`mod name { .. }`) around it: one `super` each before the file's own.
    pub(crate) depth: usize,
    /// `as` stands behind it, so later uses do not show what they name.
    pub(crate) is_renamed: bool,
}

impl Written {
    pub(crate) fn text(&self) -> String {
        self.segments.join("::")
    }

    pub(crate) fn starts_with(&self, segments: &[&str]) -> bool {
        self.segments.len() >= segments.len()
            && self.segments.iter().zip(segments).all(|(own, other)| own == other)
    }

    pub(crate) fn ends_with(&self, segments: &[&str]) -> bool {
        self.segments.len() >= segments.len()
            && self
                .segments
                .iter()
                .rev()
                .zip(segments.iter().rev())
                .all(|(own, other)| own == other)
    }
}

/// A string, its escapes as written.
pub(crate) struct Literal {
    pub(crate) text: String,
    pub(crate) line: usize,
    pub(crate) in_test: bool,
}

/// From the line of `fn` to the line of the closing brace.
pub(crate) struct Function {
    pub(crate) name: String,
    pub(crate) line: usize,
    pub(crate) lines: usize,
}

/// `mod name;` or `mod name { .. }`.
pub(crate) struct Declared {
    pub(crate) name: String,
    pub(crate) line: usize,
    pub(crate) is_visible: bool,
}

/// Reads one file; `in_test` says that all of it is test code.
pub(crate) fn read(text: &str, in_test: bool) -> Result<Source, String> {
    let stream = TokenStream::from_str(text).map_err(|error| error.to_string())?;
    let mut source = Source::default();
    walk(stream, Place { in_test, depth: 0 }, &mut source);
    Ok(source)
}

#[derive(Clone, Copy)]
struct Place {
    in_test: bool,
    depth: usize,
}

/// The tokens of one group, with a look ahead of any length.
struct Tokens {
    all: Vec<TokenTree>,
    at: usize,
}

impl Tokens {
    fn of(stream: TokenStream) -> Self {
        Self { all: stream.into_iter().collect(), at: 0 }
    }

    fn next(&mut self) -> Option<TokenTree> {
        let token = self.all.get(self.at).cloned();
        self.at += 1;
        token
    }

    fn peek(&self, ahead: usize) -> Option<&TokenTree> {
        self.all.get(self.at + ahead)
    }

    fn is_punct(&self, ahead: usize, sign: char) -> bool {
        matches!(self.peek(ahead), Some(TokenTree::Punct(punct)) if punct.as_char() == sign)
    }
}

/// The last tokens seen, as far as they change what the next one means.
#[derive(Default)]
struct Before {
    /// An item marked `#[cfg(test)]` has begun and not ended.
    test_item: Option<TestItem>,
    is_visible: bool,
    sign: Sign,
}

/// Which token ends an item that began with `#[cfg(test)]`.
#[derive(Clone, Copy, PartialEq)]
enum TestItem {
    /// Its keyword has not come yet; a field or a variant never brings one and ends at its comma.
    Begun,
    Braces,
    Semicolon,
}

/// Whether the next identifier begins a path: it does not after `value.` and `<Type>::`.
#[derive(Clone, Copy, Default, PartialEq)]
enum Sign {
    Angle,
    AngleColon,
    AngleColons,
    Dot,
    #[default]
    Other,
}

impl Sign {
    fn then(self, sign: char) -> Self {
        match (self, sign) {
            (_, '>') => Self::Angle,
            (Self::Angle, ':') => Self::AngleColon,
            (Self::AngleColon, ':') => Self::AngleColons,
            // Two dots are a range or the rest of a struct, and what follows is a path.
            (Self::Dot, '.') => Self::Other,
            (_, '.') => Self::Dot,
            _ => Self::Other,
        }
    }
}

fn walk(stream: TokenStream, place: Place, source: &mut Source) {
    let mut tokens = Tokens::of(stream);
    let mut before = Before::default();
    while let Some(token) = tokens.next() {
        let here = Place { in_test: place.in_test || before.test_item.is_some(), ..place };
        match token {
            TokenTree::Punct(punct) if punct.as_char() == '#' => {
                read_attribute(&mut tokens, here, &mut before, source);
            }
            TokenTree::Punct(punct) => note_sign(punct.as_char(), &mut before),
            TokenTree::Ident(ident) => {
                let name = ident.to_string();
                let line = ident.span().start().line;
                let begins = !matches!(before.sign, Sign::Dot | Sign::AngleColons);
                before.sign = Sign::Other;
                note_keyword(&name, &mut before);
                match name.as_str() {
                    "mod" => read_module(&mut tokens, line, here, &mut before, source),
                    "fn" => measure_function(&tokens, line, source),
                    _ if begins => read_path(name, line, &mut tokens, here, source),
                    _ => {}
                }
            }
            TokenTree::Literal(literal) => {
                let line = literal.span().start().line;
                before.sign = Sign::Other;
                if let Some(text) = string_of(&literal.to_string()) {
                    source.literals.push(Literal { text, line, in_test: here.in_test });
                }
            }
            TokenTree::Group(group) => {
                walk(group.stream(), here, source);
                before.sign = Sign::Other;
                let is_body = group.delimiter() == Delimiter::Brace;
                if is_body && before.test_item != Some(TestItem::Semicolon) {
                    before = Before::default();
                }
            }
        }
    }
}

fn note_sign(sign: char, before: &mut Before) {
    let ends_field = sign == ',' && before.test_item == Some(TestItem::Begun);
    if sign == ';' || ends_field {
        *before = Before::default();
    }
    before.sign = before.sign.then(sign);
}

fn note_keyword(name: &str, before: &mut Before) {
    match name {
        "pub" => before.is_visible = true,
        "use" | "static" | "const" | "type" | "extern" if before.test_item.is_some() => {
            before.test_item = Some(TestItem::Semicolon);
        }
        // `const fn` and `extern "C" fn` end like any function.
        "fn" | "mod" | "struct" | "enum" | "impl" | "trait" | "macro_rules"
            if before.test_item.is_some() =>
        {
            before.test_item = Some(TestItem::Braces);
        }
        _ => {}
    }
}

fn read_attribute(tokens: &mut Tokens, here: Place, before: &mut Before, source: &mut Source) {
    let is_inner = tokens.is_punct(0, '!');
    let group = match tokens.peek(usize::from(is_inner)) {
        Some(TokenTree::Group(group)) => group.clone(),
        _ => return,
    };
    tokens.at += 1 + usize::from(is_inner);
    let text = group.stream().to_string().replace(' ', "");
    if text == "cfg(test)" && !is_inner {
        before.test_item = Some(TestItem::Begun);
    }
    if !text.starts_with("doc=") {
        walk(group.stream(), here, source);
    }
}

fn read_module(
    tokens: &mut Tokens,
    line: usize,
    here: Place,
    before: &mut Before,
    source: &mut Source,
) {
    let Some(TokenTree::Ident(name)) = tokens.next() else {
        return;
    };
    let is_visible = before.is_visible;
    source.modules.push(Declared { name: name.to_string(), line, is_visible });
    if let Some(body) = tokens.peek(0).and_then(braces).cloned() {
        tokens.next();
        walk(body.stream(), Place { depth: here.depth + 1, ..here }, source);
    }
    *before = Before::default();
}

/// Looks ahead and leaves the tokens to the caller, who reads them like all others. A function
/// without a body (in a trait, or a pointer type) has no length.
fn measure_function(tokens: &Tokens, line: usize, source: &mut Source) {
    let Some(TokenTree::Ident(name)) = tokens.peek(0) else {
        return;
    };
    let mut ahead = 1;
    while let Some(token) = tokens.peek(ahead) {
        if let Some(body) = braces(token) {
            let lines = body.span_close().end().line + 1 - line;
            source.functions.push(Function { name: name.to_string(), line, lines });
            return;
        }
        if tokens.is_punct(ahead, ';') {
            return;
        }
        ahead += 1;
    }
}

fn read_path(first: String, line: usize, tokens: &mut Tokens, here: Place, source: &mut Source) {
    let start = Written {
        segments: vec![first],
        line,
        in_test: here.in_test,
        depth: here.depth,
        is_renamed: false,
    };
    continue_path(start, tokens, source);
}

/// Takes `::name`, `::*` and `::{ .. }` for as long as they follow. A turbofish ends the path.
fn continue_path(mut path: Written, tokens: &mut Tokens, source: &mut Source) {
    while tokens.is_punct(0, ':') && tokens.is_punct(1, ':') {
        match tokens.peek(2) {
            Some(TokenTree::Ident(ident)) => path.segments.push(ident.to_string()),
            Some(TokenTree::Punct(punct)) if punct.as_char() == '*' => {
                path.segments.push("*".to_owned());
            }
            Some(TokenTree::Group(group)) if group.delimiter() == Delimiter::Brace => {
                let group = group.clone();
                tokens.at += 3;
                spread(&path, &group, source);
                return;
            }
            _ => break,
        }
        tokens.at += 3;
    }
    path.is_renamed = matches!(tokens.peek(0), Some(TokenTree::Ident(ident)) if ident == "as");
    source.paths.push(path);
}

/// `crate::{a, b::{c, d}}` is three paths.
fn spread(stem: &Written, group: &Group, source: &mut Source) {
    let mut tokens = Tokens::of(group.stream());
    while let Some(token) = tokens.next() {
        let name = match token {
            TokenTree::Ident(ident) if ident == "as" => {
                tokens.next();
                continue;
            }
            TokenTree::Ident(ident) => ident.to_string(),
            TokenTree::Punct(punct) if punct.as_char() == '*' => "*".to_owned(),
            _ => continue,
        };
        let mut segments = stem.segments.clone();
        segments.push(name);
        continue_path(Written { segments, ..*stem }, &mut tokens, source);
    }
}

fn braces(token: &TokenTree) -> Option<&Group> {
    match token {
        TokenTree::Group(group) if group.delimiter() == Delimiter::Brace => Some(group),
        _ => None,
    }
}

/// The inside of `"..."`, `r#"..."#`, `b"..."` or `c"..."`; `None` for numbers and characters.
fn string_of(literal: &str) -> Option<String> {
    let (prefix, rest) = literal.split_once('"')?;
    if !prefix.chars().all(|letter| matches!(letter, 'b' | 'c' | 'r' | '#')) {
        return None;
    }
    rest.trim_end_matches('#').strip_suffix('"').map(str::to_owned)
}

#[cfg(test)]
#[track_caller]
fn check(text: &str, expected: &[&str]) {
    let found = read(text, false).map(|source| {
        let name = |path: &Written| {
            let test = if path.in_test { "test " } else { "" };
            let renamed = if path.is_renamed { " as" } else { "" };
            format!("{test}{}{renamed}", path.text())
        };
        source.paths.iter().filter(|path| path.segments.len() > 1).map(name).collect::<Vec<_>>()
    });
    assert_eq!(found, Ok(expected.iter().map(|path| path.to_string()).collect()), "{text}");
}

#[test]
fn paths_are_found_wherever_they_stand() {
    check("use a::{b, c::{d, e as f}, g::*};", &["a::b", "a::c::d", "a::c::e as", "a::g::*"]);
    check("fn f() { matches!(x, a::B) }", &["a::B"]);
    check(
        "fn f(x: &mut a::B<c::D>) -> e::F { x.y::<g::H>().i }",
        &["a::B", "c::D", "e::F", "g::H"],
    );
    check("fn f() { x.http.y(); ::a::b() }", &["a::b"]);
    check("#[derive(a::B)] struct C; // a::D\n/// a::E\nstruct F;", &["a::B"]);
    check("let x: a::B = c::D;", &["a::B", "c::D"]);
    check(
        "fn f() { if x > a::B { g(..c::D) } <E>::f::<G>(); h::I::<J>::k() }",
        &["a::B", "c::D", "h::I"],
    );
    check("match x { _ => a::B }", &["a::B"]);
    check("use crate as c; use a::b as d;", &["a::b as"]);
}

#[test]
fn test_code_is_told_from_the_rest() {
    check("#[cfg(test)] mod t { use a::b; } use c::d;", &["test a::b", "c::d"]);
    check("#[cfg(test)] use a::{b, c}; use d::e;", &["test a::b", "test a::c", "d::e"]);
    check("#[cfg(test)] mod tests; use a::b;", &["a::b"]);
    check(
        "#[cfg(test)] #[x(y)] pub(crate) fn f() { a::b() } fn g() { c::d() }",
        &["test a::b", "c::d"],
    );
    check("#[cfg(not(test))] fn f() { a::b() }", &["a::b"]);
    check("enum A { #[cfg(test)] B, C(d::E) }", &["d::E"]);
    check("#[cfg(test)] const fn f() { a::b() } fn g() { c::d() }", &["test a::b", "c::d"]);
}

#[test]
fn functions_modules_and_strings_are_found() -> Result<(), String> {
    let text = "pub mod a;\nmod b { fn c() {\n}\n fn d(); }\npub(crate) mod e;\nmod f;\n\
                const G: &str = r#\"H\"#; const I: &[u8] = b\"J\"; const K: char = 'L';";
    let source = read(text, false)?;
    let functions: Vec<_> =
        source.functions.iter().map(|one| (one.name.as_str(), one.line, one.lines)).collect();
    assert_eq!(functions, [("c", 2, 2)]);
    let modules: Vec<_> =
        source.modules.iter().map(|one| (one.name.as_str(), one.is_visible)).collect();
    assert_eq!(modules, [("a", true), ("b", false), ("e", true), ("f", false)]);
    let literals: Vec<_> = source.literals.iter().map(|one| one.text.as_str()).collect();
    assert_eq!(literals, ["H", "J"]);
    Ok(())
}
