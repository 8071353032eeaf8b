//! `Retry-After` (RFC 9110, section 10.2.3): seconds, or an HTTP date.

use chrono::{DateTime, TimeDelta, Utc};
use http::HeaderMap;
use http::header::RETRY_AFTER;

/// Longest wait taken from a header: a day. What asks for more is asked again after that.
const LONGEST: TimeDelta = TimeDelta::days(1);

/// How long `headers` ask to wait, from `now`; `None` when they say nothing that can be read.
pub fn retry_after(headers: &HeaderMap, now: DateTime<Utc>) -> Option<TimeDelta> {
    let text = headers.get(RETRY_AFTER)?.to_str().ok()?.trim();
    let wait = match text.parse::<u32>() {
        Ok(seconds) => TimeDelta::seconds(seconds.into()),
        Err(_) => DateTime::parse_from_rfc2822(text).ok()?.to_utc() - now,
    };
    Some(wait.clamp(TimeDelta::zero(), LONGEST))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn retry_after_reads_seconds_and_dates_and_nothing_else() {
        let now = DateTime::parse_from_rfc3339("2026-11-20T07:00:00Z").unwrap().to_utc();
        let read = |text: &str| {
            let mut headers = HeaderMap::new();
            headers.insert(RETRY_AFTER, text.parse().unwrap());
            retry_after(&headers, now)
        };
        assert_eq!(read("2"), Some(TimeDelta::seconds(2)));
        assert_eq!(read("Fri, 20 Nov 2026 07:00:30 GMT"), Some(TimeDelta::seconds(30)));
        assert_eq!(read("Fri, 20 Nov 2026 06:00:00 GMT"), Some(TimeDelta::zero()));
        assert_eq!(read("4000000000"), Some(LONGEST));
        assert_eq!(read("soon"), None);
        assert_eq!(retry_after(&HeaderMap::new(), now), None);
    }
}
