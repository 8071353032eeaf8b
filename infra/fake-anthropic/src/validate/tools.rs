//! Tools, MCP servers and the tool choice.

use std::collections::BTreeSet;

use serde_json::{Map, Value};

use super::Context;
use super::fields::{
    array, check_bool, check_cache_control, check_string, is_plain, known, object, one_of, present, required, string,
};
use crate::answer::ApiError;
use crate::models::{Model, Thinking};

/// Fields every tool may have.
const COMMON: &[&str] =
    &["type", "name", "allowed_callers", "cache_control", "defer_loading", "strict", "input_examples"];
const CUSTOM: &[&str] = &["description", "eager_input_streaming", "input_schema"];
const SEARCH: &[&str] = &["allowed_domains", "blocked_domains", "max_uses", "response_inclusion", "user_location"];
const FETCH: &[&str] = &[
    "allowed_domains",
    "blocked_domains",
    "citations",
    "max_content_tokens",
    "max_uses",
    "response_inclusion",
    "url_sources",
    "use_cache",
];

/// Tools with a type of their own: type, name, fields of their own, and whether the server runs them
/// (Python SDK 2.11.0, `ToolUnionParam`).
const TYPED: &[(&str, &str, &[&str], bool)] = &[
    ("web_search_20250305", "web_search", SEARCH, true),
    ("web_search_20260209", "web_search", SEARCH, true),
    ("web_search_20260318", "web_search", SEARCH, true),
    ("web_fetch_20250910", "web_fetch", FETCH, true),
    ("web_fetch_20260209", "web_fetch", FETCH, true),
    ("web_fetch_20260309", "web_fetch", FETCH, true),
    ("web_fetch_20260318", "web_fetch", FETCH, true),
    ("code_execution_20250522", "code_execution", &[], true),
    ("code_execution_20250825", "code_execution", &[], true),
    ("code_execution_20260120", "code_execution", &[], true),
    ("code_execution_20260521", "code_execution", &[], true),
    ("tool_search_tool_bm25_20251119", "tool_search_tool_bm25", &[], true),
    ("tool_search_tool_bm25", "tool_search_tool_bm25", &[], true),
    ("tool_search_tool_regex_20251119", "tool_search_tool_regex", &[], true),
    ("tool_search_tool_regex", "tool_search_tool_regex", &[], true),
    ("bash_20250124", "bash", &[], false),
    ("memory_20250818", "memory", &[], false),
    ("text_editor_20250124", "str_replace_editor", &[], false),
    ("text_editor_20250429", "str_replace_based_edit_tool", &[], false),
    ("text_editor_20250728", "str_replace_based_edit_tool", &["max_characters"], false),
];

pub(super) fn check(
    map: &Map<String, Value>,
    model: &Model,
    thinking: Option<Thinking>,
    context: Context<'_>,
) -> Result<(), ApiError> {
    let servers = check_servers(map)?;
    let mut names = BTreeSet::new();
    let mut referenced = Vec::new();
    let tools = present(map, "tools").map_or(Ok(&[][..]), |tools| array(tools, "tools"))?;
    for (index, tool) in tools.iter().enumerate() {
        let path = format!("tools.{index}");
        let tool = object(tool, &path)?;
        check_cache_control(tool, &path)?;
        check_bool(tool, "strict", &path)?;
        if tool.get("strict") == Some(&Value::Bool(true)) && !model.structured_outputs {
            return Err(ApiError::field(&path, format!("strict tools are not supported by {}", model.id)));
        }
        let name = match check_string(tool, "type", &path)? {
            None | Some("custom") => check_custom(tool, &path)?,
            Some("mcp_toolset") if context.beta("mcp-client-") => {
                known(tool, &path, &["type", "mcp_server_name", "default_config", "configs", "cache_control"])?;
                referenced.push(string(tool, "mcp_server_name", &path)?.to_owned());
                continue;
            }
            Some(kind) => check_typed(tool, kind, &path, model)?,
        };
        if !names.insert(name.to_owned()) {
            return Err(ApiError::invalid("tools: Tool names must be unique."));
        }
    }
    check_toolsets(&servers, &referenced, context)?;
    check_choice(map, model, thinking, &names, tools.is_empty())
}

fn check_custom<'a>(tool: &'a Map<String, Value>, path: &str) -> Result<&'a str, ApiError> {
    known(tool, path, &[COMMON, CUSTOM].concat())?;
    let name = string(tool, "name", path)?;
    if !is_plain(name, 128) {
        let path = format!("{path}.name");
        return Err(ApiError::field(&path, "String should match pattern '^[a-zA-Z0-9_-]{1,128}$'"));
    }
    check_string(tool, "description", path)?;
    let schema_path = format!("{path}.input_schema");
    let schema = object(required(tool, "input_schema", path)?, &schema_path)?;
    if string(schema, "type", &schema_path)? != "object" {
        return Err(ApiError::field(&format!("{schema_path}.type"), "Input should be 'object'"));
    }
    Ok(name)
}

fn check_typed<'a>(tool: &'a Map<String, Value>, kind: &str, path: &str, model: &Model) -> Result<&'a str, ApiError> {
    let Some((_, name, fields, server)) = TYPED.iter().find(|row| row.0 == kind) else {
        let problem = format!("Input tag '{kind}' does not match any of the expected tags");
        return Err(ApiError::field(&format!("{path}.type"), problem));
    };
    if *server && !model.server_tools {
        return Err(ApiError::field(path, format!("'{kind}' is not supported by {}", model.id)));
    }
    known(tool, path, &[COMMON, fields].concat())?;
    if present(tool, "allowed_domains").is_some() && present(tool, "blocked_domains").is_some() {
        return Err(ApiError::field(path, "only one of allowed_domains and blocked_domains may be given"));
    }
    required(tool, "name", path)?;
    one_of(tool, "name", path, &[name])?;
    string(tool, "name", path)
}

/// `mcp_servers` (Python SDK 2.11.0, `BetaRequestMCPServerURLDefinitionParam`): HTTPS only.
fn check_servers(map: &Map<String, Value>) -> Result<Vec<String>, ApiError> {
    let servers = present(map, "mcp_servers").map_or(Ok(&[][..]), |servers| array(servers, "mcp_servers"))?;
    let mut names: Vec<String> = Vec::new();
    for (index, server) in servers.iter().enumerate() {
        let path = format!("mcp_servers.{index}");
        let server = object(server, &path)?;
        known(server, &path, &["type", "name", "url", "authorization_token", "tool_configuration"])?;
        required(server, "type", &path)?;
        one_of(server, "type", &path, &["url"])?;
        check_string(server, "authorization_token", &path)?;
        if !string(server, "url", &path)?.starts_with("https://") {
            return Err(ApiError::field(&format!("{path}.url"), "must start with 'https://'"));
        }
        let name = string(server, "name", &path)?;
        if names.iter().any(|other| other == name) {
            return Err(ApiError::invalid("mcp_servers: server names must be unique"));
        }
        names.push(name.to_owned());
    }
    Ok(names)
}

/// Since the beta `mcp-client-2025-11-20` every server is used by exactly one `mcp_toolset` (Python SDK 2.11.0,
/// `BetaMCPToolsetParam`).
fn check_toolsets(servers: &[String], referenced: &[String], context: Context<'_>) -> Result<(), ApiError> {
    if let Some(name) = referenced.iter().find(|name| !servers.contains(name)) {
        return Err(ApiError::invalid(format!("tools: MCP server '{name}' is not in mcp_servers")));
    }
    let used = |name: &String| referenced.iter().filter(|other| *other == name).count();
    match servers.iter().find(|name| used(name) != 1) {
        Some(name) if !context.beta("mcp-client-2025-04-04") => {
            let message = format!("mcp_servers: '{name}' must be referenced by exactly one mcp_toolset in tools");
            Err(ApiError::invalid(message))
        }
        Some(_) | None => Ok(()),
    }
}

/// Forced tool use is refused by the newest models (docs page "api/migration-2026-10-21" and the model pages).
fn check_choice(
    map: &Map<String, Value>,
    model: &Model,
    thinking: Option<Thinking>,
    names: &BTreeSet<String>,
    no_tools: bool,
) -> Result<(), ApiError> {
    let Some(choice) = present(map, "tool_choice") else { return Ok(()) };
    let path = "tool_choice";
    let choice = object(choice, path)?;
    let kind = string(choice, "type", path)?;
    one_of(choice, "type", path, &["auto", "any", "tool", "none"])?;
    check_bool(choice, "disable_parallel_tool_use", path)?;
    match kind {
        "none" => known(choice, path, &["type"])?,
        "tool" => known(choice, path, &["type", "name", "disable_parallel_tool_use"])?,
        _ => known(choice, path, &["type", "disable_parallel_tool_use"])?,
    }
    if kind != "none" && no_tools {
        return Err(ApiError::field(path, "may only be specified while providing tools"));
    }
    if kind == "tool" {
        let name = string(choice, "name", path)?;
        if !names.contains(name) {
            return Err(ApiError::field("tool_choice.name", format!("Tool '{name}' not found in provided tools")));
        }
    }
    if matches!(kind, "any" | "tool") {
        if !model.forced_tools {
            let problem = format!("\"{kind}\" is not supported by {}; use \"auto\"", model.id);
            return Err(ApiError::field("tool_choice.type", problem));
        }
        if thinking == Some(Thinking::Enabled) {
            return Err(ApiError::invalid("Thinking may not be enabled when tool_choice forces tool use."));
        }
    }
    Ok(())
}
