//! Texts of times, amounts and sizes, read as whole numbers.
//!
//! Every reader is total: any text gives a number or a reason, none of which repeats the text. Numbers may have a
//! decimal fraction where the unit has room for it; nothing is rounded.

/// Nanoseconds in a second.
pub(crate) const SECOND: u128 = 1_000_000_000;

const TIMES: [(&str, u128); 8] = [
    ("ns", 1),
    ("us", 1_000),
    ("µs", 1_000),
    ("ms", 1_000_000),
    ("s", SECOND),
    ("m", 60 * SECOND),
    ("h", 3_600 * SECOND),
    ("d", 86_400 * SECOND),
];

const AMOUNTS: [(&str, u128); 4] = [("wei", 1), ("gwei", 1_000_000_000), ("ether", ETHER), ("eth", ETHER)];

const ETHER: u128 = 1_000_000_000_000_000_000;

const SIZES: [(&str, u128); 12] = [
    ("b", 1),
    ("k", 1 << 10),
    ("kb", 1_000),
    ("kib", 1 << 10),
    ("m", 1 << 20),
    ("mb", 1_000_000),
    ("mib", 1 << 20),
    ("g", 1 << 30),
    ("gb", 1_000_000_000),
    ("gib", 1 << 30),
    ("tb", 1_000_000_000_000),
    ("tib", 1 << 40),
];

/// A number, and whether its unit had to be guessed.
pub(crate) type Read = Result<(u128, Unit), &'static str>;

/// Where the unit of a number came from.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Unit {
    /// The text named it.
    Named,
    /// The text was a bare number.
    Bare,
}

/// Nanoseconds of a Go-style duration such as `1h30m`; a bare number is seconds.
pub(crate) fn duration(text: &str) -> Read {
    let text = text.trim();
    if text.is_empty() {
        return Err("is empty");
    }
    if text.bytes().all(|byte| byte.is_ascii_digit()) {
        return Ok((scaled(text, SECOND)?, Unit::Bare));
    }
    let mut rest = text;
    let mut sum: u128 = 0;
    while !rest.is_empty() {
        let (number, tail) = split_number(rest);
        let end = tail.find(|c: char| c.is_ascii_digit() || c == '.').unwrap_or(tail.len());
        let (unit, tail) = tail.split_at_checked(end).ok_or("is not a duration")?;
        if unit.is_empty() {
            return Err("ends with a number without a unit");
        }
        let scale = find(&TIMES, unit).ok_or("has an unknown unit of time")?;
        sum = sum.checked_add(scaled(number, scale)?).ok_or("is too large")?;
        rest = tail;
    }
    Ok((sum, Unit::Named))
}

/// Wei of an amount such as `1.5 gwei`; a bare number is in units of `bare` wei.
pub(crate) fn amount(text: &str, bare: Option<u128>) -> Read {
    measured(text, &AMOUNTS, bare, "has an unknown unit, or none")
}

/// Bytes of a size such as `64 MiB`; a bare number is bytes.
pub(crate) fn size(text: &str) -> Read {
    let (bytes, _) = measured(text, &SIZES, Some(1), "has an unknown unit")?;
    Ok((bytes, Unit::Named))
}

fn measured(text: &str, units: &[(&str, u128)], bare: Option<u128>, unknown: &'static str) -> Read {
    let (number, unit) = split_number(text.trim());
    let unit = unit.trim();
    if unit.is_empty() {
        return Ok((scaled(number, bare.ok_or("has no unit")?)?, Unit::Bare));
    }
    let scale = find(units, &unit.to_ascii_lowercase()).ok_or(unknown)?;
    Ok((scaled(number, scale)?, Unit::Named))
}

fn find(units: &[(&str, u128)], name: &str) -> Option<u128> {
    units.iter().find(|(known, _)| *known == name).map(|(_, scale)| *scale)
}

/// What of the text is a number, and what follows.
fn split_number(text: &str) -> (&str, &str) {
    let end = text.find(|c: char| !c.is_ascii_digit() && c != '.').unwrap_or(text.len());
    text.split_at_checked(end).unwrap_or((text, ""))
}

/// A decimal number times `scale`, exactly.
fn scaled(number: &str, scale: u128) -> Result<u128, &'static str> {
    let (whole, fraction) = number.split_once('.').unwrap_or((number, ""));
    if whole.is_empty() && fraction.is_empty() {
        return Err("has no number");
    }
    if fraction.contains('.') {
        return Err("has a number with two points");
    }
    let digits = |text: &str| match text {
        "" => Ok(0),
        text => text.parse::<u128>().map_err(|_| "is too large"),
    };
    let whole = digits(whole)?.checked_mul(scale).ok_or("is too large")?;
    let fraction = fraction.trim_end_matches('0');
    let places = u32::try_from(fraction.len()).map_err(|_| "is too precise")?;
    let divisor = 10_u128.checked_pow(places).ok_or("is too precise")?;
    let part = digits(fraction)?.checked_mul(scale).ok_or("is too precise")?;
    if !part.is_multiple_of(divisor) {
        return Err("is more precise than its unit allows");
    }
    whole.checked_add(part / divisor).ok_or("is too large")
}

/// A time as people write it: days to seconds, without parts that are zero.
pub(crate) fn show_duration(nanos: u128) -> String {
    if nanos == 0 {
        return "0s".to_owned();
    }
    let mut rest = nanos;
    let mut text = String::new();
    for (unit, scale) in [TIMES[7], TIMES[6], TIMES[5], TIMES[4], TIMES[3], TIMES[1], TIMES[0]] {
        if rest >= scale {
            text.push_str(&format!("{}{unit}", rest / scale));
            rest %= scale;
        }
    }
    text
}

/// An amount in the largest unit in which it is a short number.
pub(crate) fn show_amount(wei: u128) -> String {
    let in_unit = |scale: u128| (wei != 0 && wei.is_multiple_of(scale)).then(|| wei / scale);
    if let Some(thousandths) = in_unit(ETHER / 1_000) {
        let (whole, part) = (thousandths / 1_000, thousandths % 1_000);
        if part == 0 {
            return format!("{whole} ether");
        }
        return format!("{whole}.{} ether", format!("{part:03}").trim_end_matches('0'));
    }
    match in_unit(1_000_000_000) {
        Some(gwei) => format!("{gwei} gwei"),
        None => format!("{wei} wei"),
    }
}

/// A size in the largest binary unit in which it is whole.
pub(crate) fn show_size(bytes: u64) -> String {
    for (unit, scale) in [("TiB", 1 << 40), ("GiB", 1 << 30), ("MiB", 1 << 20), ("KiB", 1_u64 << 10)] {
        if bytes != 0 && bytes.is_multiple_of(scale) {
            return format!("{} {unit}", bytes / scale);
        }
    }
    format!("{bytes} B")
}

#[cfg(test)]
mod tests {
    #![expect(clippy::unwrap_used, reason = "tests")]
    use proptest::prelude::*;

    use super::*;

    #[test]
    fn durations_are_written_as_in_go() {
        for (text, seconds) in
            [("12s", 12), ("5m", 300), ("1h30m", 5_400), ("1.5h", 5_400), ("14d", 1_209_600)]
        {
            assert_eq!(duration(text), Ok((seconds * SECOND, Unit::Named)), "{text}");
        }
        assert_eq!(duration("60"), Ok((60 * SECOND, Unit::Bare)));
        assert_eq!(duration("250ms"), Ok((SECOND / 4, Unit::Named)));
        for text in
            ["", "s", "1h30", "-5s", "5 parsecs", "1..5s", "99999999999999999999999999999999999999999s"]
        {
            assert!(duration(text).is_err(), "{text}");
        }
    }

    #[test]
    fn amounts_have_units_and_are_exact() {
        let gwei = Some(1_000_000_000);
        assert_eq!(amount("100 gwei", None), Ok((100_000_000_000, Unit::Named)));
        assert_eq!(amount("0.1ether", None), Ok((ETHER / 10, Unit::Named)));
        assert_eq!(amount("7 wei", None), Ok((7, Unit::Named)));
        assert_eq!(amount("100.0", gwei), Ok((100_000_000_000, Unit::Bare)));
        assert!(amount("0.1 wei", None).is_err(), "there is no tenth of a wei");
        assert!(amount("5", None).is_err() && amount("5 dollars", gwei).is_err());
    }

    #[test]
    fn sizes_have_binary_and_decimal_units() {
        assert_eq!(size("64 MiB"), Ok((64 << 20, Unit::Named)));
        assert_eq!(size("2gb"), Ok((2_000_000_000, Unit::Named)));
        assert_eq!(size("512"), Ok((512, Unit::Named)));
        assert!(size("many").is_err());
    }

    proptest! {
        #[test]
        fn no_text_makes_a_reader_panic(text in ".{0,40}|[0-9.]{0,60}[a-zµ ]{0,5}[0-9.hms]{0,10}") {
            let _ = (duration(&text), amount(&text, None), amount(&text, Some(1_000_000_000)), size(&text));
        }

        #[test]
        fn what_is_shown_reads_back(value in any::<u64>(), shift in 0_u32..64) {
            let value = value >> shift;
            prop_assert_eq!(duration(&show_duration(value.into())).unwrap().0, u128::from(value));
            prop_assert_eq!(amount(&show_amount(value.into()), None).unwrap().0, u128::from(value));
            prop_assert_eq!(size(&show_size(value)).unwrap().0, u128::from(value));
        }
    }
}
