//! A batch of typed questions about contracts, asked at pinned blocks and answered together.
//!
//! A question yields a place, and the place yields the typed answer: order and decoding cannot drift apart. A crash in
//! here loses a read.

use std::marker::PhantomData;

use alloy::primitives::U256;
use alloy::sol_types::SolCall;
use prooflog_events::ids::{Address, Hash32, L1Number, L1Ref};
use serde_json::Value;

use crate::decode;
use crate::error::L1Error;
use crate::json::{bytes, quantity};
use crate::pin::{Ask, Pin};
use crate::rpc::Answer;

/// Where the answer of a call will stand.
pub(crate) struct Place<C>(usize, PhantomData<fn() -> C>);

impl<C> Clone for Place<C> {
    fn clone(&self) -> Self {
        *self
    }
}

impl<C> Copy for Place<C> {}

/// Where an answer that is not a call's will stand.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Raw(usize);

/// Questions of one batch.
#[derive(Default)]
pub(crate) struct Reading {
    questions: Vec<(L1Ref, Ask)>,
}

impl Reading {
    /// A call of `to` at `at`.
    pub(crate) fn call<C: SolCall>(&mut self, at: L1Ref, to: Address, call: &C) -> Place<C> {
        Place(self.push(at, Ask::Call { to, data: call.abi_encode() }), PhantomData)
    }

    /// Any other question.
    pub(crate) fn ask(&mut self, at: L1Ref, ask: Ask) -> Raw {
        Raw(self.push(at, ask))
    }

    fn push(&mut self, at: L1Ref, ask: Ask) -> usize {
        self.questions.push((at, ask));
        self.questions.len() - 1
    }

    /// Asks all of it.
    pub(crate) async fn at(self, pin: &Pin) -> Result<Answers, L1Error> {
        let answers = pin.ask(&self.questions).await?;
        Ok(Answers { questions: self.questions, answers })
    }
}

/// Answers of one batch.
pub(crate) struct Answers {
    questions: Vec<(L1Ref, Ask)>,
    answers: Vec<Answer>,
}

impl Answers {
    /// What a call returned.
    pub(crate) fn get<C: SolCall>(&self, place: Place<C>) -> Result<C::Return, L1Error> {
        match self.try_get(place)? {
            Some(value) => Ok(value),
            None => Err(self.problem(place.0, format!("{} returned nothing: no code there?", C::SIGNATURE))),
        }
    }

    /// What a call returned; `None` where there was no code.
    pub(crate) fn try_get<C: SolCall>(&self, place: Place<C>) -> Result<Option<C::Return>, L1Error> {
        let data = match self.raw(Raw(place.0)) {
            Ok(value) => {
                bytes(value).ok_or_else(|| self.problem(place.0, "an answer is not hex".to_owned()))?
            }
            Err(error) => return Err(error),
        };
        if data.is_empty() {
            return Ok(None);
        }
        C::abi_decode_returns(&data).map(Some).map_err(|error| {
            self.problem(place.0, format!("{} returned something else: {error}", C::SIGNATURE))
        })
    }

    /// Any other answer. What a contract refuses is the contract's problem, everything else the endpoint's.
    pub(crate) fn raw(&self, place: Raw) -> Result<&Value, L1Error> {
        match self.answers.get(place.0) {
            Some(Ok(value)) => Ok(value),
            Some(Err(fault)) => Err(match decode::refused(fault) {
                Some(refusal) => {
                    self.problem(place.0, format!("{} reverted: {}", self.name(place.0), refusal.text))
                }
                None => L1Error::Rpc(fault.clone()),
            }),
            None => Err(L1Error::Torn("an answer is missing".to_owned())),
        }
    }

    /// A quantity.
    pub(crate) fn quantity(&self, place: Raw) -> Result<u128, L1Error> {
        let value = self.raw(place)?;
        quantity(value).ok_or_else(|| self.problem(place.0, "an answer is not a quantity".to_owned()))
    }

    /// Bytes.
    pub(crate) fn bytes(&self, place: Raw) -> Result<Vec<u8>, L1Error> {
        let value = self.raw(place)?;
        bytes(value).ok_or_else(|| self.problem(place.0, "an answer is not hex".to_owned()))
    }

    /// The answer as the endpoint gave it.
    pub(crate) fn answer(&self, place: Raw) -> Option<&Answer> {
        self.answers.get(place.0)
    }

    /// The answer of a call as the endpoint gave it.
    pub(crate) fn result<C>(&self, place: Place<C>) -> Option<&Answer> {
        self.answers.get(place.0)
    }

    fn name(&self, place: usize) -> String {
        match self.questions.get(place) {
            Some((_, Ask::Call { data, .. })) => {
                format!("call 0x{}", hex::encode(data.get(..4).unwrap_or_default()))
            }
            _ => "a question".to_owned(),
        }
    }

    fn problem(&self, place: usize, problem: String) -> L1Error {
        let address = match self.questions.get(place) {
            Some((_, ask)) => match ask {
                Ask::Call { to, .. } | Ask::CallFrom { to, .. } | Ask::EstimateGas { to, .. } => *to,
                Ask::Storage { address, .. }
                | Ask::Code { address }
                | Ask::Balance { address }
                | Ask::Nonce { address } => *address,
            },
            None => Address::default(),
        };
        L1Error::Contract { address, problem }
    }
}

/// A number that fits what the domain counts in.
pub(crate) fn small(value: U256, address: Address, what: &str) -> Result<u64, L1Error> {
    value.try_into().map_err(|_| L1Error::Contract { address, problem: format!("{what} is beyond 2^64") })
}

/// An amount of coin.
pub(crate) fn coin(value: U256, address: Address, what: &str) -> Result<u128, L1Error> {
    value.try_into().map_err(|_| L1Error::Contract { address, problem: format!("{what} is beyond 2^128") })
}

/// The last 20 bytes of a storage word, `None` where it is zero.
pub(crate) fn address_in(word: &[u8]) -> Option<Address> {
    let bytes: [u8; 20] = word.get(word.len().checked_sub(20)?..)?.try_into().ok()?;
    Some(Address(bytes)).filter(|address| *address != Address::default())
}

/// A block that stands for "nothing stored".
pub(crate) const fn nothing_at(number: L1Number) -> L1Ref {
    L1Ref { number, hash: Hash32::ZERO }
}
