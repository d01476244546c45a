//! What operators are told of a group: how it works, how far it came, and who its consumers are.
//!
//! Places are texts, as clients read them: a revision, or `C:position/P:position`. What a crash means: counts begin anew.

use std::time::Instant;

use super::definition::{Definition, Settings};
use super::delivery::Consumer;
use crate::request::From;
use crate::wire::persistent_subscriptions::SubscriptionInfo;
use crate::wire::persistent_subscriptions::subscription_info::ConnectionInfo;

/// A count that is measured from time to time.
#[derive(Debug, Clone, Default)]
pub(crate) struct Measured {
    last: Option<(Instant, u64)>,
}

impl Measured {
    /// What came since the last measurement, and how many that is in a second.
    pub(crate) fn measure(&mut self, count: u64) -> (u64, u64) {
        let now = Instant::now();
        let (since, before) = self.last.replace((now, count)).unwrap_or((now, 0));
        let new = count.saturating_sub(before);
        let millis = u64::try_from(now.saturating_duration_since(since).as_millis()).unwrap_or(u64::MAX);
        (new, new.saturating_mul(1_000).checked_div(millis).unwrap_or(0))
    }
}

/// What is known of a consumer's connection.
#[derive(Debug, Clone, Default)]
pub(crate) struct Seen {
    /// Its address.
    pub(crate) from: String,
    /// What its client calls the connection.
    pub(crate) connection: String,
}

impl Seen {
    pub(crate) fn tell(&self, consumer: &Consumer, measured: &mut Measured) -> ConnectionInfo {
        let (since, per_second) = measured.measure(consumer.given);
        ConnectionInfo {
            from: self.from.clone(),
            username: consumer.user.clone(),
            average_items_per_second: narrow(per_second),
            total_items: number(consumer.given),
            count_since_last_measurement: number(since),
            observed_measurements: Vec::new(),
            available_slots: narrow(consumer.slots.saturating_sub(consumer.held()) as u64),
            in_flight_messages: narrow(consumer.held() as u64),
            connection_name: self.connection.clone(),
        }
    }
}

/// How far a group came.
#[derive(Debug, Default)]
pub(crate) struct Progress {
    pub(crate) consumers: Vec<ConnectionInfo>,
    pub(crate) given: u64,
    pub(crate) since: u64,
    pub(crate) per_second: u64,
    /// Everything below is done, as a restart would find it.
    pub(crate) saved: u64,
    /// The next of the source.
    pub(crate) next: u64,
    pub(crate) out: usize,
    pub(crate) again: usize,
    pub(crate) is_replaying: bool,
}

impl Progress {
    /// Who consumes, and from where, is for who operates.
    pub(crate) fn hide_who(&mut self) {
        for consumer in &mut self.consumers {
            consumer.from.clear();
            consumer.username.clear();
            consumer.connection_name.clear();
        }
    }
}

/// What is told of a group whose source goes on with `end`, and of which so many are parked.
pub(crate) fn tell(group: &Definition, progress: Progress, end: u64, parked: u64) -> SubscriptionInfo {
    let Settings {
        resolve_links,
        extra_statistics,
        message_timeout_ms,
        max_retry_count,
        checkpoint_after_ms,
        min_checkpoint_count,
        max_checkpoint_count,
        max_subscriber_count,
        live_buffer_size,
        read_batch_size,
        history_buffer_size,
        strategy,
    } = group.settings;
    // Positions begin with 1 and revisions with 0: before the first there is none.
    let first = u64::from(group.key.is_all());
    let place = |at: i128| if group.key.is_all() { format!("C:{at}/P:{at}") } else { at.to_string() };
    let last = |next: u64| if next > first { place(i128::from(next) - 1) } else { String::new() };
    let status = match () {
        () if progress.is_replaying => "ReplayingParkedMessages",
        () if progress.next >= end => "Live",
        () => "Behind",
    };
    SubscriptionInfo {
        event_source: group.key.source.clone(),
        group_name: group.key.group.clone(),
        status: status.to_owned(),
        connections: progress.consumers,
        average_per_second: narrow(progress.per_second),
        total_items: number(progress.given),
        count_since_last_measurement: number(progress.since),
        last_checkpointed_event_position: last(progress.saved),
        last_known_event_position: last(end),
        resolve_link_tos: resolve_links,
        start_from: match group.start {
            From::Start => place(0),
            From::End => place(-1),
            From::At(at) => place(i128::from(at)),
        },
        message_timeout_milliseconds: narrow(message_timeout_ms.into()),
        extra_statistics,
        max_retry_count: narrow(max_retry_count.into()),
        live_buffer_size: narrow(live_buffer_size.into()),
        buffer_size: narrow(history_buffer_size.into()),
        read_batch_size: narrow(read_batch_size.into()),
        check_point_after_milliseconds: narrow(checkpoint_after_ms.into()),
        min_check_point_count: narrow(min_checkpoint_count.into()),
        max_check_point_count: narrow(max_checkpoint_count.into()),
        read_buffer_count: 0,
        live_buffer_count: 0,
        retry_buffer_count: narrow(progress.again as u64),
        total_in_flight_messages: narrow(progress.out as u64),
        outstanding_messages_count: narrow(progress.out as u64),
        named_consumer_strategy: strategy.name().to_owned(),
        max_subscriber_count: narrow(max_subscriber_count.into()),
        parked_message_count: number(parked),
    }
}

fn narrow(number: u64) -> i32 {
    i32::try_from(number).unwrap_or(i32::MAX)
}

fn number(number: u64) -> i64 {
    i64::try_from(number).unwrap_or(i64::MAX)
}
