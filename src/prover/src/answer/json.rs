//! JSON read piece by piece, as the network brings it.
//!
//! The scanner keeps a state of a few words, the stack of open containers and at most one short key or number; text is
//! handed on as it comes. Where pieces are cut makes no difference to what the sink sees, except that one text may come
//! in several parts. What is not JSON, or nests deeper than [`DEPTH_MAX`], is an error, never a crash.

use super::AnswerError;
use super::bytes::ByteRun;

/// Containers that may be open at once. Answers need two.
pub(super) const DEPTH_MAX: usize = 32;
/// Most bytes of a key or a number that are kept; a longer one cannot be one that we know.
const SCRATCH_MAX: usize = 64;

/// What the scanner found.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Token<'a> {
    BeginObject,
    EndObject,
    BeginArray,
    EndArray,
    /// A whole key; `None` if it is longer than any that we know.
    Key(Option<&'a [u8]>),
    /// A part of a text, escapes resolved.
    Text(&'a [u8]),
    TextEnd,
    /// A whole number as written; `None` if it is longer than any that we can hold.
    Number(Option<&'a [u8]>),
    Bool,
    Null,
}

/// Who is told what the scanner finds.
pub(super) trait Sink {
    fn token(&mut self, token: Token<'_>) -> Result<(), AnswerError>;

    /// Where the elements of the innermost array go, if they are bytes.
    fn byte_array(&mut self) -> Option<&mut ByteRun>;
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum State {
    Value,
    ValueOrEnd,
    KeyOrEnd,
    Key,
    Colon,
    After,
    Text(Escape),
    Number(Number),
    Literal(&'static [u8], Token<'static>),
    Done,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Escape {
    None,
    Backslash,
    /// The value so far and how many digits are missing.
    Unicode(u16, u8),
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Number {
    Minus,
    Zero,
    Whole,
    Point,
    Fraction,
    E,
    ESign,
    Exponent,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Container {
    Object,
    Array,
}

/// The state between two pieces.
#[derive(Debug)]
pub(super) struct Scanner {
    state: State,
    open: Vec<Container>,
    in_key: bool,
    /// First half of a surrogate pair, while the second is awaited.
    surrogate: Option<u16>,
    scratch: Vec<u8>,
    overlong: bool,
}

impl Scanner {
    pub(super) fn new() -> Self {
        Self {
            state: State::Value,
            open: Vec::new(),
            in_key: false,
            surrogate: None,
            scratch: Vec::with_capacity(SCRATCH_MAX),
            overlong: false,
        }
    }

    /// Whether one whole value, and nothing else, was read.
    pub(super) fn is_done(&self) -> bool {
        self.state == State::Done
    }

    /// Reads a piece.
    pub(super) fn feed(&mut self, piece: &[u8], sink: &mut impl Sink) -> Result<(), AnswerError> {
        let mut rest = piece;
        while let Some((&byte, tail)) = rest.split_first() {
            match self.state {
                State::Text(Escape::None) => rest = self.text(rest, sink)?,
                State::Value | State::ValueOrEnd if byte.is_ascii_digit() => {
                    let after = self.byte_elements(rest, sink)?;
                    if after.len() == rest.len() {
                        self.step(byte, sink)?;
                        rest = tail;
                    } else {
                        rest = after;
                    }
                }
                // A number ends with the byte after it, which is then looked at again.
                State::Number(number) => match next_digit(number, byte) {
                    Some(next) => {
                        self.state = State::Number(next);
                        self.keep(&[byte]);
                        rest = tail;
                    }
                    None => self.end_number(number, sink)?,
                },
                _ => {
                    self.step(byte, sink)?;
                    rest = tail;
                }
            }
        }
        Ok(())
    }

    fn step(&mut self, byte: u8, sink: &mut impl Sink) -> Result<(), AnswerError> {
        let is_space = matches!(byte, b' ' | b'\t' | b'\n' | b'\r');
        match self.state {
            State::Text(escape) => return self.escape(escape, byte, sink),
            State::Literal(rest, token) => return self.literal(rest, token, byte, sink),
            _ if is_space => return Ok(()),
            State::ValueOrEnd if byte == b']' => return self.close(Container::Array, sink),
            State::Value | State::ValueOrEnd => return self.begin_value(byte, sink),
            State::KeyOrEnd if byte == b'}' => return self.close(Container::Object, sink),
            State::KeyOrEnd | State::Key if byte == b'"' => {
                self.begin_text(true);
                return Ok(());
            }
            State::Colon if byte == b':' => self.state = State::Value,
            State::After => return self.after(byte, sink),
            _ => return Err(AnswerError::NotJson),
        }
        Ok(())
    }

    fn begin_value(&mut self, byte: u8, sink: &mut impl Sink) -> Result<(), AnswerError> {
        match byte {
            b'{' => self.open(Container::Object, sink)?,
            b'[' => self.open(Container::Array, sink)?,
            b'"' => self.begin_text(false),
            b't' => self.state = State::Literal(b"rue", Token::Bool),
            b'f' => self.state = State::Literal(b"alse", Token::Bool),
            b'n' => self.state = State::Literal(b"ull", Token::Null),
            b'-' | b'0'..=b'9' => {
                self.scratch.clear();
                self.overlong = false;
                self.keep(&[byte]);
                self.state = State::Number(match byte {
                    b'-' => Number::Minus,
                    b'0' => Number::Zero,
                    _ => Number::Whole,
                });
            }
            _ => return Err(AnswerError::NotJson),
        }
        Ok(())
    }

    fn after(&mut self, byte: u8, sink: &mut impl Sink) -> Result<(), AnswerError> {
        match (byte, self.open.last()) {
            (b',', Some(Container::Array)) => self.state = State::Value,
            (b',', Some(Container::Object)) => self.state = State::Key,
            (b']', Some(Container::Array)) => return self.close(Container::Array, sink),
            (b'}', Some(Container::Object)) => return self.close(Container::Object, sink),
            _ => return Err(AnswerError::NotJson),
        }
        Ok(())
    }

    fn open(&mut self, container: Container, sink: &mut impl Sink) -> Result<(), AnswerError> {
        if self.open.len() >= DEPTH_MAX {
            return Err(AnswerError::TooDeep);
        }
        self.open.push(container);
        let (state, token) = match container {
            Container::Object => (State::KeyOrEnd, Token::BeginObject),
            Container::Array => (State::ValueOrEnd, Token::BeginArray),
        };
        self.state = state;
        sink.token(token)
    }

    fn close(&mut self, container: Container, sink: &mut impl Sink) -> Result<(), AnswerError> {
        self.open.pop();
        self.value_ended();
        sink.token(match container {
            Container::Object => Token::EndObject,
            Container::Array => Token::EndArray,
        })
    }

    fn value_ended(&mut self) {
        self.state = if self.open.is_empty() { State::Done } else { State::After };
    }

    fn literal(
        &mut self,
        rest: &'static [u8],
        token: Token<'static>,
        byte: u8,
        sink: &mut impl Sink,
    ) -> Result<(), AnswerError> {
        match rest.split_first() {
            Some((expected, [])) if *expected == byte => {
                self.value_ended();
                sink.token(token)
            }
            Some((expected, rest)) if *expected == byte => {
                self.state = State::Literal(rest, token);
                Ok(())
            }
            _ => Err(AnswerError::NotJson),
        }
    }

    fn end_number(&mut self, number: Number, sink: &mut impl Sink) -> Result<(), AnswerError> {
        if !matches!(number, Number::Zero | Number::Whole | Number::Fraction | Number::Exponent) {
            return Err(AnswerError::NotJson);
        }
        self.value_ended();
        sink.token(Token::Number((!self.overlong).then_some(self.scratch.as_slice())))
    }

    /// The common case at full speed: elements of one to three digits, each followed by its comma. Everything else is
    /// left where it is.
    fn byte_elements<'a>(
        &mut self,
        mut rest: &'a [u8],
        sink: &mut impl Sink,
    ) -> Result<&'a [u8], AnswerError> {
        let Some(run) = sink.byte_array().filter(|_| self.open.last() == Some(&Container::Array)) else {
            return Ok(rest);
        };
        while let Some((value, after)) = element(rest) {
            run.push(value)?;
            self.state = State::Value;
            rest = after;
        }
        Ok(rest)
    }

    fn begin_text(&mut self, in_key: bool) {
        self.in_key = in_key;
        self.scratch.clear();
        self.overlong = false;
        self.state = State::Text(Escape::None);
    }

    /// Reads up to the end of the text, an escape or the piece.
    fn text<'a>(&mut self, rest: &'a [u8], sink: &mut impl Sink) -> Result<&'a [u8], AnswerError> {
        let end = rest.iter().position(|byte| matches!(byte, b'"' | b'\\' | 0..=0x1f));
        let (plain, tail) = rest.split_at(end.unwrap_or(rest.len()));
        if !plain.is_empty() {
            self.lone_surrogate(sink)?;
            self.part(plain, sink)?;
        }
        let Some((&byte, tail)) = tail.split_first() else {
            return Ok(tail);
        };
        match byte {
            b'\\' => self.state = State::Text(Escape::Backslash),
            b'"' => {
                self.lone_surrogate(sink)?;
                if self.in_key {
                    self.state = State::Colon;
                    sink.token(Token::Key((!self.overlong).then_some(self.scratch.as_slice())))?;
                } else {
                    self.value_ended();
                    sink.token(Token::TextEnd)?;
                }
            }
            _ => return Err(AnswerError::NotJson),
        }
        Ok(tail)
    }

    fn escape(&mut self, escape: Escape, byte: u8, sink: &mut impl Sink) -> Result<(), AnswerError> {
        let plain = match (escape, byte) {
            (Escape::Backslash, b'"' | b'\\' | b'/') => byte,
            (Escape::Backslash, b'b') => 0x08,
            (Escape::Backslash, b'f') => 0x0c,
            (Escape::Backslash, b'n') => b'\n',
            (Escape::Backslash, b'r') => b'\r',
            (Escape::Backslash, b't') => b'\t',
            (Escape::Backslash, b'u') => {
                self.state = State::Text(Escape::Unicode(0, 4));
                return Ok(());
            }
            (Escape::Unicode(value, missing), _) => {
                let digit = char::from(byte).to_digit(16).and_then(|digit| u16::try_from(digit).ok());
                let value = (value << 4) | digit.ok_or(AnswerError::NotJson)?;
                if missing > 1 {
                    self.state = State::Text(Escape::Unicode(value, missing - 1));
                    return Ok(());
                }
                self.state = State::Text(Escape::None);
                return self.unit(value, sink);
            }
            _ => return Err(AnswerError::NotJson),
        };
        self.state = State::Text(Escape::None);
        self.lone_surrogate(sink)?;
        self.part(&[plain], sink)
    }

    /// One UTF-16 unit of an escape. Halves of pairs that stand alone become the replacement character.
    fn unit(&mut self, value: u16, sink: &mut impl Sink) -> Result<(), AnswerError> {
        let pair = self.surrogate.filter(|_| (0xdc00..=0xdfff).contains(&value));
        if let Some(high) = pair {
            self.surrogate = None;
            let code = 0x1_0000 + ((u32::from(high) - 0xd800) << 10) + (u32::from(value) - 0xdc00);
            return self.character(char::from_u32(code), sink);
        }
        self.lone_surrogate(sink)?;
        if (0xd800..=0xdbff).contains(&value) {
            self.surrogate = Some(value);
            return Ok(());
        }
        self.character(char::from_u32(u32::from(value)), sink)
    }

    fn lone_surrogate(&mut self, sink: &mut impl Sink) -> Result<(), AnswerError> {
        match self.surrogate.take() {
            Some(_) => self.character(None, sink),
            None => Ok(()),
        }
    }

    fn character(&mut self, found: Option<char>, sink: &mut impl Sink) -> Result<(), AnswerError> {
        let mut buffer = [0; 4];
        let text = found.unwrap_or(char::REPLACEMENT_CHARACTER).encode_utf8(&mut buffer);
        self.part(text.as_bytes(), sink)
    }

    fn part(&mut self, bytes: &[u8], sink: &mut impl Sink) -> Result<(), AnswerError> {
        if self.in_key {
            self.keep(bytes);
            return Ok(());
        }
        sink.token(Token::Text(bytes))
    }

    fn keep(&mut self, bytes: &[u8]) {
        if self.scratch.len().saturating_add(bytes.len()) > SCRATCH_MAX {
            self.overlong = true;
        } else {
            self.scratch.extend_from_slice(bytes);
        }
    }
}

/// What a number becomes with one more byte; `None` where the byte does not belong to it.
const fn next_digit(number: Number, byte: u8) -> Option<Number> {
    match (number, byte) {
        (Number::Minus, b'0') => Some(Number::Zero),
        (Number::Minus, b'1'..=b'9') | (Number::Whole, b'0'..=b'9') => Some(Number::Whole),
        (Number::Zero | Number::Whole, b'.') => Some(Number::Point),
        (Number::Point | Number::Fraction, b'0'..=b'9') => Some(Number::Fraction),
        (Number::Zero | Number::Whole | Number::Fraction, b'e' | b'E') => Some(Number::E),
        (Number::E, b'+' | b'-') => Some(Number::ESign),
        (Number::E | Number::ESign | Number::Exponent, b'0'..=b'9') => Some(Number::Exponent),
        _ => None,
    }
}

/// An element of an array of bytes with the comma behind it, and what follows.
fn element(rest: &[u8]) -> Option<(u8, &[u8])> {
    let digit = |byte: u8| byte.wrapping_sub(b'0');
    match rest {
        [a @ b'0'..=b'9', b',', after @ ..] => Some((digit(*a), after)),
        [a @ b'1'..=b'9', b @ b'0'..=b'9', b',', after @ ..] => Some((digit(*a) * 10 + digit(*b), after)),
        [a @ b'1'..=b'2', b @ b'0'..=b'9', c @ b'0'..=b'9', b',', after @ ..] => {
            let value = u16::from(digit(*a)) * 100 + u16::from(digit(*b)) * 10 + u16::from(digit(*c));
            u8::try_from(value).ok().map(|value| (value, after))
        }
        _ => None,
    }
}
