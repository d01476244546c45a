//! Why a call reverted: strings, panics and custom errors, and what each means for the next step.
//!
//! The table is the only place that knows the contracts' words. What it does not know is shown as hex, cut, and is
//! `Other`. All bytes come from outside; a crash in here is a bug of the decoder and loses one reason.

use alloy::primitives::FixedBytes;
use alloy::sol_types::{SolError, SolInterface};
use prooflog_events::clip::clip;
use prooflog_events::values::{Refusal, RefusalClass};

use crate::abi::Refusals;
use crate::abi::Refusals::RefusalsErrors;
use crate::error::RpcFault;

/// Most bytes of a reason.
const TEXT_MAX: usize = 1_024;
/// Most bytes of unknown data that are shown.
const HEX_MAX: usize = 68;

/// What a contract's reason contains, and what that means. The first line that fits holds.
const REASONS: &[(&str, RefusalClass)] = &[
    ("only approved proposers", RefusalClass::Policy),
    ("must be greater than or equal to next expected block number", RefusalClass::Stale),
    ("must be equal to next expected block number", RefusalClass::Stale),
    ("output in the future", RefusalClass::NotYet),
    ("optimistic mode is enabled", RefusalClass::Stale),
    ("optimistic mode is not enabled", RefusalClass::Stale),
    ("block hash does not match", RefusalClass::Stale),
    ("disputegamefactory", RefusalClass::Policy),
    ("dispute game factory", RefusalClass::Policy),
    ("invalid op succinct configuration", RefusalClass::Policy),
    ("caller is not", RefusalClass::Policy),
    ("paused", RefusalClass::Policy),
    ("bond", RefusalClass::Policy),
    ("already exists", RefusalClass::Stale),
    ("checkpointed", RefusalClass::Checkpoint),
];

/// Words of nodes, where a call failed without data. The first line that fits holds.
const NODE_WORDS: &[(&str, RefusalClass)] = &[
    ("insufficient funds", RefusalClass::Funds),
    ("insufficient balance", RefusalClass::Funds),
    ("upfront cost", RefusalClass::Funds),
    ("outoffund", RefusalClass::Funds),
    ("out of gas", RefusalClass::OutOfGas),
    ("outofgas", RefusalClass::OutOfGas),
    ("gas required exceeds", RefusalClass::OutOfGas),
    ("intrinsic gas", RefusalClass::OutOfGas),
    ("exceeds block gas limit", RefusalClass::OutOfGas),
    ("gas limit", RefusalClass::OutOfGas),
    ("invalid opcode", RefusalClass::Other),
    ("evm error", RefusalClass::Other),
    ("stack underflow", RefusalClass::Other),
    ("vm execution error", RefusalClass::Other),
    ("execution reverted", RefusalClass::Other),
    ("revert", RefusalClass::Other),
];

/// The reason in the bytes that a call returned as it reverted.
pub(crate) fn revert(data: &[u8]) -> Refusal {
    if data.is_empty() {
        return refusal(RefusalClass::Other, "reverted without a reason");
    }
    match RefusalsErrors::abi_decode(data) {
        Ok(error) => known(error),
        Err(_) => refusal(RefusalClass::Other, &format!("unknown revert {}", clipped_hex(data))),
    }
}

/// The reason why a call was refused by the chain; `None` where it was not the chain that refused it.
pub(crate) fn refused(fault: &RpcFault) -> Option<Refusal> {
    let RpcFault::Refused { code, message, data, .. } = fault else { return None };
    if let Some(data) = data.as_ref().filter(|data| !data.is_empty()) {
        return Some(revert(data));
    }
    let lower = message.to_ascii_lowercase();
    // "execution reverted: words" is how nodes show a string when they leave out its bytes.
    let words =
        lower.split_once("reverted: ").or_else(|| lower.split_once("revert: ")).map(|(_, words)| words);
    if let Some(class) = words.and_then(class_of_reason) {
        return Some(refusal(class, message));
    }
    let node = NODE_WORDS.iter().find(|(words, _)| lower.contains(words)).map(|(_, class)| *class);
    match node {
        Some(class) => Some(refusal(class, message)),
        // EIP-1474 extended: 3 is an execution error.
        None if *code == 3 => Some(refusal(RefusalClass::Other, message)),
        None => None,
    }
}

fn known(error: RefusalsErrors) -> Refusal {
    use RefusalsErrors as E;
    let named = |class, signature: &str| refusal(class, signature);
    match error {
        E::Error(Refusals::Error { reason }) => {
            refusal(class_of_reason(&reason.to_ascii_lowercase()).unwrap_or(RefusalClass::Other), &reason)
        }
        E::Panic(Refusals::Panic { code }) => panicked(u64::try_from(code).unwrap_or(u64::MAX)),
        E::L1BlockHashNotCheckpointed(_) => {
            named(RefusalClass::Checkpoint, Refusals::L1BlockHashNotCheckpointed::SIGNATURE)
        }
        E::L1BlockHashNotAvailable(_) => {
            named(RefusalClass::NotYet, Refusals::L1BlockHashNotAvailable::SIGNATURE)
        }
        E::WrongVerifierSelector(error) => refusal(
            RefusalClass::Route,
            &format!("WrongVerifierSelector(received {}, expected {})", error.received, error.expected),
        ),
        E::RouteNotFound(error) => with_selector("RouteNotFound", error.selector),
        E::RouteIsFrozen(error) => with_selector("RouteIsFrozen", error.selector),
        E::InvalidVkRoot(_) => named(RefusalClass::Route, Refusals::InvalidVkRoot::SIGNATURE),
        E::InvalidProof(_) => named(RefusalClass::BadProof, Refusals::InvalidProof::SIGNATURE),
        E::ProofInvalid(_) => named(RefusalClass::BadProof, Refusals::ProofInvalid::SIGNATURE),
        E::PublicInputNotInField(_) => {
            named(RefusalClass::BadProof, Refusals::PublicInputNotInField::SIGNATURE)
        }
        E::InvalidExitCode(_) => named(RefusalClass::BadProof, Refusals::InvalidExitCode::SIGNATURE),
        E::IncorrectBondAmount(_) => named(RefusalClass::Policy, Refusals::IncorrectBondAmount::SIGNATURE),
        E::NoImplementation(error) => {
            refusal(RefusalClass::Policy, &format!("NoImplementation({})", error.gameType))
        }
        E::GameAlreadyExists(error) => {
            refusal(RefusalClass::Stale, &format!("GameAlreadyExists({})", error.uuid))
        }
    }
}

fn with_selector(name: &str, selector: FixedBytes<4>) -> Refusal {
    refusal(RefusalClass::Route, &format!("{name}({selector})"))
}

fn panicked(code: u64) -> Refusal {
    let (class, meaning) = match code {
        // The mock verifier asserts that the proof is empty; nothing else on the way asserts.
        0x01 => (RefusalClass::Route, "assertion failed; the mock verifier takes empty proofs only"),
        0x11 => (RefusalClass::Other, "arithmetic overflow"),
        0x12 => (RefusalClass::Other, "division by zero"),
        0x32 => (RefusalClass::Stale, "index out of bounds"),
        0x41 => (RefusalClass::Other, "out of memory"),
        _ => (RefusalClass::Other, "see the Solidity documentation"),
    };
    refusal(class, &format!("Panic({code:#04x}): {meaning}"))
}

fn class_of_reason(lower: &str) -> Option<RefusalClass> {
    REASONS.iter().find(|(words, _)| lower.contains(words)).map(|(_, class)| *class)
}

fn refusal(class: RefusalClass, text: &str) -> Refusal {
    Refusal { class, text: clip(text, TEXT_MAX) }
}

fn clipped_hex(data: &[u8]) -> String {
    match data.get(..HEX_MAX) {
        Some(start) if data.len() > HEX_MAX => format!("0x{}... ({} bytes)", hex::encode(start), data.len()),
        _ => format!("0x{}", hex::encode(data)),
    }
}

#[cfg(test)]
mod tests {
    use alloy::primitives::{B256, U256};
    use proptest::prelude::*;

    use super::*;

    fn coded(message: &str, code: i64, data: Option<Vec<u8>>) -> RpcFault {
        RpcFault::Refused { endpoint: "e".into(), method: "eth_call", code, message: message.into(), data }
    }

    #[test]
    fn every_reason_of_the_oracle_has_its_class() {
        let cases = [
            ("L2OutputOracle: only approved proposers can propose new outputs", RefusalClass::Policy),
            (
                "L2OutputOracle: block number must be greater than or equal to next expected block number",
                RefusalClass::Stale,
            ),
            ("L2OutputOracle: block number must be equal to next expected block number", RefusalClass::Stale),
            ("L2OutputOracle: cannot propose L2 output in the future", RefusalClass::NotYet),
            ("L2OutputOracle: optimistic mode is enabled", RefusalClass::Stale),
            ("L2OutputOracle: L2 output proposal cannot be the zero hash", RefusalClass::Other),
            (
                "L2OutputOracle: cannot propose L2 output from outside DisputeGameFactory.create while \
                 disputeGameFactory is set",
                RefusalClass::Policy,
            ),
            ("L2OutputOracle: invalid OP Succinct configuration", RefusalClass::Policy),
        ];
        for (reason, class) in cases {
            let data = Refusals::Error { reason: reason.into() }.abi_encode();
            assert_eq!(revert(&data), Refusal { class, text: reason.into() });
            let worded = refused(&coded(&format!("execution reverted: {reason}"), -32000, None));
            assert_eq!(worded.map(|refusal| refusal.class), Some(class), "{reason}");
        }
    }

    #[test]
    fn every_custom_error_has_its_class() {
        let four = FixedBytes::<4>::from([0xa4, 0x59, 0x4c, 0x59]);
        let cases: Vec<(Vec<u8>, RefusalClass, &str)> = vec![
            (
                Refusals::L1BlockHashNotCheckpointed {}.abi_encode(),
                RefusalClass::Checkpoint,
                "L1BlockHashNotCheck",
            ),
            (
                Refusals::L1BlockHashNotAvailable {}.abi_encode(),
                RefusalClass::NotYet,
                "L1BlockHashNotAvailable()",
            ),
            (
                Refusals::WrongVerifierSelector { received: four, expected: FixedBytes::ZERO }.abi_encode(),
                RefusalClass::Route,
                "received 0xa4594c59, expected 0x00000000",
            ),
            (Refusals::InvalidProof {}.abi_encode(), RefusalClass::BadProof, "InvalidProof()"),
            (
                Refusals::RouteNotFound { selector: four }.abi_encode(),
                RefusalClass::Route,
                "RouteNotFound(0xa4594c59)",
            ),
            (Refusals::RouteIsFrozen { selector: four }.abi_encode(), RefusalClass::Route, "RouteIsFrozen"),
            (Refusals::InvalidVkRoot {}.abi_encode(), RefusalClass::Route, "InvalidVkRoot()"),
            (Refusals::InvalidExitCode {}.abi_encode(), RefusalClass::BadProof, "InvalidExitCode()"),
            (Refusals::IncorrectBondAmount {}.abi_encode(), RefusalClass::Policy, "IncorrectBondAmount()"),
            (
                Refusals::NoImplementation { gameType: 6 }.abi_encode(),
                RefusalClass::Policy,
                "NoImplementation(6)",
            ),
            (
                Refusals::GameAlreadyExists { uuid: B256::ZERO }.abi_encode(),
                RefusalClass::Stale,
                "GameAlreadyExists(0x",
            ),
            (Refusals::Panic { code: U256::from(1) }.abi_encode(), RefusalClass::Route, "Panic(0x01)"),
            (Refusals::Panic { code: U256::from(0x11) }.abi_encode(), RefusalClass::Other, "overflow"),
        ];
        for (data, class, text) in cases {
            let found = revert(&data);
            assert_eq!(found.class, class, "{}", found.text);
            assert!(found.text.contains(text), "{} lacks {text}", found.text);
        }
    }

    #[test]
    fn selectors_are_those_that_the_contracts_use() {
        let cases: [([u8; 4], &str); 4] = [
            (Refusals::L1BlockHashNotCheckpointed::SELECTOR, "22aa3a98"),
            (Refusals::WrongVerifierSelector::SELECTOR, "988066a1"),
            (Refusals::InvalidProof::SELECTOR, "09bde339"),
            (Refusals::Panic::SELECTOR, "4e487b71"),
        ];
        for (selector, expected) in cases {
            assert_eq!(hex::encode(selector), expected);
        }
    }

    #[test]
    fn what_is_unknown_is_shown_as_hex_and_cut() {
        assert_eq!(revert(&[0xde, 0xad, 0xbe, 0xef]).text, "unknown revert 0xdeadbeef");
        let long = revert(&[0xab; 500]).text;
        assert!(long.ends_with("... (500 bytes)") && long.len() < 200, "{long}");
    }

    #[test]
    fn words_of_nodes_are_told_from_failures_of_the_node() {
        let class = |message: &str, code| refused(&coded(message, code, None)).map(|refusal| refusal.class);
        assert_eq!(class("insufficient funds for transfer", -32000), Some(RefusalClass::Funds));
        assert_eq!(class("gas required exceeds allowance (3000)", -32000), Some(RefusalClass::OutOfGas));
        assert_eq!(class("EVM error OutOfGas", -32003), Some(RefusalClass::OutOfGas));
        assert_eq!(class("execution reverted", 3), Some(RefusalClass::Other));
        assert_eq!(class("rate limit exceeded", -32005), None);
        assert_eq!(class("missing trie node", -32000), None);
        assert_eq!(class("internal error", -32603), None);
    }

    proptest! {
        #[test]
        fn no_revert_panics_or_grows(data in proptest::collection::vec(any::<u8>(), 0..600), known in 0_usize..3) {
            let selector = [[0x08, 0xc3, 0x79, 0xa0], [0x4e, 0x48, 0x7b, 0x71], [1, 2, 3, 4]];
            let mut bytes = selector.get(known).copied().unwrap_or_default().to_vec();
            bytes.extend(data);
            prop_assert!(revert(&bytes).text.len() <= TEXT_MAX);
        }
    }
}
