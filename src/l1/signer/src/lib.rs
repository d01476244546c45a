//! Keys that sign L1 transactions: local, keystore, mnemonic, remote, cloud.
