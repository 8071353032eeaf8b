//! Fires, retries and dead letters.
//!
//! At least once: "done" is written only after the target accepted, so a crash between the two repeats the fire. What is
//! done, what waits for a retry and what completed a schedule change in one write; a dead letter is written before that,
//! under a key that a repeat writes again.

use chrono::{DateTime, SecondsFormat, TimeDelta, Utc};
use serde_json::{Value, json};

use super::book::Book;
use super::model::{ACCOUNT, ActionAfterCompletion, Key, REGION, Record, Retry, Target, fnv1a};
use super::timing::Timing;
use super::{Scheduler, TargetError};
use crate::state::StateError;

pub(super) const DEAD_LETTERS: &str = "scheduler.dead-letters";
/// The longest pause between attempts. With it 185 attempts, the default, take about the default 24 hours. The service
/// says "exponential backoff" and no figures.
const MAX_BACKOFF_SECONDS: i64 = 480;

/// One call of the target, decided but not made.
#[derive(Debug)]
struct Attempt {
    key: Key,
    incarnation: u64,
    arming: u64,
    scheduled_for: DateTime<Utc>,
    first_attempt_at: DateTime<Utc>,
    /// From 1.
    number: u32,
    target: Target,
}

impl Attempt {
    fn scheduled_time(&self) -> String {
        self.scheduled_for.to_rfc3339_opts(SecondsFormat::Secs, true)
    }

    /// Another one for every attempt (User Guide, "Adding context attributes").
    fn execution_id(&self) -> String {
        let seed = format!("{} {} {} {}", self.key.arn(), self.incarnation, self.scheduled_for, self.number);
        format!("{:016x}", fnv1a(seed.as_bytes()))
    }

    /// The target's input with its context attributes replaced; where it has none, the service's default event.
    fn input(&self) -> String {
        let arn = self.key.arn();
        let Some(input) = &self.target.input else {
            return json!({
                "version": "0", "id": self.execution_id(), "detail-type": "Scheduled Event", "source": "aws.scheduler",
                "account": ACCOUNT, "time": self.scheduled_time(), "region": REGION, "resources": [arn], "detail": "{}",
            })
            .to_string();
        };
        input
            .replace("<aws.scheduler.schedule-arn>", &arn)
            .replace("<aws.scheduler.scheduled-time>", &self.scheduled_time())
            .replace("<aws.scheduler.execution-id>", &self.execution_id())
            .replace("<aws.scheduler.attempt-number>", &self.number.to_string())
    }

    /// What a failure leads to: another attempt, or the name of what is exhausted (`None` for an error that no retry
    /// mends).
    fn after_failure(&self, error: &TargetError, now: DateTime<Utc>) -> Result<Retry, Option<&'static str>> {
        let policy = self.target.retry_policy;
        if !error.retryable {
            return Err(None);
        }
        if i64::from(self.number) > policy.maximum_retry_attempts {
            return Err(Some("MaximumRetryAttempts"));
        }
        let backoff = 1_i64.checked_shl(self.number - 1).filter(|_| self.number < 32);
        let due_at = now + TimeDelta::seconds(backoff.unwrap_or(MAX_BACKOFF_SECONDS).min(MAX_BACKOFF_SECONDS));
        if due_at - self.first_attempt_at > TimeDelta::seconds(policy.maximum_event_age_in_seconds) {
            return Err(Some("MaximumEventAgeInSeconds"));
        }
        Ok(Retry {
            scheduled_for: self.scheduled_for,
            first_attempt_at: self.first_attempt_at,
            attempts: self.number,
            due_at,
            target: Some(self.target.clone()),
        })
    }

    fn dead_letter(&self, error: &TargetError, exhausted: Option<&str>) -> Value {
        let queue = self.target.dead_letter_config.as_ref().and_then(|config| config.arn.as_deref());
        let mut letter = json!({
            "DeadLetterArn": queue,
            "Body": self.input(),
            "ERROR_CODE": error.code,
            "ERROR_MESSAGE": error.message,
            "SCHEDULED_TIME": self.scheduled_time(),
            "SCHEDULE_ARN": self.key.arn(),
            "EXECUTION_ID": self.execution_id(),
            "RETRY_ATTEMPTS": (self.number - 1).to_string(),
            "TARGET_ARN": self.target.arn,
        });
        if let Some(exhausted) = exhausted {
            letter["EXHAUSTED_RETRY_CONDITION"] = exhausted.into();
        }
        letter
    }

    /// Sorts by instant; the same for every repeat of this fire.
    fn dead_letter_key(&self) -> String {
        format!("{} {} {}", self.scheduled_time(), self.key.document(), self.incarnation)
    }
}

impl Book {
    /// The first call to make at `now`.
    fn next_attempt(&self, now: DateTime<Utc>) -> Option<Attempt> {
        let (_, key) = self.first_due().filter(|(at, _)| *at <= now)?;
        let entry = self.schedules.get(&key)?;
        let record = &entry.record;
        let retry = record.retries.iter().filter(|retry| retry.due_at <= now).min_by_key(|retry| retry.due_at);
        let (incarnation, arming) = (record.incarnation, record.arming);
        if let Some(retry) = retry.filter(|retry| entry.next_fire().is_none_or(|fire| retry.due_at <= fire)) {
            let target = retry.target.as_ref().unwrap_or(&record.spec.target).clone();
            let (scheduled_for, first_attempt_at) = (retry.scheduled_for, retry.first_attempt_at);
            let number = retry.attempts + 1;
            return Some(Attempt { key, incarnation, arming, scheduled_for, first_attempt_at, number, target });
        }
        let scheduled_for = entry.timing.latest_due(record.done_through, now)?;
        let target = record.spec.target.clone();
        Some(Attempt { key, incarnation, arming, scheduled_for, first_attempt_at: now, number: 1, target })
    }

    /// Writes down how an attempt went.
    fn settle(&mut self, attempt: &Attempt, outcome: Result<(), TargetError>, now: DateTime<Utc>) {
        let failure = outcome.err().map(|error| {
            let verdict = attempt.after_failure(&error, now);
            (error, verdict)
        });
        let key = &attempt.key;
        let retry = match failure {
            None => None,
            Some((error, Ok(retry))) => {
                tracing::warn!(schedule.name = key.name, error.code, retry.at = %retry.due_at, "the target refused; retrying");
                Some(retry)
            }
            Some((error, Err(exhausted))) => {
                tracing::error!(schedule.name = key.name, error.code, exhausted, "the target refused; giving up");
                let letter = attempt.dead_letter(&error, exhausted);
                if let Err(error) = self.state.put(DEAD_LETTERS, &attempt.dead_letter_key(), &letter) {
                    lost(key, &error);
                }
                None
            }
        };
        // Deleted while the target was called: nothing to write on.
        let Some(entry) = self.schedules.get(key).filter(|entry| entry.record.incarnation == attempt.incarnation)
        else {
            return;
        };
        let mut record = entry.record.clone();
        if attempt.number > 1 {
            record
                .retries
                .retain(|old| (old.scheduled_for, old.attempts + 1) != (attempt.scheduled_for, attempt.number));
        } else if record.arming == attempt.arming {
            record.done_through = record.done_through.max(Some(attempt.scheduled_for));
        }
        if let Some(mut retry) = retry {
            // While the schedule keeps its target, one copy of it is enough.
            retry.target = retry.target.filter(|target| *target != record.spec.target);
            record.retries.push(retry);
        }
        self.conclude(record);
    }

    /// Keeps the record, or removes a schedule that is through and asked for it.
    ///
    /// A failed write is logged and memory goes on: the disk then says less than was done, and a restart repeats it.
    fn conclude(&mut self, record: Record) {
        let key = record.spec.key();
        let timing = match Timing::of(&record) {
            Ok(timing) => timing,
            Err(error) => {
                tracing::error!(schedule.name = key.name, %error, "a stored schedule cannot be read; it will not fire");
                return self.forget(&key);
            }
        };
        let through = record.retries.is_empty() && timing.next(record.done_through).is_none();
        if through && record.spec.action_after_completion == ActionAfterCompletion::Delete {
            if let Err(error) = self.remove(&key) {
                lost(&key, &error);
                self.forget(&key);
            }
            return;
        }
        if let Err(error) = self.save(&record) {
            lost(&key, &error);
        }
        self.place(record, timing);
    }
}

fn lost(key: &Key, error: &StateError) {
    tracing::error!(schedule.name = key.name, %error, "a fire could not be written down; it may be repeated after a restart");
}

impl Scheduler {
    /// Fires everything due at the clock's present instant, in order of time, then name; returns how many times the
    /// target was called. A recurring schedule that missed several instants fires for the latest only.
    ///
    /// # Crash safety
    /// Stopped after the target accepted and before that was written, the next start fires it again.
    pub async fn fire_due(&self) -> usize {
        // One round at a time, or the same fire would be handed over twice.
        let _round = self.inner.firing.lock().await;
        let now = self.inner.clock.now();
        let mut fired = 0;
        loop {
            let attempt = self.inner.book().next_attempt(now);
            let Some(attempt) = attempt else { break };
            let outcome = self.inner.target.invoke(&attempt.target.arn, attempt.input()).await;
            self.inner.book().settle(&attempt, outcome, now);
            self.inner.announce();
            fired += 1;
        }
        fired
    }
}
