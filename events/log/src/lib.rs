//! The log: one writer over a sequence of commits, with a memory twin.
