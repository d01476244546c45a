//! The adapter against servers that speak like nodes: what it reads, what it refuses to believe, and what it asks.
#![expect(
    clippy::unwrap_used,
    clippy::indexing_slicing,
    clippy::panic,
    clippy::cast_possible_truncation,
    reason = "tests"
)]

mod account;
mod contract;
mod endpoints;
mod fake;
mod sending;

use std::time::Duration;

use prooflog_events::ids::{ChainId, L1ChainId, L1Number, SignerId};
use prooflog_l1::{L1, ReadContract, Settings, Terms};
use prooflog_net::{Endpoint, Limits, Salt};

use fake::{Node, ORACLE, SENDER};

const SIGNER: SignerId = SignerId { l1: L1ChainId(1), address: SENDER };

/// Every question reads the head anew, and endpoints are left alone for long.
fn fresh() -> Settings {
    Settings {
        limits: Limits { call: Duration::from_secs(5), ..Limits::default() },
        head_max_age: Duration::ZERO,
        distrust: Duration::from_secs(3_600),
        ..Settings::default()
    }
}

fn l1(addresses: &[String], settings: Settings) -> L1 {
    let endpoints =
        addresses.iter().map(|address| Endpoint::parse(address, Salt::default()).unwrap()).collect();
    L1::new(L1ChainId(1), endpoints, settings).unwrap()
}

async fn one(node: &Node) -> L1 {
    l1(&[node.serve().await], fresh())
}

fn contract() -> ReadContract {
    ReadContract {
        chain: ChainId(10),
        oracle: ORACLE,
        confirmations: 10,
        checkpoints: Vec::new(),
        canonical: Vec::new(),
        since: Some(L1Number(90)),
        terms: Terms { sender: SENDER, config_name: Default::default(), factory: None },
    }
}
