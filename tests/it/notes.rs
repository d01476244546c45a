//! What outside writers tie to a request: it changes nothing, and stands in its timeline and among its causes.

use std::path::Path;

use prooflog_events::envelope::Content;
use prooflog_events::ids::{EventId, Micros};
use prooflog_log::{Append, By, Log, NewRecord};
use prooflog_store::{OpenOptions, open};

use super::command_line::{events, lines, prooflog};
use super::on_disk::simulate;

fn note(dir: &Path, id: u8, correlation: &str) {
    let (store, _) = open(dir, OpenOptions::existing().ballast(0)).unwrap();
    let log = Log::open(store).unwrap();
    let payload = br#"{"what":"a new prover"}"#.to_vec();
    let record = NewRecord::foreign("notes-1", EventId([id; 16]), "Deployed", Content::Json, payload);
    let record = NewRecord { correlation: correlation.to_owned(), ..record };
    log.append(Append::new(By::Client("ann".to_owned()), Micros(u64::MAX / 4), vec![record])).unwrap();
}

#[test]
fn a_note_stands_in_the_timeline_and_among_the_causes_of_what_it_is_tied_to() {
    let dir = tempfile::tempdir().unwrap();
    let log = dir.path().join("log");
    simulate("friendly", 8, &log);
    let before = events(&log);
    let settled = before.iter().find(|event| event["type"] == "SpanSettled").unwrap();
    let (stream, correlation) =
        (settled["stream"].as_str().unwrap(), settled["correlation"].as_str().unwrap());
    let why = |what: &str| lines(&prooflog(&log, &["why", what, "--json"])).remove(0);
    let timeline = |what: &str| lines(&prooflog(&log, &["timeline", what, "--json"]));
    let (causes, story) = (why(stream), timeline(correlation));
    note(&log, 1, correlation);
    note(&log, 2, "span-999-1");
    let noted = before.len() as u64 + 1;

    let told = timeline(correlation);
    assert_eq!(told[..story.len()], story);
    let [entry] = &told[story.len()..] else { panic!("{told:?}") };
    assert_eq!((&entry["event"], &entry["stream"]), (&"Deployed".into(), &"notes-1".into()));
    let text = entry["text"].as_str().unwrap();
    assert!(text.contains("client:ann") && text.contains("a new prover"), "{text}");

    let because = |answer: &serde_json::Value| answer["because"].as_array().unwrap().clone();
    let (was, is) = (because(&causes), because(&why(stream)));
    assert_eq!(is[..was.len()], was);
    assert_eq!(is.len(), was.len() + 1);
    assert_eq!(is[was.len()]["type"], "Deployed");
    assert_eq!(is[was.len()]["position"].to_string().trim_matches('"'), noted.to_string());
    assert_eq!(prooflog(&log, &["verify", "--json"]).status.code(), Some(0));
}
