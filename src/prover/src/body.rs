//! Bodies of requests.
//!
//! That of an aggregate holds every member's proof in base64 and is far larger than anything else here. It is written
//! while it is sent: one member at a time is read from the store, and encoded piece by piece. A member that cannot be
//! read breaks the request off, so that the server never sees a complete body with something missing.

use std::io;
use std::sync::{Arc, Mutex, PoisonError};

use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use bytes::Bytes;
use futures_util::stream::{self, Stream};
use prooflog_core::AggRequest;
use prooflog_events::ids::{Address, Hash32};
use prooflog_events::values::BlobRef;
use serde_json::json;

/// Bytes of a proof that are encoded at a time; a multiple of three, so that groups never cross a border.
const PIECE: usize = 48 << 10;

/// Why a stored proof cannot be read.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("the stored proof {sha256} cannot be read: {problem}")]
pub struct SourceError {
    /// Which.
    pub sha256: Hash32,
    /// What is wrong.
    pub problem: String,
}

/// Where the proofs of members are read from. Called on a thread that may block.
pub trait ProofSource: Send + Sync + 'static {
    /// The bytes of a proof.
    ///
    /// # Errors
    /// When they are not there, or cannot be read.
    fn read(&self, blob: BlobRef) -> Result<Vec<u8>, SourceError>;
}

/// Where the body leaves the error that broke it off.
pub(crate) type Broken = Arc<Mutex<Option<SourceError>>>;

/// The error that broke a body off, if one did.
pub(crate) fn take_error(broken: &Broken) -> Option<SourceError> {
    broken.lock().unwrap_or_else(PoisonError::into_inner).take()
}

struct Writer {
    source: Arc<dyn ProofSource>,
    members: std::vec::IntoIter<BlobRef>,
    is_first: bool,
    /// The member being sent, and how much of it was.
    current: Option<(Vec<u8>, usize)>,
    /// What is left to write behind the members.
    end: Option<String>,
    broken: Broken,
}

/// What stands behind the members.
fn end_of(agg: &AggRequest) -> String {
    let mut fields = json!({ "head": agg.head.to_string() });
    if let Some(fields) = fields.as_object_mut() {
        if agg.prover != Address::default() {
            fields.insert("prover_address".to_owned(), json!(agg.prover.to_string()));
        }
        if agg.config_name != Hash32::ZERO {
            fields.insert("config_name".to_owned(), json!(agg.config_name.to_string()));
        }
    }
    let fields = fields.to_string();
    format!("],{}", fields.strip_prefix('{').unwrap_or(&fields))
}

/// The body of an aggregate request, its length, and where an error is left.
pub(crate) fn aggregate(
    agg: &AggRequest,
    source: Arc<dyn ProofSource>,
) -> (impl Stream<Item = io::Result<Bytes>> + Send + 'static + use<>, u64, Broken) {
    let end = end_of(agg);
    let encoded: u64 = agg.members.iter().map(|blob| blob.length.div_ceil(3).saturating_mul(4)).sum();
    // Two quotes each, and commas between.
    let marks = (agg.members.len() as u64).saturating_mul(3).saturating_sub(1);
    let length = (START.len() as u64).saturating_add(encoded).saturating_add(marks) + end.len() as u64;
    let broken = Broken::default();
    let writer = Writer {
        source,
        members: agg.members.clone().into_iter(),
        is_first: true,
        current: None,
        end: Some(end),
        broken: Arc::clone(&broken),
    };
    let start = stream::iter([Ok(Bytes::from_static(START.as_bytes()))]);
    let rest = stream::try_unfold(writer, |mut writer| async move {
        let piece = writer.next().await?;
        Ok(piece.map(|piece| (piece, writer)))
    });
    (futures_util::StreamExt::chain(start, rest), length, broken)
}

const START: &str = "{\"subproofs\":[";

impl Writer {
    async fn next(&mut self) -> io::Result<Option<Bytes>> {
        if let Some((proof, sent)) = &mut self.current {
            let rest = proof.get(*sent..).unwrap_or_default();
            let piece = rest.get(..PIECE).unwrap_or(rest);
            let mut text = STANDARD.encode(piece);
            *sent = sent.saturating_add(piece.len());
            if *sent >= proof.len() {
                text.push('"');
                self.current = None;
            }
            return Ok(Some(Bytes::from(text)));
        }
        let Some(member) = self.members.next() else {
            return Ok(self.end.take().map(Bytes::from));
        };
        match self.read(member).await {
            Ok(proof) => self.current = Some((proof, 0)),
            Err(error) => {
                let words = io::Error::other(error.to_string());
                *self.broken.lock().unwrap_or_else(PoisonError::into_inner) = Some(error);
                return Err(words);
            }
        }
        let mark = if std::mem::take(&mut self.is_first) { "\"" } else { ",\"" };
        Ok(Some(Bytes::from_static(mark.as_bytes())))
    }

    async fn read(&self, member: BlobRef) -> Result<Vec<u8>, SourceError> {
        let source = Arc::clone(&self.source);
        let failed = |problem: String| SourceError { sha256: member.sha256, problem };
        let read = tokio::task::spawn_blocking(move || source.read(member)).await;
        let proof = read.map_err(|error| failed(error.to_string()))??;
        if proof.len() as u64 != member.length {
            return Err(failed(format!("{} bytes instead of {}", proof.len(), member.length)));
        }
        Ok(proof)
    }
}

#[cfg(test)]
#[expect(clippy::unwrap_used, clippy::indexing_slicing, reason = "tests")]
mod tests {
    use super::*;
    use futures_util::TryStreamExt;
    use serde_json::Value;

    /// Proofs that are as long as their reference says; one of length 7 is shorter, one of length 9 is gone.
    struct Fake;

    impl ProofSource for Fake {
        fn read(&self, blob: BlobRef) -> Result<Vec<u8>, SourceError> {
            match blob.length {
                9 => Err(SourceError { sha256: blob.sha256, problem: "gone".to_owned() }),
                7 => Ok(vec![1; 6]),
                length => Ok(vec![blob.sha256.0[0]; usize::try_from(length).unwrap()]),
            }
        }
    }

    fn request(lengths: &[u64], prover: Address, config_name: Hash32) -> AggRequest {
        let members =
            lengths.iter().zip(1..).map(|(length, n)| BlobRef { sha256: Hash32([n; 32]), length: *length });
        AggRequest { members: members.collect(), head: Hash32([0xab; 32]), prover, config_name }
    }

    async fn written(agg: &AggRequest) -> (io::Result<Vec<u8>>, u64, Option<SourceError>) {
        let (stream, length, broken) = aggregate(agg, Arc::new(Fake));
        let text = stream.try_fold(Vec::new(), |mut all, piece| async move {
            all.extend_from_slice(&piece);
            Ok(all)
        });
        (text.await, length, take_error(&broken))
    }

    #[tokio::test]
    async fn the_body_is_json_of_the_announced_length() {
        for lengths in [&[][..], &[1], &[0, 1, 2, 3], &[100_000, 49_152, 49_153, 98_304]] {
            let agg = request(lengths, Address([0x11; 20]), Hash32([0x22; 32]));
            let (text, length, _) = written(&agg).await;
            let text = text.unwrap();
            let value: Value = serde_json::from_slice(&text).unwrap();
            let members: Vec<Vec<u8>> = value["subproofs"]
                .as_array()
                .unwrap()
                .iter()
                .map(|member| STANDARD.decode(member.as_str().unwrap()).unwrap())
                .collect();
            let expected: Vec<Vec<u8>> =
                agg.members.iter().map(|member| Fake.read(*member).unwrap()).collect();
            assert_eq!(members, expected);
            assert_eq!(value["head"], format!("0x{}", "ab".repeat(32)));
            assert_eq!(value["prover_address"], format!("0x{}", "11".repeat(20)));
            assert_eq!(value["config_name"], format!("0x{}", "22".repeat(32)));
            assert_eq!(text.len() as u64, length, "{lengths:?}");
        }
    }

    #[tokio::test]
    async fn fields_that_say_nothing_are_left_out() {
        let (text, length, _) = written(&request(&[5], Address::default(), Hash32::ZERO)).await;
        let text = text.unwrap();
        let value: Value = serde_json::from_slice(&text).unwrap();
        assert_eq!(value.as_object().unwrap().len(), 2);
        assert_eq!(text.len() as u64, length);
    }

    #[tokio::test]
    async fn a_member_that_is_gone_or_not_what_its_name_says_breaks_the_body_off() {
        for (length, words) in [(9, "gone"), (7, "6 bytes instead of 7")] {
            let (text, _, error) = written(&request(&[5, length, 5], Address::default(), Hash32::ZERO)).await;
            assert!(text.is_err());
            assert!(error.unwrap().to_string().contains(words));
        }
    }
}
