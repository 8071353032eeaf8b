//! The models: what each accepts, and `/v1/models` in the shape the SDKs read.
//!
//! Figures are those of the docs pages "models overview" and "pricing" (2026-10-01) and the release notes (2026-11-12);
//! shapes are Python SDK 2.11.0, type `ModelInfo`. Clients are meant to read them here rather than know them.

use serde::{Deserialize, Serialize};
use serde_json::{Value, json};

/// Levels of `output_config.effort` (Python SDK 2.11.0, type `OutputConfigParam`).
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Effort {
    /// `low`
    Low,
    /// `medium`
    Medium,
    /// `high`
    High,
    /// `xhigh`
    Xhigh,
    /// `max`
    Max,
}

/// Values of `thinking.type` (Python SDK 2.11.0, type `ThinkingConfigParam`).
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Thinking {
    /// The model decides whether and how much to think.
    Adaptive,
    /// Thinking with a budget the caller sets.
    Enabled,
    /// No thinking.
    Disabled,
    /// No thinking but for short progress notes between tool calls.
    BetweenTools,
}

/// A model's stage (Python SDK 2.11.0, type `ModelInfo`).
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Lifecycle {
    /// Open to everyone.
    Active,
    /// Still answers, but is headed for retirement.
    Deprecated,
    /// Listed, but requests naming it fail.
    Retired,
}

/// A model that a script adds or changes. What is left out comes from the model of that id, or, for an unknown id,
/// from `claude-sonnet-5-5`.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct ScriptedModel {
    /// The model's id.
    pub id: String,
    /// Name for people.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub display_name: Option<String>,
    /// Stage; requests for a retired model are 404.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub lifecycle: Option<Lifecycle>,
    /// RFC 3339 instant of the planned retirement.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub retires_at: Option<String>,
    /// Context window in tokens.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub max_input_tokens: Option<u64>,
    /// Largest `max_tokens`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub max_tokens: Option<u64>,
    /// Whether batches take it.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub batch: Option<bool>,
    /// Effort levels; an empty list means that effort is not supported.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub effort: Option<Vec<Effort>>,
    /// Accepted `thinking.type` values.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub thinking: Option<Vec<Thinking>>,
    /// Whether `output_config.format` and strict tools work.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub structured_outputs: Option<bool>,
    /// Whether web search, web fetch and code execution work.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub server_tools: Option<bool>,
    /// Whether `tool_choice` may be `any` or `tool`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub forced_tools: Option<bool>,
}

/// One model with everything a request is checked against.
#[derive(Debug, Clone, PartialEq, Eq)]
#[expect(clippy::struct_excessive_bools, reason = "each is a yes or no of the capability table")]
pub(crate) struct Model {
    pub(crate) id: String,
    alias: Option<&'static str>,
    display_name: String,
    line: Option<&'static str>,
    created_at: &'static str,
    lifecycle: Lifecycle,
    deprecated_at: Option<&'static str>,
    retires_at: Option<String>,
    pub(crate) max_input_tokens: u64,
    pub(crate) max_tokens: u64,
    /// Whether the beta `output-300k-2026-03-24` raises `max_tokens` in batches (docs page "models overview", 2026-10-01).
    pub(crate) long_output: bool,
    pub(crate) batch: bool,
    pub(crate) effort: Vec<Effort>,
    pub(crate) thinking: Vec<Thinking>,
    /// Whether `disabled` and `between_tools` need an effort of at most `high`.
    pub(crate) quiet_is_low: bool,
    pub(crate) structured_outputs: bool,
    pub(crate) server_tools: bool,
    pub(crate) forced_tools: bool,
    /// Whether replayed thinking is bound to what stands before it (docs page "preserved-thinking", 2026-10-01, names
    /// Fable 5.1, Opus 5.5 and Sonnet 5.5; Fable 5.2 is assumed to do as its predecessor).
    pub(crate) preserved_thinking: bool,
    /// Whether the last message may be the beginning of the answer (models before 4.6).
    pub(crate) prefill: bool,
}

use Effort::{High, Low, Max, Medium, Xhigh};
use Thinking::{Adaptive, BetweenTools, Disabled, Enabled};

const ALL: &[Effort] = &[Low, Medium, High, Xhigh, Max];
/// For models whose release date the facts at hand do not give: "may be set to an epoch value if the release date is
/// unknown" (Python SDK 2.11.0, `ModelInfo.created_at`).
const UNKNOWN: &str = "1970-01-01T00:00:00Z";

struct Row {
    id: &'static str,
    name: &'static str,
    line: &'static str,
    created_at: &'static str,
    effort: &'static [Effort],
    thinking: &'static [Thinking],
}

const fn row(
    id: &'static str,
    name: &'static str,
    line: &'static str,
    created_at: &'static str,
    effort: &'static [Effort],
    thinking: &'static [Thinking],
) -> Row {
    Row { id, name, line, created_at, effort, thinking }
}

/// Newest first, as the list shows them.
const TABLE: &[Row] = &[
    row("claude-fable-5-2", "Claude Fable 5.2", "fable", "2026-11-09T00:00:00Z", ALL, &[Adaptive]),
    row("claude-haiku-5-5", "Claude Haiku 5.5", "haiku", "2026-10-07T00:00:00Z", ALL, &[Adaptive, Disabled]),
    row("claude-sonnet-5-5", "Claude Sonnet 5.5", "sonnet", "2026-09-28T00:00:00Z", ALL, &[Adaptive, BetweenTools]),
    row("claude-opus-5-5", "Claude Opus 5.5", "opus", "2026-09-22T00:00:00Z", ALL, &[Adaptive]),
    row("claude-fable-5-1", "Claude Fable 5.1", "fable", UNKNOWN, ALL, &[Adaptive]),
    row("claude-fable-5", "Claude Fable 5", "fable", UNKNOWN, ALL, &[Adaptive]),
    row("claude-sonnet-5", "Claude Sonnet 5", "sonnet", UNKNOWN, ALL, &[Adaptive, Disabled]),
    row("claude-opus-5", "Claude Opus 5", "opus", UNKNOWN, ALL, &[Adaptive, Disabled]),
    row("claude-opus-4-8", "Claude Opus 4.8", "opus", UNKNOWN, ALL, &[Adaptive, Disabled]),
    row("claude-opus-4-7", "Claude Opus 4.7", "opus", UNKNOWN, ALL, &[Adaptive, Disabled]),
    row(
        "claude-opus-4-6",
        "Claude Opus 4.6",
        "opus",
        UNKNOWN,
        &[Low, Medium, High, Max],
        &[Adaptive, Enabled, Disabled],
    ),
    row(
        "claude-sonnet-4-6",
        "Claude Sonnet 4.6",
        "sonnet",
        UNKNOWN,
        &[Low, Medium, High, Max],
        &[Adaptive, Enabled, Disabled],
    ),
    row(
        "claude-opus-4-5-20251101",
        "Claude Opus 4.5",
        "opus",
        "2025-11-01T00:00:00Z",
        &[Low, Medium, High],
        &[Enabled, Disabled],
    ),
    row("claude-haiku-4-5-20251001", "Claude Haiku 4.5", "haiku", "2025-10-01T00:00:00Z", &[], &[Enabled, Disabled]),
    row("claude-sonnet-4-5-20250929", "Claude Sonnet 4.5", "sonnet", "2025-09-29T00:00:00Z", &[], &[Enabled, Disabled]),
];

impl Model {
    fn of_row(row: &Row) -> Self {
        let old = matches!(row.line, "opus" | "haiku" | "sonnet") && row.id.contains("-4-5-");
        let retiring = row.id == "claude-sonnet-4-5-20250929";
        let new = matches!(row.id, "claude-fable-5-2" | "claude-fable-5-1" | "claude-opus-5-5" | "claude-sonnet-5-5");
        Self {
            id: row.id.to_owned(),
            alias: if old { row.id.rsplit_once('-').map(|parts| parts.0) } else { None },
            display_name: row.name.to_owned(),
            line: Some(row.line),
            created_at: row.created_at,
            lifecycle: if retiring { Lifecycle::Deprecated } else { Lifecycle::Active },
            // The day of the announcement is this fake's invention; the day of retirement is in the release notes.
            deprecated_at: retiring.then_some("2026-09-29T00:00:00Z"),
            retires_at: retiring.then(|| "2026-11-30T00:00:00Z".to_owned()),
            max_input_tokens: if old { 200_000 } else { 1_000_000 },
            max_tokens: if old { 64_000 } else { 128_000 },
            long_output: !old && row.line != "fable",
            batch: true,
            effort: row.effort.to_vec(),
            thinking: row.thinking.to_vec(),
            quiet_is_low: matches!(row.id, "claude-opus-5" | "claude-sonnet-5-5"),
            structured_outputs: true,
            server_tools: true,
            forced_tools: !new,
            preserved_thinking: new,
            prefill: old,
        }
    }

    fn apply(&mut self, change: &ScriptedModel) {
        if let Some(name) = &change.display_name {
            self.display_name.clone_from(name);
        }
        self.lifecycle = change.lifecycle.unwrap_or(self.lifecycle);
        self.retires_at = change.retires_at.clone().or(self.retires_at.take());
        self.deprecated_at = match self.lifecycle {
            Lifecycle::Active => None,
            Lifecycle::Deprecated | Lifecycle::Retired => Some(self.deprecated_at.unwrap_or(UNKNOWN)),
        };
        self.max_input_tokens = change.max_input_tokens.unwrap_or(self.max_input_tokens);
        self.max_tokens = change.max_tokens.unwrap_or(self.max_tokens);
        self.batch = change.batch.unwrap_or(self.batch);
        self.structured_outputs = change.structured_outputs.unwrap_or(self.structured_outputs);
        self.server_tools = change.server_tools.unwrap_or(self.server_tools);
        self.forced_tools = change.forced_tools.unwrap_or(self.forced_tools);
        if let Some(effort) = &change.effort {
            self.effort.clone_from(effort);
        }
        if let Some(thinking) = &change.thinking {
            self.thinking.clone_from(thinking);
        }
    }

    fn answers_to(&self, name: &str) -> bool {
        self.id == name || self.alias == Some(name)
    }

    pub(crate) fn stage(&self) -> &'static str {
        match self.lifecycle {
            Lifecycle::Active => "active",
            Lifecycle::Deprecated => "deprecated",
            Lifecycle::Retired => "retired",
        }
    }

    /// The `ModelInfo` object.
    pub(crate) fn info(&self) -> Value {
        let can = |supported: bool| json!({ "supported": supported });
        let effort = |level: Effort| can(self.effort.contains(&level));
        let thinking = |kind: Thinking| can(self.thinking.contains(&kind));
        json!({
            "type": "model",
            "id": self.id,
            "display_name": self.display_name,
            "created_at": self.created_at,
            "lifecycle": self.stage(),
            "deprecated_at": self.deprecated_at,
            "retires_at": self.retires_at,
            "line": self.line,
            "max_input_tokens": self.max_input_tokens,
            "max_tokens": self.max_tokens,
            "capabilities": {
                "batch": can(self.batch),
                "citations": can(true),
                "code_execution": can(self.server_tools),
                "context_management": {
                    "supported": true,
                    "clear_thinking_20251015": can(true),
                    "clear_tool_uses_20250919": can(true),
                    "compact_20260112": can(true),
                },
                "effort": {
                    "supported": !self.effort.is_empty(),
                    "low": effort(Low), "medium": effort(Medium), "high": effort(High),
                    "xhigh": effort(Xhigh), "max": effort(Max),
                },
                "image_input": can(true),
                "pdf_input": can(true),
                "server_tools": {
                    "supported": self.server_tools,
                    "code_execution": can(self.server_tools),
                    "web_search": can(self.server_tools),
                },
                "structured_outputs": can(self.structured_outputs),
                "thinking": {
                    "supported": self.thinking.iter().any(|kind| *kind != Disabled),
                    "types": {
                        "adaptive": thinking(Adaptive), "enabled": thinking(Enabled),
                        "disabled": thinking(Disabled), "between_tools": thinking(BetweenTools),
                    },
                },
            },
        })
    }
}

/// The models as a script leaves them; models it adds come first, as the newest.
#[derive(Debug, Clone)]
pub(crate) struct Catalogue {
    models: Vec<Model>,
}

impl Catalogue {
    pub(crate) fn new(changes: &[ScriptedModel]) -> Self {
        let mut models: Vec<Model> = TABLE.iter().map(Model::of_row).collect();
        for change in changes {
            if let Some(model) = models.iter_mut().find(|model| model.answers_to(&change.id)) {
                model.apply(change);
            } else if let Some(mut model) = models.iter().find(|model| model.id == "claude-sonnet-5-5").cloned() {
                model.id.clone_from(&change.id);
                model.display_name.clone_from(&change.id);
                (model.line, model.created_at) = (None, UNKNOWN);
                model.apply(change);
                models.insert(0, model);
            }
        }
        Self { models }
    }

    pub(crate) fn all(&self) -> &[Model] {
        &self.models
    }

    /// The model of that id or alias, retired ones too.
    pub(crate) fn find(&self, name: &str) -> Option<&Model> {
        self.models.iter().find(|model| model.answers_to(name))
    }

    /// The model of that id or alias, if requests may name it.
    pub(crate) fn usable(&self, name: &str) -> Option<&Model> {
        self.find(name).filter(|model| model.lifecycle != Lifecycle::Retired)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_dated_model_answers_to_its_alias() {
        let catalogue = Catalogue::new(&[]);
        assert_eq!(catalogue.find("claude-haiku-4-5").unwrap().id, "claude-haiku-4-5-20251001");
        assert!(catalogue.find("claude-haiku-3").is_none());
    }

    #[test]
    fn capabilities_follow_the_table() {
        let catalogue = Catalogue::new(&[]);
        let info = |id: &str| catalogue.find(id).unwrap().info();
        let sonnet = info("claude-sonnet-5-5");
        assert_eq!(sonnet.pointer("/capabilities/thinking/types/between_tools/supported"), Some(&json!(true)));
        assert_eq!(sonnet.pointer("/capabilities/thinking/types/disabled/supported"), Some(&json!(false)));
        assert_eq!(info("claude-opus-4-6").pointer("/capabilities/effort/xhigh/supported"), Some(&json!(false)));
        assert_eq!(info("claude-haiku-4-5").pointer("/capabilities/effort/supported"), Some(&json!(false)));
        let old = info("claude-sonnet-4-5");
        assert_eq!((&old["lifecycle"], &old["retires_at"]), (&json!("deprecated"), &json!("2026-11-30T00:00:00Z")));
    }

    #[test]
    fn a_script_adds_a_model_without_batches_and_retires_another() {
        let changes: Vec<ScriptedModel> = serde_json::from_value(json!([
            {"id": "claude-nobatch-test", "batch": false},
            {"id": "claude-opus-4-5", "lifecycle": "retired"},
        ]))
        .unwrap();
        let catalogue = Catalogue::new(&changes);
        assert!(!catalogue.usable("claude-nobatch-test").unwrap().batch);
        assert!(catalogue.usable("claude-opus-4-5").is_none());
        assert_eq!(catalogue.find("claude-opus-4-5").unwrap().stage(), "retired");
    }
}
