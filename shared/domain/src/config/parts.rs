//! Parts of the configuration document that are settings of one thing each: budgets, tools, heartbeats, chat accounts, hooks.
//!
//! A setting an agent leaves out is the one of `agents.defaults`, field by field, and the product's own after that; so these
//! settings are optional in the document and [`ToolRules`] and [`HeartbeatRules`] are what they come to.

use std::collections::BTreeMap;

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};
use serde_json::Value;

use crate::job::Thinking;

/// Spending limits, US dollars; none where left out.
#[derive(Debug, Clone, Copy, PartialEq, Default, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase", default, deny_unknown_fields)]
pub struct Budget {
    /// One run.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub run_usd: Option<f64>,
    /// A day (UTC).
    #[serde(skip_serializing_if = "Option::is_none")]
    pub day_usd: Option<f64>,
    /// A calendar month (UTC).
    #[serde(skip_serializing_if = "Option::is_none")]
    pub month_usd: Option<f64>,
}

/// Which tools an agent has.
#[derive(Debug, Clone, PartialEq, Eq, Default, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase", default, deny_unknown_fields)]
pub struct Tools {
    /// Names of tools, `*` for all of those that are switched on; `["*"]` unless given.
    pub allow: Option<Vec<String>>,
    /// Anthropic's web search; on unless given.
    pub web_search: Option<bool>,
    /// Anthropic's web fetch; on unless given.
    pub web_fetch: Option<bool>,
    /// Anthropic's code execution; off unless given.
    pub code_execution: Option<bool>,
    /// Sending to a channel; on unless given.
    pub message: Option<bool>,
    /// The agent's own memory; on unless given.
    pub memory: Option<bool>,
    /// Jobs of its own.
    pub cron: Option<CronTool>,
    /// Fetching an address; on unless given.
    pub http_fetch: Option<bool>,
    /// Calls from within a batched hop, over the MCP endpoint.
    pub endpoint: Option<Endpoint>,
}

/// Which tools a provider's own loop may call over the MCP endpoint, within one hop of a batch.
#[derive(Debug, Clone, PartialEq, Eq, Default, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase", default, deny_unknown_fields)]
pub struct Endpoint {
    /// Whether any may; on unless given.
    pub enabled: Option<bool>,
    /// Names of tools, `*` for all the run has; those that only read unless given: `http_fetch`, `memory_view` and
    /// `cron_view`.
    pub allow: Option<Vec<String>>,
}

/// The tool by which an agent keeps jobs of its own.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase", default, deny_unknown_fields)]
pub struct CronTool {
    /// Most jobs it may have; 20 unless given.
    pub max_jobs: Option<u32>,
}

/// Which tools an agent has, everything decided.
#[derive(Debug, Clone, PartialEq, Eq)]
#[expect(clippy::struct_excessive_bools, reason = "a switch per tool")]
pub struct ToolRules {
    /// Names of tools, `*` for all of those that are switched on.
    pub allow: Vec<String>,
    /// Anthropic's web search.
    pub web_search: bool,
    /// Anthropic's web fetch.
    pub web_fetch: bool,
    /// Anthropic's code execution.
    pub code_execution: bool,
    /// Sending to a channel.
    pub message: bool,
    /// The agent's own memory.
    pub memory: bool,
    /// Most jobs it may have.
    pub max_jobs: u32,
    /// Fetching an address.
    pub http_fetch: bool,
    /// Calls from within a batched hop.
    pub endpoint: EndpointRules,
}

/// Which tools may be called over the MCP endpoint, everything decided.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct EndpointRules {
    /// Whether any may.
    pub enabled: bool,
    /// Names of tools, of faces of tools that only read, `*` for all the run has.
    pub allow: Vec<String>,
}

impl ToolRules {
    /// What an agent says, else what all agents have.
    pub fn of(own: Option<&Tools>, defaults: Option<&Tools>) -> Self {
        let on = |field: fn(&Tools) -> Option<bool>, otherwise| either(own, defaults, field).unwrap_or(otherwise);
        Self {
            allow: either(own, defaults, |tools| tools.allow.clone()).unwrap_or_else(|| vec!["*".to_owned()]),
            web_search: on(|tools| tools.web_search, true),
            web_fetch: on(|tools| tools.web_fetch, true),
            code_execution: on(|tools| tools.code_execution, false),
            message: on(|tools| tools.message, true),
            memory: on(|tools| tools.memory, true),
            max_jobs: either(own, defaults, |tools| tools.cron?.max_jobs).unwrap_or(20),
            http_fetch: on(|tools| tools.http_fetch, true),
            endpoint: EndpointRules {
                enabled: on(|tools| tools.endpoint.as_ref()?.enabled, true),
                allow: either(own, defaults, |tools| tools.endpoint.as_ref()?.allow.clone())
                    .unwrap_or_else(|| crate::tools::endpoint::READING.map(str::to_owned).to_vec()),
            },
        }
    }
}

fn either<P, T>(own: Option<&P>, defaults: Option<&P>, field: impl Fn(&P) -> Option<T>) -> Option<T> {
    own.and_then(&field).or_else(|| defaults.and_then(&field))
}

/// When and how an agent's main session looks around by itself.
#[derive(Debug, Clone, PartialEq, Eq, Default, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase", default, deny_unknown_fields)]
pub struct Heartbeat {
    /// The cadence, as a duration; `30m` unless given, `0m` is off.
    pub every: Option<String>,
    /// Where its answer goes; `last` unless given, the target of the agent's last successful send. `owner` is the agent's
    /// `defaultRoute`, `none` is nowhere; else a channel.
    pub target: Option<String>,
    /// The place there.
    pub to: Option<String>,
    /// Its model.
    pub model: Option<String>,
    /// Whether it goes without instructions and workspace documents; not unless given.
    pub light_context: Option<bool>,
    /// Whether every heartbeat is a fresh session; not unless given.
    pub isolated_session: Option<bool>,
    /// What it is asked instead of the product's own prompt.
    pub prompt: Option<String>,
    /// When it looks at all; always unless given.
    pub active_hours: Option<ActiveHours>,
}

/// The part of the day in which heartbeats happen.
#[derive(Debug, Clone, PartialEq, Eq, Default, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase", default, deny_unknown_fields)]
pub struct ActiveHours {
    /// The first minute, `HH:MM`.
    pub start: String,
    /// The first minute after them, `HH:MM`; `24:00` is the end of the day, a time before `start` is on the next day.
    pub end: String,
    /// The zone; the agent's unless given.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub timezone: Option<String>,
}

/// When and how an agent's main session looks around by itself, everything decided.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct HeartbeatRules {
    /// The cadence, as a duration; `0m` is off.
    pub every: String,
    /// The channel its answer goes to, or `last`, `owner`, `none`.
    pub target: String,
    /// The place there.
    pub to: Option<String>,
    /// Its model, where it is not the agent's.
    pub model: Option<String>,
    /// Whether it goes without instructions and workspace documents.
    pub light_context: bool,
    /// Whether every heartbeat is a fresh session.
    pub isolated_session: bool,
    /// What it is asked instead of the product's own prompt.
    pub prompt: Option<String>,
    /// When it looks at all.
    pub active_hours: Option<ActiveHours>,
}

impl HeartbeatRules {
    /// What an agent says, else what all agents have.
    pub fn of(own: Option<&Heartbeat>, defaults: Option<&Heartbeat>) -> Self {
        let text = |field: fn(&Heartbeat) -> &Option<String>| either(own, defaults, |beat| field(beat).clone());
        Self {
            every: text(|beat| &beat.every).unwrap_or_else(|| "30m".to_owned()),
            target: text(|beat| &beat.target).unwrap_or_else(|| "last".to_owned()),
            to: text(|beat| &beat.to),
            model: text(|beat| &beat.model),
            light_context: either(own, defaults, |beat| beat.light_context).unwrap_or(false),
            isolated_session: either(own, defaults, |beat| beat.isolated_session).unwrap_or(false),
            prompt: text(|beat| &beat.prompt),
            active_hours: either(own, defaults, |beat| beat.active_hours.clone()),
        }
    }
}

/// A remote MCP server.
#[derive(Debug, Clone, PartialEq, Eq, Default, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase", default, deny_unknown_fields)]
pub struct McpServer {
    /// Its address.
    pub url: String,
    /// A reference to its bearer token.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub authorization_token: Option<String>,
}

/// A tool the user declares: Nightshift calls its address, the model sees its description and schema.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase", default, deny_unknown_fields)]
pub struct WebhookTool {
    /// What it does, for the model.
    pub description: String,
    /// The JSON Schema of its input, an object.
    pub input_schema: Value,
    /// Its address.
    pub url: String,
    /// A reference to what signs the calls.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub secret: Option<String>,
    /// How long a call may take.
    pub timeout_seconds: u32,
}

impl Default for WebhookTool {
    fn default() -> Self {
        let input_schema = serde_json::json!({ "type": "object" });
        Self { description: String::new(), input_schema, url: String::new(), secret: None, timeout_seconds: 30 }
    }
}

/// An account of a chat channel. Which fields an account has depends on its channel; [`super::check`] knows.
#[derive(Debug, Clone, PartialEq, Eq, Default, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase", default, deny_unknown_fields)]
pub struct Account {
    /// telegram, slack, discord: a reference to the bot's token.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub bot_token: Option<String>,
    /// whatsapp: a reference to the access token.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub access_token: Option<String>,
    /// mattermost: a reference to the bot's token.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub token: Option<String>,
    /// imessage: a reference to the server's password.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub password: Option<String>,
    /// The server; the platform's own where there is one and none is given.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub base_url: Option<String>,
    /// Longest message, in the platform's own count; may only make messages smaller.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub text_chunk_limit: Option<u32>,
    /// whatsapp: the id of the sending number.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub phone_number_id: Option<String>,
    /// whatsapp: the version of the Cloud API.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub api_version: Option<String>,
    /// signal: the sending number, with `+` and country.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub number: Option<String>,
    /// signal: headers for the proxy before it; those that open something hold a reference.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub headers: Option<BTreeMap<String, String>>,
}

/// Inbound hooks; off until they have a token of their own.
#[derive(Debug, Clone, PartialEq, Eq, Default, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase", default, deny_unknown_fields)]
pub struct Hooks {
    /// Whether they are served.
    pub enabled: bool,
    /// A reference to the token that callers show.
    pub token: Option<String>,
    /// `POST /hooks/<name>`, with what a request of that name need not say.
    pub named: BTreeMap<String, NamedHook>,
}

/// What a request to a named hook need not say.
#[derive(Debug, Clone, PartialEq, Eq, Default, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase", default, deny_unknown_fields)]
pub struct NamedHook {
    /// The agent that answers.
    pub agent_id: Option<String>,
    /// What its runs are called.
    pub name: Option<String>,
    /// Its model.
    pub model: Option<String>,
    /// How hard it thinks.
    pub thinking: Option<Thinking>,
    /// Bounds a realtime turn.
    pub timeout_seconds: Option<u64>,
    /// Whether it batches; as jobs do unless given.
    pub batch: Option<bool>,
    /// Whether the answer is delivered.
    pub deliver: Option<bool>,
    /// The channel's name.
    pub channel: Option<String>,
    /// The place there.
    pub to: Option<String>,
}

/// The HTTP API.
#[derive(Debug, Clone, PartialEq, Eq, Default, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase", default, deny_unknown_fields)]
pub struct ApiConfig {
    /// The address of the public function URL, where there is one.
    pub public_url: Option<String>,
    /// The API on the public address.
    pub bearer: Bearer,
}

/// The API by bearer token on the public address; off unless switched on.
#[derive(Debug, Clone, PartialEq, Eq, Default, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase", default, deny_unknown_fields)]
pub struct Bearer {
    /// Whether it is served.
    pub enabled: bool,
    /// A reference to the SHA-256 (hex) of the token.
    pub token_sha256: Option<String>,
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    #[test]
    fn what_an_agent_leaves_out_is_what_all_agents_have_and_then_the_products_own() {
        let defaults: Heartbeat = serde_json::from_value(json!({ "every": "1h", "prompt": "Look around." })).unwrap();
        let own: Heartbeat = serde_json::from_value(json!({ "every": "0m" })).unwrap();
        let rules = HeartbeatRules::of(Some(&own), Some(&defaults));
        assert_eq!((rules.every.as_str(), rules.prompt.as_deref()), ("0m", Some("Look around.")));
        assert_eq!(HeartbeatRules::of(None, None).every, "30m");

        let own: Tools = serde_json::from_value(json!({ "webSearch": false, "cron": {} })).unwrap();
        let defaults: Tools = serde_json::from_value(json!({ "cron": { "maxJobs": 3 }, "message": false })).unwrap();
        let rules = ToolRules::of(Some(&own), Some(&defaults));
        assert_eq!((rules.web_search, rules.message, rules.max_jobs, rules.web_fetch), (false, false, 3, true));
    }
}
