//! A tool call of a run as the API shows it.

use nightshift_domain::run::{CallState, ToolCall, Via};
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

/// Longest input or result shown, in characters, its ellipsis left out.
const TEXT_CHARS: usize = 4000;

/// A tool that a run called.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct ToolView {
    /// The id the model gave the call.
    pub id: String,
    /// The tool.
    pub name: String,
    /// The hop that asked for it, from 1.
    pub hop: u32,
    /// `hop` where the run's next hop brought the result, `endpoint` where the provider's own loop called it within the hop.
    pub via: Via,
    /// How it stands.
    pub state: ToolState,
    /// When it came back.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub ended_at_ms: Option<i64>,
    /// How long the result was before it was cut, bytes.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub cut_from_bytes: Option<u64>,
    /// The beginning of its input, JSON; only where one run is asked for.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub input: Option<String>,
    /// The beginning of what the model was told; only where one run is asked for.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub result: Option<String>,
}

/// How a tool call stands.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "lowercase")]
pub enum ToolState {
    /// Not begun.
    Asked,
    /// Begun.
    Started,
    /// It came back.
    Ok,
    /// The model was told of an error.
    Error,
}

impl ToolView {
    pub(crate) fn new(call: &ToolCall) -> Self {
        let (state, ended_at_ms, cut_from_bytes) = match &call.state {
            CallState::Asked => (ToolState::Asked, None, None),
            CallState::Started { .. } => (ToolState::Started, None, None),
            CallState::Done { at, is_error, cut_from, .. } => {
                let state = if *is_error { ToolState::Error } else { ToolState::Ok };
                (state, Some(at.timestamp_millis()), *cut_from)
            }
        };
        Self {
            id: call.id.clone(),
            name: call.name.clone(),
            hop: call.hop,
            via: call.via,
            state,
            ended_at_ms,
            cut_from_bytes,
            input: None,
            result: None,
        }
    }

    /// The same with the beginnings of what went in and what came back.
    pub(crate) fn with_texts(mut self, input: &str, result: Option<&str>) -> Self {
        self.input = Some(beginning(input));
        self.result = result.map(beginning);
        self
    }
}

fn beginning(text: &str) -> String {
    match text.char_indices().nth(TEXT_CHARS) {
        None => text.to_owned(),
        Some((end, _)) => format!("{}…", &text[..end]),
    }
}
