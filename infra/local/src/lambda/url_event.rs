//! HTTP in the shape a function sees it: the Function URL event (payload format 2.0) and the answer to it.
//!
//! Guarantee: what `lambda_http` reads from the event is the request that came, byte for byte in path, query and body. It
//! knows no routes and checks no credentials.

use axum::body::Body;
use axum::response::Response;
use base64::Engine;
use base64::engine::general_purpose::STANDARD as BASE64;
use bytes::Bytes;
use chrono::{DateTime, Utc};
use http::{HeaderMap, HeaderName, HeaderValue, Method, StatusCode, header};
use serde::Deserialize;
use serde_json::{Map, Value, json};

/// The event of a request to a Function URL ("Invoking Lambda function URLs", "Request payload format", read
/// 2026-11-20). `path` and `query` are as in the request line, still percent-encoded; `query` is without its `?`.
pub fn http_event(
    method: &Method,
    path: &str,
    query: Option<&str>,
    headers: &HeaderMap,
    body: &[u8],
    now: DateTime<Utc>,
) -> Value {
    let query = query.unwrap_or_default();
    let host = text(headers, &header::HOST).unwrap_or_else(|| "localhost".to_owned());
    let agent = text(headers, &header::USER_AGENT).unwrap_or_default();
    let mut event = json!({
        "version": "2.0",
        "routeKey": "$default",
        "rawPath": path,
        "rawQueryString": query,
        "headers": joined(headers.keys().filter_map(|name| Some((name.to_string(), text(headers, name)?)))),
        "requestContext": {
            "accountId": "anonymous",
            "apiId": "local",
            "domainName": host,
            "domainPrefix": "local",
            "http": {
                "method": method.as_str(),
                "path": path,
                "protocol": "HTTP/1.1",
                "sourceIp": "127.0.0.1",
                "userAgent": agent,
            },
            "requestId": ulid::Ulid::from_datetime(now.into()).to_string(),
            "routeKey": "$default",
            "stage": "$default",
            "time": now.format("%d/%b/%Y:%H:%M:%S +0000").to_string(),
            "timeEpoch": now.timestamp_millis(),
        },
        "isBase64Encoded": false,
    });
    if !query.is_empty() {
        event["queryStringParameters"] = joined(query.split('&').filter(|pair| !pair.is_empty()).map(|pair| {
            let (name, value) = pair.split_once('=').unwrap_or((pair, ""));
            (unescaped(name), unescaped(value))
        }));
    }
    let cookies: Vec<String> = headers
        .get_all(header::COOKIE)
        .iter()
        .flat_map(|value| String::from_utf8_lossy(value.as_bytes()).split("; ").map(str::to_owned).collect::<Vec<_>>())
        .collect();
    if !cookies.is_empty() {
        event["cookies"] = json!(cookies);
    }
    if !body.is_empty() {
        let as_text = if is_text(headers) { std::str::from_utf8(body).ok() } else { None };
        event["isBase64Encoded"] = json!(as_text.is_none());
        event["body"] = as_text.map_or_else(|| json!(BASE64.encode(body)), |body| json!(body));
    }
    event
}

/// All values of a header, joined by commas as the payload format does.
fn text(headers: &HeaderMap, name: &HeaderName) -> Option<String> {
    let values: Vec<_> = headers.get_all(name).iter().map(|value| String::from_utf8_lossy(value.as_bytes())).collect();
    (!values.is_empty()).then(|| values.join(if *name == header::COOKIE { "; " } else { "," }))
}

/// An object in which a repeated name has its values joined by commas.
fn joined(pairs: impl Iterator<Item = (String, String)>) -> Value {
    let mut object = Map::new();
    for (name, value) in pairs {
        let value = match object.get(&name).and_then(Value::as_str) {
            Some(before) => format!("{before},{value}"),
            None => value,
        };
        object.insert(name, Value::String(value));
    }
    Value::Object(object)
}

/// A query part without its escapes; a `%` that begins none stays.
fn unescaped(part: &str) -> String {
    let bytes = part.as_bytes();
    let mut plain = Vec::with_capacity(bytes.len());
    let mut at = 0;
    while let Some(&byte) = bytes.get(at) {
        let escape = part.get(at + 1..at + 3).filter(|hex| hex.bytes().all(|digit| digit.is_ascii_hexdigit()));
        match (byte, escape.and_then(|hex| u8::from_str_radix(hex, 16).ok())) {
            (b'%', Some(decoded)) => {
                plain.push(decoded);
                at += 2;
            }
            (b'+', _) => plain.push(b' '),
            _ => plain.push(byte),
        }
        at += 1;
    }
    String::from_utf8_lossy(&plain).into_owned()
}

/// Whether the body travels as text; everything else is base64.
fn is_text(headers: &HeaderMap) -> bool {
    let Some(kind) = headers.get(header::CONTENT_TYPE).and_then(|value| value.to_str().ok()) else { return false };
    let kind = kind.split(';').next().unwrap_or_default().trim().to_ascii_lowercase();
    kind.starts_with("text/")
        || matches!(kind.as_str(), "application/json" | "application/javascript" | "application/xml")
        || kind.ends_with("+json")
        || kind.ends_with("+xml")
}

/// An answer that is no HTTP response; AWS shows the client 502 in its place.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum BadResponse {
    /// The answer is not JSON.
    #[error("the function's answer is not JSON")]
    NotJson,
    /// `statusCode`, `headers` or `body` cannot stand in a response.
    #[error("the function's answer is no HTTP response: {0}")]
    Invalid(String),
}

/// The answer of a function behind a Function URL ("Response payload format", read 2026-11-20): an object with
/// `statusCode` is a response; any other JSON is the body of a 200.
pub fn http_response(answer: Bytes) -> Result<Response, BadResponse> {
    #[derive(Deserialize)]
    #[serde(rename_all = "camelCase")]
    struct Answer {
        status_code: u16,
        #[serde(default)]
        headers: Option<Map<String, Value>>,
        #[serde(default)]
        cookies: Option<Vec<String>>,
        #[serde(default)]
        body: Option<String>,
        #[serde(default)]
        is_base64_encoded: bool,
    }
    let invalid = |error: &dyn std::fmt::Display| BadResponse::Invalid(error.to_string());
    let value: Value = serde_json::from_slice(&answer).map_err(|_| BadResponse::NotJson)?;
    let mut headers = HeaderMap::new();
    headers.insert(header::CONTENT_TYPE, HeaderValue::from_static("application/json"));
    if value.get("statusCode").is_none() {
        return Ok(respond(StatusCode::OK, headers, answer));
    }
    let answer: Answer = serde_json::from_value(value).map_err(|error| invalid(&error))?;
    let status = StatusCode::from_u16(answer.status_code).map_err(|error| invalid(&error))?;
    for (name, value) in answer.headers.unwrap_or_default() {
        let value = value.as_str().map_or_else(|| value.to_string(), str::to_owned);
        let name = HeaderName::try_from(name).map_err(|error| invalid(&error))?;
        // The length is that of the decoded body, which whoever sends the response knows.
        if name != header::CONTENT_LENGTH {
            headers.insert(name, HeaderValue::try_from(value).map_err(|error| invalid(&error))?);
        }
    }
    for cookie in answer.cookies.unwrap_or_default() {
        headers.append(header::SET_COOKIE, HeaderValue::try_from(cookie).map_err(|error| invalid(&error))?);
    }
    let body = answer.body.unwrap_or_default();
    let body =
        if answer.is_base64_encoded { BASE64.decode(body).map_err(|error| invalid(&error))? } else { body.into() };
    Ok(respond(status, headers, body.into()))
}

fn respond(status: StatusCode, headers: HeaderMap, body: Bytes) -> Response {
    let mut response = Response::new(Body::from(body));
    *response.status_mut() = status;
    *response.headers_mut() = headers;
    response
}

#[cfg(test)]
#[path = "url_event_tests.rs"]
mod tests;
