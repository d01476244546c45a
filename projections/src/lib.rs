//! Pure folds of the log.
