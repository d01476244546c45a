//! Log lines: their form, their filter, and secrets that stay inside.

use std::io::Write;
use std::sync::{Arc, Mutex};

use prooflog_events::event::{ContractObserved, FinalizedMoved, WitnessGenFailed};
use prooflog_events::ids::{Attempt, Hash32, L2Block, Position, Revision, StreamId, UnitKind};
use prooflog_events::values::{ContractValues, FailureClass};
use prooflog_observe::logs::logging;
use prooflog_observe::{LogControl, LogError, LogFormat, LogSettings, Secrets, log_fact};
use prooflog_projections::{Fact, describe};
use serde_json::Value;

use super::common::{CHAIN, l1, secs, unit, values};

#[derive(Clone, Default)]
struct Paper(Arc<Mutex<Vec<u8>>>);

impl Write for Paper {
    fn write(&mut self, bytes: &[u8]) -> std::io::Result<usize> {
        self.0.lock().unwrap().extend_from_slice(bytes);
        Ok(bytes.len())
    }
    fn flush(&mut self) -> std::io::Result<()> {
        Ok(())
    }
}

/// Everything that `act` logs.
fn logged(format: LogFormat, filter: &str, secrets: Secrets, act: impl FnOnce(&LogControl)) -> String {
    let paper = Paper::default();
    let settings = LogSettings { format, filter: filter.into() };
    let (dispatch, control) = logging(&settings, secrets, paper.clone()).unwrap();
    tracing::dispatcher::with_default(&dispatch, || act(&control));
    control.flush();
    let bytes = paper.0.lock().unwrap().clone();
    String::from_utf8(bytes).unwrap()
}

#[test]
fn a_canary_appears_in_no_format_wherever_it_is_logged() {
    let canaries =
        ["0x4c0883a69102937d6231471b5dbb6204fe5129", "se\"cr\\et-wörd", "https://u:pw@rpc.example/v2/key"];
    for format in [LogFormat::Text, LogFormat::Json, LogFormat::Logfmt] {
        let secrets = Secrets::default();
        for canary in canaries {
            secrets.add(canary).unwrap();
        }
        let text = logged(format, "trace", secrets, |_| {
            for canary in canaries {
                let span = tracing::info_span!("call", endpoint = canary);
                let _inside = span.enter();
                tracing::info!(key = canary, debug = ?canary, error = %format!("refused: {canary}"), "sent {canary}");
                tracing::info!("upper case {}", canary.to_uppercase());
            }
        });
        assert!(text.matches("***").count() >= 9, "{text}");
        for canary in
            ["4c0883a69102937d", "4C0883A69102937D", "cr\\", "et-w", "rpc.example/v2", "RPC.EXAMPLE/V2"]
        {
            assert!(!text.contains(canary), "{format:?}: {canary} in {text}");
        }
    }
}

fn fact(event: impl Into<prooflog_events::event::Event>, stream: StreamId) -> Fact<'static> {
    Fact {
        position: Position(7),
        stream,
        revision: Revision(3),
        time: secs(0),
        correlation: "span-10-4",
        event: event.into(),
    }
}

fn failure() -> Fact<'static> {
    let event = WitnessGenFailed {
        attempt: Attempt(2),
        class: FailureClass::WitnessError,
        text: "no \"data\"".into(),
    };
    fact(event, StreamId::Unit(unit(UnitKind::Span, 9)))
}

#[test]
fn json_lines_carry_what_an_event_belongs_to() {
    let text = logged(LogFormat::Json, "info", Secrets::default(), |_| log_fact(&failure()));
    let line: Value = serde_json::from_str(text.trim()).unwrap();
    assert_eq!(line["level"], "WARN");
    assert_eq!(line["message"], "WitnessGenFailed");
    assert_eq!(line["correlation"], "span-10-4");
    assert_eq!(line["unit"], "span-10-9");
    assert_eq!(line["chain"], 10);
    assert_eq!(line["attempt"], 2);
    assert!(line["detail"].as_str().unwrap().contains("no \"data\""));
    assert!(line.get("tx").is_none(), "{line}");
}

#[test]
fn an_interval_of_no_blocks_in_the_contract_is_a_warning_and_others_are_a_detail() {
    let observed = |submission_interval: u64| {
        let values = ContractValues { submission_interval, ..values() };
        fact(ContractObserved { at: l1(990), values }, StreamId::Chain(CHAIN))
    };
    let told =
        |blocks: u64| logged(LogFormat::Json, "info", Secrets::default(), |_| log_fact(&observed(blocks)));
    assert_eq!(told(1), "");
    let line: Value = serde_json::from_str(told(0).trim()).unwrap();
    assert_eq!((&line["level"], &line["chain"]), (&Value::from("WARN"), &Value::from(10)));
    assert!(line["detail"].as_str().unwrap().contains("submission interval is 0"), "{line}");
    let words = describe(&observed(0).event, StreamId::Chain(CHAIN));
    assert!(words.contains("INTERVAL OF 0 BLOCKS"), "{words}");
}

#[test]
fn logfmt_lines_quote_what_is_not_plain() {
    let text = logged(LogFormat::Logfmt, "info", Secrets::default(), |_| log_fact(&failure()));
    assert_eq!(text.lines().count(), 1);
    for part in ["lvl=warn", "msg=WitnessGenFailed", "unit=span-10-9", "attempt=2", r#"no \"data\"""#] {
        assert!(text.contains(part), "{part} in {text}");
    }
}

#[test]
fn the_filter_changes_while_the_process_runs_and_a_wrong_one_changes_nothing() {
    let moved = || fact(FinalizedMoved { block: L2Block(1), hash: Hash32::ZERO }, StreamId::Chain(CHAIN));
    let text = logged(LogFormat::Text, "info", Secrets::default(), |control| {
        log_fact(&moved());
        assert!(matches!(control.set_filter("info,=,="), Err(LogError::Filter(_))));
        log_fact(&moved());
        control.set_filter("debug").unwrap();
        log_fact(&moved());
        control.set_filter("crit").unwrap();
        log_fact(&failure());
    });
    assert_eq!(text.matches("FinalizedMoved").count(), 1, "{text}");
    assert!(!text.contains("WitnessGenFailed"), "{text}");
}

/// Never finishes a write until it is let go.
struct Stuck(Arc<Mutex<()>>);

impl Write for Stuck {
    fn write(&mut self, bytes: &[u8]) -> std::io::Result<usize> {
        drop(self.0.lock());
        Ok(bytes.len())
    }
    fn flush(&mut self) -> std::io::Result<()> {
        Ok(())
    }
}

#[test]
fn an_output_that_hangs_loses_lines_and_stops_nobody() {
    let gate = Arc::new(Mutex::new(()));
    let held = gate.lock().unwrap();
    let (dispatch, control) =
        logging(&LogSettings::default(), Secrets::default(), Stuck(Arc::clone(&gate))).unwrap();
    tracing::dispatcher::with_default(&dispatch, || {
        for number in 0..6_000 {
            tracing::info!(number, "a line");
        }
    });
    let lost = control.take_lost();
    assert!((1..6_000).contains(&lost), "{lost}");
    assert_eq!(control.take_lost(), 0);
    drop(held);
}

#[test]
fn formats_are_known_by_the_names_of_other_proposers() {
    assert_eq!("terminal".parse(), Ok(LogFormat::Text));
    assert_eq!("logfmt".parse(), Ok(LogFormat::Logfmt));
    assert!(matches!("xml".parse::<LogFormat>(), Err(LogError::Format(_))));
    let settings = LogSettings { filter: "info,=".into(), ..LogSettings::default() };
    assert!(logging(&settings, Secrets::default(), std::io::sink()).is_err());
}
