//! Roots and proofs are those of RFC 6962, whichever way the nodes are kept.

use prooflog_audit::{
    AuditError, Frontier, LEAVES_MAX, MemoryNodes, Node, Nodes, Question, Tree, scan, verify_consistency,
    verify_inclusion,
};
use prooflog_events::envelope::record_hash;
use prooflog_events::ids::{Hash32, Position};
use prooflog_events::port::SequenceError;
use prooflog_log::Reader;
use proptest::prelude::*;

use crate::logs::{records, written};
use crate::naive::Naive;

const SIZE: usize = 300;

#[test]
fn every_root_and_proof_up_to_300_records_is_that_of_the_rfc() {
    let log = written(SIZE);
    let reader = log.reader();
    let stored = records(&reader);
    let naive = Naive::new(stored.clone());
    let mut tree = Tree::over(MemoryNodes::default());
    tree.catch_up(&reader, reader.head().position).unwrap();
    let mut frontier = Frontier::default();
    assert_eq!(frontier.root(), naive.mth(0, 0));
    for n in 1..=SIZE {
        frontier.push(record_hash(&stored[n - 1]), |_, _| {});
        let (size, root) = (n as u64, naive.mth(0, n));
        assert_eq!((frontier.root(), tree.root(size).unwrap()), (root, root), "{n}");
        for m in 1..=n {
            let position = Position(m as u64);
            let path = tree.answer(Question::Inclusion { position, size }).unwrap();
            assert_eq!(path, naive.path(m - 1, 0, n), "{m} of {n}");
            verify_inclusion(&stored[m - 1], position, (size, root), &path).unwrap();
            let old = (m as u64, naive.mth(0, m));
            let path = tree.answer(Question::Consistency { old: old.0, new: size }).unwrap();
            assert_eq!(path, naive.proof(m, n), "{m} to {n}");
            verify_consistency(old, (size, root), &path).unwrap();
        }
    }
}

#[test]
fn what_cannot_be_asked_is_an_answer_and_no_panic() {
    let log = written(5);
    let mut tree = Tree::over(MemoryNodes::default());
    tree.catch_up(&log.reader(), Position(4)).unwrap();
    let wrong = [
        Question::Root { size: 5 },
        Question::Root { size: u64::MAX },
        Question::Inclusion { position: Position(0), size: 4 },
        Question::Inclusion { position: Position(5), size: 4 },
        Question::Inclusion { position: Position(1), size: 0 },
        Question::Inclusion { position: Position(u64::MAX), size: u64::MAX },
        Question::Consistency { old: 0, new: 4 },
        Question::Consistency { old: 4, new: 3 },
        Question::Consistency { old: 1, new: u64::MAX },
    ];
    for question in wrong {
        assert!(matches!(tree.answer(question), Err(AuditError::Ask(_))), "{question:?}");
        if question != (Question::Root { size: 5 }) {
            assert!(matches!(scan(&log.reader(), &[question]), Err(AuditError::Ask(_))), "{question:?}");
        }
    }
    assert!(tree.catch_up(&log.reader(), Position(6)).is_err());
    let hash = Hash32([1; 32]);
    for size in [0, 1, LEAVES_MAX, LEAVES_MAX + 1, u64::MAX] {
        for position in [0, 1, size, u64::MAX] {
            for path in [vec![], vec![hash], vec![hash; 64]] {
                assert!(verify_inclusion(b"x", Position(position), (size, hash), &path).is_err());
                let other = Hash32([2; 32]);
                assert!(verify_consistency((position, other), (size, hash), &path).is_err());
            }
        }
    }
}

/// Nodes of which one was lost.
struct Lossy(MemoryNodes, Node);

impl Nodes for Lossy {
    fn size(&self) -> Result<u64, SequenceError> {
        self.0.size()
    }
    fn get(&self, node: Node) -> Result<Option<Hash32>, SequenceError> {
        if node == self.1 { Ok(None) } else { self.0.get(node) }
    }
    fn put(&mut self, nodes: &[(Node, Hash32)], size: u64) -> Result<(), SequenceError> {
        self.0.put(nodes, size)
    }
}

#[test]
fn a_lost_node_is_named_and_never_made_up() {
    let log = written(8);
    let mut tree = Tree::over(Lossy(MemoryNodes::default(), Node { level: 1, index: 1 }));
    tree.catch_up(&log.reader(), Position(8)).unwrap();
    assert!(tree.root(8).is_ok());
    let error = tree.answer(Question::Inclusion { position: Position(1), size: 8 }).unwrap_err();
    assert!(error.to_string().contains("node 1 of level 1"), "{error}");
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(48))]

    /// Nodes are put every 4,096 leaves, so some logs are longer than that.
    #[test]
    fn a_tree_that_grows_in_steps_and_a_scan_answer_as_one_that_grew_at_once(
        size in prop_oneof![1_usize..300, 4_000_usize..9_000],
        cuts in prop::collection::vec(any::<prop::sample::Index>(), 0..4),
        (m, n) in any::<(prop::sample::Index, prop::sample::Index)>(),
    ) {
        let log = written(size);
        let reader = log.reader();
        let (n, m) = { let n = 1 + n.index(size); (n, 1 + m.index(n)) };
        let mut stops: Vec<usize> = cuts.iter().map(|cut| cut.index(size + 1)).chain([size]).collect();
        stops.sort_unstable();
        let mut grown = Tree::over(MemoryNodes::default());
        for stop in stops {
            grown.catch_up(&reader, Position(stop as u64)).unwrap();
            prop_assert_eq!(grown.size().unwrap(), stop as u64);
        }
        let mut at_once = Tree::over(MemoryNodes::default());
        at_once.catch_up(&reader, Position(size as u64)).unwrap();
        prop_assert_eq!(grown.nodes(), at_once.nodes());
        let questions = [
            Question::Root { size: n as u64 },
            Question::Root { size: m as u64 },
            Question::Inclusion { position: Position(m as u64), size: n as u64 },
            Question::Consistency { old: m as u64, new: n as u64 },
        ];
        let scanned = scan(&reader, &questions).unwrap();
        for question in questions {
            prop_assert_eq!(scanned.answer(question).unwrap(), grown.answer(question).unwrap());
        }
        let naive = Naive::new(records(&reader));
        prop_assert_eq!(grown.root(n as u64).unwrap(), naive.mth(0, n));
        prop_assert_eq!(grown.answer(questions[2]).unwrap(), naive.path(m - 1, 0, n));
        prop_assert_eq!(grown.answer(questions[3]).unwrap(), naive.proof(m, n));
    }

    #[test]
    fn a_proof_of_something_else_does_not_verify(
        n in 2_u64..200,
        (m, other) in any::<(prop::sample::Index, prop::sample::Index)>(),
        (at, byte, bit) in (any::<prop::sample::Index>(), 0_usize..32, 0_u8..8),
    ) {
        let log = written(n as usize);
        let reader: Reader<'_, _> = log.reader();
        let stored = records(&reader);
        let (m, other) = (1 + m.index(n as usize) as u64, 1 + other.index(n as usize) as u64);
        let mut tree = Tree::over(MemoryNodes::default());
        tree.catch_up(&reader, Position(n)).unwrap();
        let root = (n, tree.root(n).unwrap());
        let path = tree.answer(Question::Inclusion { position: Position(m), size: n }).unwrap();
        let record = &stored[m as usize - 1];
        prop_assert!(verify_inclusion(record, Position(m), root, &path).is_ok());
        if other != m {
            prop_assert!(verify_inclusion(record, Position(other), root, &path).is_err());
            prop_assert!(verify_inclusion(&stored[other as usize - 1], Position(m), root, &path).is_err());
        }
        prop_assert!(verify_inclusion(record, Position(m), root, &path[1..]).is_err());
        let mut damaged = path.clone();
        damaged[at.index(path.len())].0[byte] ^= 1 << bit;
        prop_assert!(verify_inclusion(record, Position(m), root, &damaged).is_err());

        let old = (m, tree.root(m).unwrap());
        let path = tree.answer(Question::Consistency { old: m, new: n }).unwrap();
        prop_assert!(verify_consistency(old, root, &path).is_ok());
        let mut wrong = old;
        wrong.1.0[byte] ^= 1 << bit;
        prop_assert!(verify_consistency(wrong, root, &path).is_err());
        if !path.is_empty() {
            let mut damaged = path.clone();
            damaged[at.index(path.len())].0[byte] ^= 1 << bit;
            prop_assert!(verify_consistency(old, root, &damaged).is_err());
            prop_assert!(verify_consistency(old, root, &path[1..]).is_err());
        }
    }
}
