//! Names and times as short as a column allows, and the meaning that a colour has.
//!
//! A value in, a word out: nothing here knows the log or the screen.

use prooflog_events::ids::Micros;

use super::super::output;

/// What a colour says.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Tone {
    /// Nothing.
    Plain,
    /// It stands back.
    Dim,
    /// It went well.
    Good,
    /// It cost time or money.
    Warn,
    /// It failed, or waits for a person.
    Bad,
    /// An intent that is acted on.
    Act,
    /// An outside writer's.
    Foreign,
    /// A heading.
    Title,
}

const BAD: &[&str] = &[
    "WitnessGenFailed",
    "Unfulfillable",
    "ProofLost",
    "TimedOut",
    "Parked",
    "CheckpointLost",
    "OutputMismatched",
    "SubmissionRefused",
    "SubmissionReverted",
    "SubmissionAbandoned",
    "TxReverted",
    "TxAbandoned",
    "ContractConfigRejected",
    "ContractRolledBack",
    "ProverDegraded",
    "DegradedModeEntered",
    "SignerBalanceLow",
    "DuplicateSpendRecorded",
];

const WARN: &[&str] = &[
    "Retried",
    "Split",
    "Invalidated",
    "Cancelled",
    "SubmissionReorged",
    "TxReorged",
    "TxDropped",
    "TxReplaced",
    "NonceDrifted",
    "FinalizedStalled",
    "Paused",
    "LateAnswerRecorded",
    "UnknownStatusRecorded",
    "FeeCeilingReached",
    "PolicyChanged",
    "ContractChanged",
];

const GOOD: &[&str] = &[
    "ProofFulfilled",
    "SpanSettled",
    "AggSettled",
    "Checkpointed",
    "Submitted",
    "SubmissionConfirmed",
    "TxIncluded",
    "TxConfirmed",
    "ContractAdvanced",
    "ContractConfirmed",
    "ContractConfigValidated",
    "ProverRecovered",
    "DegradedModeLeft",
    "SignerBalanceRestored",
    "Resumed",
    "Unparked",
    "Restored",
];

const ACT: &[&str] = &[
    "WitnessGenStarted",
    "CheckpointStarted",
    "SubmissionStarted",
    "TxReserved",
    "TxPrepared",
    "TxBroadcast",
    "FlushRequested",
];

/// What a type of event means to whoever looks at it.
pub(super) fn tone_of(type_name: &str) -> Tone {
    for (names, tone) in [(BAD, Tone::Bad), (WARN, Tone::Warn), (GOOD, Tone::Good), (ACT, Tone::Act)] {
        if names.contains(&type_name) {
            return tone;
        }
    }
    Tone::Plain
}

/// A name with its addresses and hashes cut to their beginning: `tx-1-0x5151…-8`.
pub(super) fn short(name: &str) -> String {
    let mut words = Vec::new();
    for word in name.split('-') {
        let is_long = word.starts_with("0x") && word.len() > 12 && word.is_ascii();
        words.push(if is_long { format!("{}…", word.get(..6).unwrap_or(word)) } else { word.to_owned() });
    }
    words.join("-")
}

/// A text with its hashes cut to their beginning and end: `0x0000…0058`.
pub(super) fn shortened(text: &str) -> String {
    let words = text.split(' ').map(|word| {
        let Some(at) = word.find("0x") else { return word.to_owned() };
        let (front, rest) = word.split_at(at);
        let digits = rest.bytes().skip(2).take_while(u8::is_ascii_hexdigit).count() + 2;
        let (number, tail) = rest.split_at(digits);
        match (number.get(..6), number.get(digits.saturating_sub(4)..)) {
            (Some(first), Some(last)) if digits > 18 => format!("{front}{first}…{last}{tail}"),
            _ => word.to_owned(),
        }
    });
    words.collect::<Vec<_>>().join(" ")
}

/// The time of day of a moment.
pub(super) fn clock(at: Micros) -> String {
    let time = output::time(at);
    time.get(11..19).map_or_else(|| time.clone(), str::to_owned)
}

/// A text cut to a width, with a sign that it was.
pub(super) fn fit(text: &str, width: usize) -> String {
    if text.chars().count() <= width {
        return text.to_owned();
    }
    text.chars().take(width.saturating_sub(1)).chain(['…']).collect()
}

/// A number with its thousands apart.
pub(super) fn grouped(number: u64) -> String {
    let digits = number.to_string();
    let mut text = String::new();
    for (at, digit) in digits.chars().enumerate() {
        if at > 0 && (digits.len() - at).is_multiple_of(3) {
            text.push(',');
        }
        text.push(digit);
    }
    text
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_stay_recognisable() {
        assert_eq!(short("tx-1-0x5151515151515151515151515151515151515151-8"), "tx-1-0x5151…-8");
        assert_eq!(short("span-10-7"), "span-10-7");
        assert_eq!(shortened("ask (0x000000000000000a0000000000000058)"), "ask (0x0000…0058)");
        assert_eq!(shortened("0x12 and 0x"), "0x12 and 0x");
        assert_eq!(clock(Micros(1_709_251_199_000_000)), "23:59:59");
        assert_eq!((fit("abcdef", 4), fit("abc", 4)), ("abc…".to_owned(), "abc".to_owned()));
        assert_eq!([0, 999, 1_000, 10_000_000].map(grouped), ["0", "999", "1,000", "10,000,000"]);
    }

    #[test]
    fn every_name_with_a_colour_is_a_type() {
        for name in [BAD, WARN, GOOD, ACT].concat() {
            assert!(prooflog_events::event::EventType::from_name(name).is_some(), "{name}");
        }
    }
}
