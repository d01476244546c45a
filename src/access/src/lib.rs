//! Who may do what: users with a role and a hashed password, in a file of their own.
//!
//! The file lies beside the log and never in it. A password is hashed with argon2id; checking one takes a processor for
//! tens of milliseconds by design, so checks are made one at a time and a good one is remembered for a while under a
//! keyed digest. A user who does not exist costs as much as one who does. What a crash means: the file is as it was, or
//! as it was to be; it is replaced as a whole.

mod basic;
mod file;
mod watched;

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};
use std::sync::{Mutex, PoisonError};
use std::time::{Duration, Instant};

use argon2::Argon2;
use argon2::password_hash::phc::PasswordHash;
use argon2::password_hash::{PasswordHasher, PasswordVerifier};
use serde::{Deserialize, Serialize};
use sha2::{Digest, Sha256};

pub use watched::Users;

/// How long a password that was right is remembered.
const REMEMBERED: Duration = Duration::from_secs(300);
/// Right passwords that are remembered at most.
const REMEMBERED_MAX: usize = 256;
/// Users at most.
const USERS_MAX: usize = 1_000;
/// Bytes of a password.
const PASSWORD: std::ops::RangeInclusive<usize> = 8..=1_024;
/// Bytes of a name at most.
const NAME_MAX: usize = 64;

/// What a user may do; each role may do what those before it may.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Role {
    /// Look.
    Read,
    /// Append to streams of their own.
    Annotate,
    /// Command the engine.
    Operate,
}

/// Who somebody is.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct User {
    /// Their name.
    pub name: String,
    /// What they may do.
    pub role: Role,
}

/// Why users cannot be known or changed.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum AccessError {
    /// The file cannot be used.
    #[error("{path}: {problem}", path = path.display())]
    File {
        /// Which.
        path: PathBuf,
        /// What is wrong, and what to do.
        problem: String,
    },
    /// The name is none.
    #[error("`{0}` is no user's name: 1 to 64 of a-z, 0-9, `.`, `_`, `-`")]
    Name(String),
    /// The password is too short or too long.
    #[error("a password has 8 to 1024 bytes")]
    Password,
    /// There is nobody of that name.
    #[error("there is no user `{0}`")]
    Unknown(String),
    /// There are too many.
    #[error("there are {USERS_MAX} users already")]
    TooMany,
    /// The system gives no randomness, or the hash fails.
    #[error("the password cannot be hashed: {0}")]
    Hash(String),
}

/// A user as the file holds them.
#[derive(Clone, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
struct Entry {
    role: Role,
    hash: String,
}

/// The users of a file.
pub struct Credentials {
    path: PathBuf,
    users: BTreeMap<String, Entry>,
    /// Hashed when nobody of the name is there, so that it takes as long.
    nobody: String,
    key: [u8; 32],
    right: Mutex<BTreeMap<[u8; 32], (Instant, User)>>,
    /// One check at a time: a flood of logins takes one processor and not all.
    turn: Mutex<()>,
}

impl std::fmt::Debug for Credentials {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        let users: Vec<_> = self.users.iter().map(|(name, entry)| (name, entry.role)).collect();
        f.debug_struct("Credentials").field("path", &self.path).field("users", &users).finish_non_exhaustive()
    }
}

impl Credentials {
    /// The users of a file; none if there is no file.
    ///
    /// # Errors
    /// When it cannot be read, others may read it, or it makes no sense.
    pub fn load(path: &Path) -> Result<Self, AccessError> {
        let users = file::load(path)?;
        for (name, entry) in &users {
            check_name(name)?;
            PasswordHash::new(&entry.hash).map_err(|_| AccessError::File {
                path: path.to_owned(),
                problem: format!("the hash of `{name}` is none: set the password again"),
            })?;
        }
        let mut key = [0; 32];
        getrandom::fill(&mut key).map_err(|error| AccessError::Hash(error.to_string()))?;
        let nobody = hash("nobody's password")?;
        let (right, turn) = (Mutex::default(), Mutex::default());
        Ok(Self { path: path.to_owned(), users, nobody, key, right, turn })
    }

    /// All users.
    pub fn users(&self) -> impl Iterator<Item = User> + '_ {
        self.users.iter().map(|(name, entry)| User { name: name.clone(), role: entry.role })
    }

    /// Adds a user, or changes role and password of one, in the file too.
    ///
    /// # Errors
    /// When name or password are none, there are too many users, or the file cannot be written.
    pub fn set(&mut self, name: &str, role: Role, password: &str) -> Result<(), AccessError> {
        check_name(name)?;
        if !PASSWORD.contains(&password.len()) {
            return Err(AccessError::Password);
        }
        if !self.users.contains_key(name) && self.users.len() >= USERS_MAX {
            return Err(AccessError::TooMany);
        }
        let mut users = self.users.clone();
        users.insert(name.to_owned(), Entry { role, hash: hash(password)? });
        self.replace(users)
    }

    /// Removes a user, in the file too.
    ///
    /// # Errors
    /// When there is none, or the file cannot be written.
    pub fn remove(&mut self, name: &str) -> Result<(), AccessError> {
        let mut users = self.users.clone();
        users.remove(name).ok_or_else(|| AccessError::Unknown(name.chars().take(NAME_MAX).collect()))?;
        self.replace(users)
    }

    fn replace(&mut self, users: BTreeMap<String, Entry>) -> Result<(), AccessError> {
        file::replace(&self.path, &users)?;
        self.users = users;
        self.right.get_mut().unwrap_or_else(PoisonError::into_inner).clear();
        Ok(())
    }

    /// Who this is, if name and password are right.
    #[must_use]
    pub fn verify(&self, name: &str, password: &str) -> Option<User> {
        if password.len() > *PASSWORD.end() || name.len() > NAME_MAX {
            return None;
        }
        let digest = self.digest(name, password);
        let now = Instant::now();
        if let Some((_, user)) = self.right().get(&digest).filter(|(until, _)| *until > now) {
            return Some(user.clone());
        }
        let turn = self.turn.lock().unwrap_or_else(PoisonError::into_inner);
        let entry = self.users.get(name);
        let stored = PasswordHash::new(entry.map_or(&self.nobody, |entry| &entry.hash)).ok()?;
        let is_right = Argon2::default().verify_password(password.as_bytes(), &stored).is_ok();
        drop(turn);
        let entry = entry.filter(|_| is_right)?;
        let user = User { name: name.to_owned(), role: entry.role };
        let mut right = self.right();
        right.retain(|_, (until, _)| *until > now);
        if right.len() < REMEMBERED_MAX {
            right.insert(digest, (now + REMEMBERED, user.clone()));
        }
        Some(user)
    }

    /// Who this is, by the `Authorization` header of a request (HTTP Basic).
    #[must_use]
    pub fn verify_header(&self, header: &str) -> Option<User> {
        let (name, password) = basic::parse(header)?;
        self.verify(&name, &password)
    }

    fn right(&self) -> std::sync::MutexGuard<'_, BTreeMap<[u8; 32], (Instant, User)>> {
        self.right.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn digest(&self, name: &str, password: &str) -> [u8; 32] {
        let length = (name.len() as u64).to_be_bytes();
        let hash = Sha256::new().chain_update(self.key).chain_update(length).chain_update(name);
        hash.chain_update(password).finalize().into()
    }
}

fn hash(password: &str) -> Result<String, AccessError> {
    let hash: PasswordHash = Argon2::default()
        .hash_password(password.as_bytes())
        .map_err(|error| AccessError::Hash(error.to_string()))?;
    Ok(hash.to_string())
}

fn check_name(name: &str) -> Result<(), AccessError> {
    let is_plain = |c: char| c.is_ascii_lowercase() || c.is_ascii_digit() || matches!(c, '.' | '_' | '-');
    if name.is_empty() || name.len() > NAME_MAX || !name.chars().all(is_plain) {
        return Err(AccessError::Name(name.chars().take(NAME_MAX).collect()));
    }
    Ok(())
}
