//! The REST-JSON API: schedules, and what all operations share. Paths and member names are those of the service's API model
//! (2021-06-30).

use std::ops::Bound;
use std::sync::Arc;

use axum::body::Bytes;
use axum::extract::{Path, Query, State};
use axum::routing::{get, post};
use axum::{Json, Router};
use chrono::{DateTime, Utc};
use serde::de::DeserializeOwned;
use serde_json::{Value, json};

use super::Inner;
use super::error::ApiError;
use super::model::{DEFAULT_GROUP, Key, Record, ScheduleRequest, TokenUse, epoch, fnv1a};
use super::validate::{self, STATES, Violations};

pub(super) type Answer = Result<Json<Value>, ApiError>;
/// Query parameters in order; `TagKeys` repeats.
pub(super) type Pairs = Query<Vec<(String, String)>>;
type App = State<Arc<Inner>>;

pub(super) fn router(inner: Arc<Inner>) -> Router {
    Router::new()
        .route("/schedules", get(list_schedules))
        .route(
            "/schedules/{name}",
            post(create_schedule).put(update_schedule).get(get_schedule).delete(delete_schedule),
        )
        .method_not_allowed_fallback(unknown)
        .with_state(inner)
}

pub(super) async fn unknown() -> ApiError {
    ApiError::UnknownOperation
}

/// Reads a body; nothing at all counts as an empty object.
pub(super) fn body<T: DeserializeOwned>(bytes: &Bytes) -> Result<T, ApiError> {
    let bytes: &[u8] = if bytes.is_empty() { b"{}" } else { bytes };
    serde_json::from_slice(bytes).map_err(|error| ApiError::Serialization(error.to_string()))
}

/// The first value of a query parameter.
pub(super) fn param<'a>(pairs: &'a Pairs, name: &str) -> Option<&'a str> {
    pairs.iter().find(|(key, _)| key == name).map(|(_, value)| value.as_str())
}

/// A call with a token, to be remembered.
pub(super) fn token_use(
    operation: &str,
    token: Option<&str>,
    what: &str,
    arn: String,
    at: DateTime<Utc>,
) -> Option<TokenUse> {
    let digest = fnv1a(what.as_bytes());
    token.map(|token| TokenUse { operation: operation.to_owned(), token: token.to_owned(), digest, arn, at })
}

/// A page's continuation: the last key it showed, in hex.
pub(super) fn next_token(last: &str) -> String {
    last.bytes().fold(String::new(), |text, byte| text + &format!("{byte:02x}"))
}

/// The key a page continues after.
pub(super) fn page_start(token: Option<&str>) -> Result<Option<String>, ApiError> {
    let Some(token) = token else { return Ok(None) };
    let digits: Option<Vec<u32>> = token.chars().map(|digit| digit.to_digit(16)).collect();
    let bytes = digits.filter(|digits| digits.len() % 2 == 0).and_then(|digits| {
        digits.chunks(2).map(|pair| u8::try_from(pair.iter().fold(0, |byte, digit| byte * 16 + digit)).ok()).collect()
    });
    let key = bytes.and_then(|bytes| String::from_utf8(bytes).ok()).filter(|key| !key.is_empty());
    key.map(Some).ok_or_else(|| ApiError::Validation("The NextToken is not valid.".to_owned()))
}

async fn create_schedule(State(inner): App, Path(name): Path<String>, bytes: Bytes) -> Answer {
    write_schedule(&inner, &name, &bytes, "CreateSchedule")
}

async fn update_schedule(State(inner): App, Path(name): Path<String>, bytes: Bytes) -> Answer {
    write_schedule(&inner, &name, &bytes, "UpdateSchedule")
}

fn write_schedule(inner: &Inner, name: &str, bytes: &Bytes, operation: &str) -> Answer {
    let request: ScheduleRequest = body(bytes)?;
    let token = request.client_token.clone();
    // The token is not part of what is compared.
    let what = format!("{name} {}", serde_json::to_string(&request).map_err(crate::state::StateError::from)?);
    let now = inner.clock.now();
    let spec = validate::schedule(name, request, now)?;
    let call = token_use(operation, token.as_deref(), &what, spec.key().arn(), now);
    let arn = match operation {
        "CreateSchedule" => inner.book().create(spec, call, now),
        _ => inner.book().update(spec, call, now),
    }?;
    inner.announce();
    Ok(Json(json!({ "ScheduleArn": arn })))
}

fn key_of(name: &str, pairs: &Pairs) -> Result<Key, ApiError> {
    let group = param(pairs, "groupName").unwrap_or(DEFAULT_GROUP);
    let mut violations = Violations::default();
    violations.name(name, "name");
    violations.name(group, "groupName");
    violations.token(param(pairs, "clientToken"));
    violations.finish()?;
    Ok(Key { group: group.to_owned(), name: name.to_owned() })
}

async fn get_schedule(State(inner): App, Path(name): Path<String>, pairs: Pairs) -> Answer {
    let key = key_of(&name, &pairs)?;
    let record = inner.book().get(&key)?.clone();
    let mut answer = serde_json::to_value(&record.spec).map_err(crate::state::StateError::from)?;
    answer["Arn"] = key.arn().into();
    answer["CreationDate"] = epoch::number(record.created_at);
    answer["LastModificationDate"] = epoch::number(record.modified_at);
    Ok(Json(answer))
}

async fn delete_schedule(State(inner): App, Path(name): Path<String>, pairs: Pairs) -> Answer {
    let key = key_of(&name, &pairs)?;
    let token = param(&pairs, "clientToken");
    let call = token_use("DeleteSchedule", token, &key.document(), String::new(), inner.clock.now());
    inner.book().delete(&key, call.as_ref())?;
    inner.announce();
    Ok(Json(json!({})))
}

async fn list_schedules(State(inner): App, pairs: Pairs) -> Answer {
    let mut violations = Violations::default();
    let group = param(&pairs, "ScheduleGroup");
    let prefix = param(&pairs, "NamePrefix");
    for (value, member) in [(group, "groupName"), (prefix, "namePrefix")] {
        if let Some(value) = value {
            violations.name(value, member);
        }
    }
    let all: Vec<_> = STATES.iter().map(|(name, state)| (*name, Some(*state))).collect();
    let state = violations.choice(param(&pairs, "State"), "state", &all, None);
    let size = violations.page(param(&pairs, "MaxResults"));
    violations.finish()?;
    let after = match page_start(param(&pairs, "NextToken"))? {
        None => Bound::Unbounded,
        Some(key) => {
            let (group, name) = key.split_once('/').unwrap_or((&key, ""));
            Bound::Excluded(Key { group: group.to_owned(), name: name.to_owned() })
        }
    };
    let book = inner.book();
    if let Some(group) = group {
        book.group(group)?;
    }
    let mut matching = book.schedules.range((after, Bound::Unbounded)).filter(|(key, entry)| {
        group.is_none_or(|group| key.group == group)
            && prefix.is_none_or(|prefix| key.name.starts_with(prefix))
            && state.is_none_or(|state| entry.record.spec.state == state)
    });
    let page: Vec<_> = matching.by_ref().take(size).collect();
    let more = matching.next().is_some();
    let mut answer =
        json!({ "Schedules": page.iter().map(|(key, entry)| summary(key, &entry.record)).collect::<Vec<_>>() });
    if let Some((last, _)) = page.last().filter(|_| more) {
        answer["NextToken"] = next_token(&last.document()).into();
    }
    Ok(Json(answer))
}

fn summary(key: &Key, record: &Record) -> Value {
    json!({
        "Arn": key.arn(),
        "Name": key.name,
        "GroupName": key.group,
        "State": record.spec.state,
        "CreationDate": epoch::number(record.created_at),
        "LastModificationDate": epoch::number(record.modified_at),
        "Target": { "Arn": record.spec.target.arn },
    })
}
