//! A job's timer fired: is this an occurrence, and may it run?

use chrono::{DateTime, TimeDelta, Utc};
use nightshift_domain::event::Wake;
use nightshift_domain::job::{JobRecord, LATE_AT_MOST, Missed};
use nightshift_domain::schedule;
use nightshift_domain::{JobId, RunKey};
use tracing::{debug, info};

use crate::error::EngineError;
use crate::heartbeat;
use crate::jobs::timer_for;
use crate::ports::{Outcome, TimerSpec, Write};

use super::Scene;
use super::catch_up::{CaughtUp, Why, catch_up, hand_over};
use super::claim::{Claim, Claimant, Occurrence, claim_occurrence};
use super::drive::{Resumed, drive, resume};
use super::occurrence::Timing;

/// Longest a handler sleeps for the part of a start that timers cannot express: they are precise to a minute.
const LONGEST_SLEEP: TimeDelta = TimeDelta::seconds(90);

/// Why an occurrence is skipped that comes before the instant the next run was moved to.
pub(super) const PUT_OFF: &str = "next_check";

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
    Box::pin(fired(scene, fire, false)).await
}

/// Makes up for a fire of `record`'s job that did not come, if its next run has passed: the same as a late fire, but that the
/// runs are handed to `trigger`. Answers whether anything was begun or recorded.
///
/// # Crash safety
/// As [`fire`]. A claimed run that was not handed over stands in the due index.
pub(crate) async fn make_up_for_fire(scene: Scene<'_>, record: &JobRecord) -> Result<bool, EngineError> {
    let now = scene.deps.clock.now();
    let Some(timing) = Timing::of(record, scene) else { return Ok(false) };
    let next = record.job.state.next_run_at_ms.and_then(DateTime::from_timestamp_millis);
    let (Some(slot), Some(_)) = (timing.due(now), next.filter(|next| *next <= now)) else { return Ok(false) };
    let start = timing.starts.of(slot);
    let (job, generation) = (record.job.job_id.clone(), record.generation);
    let fire = Fire { job, generation, scheduled: start, slot: Some(slot), not_before: Some(start) };
    Ok(match Box::pin(fired(scene, &fire, true)).await? {
        Fired::Driven(_) => true,
        Fired::Recorded(_) | Fired::Stray | Fired::Ignored => false,
    })
}

/// `swept` says that the sweep stands in for a fire that was lost; then [`Fired::Driven`] means that something came of it.
async fn fired(scene: Scene<'_>, fire: &Fire, swept: bool) -> Result<Fired, EngineError> {
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
    let switched_off = is_switched_off(scene);
    let Some(timing) = Timing::of(&record, scene) else { return Ok(Fired::Ignored) };
    let Some(slot) = timing.occurrence(fire, &record) else {
        if swept {
            return Ok(Fired::Ignored);
        }
        // The retry of a fire whose run was claimed: an instant the next run was moved to is no occurrence any more then.
        if let Some(named) = fire.slot {
            let key = RunKey::of_slot(&fire.job, named);
            if scene.deps.store.run(&key).await?.is_some() {
                return taken_up(scene, key).await;
            }
        }
        return stray(scene, record).await;
    };
    let start = fire.not_before.unwrap_or_else(|| timing.starts.of(slot));
    let now = scene.deps.clock.now();
    if !switched_off && start > now && start - now <= LONGEST_SLEEP {
        scene.deps.clock.sleep_until(start).await;
    }
    arm_next(scene, &record, slot).await?;
    let now = scene.deps.clock.now();
    let late = now - timing.starts.of(slot);
    if now > timing.starts.own_until(slot, LATE_AT_MOST) {
        return make_up(scene, record, &timing, slot, switched_off, swept).await;
    }
    let CaughtUp { record: Some(record), claimed, recorded } =
        catch_up(scene, record, &timing, Why { on_time: Some(slot), switched_off, swept }).await?
    else {
        return Err(retimed(fire));
    };
    hand_over(scene, &claimed).await?;
    // Only a recurring job pauses: a one-shot has no other occurrence.
    let recurring = !matches!(record.job.schedule, schedule::Schedule::At { .. });
    let held = recurring && record.hold_until.is_some_and(|until| start < until);
    // The chain goes on and the occurrence leaves its record, so that switching timers on again finds every job as it was.
    let skip = match () {
        () if switched_off => Some("cron_disabled"),
        () if record.check.is_some_and(|check| slot < check) => Some(PUT_OFF),
        () if record.job.is_too_late(late) => Some("too_late"),
        () if held => Some("backoff"),
        () => None,
    };
    let skip = match skip {
        Some(reason) => Some(reason),
        None => heartbeat::reason_to_rest(scene, &record, start).await?,
    };
    let behind = recorded > 0 && record.job.missed == Missed::All;
    // What was missed before it was counted with its rows.
    let by = if swept { Claimant::Sweep { counts: recorded == 0 } } else { Claimant::Timer };
    let occurrence = Occurrence { slot, skip, behind, by };
    match claim_occurrence(scene, record, &timing, occurrence).await? {
        Claim::Claimed(run) if swept => {
            hand_over(scene, std::slice::from_ref(&run.key)).await?;
            Ok(Fired::Driven(run.key))
        }
        Claim::Recorded(key) if swept => Ok(Fired::Driven(key)),
        Claim::Exists(key) if swept => Ok(if recorded > 0 { Fired::Driven(key) } else { Fired::Recorded(key) }),
        Claim::Claimed(run) => {
            let key = run.key.clone();
            drive(scene, *run, vec![nightshift_domain::run::Effect::Plan]).await?;
            Ok(Fired::Driven(key))
        }
        Claim::Recorded(key) => Ok(Fired::Recorded(key)),
        Claim::Exists(key) => taken_up(scene, key).await,
        Claim::NoJob => Ok(Fired::Ignored),
        // A timer is never told that it is busy; should it be, its retry loses nothing.
        Claim::Retimed | Claim::Busy => Err(retimed(fire)),
    }
}

/// The job changed under the fire's hands: the function's retry judges it by the schedule as it is then.
fn retimed(fire: &Fire) -> EngineError {
    EngineError::Contended { subject: format!("the timing of job {}", fire.job), times: 1 }
}

/// Whether timers run nothing.
pub(crate) fn is_switched_off(scene: Scene<'_>) -> bool {
    scene.deps.settings.skip_cron || !scene.config.cron.enabled
}

/// A fire that comes so late that its occurrence counts as missed, as may others before and after it.
async fn make_up(
    scene: Scene<'_>,
    record: JobRecord,
    timing: &Timing,
    slot: DateTime<Utc>,
    switched_off: bool,
    swept: bool,
) -> Result<Fired, EngineError> {
    let key = RunKey::of_slot(&record.job.job_id, slot);
    let caught_up = catch_up(scene, record, timing, Why { on_time: None, switched_off, swept }).await?;
    if swept {
        hand_over(scene, &caught_up.claimed).await?;
        return Ok(if caught_up.recorded > 0 { Fired::Driven(key) } else { Fired::Recorded(key) });
    }
    let others: Vec<RunKey> = caught_up.claimed.into_iter().filter(|run| *run != key).collect();
    hand_over(scene, &others).await?;
    taken_up(scene, key).await
}

async fn taken_up(scene: Scene<'_>, key: RunKey) -> Result<Fired, EngineError> {
    Ok(match resume(scene, &key).await? {
        Resumed::Driven => Fired::Driven(key),
        Resumed::InBatch(_) | Resumed::Held { .. } | Resumed::Nothing => Fired::Recorded(key),
    })
}

/// Arms the one-shot after that of `slot` of a job that is a chain of them; a recurring timer needs nothing.
async fn arm_next(scene: Scene<'_>, record: &JobRecord, slot: DateTime<Utc>) -> Result<(), EngineError> {
    if matches!(record.job.schedule, schedule::Schedule::At { .. }) {
        return Ok(());
    }
    // As the row will stand when the occurrence has its record.
    let mut claimed = record.clone();
    claimed.learn_lead();
    claimed.settled = claimed.settled.max(Some(slot));
    if let Some(timer) = timer_for(&claimed, scene.config, scene.deps.clock.now())
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
