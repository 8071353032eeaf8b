//! Takes an answer into its run: the hop, its cost, the history and the text.

use chrono::{DateTime, Utc};
use nightshift_domain::AttemptId;
use nightshift_domain::model::{Reply, Role, StopReason};
use nightshift_domain::money;
use nightshift_domain::run::{CallState, Hop, MOST_CALLS, Path, Run, Said, State, ToolCall, Via};

use crate::error::EngineError;

use super::Scene;
use super::blocks::{Block, blocks, text};
use super::booking;
use super::endpoint::record;
use super::sessions::absorb_summary;
use super::texts::{load_text, run_text, talk_text};

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
    let before = run.prompt_before(&reply.model);
    let call = booking::Asked { provider, hop: n, attempt: run.state.attempt(), path, batch, before };
    let hop = booking::hop_of(scene, call, reply, now);
    if price_unknown(&reference, now, scene) {
        let note = format!("no price is known for {reference}; its cost counts as nothing");
        if let Some(plan) = run.plan.as_mut().filter(|plan| !plan.notes.contains(&note)) {
            plan.notes.push(note);
        }
    }
    run.cost = run.cost.plus(hop.cost);
    let in_batch = matches!(run.state, State::Submitted { .. }).then(|| now - run.state_since);
    let waited_seconds = in_batch.and_then(|waited| u32::try_from(waited.num_seconds()).ok());
    run.hops.push(Hop { compaction: run.is_compacting(), waited_seconds, ..hop });
    if run.is_compacting() {
        return absorb_summary(scene.deps, run, reply).await;
    }
    if matches!(reply.stop_reason, StopReason::PauseTurn | StopReason::ToolUse) {
        // Only a turn that goes on needs what was said; the answer of one that ended is kept as text.
        let content = talk_text(scene.deps, &run, reply.content.clone()).await?;
        run.talk.said.push(Said { role: Role::Assistant, content });
    }
    if reply.stop_reason == StopReason::ToolUse {
        // One more than may be: the row that says so has to be written too.
        let room = (MOST_CALLS + 1).saturating_sub(run.talk.calls.len());
        for Asked { id, name, input } in asked(&reply.content).into_iter().take(room) {
            let input = talk_text(scene.deps, &run, input).await?;
            let call = ToolCall { id, hop: n, name, input, via: Via::Hop, state: CallState::Asked };
            run.talk.calls.push(call);
        }
    }
    record(scene, &mut run, n, &reply.content, now).await?;
    if reply.container.is_some() {
        run.talk.container.clone_from(&reply.container);
    }
    let said_before = match run.answer.take().filter(|_| run.went_on_from_a_pause()) {
        Some(text) => load_text(scene.deps, &run.key, &text).await?,
        None => String::new(),
    };
    let answer = both(&said_before, &reply.text);
    if !answer.is_empty() {
        run.answer = Some(run_text(scene.deps, &run.key, answer).await?);
    }
    Ok(run)
}

/// What was said before a pause and after it, as one text.
fn both(before: &str, after: &str) -> String {
    match (before.trim().is_empty(), after.trim().is_empty()) {
        (true, true) => String::new(),
        (true, false) => after.to_owned(),
        (false, true) => before.to_owned(),
        (false, false) => format!("{before}\n\n{after}"),
    }
}

/// A tool a model asked for.
#[derive(Debug, PartialEq, Eq)]
struct Asked {
    id: String,
    name: String,
    /// Raw JSON.
    input: String,
}

/// The tools that `content` asks us to run. The provider's own (`server_tool_use`, `mcp_tool_use`) are not among them.
fn asked(content: &str) -> Vec<Asked> {
    let calls = blocks(content).into_iter().filter(|block| block.kind == "tool_use");
    let read =
        |block: Block<'_>| Some(Asked { id: text(block.id)?, name: text(block.name)?, input: block.raw_input() });
    calls.filter_map(read).collect()
}

fn price_unknown(reference: &str, now: DateTime<Utc>, scene: Scene<'_>) -> bool {
    money::price(reference, now, &scene.config.models.prices).is_none()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_tools_a_model_asks_for_are_found_among_blocks_of_every_kind_with_their_raw_input() {
        let content = r#"[{"type":"thinking","thinking":"…","signature":"s"},{"type":"server_tool_use","id":"a","name":"web_search"},
            {"type":"tool_use","id":"toolu_1","name":"memory","input":{"n": 1.50,"b":1e3}},{"type":"new","id":7,"input":[]},
            {"type":"tool_use","id":"toolu_2","name":"message"}]"#;
        let one = Asked { id: "toolu_1".into(), name: "memory".into(), input: r#"{"n": 1.50,"b":1e3}"#.into() };
        let two = Asked { id: "toolu_2".into(), name: "message".into(), input: "{}".into() };
        assert_eq!(asked(content), [one, two]);
        assert_eq!(asked("not JSON"), []);
    }
}
