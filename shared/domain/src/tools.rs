//! The tools a run may use: which ones, how the model is told of them, and which of them act.
//!
//! Guarantee: what is offered follows from the configuration, the job and the model alone, in a fixed order, so that the
//! same run renders the same bytes. It knows nothing of how a tool does its work; `engine::tools` does.

use std::collections::BTreeMap;

use serde_json::{Value, json};

use crate::config::{ToolRules, WebhookTool};

mod cron;
mod http_fetch;
mod memory;
mod message;

/// Names of the tools that Nightshift runs itself, in the order they are offered.
pub const OWN: [&str; 4] = ["message", "memory", "cron", "http_fetch"];

/// Most characters of a tool's result that a model is told; the rest is cut, and the model told so. About a quarter of what
/// the smallest context takes.
pub const RESULT_MAX: usize = 100_000;

/// The provider's own tools: the name of ours, the type and name of theirs, and how often one may be used in a hop
/// (Python SDK 2.11.0, `ToolUnionParam`). The plain versions: later ones call each other from sandboxed code, which does not
/// fit a batch.
const SERVER: [(&str, &str, Option<u32>); 3] = [
    ("web_search", "web_search_20250305", Some(8)),
    ("web_fetch", "web_fetch_20250910", Some(8)),
    ("code_execution", "code_execution_20250825", None),
];

/// What a choice of tools is made from.
#[derive(Debug, Clone, Copy)]
pub struct Wishes<'a> {
    /// The agent's rules.
    pub rules: &'a ToolRules,
    /// The job's `toolsAllow`.
    pub job: Option<&'a [String]>,
    /// Whether the answer is sent to a chat anyway, so that `message` is offered only where the job names it.
    pub announces: bool,
    /// Whether the model may use its provider's tools.
    pub server_tools: bool,
    /// Whether the provider takes MCP servers.
    pub mcp: bool,
    /// The tools the user declared.
    pub webhooks: &'a BTreeMap<String, WebhookTool>,
    /// The agent's MCP servers that are configured.
    pub servers: &'a [String],
}

/// The tools of a run.
#[derive(Debug, Clone, PartialEq, Default)]
pub struct Offer {
    /// As the model is told of them, in the words of the Messages API.
    pub tools: Vec<Value>,
    /// Names of those that Nightshift runs.
    pub client: Vec<String>,
    /// Names of the MCP servers.
    pub servers: Vec<String>,
    /// Remarks: what the job names and does not get.
    pub notes: Vec<String>,
}

/// Whether a list of names lets `name` through.
fn lists(list: &[String], name: &str) -> bool {
    list.iter().any(|each| each == "*" || each == name)
}

/// Chooses.
pub fn offer(wishes: Wishes<'_>) -> Offer {
    let Wishes { rules, job, announces, server_tools, mcp, webhooks, servers } = wishes;
    let named = |name: &str| job.is_some_and(|job| job.iter().any(|each| each == name));
    let wanted = |name: &str| lists(&rules.allow, name) && job.is_none_or(|job| lists(job, name));
    let mut offer = Offer::default();
    for (name, kind, most) in SERVER {
        let on = match name {
            "web_search" => rules.web_search,
            "web_fetch" => rules.web_fetch,
            _ => rules.code_execution,
        };
        if on && wanted(name) && server_tools {
            let mut tool = json!({ "type": kind, "name": name });
            if let Some(most) = most {
                tool["max_uses"] = most.into();
            }
            offer.tools.push(tool);
        }
    }
    for name in OWN {
        let on = match name {
            "message" => rules.message && (!announces || named("message")),
            "memory" => rules.memory,
            "cron" => rules.max_jobs > 0,
            _ => rules.http_fetch,
        };
        if on && wanted(name) {
            offer.tools.extend(definition(name));
            offer.client.push(name.to_owned());
        }
    }
    for (name, tool) in webhooks.iter().filter(|(name, _)| wanted(name)) {
        offer.tools.push(json!({
            "name": name, "description": tool.description, "input_schema": tool.input_schema,
        }));
        offer.client.push(name.clone());
    }
    for name in servers.iter().filter(|name| mcp && wanted(name)) {
        offer.tools.push(json!({ "type": "mcp_toolset", "mcp_server_name": name }));
        offer.servers.push(name.clone());
    }
    let has = |name: &String| {
        name == "*"
            || offer.client.contains(name)
            || offer.servers.contains(name)
            || offer.tools.iter().any(|tool| tool["name"] == name.as_str())
    };
    let missing: Vec<&str> = job.unwrap_or_default().iter().filter(|name| !has(name)).map(String::as_str).collect();
    if !missing.is_empty() {
        offer.notes.push(format!("toolsAllow names what this run cannot have: {}", missing.join(", ")));
    }
    offer
}

/// One of our own tools as the model is told of it: `{name, description, input_schema}`.
pub fn definition(name: &str) -> Option<Value> {
    match name {
        "message" => Some(message::definition()),
        "memory" => Some(memory::definition()),
        "cron" => Some(cron::definition()),
        "http_fetch" => Some(http_fetch::definition()),
        _ => None,
    }
}

/// Whether this call changes something outside the conversation, so that it must not be repeated blindly. A tool the user
/// declared is taken to act. Changes of the memory are not among them: each is written together with the call that made it,
/// so that a repeat finds itself done.
pub fn acts(name: &str, input: &Value) -> bool {
    match name {
        "memory" | "http_fetch" => false,
        "cron" => cron::acts(input),
        _ => true,
    }
}

#[cfg(test)]
mod tests;
