//! The MCP endpoint in a run's life: what of the run's tools it has, and what the provider's loop called there.

use chrono::{DateTime, TimeDelta, Utc};
use nightshift_domain::config::Agent;
use nightshift_domain::delivery::Target;
use nightshift_domain::run::{CallState, Endpoint, MOST_CALLS, Run, ToolCall, Via, call_id};
use nightshift_domain::run_token::TokenKey;
use nightshift_domain::tools::Offer;
use nightshift_domain::tools::endpoint::{SERVER_NAME, over_endpoint};
use serde::Deserialize;

use crate::error::EngineError;

use super::Scene;
use super::blocks::{Block, blocks, text};
use super::texts::{load_text, talk_text};
use super::tools::cut;

/// The MCP connector takes https only (Python SDK 2.11.0, `BetaRequestMCPServerURLDefinitionParam`).
const CONNECTOR_TAKES: &str = "https://";
/// How long a token outlives the turn it is for: a batch that is told to stop goes on for a while.
const SLACK: TimeDelta = TimeDelta::hours(1);
/// The least a token lasts: a batch may live for 24 hours (Message Batches page), whatever the turn's own deadline.
const LEAST: TimeDelta = TimeDelta::hours(25);

/// Whether a batch turn with this offer could have an endpoint.
pub(crate) fn can_have_endpoint(scene: Scene<'_>, agent: &Agent, offer: &Offer) -> bool {
    let is_public = scene.config.api.public_url.as_deref().is_some_and(|base| base.starts_with(CONNECTOR_TAKES));
    is_public && !over_endpoint(&mut offer.clone(), &scene.config.tools_of(agent).endpoint).is_empty()
}

/// The endpoint of a batch turn, with the tools that leave `offer` for it; `None` where it has no public address or nothing
/// to offer. The key is new each time, so only the plan that is written counts.
pub(crate) fn endpoint(
    scene: Scene<'_>,
    agent: &Agent,
    offer: &mut Offer,
    deadline: DateTime<Utc>,
    realtime_seconds: u64,
) -> Option<Endpoint> {
    let base = scene.config.api.public_url.as_deref()?;
    if !base.starts_with(CONNECTOR_TAKES) {
        return None;
    }
    let tools = over_endpoint(offer, &scene.config.tools_of(agent).endpoint);
    if tools.is_empty() {
        return None;
    }
    let entropy = scene.deps.entropy.as_ref();
    // A batch turn that runs out of time may go on in realtime.
    let realtime = i64::try_from(realtime_seconds).ok().and_then(TimeDelta::try_seconds).unwrap_or(TimeDelta::days(7));
    Some(Endpoint {
        url: format!("{}/mcp", base.trim_end_matches('/')),
        tools,
        key: TokenKey::new(entropy.bits(), entropy.bits()),
        expires: (deadline + realtime + SLACK).max(scene.deps.clock.now() + LEAST),
    })
}

/// Records in `run` what hop `n` called at the endpoint, as the provider tells it. A call whose result comes with a later
/// answer (the turn was paused between the two) is begun until then.
pub(crate) async fn record(
    scene: Scene<'_>,
    run: &mut Run,
    n: u32,
    content: &str,
    now: DateTime<Utc>,
) -> Result<(), EngineError> {
    for said in said(content) {
        match said {
            Said::Used { .. } if run.talk.calls.len() > MOST_CALLS => {}
            Said::Used { id, name, input } => {
                let input = talk_text(scene.deps, run, input).await?;
                let state = CallState::Started { at: now };
                run.talk.calls.push(ToolCall { id, hop: n, name, input, via: Via::Endpoint, state });
            }
            Said::Came { id, is_error, text } => {
                let open = |call: &ToolCall| call.via == Via::Endpoint && call.id == id && !call.is_done();
                let Some(at) = run.talk.calls.iter().rposition(open) else { continue };
                let (text, cut_from) = cut(text);
                let result = talk_text(scene.deps, run, text).await?;
                let sent_to = sent_to(scene, run, at).await?;
                run.talk.calls[at].state = CallState::Done { at: now, is_error, result, cut_from, sent_to };
            }
        }
    }
    Ok(())
}

/// Where the call at `at` has sent a message, as its row says; the answer does not.
async fn sent_to(scene: Scene<'_>, run: &Run, at: usize) -> Result<Option<Target>, EngineError> {
    let call = &run.talk.calls[at];
    if call.name != "message" {
        return Ok(None);
    }
    let input = load_text(scene.deps, &run.key, &call.input).await?;
    let Ok(arguments) = serde_json::from_str(&input) else { return Ok(None) };
    let row = scene.deps.store.endpoint_call(&run.key, &call_id(&call.name, &arguments)).await?;
    Ok(row.and_then(|row| match row.state {
        CallState::Done { sent_to, .. } => sent_to,
        CallState::Asked | CallState::Started { .. } => None,
    }))
}

/// What an answer tells of our endpoint.
#[derive(Debug, PartialEq, Eq)]
enum Said {
    /// A tool was called.
    Used {
        id: String,
        name: String,
        /// Raw JSON.
        input: String,
    },
    /// Its result.
    Came { id: String, is_error: bool, text: String },
}

/// The blocks of our server, in order: `mcp_tool_use {id, name, server_name, input}` and `mcp_tool_result {tool_use_id,
/// is_error, content}`, which names no server (Python SDK 2.11.0, `BetaMCPToolUseBlock`, `BetaMCPToolResultBlock`).
fn said(content: &str) -> Vec<Said> {
    let read = |block: Block<'_>| match block.kind.as_str() {
        "mcp_tool_use" if text(block.server_name).as_deref() == Some(SERVER_NAME) => {
            Some(Said::Used { id: text(block.id)?, name: text(block.name)?, input: block.raw_input() })
        }
        "mcp_tool_result" => {
            let is_error = block.is_error.is_some_and(|flag| flag.get() == "true");
            let told = block.content.map(|raw| spoken(raw.get())).unwrap_or_default();
            Some(Said::Came { id: text(block.tool_use_id)?, is_error, text: told })
        }
        _ => None,
    };
    blocks(content).into_iter().filter_map(read).collect()
}

/// The text of a result: a string, or the text blocks of an array.
fn spoken(raw: &str) -> String {
    #[derive(Deserialize)]
    struct Piece {
        #[serde(default)]
        text: String,
    }
    if let Ok(text) = serde_json::from_str(raw) {
        return text;
    }
    let pieces: Vec<Piece> = serde_json::from_str(raw).unwrap_or_default();
    pieces.into_iter().map(|piece| piece.text).collect::<Vec<_>>().join("\n")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn calls_and_results_of_our_server_are_found_among_blocks_of_every_kind() {
        let content = r#"[{"type":"text","text":"…"},
            {"type":"mcp_tool_use","id":"m1","name":"http_fetch","server_name":"nightshift","input":{"n": 1.50}},
            {"type":"mcp_tool_use","id":"g1","name":"search","server_name":"github","input":{}},
            {"type":"mcp_tool_result","tool_use_id":"m1","is_error":false,"content":[{"type":"text","text":"one"},{"type":"text","text":"two"}]},
            {"type":"mcp_tool_result","tool_use_id":"m2","is_error":true,"content":"no"},
            {"type":"server_tool_use","id":"s1","name":"web_search","input":{}},{"type":"new","content":7}]"#;
        let used = Said::Used { id: "m1".into(), name: "http_fetch".into(), input: r#"{"n": 1.50}"#.into() };
        let came = Said::Came { id: "m1".into(), is_error: false, text: "one\ntwo".into() };
        let failed = Said::Came { id: "m2".into(), is_error: true, text: "no".into() };
        assert_eq!(said(content), [used, came, failed]);
        assert_eq!(said("not JSON"), []);
    }
}
