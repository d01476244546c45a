//! Which of the three interfaces an oracle has: its version string together with the selectors in its code.
//!
//! Version strings were reused and code can be copied, so neither decides alone: the string must be one that we know,
//! and exactly one generation's calls must be there. Found once per implementation. A crash in here loses a read.

use std::fmt::Write as _;

use alloy::sol_types::SolCall;
use prooflog_events::ids::{Address, Hash32, L1Ref};
use prooflog_events::values::Generation;

use crate::abi::{First, Oracle, Second, Third};
use crate::error::L1Error;
use crate::pin::{Ask, Pin};
use crate::reading::{Reading, address_in};

/// EIP-1967: keccak256("eip1967.proxy.implementation") - 1.
pub(crate) const IMPLEMENTATION_SLOT: Hash32 = Hash32([
    0x36, 0x08, 0x94, 0xa1, 0x3b, 0xa1, 0xa3, 0x21, 0x06, 0x67, 0xc8, 0x28, 0x49, 0x2d, 0xb9, 0x8d, 0xca,
    0x3e, 0x20, 0x76, 0xcc, 0x37, 0x35, 0xa9, 0x20, 0xa3, 0xca, 0x50, 0x5d, 0x38, 0x2b, 0xbc,
]);

const VERSIONS: &[&str] = &["v1.0.0-rc2", "v1.0.0", "v2.0.0", "v3.0.0"];

/// What an oracle's implementation can do.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Interface {
    /// The code behind the proxy; the oracle itself where there is no proxy.
    pub implementation: Address,
    /// What `version()` says.
    pub version: String,
    /// Which calls it takes.
    pub generation: Generation,
    /// Whether `disputeGameFactory()` is there.
    pub(crate) names_factory: bool,
}

/// The implementation as the proxy's storage names it.
pub(crate) fn implementation(oracle: Address, slot: &[u8]) -> Address {
    address_in(slot).unwrap_or(oracle)
}

/// Finds the interface of an oracle at a block.
pub(crate) async fn detect(
    pin: &Pin,
    at: L1Ref,
    oracle: Address,
    implementation: Address,
) -> Result<Interface, L1Error> {
    let mut reading = Reading::default();
    let code = reading.ask(at, Ask::Code { address: implementation });
    let version = reading.call(at, oracle, &Oracle::versionCall {});
    let answers = reading.at(pin).await?;
    let code = answers.bytes(code)?;
    if code.is_empty() {
        return Err(L1Error::Unsupported { oracle, found: format!("no code at {implementation}") });
    }
    let version = match answers.get(version) {
        Ok(version) => version.chars().take(64).collect(),
        Err(error @ L1Error::Contract { .. }) => {
            return Err(L1Error::Unsupported {
                oracle,
                found: format!("version() does not answer: {error}"),
            });
        }
        Err(error) => return Err(error),
    };
    classify(oracle, implementation, version, &code)
}

fn classify(
    oracle: Address,
    implementation: Address,
    version: String,
    code: &[u8],
) -> Result<Interface, L1Error> {
    let has = |selector: [u8; 4]| has_selector(code, selector);
    let old_getters = has(Oracle::aggregationVkeyCall::SELECTOR)
        && has(Oracle::rangeVkeyCommitmentCall::SELECTOR)
        && has(Oracle::rollupConfigHashCall::SELECTOR);
    let generations = [
        (Generation::V1, has(First::proposeL2OutputCall::SELECTOR) && old_getters),
        (Generation::V2, has(Second::proposeL2OutputCall::SELECTOR) && old_getters),
        (
            Generation::V3,
            has(Third::proposeL2OutputCall::SELECTOR) && has(Third::opSuccinctConfigsCall::SELECTOR),
        ),
    ];
    let found: Vec<Generation> =
        generations.into_iter().filter(|(_, is)| *is).map(|(generation, _)| generation).collect();
    match found.as_slice() {
        [generation]
            if VERSIONS.contains(&version.as_str()) && has(Oracle::checkpointBlockHashCall::SELECTOR) =>
        {
            let names_factory = has(Third::disputeGameFactoryCall::SELECTOR);
            Ok(Interface { implementation, version, generation: *generation, names_factory })
        }
        _ => Err(L1Error::Unsupported { oracle, found: describe(implementation, &version, code) }),
    }
}

/// What was found, in words for whoever has to find out why.
fn describe(implementation: Address, version: &str, code: &[u8]) -> String {
    let calls: [(&str, [u8; 4]); 8] = [
        (First::proposeL2OutputCall::SIGNATURE, First::proposeL2OutputCall::SELECTOR),
        (Second::proposeL2OutputCall::SIGNATURE, Second::proposeL2OutputCall::SELECTOR),
        (Third::proposeL2OutputCall::SIGNATURE, Third::proposeL2OutputCall::SELECTOR),
        (Third::dgfProposeL2OutputCall::SIGNATURE, Third::dgfProposeL2OutputCall::SELECTOR),
        (Third::opSuccinctConfigsCall::SIGNATURE, Third::opSuccinctConfigsCall::SELECTOR),
        (Oracle::checkpointBlockHashCall::SIGNATURE, Oracle::checkpointBlockHashCall::SELECTOR),
        (Oracle::aggregationVkeyCall::SIGNATURE, Oracle::aggregationVkeyCall::SELECTOR),
        (Oracle::latestBlockNumberCall::SIGNATURE, Oracle::latestBlockNumberCall::SELECTOR),
    ];
    let mut text =
        format!("version `{version}`, implementation {implementation} with {} bytes of code", code.len());
    let mut names = calls.iter().filter(|(_, selector)| has_selector(code, *selector)).map(|(name, _)| *name);
    match names.next() {
        None => text.push_str(" and none of the calls that we know"),
        Some(name) => {
            let _ = write!(text, " and {name}");
            for name in names {
                let _ = write!(text, ", {name}");
            }
        }
    }
    text
}

/// Whether code pushes a selector. The compiler pushes fewer bytes for one that begins with zeros.
fn has_selector(code: &[u8], selector: [u8; 4]) -> bool {
    let digits: &[u8] = match &selector {
        [0, 0, rest @ ..] => rest,
        [0, rest @ ..] => rest,
        all => all,
    };
    // PUSH1 is 0x60, PUSH2 0x61, and so on.
    let push = u8::try_from(digits.len()).ok().and_then(|length| 0x5f_u8.checked_add(length));
    code.windows(digits.len() + 1).any(|window| match window {
        [first, rest @ ..] => Some(*first) == push && rest == digits,
        [] => false,
    })
}

#[cfg(test)]
#[expect(clippy::unwrap_used, reason = "tests")]
mod tests {
    use super::*;

    fn code(selectors: &[[u8; 4]]) -> Vec<u8> {
        let mut code = vec![0x60, 0x80, 0x60, 0x40];
        for selector in selectors {
            code.push(0x63);
            code.extend(selector);
            code.push(0x14);
        }
        code
    }

    const GETTERS: [[u8; 4]; 4] = [
        Oracle::aggregationVkeyCall::SELECTOR,
        Oracle::rangeVkeyCommitmentCall::SELECTOR,
        Oracle::rollupConfigHashCall::SELECTOR,
        Oracle::checkpointBlockHashCall::SELECTOR,
    ];

    fn found(version: &str, selectors: &[[u8; 4]]) -> Result<Generation, String> {
        let mut all = GETTERS.to_vec();
        all.extend(selectors);
        classify(Address([1; 20]), Address([2; 20]), version.to_owned(), &code(&all))
            .map(|interface| interface.generation)
            .map_err(|error| error.to_string())
    }

    #[test]
    fn each_generation_is_known_by_its_calls() {
        assert_eq!(found("v1.0.0-rc2", &[First::proposeL2OutputCall::SELECTOR]), Ok(Generation::V1));
        assert_eq!(found("v1.0.0", &[First::proposeL2OutputCall::SELECTOR]), Ok(Generation::V1));
        assert_eq!(found("v2.0.0", &[Second::proposeL2OutputCall::SELECTOR]), Ok(Generation::V2));
        let third = [Third::proposeL2OutputCall::SELECTOR, Third::opSuccinctConfigsCall::SELECTOR];
        assert_eq!(found("v3.0.0", &third), Ok(Generation::V3));
    }

    #[test]
    fn a_reused_version_string_is_decided_by_the_calls() {
        assert_eq!(found("v1.0.0", &[Second::proposeL2OutputCall::SELECTOR]), Ok(Generation::V2));
    }

    #[test]
    fn anything_else_is_refused_and_named() {
        let error = found("v4.0.0", &[Second::proposeL2OutputCall::SELECTOR]).unwrap_err();
        assert!(error.contains("`v4.0.0`") && error.contains("bytes,address)"), "{error}");
        let both = [First::proposeL2OutputCall::SELECTOR, Second::proposeL2OutputCall::SELECTOR];
        assert!(found("v2.0.0", &both).is_err(), "two generations at once");
        assert!(found("v2.0.0", &[]).is_err(), "no way to submit");
        let error = classify(Address([1; 20]), Address([2; 20]), "v2.0.0".into(), &[0x60, 0x80]).unwrap_err();
        assert!(error.to_string().contains("none of the calls"), "{error}");
    }

    #[test]
    fn a_selector_with_leading_zeros_is_found() {
        assert!(has_selector(&[0x62, 1, 2, 3], [0, 1, 2, 3]));
        assert!(!has_selector(&[0x63, 1, 2, 3], [0, 1, 2, 3]));
        assert!(!has_selector(&[], [1, 2, 3, 4]));
    }

    #[test]
    fn the_slot_is_the_one_of_the_standard() {
        let digest = alloy::primitives::keccak256("eip1967.proxy.implementation");
        let minus_one = alloy::primitives::U256::from_be_bytes(digest.0) - alloy::primitives::U256::from(1);
        assert_eq!(minus_one.to_be_bytes::<32>(), IMPLEMENTATION_SLOT.0);
    }
}
