//! What a run's progress does to its job.

use chrono::{DateTime, TimeDelta, Utc};

use super::{AutoDisabled, JobRecord, RunStatus};
use crate::RunKey;
use crate::run::{Origin, Run, State, WaitReason, retry_delay};
use crate::schedule::Schedule;

/// Failures in a row of scheduled runs after which a recurring job is disabled.
pub const DISABLE_AFTER: u32 = 10;

/// How long a main session pauses after somebody stopped its heartbeat.
const AFTER_A_STOP: TimeDelta = TimeDelta::minutes(15);

/// The ladder's last step, which repeats for as long as a job fails.
const LAST_STEP: u32 = 4;

/// What a job becomes, and what is to be done about it after the write.
#[derive(Debug, Clone, PartialEq)]
pub struct JobStep {
    /// The job, with its `rev` raised; when it is to be removed, as it was read.
    pub record: JobRecord,
    /// It has had its run and goes.
    pub remove: bool,
    /// Its timer has nothing left to do.
    pub drop_timer: bool,
    /// The run whose turn has come.
    pub wake: Option<RunKey>,
    /// It was switched off just now, for its failures.
    pub disabled: bool,
}

/// What `record` becomes when one of its runs went from `before` to how `after` stands; `None` when that is nothing to it.
pub fn on_run_moved(record: &JobRecord, before: &State, after: &Run, now: DateTime<Utc>) -> Option<JobStep> {
    let gives_place = before.occupies_job() && !after.state.occupies_job();
    let waits = matches!(after.state, State::Waiting { reason: WaitReason::Overlap });
    let left_queue = record.waiting.contains(&after.key) && !waits;
    if !gives_place && !after.state.is_terminal() && !left_queue {
        return None;
    }
    let mut next = record.clone();
    next.rev += 1;
    next.active.retain(|key| *key != after.key);
    if left_queue {
        next.waiting.retain(|key| *key != after.key);
        if after.state.occupies_job() {
            next.active.push(after.key.clone());
        }
    }
    if next.active.is_empty() {
        next.job.state.running_at_ms = None;
    }
    let wake = if next.active.is_empty() { next.waiting.first().cloned() } else { None };
    let mut step = JobStep { record: next, remove: false, drop_timer: false, wake, disabled: false };
    if after.state.is_terminal() {
        finish(&mut step, record, after, now);
    }
    Some(step)
}

/// Whether `run` is one of the schedule as it is now: a run of before an edit must not use up a one-shot set since.
fn is_own(schedule: &Schedule, run: &Run) -> bool {
    match schedule {
        Schedule::At { at, .. } => {
            let at = at.parse::<DateTime<Utc>>().ok();
            run.origin == Origin::Manual || at.is_some_and(|at| RunKey::of_slot(&run.job_id, at) == run.key)
        }
        Schedule::Every { .. } | Schedule::Cron { .. } => true,
    }
}

fn finish(step: &mut JobStep, read: &JobRecord, run: &Run, now: DateTime<Utc>) {
    let Some(status) = run.status() else { return };
    let job = &mut step.record.job;
    let state = &mut job.state;
    state.last_status = Some(status);
    state.last_error = run.failure().map(|(_, message)| message);
    if status == RunStatus::Skipped {
        state.consecutive_skipped += 1;
    } else {
        state.consecutive_skipped = 0;
        state.last_run_at_ms = Some(run.started_at.unwrap_or(run.created_at).timestamp_millis());
        state.last_duration_ms = Some(run.duration(now).num_milliseconds());
        state.last_delivery_status = run.delivery_status;
    }
    // A cancel is somebody's wish and says nothing about the job.
    if matches!(run.state, State::Failed { .. }) {
        // A row of before they were counted apart: then all were taken for scheduled ones.
        let scheduled = step.record.scheduled_errors.unwrap_or(state.consecutive_errors);
        step.record.scheduled_errors = Some(scheduled + u32::from(run.origin == Origin::Schedule));
        state.consecutive_errors += 1;
        let step_of_ladder = (state.consecutive_errors - 1).min(LAST_STEP);
        step.record.hold_until = retry_delay(step_of_ladder, None).map(|wait| now + wait);
        // It was given up for its batch, which took too long.
        step.record.habits.learn_in_vain(run);
    } else if status == RunStatus::Ok {
        state.consecutive_errors = 0;
        step.record.scheduled_errors = None;
        step.record.hold_until = None;
        // One that asked no model says nothing about how long those take that do.
        if run.used().next().is_some() {
            step.record.last_hops = u32::try_from(run.used().count()).ok();
            step.record.habits.learn(run);
        }
    }
    // Whoever stops a heartbeat does not want to see it again at once.
    if matches!(run.state, State::Canceled) && job.job_id.heartbeat_agent().is_some() {
        step.record.hold_until = Some(now + AFTER_A_STOP);
    }
    let failures = step.record.scheduled_errors.unwrap_or(0);
    let one_shot = matches!(job.schedule, Schedule::At { .. });
    let succeeded = status == RunStatus::Ok;
    if !is_own(&job.schedule, run) {
        // A run of an earlier definition says nothing about what the job is to do now.
    } else if succeeded && job.delete_after_run {
        // Removed as it was read: the condition of the removal is the `rev` that is in the table.
        step.record = read.clone();
        step.remove = true;
        step.drop_timer = true;
    } else if one_shot {
        job.enabled = false;
        job.state.next_run_at_ms = None;
        step.drop_timer = true;
    } else if matches!(run.state, State::Failed { .. })
        && run.origin == Origin::Schedule
        && failures >= DISABLE_AFTER
        && job.enabled
        // What it is on or off by is its agent's configuration; its pause after failures holds all the same.
        && !job.job_id.is_built_in()
    {
        job.enabled = false;
        job.state.next_run_at_ms = None;
        let reason = format!("{failures} failures in a row");
        job.state.auto_disabled =
            Some(AutoDisabled { reason, at_ms: now.timestamp_millis(), consecutive_errors: failures });
        step.drop_timer = true;
        step.disabled = true;
    }
}
