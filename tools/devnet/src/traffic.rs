//! Transactions on the L2, so that its blocks are not empty and its state changes.

use std::time::Duration;

use alloy::primitives::Address;
use prooflog_net::RpcClient;
use serde_json::{Value, json};

/// Between two transactions.
const PAUSE: Duration = Duration::from_millis(700);

/// Sends small amounts around until it is aborted.
pub(crate) async fn send(rpc: RpcClient) {
    let accounts: Vec<Address> = rpc.call("eth_accounts", json!([])).await.unwrap_or_default();
    let mut turn: u64 = 1;
    while let [first, others @ ..] = accounts.as_slice() {
        let Some(to) = others.get(usize::try_from(turn).unwrap_or(0) % others.len().max(1)) else { return };
        let tx = json!({ "from": first, "to": to, "value": format!("{turn:#x}") });
        // A chain that is gone takes no transactions; the task ends with the devnet.
        let _: Result<Value, _> = rpc.call("eth_sendTransaction", json!([tx])).await;
        turn = turn.wrapping_add(1);
        tokio::time::sleep(PAUSE).await;
    }
}
