//! Who counts the calls that are made.
//!
//! A client tells its meter when it sends a call and when the answer is there, by the method's name: no address, no
//! argument. A call that is given up by whoever made it has no answer. What a crash in here means: a count is too low.

use std::fmt;
use std::sync::Arc;
use std::time::{Duration, Instant};

use crate::http::HttpError;
use crate::rpc::RpcError;

/// What is told of one call.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Told<'a> {
    /// It is sent.
    Sent {
        /// The method.
        method: &'a str,
    },
    /// It is over.
    Answered {
        /// The method.
        method: &'a str,
        /// How long it took; a call of a batch takes as long as the batch.
        took: Duration,
        /// Why there is no usable answer; `None` if there is one.
        failure: Option<Failure>,
    },
}

/// Why a call brought no usable answer.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Failure {
    /// Nobody is there.
    Unreachable,
    /// It took too long.
    Timeout,
    /// The connection ended before the answer did.
    Dropped,
    /// The answer is larger than its limit.
    TooLarge,
    /// The other side answered with an error.
    Refused,
    /// The answer is not what the call promises.
    Malformed,
}

impl From<&HttpError> for Failure {
    fn from(error: &HttpError) -> Self {
        match error {
            HttpError::Unreachable(_) => Self::Unreachable,
            HttpError::Timeout(_) => Self::Timeout,
            HttpError::Dropped(_) => Self::Dropped,
            HttpError::TooLarge(_) => Self::TooLarge,
            HttpError::Status { .. } => Self::Refused,
        }
    }
}

impl From<&RpcError> for Failure {
    fn from(error: &RpcError) -> Self {
        match error {
            RpcError::Http { source, .. } => source.into(),
            RpcError::Refused { .. } => Self::Refused,
            RpcError::Malformed { .. } => Self::Malformed,
        }
    }
}

type Listener = dyn Fn(Told<'_>) + Send + Sync;

/// Who is told of calls; nobody by default.
#[derive(Clone, Default)]
pub struct Meter(Option<Arc<Listener>>);

impl fmt::Debug for Meter {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(if self.0.is_some() { "Meter(listening)" } else { "Meter(nobody)" })
    }
}

impl Meter {
    /// Tells this function, which must not block.
    pub fn new(listener: impl Fn(Told<'_>) + Send + Sync + 'static) -> Self {
        Self(Some(Arc::new(listener)))
    }

    /// A call is sent now.
    #[must_use]
    pub fn begin<'a>(&self, method: &'a str) -> Metered<'a> {
        if let Some(tell) = &self.0 {
            tell(Told::Sent { method });
        }
        Metered { meter: self.clone(), method, since: Instant::now() }
    }
}

/// A call under way.
#[derive(Debug)]
pub struct Metered<'a> {
    meter: Meter,
    method: &'a str,
    since: Instant,
}

impl Metered<'_> {
    /// It is over.
    pub fn end(self, failure: Option<Failure>) {
        if let Some(tell) = &self.meter.0 {
            tell(Told::Answered { method: self.method, took: self.since.elapsed(), failure });
        }
    }

    /// It is over with this result, which is handed on.
    ///
    /// # Errors
    /// The result's own.
    pub fn result<T, E>(self, result: Result<T, E>) -> Result<T, E>
    where
        for<'e> Failure: From<&'e E>,
    {
        self.end(result.as_ref().err().map(Failure::from));
        result
    }
}
