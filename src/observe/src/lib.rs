//! Metrics, health and logs: observers that may fail without stopping work.
