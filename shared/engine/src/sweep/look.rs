//! Reads what the verdict on something overdue needs. Reads by key only; nothing is changed.

use chrono::{DateTime, Utc};
use nightshift_domain::batch::{Batch, Roll, Window, WindowId};
use nightshift_domain::run::{Run, State, WaitReason, attention_at};
use nightshift_domain::{AttemptId, RunKey};

use crate::error::EngineError;
use crate::ports::{DueItem, StoreError, StoreErrorKind, TimerSpec};
use crate::runs::places::Leak;
use crate::runs::{Scene, is_its_turn, places};

use super::judge::{self, About, GRACE, Verdict};
use super::known::Known;
use super::{Finding, FindingKind};

/// Something that is lost, with what its repair needs.
#[derive(Debug)]
pub(crate) struct Case {
    pub(crate) finding: Finding,
    pub(crate) subject: Subject,
    /// Since when it stands.
    pub(crate) since: DateTime<Utc>,
}

/// What a case is about, as it was read.
#[derive(Debug)]
pub(crate) enum Subject {
    Run(Box<Run>),
    Batch(Box<Batch>),
    Window(Window),
    Place(Box<Leak>),
    /// A row that cannot be read.
    Nothing,
}

/// What became of a look.
#[derive(Debug)]
pub(crate) enum Seen {
    /// It has moved on.
    Moved,
    /// It is well, and need not be looked at before.
    Well(DateTime<Utc>),
    /// It is lost.
    Lost(Box<Case>),
}

/// Looks at a run of the due index.
pub(crate) async fn run(scene: Scene<'_>, known: &mut Known, key: &RunKey) -> Result<Seen, EngineError> {
    let run = match scene.deps.store.run(key).await {
        Ok(Some(run)) => run,
        Ok(None) => return Ok(Seen::Moved),
        Err(error) => return unreadable(&DueItem::Run(key.clone()), error),
    };
    let now = scene.deps.clock.now();
    let Some(since) = attention_at(&run).filter(|at| *at < now - GRACE) else { return Ok(Seen::Moved) };
    let about = about(scene, known, &run).await?;
    Ok(match judge::run(&run, &about, now) {
        Verdict::Moved => Seen::Moved,
        Verdict::Well(until) => Seen::Well(until),
        Verdict::Lost(kind, message) => {
            let finding = of_run(kind, &run, message);
            Seen::Lost(Box::new(Case { finding, subject: Subject::Run(Box::new(run)), since }))
        }
    })
}

async fn about(scene: Scene<'_>, known: &mut Known, run: &Run) -> Result<About, EngineError> {
    let mut about = About::default();
    if let Some(id) = run.state.batch() {
        known.tell(scene, run, id, &mut about).await?;
    } else if run.lease.is_none() && run.timers > 0 {
        about.timer = armed(scene, &run.key.resume_timer(run.timers)).await?;
    }
    if matches!(run.state, State::Waiting { reason: WaitReason::Overlap | WaitReason::Session | WaitReason::Heartbeat })
    {
        about.its_turn = is_its_turn(scene, run).await?;
    }
    Ok(about)
}

/// Looks at a batch of the due index.
pub(crate) async fn batch(scene: Scene<'_>, id: &AttemptId) -> Result<Seen, EngineError> {
    let batch = match scene.deps.store.batch(id).await {
        Ok(Some(batch)) => batch,
        Ok(None) => return Ok(Seen::Moved),
        Err(error) => return unreadable(&DueItem::Batch(id.clone()), error),
    };
    let now = scene.deps.clock.now();
    let overdue = batch.next_poll_at < now - GRACE;
    let timer = if overdue { armed(scene, &id.poll_timer(batch.polls)).await? } else { None };
    Ok(match judge::batch(&batch, timer, now) {
        Verdict::Moved => Seen::Moved,
        Verdict::Well(until) => Seen::Well(until),
        Verdict::Lost(kind, message) => {
            let first = match &batch.members {
                Roll::Listed(members) => members.first().map(|member| member.run.clone()),
                Roll::Blob { .. } => None,
            };
            let finding = Finding { run: first, batch: Some(id.clone()), ..Finding::new(kind, message) };
            let since = batch.next_poll_at;
            Seen::Lost(Box::new(Case { finding, subject: Subject::Batch(Box::new(batch)), since }))
        }
    })
}

/// Looks at a window of the due index.
pub(crate) async fn window(scene: Scene<'_>, id: &WindowId) -> Result<Seen, EngineError> {
    let window = match scene.deps.store.window(id).await {
        Ok(Some(window)) => window,
        Ok(None) => return Ok(Seen::Moved),
        Err(error) => return unreadable(&DueItem::Window(id.clone()), error),
    };
    let now = scene.deps.clock.now();
    let Some(since) = window.attention_at().filter(|at| *at < now - GRACE) else { return Ok(Seen::Moved) };
    let timer = armed(scene, &id.timer(window.timers)).await?;
    Ok(match judge::window(&window, since, timer, now) {
        Verdict::Moved => Seen::Moved,
        Verdict::Well(until) => Seen::Well(until),
        Verdict::Lost(kind, message) => {
            let finding = Finding::new(kind, message);
            Seen::Lost(Box::new(Case { finding, subject: Subject::Window(window), since }))
        }
    })
}

/// Looks at the places: those that a run holds which does not have them, and those that nobody took although runs wait.
pub(crate) async fn places(scene: Scene<'_>) -> Result<Vec<Case>, EngineError> {
    let now = scene.deps.clock.now();
    let mut cases = Vec::new();
    let before = now - GRACE;
    for leak in places::leaks(scene).await? {
        let message = format!("place {} is held by run {}, which does not have it", leak.place, leak.holder);
        let finding = Finding { run: Some(leak.holder.clone()), ..Finding::new(FindingKind::PlaceLeaked, message) };
        cases.push(Case { finding, subject: Subject::Place(Box::new(leak)), since: before });
    }
    for key in places::idle(scene).await? {
        let Some(run) = scene.deps.store.run(&key).await? else { continue };
        let waits = matches!(run.state, State::Waiting { reason: WaitReason::Place { .. } });
        // One that came a moment ago is being woken.
        if !waits || run.state_since >= before {
            continue;
        }
        let message = format!("run {key} waits for a place since {}, and one is free", judge::instant(run.state_since));
        let finding = of_run(FindingKind::NeverWoken, &run, message);
        let since = run.state_since;
        cases.push(Case { finding, subject: Subject::Run(Box::new(run)), since });
    }
    Ok(cases)
}

fn of_run(kind: FindingKind, run: &Run, message: String) -> Finding {
    let batch = run.state.batch().cloned();
    Finding { job: Some(run.job_id.clone()), run: Some(run.key.clone()), batch, ..Finding::new(kind, message) }
}

/// A row that cannot be read is a finding; a table that does not answer is none.
pub(crate) fn unreadable(item: &DueItem, error: StoreError) -> Result<Seen, EngineError> {
    if error.kind != StoreErrorKind::Corrupt {
        return Err(error.into());
    }
    let finding = match item {
        DueItem::Run(key) => Finding {
            job: Some(key.job_id()),
            run: Some(key.clone()),
            ..Finding::new(FindingKind::Unreadable, format!("the row of run {key} cannot be read"))
        },
        DueItem::Batch(id) => Finding {
            batch: Some(id.clone()),
            ..Finding::new(FindingKind::Unreadable, format!("the row of batch {id} cannot be read"))
        },
        DueItem::Window(id) => Finding::new(FindingKind::Unreadable, format!("the row of window {id} cannot be read")),
        DueItem::Job(id) => Finding {
            job: Some(id.clone()),
            ..Finding::new(FindingKind::Unreadable, format!("the row of job {id} cannot be read"))
        },
    };
    Ok(Seen::Lost(Box::new(Case { finding, subject: Subject::Nothing, since: DateTime::UNIX_EPOCH })))
}

/// When a one-shot is due, where it is there and will fire.
async fn armed(scene: Scene<'_>, name: &str) -> Result<Option<DateTime<Utc>>, EngineError> {
    let held = scene.deps.timers.get(name).await?.filter(|held| held.enabled);
    Ok(held.and_then(|held| match held.spec {
        TimerSpec::Once(at) => Some(at),
        TimerSpec::Recurring { .. } => None,
    }))
}
