//! The users of a file that others change while it is used.
//!
//! `prooflog users` replaces the file as a whole; who checks passwords looks at it again after a second at most, and
//! takes what it says in place of everything known before, remembered passwords too. A file that makes no sense changes
//! nothing: the last good one counts until it is put right.

use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant, SystemTime};

use crate::{AccessError, Credentials, User};

/// How long the file is not looked at again.
const LOOK: Duration = Duration::from_secs(1);

/// What a file that was not changed has in common with itself.
type Stamp = Option<(SystemTime, u64, u64)>;

/// The users of a file, as it stands.
pub struct Users {
    path: PathBuf,
    current: Mutex<Current>,
    look: Duration,
    told: Box<dyn Fn(&AccessError) + Send + Sync>,
}

struct Current {
    credentials: Arc<Credentials>,
    stamp: Stamp,
    looked: Instant,
    version: u64,
}

impl std::fmt::Debug for Users {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Users").field("path", &self.path).finish_non_exhaustive()
    }
}

impl Users {
    /// The users of a file; none while there is no file. `told` hears of a changed file that cannot be used.
    ///
    /// # Errors
    /// When it cannot be used now.
    pub fn load(
        path: &Path,
        told: impl Fn(&AccessError) + Send + Sync + 'static,
    ) -> Result<Self, AccessError> {
        // Before it is read: what changes meanwhile is read again.
        let stamp = stamp(path);
        let credentials = Arc::new(Credentials::load(path)?);
        let current = Current { credentials, stamp, looked: Instant::now(), version: 0 };
        Ok(Self { path: path.to_owned(), current: Mutex::new(current), look: LOOK, told: Box::new(told) })
    }

    /// The same, looking at the file again after `look`.
    #[must_use]
    pub fn looking_every(self, look: Duration) -> Self {
        Self { look, ..self }
    }

    /// Who this is, by the `Authorization` header of a request (HTTP Basic).
    #[must_use]
    pub fn verify_header(&self, header: &str) -> Option<User> {
        let credentials = Arc::clone(&self.current().credentials);
        credentials.verify_header(header)
    }

    /// How often the users have changed.
    #[must_use]
    pub fn version(&self) -> u64 {
        self.current().version
    }

    fn current(&self) -> MutexGuard<'_, Current> {
        let mut current = self.current.lock().unwrap_or_else(PoisonError::into_inner);
        if current.looked.elapsed() < self.look {
            return current;
        }
        current.looked = Instant::now();
        let stamp = stamp(&self.path);
        if stamp != current.stamp {
            current.stamp = stamp;
            match Credentials::load(&self.path) {
                Ok(credentials) => {
                    current.credentials = Arc::new(credentials);
                    current.version += 1;
                }
                Err(error) => (self.told)(&error),
            }
        }
        current
    }
}

fn stamp(path: &Path) -> Stamp {
    let data = std::fs::metadata(path).ok()?;
    Some((data.modified().ok()?, data.len(), number(&data)))
}

/// The file's number: a file that takes the place of another has another.
#[cfg(unix)]
fn number(data: &std::fs::Metadata) -> u64 {
    std::os::unix::fs::MetadataExt::ino(data)
}

#[cfg(not(unix))]
const fn number(_: &std::fs::Metadata) -> u64 {
    0
}
