//! Who shows wrong tokens is not listened to for a while.
//!
//! Guarantee: of one source, an instance of a function compares at most [`TRIES`] wrong tokens in [`SPAN`]; after that nothing
//! of it is compared, right or wrong, until the span is over. A right token costs no call and no row. Each instance counts for
//! itself and forgets when it ends, so with n instances a source has n times as many tries: enough against guessing, since
//! what is guessed is long, and against paying for it.

use std::collections::HashMap;
use std::net::IpAddr;
use std::sync::{Mutex, MutexGuard, PoisonError};

use chrono::{DateTime, TimeDelta, Utc};

/// How many wrong tokens of one source are compared within [`SPAN`].
pub const TRIES: u32 = 10;
/// How long they are counted from the first one.
pub const SPAN: TimeDelta = TimeDelta::minutes(1);
/// How many sources are remembered at most; those whose span is over go first.
const SOURCES: usize = 10_000;

/// The wrong tokens that one instance has seen lately.
#[derive(Debug, Default)]
pub struct Attempts {
    sources: Mutex<HashMap<String, Wrong>>,
}

#[derive(Debug, Clone, Copy)]
struct Wrong {
    since: DateTime<Utc>,
    tokens: u32,
}

impl Attempts {
    /// Until when `source` is not listened to; `None` when it is.
    pub fn refused_until(&self, source: &str, now: DateTime<Utc>) -> Option<DateTime<Utc>> {
        let wrong = *self.sources().get(source)?;
        let until = wrong.since + SPAN;
        (wrong.tokens >= TRIES && now < until).then_some(until)
    }

    /// Counts a wrong token of `source`.
    pub fn failed(&self, source: &str, now: DateTime<Utc>) {
        let mut sources = self.sources();
        if sources.len() >= SOURCES && !sources.contains_key(source) {
            sources.retain(|_, wrong| now < wrong.since + SPAN);
            if sources.len() >= SOURCES {
                // So many sources at once are one attack: what is forgotten is a few of its own tries.
                sources.clear();
            }
        }
        let wrong = sources.entry(source.to_owned()).or_insert(Wrong { since: now, tokens: 0 });
        if now >= wrong.since + SPAN {
            *wrong = Wrong { since: now, tokens: 0 };
        }
        wrong.tokens += 1;
    }

    fn sources(&self) -> MutexGuard<'_, HashMap<String, Wrong>> {
        self.sources.lock().unwrap_or_else(PoisonError::into_inner)
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

    #[test]
    fn after_ten_wrong_tokens_a_source_is_not_listened_to_until_its_minute_is_over() {
        let attempts = Attempts::default();
        for second in 0..9 {
            attempts.failed("a", at(second));
        }
        assert_eq!(attempts.refused_until("a", at(9)), None);
        attempts.failed("a", at(9));
        assert_eq!(attempts.refused_until("a", at(10)), Some(at(60)));
        assert_eq!(attempts.refused_until("b", at(10)), None);
        assert_eq!(attempts.refused_until("a", at(60)), None);
        attempts.failed("a", at(60));
        assert_eq!(attempts.refused_until("a", at(61)), None, "a new minute begins with one");
    }

    #[test]
    fn wrong_tokens_that_are_far_apart_do_not_add_up() {
        let attempts = Attempts::default();
        for minute in 0..30 {
            attempts.failed("a", at(minute * 60));
            assert_eq!(attempts.refused_until("a", at(minute * 60)), None);
        }
    }

    #[test]
    fn what_is_remembered_is_bounded() {
        let attempts = Attempts::default();
        for source in 0..SOURCES + 5 {
            attempts.failed(&source.to_string(), at(0));
        }
        assert!(attempts.sources().len() <= SOURCES);
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
