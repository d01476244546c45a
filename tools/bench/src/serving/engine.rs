//! An engine's events beside the clients': what a log gets when rollups are proven.
//!
//! The same batches that the generated logs are made of, one after another at a fixed pace. A log that is opened again
//! goes on where it was.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::thread::JoinHandle;
use std::time::Duration;

use prooflog_events::envelope::{Content, Envelope};
use prooflog_events::ids::Position;
use prooflog_events::port::{Direction, Sequence};
use prooflog_log::Log;

use crate::Outcome;
use crate::filling::to_append;
use crate::generator::{Generator, Shape};
use crate::serving::now;

/// Live units: a few, so that a short log shows whole lives.
const LIVE: u64 = 16;

/// An engine that appends.
pub(super) struct Engine<S: Sequence> {
    log: Arc<Log<S>>,
    generator: Generator,
    made: u64,
}

/// One that does so by itself.
pub(super) struct Running {
    stop: Arc<AtomicBool>,
    thread: JoinHandle<Outcome<()>>,
}

impl<S: Sequence> Engine<S> {
    /// An engine at the end of `log`.
    pub(super) fn resume(log: Arc<Log<S>>) -> Outcome<Self> {
        let mut there = 0;
        let head = log.head().position;
        if head > Position::ZERO {
            log.sequence().scan(Position(1), head, Direction::Forward, &mut |_, stored| {
                let native = Envelope::decode(stored).is_ok_and(|event| event.content == Content::Native);
                there += u64::from(native);
                std::ops::ControlFlow::Continue(())
            })?;
        }
        let mut generator = Generator::new(Shape { chains: 2, ..Shape::with_live(LIVE) });
        let mut made = 0;
        while made < there {
            made += generator.next_batch()?.events.len() as u64;
        }
        Ok(Self { log, generator, made })
    }

    /// Appends until there are `events` of it.
    pub(super) fn until(&mut self, events: u64) -> Outcome<()> {
        while self.made < events {
            self.step()?;
        }
        Ok(())
    }

    fn step(&mut self) -> Outcome<()> {
        let mut batch = self.generator.next_batch()?;
        batch.now = now();
        self.log.append(to_append(self.log.id(), &batch))?;
        self.made += batch.events.len() as u64;
        Ok(())
    }

    /// Goes on at a pace.
    pub(super) fn start(mut self, pace: Duration) -> Running {
        let stop = Arc::new(AtomicBool::new(false));
        let stopped = Arc::clone(&stop);
        let thread = std::thread::spawn(move || {
            while !stopped.load(Ordering::Acquire) {
                self.step()?;
                std::thread::park_timeout(pace);
            }
            Ok(())
        });
        Running { stop, thread }
    }
}

impl Running {
    /// Ends it.
    pub(super) fn end(self) -> Outcome<()> {
        self.stop.store(true, Ordering::Release);
        self.thread.thread().unpark();
        self.thread.join().map_err(|_| "the engine's thread is dead")?
    }
}
