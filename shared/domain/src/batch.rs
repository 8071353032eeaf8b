//! A batch, from the intent to create it to its end, and when to look at it.

use chrono::{DateTime, TimeDelta, Utc};
use serde::{Deserialize, Serialize};
use sha2::{Digest, Sha256};

use crate::AttemptId;
use crate::job::OnTimeout;

mod collect;
mod roll;

pub use collect::{BODY_BYTES, Caps, Collected, MOST_ROWS, SHORTEST, Window, WindowId, row_bytes, split, window_of};
pub use roll::{MOST_LISTED, Marks, Member, Roll, place_of};

/// How long a create may stay without an answer before it is taken for not done (DESIGN §5.4).
pub const CREATE_SETTLES_AFTER: TimeDelta = TimeDelta::minutes(10);
/// The clocks' disagreement tolerated when a batch is looked for by its creation time.
pub const CLOCK_SKEW: TimeDelta = TimeDelta::seconds(60);
/// How long after its intent was written a create may still be sent. Whoever waits longer, for a key or a service that
/// hangs, lets it be: those who look for the batch would look for it earlier, or would have given it up.
pub const CREATE_SENT_WITHIN: TimeDelta = TimeDelta::seconds(30);
/// How long a create may take over HTTP.
pub const CREATE_TIMEOUT: TimeDelta = TimeDelta::seconds(60);
/// The delay of the timer that is armed before the create.
pub const FIRST_POLL: TimeDelta = TimeDelta::minutes(2);
/// Least time ahead of a timer that a function arms (Lambda counts direct loops; Scheduler's precision is a minute).
pub const LEAST_AHEAD: TimeDelta = TimeDelta::seconds(60);

const LADDER_START_MS: f64 = 60_000.0;
const LADDER_FACTOR: f64 = 1.5;
const LADDER_TOP_MS: f64 = 900_000.0;

/// A batch of ours.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct Batch {
    /// Our id, made before Anthropic's.
    pub id: AttemptId,
    /// The provider's name in the configuration.
    pub provider: String,
    /// How it stands.
    pub state: BatchState,
    /// Its rows.
    pub members: Roll,
    /// Those whose outcome has been handed to their runs, as far as was noted: a repeat finds the others' runs moved on.
    #[serde(default, skip_serializing_if = "Marks::is_empty")]
    pub settled: Marks,
    /// SHA-256 of the rows' `custom_id`s and bodies, for a person who has to compare.
    pub digest: String,
    /// When its create was about to be sent.
    pub started_at: DateTime<Utc>,
    /// When the first of its members that still waits has waited long enough.
    pub deadline: DateTime<Utc>,
    /// What they want then.
    pub on_timeout: OnTimeout,
    /// How many polls were armed.
    pub polls: u32,
    /// When the armed poll is due.
    pub next_poll_at: DateTime<Utc>,
    /// The invocation that sends its create, where several might: the write that names it is the right to send it.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub creator: Option<String>,
    /// Whether some of its members may not have been told yet that it exists.
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    pub untold: bool,
    /// Batches of the provider that were taken for it and proved not to be.
    #[serde(default)]
    pub rejected: Vec<String>,
    /// When it was last seen at the provider.
    #[serde(default)]
    pub checked_at: Option<DateTime<Utc>>,
    /// When it was first seen to have ended: from then on its rows are waited for, and it is never taken for gone.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub ended_at: Option<DateTime<Utc>>,
    /// Since when the provider answers that it knows no such batch, where it last did.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub not_found_since: Option<DateTime<Utc>>,
    /// Since when lines of its results, read to their end, cannot be read.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub broken_since: Option<DateTime<Utc>>,
    /// How many polls were armed when it was told to stop: it ends soon then, and is looked at as often as a new one.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub stopped_at_poll: Option<u32>,
    /// Rises with every write.
    pub rev: u64,
}

impl Batch {
    /// Whether its id at Anthropic is a guess that its results have still to prove.
    pub fn is_tentative(&self) -> bool {
        matches!(self.state, BatchState::Open { adopted: true, .. } | BatchState::Canceling { adopted: true, .. })
    }
}

/// How a batch stands.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(tag = "state", rename_all = "camelCase", rename_all_fields = "camelCase")]
pub enum BatchState {
    /// Its members are being taken into it, those of `members` that can be: no create was sent.
    Sealing {
        /// The batch they leave for it, whose create was refused for good.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        from: Option<AttemptId>,
    },
    /// Its create is about to be sent, or was sent without an answer.
    Creating,
    /// It runs there.
    Open {
        /// Anthropic's id.
        remote: String,
        /// Found by listing, to be verified by its results.
        #[serde(default)]
        adopted: bool,
    },
    /// It was told to stop.
    Canceling {
        /// Anthropic's id.
        remote: String,
        /// It was found by listing, and its results have still to verify that.
        #[serde(default, skip_serializing_if = "std::ops::Not::not")]
        adopted: bool,
    },
    /// It has ended and every member knows.
    Settled {
        /// Anthropic's id; `None` when it never came to be.
        remote: Option<String>,
    },
}

impl BatchState {
    /// Anthropic's id, once known.
    pub fn remote(&self) -> Option<&str> {
        match self {
            Self::Sealing { .. } | Self::Creating => None,
            Self::Open { remote, .. } | Self::Canceling { remote, .. } => Some(remote),
            Self::Settled { remote } => remote.as_deref(),
        }
    }
}

/// The `n`-th wait of the poll ladder (from 1): a minute, then half as long again up to a quarter of an hour, spread by
/// ±10 % that is stable per batch, never past `deadline` unless the deadline is nearer than the timers can tell.
pub fn poll_at(id: &AttemptId, n: u32, now: DateTime<Utc>, deadline: DateTime<Utc>) -> DateTime<Utc> {
    #[expect(clippy::cast_possible_truncation, reason = "at most 990,000")]
    let wait = TimeDelta::milliseconds((rung_ms(n) * (0.9 + 0.2 * spread(id, n))) as i64).max(LEAST_AHEAD);
    let planned = now + wait;
    if deadline > now { planned.min(deadline.max(now + LEAST_AHEAD)) } else { planned }
}

/// The `n`-th wait of the ladder as it is without the spread, ms.
fn rung_ms(n: u32) -> f64 {
    let exponent = i32::try_from(n.saturating_sub(1).min(16)).unwrap_or(16);
    (LADDER_START_MS * LADDER_FACTOR.powi(exponent)).min(LADDER_TOP_MS)
}

/// How often a batch that took so many seconds was looked at, about.
pub fn looks_within(seconds: u32) -> u32 {
    let (mut looks, mut at) = (1, FIRST_POLL.as_seconds_f64());
    while at < f64::from(seconds) {
        at += rung_ms(looks) / 1_000.0;
        looks += 1;
    }
    looks
}

impl Batch {
    /// The batch with its next poll one step up the ladder, which begins anew where it was told to stop.
    #[must_use]
    pub fn next_poll(&self, now: DateTime<Utc>) -> Self {
        let step = self.polls + 1 - self.stopped_at_poll.unwrap_or(1).clamp(1, self.polls.max(1));
        let next_poll_at = poll_at(&self.id, step, now, self.deadline);
        Self { next_poll_at, polls: self.polls + 1, rev: self.rev + 1, ..self.clone() }
    }
}

/// A number in [0, 1) that is the same for the same batch and poll.
fn spread(id: &AttemptId, n: u32) -> f64 {
    let digest = Sha256::digest(format!("{id}/{n}").as_bytes());
    f64::from(u32::from_be_bytes([digest[0], digest[1], digest[2], digest[3]])) / f64::from(u32::MAX)
}

/// What a listing shows of a batch that may be ours.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Candidate {
    /// Anthropic's id.
    pub remote: String,
    /// When it was created there.
    pub created_at: DateTime<Utc>,
    /// How many rows it has.
    pub rows: u64,
    /// Whether it has ended, so that its rows can be read.
    pub ended: bool,
    /// Whether the table knows whose it is.
    pub known: bool,
    /// Whether another intent of ours was taken for it without proof, so that it may yet be this one's.
    pub tentative: bool,
}

/// What to think of a create whose answer never came.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Search {
    /// It is this one, as far as can be told.
    Adopt(String),
    /// Several could be it; their rows will tell once they have ended.
    Several(Vec<String>),
    /// Nothing yet; it may still appear.
    WaitUntil(DateTime<Utc>),
    /// It was never created.
    NotThere,
}

/// Whether a batch of `rows`, created at `created_at`, has the size and the time of the one whose create had no answer.
pub fn is_alike(batch: &Batch, rows: u64, created_at: DateTime<Utc>) -> bool {
    rows == u64::from(batch.members.rows()) && may_be_created_at(batch, created_at)
}

/// Whether the create that was written down in `batch` may have made one at `created_at`.
pub fn may_be_created_at(batch: &Batch, created_at: DateTime<Utc>) -> bool {
    let last = batch.started_at + CREATE_SENT_WITHIN + CREATE_TIMEOUT;
    (batch.started_at - CLOCK_SKEW..=last + CLOCK_SKEW).contains(&created_at)
}

/// Judges a listing for a create that started at `batch.started_at`: candidates are unknown to us, of the same size, and
/// created between its start and the last moment its request could have been taken.
pub fn search(batch: &Batch, listed: &[Candidate], now: DateTime<Utc>) -> Search {
    let fits = |one: &&Candidate| is_alike(batch, one.rows, one.created_at) && !batch.rejected.contains(&one.remote);
    let fitting: Vec<&Candidate> = listed.iter().filter(fits).filter(|one| !one.known && !one.tentative).collect();
    let contested = listed.iter().filter(fits).any(|one| one.tentative);
    match fitting.as_slice() {
        [one] => Search::Adopt(one.remote.clone()),
        // Whoever was taken for it will be proved right or wrong when it has ended.
        [] if now >= batch.started_at + CREATE_SETTLES_AFTER && !contested => Search::NotThere,
        [] => Search::WaitUntil(batch.started_at + CREATE_SETTLES_AFTER),
        several => Search::Several(several.iter().map(|one| one.remote.clone()).collect()),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::RunKey;

    fn now() -> DateTime<Utc> {
        DateTime::from_timestamp(1_795_219_200, 0).unwrap()
    }

    fn intent() -> Batch {
        let run = RunKey::parse("a_20261120T070000Z").unwrap();
        Batch {
            id: AttemptId::new("01KAHJ5Z3M7Q2W4E6R8T0YABCD"),
            provider: "anthropic".into(),
            state: BatchState::Creating,
            members: Roll::Listed(vec![Member { run, hop: 1, attempt: 1 }]),
            settled: Marks::default(),
            digest: String::new(),
            started_at: now(),
            deadline: now() + TimeDelta::days(1),
            on_timeout: OnTimeout::Fail,
            polls: 1,
            next_poll_at: now() + FIRST_POLL,
            creator: None,
            untold: false,
            rejected: Vec::new(),
            checked_at: None,
            ended_at: None,
            not_found_since: None,
            broken_since: None,
            stopped_at_poll: None,
            rev: 1,
        }
    }

    fn candidate(remote: &str, after_s: i64, rows: u64) -> Candidate {
        let created_at = now() + TimeDelta::seconds(after_s);
        Candidate { remote: remote.into(), created_at, rows, ended: false, known: false, tentative: false }
    }

    #[test]
    fn the_ladder_climbs_from_a_minute_to_a_quarter_of_an_hour_within_a_tenth() {
        let far = now() + TimeDelta::days(7);
        let bases = [60, 90, 135, 202, 303, 455, 683, 900, 900];
        for (n, base) in (1..).zip(bases) {
            let wait = (poll_at(&intent().id, n, now(), far) - now()).num_seconds();
            assert!(wait >= 60 && (base * 9 / 10..=base * 11 / 10 + 1).contains(&wait) || wait == 60, "{n}: {wait}");
        }
        assert!(poll_at(&intent().id, u32::MAX, now(), far) - now() <= TimeDelta::seconds(990));
    }

    #[test]
    fn the_last_poll_is_at_the_deadline() {
        let deadline = now() + TimeDelta::seconds(200);
        assert_eq!(poll_at(&intent().id, 8, now(), deadline), deadline);
        let near = now() + TimeDelta::seconds(5);
        assert_eq!(poll_at(&intent().id, 8, now(), near), now() + LEAST_AHEAD);
    }

    #[test]
    fn one_fitting_batch_is_adopted_and_none_is_taken_for_lost_only_after_ten_minutes() {
        let batch = intent();
        let soon = now() + TimeDelta::minutes(2);
        let late = now() + CREATE_SETTLES_AFTER;
        assert_eq!(search(&batch, &[candidate("b1", 1, 1)], soon), Search::Adopt("b1".into()));
        assert_eq!(search(&batch, &[], soon), Search::WaitUntil(late));
        assert_eq!(search(&batch, &[], late), Search::NotThere);
    }

    #[test]
    fn a_batch_that_another_intent_only_guessed_to_be_its_own_is_waited_for() {
        let guessed = Candidate { tentative: true, ..candidate("b1", 1, 1) };
        let late = now() + CREATE_SETTLES_AFTER;
        assert_eq!(search(&intent(), &[guessed], late), Search::WaitUntil(late));
    }

    #[test]
    fn batches_of_another_size_time_or_owner_are_not_ours() {
        let batch = intent();
        let late = now() + CREATE_SETTLES_AFTER;
        let known = Candidate { known: true, ..candidate("b1", 1, 1) };
        for other in [known, candidate("b2", 1, 2), candidate("b3", -61, 1), candidate("b4", 151, 1)] {
            assert_eq!(search(&batch, std::slice::from_ref(&other), late), Search::NotThere, "{other:?}");
        }
        let two = [candidate("b1", 1, 1), candidate("b2", 2, 1)];
        assert_eq!(search(&batch, &two, late), Search::Several(vec!["b1".into(), "b2".into()]));
    }
}
