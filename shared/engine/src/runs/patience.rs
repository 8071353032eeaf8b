//! Repeats what a paid answer depends on, while the table or the blob store does not answer.
//!
//! Guarantee: an answer that is in hand is not given up for one failure that passes. Only what may be repeated is: reads,
//! blobs that are named after what they hold, and writes whose condition tells a repeat from a rival.

use chrono::TimeDelta;
use tracing::warn;

use crate::deps::Deps;
use crate::error::EngineError;
use crate::ports::StoreErrorKind;

/// Waits before the repeats, in milliseconds: a moment for a connection that broke, some seconds for a table that throttles,
/// and together far less than a lease and what an invocation keeps for its end.
const WAITS_MS: [i64; 4] = [0, 500, 3_000, 12_000];

/// Does `act` and, where it is `dear`, does it again while what it needs does not answer; the last failure is the caller's.
pub(super) async fn patiently<T, F>(deps: &Deps, dear: bool, act: impl Fn() -> F) -> Result<T, EngineError>
where
    F: Future<Output = Result<T, EngineError>>,
{
    for wait in WAITS_MS.into_iter().filter(|_| dear) {
        match act().await {
            Err(error) if may_pass(&error) => {
                warn!("a paid answer waits to be written: {}", error.chain());
                if wait > 0 {
                    deps.clock.sleep_until(deps.clock.now() + TimeDelta::milliseconds(wait)).await;
                }
            }
            done => return done,
        }
    }
    act().await
}

fn may_pass(error: &EngineError) -> bool {
    match error {
        EngineError::Store(error) => error.kind == StoreErrorKind::Unavailable,
        EngineError::Blob(_) => true,
        EngineError::Timer(_)
        | EngineError::TextMissing { .. }
        | EngineError::RollMissing { .. }
        | EngineError::Contended { .. }
        | EngineError::Twin { .. }
        | EngineError::Config(_)
        | EngineError::Secret(_) => false,
    }
}
