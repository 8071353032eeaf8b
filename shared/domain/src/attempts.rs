//! How long whoever shows wrong tokens is listened to, and who counts as one.

use std::net::IpAddr;

use chrono::{DateTime, TimeDelta, Utc};

/// How many wrong tokens of one source are compared within [`SPAN`].
pub const TRIES: u32 = 10;
/// How long they are counted from the first one.
pub const SPAN: TimeDelta = TimeDelta::minutes(1);

/// The wrong tokens of one source, of one span.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Wrong {
    since: DateTime<Utc>,
    tokens: u32,
}

impl Wrong {
    /// It with one more at `now`, where `before` is what was counted; a span that is over counts no more.
    #[must_use]
    pub fn after(before: Option<Self>, now: DateTime<Utc>) -> Self {
        let before = before.filter(|wrong| !wrong.is_over(now)).unwrap_or(Self { since: now, tokens: 0 });
        Self { tokens: before.tokens.saturating_add(1), ..before }
    }

    /// Until when its source is not listened to; `None` when it is.
    pub fn refused_until(self, now: DateTime<Utc>) -> Option<DateTime<Utc>> {
        (self.tokens >= TRIES && !self.is_over(now)).then_some(self.since + SPAN)
    }

    /// Whether it counts no more.
    pub fn is_over(self, now: DateTime<Utc>) -> bool {
        now >= self.since + SPAN
    }
}

/// What counts as one source: an IPv4 address, or the 64 bits of an IPv6 address that a provider gives to one customer (RFC
/// 6177); anything else as it is.
pub fn source(address: &str) -> String {
    match address.trim().parse() {
        Ok(IpAddr::V6(address)) if address.to_ipv4_mapped().is_none() => {
            let [a, b, c, d, ..] = address.segments();
            format!("{a:x}:{b:x}:{c:x}:{d:x}::/64")
        }
        Ok(address) => address.to_canonical().to_string(),
        Err(_) => address.to_owned(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn at(second: i64) -> DateTime<Utc> {
        DateTime::UNIX_EPOCH + TimeDelta::seconds(second)
    }

    fn wrong(seconds: impl IntoIterator<Item = i64>) -> Wrong {
        seconds.into_iter().fold(None, |before, second| Some(Wrong::after(before, at(second)))).unwrap()
    }

    #[test]
    fn after_ten_wrong_tokens_a_source_is_not_listened_to_until_its_minute_is_over() {
        assert_eq!(wrong(0..9).refused_until(at(9)), None);
        let ten = wrong(0..10);
        assert_eq!(ten.refused_until(at(10)), Some(at(60)));
        assert_eq!(ten.refused_until(at(60)), None);
        assert_eq!(Wrong::after(Some(ten), at(60)).refused_until(at(61)), None, "a new minute begins with one");
    }

    #[test]
    fn wrong_tokens_that_are_far_apart_do_not_add_up() {
        assert_eq!(wrong((0..30).map(|minute| minute * 60)).refused_until(at(29 * 60)), None);
    }

    #[test]
    fn one_customer_is_one_source() {
        assert_eq!(source("203.0.113.9"), "203.0.113.9");
        assert_eq!(source("::ffff:203.0.113.9"), "203.0.113.9");
        assert_eq!(source("2001:db8:1:2:aaaa::1"), source("2001:db8:1:2:bbbb::9"));
        assert_ne!(source("2001:db8:1:2::1"), source("2001:db8:1:3::1"));
        assert_eq!(source("somewhere"), "somewhere");
    }
}
