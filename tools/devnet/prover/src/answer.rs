//! Bodies of answers.
//!
//! A proof is written while it is sent, so that a hundred chains need no memory for theirs.

use axum::body::{Body, Bytes};
use axum::http::{StatusCode, header};
use axum::response::{IntoResponse, Response};
use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use futures_util::stream;
use serde_json::{Map, Value, json};

use crate::book::Proven;
use crate::proof::ProofBytes;
use crate::script::Script;
use crate::work::Refusal;

/// Bytes of a proof written at a time; a multiple of three, for base64.
const PIECE: usize = 24 << 10;

/// How answers are written.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Style {
    pub(crate) optional_fields: bool,
    pub(crate) base64: bool,
}

impl From<&Script> for Style {
    fn from(script: &Script) -> Self {
        Self { optional_fields: script.optional_fields, base64: script.base64 }
    }
}

impl Style {
    fn bytes(self, bytes: &[u8]) -> Value {
        if self.base64 { json!(STANDARD.encode(bytes)) } else { json!(bytes) }
    }

    /// An id was given.
    pub(crate) fn requested(self, id: &[u8], proven: Option<&Proven>) -> Response {
        let mut answer = Map::new();
        answer.insert("proof_id".to_owned(), self.bytes(id));
        if let Some(proven) = proven.filter(|_| self.optional_fields) {
            answer.insert("l1_head".to_owned(), l1_head(proven));
        }
        axum::Json(Value::Object(answer)).into_response()
    }

    /// A refusal: plain text, or JSON where the optional fields are spoken.
    pub(crate) fn refused(self, refusal: Refusal) -> Response {
        let status = StatusCode::from_u16(refusal.status).unwrap_or(StatusCode::INTERNAL_SERVER_ERROR);
        match refusal.error_class.filter(|_| self.optional_fields) {
            Some(class) => {
                (status, axum::Json(json!({ "error": refusal.text, "error_class": class }))).into_response()
            }
            None => (status, refusal.text).into_response(),
        }
    }

    /// A status without a proof.
    pub(crate) fn status(self, fulfillment: i64, execution: i64, words: Option<&str>) -> Value {
        let mut answer = json!({
            "fulfillment_status": fulfillment, "execution_status": execution, "proof": self.bytes(&[]),
        });
        if let (Some(fields), Some(words)) = (answer.as_object_mut(), words.filter(|_| self.optional_fields))
        {
            fields.insert("error".to_owned(), json!(words));
        }
        answer
    }

    /// Fulfilled, with the proof. The bytes of `proof` go out instead of those of `proven` (mock aggregates are empty).
    pub(crate) fn fulfilled(self, proven: &Proven, proof: ProofBytes) -> Response {
        let (open, close) = if self.base64 { ('"', '"') } else { ('[', ']') };
        let head = format!("{{\"fulfillment_status\":3,\"execution_status\":2,\"proof\":{open}");
        let mut tail = close.to_string();
        if self.optional_fields {
            let fields = json!({
                "l1_head": l1_head(proven),
                "public_values": STANDARD.encode(&proven.public_values),
                "cycles": proven.blocks.saturating_mul(1_000_000),
                "gas": proven.blocks.saturating_mul(21_000_000),
                "cost": u128::from(proven.blocks).saturating_mul(1_000_000_000_000_000).to_string(),
            })
            .to_string();
            tail.push(',');
            tail.push_str(fields.strip_prefix('{').unwrap_or(&fields));
        } else {
            tail.push('}');
        }
        let pieces = stream::unfold((proof, 0_usize), move |(proof, at)| async move {
            if at >= proof.len() {
                return None;
            }
            let mut piece = vec![0; PIECE.min(proof.len() - at)];
            proof.fill(at, &mut piece);
            let end = at + piece.len();
            let text = if self.base64 {
                STANDARD.encode(&piece).into_bytes()
            } else {
                numbers(&piece, end >= proof.len())
            };
            Some((Bytes::from(text), (proof, end)))
        });
        let whole = futures_util::StreamExt::chain(
            futures_util::StreamExt::chain(stream::iter([Bytes::from(head)]), pieces),
            stream::iter([Bytes::from(tail)]),
        );
        let body = Body::from_stream(futures_util::StreamExt::map(whole, Ok::<_, std::io::Error>));
        ([(header::CONTENT_TYPE, "application/json")], body).into_response()
    }
}

fn l1_head(proven: &Proven) -> Value {
    json!({ "number": proven.l1_head.number, "hash": proven.l1_head.hash })
}

/// `1,2,3,` without the last comma where the proof ends.
fn numbers(piece: &[u8], is_last: bool) -> Vec<u8> {
    let mut text = Vec::with_capacity(piece.len() * 4);
    for byte in piece {
        if *byte >= 100 {
            text.push(b'0' + byte / 100);
        }
        if *byte >= 10 {
            text.push(b'0' + byte / 10 % 10);
        }
        text.push(b'0' + byte % 10);
        text.push(b',');
    }
    if is_last {
        text.pop();
    }
    text
}
