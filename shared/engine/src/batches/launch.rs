//! Takes ready hops into a batch of several, creates it once, and tells its members what came of it.
//!
//! Guarantee: each member flips to the batch under its own condition; then one conditional write fixes who is in, and only
//! whoever wins it sends the create, once. A create that one member's row spoilt is made again in halves, down to that
//! member, so that the others do not pay for it with their discount.

use std::collections::{HashSet, VecDeque};

use chrono::{DateTime, TimeDelta, Utc};
use nightshift_domain::batch::{Batch, BatchState, FIRST_POLL, Marks, Member, Roll};
use nightshift_domain::job::OnTimeout;
use nightshift_domain::model::{HopRequest, ModelErrorKind};
use nightshift_domain::run::{Event, Plan, Run, State};
use nightshift_domain::{AttemptId, RunKey};
use sha2::{Digest, Sha256};
use tracing::{debug, info, warn};

use crate::error::EngineError;
use crate::ports::{BatchRow, CreateError, ModelError, Outcome, Write};
use crate::runs::Scene;
use crate::runs::commit::{Along, MAX_RACES, apply, run_retention};
use crate::runs::submit::arm_poll;
use crate::stops::Gate;

use super::crowd::each;
use super::left_out::{all_back, back};
use super::{beyond_repair, in_batch, post, roll, save, tell};

/// Spoilt rows that are looked for in one batch; where there are more, it is not the rows, or not worth the creates.
const SPOILT_ROWS: u32 = 4;
/// Time that a batch may take to be created; where an invocation has less left, the batch's own poll goes on.
const RESERVE: TimeDelta = TimeDelta::minutes(2);

/// How often a batch of `rows`, and its parts, may be split: each spoilt row takes a split per level.
fn splits(rows: usize) -> u32 {
    SPOILT_ROWS * rows.next_power_of_two().ilog2()
}

/// A ready hop with what is sent for it.
#[derive(Debug)]
pub(super) struct Prepared {
    pub member: Member,
    pub run: Run,
    pub request: HopRequest,
}

/// A batch that is written as `Sealing`, and those who are to be in it.
#[derive(Debug)]
pub(super) struct Intent {
    pub batch: Batch,
    pub rows: Vec<Prepared>,
}

/// What sending one came to.
enum Sent {
    /// Nothing is left to do here.
    Over,
    /// It was refused for what may be one row's fault: two halves of it are written instead.
    Halved(Box<[Intent; 2]>),
    /// It was refused, and these have to be told.
    Refused(Box<(Batch, Vec<RunKey>, ModelError)>),
}

/// A batch for `rows`, not yet written.
async fn draft(
    scene: Scene<'_>,
    provider: &str,
    on_timeout: OnTimeout,
    rows: &[Prepared],
    from: Option<AttemptId>,
) -> Result<Batch, EngineError> {
    let now = scene.deps.clock.now();
    let id = AttemptId::new(crate::runs::new_ulid(scene.deps, now));
    Ok(Batch {
        members: roll::enrol(scene.deps, &id, rows.iter().map(|row| row.member.clone()).collect()).await?,
        id,
        provider: provider.to_owned(),
        state: BatchState::Sealing { from },
        digest: String::new(),
        settled: Marks::default(),
        started_at: now,
        deadline: earliest(rows, now),
        on_timeout,
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
    })
}

/// When the first of them has waited long enough.
fn earliest(rows: &[Prepared], now: DateTime<Utc>) -> DateTime<Utc> {
    rows.iter().filter_map(|row| row.run.plan.as_ref()).map(|plan| plan.deadline).min().unwrap_or(now)
}

/// Writes down that `rows`, ready hops of one window, are to go into a batch.
///
/// # Crash safety
/// The first poll is armed before the row is written. Stopped between them, the timer finds nothing and the runs are still
/// ready; stopped after them, the poll finds a batch that is being sealed and goes on with it.
pub(super) async fn intend(scene: Scene<'_>, rows: Vec<Prepared>) -> Result<Option<Intent>, EngineError> {
    let Some(plan) = rows.first().and_then(|row| row.run.plan.as_ref()) else { return Ok(None) };
    let batch = draft(scene, &plan.provider, plan.on_timeout, &rows, None).await?;
    arm_poll(scene, &batch).await?;
    let written = save(scene, &batch, batch.started_at).await?;
    Ok(written.then_some(Intent { batch, rows }))
}

/// Sends `intent`, and the halves of it where it is refused.
///
/// # Crash safety
/// Until a batch is written as `Creating` no create was sent for it, and its poll goes on from there; afterwards its poll
/// looks for it by listing. One part's failure does not stop the others; it is answered at the end.
pub(super) async fn launch(scene: Scene<'_>, intent: Intent) -> Result<(), EngineError> {
    let mut splits = splits(intent.rows.len());
    let mut queue = VecDeque::from([intent]);
    let mut refusals = Vec::new();
    let mut failed = None;
    while let Some(intent) = queue.pop_front() {
        if scene.deps.clock.now() + RESERVE > scene.invocation.deadline {
            info!("{} batches are left to their polls, for want of time", queue.len() + 1);
            break;
        }
        match Box::pin(send(scene, intent, splits > 0, &mut failed)).await {
            Ok(Sent::Over) => {}
            Ok(Sent::Halved(halves)) => {
                splits -= 1;
                queue.extend(*halves);
            }
            Ok(Sent::Refused(refusal)) => refusals.push(refusal),
            Err(error) => {
                warn!("a batch could not be sent: {}", error.chain());
                failed.get_or_insert(error);
            }
        }
    }
    // Last, because a member that goes on in realtime may keep us for minutes.
    for refusal in refusals {
        let (batch, runs, error) = *refusal;
        if let Err(error) = refuse(scene, batch, runs, error).await {
            failed.get_or_insert(error);
        }
    }
    failed.map_or(Ok(()), Err)
}

async fn send(
    scene: Scene<'_>,
    intent: Intent,
    may_split: bool,
    failed: &mut Option<EngineError>,
) -> Result<Sent, EngineError> {
    let Intent { batch, rows } = intent;
    let sealing = &batch;
    let asked: Vec<RunKey> = rows.iter().map(|row| row.run.key.clone()).collect();
    let crowd = each(rows, |row| Box::pin(flip(scene, sealing, row))).await;
    // Of those that failed nobody knows whether they are in the batch.
    let unsure = crowd.failed.is_some();
    if let Some(error) = crowd.failed {
        failed.get_or_insert(error);
    }
    let flipped = crowd.done.into_iter().flatten();
    let (mut leaving, mut rows): (Vec<Prepared>, Vec<Prepared>) = flipped.partition(|row| row.run.cancel_requested);
    rows.sort_by(|one, other| one.member.cmp(&other.member));
    let mut sent = Ok(Sent::Over);
    if rows.is_empty() && unsure {
        // Left as it is, for its own poll.
        return sent;
    } else if rows.is_empty() {
        nobody(scene, batch.clone()).await?;
    } else {
        let gate = Gate::of(scene, &batch.provider).await?;
        let going: HashSet<RunKey> = rows.iter().map(|row| row.run.key.clone()).collect();
        match creating(scene, batch.clone(), &rows).await? {
            Some(created) => sent = create(scene, &gate, created, rows, may_split).await,
            None => leaving.append(&mut rows),
        }
        if unsure {
            all_back(scene, &batch.id, asked.into_iter().filter(|run| !going.contains(run)).collect()).await?;
        }
    }
    back(scene, &batch.id, leaving).await?;
    sent
}

/// Takes a hop into the batch, where it still may be. One that has moved on meanwhile, and may stand as it did before, is none
/// of ours any more: others may have taken it into the batch, and have told it that the create was refused.
async fn flip(scene: Scene<'_>, batch: &Batch, mut row: Prepared) -> Result<Option<Prepared>, EngineError> {
    let (stood, since) = (row.run.state.clone(), row.run.state_since);
    for _ in 0..MAX_RACES {
        if in_batch(&row.run, &batch.id) {
            return Ok(Some(row));
        }
        if !may_join(&row.run, batch, &row.member) {
            return Ok(None);
        }
        let moved = apply(scene, &row.run, Event::Sealed(batch.id.clone()), Along::default()).await;
        if let Ok(Some(moved)) = moved {
            row.run = moved.run;
            return Ok(Some(row));
        }
        // Somebody moved it first, or the answer is lost: its row tells.
        match (scene.deps.store.run(&row.run.key).await?, moved) {
            (Some(again), _) if in_batch(&again, &batch.id) => row.run = again,
            (_, Err(error)) => return Err(error),
            (Some(again), Ok(_)) if (&again.state, again.state_since) == (&stood, since) => row.run = again,
            (Some(_) | None, Ok(_)) => return Ok(None),
        }
    }
    Err(EngineError::Contended { subject: format!("run {}", row.run.key), times: MAX_RACES })
}

/// Whether a run waits for what `batch` has for it: ready, or left by the batch that this one is a half of.
pub(super) fn may_join(run: &Run, batch: &Batch, member: &Member) -> bool {
    // It may have been planned anew since it was written down for this batch.
    let alike = |plan: &Plan| plan.provider == batch.provider && plan.on_timeout == batch.on_timeout;
    if !run.plan.as_ref().is_some_and(alike) {
        return false;
    }
    if let State::Ready { hop, attempt, .. } = run.state {
        return (hop, attempt) == (member.hop, member.attempt);
    }
    let (State::Submitting { hop, attempt, batch: other, .. }, BatchState::Sealing { from: Some(from) }) =
        (&run.state, &batch.state)
    else {
        return false;
    };
    (*hop, *attempt) == (member.hop, member.attempt) && other == from
}

/// Nobody is left: the batch is over before it began. It lists nobody, so that one who comes late knows.
async fn nobody(scene: Scene<'_>, mut batch: Batch) -> Result<(), EngineError> {
    debug!(batch.attempt = %batch.id, "nobody is left in batch {}", batch.id);
    batch.state = BatchState::Settled { remote: None };
    batch.members = Roll::Listed(Vec::new());
    batch.rev += 1;
    // Lost to somebody who goes on with it, and comes to the same.
    save(scene, &batch, scene.deps.clock.now()).await?;
    Ok(())
}

/// Fixes who is in the batch. `None` where somebody else did, who alone sends the create.
async fn creating(scene: Scene<'_>, mut batch: Batch, rows: &[Prepared]) -> Result<Option<Batch>, EngineError> {
    let members = roll::enrol(scene.deps, &batch.id, rows.iter().map(|row| row.member.clone()).collect()).await?;
    let digest = fingerprint(rows);
    for _ in 0..MAX_RACES {
        let now = scene.deps.clock.now();
        let mut next = batch.clone();
        next.state = BatchState::Creating;
        next.members = members.clone();
        next.digest.clone_from(&digest);
        next.started_at = now;
        next.deadline = earliest(rows, now);
        next.creator = Some(scene.invocation.id.clone());
        next.rev += 1;
        if save(scene, &next, now).await? {
            return Ok(Some(next));
        }
        match scene.deps.store.batch(&batch.id).await? {
            Some(again) if matches!(again.state, BatchState::Sealing { .. }) => batch = again,
            Some(_) | None => return Ok(None),
        }
    }
    Err(EngineError::Contended { subject: format!("batch {}", batch.id), times: MAX_RACES })
}

/// Sends the create and writes what came of it.
///
/// # Crash safety
/// Stopped before the answer is written, the poll finds the batch by listing and adopts it. The batch's row is written
/// before its members are told; it says so until they were, and the next look tells the rest.
async fn create(
    scene: Scene<'_>,
    gate: &Gate,
    batch: Batch,
    rows: Vec<Prepared>,
    may_split: bool,
) -> Result<Sent, EngineError> {
    let (sent, rows): (Vec<BatchRow>, Vec<(Member, Run)>) = rows
        .into_iter()
        .map(|row| (BatchRow { custom_id: row.member.custom_id(), request: row.request }, (row.member, row.run)))
        .unzip();
    match post(scene, gate, &batch, &sent).await {
        Ok(view) => {
            info!(batch.id = %view.remote, batch.rows = rows.len(), "{} runs are in batch {}", rows.len(), view.remote);
            let Some(batch) = opened(scene, batch, &view.remote).await? else { return Ok(Sent::Over) };
            announce(scene, &batch, rows.into_iter().map(|(_, run)| run).collect()).await?;
            let told = Batch { untold: false, rev: batch.rev + 1, ..batch };
            // Lost to a poll, which tells them once more.
            let _: Outcome = scene.deps.store.commit(&[Write::BatchPolled(&told)]).await?;
            Ok(Sent::Over)
        }
        Err(CreateError::Refused(error)) if may_split && rows.len() > 1 && may_be_one_rows_fault(error.kind) => {
            warn!(batch.attempt = %batch.id, batch.rows = rows.len(), "batch {} was refused, and is split: {error}", batch.id);
            let whole = sent.into_iter().zip(rows);
            let whole = whole.map(|(sent, (member, run))| Prepared { member, run, request: sent.request }).collect();
            halve(scene, batch, whole).await
        }
        Err(CreateError::Refused(error)) => {
            warn!(batch.attempt = %batch.id, batch.rows = rows.len(), "batch {} was refused: {error}", batch.id);
            let runs = rows.into_iter().map(|(_, run)| run.key).collect();
            Ok(Sent::Refused(Box::new((batch, runs, error))))
        }
        Err(CreateError::Unanswered(error)) => {
            // Nothing is written: the intent already says all that is known, and the armed poll looks for the batch.
            warn!(batch.attempt = %batch.id, "creating batch {} got no answer: {error}", batch.id);
            Ok(Sent::Over)
        }
    }
}

/// Whether a refusal may be owed to one row of many, so that the others had better go without it.
fn may_be_one_rows_fault(kind: ModelErrorKind) -> bool {
    match kind {
        ModelErrorKind::Invalid | ModelErrorKind::TooLarge => true,
        // These are the whole account's, or its model's.
        ModelErrorKind::NotFound
        | ModelErrorKind::Permission
        | ModelErrorKind::Auth
        | ModelErrorKind::Billing
        | ModelErrorKind::SpendLimit
        | ModelErrorKind::RateLimited
        | ModelErrorKind::Overloaded
        | ModelErrorKind::NotSent
        | ModelErrorKind::Server
        | ModelErrorKind::Timeout
        | ModelErrorKind::Unanswered => false,
    }
}

/// Writes that the batch exists. `None` where it was given up meanwhile.
async fn opened(scene: Scene<'_>, mut batch: Batch, remote: &str) -> Result<Option<Batch>, EngineError> {
    for _ in 0..MAX_RACES {
        let mut open = batch.clone();
        match &batch.state {
            // A look at the list took another for it: the answer knows better.
            BatchState::Open { remote: other, adopted: true }
            | BatchState::Canceling { remote: other, adopted: true }
                if other != remote =>
            {
                open.rejected.push(other.clone());
            }
            BatchState::Creating | BatchState::Open { adopted: true, .. } => {}
            BatchState::Sealing { .. }
            | BatchState::Open { .. }
            | BatchState::Canceling { .. }
            | BatchState::Settled { .. } => {
                warn!(batch.id = remote, "batch {} was moved on before {remote} was known to be it", batch.id);
                return Ok(None);
            }
        }
        open.state = BatchState::Open { remote: remote.to_owned(), adopted: false };
        open.untold = true;
        open.rev += 1;
        if save(scene, &open, scene.deps.clock.now()).await? {
            return Ok(Some(open));
        }
        let Some(again) = scene.deps.store.batch(&batch.id).await? else { return Ok(None) };
        batch = again;
    }
    Err(EngineError::Contended { subject: format!("batch {}", batch.id), times: MAX_RACES })
}

/// Tells the members of a batch that it exists, those that do not know. `known` are their rows as they were last seen; none
/// where they have to be read.
pub(super) async fn announce(scene: Scene<'_>, batch: &Batch, known: Vec<Run>) -> Result<(), EngineError> {
    let Some(remote) = batch.state.remote() else { return Ok(()) };
    let news = || Event::BatchCreated { remote: remote.to_owned() };
    let members: Vec<(RunKey, Option<Run>)> = if known.is_empty() {
        roll::open(scene.deps, batch).await?.into_iter().map(|member| (member.run, None)).collect()
    } else {
        known.into_iter().map(|run| (run.key.clone(), Some(run))).collect()
    };
    let tell_one = |(key, known): (RunKey, Option<Run>)| async move {
        if let Some(known) = known
            && let Some(moved) = apply(scene, &known, news(), Along::default()).await?
        {
            return Box::pin(crate::runs::drive(scene, moved.run, moved.effects)).await;
        }
        // It may have wished to be stopped meanwhile.
        let run = scene.deps.store.run(&key).await?;
        match run.filter(|run| in_batch(run, &batch.id) && matches!(run.state, State::Submitting { .. })) {
            Some(run) => tell(scene, &run, news()).await,
            None => Ok(()),
        }
    };
    let told = |one| async move { tell_one(one).await.or_else(beyond_repair) };
    each(members, |one| Box::pin(told(one))).await.all().map(drop)
}

/// Splits a refused batch in two, which take its members over.
///
/// # Crash safety
/// One transaction settles the batch and writes its halves, whose first polls are armed: they move the members. The batch
/// lists nobody any more, so that a member neither half took is found ready again.
async fn halve(scene: Scene<'_>, mut batch: Batch, mut rows: Vec<Prepared>) -> Result<Sent, EngineError> {
    let second = rows.split_off(rows.len() / 2);
    let from = || Some(batch.id.clone());
    let one = draft(scene, &batch.provider, batch.on_timeout, &rows, from()).await?;
    let other = draft(scene, &batch.provider, batch.on_timeout, &second, from()).await?;
    arm_poll(scene, &one).await?;
    arm_poll(scene, &other).await?;
    for _ in 0..MAX_RACES {
        let mut settled = batch.clone();
        settled.state = BatchState::Settled { remote: None };
        settled.members = Roll::Listed(Vec::new());
        settled.rev += 1;
        let expires_at = Some(scene.deps.clock.now() + run_retention(scene));
        let halves = [&one, &other].map(|half| Write::Batch { batch: half, expires_at: None });
        let [first, second_half] = halves;
        let commit = [Write::Batch { batch: &settled, expires_at }, first, second_half];
        if scene.deps.store.commit(&commit).await? == Outcome::Applied {
            let halves = [Intent { batch: one, rows }, Intent { batch: other, rows: second }];
            return Ok(Sent::Halved(Box::new(halves)));
        }
        match scene.deps.store.batch(&batch.id).await? {
            Some(again) if again.state == BatchState::Creating => batch = again,
            Some(_) | None => return Ok(Sent::Over),
        }
    }
    Err(EngineError::Contended { subject: format!("batch {}", batch.id), times: MAX_RACES })
}

/// Tells the members of a batch that it was refused; each does what its own patience says.
///
/// # Crash safety
/// Each member is one write, and the batch is settled last: stopped before that, its poll finds nothing by listing and
/// tells the rest that it was lost.
async fn refuse(scene: Scene<'_>, mut batch: Batch, runs: Vec<RunKey>, error: ModelError) -> Result<(), EngineError> {
    let ModelError { kind, message, retry_after, .. } = &error;
    let id = &batch.id;
    let tell_one = |key: RunKey| async move {
        let Some(run) = scene.deps.store.run(&key).await?.filter(|run| in_batch(run, id)) else { return Ok(()) };
        let event = Event::BatchRefused { kind: *kind, message: message.clone(), retry_after: *retry_after };
        tell(scene, &run, event).await
    };
    each(runs, |key| Box::pin(tell_one(key))).await.all()?;
    batch.state = BatchState::Settled { remote: None };
    batch.rev += 1;
    // Lost to a poll, which finds nobody in it.
    save(scene, &batch, scene.deps.clock.now()).await?;
    Ok(())
}

/// Identifies what a batch was created with, for whoever has to compare.
fn fingerprint(rows: &[Prepared]) -> String {
    let mut digest = Sha256::new();
    for row in rows {
        digest.update(row.member.custom_id());
        digest.update(b"\n");
        digest.update(serde_json::to_vec(&row.request).unwrap_or_default());
    }
    digest.finalize().iter().fold(String::new(), |text, byte| format!("{text}{byte:02x}"))
}
