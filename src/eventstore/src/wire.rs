//! The protocol's messages and clients, generated from the files under `proto/`; see `xtask proto`.
//!
//! Packages are modules, as the generated code expects. Nothing is written here by hand but the names below.

#![expect(
    missing_docs,
    unused_qualifications,
    clippy::allow_attributes,
    clippy::large_enum_variant,
    clippy::allow_attributes_without_reason,
    reason = "generated; the interface files say what things are"
)]

pub mod event_store {
    pub mod client {
        include!("generated/event_store.client.rs");
        pub mod gossip {
            include!("generated/event_store.client.gossip.rs");
        }
        pub mod persistent_subscriptions {
            include!("generated/event_store.client.persistent_subscriptions.rs");
        }
        pub mod server_features {
            include!("generated/event_store.client.server_features.rs");
        }
        pub mod streams {
            include!("generated/event_store.client.streams.rs");
        }
    }
}

pub mod google {
    pub mod rpc {
        include!("generated/google.rpc.rs");
    }
}

pub mod kurrent {
    pub mod rpc {
        include!("generated/kurrent.rpc.rs");
    }
}

pub mod kurrentdb {
    pub mod protocol {
        pub mod v2 {
            pub mod streams {
                include!("generated/kurrentdb.protocol.v2.streams.rs");
                pub mod errors {
                    include!("generated/kurrentdb.protocol.v2.streams.errors.rs");
                }
            }
        }
    }
}

pub use event_store::client;
pub use event_store::client::{gossip, persistent_subscriptions, server_features, streams};
pub use kurrentdb::protocol::v2::streams as v2;
