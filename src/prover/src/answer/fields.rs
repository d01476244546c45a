//! Which token belongs to which field of an answer.
//!
//! Fields that decide are strict, fields that inform are dropped when they hold something else. Of two fields with the
//! same name the last one counts. Unknown ones are skipped.

use prooflog_events::clip::mark;
use prooflog_events::ids::{Hash32, L1Number, L1Ref};

use super::bytes::ByteRun;
use super::json::{Sink, Token};
use super::{Answer, AnswerError};

/// Most bytes of a proof id. The network's have 32.
const ID_MAX: usize = 256;
/// Most bytes of public values. An aggregate's have 224.
const PUBLIC_VALUES_MAX: usize = 64 << 10;
/// Most bytes of a text that are kept.
const TEXT_MAX: usize = 16 << 10;

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Field {
    Unknown,
    Fulfillment,
    Execution,
    Proof,
    ProofId,
    L1Head,
    PublicValues,
    Cycles,
    Gas,
    Cost,
    ErrorClass,
    Error,
}

impl Field {
    fn of(key: Option<&[u8]>) -> Self {
        match key {
            Some(b"fulfillment_status") => Self::Fulfillment,
            Some(b"execution_status") => Self::Execution,
            Some(b"proof") => Self::Proof,
            Some(b"proof_id") => Self::ProofId,
            Some(b"l1_head") => Self::L1Head,
            Some(b"public_values") => Self::PublicValues,
            Some(b"cycles") => Self::Cycles,
            Some(b"gas") => Self::Gas,
            Some(b"cost") => Self::Cost,
            Some(b"error_class") => Self::ErrorClass,
            Some(b"error") => Self::Error,
            _ => Self::Unknown,
        }
    }

    const fn is_bytes(self) -> bool {
        matches!(self, Self::Proof | Self::ProofId | Self::PublicValues)
    }
}

/// A field of the L1 head.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Part {
    Unknown,
    Number,
    Hash,
}

/// The fields read so far.
#[derive(Debug)]
pub(super) struct Fields {
    answer: Answer,
    depth: usize,
    field: Field,
    part: Part,
    /// Whether the value of an informing field turned out to be something else.
    spoiled: bool,
    text: Vec<u8>,
    /// Bytes of the text beyond what is kept.
    missing: usize,
    run: ByteRun,
    proof_limit: usize,
    number: Option<u64>,
    hash: Option<Hash32>,
}

impl Fields {
    pub(super) fn new(proof_limit: usize) -> Self {
        Self {
            answer: Answer::default(),
            depth: 0,
            field: Field::Unknown,
            part: Part::Unknown,
            spoiled: false,
            text: Vec::new(),
            missing: 0,
            run: ByteRun::new("", 0),
            proof_limit,
            number: None,
            hash: None,
        }
    }

    pub(super) fn into_answer(self) -> Answer {
        self.answer
    }

    fn begin_field(&mut self, key: Option<&[u8]>) {
        self.field = Field::of(key);
        self.part = Part::Unknown;
        self.spoiled = false;
        self.text.clear();
        self.missing = 0;
        let answer = &mut self.answer;
        match self.field {
            Field::Proof => {
                answer.proof = None;
                self.run = ByteRun::new("proof", self.proof_limit);
            }
            Field::ProofId => {
                answer.proof_id = None;
                self.run = ByteRun::new("proof_id", ID_MAX);
            }
            Field::PublicValues => {
                answer.public_values = None;
                self.run = ByteRun::new("public_values", PUBLIC_VALUES_MAX);
            }
            Field::L1Head => {
                answer.l1_head = None;
                (self.number, self.hash) = (None, None);
            }
            Field::Fulfillment => answer.fulfillment = None,
            Field::Execution => answer.execution = None,
            Field::Cycles => answer.cycles = None,
            Field::Gas => answer.gas = None,
            Field::Cost => answer.cost = None,
            Field::ErrorClass => answer.error_class = None,
            Field::Error => answer.error = None,
            Field::Unknown => {}
        }
    }

    /// Something that the field cannot hold: an error where the field decides.
    fn unfit(&mut self, problem: &'static str) -> Result<(), AnswerError> {
        let field = match self.field {
            Field::Fulfillment => "fulfillment_status",
            Field::Execution => "execution_status",
            Field::Proof => "proof",
            Field::ProofId => "proof_id",
            _ => {
                self.spoiled = true;
                return Ok(());
            }
        };
        Err(AnswerError::Field { field, problem })
    }

    /// The outcome of adding to the byte string, softened where the field only informs.
    fn bytes(&mut self, outcome: Result<(), AnswerError>) -> Result<(), AnswerError> {
        if outcome.is_err() && self.field == Field::PublicValues {
            self.spoiled = true;
            self.run.clear();
            return Ok(());
        }
        outcome
    }

    fn end_bytes(&mut self) -> Result<(), AnswerError> {
        if self.spoiled {
            return Ok(());
        }
        let taken = self.run.take();
        match self.field {
            Field::Proof => self.answer.proof = Some(taken?),
            Field::ProofId => self.answer.proof_id = Some(taken?),
            _ => self.answer.public_values = taken.ok(),
        }
        Ok(())
    }

    /// A value directly in the answer.
    fn scalar(&mut self, token: Token<'_>) -> Result<(), AnswerError> {
        match (self.field, token) {
            (Field::Unknown, _) | (_, Token::Null) => Ok(()),
            (Field::Fulfillment | Field::Execution, Token::Number(text)) => {
                let Some(status) = parse(text) else {
                    return self.unfit("not a whole number of 32 bits");
                };
                let slot = if self.field == Field::Fulfillment {
                    &mut self.answer.fulfillment
                } else {
                    &mut self.answer.execution
                };
                *slot = Some(status);
                Ok(())
            }
            (Field::Cycles, Token::Number(text)) => {
                self.answer.cycles = parse(text);
                Ok(())
            }
            (Field::Gas, Token::Number(text)) => {
                self.answer.gas = parse(text);
                Ok(())
            }
            (Field::Cost, Token::Number(text)) => {
                self.answer.cost = parse(text);
                Ok(())
            }
            (field, Token::Text(part)) if field.is_bytes() => {
                if self.spoiled {
                    return Ok(());
                }
                let outcome = self.run.push_base64(part);
                self.bytes(outcome)
            }
            (field, Token::TextEnd) if field.is_bytes() => self.end_bytes(),
            (Field::Fulfillment | Field::Execution, _) => self.unfit("not a whole number of 32 bits"),
            (field, _) if field.is_bytes() => self.unfit("neither an array of bytes nor base64"),
            (_, Token::Text(part)) => {
                self.keep(part);
                Ok(())
            }
            (_, Token::TextEnd) => {
                self.end_text();
                Ok(())
            }
            _ => Ok(()),
        }
    }

    fn keep(&mut self, part: &[u8]) {
        let room = TEXT_MAX.saturating_sub(self.text.len());
        let kept = part.get(..room).unwrap_or(part);
        self.text.extend_from_slice(kept);
        self.missing = self.missing.saturating_add(part.len().saturating_sub(kept.len()));
    }

    /// The text of a field, marked if it was longer than what is kept.
    fn whole_text(&mut self, text: &[u8]) -> String {
        let mut whole = String::from_utf8_lossy(text).into_owned();
        if self.missing > 0 {
            whole.push_str(&mark(self.missing));
        }
        whole
    }

    fn end_text(&mut self) {
        let text = std::mem::take(&mut self.text);
        match self.field {
            Field::Cycles => self.answer.cycles = parse(Some(&text)),
            Field::Gas => self.answer.gas = parse(Some(&text)),
            Field::Cost => self.answer.cost = parse(Some(&text)),
            Field::ErrorClass => self.answer.error_class = Some(String::from_utf8_lossy(&text).into_owned()),
            Field::Error => self.answer.error = Some(self.whole_text(&text)),
            _ => {}
        }
    }

    /// A value one level down: an element of a byte array, or a field of the L1 head.
    fn nested(&mut self, token: Token<'_>) -> Result<(), AnswerError> {
        match (self.field, token) {
            (field, Token::Number(text)) if field.is_bytes() => {
                if self.spoiled {
                    return Ok(());
                }
                let outcome = self.run.push_number(text);
                self.bytes(outcome)
            }
            (field, _) if field.is_bytes() => self.unfit("an element is not a number from 0 to 255"),
            (Field::L1Head, Token::Key(key)) => {
                self.text.clear();
                self.part = match key {
                    Some(b"number") => Part::Number,
                    Some(b"hash") => Part::Hash,
                    _ => Part::Unknown,
                };
                Ok(())
            }
            (Field::L1Head, Token::Number(text)) if self.part == Part::Number => {
                self.number = parse(text);
                Ok(())
            }
            (Field::L1Head, Token::Text(part)) => {
                self.keep(part);
                Ok(())
            }
            (Field::L1Head, Token::TextEnd) => {
                let text = std::mem::take(&mut self.text);
                match self.part {
                    Part::Number => self.number = parse(Some(&text)),
                    Part::Hash => self.hash = parse(Some(&text)),
                    Part::Unknown => {}
                }
                Ok(())
            }
            _ => Ok(()),
        }
    }

    fn begin(&mut self, token: Token<'_>) -> Result<(), AnswerError> {
        let depth = self.depth;
        self.depth = depth.saturating_add(1);
        match (depth, self.field, token) {
            (0, _, Token::BeginObject) => Ok(()),
            (0, ..) => Err(AnswerError::NotAnObject),
            (1, field, Token::BeginArray) if field.is_bytes() => Ok(()),
            (1, Field::L1Head, Token::BeginObject) => Ok(()),
            (1, ..) => self.unfit("holds an object or an array"),
            (2, field, _) if field.is_bytes() => self.unfit("an element is not a number from 0 to 255"),
            _ => Ok(()),
        }
    }

    fn end(&mut self) -> Result<(), AnswerError> {
        self.depth = self.depth.saturating_sub(1);
        if self.depth != 1 {
            return Ok(());
        }
        if self.field.is_bytes() {
            return self.end_bytes();
        }
        if let (Field::L1Head, false, Some(number), Some(hash)) =
            (self.field, self.spoiled, self.number, self.hash)
        {
            self.answer.l1_head = Some(L1Ref { number: L1Number(number), hash });
        }
        Ok(())
    }
}

impl Sink for Fields {
    fn token(&mut self, token: Token<'_>) -> Result<(), AnswerError> {
        match token {
            Token::BeginObject | Token::BeginArray => self.begin(token),
            Token::EndObject | Token::EndArray => self.end(),
            Token::Key(key) if self.depth == 1 => {
                self.begin_field(key);
                Ok(())
            }
            _ if self.depth == 0 => Err(AnswerError::NotAnObject),
            _ if self.depth == 1 => self.scalar(token),
            _ if self.depth == 2 => self.nested(token),
            _ => Ok(()),
        }
    }

    fn byte_array(&mut self) -> Option<&mut ByteRun> {
        let wanted = self.depth == 2 && matches!(self.field, Field::Proof | Field::ProofId);
        wanted.then_some(&mut self.run)
    }
}

/// A number or hash as written, if it is one.
fn parse<T: std::str::FromStr>(text: Option<&[u8]>) -> Option<T> {
    std::str::from_utf8(text?).ok()?.trim().parse().ok()
}
