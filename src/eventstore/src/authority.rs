//! Who asks, and what they may do.
//!
//! Every call but discovery is checked, by the `authorization` header that it carries. Nobody writes without
//! credentials, whatever the authority says about guests. Checking a password is slow by design, so a check runs beside
//! the calls, a few at a time, and a good answer is remembered for a short while under a digest of the header. A
//! password that was withdrawn works for that long. What a crash means: nothing; nothing is kept.

use std::collections::HashMap;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::{Duration, Instant};

use http::HeaderMap;
use prooflog_access::{Credentials, Role, User};
use sha2::{Digest, Sha256};
use tokio::sync::Semaphore;

use crate::error::Refusal;

/// How long a good answer is remembered.
const REMEMBERED: Duration = Duration::from_secs(30);
/// Good answers that are remembered.
const REMEMBERED_MAX: usize = 256;
/// Checks at once: each may keep a processor busy.
const CHECKS: usize = 2;

/// Who knows the users.
pub trait Authority: Send + Sync + 'static {
    /// Who sends this `authorization` header, or nobody it knows. Without a header: what guests are, or nobody. May be
    /// slow.
    fn check(&self, header: Option<&str>) -> Option<User>;
}

impl Authority for Credentials {
    fn check(&self, header: Option<&str>) -> Option<User> {
        self.verify_header(header?)
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

    /// Whether they may write to streams whose name begins with `$`.
    pub(crate) fn may_administer(&self) -> bool {
        self.shown && self.user.role >= Role::Operate
    }
}

type Known = HashMap<[u8; 32], (User, Instant)>;

/// Checks callers.
pub(crate) struct Gate {
    authority: Arc<dyn Authority>,
    known: Mutex<Known>,
    checks: Semaphore,
}

impl Gate {
    pub(crate) fn new(authority: Arc<dyn Authority>) -> Self {
        Self { authority, known: Mutex::default(), checks: Semaphore::new(CHECKS) }
    }

    /// Who makes a call with these headers.
    pub(crate) async fn caller(&self, headers: &HeaderMap) -> Result<Caller, Refusal> {
        let Some(header) = headers.get(http::header::AUTHORIZATION) else {
            let user = self.authority.check(None).ok_or(Refusal::AccessDenied)?;
            return Ok(Caller { user, shown: false });
        };
        let header = header.to_str().map_err(|_| Refusal::Unauthenticated)?.to_owned();
        let digest: [u8; 32] = Sha256::digest(header.as_bytes()).into();
        if let Some(user) = self.remembered(&digest) {
            return Ok(Caller { user, shown: true });
        }
        let _permit = self.checks.acquire().await;
        if let Some(user) = self.remembered(&digest) {
            return Ok(Caller { user, shown: true });
        }
        let authority = Arc::clone(&self.authority);
        let checked = tokio::task::spawn_blocking(move || authority.check(Some(&header))).await;
        let user = checked.ok().flatten().ok_or(Refusal::Unauthenticated)?;
        self.remember(digest, user.clone());
        Ok(Caller { user, shown: true })
    }

    fn remembered(&self, digest: &[u8; 32]) -> Option<User> {
        let known = self.known.lock().unwrap_or_else(PoisonError::into_inner);
        let (user, since) = known.get(digest)?;
        (since.elapsed() < REMEMBERED).then(|| user.clone())
    }

    fn remember(&self, digest: [u8; 32], user: User) {
        let mut known = self.known.lock().unwrap_or_else(PoisonError::into_inner);
        known.retain(|_, (_, since)| since.elapsed() < REMEMBERED);
        if known.len() < REMEMBERED_MAX {
            known.insert(digest, (user, Instant::now()));
        }
    }
}
