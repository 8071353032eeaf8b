//! The configuration document: one JSON object in the table. Secrets stand in it as references, never as values.
//!
//! A document is judged by [`check`] before it is stored, which names every bad field. What is stored is read by
//! [`Config::stored`], which leaves out fields of a later version: a deploy is not atomic, and the functions of last week have
//! to read the document of this one.

use std::collections::BTreeMap;

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};
use serde_json::Value;

use crate::FieldError;
use crate::job::{AlertRule, DeliveryMode, MAX_WAIT_LEAST_MS, MAX_WAIT_LIMIT_MS, Missed, OnTimeout, Overlap, Thinking};
use crate::model::CapabilityRow;
use crate::money::PriceRow;

mod check;
mod diff;
pub(crate) mod leaf;
mod limits;
mod parts;
mod path;
mod rules;
mod secrets;
mod shape;
mod walk;

pub use check::{Checked, check, current_path, unknown_field};
pub use diff::{Change, changes};
pub use parts::{
    Account, ActiveHours, ApiConfig, Bearer, Budget, CronTool, Endpoint, EndpointRules, Heartbeat, HeartbeatRules,
    Hooks, McpServer, NamedHook, ToolRules, Tools, WebhookTool,
};
pub use path::{ConfigPath, Step};
pub use secrets::{Reference, SecretsPath, references};
pub(crate) use shape::MOST_USD;

use walk::{Found, Kind, Walk};

/// Aliases that are there without being configured.
const BUILT_IN_ALIASES: [(&str, &str); 4] = [
    ("opus", "anthropic/claude-opus-5-5"),
    ("sonnet", "anthropic/claude-sonnet-5-5"),
    ("haiku", "anthropic/claude-haiku-5-5"),
    ("fable", "anthropic/claude-fable-5-2"),
];

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
    /// Names and prices of models, and what they can do.
    pub models: Models,
    /// Remote MCP servers by name.
    pub mcp_servers: BTreeMap<String, McpServer>,
    /// Tools the user declares.
    pub webhook_tools: BTreeMap<String, WebhookTool>,
    /// Chat channels by name.
    pub channels: BTreeMap<String, ChannelConfig>,
    /// Inbound hooks.
    pub hooks: Hooks,
    /// The HTTP API.
    pub api: ApiConfig,
}

impl Config {
    /// Reads the document, naming the first field that does not fit.
    pub fn parse(document: &Value) -> Result<Self, FieldError> {
        let document = check::renamed(document).document;
        let mut found = found(&document);
        // Values that are of the right kind and not possible ones are judged when they are written, not when they are read.
        if let Some(at) = found.iter().position(|one| one.kind != Kind::Rule) {
            return Err(found.swap_remove(at).fault);
        }
        serde_json::from_value(document).map_err(|_| {
            // Its own words may hold a value, which may be a secret.
            found.into_iter().next().map_or_else(
                || {
                    FieldError::new("invalid_config", "config", "the document cannot be read")
                        .hint("`nightshift config get` shows it as it stands")
                },
                |one| one.fault,
            )
        })
    }

    /// Reads the stored document without the fields this version does not know, and says which those are.
    pub fn stored(document: &Value) -> Result<(Self, Vec<String>), FieldError> {
        let mut document = check::renamed(document).document;
        let unknown: Vec<ConfigPath> =
            found(&document).into_iter().filter(|one| one.kind == Kind::Unknown).map(|one| one.at).collect();
        for path in &unknown {
            path.unset(&mut document);
        }
        Ok((Self::parse(&document)?, unknown.iter().map(ConfigPath::to_string).collect()))
    }

    /// What tools `agent` has.
    pub fn tools_of(&self, agent: &Agent) -> ToolRules {
        ToolRules::of(agent.tools.as_ref(), self.agents.defaults.tools.as_ref())
    }

    /// When and how `agent` looks around by itself.
    pub fn heartbeat_of(&self, agent: &Agent) -> HeartbeatRules {
        HeartbeatRules::of(agent.heartbeat.as_ref(), self.agents.defaults.heartbeat.as_ref())
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
        let named = self
            .models
            .aliases
            .get(reference)
            .map(String::as_str)
            .or_else(|| BUILT_IN_ALIASES.iter().find(|(alias, _)| *alias == reference).map(|(_, full)| *full));
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

/// Every field of `document` that is not what it may be.
fn found(document: &Value) -> Vec<Found> {
    let mut walk = Walk::new(document, true);
    walk.visit(&shape::DOCUMENT, false, document);
    walk.found
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
    /// Spending limits of all jobs together.
    pub budget: Option<Budget>,
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
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase", default, deny_unknown_fields)]
pub struct GlobalAlert {
    /// Whether jobs alert that say nothing of it themselves; they do unless given.
    pub enabled: bool,
    /// Consecutive failures before the first alert.
    pub after: Option<u32>,
    /// Least time between two alerts, ms.
    pub cooldown_ms: Option<u64>,
    /// How.
    pub mode: Option<DeliveryMode>,
    /// The channel's name.
    pub channel: Option<String>,
    /// The target.
    pub to: Option<String>,
    /// The channel's account.
    pub account_id: Option<String>,
    /// Whether skipped occurrences count.
    pub include_skipped: Option<bool>,
}

impl Default for GlobalAlert {
    /// Whoever writes a rule wants it.
    fn default() -> Self {
        let rest = AlertRule::default();
        Self {
            enabled: true,
            after: rest.after,
            cooldown_ms: rest.cooldown_ms,
            mode: rest.mode,
            channel: rest.channel,
            to: rest.to,
            account_id: rest.account_id,
            include_skipped: rest.include_skipped,
        }
    }
}

impl GlobalAlert {
    /// The rule, in the shape a job has it.
    pub fn rule(&self) -> AlertRule {
        AlertRule {
            after: self.after,
            cooldown_ms: self.cooldown_ms,
            include_skipped: self.include_skipped,
            mode: self.mode,
            channel: self.channel.clone(),
            to: self.to.clone(),
            account_id: self.account_id.clone(),
        }
    }
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
    pub tools: Option<Tools>,
    /// Its MCP servers by name.
    pub mcp_servers: Vec<String>,
    /// Its heartbeat.
    pub heartbeat: Option<Heartbeat>,
    /// Where its answers go when a job names no place.
    pub default_route: Option<Route>,
    /// Its spending limits.
    pub budget: Option<Budget>,
}

/// A place to send to.
#[derive(Debug, Clone, PartialEq, Eq, Default, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase", default, deny_unknown_fields)]
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

/// Names and prices of models, and what they can do.
#[derive(Debug, Clone, PartialEq, Default, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase", default, deny_unknown_fields)]
pub struct Models {
    /// Names of one's own.
    pub aliases: BTreeMap<String, String>,
    /// What may be used; everything when left out.
    pub allow: Option<Vec<String>>,
    /// Prices that win over the built-in ones.
    pub prices: Vec<PriceRow>,
    /// What models can do, where that is known better than their provider tells.
    pub capabilities: Vec<CapabilityRow>,
}

/// A chat channel.
#[derive(Debug, Clone, PartialEq, Default, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase", default, deny_unknown_fields)]
pub struct ChannelConfig {
    /// Accounts by name; `default` is used when none is named.
    pub accounts: BTreeMap<String, Account>,
}

#[cfg(test)]
mod tests;
