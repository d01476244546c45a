//! Hears from the log when batches are durable, in their order, and tells the loop.
//!
//! A thread waits on one ticket after the other, because tickets are answered in order. It ends at the first batch that
//! the log did not take, or when the loop is gone.

use std::sync::mpsc;
use std::thread::{self, JoinHandle};

use prooflog_log::{AppendError, Ticket};
use tokio::sync::mpsc::{UnboundedReceiver, UnboundedSender, unbounded_channel};

/// A batch of this number is durable, or the log did not take it.
pub(crate) type Heard = (u64, Result<(), AppendError>);

/// Waits for tickets.
pub(crate) struct Durability {
    tickets: mpsc::Sender<(u64, Ticket)>,
    pub(crate) heard: UnboundedReceiver<Heard>,
    _thread: JoinHandle<()>,
}

impl Durability {
    pub(crate) fn start() -> std::io::Result<Self> {
        let (tickets, queue) = mpsc::channel::<(u64, Ticket)>();
        let (tell, heard) = unbounded_channel();
        let thread =
            thread::Builder::new().name("durability".to_owned()).spawn(move || listen(&queue, &tell))?;
        Ok(Self { tickets, heard, _thread: thread })
    }

    /// Tells when this batch is durable.
    pub(crate) fn expect(&self, batch: u64, ticket: Ticket) {
        // The thread ends only after a batch that failed, which ends the loop as well.
        let _ = self.tickets.send((batch, ticket));
    }
}

fn listen(queue: &mpsc::Receiver<(u64, Ticket)>, tell: &UnboundedSender<Heard>) {
    for (batch, ticket) in queue {
        let answer = ticket.wait().map(drop);
        let failed = answer.is_err();
        if tell.send((batch, answer)).is_err() || failed {
            return;
        }
    }
}
