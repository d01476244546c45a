//! A server over a log in memory, and raw calls against it.

use std::net::SocketAddr;
use std::sync::{Arc, Mutex};
use std::time::Duration;

use bytes::Bytes;
use prooflog_access::{Role, User};
use prooflog_events::envelope::Content;
use prooflog_events::event::{Event, Paused, PausedBy};
use prooflog_events::ids::{EventId, LogId, Micros, Position};
use prooflog_events::port::Sequence;
use prooflog_events::values::Control;
use prooflog_eventstore::wire::client::uuid::Value;
use prooflog_eventstore::wire::client::{Empty, StreamIdentifier, Uuid};
use prooflog_eventstore::wire::streams::append_req::options::ExpectedStreamRevision;
use prooflog_eventstore::wire::streams::read_req::options::{
    self as o, AllOptions, CountOption, FilterOption, FilterOptions, ReadDirection, StreamOption,
    StreamOptions, UuidOption,
};
use prooflog_eventstore::wire::streams::read_resp::read_event::RecordedEvent;
use prooflog_eventstore::wire::streams::read_resp::{Content as Answer, ReadEvent};
use prooflog_eventstore::wire::streams::streams_client::StreamsClient;
use prooflog_eventstore::wire::streams::{AppendReq, AppendResp, ReadReq, ReadResp, append_req, read_req};
use prooflog_eventstore::{Authority, Door, Guests, Here, Server, Writing, serve};
use prooflog_log::{Append, AppendError, By, Log, MemorySequence, NewRecord};
use tokio::net::TcpListener;
use tokio::sync::oneshot;
use tokio::task::JoinHandle;
use tonic::metadata::MetadataValue;
use tonic::service::interceptor::InterceptedService;
use tonic::transport::{Channel, Endpoint};
use tonic::{Request, Status, Streaming};

pub type Clients = StreamsClient<InterceptedService<Channel, As>>;

/// A test's own patience: nothing in here takes a tenth of it.
pub const PATIENCE: Duration = Duration::from_secs(60);

/// `ann` annotates, `ops` operates, `eve` reads; everybody else is wrong.
pub struct Three;

impl Authority for Three {
    fn check(&self, header: Option<&str>) -> Option<User> {
        let (name, role) = match header? {
            "Basic ann" => ("ann", Role::Annotate),
            "Basic ops" => ("ops", Role::Operate),
            "Basic eve" => ("eve", Role::Read),
            _ => return None,
        };
        Some(User { name: name.to_owned(), role })
    }
}

/// Adds credentials to every call.
#[derive(Clone)]
pub struct As(pub &'static str);

impl tonic::service::Interceptor for As {
    fn call(&mut self, mut request: Request<()>) -> Result<Request<()>, Status> {
        if !self.0.is_empty() {
            let header = MetadataValue::try_from(format!("Basic {}", self.0)).unwrap();
            request.metadata_mut().insert("authorization", header);
        }
        Ok(request)
    }
}

pub struct Fixture<S: Sequence = MemorySequence> {
    pub address: SocketAddr,
    pub log: Arc<Log<S>>,
    stop: oneshot::Sender<()>,
    server: JoinHandle<std::io::Result<()>>,
}

pub fn clock() -> Micros {
    Micros(1_700_000_000_000_000)
}

/// A server where clients may write, changed by `configure`.
pub async fn start_with(configure: impl FnOnce(&mut Server)) -> Fixture {
    let log = Arc::new(Log::open(MemorySequence::new(LogId([7; 16]))).unwrap());
    start_over(log, configure).await
}

pub async fn start_over<S: Sequence>(log: Arc<Log<S>>, configure: impl FnOnce(&mut Server)) -> Fixture<S> {
    let here = Arc::new(Here::new(Arc::clone(&log)));
    let mut server = Server::new(Arc::clone(&here) as _, Arc::new(Guests(Three)));
    server.writing = Some(Writing::new(here));
    server.clock = clock;
    configure(&mut server);
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let address = listener.local_addr().unwrap();
    let (stop, stopped) = oneshot::channel();
    let server = tokio::spawn(serve(listener, server, async {
        let _ = stopped.await;
    }));
    Fixture { address, log, stop, server }
}

type Answered = Box<dyn FnOnce(prooflog_log::Answer) + Send>;

/// A door that keeps appends until it is told to let them go.
pub struct Slow {
    here: Arc<Here<MemorySequence>>,
    kept: Mutex<Option<Vec<(Append, Answered)>>>,
}

impl Slow {
    /// How many wait.
    pub fn kept(&self) -> usize {
        self.kept.lock().unwrap().as_ref().map_or(0, Vec::len)
    }

    /// From now on appends wait.
    pub fn keep(&self) {
        self.kept.lock().unwrap().get_or_insert_default();
    }

    /// Appends what waits, and from now on everything at once.
    pub fn let_go(&self) {
        let kept = self.kept.lock().unwrap().take();
        for (append, reply) in kept.into_iter().flatten() {
            self.here.submit(append, reply).unwrap();
        }
    }
}

impl Door for Slow {
    fn submit(&self, append: Append, reply: Answered) -> Result<(), AppendError> {
        if let Some(kept) = self.kept.lock().unwrap().as_mut() {
            kept.push((append, reply));
            return Ok(());
        }
        self.here.submit(append, reply)
    }
}

/// A server whose appends wait in a door.
pub async fn start_slow(configure: impl FnOnce(&mut Server)) -> (Fixture, Arc<Slow>) {
    let log = Arc::new(Log::open(MemorySequence::new(LogId([7; 16]))).unwrap());
    let here = Arc::new(Here::new(Arc::clone(&log)));
    let slow = Arc::new(Slow { here, kept: Mutex::new(Some(Vec::new())) });
    let door = Arc::clone(&slow);
    let server = start_over(log, |server| {
        server.writing = Some(Writing::new(door));
        configure(server);
    });
    (server.await, slow)
}

pub async fn start() -> Fixture {
    start_with(|_| ()).await
}

impl<S: Sequence> Fixture<S> {
    pub fn endpoint(&self) -> Endpoint {
        Endpoint::from_shared(format!("http://{}", self.address)).unwrap()
    }

    pub async fn channel(&self) -> Channel {
        self.endpoint().connect().await.unwrap()
    }

    /// A client of its own connection, with these credentials.
    pub async fn client(&self, user: &'static str) -> Clients {
        StreamsClient::with_interceptor(self.channel().await, As(user))
            .max_decoding_message_size(32 << 20)
            .max_encoding_message_size(32 << 20)
    }

    /// One event of the engine.
    pub fn engine(&self, stream: &str) -> Position {
        let event = Event::from(Paused {
            control: Control::Proving,
            by: PausedBy::Operator,
            note: "because".to_owned(),
        });
        let kind = event.event_type();
        let record = NewRecord::native(stream, kind.name(), kind.version(), event.encode());
        self.log.append(Append::new(By::Scheduler, clock(), vec![record])).unwrap().last
    }

    /// Foreign events, one append.
    pub fn foreign(&self, stream: &str, kinds: &[&str]) -> Position {
        let head = self.log.head().position.0;
        let records = (head + 1..).zip(kinds).map(|(n, kind)| {
            NewRecord::foreign(
                stream,
                EventId(u128::from(n).to_be_bytes()),
                *kind,
                Content::Json,
                b"{}".to_vec(),
            )
        });
        self.log.append(Append::new(By::Client("ann".to_owned()), clock(), records.collect())).unwrap().last
    }

    /// Stops and waits for the end.
    pub async fn stop(self) -> Arc<Log<S>> {
        self.stop.send(()).unwrap();
        tokio::time::timeout(PATIENCE, self.server).await.unwrap().unwrap().unwrap();
        self.log
    }
}

pub fn identifier(stream: &str) -> Option<StreamIdentifier> {
    Some(StreamIdentifier { stream_name: Bytes::copy_from_slice(stream.as_bytes()) })
}

pub fn text_id(n: u128) -> Uuid {
    Uuid { value: Some(Value::String(uuid::Uuid::from_u128(n).to_string())) }
}

pub fn prefix(stream: &[&str]) -> FilterOptions {
    FilterOptions {
        checkpoint_interval_multiplier: 1,
        filter: Some(o::filter_options::Filter::StreamIdentifier(o::filter_options::Expression {
            regex: String::new(),
            prefix: stream.iter().map(|s| (*s).to_owned()).collect(),
        })),
        window: Some(o::filter_options::Window::Max(4)),
    }
}

/// A read as official clients ask for it; change what differs.
pub fn all() -> read_req::Options {
    read_req::Options {
        read_direction: ReadDirection::Forwards.into(),
        resolve_links: false,
        uuid_option: Some(UuidOption { content: Some(o::uuid_option::Content::String(Empty {})) }),
        control_option: None,
        stream_option: Some(StreamOption::All(AllOptions {
            all_option: Some(o::all_options::AllOption::Start(Empty {})),
        })),
        count_option: Some(CountOption::Count(u64::MAX)),
        filter_option: Some(FilterOption::NoFilter(Empty {})),
    }
}

pub fn stream(name: &str) -> read_req::Options {
    let revision_option = Some(o::stream_options::RevisionOption::Start(Empty {}));
    let stream = StreamOptions { stream_identifier: identifier(name), revision_option };
    read_req::Options { stream_option: Some(StreamOption::Stream(stream)), ..all() }
}

pub trait Asked: Sized {
    fn options(self) -> read_req::Options;

    fn at(self, place: u64) -> read_req::Options {
        let mut options = self.options();
        match options.stream_option.as_mut().unwrap() {
            StreamOption::Stream(stream) => {
                stream.revision_option = Some(o::stream_options::RevisionOption::Revision(place));
            }
            StreamOption::All(all) => {
                let position = o::Position { commit_position: place, prepare_position: place };
                all.all_option = Some(o::all_options::AllOption::Position(position));
            }
        }
        options
    }

    fn at_end(self) -> read_req::Options {
        let mut options = self.options();
        match options.stream_option.as_mut().unwrap() {
            StreamOption::Stream(stream) => {
                stream.revision_option = Some(o::stream_options::RevisionOption::End(Empty {}));
            }
            StreamOption::All(all) => all.all_option = Some(o::all_options::AllOption::End(Empty {})),
        }
        options
    }

    fn backwards(self) -> read_req::Options {
        read_req::Options { read_direction: ReadDirection::Backwards.into(), ..self.options() }
    }

    fn count(self, count: u64) -> read_req::Options {
        read_req::Options { count_option: Some(CountOption::Count(count)), ..self.options() }
    }

    fn followed(self) -> read_req::Options {
        let subscription = CountOption::Subscription(o::SubscriptionOptions {});
        read_req::Options { count_option: Some(subscription), ..self.options() }
    }

    fn resolved(self) -> read_req::Options {
        read_req::Options { resolve_links: true, ..self.options() }
    }

    fn filtered(self, filter: FilterOptions) -> read_req::Options {
        read_req::Options { filter_option: Some(FilterOption::Filter(filter)), ..self.options() }
    }
}

impl Asked for read_req::Options {
    fn options(self) -> read_req::Options {
        self
    }
}

pub fn request(options: read_req::Options) -> ReadReq {
    ReadReq { options: Some(options) }
}

/// The answers of a read that ends.
pub async fn answers(client: &mut Clients, options: read_req::Options) -> Result<Vec<Answer>, Status> {
    let mut answers = client.read(request(options)).await?.into_inner();
    let mut all = Vec::new();
    while let Some(answer) = answers.message().await? {
        all.push(answer.content.unwrap());
    }
    Ok(all)
}

/// The events of a read that ends.
pub async fn events(client: &mut Clients, options: read_req::Options) -> Vec<ReadEvent> {
    let answers = answers(client, options).await.unwrap();
    answers.into_iter().map(|answer| event(answer).expect("an event")).collect()
}

pub fn event(answer: Answer) -> Option<ReadEvent> {
    match answer {
        Answer::Event(event) => Some(event),
        _ => None,
    }
}

pub fn recorded(event: &ReadEvent) -> &RecordedEvent {
    event.event.as_ref().unwrap()
}

pub fn position(event: &ReadEvent) -> u64 {
    recorded(event).commit_position
}

/// The next answer of a subscription.
pub async fn next(answers: &mut Streaming<ReadResp>) -> Answer {
    let answer = tokio::time::timeout(PATIENCE, answers.message()).await.expect("an answer in time");
    answer.unwrap().expect("an answer").content.unwrap()
}

/// The next event of a subscription, whatever else comes before it.
pub async fn next_event(answers: &mut Streaming<ReadResp>) -> ReadEvent {
    loop {
        if let Answer::Event(event) = next(answers).await {
            return event;
        }
    }
}

pub fn proposed(id: u128, kind: &str) -> append_req::ProposedMessage {
    append_req::ProposedMessage {
        id: Some(text_id(id)),
        metadata: [("type", kind), ("content-type", "application/json")]
            .map(|(key, value)| (key.to_owned(), value.to_owned()))
            .into(),
        custom_metadata: Bytes::from_static(b"{\"mine\":1}"),
        data: Bytes::from_static(b"{\"a\":1}"),
    }
}

/// The messages of an append.
pub fn appending(
    stream: &str,
    expected: ExpectedStreamRevision,
    messages: Vec<append_req::ProposedMessage>,
) -> Vec<AppendReq> {
    let options = append_req::Options {
        stream_identifier: identifier(stream),
        expected_stream_revision: Some(expected),
    };
    let first = append_req::Content::Options(options);
    let rest = messages.into_iter().map(append_req::Content::ProposedMessage);
    std::iter::once(first).chain(rest).map(|content| AppendReq { content: Some(content) }).collect()
}

pub async fn append(
    client: &mut Clients,
    stream: &str,
    expected: ExpectedStreamRevision,
    messages: Vec<append_req::ProposedMessage>,
) -> Result<AppendResp, Status> {
    let requests = futures_util::stream::iter(appending(stream, expected, messages));
    client.append(requests).await.map(tonic::Response::into_inner)
}

pub const ANY: ExpectedStreamRevision = ExpectedStreamRevision::Any(Empty {});
pub const NO_STREAM: ExpectedStreamRevision = ExpectedStreamRevision::NoStream(Empty {});
pub const EXISTS: ExpectedStreamRevision = ExpectedStreamRevision::StreamExists(Empty {});

pub fn trailer(status: &Status, key: &str) -> String {
    status.metadata().get(key).map(|value| value.to_str().unwrap().to_owned()).unwrap_or_default()
}
