//! Whether a job and its timers fit. Pure: the same rows give the same verdict.
//!
//! Guarantee: what is on its way is no fault. A one-shot that fired moments ago has deleted itself before the next link of
//! its chain is armed; one that lies a little in the past is about to fire.

use chrono::{DateTime, SecondsFormat, TimeDelta, Utc};
use nightshift_domain::config::Config;
use nightshift_domain::event::Wake;
use nightshift_domain::job::JobRecord;
use nightshift_domain::schedule::Schedule;

use crate::ports::{JobTimer, TimerSpec, TimerView};

use super::super::timing::{NEAR, starts, timer_for, whole_second};
use super::FindingKind;
use super::names::Named;
use crate::sweep::judge::GRACE;

/// How long a one-shot may lie in the past: the Scheduler tries for an hour, then it goes by itself.
pub(super) const FAR_PAST: TimeDelta = TimeDelta::hours(2);

/// A timer that is there.
#[derive(Debug, Clone)]
pub(super) struct Present {
    pub(super) name: String,
    pub(super) enabled: bool,
    /// What it holds, where that was asked for.
    pub(super) held: Option<TimerView>,
}

/// One thing that does not fit.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Fault {
    pub(super) kind: FindingKind,
    pub(super) timer: Option<String>,
    pub(super) message: String,
}

/// What does not fit between a job and the timers that bear its name.
pub(super) fn faults(record: &JobRecord, config: &Config, now: DateTime<Utc>, present: &[Present]) -> Vec<Fault> {
    let job = &record.job;
    let id = &job.job_id;
    let wanted = timer_for(record, config, now);
    let mut faults = Vec::new();
    let mut add = |kind, timer: Option<&str>, message| {
        faults.push(Fault { kind, timer: timer.map(str::to_owned), message });
    };
    if let Some(wanted) = &wanted {
        let name = wanted.name.as_str();
        match present.iter().find(|there| there.name == name) {
            None if job.enabled && is_lost(record, config, now, wanted, present) => {
                let what = if recurs(wanted) { "its timer" } else { "the next one-shot of its chain" };
                add(
                    FindingKind::TimerMissing,
                    Some(name),
                    format!("job {id} is enabled, and {what} {name} is not there"),
                );
            }
            None => {}
            Some(there) if job.enabled && !there.enabled => {
                add(FindingKind::TimerState, Some(name), format!("job {id} is enabled, and its timer {name} is not"));
            }
            Some(there) if !job.enabled && there.enabled => {
                add(FindingKind::TimerState, Some(name), format!("job {id} is disabled, and its timer {name} is not"));
            }
            Some(there) => {
                if let Some(how) = there.held.as_ref().and_then(|held| difference(held, wanted, &job.schedule)) {
                    add(FindingKind::TimerDiffers, Some(name), format!("the timer {name} of job {id} {how}"));
                }
            }
        }
    }
    for there in present.iter().filter(|there| wanted.as_ref().is_none_or(|wanted| wanted.name != there.name)) {
        if let Some(why) = leftover(record, config, wanted.as_ref(), now, there) {
            let name = there.name.as_str();
            add(FindingKind::TimerOrphan, Some(name), format!("the timer {name} is left over: {why}"));
        }
    }
    let due = job.state.next_run_at_ms.filter(|_| job.enabled).and_then(DateTime::from_timestamp_millis);
    if let Some(due) = due.filter(|due| *due < now - GRACE) {
        let due = due.to_rfc3339_opts(SecondsFormat::Secs, true);
        add(FindingKind::MissedFire, None, format!("job {id} was to run at {due}, and nothing has begun it"));
    }
    faults
}

fn recurs(timer: &JobTimer) -> bool {
    matches!(timer.spec, TimerSpec::Recurring { .. })
}

/// Whether a timer that is not there should be.
fn is_lost(record: &JobRecord, config: &Config, now: DateTime<Utc>, wanted: &JobTimer, present: &[Present]) -> bool {
    let TimerSpec::Once(at) = wanted.spec else { return true };
    // So near, it was handed over without a timer; the one before it may be waiting for its second.
    if at - now < NEAR {
        return false;
    }
    let pending = present.iter().any(|there| match Named::of(&there.name) {
        Named::Link { slot, generation, .. } => {
            let fires = fires_at(record, config, slot);
            generation == record.generation && fires > now - FAR_PAST && fires < at
        }
        Named::Job(_) | Named::Poll(_) | Named::Resume(_) | Named::Sweep | Named::Other | Named::Unknown => false,
    });
    // It arms this one when it has fired, which it may be doing now.
    let before = timer_for(record, config, now - GRACE);
    let firing = before.is_some_and(|before| match before.spec {
        TimerSpec::Once(fired) => fired <= now,
        TimerSpec::Recurring { .. } => false,
    });
    !pending && !firing
}

/// When the one-shot of an occurrence fires, about.
fn fires_at(record: &JobRecord, config: &Config, slot: DateTime<Utc>) -> DateTime<Utc> {
    let starts = starts(record, config).filter(|starts| starts.offset().is_none());
    starts.map_or(slot, |starts| starts.of(slot))
}

/// Why a timer that bears the job's name, and is not the one it needs, should not be there; `None` for one that may.
fn leftover(
    record: &JobRecord,
    config: &Config,
    wanted: Option<&JobTimer>,
    now: DateTime<Utc>,
    there: &Present,
) -> Option<String> {
    let id = &record.job.job_id;
    match Named::of(&there.name) {
        Named::Job(_) => Some(format!("job {id} runs by one-shots now")),
        Named::Link { slot, .. } if fires_at(record, config, slot) <= now => (now - fires_at(record, config, slot)
            > FAR_PAST)
            .then(|| "it should have fired and gone long ago".to_owned()),
        // The next run was moved to it, once.
        Named::Link { slot, .. } if record.job.enabled && record.check == Some(slot) => None,
        Named::Link { .. } if !record.job.enabled => Some(format!("job {id} is disabled")),
        Named::Link { generation, .. } if generation != record.generation => {
            Some(format!("it was armed for an earlier definition of job {id}"))
        }
        Named::Link { .. } if wanted.is_some_and(recurs) => Some(format!("job {id} has a recurring timer now")),
        // A later link of today's chain fires at a real occurrence.
        Named::Link { .. } | Named::Poll(_) | Named::Resume(_) | Named::Sweep | Named::Other | Named::Unknown => None,
    }
}

/// How what a timer holds differs from what it should.
fn difference(held: &TimerView, wanted: &JobTimer, schedule: &Schedule) -> Option<String> {
    let same = match (&held.spec, &wanted.spec) {
        (TimerSpec::Once(held), TimerSpec::Once(wanted)) => *held == whole_second(*wanted),
        (
            TimerSpec::Recurring { expression, timezone, start },
            TimerSpec::Recurring { expression: other, timezone: zone, start: begin },
        ) => expression == other && timezone == zone && same_phase(*start, *begin, schedule),
        (TimerSpec::Once(_), TimerSpec::Recurring { .. }) | (TimerSpec::Recurring { .. }, TimerSpec::Once(_)) => false,
    };
    if !same {
        return Some(format!("fires {}, and should fire {}", spelled(&held.spec), spelled(&wanted.spec)));
    }
    if held.function != Some(wanted.envelope.kind.function()) {
        return Some("calls something else than the trigger function".to_owned());
    }
    let (held, wanted) = (held.envelope.as_ref().map(|envelope| &envelope.kind), &wanted.envelope.kind);
    match (held, wanted) {
        (Some(held), wanted) if held == wanted => None,
        (Some(Wake::Job { j, g, .. }), Wake::Job { j: job, g: generation, .. }) if (j, g) != (job, generation) => {
            Some(format!("speaks of job {j} in its definition {g}, not of {job} in its definition {generation}"))
        }
        (Some(_), _) => Some("sends another envelope than it should".to_owned()),
        (None, _) => Some("sends something that is no envelope".to_owned()),
    }
}

/// A rate goes on from its start: one that began earlier on the same grid fires at the same times.
fn same_phase(held: Option<DateTime<Utc>>, wanted: Option<DateTime<Utc>>, schedule: &Schedule) -> bool {
    match (held, wanted, schedule) {
        (Some(held), Some(wanted), Schedule::Every { every_ms, .. }) => {
            let ahead = u64::try_from((wanted - held).num_milliseconds());
            ahead.is_ok_and(|ahead| ahead.is_multiple_of(*every_ms))
        }
        (held, wanted, _) => held == wanted,
    }
}

fn spelled(spec: &TimerSpec) -> String {
    let instant = |at: &DateTime<Utc>| at.to_rfc3339_opts(SecondsFormat::Secs, true);
    match spec {
        TimerSpec::Once(at) => format!("once at {}", instant(at)),
        TimerSpec::Recurring { expression, timezone, start: None } => format!("by {expression} in {timezone}"),
        TimerSpec::Recurring { expression, timezone, start: Some(start) } => {
            format!("by {expression} in {timezone} from {}", instant(start))
        }
    }
}
