//! Limits of the server, each with its unit and its reason.
//!
//! What is above a limit is refused with an error that the client knows, or waits; nothing is cut off silently. Together
//! they bound what outsiders can make the process hold: connections × their windows, the pages of all readers, calls × one
//! message.

use std::time::Duration;

use prooflog_events::limits::EVENT_BYTES_MAX;

/// What the server lets happen at once, and how large things may be.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Limits {
    /// Connections; one above it is closed at once.
    pub connections: usize,
    /// Calls of one connection at once: a client follows everything on one connection.
    pub calls_per_connection: u32,
    /// Calls in flight, without subscriptions.
    pub calls: usize,
    /// Subscriptions.
    pub subscriptions: usize,
    /// BatchAppend calls: official clients keep one for as long as they live, and each may hold a message.
    pub batches: usize,
    /// Reads of the log at once; each takes a thread for one page.
    pub reads: usize,
    /// Bytes of pages that all readers hold together, read and not taken by their connections. Who needs a page waits
    /// until there is room for it.
    pub held_bytes: usize,
    /// Bytes of one message from a client who may write. Larger than what an append may hold, so that a client that
    /// exceeds that is told so by the error it knows.
    pub message_bytes: usize,
    /// How long a connection may say nothing at all, not even the answer to a ping.
    pub quiet: Duration,
    /// How long a TLS handshake, or the message of a call that has only one, may take.
    pub hello: Duration,
    /// How long an append may take, and how long its next message may be awaited.
    pub append: Duration,
    /// How long nobody may take from a read that ends, before it is ended and its call is somebody else's. No time is
    /// counted while the reader waits for us.
    pub stall: Duration,
    /// How long calls may go on after the server was asked to stop.
    pub grace: Duration,
}

impl Default for Limits {
    fn default() -> Self {
        Self {
            connections: 1_024,
            calls_per_connection: 4_096,
            calls: 1_024,
            subscriptions: 4_096,
            batches: 256,
            reads: 8,
            held_bytes: 128 << 20,
            message_bytes: 8 << 20,
            quiet: Duration::from_secs(60),
            hello: Duration::from_secs(10),
            append: Duration::from_secs(30),
            stall: Duration::from_secs(60),
            grace: Duration::from_secs(2),
        }
    }
}

/// How often a connection is pinged, and how long the answer may take.
pub(crate) const PING: Duration = Duration::from_secs(10);

/// Bytes that a client may send ahead on one call, and on one connection. A call that is held up keeps its own window
/// full and leaves the rest to the others.
pub(crate) const CALL_WINDOW: u32 = 256 << 10;
/// See [`CALL_WINDOW`].
pub(crate) const CONNECTION_WINDOW: u32 = 4 << 20;

/// Bytes of answers that wait for one call's reader below the page that it is given.
pub(crate) const SEND_BYTES: usize = 64 << 10;

/// Bytes of request headers.
pub(crate) const HEADER_BYTES: u32 = 16 << 10;

/// Records of one page, and bytes after which a page ends.
pub(crate) const PAGE_RECORDS: usize = 1_024;
/// See [`PAGE_RECORDS`].
pub(crate) const PAGE_BYTES: usize = 256 << 10;

/// Bytes that one page may have: full but for one answer, and then the largest, a link of an outside writer with the
/// event that it leads to.
pub(crate) const PAGE_BYTES_MOST: usize = PAGE_BYTES + 2 * EVENT_BYTES_MAX + (64 << 10);

/// Bytes that an answer takes in a page beside its own.
pub(crate) const ITEM_BYTES: usize = 64;

/// Quarters of calls, subscriptions and bytes of pages that guests may have. The rest is for those who showed who they
/// are.
pub(crate) const GUESTS_OF_FOUR: usize = 3;

/// Records after which a page ends, matching or not, so that a filter that matches nothing does not keep a thread.
pub(crate) const PAGE_CONSIDERED: usize = 16_384;

/// Bytes of newest records that live subscriptions share. Who falls behind them reads from the log again.
pub(crate) const TAIL_BYTES: usize = 8 << 20;

/// Records that a live subscription takes at a time.
pub(crate) const TAIL_RECORDS: usize = 256;

/// Records that a filtered subscription looks at at a time.
pub(crate) const LOOK_RECORDS: usize = 8_192;

/// What one more subscription to everything, filtered or not, adds to the pause between two wake-ups of all of them.
/// Waking one costs about a tenth of it, so delivery takes a tenth of a processor however many there are.
pub(crate) const PAUSE_PER_SUBSCRIPTION: Duration = Duration::from_micros(200);
/// Longest such pause: what a subscription is late at most.
pub(crate) const PAUSE_MAX: Duration = Duration::from_millis(500);

/// Bytes of a regular expression, and steps that one match may take.
pub(crate) const REGEX_BYTES: usize = 2_048;
/// See [`REGEX_BYTES`].
pub(crate) const REGEX_STEPS: usize = 2_000;

/// Prefixes of one filter.
pub(crate) const PREFIXES: usize = 256;

/// Appends of one BatchAppend call that wait for an answer or for their last message.
pub(crate) const BATCH_PENDING: usize = 256;

/// Bytes of one message that holds no events. The largest that a filter can be is half of it.
pub(crate) const QUESTION_BYTES: usize = 512 << 10;

/// Bytes of a message that asks what the server is: these calls are not counted, and say nothing.
pub(crate) const HELLO_BYTES: usize = 4 << 10;

/// Bytes of appends that BatchAppend calls were sent and that are not answered, of one call and of all of them. A call
/// above its own, and all of them above theirs, are not read on until some are answered.
pub(crate) const BATCH_BYTES: usize = 4 << 20;
/// See [`BATCH_BYTES`].
pub(crate) const BATCHES_BYTES: usize = 64 << 20;

/// BatchAppend calls of those who may not write, whose appends are refused one by one; one more is refused as a whole.
pub(crate) const REFUSED_BATCHES: usize = 32;

/// Bytes of an event that describes a stream: it is read again with each look at the stream.
pub(crate) const METADATA_BYTES: usize = 64 << 10;

/// KiB of appends from outside that are under way at once: a batch of the engine waits for no more than that.
pub(crate) const UNDER_WAY_KIB: u32 = 2_048;

/// How often an append is tried again because a stream's metadata moved meanwhile.
pub(crate) const APPEND_TRIES: usize = 8;

/// Characters of an id as text: a UUID in braces has 38.
pub(crate) const ID_CHARS: usize = 64;

/// Persistent subscriptions that there may be.
pub(crate) const GROUPS: usize = 256;
/// Bytes of the name of one.
pub(crate) const GROUP_NAME_BYTES: usize = 256;
/// Bytes of its filter: each is kept in memory.
pub(crate) const GROUP_FILTER_BYTES: usize = 16 << 10;
/// Events of one that may wait for a consumer without room, while others are given theirs.
pub(crate) const GROUP_WAITING: usize = 1_024;
/// Events that a consumer may have at once, and all consumers together. Each takes some hundred bytes.
pub(crate) const CONSUMER_SLOTS: usize = 2_048;
/// See [`CONSUMER_SLOTS`].
pub(crate) const CONSUMERS_SLOTS: usize = 131_072;
/// Bytes of the reason that a consumer gives for an event it does not handle.
pub(crate) const REASON_BYTES: usize = 1_024;
/// Events of the whole log after which a group is told how far was looked, at least.
pub(crate) const GROUP_WINDOW: u64 = 1_024;
/// Events that are parked with one append.
pub(crate) const PARKED_AT_ONCE: usize = 128;
/// Bytes of them: an append takes about four times that.
pub(crate) const PARKED_BYTES: usize = 256 << 10;
/// Events about groups that are read at a time.
pub(crate) const GROUP_CHANGES: usize = 256;
/// What a group was told and has not looked at: its consumers are not read on meanwhile.
pub(crate) const GROUP_COMMANDS: usize = 64;
/// Characters of what a client calls its connection.
pub(crate) const NAME_CHARS: usize = 64;
