//! Spreading jobs that would all start on the hour.
//!
//! Guarantee: a job's offset depends on its id and its window only, so it is the same after every restart and deploy.

use chrono::TimeDelta;
use sha2::{Digest, Sha256};

use super::{Schedule, cron};

/// The window of a top-of-hour expression that names none: five minutes.
pub const DEFAULT_STAGGER_MS: u64 = 300_000;

/// Longest window somebody may ask for: a day.
pub(super) const MAX_STAGGER_MS: u64 = 86_400_000;

/// The window a schedule's start is spread over: what it says, else [`DEFAULT_STAGGER_MS`] for an expression that fires
/// at minute 0 with a wildcard hour (`0 * * * *`, `0 */2 * * *`, `@hourly`), else 0.
pub fn stagger_ms(schedule: &Schedule) -> u64 {
    match schedule {
        Schedule::At { .. } | Schedule::Every { .. } => 0,
        Schedule::Cron { stagger_ms: Some(ms), .. } => *ms,
        Schedule::Cron { expr, stagger_ms: None, .. } => default_stagger_ms(expr),
    }
}

/// The window of an expression without one of its own; 0 for one that does not parse.
pub(super) fn default_stagger_ms(expr: &str) -> u64 {
    let top_of_hour = cron::parse(expr).is_ok_and(|parsed| {
        let pattern = &parsed.pattern;
        pattern.seconds.values() == [0] && pattern.minutes.values() == [0] && pattern.hours.from_wildcard
    });
    if top_of_hour { DEFAULT_STAGGER_MS } else { 0 }
}

/// How long after its occurrence a job starts: the first four bytes (big endian) of the SHA-256 of the job's id, modulo
/// the window. The same as `OpenClaw`'s, so that an imported job keeps its time.
pub fn stagger_offset(job_id: &str, stagger_ms: u64) -> TimeDelta {
    if stagger_ms == 0 {
        return TimeDelta::zero();
    }
    let digest = Sha256::digest(job_id.as_bytes());
    let head = u32::from_be_bytes([digest[0], digest[1], digest[2], digest[3]]);
    // Below 2^32, so it fits i64.
    let offset = u64::from(head) % stagger_ms;
    TimeDelta::milliseconds(i64::try_from(offset).unwrap_or(0))
}
