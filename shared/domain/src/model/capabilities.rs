//! What a model can do, from whoever knows it: the configuration, the provider, or a dated list of our own.
//!
//! Guarantee: what the configuration says wins over the provider, and the provider over the list, which is looked at only
//! where the provider does not tell. A run whose provider cannot be asked is planned all the same where the list knows its
//! model, and says so.

use chrono::{DateTime, NaiveDate, TimeDelta, Utc};
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use super::{ModelErrorKind, ModelInfo};
use crate::money::is_of;

/// The state of the built-in list: models overview page (2026-10-01) and release notes (2026-11-12) of the Claude API.
pub const TABLE_OF: &str = "2026-11-20";
/// How long before a model retires its runs say so.
const WARN_AHEAD: TimeDelta = TimeDelta::days(30);
/// Assumed of a model that nobody describes: half of what the smallest active Claude model may answer with.
const CAUTIOUS_MAX_TOKENS: u64 = 32_000;

/// What the configuration says that a model can do, from a day on. What is left out is as the provider says.
#[derive(Debug, Clone, PartialEq, Eq, Default, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct CapabilityRow {
    /// `provider/model`.
    pub model: String,
    /// The first day it holds (UTC); always when left out.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub from: Option<NaiveDate>,
    /// Most tokens it may answer with.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(range(min = 1))]
    pub max_tokens: Option<u64>,
    /// Most tokens of a request.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(range(min = 1))]
    pub max_input_tokens: Option<u64>,
    /// Efforts it knows: `none`, `minimal`, `low`, `medium`, `high`, `xhigh`, `max`; an empty list means none at all.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub efforts: Option<Vec<String>>,
    /// What it takes in `thinking.type`: `adaptive`, `enabled`, `disabled`, `between_tools`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub thinking: Option<Vec<String>>,
    /// Whether it takes batches.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub batch: Option<bool>,
    /// Whether it may use the provider's own tools.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub server_tools: Option<bool>,
}

impl CapabilityRow {
    fn apply(&self, info: &mut ModelInfo) {
        info.max_tokens = self.max_tokens.unwrap_or(info.max_tokens);
        info.max_input_tokens = self.max_input_tokens.or(info.max_input_tokens);
        info.batch = self.batch.unwrap_or(info.batch);
        info.server_tools = self.server_tools.unwrap_or(info.server_tools);
        if let Some(efforts) = &self.efforts {
            info.efforts.clone_from(efforts);
        }
        if let Some(thinking) = &self.thinking {
            info.thinking.clone_from(thinking);
        }
    }
}

/// What is known of a model, and what a person should know of that.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Known {
    /// What it can do.
    pub info: ModelInfo,
    /// Remarks for the run.
    pub notes: Vec<String>,
}

/// What is known of `model` of `provider`, which answered `told`. `list` says that its models are Anthropic's, so that the
/// built-in list is about them.
///
/// # Errors
/// The provider's failure, where it is one of the key or the account, or where nobody else knows the model either.
pub fn known(
    provider: &str,
    model: &str,
    list: bool,
    told: Result<ModelInfo, ModelErrorKind>,
    rows: &[CapabilityRow],
    now: DateTime<Utc>,
) -> Result<Known, ModelErrorKind> {
    let day = now.date_naive();
    let reference = format!("{provider}/{model}");
    let holds = |row: &&CapabilityRow| row.model == reference && row.from.is_none_or(|from| from <= day);
    let own = rows.iter().filter(holds).max_by_key(|row| row.from);
    let listed = || if list { built_in(model) } else { None };
    let mut notes = Vec::new();
    let mut info = match told {
        Ok(told) if told.undescribed => match listed() {
            Some(listed) => {
                notes.push(format!("{provider} names {model} only; what it can do is from the list of {TABLE_OF}"));
                ModelInfo { id: told.id, retired: told.retired, ..listed }
            }
            None => told,
        },
        Ok(told) => told,
        Err(kind) if says_nothing(kind) => {
            let (found, source) = match (listed(), own) {
                (Some(listed), _) => (listed, format!("the list of {TABLE_OF}")),
                (None, Some(_)) => (cautious(), "models.capabilities".to_owned()),
                (None, None) => return Err(kind),
            };
            notes.push(format!("{provider} does not say what {model} can do ({}); {source} does", kind.code()));
            ModelInfo { id: model.to_owned(), ..found }
        }
        Err(kind) => return Err(kind),
    };
    if let Some(own) = own {
        own.apply(&mut info);
    }
    notes.extend(retirement(&info, now));
    Ok(Known { info, notes })
}

/// Of a model that only the configuration describes, and that perhaps not wholly.
fn cautious() -> ModelInfo {
    ModelInfo { max_tokens: CAUTIOUS_MAX_TOKENS, ..ModelInfo::default() }
}

/// Whether a failed question leaves open what the model can do: a gateway without such a list, or one that is not there now.
fn says_nothing(kind: ModelErrorKind) -> bool {
    match kind {
        ModelErrorKind::NotFound
        | ModelErrorKind::Invalid
        | ModelErrorKind::RateLimited
        | ModelErrorKind::Overloaded
        | ModelErrorKind::Server
        | ModelErrorKind::Timeout
        | ModelErrorKind::NotSent
        | ModelErrorKind::Unanswered => true,
        ModelErrorKind::Auth
        | ModelErrorKind::Permission
        | ModelErrorKind::Billing
        | ModelErrorKind::SpendLimit
        | ModelErrorKind::TooLarge => false,
    }
}

fn retirement(info: &ModelInfo, now: DateTime<Utc>) -> Option<String> {
    let at = info.retires_at.filter(|at| *at - now <= WARN_AHEAD)?;
    let day = at.format("%Y-%m-%d");
    Some(if at > now {
        format!("model {} retires on {day}", info.id)
    } else {
        format!("model {} was to retire on {day}", info.id)
    })
}

/// A row of the list.
struct Row {
    id: &'static str,
    max_tokens: u64,
    max_input_tokens: u64,
    efforts: &'static [&'static str],
    thinking: &'static [&'static str],
    retires: Option<&'static str>,
}

const ALL: &[&str] = &["low", "medium", "high", "xhigh", "max"];
const ADAPTIVE: &[&str] = &["adaptive"];
const ADAPTIVE_OR_NOT: &[&str] = &["adaptive", "disabled"];
const BUDGET_OR_NOT: &[&str] = &["enabled", "disabled"];

const fn row(id: &'static str, efforts: &'static [&'static str], thinking: &'static [&'static str]) -> Row {
    Row { id, max_tokens: 128_000, max_input_tokens: 1_000_000, efforts, thinking, retires: None }
}

/// A model of the 4.5 family.
const fn small(id: &'static str, efforts: &'static [&'static str], retires: Option<&'static str>) -> Row {
    Row { id, max_tokens: 64_000, max_input_tokens: 200_000, efforts, thinking: BUDGET_OR_NOT, retires }
}

/// Newest first. Every one takes batches and the provider's tools. The 128,000 of Sonnet 4.6 are a third party's figure;
/// a hop asks for at most half of that.
const LIST: [Row; 15] = [
    row("claude-fable-5-2", ALL, ADAPTIVE),
    row("claude-haiku-5-5", ALL, ADAPTIVE_OR_NOT),
    row("claude-sonnet-5-5", ALL, &["adaptive", "between_tools"]),
    row("claude-opus-5-5", ALL, ADAPTIVE),
    row("claude-fable-5-1", ALL, ADAPTIVE),
    row("claude-fable-5", ALL, ADAPTIVE),
    row("claude-sonnet-5", ALL, ADAPTIVE_OR_NOT),
    row("claude-opus-5", ALL, ADAPTIVE_OR_NOT),
    row("claude-opus-4-8", ALL, ADAPTIVE_OR_NOT),
    row("claude-opus-4-7", ALL, ADAPTIVE_OR_NOT),
    row("claude-opus-4-6", &["low", "medium", "high", "max"], &["adaptive", "enabled", "disabled"]),
    row("claude-sonnet-4-6", &["low", "medium", "high", "max"], &["adaptive", "enabled", "disabled"]),
    small("claude-opus-4-5", &["low", "medium", "high"], None),
    small("claude-haiku-4-5", &[], None),
    small("claude-sonnet-4-5", &[], Some("2026-11-30T00:00:00Z")),
];

/// What the list knows of `model`, which may carry the day of its snapshot (`claude-haiku-4-5-20251001`).
pub fn built_in(model: &str) -> Option<ModelInfo> {
    let row = LIST.iter().find(|row| is_of(row.id, model))?;
    let words = |words: &[&str]| words.iter().map(|word| (*word).to_owned()).collect();
    Some(ModelInfo {
        id: model.to_owned(),
        batch: true,
        max_tokens: row.max_tokens,
        max_input_tokens: Some(row.max_input_tokens),
        efforts: words(row.efforts),
        thinking: words(row.thinking),
        server_tools: true,
        retired: false,
        retires_at: row.retires.and_then(|at| at.parse().ok()),
        undescribed: false,
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    fn now() -> DateTime<Utc> {
        "2026-11-20T12:00:00Z".parse().unwrap()
    }

    fn told(model: &str) -> ModelInfo {
        ModelInfo { id: model.into(), max_tokens: 1000, efforts: vec!["low".into()], ..ModelInfo::default() }
    }

    #[test]
    fn every_model_of_the_list_has_its_figures_and_a_price() {
        for row in &LIST {
            let dated = format!("{}-20260101", row.id);
            let info = built_in(&dated).unwrap();
            assert_eq!((info.id.as_str(), info.max_tokens), (dated.as_str(), row.max_tokens));
            assert!(info.batch && info.server_tools && !info.retired && !info.thinking.is_empty(), "{}", row.id);
            let when = now();
            assert!(crate::money::price(&format!("anthropic/{}", row.id), when, &[]).is_some(), "{}", row.id);
            assert!(row.retires.is_none() || info.retires_at.is_some(), "{}", row.id);
        }
        assert_eq!(built_in("claude-haiku-4-5-20251001").unwrap().max_input_tokens, Some(200_000));
        for stranger in ["claude-opus-5-6", "claude-opus-4", "claude-opus-5-2026", "gpt-5", "claude-opus-55"] {
            assert_eq!(built_in(stranger), None, "{stranger}");
        }
    }

    #[test]
    fn what_the_provider_says_wins_over_the_list_and_the_configuration_over_both() {
        let model = "claude-opus-5";
        let ask = |rows: &[CapabilityRow]| known("anthropic", model, true, Ok(told(model)), rows, now()).unwrap();
        assert_eq!(ask(&[]), Known { info: told(model), notes: vec![] });
        let row = CapabilityRow {
            model: format!("anthropic/{model}"),
            efforts: Some(vec![]),
            batch: Some(true),
            max_input_tokens: Some(5),
            ..CapabilityRow::default()
        };
        let expected = ModelInfo { efforts: vec![], batch: true, max_input_tokens: Some(5), ..told(model) };
        assert_eq!(ask(std::slice::from_ref(&row)).info, expected);
        let later = CapabilityRow { from: "2026-11-21".parse().ok(), max_tokens: Some(7), ..row.clone() };
        let today = CapabilityRow { from: "2026-11-20".parse().ok(), max_tokens: Some(6), ..row.clone() };
        let other = CapabilityRow { model: "anthropic/claude-opus-5-5".into(), max_tokens: Some(8), ..row.clone() };
        assert_eq!(ask(&[later, today, row, other]).info.max_tokens, 6, "the latest row that holds");
    }

    #[test]
    fn a_provider_that_cannot_be_asked_is_stood_in_for_with_a_note_and_one_that_refuses_the_key_is_not() {
        let model = "claude-opus-4-8";
        for kind in [ModelErrorKind::NotFound, ModelErrorKind::NotSent, ModelErrorKind::Overloaded] {
            let Known { info, notes } = known("gateway", model, true, Err(kind), &[], now()).unwrap();
            assert_eq!(info, built_in(model).unwrap());
            let [note] = notes.as_slice() else { panic!("{notes:?}") };
            assert!(note.contains("gateway") && note.contains(kind.code()) && note.contains(TABLE_OF), "{note}");
            assert_eq!(known("gateway", model, false, Err(kind), &[], now()), Err(kind), "not Anthropic's");
            assert_eq!(known("gateway", "unheard-of", true, Err(kind), &[], now()), Err(kind));
        }
        for kind in [ModelErrorKind::Auth, ModelErrorKind::Permission, ModelErrorKind::Billing] {
            assert_eq!(known("gateway", model, true, Err(kind), &[], now()), Err(kind));
        }
    }

    #[test]
    fn a_model_that_only_the_configuration_knows_can_be_planned() {
        let row = CapabilityRow { model: "gateway/mine".into(), max_tokens: Some(9000), ..CapabilityRow::default() };
        let told = Err(ModelErrorKind::NotFound);
        let Known { info, notes } = known("gateway", "mine", true, told, &[row], now()).unwrap();
        assert_eq!((info.id.as_str(), info.max_tokens, info.batch), ("mine", 9000, false));
        assert!(notes[0].contains("models.capabilities"), "{notes:?}");
    }

    #[test]
    fn a_model_that_is_only_named_is_described_by_the_list() {
        let named = |model: &str| ModelInfo { undescribed: true, ..told(model) };
        let ask = |model: &str| known("gateway", model, true, Ok(named(model)), &[], now()).unwrap();
        let Known { info, notes } = ask("claude-sonnet-5");
        assert_eq!((info, notes.len()), (built_in("claude-sonnet-5").unwrap(), 1));
        assert_eq!(ask("mine"), Known { info: named("mine"), notes: vec![] });
    }

    #[test]
    fn a_retirement_is_told_from_thirty_days_before() {
        let model = "claude-sonnet-4-5";
        let notes = |at: &str| {
            let told = Ok(built_in(model).unwrap());
            known("anthropic", model, true, told, &[], at.parse().unwrap()).unwrap().notes
        };
        assert_eq!(notes("2026-10-30T23:59:59Z"), [""; 0]);
        assert_eq!(notes("2026-10-31T00:00:00Z"), ["model claude-sonnet-4-5 retires on 2026-11-30"]);
        assert_eq!(notes("2026-12-24T00:00:00Z"), ["model claude-sonnet-4-5 was to retire on 2026-11-30"]);
    }
}
