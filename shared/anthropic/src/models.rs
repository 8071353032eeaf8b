//! What the API says its models can do, remembered for an hour.

use std::collections::HashMap;
use std::sync::{Mutex, MutexGuard, PoisonError};

use chrono::{DateTime, TimeDelta, Utc};
use nightshift_domain::model::{ModelErrorKind, ModelInfo};
use reqwest::Method;
use serde::Deserialize;
use serde_json::Value;

use crate::Anthropic;
use crate::errors::Failure;
use crate::transport::segment;

const REMEMBERED_FOR: TimeDelta = TimeDelta::hours(1);
/// The words of `thinking.type` (Python SDK 2.11.0, `ThinkingTypes`), in the order they are told.
const THINKING: [&str; 4] = ["adaptive", "enabled", "disabled", "between_tools"];
/// Assumed where `max_tokens` is null, which the API allows: half of what the smallest active model may answer with.
const CAUTIOUS_MAX_TOKENS: u64 = 32_000;

/// What was asked lately, by model.
#[derive(Debug, Default)]
pub(crate) struct Cache(Mutex<HashMap<String, (DateTime<Utc>, ModelInfo)>>);

impl Cache {
    fn get(&self, model: &str, now: DateTime<Utc>) -> Option<ModelInfo> {
        let entries = self.entries();
        let (at, info) = entries.get(model)?;
        let age = now - *at;
        (age >= TimeDelta::zero() && age < REMEMBERED_FOR).then(|| info.clone())
    }

    fn put(&self, model: &str, now: DateTime<Utc>, info: ModelInfo) {
        self.entries().insert(model.to_owned(), (now, info));
    }

    fn entries(&self) -> MutexGuard<'_, HashMap<String, (DateTime<Utc>, ModelInfo)>> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// Python SDK 2.11.0, `ModelInfo`; what older API versions leave out may be missing.
#[derive(Deserialize)]
struct Shown {
    id: String,
    #[serde(default)]
    max_tokens: Option<u64>,
    #[serde(default)]
    max_input_tokens: Option<u64>,
    #[serde(default)]
    lifecycle: Option<String>,
    #[serde(default)]
    retires_at: Option<String>,
    #[serde(default)]
    capabilities: Option<Capabilities>,
}

#[derive(Default, Deserialize)]
struct Capabilities {
    #[serde(default)]
    batch: Option<Support>,
    #[serde(default)]
    effort: Option<Effort>,
    /// `{supported, types: {adaptive: {supported}, …}}`; older API versions know fewer types.
    #[serde(default)]
    thinking: Value,
    /// Absent before API version 2026-10-21.
    #[serde(default)]
    server_tools: Value,
}

#[derive(Deserialize)]
struct Support {
    supported: bool,
}

#[derive(Deserialize)]
struct Effort {
    supported: bool,
    #[serde(default)]
    low: Option<Support>,
    #[serde(default)]
    medium: Option<Support>,
    #[serde(default)]
    high: Option<Support>,
    #[serde(default)]
    xhigh: Option<Support>,
    #[serde(default)]
    max: Option<Support>,
}

/// What a capability comes to: its own word, or else whether any of its parts is supported. `None` when it says nothing.
fn supported(capability: &Value) -> Option<bool> {
    match capability {
        Value::Bool(supported) => Some(*supported),
        Value::Object(parts) => match parts.get("supported").and_then(Value::as_bool) {
            Some(said) => Some(said),
            None => parts.values().filter_map(supported).reduce(|one, other| one || other),
        },
        Value::Null | Value::Number(_) | Value::String(_) | Value::Array(_) => None,
    }
}

/// Reads a model. One that says nothing about batches takes them, as all active models do ("Batch processing" page,
/// 2026-10-01), and so with the provider's own tools ("Server tools" page, 2026-10-01).
fn info(shown: &[u8]) -> serde_json::Result<ModelInfo> {
    let shown: Shown = serde_json::from_slice(shown)?;
    // Gateways list models of theirs under the same path, by name only.
    let undescribed = shown.max_tokens.is_none() && shown.capabilities.is_none();
    let Capabilities { batch, effort, thinking, server_tools } = shown.capabilities.unwrap_or_default();
    let types = &thinking["types"];
    let thinking = THINKING.into_iter().filter(|word| supported(&types[word]) == Some(true)).map(str::to_owned);
    let efforts = effort.filter(|effort| effort.supported).map_or_else(Vec::new, |effort| {
        let levels = [
            ("low", effort.low),
            ("medium", effort.medium),
            ("high", effort.high),
            ("xhigh", effort.xhigh),
            ("max", effort.max),
        ];
        let supported = levels.into_iter().filter(|(_, level)| level.as_ref().is_some_and(|level| level.supported));
        supported.map(|(name, _)| name.to_owned()).collect()
    });
    Ok(ModelInfo {
        id: shown.id,
        batch: batch.is_none_or(|batch| batch.supported),
        max_tokens: shown.max_tokens.unwrap_or(CAUTIOUS_MAX_TOKENS),
        max_input_tokens: shown.max_input_tokens,
        efforts,
        thinking: thinking.collect(),
        server_tools: supported(&server_tools).unwrap_or(true),
        retired: shown.lifecycle.as_deref() == Some("retired"),
        retires_at: shown.retires_at.and_then(|at| at.parse().ok()),
        undescribed,
    })
}

impl Anthropic {
    pub(crate) async fn model_info(&self, model: &str) -> Result<ModelInfo, Failure> {
        let now = self.clock.now();
        if let Some(known) = self.models.get(model, now) {
            return Ok(known);
        }
        let answer = self.read(Method::GET, format!("/v1/models/{}", segment(model))).await?;
        let info = info(&answer.body)
            .map_err(|_| Failure::new(ModelErrorKind::Server, "what the API says about the model cannot be read"))?;
        self.models.put(model, now, info.clone());
        Ok(info)
    }
}

#[cfg(test)]
mod tests {
    use serde_json::{Value, json};

    use super::*;

    fn read(shown: &Value) -> ModelInfo {
        info(shown.to_string().as_bytes()).unwrap()
    }

    #[test]
    fn a_model_is_read_from_its_support_flags_lowest_effort_first() {
        let yes = json!({"supported": true});
        let no = json!({"supported": false});
        let shown = json!({"type": "model", "id": "claude-opus-4-6", "display_name": "x", "created_at": "2026-02-04T00:00:00Z",
            "lifecycle": "deprecated", "retires_at": "2026-01-01T00:00:00Z", "max_tokens": 128_000, "max_input_tokens": 1_000_000,
            "capabilities": {"batch": yes, "thinking": {"supported": true, "types": {"disabled": yes, "adaptive": yes,
                "enabled": no, "from_2031": yes}}, "server_tools": {"supported": false, "web_search": yes}, "effort":
                {"supported": true, "max": yes, "high": yes, "xhigh": null, "medium": no, "low": yes}}});
        let expected = ModelInfo {
            id: "claude-opus-4-6".into(),
            batch: true,
            max_tokens: 128_000,
            max_input_tokens: Some(1_000_000),
            efforts: ["low", "high", "max"].map(str::to_owned).to_vec(),
            thinking: ["adaptive", "disabled"].map(str::to_owned).to_vec(),
            retires_at: "2026-01-01T00:00:00Z".parse().ok(),
            ..ModelInfo::default()
        };
        assert_eq!(read(&shown), expected);
    }

    #[test]
    fn a_model_without_effort_or_batches_or_life_says_so() {
        let shown = json!({"id": "m", "lifecycle": "retired", "max_tokens": 1, "capabilities": {"batch": {"supported": false},
            "effort": {"supported": false, "low": {"supported": true}}}});
        let info = read(&shown);
        assert_eq!((info.batch, info.efforts, info.retired), (false, vec![], true));
    }

    #[test]
    fn a_model_that_is_shown_without_details_gets_cautious_ones() {
        let info = read(&json!({"id": "m", "max_tokens": null, "capabilities": null}));
        assert_eq!((info.batch, info.max_tokens, info.retired), (true, 32_000, false));
        assert_eq!((info.max_input_tokens, info.thinking, info.server_tools), (None, vec![], true));
        assert!(read(&json!({"id": "m", "max_tokens": null, "capabilities": null})).undescribed);
        assert!(!read(&json!({"id": "m", "max_tokens": 9})).undescribed);
    }

    #[test]
    fn server_tools_may_be_told_as_a_whole_or_one_by_one() {
        let tools = |told: Value| read(&json!({"id": "m", "capabilities": {"server_tools": told}})).server_tools;
        let (yes, no) = (json!({"supported": true}), json!({"supported": false}));
        assert!(tools(json!({"supported": true, "web_search": no})));
        assert!(tools(json!({"web_search": no, "code_execution": yes})));
        assert!(tools(json!({"web_search_20250305": true})));
        assert!(tools(json!(true)) && tools(json!(null)) && tools(json!({})));
        assert!(!tools(json!({"supported": false, "web_search": yes})));
        assert!(!tools(json!({"web_search": no, "code_execution": no})));
        assert!(!tools(json!(false)));
        assert!(read(&json!({"id": "m", "capabilities": {}})).server_tools);
    }

    #[test]
    fn thinking_that_is_told_in_another_shape_is_taken_for_none() {
        for told in [json!(null), json!(true), json!({"supported": true}), json!({"types": ["adaptive"]})] {
            assert_eq!(read(&json!({"id": "m", "capabilities": {"thinking": told}})).thinking, Vec::<String>::new());
        }
    }

    #[test]
    fn what_is_known_is_forgotten_after_an_hour() {
        let cache = Cache::default();
        let start = DateTime::from_timestamp(1_795_219_200, 0).unwrap();
        cache.put("m", start, read(&json!({"id": "m"})));
        assert!(cache.get("m", start + TimeDelta::minutes(59)).is_some());
        assert!(cache.get("m", start + TimeDelta::hours(1)).is_none());
        assert!(cache.get("other", start).is_none());
    }
}
