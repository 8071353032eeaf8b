//! What jobs and patches have in common: where answers and alarms go, and the schemas of fields that take more than one kind
//! of value.

use schemars::{JsonSchema, Schema, SchemaGenerator, json_schema};
use serde::{Deserialize, Serialize};

/// How an answer or a notice goes out.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "lowercase")]
pub enum ModeInput {
    /// As a message to a chat.
    Announce,
    /// As a signed POST to `to`, which must be an http or https address.
    Webhook,
    /// Not at all.
    None,
    /// What the first version of `OpenClaw` called `announce`.
    Deliver,
}

/// Where an answer goes; not empty.
#[derive(Debug, Clone, PartialEq, Eq, Default, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
#[schemars(extend("minProperties" = 1))]
pub struct DeliveryInput {
    /// How; `announce` when left out.
    pub mode: Option<ModeInput>,
    /// The channel's name, or `last`; the agent's route when left out.
    pub channel: Option<String>,
    /// The target, in the channel's grammar, or the webhook's address; not blank.
    #[schemars(length(min = 1))]
    pub to: Option<String>,
    /// A thread or topic, which wins over one inside `to`.
    #[schemars(schema_with = "thread_id")]
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub thread_id: Option<String>,
    /// The channel's account.
    pub account_id: Option<String>,
    /// A target that cannot be resolved does not fail the run.
    pub best_effort: Option<bool>,
    /// Where failure notices go instead.
    pub failure_destination: Option<DestinationInput>,
}

/// A place for notices.
#[derive(Debug, Clone, PartialEq, Eq, Default, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct DestinationInput {
    /// How; `announce` when left out.
    pub mode: Option<ModeInput>,
    /// The channel's name.
    pub channel: Option<String>,
    /// The target, or the webhook's address; not blank.
    #[schemars(length(min = 1))]
    pub to: Option<String>,
    /// The channel's account.
    pub account_id: Option<String>,
}

/// When to raise an alarm: `false` for never, `true` for the configured rule, or a rule.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(untagged)]
pub enum AlertInput {
    /// Never, or by the configured rule.
    Switch(bool),
    /// By this rule.
    Rule(AlertRuleInput),
}

/// After how many failures, how often, and where.
#[derive(Debug, Clone, PartialEq, Eq, Default, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct AlertRuleInput {
    /// Consecutive failures before the first alert.
    #[schemars(range(min = 1))]
    pub after: Option<u64>,
    /// Least time between two alerts, ms.
    pub cooldown_ms: Option<u64>,
    /// Whether skipped occurrences count.
    pub include_skipped: Option<bool>,
    /// How.
    pub mode: Option<ModeInput>,
    /// The channel's name.
    pub channel: Option<String>,
    /// The target, or the webhook's address; not blank.
    #[schemars(length(min = 1))]
    pub to: Option<String>,
    /// The channel's account.
    pub account_id: Option<String>,
}

fn thread_id(_: &mut SchemaGenerator) -> Schema {
    json_schema!({ "type": ["string", "number", "null"] })
}

/// A number of milliseconds from `least` to `most`, without its fraction; also as a text, as older versions wrote it.
fn millis(least: u64, most: u64, optional: bool) -> Schema {
    let kinds = if optional { &["number", "string", "null"][..] } else { &["number", "string"] };
    json_schema!({
        "type": kinds,
        "minimum": least,
        // Up to the next whole number, whose fraction is cut off.
        "exclusiveMaximum": most + 1,
        "pattern": r"^\s*[+-]?[0-9]+\s*$",
    })
}

/// Ten years of 365.25 days, ms: the longest interval, as in `OpenClaw`.
const TEN_YEARS_MS: u64 = 315_576_000_000;
/// A day, ms: the widest stagger.
const DAY_MS: u64 = 86_400_000;
/// The last instant a date can be made of here, epoch ms.
const LAST_INSTANT_MS: u64 = 8_210_266_876_799_999;

pub(super) fn every_ms(_: &mut SchemaGenerator) -> Schema {
    millis(1, TEN_YEARS_MS, false)
}

pub(super) fn every_ms_or_null(_: &mut SchemaGenerator) -> Schema {
    millis(1, TEN_YEARS_MS, true)
}

pub(super) fn anchor_ms(_: &mut SchemaGenerator) -> Schema {
    millis(0, LAST_INSTANT_MS, true)
}

pub(super) fn stagger_ms(_: &mut SchemaGenerator) -> Schema {
    millis(0, DAY_MS, true)
}

/// An instant: a text, or epoch milliseconds.
pub(super) fn at(_: &mut SchemaGenerator) -> Schema {
    json_schema!({ "type": ["string", "number"] })
}

pub(super) fn at_or_null(_: &mut SchemaGenerator) -> Schema {
    json_schema!({ "type": ["string", "number", "null"] })
}

/// Seconds of a turn. A fraction is cut off, and a text is ignored, as every version of `OpenClaw` did.
pub(super) fn timeout_seconds(_: &mut SchemaGenerator) -> Schema {
    json_schema!({ "type": ["number", "string", "null"], "minimum": 1, "exclusiveMaximum": 604_801 })
}

/// The one word a field may hold, in any letter case; the object's other fields tell it too.
fn told(word: &str) -> Schema {
    json_schema!({ "enum": [word, null] })
}

pub(super) fn kind_at(_: &mut SchemaGenerator) -> Schema {
    told("at")
}

pub(super) fn kind_every(_: &mut SchemaGenerator) -> Schema {
    told("every")
}

pub(super) fn kind_cron(_: &mut SchemaGenerator) -> Schema {
    told("cron")
}

pub(super) fn kind_agent_turn(_: &mut SchemaGenerator) -> Schema {
    told("agentTurn")
}

pub(super) fn kind_system_event(_: &mut SchemaGenerator) -> Schema {
    told("systemEvent")
}

/// A session target in any letter case; blank is left out.
pub(super) fn session_target(_: &mut SchemaGenerator) -> Schema {
    json_schema!({ "type": ["string", "null"], "pattern": target_pattern() })
}

/// The same, where it cannot be cleared.
pub(super) fn new_session_target(_: &mut SchemaGenerator) -> Schema {
    json_schema!({ "type": "string", "pattern": target_pattern() })
}

/// JSON Schema's patterns know no "any letter case", and their `\s` leaves out U+0085, which is cut off here too.
fn target_pattern() -> String {
    let any_case = |word: &str| -> String {
        word.chars().flat_map(|letter| ['[', letter, letter.to_ascii_uppercase(), ']']).collect()
    };
    let words = ["main", "isolated", "current"].map(any_case).join("|");
    let (session, blank) = (any_case("session"), r"[\s\u0085]*");
    format!("^{blank}(|{words}|{session}:.+){blank}$")
}
