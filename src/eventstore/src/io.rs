//! A connection's bytes: acknowledged at once, and ended when it says nothing for long.
//!
//! One official client waits for the acknowledgement of each piece that it sends; left to itself the system delays that
//! by 40 ms. A live connection answers pings, so one that is silent is dead or hostile, at whatever layer it stopped.

use std::future::Future as _;
use std::io;
use std::pin::Pin;
use std::task::{Context, Poll};
use std::time::Duration;

use tokio::io::{AsyncRead, AsyncWrite, ReadBuf};
use tokio::net::TcpStream;
use tokio::time::{Instant, Sleep};

/// A TCP connection that is acknowledged at once and not silent for longer than allowed.
#[derive(Debug)]
pub struct Wire {
    tcp: TcpStream,
    quiet: Duration,
    alarm: Pin<Box<Sleep>>,
}

impl Wire {
    /// Wraps a connection that may say nothing for `quiet`.
    #[must_use]
    pub fn new(tcp: TcpStream, quiet: Duration) -> Self {
        // Where the system refuses, the connection is slower and works.
        let _ = tcp.set_nodelay(true);
        Self { tcp, quiet, alarm: Box::pin(tokio::time::sleep(quiet)) }
    }

    fn acknowledge_at_once(&self) {
        #[cfg(target_os = "linux")]
        let _ = socket2::SockRef::from(&self.tcp).set_tcp_quickack(true);
    }
}

impl tonic::transport::server::Connected for Wire {
    type ConnectInfo = ();

    fn connect_info(&self) {}
}

impl AsyncRead for Wire {
    fn poll_read(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        into: &mut ReadBuf<'_>,
    ) -> Poll<io::Result<()>> {
        match Pin::new(&mut self.tcp).poll_read(cx, into) {
            Poll::Ready(read) => {
                // The system forgets it after each read.
                self.acknowledge_at_once();
                if let Some(until) = Instant::now().checked_add(self.quiet) {
                    self.alarm.as_mut().reset(until);
                }
                Poll::Ready(read)
            }
            Poll::Pending => match self.alarm.as_mut().poll(cx) {
                Poll::Ready(()) => Poll::Ready(Err(io::ErrorKind::TimedOut.into())),
                Poll::Pending => Poll::Pending,
            },
        }
    }
}

impl AsyncWrite for Wire {
    fn poll_write(mut self: Pin<&mut Self>, cx: &mut Context<'_>, bytes: &[u8]) -> Poll<io::Result<usize>> {
        Pin::new(&mut self.tcp).poll_write(cx, bytes)
    }

    fn poll_flush(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.tcp).poll_flush(cx)
    }

    fn poll_shutdown(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.tcp).poll_shutdown(cx)
    }

    fn poll_write_vectored(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        pieces: &[io::IoSlice<'_>],
    ) -> Poll<io::Result<usize>> {
        Pin::new(&mut self.tcp).poll_write_vectored(cx, pieces)
    }

    fn is_write_vectored(&self) -> bool {
        self.tcp.is_write_vectored()
    }
}

/// A request's body that must come within a time: as a whole, or piece after piece.
pub(crate) struct Timed<B> {
    body: B,
    alarm: Pin<Box<Sleep>>,
}

impl<B> Timed<B> {
    /// All of `body` within `time`.
    pub(crate) fn whole(body: B, time: Duration) -> Self {
        Self { body, alarm: Box::pin(tokio::time::sleep(time)) }
    }
}

impl<B> http_body::Body for Timed<B>
where
    B: http_body::Body + Unpin,
    B::Error: Into<Box<dyn std::error::Error + Send + Sync>>,
{
    type Data = B::Data;
    type Error = Box<dyn std::error::Error + Send + Sync>;

    fn poll_frame(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
    ) -> Poll<Option<Result<http_body::Frame<B::Data>, Self::Error>>> {
        match Pin::new(&mut self.body).poll_frame(cx) {
            Poll::Ready(frame) => Poll::Ready(frame.map(|frame| frame.map_err(Into::into))),
            Poll::Pending => match self.alarm.as_mut().poll(cx) {
                Poll::Ready(()) => {
                    let late = tonic::Status::deadline_exceeded("the request did not come in time");
                    Poll::Ready(Some(Err(late.into())))
                }
                Poll::Pending => Poll::Pending,
            },
        }
    }

    fn is_end_stream(&self) -> bool {
        self.body.is_end_stream()
    }

    fn size_hint(&self) -> http_body::SizeHint {
        self.body.size_hint()
    }
}
