//! What clients ask before anything else.

use std::sync::{Arc, Mutex};

use prooflog_eventstore::Nobody;
use prooflog_eventstore::wire::client::Empty;
use prooflog_eventstore::wire::gossip::gossip_client::GossipClient;
use prooflog_eventstore::wire::gossip::member_info::VNodeState;
use prooflog_eventstore::wire::persistent_subscriptions::ListReq;
use prooflog_eventstore::wire::persistent_subscriptions::list_req::options::ListOption;
use prooflog_eventstore::wire::persistent_subscriptions::list_req::stream_option::StreamOption;
use prooflog_eventstore::wire::persistent_subscriptions::list_req::{self};
use prooflog_eventstore::wire::persistent_subscriptions::persistent_subscriptions_client::PersistentSubscriptionsClient;
use prooflog_eventstore::wire::server_features::server_features_client::ServerFeaturesClient;
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tonic::Code;

use crate::common::*;

#[tokio::test]
async fn features_are_answered_to_anyone_in_lower_case_with_a_version() {
    // Nobody is known, not even guests.
    let server = start_with(|server| server.authority = Arc::new(Nobody)).await;
    let mut features = ServerFeaturesClient::new(server.channel().await);
    let supported = features.get_supported_methods(Empty {}).await.unwrap().into_inner();
    let version: Vec<u16> =
        supported.event_store_server_version.split('.').map(|part| part.parse().unwrap()).collect();
    assert_eq!(version.len(), 3);
    for method in &supported.methods {
        assert_eq!(method.method_name, method.method_name.to_lowercase());
        assert_eq!(method.service_name, method.service_name.to_lowercase());
    }
    assert!(supported.methods.iter().any(|method| {
        (&*method.method_name, &*method.service_name) == ("batchappend", "event_store.client.streams.streams")
    }));
    let refused = answers(&mut server.client("").await, all()).await.unwrap_err();
    assert_eq!((refused.code(), trailer(&refused, "exception")), (Code::Unauthenticated, String::new()));
    server.stop().await;
}

#[tokio::test]
async fn who_counts_is_told_of_every_call_by_its_name_whatever_its_end() {
    let called = Arc::new(Mutex::new(Vec::new()));
    let told = Arc::clone(&called);
    let served = move |method: &'static str, _| told.lock().unwrap().push(method);
    let server = start_with(|server| server.served = Some(Arc::new(served))).await;
    ServerFeaturesClient::new(server.channel().await).get_supported_methods(Empty {}).await.unwrap();
    GossipClient::new(server.channel().await).read(Empty {}).await.unwrap();
    answers(&mut server.client("").await, all()).await.unwrap();
    answers(&mut server.client("nobody:no").await, all()).await.unwrap_err();
    let list = ListReq { options: None };
    PersistentSubscriptionsClient::new(server.channel().await).list(list).await.unwrap_err();
    let http = tokio::net::TcpStream::connect(server.address).await.unwrap();
    let mut http = tokio::io::BufStream::new(http);
    http.write_all(b"GET /info HTTP/1.1\r\nhost: x\r\nconnection: close\r\n\r\n").await.unwrap();
    http.flush().await.unwrap();
    http.read_to_end(&mut Vec::new()).await.unwrap();
    let called = called.lock().unwrap().clone();
    assert_eq!(called, ["ServerFeatures", "Gossip", "Read", "Read", "PersistentSubscriptions", "other"]);
    server.stop().await;
}

#[tokio::test]
async fn gossip_names_one_live_leader_where_the_client_came_from() {
    let server = start().await;
    let port = u32::from(server.address.port());
    for host in ["127.0.0.1", "localhost"] {
        let endpoint = tonic::transport::Endpoint::from_shared(format!("http://{host}:{port}")).unwrap();
        let mut gossip = GossipClient::new(endpoint.connect().await.unwrap());
        let members = gossip.read(Empty {}).await.unwrap().into_inner().members;
        assert_eq!(members.len(), 1);
        assert_eq!((members[0].state(), members[0].is_alive), (VNodeState::Leader, true));
        let at = members[0].http_end_point.clone().unwrap();
        assert_eq!((at.address.as_str(), at.port), (host, port));
    }
    server.stop().await;
}

#[tokio::test]
async fn what_the_server_was_told_to_call_itself_wins() {
    let server = start_with(|server| server.advertise = Some(("proofs.example".to_owned(), 443))).await;
    let mut gossip = GossipClient::new(server.channel().await);
    let members = gossip.read(Empty {}).await.unwrap().into_inner().members;
    let at = members[0].http_end_point.clone().unwrap();
    assert_eq!((at.address.as_str(), at.port), ("proofs.example", 443));
    server.stop().await;
}

#[tokio::test]
async fn there_are_no_persistent_subscriptions_and_the_list_says_so() {
    let server = start().await;
    let mut client = PersistentSubscriptionsClient::new(server.channel().await);
    let list = |option| ListReq { options: Some(list_req::Options { list_option: Some(option) }) };
    let all = client.list(list(ListOption::ListAllSubscriptions(Empty {}))).await.unwrap().into_inner();
    assert!(all.subscriptions.is_empty());
    let of = list_req::StreamOption { stream_option: Some(StreamOption::All(Empty {})) };
    let none = client.list(list(ListOption::ListForStream(of))).await.unwrap_err();
    assert_eq!(trailer(&none, "exception"), "persistent-subscription-does-not-exist");
    assert_eq!(none.code(), Code::NotFound);
    server.stop().await;
}

#[tokio::test]
async fn health_and_gossip_are_answered_over_plain_http() {
    let server = start().await;
    for (path, status, text) in [
        ("/health/live", "204", ""),
        ("/info", "200", "25.1.0"),
        ("/gossip", "200", "\"Leader\""),
        ("/streams/x", "404", ""),
    ] {
        let mut tcp = tokio::net::TcpStream::connect(server.address).await.unwrap();
        let ask = format!("GET {path} HTTP/1.1\r\nhost: localhost:2113\r\nconnection: close\r\n\r\n");
        tcp.write_all(ask.as_bytes()).await.unwrap();
        let mut answer = String::new();
        tcp.read_to_string(&mut answer).await.unwrap();
        assert!(answer.starts_with(&format!("HTTP/1.1 {status}")) && answer.contains(text), "{answer}");
    }
    server.stop().await;
}

#[tokio::test]
async fn a_call_that_is_not_there_is_unimplemented() {
    let server = start().await;
    let mut grpc = tonic::client::Grpc::new(server.channel().await);
    for path in [
        "/event_store.client.projections.Projections/Create",
        "/event_store.client.persistent_subscriptions.PersistentSubscriptions/Nothing",
        "/event_store.client.streams.Streams/Nothing",
        "/kurrentdb.protocol.v2.streams.StreamsService/Nothing",
        "/",
    ] {
        grpc.ready().await.unwrap();
        let codec = tonic_prost::ProstCodec::<Empty, Empty>::default();
        let path = http::uri::PathAndQuery::from_static(path);
        let answer: Result<tonic::Response<Empty>, _> =
            grpc.unary(tonic::Request::new(Empty {}), path.clone(), codec).await;
        assert_eq!(answer.unwrap_err().code(), Code::Unimplemented, "{path}");
    }
    server.stop().await;
}
