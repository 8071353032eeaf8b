//! What a failed call means, over the dialects of compatible servers.
//!
//! Guarantee: a message holds no key, and none of the server's words when those repeat a part of what was sent (some
//! servers answer a bad request with the request).

use std::time::Duration;

use chrono::{DateTime, TimeDelta, Utc};
use nightshift_domain::model::{HopRequest, ModelErrorKind};
use nightshift_engine::ports::ModelError;
use reqwest::header::HeaderMap;
use serde_json::Value;

/// Most characters of the server's own words that a message keeps.
const LONGEST_SAYING: usize = 300;
/// Length of the pieces in which a saying is searched for in what was sent; 31 repeated bytes always hold one of them.
const PIECE: usize = 16;

/// A failure without an answer.
pub(crate) fn failed(kind: ModelErrorKind, message: impl Into<String>) -> ModelError {
    ModelError { kind, message: message.into(), retry_after: None, request_id: None }
}

/// The id of the request, for support.
pub(crate) fn request_id(headers: &HeaderMap) -> Option<String> {
    text(headers, "x-request-id").map(str::to_owned)
}

/// Whether a body is an error, whatever its status says.
pub(crate) fn is_error(body: &[u8]) -> bool {
    serde_json::from_slice::<Value>(body).is_ok_and(|body| !body["error"].is_null() && body["choices"].is_null())
}

/// What a status and a code mean (`OpenAI` API reference, "Error codes", 2026-10; 402 is that of prepaid gateways).
fn kind_of(status: u16, code: &str) -> ModelErrorKind {
    match (status, code) {
        // A 429 that no waiting cures: the plan's quota is used up.
        (429, "insufficient_quota") | (402, _) => ModelErrorKind::Billing,
        (401, _) => ModelErrorKind::Auth,
        (403, _) => ModelErrorKind::Permission,
        (404, _) => ModelErrorKind::NotFound,
        (408 | 504, _) => ModelErrorKind::Timeout,
        (409, _) => ModelErrorKind::Server,
        (413, _) => ModelErrorKind::TooLarge,
        (429, _) => ModelErrorKind::RateLimited,
        (503 | 529, _) => ModelErrorKind::Overloaded,
        (300..=499, _) => ModelErrorKind::Invalid,
        _ => ModelErrorKind::Server,
    }
}

/// The failure that an answer with a bad status, or with an error in it, is.
pub(crate) fn refusal(status: u16, headers: &HeaderMap, body: &[u8], now: DateTime<Utc>, key: &str) -> ModelError {
    let body: Value = serde_json::from_slice(body).unwrap_or_default();
    let error = &body["error"];
    let word = |name: &str| error[name].as_str().unwrap_or_default();
    // Gateways that answer 200 put the status they got into the error's code.
    let inner = error["code"].as_u64().and_then(|code| u16::try_from(code).ok()).filter(|code| *code >= 400);
    let status = if (200..300).contains(&status) { inner.unwrap_or(500) } else { status };
    let code = [word("code"), word("type")].into_iter().find(|word| !word.is_empty()).unwrap_or("error");
    let quota = if word("type") == "insufficient_quota" { "insufficient_quota" } else { code };
    let places = [&error["message"], error, &body["message"], &body["detail"]];
    let said = places.into_iter().find_map(Value::as_str).unwrap_or("without an error that could be read");
    ModelError {
        kind: kind_of(status, quota),
        message: shortened(&format!("HTTP {status}, {code}: {}", without_keys(said, key))),
        retry_after: retry_after(headers, now),
        request_id: request_id(headers),
    }
}

/// The failure that a broken exchange is. Only what fails before a connection stands was certainly not sent.
pub(crate) fn broken(error: &reqwest::Error) -> ModelError {
    if error.is_builder() {
        return failed(ModelErrorKind::Invalid, "the base URL cannot be used");
    }
    let mut cause: &dyn std::error::Error = error;
    while let Some(source) = cause.source() {
        cause = source;
    }
    let cause = shortened(&cause.to_string());
    if error.is_connect() {
        failed(ModelErrorKind::NotSent, format!("the endpoint cannot be reached: {cause}"))
    } else {
        failed(ModelErrorKind::Unanswered, format!("the connection broke before the answer was complete: {cause}"))
    }
}

/// The failure without the server's words when they repeat a part of the request.
pub(crate) fn hiding(mut error: ModelError, request: &HopRequest) -> ModelError {
    let said = error.message.as_bytes();
    let pieces: Vec<&str> = said.chunks_exact(PIECE).filter_map(|piece| std::str::from_utf8(piece).ok()).collect();
    let contents = request.messages.iter().map(|message| message.content.as_str());
    let mut texts = contents.chain(request.system.as_deref()).chain(request.tools.as_deref());
    if texts.any(|text| pieces.iter().any(|piece| text.contains(piece))) {
        let code = error.kind.code();
        error.message = format!("{code}: what the endpoint says is left out, since it repeats a part of the request");
    }
    error
}

fn retry_after(headers: &HeaderMap, now: DateTime<Utc>) -> Option<TimeDelta> {
    let seconds =
        |seconds: f64| Duration::try_from_secs_f64(seconds).ok().and_then(|wait| TimeDelta::from_std(wait).ok());
    let number = |name| text(headers, name).and_then(|value| value.trim().parse::<f64>().ok());
    let told = number("retry-after-ms").map(|ms| ms / 1000.0).or_else(|| number("retry-after"));
    if let Some(wait) = told.and_then(seconds) {
        return Some(wait);
    }
    let date = DateTime::parse_from_rfc2822(text(headers, "retry-after")?.trim()).ok()?;
    Some((date.with_timezone(&Utc) - now).max(TimeDelta::zero()))
}

fn text<'a>(headers: &'a HeaderMap, name: &str) -> Option<&'a str> {
    headers.get(name)?.to_str().ok()
}

fn shortened(said: &str) -> String {
    match said.char_indices().nth(LONGEST_SAYING) {
        Some((at, _)) => format!("{}…", &said[..at]),
        None => said.to_owned(),
    }
}

/// Takes out the key, and what looks like one: `OpenAI` quotes a wrong key with its middle starred out.
fn without_keys(said: &str, key: &str) -> String {
    let said = if key.is_empty() { said.to_owned() } else { said.replace(key, "[redacted]") };
    let hidden = said.split(' ').map(|word| if word.starts_with("sk-") { "[redacted]" } else { word });
    hidden.collect::<Vec<_>>().join(" ")
}

#[cfg(test)]
mod tests {
    use nightshift_domain::model::{Role, TurnMessage};

    use super::*;

    fn now() -> DateTime<Utc> {
        DateTime::from_timestamp(1_795_219_200, 0).unwrap()
    }

    fn refused(status: u16, body: &str) -> ModelError {
        refusal(status, &HeaderMap::new(), body.as_bytes(), now(), "hush-key")
    }

    #[test]
    fn each_status_has_its_kind() {
        use ModelErrorKind as Kind;
        let rows = [
            (307, Kind::Invalid),
            (400, Kind::Invalid),
            (401, Kind::Auth),
            (402, Kind::Billing),
            (403, Kind::Permission),
            (404, Kind::NotFound),
            (408, Kind::Timeout),
            (409, Kind::Server),
            (413, Kind::TooLarge),
            (422, Kind::Invalid),
            (429, Kind::RateLimited),
            (500, Kind::Server),
            (502, Kind::Server),
            (503, Kind::Overloaded),
            (504, Kind::Timeout),
            (529, Kind::Overloaded),
        ];
        for (status, expected) in rows {
            assert_eq!(refused(status, "<html>").kind, expected, "{status}");
        }
        let quota = r#"{"error":{"message":"m","type":"insufficient_quota","code":"insufficient_quota"}}"#;
        assert_eq!(refused(429, quota).kind, Kind::Billing);
    }

    #[test]
    fn the_words_are_found_in_every_dialect_and_show_no_key() {
        let rows = [
            (
                r#"{"error":{"message":"bad sk-ab***cd or hush-key.","type":"t","code":null}}"#,
                "t: bad [redacted] or [redacted].",
            ),
            (r#"{"error":"model not loaded"}"#, "error: model not loaded"),
            (r#"{"object":"error","message":"no"}"#, "error: no"),
            (r#"{"detail":"no"}"#, "error: no"),
            ("<html>", "error: without an error that could be read"),
        ];
        for (body, expected) in rows {
            assert_eq!(refused(400, body).message, format!("HTTP 400, {expected}"));
        }
        let long = refused(400, &format!(r#"{{"error":"{}"}}"#, "é".repeat(400)));
        assert_eq!(long.message.chars().count(), LONGEST_SAYING + 1);
    }

    #[test]
    fn an_error_under_status_200_is_told_by_its_code() {
        let body = r#"{"error":{"message":"m","code":429}}"#;
        assert!(is_error(body.as_bytes()));
        assert!(!is_error(br#"{"error":null,"choices":[]}"#));
        assert_eq!(refused(200, body).kind, ModelErrorKind::RateLimited);
        assert_eq!(refused(200, r#"{"error":"m"}"#).kind, ModelErrorKind::Server);
    }

    #[test]
    fn a_server_that_echoes_the_prompt_is_not_quoted() {
        let content = r#""my diagnosis is none of your logs' business""#.to_owned();
        let request = HopRequest {
            model: "m".into(),
            max_tokens: 1,
            system: None,
            messages: vec![TurnMessage { role: Role::User, content }],
            ..HopRequest::default()
        };
        let said = |said: &str| hiding(refused(400, &format!(r#"{{"detail":"{said}"}}"#)), &request).message;
        assert!(!said("input: my diagnosis is none of your logs' business").contains("diagnosis"));
        assert!(said("max_tokens is too large").ends_with("max_tokens is too large"));
    }
}
