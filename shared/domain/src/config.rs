//! The configuration document: one JSON object in the table. Secrets stand in it as references, never as values.

use std::collections::BTreeMap;

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};
use serde_json::Value;

use crate::FieldError;
use crate::job::{AlertRule, MAX_WAIT_LEAST_MS, MAX_WAIT_LIMIT_MS, Missed, OnTimeout, Overlap, Thinking};
use crate::money::PriceRow;

mod limits;

/// Everything that can be configured; every part may be left out.
#[derive(Debug, Clone, PartialEq, Default, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase", default, deny_unknown_fields)]
pub struct Config {
    /// Rules for all jobs.
    pub cron: CronConfig,
    /// Who answers.
    pub agents: Agents,
    /// Where models are served, by name; `anthropic` is there without being named.
    pub providers: BTreeMap<String, Provider>,
    /// Names and prices of models.
    pub models: Models,
    /// Remote MCP servers by name.
    pub mcp_servers: BTreeMap<String, Value>,
    /// Tools the user declares.
    pub webhook_tools: BTreeMap<String, Value>,
    /// Chat channels by name.
    pub channels: BTreeMap<String, ChannelConfig>,
    /// Inbound hooks.
    pub hooks: Value,
    /// The HTTP API.
    pub api: Value,
}

impl Config {
    /// Reads the document, naming the first field that does not fit.
    pub fn parse(document: &Value) -> Result<Self, FieldError> {
        let config: Self = serde_json::from_value(document.clone()).map_err(|error| {
            FieldError::new("invalid_config", "config", error.to_string())
                .hint("`nightshift config get` shows the document as it stands")
        })?;
        // serde reads an array as a struct's fields in order, which nobody means.
        let read = serde_json::to_value(&config).unwrap_or_default();
        match misplaced_array(document, &read, "config") {
            Some(field) => Err(FieldError::new("invalid_config", field, "an object belongs here, not an array")),
            None => Ok(config),
        }
    }

    /// The provider called `name`; `anthropic` needs no entry.
    pub fn provider(&self, name: &str) -> Option<Provider> {
        self.providers.get(name).cloned().or_else(|| (name == "anthropic").then(Provider::default))
    }

    /// The agent called `id`, else the default one; the flag tells that it was not found.
    pub fn agent(&self, id: Option<&str>) -> (String, Agent, bool) {
        if let Some(found) = id.and_then(|id| self.agents.entries.get_key_value(id)) {
            return (found.0.clone(), found.1.clone(), false);
        }
        let fallback = self
            .agents
            .entries
            .iter()
            .find(|(_, agent)| agent.default)
            .or_else(|| self.agents.entries.get_key_value("main"));
        let (name, agent) =
            fallback.map_or_else(|| ("main".to_owned(), Agent::default()), |(id, agent)| (id.clone(), agent.clone()));
        (name, agent, id.is_some_and(|id| id != "main"))
    }

    /// `provider/model` behind a reference or alias. A bare model name is Anthropic's.
    pub fn model_ref(&self, reference: &str) -> Result<(String, String), FieldError> {
        const BUILT_IN: [(&str, &str); 4] = [
            ("opus", "anthropic/claude-opus-5-5"),
            ("sonnet", "anthropic/claude-sonnet-5-5"),
            ("haiku", "anthropic/claude-haiku-5-5"),
            ("fable", "anthropic/claude-fable-5-2"),
        ];
        let named = self
            .models
            .aliases
            .get(reference)
            .map(String::as_str)
            .or_else(|| BUILT_IN.iter().find(|(alias, _)| *alias == reference).map(|(_, full)| *full));
        let full = named.unwrap_or(reference);
        let (provider, model) = full.split_once('/').unwrap_or(("anthropic", full));
        let allowed = self.models.allow.as_ref().is_none_or(|allow| {
            allow
                .iter()
                .any(|rule| rule == "*" || rule == full || rule == reference || *rule == format!("{provider}/*"))
        });
        if !allowed {
            return Err(FieldError::new(
                "model_not_allowed",
                "payload.model",
                format!("model \"{full}\" is not allowed"),
            )
            .hint("models.allow in the configuration lists what is"));
        }
        Ok((provider.to_owned(), model.to_owned()))
    }
}

/// The path of the first array that stands where `read` has an object.
fn misplaced_array(given: &Value, read: &Value, path: &str) -> Option<String> {
    match (given, read) {
        (Value::Array(_), Value::Object(_)) => Some(path.to_owned()),
        (Value::Object(given), Value::Object(read)) => given
            .iter()
            .filter_map(|(name, value)| Some((name, value, read.get(name)?)))
            .find_map(|(name, value, read)| misplaced_array(value, read, &format!("{path}.{name}"))),
        _ => None,
    }
}

/// Rules for all jobs.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase", default, deny_unknown_fields)]
pub struct CronConfig {
    /// Whether timers run jobs at all.
    pub enabled: bool,
    /// The IANA zone of jobs and agents that name none; UTC when left out.
    pub timezone: Option<String>,
    /// Realtime turns in flight at once.
    pub max_concurrent_runs: u32,
    /// Least gap between two occurrences, ms; below a minute only on the local stack.
    pub min_interval_ms: u64,
    /// Default of a job's `missed`.
    pub missed: Missed,
    /// Default of a job's `overlap`.
    pub overlap: Overlap,
    /// Batch defaults and permission.
    pub batch: BatchConfig,
    /// The global failure alert.
    pub failure_alert: Option<GlobalAlert>,
    /// Spending limits.
    pub budget: Option<Value>,
    /// How long history stays.
    pub retention: Retention,
    /// Which internal hosts webhooks may reach.
    pub webhook_ssrf_policy: SsrfPolicy,
    /// Signs outgoing webhooks: where the secret is, such as `ssm:/nightshift/webhook`.
    pub webhook_secret: Option<String>,
    /// Accepted for people who come with one; the store is the table.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub store: Option<Value>,
}

impl Default for CronConfig {
    fn default() -> Self {
        Self {
            enabled: true,
            timezone: None,
            max_concurrent_runs: 4,
            min_interval_ms: 60_000,
            missed: Missed::default(),
            overlap: Overlap::default(),
            batch: BatchConfig::default(),
            failure_alert: None,
            budget: None,
            retention: Retention::default(),
            webhook_ssrf_policy: SsrfPolicy::default(),
            webhook_secret: None,
            store: None,
        }
    }
}

/// Batch defaults and permission.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase", default, deny_unknown_fields)]
pub struct BatchConfig {
    /// Whether jobs that say nothing batch.
    pub default: bool,
    /// Whether batching is allowed at all (not under zero data retention).
    pub allow: bool,
    /// How long ready hops wait for company, seconds.
    pub window_seconds: u32,
    /// How long a batch turn may wait, all its hops together, ms.
    #[schemars(range(min = MAX_WAIT_LEAST_MS, max = MAX_WAIT_LIMIT_MS))]
    pub max_wait_ms: u64,
    /// What happens then.
    pub on_timeout: OnTimeout,
    /// Unexpected fallbacks in a row before an alarm.
    pub unexpected_fallback_alert_after: u32,
}

impl Default for BatchConfig {
    fn default() -> Self {
        Self {
            default: false,
            allow: true,
            window_seconds: 0,
            max_wait_ms: 86_400_000,
            on_timeout: OnTimeout::Fail,
            unexpected_fallback_alert_after: 5,
        }
    }
}

/// The global failure alert.
#[derive(Debug, Clone, PartialEq, Eq, Default, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase", default)]
pub struct GlobalAlert {
    /// Whether it is on.
    pub enabled: bool,
    /// The rule.
    #[serde(flatten)]
    pub rule: AlertRule,
}

/// How long history stays.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase", default, deny_unknown_fields)]
pub struct Retention {
    /// Runs, days.
    #[schemars(range(min = 1, max = limits::KEPT_DAYS_MOST))]
    pub runs_days: u32,
    /// Runs, per job.
    #[schemars(range(min = 1))]
    pub runs_per_job: u32,
    /// Sessions of isolated runs, hours.
    #[schemars(range(max = limits::KEPT_HOURS_MOST))]
    pub isolated_session_hours: u32,
    /// Queued system events, how many.
    pub events_max: u32,
    /// Queued system events, days.
    #[schemars(range(min = 1, max = limits::KEPT_DAYS_MOST))]
    pub events_days: u32,
}

impl Default for Retention {
    fn default() -> Self {
        Self { runs_days: 30, runs_per_job: 2000, isolated_session_hours: 24, events_max: 200, events_days: 7 }
    }
}

/// Which internal hosts may be reached.
#[derive(Debug, Clone, PartialEq, Eq, Default, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase", default, deny_unknown_fields)]
pub struct SsrfPolicy {
    /// Exact host names.
    pub allowed_hostnames: Vec<String>,
}

/// Who answers.
#[derive(Debug, Clone, PartialEq, Default, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase", default, deny_unknown_fields)]
pub struct Agents {
    /// What every agent has unless it says otherwise.
    pub defaults: Agent,
    /// Agents by id.
    pub entries: BTreeMap<String, Agent>,
}

/// An agent, or the defaults of all.
#[derive(Debug, Clone, PartialEq, Default, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase", default, deny_unknown_fields)]
pub struct Agent {
    /// Whether jobs that name no agent are its.
    pub default: bool,
    /// What people call it.
    pub name: Option<String>,
    /// The system prompt.
    pub instructions: Option<String>,
    /// Workspace documents by name.
    pub documents: Vec<String>,
    /// Its model.
    pub model: Option<String>,
    /// Tried when that fails.
    pub fallbacks: Vec<String>,
    /// How hard it thinks.
    pub thinking: Option<Thinking>,
    /// Bounds a realtime turn, seconds.
    #[schemars(range(min = 1, max = limits::TIMEOUT_MOST_S))]
    pub timeout_seconds: Option<u64>,
    /// Bounds a turn's model calls.
    #[schemars(range(min = 1))]
    pub max_hops: Option<u32>,
    /// Its IANA zone, for jobs that name none.
    pub timezone: Option<String>,
    /// Its tools.
    pub tools: Option<Value>,
    /// Its MCP servers by name.
    pub mcp_servers: Vec<String>,
    /// Its heartbeat.
    pub heartbeat: Option<Value>,
    /// Where its answers go when a job names no place.
    pub default_route: Option<Route>,
    /// Its spending limits.
    pub budget: Option<Value>,
}

/// A place to send to.
#[derive(Debug, Clone, PartialEq, Eq, Default, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase", default)]
pub struct Route {
    /// The channel's name.
    pub channel: String,
    /// The target in its grammar.
    pub to: String,
    /// The account.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub account_id: Option<String>,
}

/// Where a model is served.
#[derive(Debug, Clone, PartialEq, Eq, Default, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase", default, deny_unknown_fields)]
pub struct Provider {
    /// `openai` for OpenAI-compatible ones; Anthropic otherwise.
    pub kind: Option<String>,
    /// The base URL; Anthropic's own when left out.
    pub base_url: Option<String>,
    /// Where the key is, such as `ssm:/nightshift/anthropic`; never the key itself.
    pub api_key: Option<String>,
    /// `wif` says that a bearer token is a workload-identity one, which may batch.
    pub credential_kind: Option<String>,
    /// Whether nothing else uses the key's workspace.
    pub dedicated_workspace: bool,
    /// Sent as `anthropic-workspace-id` where a key has several.
    pub workspace_id: Option<String>,
}

impl Provider {
    /// Whether it speaks Anthropic's API.
    pub fn is_anthropic(&self) -> bool {
        self.kind.as_deref().is_none_or(|kind| kind == "anthropic")
    }
}

/// Names and prices of models.
#[derive(Debug, Clone, PartialEq, Default, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase", default, deny_unknown_fields)]
pub struct Models {
    /// Names of one's own.
    pub aliases: BTreeMap<String, String>,
    /// What may be used; everything when left out.
    pub allow: Option<Vec<String>>,
    /// Prices that win over the built-in ones.
    pub prices: Vec<PriceRow>,
}

/// A chat channel.
#[derive(Debug, Clone, PartialEq, Default, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase", default, deny_unknown_fields)]
pub struct ChannelConfig {
    /// Accounts by name; `default` is used when none is named.
    pub accounts: BTreeMap<String, Value>,
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    #[test]
    fn an_array_is_no_configuration_and_no_part_of_one() {
        for (document, field) in [
            (json!([]), "config"),
            (json!([{ "timezone": "Europe/Vienna" }]), "config"),
            (json!({ "cron": [false] }), "config.cron"),
            (json!({ "cron": { "batch": [true] } }), "config.cron.batch"),
        ] {
            assert_eq!(Config::parse(&document).unwrap_err().field, field, "{document}");
        }
        assert!(Config::parse(&json!({ "models": { "allow": ["*"] }, "mcpServers": {} })).is_ok());
    }

    #[test]
    fn an_unknown_field_is_refused_by_name() {
        let fault = Config::parse(&json!({ "cron": { "colour": "blue" } })).unwrap_err();
        assert!(fault.message.contains("colour"), "{fault}");
    }
}
