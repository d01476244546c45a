//! The parser against `serde_json` as an oracle, cut at every place that chance finds.
#![expect(clippy::unwrap_used, clippy::indexing_slicing, reason = "tests")]

use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use proptest::prelude::*;
use serde_json::{Map, Value, json};

use super::*;

const SMALL: AnswerLimits = AnswerLimits { proof: 2_000, text_factor: 64 };

fn parse_cut(text: &[u8], cuts: &[usize]) -> Result<Answer, AnswerError> {
    let mut parser = AnswerParser::new(SMALL);
    let mut places: Vec<usize> = cuts.iter().map(|cut| cut % (text.len() + 1)).collect();
    places.extend([0, text.len()]);
    places.sort_unstable();
    for pair in places.windows(2) {
        parser.feed(&text[pair[0]..pair[1]])?;
    }
    parser.finish()
}

fn parse(text: &str) -> Result<Answer, AnswerError> {
    parse_cut(text.as_bytes(), &[])
}

/// What a whole tree of values says, read by the rules of the documentation.
fn oracle(value: &Value) -> Result<Answer, ()> {
    let fields = value.as_object().ok_or(())?;
    let field = |name: &str| fields.get(name).filter(|value| !value.is_null());
    let status = |name: &str| match field(name) {
        None => Ok(None),
        Some(value) => value.as_i64().and_then(|n| i32::try_from(n).ok()).map(Some).ok_or(()),
    };
    let raw = |value: &Value| match value {
        Value::Array(items) => {
            items.iter().map(|n| n.as_u64().and_then(|n| u8::try_from(n).ok())).collect::<Option<Vec<u8>>>()
        }
        Value::String(text) => STANDARD.decode(text).ok(),
        _ => None,
    };
    let bytes = |name: &str, limit: usize| match field(name) {
        None => Ok(None),
        Some(value) => raw(value).filter(|bytes| bytes.len() <= limit).map(Some).ok_or(()),
    };
    let wide = |name: &str| {
        field(name).and_then(|value| {
            value.as_str().map_or_else(|| value.as_u64().map(u128::from), |t| t.parse().ok())
        })
    };
    let text = |name: &str| field(name).and_then(Value::as_str).map(str::to_owned);
    let l1_head = field("l1_head").and_then(|head| {
        let number = head.get("number")?;
        let number = number.as_u64().or_else(|| number.as_str()?.parse().ok())?;
        Some(L1Ref {
            number: prooflog_events::ids::L1Number(number),
            hash: head.get("hash")?.as_str()?.parse().ok()?,
        })
    });
    Ok(Answer {
        fulfillment: status("fulfillment_status")?,
        execution: status("execution_status")?,
        proof: bytes("proof", SMALL.proof)?,
        proof_id: bytes("proof_id", 256)?,
        l1_head,
        public_values: bytes("public_values", 64 << 10).unwrap_or_default(),
        cycles: wide("cycles").and_then(|n| u64::try_from(n).ok()),
        gas: wide("gas").and_then(|n| u64::try_from(n).ok()),
        cost: wide("cost"),
        error_class: text("error_class"),
        error: text("error"),
    })
}

fn bytes_value(max: usize) -> impl Strategy<Value = Value> {
    prop_oneof![
        prop::collection::vec(any::<u8>(), 0..max).prop_map(|bytes| json!(bytes)),
        prop::collection::vec(any::<u8>(), 0..max).prop_map(|bytes| json!(STANDARD.encode(bytes))),
    ]
}

fn anything() -> impl Strategy<Value = Value> {
    let leaf = prop_oneof![
        Just(Value::Null),
        any::<bool>().prop_map(Value::Bool),
        any::<i64>().prop_map(|n| json!(n)),
        any::<u64>().prop_map(|n| json!(n)),
        any::<f64>().prop_filter("finite", |n| n.is_finite()).prop_map(|n| json!(n)),
        any::<String>().prop_map(Value::String),
        "[A-Za-z0-9+/=]{0,12}".prop_map(Value::String),
        (0_u32..400).prop_map(|n| json!(n)),
        (0_u32..40).prop_map(|n| json!(n.to_string())),
    ];
    leaf.prop_recursive(3, 24, 6, |inner| {
        prop_oneof![
            prop::collection::vec(inner.clone(), 0..6).prop_map(Value::Array),
            prop::collection::vec((any::<String>(), inner), 0..6)
                .prop_map(|fields| Value::Object(fields.into_iter().collect())),
        ]
    })
}

fn right(name: &'static str) -> BoxedStrategy<Value> {
    let hash = prop::array::uniform32(any::<u8>()).prop_map(|hash| format!("0x{}", hex::encode(hash)));
    match name {
        "fulfillment_status" | "execution_status" => any::<i32>().prop_map(|n| json!(n)).boxed(),
        "proof" | "proof_id" | "public_values" => bytes_value(200).boxed(),
        "l1_head" => {
            (any::<u64>(), hash).prop_map(|(number, hash)| json!({ "number": number, "hash": hash })).boxed()
        }
        "cycles" | "gas" => any::<u64>().prop_map(|n| json!(n)).boxed(),
        "cost" => any::<u128>().prop_map(|n| json!(n.to_string())).boxed(),
        _ => any::<String>().prop_map(Value::String).boxed(),
    }
}

const NAMES: [&str; 12] = [
    "fulfillment_status",
    "execution_status",
    "proof",
    "proof_id",
    "l1_head",
    "public_values",
    "cycles",
    "gas",
    "cost",
    "error_class",
    "error",
    "from_the_future",
];

/// Answers with most fields right, some wrong, in any order, written tightly or with indents and escapes.
fn answers() -> impl Strategy<Value = Value> {
    let field = |name: &'static str| {
        prop_oneof![
            6 => right(name).prop_map(Some),
            1 => anything().prop_map(Some),
            2 => Just(None),
        ]
        .prop_map(move |value| value.map(|value| (name.to_owned(), value)))
    };
    let fields: Vec<_> = NAMES.iter().map(|name| field(name)).collect();
    (fields, any::<prop::sample::Index>()).prop_map(|(fields, first)| {
        let mut fields: Vec<_> = fields.into_iter().flatten().collect();
        if !fields.is_empty() {
            let at = first.index(fields.len());
            fields.rotate_left(at);
        }
        Value::Object(fields.into_iter().collect::<Map<_, _>>())
    })
}

#[test]
fn an_error_that_is_too_long_says_how_much_of_it_is_missing() {
    let text = json!({ "fulfillment_status": 4, "error": "e".repeat(20_000) }).to_string();
    let answer = parse_cut(text.as_bytes(), &[100, 5_000, 16_500, 18_000]).unwrap();
    assert_eq!(answer.error.unwrap(), format!("{}… (3616 bytes more)", "e".repeat(16_384)));
    let both = json!({ "error": "e".repeat(20_000), "error_class": "short" }).to_string();
    assert_eq!(parse(&both).unwrap().error_class.as_deref(), Some("short"));
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(600))]

    #[test]
    fn an_answer_is_what_serde_json_says_wherever_it_is_cut(
        value in answers(),
        pretty in any::<bool>(),
        cuts in prop::collection::vec(any::<usize>(), 0..12),
    ) {
        let text = if pretty { serde_json::to_vec_pretty(&value) } else { serde_json::to_vec(&value) }.unwrap();
        prop_assert_eq!(parse_cut(&text, &cuts).map_err(|_| ()), oracle(&value));
    }

    #[test]
    fn escapes_make_no_difference(text in any::<String>(), cuts in prop::collection::vec(any::<usize>(), 0..12)) {
        let escaped: String = text.encode_utf16().map(|unit| format!("\\u{unit:04x}")).collect();
        let document = format!("{{\"\\u0065rror\":\"{escaped}\"}}");
        let answer = parse_cut(document.as_bytes(), &cuts).unwrap();
        prop_assert_eq!(answer.error, Some(text));
    }

    #[test]
    fn what_is_not_json_is_refused_and_what_is_does_not_depend_on_cuts(
        value in answers(),
        edits in prop::collection::vec((any::<usize>(), any::<u8>(), 0..3_u8), 0..4),
        cuts in prop::collection::vec(any::<usize>(), 0..12),
    ) {
        let mut text = serde_json::to_vec(&value).unwrap();
        for (place, byte, kind) in edits {
            let place = place % (text.len() + 1);
            match kind {
                0 => text.insert(place, byte),
                1 => text.truncate(place),
                _ => if let Some(target) = text.get_mut(place) { *target = byte & 0x7f },
            }
        }
        let whole = parse_cut(&text, &[]);
        prop_assert_eq!(&whole, &parse_cut(&text, &cuts));
        if serde_json::from_slice::<serde::de::IgnoredAny>(&text).is_err() {
            prop_assert!(whole.is_err());
        }
    }

    #[test]
    fn noise_is_an_error_and_nothing_worse(
        noise in prop::collection::vec(prop::sample::select(b"{}[]\",:\\u0129-+.eEtrufalsn \n\xff\x00".to_vec()), 0..200),
        cuts in prop::collection::vec(any::<usize>(), 0..6),
    ) {
        let outcome = parse_cut(&noise, &cuts);
        prop_assert!(outcome.is_err() || serde_json::from_slice::<serde::de::IgnoredAny>(&noise).is_ok());
    }
}

#[test]
fn a_proof_above_the_limit_is_refused_by_name_and_not_collected() {
    let numbers = format!("{{\"proof\":{}}}", json!(vec![7; 2_001]));
    let error = parse(&numbers).unwrap_err();
    assert!(error.is_too_large());
    assert_eq!(error.to_string(), "`proof` is larger than the limit of 2000 bytes");
    let base64 = format!("{{\"proof\":\"{}\"}}", STANDARD.encode(vec![7; 2_001]));
    assert!(parse(&base64).unwrap_err().is_too_large());
    let exact = format!("{{\"proof\":\"{}\"}}", STANDARD.encode(vec![7; 2_000]));
    assert_eq!(parse(&exact).unwrap().proof.unwrap().len(), 2_000);
    let exact = format!("{{\"proof\":{}}}", json!(vec![7; 2_000]));
    assert_eq!(parse(&exact).unwrap().proof.unwrap().len(), 2_000);
}

#[test]
fn endless_text_is_refused_even_where_it_is_skipped() {
    let mut parser = AnswerParser::new(SMALL);
    parser.feed(b"{\"x\":\"").unwrap();
    let piece = [b'a'; 4_096];
    let refused = (0..1_000).find_map(|_| parser.feed(&piece).err());
    assert!(matches!(refused, Some(AnswerError::TextTooLarge(_))));
}

#[test]
fn deep_nesting_is_refused_at_any_depth_without_recursion() {
    let text = format!("{{\"x\":{}", "[".repeat(100_000));
    assert_eq!(parse(&text), Err(AnswerError::TooDeep));
}

#[test]
fn statuses_that_nobody_knows_are_passed_on() {
    let answer = parse("{\"fulfillment_status\":77,\"execution_status\":-3}").unwrap();
    assert_eq!((answer.fulfillment, answer.execution), (Some(77), Some(-3)));
}

#[test]
fn wrong_values_of_fields_that_decide_are_named() {
    for (text, field) in [
        ("{\"fulfillment_status\":3.0}", "fulfillment_status"),
        ("{\"fulfillment_status\":99999999999999999999999}", "fulfillment_status"),
        ("{\"execution_status\":\"3\"}", "execution_status"),
        ("{\"execution_status\":{}}", "execution_status"),
        ("{\"proof\":[256]}", "proof"),
        ("{\"proof\":[-1]}", "proof"),
        ("{\"proof\":[1,[2]]}", "proof"),
        ("{\"proof\":{\"a\":1}}", "proof"),
        ("{\"proof\":true}", "proof"),
        ("{\"proof\":\"AQ\"}", "proof"),
        ("{\"proof\":\"AQ==AQ==\"}", "proof"),
        ("{\"proof_id\":12}", "proof_id"),
    ] {
        let error = parse(text).unwrap_err().to_string();
        assert!(error.starts_with(&format!("`{field}`")), "{text}: {error}");
    }
}

#[test]
fn a_proof_is_not_lost_over_wrong_numbers_beside_it() {
    let answer = parse(
        "{\"cycles\":-1,\"gas\":1e99,\"cost\":[1],\"l1_head\":7,\"public_values\":\"?\",\"error\":{\"a\":[]},\
         \"fulfillment_status\":3,\"execution_status\":2,\"proof\":[1,2]}",
    )
    .unwrap();
    let expected =
        Answer { fulfillment: Some(3), execution: Some(2), proof: Some(vec![1, 2]), ..Answer::default() };
    assert_eq!(answer, expected);
}

#[test]
fn of_two_fields_with_one_name_the_last_counts() {
    let answer = parse("{\"proof\":[1],\"proof\":\"Ag==\",\"cost\":\"1\",\"cost\":2}").unwrap();
    assert_eq!((answer.proof, answer.cost), (Some(vec![2]), Some(2)));
}

#[test]
fn elements_that_json_does_not_allow_are_refused_at_full_speed_too() {
    for array in
        ["[00,1]", "[01,1]", "[012,1]", "[1,,2]", "[1,]", "[,1]", "[1 2]", "[+1,2]", "[1.,2]", "[0x1,2]"]
    {
        assert_eq!(parse(&format!("{{\"proof\":{array}}}")), Err(AnswerError::NotJson), "{array}");
    }
    for array in ["[256,1]", "[299,1]", "[1000,1]", "[1.0,1]", "[1e1,2]"] {
        let refused = parse(&format!("{{\"proof\":{array}}}"));
        assert!(matches!(refused, Err(AnswerError::Field { field: "proof", .. })), "{array}");
    }
    assert_eq!(parse("{\"proof\":[0,9,10,99,100,255]}").unwrap().proof.unwrap(), [0, 9, 10, 99, 100, 255]);
}
