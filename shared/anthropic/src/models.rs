//! What the API says its models can do, remembered for an hour.

use std::collections::HashMap;
use std::sync::{Mutex, MutexGuard, PoisonError};

use chrono::{DateTime, TimeDelta, Utc};
use nightshift_domain::model::{ModelErrorKind, ModelInfo};
use reqwest::Method;
use serde::Deserialize;

use crate::Anthropic;
use crate::errors::Failure;
use crate::transport::segment;

const REMEMBERED_FOR: TimeDelta = TimeDelta::hours(1);
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
    capabilities: Option<Capabilities>,
}

#[derive(Deserialize)]
struct Capabilities {
    #[serde(default)]
    batch: Option<Support>,
    #[serde(default)]
    effort: Option<Effort>,
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

/// Reads a model. One that says nothing about batches takes them, as all active models do ("Batch processing" page,
/// 2026-10-01).
fn info(shown: &[u8]) -> serde_json::Result<ModelInfo> {
    let shown: Shown = serde_json::from_slice(shown)?;
    let (batch, effort) = shown.capabilities.map_or((None, None), |each| (each.batch, each.effort));
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
        retired: shown.lifecycle.as_deref() == Some("retired"),
        ..ModelInfo::default()
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
            "capabilities": {"batch": yes, "thinking": {"supported": true}, "effort":
                {"supported": true, "max": yes, "high": yes, "xhigh": null, "medium": no, "low": yes}}});
        let expected = ModelInfo {
            id: "claude-opus-4-6".into(),
            batch: true,
            max_tokens: 128_000,
            max_input_tokens: Some(1_000_000),
            efforts: ["low", "high", "max"].map(str::to_owned).to_vec(),
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
