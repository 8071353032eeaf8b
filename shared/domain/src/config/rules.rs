//! What fields of the document mean together.

use std::collections::BTreeMap;

use chrono::NaiveDate;

use super::path::ConfigPath;
use super::{Agent, Config, leaf};
use crate::FieldError;
use crate::job::DeliveryMode;
use crate::tools;
use crate::tools::endpoint::{SERVER_NAME, behind};

/// Adds what is wrong with `config`, and what is worth knowing. Not `whole`: bad fields were left out of it, so that what
/// depends on all of its lists is not judged.
pub(super) fn together(config: &Config, whole: bool, faults: &mut Vec<FieldError>, notes: &mut Vec<String>) {
    default_agent(config, faults, notes);
    for (id, agent) in &config.agents.entries {
        hours(agent, &["agents", "entries", id], faults);
        route(config, agent, &["agents", "entries", id], notes);
    }
    hours(&config.agents.defaults, &["agents", "defaults"], faults);
    providers(config, faults);
    switches(config, faults, notes);
    endpoint(config, faults, notes);
    alert(config, faults);
    if whole {
        allowed(config, faults);
        rows(config, faults);
    }
}

fn bad(path: &[&str], message: impl Into<String>, hint: impl Into<String>) -> FieldError {
    FieldError::new("invalid_config", ConfigPath::of(path).field(), message).hint(hint)
}

fn default_agent(config: &Config, faults: &mut Vec<FieldError>, notes: &mut Vec<String>) {
    if config.agents.defaults.default {
        let hint = "set default in one of agents.entries";
        faults.push(bad(&["agents", "defaults", "default"], "the defaults of all agents are no agent", hint));
    }
    let mut defaults = config.agents.entries.iter().filter(|(_, agent)| agent.default);
    let first = defaults.next();
    for (id, _) in defaults {
        let other = first.map_or("another", |(id, _)| id.as_str());
        let message = format!("there is one default agent, and \"{other}\" is it already");
        faults.push(bad(&["agents", "entries", id, "default"], message, "leave default out of all but one"));
    }
    if first.is_none() && !config.agents.entries.is_empty() && !config.agents.entries.contains_key("main") {
        notes.push(
            "no agent is the default: jobs that name none are answered by \"main\", which has agents.defaults only"
                .to_owned(),
        );
    }
}

fn hours(agent: &Agent, at: &[&str], faults: &mut Vec<FieldError>) {
    let Some(hours) = agent.heartbeat.as_ref().and_then(|beat| beat.active_hours.as_ref()) else { return };
    let at = [at, &["heartbeat", "activeHours"]].concat();
    let (start, end) = (crate::schedule::minutes_of_day(&hours.start), crate::schedule::minutes_of_day(&hours.end));
    if start.is_some() && start == end {
        let hint = "leave activeHours out for the whole day, or set heartbeat.every to 0m for never";
        faults.push(bad(&[&at[..], &["end"]].concat(), "the hours end when they begin", hint));
    } else if start == Some(24 * 60) {
        faults.push(bad(&[&at[..], &["start"]].concat(), "no day begins at 24:00", "write 00:00"));
    }
}

fn route(config: &Config, agent: &Agent, at: &[&str], notes: &mut Vec<String>) {
    let Some(route) = agent.default_route.as_ref().filter(|route| route.channel != "console") else { return };
    let account = route.account_id.as_deref().unwrap_or("default");
    let there = config.channels.get(&route.channel).is_some_and(|channel| channel.accounts.contains_key(account));
    if !there {
        let at = ConfigPath::of(at);
        notes.push(format!(
            "{at}.defaultRoute goes to the account \"{account}\" of {}, which is not in channels",
            route.channel
        ));
    }
}

fn providers(config: &Config, faults: &mut Vec<FieldError>) {
    for (name, provider) in config.providers.iter().filter(|(_, provider)| !provider.is_anthropic()) {
        if provider.base_url.is_none() {
            let message = "baseUrl is missing: an OpenAI-compatible provider is found by it";
            faults.push(bad(&["providers", name, "baseUrl"], message, "write https://host/v1"));
        }
    }
}

fn switches(config: &Config, faults: &mut Vec<FieldError>, notes: &mut Vec<String>) {
    if config.hooks.enabled && config.hooks.token.is_none() {
        let message = "hooks are switched on without a token of their own";
        faults.push(bad(&["hooks", "token"], message, "write where it is, such as ssm:/nightshift/hook-token"));
    }
    if config.api.bearer.enabled && config.api.bearer.token_sha256.is_none() {
        let message = "the public API is switched on without a token";
        faults.push(bad(
            &["api", "bearer", "tokenSha256"],
            message,
            "write where the token's SHA-256 is, such as ssm:/nightshift/api",
        ));
    }
    for (name, hook) in &config.hooks.named {
        if let Some(agent) = hook.agent_id.as_ref().filter(|agent| !config.agents.entries.contains_key(*agent)) {
            let at = ConfigPath::of(&["hooks", "named", name, "agentId"]);
            notes.push(format!(
                "{at} names the agent {}, which is not configured; the default agent answers",
                leaf::shown(agent)
            ));
        }
    }
}

/// The MCP endpoint of our own: its name, the names of its tools, and whom it offers what.
fn endpoint(config: &Config, faults: &mut Vec<FieldError>, notes: &mut Vec<String>) {
    if config.mcp_servers.contains_key(SERVER_NAME) {
        let message = format!("\"{SERVER_NAME}\" is the product's own MCP server");
        faults.push(bad(&["mcpServers", SERVER_NAME], message, "choose another name"));
    }
    for name in config.webhook_tools.keys().filter(|name| tools::OWN.contains(&name.as_str()) || behind(name).is_some())
    {
        let message = format!("\"{name}\" is a tool of the product's own");
        faults.push(bad(&["webhookTools", name], message, "choose another name"));
    }
    let known = |name: &str| {
        name == "*" || tools::OWN.contains(&name) || behind(name).is_some() || config.webhook_tools.contains_key(name)
    };
    let agents = config.agents.entries.iter().map(|(id, agent)| (vec!["agents", "entries", id], agent));
    for (at, agent) in agents.chain([(vec!["agents", "defaults"], &config.agents.defaults)]) {
        let allow = agent.tools.as_ref().and_then(|tools| tools.endpoint.as_ref()?.allow.as_deref());
        for name in allow.unwrap_or_default().iter().filter(|name| !known(name)) {
            let at = ConfigPath::of(&[&at[..], &["tools", "endpoint", "allow"]].concat());
            notes.push(format!("{at} names {}, which is no tool that Nightshift runs", leaf::shown(name)));
        }
    }
}

fn alert(config: &Config, faults: &mut Vec<FieldError>) {
    let Some(alert) = &config.cron.failure_alert else { return };
    if alert.mode == Some(DeliveryMode::Webhook) {
        let problem = match &alert.to {
            None => Some("a webhook needs an address".to_owned()),
            Some(to) => leaf::address(to, true).map(|problem| problem.message),
        };
        if let Some(problem) = problem {
            faults.push(bad(&["cron", "failureAlert", "to"], problem, "write https://host/path"));
        }
    }
}

/// Agents whose model may not be used.
fn allowed(config: &Config, faults: &mut Vec<FieldError>) {
    let agents = config.agents.entries.iter().map(|(id, agent)| (vec!["agents", "entries", id], agent));
    for (at, agent) in agents.chain([(vec!["agents", "defaults"], &config.agents.defaults)]) {
        let refused = agent.model.as_deref().and_then(|model| config.model_ref(model).err());
        if let Some(fault) = refused {
            faults.push(bad(&[&at[..], &["model"]].concat(), fault.message, "add it to models.allow"));
        }
    }
}

/// Two rows about one model from the same day: nobody could tell which price is paid, or what the model can do.
fn rows(config: &Config, faults: &mut Vec<FieldError>) {
    let prices = config.models.prices.iter().map(|row| (&row.model, Some(row.from)));
    let capabilities = config.models.capabilities.iter().map(|row| (&row.model, row.from));
    twice("prices", prices, faults);
    twice("capabilities", capabilities, faults);
}

fn twice<'a>(list: &str, rows: impl Iterator<Item = (&'a String, Option<NaiveDate>)>, faults: &mut Vec<FieldError>) {
    let mut seen = BTreeMap::new();
    for (index, row) in rows.enumerate() {
        if let Some(first) = seen.insert(row, index) {
            let mut at = ConfigPath::of(&["models", list]);
            at.push_index(index);
            let message = format!("models.{list}[{first}] is the same model from the same day");
            faults.push(FieldError::new("invalid_config", at.field(), message).hint("leave one of them out"));
        }
    }
}
