//! Durations as people write them: `90s`, `20m`, `2h30m`, `1d`.
//!
//! Guarantee: what [`format_duration`] writes, [`parse_duration`] reads back unchanged. It knows no months or years.

use std::fmt::Write as _;

use chrono::TimeDelta;

/// Largest accepted length, the largest whole number JSON clients agree on (2^53 - 1 milliseconds).
const MAX_MS: f64 = 9_007_199_254_740_991.0;

/// Longest unit first; the spelling order of [`format_duration`].
const UNITS: [(&str, i64); 5] = [("d", 86_400_000), ("h", 3_600_000), ("m", 60_000), ("s", 1_000), ("ms", 1)];

/// A text that is no duration.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("\"{text}\" is not a duration; write 500ms, 30s, 5m, 2h, 1d or 1h30m")]
pub struct DurationError {
    /// What was written.
    pub text: String,
}

/// Reads a duration: numbers with a unit of `ms`, `s`, `m`, `h` or `d`, one after another without spaces, decimals and
/// any letter case allowed. A single number without a unit is milliseconds. Never negative.
pub fn parse_duration(text: &str) -> Result<TimeDelta, DurationError> {
    let error = || DurationError { text: text.escape_debug().to_string() };
    let lower = text.trim().to_ascii_lowercase();
    let mut rest = lower.as_str();
    let mut total_ms = 0.0_f64;
    let mut segments = 0;
    if rest.is_empty() {
        return Err(error());
    }
    while !rest.is_empty() {
        let (number, after) = take_number(rest).ok_or_else(error)?;
        let unit_length = after.bytes().take_while(u8::is_ascii_alphabetic).count();
        let (unit, after) = after.split_at(unit_length);
        let unit_ms = match UNITS.iter().find(|(name, _)| *name == unit) {
            Some((_, ms)) => *ms,
            None if unit.is_empty() && after.is_empty() && segments == 0 => 1,
            None => return Err(error()),
        };
        #[expect(clippy::cast_precision_loss, reason = "unit lengths are exact in f64")]
        let scale = unit_ms as f64;
        total_ms += number * scale;
        segments += 1;
        rest = after;
    }
    if !total_ms.is_finite() || total_ms > MAX_MS {
        return Err(error());
    }
    #[expect(clippy::cast_possible_truncation, reason = "within 0..=MAX_MS, rounded")]
    let whole = total_ms.round() as i64;
    TimeDelta::try_milliseconds(whole).ok_or_else(error)
}

/// Digits, at most one dot between digits; the rest of the text beside the number.
fn take_number(text: &str) -> Option<(f64, &str)> {
    let digits = |text: &str| text.bytes().take_while(u8::is_ascii_digit).count();
    let whole = digits(text);
    if whole == 0 {
        return None;
    }
    let fraction = text[whole..].strip_prefix('.').map_or(0, |after| digits(after) + 1);
    if fraction == 1 {
        return None;
    }
    let (number, rest) = text.split_at(whole + fraction);
    Some((number.parse().ok()?, rest))
}

/// Writes a duration in the fewest units: `2h30m`, `1m30s`, `500ms`, `0s`. A negative one gets a leading `-`.
pub fn format_duration(duration: TimeDelta) -> String {
    let total = duration.num_milliseconds();
    let mut rest = total.unsigned_abs();
    let mut text = String::new();
    for (name, unit_ms) in UNITS {
        let unit_ms = unit_ms.unsigned_abs();
        let count = rest / unit_ms;
        rest %= unit_ms;
        if count > 0 {
            // Writing to a String cannot fail.
            let _ = write!(text, "{count}{name}");
        }
    }
    match (text.is_empty(), total < 0) {
        (true, _) => "0s".to_owned(),
        (false, true) => format!("-{text}"),
        (false, false) => text,
    }
}

/// How far apart two times are, in the one unit that says enough: `40s`, `12m`, `3h`, `9d`, `5mo`, `6y`. The sign is left
/// out, and what the unit cannot say is cut off. A month is 30.44 days, a year 365.25.
pub fn coarse_duration(distance: TimeDelta) -> String {
    const UNITS: [(&str, i64, i64); 5] = [
        ("s", 1, 60),
        ("m", 60, 3_600),
        ("h", 3_600, 48 * 3_600),
        ("d", 86_400, 60 * 86_400),
        ("mo", 2_630_016, 24 * 2_630_016),
    ];
    let seconds = distance.num_seconds().saturating_abs();
    match UNITS.iter().find(|(_, _, below)| seconds < *below) {
        Some((unit, length, _)) => format!("{}{unit}", seconds / length),
        None => format!("{}y", seconds / 31_557_600),
    }
}
