//! Running, stopping, and speaking to a main session.

use std::sync::Arc;

use nightshift_domain::event::{Envelope, Wake};
use nightshift_domain::job::{JobRecord, WakeMode};
use nightshift_domain::run::release;
use nightshift_domain::{FieldError, RunKey};
use serde_json::Value;
use tracing::info;

use crate::deps::Deps;
use crate::ports::{Entropy, SystemEvent, Write};
use crate::runs::occurrence::Timing;
use crate::runs::{Claim, Claimant, INLINE_MAX, Occurrence, Scene, Wish, claim_manual, claim_occurrence, load_config};

use super::heartbeats::arm;
use super::params::Params;
use super::{MAX_RACES, Refusal, Request, Stamp};

/// What came of asking for a run.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Ran {
    /// Its row is written and it is handed over.
    Enqueued(RunKey),
    /// There is none, for this reason: `not-due`, `already-running` or `disabled`.
    Not(&'static str),
}

/// Draws the same bits every time.
#[derive(Debug)]
struct Drawn(u128);

impl Entropy for Drawn {
    fn bits(&self) -> u128 {
        self.0
    }
}

/// The world with the chance of the request's stamp, so that a repeat makes the same ids.
pub(super) fn drawn(request: &Request<'_>) -> Deps {
    Deps { entropy: Arc::new(Drawn(request.stamp.bits)), ..request.deps.clone() }
}

/// Runs a job now: `{jobId, mode?}`. `force` (the default) always runs it; `if-enabled` unless it is switched off; `due`
/// only if its next run has come, nobody started it, and the job's overlap rule has room for it. What `due` does not run is left
/// to its timer.
///
/// # Crash safety
/// The run's row is one transaction with its job, before the answer. Stopped before the hand-over, the row stands in the
/// due index; a repeat with the same stamp makes the same run key, finds the row and hands it over again. With `due` the
/// claim itself moves the next run on, so a repeat after a stop answers that nothing is due, and the due index has the run.
pub async fn run_now(request: &Request<'_>, input: &Value) -> Result<Ran, Refusal> {
    let mut params = Params::new(input, &["jobId", "id", "mode"]);
    let id = params.needed_job();
    let mode = params.words("mode", "modes", &["force", "due", "if-enabled"]).first().copied().unwrap_or("force");
    let id = params.needed(id)?;
    if id.is_hook() {
        return Err(id.not_built_in().err().into_iter().collect::<Vec<_>>().into());
    }
    let deps = request.deps;
    let no_job = || Refusal::NoJob(id.to_string());
    let record = deps.store.job(&id).await?.ok_or_else(no_job)?;
    if mode != "force" && !record.job.enabled {
        return Ok(Ran::Not("disabled"));
    }
    let key = if mode == "due" {
        match claim_due(request, record).await? {
            Ok(key) => key,
            Err(reason) => return Ok(Ran::Not(reason)),
        }
    } else {
        let config = load_config(deps).await?;
        let wish = Wish { asked: true, ..Wish::default() };
        claim_manual(&drawn(request), &config, record, request.stamp.at, wish).await?.ok_or_else(no_job)?
    };
    info!(run.id = %key, job.id = %id, "run {key} was asked for");
    let wake = Wake::Resume { r: key.clone() };
    deps.invoker.invoke(wake.function(), &Envelope::new(wake)).await?;
    Ok(Ran::Enqueued(key))
}

/// Claims the occurrence that is due, under the key its own timer would use, so that the timer finds it when it comes
/// after all. The lease the claim took is given back at once, for `trigger` to take.
async fn claim_due(request: &Request<'_>, record: JobRecord) -> Result<Result<RunKey, &'static str>, Refusal> {
    let deps = request.deps;
    if record.job.state.next_run_at_ms.is_none_or(|at| at > request.now.timestamp_millis()) {
        return Ok(Err("not-due"));
    }
    let config = load_config(deps).await?;
    let scene = Scene { deps, invocation: request.invocation, config: &config };
    let Some(timing) = Timing::of(&record, scene) else { return Ok(Err("not-due")) };
    let Some(slot) = timing.due(request.now) else { return Ok(Err("not-due")) };
    let occurrence = Occurrence { slot, skip: None, behind: false, by: Claimant::Asker };
    match Box::pin(claim_occurrence(scene, record, &timing, occurrence)).await? {
        Claim::Claimed(run) => {
            let released = release(&run);
            // Losing this race means that somebody works on it already.
            let _ = deps.store.commit(&[Write::Run { run: &released, expires_at: None }]).await?;
            Ok(Ok(run.key))
        }
        Claim::Exists(key) if request.stamp.repeated => Ok(Ok(key)),
        Claim::Exists(_) | Claim::Retimed => Ok(Err("not-due")),
        Claim::Busy | Claim::Recorded(_) => Ok(Err("already-running")),
        Claim::NoJob => Ok(Err("disabled")),
    }
}

/// What came of stopping a run.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Canceled {
    /// The run.
    pub run: RunKey,
    /// Whether it is stopped, or told to; `false` when it was over already.
    pub canceled: bool,
    /// How it stands now.
    pub state: &'static str,
}

/// Stops a run: `{runId}`.
///
/// # Crash safety
/// The wish is one conditional write; what follows from it is repeated by whoever next looks at the run.
pub async fn cancel(request: &Request<'_>, input: &Value) -> Result<Canceled, Refusal> {
    let mut params = Params::new(input, &["runId"]);
    let key = params.needed_run();
    let key = params.needed(key)?;
    let deps = request.deps;
    let mut wished = false;
    let mut config = None;
    for _ in 0..MAX_RACES {
        let run = deps.store.run(&key).await?.ok_or_else(|| Refusal::NoRun(key.to_string()))?;
        // A wish that stands already, of this request or another, is for whoever works on the run to fulfil.
        let under_way = run.state.batch().is_some() || run.state == nightshift_domain::run::State::Delivering;
        wished |= run.cancel_requested && under_way;
        if run.state.is_terminal() || wished {
            let canceled = wished || run.state == nightshift_domain::run::State::Canceled;
            return Ok(Canceled { run: key, canceled, state: run.state.name() });
        }
        if config.is_none() {
            config = Some(load_config(deps).await?);
        }
        if let Some(config) = &config {
            let scene = Scene { deps, invocation: request.invocation, config };
            wished = Box::pin(crate::runs::cancel(scene, &key)).await?;
        }
    }
    Err(Refusal::Changed(format!("run {key}")))
}

/// The id of the event that a request with this stamp queues.
pub fn event_id(stamp: &Stamp) -> String {
    format!("{}-{}", stamp.at.format("%Y%m%dT%H%M%SZ"), stamp.ulid())
}

/// Queues a text for an agent's main session: `{text, mode?, agentId?}`; with mode `now` a heartbeat starts at once.
/// Answers the event's id.
///
/// # Crash safety
/// The cadence is armed first. The event's id is made of the stamp, so that a repeat queues the same event; with `now` it is
/// one transaction with the heartbeat that answers it, whose hand-over the sweeper makes up for.
pub async fn system_event(request: &Request<'_>, input: &Value) -> Result<String, Refusal> {
    let mut params = Params::new(input, &["text", "mode", "agentId"]);
    let text = params.text("text").map(str::to_owned);
    match &text {
        None => params.fault(FieldError::new("missing_field", "text", "text is empty")),
        Some(text) if text.len() > INLINE_MAX => params.fault(FieldError::new(
            "invalid_field",
            "text",
            format!("text has {} bytes, the most is {INLINE_MAX}", text.len()),
        )),
        Some(_) => {}
    }
    let mode = params.words("mode", "modes", &["now", "next-heartbeat"]).first().copied();
    let wake = if mode == Some("now") { WakeMode::Now } else { WakeMode::NextHeartbeat };
    let agent = params.text("agentId").map(str::to_owned);
    let text = params.needed(text)?;
    let deps = request.deps;
    let config = load_config(deps).await?;
    let (agent, _, _) = config.agent(agent.as_deref());
    let id = event_id(&request.stamp);
    let expires_at = request.now + config.cron.retention.events();
    let event = SystemEvent::new(agent.clone(), id, text, request.stamp.at, expires_at);
    let record = arm(request, &config, &agent).await?;
    if wake == WakeMode::NextHeartbeat {
        let _ = deps.store.commit(&[Write::Event(&event)]).await?;
        info!(agent.id = %agent, event.id = %event.id, "an event is queued for the main session of {agent}");
        return Ok(event.id);
    }
    let wish = Wish { woken: true, event: Some(&event), ..Wish::default() };
    let gone = || Refusal::Changed(format!("the heartbeat of {agent}"));
    let key = claim_manual(&drawn(request), &config, record, request.stamp.at, wish).await?.ok_or_else(gone)?;
    info!(agent.id = %agent, event.id = %event.id, run.id = %key, "an event wakes the main session of {agent}");
    let wake = Wake::Resume { r: key };
    deps.invoker.invoke(wake.function(), &Envelope::new(wake)).await?;
    Ok(event.id)
}
