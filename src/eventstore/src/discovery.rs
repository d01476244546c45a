//! What clients ask before anything else: what the server can do, and who else there is.
//!
//! These calls carry no credentials from some clients and are answered to anyone; a refusal would end a client for the
//! life of its process. Only what is there is listed. The version is the lowest whose behaviour this is.

use std::net::SocketAddr;

use tonic::{Request, Response, Status};

use crate::wire::client::Empty;
use crate::wire::gossip::gossip_server::Gossip;
use crate::wire::gossip::member_info::VNodeState;
use crate::wire::gossip::{ClusterInfo, EndPoint, MemberInfo};
use crate::wire::server_features::server_features_server::ServerFeatures;
use crate::wire::server_features::{SupportedMethod, SupportedMethods};

/// What clients take the server for.
pub(crate) const VERSION: &str = "25.1.0";

const STREAMS: &str = "event_store.client.streams.streams";
const GROUPS: &str = "event_store.client.persistent_subscriptions.persistentsubscriptions";
const V2: &str = "kurrentdb.protocol.v2.streams.streamsservice";

/// Method, service and features, in lower case: clients compare letter by letter.
const METHODS: &[(&str, &str, &[&str])] = &[
    ("read", STREAMS, &["position", "events"]),
    ("append", STREAMS, &[]),
    ("batchappend", STREAMS, &["deadline_duration"]),
    ("delete", STREAMS, &[]),
    ("tombstone", STREAMS, &[]),
    ("getsupportedmethods", "event_store.client.server_features.serverfeatures", &[]),
    ("read", "event_store.client.gossip.gossip", &[]),
    ("create", GROUPS, &["stream", "all"]),
    ("update", GROUPS, &["stream", "all"]),
    ("delete", GROUPS, &["stream", "all"]),
    ("read", GROUPS, &["stream", "all"]),
    ("getinfo", GROUPS, &["stream", "all"]),
    ("replayparked", GROUPS, &["stream", "all"]),
    ("truncateparked", GROUPS, &["stream", "all"]),
    ("list", GROUPS, &["stream", "all"]),
    ("restartsubsystem", GROUPS, &["stream", "all"]),
    ("appendsession", V2, &[]),
    ("appendrecords", V2, &[]),
];

/// The address that a client reached this server by, where it says so; put into each request.
#[derive(Debug, Clone)]
pub(crate) struct ReachedBy(pub(crate) String);

/// Answers discovery.
#[derive(Clone)]
pub(crate) struct Discovery {
    /// What the server calls itself, if it was told.
    pub(crate) advertise: Option<(String, u16)>,
    /// Where it listens.
    pub(crate) listens: SocketAddr,
    pub(crate) clock: fn() -> prooflog_events::ids::Micros,
    pub(crate) instance: prooflog_events::ids::LogId,
}

impl Discovery {
    /// A name and port that a client which came by `authority` can reach.
    pub(crate) fn address(&self, authority: Option<&str>) -> (String, u16) {
        if let Some(told) = &self.advertise {
            return told.clone();
        }
        let by = authority.and_then(|authority| authority.parse::<http::uri::Authority>().ok());
        match by {
            Some(by) => {
                let host = by.host().trim_start_matches('[').trim_end_matches(']');
                (host.to_owned(), by.port_u16().unwrap_or(self.listens.port()))
            }
            None => (self.listens.ip().to_string(), self.listens.port()),
        }
    }
}

#[tonic::async_trait]
impl ServerFeatures for Discovery {
    async fn get_supported_methods(&self, _: Request<Empty>) -> Result<Response<SupportedMethods>, Status> {
        let methods = METHODS.iter().map(|(method, service, features)| SupportedMethod {
            method_name: (*method).to_owned(),
            service_name: (*service).to_owned(),
            features: features.iter().map(|feature| (*feature).to_owned()).collect(),
        });
        let event_store_server_version = VERSION.to_owned();
        Ok(Response::new(SupportedMethods { methods: methods.collect(), event_store_server_version }))
    }
}

#[tonic::async_trait]
impl Gossip for Discovery {
    async fn read(&self, request: Request<Empty>) -> Result<Response<ClusterInfo>, Status> {
        let by = request.extensions().get::<ReachedBy>().map(|by| by.0.as_str());
        let (address, port) = self.address(by);
        let id = prooflog_events::ids::EventId(self.instance.0);
        let member = MemberInfo {
            instance_id: Some(crate::show::uuid(id, crate::show::IdForm::Text)),
            time_stamp: i64::try_from((self.clock)().0).unwrap_or(i64::MAX).saturating_mul(10),
            // A reader's server is a leader too: clients look for one.
            state: VNodeState::Leader.into(),
            is_alive: true,
            http_end_point: Some(EndPoint { address, port: u32::from(port) }),
        };
        Ok(Response::new(ClusterInfo { members: vec![member] }))
    }
}
