//! The L1: blocks with hashes and fees, a mempool with its replacement rules, accounts, and reorgs of any depth.
//!
//! Each block keeps the ledger that it left behind, shared with the block before where nothing changed, so a reorg is
//! a return to an older block. A transaction lives on in the mempool, is mined in nonce order, and may be dropped;
//! what the owner of a contract or a stranger does goes into blocks as [`Deed`]s, which a reorg takes back as well.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

use prooflog_core::OutputBody;
use prooflog_events::ids::{Address, Hash32, L1ChainId, L1Number, L1Ref, Micros, Nonce, Wei};
use prooflog_events::values::{BroadcastOutcome, Fees, L1Head, Purpose, Refusal, RefusalClass};

use super::deed::Deed;
use super::oracle::{Context, Oracle, refuse};
use crate::rng::{Rng, mix};

/// Seconds between L1 blocks.
pub const BLOCK_SECS: u64 = 12;
const GWEI: u128 = 1_000_000_000;

/// What a transaction calls.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Payload {
    /// `checkpointBlockHash`.
    Checkpoint(Address, L1Number),
    /// `proposeL2Output` with a proof.
    Submit(Address, Option<Address>, OutputBody, Vec<u8>),
    /// `proposeL2Output` without one.
    Optimistic(Address, OutputBody),
    /// Nothing.
    Empty,
}

/// A signed transaction.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Tx {
    /// Its hash.
    pub hash: Hash32,
    /// Who signed it.
    pub from: Address,
    /// Its nonce.
    pub nonce: Nonce,
    /// What it may pay.
    pub fees: Fees,
    /// What it may use.
    pub gas_limit: u64,
    /// Coin sent along.
    pub value: Wei,
    /// What it calls.
    pub payload: Payload,
    /// What the engine says it is for.
    pub purpose: Purpose,
}

/// What became of a transaction in a block.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Receipt {
    /// Gas used.
    pub gas_used: u64,
    /// Fee paid.
    pub fee_paid: Wei,
    /// Why it reverted.
    pub reverted: Option<Refusal>,
}

/// Contracts and accounts after a block.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Ledger {
    /// Contracts by address.
    pub oracles: BTreeMap<Address, Oracle>,
    /// Next nonces.
    pub nonces: BTreeMap<Address, u64>,
    /// Balances in wei.
    pub balances: BTreeMap<Address, u128>,
}

/// One canonical block.
#[derive(Debug, Clone)]
pub struct Block {
    /// Number and hash.
    pub at: L1Ref,
    /// Timestamp.
    pub time: Micros,
    /// Base fee per gas in wei.
    pub base_fee: u128,
    /// Transactions of engines, with what became of them.
    pub txs: Vec<(Hash32, Receipt)>,
    /// What others did.
    pub deeds: Vec<Deed>,
    /// Contracts and accounts after it.
    pub ledger: Arc<Ledger>,
}

/// How the L1 treats transactions at the moment.
#[derive(Debug, Clone, Copy)]
pub struct Mood {
    /// Chance in 1,000 that a payable transaction is mined in the next block.
    pub inclusion: u32,
    /// Chance in 1,000 per block that the mempool forgets a transaction.
    pub drop: u32,
    /// Chance in 1,000 that a call needs more gas than estimated.
    pub hungry: u32,
    /// Base fee that the market tends to, in wei.
    pub market: u128,
}

/// The chain.
#[derive(Debug)]
pub struct L1 {
    /// Its id.
    pub id: L1ChainId,
    /// Canonical blocks without a gap.
    blocks: Vec<Block>,
    /// Number of the first of them.
    first: u64,
    /// Counts reorgs, so that replaced blocks get other hashes.
    fork: u64,
    /// Waiting versions by account and nonce, the newest last.
    mempool: BTreeMap<(Address, u64), Vec<Hash32>>,
    /// Everything that was ever signed.
    pub signed: BTreeMap<Hash32, Tx>,
    /// Canonical block of each mined transaction.
    mined: BTreeMap<Hash32, u64>,
    /// Every (transaction, block) that ever was canonical, by hash.
    ever_mined: BTreeSet<(Hash32, Hash32)>,
    /// Deeds for the next block.
    pub pending: Vec<Deed>,
    /// Blocks that reorgs took back, by hash.
    orphans: BTreeMap<Hash32, Block>,
    rng: Rng,
}

impl L1 {
    /// A chain that begins with block `first` and 300 blocks below it, so that checkpoints have something to name.
    #[must_use]
    pub fn new(id: L1ChainId, seed: u64, first: u64, start: Micros, ledger: Ledger) -> Self {
        let mut l1 = Self {
            id,
            blocks: Vec::new(),
            first,
            fork: 0,
            mempool: BTreeMap::new(),
            signed: BTreeMap::new(),
            mined: BTreeMap::new(),
            ever_mined: BTreeSet::new(),
            pending: Vec::new(),
            orphans: BTreeMap::new(),
            rng: Rng::new(seed, "l1"),
        };
        let ledger = Arc::new(ledger);
        const PAST: u64 = 300;
        for nth in 0..PAST {
            let at = L1Ref { number: L1Number(first + nth), hash: l1.hash_for(first + nth) };
            let time = Micros(start.0.saturating_sub((PAST - nth) * BLOCK_SECS * 1_000_000));
            let ledger = Arc::clone(&ledger);
            l1.blocks.push(Block { at, time, base_fee: 10 * GWEI, txs: vec![], deeds: vec![], ledger });
        }
        l1
    }

    fn hash_for(&self, number: u64) -> Hash32 {
        mix(&[0xb10c, self.id.0, number, self.fork])
    }

    /// Number of the newest block.
    #[must_use]
    pub fn height(&self) -> u64 {
        (self.first + self.blocks.len() as u64).saturating_sub(1)
    }

    /// The canonical block of a number.
    #[must_use]
    pub fn block(&self, number: u64) -> Option<&Block> {
        self.blocks.get(usize::try_from(number.checked_sub(self.first)?).ok()?)
    }

    /// The newest block, or one `lag` blocks behind it.
    #[must_use]
    pub fn view(&self, lag: u64) -> Option<&Block> {
        self.block(self.height().saturating_sub(lag).max(self.first))
    }

    /// Whether a block is part of the chain now.
    #[must_use]
    pub fn is_canonical(&self, block: L1Ref) -> bool {
        self.block(block.number.0).is_some_and(|found| found.at.hash == block.hash)
    }

    /// A block that is or once was part of the chain.
    #[must_use]
    pub fn ever(&self, block: L1Ref) -> Option<&Block> {
        let now = self.block(block.number.0).filter(|found| found.at.hash == block.hash);
        now.or_else(|| self.orphans.get(&block.hash))
    }

    /// A block of this number that a reorg took back.
    #[must_use]
    pub fn orphan(&self, number: u64) -> Option<&Block> {
        let mut of_number = self.orphans.values().filter(|block| block.at.number.0 == number);
        of_number.next()
    }

    /// The head as a read reports it.
    #[must_use]
    pub fn head(block: &Block) -> L1Head {
        L1Head { block: block.at, time: block.time, base_fee: Wei(block.base_fee), tip: Wei(GWEI) }
    }

    /// A new block, or a reorg of `depth` blocks and one more.
    pub fn tick(&mut self, now: Micros, mood: Mood, reorg: Option<(u64, u32)>) {
        let mut blocks = 1;
        if let Some((depth, keep)) = reorg {
            blocks += self.unwind(depth, keep);
        }
        for _ in 0..blocks {
            let time = self.view(0).map_or(now, |head| head.time.plus_secs(BLOCK_SECS));
            self.mine(time, mood);
        }
        self.forget_some(mood.drop);
    }

    /// Takes blocks back; their transactions wait again, or are gone.
    fn unwind(&mut self, depth: u64, keep: u32) -> u64 {
        self.fork += 1;
        let mut undone = 0;
        let mut deeds = Vec::new();
        while undone < depth && self.blocks.len() > 2 {
            let Some(block) = self.blocks.pop() else { break };
            undone += 1;
            self.orphans.insert(block.at.hash, block.clone());
            for (hash, _) in block.txs {
                self.mined.remove(&hash);
                let Some(tx) = self.signed.get(&hash) else { continue };
                if self.rng.chance(keep) {
                    self.mempool.entry((tx.from, tx.nonce.0)).or_default().push(hash);
                }
            }
            deeds.splice(0..0, block.deeds);
        }
        deeds.append(&mut self.pending);
        self.pending = deeds;
        undone
    }

    fn mine(&mut self, time: Micros, mood: Mood) {
        let noise = self.rng.between(0, 60);
        let Some(parent) = self.view(0) else { return };
        let number = parent.at.number.0 + 1;
        let base_fee = next_base_fee(parent.base_fee, mood.market, noise);
        let at = L1Ref { number: L1Number(number), hash: self.hash_for(number) };
        let ledger = Arc::clone(&parent.ledger);
        let deeds = std::mem::take(&mut self.pending);
        let mut block = Block { at, time, base_fee, txs: Vec::new(), deeds, ledger };
        for deed in &block.deeds {
            deed.apply(Arc::make_mut(&mut block.ledger), at, time);
        }
        let accounts: Vec<Address> = self.mempool.keys().map(|(account, _)| *account).collect();
        for account in accounts {
            self.mine_account(account, &mut block, mood);
        }
        for (hash, _) in &block.txs {
            self.mined.insert(*hash, number);
            self.ever_mined.insert((*hash, at.hash));
        }
        self.blocks.push(block);
    }

    /// Puts what an account has waiting into a block in the making, in the order of its nonces.
    fn mine_account(&mut self, account: Address, block: &mut Block, mood: Mood) {
        loop {
            let nonce = block.ledger.nonces.get(&account).copied().unwrap_or(0);
            self.mempool.retain(|(from, waiting), _| *from != account || *waiting >= nonce);
            let Some(versions) = self.mempool.get(&(account, nonce)) else { return };
            let base_fee = block.base_fee;
            let payable =
                |hash: &&Hash32| self.signed.get(*hash).is_some_and(|tx| tx.fees.max_fee.0 >= base_fee);
            // A builder may still hold a version that was replaced.
            let old = self.rng.chance(50).then(|| versions.iter().find(payable)).flatten();
            let newest = || versions.last().filter(payable);
            let Some(tx) = old.or_else(newest).and_then(|hash| self.signed.get(hash)) else { return };
            if !self.rng.chance(mood.inclusion) {
                return;
            }
            let tx = tx.clone();
            let hungry = self.rng.chance(mood.hungry);
            let receipt = self.execute(block, &tx, hungry);
            block.txs.push((tx.hash, receipt));
            self.mempool.remove(&(account, nonce));
        }
    }

    fn execute(&self, block: &mut Block, tx: &Tx, hungry: bool) -> Receipt {
        let needed = gas_of(&tx.payload) * if hungry { 3 } else { 2 } / 2;
        let price = tx.fees.max_fee.0.min(block.base_fee + tx.fees.tip.0);
        let (number, time) = (block.at.number.0, block.time);
        let ledger = Arc::make_mut(&mut block.ledger);
        *ledger.nonces.entry(tx.from).or_default() += 1;
        let (gas_used, reverted) = if needed > tx.gas_limit {
            (tx.gas_limit, Some(refuse(RefusalClass::OutOfGas, "out of gas")))
        } else {
            let value = tx.value.0;
            let hash_of = |number: u64| self.block(number).map(|block| block.at.hash);
            let context = Context { number, time, sender: tx.from, value, hash_of: &hash_of };
            (needed, call(ledger, tx.hash, &tx.payload, context).err())
        };
        let fee_paid = u128::from(gas_used).saturating_mul(price);
        let spent = fee_paid.saturating_add(if reverted.is_none() { tx.value.0 } else { 0 });
        let balance = ledger.balances.entry(tx.from).or_default();
        *balance = balance.saturating_sub(spent);
        Receipt { gas_used, fee_paid: Wei(fee_paid), reverted }
    }

    fn forget_some(&mut self, permille: u32) {
        let rng = &mut self.rng;
        self.mempool.retain(|_, _| !rng.chance(permille));
    }

    /// Takes a transaction from an endpoint, as a node would.
    pub fn broadcast(&mut self, hash: Hash32) -> (BroadcastOutcome, &'static str) {
        let Some(tx) = self.signed.get(&hash) else {
            return (BroadcastOutcome::Rejected, "not a transaction");
        };
        if self.mined.contains_key(&hash) {
            return (BroadcastOutcome::Accepted, "already known");
        }
        let Some(head) = self.view(0) else { return (BroadcastOutcome::Rejected, "no block") };
        if tx.nonce.0 < head.ledger.nonces.get(&tx.from).copied().unwrap_or(0) {
            return (BroadcastOutcome::NonceTooLow, "nonce too low");
        }
        let balance = head.ledger.balances.get(&tx.from).copied().unwrap_or(0);
        let most = u128::from(tx.gas_limit).saturating_mul(tx.fees.max_fee.0).saturating_add(tx.value.0);
        if balance < most {
            return (BroadcastOutcome::Funds, "insufficient funds for gas * price + value");
        }
        let key = (tx.from, tx.nonce.0);
        let waiting = self.mempool.get(&key).and_then(|versions| versions.last());
        if waiting == Some(&hash) {
            return (BroadcastOutcome::Accepted, "already known");
        }
        if let Some(old) = waiting.and_then(|old| self.signed.get(old)) {
            let enough = |new: Wei, old: Wei| new.0.saturating_mul(10) >= old.0.saturating_mul(11);
            if !enough(tx.fees.max_fee, old.fees.max_fee) || !enough(tx.fees.tip, old.fees.tip) {
                return (BroadcastOutcome::Underpriced, "replacement transaction underpriced");
            }
        }
        self.mempool.entry(key).or_default().push(hash);
        (BroadcastOutcome::Accepted, "")
    }

    /// The block and receipt of a mined transaction, no higher than `height`.
    #[must_use]
    pub fn receipt(&self, hash: Hash32, height: u64) -> Option<(L1Ref, &Receipt)> {
        let block = self.block(*self.mined.get(&hash)?)?;
        let (_, receipt) = block.txs.iter().find(|(mined, _)| *mined == hash)?;
        (block.at.number.0 <= height).then_some((block.at, receipt))
    }

    /// Whether a transaction ever stood in this block, reorged away or not.
    #[must_use]
    pub fn was_mined(&self, tx: Hash32, block: L1Ref) -> bool {
        self.ever_mined.contains(&(tx, block.hash))
    }

    /// Whether a transaction waits in the mempool.
    #[must_use]
    pub fn is_waiting(&self, hash: Hash32) -> bool {
        self.mempool.values().any(|versions| versions.last() == Some(&hash))
    }

    /// Executes a call on top of block `number` without mining it.
    ///
    /// # Errors
    /// Why it would revert.
    pub fn simulate(
        &self,
        number: u64,
        payload: &Payload,
        sender: Address,
        value: u128,
    ) -> Result<(), Refusal> {
        let Some(head) = self.block(number) else { return Err(refuse(RefusalClass::Other, "no such block")) };
        let mut ledger = Ledger::clone(&head.ledger);
        let hash_of = |below: u64| self.block(below).filter(|_| below < number).map(|block| block.at.hash);
        let context = Context { number, time: head.time, sender, value, hash_of: &hash_of };
        call(&mut ledger, Hash32::ZERO, payload, context)
    }
}

/// Gas that a call is estimated at.
#[must_use]
pub const fn gas_of(payload: &Payload) -> u64 {
    match payload {
        Payload::Checkpoint(..) => 60_000,
        Payload::Submit(..) => 420_000,
        Payload::Optimistic(..) => 130_000,
        Payload::Empty => 21_000,
    }
}

fn call(ledger: &mut Ledger, tx: Hash32, payload: &Payload, context: Context<'_>) -> Result<(), Refusal> {
    let missing = || refuse(RefusalClass::Other, "address without code");
    match payload {
        Payload::Empty => Ok(()),
        Payload::Checkpoint(oracle, block) => {
            ledger.oracles.get_mut(oracle).ok_or_else(missing)?.checkpoint(*block, context)
        }
        Payload::Submit(oracle, via, output, proof) => {
            let oracle = ledger.oracles.get_mut(oracle).ok_or_else(missing)?;
            oracle.submit(output, *via, proof, context)?;
            oracle.push(output.block, output.root, tx, context);
            Ok(())
        }
        Payload::Optimistic(oracle, output) => {
            let oracle = ledger.oracles.get_mut(oracle).ok_or_else(missing)?;
            oracle.submit_optimistic(output, context)?;
            oracle.push(output.block, output.root, tx, context);
            Ok(())
        }
    }
}

/// One step of at most an eighth towards the market, with a little noise (0 to 60 in 1,000, 30 being none).
fn next_base_fee(old: u128, market: u128, noise: u64) -> u128 {
    let step = if market > old { (market - old).min(old / 8) } else { 0 };
    let down = if old > market { (old - market).min(old / 8) } else { 0 };
    let next = old + step - down;
    (next.saturating_mul(970 + u128::from(noise)) / 1_000).max(7)
}

#[cfg(test)]
mod tests {
    #![expect(clippy::unwrap_used, reason = "tests")]
    use super::*;
    use prooflog_events::ids::UnitId;

    const MOOD: Mood = Mood { inclusion: 1_000, drop: 0, hungry: 0, market: 10 * GWEI };
    const OURS: Address = Address([1; 20]);

    fn chain() -> L1 {
        let mut ledger = Ledger::default();
        ledger.balances.insert(OURS, 10_u128.pow(20));
        L1::new(L1ChainId(1), 1, 1_000, Micros(1_700_000_000_000_000), ledger)
    }

    fn sign(l1: &mut L1, version: u64, nonce: u64, gwei: u128) -> Hash32 {
        let hash = mix(&[version, nonce]);
        let fees = Fees { max_fee: Wei(gwei * GWEI), tip: Wei(gwei * GWEI / 10) };
        let purpose = Purpose::Submission { agg: UnitId::agg(prooflog_events::ids::ChainId(1), 1) };
        let (from, nonce) = (OURS, Nonce(nonce));
        let tx = Tx {
            hash,
            from,
            nonce,
            fees,
            gas_limit: 30_000,
            value: Wei(0),
            payload: Payload::Empty,
            purpose,
        };
        l1.signed.insert(hash, tx);
        hash
    }

    #[test]
    fn a_replacement_must_raise_both_fees_by_a_tenth() {
        let mut l1 = chain();
        let (first, low, high) =
            (sign(&mut l1, 1, 0, 100), sign(&mut l1, 2, 0, 109), sign(&mut l1, 3, 0, 110));
        assert_eq!(l1.broadcast(first).0, BroadcastOutcome::Accepted);
        assert_eq!(l1.broadcast(low).0, BroadcastOutcome::Underpriced);
        assert_eq!(l1.broadcast(high).0, BroadcastOutcome::Accepted);
        l1.tick(Micros(0), MOOD, None);
        assert!(l1.receipt(high, u64::MAX).is_some() != l1.receipt(first, u64::MAX).is_some());
    }

    #[test]
    fn nonces_are_mined_in_order_and_a_reorg_takes_them_back() {
        let mut l1 = chain();
        let (second, first) = (sign(&mut l1, 1, 1, 50), sign(&mut l1, 1, 0, 50));
        l1.broadcast(second);
        l1.tick(Micros(0), MOOD, None);
        assert!(l1.receipt(second, u64::MAX).is_none());
        l1.broadcast(first);
        l1.tick(Micros(0), MOOD, None);
        let (block, _) = l1.receipt(second, u64::MAX).unwrap();
        l1.tick(Micros(0), Mood { inclusion: 0, ..MOOD }, Some((1, 1_000)));
        assert!(!l1.is_canonical(block));
        assert!(l1.receipt(second, u64::MAX).is_none() && l1.is_waiting(second));
        assert_eq!(l1.view(0).unwrap().at.number.0, block.number.0 + 1);
    }
}
