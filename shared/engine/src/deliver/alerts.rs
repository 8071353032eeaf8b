//! Sends the alerts about a run that has ended.
//!
//! Guarantee: each at most once visibly, by the same ledger as answers, under an origin of its own. How it fares changes
//! neither the run's status nor what is counted of its job; the job's state says whether it arrived. What it does not know:
//! when an alert is due.

use chrono::{DateTime, TimeDelta, Utc};
use nightshift_domain::alert::{Fate, Kind, Notice, Style, on_sent, text};
use nightshift_domain::delivery::{Chunk, verdict};
use nightshift_domain::job::{DeliveryMode, DeliveryStatus};
use nightshift_domain::metrics;
use nightshift_domain::run::{Run, take};
use tracing::{info, warn};

use super::ledger::{Part, Patience, Sending, planned, send_all};
use super::{Delivered, STALE_AFTER, event, later, trouble};
use crate::error::EngineError;
use crate::ports::{Outcome, Write};
use crate::runs::Scene;
use crate::runs::commit::{MAX_RACES, run_retention, save};
use crate::runs::drive::not_by_a_twin;
use crate::runs::target::{NoTarget, Resolved, of_route, reopened};

/// How long an alert waits before its channel's secret is asked for again.
const SECRET_AGAIN: TimeDelta = TimeDelta::minutes(15);

/// What became of one alert.
enum Told {
    Over(Fate),
    Later(DateTime<Utc>),
    /// Somebody else sends it.
    Taken,
}

/// Sends what is due of the alerts of `run`, which is over.
///
/// # Crash safety
/// The run's row has the alerts since it ended, and stands in the due index until each has its fate, so that a stop anywhere
/// is found by the sweeper; the ledger's rows say what may still be sent. Fate and job are one write.
pub(super) async fn send(scene: Scene<'_>, run: Run) -> Result<Delivered, EngineError> {
    let mut run = match take(&run, &scene.invocation.id, scene.deps.clock.now()) {
        Ok(run) => run,
        Err(held) => return not_by_a_twin(scene, &run.key, &held).map(|()| Delivered::Nothing),
    };
    if !save(scene, &run).await? {
        return Ok(Delivered::Nothing);
    }
    let mut again: Option<DateTime<Utc>> = None;
    let due = run.alerts.iter().flat_map(|alerts| &alerts.notices).cloned().enumerate();
    for (index, notice) in due.filter(|(_, notice)| notice.fate.is_none()).collect::<Vec<_>>() {
        match tell(scene, &run, &notice).await? {
            Told::Over(fate) => match settled(scene, run, index, fate).await? {
                Some(after) => run = after,
                None => return Ok(Delivered::Nothing),
            },
            Told::Later(at) => again = Some(again.map_or(at, |other| other.min(at))),
            Told::Taken => return Ok(Delivered::Nothing),
        }
    }
    let Some(at) = again else { return Ok(Delivered::Told) };
    if let Some(alerts) = &mut run.alerts {
        alerts.send_at = at;
    }
    later(scene, run, at).await
}

async fn tell(scene: Scene<'_>, run: &Run, notice: &Notice) -> Result<Told, EngineError> {
    let now = scene.deps.clock.now();
    let begun = scene.deps.store.chunks(&run.key, notice.kind.origin()).await?;
    if let Some(reason) = unwanted(scene, run, notice, &begun).await? {
        return Ok(over(DeliveryStatus::Suppressed, Some(reason.to_owned())));
    }
    let Resolved { target, channel } = match place(scene, run, notice, &begun).await? {
        Ok(resolved) => resolved,
        Err(NoTarget::Secret(_)) if now < notice.at + STALE_AFTER => return Ok(Told::Later(now + SECRET_AGAIN)),
        Err(why) => return Ok(over(DeliveryStatus::Failed, Some(why.sentence("the alert", "failureAlert.to")))),
    };
    let failed_there = run.plan.as_ref().and_then(|plan| plan.target.as_ref());
    if notice.kind == Kind::Delivery && begun.is_empty() && failed_there == Some(&target) {
        let reason = "it would go where the answer did not arrive".to_owned();
        return Ok(over(DeliveryStatus::Suppressed, Some(reason)));
    }
    let body = match notice.route.mode {
        DeliveryMode::Webhook => event::alert(run, notice).to_string(),
        // The console shows Markdown as it is.
        DeliveryMode::Announce | DeliveryMode::None if target.channel == "console" => text(notice, run, Style::Plain),
        DeliveryMode::Announce | DeliveryMode::None => text(notice, run, Style::Markdown),
    };
    let part = Part { run: &run.key, origin: notice.kind.origin(), target: &target };
    let chunks = planned(scene, part, begun, channel.as_ref(), &body).await?;
    Ok(match send_all(scene, channel.as_ref(), chunks, Patience::ComesBack).await? {
        Sending::Over(chunks) => over(verdict(&chunks), chunks.iter().find_map(|chunk| trouble(&chunk.state))),
        Sending::Later(at, _) => Told::Later(at),
        Sending::Taken => Told::Taken,
    })
}

fn over(status: DeliveryStatus, error: Option<String>) -> Told {
    Told::Over(Fate { status, error })
}

/// Why nobody wants the alert any more, as long as no part of it is on its way. A job that went after its success is well.
async fn unwanted(
    scene: Scene<'_>,
    run: &Run,
    notice: &Notice,
    begun: &[Chunk],
) -> Result<Option<&'static str>, EngineError> {
    if notice.kind == Kind::Recovered || begun.iter().any(|chunk| chunk.attempts > 0) {
        return Ok(None);
    }
    let removed = scene.deps.store.job(&run.job_id).await?.is_none();
    Ok(removed.then_some("the job was removed"))
}

/// Where it goes: the place it was begun with, whatever the configuration says by now; where the run's answer was to go, if
/// that is its route and was told.
async fn place(
    scene: Scene<'_>,
    run: &Run,
    notice: &Notice,
    begun: &[Chunk],
) -> Result<Result<Resolved, NoTarget>, EngineError> {
    let planned = || run.plan.as_ref().filter(|_| notice.route.primary)?.target.as_ref();
    match begun.first().map(|chunk| &chunk.target).or_else(planned) {
        Some(target) => Ok(reopened(scene.deps, scene.config, target.clone()).await),
        None => of_route(scene.deps, scene.config, &notice.route, &run.agent_id).await,
    }
}

/// Writes what became of the alert at `index`, in the run and in its job, and gives the run back once no other is due; `None`
/// where somebody else moved the run.
///
/// # Crash safety
/// One write. Stopped before it, the ledger's rows give the same fate to whoever comes next.
async fn settled(scene: Scene<'_>, run: Run, index: usize, fate: Fate) -> Result<Option<Run>, EngineError> {
    let (now, key, status) = (scene.deps.clock.now(), run.key.clone(), fate.status);
    let mut after = run;
    let Some(notice) = after.alerts.as_mut().and_then(|alerts| alerts.notices.get_mut(index)) else { return Ok(None) };
    let (word, to) = (notice.kind.word(), notice.route.shown());
    let line = match (&fate.status, &fate.error) {
        (DeliveryStatus::Delivered, _) => format!("{word} is told to {to}"),
        (_, Some(why)) => format!("{word} is not told to {to}: {why}"),
        (_, None) => format!("{word} is not told to {to}"),
    };
    if fate.status == DeliveryStatus::Delivered {
        info!(run.id = %key, "the alert \"{word}\" about run {key} is sent");
    } else {
        warn!(run.id = %key, "the alert \"{word}\" about run {key} did not arrive: {}", fate.error.as_deref().unwrap_or("-"));
    }
    notice.fate = Some(fate);
    let notice = notice.clone();
    after.log(now, "alert", Some(line));
    if after.due_alerts().is_none() {
        after.lease = None;
    }
    after.rev += 1;
    let expires_at = after.ended_at.map(|ended| ended + run_retention(scene));
    for _ in 0..MAX_RACES {
        let record = scene.deps.store.job(&key.job_id()).await?;
        let record = record.map(|mut record| {
            record.rev += 1;
            on_sent(&mut record, &notice);
            record
        });
        let mut writes = vec![Write::Run { run: &after, expires_at }];
        writes.extend(record.iter().map(Write::Job));
        match scene.deps.store.commit(&writes).await? {
            Outcome::Applied => {
                scene.deps.measure(&metrics::alerted(&key, status));
                return Ok(Some(after));
            }
            Outcome::Lost(0) => {
                let read = Run { rev: after.rev - 1, ..after };
                let stands = scene.deps.store.run(&key).await?;
                let Some(rebased) = stands.and_then(|stands| read.rebased(&stands)) else { return Ok(None) };
                after = Run { rev: rebased.rev + 1, ..rebased };
            }
            Outcome::Lost(_) => {}
        }
    }
    Err(EngineError::Contended { subject: format!("job {}", key.job_id()), times: MAX_RACES })
}
