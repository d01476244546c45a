//! Who asks, and what they may do.
//!
//! Every call but discovery is checked, by the `authorization` header that it carries. Nobody writes without
//! credentials, whatever the authority says about guests. Checking a password is slow by design, so a check runs beside
//! the calls, a few at a time. How many may wait is bounded, for each connection too, and calls with the same header wait
//! for the same check. A good answer is remembered for a short while under a digest of the header, as long as the users
//! do not change; after that it is checked again, beside those who wait. What a crash means: nothing; nothing is kept.

use std::collections::HashMap;
use std::sync::{Arc, Mutex, Weak};
use std::time::{Duration, Instant};

use http::HeaderMap;
use prooflog_access::{Credentials, Role, User, Users};
use sha2::{Digest as _, Sha256};
use tokio::sync::{OnceCell, Semaphore};

use crate::error::Refusal;
use crate::held::Share;
use crate::lock;

/// How long a good answer is remembered.
const REMEMBERED: Duration = Duration::from_secs(30);
/// Good answers that are remembered.
const REMEMBERED_MAX: usize = 256;
/// How long it is known that an answer was good once: what is checked again does not wait behind what never was.
const FORGOTTEN: Duration = Duration::from_secs(3_600);
/// Checks at once: each may keep a processor busy.
const CHECKS: usize = 2;
/// Checks that run or wait, and those of one connection: a client has one user, or few.
const CHECKS_MAX: usize = 64;
/// See [`CHECKS_MAX`].
const CHECKS_OF_CONNECTION: usize = 4;
/// Calls that wait for a check, and those of one connection: a client begins with many calls at once.
const WAITING_MAX: usize = 4_096;
/// See [`WAITING_MAX`].
const WAITING_OF_CONNECTION: usize = 512;

/// Who knows the users.
pub trait Authority: Send + Sync + 'static {
    /// Who sends this `authorization` header, or nobody it knows. Without a header: what guests are, or nobody. May be
    /// slow.
    fn check(&self, header: Option<&str>) -> Option<User>;

    /// A number that is another one when the users are others: what was checked before is checked again. Asked for each
    /// call, so it must be quick.
    fn version(&self) -> u64 {
        0
    }
}

impl Authority for Credentials {
    fn check(&self, header: Option<&str>) -> Option<User> {
        self.verify_header(header?)
    }
}

impl Authority for Users {
    fn check(&self, header: Option<&str>) -> Option<User> {
        self.verify_header(header?)
    }

    fn version(&self) -> u64 {
        self.version()
    }
}

/// Whoever comes without credentials may read; the others are checked by what is inside.
pub struct Guests<A>(pub A);

impl<A: Authority> Authority for Guests<A> {
    fn check(&self, header: Option<&str>) -> Option<User> {
        match header {
            Some(_) => self.0.check(header),
            None => Some(User { name: "guest".to_owned(), role: Role::Read }),
        }
    }

    fn version(&self) -> u64 {
        self.0.version()
    }
}

/// No users at all: with [`Guests`] around it, everybody reads and nobody writes.
pub struct Nobody;

impl Authority for Nobody {
    fn check(&self, _: Option<&str>) -> Option<User> {
        None
    }
}

/// Who makes a call.
#[derive(Debug, Clone)]
pub(crate) struct Caller {
    pub(crate) user: User,
    /// Whether that was shown by credentials.
    shown: bool,
}

impl Caller {
    /// Whether they may write at all.
    pub(crate) fn may_write(&self) -> bool {
        self.shown && self.user.role >= Role::Annotate
    }

    /// Whose share of calls and room they have.
    pub(crate) fn share(&self) -> Share {
        if self.shown { Share::Known } else { Share::Guests }
    }

    /// Whether they may write to streams whose name begins with `$`.
    pub(crate) fn may_administer(&self) -> bool {
        self.shown && self.user.role >= Role::Operate
    }
}

/// A header, as it is remembered.
type Digest = [u8; 32];

/// One connection, and what it may have waiting.
pub(crate) struct Connection {
    checks: Semaphore,
    waiting: Semaphore,
    /// Where it comes from, for people.
    pub(crate) from: String,
}

impl Connection {
    pub(crate) fn new(from: String) -> Self {
        let (checks, waiting) = (Semaphore::new(CHECKS_OF_CONNECTION), Semaphore::new(WAITING_OF_CONNECTION));
        Self { checks, waiting, from }
    }
}

/// An answer that was good.
struct Good {
    user: User,
    since: Instant,
    version: u64,
}

/// A check that several calls wait for.
type Check = OnceCell<Option<User>>;

/// Checks callers.
pub(crate) struct Gate {
    authority: Arc<dyn Authority>,
    known: Mutex<HashMap<Digest, Good>>,
    pending: Mutex<HashMap<Digest, Weak<Check>>>,
    waiting: Semaphore,
    /// Checks of what was never good.
    new: Semaphore,
    /// Checks of what was good before: a flood of wrong passwords does not stand before them.
    again: Semaphore,
}

impl Gate {
    pub(crate) fn new(authority: Arc<dyn Authority>) -> Self {
        Self {
            authority,
            known: Mutex::default(),
            pending: Mutex::default(),
            waiting: Semaphore::new(WAITING_MAX),
            new: Semaphore::new(CHECKS),
            again: Semaphore::new(1),
        }
    }

    /// Who makes a call with these headers.
    pub(crate) async fn caller(
        &self,
        headers: &HeaderMap,
        connection: &Connection,
    ) -> Result<Caller, Refusal> {
        let Some(header) = headers.get(http::header::AUTHORIZATION) else {
            let user = self.authority.check(None).ok_or(Refusal::Unauthenticated)?;
            return Ok(Caller { user, shown: false });
        };
        let header = header.to_str().map_err(|_| Refusal::Unauthenticated)?;
        let digest: Digest = Sha256::digest(header.as_bytes()).into();
        let lane = match self.remembered(&digest) {
            Some((user, true)) => return Ok(Caller { user, shown: true }),
            Some((_, false)) => &self.again,
            None => &self.new,
        };
        let busy = || Refusal::Unavailable("too many passwords are being checked".to_owned());
        let _waits = self.waiting.try_acquire().map_err(|_| busy())?;
        let _waits_here = connection.waiting.try_acquire().map_err(|_| busy())?;
        let (check, _queued) = match self.pending(&digest) {
            Some(check) => (check, None),
            None => {
                let queued = connection.checks.try_acquire().map_err(|_| busy())?;
                (self.begin(digest).ok_or_else(busy)?, Some(queued))
            }
        };
        let user = check.get_or_init(|| self.check(header, digest, lane)).await;
        let user = user.clone().ok_or(Refusal::Unauthenticated)?;
        Ok(Caller { user, shown: true })
    }

    /// Asks the authority, when it is this one's turn.
    async fn check(&self, header: &str, digest: Digest, lane: &Semaphore) -> Option<User> {
        let _permit = lane.acquire().await.ok()?;
        // Before it is asked: what changes meanwhile is asked again.
        let version = self.authority.version();
        let (authority, header) = (Arc::clone(&self.authority), header.to_owned());
        let user = tokio::task::spawn_blocking(move || authority.check(Some(&header))).await.ok().flatten();
        let mut known = lock(&self.known);
        known.retain(|_, good| good.since.elapsed() < FORGOTTEN);
        match &user {
            Some(user) if known.len() < REMEMBERED_MAX => {
                known.insert(digest, Good { user: user.clone(), since: Instant::now(), version });
            }
            Some(_) => {}
            None => drop(known.remove(&digest)),
        }
        user
    }

    /// Who was right with it, and whether that still counts.
    fn remembered(&self, digest: &Digest) -> Option<(User, bool)> {
        let version = self.authority.version();
        let known = lock(&self.known);
        let good = known.get(digest)?;
        Some((good.user.clone(), good.version == version && good.since.elapsed() < REMEMBERED))
    }

    fn pending(&self, digest: &Digest) -> Option<Arc<Check>> {
        lock(&self.pending).get(digest).and_then(Weak::upgrade)
    }

    /// A check that others find, unless there are too many.
    fn begin(&self, digest: Digest) -> Option<Arc<Check>> {
        let mut pending = lock(&self.pending);
        pending.retain(|_, check| check.strong_count() > 0);
        if pending.len() >= CHECKS_MAX {
            return None;
        }
        let check = Arc::new(Check::new());
        pending.insert(digest, Arc::downgrade(&check));
        Some(check)
    }
}
