//! A job's timer fired: is this an occurrence, and may it run?

use chrono::{DateTime, TimeDelta, Utc};
use nightshift_domain::event::Wake;
use nightshift_domain::job::JobRecord;
use nightshift_domain::schedule::{self, FIRE_TOLERANCE, Schedule, Timetable, plan, slot, stagger_ms, stagger_offset};
use nightshift_domain::{JobId, RunKey};
use tracing::{debug, info};

use crate::error::EngineError;
use crate::jobs::{self, timer_for};
use crate::ports::{Outcome, TimerSpec, Write};

use super::Scene;
use super::claim::{Claim, claim_occurrence};
use super::drive::{Resumed, drive, resume};

/// Longest a handler sleeps for the part of a start that timers cannot express: they are precise to a minute.
const LONGEST_SLEEP: TimeDelta = TimeDelta::seconds(90);

/// What a job's timer said.
#[derive(Debug, Clone)]
pub struct Fire {
    /// The job.
    pub job: JobId,
    /// The generation that armed it.
    pub generation: u64,
    /// When it was due.
    pub scheduled: DateTime<Utc>,
    /// The occurrence a one-shot stands for.
    pub slot: Option<DateTime<Utc>>,
    /// Not to be started before.
    pub not_before: Option<DateTime<Utc>>,
}

impl Fire {
    /// Reads a [`Wake::Job`]; a time that cannot be read is taken as `now`.
    pub fn of(wake: &Wake, now: DateTime<Utc>) -> Option<Self> {
        let Wake::Job { j, g, s, slot, nb } = wake else { return None };
        let scheduled = s.parse().unwrap_or(now);
        Some(Self { job: j.clone(), generation: *g, scheduled, slot: *slot, not_before: *nb })
    }
}

/// What a fire came to.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Fired {
    /// Its run went as far as it could.
    Driven(RunKey),
    /// Its run waits, or was skipped: the row says why.
    Recorded(RunKey),
    /// It was no occurrence (a superset's extra, a second pass); counted.
    Stray,
    /// Nothing to do: no such job, disabled, or timers are switched off.
    Ignored,
}

/// Handles the fire of a job's timer.
///
/// # Crash safety
/// A chain's next one-shot is armed before the run is claimed, under a name that holds its occurrence. A repeat finds the
/// run there and takes it up where it stands.
pub async fn fire(scene: Scene<'_>, fire: &Fire) -> Result<Fired, EngineError> {
    let Some(record) = scene.deps.store.job(&fire.job).await? else {
        // A stop between a job's last write and the removal of its timer leaves a timer without a job: it removes itself.
        info!(job.id = %fire.job, "there is no job {}; its timer is removed", fire.job);
        scene.deps.timers.remove(&fire.job.timer_name()).await?;
        return Ok(Fired::Ignored);
    };
    if !record.job.enabled {
        debug!(job.id = %fire.job, "job {} is disabled", fire.job);
        return Ok(Fired::Ignored);
    }
    let switched_off = scene.deps.settings.skip_cron || !scene.config.cron.enabled;
    let Some(timing) = Timing::of(&record, scene) else { return Ok(Fired::Ignored) };
    let Some(occurrence) = timing.occurrence(fire, &record) else { return stray(scene, record).await };
    let start = fire.not_before.unwrap_or(occurrence + timing.offset);
    let now = scene.deps.clock.now();
    if !switched_off && start > now && start - now <= LONGEST_SLEEP {
        scene.deps.clock.sleep_until(start).await;
    }
    let next = timing.table.next_after(occurrence.max(scene.deps.clock.now() - timing.offset));
    arm_next(scene, &record).await?;
    let late = scene.deps.clock.now() - (occurrence + timing.offset);
    // The chain goes on and the occurrence leaves its record, so that switching timers on again finds every job as it was.
    let skip = if switched_off { Some("cron_disabled") } else { too_late(&record, late).then_some("too_late") };
    let next_start = next.map(|next| next + timing.offset);
    match claim_occurrence(scene, record, occurrence, next_start, skip).await? {
        Claim::Claimed(run) => {
            let key = run.key.clone();
            drive(scene, *run, vec![nightshift_domain::run::Effect::Plan]).await?;
            Ok(Fired::Driven(key))
        }
        Claim::Recorded(key) => Ok(Fired::Recorded(key)),
        Claim::Exists(key) => match resume(scene, &key).await? {
            Resumed::Driven => Ok(Fired::Driven(key)),
            Resumed::InBatch(_) | Resumed::Held { .. } | Resumed::Nothing => Ok(Fired::Recorded(key)),
        },
        Claim::NoJob => Ok(Fired::Ignored),
    }
}

struct Timing {
    table: Timetable,
    offset: TimeDelta,
    shift: TimeDelta,
}

impl Timing {
    fn of(record: &JobRecord, scene: Scene<'_>) -> Option<Self> {
        let zone = jobs::default_zone(&record.job, scene.config);
        let table = Timetable::new(&record.job.schedule, &zone).ok()?;
        let offset = stagger_offset(record.job.job_id.as_str(), stagger_ms(&record.job.schedule));
        let shift = plan(&table, offset).shift;
        Some(Self { table, offset, shift })
    }

    /// The occurrence the fire stands for under the *current* schedule, whatever generation armed it.
    fn occurrence(&self, fire: &Fire, record: &JobRecord) -> Option<DateTime<Utc>> {
        if let Some(named) = fire.slot {
            let last_ms = named + TimeDelta::milliseconds(999);
            let real = self.table.latest_at_or_before(last_ms).filter(|real| *real >= named - TimeDelta::seconds(1));
            return real.filter(|_| {
                fire.generation == record.generation || !matches!(record.job.schedule, Schedule::At { .. })
            });
        }
        slot(&self.table, fire.scheduled - self.shift, FIRE_TOLERANCE)
    }
}

fn too_late(record: &JobRecord, late: TimeDelta) -> bool {
    let most = record.job.max_lateness_ms.and_then(|ms| i64::try_from(ms).ok());
    most.is_some_and(|most| late > TimeDelta::milliseconds(most))
}

/// Arms the next one-shot of a job that is a chain of them; a recurring timer needs nothing.
async fn arm_next(scene: Scene<'_>, record: &JobRecord) -> Result<(), EngineError> {
    if matches!(record.job.schedule, schedule::Schedule::At { .. }) {
        return Ok(());
    }
    if let Some(timer) = timer_for(record, scene.config, scene.deps.clock.now())
        && let TimerSpec::Once(at) = timer.spec
    {
        scene.deps.timers.arm(&timer.name, at, &timer.envelope).await?;
    }
    Ok(())
}

/// Counts a fire that is no occurrence.
async fn stray(scene: Scene<'_>, record: JobRecord) -> Result<Fired, EngineError> {
    debug!(job.id = %record.job.job_id, "a fire of job {} is no occurrence", record.job.job_id);
    let mut counted = record;
    counted.stray_fires += 1;
    counted.rev += 1;
    // Losing this race loses one count of a number nobody steers by.
    let _: Outcome = scene.deps.store.commit(&[Write::Job(&counted)]).await?;
    Ok(Fired::Stray)
}
