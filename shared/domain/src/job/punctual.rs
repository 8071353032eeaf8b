//! Answers that are wanted by a time of day (`payload.batch.deliverBy`).
//!
//! Guarantee: the job starts as late as the turns it had allow, and no turn waits for its batch any longer than until the
//! latest moment from which realtime is in time. What it does not know: how long this batch will take.

use chrono::{DateTime, TimeDelta, Utc};
use serde::{Deserialize, Serialize};

use super::{BatchPolicy, Job, JobRecord, Payload};
use crate::FieldError;
use crate::planner::Habits;
use crate::schedule::{
    LEAD_MOST, Schedule, Starts, Timetable, WANTED_WITHIN, WallTime, Wanted, format_duration, stagger_ms,
    stagger_offset, wall_clock,
};

/// What is kept for the end: the cancel of a batch and the look that finds it ended, each as late as a timer may be, and the
/// delivery.
const RESERVE: TimeDelta = TimeDelta::minutes(8);
/// And for each step of the turn in realtime.
const PER_STEP: TimeDelta = TimeDelta::minutes(2);
/// The most of both.
const RESERVE_MOST: TimeDelta = TimeDelta::minutes(30);
/// With less time than this before the reserve no batch is begun: the first look at it comes after two minutes.
const BATCH_LEAST: TimeDelta = TimeDelta::minutes(3);
/// How much later than planned a run may begin: a timer is precise to a minute, and planning asks around.
const SLACK: TimeDelta = TimeDelta::minutes(3);

/// When the answer of a run is wanted.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct DueBy {
    /// By then.
    pub at: DateTime<Utc>,
    /// The latest safe moment: what its batch has not answered then is asked for in realtime.
    pub safe_until: DateTime<Utc>,
    /// The zone that its times are shown in.
    pub zone: String,
}

impl DueBy {
    /// The last line of the answer: what time its data is from.
    pub fn data_line(&self, as_of: DateTime<Utc>) -> String {
        format!("Data as of {}.", wall_clock(as_of, self.at, &self.zone))
    }

    /// Whether a batch that is begun at `now` has any time.
    pub fn has_time_for_a_batch(&self, now: DateTime<Utc>) -> bool {
        now + BATCH_LEAST <= self.safe_until
    }
}

impl Job {
    /// By when its answers are wanted, and when it starts at the earliest.
    pub fn wanted_by(&self) -> Option<(WallTime, Option<WallTime>)> {
        let batch = policy(self)?;
        Some((batch.deliver_by?, batch.earliest))
    }

    /// Whether the zone of the configuration tells when it starts.
    pub fn follows_a_zone(&self) -> bool {
        match &self.schedule {
            Schedule::Cron { tz, .. } => tz.is_none(),
            Schedule::At { tz, .. } => tz.is_none() && self.wanted_by().is_some(),
            Schedule::Every { .. } => false,
        }
    }

    /// When it starts for its occurrences: `lead` before its answers are wanted, where that is what it says, and not before
    /// `since`. `zone` is the one of a schedule that names none. `None` for a schedule that cannot be read, which no job is
    /// stored with.
    pub fn starts(&self, zone: &str, lead: TimeDelta, since: Option<DateTime<Utc>>) -> Option<Starts> {
        let table = Timetable::new(&self.schedule, zone).ok()?;
        // A point in time keeps the zone it was written in for this alone.
        let zone = if let Schedule::At { tz: Some(tz), .. } = &self.schedule { tz } else { zone };
        let stagger = stagger_offset(self.job_id.as_str(), stagger_ms(&self.schedule));
        match self.wanted_by() {
            None => Some(Starts::after(table, stagger)),
            Some((by, earliest)) => Starts::before(table, stagger, Wanted { by, earliest, lead, since }, zone).ok(),
        }
    }
}

impl JobRecord {
    /// When the job starts for the occurrences to come, as its timer is set.
    pub fn starts(&self, zone: &str) -> Option<Starts> {
        self.job.starts(zone, self.lead(), self.timed_at)
    }

    /// How long before its answer is wanted it starts, as its timer is set.
    pub fn lead(&self) -> TimeDelta {
        self.lead_seconds.map_or_else(|| lead_of(&Habits::default()), |seconds| TimeDelta::seconds(i64::from(seconds)))
    }

    /// Works that out anew from how its turns went, for the next occurrence.
    pub fn learn_lead(&mut self) {
        let lead = self.job.wanted_by().map(|_| lead_of(&self.habits).num_seconds());
        self.lead_seconds = lead.and_then(|seconds| u32::try_from(seconds).ok());
    }

    /// When the answer for `slot` is wanted, where that is what the job says.
    pub fn due_by(&self, starts: &Starts, slot: DateTime<Utc>) -> Option<DueBy> {
        let (at, zone) = starts.deadline(slot)?;
        // What was learned since its timer was set leaves the batch some time all the same.
        let room = at - starts.of(slot) - BATCH_LEAST - SLACK;
        let reserve = reserve(&self.habits).min(room).max(RESERVE + PER_STEP);
        Some(DueBy { at, safe_until: at - reserve, zone: zone.to_owned() })
    }
}

/// Nearly all that its batches take, and what is kept for the end; in whole minutes.
fn lead_of(habits: &Habits) -> TimeDelta {
    let lead = habits.turnaround().max(BATCH_LEAST + SLACK) + reserve(habits);
    TimeDelta::minutes((lead.num_seconds() + 59) / 60)
}

fn reserve(habits: &Habits) -> TimeDelta {
    let steps = i32::try_from(habits.most_steps()).unwrap_or(i32::MAX);
    PER_STEP.checked_mul(steps).map_or(RESERVE_MOST, |steps| (RESERVE + steps).min(RESERVE_MOST))
}

fn policy(job: &Job) -> Option<&BatchPolicy> {
    match &job.payload {
        Payload::AgentTurn(turn) => turn.batch.as_ref(),
        Payload::SystemEvent { .. } => None,
    }
}

/// What is wrong with a job's wish to be answered by a time.
pub(super) fn faults_of(job: &Job, zone: &str, now: DateTime<Utc>) -> Vec<FieldError> {
    let Some(batch) = policy(job) else { return Vec::new() };
    let fault = |field: &str, message: &str, hint: &str| {
        vec![FieldError::new("invalid_batch", format!("payload.batch.{field}"), message).hint(hint)]
    };
    let (by, earliest) = match (batch.deliver_by, batch.earliest) {
        (None, None) => return Vec::new(),
        (None, Some(_)) => {
            return fault("earliest", "earliest says nothing without deliverBy", "schedule the job at that time");
        }
        (Some(_), _) if !batch.enabled => {
            return fault("deliverBy", "deliverBy is for a batch", "leave batch.enabled on, or clear deliverBy");
        }
        (Some(by), earliest) => (by, earliest),
    };
    let Some(starts) = job.starts(zone, LEAD_MOST, None) else { return Vec::new() };
    let once_a_day = match job.schedule {
        Schedule::At { .. } => true,
        Schedule::Every { .. } => false,
        Schedule::Cron { .. } => starts.table.smallest_gap().is_none_or(|gap| gap >= TimeDelta::days(1)),
    };
    if !once_a_day {
        let message = "deliverBy needs a schedule that comes at most once a day";
        return fault(
            "deliverBy",
            message,
            &format!("a cron expression of the time it is wanted, for {by} {}", expr(by)),
        );
    }
    let from = if matches!(job.schedule, Schedule::At { .. }) { DateTime::UNIX_EPOCH } else { now };
    let Some(slot) = starts.table.next_after(from) else { return Vec::new() };
    let Some((due, _)) = starts.deadline(slot) else { return Vec::new() };
    if due - slot > WANTED_WITHIN {
        let message = format!("{by} is {} after the schedule's time", format_duration(due - slot));
        return fault(
            "deliverBy",
            &message,
            "schedule the job at the time its answer is wanted, or a few hours before",
        );
    }
    let (room, least) = (due - starts.of(slot), RESERVE + PER_STEP + BATCH_LEAST + SLACK);
    let (field, what) = if earliest.is_some() { ("earliest", "earliest") } else { ("deliverBy", "the schedule") };
    let hint = format!("the least is {}, the most {}", format_duration(least), format_duration(LEAD_MOST));
    if room < least {
        let message = format!("{what} leaves {} before {by}, too little for a batch", format_duration(room));
        return fault(field, &message, &hint);
    }
    if earliest.is_some_and(|earliest| starts.is_out_of_reach(earliest, slot)) {
        return fault(field, &format!("it never starts as early as that before {by}"), &hint);
    }
    Vec::new()
}

/// `0 7 * * *`.
fn expr(by: WallTime) -> String {
    let text = by.to_string();
    let (hour, minute) = text.split_once(':').unwrap_or(("0", "0"));
    let number = |part: &str| part.parse::<u32>().unwrap_or(0);
    format!("\"{} {} * * *\"", number(minute), number(hour))
}

#[cfg(test)]
mod tests;
