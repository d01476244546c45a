//! Lines of `key=value` pairs, as log collectors of the OP Stack read them.

use std::fmt;
use std::time::{SystemTime, UNIX_EPOCH};

use tracing::field::{Field, Visit};
use tracing::{Event, Subscriber};
use tracing_subscriber::field::RecordFields;
use tracing_subscriber::fmt::format::Writer;
use tracing_subscriber::fmt::time::{FormatTime as _, SystemTime as Timestamp};
use tracing_subscriber::fmt::{FmtContext, FormatEvent, FormatFields, FormattedFields};
use tracing_subscriber::registry::LookupSpan;

/// One event, one line.
pub(crate) struct Logfmt;

/// The fields of an event or a span.
pub(crate) struct Fields;

struct Pairs<'a, 'w> {
    out: &'a mut Writer<'w>,
    result: fmt::Result,
    is_first: bool,
}

impl Pairs<'_, '_> {
    fn pair(&mut self, key: &str, value: &str) {
        if self.result.is_err() {
            return;
        }
        let space = if self.is_first { "" } else { " " };
        self.is_first = false;
        let key = if key == "message" { "msg" } else { key };
        self.result = if is_plain(value) {
            write!(self.out, "{space}{key}={value}")
        } else {
            write!(self.out, "{space}{key}={value:?}")
        };
    }
}

/// Whether a value needs no quotes.
fn is_plain(value: &str) -> bool {
    !value.is_empty() && value.chars().all(|c| c.is_ascii_graphic() && !matches!(c, '"' | '=' | '\\'))
}

impl Visit for Pairs<'_, '_> {
    fn record_str(&mut self, field: &Field, value: &str) {
        self.pair(field.name(), value);
    }

    fn record_debug(&mut self, field: &Field, value: &dyn fmt::Debug) {
        self.pair(field.name(), &format!("{value:?}"));
    }
}

impl<'w> FormatFields<'w> for Fields {
    fn format_fields<R: RecordFields>(&self, mut out: Writer<'w>, fields: R) -> fmt::Result {
        let mut pairs = Pairs { out: &mut out, result: Ok(()), is_first: true };
        fields.record(&mut pairs);
        pairs.result
    }
}

impl<S> FormatEvent<S, Fields> for Logfmt
where
    S: Subscriber + for<'a> LookupSpan<'a>,
{
    fn format_event(
        &self,
        context: &FmtContext<'_, S, Fields>,
        mut out: Writer<'_>,
        event: &Event<'_>,
    ) -> fmt::Result {
        out.write_str("t=")?;
        if Timestamp.format_time(&mut out).is_err() {
            let since = SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default();
            write!(out, "{}", since.as_secs())?;
        }
        let level = event.metadata().level().as_str().to_ascii_lowercase();
        write!(out, " lvl={level} target={} ", event.metadata().target())?;
        context.field_format().format_fields(out.by_ref(), event)?;
        for span in context.event_scope().into_iter().flatten() {
            let extensions = span.extensions();
            if let Some(fields) = extensions.get::<FormattedFields<Fields>>()
                && !fields.is_empty()
            {
                write!(out, " {fields}")?;
            }
        }
        writeln!(out)
    }
}
