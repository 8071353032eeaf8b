//! The life of a run, from a timer's fire to the close of its row.
//!
//! Guarantee: every transition is one conditional write, made before its effects. A crash in between leaves a row whose
//! effects are due again: the function's own retry takes the run up when the lease is over, and whatever nobody retries
//! stands in the due index until the sweeper looks at it. What a repeat of each effect means is written at the effect.

mod absorb;
mod blocks;
pub(crate) mod booking;
pub(crate) mod catch_up;
mod claim;
pub(crate) mod commit;
pub(crate) mod drive;
pub(crate) mod endpoint;
pub(crate) mod fire;
pub(crate) mod occurrence;
mod patience;
mod picking;
pub(crate) mod places;
mod planning;
mod prompt;
mod purse;
mod realtime;
pub(crate) mod route;
pub(crate) mod sessions;
pub(crate) mod submit;
pub(crate) mod target;
mod texts;
mod tools;
pub(crate) mod windows;

pub use claim::new_run;
pub(crate) use claim::{Claim, Claimant, Occurrence, Wish, claim_manual, claim_occurrence};
pub(crate) use drive::is_its_turn;
pub use drive::{Resumed, drive, resume};
pub(crate) use fire::make_up_for_fire;
pub use fire::{Fire, Fired, fire};
pub(crate) use planning::prefix::prefix;
pub use planning::remarks;
pub use texts::{INLINE_MAX, load_text, run_text};

pub(crate) use absorb::absorb;
pub(crate) use claim::new_ulid;
pub(crate) use realtime::hop_request;
pub(crate) use texts::digest;
pub(crate) use tools::cut;

use chrono::{DateTime, Utc};
use nightshift_domain::RunKey;
use nightshift_domain::config::Config;
use nightshift_domain::run::{LogLine, Run};
use tracing::warn;

use crate::deps::{Deps, Invocation};
use crate::error::EngineError;
use crate::sweep::FindingKind;

/// What a run's log says where the sweep mended something.
const REPAIRED: &str = "repaired";

/// What every step of an invocation shares.
#[derive(Debug, Clone, Copy)]
pub struct Scene<'a> {
    /// The outside world.
    pub deps: &'a Deps,
    /// Who works and how long it may.
    pub invocation: &'a Invocation,
    /// The configuration, read once.
    pub config: &'a Config,
}

/// Reads the configuration.
pub async fn load_config(deps: &Deps) -> Result<Config, EngineError> {
    let (_, document) = deps.store.config().await?;
    if document.is_null() {
        return Ok(Config::default());
    }
    let (config, unknown) = Config::stored(&document)?;
    if !unknown.is_empty() {
        warn!("the configuration has fields this version does not know, which have no effect: {}", unknown.join(", "));
    }
    Ok(config)
}

/// Enters in the log of `run` that the sweep mends it; `false` where that is its last line already, because what was done
/// then came to nothing.
pub(crate) fn note_repair(run: &mut Run, kind: FindingKind, what: &str, now: DateTime<Utc>) -> bool {
    let words = kind.words();
    let said = |line: &LogLine| line.event == REPAIRED && line.detail.as_ref().is_some_and(|it| it.starts_with(&words));
    if run.events.last().is_some_and(said) {
        return false;
    }
    run.log(now, REPAIRED, Some(format!("{words}: {what}")));
    true
}

/// Stops a run: at once where nothing is under way, else by the wish its batch is told of.
///
/// # Crash safety
/// The wish is one conditional write; the effects that follow it are repeated by the next look at the run's batch.
pub async fn cancel(scene: Scene<'_>, key: &RunKey) -> Result<bool, EngineError> {
    let Some(run) = scene.deps.store.run(key).await? else { return Ok(false) };
    let event = nightshift_domain::run::Event::CancelRequested;
    let Some(moved) = commit::apply(scene, &run, event, commit::Along::default()).await? else { return Ok(false) };
    drive(scene, moved.run, moved.effects).await?;
    Ok(true)
}
