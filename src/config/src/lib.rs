//! Configuration: TOML, environment, flags, and the names of older proposers.
