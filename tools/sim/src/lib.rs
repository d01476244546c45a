//! The whole ring on virtual time, with faults and checkers.
