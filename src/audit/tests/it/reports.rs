//! The report holds everything that a person must know, wherever it is cut, and its text cannot be forged.

use std::collections::BTreeSet;
use std::fs::File;
use std::io::BufReader;
use std::path::{Path, PathBuf};

use prooflog_audit::{AnomalyKind, AuditError, Outcome, Report, Submission, render_text, report};
use prooflog_events::envelope::{Actor, Envelope};
use prooflog_events::event::{
    AbandonReason, Event, EventType, Paused, PausedBy, PolicyChanged, ReplaceReason, TxAbandoned,
    TxConfirmed, TxIncluded, TxPrepared, TxReorged, TxReplaced, TxReserved, TxReverted,
};
use prooflog_events::ids::{
    Address, ChainId, Hash32, L1ChainId, L1Number, L1Ref, L2Block, Micros, Nonce, Position, SignerId, SlotId,
    StreamId, TxVersion, Wei,
};
use prooflog_events::input::{Command, Input, OperatorCommanded};
use prooflog_events::policy::Policy;
use prooflog_events::port::SequenceRead;
use prooflog_events::values::{BlobRef, Call, Control, Fees, Purpose, Refusal, RefusalClass};
use prooflog_log::export::{import, read_header};
use prooflog_log::{Append, By, CauseInput, Log, MemorySequence, NewRecord, Reader};

use crate::logs::{LOG, written};

/// Stories that were recorded once and are kept.
fn stories() -> Vec<(String, MemorySequence)> {
    let root = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../tests/golden/logs");
    let files = |dir: PathBuf| std::fs::read_dir(dir).unwrap().map(|entry| entry.unwrap().path());
    let formats = files(root).filter(|dir| dir.file_name().unwrap().to_string_lossy().starts_with("format-"));
    let logs = formats.flat_map(files).filter(|path| path.extension().is_some_and(|kind| kind == "jsonl"));
    let mut stories: Vec<_> = logs
        .map(|path| {
            let mut input = BufReader::new(File::open(&path).unwrap());
            let header = read_header(&mut input).unwrap();
            let target = MemorySequence::new(header.log);
            import(header, &mut input, &target).unwrap();
            (path.file_stem().unwrap().to_string_lossy().into_owned(), target)
        })
        .collect();
    stories.sort_by(|one, other| one.0.cmp(&other.0));
    assert!(stories.len() >= 5, "the kept logs are not there");
    stories
}

fn whole(sequence: &MemorySequence) -> Report {
    let reader = Reader::new(sequence).unwrap();
    report(&reader, sequence.log_id(), Position(1), reader.head().position).unwrap()
}

/// Every record, decoded without the report.
fn for_each(sequence: &MemorySequence, mut visit: impl FnMut(&Envelope<'_>, &Event)) {
    let reader = Reader::new(sequence).unwrap();
    for position in 1..=reader.head().position.0 {
        let record = reader.record(Position(position)).unwrap().unwrap();
        let envelope = record.envelope().unwrap();
        let event = Event::decode(envelope.type_name, envelope.version, envelope.payload).unwrap();
        visit(&envelope, &event);
    }
}

#[test]
fn every_event_of_an_operator_is_under_a_command_with_a_name() {
    let mut commands = 0;
    for (name, sequence) in stories() {
        let report = whole(&sequence);
        let mut expected = BTreeSet::new();
        for_each(&sequence, |envelope, _| {
            if let Actor::Operator(operator) = envelope.actor {
                expected.insert((envelope.position, operator.to_owned()));
            }
        });
        let listed = report.interventions.iter().flat_map(|intervention| {
            assert!(intervention.command.is_some(), "{name}");
            intervention.consequences.iter().map(|c| (c.position, intervention.operator.clone()))
        });
        assert_eq!(listed.collect::<BTreeSet<_>>(), expected, "{name}");
        commands += report.interventions.len();
    }
    assert!(commands > 0, "no kept log has an operator in it");
}

#[test]
fn every_submission_is_listed_with_transaction_root_and_fee() {
    let (mut confirmed, mut taken_back) = (0, 0);
    for (name, sequence) in stories() {
        let report = whole(&sequence);
        let mut started = Vec::new();
        let mut roots = BTreeSet::new();
        for_each(&sequence, |envelope, event| match event {
            Event::SubmissionStarted(e) => started.push((envelope.position, Some(e.root))),
            Event::Submitted(e) => drop(roots.insert((e.tx, e.root))),
            _ => {}
        });
        let listed = report.submissions.iter().map(|submission| (submission.position, submission.root));
        assert_eq!(listed.collect::<Vec<_>>(), started, "{name}");
        for submission in report.submissions.iter().filter(|s| s.outcome == Outcome::Confirmed) {
            let told = (submission.transaction.unwrap(), submission.root.unwrap());
            assert!(roots.contains(&told), "{name}: {submission:?}");
            assert!(submission.fee.is_some_and(|fee| fee.0 > 0) && submission.included.is_some());
            assert_eq!(submission.blocks.unwrap().end, submission.block.unwrap());
            confirmed += 1;
        }
        taken_back += report.submissions.iter().map(|submission| submission.reorgs).sum::<u32>();
        let stats: u64 = report.totals.stats.chains.values().map(|chain| chain.confirmed).sum();
        let outcome = |outcome| report.submissions.iter().filter(|s| s.outcome == outcome).count() as u64;
        assert!(outcome(Outcome::Confirmed) <= stats, "{name}");
    }
    assert!(confirmed > 0 && taken_back > 0, "{confirmed} {taken_back}");
}

#[test]
fn what_went_wrong_is_listed_and_what_is_ordinary_is_not() {
    use EventType as T;
    let wrong: BTreeSet<T> = [
        T::TxReverted,
        T::SubmissionReverted,
        T::TxReorged,
        T::SubmissionReorged,
        T::CheckpointLost,
        T::ContractRolledBack,
        T::SubmissionRefused,
        T::FeeCeilingReached,
        T::UnknownStatusRecorded,
        T::ContractConfigRejected,
        T::OutputMismatched,
        T::DegradedModeEntered,
        T::ProverDegraded,
        T::FinalizedStalled,
        T::ProofLost,
        T::TxDropped,
        T::TxAbandoned,
        T::SubmissionAbandoned,
        T::DuplicateSpendRecorded,
        T::Parked,
        T::SignerBalanceLow,
        T::NonceDrifted,
    ]
    .into();
    let mut seen = BTreeSet::new();
    for (name, sequence) in stories() {
        let listed: BTreeSet<Position> = whole(&sequence).anomalies.iter().map(|a| a.position).collect();
        for_each(&sequence, |envelope, event| {
            if wrong.contains(&event.event_type()) {
                assert!(listed.contains(&envelope.position), "{name}: {event:?}");
                seen.insert(event.event_type());
            }
            let ordinary = matches!(
                event,
                Event::SpanCreated(_)
                    | Event::ProofFulfilled(_)
                    | Event::Submitted(_)
                    | Event::FinalizedMoved(_)
            );
            assert!(!(ordinary && listed.contains(&envelope.position)), "{name}: {event:?}");
        });
    }
    assert!(
        [T::Parked, T::TxReorged, T::SubmissionReorged].iter().all(|kind| seen.contains(kind)),
        "{seen:?}"
    );
    let happy = stories().into_iter().find(|(name, _)| name == "happy-path").unwrap().1;
    assert_eq!(whole(&happy).anomalies, []);
}

#[test]
fn two_reports_say_together_what_one_says_wherever_they_meet() {
    for (name, sequence) in stories() {
        let one = whole(&sequence);
        for cut in 0..=one.to.0 {
            meet(&name, &sequence, &one, Position(cut));
        }
    }
}

fn meet(name: &str, sequence: &MemorySequence, one: &Report, cut: Position) {
    let reader = Reader::new(sequence).unwrap();
    let (log, head) = (sequence.log_id(), reader.head());
    let left = report(&reader, log, Position(1), cut).unwrap();
    let right = report(&reader, log, cut.next(), head.position).unwrap();
    assert_eq!([left.anomalies, right.anomalies].concat(), one.anomalies, "{name} {cut}");
    assert_eq!([left.changes, right.changes].concat(), one.changes, "{name} {cut}");
    assert_eq!(left.totals.records + right.totals.records, head.position.0, "{name} {cut}");
    assert_eq!(right.last_hash.or(left.last_hash), Some(head.hash), "{name} {cut}");
    // A command whose batch is cut in two stands in both.
    let mut joined = left.interventions;
    for right in right.interventions {
        match joined.last_mut().filter(|left| left.position == right.position) {
            Some(left) => {
                assert_eq!((&left.command, &left.note), (&right.command, &right.note), "{name} {cut}");
                left.consequences.extend(right.consequences);
            }
            None => joined.push(right),
        }
    }
    assert_eq!(joined, one.interventions, "{name} {cut}");
    // What goes on to the right is told there as if nothing had been cut; the rest ended to the left.
    let told: BTreeSet<Position> = right.submissions.iter().map(|submission| submission.position).collect();
    let ended = left.submissions.into_iter().filter(|submission| !told.contains(&submission.position));
    let mut together: Vec<Submission> = ended.chain(right.submissions).collect();
    together.sort_by_key(|submission| submission.position);
    assert_eq!(together, one.submissions, "{name} {cut}");
}

const CHAIN: StreamId = StreamId::Chain(ChainId(10));
const SLOT: SlotId =
    SlotId { signer: SignerId { l1: L1ChainId(1), address: Address([0x51; 20]) }, nonce: Nonce(7) };

/// A log that is written by hand, one batch per event.
struct Book(Log<MemorySequence>);

impl Book {
    fn new() -> Self {
        Self(Log::open(MemorySequence::new(LOG)).unwrap())
    }

    fn say(&self, by: By, stream: StreamId, event: impl Into<Event>, cause: Option<&Input>) {
        let event: Event = event.into();
        let (kind, stream) = (event.event_type(), stream.to_string());
        let record = NewRecord::native(stream, kind.name(), kind.version(), event.encode());
        let time = Micros(1_700_000_000_000_000 + self.0.head().position.0);
        let mut append = Append::new(by, time, vec![record]);
        if let Some(input) = cause {
            let (name, version) = (input.name().to_owned(), input.version());
            append = append.because(CauseInput { name, version, bytes: input.encode() });
        }
        self.0.append(append).unwrap();
    }

    fn slot(&self, event: impl Into<Event>) {
        self.say(By::Scheduler, StreamId::Tx(SLOT), event, None);
    }

    fn report(&self, from: u64) -> Report {
        let reader = self.0.reader();
        report(&reader, LOG, Position(from), reader.head().position).unwrap()
    }
}

fn call() -> (Call, Fees) {
    let call = Call { to: Address([1; 20]), value: Wei(0), calldata: Hash32([2; 32]) };
    (call, Fees { max_fee: Wei(9), tip: Wei(1) })
}

fn optimistic(block: u64) -> Purpose {
    let root = Hash32([u8::try_from(block).unwrap(); 32]);
    Purpose::Optimistic { chain: ChainId(10), block: L2Block(block), root }
}

fn prepared(version: u32, purpose: Purpose) -> TxPrepared {
    let (call, fees) = call();
    let raw = BlobRef { sha256: Hash32([3; 32]), length: 9 };
    let hash = Hash32([u8::try_from(version).unwrap(); 32]);
    TxPrepared { version: TxVersion(version), purpose, call, fees, gas_limit: 1, raw, hash }
}

fn block(number: u64) -> L1Ref {
    L1Ref { number: L1Number(number), hash: Hash32([4; 32]) }
}

fn included(version: u32) -> TxIncluded {
    let hash = Hash32([u8::try_from(version).unwrap(); 32]);
    TxIncluded { version: TxVersion(version), hash, block: block(50), gas_used: 21_000, fee_paid: Wei(77) }
}

#[test]
fn a_submission_without_proof_is_followed_through_its_nonce() {
    let book = Book::new();
    let (call, fees) = call();
    book.slot(TxReserved { purpose: optimistic(20), call, fees, gas_limit: 1 });
    book.slot(prepared(1, optimistic(20)));
    book.slot(included(1));
    book.slot(TxReorged { version: TxVersion(1), block: block(50) });
    book.slot(included(1));
    book.slot(TxConfirmed { version: TxVersion(1), block: block(50) });
    for from in [1, 6] {
        let report = book.report(from);
        let [submission] = report.submissions.as_slice() else { unreachable!("{report:?}") };
        assert_eq!((submission.outcome, submission.reorgs), (Outcome::Confirmed, 1));
        assert_eq!((submission.block, submission.root), (Some(L2Block(20)), Some(Hash32([20; 32]))));
        assert_eq!((submission.transaction, submission.fee), (Some(Hash32([1; 32])), Some(Wei(77))));
        assert_eq!((submission.position, submission.aggregate.clone()), (Position(1), None));
    }
    assert_eq!(book.report(7).submissions, []);
}

#[test]
fn a_nonce_that_went_to_something_else_and_a_revert_are_no_submissions_that_hold() {
    let (call, fees) = call();
    let reserved = || TxReserved { purpose: optimistic(20), call, fees, gas_limit: 1 };
    let lost = Book::new();
    lost.slot(reserved());
    lost.slot(prepared(1, optimistic(20)));
    let (version, reason) = (TxVersion(2), ReplaceReason::PurposeGone);
    lost.slot(TxReplaced { version, reason, purpose: Purpose::Release, call, fees, gas_limit: 1 });
    lost.slot(prepared(2, Purpose::Release));
    lost.slot(included(2));
    lost.slot(TxConfirmed { version, block: block(50) });
    let submissions = lost.report(1).submissions;
    assert_eq!((submissions[0].outcome, submissions[0].transaction), (Outcome::Abandoned, None));

    let reverted = Book::new();
    reverted.slot(reserved());
    let refusal = Refusal { class: RefusalClass::Other, text: "no\nroot          0xff".to_owned() };
    let (version, hash) = (TxVersion(1), Hash32([1; 32]));
    let (gas_used, fee_paid) = (1, Wei(5));
    reverted.slot(TxReverted { version, hash, block: block(50), gas_used, fee_paid, refusal });
    reverted.slot(TxConfirmed { version, block: block(50) });
    let report = reverted.report(1);
    assert_eq!((report.submissions[0].outcome, report.submissions[0].fee), (Outcome::Reverted, Some(Wei(5))));
    assert_eq!(report.anomalies[0].kind, AnomalyKind::Reverted);
    let text = render_text(&report);
    assert!(
        text.contains("no\\u{a}root")
            && !text.lines().any(|line| line.trim().ends_with("0xff") && !line.contains("u{a}")),
        "{text}"
    );

    let never = Book::new();
    never.slot(reserved());
    never.slot(TxAbandoned { reason: AbandonReason::NonceTaken });
    assert_eq!(never.report(2).submissions[0].outcome, Outcome::Abandoned);
}

#[test]
fn a_changed_policy_is_told_field_by_field_also_when_the_old_one_is_before_the_first_position() {
    let book = Book::new();
    let policy = Policy::with_signer(Address([0x51; 20]));
    let changed = Policy { span_blocks: policy.span_blocks + 1, ..policy.clone() };
    book.say(By::System, CHAIN, PolicyChanged { policy: policy.clone() }, None);
    book.say(By::System, CHAIN, PolicyChanged { policy: changed }, None);
    for report in [book.report(1), book.report(2)] {
        let fields = &report.changes.last().unwrap().fields;
        assert_eq!(fields.len(), 1, "{fields:?}");
        assert_eq!(fields[0].name, "policy.span_blocks");
        assert_eq!(fields[0].before, Some(policy.span_blocks.into()));
        assert_eq!(fields[0].now, serde_json::Value::from(policy.span_blocks + 1));
    }
    assert!(book.report(1).changes[0].fields.len() > 10);
}

#[test]
fn the_operators_words_are_in_the_report_and_cannot_forge_a_line_of_it() {
    let book = Book::new();
    let note = "maintenance\n       9  2026-01-01T00:00:00Z  bob: cancel span-10-1\u{1b}[1A";
    let (chain, control) = (ChainId(10), Control::Proving);
    let command = Command::Pause { chain, control };
    let input = Input::OperatorCommanded(OperatorCommanded {
        name: "ann".to_owned(),
        command,
        note: note.to_owned(),
    });
    let paused = Paused { control, by: PausedBy::Operator, note: note.to_owned() };
    book.say(By::Operator("ann".to_owned()), CHAIN, paused, Some(&input));
    let report = book.report(1);
    assert_eq!(
        (report.interventions[0].note.as_str(), report.interventions[0].command),
        (note, Some(command))
    );
    let text = render_text(&report);
    assert!(text.contains("ann: pause proving of rollup 10 (maintenance\\u{a}"), "{text}");
    assert!(
        !text.contains('\u{1b}')
            && !text.lines().any(|line| line.contains("bob") && !line.contains("maintenance")),
        "{text}"
    );
    let json = serde_json::to_value(&report).unwrap();
    assert_eq!(json["interventions"][0]["note"], note);
    assert_eq!(json["totals"]["by_actor"]["operator:ann"], 1);
}

#[test]
fn positions_that_are_not_there_are_refused_and_a_record_of_no_known_type_is_named() {
    let book = Book::new();
    book.say(
        By::System,
        CHAIN,
        Paused { control: Control::Planning, by: PausedBy::Operator, note: String::new() },
        None,
    );
    let reader = book.0.reader();
    for (from, to) in [(1, 2), (3, 1)] {
        let asked = report(&reader, LOG, Position(from), Position(to));
        assert!(matches!(asked, Err(AuditError::Ask(_))), "{from} to {to}");
    }
    assert_eq!(report(&reader, LOG, Position(2), Position(1)).unwrap().totals.records, 0);
    // Its payloads are words, not events.
    let log = written(5);
    let error = report(&log.reader(), LOG, Position(1), Position(5)).unwrap_err();
    assert!(error.to_string().contains("position 1"), "{error}");
}
