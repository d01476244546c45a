//! How likely things are to go wrong at the moment, and what is broken for a while.
//!
//! Chances are in 1,000 per call or block. [`Weather::calm`] is the quiet period in which everything must come right.

/// Chances of small faults.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Weather {
    /// A read of the rollup node fails.
    pub node_fail: u32,
    /// A read of the rollup node shows an older head, or zero.
    pub node_stale: u32,
    /// A read of the L1 fails.
    pub l1_fail: u32,
    /// A read of the L1 comes from an endpoint that is a few blocks behind.
    pub l1_stale: u32,
    /// The L1 moves while it is read, so that the answer holds values of two blocks.
    pub l1_torn: u32,
    /// An endpoint does not know a transaction that waits.
    pub tx_unknown: u32,
    /// The mempool forgets a transaction, per block.
    pub tx_drop: u32,
    /// A payable transaction is left out of a block.
    pub tx_skip: u32,
    /// A call needs more gas than estimated.
    pub tx_hungry: u32,
    /// A broadcast is lost on the way, or its answer is.
    pub tx_lost: u32,
    /// The signer fails.
    pub sign_fail: u32,
    /// The server answers a request with an error.
    pub witness_error: u32,
    /// The connection breaks before the server saw the request.
    pub witness_refused: u32,
    /// The connection breaks after the server took the request.
    pub witness_dropped: u32,
    /// The server never answers.
    pub witness_hang: u32,
    /// A status call fails.
    pub status_fail: u32,
    /// A status call never answers.
    pub status_hang: u32,
    /// A status call answers numbers that nobody knows.
    pub status_odd: u32,
    /// A job is fulfilled and its bytes are missing for some calls, or for ever.
    pub no_bytes: u32,
    /// A span's proof comes in bytes that no aggregate can take.
    pub unreadable: u32,
    /// The network gives a job up.
    pub unfulfillable: u32,
    /// A job takes longer than anyone waits, and may come late.
    pub too_late: u32,
    /// The server tells which L1 head it used.
    pub tells_l1_head: u32,
}

impl Weather {
    /// Nothing goes wrong.
    #[must_use]
    pub fn calm() -> Self {
        Self { tells_l1_head: 500, ..Self::default() }
    }

    /// A bit of everything.
    #[must_use]
    pub fn rough() -> Self {
        Self {
            node_fail: 30,
            node_stale: 30,
            l1_fail: 30,
            l1_stale: 100,
            l1_torn: 100,
            tx_unknown: 100,
            tx_drop: 20,
            tx_skip: 300,
            tx_hungry: 40,
            tx_lost: 60,
            sign_fail: 30,
            witness_error: 30,
            witness_refused: 20,
            witness_dropped: 20,
            witness_hang: 15,
            status_fail: 60,
            status_hang: 10,
            status_odd: 20,
            no_bytes: 20,
            unreadable: 15,
            unfulfillable: 40,
            too_late: 20,
            tells_l1_head: 500,
        }
    }
}
