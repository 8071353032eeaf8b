//! What a turn asks of a model, what comes back, and what each outcome means for the run.

use chrono::{DateTime, Utc};
use serde::{Deserialize, Serialize};
use serde_json::Value;

mod blocks;
mod caching;
mod capabilities;
mod errors;
mod thinking;

pub use blocks::{RAW_MESSAGE, portable};
pub use caching::{BYTES_PER_TOKEN, Prospect, cache_for, estimated_tokens};
pub use capabilities::{CapabilityRow, Known, TABLE_OF, built_in, known};
pub use errors::ModelErrorKind;
pub use thinking::{Chosen, thinking_for};

/// One message of a turn. `content` is the raw JSON of its content (a string or an array of blocks), kept byte for byte
/// because thinking blocks are only valid unchanged (Anthropic extended-thinking page).
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct TurnMessage {
    /// `user` or `assistant`.
    pub role: Role,
    /// Raw JSON.
    pub content: String,
}

/// Who speaks.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Role {
    /// We.
    User,
    /// The model.
    Assistant,
}

/// One model call of a turn. Tools and blocks are in the words of the Messages API; an adapter for another provider
/// translates them.
#[derive(Debug, Clone, PartialEq, Eq, Default, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct HopRequest {
    /// The provider's name for the model.
    pub model: String,
    /// Most tokens it may answer with.
    pub max_tokens: u64,
    /// The system prompt.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub system: Option<String>,
    /// The raw JSON array of its tools, frozen for the run: another array would make thinking blocks invalid and the prompt
    /// cache useless (Messages API, "preserved thinking").
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub tools: Option<String>,
    /// The conversation so far.
    pub messages: Vec<TurnMessage>,
    /// The effort, already one the model knows.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub effort: Option<String>,
    /// How it thinks; the model's own default otherwise.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub thinking: Option<ThinkingMode>,
    /// How long its prefix is kept in the prompt cache; not at all otherwise.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub cache: Option<CacheFor>,
    /// The MCP servers the provider's own loop may call.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub mcp_servers: Vec<McpConnection>,
    /// The provider's sandbox that an earlier hop of the turn used.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub container: Option<String>,
}

/// How a model thinks (Messages API, `thinking`).
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(tag = "type", rename_all = "snake_case", rename_all_fields = "camelCase")]
pub enum ThinkingMode {
    /// As much as it finds right.
    Adaptive,
    /// Not at all.
    Disabled,
    /// Within a budget: 1,024 tokens at least, and fewer than the hop's most tokens.
    Enabled {
        /// Tokens.
        budget_tokens: u64,
    },
}

/// How long a prefix stays in the prompt cache (Messages API, `cache_control`).
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub enum CacheFor {
    /// Written at 1.25 times the input price.
    FiveMinutes,
    /// Written at twice the input price.
    Hour,
}

/// An MCP server as the provider is told of it.
#[derive(Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct McpConnection {
    /// Its name within the request.
    pub name: String,
    /// Its address; HTTPS.
    pub url: String,
    /// Its bearer token: a secret, so it is never written down and `Debug` does not show it.
    #[serde(skip)]
    pub token: Option<String>,
}

impl std::fmt::Debug for McpConnection {
    fn fmt(&self, formatter: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        let fields = &mut formatter.debug_struct("McpConnection");
        fields.field("name", &self.name).field("url", &self.url).finish_non_exhaustive()
    }
}

/// A model's answer to one hop.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct Reply {
    /// The provider's message id.
    pub message_id: String,
    /// The id of the HTTP request, for support.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub request_id: Option<String>,
    /// The model that answered.
    pub model: String,
    /// Why it stopped.
    pub stop_reason: StopReason,
    /// The raw JSON of the content blocks.
    pub content: String,
    /// The text blocks, joined.
    pub text: String,
    /// The raw usage object.
    pub usage: Value,
    /// The provider's sandbox, where one was used.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub container: Option<String>,
}

/// Why a model stopped (Messages API, "handling stop reasons").
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum StopReason {
    /// It was done.
    EndTurn,
    /// It ran into `max_tokens`.
    MaxTokens,
    /// It met a stop sequence.
    StopSequence,
    /// It wants tools run.
    ToolUse,
    /// A server-side loop paused; the turn goes on when its content is sent back.
    PauseTurn,
    /// It refused.
    Refusal,
    /// The context is full.
    ModelContextWindowExceeded,
    /// Something newer than this program.
    #[serde(untagged)]
    Other(String),
}

impl StopReason {
    /// Reads the API's word.
    pub fn parse(word: &str) -> Self {
        match word {
            "end_turn" => Self::EndTurn,
            "max_tokens" => Self::MaxTokens,
            "stop_sequence" => Self::StopSequence,
            "tool_use" => Self::ToolUse,
            "pause_turn" => Self::PauseTurn,
            "refusal" => Self::Refusal,
            "model_context_window_exceeded" => Self::ModelContextWindowExceeded,
            other => Self::Other(other.to_owned()),
        }
    }
}

/// What a provider says a model can do (`GET /v1/models`).
#[derive(Debug, Clone, PartialEq, Eq, Default, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", default)]
#[expect(clippy::struct_excessive_bools, reason = "each is a yes or no of what a provider says")]
pub struct ModelInfo {
    /// The model.
    pub id: String,
    /// Whether it takes batches.
    pub batch: bool,
    /// Most tokens it may answer with.
    pub max_tokens: u64,
    /// Most tokens of a request, where that is known.
    pub max_input_tokens: Option<u64>,
    /// Efforts it knows, lowest first.
    pub efforts: Vec<String>,
    /// The words it takes in `thinking.type`: `adaptive`, `enabled`, `disabled`, `between_tools`.
    pub thinking: Vec<String>,
    /// Whether it may use the provider's own tools.
    pub server_tools: bool,
    /// Whether it is retired.
    pub retired: bool,
    /// When it is to be retired, where that is decided.
    pub retires_at: Option<DateTime<Utc>>,
    /// Whether the provider only names it, so that the rest of this is assumed.
    pub undescribed: bool,
}
