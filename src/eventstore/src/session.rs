//! Appending to several streams at once: the second generation.
//!
//! All or nothing, in the order of the request. Errors travel as a list of details in one binary trailer, the one that
//! names the case last, with exactly the status's code and message: one client looks at the last only, another refuses a
//! trailer that says something else than the status. What a crash means: see the writer.

use std::collections::{BTreeMap, HashMap, HashSet};
use std::sync::Arc;
use std::time::Duration;

use bytes::Bytes;
use prooflog_events::envelope::Content;
use prooflog_events::ids::EventId;
use prooflog_events::limits::{BATCH_BYTES_MAX, BATCH_EVENTS_MAX};
use prost_types::value::Kind;
use tonic::{Status, Streaming};

use crate::authority::Caller;
use crate::error::{Expect, Refusal, revision_number};
use crate::limits::PREFIXES;
use crate::names;
use crate::trailer::{self, violations};
use crate::wire::v2::consistency_check::Type;
use crate::wire::v2::{
    AppendRecord, AppendRecordsRequest, AppendRecordsResponse, AppendRequest, AppendResponse,
    AppendSessionResponse, ConsistencyCheck, SchemaFormat, StreamRevision,
};
use crate::writer::{Order, Proposed, Target, Writer, Written, owned, random_id};

/// Answers an AppendSession call. The next message may be awaited for `patience`.
pub(crate) async fn session(
    writer: &Arc<Writer>,
    caller: &Caller,
    mut requests: Streaming<AppendRequest>,
    patience: Duration,
) -> Result<AppendSessionResponse, Status> {
    writer.admit(caller).map_err(|refusal| trailer::status(&refusal))?;
    let mut order = Order::default();
    let mut seen = HashSet::new();
    let mut size = 0_usize;
    loop {
        let message = tokio::time::timeout(patience, requests.message()).await;
        let Some(request) = message.map_err(|_| trailer::timed_out())?? else { break };
        let name = stream(&request.stream)?;
        if !seen.insert(name.to_lowercase()) {
            return Err(trailer::already_in_session(&name));
        }
        if request.records.is_empty() {
            return Err(trailer::status(&Refusal::invalid("each request holds at least one record")));
        }
        let at = order.targets.len();
        let expect = request.expected_revision.map_or(Ok(Expect::Any), expected)?;
        order.targets.push(Target { name, expect, written: true });
        for record in request.records {
            let event = proposed(record)?;
            size = size.saturating_add(event.size());
            order.events.push((at, event));
        }
        if size > 2 * BATCH_BYTES_MAX || order.events.len() > BATCH_EVENTS_MAX {
            break;
        }
    }
    if order.targets.is_empty() {
        return Err(trailer::no_requests());
    }
    let written = writer.write(caller, &order).await.map_err(|refusal| trailer::status(&refusal))?;
    let output = order.targets.iter().map(|target| AppendResponse {
        stream: target.name.clone(),
        stream_revision: revision_number(written.revision(&target.name)),
        position: None,
    });
    Ok(AppendSessionResponse { output: output.collect(), position: position(&written) })
}

/// Answers an AppendRecords call.
pub(crate) async fn records(
    writer: &Arc<Writer>,
    caller: &Caller,
    request: AppendRecordsRequest,
) -> Result<AppendRecordsResponse, Status> {
    writer.admit(caller).map_err(|refusal| trailer::status(&refusal))?;
    let AppendRecordsRequest { records, checks } = request;
    if records.is_empty() {
        return Err(trailer::status(&Refusal::invalid("at least one record is needed")));
    }
    let mut order = Order::default();
    let mut index: HashMap<String, usize> = HashMap::new();
    let checks = checks.into_iter().map(check).collect::<Result<Vec<_>, _>>()?;
    if checks.len() > PREFIXES {
        return Err(trailer::status(&Refusal::invalid("there are too many checks")));
    }
    for (name, expect) in &checks {
        if index.insert(name.clone(), order.targets.len()).is_some() {
            let text = format!("stream '{name}' is checked twice");
            return Err(trailer::status(&Refusal::Invalid(text)));
        }
        order.targets.push(Target { name: name.clone(), expect: *expect, written: false });
    }
    let mut written_streams = Vec::new();
    for record in records {
        let name = stream(record.stream.as_deref().unwrap_or_default())?;
        let at = *index.entry(name.clone()).or_insert_with(|| {
            order.targets.push(Target { name: name.clone(), expect: Expect::Any, written: false });
            order.targets.len().saturating_sub(1)
        });
        if let Some(target) = order.targets.get_mut(at).filter(|target| !target.written) {
            target.written = true;
            written_streams.push(name);
        }
        order.events.push((at, proposed(record)?));
    }
    match writer.write(caller, &order).await {
        Ok(written) => {
            let revisions = written_streams.into_iter().map(|stream| {
                let revision = revision_number(written.revision(&stream));
                StreamRevision { stream, revision }
            });
            Ok(AppendRecordsResponse { revisions: revisions.collect(), position: position(&written) })
        }
        Err(Refusal::WrongVersion { stream, expected, actual }) => {
            let found = violated(writer, &checks, (&stream, actual)).await;
            // Where all checks hold, the records themselves are what does not fit.
            let conflict = Refusal::WrongVersion { stream, expected, actual };
            Err(if found.is_empty() { trailer::status(&conflict) } else { violations(found) })
        }
        Err(refusal) => Err(trailer::status(&refusal)),
    }
}

/// Every check that does not hold now, the one that the log named among them.
async fn violated(
    writer: &Writer,
    checks: &[(String, Expect)],
    named: (&str, Option<u64>),
) -> Vec<(i32, String, i64, i64)> {
    let mut found = Vec::new();
    for (at, (stream, expect)) in (0..).zip(checks) {
        let is_named = stream == named.0;
        let actual = match writer.load(stream).await {
            _ if is_named && !matches!(expect, Expect::Deleted | Expect::Tombstoned) => {
                revision_number(named.1)
            }
            Ok(facts) if facts.tombstoned => Expect::Tombstoned.number(),
            Ok(facts) if facts.is_deleted() => Expect::Deleted.number(),
            Ok(facts) => revision_number(facts.last),
            Err(_) => continue,
        };
        let holds = match expect {
            Expect::Exists => actual >= 0,
            Expect::Any => true,
            Expect::NoStream => actual == -1 || actual == Expect::Deleted.number(),
            _ => actual == expect.number(),
        };
        if is_named || !holds {
            found.push((at, stream.clone(), expect.number(), actual));
        }
    }
    found
}

fn stream(name: &str) -> Result<String, Status> {
    names::decode(name.as_bytes()).map_err(|refusal| trailer::status(&refusal))
}

fn expected(number: i64) -> Result<Expect, Status> {
    match (number, u64::try_from(number)) {
        (_, Ok(revision)) => Ok(Expect::Exact(revision)),
        (-1, _) => Ok(Expect::NoStream),
        (-2, _) => Ok(Expect::Any),
        (-4, _) => Ok(Expect::Exists),
        _ => Err(trailer::status(&Refusal::Invalid(format!("{number} is no expected revision")))),
    }
}

fn check(check: ConsistencyCheck) -> Result<(String, Expect), Status> {
    let Some(Type::StreamState(state)) = check.r#type else {
        return Err(trailer::status(&Refusal::invalid("a check says nothing")));
    };
    let expect = match state.expected_state {
        -2 => return Err(trailer::status(&Refusal::invalid("a check of any state checks nothing"))),
        -5 => Expect::Deleted,
        -6 => Expect::Tombstoned,
        number => expected(number)?,
    };
    Ok((stream(&state.stream)?, expect))
}

fn position(written: &Written) -> i64 {
    revision_number(written.position.map(|position| position.0))
}

/// An event as the first generation shows it: the schema's name is its type, everything else is metadata.
fn proposed(record: AppendRecord) -> Result<Proposed, Status> {
    let invalid = |text: &str| trailer::status(&Refusal::invalid(text));
    let schema = record.schema.ok_or_else(|| invalid("a record needs a schema"))?;
    let is_name = |c: char| c.is_alphanumeric() || matches!(c, '_' | '.' | '$' | ':' | '-');
    if schema.name.is_empty() || !schema.name.chars().all(is_name) {
        return Err(invalid("a schema's name has letters, digits and _ . $ : -"));
    }
    let format = match SchemaFormat::try_from(schema.format) {
        Ok(SchemaFormat::Json) => "Json",
        Ok(SchemaFormat::Protobuf) => "Protobuf",
        Ok(SchemaFormat::Avro) => "Avro",
        Ok(SchemaFormat::Bytes) => "Bytes",
        Ok(SchemaFormat::Unspecified) | Err(_) => return Err(invalid("a schema needs a format")),
    };
    let mut metadata = properties(record.properties)?;
    let mut say = |key: &str, value: &str| drop(metadata.insert(key.to_owned(), value.into()));
    say("$schema.name", &schema.name);
    say("$schema.format", format);
    if let Some(id) = &schema.id {
        parse_id(id).ok_or_else(|| invalid("a schema's id is a UUID"))?;
        say("$schema.id", id);
    }
    let id = match &record.record_id {
        Some(id) => parse_id(id).ok_or_else(|| invalid("a record's id is a UUID, and not the nil one"))?,
        None => random_id().map_err(|refusal| trailer::status(&refusal))?,
    };
    let proposed = Proposed {
        id,
        type_name: schema.name,
        content: if format == "Json" { Content::Json } else { Content::Octets },
        metadata: Bytes::from(serde_json::Value::Object(metadata).to_string()),
        data: owned(&record.data),
    };
    proposed.check().map_err(|refusal| trailer::status(&refusal))?;
    Ok(proposed)
}

fn parse_id(text: &str) -> Option<EventId> {
    let id = uuid::Uuid::parse_str(text).ok().filter(|id| !id.is_nil())?;
    Some(EventId(*id.as_bytes()))
}

/// How deep lists and objects may be nested.
const DEPTH: u8 = 8;

fn properties(
    values: BTreeMap<String, prost_types::Value>,
) -> Result<serde_json::Map<String, serde_json::Value>, Status> {
    let json = values.into_iter().map(|(key, value)| Some((key, json(value, DEPTH)?)));
    json.collect::<Option<_>>().ok_or_else(|| {
        trailer::status(&Refusal::invalid("every property has a value, nested at most eight deep"))
    })
}

fn json(value: prost_types::Value, depth: u8) -> Option<serde_json::Value> {
    let below = depth.checked_sub(1)?;
    Some(match value.kind? {
        Kind::NullValue(_) => serde_json::Value::Null,
        Kind::NumberValue(number) => serde_json::Number::from_f64(number)?.into(),
        Kind::StringValue(text) => text.into(),
        Kind::BoolValue(is) => is.into(),
        Kind::ListValue(list) => {
            let values = list.values.into_iter().map(|value| json(value, below));
            serde_json::Value::Array(values.collect::<Option<_>>()?)
        }
        Kind::StructValue(fields) => {
            let fields = fields.fields.into_iter().map(|(key, value)| Some((key, json(value, below)?)));
            serde_json::Value::Object(fields.collect::<Option<_>>()?)
        }
    })
}
