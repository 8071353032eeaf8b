//! System prompt, messages and the blocks in them, and the rules that tie tool calls to their results.

use std::collections::BTreeSet;
use std::sync::LazyLock;

use serde_json::{Map, Value};

use super::Context;
use super::fields::{
    MAX_BREAKPOINTS, array, breakpoints, check_bool, check_cache_control, is_plain, known, object, present, required,
    string,
};
use crate::answer::ApiError;
use crate::auth::Version;
use crate::models::Model;

/// Most messages in one request (docs page "errors" and Python SDK 2.11.0, `MessageCreateParams.messages`).
const MAX_MESSAGES: usize = 100_000;

/// Stands for the one block of a message whose content is a string.
static STRING: LazyLock<Map<String, Value>> = LazyLock::new(Map::new);

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Role {
    User,
    Assistant,
}

/// Who may send a block.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum By {
    User,
    Assistant,
    Both,
}

/// Type, sender, required and optional fields of a block (Python SDK 2.11.0, `ContentBlockParam`; `mcp_*` from its beta).
const BLOCKS: &[(&str, By, &[&str], &[&str])] = &[
    ("text", By::Both, &["text"], &["cache_control", "citations"]),
    ("image", By::User, &["source"], &["cache_control", "transformations"]),
    ("document", By::Both, &["source"], &["cache_control", "citations", "context", "title"]),
    ("search_result", By::User, &["content", "source", "title"], &["cache_control", "citations"]),
    ("thinking", By::Assistant, &["signature", "thinking"], &[]),
    ("redacted_thinking", By::Assistant, &["data"], &[]),
    ("tool_use", By::Assistant, &["id", "input", "name"], &["cache_control", "caller", "toolset_name"]),
    ("tool_result", By::User, &["tool_use_id"], &["cache_control", "content", "is_error", "toolset_name"]),
    ("server_tool_use", By::Assistant, &["id", "input", "name"], &["cache_control", "caller"]),
    ("web_search_tool_result", By::Assistant, &["content", "tool_use_id"], &["cache_control", "caller"]),
    ("web_fetch_tool_result", By::Assistant, &["content", "tool_use_id"], &["cache_control", "caller"]),
    ("code_execution_tool_result", By::Assistant, &["content", "tool_use_id"], &["cache_control"]),
    ("bash_code_execution_tool_result", By::Assistant, &["content", "tool_use_id"], &["cache_control"]),
    ("text_editor_code_execution_tool_result", By::Assistant, &["content", "tool_use_id"], &["cache_control"]),
    ("tool_search_tool_result", By::Assistant, &["content", "tool_use_id"], &["cache_control"]),
    ("container_upload", By::Both, &["file_id"], &["cache_control"]),
    ("mcp_tool_use", By::Assistant, &["id", "input", "name", "server_name"], &["cache_control"]),
    ("mcp_tool_result", By::Assistant, &["tool_use_id"], &["cache_control", "content", "is_error"]),
];

type Blocks<'a> = Vec<&'a Map<String, Value>>;

/// Consecutive messages of one role, which the API joins into one turn (Python SDK 2.11.0,
/// `MessageCreateParams.messages`).
struct Turn<'a> {
    role: Role,
    /// Place of its first message.
    at: usize,
    blocks: Blocks<'a>,
}

pub(super) fn check(map: &Map<String, Value>, model: &Model, context: Context<'_>) -> Result<(), ApiError> {
    check_system(map)?;
    check_cache_control(map, "")?;
    let messages = array(required(map, "messages", "")?, "messages")?;
    if messages.is_empty() {
        return Err(ApiError::field("messages", "at least one message is required"));
    }
    if messages.len() > MAX_MESSAGES {
        return Err(ApiError::field("messages", format!("List should have at most {MAX_MESSAGES} items")));
    }
    let mut turns: Vec<Turn<'_>> = Vec::new();
    for (index, message) in messages.iter().enumerate() {
        let (role, blocks) = check_message(message, index, context)?;
        match turns.last_mut() {
            Some(turn) if turn.role == role => turn.blocks.extend(blocks),
            Some(_) | None => turns.push(Turn { role, at: index, blocks }),
        }
    }
    if turns.first().is_some_and(|turn| turn.role == Role::Assistant) {
        return Err(ApiError::invalid("messages: first message must use the \"user\" role"));
    }
    check_tool_results(&turns)?;
    check_last(turns.last(), model)?;
    let found: usize =
        ["system", "tools", "messages"].iter().filter_map(|field| map.get(*field)).map(breakpoints).sum();
    let found = found + usize::from(present(map, "cache_control").is_some());
    if found > MAX_BREAKPOINTS {
        let message =
            format!("A maximum of {MAX_BREAKPOINTS} blocks with cache_control may be provided. Found {found}.");
        return Err(ApiError::invalid(message));
    }
    Ok(())
}

fn check_system(map: &Map<String, Value>) -> Result<(), ApiError> {
    let Some(system) = present(map, "system") else { return Ok(()) };
    if system.is_string() {
        return Ok(());
    }
    for (index, block) in array(system, "system")?.iter().enumerate() {
        let path = format!("system.{index}");
        let block = object(block, &path)?;
        if string(block, "type", &path)? != "text" {
            return Err(ApiError::field(&format!("{path}.type"), "Input should be 'text'"));
        }
        known(block, &path, &["type", "text", "cache_control", "citations"])?;
        check_text(block, &path)?;
        check_cache_control(block, &path)?;
    }
    Ok(())
}

fn check_message<'a>(message: &'a Value, index: usize, context: Context<'_>) -> Result<(Role, Blocks<'a>), ApiError> {
    let path = format!("messages.{index}");
    let message = object(message, &path)?;
    known(message, &path, &["role", "content"])?;
    let role = match string(message, "role", &path)? {
        "user" => Role::User,
        "assistant" => Role::Assistant,
        _ => return Err(ApiError::field(&format!("{path}.role"), "Input should be 'user' or 'assistant'")),
    };
    let said = required(message, "content", &path)?;
    if let Some(text) = said.as_str() {
        if text.trim().is_empty() {
            return Err(ApiError::field(&path, "text content blocks must contain non-whitespace text"));
        }
        return Ok((role, vec![&*STRING]));
    }
    let path = format!("{path}.content");
    let blocks = array(said, &path)?;
    if blocks.is_empty() {
        return Err(ApiError::field(&path, "messages must have non-empty content"));
    }
    let mut checked = Vec::with_capacity(blocks.len());
    for (index, block) in blocks.iter().enumerate() {
        checked.push(check_block(block, role, &format!("{path}.{index}"), context)?);
    }
    Ok((role, checked))
}

fn check_block<'a>(
    block: &'a Value,
    role: Role,
    path: &str,
    context: Context<'_>,
) -> Result<&'a Map<String, Value>, ApiError> {
    let map = object(block, path)?;
    let kind = string(map, "type", path)?;
    if role == Role::Assistant && context.given.iter().any(|given| is_copy(block, given)) {
        return Ok(map);
    }
    let behind_beta = matches!(kind, "compaction" | "fallback") && !context.betas.is_empty();
    if behind_beta {
        return Ok(map);
    }
    let row = BLOCKS.iter().find(|row| row.0 == kind && (!kind.starts_with("mcp_") || context.beta("mcp-client-")));
    let Some((_, by, needed, optional)) = row else {
        let problem = format!("Input tag '{kind}' does not match any of the expected tags");
        return Err(ApiError::field(&format!("{path}.type"), problem));
    };
    let allowed = match (by, role) {
        (By::Both, _) | (By::User, Role::User) | (By::Assistant, Role::Assistant) => true,
        (By::User, Role::Assistant) | (By::Assistant, Role::User) => false,
    };
    // Docs page "api/migration-2026-10-21": no document directly in an assistant message.
    let document = kind == "document" && role == Role::Assistant && context.version == Version::V20261021;
    if !allowed || document {
        let role = if role == Role::User { "user" } else { "assistant" };
        return Err(ApiError::field(path, format!("`{kind}` blocks are not permitted in {role} messages")));
    }
    for field in *needed {
        required(map, field, path)?;
    }
    known(map, path, &[&["type"], *needed, *optional].concat())?;
    check_cache_control(map, path)?;
    match kind {
        "text" => check_text(map, path)?,
        "thinking" => {
            string(map, "thinking", path)?;
            if string(map, "signature", path)?.is_empty() {
                return Err(ApiError::field(path, "Invalid `signature` in `thinking` block"));
            }
        }
        "tool_use" | "server_tool_use" | "mcp_tool_use" => {
            check_id(map, "id", path)?;
            object(required(map, "input", path)?, &format!("{path}.input"))?;
            string(map, "name", path)?;
        }
        "tool_result" => check_tool_result(map, path)?,
        "image" | "document" => {
            let source_path = format!("{path}.source");
            string(object(required(map, "source", path)?, &source_path)?, "type", &source_path)?;
        }
        _ => {}
    }
    // Docs page "api/migration-2026-10-21": no citations on what the user says.
    let cited = kind == "text" && map.get("citations").and_then(Value::as_array).is_some_and(|list| !list.is_empty());
    if cited && role == Role::User && context.version == Version::V20261021 {
        return Err(ApiError::field(&format!("{path}.citations"), "not permitted in user messages"));
    }
    Ok(map)
}

/// Whether `block` is what the script gave out, but for the id it may have got.
fn is_copy(block: &Value, given: &Value) -> bool {
    let (Some(block), Some(given)) = (block.as_object(), given.as_object()) else { return false };
    let same = |field: &String| block.get(field) == given.get(field);
    given.keys().all(same) && block.keys().all(|field| field == "id" || same(field))
}

fn check_text(map: &Map<String, Value>, path: &str) -> Result<(), ApiError> {
    if string(map, "text", path)?.trim().is_empty() {
        return Err(ApiError::field(path, "text content blocks must contain non-whitespace text"));
    }
    Ok(())
}

fn check_id<'a>(map: &'a Map<String, Value>, field: &str, path: &str) -> Result<&'a str, ApiError> {
    let id = string(map, field, path)?;
    if is_plain(id, usize::MAX) {
        return Ok(id);
    }
    Err(ApiError::field(&format!("{path}.{field}"), "String should match pattern '^[a-zA-Z0-9_-]+$'"))
}

fn check_tool_result(map: &Map<String, Value>, path: &str) -> Result<(), ApiError> {
    check_id(map, "tool_use_id", path)?;
    check_bool(map, "is_error", path)?;
    let Some(content) = present(map, "content").filter(|content| !content.is_string()) else { return Ok(()) };
    let path = format!("{path}.content");
    for (index, block) in array(content, &path)?.iter().enumerate() {
        let path = format!("{path}.{index}");
        let block = object(block, &path)?;
        let kind = string(block, "type", &path)?;
        if !matches!(kind, "text" | "image" | "document" | "search_result" | "tool_reference") {
            let problem = format!("Input tag '{kind}' does not match any of the expected tags");
            return Err(ApiError::field(&format!("{path}.type"), problem));
        }
        check_cache_control(block, &path)?;
    }
    Ok(())
}

fn kind(block: &Map<String, Value>) -> &str {
    block.get("type").and_then(Value::as_str).unwrap_or_default()
}

fn id<'a>(block: &'a Map<String, Value>, field: &str) -> &'a str {
    block.get(field).and_then(Value::as_str).unwrap_or_default()
}

/// Every `tool_use` is answered in the very next turn, by results that come first in it, and nothing else is answered
/// (docs page "handling-stop-reasons", 2026-10-01).
fn check_tool_results(turns: &[Turn<'_>]) -> Result<(), ApiError> {
    let mut seen = BTreeSet::new();
    let mut previous: Option<&Turn<'_>> = None;
    for turn in turns {
        let mut open = open_calls(previous);
        let path = format!("messages.{}", turn.at);
        let results_end =
            turn.blocks.iter().position(|block| kind(block) != "tool_result").unwrap_or(turn.blocks.len());
        for (index, block) in turn.blocks.iter().enumerate() {
            if kind(block) == "tool_use" && !seen.insert(id(block, "id")) {
                return Err(ApiError::field(&path, "`tool_use` ids must be unique"));
            }
            if kind(block) != "tool_result" {
                continue;
            }
            let call = id(block, "tool_use_id");
            if index >= results_end {
                return Err(ApiError::field(&path, "`tool_result` blocks must come first in their message"));
            }
            if !open.remove(call) {
                let problem = format!("unexpected `tool_use_id` found in `tool_result` blocks: {call}");
                return Err(ApiError::field(&path, problem));
            }
        }
        if let Some(call) = open.first() {
            let problem = format!("`tool_use` ids were found without `tool_result` blocks immediately after: {call}");
            return Err(ApiError::field(&path, problem));
        }
        if turn.role == Role::User && results_end < turn.blocks.len() && previous.is_some_and(pending_server_tool) {
            let problem = "only `tool_result` blocks may follow while a server tool is pending";
            return Err(ApiError::field(&path, problem));
        }
        previous = Some(turn);
    }
    Ok(())
}

fn open_calls<'a>(turn: Option<&Turn<'a>>) -> BTreeSet<&'a str> {
    let blocks = turn.map_or(&[][..], |turn| turn.blocks.as_slice());
    blocks.iter().filter(|block| kind(block) == "tool_use").map(|block| id(block, "id")).collect()
}

/// Whether a server tool, or one of an MCP server, was called in this turn and its result is still to come.
fn pending_server_tool(turn: &Turn<'_>) -> bool {
    let answered: BTreeSet<&str> = turn.blocks.iter().map(|block| id(block, "tool_use_id")).collect();
    let calls = |block: &Map<String, Value>| matches!(kind(block), "server_tool_use" | "mcp_tool_use");
    turn.blocks.iter().any(|block| calls(block) && !answered.contains(id(block, "id")))
}

/// The last message is the user's. The exception is a paused turn sent back: an assistant message in which a server
/// tool (or MCP tool) was at work (docs page "handling-stop-reasons", 2026-10-01). Models before 4.6 take a prefill.
fn check_last(turn: Option<&Turn<'_>>, model: &Model) -> Result<(), ApiError> {
    let Some(turn) = turn.filter(|turn| turn.role == Role::Assistant) else { return Ok(()) };
    if let Some(call) = open_calls(Some(turn)).first() {
        let problem = format!("`tool_use` ids were found without `tool_result` blocks immediately after: {call}");
        return Err(ApiError::field(&format!("messages.{}", turn.at), problem));
    }
    let paused = turn.blocks.iter().any(|block| matches!(kind(block), "server_tool_use" | "mcp_tool_use"));
    if paused || model.prefill {
        return Ok(());
    }
    let message =
        "This model does not support assistant message prefill. The conversation must end with a user message.";
    Err(ApiError::invalid(message))
}
