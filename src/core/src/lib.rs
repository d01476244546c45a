//! The pure core that decides: decide and plan.
