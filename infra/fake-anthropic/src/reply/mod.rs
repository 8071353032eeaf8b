//! What the model says: the scripted replies, or an answer made from the request, and the `Message` around them.
//!
//! A message is made in one or more samplings. One, unless the model calls tools of an MCP server of the request: then
//! the server's answers are put behind the calls and the model is sampled again, until it calls no more, or a cap is
//! reached and the turn is paused. Nothing here waits or connects: a turn that stands open says which calls it waits for.

mod asked;
mod words;
mod written;

use chrono::{DateTime, SecondsFormat, TimeDelta, Utc};
use serde::{Deserialize, Serialize};
use serde_json::{Map, Value, json};

use crate::answer::ApiError;
use crate::bill::Tokens;
use crate::cache::Reader;
use crate::ids::Ids;
use crate::mcp::Call;
use crate::script::{Reply, RowEnd, Script, ScriptedError, StreamError};
pub(crate) use asked::Asked;
use written::Written;
pub(crate) use written::input_tokens;
pub(crate) use written::tokens_in;

/// Samplings after which a turn with server tools is paused (docs page "server-tools", 2026-10-01).
const MAX_SAMPLINGS: usize = 10;
/// The same in a batch.
const MAX_SAMPLINGS_IN_BATCH: usize = 20;
/// How long a container lives unused (docs page "programmatic-tool-calling", 2026-10-01: reclaimed at about 5 minutes).
const CONTAINER_LIFE: TimeDelta = TimeDelta::minutes(5);

/// How a request ends.
#[derive(Debug)]
pub(crate) enum Outcome {
    Message(Box<Spoken>),
    Error(ApiError),
    Expired,
    Canceled,
}

/// A finished message.
#[derive(Debug)]
pub(crate) struct Spoken {
    pub(crate) model: String,
    pub(crate) message: Value,
    pub(crate) tokens: Tokens,
    /// The usage of the first sampling, which a stream begins with.
    pub(crate) first_usage: Value,
    /// Where a stream of it breaks off.
    pub(crate) stream_error: Option<StreamError>,
}

/// Where a turn stands after a sampling.
#[derive(Debug)]
pub(crate) enum Step {
    Done(Outcome),
    /// It waits for the answers to [`Turn::open_calls`].
    Open(Box<Turn>),
}

/// What a sampling draws on.
#[derive(Debug)]
pub(crate) struct Sampling<'a> {
    pub(crate) script: &'a Script,
    /// How often each reply has answered; its use is booked here.
    pub(crate) uses: &'a mut Vec<u32>,
    pub(crate) ids: &'a mut Ids,
    pub(crate) now: DateTime<Utc>,
    /// How it reads its prompt.
    pub(crate) prompts: Reader<'a>,
}

/// Why a message ends.
struct Stop {
    reason: String,
    sequence: Option<String>,
    details: Option<Value>,
}

/// A message that is being made.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub(crate) struct Turn {
    model: String,
    /// Whose cache it reads by.
    #[serde(default)]
    pub(crate) workspace: String,
    /// When a row of a batch is read, whoever looks whenever: when its batch ends.
    #[serde(default)]
    pub(crate) read_at: Option<DateTime<Utc>>,
    in_batch: bool,
    params: Map<String, Value>,
    content: Vec<Value>,
    /// The usage of each sampling so far.
    usages: Vec<Value>,
    /// Where in `content` the results begin that came since the last sampling.
    told: usize,
    /// What was changed about the input, where the caller asked to be told (`input_transformations`).
    transformations: Option<Value>,
}

/// An error a row ends with when the script says no more.
impl Default for ApiError {
    fn default() -> Self {
        Self::from(&ScriptedError::default())
    }
}

impl Turn {
    pub(crate) fn new(
        params: Map<String, Value>,
        model: &str,
        workspace: &str,
        in_batch: bool,
        transformations: Option<Value>,
    ) -> Self {
        let (content, usages) = (Vec::new(), Vec::new());
        let workspace = workspace.to_owned();
        let read_at = None;
        Self {
            model: model.to_owned(),
            workspace,
            read_at,
            in_batch,
            params,
            content,
            usages,
            told: 0,
            transformations,
        }
    }

    /// Starts. A turn that comes back paused, or with its client tools answered, may still wait for a server's tools:
    /// their results come first then (docs page "handling-stop-reasons", 2026-10-01).
    pub(crate) fn begin(self, sampling: &mut Sampling<'_>) -> Step {
        if self.open_calls().is_empty() { self.sample(sampling) } else { Step::Open(Box::new(self)) }
    }

    /// The request's parameters.
    pub(crate) fn params(&self) -> &Map<String, Value> {
        &self.params
    }

    /// The MCP calls without a result, oldest first; none when the request has no MCP servers.
    pub(crate) fn open_calls(&self) -> Vec<Call> {
        let servers = self.params.get("mcp_servers").and_then(Value::as_array);
        if servers.is_none_or(Vec::is_empty) {
            return Vec::new();
        }
        let blocks: Vec<&Value> = self.last_assistant_turn().into_iter().chain(&self.content).collect();
        let answered =
            |id: &Value| blocks.iter().any(|block| block["type"] == "mcp_tool_result" && block["tool_use_id"] == *id);
        let open = blocks.iter().filter(|block| block["type"] == "mcp_tool_use" && !answered(&block["id"]));
        open.filter_map(|block| Call::of(block)).collect()
    }

    /// The blocks of the request's last assistant messages, which may be followed by a user's.
    fn last_assistant_turn(&self) -> Vec<&Value> {
        let messages = self.params.get("messages").and_then(Value::as_array).map_or(&[][..], Vec::as_slice);
        let from_user = |message: &&Value| message["role"] == "user";
        let tail = messages.iter().rev().skip_while(from_user).take_while(|message| message["role"] == "assistant");
        let mut messages: Vec<&Value> = tail.collect();
        messages.reverse();
        messages.into_iter().filter_map(|message| message["content"].as_array()).flatten().collect()
    }

    /// Takes what the server's tools answered, as `mcp_tool_result` blocks.
    pub(crate) fn told(&mut self, results: Vec<Value>) {
        self.told = self.content.len();
        self.content.extend(results);
    }

    /// One sampling of the model.
    pub(crate) fn sample(mut self, sampling: &mut Sampling<'_>) -> Step {
        let asked = Asked::of(&self.params, &self.content, self.told, self.usages.len());
        let found = sampling.script.reply(&asked, self.in_batch, sampling.uses);
        if let Some(used) = found.and_then(|(index, _)| sampling.uses.get_mut(index)) {
            *used += 1;
        }
        let reply = found.map(|(_, reply)| reply);
        if let Some(end) = reply.and_then(end_without_message) {
            return Step::Done(end);
        }
        let written = match reply {
            Some(Reply { content: Some(blocks), .. }) => {
                Written::blocks(blocks, &self.params, &self.content, sampling.ids)
            }
            Some(Reply { text: Some(text), .. }) => Written::text(text, &self.params),
            Some(_) | None => Written::text(&words::own_words(&self.params, &asked.text), &self.params),
        };
        let usage = self.usage(&written, reply, &mut sampling.prompts);
        let calls_client = written.content.iter().any(|block| block["type"] == "tool_use");
        self.usages.push(usage);
        self.content.extend(written.content.iter().cloned());
        self.told = self.content.len();
        let scripted = reply.and_then(|reply| reply.stop_reason.clone());
        let waits = scripted.is_none() && !calls_client && !self.open_calls().is_empty();
        let most = if self.in_batch { MAX_SAMPLINGS_IN_BATCH } else { MAX_SAMPLINGS };
        if waits && self.usages.len() < most {
            return Step::Open(Box::new(self));
        }
        let paused = waits.then(|| "pause_turn".to_owned());
        let stop_reason = scripted.or(paused).unwrap_or(written.stop_reason);
        let details = reply.and_then(|reply| reply.stop_details.clone());
        let error = reply.and_then(|reply| reply.stream_error.clone());
        let stop = Stop { reason: stop_reason, sequence: written.stop_sequence, details };
        Step::Done(self.spoken(sampling, &stop, error))
    }

    /// The usage of the sampling that wrote `written`.
    fn usage(&self, written: &Written, reply: Option<&Reply>, prompts: &mut Reader<'_>) -> Value {
        let output = tokens_in(&Value::Array(written.content.clone())).max(1);
        let mut usage = prompts.read(&self.params, &self.model, &self.content).usage();
        let rest = json!({
            "output_tokens": written.cut_at.unwrap_or(output),
            "output_tokens_details": null,
            "server_tool_use": null,
            "service_tier": if self.in_batch { "batch" } else { "standard" },
            "inference_geo": null,
            "speed": null,
        });
        let scripted = reply.and_then(|reply| reply.usage.as_ref());
        for (field, value) in rest.as_object().into_iter().chain(scripted).flatten() {
            usage[field] = value.clone();
        }
        usage
    }

    /// The `Message` object (Python SDK 2.11.0).
    fn spoken(self, sampling: &mut Sampling<'_>, stop: &Stop, stream_error: Option<StreamError>) -> Outcome {
        let mut usage = written::sum(&self.usages);
        if self.usages.len() > 1 {
            usage["iterations"] = self.usages.iter().map(iteration).collect();
        }
        let container = self.container(sampling);
        let mut message = json!({
            "id": sampling.ids.fresh("msg_"),
            "type": "message",
            "role": "assistant",
            "model": self.model,
            "content": self.content,
            "stop_reason": stop.reason,
            "stop_sequence": stop.sequence,
            "stop_details": stop.details,
            "usage": usage,
            "container": container,
            "diagnostics": null,
        });
        if let Some(transformations) = self.transformations {
            message["input_transformations"] = transformations;
        }
        let tokens = Tokens::of_usage(&message["usage"]);
        let first_usage = self.usages.into_iter().next().unwrap_or(Value::Null);
        Outcome::Message(Box::new(Spoken { model: self.model, message, tokens, first_usage, stream_error }))
    }

    /// The container (Python SDK 2.11.0, `Container`) when code was executed: the one of the request, or a fresh one.
    fn container(&self, sampling: &mut Sampling<'_>) -> Value {
        let executes = |block: &Value| {
            let called = block["type"] == "server_tool_use"
                && block["name"].as_str().is_some_and(|name| name.ends_with("code_execution"));
            called || block["type"].as_str().is_some_and(|kind| kind.ends_with("code_execution_tool_result"))
        };
        if !self.content.iter().any(executes) {
            return Value::Null;
        }
        let asked = self.params.get("container");
        let id = asked.and_then(|container| container.as_str().or_else(|| container["id"].as_str()));
        let id = id.map_or_else(|| sampling.ids.fresh("container_"), str::to_owned);
        let expires_at = (sampling.now + CONTAINER_LIFE).to_rfc3339_opts(SecondsFormat::Micros, true);
        json!({"id": id, "expires_at": expires_at})
    }
}

/// An entry of `usage.iterations` (Python SDK 2.11.0, `BetaMessageIterationUsage`).
fn iteration(usage: &Value) -> Value {
    let mut entry = json!({"type": "message"});
    for field in
        ["input_tokens", "output_tokens", "cache_creation_input_tokens", "cache_read_input_tokens", "cache_creation"]
    {
        entry[field] = usage[field].clone();
    }
    entry
}

fn end_without_message(reply: &Reply) -> Option<Outcome> {
    match reply.row {
        Some(RowEnd::Expired) => Some(Outcome::Expired),
        Some(RowEnd::Canceled) => Some(Outcome::Canceled),
        Some(RowEnd::Errored) => Some(Outcome::Error(ApiError::from(&reply.error.clone().unwrap_or_default()))),
        None => reply.error.as_ref().map(|error| Outcome::Error(ApiError::from(error))),
    }
}
