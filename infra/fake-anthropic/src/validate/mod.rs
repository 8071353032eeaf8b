//! Checks the parameters of a message as the API does, in the words of its validator.
//!
//! One function serves realtime calls (where a failure is the answer), token counts and batch rows (where it becomes an
//! `errored` result once the batch has ended). Rules come from the Python SDK 2.11.0 types (2026-11-19) and the docs
//! pages named beside them. Where those leave a rule open this refuses.

pub(crate) mod binding;
mod content;
mod fields;
mod tools;

use serde_json::{Map, Value};

use crate::answer::ApiError;
use crate::auth::Version;
use crate::models::{Catalogue, Effort, Model, Thinking};
use crate::reply;
pub(crate) use fields::is_plain;
use fields::{check_bool, check_string, known, object, one_of, required};

/// What parameters are checked against.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Context<'a> {
    pub(crate) catalogue: &'a Catalogue,
    pub(crate) version: Version,
    pub(crate) betas: &'a [String],
    pub(crate) purpose: Purpose,
    /// Content blocks the script gives out: the client may send them back even when their type is unknown.
    pub(crate) given: &'a [&'a Value],
}

/// What the parameters are for.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Purpose {
    Realtime,
    Batch,
    /// `count_tokens`: no `max_tokens`, and only the fields that make up the prompt.
    Count,
}

impl Context<'_> {
    pub(crate) fn beta(&self, prefix: &str) -> bool {
        self.betas.iter().any(|beta| beta.starts_with(prefix))
    }
}

/// Fields of a message request (Python SDK 2.11.0, `MessageCreateParams`).
const FIELDS: &[&str] = &[
    "model",
    "max_tokens",
    "messages",
    "system",
    "tools",
    "tool_choice",
    "thinking",
    "output_config",
    "cache_control",
    "metadata",
    "stop_sequences",
    "service_tier",
    "speed",
    "inference_geo",
    "container",
    "diagnostics",
    "stream",
    "user_profile_id",
];
/// Fields of a token count (Python SDK 2.11.0, `MessageCountTokensParams`).
const COUNT_FIELDS: &[&str] =
    &["model", "messages", "system", "tools", "tool_choice", "thinking", "output_config", "cache_control", "speed"];
/// Sampling parameters, gone in version 2026-10-21 (docs page "api/migration-2026-10-21").
const SAMPLING: &[&str] = &["temperature", "top_p", "top_k"];
/// Fields behind a beta header, and how the name of that beta begins (Python SDK 2.11.0, beta `MessageCreateParams`;
/// an empty prefix accepts any).
const BETA_FIELDS: &[(&str, &str)] = &[
    ("mcp_servers", "mcp-client-"),
    ("context_management", ""),
    ("compaction", ""),
    ("fallbacks", ""),
    ("fallback_credit_token", ""),
    ("billing_policy", ""),
    ("thread", ""),
];
/// Fields refused inside a batch (docs page "batch-processing", 2026-08 and 2026-10-01), besides `stream: true` and
/// `max_tokens: 0`.
const NOT_IN_BATCH: &[&str] =
    &["speed", "store", "thread", "previous_thread_event_id", "cache_hint", "context_hint", "research_preview_2026_02"];

/// Checks `params` whole and finds the model they name.
pub(crate) fn params<'a>(params: &Value, context: Context<'a>) -> Result<&'a Model, ApiError> {
    let map = object(params, "params")?;
    check_fields(map, context)?;
    let model = find_model(map, context.catalogue)?;
    if context.purpose == Purpose::Batch && !model.batch {
        return Err(ApiError::field("model", format!("{} does not support the Message Batches API", model.id)));
    }
    let max_tokens = match context.purpose {
        Purpose::Count => model.max_tokens,
        Purpose::Realtime | Purpose::Batch => check_max_tokens(map, model, context)?,
    };
    check_simple_fields(map)?;
    let effort = check_output_config(map, model)?;
    let thinking = check_thinking(map, model, max_tokens, effort, context)?;
    tools::check(map, model, thinking, context)?;
    content::check(map, model, context)?;
    let input = reply::input_tokens(map);
    if input > model.max_input_tokens {
        let message = format!("prompt is too long: {input} tokens > {} maximum", model.max_input_tokens);
        return Err(ApiError::invalid(message));
    }
    Ok(model)
}

fn check_fields(map: &Map<String, Value>, context: Context<'_>) -> Result<(), ApiError> {
    if context.purpose == Purpose::Batch {
        if let Some(field) = NOT_IN_BATCH.iter().find(|field| map.contains_key(**field)) {
            return Err(ApiError::field(field, "not supported in the Message Batches API"));
        }
        if map.get("stream") == Some(&Value::Bool(true)) {
            return Err(ApiError::field("stream", "streaming is not supported in the Message Batches API"));
        }
    }
    let allowed = if context.purpose == Purpose::Count { COUNT_FIELDS } else { FIELDS };
    for field in map.keys() {
        let field = field.as_str();
        if allowed.contains(&field) {
            continue;
        }
        if SAMPLING.contains(&field) && context.purpose != Purpose::Count {
            match context.version {
                Version::V20230601 => continue,
                Version::V20261021 => {
                    return Err(ApiError::field(field, "not supported by anthropic-version 2026-10-21"));
                }
            }
        }
        let beta = BETA_FIELDS.iter().find(|row| row.0 == field);
        if !beta.is_some_and(|row| context.beta(row.1)) {
            return Err(ApiError::field(field, "Extra inputs are not permitted"));
        }
    }
    for field in ["model", "max_tokens", "messages"] {
        if !(context.purpose == Purpose::Count && field == "max_tokens") {
            required(map, field, "")?;
        }
    }
    Ok(())
}

fn find_model<'a>(map: &Map<String, Value>, catalogue: &'a Catalogue) -> Result<&'a Model, ApiError> {
    let name = check_string(map, "model", "")?.unwrap_or_default();
    catalogue.usable(name).ok_or_else(|| ApiError::not_found(format!("model: {name}")))
}

/// `max_tokens` from 1 to what the model can write. (The real API takes 0 in realtime, to warm the cache.)
fn check_max_tokens(map: &Map<String, Value>, model: &Model, context: Context<'_>) -> Result<u64, ApiError> {
    let value = required(map, "max_tokens", "")?;
    let Some(tokens) = value.as_u64() else {
        let problem = if value.is_i64() {
            "Input should be greater than or equal to 1"
        } else {
            "Input should be a valid integer"
        };
        return Err(ApiError::field("max_tokens", problem));
    };
    if tokens == 0 {
        return Err(ApiError::field("max_tokens", "Input should be greater than or equal to 1"));
    }
    // Docs page "models overview", 2026-10-01: batches only.
    let long = context.purpose == Purpose::Batch && model.long_output && context.beta("output-300k-2026-03-24");
    let limit = if long { 300_000 } else { model.max_tokens };
    if tokens > limit {
        let problem =
            format!("{tokens} > {limit}, which is the maximum allowed number of output tokens for {}", model.id);
        return Err(ApiError::field("max_tokens", problem));
    }
    Ok(tokens)
}

fn check_simple_fields(map: &Map<String, Value>) -> Result<(), ApiError> {
    check_bool(map, "stream", "")?;
    check_string(map, "inference_geo", "")?;
    check_string(map, "user_profile_id", "")?;
    one_of(map, "service_tier", "", &["auto", "standard_only"])?;
    one_of(map, "speed", "", &["standard", "fast"])?;
    if let Some(metadata) = fields::present(map, "metadata") {
        let metadata = object(metadata, "metadata")?;
        known(metadata, "metadata", &["user_id"])?;
        check_string(metadata, "user_id", "metadata")?;
    }
    if let Some(diagnostics) = fields::present(map, "diagnostics") {
        known(object(diagnostics, "diagnostics")?, "diagnostics", &["previous_message_id"])?;
    }
    if let Some(container) = fields::present(map, "container")
        && !container.is_string()
        && !container.is_object()
    {
        return Err(ApiError::field("container", "Input should be a valid string"));
    }
    if let Some(sequences) = fields::present(map, "stop_sequences") {
        for (index, sequence) in fields::array(sequences, "stop_sequences")?.iter().enumerate() {
            if sequence.as_str().is_none_or(|text| text.trim().is_empty()) {
                let path = format!("stop_sequences.{index}");
                return Err(ApiError::field(&path, "each stop sequence must contain non-whitespace"));
            }
        }
    }
    for field in SAMPLING {
        if map.get(*field).is_some_and(|value| !value.is_number()) {
            return Err(ApiError::field(field, "Input should be a valid number"));
        }
    }
    Ok(())
}

fn check_output_config(map: &Map<String, Value>, model: &Model) -> Result<Option<Effort>, ApiError> {
    let Some(config) = fields::present(map, "output_config") else { return Ok(None) };
    let config = object(config, "output_config")?;
    known(config, "output_config", &["effort", "format"])?;
    if let Some(format) = fields::present(config, "format") {
        let path = "output_config.format";
        let format = object(format, path)?;
        known(format, path, &["type", "schema"])?;
        required(format, "type", path)?;
        one_of(format, "type", path, &["json_schema"])?;
        object(required(format, "schema", path)?, "output_config.format.schema")?;
        if !model.structured_outputs {
            return Err(ApiError::field(path, format!("structured outputs are not supported by {}", model.id)));
        }
    }
    let Some(level) = fields::present(config, "effort") else { return Ok(None) };
    let effort: Effort = serde_json::from_value(level.clone()).map_err(|_| {
        ApiError::field("output_config.effort", "Input should be 'low', 'medium', 'high', 'xhigh' or 'max'")
    })?;
    if !model.effort.contains(&effort) {
        let problem = format!("{level} is not supported by {}", model.id);
        return Err(ApiError::field("output_config.effort", problem));
    }
    Ok(Some(effort))
}

fn check_thinking(
    map: &Map<String, Value>,
    model: &Model,
    max_tokens: u64,
    effort: Option<Effort>,
    context: Context<'_>,
) -> Result<Option<Thinking>, ApiError> {
    let Some(config) = fields::present(map, "thinking") else { return Ok(None) };
    let config = object(config, "thinking")?;
    let kind: Thinking = serde_json::from_value(required(config, "type", "thinking")?.clone()).map_err(|_| {
        ApiError::field("thinking.type", "Input should be 'adaptive', 'enabled', 'disabled' or 'between_tools'")
    })?;
    let path = "thinking";
    match kind {
        Thinking::Adaptive => known(config, path, &["type", "display", "block_binding"])?,
        Thinking::Enabled => known(config, path, &["type", "display", "block_binding", "budget_tokens"])?,
        Thinking::Disabled | Thinking::BetweenTools => known(config, path, &["type"])?,
    }
    one_of(config, "display", path, &["summarized", "omitted"])?;
    check_binding(config, context)?;
    if !model.thinking.contains(&kind) {
        let problem = format!("\"{}\" is not supported by {}", config["type"].as_str().unwrap_or_default(), model.id);
        return Err(ApiError::field("thinking.type", problem));
    }
    if kind == Thinking::Enabled {
        let path = "thinking.budget_tokens";
        let budget = required(config, "budget_tokens", "thinking")?.as_u64();
        match budget {
            Some(budget) if budget < 1024 => {
                return Err(ApiError::field(path, "Input should be greater than or equal to 1024"));
            }
            Some(budget) if budget >= max_tokens => {
                return Err(ApiError::invalid("`max_tokens` must be greater than `thinking.budget_tokens`"));
            }
            Some(_) => {}
            None => return Err(ApiError::field(path, "Input should be a valid integer")),
        }
    }
    let quiet = matches!(kind, Thinking::Disabled | Thinking::BetweenTools);
    if quiet && model.quiet_is_low && effort > Some(Effort::High) {
        let problem = format!("without thinking {} takes an effort of at most \"high\"", model.id);
        return Err(ApiError::field("output_config.effort", problem));
    }
    Ok(Some(kind))
}

/// `thinking.block_binding` (Python SDK 2.11.0, `BetaThinkingBlockBindingParam`).
fn check_binding(thinking: &Map<String, Value>, context: Context<'_>) -> Result<(), ApiError> {
    let path = "thinking.block_binding";
    let Some(binding) = thinking.get("block_binding") else { return Ok(()) };
    if !context.beta("thinking-binding-controls-") {
        return Err(ApiError::field(path, "Extra inputs are not permitted"));
    }
    let binding = object(binding, path)?;
    known(binding, path, &["prefix_mismatch_behavior"])?;
    one_of(binding, "prefix_mismatch_behavior", path, &["error", "drop_block"])
}

#[cfg(test)]
mod tests;
