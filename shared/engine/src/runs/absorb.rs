//! Takes an answer into its run: the hop, its cost, the history and the text.

use chrono::{DateTime, Utc};
use nightshift_domain::AttemptId;
use nightshift_domain::model::{Reply, Role, StopReason, TurnMessage};
use nightshift_domain::money;
use nightshift_domain::run::{Hop, Path, Run};

use crate::error::EngineError;

use super::Scene;
use super::texts::run_text;

/// The run with `reply` as its hop number `n`. Pure but for a long text's blob, whose key is its digest; written together
/// with the transition the reply causes, so that it is booked exactly once.
pub(crate) async fn absorb(
    scene: Scene<'_>,
    run: &Run,
    n: u32,
    reply: &Reply,
    batch: Option<&AttemptId>,
    now: DateTime<Utc>,
) -> Result<Run, EngineError> {
    let mut run = run.clone();
    let path = if batch.is_some() { Path::Batch } else { Path::Realtime };
    let provider = run.plan.as_ref().map_or("anthropic", |plan| plan.provider.as_str());
    let reference = format!("{provider}/{}", reply.model);
    let price = money::price(&reference, now, &scene.config.models.prices);
    let cost = price.map(|price| money::cost(&reply.usage, &price, path == Path::Batch)).unwrap_or_default();
    if price_unknown(&reference, now, scene) {
        let note = format!("no price is known for {reference}; its cost counts as nothing");
        if let Some(plan) = run.plan.as_mut().filter(|plan| !plan.notes.contains(&note)) {
            plan.notes.push(note);
        }
    }
    run.cost = run.cost.plus(cost);
    run.hops.push(Hop {
        n,
        path,
        model: reply.model.clone(),
        message_id: reply.message_id.clone(),
        request_id: reply.request_id.clone(),
        batch: batch.cloned(),
        stop_reason: stop_word(&reply.stop_reason),
        usage: reply.usage.clone(),
        cost,
        at: now,
    });
    if reply.stop_reason == StopReason::PauseTurn {
        // Only a turn that goes on needs what was said; the answer of one that ended is kept as text.
        run.history.push(TurnMessage { role: Role::Assistant, content: reply.content.clone() });
    }
    if !reply.text.trim().is_empty() {
        run.answer = Some(run_text(scene.deps, &run.key, reply.text.clone()).await?);
    }
    Ok(run)
}

fn price_unknown(reference: &str, now: DateTime<Utc>, scene: Scene<'_>) -> bool {
    money::price(reference, now, &scene.config.models.prices).is_none()
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
