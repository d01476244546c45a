//! An event on the wire, written straight from the record.
//!
//! What the generated message would write, byte for byte, without making its maps and texts first: reading a log in
//! full is mostly this. The numbers are those of the interface files. A crash in here means nothing.

use std::borrow::Cow;

use bytes::{BufMut, Bytes, BytesMut};
use prooflog_events::ids::{EventId, Position, Revision};
use prost::encoding::{WireType, encode_key, encode_varint, encoded_len_varint, key_len};

use crate::show::IdForm;

const TYPE: &str = "type";
const CONTENT_TYPE: &str = "content-type";
const CREATED: &str = "created";

/// What a client is shown of an event.
#[derive(Debug, Clone)]
pub(crate) struct Shown<'a> {
    pub(crate) id: EventId,
    pub(crate) stream: Cow<'a, str>,
    pub(crate) revision: Revision,
    pub(crate) position: Position,
    pub(crate) type_name: &'a str,
    pub(crate) content_type: &'static str,
    /// In units of 100 ns since 1970.
    pub(crate) created: u64,
    pub(crate) custom: Cow<'a, [u8]>,
    pub(crate) data: Cow<'a, [u8]>,
}

/// The answer that shows an event, what led to it, or both.
pub(crate) fn answer(
    event: Option<&Shown<'_>>,
    link: Option<&Shown<'_>>,
    position: Position,
    ids: IdForm,
) -> Bytes {
    let parts =
        [(1, event), (2, link)].map(|(tag, shown)| (tag, shown.map(|shown| Measured::of(shown, ids))));
    let inside = parts.iter().filter_map(|(tag, part)| Some(framed(*tag, part.as_ref()?.len))).sum::<usize>();
    let inside = inside + key_len(3) + encoded_len_varint(position.0);
    let mut out = BytesMut::with_capacity(framed(1, inside));
    open(&mut out, 1, inside);
    for (tag, part) in &parts {
        if let Some(part) = part {
            open(&mut out, *tag, part.len);
            part.write(&mut out);
        }
    }
    encode_key(3, WireType::Varint, &mut out);
    encode_varint(position.0, &mut out);
    out.freeze()
}

/// An event whose texts and lengths are known.
struct Measured<'a> {
    shown: &'a Shown<'a>,
    id: Id,
    created: Decimal,
    len: usize,
}

impl<'a> Measured<'a> {
    fn of(shown: &'a Shown<'a>, ids: IdForm) -> Self {
        let id = Id::of(shown.id, ids);
        let created = Decimal::of(shown.created);
        let stream = bytes_len(3, shown.stream.len());
        let entries = [
            (CONTENT_TYPE, shown.content_type.len()),
            (CREATED, created.text().len()),
            (TYPE, shown.type_name.len()),
        ];
        let len = framed(1, id.len())
            + framed(2, stream)
            + number_len(3, shown.revision.0)
            + number_len(4, shown.position.0)
            + number_len(5, shown.position.0)
            + entries.map(|(key, value)| framed(6, entry_len(key, value))).iter().sum::<usize>()
            + bytes_len(7, shown.custom.len())
            + bytes_len(8, shown.data.len());
        Self { shown, id, created, len }
    }

    fn write(&self, out: &mut BytesMut) {
        let shown = self.shown;
        open(out, 1, self.id.len());
        self.id.write(out);
        open(out, 2, bytes_len(3, shown.stream.len()));
        put(out, 3, shown.stream.as_bytes());
        for (tag, number) in [(3, shown.revision.0), (4, shown.position.0), (5, shown.position.0)] {
            if number > 0 {
                encode_key(tag, WireType::Varint, out);
                encode_varint(number, out);
            }
        }
        let entries =
            [(CONTENT_TYPE, shown.content_type), (CREATED, self.created.text()), (TYPE, shown.type_name)];
        for (key, value) in entries {
            open(out, 6, entry_len(key, value.len()));
            put(out, 1, key.as_bytes());
            put(out, 2, value.as_bytes());
        }
        put(out, 7, &shown.custom);
        put(out, 8, &shown.data);
    }
}

/// An id in the form that was asked for.
enum Id {
    Text([u8; uuid::fmt::Hyphenated::LENGTH]),
    Numbers(u64, u64),
}

impl Id {
    fn of(id: EventId, form: IdForm) -> Self {
        let id = uuid::Uuid::from_bytes(id.0);
        match form {
            IdForm::Text => {
                let mut text = [0; uuid::fmt::Hyphenated::LENGTH];
                id.hyphenated().encode_lower(&mut text);
                Self::Text(text)
            }
            IdForm::Numbers => {
                let (most, least) = id.as_u64_pair();
                Self::Numbers(most, least)
            }
        }
    }

    fn len(&self) -> usize {
        match self {
            Self::Text(text) => bytes_len(2, text.len()),
            Self::Numbers(most, least) => framed(1, number_len(1, *most) + number_len(2, *least)),
        }
    }

    fn write(&self, out: &mut BytesMut) {
        match self {
            Self::Text(text) => put(out, 2, text),
            Self::Numbers(most, least) => {
                open(out, 1, number_len(1, *most) + number_len(2, *least));
                for (tag, number) in [(1, *most), (2, *least)] {
                    if number != 0 {
                        encode_key(tag, WireType::Varint, out);
                        encode_varint(number, out);
                    }
                }
            }
        }
    }
}

/// A number in decimal digits.
struct Decimal {
    digits: [u8; 20],
    from: usize,
}

impl Decimal {
    fn of(mut number: u64) -> Self {
        let mut digits = [b'0'; 20];
        let mut from = digits.len();
        for digit in digits.iter_mut().rev() {
            *digit = b'0' + u8::try_from(number % 10).unwrap_or(0);
            number /= 10;
            from -= 1;
            if number == 0 {
                break;
            }
        }
        Self { digits, from }
    }

    fn text(&self) -> &str {
        self.digits.get(self.from..).and_then(|digits| std::str::from_utf8(digits).ok()).unwrap_or("0")
    }
}

/// Bytes of a message with its key and length.
fn framed(tag: u32, len: usize) -> usize {
    key_len(tag) + encoded_len_varint(len as u64) + len
}

/// Bytes of a text or of bytes with key and length; nothing if there are none.
fn bytes_len(tag: u32, len: usize) -> usize {
    if len == 0 { 0 } else { framed(tag, len) }
}

fn number_len(tag: u32, number: u64) -> usize {
    if number == 0 { 0 } else { key_len(tag) + encoded_len_varint(number) }
}

fn entry_len(key: &str, value: usize) -> usize {
    bytes_len(1, key.len()) + bytes_len(2, value)
}

/// Begins a message of `len` bytes.
fn open(out: &mut BytesMut, tag: u32, len: usize) {
    encode_key(tag, WireType::LengthDelimited, out);
    encode_varint(len as u64, out);
}

fn put(out: &mut BytesMut, tag: u32, bytes: &[u8]) {
    if !bytes.is_empty() {
        open(out, tag, bytes.len());
        out.put_slice(bytes);
    }
}

#[cfg(test)]
mod tests {
    #![expect(clippy::indexing_slicing, reason = "tests")]
    use proptest::prelude::*;
    use prost::Message as _;

    use super::*;
    use crate::show::uuid as id_of;
    use crate::wire::client::StreamIdentifier;
    use crate::wire::streams::ReadResp;
    use crate::wire::streams::read_resp::read_event::{Position as At, RecordedEvent};
    use crate::wire::streams::read_resp::{Content, ReadEvent};

    fn as_generated(shown: &Shown<'_>, ids: IdForm) -> RecordedEvent {
        let entry = |key: &str, value: &str| (key.to_owned(), value.to_owned());
        RecordedEvent {
            id: Some(id_of(shown.id, ids)),
            stream_identifier: Some(StreamIdentifier {
                stream_name: shown.stream.as_bytes().to_vec().into(),
            }),
            stream_revision: shown.revision.0,
            prepare_position: shown.position.0,
            commit_position: shown.position.0,
            metadata: [
                entry(TYPE, shown.type_name),
                entry(CONTENT_TYPE, shown.content_type),
                entry(CREATED, &shown.created.to_string()),
            ]
            .into(),
            custom_metadata: shown.custom.to_vec().into(),
            data: shown.data.to_vec().into(),
        }
    }

    fn number() -> impl Strategy<Value = u64> {
        prop_oneof![Just(0), 0..300_u64, any::<u64>()]
    }

    proptest! {
        #[test]
        fn the_bytes_are_those_of_the_generated_message(
            id in prop_oneof![any::<[u8; 16]>(), Just([0; 16])],
            names in (".{0,200}", ".{0,200}"),
            numbers in (number(), number(), number()),
            bodies in proptest::collection::vec(proptest::collection::vec(any::<u8>(), 0..300), 2),
            which in 0..3_u8,
            text in any::<bool>(),
        ) {
            let ids = if text { IdForm::Text } else { IdForm::Numbers };
            let shown = Shown {
                id: EventId(id),
                stream: names.0.into(),
                revision: Revision(numbers.0),
                position: Position(numbers.1),
                type_name: &names.1,
                content_type: "application/json",
                created: numbers.2,
                custom: Cow::Borrowed(&bodies[0]),
                data: Cow::Borrowed(&bodies[1]),
            };
            let event = (which != 1).then_some(&shown);
            let link = (which != 0).then_some(&shown);
            let expected = ReadResp {
                content: Some(Content::Event(ReadEvent {
                    event: event.map(|shown| as_generated(shown, ids)),
                    link: link.map(|shown| as_generated(shown, ids)),
                    position: Some(At::CommitPosition(numbers.1)),
                })),
            };
            prop_assert_eq!(answer(event, link, Position(numbers.1), ids), expected.encode_to_vec());
        }
    }
}
