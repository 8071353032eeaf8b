//! Runs and batches that stand still: what the sweep would find now.

use chrono::{DateTime, Utc};
use nightshift_domain::batch::{BatchState, Roll};
use nightshift_domain::event::{Envelope, Wake};
use nightshift_domain::run::{Run, State, WaitReason, attention_at};
use nightshift_domain::{AttemptId, RunKey};

use crate::error::EngineError;
use crate::ports::DueItem;

use super::judge::GRACE;
use super::{Checkup, Finding, FindingKind, Visit, instant};

/// Most things of the due index looked at.
const MOST: u32 = 500;

impl Visit<'_> {
    /// What is due and does not move. With `repair` the sweep is called, once for all of it.
    pub(super) async fn overdue(&self, checkup: &mut Checkup) -> Result<(), EngineError> {
        let deps = self.request.deps;
        let before = deps.clock.now() - GRACE;
        let due = deps.store.due(before, MOST).await?;
        checkup.truncated |= due.len() >= MOST as usize;
        let mut findings = Vec::new();
        for item in due {
            findings.extend(match item {
                DueItem::Run(key) => self.run(&key, before).await?,
                DueItem::Batch(id) => self.batch(&id, before).await?,
                // Every job is judged beside its timer.
                // A window's runs are judged themselves.
                DueItem::Job(_) | DueItem::Window(_) => None,
            });
        }
        if self.repair && !findings.is_empty() {
            let sweep = Wake::Sweep;
            let called = deps.invoker.invoke(sweep.function(), &Envelope::new(sweep)).await;
            for finding in &mut findings {
                finding.repaired = called.is_ok();
                finding.message.push_str(match &called {
                    Ok(()) => "; the sweep is called to take it up",
                    Err(_) => "; the sweep cannot be called now",
                });
            }
        }
        checkup.findings.extend(findings);
        Ok(())
    }

    async fn run(&self, key: &RunKey, before: DateTime<Utc>) -> Result<Option<Finding>, EngineError> {
        let deps = self.request.deps;
        let Some(run) = deps.store.run(key).await? else { return Ok(None) };
        let Some(since) = attention_at(&run).filter(|at| *at < before) else { return Ok(None) };
        // A timer that is there yet will come; a run in a batch is looked after with its batch.
        let comes = run.timers > 0 && self.is_armed(&run.key.resume_timer(run.timers)).await?;
        if comes || self.waits(&run, before).await? {
            return Ok(None);
        }
        let message = format!("run {key} is {} and stands still since {}", run.state.name(), instant(since));
        Ok(Some(Finding {
            kind: FindingKind::RunOverdue,
            job: Some(run.job_id),
            run: Some(run.key),
            batch: None,
            timer: None,
            message,
            repaired: false,
        }))
    }

    /// Whether a run does not move because something else has to come first.
    async fn waits(&self, run: &Run, before: DateTime<Utc>) -> Result<bool, EngineError> {
        let store = &self.request.deps.store;
        if let State::Waiting { reason } = &run.state {
            return Ok(match reason {
                WaitReason::Place { .. } => true,
                WaitReason::Session => {
                    let session = match &run.session {
                        Some(mine) => store.session(&mine.agent, &mine.name).await?,
                        None => None,
                    };
                    session.is_some_and(|session| session.holder.is_some())
                }
                WaitReason::Overlap => {
                    let job = store.job(&run.job_id).await?;
                    job.is_some_and(|record| record.active.iter().any(|key| *key != run.key))
                }
            });
        }
        let Some(id) = run.state.batch() else { return Ok(false) };
        let batch = store.batch(id).await?;
        let polled = |state: &BatchState, next| !matches!(state, BatchState::Settled { .. }) && next >= before;
        Ok(batch.is_some_and(|batch| polled(&batch.state, batch.next_poll_at)))
    }

    async fn batch(&self, id: &AttemptId, before: DateTime<Utc>) -> Result<Option<Finding>, EngineError> {
        let Some(batch) = self.request.deps.store.batch(id).await? else { return Ok(None) };
        let over = matches!(batch.state, BatchState::Settled { .. });
        if over || batch.next_poll_at >= before || self.is_armed(&id.poll_timer(batch.polls)).await? {
            return Ok(None);
        }
        let message = format!("batch {id} was to be looked at {}, and nobody did", instant(batch.next_poll_at));
        Ok(Some(Finding {
            kind: FindingKind::BatchOverdue,
            job: None,
            run: match &batch.members {
                Roll::Listed(members) => members.first().map(|member| member.run.clone()),
                Roll::Blob { .. } => None,
            },
            batch: Some(batch.id),
            timer: None,
            message,
            repaired: false,
        }))
    }

    async fn is_armed(&self, timer: &str) -> Result<bool, EngineError> {
        Ok(self.request.deps.timers.get(timer).await?.is_some_and(|held| held.enabled))
    }
}
