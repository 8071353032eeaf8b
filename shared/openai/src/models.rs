//! What `GET /models` tells, remembered for an hour. Most servers list ids only; a few gateways add limits.

use std::collections::HashMap;
use std::sync::{Mutex, MutexGuard, PoisonError};

use chrono::{DateTime, TimeDelta, Utc};
use nightshift_domain::model::ModelInfo;
use serde_json::Value;

const REMEMBERED_FOR: TimeDelta = TimeDelta::hours(1);
/// Assumed where nothing is said: small enough for any model that is in use.
const CAUTIOUS_MAX_TOKENS: u64 = 8192;
/// Where gateways put the most tokens of an answer (`OpenRouter`'s list of models first, 2026-10).
const LIMITS: [&str; 3] = ["/top_provider/max_completion_tokens", "/max_completion_tokens", "/max_output_tokens"];

/// What was asked lately, by model.
#[derive(Debug, Default)]
pub(crate) struct Cache(Mutex<HashMap<String, (DateTime<Utc>, ModelInfo)>>);

impl Cache {
    pub(crate) fn get(&self, model: &str, now: DateTime<Utc>) -> Option<ModelInfo> {
        let entries = self.entries();
        let (at, info) = entries.get(model)?;
        let age = now - *at;
        (age >= TimeDelta::zero() && age < REMEMBERED_FOR).then(|| info.clone())
    }

    pub(crate) fn put(&self, model: &str, now: DateTime<Utc>, info: ModelInfo) {
        self.entries().insert(model.to_owned(), (now, info));
    }

    fn entries(&self) -> MutexGuard<'_, HashMap<String, (DateTime<Utc>, ModelInfo)>> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// What a list of models tells about one. One that is not on the list may still be an alias that works.
pub(crate) fn info(model: &str, list: &[u8]) -> ModelInfo {
    let list: Value = serde_json::from_slice(list).unwrap_or_default();
    let models = list["data"].as_array().map_or(&[][..], Vec::as_slice);
    let found = models.iter().find(|each| each["id"] == model);
    let limit = found.and_then(|found| LIMITS.iter().find_map(|place| found.pointer(place)?.as_u64()));
    ModelInfo {
        id: model.to_owned(),
        batch: false,
        max_tokens: limit.unwrap_or(CAUTIOUS_MAX_TOKENS),
        ..ModelInfo::default()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_limit_is_taken_where_the_list_tells_it_and_assumed_elsewhere() {
        let list =
            br#"{"object":"list","data":[{"id":"plain"},{"id":"a/b","top_provider":{"max_completion_tokens":65536}},
            {"id":"c","max_output_tokens":100}]}"#;
        let limit = |model| info(model, list).max_tokens;
        assert_eq!((limit("plain"), limit("a/b"), limit("c"), limit("alias")), (8192, 65_536, 100, 8192));
        for nonsense in [&b""[..], b"[]", br#"{"data":7}"#] {
            assert_eq!(info("m", nonsense).max_tokens, 8192);
        }
    }
}
