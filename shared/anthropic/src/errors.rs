//! What a failed call means: HTTP statuses, error types and broken connections as [`ModelErrorKind`]s.
//!
//! Guarantee: decisions rest on status, `type` and `error_code`, never on the wording ("Errors" page, 2026-10-01); a
//! message holds no key, and none of the API's words when those repeat a part of what was sent.

use std::time::Duration;

use chrono::{DateTime, TimeDelta, Utc};
use nightshift_domain::model::{HopRequest, McpConnection, ModelErrorKind};
use nightshift_engine::ports::ModelError;
use reqwest::header::HeaderMap;
use serde::Deserialize;

use crate::headers::{REQUEST_ID, SHOULD_RETRY};

/// Most characters of the API's own words that a message keeps.
const LONGEST_SAYING: usize = 300;
/// Length of the pieces in which a saying is searched for in what was sent; 31 repeated bytes always hold one of them.
const PIECE: usize = 16;
/// The same for a secret: so many of its bytes in a row are too many.
const SECRET_PIECE: usize = 8;

/// The status that belongs to each error type ("Errors" page, 2026-10-01). A batch row has only the type.
const TYPES: [(&str, u16); 11] = [
    ("invalid_request_error", 400),
    ("authentication_error", 401),
    ("billing_error", 402),
    ("permission_error", 403),
    ("not_found_error", 404),
    ("conflict_error", 409),
    ("request_too_large", 413),
    ("rate_limit_error", 429),
    ("api_error", 500),
    ("timeout_error", 504),
    ("overloaded_error", 529),
];

/// A call that did not do what it should, with what the adapter itself needs to go on.
#[derive(Debug)]
pub(crate) struct Failure {
    pub(crate) error: ModelError,
    /// The status, if there was an answer.
    pub(crate) status: Option<u16>,
    /// The server's own word on repeating.
    pub(crate) should_retry: Option<bool>,
}

impl From<Failure> for ModelError {
    fn from(failure: Failure) -> Self {
        failure.error
    }
}

impl Failure {
    /// One without an answer.
    pub(crate) fn new(kind: ModelErrorKind, message: impl Into<String>) -> Self {
        let error = ModelError { kind, message: message.into(), retry_after: None, request_id: None };
        Self { error, status: None, should_retry: None }
    }

    /// Whether a read is worth repeating at once.
    pub(crate) fn is_repeatable(&self) -> bool {
        self.should_retry.unwrap_or_else(|| self.error.kind.is_transient())
    }

    /// The failure without the API's words when they repeat a part of `requests`: a validator may quote its input, and an
    /// MCP server's address or token may be a secret.
    pub(crate) fn hiding<'a>(mut self, requests: impl IntoIterator<Item = &'a HopRequest>) -> Self {
        let said = self.error.message.as_bytes();
        let pieces: Vec<&str> = said.chunks_exact(PIECE).filter_map(|piece| std::str::from_utf8(piece).ok()).collect();
        let quotes = |text: &str| pieces.iter().any(|piece| text.contains(piece));
        let holds = |secret: &str, length: usize| {
            let mut pieces = said.windows(length.max(1)).filter_map(|piece| std::str::from_utf8(piece).ok());
            pieces.any(|piece| secret.contains(piece))
        };
        let leaks = |server: &McpConnection| {
            let token = server.token.as_deref().unwrap_or_default();
            // A short path is a plain name, like `mcp`.
            holds(token, token.len().min(SECRET_PIECE)) || holds(beyond_host(&server.url), PIECE)
        };
        let repeated = requests.into_iter().any(|request| {
            let contents = request.messages.iter().map(|message| message.content.as_str());
            let mut texts = contents.chain(request.system.as_deref()).chain(request.tools.as_deref());
            texts.any(quotes) || request.mcp_servers.iter().any(leaks)
        });
        if repeated {
            let code = self.error.kind.code();
            self.error.message =
                format!("{code}: what the API says is left out, since it repeats a part of the request");
        }
        self
    }
}

/// The path and query of an address, where some servers expect their secret.
fn beyond_host(url: &str) -> &str {
    let rest = url.split_once("://").map_or(url, |(_, rest)| rest);
    rest.find(['/', '?']).map_or("", |at| &rest[at + 1..])
}

#[derive(Debug, Default, Deserialize)]
#[serde(default)]
pub(crate) struct ErrorBody {
    pub(crate) error: ErrorObject,
    request_id: Option<String>,
}

#[derive(Debug, Default, Deserialize)]
#[serde(default)]
pub(crate) struct ErrorObject {
    #[serde(rename = "type")]
    kind: String,
    message: String,
    details: Option<Details>,
}

#[derive(Debug, Default, Deserialize)]
#[serde(default)]
struct Details {
    error_code: Option<String>,
}

impl ErrorObject {
    fn code(&self) -> Option<&str> {
        self.details.as_ref()?.error_code.as_deref()
    }

    /// What the error of a batch row or a stream means; types newer than this program count as the provider's failure.
    pub(crate) fn row_kind(&self) -> ModelErrorKind {
        let status = TYPES.iter().find(|(name, _)| *name == self.kind).map_or(500, |(_, status)| *status);
        kind_of(status, self)
    }

    /// The type and what the API said, cut short and without anything that looks like a key.
    /// The same for a row of a batch, whose request is not at hand to look for what must not be repeated: addresses lose
    /// their paths, which may hold secrets.
    pub(crate) fn row_sentence(&self, key: &str) -> String {
        without_paths(&self.sentence(key))
    }

    pub(crate) fn sentence(&self, key: &str) -> String {
        let kind = if self.kind.is_empty() { "error" } else { &self.kind };
        let said = without_keys(&self.message, key);
        shortened(&if said.is_empty() { kind.to_owned() } else { format!("{kind}: {said}") })
    }
}

/// A text whose addresses end with their host.
fn without_paths(text: &str) -> String {
    let mut clean = String::with_capacity(text.len());
    let mut rest = text;
    while let Some(at) = rest.find("://") {
        let (before, after) = rest.split_at(at + 3);
        clean.push_str(before);
        let end = |each: char| each.is_whitespace() || "\"'<>)".contains(each);
        let address = &after[..after.find(end).unwrap_or(after.len())];
        let host = address.find(['/', '?', '#']).unwrap_or(address.len());
        // What stands before an `@` opens something too.
        let named = address[..host].rfind('@').map_or(0, |at| at + 1);
        clean.push_str(&address[named..host]);
        if host < address.len() {
            clean.push_str("/…");
        }
        rest = &after[address.len()..];
    }
    clean.push_str(rest);
    clean
}

/// What a status means, with the type to tell apart the failures on the provider's side.
///
/// A spend limit is told by its `error_code` (`enforced_…`, `contract_…` on 429 without `retry-after`,
/// `linked_organization_…` on 402; Python SDK 2.11.0): waiting does not help before the month is over.
fn kind_of(status: u16, error: &ErrorObject) -> ModelErrorKind {
    if error.code().is_some_and(|code| code.ends_with("spend_limit_reached")) {
        return ModelErrorKind::SpendLimit;
    }
    match status {
        401 => ModelErrorKind::Auth,
        402 => ModelErrorKind::Billing,
        403 => ModelErrorKind::Permission,
        404 => ModelErrorKind::NotFound,
        408 | 504 => ModelErrorKind::Timeout,
        // A conflict passes; the official SDKs repeat it.
        409 => ModelErrorKind::Server,
        413 => ModelErrorKind::TooLarge,
        429 => ModelErrorKind::RateLimited,
        529 => ModelErrorKind::Overloaded,
        300..=499 => ModelErrorKind::Invalid,
        _ if error.kind == "overloaded_error" => ModelErrorKind::Overloaded,
        _ if error.kind == "timeout_error" => ModelErrorKind::Timeout,
        _ => ModelErrorKind::Server,
    }
}

/// The failure that an answer with a bad status is.
pub(crate) fn refusal(status: u16, headers: &HeaderMap, body: &[u8], now: DateTime<Utc>, key: &str) -> Failure {
    let parsed = serde_json::from_slice::<ErrorBody>(body).ok();
    let message = match (&parsed, status) {
        (Some(body), _) => format!("HTTP {status}, {}", body.error.sentence(key)),
        (None, 300..=399) => format!("HTTP {status}: the base URL redirects, which is not followed"),
        (None, _) => format!("HTTP {status} without an error that could be read"),
    };
    let body = parsed.unwrap_or_default();
    let error = ModelError {
        kind: kind_of(status, &body.error),
        message,
        retry_after: retry_after(headers, now),
        request_id: text(headers, REQUEST_ID).map(str::to_owned).or(body.request_id),
    };
    let should_retry = match text(headers, SHOULD_RETRY) {
        Some("true") => Some(true),
        Some("false") => Some(false),
        Some(_) | None => None,
    };
    Failure { error, status: Some(status), should_retry }
}

/// The failure that an `error` event is, in the midst of an answer whose status was good ("Streaming" page, 2026-10-01):
/// its type takes the place of the status.
pub(crate) fn interruption(data: &str, key: &str) -> Failure {
    let Ok(body) = serde_json::from_str::<ErrorBody>(data) else {
        return Failure::new(ModelErrorKind::Server, "the answer broke off with an error that could not be read");
    };
    let message = format!("the answer broke off, {}", body.error.sentence(key));
    let mut failure = Failure::new(body.error.row_kind(), message);
    failure.error.request_id = body.request_id;
    failure
}

/// The failure that a broken exchange is. Only what fails before a connection stands was certainly not sent.
pub(crate) fn broken(error: &reqwest::Error) -> Failure {
    if error.is_builder() {
        return Failure::new(ModelErrorKind::Invalid, "the base URL cannot be used");
    }
    let mut cause: &dyn std::error::Error = error;
    while let Some(source) = cause.source() {
        cause = source;
    }
    let cause = shortened(&cause.to_string());
    if error.is_connect() {
        Failure::new(ModelErrorKind::NotSent, format!("the API cannot be reached: {cause}"))
    } else {
        Failure::new(
            ModelErrorKind::Unanswered,
            format!("the connection broke before the answer was complete: {cause}"),
        )
    }
}

/// When the provider wants to be asked again: `retry-after-ms`, else `retry-after` in seconds or as an HTTP date (official
/// SDKs' retry policy).
pub(crate) fn retry_after(headers: &HeaderMap, now: DateTime<Utc>) -> Option<TimeDelta> {
    let seconds =
        |seconds: f64| Duration::try_from_secs_f64(seconds).ok().and_then(|wait| TimeDelta::from_std(wait).ok());
    let number = |name| text(headers, name).and_then(|value| value.trim().parse::<f64>().ok());
    if let Some(wait) = number("retry-after-ms").and_then(|ms| seconds(ms / 1000.0)) {
        return Some(wait);
    }
    if let Some(wait) = number("retry-after").and_then(seconds) {
        return Some(wait);
    }
    let date = DateTime::parse_from_rfc2822(text(headers, "retry-after")?.trim()).ok()?;
    Some((date.with_timezone(&Utc) - now).max(TimeDelta::zero()))
}

pub(crate) fn text<'a>(headers: &'a HeaderMap, name: &str) -> Option<&'a str> {
    headers.get(name)?.to_str().ok()
}

fn shortened(said: &str) -> String {
    match said.char_indices().nth(LONGEST_SAYING) {
        Some((at, _)) => format!("{}…", &said[..at]),
        None => said.to_owned(),
    }
}

fn without_keys(said: &str, key: &str) -> String {
    let said = if key.is_empty() { said.to_owned() } else { said.replace(key, "[redacted]") };
    let mut pieces = said.split("sk-ant-");
    let mut clean = pieces.next().unwrap_or_default().to_owned();
    for piece in pieces {
        clean.push_str("[redacted]");
        clean.push_str(piece.trim_start_matches(|c: char| c.is_ascii_alphanumeric() || c == '-' || c == '_'));
    }
    clean
}

#[cfg(test)]
mod tests {
    #[test]
    fn addresses_in_a_rows_error_lose_what_may_open_something() {
        let said = "cannot connect to \"https://u:p@mcp.example/s/hush/mcp?k=1\" or https://b.example, twice";
        assert_eq!(without_paths(said), "cannot connect to \"https://mcp.example/…\" or https://b.example, twice");
        assert_eq!(without_paths("no address"), "no address");
    }

    use nightshift_domain::model::{Role, TurnMessage};
    use reqwest::header::{HeaderName, HeaderValue};

    use super::*;

    fn now() -> DateTime<Utc> {
        DateTime::from_timestamp(1_795_219_200, 0).unwrap()
    }

    fn headers(pairs: &[(&'static str, &str)]) -> HeaderMap {
        let pair = |(name, value): &(&'static str, &str)| {
            (HeaderName::from_static(name), HeaderValue::from_str(value).unwrap())
        };
        pairs.iter().map(pair).collect()
    }

    fn body(kind: &str, code: &str) -> String {
        format!(
            r#"{{"type":"error","error":{{"type":"{kind}","message":"m","details":{{"error_code":"{code}"}}}},"request_id":"req_b"}}"#
        )
    }

    #[test]
    fn each_status_and_type_of_the_errors_page_has_its_kind() {
        use ModelErrorKind as Kind;
        let rows = [
            (400, "invalid_request_error", "", Kind::Invalid),
            (400, "invalid_request_error", "enforced_spend_limit_reached", Kind::SpendLimit),
            (401, "authentication_error", "", Kind::Auth),
            (402, "billing_error", "", Kind::Billing),
            (402, "billing_error", "linked_organization_spend_limit_reached", Kind::SpendLimit),
            (403, "permission_error", "", Kind::Permission),
            (404, "not_found_error", "", Kind::NotFound),
            (408, "timeout_error", "", Kind::Timeout),
            (409, "conflict_error", "", Kind::Server),
            (413, "request_too_large", "", Kind::TooLarge),
            (422, "from_2031", "", Kind::Invalid),
            (429, "rate_limit_error", "", Kind::RateLimited),
            (429, "rate_limit_error", "ramp_limit_exceeded", Kind::RateLimited),
            (429, "rate_limit_error", "enforced_spend_limit_reached", Kind::SpendLimit),
            (429, "rate_limit_error", "contract_spend_limit_reached", Kind::SpendLimit),
            (500, "api_error", "", Kind::Server),
            (500, "overloaded_error", "", Kind::Overloaded),
            (502, "from_2031", "", Kind::Server),
            (503, "timeout_error", "", Kind::Timeout),
            (504, "timeout_error", "", Kind::Timeout),
            (529, "overloaded_error", "", Kind::Overloaded),
            (307, "", "", Kind::Invalid),
        ];
        for (status, kind, code, expected) in rows {
            let failure = refusal(status, &HeaderMap::new(), body(kind, code).as_bytes(), now(), "");
            assert_eq!(failure.error.kind, expected, "{status} {kind} {code}");
            assert_eq!(failure.error.request_id.as_deref(), Some("req_b"));
        }
    }

    #[test]
    fn a_batch_rows_error_is_told_by_its_type_alone() {
        use ModelErrorKind as Kind;
        let kinds = [
            Kind::Invalid,
            Kind::Auth,
            Kind::Billing,
            Kind::Permission,
            Kind::NotFound,
            Kind::Server,
            Kind::TooLarge,
            Kind::RateLimited,
            Kind::Server,
            Kind::Timeout,
            Kind::Overloaded,
        ];
        for ((name, _), expected) in TYPES.iter().zip(kinds) {
            let error = ErrorObject { kind: (*name).to_owned(), ..ErrorObject::default() };
            assert_eq!(error.row_kind(), expected, "{name}");
        }
        assert_eq!(ErrorObject { kind: "from_2031".into(), ..ErrorObject::default() }.row_kind(), Kind::Server);
    }

    #[test]
    fn the_wait_is_read_in_milliseconds_seconds_or_as_a_date_against_our_clock() {
        let wait = |pairs: &[(&'static str, &str)]| retry_after(&headers(pairs), now());
        assert_eq!(wait(&[("retry-after-ms", "1500"), ("retry-after", "9")]), Some(TimeDelta::milliseconds(1500)));
        assert_eq!(wait(&[("retry-after", "7")]), Some(TimeDelta::seconds(7)));
        let date = (now() + TimeDelta::seconds(90)).to_rfc2822().replace("+0000", "GMT");
        assert_eq!(wait(&[("retry-after", &date)]), Some(TimeDelta::seconds(90)));
        assert_eq!(wait(&[("retry-after", "Wed, 21 Oct 2015 07:28:00 GMT")]), Some(TimeDelta::zero()));
        for nonsense in ["soon", "-3", "NaN", "1e300", ""] {
            assert_eq!(wait(&[("retry-after", nonsense)]), None, "{nonsense}");
        }
        assert_eq!(wait(&[]), None);
    }

    #[test]
    fn the_servers_word_on_repeating_wins_over_the_status() {
        let repeatable =
            |status, word| refusal(status, &headers(&[(SHOULD_RETRY, word)]), b"", now(), "").is_repeatable();
        assert!(repeatable(400, "true"));
        assert!(!repeatable(500, "false"));
        assert!(repeatable(500, "perhaps"));
        assert!(!repeatable(404, ""));
    }

    #[test]
    fn a_message_names_the_type_is_cut_short_and_shows_no_key() {
        let long = "é".repeat(400);
        let said = format!(r#"{{"error":{{"type":"api_error","message":"sk-ant-api03-A_b and jwt.x.y {long}"}}}}"#);
        let failure = refusal(500, &headers(&[(REQUEST_ID, "req_h")]), said.as_bytes(), now(), "jwt.x.y");
        let message = &failure.error.message;
        assert!(message.starts_with("HTTP 500, api_error: [redacted] and [redacted] é"), "{message}");
        assert!(message.chars().count() <= LONGEST_SAYING + 12 && message.ends_with('…'), "{message}");
        assert_eq!(failure.error.request_id.as_deref(), Some("req_h"));
        let html = refusal(502, &HeaderMap::new(), b"<html>secret</html>", now(), "");
        assert_eq!(html.error.message, "HTTP 502 without an error that could be read");
    }

    #[test]
    fn a_message_that_quotes_the_prompt_is_left_out() {
        let request = HopRequest {
            model: "m".into(),
            max_tokens: 1,
            system: None,
            messages: vec![TurnMessage {
                role: Role::User,
                content: r#""my diagnosis is none of your logs' business""#.into(),
            }],
            ..HopRequest::default()
        };
        let said = |said: &str| {
            let body = format!(r#"{{"error":{{"type":"invalid_request_error","message":"{said}"}}}}"#);
            refusal(400, &HeaderMap::new(), body.as_bytes(), now(), "").hiding([&request]).error.message
        };
        assert!(!said("bad input 'my diagnosis is none of your logs' business'").contains("diagnosis"));
        assert!(said("messages.0.content: field required").ends_with("messages.0.content: field required"));
    }

    #[test]
    fn a_message_that_quotes_an_mcp_servers_token_or_path_is_left_out() {
        let server = |token: &str| McpConnection {
            name: "notes".into(),
            url: "https://mcp.example/s/3f9a-secret-7c/mcp".into(),
            token: Some(token.into()),
        };
        let said = |said: &str, token: &str| {
            let request = HopRequest { mcp_servers: vec![server(token)], ..HopRequest::default() };
            let body = format!(r#"{{"error":{{"type":"invalid_request_error","message":"{said}"}}}}"#);
            refusal(400, &HeaderMap::new(), body.as_bytes(), now(), "").hiding([&request]).error.message
        };
        assert!(!said("bad token hush-hush-0123456789", "hush-hush-0123456789").contains("hush"));
        let cut = format!("{}hush-hush-0123456789", "é".repeat(260));
        assert!(!said(&cut, "hush-hush-0123456789").contains("hush-hush"));
        assert!(!said("cannot use xyzzy", "xyzzy").contains("xyzzy"));
        assert!(!said("GET https://mcp.example/s/3f9a-secret-7c/mcp: 404", "").contains("3f9a"));
        let plain = "mcp_servers.0: cannot connect to 'notes' at mcp.example";
        assert!(said(plain, "hush-hush-0123456789").ends_with(plain));
        assert!(said(plain, "").ends_with(plain));
    }

    #[test]
    fn an_error_within_a_stream_is_told_by_its_type() {
        let event = |data: &str| {
            let failure = interruption(data, "hush-key").error;
            (failure.kind, failure.message)
        };
        let told =
            |kind: &str| event(&format!(r#"{{"type":"error","error":{{"type":"{kind}","message":"m hush-key"}}}}"#));
        for (kind, expected) in [
            ("overloaded_error", ModelErrorKind::Overloaded),
            ("rate_limit_error", ModelErrorKind::RateLimited),
            ("api_error", ModelErrorKind::Server),
            ("timeout_error", ModelErrorKind::Timeout),
            ("invalid_request_error", ModelErrorKind::Invalid),
            ("from_2031", ModelErrorKind::Server),
        ] {
            assert_eq!(told(kind), (expected, format!("the answer broke off, {kind}: m [redacted]")));
        }
        assert_eq!(event("?").0, ModelErrorKind::Server);
        let named = interruption(r#"{"error":{"type":"api_error","message":""},"request_id":"req_9"}"#, "");
        assert_eq!(named.error.request_id.as_deref(), Some("req_9"));
    }
}
