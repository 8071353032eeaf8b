//! Puts a ready hop in a batch: intent, timer, create, record (DESIGN §5).

use nightshift_domain::AttemptId;
use nightshift_domain::batch::{Batch, BatchState, FIRST_POLL, Marks, Member};
use nightshift_domain::event::{Envelope, Wake};
use nightshift_domain::model::HopRequest;
use nightshift_domain::run::{Event, Run, State};
use tracing::{info, warn};

use crate::batches::post;
use crate::batches::roll::enrol;
use crate::error::EngineError;
use crate::ports::{BatchRow, BatchView, CreateError, ModelError};
use crate::stops::Gate;

use super::Scene;
use super::claim::new_ulid;
use super::commit::{Along, Moved, apply};
use super::realtime::hop_request;
use super::texts::digest;

/// Submits a run that is `Ready`. `None` when nothing is left to do here.
///
/// # Crash safety
/// The first poll timer is armed before the intent is written, and the intent before the create is sent. Stopped before
/// the intent, the timer finds nothing and the run is still `Ready`. Stopped after it, the poll sees an intent without a
/// batch id and looks for the batch by listing; the create itself is never repeated for the same intent.
pub(super) async fn submit(scene: Scene<'_>, run: &Run) -> Result<Option<Moved>, EngineError> {
    let deps = scene.deps;
    let now = deps.clock.now();
    let (State::Ready { hop, attempt, .. }, Some(plan)) = (&run.state, &run.plan) else { return Ok(None) };
    if now >= plan.deadline {
        return apply(scene, run, Event::DeadlinePassed, Along::default()).await;
    }
    let gate = Gate::of(scene, &plan.provider).await?;
    if let Some(ModelError { kind, message, retry_after, .. }) = gate.closed(now) {
        return apply(scene, run, Event::ModelFailed { kind, message, retry_after }, Along::default()).await;
    }
    let request = match hop_request(scene, run, plan).await {
        Ok(request) => request,
        Err(EngineError::Secret(message)) => {
            let event = Event::Refused { code: "mcp_server".to_owned(), message };
            return apply(scene, run, event, Along::default()).await;
        }
        Err(error) => return Err(error),
    };
    let member = Member { run: run.key.clone(), hop: *hop, attempt: *attempt };
    let id = AttemptId::new(new_ulid(deps, now));
    let mut batch = Batch {
        members: enrol(deps, &id, vec![member.clone()]).await?,
        id,
        provider: plan.provider.clone(),
        state: BatchState::Creating,
        digest: fingerprint(&member, &request),
        settled: Marks::default(),
        started_at: now,
        deadline: plan.deadline,
        on_timeout: plan.on_timeout,
        polls: 1,
        next_poll_at: now + FIRST_POLL,
        creator: None,
        untold: false,
        rejected: Vec::new(),
        checked_at: None,
        ended_at: None,
        not_found_since: None,
        broken_since: None,
        stopped_at_poll: None,
        rev: 1,
    };
    arm_poll(scene, &batch).await?;
    // Now: texts and timers may have taken a while, and the batch is looked for by the time its create was sent.
    batch.started_at = deps.clock.now();
    let along = Along { batch: Some(&batch), ..Along::default() };
    let Some(sealed) = apply(scene, run, Event::Sealed(batch.id.clone()), along).await? else { return Ok(None) };
    create(scene, &gate, &sealed.run, batch, &member, request).await
}

async fn create(
    scene: Scene<'_>,
    gate: &Gate,
    run: &Run,
    batch: Batch,
    member: &Member,
    request: HopRequest,
) -> Result<Option<Moved>, EngineError> {
    let rows = [BatchRow { custom_id: member.custom_id(), request }];
    match post(scene, gate, &batch, &rows).await {
        Ok(view) => created(scene, run, batch, &view).await,
        Err(CreateError::Refused(error)) => refused(scene, run, batch, error).await,
        Err(CreateError::Unanswered(error)) => {
            // Nothing is written: the intent already says all that is known, and the armed poll looks for the batch.
            warn!(job.id = %run.job_id, run.id = %run.key, batch.attempt = %batch.id, "creating the batch of run {} got no answer: {error}", run.key);
            Ok(None)
        }
    }
}

/// Records that the batch exists, with the run that is in it.
///
/// # Crash safety
/// One transaction. Stopped before it, the poll finds the batch by listing and adopts it; stopped after it, a repeat finds
/// the run moved on.
pub(crate) async fn created(
    scene: Scene<'_>,
    run: &Run,
    mut batch: Batch,
    view: &BatchView,
) -> Result<Option<Moved>, EngineError> {
    batch.state = BatchState::Open { remote: view.remote.clone(), adopted: false };
    batch.rev += 1;
    info!(job.id = %run.job_id, run.id = %run.key, batch.attempt = %batch.id, batch.id = %view.remote, "run {} is in batch {}", run.key, view.remote);
    record(scene, run, &batch, &Event::BatchCreated { remote: view.remote.clone() }).await
}

/// Writes what became of a create. What is known of it must not be thrown away because somebody wished the run stopped
/// meanwhile: the run is read again and told then.
async fn record(scene: Scene<'_>, run: &Run, batch: &Batch, event: &Event) -> Result<Option<Moved>, EngineError> {
    let along = || Along { batch: Some(batch), ..Along::default() };
    if let Some(moved) = apply(scene, run, event.clone(), along()).await? {
        return Ok(Some(moved));
    }
    match scene.deps.store.run(&run.key).await? {
        Some(again) if again.state.batch() == Some(&batch.id) => apply(scene, &again, event.clone(), along()).await,
        Some(_) | None => Ok(None),
    }
}

async fn refused(
    scene: Scene<'_>,
    run: &Run,
    mut batch: Batch,
    error: ModelError,
) -> Result<Option<Moved>, EngineError> {
    warn!(job.id = %run.job_id, run.id = %run.key, batch.attempt = %batch.id, "the batch of run {} was refused: {error}", run.key);
    batch.state = BatchState::Settled { remote: None };
    batch.rev += 1;
    let event = Event::BatchRefused { kind: error.kind, message: error.message, retry_after: error.retry_after };
    record(scene, run, &batch, &event).await
}

/// Arms the poll that `batch` names. The timer's name holds the poll's number, so a repeat is the same timer.
pub(crate) async fn arm_poll(scene: Scene<'_>, batch: &Batch) -> Result<(), EngineError> {
    let wake = Wake::Poll { b: batch.id.clone(), n: batch.polls };
    scene.deps.timers.arm(&batch.id.poll_timer(batch.polls), batch.next_poll_at, &Envelope::new(wake)).await?;
    Ok(())
}

/// Identifies what a batch was created with, for whoever has to compare.
fn fingerprint(member: &Member, request: &HopRequest) -> String {
    let body = serde_json::to_vec(request).unwrap_or_default();
    let mut bytes = member.custom_id().into_bytes();
    bytes.push(b'\n');
    bytes.extend(body);
    digest(&bytes)
}
