//! The words of the log: ids, events, inputs, the envelope and their bytes.
