//! Where the log of a run lies: in memory with faults, or on whatever a caller brings.

use prooflog_events::ids::LogId;
use prooflog_events::port::{Sequence, SequenceError};
use prooflog_log::{Fault, Log, MemorySequence};

/// A place for a log that survives the process.
pub trait Medium {
    /// The sequence of commits.
    type Seq: Sequence;

    /// An empty log.
    ///
    /// # Errors
    /// When there is no place for it.
    fn create(&mut self) -> Result<Self::Seq, SequenceError>;

    /// What the next process finds after this one died. The last `losing` commits, of which nobody had heard, may be
    /// gone.
    ///
    /// # Errors
    /// When it does not open.
    fn reopen(&mut self, log: Log<Self::Seq>, losing: usize) -> Result<Self::Seq, SequenceError>;

    /// Makes the next append go wrong, where that can be done.
    fn fail_next(&mut self, sequence: &Self::Seq, fault: Fault) -> bool;
}

/// The memory twin.
#[derive(Debug, Clone, Copy)]
pub struct Memory(pub LogId);

impl Medium for Memory {
    type Seq = MemorySequence;

    fn create(&mut self) -> Result<MemorySequence, SequenceError> {
        Ok(MemorySequence::new(self.0))
    }

    fn reopen(&mut self, log: Log<MemorySequence>, losing: usize) -> Result<MemorySequence, SequenceError> {
        Ok(log.sequence().crashed_losing(losing))
    }

    fn fail_next(&mut self, sequence: &MemorySequence, fault: Fault) -> bool {
        sequence.fail_append(1, fault);
        true
    }
}
