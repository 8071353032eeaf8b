//! A job's timer, from its schedule.

use chrono::{DateTime, TimeDelta, Utc};
use nightshift_domain::config::Config;
use nightshift_domain::event::{Envelope, Wake};
use nightshift_domain::ids::slot_text;
use nightshift_domain::job::{Job, JobRecord, LATE_AT_MOST, zone_of};
use nightshift_domain::schedule::{AwsPlan, Plan, Schedule, Starts, plan};
use tracing::warn;

use crate::error::EngineError;
use crate::ports::{JobTimer, Outcome, TimerSpec, Write};

use super::{MAX_RACES, Refusal, Request};

/// What `EventBridge` puts in place of this: the time the schedule was due (Scheduler user guide, context attributes).
const SCHEDULED_TIME: &str = "<aws.scheduler.scheduled-time>";
/// An `at` up to this long past still runs; the same as what [`nightshift_domain::schedule::normalize`] takes.
pub(super) const LEAST_PAST: TimeDelta = TimeDelta::seconds(61);
/// Nearer than this a one-shot is no timer but a call: Scheduler is precise to a minute, and what an `at` in the past does
/// is not documented.
pub(super) const NEAR: TimeDelta = TimeDelta::seconds(90);

/// The zone of a job that names none: its agent's, else the configured one, else UTC.
pub fn default_zone(job: &Job, config: &Config) -> String {
    zone_of(config, job.agent_id.as_deref()).to_owned()
}

/// When `record`'s job starts next after `now`, its stagger included; `None` while it is switched off and when it is spent.
pub fn next_start(record: &JobRecord, config: &Config, now: DateTime<Utc>) -> Option<DateTime<Utc>> {
    if !record.job.enabled {
        return None;
    }
    next_of(record, config, now).map(|(_, start)| start)
}

/// The next occurrence, and when the job starts for it.
fn next_of(record: &JobRecord, config: &Config, now: DateTime<Utc>) -> Option<(DateTime<Utc>, DateTime<Utc>)> {
    let starts = starts(record, config)?;
    let slot = next_occurrence(record, &starts, now)?;
    Some((slot, starts.of(slot)))
}

pub(super) fn starts(record: &JobRecord, config: &Config) -> Option<Starts> {
    record.starts(zone_of(config, record.job.agent_id.as_deref()))
}

fn next_occurrence(record: &JobRecord, starts: &Starts, now: DateTime<Utc>) -> Option<DateTime<Utc>> {
    let next = match &record.job.schedule {
        Schedule::At { .. } => starts.next_after(now - LEAST_PAST),
        // One that should have begun before it was asked for begins at once.
        Schedule::Every { .. } | Schedule::Cron { .. } if starts.offset().is_none() => {
            starts.next_after(now - LEAST_PAST)
        }
        Schedule::Every { .. } | Schedule::Cron { .. } => starts.next_after(now),
    }?;
    // One whose answer is wanted later may have begun already, by another lead or another timing.
    let has_record = |slot: &DateTime<Utc>| record.settled >= Some(*slot) || record.ahead.contains(slot);
    std::iter::successors(Some(next), |slot| starts.table.next_after(*slot)).find(|slot| !has_record(slot))
}

/// Occurrences to come of `new`'s timing that have their record already, because they began before their time under `old`'s.
fn begun(old: &JobRecord, new: &JobRecord, config: &Config, now: DateTime<Utc>) -> Vec<DateTime<Utc>> {
    let Some(after) = starts(new, config) else { return Vec::new() };
    let shared = |slot: &DateTime<Utc>| *slot > now && after.table.latest_at_or_before(*slot) == Some(*slot);
    let mut slots: Vec<_> = old.settled.iter().chain(&old.ahead).copied().filter(shared).collect();
    slots.sort_unstable();
    slots.dedup();
    slots
}

/// The timer `record`'s job needs after `now`; `None` when it has no occurrence left. A chain's one-shot is named after
/// its occurrence and the definition's generation, so that setting it twice sets it once and a name is never used for
/// another time, nor again after it was removed. A job that is switched off has its timer named and `enabled: false`.
pub fn timer_for(record: &JobRecord, config: &Config, now: DateTime<Utc>) -> Option<JobTimer> {
    let job = &record.job;
    let starts = starts(record, config)?;
    let next = next_occurrence(record, &starts, now);
    let wake =
        |s: String, slot, nb| Envelope::new(Wake::Job { j: job.job_id.clone(), g: record.generation, s, slot, nb });
    let (aws, shift) = match starts.offset() {
        Some(offset) => {
            let Plan { aws, shift, not_before: _ } = plan(&starts.table, offset);
            (aws, if record.chained { offset } else { shift })
        }
        // How early it starts changes with what is learned of its turns.
        None => (AwsPlan::OneShots, TimeDelta::zero()),
    };
    match aws {
        AwsPlan::Exact { expression, timezone } | AwsPlan::Superset { expression, timezone } if !record.chained => {
            let start = if expression.starts_with("rate(") { next.map(whole_second) } else { None };
            Some(JobTimer {
                job: job.job_id.clone(),
                name: job.job_id.timer_name(),
                spec: TimerSpec::Recurring { expression, timezone, start },
                envelope: wake(SCHEDULED_TIME.to_owned(), None, None),
                enabled: job.enabled,
            })
        }
        AwsPlan::Exact { .. } | AwsPlan::Superset { .. } | AwsPlan::OneShots => {
            let next = next?;
            let at = if starts.offset().is_some() { next + shift } else { starts.of(next) };
            Some(JobTimer {
                job: job.job_id.clone(),
                name: format!("o-{}-{}-{}", job.job_id, slot_text(next), record.generation),
                spec: TimerSpec::Once(at),
                envelope: wake(at.to_rfc3339(), Some(next), Some(at)),
                enabled: job.enabled,
            })
        }
    }
}

/// The timer of the instant that `record`'s next run was moved to: its name, when it fires and what it says. It stands beside
/// the job's own timer, and is named as a chain's one-shot.
pub(super) fn check_timer(record: &JobRecord, config: &Config) -> Option<(String, DateTime<Utc>, Envelope)> {
    let (slot, offset) = (record.check?, starts(record, config)?.offset()?);
    let (j, g, at) = (record.job.job_id.clone(), record.generation, slot + offset);
    let name = format!("o-{j}-{}-{g}", slot_text(slot));
    Some((name, at, Envelope::new(Wake::Job { j, g, s: at.to_rfc3339(), slot: Some(slot), nb: Some(at) })))
}

/// Gives `new`, which is `old` with other times, what follows from that but its next run.
pub(super) fn retime(old: &JobRecord, new: &mut JobRecord, config: &Config, now: DateTime<Utc>) {
    new.retime(now);
    new.ahead = begun(old, new, config, now);
    new.settled = in_flight(old, new, config, now);
}

/// Up to where `new` counts its occurrences as settled, where `old`'s last one may be on its way just now: its timer has
/// fired or is about to, nobody claimed it, and it is an occurrence of the new timing too. `None` where there is no such one.
fn in_flight(old: &JobRecord, new: &JobRecord, config: &Config, now: DateTime<Utc>) -> Option<DateTime<Utc>> {
    let (before, after) = (starts(old, config)?, starts(new, config)?);
    if !old.job.enabled || !new.job.enabled {
        return None;
    }
    let slot = before.latest_at_or_before(now)?;
    let start = before.of(slot);
    let unclaimed = old.settled.is_none_or(|settled| settled < slot)
        && old.job.state.next_run_at_ms.is_some_and(|next| next <= start.timestamp_millis());
    let recent = now <= before.own_until(slot, LATE_AT_MOST);
    let shared = after.table.latest_at_or_before(slot) == Some(slot);
    (unclaimed && recent && shared).then(|| slot - TimeDelta::milliseconds(1))
}

/// The next whole second: schedules carry no fraction, and must not start early.
pub(super) fn whole_second(instant: DateTime<Utc>) -> DateTime<Utc> {
    let rest = instant.timestamp_subsec_nanos();
    if rest == 0 { instant } else { instant + TimeDelta::nanoseconds(1_000_000_000 - i64::from(rest)) }
}

/// Sets the timer of `new`, whose row was just written in place of `old`'s, and removes what `old` had under another name.
/// `news` says that the job runs at other times than before, or that this may have been cut off before.
///
/// # Crash safety
/// Setting and removing may be repeated. Stopped before the set, the job has no timer, or one of an older generation that
/// is judged against the current schedule; a repeat of the request sets it. A near one-shot is handed to `trigger` at once;
/// handed over twice, it finds its run.
pub(super) async fn set_timer(
    request: &Request<'_>,
    config: &Config,
    old: Option<&JobRecord>,
    new: &JobRecord,
    news: bool,
) -> Result<(), Refusal> {
    let deps = request.deps;
    let mut record = new.clone();
    let mut timer = timer_for(&record, config, request.now);
    if let Some(wanted) = &timer
        && let Err(error) = arm(request, wanted, news).await?
    {
        warn!(job.id = %record.job.job_id, "the timer service refuses the expression of job {}, which becomes a chain: {error}",
            record.job.job_id);
        record = mark_chained(request, record).await?;
        timer = timer_for(&record, config, request.now);
        if let Some(wanted) = &timer {
            arm(request, wanted, true).await?.map_err(EngineError::Timer)?;
        }
    }
    if news && let Some(wanted) = &timer {
        start_near(request, config, &record, wanted).await?;
    }
    let Some(old) = old else { return Ok(()) };
    let once = |timer: &JobTimer| matches!(timer.spec, TimerSpec::Once(_));
    let kept = timer.as_ref().filter(|timer| timer.enabled || !once(timer)).map(|timer| timer.name.clone());
    let before = timer_for(old, config, request.now).map(|timer| timer.name);
    // Where the chain began with a recurring timer, a repeat cannot see that any more.
    let native = timer.as_ref().is_none_or(once).then(|| old.job.job_id.timer_name());
    let off = timer.filter(|timer| !timer.enabled && once(timer)).map(|timer| timer.name);
    let mut gone: Vec<String> =
        [before, native, off].into_iter().flatten().filter(|name| Some(name) != kept.as_ref()).collect();
    gone.sort_unstable();
    gone.dedup();
    for name in gone {
        deps.timers.remove(&name).await?;
    }
    Ok(())
}

/// Hands the first occurrence of a recurring timer to `trigger` where it is so near that a schedule which was set just now
/// may not fire for it. The schedule's own fire, if it comes, finds the run.
async fn start_near(
    request: &Request<'_>,
    config: &Config,
    record: &JobRecord,
    timer: &JobTimer,
) -> Result<(), Refusal> {
    let job = &record.job;
    if !timer.enabled || !matches!(timer.spec, TimerSpec::Recurring { .. }) {
        return Ok(());
    }
    let Some((slot, start)) = next_of(record, config, request.now) else { return Ok(()) };
    if start - request.now >= NEAR {
        return Ok(());
    }
    let (j, g, s) = (job.job_id.clone(), record.generation, start.to_rfc3339());
    let envelope = Envelope::new(Wake::Job { j, g, s, slot: Some(slot), nb: Some(start) });
    request.deps.invoker.invoke(envelope.kind.function(), &envelope).await?;
    Ok(())
}

/// Makes sure that the timer which was just set for `written` is the one of the job as it stands: of two changes at the same
/// time, the one written first may set its timer last.
///
/// # Crash safety
/// As [`set_timer`]; whoever sets a timer last looks at the row after it.
pub(super) async fn settle_timer(request: &Request<'_>, config: &Config, written: JobRecord) -> Result<(), Refusal> {
    let mut written = written;
    for _ in 0..MAX_RACES {
        let Some(there) = request.deps.store.job(&written.job.job_id).await? else {
            let name = timer_for(&written, config, request.now).map(|timer| timer.name);
            for name in name.into_iter().chain([written.job.job_id.timer_name()]) {
                request.deps.timers.remove(&name).await?;
            }
            return Ok(());
        };
        if there.is_timed_as(&written) {
            return Ok(());
        }
        set_timer(request, config, Some(&written), &there, true).await?;
        written = there;
    }
    Ok(())
}

/// Sets one timer; the inner error says that the service refuses its expression.
async fn arm(
    request: &Request<'_>,
    timer: &JobTimer,
    news: bool,
) -> Result<Result<(), crate::ports::TimerError>, Refusal> {
    let deps = request.deps;
    match &timer.spec {
        TimerSpec::Once(_) if !timer.enabled => {}
        TimerSpec::Once(at) if *at - request.now < NEAR => {
            if news {
                deps.invoker.invoke(timer.envelope.kind.function(), &timer.envelope).await?;
            }
        }
        TimerSpec::Once(_) | TimerSpec::Recurring { .. } => match deps.timers.put_job(timer).await {
            Ok(()) => {}
            Err(error) if error.expression_refused => return Ok(Err(error)),
            Err(error) => return Err(error.into()),
        },
    }
    Ok(Ok(()))
}

/// Writes down that the job runs as a chain.
async fn mark_chained(request: &Request<'_>, record: JobRecord) -> Result<JobRecord, Refusal> {
    let store = &request.deps.store;
    let id = record.job.job_id.clone();
    for _ in 0..MAX_RACES {
        let mut row = store.job(&id).await?.ok_or_else(|| Refusal::NoJob(id.to_string()))?;
        row.chained = true;
        row.rev += 1;
        if store.commit(&[Write::Job(&row)]).await? == Outcome::Applied {
            return Ok(row);
        }
    }
    Err(Refusal::Changed(format!("job {id}")))
}
