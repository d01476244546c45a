//! Limits of the log, each with its unit and its reason.
//!
//! A limit that is met is an error with a name, never a truncation. Sizes are bytes as they are stored. Raising one is
//! compatible, lowering one is not: records that were legal stay readable.

/// Most events in one batch: what one decision may write before the next input has its turn.
pub const BATCH_EVENTS_MAX: usize = 512;

/// Most bytes of records in one batch. One synced write of this size stays below 3 ms on an ordinary disk.
pub const BATCH_BYTES_MAX: usize = 1 << 20;

/// Most bytes of one event: payload, metadata and texts together. What is larger belongs into a blob.
pub const EVENT_BYTES_MAX: usize = 1 << 20;

/// Most bytes of the input that a batch carries as its cause. Inputs hold digests instead of bodies.
pub const INPUT_BYTES_MAX: usize = 64 << 10;

/// Most bytes of an event's or an input's type name.
pub const TYPE_NAME_BYTES_MAX: usize = 256;

/// Most bytes of a stream's name. It stands in every index key, so it is kept short.
pub const STREAM_NAME_BYTES_MAX: usize = 1_024;

/// Most bytes of an actor's name or a correlation id: room for a stream name, which is what native ones are.
pub const LABEL_BYTES_MAX: usize = STREAM_NAME_BYTES_MAX;

/// Most bytes of one blob: six times the largest proof seen, and what one request may hold in memory.
pub const BLOB_BYTES_MAX: usize = 128 << 20;

/// Largest blob that may travel in the batch that names it. A larger one is stored before, beside the writer, because
/// a commit waits for every byte of its write.
pub const BLOB_INLINE_BYTES_MAX: usize = 64 << 10;

/// Bytes of one piece of a stored blob: a commit that meets the writing of a large blob waits for one piece at most.
pub const BLOB_PIECE_BYTES: usize = 256 << 10;

/// Event ids that are remembered for idempotence: a client repeats within seconds, and this is minutes at full speed.
pub const IDEMPOTENCE_WINDOW: usize = 65_536;

/// Appends that may wait for the writer, of the engine or from outside, before the next one is refused as busy.
pub const QUEUE_APPENDS_MAX: usize = 8_192;

/// Bytes that may wait for the writer, of the engine or from outside, before the next append is refused as busy.
pub const QUEUE_BYTES_MAX: usize = 64 << 20;

/// Bytes of records that are sequenced ahead of the write in progress; they become the next commit together.
pub const GROUP_BYTES_MAX: usize = 4 << 20;

/// Bytes of appends from outside that one commit takes; the last of them may exceed it. An append of the engine waits
/// for the commit under way and its own, so this bounds what outsiders add to a decision.
pub const GROUP_OUTSIDE_BYTES_MAX: usize = 256 << 10;

/// Records that are sequenced ahead of the write in progress.
pub const GROUP_RECORDS_MAX: usize = 8_192;

/// Newest records kept in memory for followers, in bytes. Whoever falls further behind reads from the store again.
pub const TAIL_BYTES_MAX: usize = 8 << 20;

/// Stream heads remembered by the writer, twice this number at most. Must exceed [`GROUP_RECORDS_MAX`], because the
/// heads of records that are not yet written are known nowhere else.
pub const HEADS_REMEMBERED: usize = 65_536;

/// Most bytes of one snapshot of a projection.
pub const SNAPSHOT_BYTES_MAX: usize = 1 << 30;

const _: () = assert!(HEADS_REMEMBERED > GROUP_RECORDS_MAX && IDEMPOTENCE_WINDOW > GROUP_RECORDS_MAX);
const _: () = assert!(EVENT_BYTES_MAX <= BATCH_BYTES_MAX && BLOB_INLINE_BYTES_MAX <= BLOB_PIECE_BYTES);
