//! Who works on a run, and when a run needs somebody's attention.

use chrono::{DateTime, TimeDelta, Utc};
use serde::{Deserialize, Serialize};

use crate::batch::CREATE_SETTLES_AFTER;

use super::{CancelReason, Run, State, WaitReason};

/// How long a lease holds without being renewed.
pub const LEASE: TimeDelta = TimeDelta::seconds(90);
/// How often a holder that waits for the model renews it.
pub const RENEW_EVERY: TimeDelta = TimeDelta::seconds(30);
/// How long a run that nobody holds may stand still before the sweeper looks at it.
const STILL: TimeDelta = TimeDelta::minutes(5);

/// How long a run may be in one batch before the sweeper looks whether the batch is still there: a batch ends within 24 hours
/// of its create (Message Batches API).
const OUTLASTED: TimeDelta = TimeDelta::hours(26);

/// A hold on a run. Every write raises the run's `rev`, which is the condition of the holder's next write, so a holder that
/// lost its lease also lost the power to write.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct Lease {
    /// The invocation that holds it.
    pub owner: String,
    /// When it ends.
    pub until: DateTime<Utc>,
}

/// Somebody else works on it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Held {
    /// Who.
    pub owner: String,
    /// Until when at least.
    pub until: DateTime<Utc>,
}

/// Takes or renews the lease for `owner`.
pub fn take(run: &Run, owner: &str, now: DateTime<Utc>) -> Result<Run, Held> {
    if let Some(lease) = run.lease.as_ref().filter(|lease| lease.until > now && lease.owner != owner) {
        return Err(Held { owner: lease.owner.clone(), until: lease.until });
    }
    let mut taken = run.clone();
    taken.lease = Some(Lease { owner: owner.to_owned(), until: now + LEASE });
    taken.rev += 1;
    Ok(taken)
}

/// Gives the lease back.
#[must_use]
pub fn release(run: &Run) -> Run {
    let mut released = run.clone();
    released.lease = None;
    released.rev += 1;
    released
}

/// When the sweeper should look at a run that has not moved by then; `None` for one that is over and has no alert to send, or
/// that waits for a place, which has a queue of its own.
pub fn attention_at(run: &Run) -> Option<DateTime<Utc>> {
    if run.state.is_terminal() {
        // What is to be told about its end outlasts it.
        let alerts = run.due_alerts()?;
        return Some(run.lease.as_ref().map_or(alerts.send_at + STILL, |lease| lease.until));
    }
    if let Some(lease) = &run.lease {
        return Some(lease.until);
    }
    match &run.state {
        State::Paused { resume_at, .. } => Some(*resume_at),
        // A look that found it has to wait on puts it behind whatever is due meanwhile: those that wait never hide the rest.
        State::Waiting { reason: WaitReason::Overlap | WaitReason::Session | WaitReason::Heartbeat } => {
            Some(run.seen_waiting.map_or(run.state_since, |seen| seen.max(run.state_since)) + STILL)
        }
        // Whoever seals its window comes first.
        State::Ready { window: Some(window), .. } => Some(run.state_since.max(window.ends_at()) + STILL),
        State::Due
        | State::Running { .. }
        | State::Tools { .. }
        | State::Ready { window: None, .. }
        // A person's wish is theirs who made it: where it never reached the batch, nobody else tells.
        | State::Canceling { why: CancelReason::Requested, .. }
        | State::Delivering => Some(run.state_since + STILL),
        // The batch's own polls look for it until then.
        State::Submitting { .. } => Some(run.state_since + CREATE_SETTLES_AFTER + STILL),
        // A batch has a due time of its own, and sees itself that the time of its members is up; only a run that outlasts
        // it can have been forgotten.
        State::Submitted { .. } | State::Canceling { why: CancelReason::Timeout, .. } => {
            Some(run.state_since + OUTLASTED)
        }
        // The queue for places has an owner of its own: whoever frees one, and the sweeper's look at the queue.
        State::Waiting { reason: WaitReason::Place { .. } }
        | State::Succeeded
        | State::DeliveryFailed
        | State::DeliveryUnknown
        | State::Failed { .. }
        | State::Skipped { .. }
        | State::Canceled => None,
    }
}
