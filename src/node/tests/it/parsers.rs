//! Parsers of outside input take anything and never panic; what they take is exactly what was sent.

use prooflog_events::ids::{Hash32, L2Block};
use prooflog_node::{Output, RollupConfig, SyncStatus, block_stats};
use proptest::prelude::*;
use serde_json::{Value, json};

use crate::support::{block, output, status};

fn any_json() -> impl Strategy<Value = Value> {
    let leaf = prop_oneof![
        Just(Value::Null),
        any::<bool>().prop_map(Value::from),
        any::<u64>().prop_map(Value::from),
        any::<i64>().prop_map(Value::from),
        any::<f64>().prop_map(Value::from),
        ".{0,80}".prop_map(Value::from),
        "0x[0-9a-fA-F]{0,70}".prop_map(Value::from),
    ];
    leaf.prop_recursive(3, 24, 6, |inner| {
        prop_oneof![
            prop::collection::vec(inner.clone(), 0..6).prop_map(Value::from),
            prop::collection::btree_map(key(), inner, 0..6)
                .prop_map(|map| Value::Object(map.into_iter().collect())),
        ]
    })
}

fn key() -> impl Strategy<Value = String> {
    prop_oneof![
        prop::sample::select(vec![
            "hash",
            "number",
            "timestamp",
            "l1origin",
            "current_l1",
            "finalized_l2",
            "unsafe_l2",
            "version",
            "outputRoot",
            "blockRef",
            "stateRoot",
            "withdrawalStorageRoot",
            "syncStatus",
            "genesis",
            "l2_chain_id",
            "gasUsed",
            "transactions",
        ])
        .prop_map(str::to_owned),
        "[a-z]{0,4}",
    ]
}

/// Puts `value` somewhere into a valid answer.
fn mutate(place: &mut Value, path: &[usize], value: Value) {
    let Some((step, rest)) = path.split_first() else {
        *place = value;
        return;
    };
    match place {
        Value::Object(map) if !map.is_empty() => {
            let index = step % map.len();
            mutate(map.values_mut().nth(index).unwrap(), rest, value);
        }
        Value::Array(list) if !list.is_empty() => {
            let index = step % list.len();
            mutate(&mut list[index], rest, value);
        }
        other => *other = value,
    }
}

proptest! {
    #[test]
    fn any_json_is_taken_or_refused_in_words(value in any_json(), number: u64) {
        for problem in [
            SyncStatus::parse(value.clone()).err(),
            Output::parse(value.clone()).err(),
            RollupConfig::parse(value.clone()).err(),
            block_stats(&value, number).err(),
        ].into_iter().flatten() {
            prop_assert!(!problem.is_empty() && problem.chars().count() <= 700, "{}", problem);
            prop_assert!(!problem.chars().any(char::is_control), "{}", problem);
        }
    }

    #[test]
    fn an_output_that_was_changed_keeps_its_root_or_fails(
        path in prop::collection::vec(any::<usize>(), 1..4), value in any_json()
    ) {
        let honest = Output::parse(output(50, 1)).unwrap();
        let mut answer = output(50, 1);
        mutate(&mut answer, &path, value);
        if let Ok(read) = Output::parse(answer)
            && read.check(L2Block(50)).is_ok()
        {
            prop_assert_eq!(read.output_root, honest.output_root);
        }
    }

    #[test]
    fn a_status_that_was_changed_never_panics(
        path in prop::collection::vec(any::<usize>(), 1..4), value in any_json()
    ) {
        let mut answer = status(9);
        mutate(&mut answer, &path, value);
        if let Ok(read) = SyncStatus::parse(answer) {
            prop_assert!(read.finalized_l2.is_none_or(|head| head.hash != Hash32::default()));
        }
    }

    #[test]
    fn sizes_of_blocks_are_exactly_what_was_sent(number: u64, gas: u64, count in 0_usize..300) {
        let sent = json!({
            "number": format!("{number:#x}"), "gasUsed": format!("{gas:#x}"), "transactions": vec![0; count]
        });
        let read = block_stats(&sent, number).unwrap().unwrap();
        prop_assert_eq!((read.gas, read.transactions as usize), (gas, count));
        prop_assert!(block_stats(&sent, number ^ 1).is_err());
    }

    #[test]
    fn times_beyond_the_end_saturate(timestamp: u64) {
        let mut answer = status(9);
        answer["finalized_l2"]["timestamp"] = json!(timestamp);
        let head = SyncStatus::parse(answer).unwrap().finalized_l2.unwrap();
        prop_assert_eq!(head.time().0, timestamp.saturating_mul(1_000_000));
    }
}

#[test]
fn numbers_of_eth_methods_are_hex_of_64_bits() {
    for bad in [
        json!(1),
        json!("1"),
        json!("0x"),
        json!("0x-1"),
        json!("0x+1"),
        json!("0x1ffffffffffffffff"),
        json!(null),
    ] {
        let mut answer = block(5);
        answer["gasUsed"] = bad.clone();
        assert!(block_stats(&answer, 5).is_err(), "{bad}");
    }
}

#[test]
fn numbers_of_optimism_methods_are_json_integers() {
    for bad in [json!("5"), json!("0x5"), json!(5.0), json!(-5), json!(null)] {
        let mut answer = status(9);
        answer["finalized_l2"]["number"] = bad.clone();
        assert!(SyncStatus::parse(answer).is_err(), "{bad}");
    }
}
