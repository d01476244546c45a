//! A listener whose connections are few, short and small.
//!
//! A place is taken before a connection is accepted and given back when it ends. A connection that does not bring its
//! request in time, brings too much, or does not take its answer in time fails with an error, which ends it.

use std::io;
use std::net::SocketAddr;
use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll};
use std::time::Duration;

use tokio::io::{AsyncRead, AsyncWrite, ReadBuf};
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::{OwnedSemaphorePermit, Semaphore};
use tokio::time::{Instant, Sleep};

use super::Limits;

/// Pause after an accept that failed for want of something, such as file descriptors.
const ACCEPT_PAUSE: Duration = Duration::from_millis(100);
const END_OF_REQUEST: &[u8] = b"\r\n\r\n";

/// Hands out bounded connections.
pub(super) struct Gate {
    listener: TcpListener,
    places: Arc<Semaphore>,
    limits: Limits,
}

impl Gate {
    pub(super) fn new(listener: TcpListener, limits: Limits) -> Self {
        Self { listener, places: Arc::new(Semaphore::new(limits.connections.max(1))), limits }
    }
}

impl axum::serve::Listener for Gate {
    type Io = Bounded;
    type Addr = SocketAddr;

    async fn accept(&mut self) -> (Bounded, SocketAddr) {
        loop {
            // It is never closed; if it were, nothing would be accepted any more.
            let Ok(place) = Arc::clone(&self.places).acquire_owned().await else {
                std::future::pending::<()>().await;
                continue;
            };
            match self.listener.accept().await {
                Ok((stream, address)) => return (Bounded::new(stream, place, self.limits), address),
                Err(error) if is_the_clients(&error) => {}
                Err(_) => tokio::time::sleep(ACCEPT_PAUSE).await,
            }
        }
    }

    fn local_addr(&self) -> io::Result<SocketAddr> {
        self.listener.local_addr()
    }
}

fn is_the_clients(error: &io::Error) -> bool {
    use io::ErrorKind as K;
    matches!(error.kind(), K::ConnectionRefused | K::ConnectionAborted | K::ConnectionReset)
}

/// A connection with a limit on everything.
pub(super) struct Bounded {
    stream: TcpStream,
    _place: OwnedSemaphorePermit,
    limits: Limits,
    deadline: Pin<Box<Sleep>>,
    read: usize,
    /// Bytes of the request's end seen so far.
    matched: usize,
}

impl Bounded {
    fn new(stream: TcpStream, place: OwnedSemaphorePermit, limits: Limits) -> Self {
        let deadline = Box::pin(tokio::time::sleep(limits.request));
        Self { stream, _place: place, limits, deadline, read: 0, matched: 0 }
    }

    fn check_time(&mut self, context: &mut Context<'_>) -> io::Result<()> {
        match self.deadline.as_mut().poll(context) {
            Poll::Ready(()) => Err(io::ErrorKind::TimedOut.into()),
            Poll::Pending => Ok(()),
        }
    }

    /// Counts what arrived. Once the request is whole, the time for the answer begins.
    fn arrived(&mut self, bytes: &[u8]) -> io::Result<()> {
        self.read = self.read.saturating_add(bytes.len());
        if self.read > self.limits.request_bytes {
            return Err(io::Error::new(io::ErrorKind::InvalidData, "the request is too large"));
        }
        for byte in bytes {
            if self.matched == END_OF_REQUEST.len() {
                break;
            }
            self.matched = match END_OF_REQUEST.get(self.matched) {
                Some(wanted) if wanted == byte => self.matched + 1,
                _ => usize::from(*byte == b'\r'),
            };
            if self.matched == END_OF_REQUEST.len() {
                self.deadline.as_mut().reset(Instant::now() + self.limits.answer);
            }
        }
        Ok(())
    }
}

impl AsyncRead for Bounded {
    fn poll_read(
        mut self: Pin<&mut Self>,
        context: &mut Context<'_>,
        buffer: &mut ReadBuf<'_>,
    ) -> Poll<io::Result<()>> {
        self.check_time(context)?;
        let before = buffer.filled().len();
        let ready = Pin::new(&mut self.stream).poll_read(context, buffer);
        if matches!(ready, Poll::Ready(Ok(()))) {
            self.arrived(buffer.filled().get(before..).unwrap_or_default())?;
        }
        ready
    }
}

impl AsyncWrite for Bounded {
    fn poll_write(
        mut self: Pin<&mut Self>,
        context: &mut Context<'_>,
        bytes: &[u8],
    ) -> Poll<io::Result<usize>> {
        self.check_time(context)?;
        Pin::new(&mut self.stream).poll_write(context, bytes)
    }

    fn poll_flush(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.stream).poll_flush(context)
    }

    fn poll_shutdown(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.stream).poll_shutdown(context)
    }
}
