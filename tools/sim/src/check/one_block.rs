//! What is decided on belongs to one block of the L1.
//!
//! The world knows what every block left behind, reorged ones included, so a mix of two is seen whoever let it through.

use prooflog_events::ids::{Address, L1Ref, Nonce, Wei};
use prooflog_events::input::{ContractRead, Input, SignerRead, TxSeen};

use crate::world::{Block, World};

/// How an input mixes blocks; `None` if it does not.
pub(super) fn torn(input: &Input, world: &World) -> Option<String> {
    match input {
        Input::ContractRead(read) => contract(read, world),
        Input::SignerRead(read) => account(read, world),
        Input::TxQuoted(read) => {
            let block = known(world, read.at.block).err();
            block.or_else(|| mixed(world, read.at.block, read.sender, (read.nonce, read.balance)))
        }
        _ => None,
    }
}

fn known(world: &World, at: L1Ref) -> Result<&Block, String> {
    world.l1.ever(at).ok_or_else(|| format!("block {at} was never there"))
}

fn contract(read: &ContractRead, world: &World) -> Option<String> {
    let (head, deep) = match (known(world, read.at.block), known(world, read.confirmed_at)) {
        (Ok(head), Ok(deep)) => (head, deep),
        (Err(text), _) | (_, Err(text)) => return Some(text),
    };
    let (held, held_deep) = (head.ledger.oracles.get(&read.oracle)?, deep.ledger.oracles.get(&read.oracle)?);
    let at_head =
        held.values == read.values && held.latest() == read.latest && held.next_block() == read.next_block;
    let in_depth = held_deep.latest() == read.confirmed;
    (!at_head || !in_depth).then(|| {
        format!(
            "the contract of {} held {:?} at {} and {:?} at {}, and is said to have held {:?} and {:?}",
            read.chain,
            held.latest(),
            head.at,
            held_deep.latest(),
            deep.at,
            read.latest,
            read.confirmed
        )
    })
}

fn account(read: &SignerRead, world: &World) -> Option<String> {
    let at = read.at.block;
    let above = read.txs.iter().filter_map(TxSeen::included_in).find(|block| block.number > at.number);
    known(world, at)
        .err()
        .or_else(|| mixed(world, at, read.signer.address, (read.nonce.head, read.balance)))
        .or_else(|| above.map(|block| format!("a transaction in {block} is read at {at}, below it")))
}

/// Nonce and balance of an account against those that a block left behind.
fn mixed(world: &World, at: L1Ref, account: Address, read: (Nonce, Wei)) -> Option<String> {
    let ledger = &world.l1.ever(at)?.ledger;
    let nonce = Nonce(ledger.nonces.get(&account).copied().unwrap_or(0));
    let balance = Wei(ledger.balances.get(&account).copied().unwrap_or(0));
    ((nonce, balance) != read).then(|| {
        format!("{account} had nonce {nonce} and {balance} wei at {at}, and is said to have had {read:?}")
    })
}
