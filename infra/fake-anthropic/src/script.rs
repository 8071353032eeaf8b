//! Scripts: what the fake answers, how long its batches take, and which calls go wrong.
//!
//! A script replaces the one before it as a whole; what it does not name is at its default again, and replies and
//! faults are counted from the beginning. Batches that exist keep what they were created with: a row's reply is chosen
//! and counted, and a batch's duration read, when the batch is created; the cancel settings count when it is cancelled.
//! Where that reply calls MCP tools, the ones after them are chosen when the batch is due to end.
//!
//! A turn of several hops is a list of replies: `hop` says how many assistant messages came before, `afterTool` which
//! tool has just answered, `match` what it said, and `times` lets each reply speak once. For instance
//!
//! ```json
//! {"replies": [
//!   {"hop": 0, "content": [{"type": "tool_use", "name": "memory", "input": {"command": "view", "path": "/memories"}}]},
//!   {"afterTool": "memory", "match": "No such", "text": "There is nothing to remember."},
//!   {"afterTool": "memory", "text": "I remember."}
//! ]}
//! ```

use std::collections::BTreeMap;

use http::{HeaderName, HeaderValue};
use serde::{Deserialize, Serialize};
use serde_json::{Map, Value};
use url::Url;

use crate::mcp::is_loopback;
use crate::models::ScriptedModel;
use crate::reply::Asked;

/// The whole behaviour of a fake. JSON in camelCase; every field may be left out, unknown ones are refused.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields, default)]
pub struct Script {
    /// Tried in order; the first that matches and is not used up answers. None: an answer made from the request.
    pub replies: Vec<Reply>,
    /// From creation of a batch to its end, in milliseconds; 24 hours or more let it expire. Default 60,000.
    pub batch_duration_ms: u64,
    /// The same for one batch after the other, from the first one again after the last; where it is empty all take
    /// `batchDurationMs`.
    pub batch_durations_ms: Vec<u64>,
    /// What share of the prompts that are in the cache a batch's rows find there; in realtime all are found. Default 1.
    pub batch_cache_hits: f64,
    /// From a cancel to the end of the batch, in milliseconds. Default 30,000.
    pub cancel_duration_ms: u64,
    /// Which rows of a cancelled batch were done in time.
    pub cancel_keeps: CancelKeeps,
    /// How long every answer is held back after its call took effect, in milliseconds.
    pub latency_ms: u64,
    /// Models to add or change.
    pub models: Vec<ScriptedModel>,
    /// Calls that go wrong.
    pub faults: Vec<Fault>,
    /// Origins of MCP servers and where they really are, for instance
    /// `{"https://nightshift.example": "http://127.0.0.1:1234"}`: requests must name servers by `https`, and nothing
    /// leaves the machine, so a server is only reached through an entry here or in [`Options`](crate::Options), or when
    /// its own host is loopback.
    pub mcp_origins: BTreeMap<String, String>,
}

impl Script {
    /// How long a batch takes that is made after `made` others.
    pub(crate) fn duration_ms(&self, made: usize) -> u64 {
        let each = self.batch_durations_ms.get(made % self.batch_durations_ms.len().max(1));
        each.copied().unwrap_or(self.batch_duration_ms)
    }
}

impl Default for Script {
    fn default() -> Self {
        Self {
            replies: Vec::new(),
            batch_duration_ms: 60_000,
            batch_durations_ms: Vec::new(),
            batch_cache_hits: 1.0,
            cancel_duration_ms: 30_000,
            cancel_keeps: CancelKeeps::None,
            latency_ms: 0,
            models: Vec::new(),
            faults: Vec::new(),
            mcp_origins: BTreeMap::new(),
        }
    }
}

/// Which rows of a cancelled batch keep the result they would have had; the others are `canceled`.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum CancelKeeps {
    /// None of them.
    #[default]
    None,
    /// The first row of the create call.
    First,
    /// All of them: the cancel came too late.
    All,
}

/// One scripted answer: exactly one of `text`, `content`, `error` and `row` says what it is (`row: "errored"` takes an
/// `error` as well).
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields, default)]
pub struct Reply {
    /// Part of the last user text (tool results included), case-sensitive; `*`, the default, matches every request.
    #[serde(rename = "match", skip_serializing_if = "Option::is_none")]
    pub pattern: Option<String>,
    /// Answers only right after this tool: its result is among the last user message's `tool_result` blocks, or is what
    /// the MCP server just answered.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub after_tool: Option<String>,
    /// Answers only when this many assistant messages came before; the first answer of a conversation is hop 0. A turn
    /// that calls MCP tools is one message made in several steps, and each step before this one counts too.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub hop: Option<usize>,
    /// Answers only requests that offer this tool, or the tools of the MCP server of this name.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub offers: Option<String>,
    /// How often it answers; without it, always.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub times: Option<u32>,
    /// A text answer. Cut at a stop sequence and at `max_tokens`, with the stop reason that goes with it.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub text: Option<String>,
    /// Content blocks, given out as they are. A `tool_use`, `server_tool_use` or `mcp_tool_use` without an `id` gets a
    /// fresh one; `thinking` without a `signature` gets one that is good for its prefix only, one with a signature is
    /// never judged. `mcp_tool_use` blocks without their `mcp_tool_result` are called for real when the request has
    /// `mcp_servers`: the results follow them, and the next reply, chosen by what they say, goes on in the same message.
    /// A client `tool_use` beside them, or a `stopReason` here, ends the message instead, and they are called at the
    /// start of the next request.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub content: Option<Vec<Value>>,
    /// `stop_reason`. Default: `tool_use` when there is a `tool_use` block, else what the text leads to.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub stop_reason: Option<String>,
    /// `stop_details`, for a refusal.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub stop_details: Option<Value>,
    /// Fields of `usage` that replace the computed ones.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub usage: Option<Map<String, Value>>,
    /// An error instead: the answer itself in realtime, an `errored` row in a batch.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub error: Option<ScriptedError>,
    /// An error in the middle of a stream, after which the answer is lost. Not billed, as no error is (for streams the
    /// docs do not say). Calls that do not stream get the message whole.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub stream_error: Option<StreamError>,
    /// The end of a batch row without a message; such a reply never answers a realtime call.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub row: Option<RowEnd>,
}

/// The `error` event that ends a stream early.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct StreamError {
    /// `error.type`, such as `overloaded_error`.
    #[serde(rename = "type")]
    pub kind: String,
    /// `error.message`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub message: Option<String>,
    /// How many events come before it; `message_start` and `ping` count. Default 0.
    #[serde(default)]
    pub after: usize,
}

/// How a batch row ends without a message (docs page "batch-processing", 2026-10-01).
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum RowEnd {
    /// With an error; without `error` in the reply an `api_error`.
    Errored,
    /// Never sent to the model.
    Expired,
    /// Never sent to the model.
    Canceled,
}

/// An error of the API. Status and type follow from each other where one is left out.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields, default)]
pub struct ScriptedError {
    /// HTTP status.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub status: Option<u16>,
    /// `error.type`.
    #[serde(rename = "type", skip_serializing_if = "Option::is_none")]
    pub kind: Option<String>,
    /// `error.message`.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub message: Option<String>,
    /// `error.details.error_code`.
    #[serde(alias = "error_code", skip_serializing_if = "Option::is_none")]
    pub error_code: Option<String>,
    /// Response headers to add, such as `retry-after`.
    #[serde(skip_serializing_if = "BTreeMap::is_empty")]
    pub headers: BTreeMap<String, String>,
}

/// A call that goes wrong. Calls to `on` are counted from 1 since the script was set, refused ones too; the fault
/// strikes number `nth` and the `times - 1` after it. Of several faults that strike one call the first listed acts.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct Fault {
    /// Which calls.
    pub on: Target,
    /// The first call struck; default 1.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub nth: Option<u64>,
    /// How many calls in a row; default 1.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub times: Option<u64>,
    /// What happens.
    #[serde(rename = "do")]
    pub action: Action,
    /// HTTP status of `status`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub status: Option<u16>,
    /// `error.type` of `status`.
    #[serde(default, alias = "error_type", skip_serializing_if = "Option::is_none")]
    pub error_type: Option<String>,
    /// `error.message` of `status`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub message: Option<String>,
    /// `error.details.error_code` of `status`.
    #[serde(default, alias = "error_code", skip_serializing_if = "Option::is_none")]
    pub error_code: Option<String>,
    /// Response headers of `status`.
    #[serde(default, skip_serializing_if = "BTreeMap::is_empty")]
    pub headers: BTreeMap<String, String>,
    /// How long the answer, or the drop, is held back on top of the latency, in milliseconds.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub delay_ms: Option<u64>,
}

/// The calls a fault can strike.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Target {
    /// `POST /v1/messages`
    Messages,
    /// `POST /v1/messages/count_tokens`
    CountTokens,
    /// `POST /v1/messages/batches`
    Create,
    /// `GET /v1/messages/batches/{id}`
    Retrieve,
    /// `GET /v1/messages/batches`
    List,
    /// `GET /v1/messages/batches/{id}/results`
    Results,
    /// `POST /v1/messages/batches/{id}/cancel`
    Cancel,
    /// `DELETE /v1/messages/batches/{id}`
    Delete,
    /// `GET /v1/models` and `GET /v1/models/{id}`
    Models,
}

/// What a fault does to a call.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Action {
    /// The call takes effect, then the connection drops without a byte of answer.
    LoseAnswer,
    /// The call takes effect, then the connection drops in the middle of the answer's body.
    CutAnswer,
    /// The connection drops before the call takes effect.
    LoseRequest,
    /// An error is answered and the call does not take effect.
    Status,
    /// Nothing but `delayMs`.
    Delay,
}

/// Why a script was refused; the one before it stays in force.
#[derive(Debug, thiserror::Error)]
pub enum ScriptError {
    /// Not JSON, an unknown field, or a wrong type.
    #[error("the script could not be read: {0}")]
    Parse(String),
    /// A reply that contradicts itself.
    #[error("replies[{index}]: {reason}")]
    Reply {
        /// Its place in the list, from 0.
        index: usize,
        /// What is wrong with it.
        reason: &'static str,
    },
    /// A fault that contradicts itself.
    #[error("faults[{index}]: {reason}")]
    Fault {
        /// Its place in the list, from 0.
        index: usize,
        /// What is wrong with it.
        reason: &'static str,
    },
    /// A `batchCacheHits` that is no share.
    #[error("batchCacheHits: give a share from 0 to 1, not {0}")]
    Hits(f64),
    /// An entry of `mcpOrigins` that is not an `https` origin mapped to an `http` one on loopback.
    #[error("mcpOrigins: {origin}: map an https origin to an http origin on loopback")]
    Origin {
        /// The origin it maps.
        origin: String,
    },
    /// The state directory could not be written.
    #[error("the script could not be saved")]
    Journal(#[source] std::io::Error),
}

impl Script {
    /// Reads and checks a script.
    pub fn from_json(text: &str) -> Result<Self, ScriptError> {
        let script: Self = serde_json::from_str(text).map_err(|error| ScriptError::Parse(error.to_string()))?;
        script.check()?;
        Ok(script)
    }

    pub(crate) fn check(&self) -> Result<(), ScriptError> {
        for (index, reply) in self.replies.iter().enumerate() {
            reply.check().map_err(|reason| ScriptError::Reply { index, reason })?;
        }
        for (index, fault) in self.faults.iter().enumerate() {
            fault.check().map_err(|reason| ScriptError::Fault { index, reason })?;
        }
        if !(0.0..=1.0).contains(&self.batch_cache_hits) {
            return Err(ScriptError::Hits(self.batch_cache_hits));
        }
        check_origins(&self.mcp_origins)
    }

    /// The fault that strikes call number `call` on `target`.
    pub(crate) fn fault(&self, target: Target, call: u64) -> Option<&Fault> {
        self.faults.iter().find(|fault| {
            let first = fault.nth.unwrap_or(1);
            fault.on == target && (first..first.saturating_add(fault.times.unwrap_or(1))).contains(&call)
        })
    }

    /// The reply to what was `asked`, given how often each reply has answered.
    pub(crate) fn reply(&self, asked: &Asked<'_>, in_batch: bool, uses: &[u32]) -> Option<(usize, &Reply)> {
        self.replies.iter().enumerate().find(|(index, reply)| {
            let count = uses.get(*index).copied().unwrap_or(0);
            let left = reply.times.is_none_or(|times| count < times);
            left && (in_batch || reply.row.is_none()) && reply.matches(asked)
        })
    }

    /// Content blocks of all replies: a client must be able to send back what it was given.
    pub(crate) fn blocks(&self) -> Vec<&Value> {
        self.replies.iter().filter_map(|reply| reply.content.as_ref()).flatten().collect()
    }
}

impl Reply {
    fn matches(&self, asked: &Asked<'_>) -> bool {
        let text = self.pattern.as_deref().is_none_or(|pattern| pattern == "*" || asked.text.contains(pattern));
        let after = self.after_tool.as_deref().is_none_or(|tool| asked.after.contains(&tool));
        let offered = self.offers.as_deref().is_none_or(|tool| asked.offered.contains(&tool));
        text && after && offered && self.hop.is_none_or(|hop| hop == asked.hop)
    }

    fn check(&self) -> Result<(), &'static str> {
        let error_alone = self.error.is_some() && self.row.is_none();
        let ways = [self.text.is_some(), self.content.is_some(), error_alone, self.row.is_some()];
        if ways.into_iter().filter(|way| *way).count() != 1 {
            return Err("give exactly one of text, content, error and row");
        }
        if self.error.is_some() && matches!(self.row, Some(RowEnd::Expired | RowEnd::Canceled)) {
            return Err("only an errored row has an error");
        }
        if (self.error.is_some() || self.row.is_some()) && (self.stop_reason.is_some() || self.usage.is_some()) {
            return Err("stopReason and usage belong to a message");
        }
        if (self.error.is_some() || self.row.is_some()) && self.stream_error.is_some() {
            return Err("streamError breaks a message off");
        }
        let typed = |block: &Value| block.get("type").is_some_and(Value::is_string);
        if !self.content.iter().flatten().all(typed) {
            return Err("every content block needs a type");
        }
        self.error.as_ref().map_or(Ok(()), |error| check_http(error.status, &error.headers))
    }
}

impl Fault {
    fn check(&self) -> Result<(), &'static str> {
        if self.nth == Some(0) || self.times == Some(0) {
            return Err("nth and times count from 1");
        }
        let described = self.status.is_some()
            || self.error_type.is_some()
            || self.message.is_some()
            || self.error_code.is_some()
            || !self.headers.is_empty();
        match self.action {
            Action::Status if self.status.is_none() && self.error_type.is_none() => {
                return Err("do \"status\" needs status or errorType");
            }
            Action::Delay if self.delay_ms.is_none() => return Err("do \"delay\" needs delayMs"),
            Action::LoseAnswer | Action::CutAnswer | Action::LoseRequest | Action::Delay if described => {
                return Err("status, errorType, errorCode, message and headers belong to do \"status\"");
            }
            Action::LoseAnswer | Action::CutAnswer | Action::LoseRequest | Action::Status | Action::Delay => {}
        }
        check_http(self.status, &self.headers)
    }

    /// The error of `status`.
    pub(crate) fn error(&self) -> ScriptedError {
        ScriptedError {
            status: self.status,
            kind: self.error_type.clone(),
            message: self.message.clone(),
            error_code: self.error_code.clone(),
            headers: self.headers.clone(),
        }
    }
}

/// Checks a map of origins, here and in [`Options`](crate::Options).
pub(crate) fn check_origins(origins: &BTreeMap<String, String>) -> Result<(), ScriptError> {
    let is_origin = |text: &str, scheme: &str| {
        Url::parse(text).ok().filter(|url| url.scheme() == scheme && url.path() == "/" && url.query().is_none())
    };
    let fits = |(from, to): &(&String, &String)| {
        is_origin(from, "https").is_some() && is_origin(to, "http").is_some_and(|url| is_loopback(&url))
    };
    match origins.iter().find(|pair| !fits(pair)) {
        Some((origin, _)) => Err(ScriptError::Origin { origin: origin.clone() }),
        None => Ok(()),
    }
}

fn check_http(status: Option<u16>, headers: &BTreeMap<String, String>) -> Result<(), &'static str> {
    if status.is_some_and(|status| !(400..=599).contains(&status)) {
        return Err("status is not an HTTP error status");
    }
    let legal =
        |(name, value): (&String, &String)| HeaderName::try_from(name).is_ok() && HeaderValue::try_from(value).is_ok();
    if headers.iter().all(legal) { Ok(()) } else { Err("a header is not legal in HTTP") }
}

/// Statuses and the types that go with them (docs page "errors", 2026-10-01).
const ERRORS: &[(u16, &str)] = &[
    (400, "invalid_request_error"),
    (401, "authentication_error"),
    (402, "billing_error"),
    (403, "permission_error"),
    (404, "not_found_error"),
    (409, "conflict_error"),
    (413, "request_too_large"),
    (429, "rate_limit_error"),
    (500, "api_error"),
    (504, "timeout_error"),
    (529, "overloaded_error"),
];

impl From<&ScriptedError> for crate::answer::ApiError {
    fn from(scripted: &ScriptedError) -> Self {
        let kind = scripted.kind.clone().unwrap_or_else(|| {
            let known = ERRORS.iter().find(|row| Some(row.0) == scripted.status);
            known.map_or("api_error", |row| row.1).to_owned()
        });
        let status =
            scripted.status.unwrap_or_else(|| ERRORS.iter().find(|row| row.1 == kind).map_or(500, |row| row.0));
        let message = scripted.message.clone().unwrap_or_else(|| format!("scripted {kind}"));
        let (code, headers) = (scripted.error_code.clone(), scripted.headers.clone());
        Self { status, kind, message, code, headers }
    }
}

#[cfg(test)]
mod tests;
