//! The wrong tokens that one instance of a function has seen lately; [`nightshift_domain::attempts`] judges them.
//!
//! Guarantee: a right token costs no call and no row, and what is remembered is bounded. Each instance counts for itself and
//! forgets when it ends, so with n instances a source has n times as many tries: enough against guessing, since what is
//! guessed is long, and against paying for it.

use std::collections::HashMap;
use std::sync::{Mutex, MutexGuard, PoisonError};

use chrono::{DateTime, Utc};
use nightshift_domain::attempts::Wrong;

/// How many sources are remembered at most; those whose span is over go first.
const SOURCES: usize = 10_000;

/// The wrong tokens of every source.
#[derive(Debug, Default)]
pub struct Attempts {
    sources: Mutex<HashMap<String, Wrong>>,
}

impl Attempts {
    /// Until when `source` is not listened to; `None` when it is.
    pub fn refused_until(&self, source: &str, now: DateTime<Utc>) -> Option<DateTime<Utc>> {
        self.sources().get(source)?.refused_until(now)
    }

    /// Counts a wrong token of `source`.
    pub fn failed(&self, source: &str, now: DateTime<Utc>) {
        let mut sources = self.sources();
        if sources.len() >= SOURCES && !sources.contains_key(source) {
            sources.retain(|_, wrong| !wrong.is_over(now));
            if sources.len() >= SOURCES {
                // So many sources at once are one attack: what is forgotten is a few of its own tries.
                sources.clear();
            }
        }
        let wrong = Wrong::after(sources.get(source).copied(), now);
        sources.insert(source.to_owned(), wrong);
    }

    fn sources(&self) -> MutexGuard<'_, HashMap<String, Wrong>> {
        self.sources.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

#[cfg(test)]
mod tests {
    use chrono::TimeDelta;
    use nightshift_domain::attempts::{SPAN, TRIES};

    use super::*;

    #[test]
    fn one_sources_tries_are_not_anothers() {
        let (attempts, now) = (Attempts::default(), DateTime::UNIX_EPOCH);
        for _ in 0..TRIES {
            assert_eq!(attempts.refused_until("a", now), None);
            attempts.failed("a", now);
        }
        assert_eq!(attempts.refused_until("a", now), Some(now + SPAN));
        assert_eq!(attempts.refused_until("b", now), None);
    }

    #[test]
    fn what_is_remembered_is_bounded_and_what_is_over_goes_first() {
        let (attempts, now) = (Attempts::default(), DateTime::UNIX_EPOCH);
        for source in 1..SOURCES {
            attempts.failed(&source.to_string(), now);
        }
        attempts.failed("late", now + SPAN);
        attempts.failed("later", now + SPAN + TimeDelta::seconds(1));
        assert_eq!(attempts.sources().len(), 2);
    }
}
