//! The log as an EventStoreDB server, which KurrentDB's released clients read, follow and append to.
//!
//! [`serve`] takes a listener, a [`Server`] and a signal to stop. What is served is a [`Source`]: the log of this process
//! ([`Here`]) or another process's ([`Beside`]). Everybody who may read sees the engine's events as JSON; writing is off
//! unless [`Writing`] is given, needs credentials, and never reaches the engine's streams. Reading order: [`serve()`],
//! `front` (which call goes where), `read`, `subscription`, `tail`, `writer`, `groups`. A crash in here loses nothing: clients come
//! back with the last place that they saw.

mod append;
pub mod authority;
mod batch;
mod building;
mod codec;
mod discovery;
mod error;
mod facts;
mod filter;
mod frame;
mod front;
mod groups;
mod held;
mod io;
mod limits;
mod links;
mod names;
mod pages;
mod read;
mod request;
mod serve;
mod session;
mod show;
mod source;
mod subscription;
mod tail;
mod tls;
mod trailer;
pub mod wire;
mod writer;

pub use authority::{Authority, Guests, Nobody};
pub use groups::{Checkpoint, Checkpoints, FileCheckpoints, MemoryCheckpoints};
pub use limits::Limits;
pub use links::{LinkIndex, MemoryIndex, Place};
pub use names::LinkStream;
pub use serve::{Served, Server, serve};
pub use source::{Beside, Door, Following, Here, Source};
pub use tls::{Tls, TlsError};
pub use writer::Writing;

// What another server of the protocol is built of: the benchmarks' yardstick.
pub use codec::{Bytewise, Encoded};
pub use io::Wire;

/// Locks; a thread that panicked while it held the lock has left nothing half done that matters here.
fn lock<T>(mutex: &std::sync::Mutex<T>) -> std::sync::MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(std::sync::PoisonError::into_inner)
}
