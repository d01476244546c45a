//! RFC 6962 as its section 2.1 reads, recursion for recursion, for comparison.

use std::cell::RefCell;
use std::collections::HashMap;

use prooflog_events::ids::Hash32;
use sha2::{Digest, Sha256};

/// `D[n]`, with each hash computed once.
pub(crate) struct Naive {
    leaves: Vec<Vec<u8>>,
    known: RefCell<HashMap<(usize, usize), Hash32>>,
}

/// The largest power of two smaller than `n`.
fn k(n: usize) -> usize {
    let mut k = 1;
    while k * 2 < n {
        k *= 2;
    }
    k
}

impl Naive {
    pub(crate) fn new(leaves: Vec<Vec<u8>>) -> Self {
        Self { leaves, known: RefCell::default() }
    }

    /// `MTH(D[from:to])`
    pub(crate) fn mth(&self, from: usize, to: usize) -> Hash32 {
        if let Some(hash) = self.known.borrow().get(&(from, to)) {
            return *hash;
        }
        let hash = match to - from {
            0 => Sha256::digest(b""),
            1 => Sha256::digest([&[0], self.leaves[from].as_slice()].concat()),
            n => {
                let (left, right) = (self.mth(from, from + k(n)), self.mth(from + k(n), to));
                Sha256::digest([[1].as_slice(), &left.0, &right.0].concat())
            }
        };
        self.known.borrow_mut().insert((from, to), Hash32(hash.into()));
        Hash32(hash.into())
    }

    /// `PATH(m, D[from:to])`, `m` counted from `from`.
    pub(crate) fn path(&self, m: usize, from: usize, to: usize) -> Vec<Hash32> {
        let n = to - from;
        if n == 1 {
            return Vec::new();
        }
        let k = k(n);
        let (mut path, sibling) = if m < k {
            (self.path(m, from, from + k), self.mth(from + k, to))
        } else {
            (self.path(m - k, from + k, to), self.mth(from, from + k))
        };
        path.push(sibling);
        path
    }

    /// `PROOF(m, D[n])`
    pub(crate) fn proof(&self, m: usize, n: usize) -> Vec<Hash32> {
        self.subproof(m, 0, n, true)
    }

    fn subproof(&self, m: usize, from: usize, to: usize, known: bool) -> Vec<Hash32> {
        let n = to - from;
        if m == n {
            return if known { Vec::new() } else { vec![self.mth(from, to)] };
        }
        let k = k(n);
        let (mut proof, other) = if m <= k {
            (self.subproof(m, from, from + k, known), self.mth(from + k, to))
        } else {
            (self.subproof(m - k, from + k, to, false), self.mth(from, from + k))
        };
        proof.push(other);
        proof
    }
}
