//! A batch that was paid for and that nobody here knows of.

use nightshift_domain::RunKey;
use tracing::warn;

use crate::error::EngineError;
use crate::ports::BatchView;
use crate::runs::Scene;
use crate::sweep::{FindingKind, once};

/// Takes note of `view`, whose rows are ours by their names and which the table does not know: one of its rows was made for
/// `run`. `false` where that was noted before. It is only counted and reported: its answers are of attempts that were
/// given up, and the runs went on without them.
///
/// # Crash safety
/// One write, under a name that a repeat has too.
pub(crate) async fn unused(
    scene: Scene<'_>,
    provider: &str,
    view: &BatchView,
    run: &RunKey,
) -> Result<bool, EngineError> {
    let first = once(scene, FindingKind::BatchOrphan, &view.remote, &[]).await?;
    if first {
        warn!(batch.id = view.remote, run.id = %run, provider, rows = view.rows, "batch {} was paid and nobody used it", view.remote);
    }
    Ok(first)
}
