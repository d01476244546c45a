//! What the commands make is checked with the public key alone, and nothing false passes.

use prooflog_audit::{
    AuditError, Checkpoint, ConsistencyProof, Document, ErrorKind, Extensions, InclusionProof,
    SignedCheckpoint, Statement, check, checkpoint, consistency, prove,
};
use prooflog_events::ids::{Hash32, LogId, Position};
use prooflog_log::Reader;

use crate::logs::{LOG, holding, key, records, signed, written};

fn refuted(result: Result<impl std::fmt::Debug, AuditError>) -> String {
    let error = result.unwrap_err();
    assert!(matches!(error, AuditError::Refuted(_)) && error.kind() == ErrorKind::Damaged, "{error}");
    error.to_string()
}

#[test]
fn a_checkpoint_two_proofs_and_the_public_key_are_enough() {
    let log = written(40);
    let reader = log.reader();
    let (key, public) = key();
    let (old, new) = (signed(&reader, 25, &key), signed(&reader, 40, &key));
    let included = prove(&reader, LOG, Position(7), new.clone()).unwrap();
    let extends = consistency(&reader, LOG, &old, new).unwrap();
    assert_eq!(included.record, records(&reader)[6]);
    // As files, as a third party has them.
    let files = [
        Document::Checkpoint(old).to_string(),
        Document::Inclusion(included).to_string(),
        Document::Consistency(extends).to_string(),
    ];
    let documents = files.map(|text| text.parse::<Document>().unwrap());
    let checked = check(&documents, &public.to_string().parse().unwrap()).unwrap();
    assert_eq!((checked.log, checked.histories.len()), (LOG, 1));
    let lines: Vec<String> = checked.statements.iter().map(ToString::to_string).collect();
    assert!(lines[0].starts_with("signed: 25 records under root 0x"), "{lines:?}");
    assert!(lines[0].contains("; time 2023-11-14T22:13:20Z; head 0x"), "{lines:?}");
    assert!(lines[2].contains("record 7 with hash") && lines[2].contains("Paused on chain-0"), "{lines:?}");
    assert_eq!(lines[3], "the log of 40 records begins with that of 25");
}

#[test]
fn checkpoints_that_nothing_connects_are_said_to_be_unconnected() {
    let log = written(40);
    let (key, public) = key();
    let [one, two, three] = [10, 20, 30].map(|size| signed(&log.reader(), size, &key));
    let link = consistency(&log.reader(), LOG, &one, three).unwrap();
    let documents = [Document::Checkpoint(one), Document::Checkpoint(two), Document::Consistency(link)];
    let checked = check(&documents, &public).unwrap();
    assert_eq!(checked.histories, [[10, 30].into(), [20].into()]);
    assert!(matches!(check(&documents[2..], &public), Err(AuditError::Ask(text)) if text.contains("10")));
    assert!(matches!(check(&[], &public), Err(AuditError::Ask(_))));
}

#[test]
fn another_key_another_log_and_a_changed_text_are_refuted() {
    let log = written(10);
    let (key, public) = key();
    let (_, other) = crate::logs::key();
    let signed = signed(&log.reader(), 10, &key);
    signed.verify(&public).unwrap();
    assert!(refuted(signed.verify(&other)).contains("not signed by the key"));
    for (from, to) in [("\n10\n", "\n11\n"), ("time 2023", "time 2024"), ("0x05", "0x15")] {
        let changed = signed.to_string().replacen(from, to, 1);
        assert_ne!(changed, signed.to_string());
        if let Ok(changed) = changed.parse::<SignedCheckpoint>() {
            refuted(changed.verify(&public));
        }
    }
    let elsewhere = Checkpoint { log: LogId([6; 16]), ..signed.checkpoint().clone() };
    assert!(matches!(SignedCheckpoint::sign(&elsewhere, &key), Err(AuditError::Key(_))));
    let foreign = LogId([6; 16]);
    assert!(prove(&log.reader(), foreign, Position(1), signed.clone()).is_err());
    assert!(consistency(&log.reader(), foreign, &signed, signed.clone()).is_err());
}

#[test]
fn signatures_of_witnesses_are_passed_over() {
    let log = written(10);
    let (key, public) = key();
    let signed = signed(&log.reader(), 10, &key).to_string();
    let witness = "— witness.example/w1 CMp+6LWBU0anHGH5aNDTJkH/gj79sG+T6+iP2ThYN5krrDJbR1HDnucjL39QsZTSvVjyQLrdk3DXDqI5G2HgLatVs0pWh6Up69HVOw==\n";
    format!("{signed}{witness}").parse::<SignedCheckpoint>().unwrap().verify(&public).unwrap();
    let only = format!("{}{witness}", signed.split_inclusive("\n\n").next().unwrap());
    refuted(only.parse::<SignedCheckpoint>().unwrap().verify(&public));
}

#[test]
fn a_forged_proof_is_refuted() {
    let log = written(40);
    let reader = log.reader();
    let (key, public) = key();
    let (old, new) = (signed(&reader, 25, &key), signed(&reader, 40, &key));
    let proof = prove(&reader, LOG, Position(7), new.clone()).unwrap();
    let mut record = proof.record.clone();
    *record.last_mut().unwrap() ^= 1;
    let forged = [
        InclusionProof { record, ..proof.clone() },
        InclusionProof { position: Position(8), ..proof.clone() },
        InclusionProof { checkpoint: old.clone(), ..proof.clone() },
        InclusionProof { path: proof.path[1..].to_vec(), ..proof },
    ];
    for forged in forged {
        refuted(check(&[Document::Inclusion(forged)], &public));
    }
    let link = consistency(&reader, LOG, &old, new).unwrap();
    let longer = [link.path.as_slice(), &[Hash32::ZERO]].concat();
    for forged in
        [ConsistencyProof { path: longer, ..link.clone() }, ConsistencyProof { path: vec![], ..link }]
    {
        refuted(check(&[Document::Checkpoint(old.clone()), Document::Consistency(forged)], &public));
    }
}

#[test]
fn a_record_that_stands_where_it_does_not_say_is_refuted() {
    let mut stored = records(&written(9).reader());
    stored.swap(2, 3);
    let swapped = holding(&stored);
    let reader = Reader::new(&swapped).unwrap();
    let (key, public) = key();
    let proof = prove(&reader, LOG, Position(3), signed(&reader, 9, &key)).unwrap();
    assert!(refuted(check(&[Document::Inclusion(proof)], &public)).contains("says position 4"));
}

#[test]
fn two_signed_histories_are_told() {
    let (key, public) = key();
    let log = written(10);
    let mut stored = records(&log.reader());
    stored.swap(2, 3);
    let other = holding(&stored);
    let one = signed(&log.reader(), 10, &key);
    let two = signed(&Reader::new(&other).unwrap(), 10, &key);
    let text = refuted(check(&[Document::Checkpoint(one), Document::Checkpoint(two)], &public));
    assert!(text.contains("two histories"), "{text}");
}

#[test]
fn nothing_is_signed_that_contradicts_an_earlier_checkpoint() {
    let (key, _) = key();
    let log = written(20);
    let earlier = [8, 15].map(|size| signed(&log.reader(), size, &key));
    let mut stored = records(&log.reader());
    checkpoint(&log.reader(), LOG, Position(20), (&key, Extensions::None), &earlier).unwrap();
    stored.swap(9, 10);
    let changed = holding(&stored);
    let reader = Reader::new(&changed).unwrap();
    let text = refuted(checkpoint(&reader, LOG, Position(20), (&key, Extensions::None), &earlier));
    assert!(text.contains("15 records") && text.contains("one of 9 to 15"), "{text}");
    refuted(prove(&reader, LOG, Position(1), earlier[1].clone()));
    refuted(consistency(&reader, LOG, &earlier[0], earlier[1].clone()));
    let beyond = checkpoint(&reader, LOG, Position(21), (&key, Extensions::None), &[]);
    assert!(matches!(beyond, Err(AuditError::Ask(_))));
}

#[test]
fn a_key_signs_its_own_log_and_no_other() {
    let (key, _) = key();
    let other = LogId([6; 16]);
    let log = prooflog_log::conformance::forging::written(other, 5);
    let refused = checkpoint(&log.reader(), other, Position(5), (&key, Extensions::None), &[]).unwrap_err();
    assert!(matches!(&refused, AuditError::Key(text) if text.contains(&other.to_string())), "{refused}");
}

#[test]
fn the_same_log_and_key_give_the_same_checkpoint_also_of_no_records() {
    let (key, public) = key();
    let log = written(3);
    for size in [0, 3] {
        let one = signed(&log.reader(), size, &key);
        assert_eq!(one, signed(&log.reader(), size, &key));
        let checked = check(&[Document::Checkpoint(one)], &public).unwrap();
        assert!(matches!(checked.statements[0], Statement::Signed { size: found, .. } if found == size));
    }
    let plain = checkpoint(&log.reader(), LOG, Position(3), (&key, Extensions::None), &[]).unwrap();
    assert!(plain.checkpoint().extensions.is_empty());
}
