//! What every adapter that talks over HTTP shares: endpoints that never show their secrets, calls in which everything
//! has a limit, and JSON-RPC.
//!
//! An address may carry credentials in its user part, path or query. It is shown as scheme, host and a salted digest of
//! the rest, so that two endpoints can be told apart and nothing can be used. Errors of the HTTP client are rendered
//! without their address for the same reason. What a crash in here means: nothing; nothing is kept.

mod clip;
mod endpoint;
mod http;
mod meter;
mod rpc;
mod secret;

pub use endpoint::{Endpoint, EndpointError, Salt};
pub use http::{Body, HttpError, Limits, builder, client, read_body, send};
pub use meter::{Failure, Meter, Metered, Told};
pub use rpc::{RpcClient, RpcError};
pub use secret::Secret;
