//! `serve`: a log that nobody writes, read by clients of the EventStore protocol, plain and over TLS.

use std::io::{BufRead, BufReader};
use std::path::Path;
use std::process::{Child, Command, Stdio};

use prooflog_eventstore::wire::client::Empty;
use prooflog_eventstore::wire::streams::read_req::options::{
    self as o, AllOptions, CountOption, FilterOption, ReadDirection, StreamOption, UuidOption,
};
use prooflog_eventstore::wire::streams::read_resp::Content;
use prooflog_eventstore::wire::streams::streams_client::StreamsClient;
use prooflog_eventstore::wire::streams::{ReadReq, read_req};
use tonic::transport::{Certificate, Channel, ClientTlsConfig, Endpoint};

use super::on_disk::simulate;

/// A server, ended when it goes.
struct Serving {
    child: Child,
    address: String,
}

impl Serving {
    fn start(dir: &Path, more: &[&str]) -> Self {
        let mut child = Command::new(env!("CARGO_BIN_EXE_prooflog"))
            .env_clear()
            .arg("--data-dir")
            .arg(dir)
            .args(["serve", "--eventstore.port", "0", "--log.format", "json"])
            .args(more)
            .stderr(Stdio::piped())
            .spawn()
            .unwrap();
        let mut said = BufReader::new(child.stderr.take().unwrap()).lines();
        let address = said.find_map(|line| {
            let line: serde_json::Value = serde_json::from_str(&line.unwrap()).ok()?;
            let text = line.to_string();
            text.contains("EventStore clients").then(|| find(&line, "address").unwrap())
        });
        Self { child, address: address.unwrap() }
    }

    fn end(mut self) -> Option<i32> {
        let told = Command::new("kill").arg(self.child.id().to_string()).status().unwrap();
        assert!(told.success());
        self.child.wait().unwrap().code()
    }
}

/// A field of a line of the log, wherever its format puts fields.
fn find(value: &serde_json::Value, name: &str) -> Option<String> {
    let fields = value.as_object()?;
    let here = fields.get(name).and_then(|value| value.as_str()).map(str::to_owned);
    here.or_else(|| fields.values().find_map(|value| find(value, name)))
}

/// The position and type of the newest event.
async fn newest(channel: Channel) -> (u64, String) {
    let all = AllOptions { all_option: Some(o::all_options::AllOption::End(Empty {})) };
    let options = read_req::Options {
        read_direction: ReadDirection::Backwards.into(),
        resolve_links: false,
        uuid_option: Some(UuidOption { content: Some(o::uuid_option::Content::String(Empty {})) }),
        control_option: None,
        stream_option: Some(StreamOption::All(all)),
        count_option: Some(CountOption::Count(1)),
        filter_option: Some(FilterOption::NoFilter(Empty {})),
    };
    let mut client = StreamsClient::new(channel);
    let mut read = client.read(ReadReq { options: Some(options) }).await.unwrap().into_inner();
    while let Some(message) = read.message().await.unwrap() {
        if let Some(Content::Event(event)) = message.content {
            let event = event.event.unwrap();
            return (event.commit_position, event.metadata["type"].clone());
        }
    }
    panic!("nothing was read");
}

#[tokio::test]
async fn a_log_is_served_without_an_engine_plain_and_over_tls() {
    let dir = tempfile::tempdir().unwrap();
    let log = dir.path().join("log");
    simulate("friendly", 8, &log);
    let events = super::command_line::events(&log);
    let last = events.last().unwrap();
    let position: u64 = last["position"].as_str().unwrap().parse().unwrap();
    let expected = (position, last["type"].as_str().unwrap().to_owned());

    let plain = Serving::start(&log, &[]);
    let endpoint = Endpoint::from_shared(format!("http://{}", plain.address)).unwrap();
    assert_eq!(newest(endpoint.connect().await.unwrap()).await, expected);
    assert_eq!(plain.end(), Some(0), "a signal ends it in order");

    let secure = Serving::start(&log, &["--eventstore.tls"]);
    let port = secure.address.rsplit(':').next().unwrap();
    let authority = std::fs::read(log.join("eventstore-ca.pem")).unwrap();
    let tls = ClientTlsConfig::new().ca_certificate(Certificate::from_pem(authority));
    let endpoint = Endpoint::from_shared(format!("https://localhost:{port}")).unwrap();
    let channel = endpoint.tls_config(tls).unwrap().connect().await.unwrap();
    assert_eq!(newest(channel).await, expected);
    let trusting_others = ClientTlsConfig::new();
    let endpoint = Endpoint::from_shared(format!("https://localhost:{port}")).unwrap();
    assert!(endpoint.tls_config(trusting_others).unwrap().connect().await.is_err());
    assert_eq!(secure.end(), Some(0));
}

#[test]
fn what_cannot_be_served_is_said_with_an_exit_code() {
    let dir = tempfile::tempdir().unwrap();
    let serve = |more: &[&str]| {
        let mut command = Command::new(env!("CARGO_BIN_EXE_prooflog"));
        command.env_clear().arg("--data-dir").arg(dir.path().join("log")).arg("serve").args(more);
        let output = command.output().unwrap();
        (output.status.code(), String::from_utf8_lossy(&output.stderr).into_owned())
    };
    let (code, text) = serve(&[]);
    assert_eq!(code, Some(2));
    assert!(text.contains("there is no log"), "{text}");
    let (code, text) = serve(&["--eventstore.tls", "--eventstore.tls-cert", "cert.pem"]);
    assert_eq!(code, Some(2));
    assert!(text.contains("eventstore.tls-key"), "{text}");
    simulate("friendly", 9, &dir.path().join("log"));
    let files = ["--eventstore.tls", "--eventstore.tls-cert", "gone.pem", "--eventstore.tls-key", "gone.key"];
    let (code, text) = serve(&files);
    assert_eq!(code, Some(2));
    assert!(text.contains("gone.pem"), "{text}");
    let taken = std::net::TcpListener::bind("127.0.0.1:0").unwrap();
    let (code, text) = serve(&["--eventstore.port", &taken.local_addr().unwrap().port().to_string()]);
    assert_eq!(code, Some(3));
    assert!(text.contains("--eventstore.port"), "{text}");
}
