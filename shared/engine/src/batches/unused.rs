//! Batches that hold answers of ours and that nobody waits for: their answers are booked as paid and unused.

use chrono::TimeDelta;
use futures::StreamExt;
use nightshift_domain::RunKey;
use nightshift_domain::run::{Path, RowResult, Run};
use tracing::{debug, warn};

use crate::clock;
use crate::error::EngineError;
use crate::ports::{Batches, ResultLine};
use crate::runs::Scene;
use crate::runs::booking::{self, Asked, hop_of};

/// What came of the rows of a batch that nobody waits for.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct Unused {
    /// Answers that were booked.
    pub news: u32,
    /// Answers that may still be found by whoever seeks them.
    pub left: u32,
    /// Whether some of it could not be read, or not in the time there was: it is to be read again.
    pub failed: bool,
}

impl Unused {
    /// Nothing could be read.
    const UNREAD: Self = Self { news: 0, left: 0, failed: true };
}

/// What is kept of the invocation's time.
const RESERVE: TimeDelta = TimeDelta::seconds(10);

/// Books the answers of the batch `remote` of `provider`, which has ended and which the table does not know. A run that waits for this very hop in a batch is left alone: its own search may still find this one. So is a
/// row whose run is not here: another deployment may share the workspace.
///
/// # Crash safety
/// Each answer is one write that knows whether it was made; a repeat books what is left.
pub async fn unused(scene: Scene<'_>, provider: &str, remote: &str) -> Result<Unused, EngineError> {
    let opened = match scene.deps.models.open(scene.config, provider).await {
        Ok(opened) => opened,
        Err(error) => {
            warn!(batch.id = remote, "cannot read the results of batch {remote}: {error}");
            return Ok(Unused::UNREAD);
        }
    };
    let Some(batches) = opened.model.batches() else { return Ok(Unused::UNREAD) };
    let other = |run: Option<&Run>, hop: u32, attempt: u32| run.is_none_or(|run| run.state.is_at(hop, attempt));
    each(scene, batches, provider, remote, other).await
}

/// The same where it is known that nobody will use them.
pub(super) async fn book(
    scene: Scene<'_>,
    batches: &dyn Batches,
    provider: &str,
    remote: &str,
) -> Result<Unused, EngineError> {
    each(scene, batches, provider, remote, |_, _, _| false).await
}

async fn each(
    scene: Scene<'_>,
    batches: &dyn Batches,
    provider: &str,
    remote: &str,
    leave: impl Fn(Option<&Run>, u32, u32) -> bool,
) -> Result<Unused, EngineError> {
    let mut lines = match batches.results(remote).await {
        Ok(lines) => lines,
        Err(error) => {
            warn!(batch.id = remote, "the results of batch {remote} cannot be read: {error}");
            return Ok(Unused::UNREAD);
        }
    };
    let mut booked = Unused::default();
    let until = scene.invocation.deadline - RESERVE;
    loop {
        let clock = &*scene.deps.clock;
        let read = if clock.now() < until { clock::timeout(clock, until, lines.next()).await } else { None };
        let Some(read) = read else {
            debug!(batch.id = remote, "there was no time to read all results of batch {remote}");
            booked.failed = true;
            break;
        };
        let Some(line) = read else { break };
        let ResultLine { custom_id, result } = match line {
            Ok(line) => line,
            Err(error) => {
                warn!(batch.id = remote, "a result of batch {remote} cannot be read: {error}");
                booked.failed = true;
                continue;
            }
        };
        let (Some((key, hop, attempt)), RowResult::Succeeded(reply)) = (RunKey::of_custom_id(&custom_id), &result)
        else {
            continue;
        };
        if leave(scene.deps.store.run(&key).await?.as_ref(), hop, attempt) {
            debug!(run.id = %key, "the answer of batch {remote} to run {key} is left alone");
            booked.left += 1;
            continue;
        }
        // The table has no id for the batch: the message's own tells a repeat.
        let asked = Asked { provider, hop, attempt, path: Path::Batch, batch: None, before: 0 };
        let entry = hop_of(scene, asked, reply, scene.deps.clock.now());
        booked.news += u32::from(booking::unused(scene, &key, entry).await?);
    }
    Ok(booked)
}
