//! What the server reads of the chains: roots and heads from the rollup node, headers and commitments from the L1.
//!
//! Every error is a text, because it becomes the server's answer, as it would with the real one.

use std::time::Duration;

use prooflog_net::{Endpoint, Limits, RpcClient, RpcError, Salt};
use serde_json::{Value, json};

use crate::config::{ChainConfig, Generation, L1HeadChoice};
use crate::hex32::{Hex, Word};
use crate::proof::keccak;

/// An L1 block.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct L1Block {
    pub(crate) number: u64,
    pub(crate) hash: Word,
}

/// Heads of the rollup node.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Heads {
    pub(crate) safe_l2: u64,
    pub(crate) l1: L1Block,
}

/// What an oracle, or the server itself, is set to.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Commitments {
    pub(crate) agg_vkey: Word,
    pub(crate) range_vkey: Word,
    pub(crate) rollup_config: Word,
}

/// The endpoints of one chain.
#[derive(Debug, Clone)]
pub(crate) struct Sources {
    l1: RpcClient,
    rollup: RpcClient,
}

fn client(address: &str) -> Result<RpcClient, String> {
    let endpoint = Endpoint::parse(address, Salt::default()).map_err(|error| error.to_string())?;
    let limits = Limits { call: Duration::from_secs(10), ..Limits::default() };
    RpcClient::new(endpoint, limits).map_err(|error| error.to_string())
}

fn said(error: &RpcError) -> String {
    error.to_string()
}

impl Sources {
    pub(crate) fn new(config: &ChainConfig) -> Result<Self, String> {
        Ok(Self { l1: client(&config.l1_rpc)?, rollup: client(&config.rollup_rpc)? })
    }

    pub(crate) async fn heads(&self, choice: L1HeadChoice) -> Result<Heads, String> {
        let status: Value = self.rollup.call("optimism_syncStatus", json!([])).await.map_err(|e| said(&e))?;
        let number = |block: &str| status.get(block)?.get("number")?.as_u64();
        let l1 = |block: &str| {
            let hash = Hex::parse(status.get(block)?.get("hash")?.as_str()?)?;
            Some(L1Block { number: number(block)?, hash }).filter(|block| block.number > 0)
        };
        let chosen = match choice {
            L1HeadChoice::Finalized => l1("finalized_l1").or_else(|| l1("current_l1")),
            L1HeadChoice::Current => l1("current_l1"),
        };
        match (number("safe_l2"), chosen) {
            (Some(safe_l2), Some(l1)) => Ok(Heads { safe_l2, l1 }),
            _ => Err("the rollup node's sync status lacks safe_l2 or an L1 head".to_owned()),
        }
    }

    pub(crate) async fn root(&self, block: u64) -> Result<Word, String> {
        let output: Value = self
            .rollup
            .call("optimism_outputAtBlock", json!([format!("{block:#x}")]))
            .await
            .map_err(|e| said(&e))?;
        output
            .get("outputRoot")
            .and_then(Value::as_str)
            .and_then(Hex::parse)
            .ok_or_else(|| format!("the rollup node has no output root at block {block}"))
    }

    /// The canonical L1 block with this hash.
    pub(crate) async fn l1_by_hash(&self, hash: Word) -> Result<L1Block, String> {
        let header: Value = self
            .l1
            .call("eth_getBlockByHash", json!([hash.to_string(), false]))
            .await
            .map_err(|e| said(&e))?;
        let number = header.get("number").and_then(Value::as_str).and_then(quantity);
        let Some(number) = number else {
            return Err(format!("no L1 block has the hash {hash}"));
        };
        let canonical = self.l1_hashes(&[number]).await?;
        if canonical.first() != Some(&Some(hash)) {
            return Err(format!("L1 block {hash} is not on the chain"));
        }
        Ok(L1Block { number, hash })
    }

    /// Hashes of L1 blocks, in the order asked for.
    pub(crate) async fn l1_hashes(&self, numbers: &[u64]) -> Result<Vec<Option<Word>>, String> {
        let calls: Vec<_> = numbers
            .iter()
            .map(|number| ("eth_getBlockByNumber", json!([format!("{number:#x}"), false])))
            .collect();
        let answers: Vec<Result<Value, RpcError>> = self.l1.batch(&calls).await.map_err(|e| said(&e))?;
        let hash = |header: Value| header.get("hash").and_then(Value::as_str).and_then(Hex::parse);
        answers.into_iter().map(|answer| answer.map(hash).map_err(|e| said(&e))).collect()
    }

    /// What the oracle is set to.
    pub(crate) async fn commitments(
        &self,
        config: &ChainConfig,
        oracle: Hex<20>,
    ) -> Result<Commitments, String> {
        if config.generation == Generation::V3 {
            let name = config.config_name.unwrap_or_else(|| keccak(&[b"opsuccinct_genesis"]));
            let words = self.read(oracle, "opSuccinctConfigs(bytes32)", &name.0).await?;
            return match words.as_slice() {
                [agg_vkey, range_vkey, rollup_config, ..] => Ok(Commitments {
                    agg_vkey: *agg_vkey,
                    range_vkey: *range_vkey,
                    rollup_config: *rollup_config,
                }),
                _ => Err(format!("{oracle} has no opSuccinctConfigs(bytes32)")),
            };
        }
        let one = async |signature: &'static str| -> Result<Word, String> {
            let words = self.read(oracle, signature, &[]).await?;
            words.first().copied().ok_or_else(|| format!("{oracle} has no {signature}"))
        };
        Ok(Commitments {
            agg_vkey: one("aggregationVkey()").await?,
            range_vkey: one("rangeVkeyCommitment()").await?,
            rollup_config: one("rollupConfigHash()").await?,
        })
    }

    /// Calls a view function; the words that it returns.
    async fn read(&self, to: Hex<20>, signature: &str, argument: &[u8]) -> Result<Vec<Word>, String> {
        let mut data = keccak(&[signature.as_bytes()]).0.get(..4).unwrap_or_default().to_vec();
        data.extend_from_slice(argument);
        let call = json!({ "to": to.to_string(), "data": format!("0x{}", hex::encode(data)) });
        let answer: String = self.l1.call("eth_call", json!([call, "latest"])).await.map_err(|e| said(&e))?;
        let bytes = hex::decode(answer.strip_prefix("0x").unwrap_or(&answer)).unwrap_or_default();
        Ok(bytes.as_chunks::<32>().0.iter().map(|word| Hex(*word)).collect())
    }
}

fn quantity(text: &str) -> Option<u64> {
    u64::from_str_radix(text.strip_prefix("0x")?, 16).ok()
}
