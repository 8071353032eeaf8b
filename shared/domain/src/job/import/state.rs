//! How a job fared where it comes from.

use serde_json::{Map, Value, json};

use super::{Log, says_something};

/// Fields that this page reads, or that another one of them says better.
const READ: [&str; 16] = [
    "nextRunAtMs",
    "runningAtMs",
    "lastRunAtMs",
    "lastStatus",
    "lastRunStatus",
    "lastError",
    "lastDurationMs",
    "lastDelivered",
    "lastDeliveryStatus",
    "consecutiveErrors",
    "consecutiveSkipped",
    "autoDisabled",
    "lastFailureAlertAtMs",
    "lastFailureNotificationDelivered",
    "lastFailureNotificationDeliveryStatus",
    "lastFailureNotificationDeliveryError",
];

/// Makes `object`'s state one of ours. `mirrors` are the same facts beside the state; the state's own win. The next run is
/// not carried: it is computed anew.
pub(super) fn carry(object: &mut Map<String, Value>, mirrors: &Map<String, Value>, log: &mut Log) {
    let there = match object.shift_remove("state") {
        Some(Value::Object(state)) => state,
        Some(other) => {
            if says_something(&other) {
                log.drop("state", "it is not an object");
            }
            Map::new()
        }
        None => Map::new(),
    };
    let mut here = Map::new();
    let told = |name: &str, mirror: &str| {
        there
            .get(name)
            .filter(|value| !value.is_null())
            .or_else(|| mirrors.get(mirror))
            .filter(|value| !value.is_null())
    };
    if there.get("runningAtMs").is_some_and(says_something) {
        log.drop("state.runningAtMs", "a run that is live where the job comes from ends there; it is not taken over");
    }
    for (name, mirror) in [
        ("lastRunAtMs", "lastRunAtMs"),
        ("lastDurationMs", ""),
        ("consecutiveErrors", ""),
        ("consecutiveSkipped", ""),
        ("lastFailureAlertAtMs", ""),
    ] {
        let Some(value) = told(name, mirror) else { continue };
        let limit = if name.starts_with("consecutive") { i64::from(u32::MAX) } else { i64::MAX };
        match whole(value).filter(|number| (0..=limit).contains(number)) {
            Some(number) => {
                here.insert(name.to_owned(), json!(number));
            }
            None => log.drop(format!("state.{name}"), "it is no whole number"),
        }
    }
    if let Some(status) = told("lastRunStatus", "lastRunStatus").or_else(|| told("lastStatus", "lastRunStatus")) {
        match status.as_str() {
            Some(word @ ("ok" | "error" | "skipped")) => {
                here.insert("lastStatus".to_owned(), json!(word));
            }
            Some(_) | None => log.drop("state.lastStatus", "it is neither ok, error nor skipped"),
        }
    }
    if let Some(error) = told("lastError", "lastRunError").and_then(Value::as_str).filter(|text| !text.is_empty()) {
        here.insert("lastError".to_owned(), json!(error));
    }
    let suppressed = there.get("deliverySuppressionReason").is_some_and(says_something);
    if let Some(word) = told("lastDeliveryStatus", "lastDeliveryStatus").and_then(Value::as_str) {
        match delivery_word(word, suppressed) {
            Some(word) => {
                here.insert("lastDeliveryStatus".to_owned(), json!(word));
            }
            None => log.drop("state.lastDeliveryStatus", "it is no delivery status Nightshift knows"),
        }
    } else if let Some(Value::Bool(delivered)) = told("lastDelivered", "lastDelivered")
        && *delivered
    {
        here.insert("lastDeliveryStatus".to_owned(), json!("delivered"));
    }
    alerted(&there, &mut here, log);
    auto_disabled(&there, &mut here, log);
    for (name, value) in there.iter().filter(|(name, _)| !READ.contains(&name.as_str())) {
        if says_something(value) {
            log.drop(format!("state.{}", name.escape_debug()), "this much of how it fared is not kept here");
        }
    }
    object.insert("state".to_owned(), Value::Object(here));
}

/// What became of the last alert.
fn alerted(there: &Map<String, Value>, here: &mut Map<String, Value>, log: &mut Log) {
    const DELIVERED: &str = "lastFailureNotificationDelivered";
    const STATUS: &str = "lastFailureNotificationDeliveryStatus";
    const ERROR: &str = "lastFailureNotificationDeliveryError";
    if let Some(delivered) = there.get(DELIVERED).filter(|value| value.is_boolean()) {
        here.insert(DELIVERED.to_owned(), delivered.clone());
    }
    if let Some(word) = there.get(STATUS).and_then(Value::as_str) {
        match delivery_word(word, false) {
            Some(word) => drop(here.insert(STATUS.to_owned(), json!(word))),
            None => log.drop(format!("state.{STATUS}"), "it is no delivery status Nightshift knows"),
        }
    }
    if let Some(error) = there.get(ERROR).and_then(Value::as_str).filter(|text| !text.is_empty()) {
        here.insert(ERROR.to_owned(), json!(error));
    }
}

fn auto_disabled(there: &Map<String, Value>, here: &mut Map<String, Value>, log: &mut Log) {
    let Some(value) = there.get("autoDisabled").filter(|value| says_something(value)) else { return };
    let reason = value.get("reason").and_then(Value::as_str).filter(|reason| !reason.trim().is_empty());
    let (Some(reason), Some(at)) = (reason, value.get("atMs").and_then(whole)) else {
        log.drop("state.autoDisabled", "it says neither why nor when");
        return;
    };
    let errors = value.get("consecutiveErrors").and_then(whole).and_then(|errors| u32::try_from(errors).ok());
    here.insert(
        "autoDisabled".to_owned(),
        json!({ "reason": reason, "atMs": at, "consecutiveErrors": errors.unwrap_or(0) }),
    );
}

/// What became of a delivery, in our words. There, `not-delivered` is both a failure and an answer nobody wanted.
pub(super) fn delivery_word(word: &str, suppressed: bool) -> Option<&'static str> {
    match word.trim() {
        "delivered" => Some("delivered"),
        "not-delivered" | "failed" | "suppressed" if suppressed || word.trim() == "suppressed" => Some("suppressed"),
        "not-delivered" | "failed" => Some("failed"),
        "unknown" => Some("unknown"),
        "not-requested" => Some("not-requested"),
        _ => None,
    }
}

/// A whole number; a fraction is cut off.
pub(super) fn whole(value: &Value) -> Option<i64> {
    let number = value.as_number()?;
    number.as_i64().or_else(|| {
        let float = number.as_f64().filter(|float| float.abs() < 9.0e15)?;
        #[expect(clippy::cast_possible_truncation, reason = "bounded above, and the fraction is to go")]
        let whole = float.floor() as i64;
        Some(whole)
    })
}
