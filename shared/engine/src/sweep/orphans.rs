//! Batches of the provider that the table does not know.
//!
//! Whether a batch is ours cannot be told while it runs: its rows are not shown (Messages Batches API). Once it has ended its
//! first result names a row, and ours are named after runs. What is paid and unknown is counted and reported. A running one
//! is only a finding where nothing else uses the workspace, and is told to stop only where no create of ours could have made
//! it: one whose answer was lost is looked for and adopted by its own poll.

use chrono::{DateTime, TimeDelta, Utc};
use futures::StreamExt;
use futures::future::try_join_all;
use nightshift_domain::RunKey;
use nightshift_domain::batch::{BatchState, CLOCK_SKEW, CREATE_TIMEOUT, may_be_created_at};
use serde_json::json;
use tracing::{debug, warn};

use crate::batches;
use crate::error::EngineError;
use crate::ports::{BatchView, Batches, DueItem, Memo, ModelError, Outcome, Write};
use crate::runs::Scene;
use crate::runs::commit::run_retention;

use super::judge::instant;
use super::{Finding, FindingKind, once, say};

/// How old a batch may be to be looked at: it ends within 24 hours of its create, and the pass comes once a day. Counted from
/// the last look that came to its end, so that no key or provider that was out of reach for days hides one for good.
const LOOKED_BACK: TimeDelta = TimeDelta::hours(30);
/// How long results can be had, from the create on (batch-processing page, 2026-10).
const RESULTS_KEPT: TimeDelta = TimeDelta::days(29);
/// Batches listed at once, of the API's 1,000 at most.
const PAGE: u32 = 200;
/// Most pages of a provider looked at.
const MOST_PAGES: usize = 10;
/// Rows looked up at a time.
const AT_ONCE: usize = 16;
/// Most results that one look begins to read; the next one goes on.
const MOST_READ: usize = 50;
/// Most open batches among which an open create is looked for; where there are more, there may be one.
const MOST_OPEN: u32 = 500;
/// What is kept of the invocation's time.
const RESERVE: TimeDelta = TimeDelta::seconds(10);

/// What a look came to.
#[derive(Debug, Default)]
pub(crate) struct Looked {
    pub(crate) findings: Vec<Finding>,
    /// Where it goes on, when it had to end early.
    pub(crate) next: Option<String>,
}

/// Compares the batches of every provider with the table, from `from` on; with `repair` it notes and stops what it may.
/// A provider that does not answer is left out.
///
/// # Crash safety
/// A note and its count are one write, and telling a batch to stop may be repeated.
pub(crate) async fn look(scene: Scene<'_>, from: &str, repair: bool) -> Result<Looked, EngineError> {
    let mut looked = Looked::default();
    let (first, after) = from.split_once('/').unwrap_or((from, ""));
    let mut after = Some(after.to_owned()).filter(|after| !after.is_empty());
    let mut reads = 0;
    for provider in providers(scene).into_iter().filter(|name| name.as_str() >= first) {
        let opened = match scene.deps.models.open(scene.config, &provider).await {
            Ok(opened) => opened,
            Err(error) => {
                debug!(provider, "the batches of {provider} cannot be looked at: {error}");
                after = None;
                continue;
            }
        };
        let Some(batches) = opened.model.batches() else {
            after = None;
            continue;
        };
        let last = scene.deps.store.memo(&note_of(&provider)).await?;
        let round = Round { scene, provider: &provider, batches, repair, since: since(scene, last.as_ref()) };
        match round.pages(after.take(), &mut reads, &mut looked.findings).await? {
            Ok(None) if repair => looked_whole(scene, &provider, last).await?,
            Ok(None) => {}
            Ok(Some(left)) => {
                looked.next = Some(format!("{provider}/{left}"));
                return Ok(looked);
            }
            Err(error) => warn!(provider, "the batches of {provider} could not be listed: {error}"),
        }
    }
    Ok(looked)
}

fn note_of(provider: &str) -> String {
    format!("batches_looked_at/{provider}")
}

/// From when on batches are looked at, where `last` says when that was last done to the end.
fn since(scene: Scene<'_>, last: Option<&Memo>) -> DateTime<Utc> {
    let now = scene.deps.clock.now();
    let last = last.and_then(|note| serde_json::from_value::<DateTime<Utc>>(note.document.clone()).ok());
    let kept = now - RESULTS_KEPT.min(run_retention(scene));
    last.map_or(kept, |last| (last - LOOKED_BACK).max(kept))
}

/// Notes that the provider's batches were looked at to the end. Lost to another look, whose note says as much.
async fn looked_whole(scene: Scene<'_>, provider: &str, last: Option<Memo>) -> Result<(), EngineError> {
    let rev = last.map_or(1, |note| note.rev + 1);
    let memo = Memo { name: note_of(provider), document: json!(scene.deps.clock.now()), rev };
    let _: Outcome = scene.deps.store.commit(&[Write::Memo { memo: &memo, expires_at: None }]).await?;
    Ok(())
}

fn providers(scene: Scene<'_>) -> Vec<String> {
    let mut names: Vec<String> = scene.config.providers.keys().cloned().chain(["anthropic".to_owned()]).collect();
    names.sort_unstable();
    names.dedup();
    names
}

/// One provider's batches.
struct Round<'a> {
    scene: Scene<'a>,
    provider: &'a str,
    batches: &'a dyn Batches,
    repair: bool,
    /// Older batches are not looked at.
    since: DateTime<Utc>,
}

impl Round<'_> {
    /// Newest first, after the batch `after`; answers the last one looked at where it had to end early.
    async fn pages(
        &self,
        mut after: Option<String>,
        reads: &mut usize,
        findings: &mut Vec<Finding>,
    ) -> Result<Result<Option<String>, ModelError>, EngineError> {
        let since = self.since;
        for _ in 0..MOST_PAGES {
            let page = match self.batches.list(PAGE, after.as_deref()).await {
                Ok(page) => page,
                Err(error) => return Ok(Err(error)),
            };
            let whole = page.batches.iter().all(|view| view.created_at >= since);
            let recent: Vec<_> = page.batches.into_iter().filter(|view| view.created_at >= since).collect();
            let mut unknown = Vec::new();
            for some in recent.chunks(AT_ONCE) {
                let known = try_join_all(some.iter().map(|view| self.is_known(view))).await?;
                unknown.extend(some.iter().zip(known).filter(|(_, known)| !known).map(|(view, _)| view.clone()));
            }
            for view in unknown {
                findings.extend(self.unknown(&view, reads).await?);
                if *reads >= MOST_READ || self.scene.deps.clock.now() >= self.scene.invocation.deadline - RESERVE {
                    return Ok(Ok(Some(view.remote)));
                }
            }
            after = page.next_after.filter(|_| whole);
            if after.is_none() {
                break;
            }
        }
        Ok(Ok(None))
    }

    /// Whether the table knows whose it is, or that it was dealt with before.
    async fn is_known(&self, view: &BatchView) -> Result<bool, EngineError> {
        let store = &self.scene.deps.store;
        if store.batch_by_remote(&view.remote).await?.is_some() {
            return Ok(true);
        }
        let note = format!("{}/{}", FindingKind::BatchOrphan.counter(), view.remote);
        Ok(store.memo(&note).await?.is_some())
    }

    async fn unknown(&self, view: &BatchView, reads: &mut usize) -> Result<Option<Finding>, EngineError> {
        if view.ended {
            *reads += 1;
            return self.ended(view).await;
        }
        // One that was just made may be on its way into the table.
        let young = view.created_at > self.scene.deps.clock.now() - CREATE_TIMEOUT - CLOCK_SKEW;
        if view.canceling || young || !batches::is_alone(self.scene, self.provider) {
            return Ok(None);
        }
        self.running(view).await.map(Some)
    }

    /// One that has ended: the name of its first row says whether it is ours.
    async fn ended(&self, view: &BatchView) -> Result<Option<Finding>, EngineError> {
        let remote = &view.remote;
        let run = match self.first_row(remote).await {
            Ok(run) => run,
            Err(error) => {
                warn!(batch.id = remote, "the results of batch {remote} cannot be read: {error}");
                return Ok(None);
            }
        };
        let Some(key) = run else { return Ok(None) };
        let Some(run) = self.scene.deps.store.run(&key).await? else { return Ok(None) };
        let message = format!(
            "batch {remote} of {} ended with answers for run {key} and others, and nobody here knows it: it was paid for nothing",
            self.provider
        );
        let mut finding = Finding { job: Some(run.job_id), ..Finding::new(FindingKind::BatchOrphan, message) };
        finding.run = Some(key.clone());
        if self.repair {
            let booked = batches::unused(self.scene, self.provider, remote).await?;
            if booked.left > 0 {
                finding.message.push_str("; a run that seeks its batch may still find it");
                return Ok(Some(finding));
            }
            if booked.failed {
                finding.message.push_str("; not all of its results could be read yet");
                return Ok(Some(finding));
            }
            finding.repaired = true;
            finding.message.push_str("; its answers are booked");
            if once(self.scene, FindingKind::BatchOrphan, remote, &[]).await? {
                say(&finding);
            }
        }
        Ok(Some(finding))
    }

    async fn first_row(&self, remote: &str) -> Result<Option<RunKey>, ModelError> {
        let mut lines = self.batches.results(remote).await?;
        match lines.next().await {
            Some(Ok(line)) => Ok(RunKey::of_custom_id(&line.custom_id).map(|(run, _, _)| run)),
            Some(Err(error)) => Err(error),
            None => Ok(None),
        }
    }

    /// One that runs in a workspace nothing else uses.
    async fn running(&self, view: &BatchView) -> Result<Finding, EngineError> {
        let remote = &view.remote;
        let message = format!(
            "batch {remote} of {} runs since {}, and nobody here knows it",
            self.provider,
            instant(view.created_at)
        );
        let mut finding = Finding::new(FindingKind::BatchOrphan, message);
        if !self.repair {
            return Ok(finding);
        }
        if self.may_be_sought(view.created_at).await? {
            finding.message.push_str("; a create of that time has no answer yet and may be its, so it is left alone");
            return Ok(finding);
        }
        match self.batches.cancel(remote).await {
            Ok(_) => {
                finding.repaired = true;
                finding.message.push_str("; it is told to stop");
                // Not the note of one that has ended: its answers, if any, are still to be counted then.
                if once(self.scene, FindingKind::BatchOrphan, &format!("stopped/{remote}"), &[]).await? {
                    say(&finding);
                }
            }
            Err(error) => finding.message = format!("{}; telling it to stop failed: {error}", finding.message),
        }
        Ok(finding)
    }

    /// Whether a create of ours that could have made a batch at `created_at` has no answer yet.
    async fn may_be_sought(&self, created_at: DateTime<Utc>) -> Result<bool, EngineError> {
        let store = &self.scene.deps.store;
        let open = store.due(self.scene.deps.clock.now() + TimeDelta::days(1), MOST_OPEN).await?;
        if open.len() >= MOST_OPEN as usize {
            return Ok(true);
        }
        for item in open {
            let DueItem::Batch(id) = item else { continue };
            let Some(batch) = store.batch(&id).await? else { continue };
            let creating = matches!(batch.state, BatchState::Creating) && batch.provider == self.provider;
            if creating && may_be_created_at(&batch, created_at) {
                return Ok(true);
            }
        }
        Ok(false)
    }
}
