//! The pass over what no due index shows: timers without a job, jobs without their timer, batches that nobody knows.
//!
//! Guarantee: it begins once a day (UTC), with whoever sweeps first and enters it, and goes on from sweep to sweep until it
//! is done; each part is looked at as `cron doctor` does, and mended as `cron doctor --fix` does.

use chrono::NaiveDate;
use serde::{Deserialize, Serialize};
use tracing::{debug, info};

use crate::error::EngineError;
use crate::jobs::{Refusal, round};
use crate::ports::{Memo, Outcome, Write};
use crate::runs::Scene;

/// What the note of the pass is called.
pub(crate) const NOTE: &str = "daily";
/// Where a pass begins.
const BEGIN: &str = "jobs:";

/// How far the pass is.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
struct Progress {
    /// The day it was begun for.
    day: NaiveDate,
    /// Where it goes on; `None` when it is done.
    cursor: Option<String>,
}

/// Goes on with the day's pass, or begins it; answers how many repairs that took.
///
/// # Crash safety
/// Beginning is one conditional write, and so is each step of the cursor. Stopped in between, the next sweep does the part
/// again, which changes nothing that is mended already.
pub(crate) async fn pass(scene: Scene<'_>) -> Result<usize, EngineError> {
    let today = scene.deps.clock.now().date_naive();
    let note = scene.deps.store.memo(NOTE).await?;
    let rev = note.as_ref().map_or(0, |note| note.rev);
    // One that cannot be read, of a later release, is begun anew.
    let progress = note.and_then(|note| serde_json::from_value::<Progress>(note.document).ok());
    let (rev, day, cursor) = match progress {
        // A pass that takes longer than its day is finished first.
        Some(Progress { day, cursor: Some(cursor) }) => (rev, day, cursor),
        Some(Progress { day, cursor: None }) if day >= today => return Ok(0),
        Some(_) | None => {
            if !save(scene, rev + 1, today, Some(BEGIN.to_owned())).await? {
                debug!("somebody else began the daily pass");
                return Ok(0);
            }
            (rev + 1, today, BEGIN.to_owned())
        }
    };
    let checkup = match Box::pin(round(scene, &cursor)).await {
        Ok(checkup) => checkup,
        // The page's cursor is no longer one of the table's: from the beginning.
        Err(Refusal::Invalid(_)) => {
            save(scene, rev + 1, day, Some(BEGIN.to_owned())).await?;
            return Ok(0);
        }
        Err(Refusal::Failed(error)) => return Err(error),
        Err(other) => {
            debug!("the daily pass was refused: {other}");
            return Ok(0);
        }
    };
    save(scene, rev + 1, day, checkup.next.clone()).await?;
    let repaired = checkup.findings.iter().filter(|finding| finding.repaired).count();
    info!(
        daily.jobs = checkup.jobs,
        daily.timers = checkup.timers,
        daily.findings = checkup.findings.len(),
        daily.repaired = repaired,
        daily.done = checkup.next.is_none(),
        "the daily pass has {} findings, {repaired} repaired",
        checkup.findings.len()
    );
    Ok(repaired)
}

/// Writes how far the pass is; `false` where somebody else was first.
async fn save(scene: Scene<'_>, rev: u64, day: NaiveDate, cursor: Option<String>) -> Result<bool, EngineError> {
    let document = serde_json::to_value(Progress { day, cursor }).unwrap_or_default();
    let memo = Memo { name: NOTE.to_owned(), document, rev };
    let written = scene.deps.store.commit(&[Write::Memo { memo: &memo, expires_at: None }]).await?;
    Ok(written == Outcome::Applied)
}
