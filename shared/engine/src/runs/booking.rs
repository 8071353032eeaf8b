//! Books what was paid for nothing: answers that nobody can use any more.
//!
//! Guarantee: every answer that reaches this program is in a run's books, as one it went on from or as one marked unused,
//! exactly once however often it is read; where the run itself is gone, two counters say so. A booking leaves the run's
//! state and lease alone, and a holder's next write goes on over it (see [`save`](super::commit::save) and
//! [`apply`](super::commit::apply)).

use chrono::{DateTime, TimeDelta, Utc};
use nightshift_domain::batch::{Batch, Member};
use nightshift_domain::budget::moved;
use nightshift_domain::cost::{SpendOf, spent, spent_for_nothing};
use nightshift_domain::metrics;
use nightshift_domain::model::{Reply, StopReason};
use nightshift_domain::money::{self, InRealtime, Tokens};
use nightshift_domain::run::{Hop, Path, RowResult, Run};
use nightshift_domain::{AttemptId, RunKey};
use tracing::{debug, warn};

use crate::error::EngineError;
use crate::ports::{Outcome, Write};

use super::Scene;
use super::commit::{MAX_RACES, run_retention};

/// Answers whose run was gone when they came, and what they cost (billionths of a dollar).
const LOST_ANSWERS: &str = "paid_unused.answers_without_run";
const LOST_MONEY: &str = "paid_unused.nano_usd_without_run";
/// How long it is remembered that such an answer was counted: results can be read for 29 days (batch-processing page,
/// 2026-10).
const COUNTED_FOR: TimeDelta = TimeDelta::days(30);

/// Which call an answer is to.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Asked<'a> {
    /// The provider's name in the configuration.
    pub provider: &'a str,
    /// The hop, from 1.
    pub hop: u32,
    /// Which try at it, from 1.
    pub attempt: u32,
    /// How it was asked.
    pub path: Path,
    /// The batch, by our id; `None` in realtime and for a batch we know nothing of.
    pub batch: Option<&'a AttemptId>,
    /// How long the prompt was that it goes on from, tokens.
    pub before: u64,
}

/// The entry of `reply` in the books.
pub(crate) fn hop_of(scene: Scene<'_>, asked: Asked<'_>, reply: &Reply, now: DateTime<Utc>) -> Hop {
    let reference = format!("{}/{}", asked.provider, reply.model);
    let price = money::price(&reference, now, &scene.config.models.prices);
    let cost = |price| money::cost(&reply.usage, price, asked.path == Path::Batch);
    let tokens = Tokens::of(&reply.usage);
    Hop {
        n: asked.hop,
        path: asked.path,
        model: reply.model.clone(),
        message_id: reply.message_id.clone(),
        request_id: reply.request_id.clone(),
        batch: asked.batch.cloned(),
        stop_reason: stop_word(&reply.stop_reason),
        usage: reply.usage.clone(),
        cost: price.as_ref().map(cost).unwrap_or_default(),
        in_realtime: price.as_ref().map(|price| InRealtime::of(&tokens, price, asked.before)),
        at: now,
        compaction: false,
        unused: false,
        attempt: asked.attempt,
        waited_seconds: None,
    }
}

fn stop_word(reason: &StopReason) -> String {
    match reason {
        StopReason::EndTurn => "end_turn",
        StopReason::MaxTokens => "max_tokens",
        StopReason::StopSequence => "stop_sequence",
        StopReason::ToolUse => "tool_use",
        StopReason::PauseTurn => "pause_turn",
        StopReason::Refusal => "refusal",
        StopReason::ModelContextWindowExceeded => "model_context_window_exceeded",
        StopReason::Other(word) => word,
    }
    .to_owned()
}

/// Books `hop` on the run `key` as one that was paid and not used. Whether it was news.
///
/// # Crash safety
/// One conditional write, whose condition is the row it was judged by. Stopped before it, whoever reads the answer again
/// books it: a batch is settled after its rows. A realtime answer that is not booked then stays counted as a call that may
/// have been paid.
pub(crate) async fn unused(scene: Scene<'_>, key: &RunKey, hop: Hop) -> Result<bool, EngineError> {
    let deps = scene.deps;
    for _ in 0..MAX_RACES {
        let Some(mut run) = deps.store.run(key).await? else { return without_run(scene, key, &hop).await };
        let before = run.clone();
        if !run.book_unused(hop.clone(), deps.clock.now()) {
            return Ok(false);
        }
        if booked(scene, &before, &mut run).await? {
            let entered = run.hops.last().unwrap_or(&hop);
            deps.measure(&metrics::too_late(key, entered));
            warn!(run.id = %key, "an answer of {} to run {key} was paid and is of no use", hop.model);
            return Ok(true);
        }
    }
    Err(EngineError::Contended { subject: format!("run {key}"), times: MAX_RACES })
}

/// A row of `batch` that its run does not wait for any more.
pub(crate) async fn late_row(
    scene: Scene<'_>,
    batch: &Batch,
    member: &Member,
    run: Option<&Run>,
    result: &RowResult,
) -> Result<(), EngineError> {
    // Whatever is no answer costs nothing.
    let RowResult::Succeeded(reply) = result else { return Ok(()) };
    let asked = Asked {
        provider: &batch.provider,
        hop: member.hop,
        attempt: member.attempt,
        path: Path::Batch,
        batch: Some(&batch.id),
        before: 0,
    };
    let hop = hop_of(scene, asked, reply, scene.deps.clock.now());
    if run.is_some_and(|run| run.has_booked(&hop)) {
        debug!(run.id = %member.run, "run {} has its row of batch {}", member.run, batch.id);
        return Ok(());
    }
    unused(scene, &member.run, hop).await.map(drop)
}

/// A realtime call that somebody gave up came back after all: with an answer that is booked, or with a refusal.
pub(crate) async fn came_back(scene: Scene<'_>, key: &RunKey, answer: Option<Hop>) -> Result<(), EngineError> {
    match answer {
        Some(hop) => unused(scene, key, hop).await.map(drop),
        None => refused(scene, key).await,
    }
}

async fn refused(scene: Scene<'_>, key: &RunKey) -> Result<(), EngineError> {
    for _ in 0..MAX_RACES {
        let Some(mut run) = scene.deps.store.run(key).await? else { return Ok(()) };
        let before = run.clone();
        if !run.book_refusal() || booked(scene, &before, &mut run).await? {
            return Ok(());
        }
    }
    Err(EngineError::Contended { subject: format!("run {key}"), times: MAX_RACES })
}

/// Writes a run of which its books alone changed, with what that changes of the totals of its day and of the purses it counts
/// against. A row that is over stays as long as it would have.
async fn booked(scene: Scene<'_>, before: &Run, run: &mut Run) -> Result<bool, EngineError> {
    let expires_at = run.ended_at.map(|ended| ended + run_retention(scene));
    let (purses, spent) = (moved(before, &before.hops, run, None), spent(&before.hops, run));
    let mut writes = vec![Write::Run { run, expires_at }];
    writes.extend(spent.iter().map(Write::Spend));
    writes.extend(purses.iter().map(Write::Purse));
    Ok(scene.deps.store.commit(&writes).await? == Outcome::Applied)
}

/// Counts an answer whose run's row is gone.
///
/// # Crash safety
/// It is remembered that it was counted. Stopped between the two, a repeat counts it once more: too much rather than nothing.
async fn without_run(scene: Scene<'_>, key: &RunKey, hop: &Hop) -> Result<bool, EngineError> {
    let deps = scene.deps;
    let batch = hop.batch.as_ref().map(AttemptId::as_str).unwrap_or_default();
    let name = format!("paid-unused/{key}/{batch}/{}/{}/{}", hop.n, hop.attempt, hop.message_id);
    if deps.store.recall(&name).await?.is_some() {
        return Ok(false);
    }
    warn!(run.id = %key, "an answer of {} was paid for run {key}, which is gone", hop.model);
    let nano = i64::try_from(hop.cost.paid_nano_usd).unwrap_or(i64::MAX);
    let now = deps.clock.now();
    let of = SpendOf {
        day: now.date_naive(),
        job_id: key.job_id().to_string(),
        // Which agent and which provider it was is gone with the row.
        agent_id: String::new(),
        model: hop.model.clone(),
        path: hop.path.word().to_owned(),
    };
    let spent = spent_for_nothing(of, hop);
    let counts =
        [Write::Count { name: LOST_ANSWERS, by: 1 }, Write::Count { name: LOST_MONEY, by: nano }, Write::Spend(&spent)];
    let _: Outcome = deps.store.commit(&counts).await?;
    deps.measure(&metrics::too_late(key, hop));
    deps.store.remember(&name, "", &serde_json::Value::Null, now + COUNTED_FOR).await?;
    Ok(true)
}
