//! Numbers with their units and bounds.
//!
//! A number whose unit is missing is read where the unit can be guessed, with a hint; nothing is rounded.

use std::time::Duration;

use prooflog_events::ids::Wei;

use super::{Bare, Context, Given, Kind, quoted};
use crate::units::{self, SECOND, Unit};

/// A whole number of things.
pub(crate) struct Count {
    pub(crate) least: u64,
    pub(crate) most: u64,
    pub(crate) of: &'static str,
}

/// The id of a chain, if there is one.
pub(crate) struct Id;

/// A small whole number of things.
pub(crate) struct Small {
    pub(crate) least: u32,
    pub(crate) most: u32,
    pub(crate) of: &'static str,
}

/// Percent.
pub(crate) struct Percent {
    pub(crate) least: u32,
    pub(crate) most: u32,
}

/// A TCP port; 0 is any free one.
pub(crate) struct Port;

/// A time in whole seconds.
pub(crate) struct Seconds {
    pub(crate) least: u64,
    pub(crate) most: u64,
}

/// A time in milliseconds.
pub(crate) struct Span {
    pub(crate) least_ms: u64,
    pub(crate) most_ms: u64,
}

/// An amount of the L1's coin.
pub(crate) struct Amount {
    /// Wei in the unit of a bare number; `None` where a unit must be named.
    pub(crate) bare: Option<u128>,
}

/// Bytes.
pub(crate) struct Size {
    pub(crate) least: u64,
    pub(crate) most: u64,
}

fn whole(given: &Given, least: u64, most: u64) -> Result<u64, String> {
    let text = given.one()?;
    let number = match text.strip_prefix("0x") {
        Some(digits) => u64::from_str_radix(digits, 16).ok(),
        None => text.parse().ok(),
    };
    let number = number.ok_or_else(|| format!("{} is not a whole number", quoted(text)))?;
    within(number, least, most, |number| number.to_string())
}

fn within(value: u64, least: u64, most: u64, show: impl Fn(u64) -> String) -> Result<u64, String> {
    if value < least {
        return Err(format!("{} is too little", show(value)));
    }
    if value > most {
        return Err(format!("{} is too much", show(value)));
    }
    Ok(value)
}

/// The bounds in words.
fn bounds(least: u64, most: u64, none: u64, show: impl Fn(u64) -> String) -> String {
    match (least, most) {
        (0, most) if most == none => String::new(),
        (least, most) if most == none => format!(", at least {}", show(least)),
        (0, most) => format!(", at most {}", show(most)),
        (least, most) => format!(", from {} to {}", show(least), show(most)),
    }
}

impl Kind for Count {
    type Value = u64;

    fn read(&self, given: &Given, _: &mut Context) -> Result<u64, String> {
        whole(given, self.least, self.most)
    }

    fn show(&self, value: &u64) -> String {
        value.to_string()
    }

    fn right(&self) -> String {
        format!("a number of {}{}", self.of, bounds(self.least, self.most, u64::MAX, |n| n.to_string()))
    }

    #[cfg(test)]
    fn samples(&self) -> [String; 2] {
        [(self.least + 7).to_string(), (self.least + 13).to_string()]
    }
}

impl Kind for Id {
    type Value = Option<u64>;

    fn read(&self, given: &Given, _: &mut Context) -> Result<Self::Value, String> {
        whole(given, 1, u64::MAX).map(Some)
    }

    fn show(&self, value: &Self::Value) -> String {
        value.map_or_else(String::new, |id| id.to_string())
    }

    fn right(&self) -> String {
        "a chain id: a whole number, at least 1".to_owned()
    }

    #[cfg(test)]
    fn samples(&self) -> [String; 2] {
        ["7".to_owned(), "13".to_owned()]
    }
}

impl Kind for Small {
    type Value = u32;

    fn read(&self, given: &Given, _: &mut Context) -> Result<u32, String> {
        let number = whole(given, self.least.into(), self.most.into())?;
        u32::try_from(number).map_err(|_| "is too much".to_owned())
    }

    fn show(&self, value: &u32) -> String {
        value.to_string()
    }

    fn right(&self) -> String {
        let bounds = bounds(self.least.into(), self.most.into(), u32::MAX.into(), |n| n.to_string());
        format!("a number of {}{bounds}", self.of)
    }

    #[cfg(test)]
    fn samples(&self) -> [String; 2] {
        [(self.least + 7).to_string(), (self.least + 13).to_string()]
    }
}

impl Kind for Percent {
    type Value = u32;

    fn read(&self, given: &Given, _: &mut Context) -> Result<u32, String> {
        let text = given.one()?.trim_end_matches('%').trim_end().to_owned();
        let number = whole(&Given::text(text), self.least.into(), self.most.into())?;
        u32::try_from(number).map_err(|_| "is too much".to_owned())
    }

    fn show(&self, value: &u32) -> String {
        format!("{value}%")
    }

    fn right(&self) -> String {
        format!("percent, from {} to {}", self.least, self.most)
    }

    #[cfg(test)]
    fn samples(&self) -> [String; 2] {
        [format!("{}%", self.least + 7), (self.least + 13).to_string()]
    }
}

impl Kind for Port {
    type Value = u16;

    fn read(&self, given: &Given, _: &mut Context) -> Result<u16, String> {
        let number = whole(given, 0, u16::MAX.into())?;
        u16::try_from(number).map_err(|_| "is too much".to_owned())
    }

    fn show(&self, value: &u16) -> String {
        value.to_string()
    }

    fn right(&self) -> String {
        "a port, at most 65535 (0 takes any free one)".to_owned()
    }

    #[cfg(test)]
    fn samples(&self) -> [String; 2] {
        ["4001".to_owned(), "4002".to_owned()]
    }
}

/// A duration in nanoseconds; a guessed unit leaves a hint.
fn nanos(given: &Given, context: &mut Context) -> Result<u128, String> {
    let text = given.one()?;
    let (nanos, unit) = units::duration(text).map_err(|why| format!("{} {why}", quoted(text)))?;
    if unit == Unit::Bare && nanos != 0 && given.bare == Bare::Guess {
        let shown = units::show_duration(nanos);
        context.hint = Some(format!("has no unit and was taken for seconds: write `{shown}`"));
    }
    Ok(nanos)
}

fn show_seconds(seconds: u64) -> String {
    units::show_duration(u128::from(seconds) * SECOND)
}

fn show_millis(millis: u64) -> String {
    units::show_duration(u128::from(millis) * (SECOND / 1_000))
}

impl Kind for Seconds {
    type Value = u64;

    fn read(&self, given: &Given, context: &mut Context) -> Result<u64, String> {
        let nanos = nanos(given, context)?;
        if !nanos.is_multiple_of(SECOND) {
            return Err("has parts of a second, and takes whole ones".to_owned());
        }
        let seconds = u64::try_from(nanos / SECOND).map_err(|_| "is too much".to_owned())?;
        within(seconds, self.least, self.most, show_seconds)
    }

    fn show(&self, value: &u64) -> String {
        show_seconds(*value)
    }

    fn right(&self) -> String {
        let bounds = bounds(self.least, self.most, u64::MAX, show_seconds);
        format!("a duration such as 12s, 5m or 1h30m{bounds}")
    }

    #[cfg(test)]
    fn samples(&self) -> [String; 2] {
        [format!("{}s", self.least + 7), format!("{}s", self.least + 13)]
    }
}

impl Kind for Span {
    type Value = Duration;

    fn read(&self, given: &Given, context: &mut Context) -> Result<Duration, String> {
        let millis =
            u64::try_from(nanos(given, context)? / (SECOND / 1_000)).map_err(|_| "is too much".to_owned())?;
        within(millis, self.least_ms, self.most_ms, show_millis).map(Duration::from_millis)
    }

    fn show(&self, value: &Duration) -> String {
        units::show_duration(value.as_nanos())
    }

    fn right(&self) -> String {
        let bounds = bounds(self.least_ms, self.most_ms, u64::MAX, show_millis);
        format!("a duration such as 500ms, 12s or 5m{bounds}")
    }

    #[cfg(test)]
    fn samples(&self) -> [String; 2] {
        [format!("{}ms", self.least_ms + 7), format!("{}ms", self.least_ms + 13)]
    }
}

impl Kind for Amount {
    type Value = Wei;

    fn read(&self, given: &Given, context: &mut Context) -> Result<Wei, String> {
        let text = given.one()?;
        let (wei, unit) = units::amount(text, self.bare).map_err(|why| format!("{} {why}", quoted(text)))?;
        if unit == Unit::Bare && wei != 0 && given.bare == Bare::Guess {
            let shown = units::show_amount(wei);
            context.hint = Some(format!("has no unit and was taken for gwei: write `{shown}`"));
        }
        Ok(Wei(wei))
    }

    fn show(&self, value: &Wei) -> String {
        units::show_amount(value.0)
    }

    fn right(&self) -> String {
        "an amount such as 100 gwei, 0.1 ether or 5 wei".to_owned()
    }

    #[cfg(test)]
    fn samples(&self) -> [String; 2] {
        ["7 gwei".to_owned(), "13 gwei".to_owned()]
    }
}

impl Kind for Size {
    type Value = u64;

    fn read(&self, given: &Given, _: &mut Context) -> Result<u64, String> {
        let text = given.one()?;
        let (bytes, _) = units::size(text).map_err(|why| format!("{} {why}", quoted(text)))?;
        let bytes = u64::try_from(bytes).map_err(|_| "is too much".to_owned())?;
        within(bytes, self.least, self.most, units::show_size)
    }

    fn show(&self, value: &u64) -> String {
        units::show_size(*value)
    }

    fn right(&self) -> String {
        let bounds = bounds(self.least, self.most, u64::MAX, units::show_size);
        format!("a size such as 512 MiB or 2 GiB{bounds}")
    }

    #[cfg(test)]
    fn samples(&self) -> [String; 2] {
        [(self.least + 7).to_string(), (self.least + 13).to_string()]
    }
}
