//! The REST-JSON API: schedule groups and their tags. Schedules carry no tags.

use std::ops::Bound;
use std::sync::Arc;

use axum::body::Bytes;
use axum::extract::{Path, State};
use axum::routing::{get, post};
use axum::{Json, Router};
use chrono::SubsecRound;
use serde::Deserialize;
use serde_json::{Value, json};

use super::Inner;
use super::api::{Answer, Pairs, body, next_token, page_start, param, token_use, unknown};
use super::error::ApiError;
use super::model::{Group, Tag, epoch};
use super::validate::Violations;

type App = State<Arc<Inner>>;

#[derive(Debug, Deserialize)]
#[serde(rename_all = "PascalCase")]
struct GroupRequest {
    tags: Option<Vec<Tag>>,
    client_token: Option<String>,
}

#[derive(Debug, Deserialize)]
#[serde(rename_all = "PascalCase")]
struct TagRequest {
    tags: Option<Vec<Tag>>,
}

pub(super) fn router(inner: Arc<Inner>) -> Router {
    Router::new()
        .route("/schedule-groups", get(list_groups))
        .route("/schedule-groups/{name}", post(create_group).get(get_group).delete(delete_group))
        // An ARN holds a slash; clients send it escaped, people do not.
        .route("/tags/{*arn}", get(list_tags).post(tag).delete(untag))
        .method_not_allowed_fallback(unknown)
        .with_state(inner)
}

async fn create_group(State(inner): App, Path(name): Path<String>, bytes: Bytes) -> Answer {
    let request: GroupRequest = body(&bytes)?;
    let tags = request.tags.unwrap_or_default();
    let mut violations = Violations::default();
    violations.name(&name, "name");
    violations.token(request.client_token.as_deref());
    violations.tags(&tags);
    violations.finish()?;
    let now = inner.clock.now();
    let what = format!("{name} {}", serde_json::to_string(&tags).map_err(crate::state::StateError::from)?);
    let token = request.client_token.as_deref();
    let call = token_use("CreateScheduleGroup", token, &what, Group::arn_of(&name), now);
    let at = now.trunc_subsecs(3);
    let group = Group { name, created_at: at, modified_at: at, deleting: false, tags, request: call };
    let arn = inner.book().create_group(group)?;
    Ok(Json(json!({ "ScheduleGroupArn": arn })))
}

fn checked(name: &str, pairs: &Pairs) -> Result<(), ApiError> {
    let mut violations = Violations::default();
    violations.name(name, "name");
    violations.token(param(pairs, "clientToken"));
    violations.finish()
}

async fn get_group(State(inner): App, Path(name): Path<String>, pairs: Pairs) -> Answer {
    checked(&name, &pairs)?;
    let answer = summary(inner.book().group(&name)?);
    Ok(Json(answer))
}

async fn delete_group(State(inner): App, Path(name): Path<String>, pairs: Pairs) -> Answer {
    checked(&name, &pairs)?;
    let token = param(&pairs, "clientToken");
    let call = token_use("DeleteScheduleGroup", token, &name, String::new(), inner.clock.now());
    inner.book().delete_group(&name, call.as_ref())?;
    inner.announce();
    Ok(Json(json!({})))
}

async fn list_groups(State(inner): App, pairs: Pairs) -> Answer {
    let mut violations = Violations::default();
    let prefix = param(&pairs, "NamePrefix");
    if let Some(prefix) = prefix {
        violations.name(prefix, "namePrefix");
    }
    let size = violations.page(param(&pairs, "MaxResults"));
    violations.finish()?;
    let after = page_start(param(&pairs, "NextToken"))?.map_or(Bound::Unbounded, Bound::Excluded);
    let book = inner.book();
    let groups = book.groups.range((after, Bound::Unbounded)).map(|(_, group)| group);
    let mut matching = groups.filter(|group| prefix.is_none_or(|prefix| group.name.starts_with(prefix)));
    let page: Vec<_> = matching.by_ref().take(size).collect();
    let more = matching.next().is_some();
    let mut answer = json!({ "ScheduleGroups": page.iter().map(|group| summary(group)).collect::<Vec<_>>() });
    if let Some(last) = page.last().filter(|_| more) {
        answer["NextToken"] = next_token(&last.name).into();
    }
    Ok(Json(answer))
}

fn summary(group: &Group) -> Value {
    json!({
        "Arn": Group::arn_of(&group.name),
        "Name": group.name,
        "State": if group.deleting { "DELETING" } else { "ACTIVE" },
        "CreationDate": epoch::number(group.created_at),
        "LastModificationDate": epoch::number(group.modified_at),
    })
}

/// The name in a group's ARN; only groups can be tagged.
fn group_name(arn: &str) -> Result<&str, ApiError> {
    let name = arn.starts_with("arn:aws").then(|| arn.split_once(":schedule-group/")).flatten().map(|(_, name)| name);
    name.ok_or_else(|| ApiError::Validation(format!("{arn} is not the ARN of a schedule group.")))
}

/// Changes a group's tags in one piece.
fn retag(inner: &Inner, arn: &str, change: impl FnOnce(&mut Vec<Tag>)) -> Answer {
    let mut book = inner.book();
    let mut group = book.group(group_name(arn)?)?.clone();
    change(&mut group.tags);
    let mut violations = Violations::default();
    violations.tags(&group.tags);
    violations.finish()?;
    group.modified_at = inner.clock.now().trunc_subsecs(3);
    book.put_group(group)?;
    Ok(Json(json!({})))
}

async fn list_tags(State(inner): App, Path(arn): Path<String>) -> Answer {
    let book = inner.book();
    let group = book.group(group_name(&arn)?)?;
    Ok(Json(json!({ "Tags": group.tags })))
}

async fn tag(State(inner): App, Path(arn): Path<String>, bytes: Bytes) -> Answer {
    let added = body::<TagRequest>(&bytes)?.tags.unwrap_or_default();
    retag(&inner, &arn, |tags| {
        for tag in added {
            tags.retain(|old| old.key != tag.key);
            tags.push(tag);
        }
    })
}

async fn untag(State(inner): App, Path(arn): Path<String>, pairs: Pairs) -> Answer {
    let removed = |tag: &Tag| pairs.iter().any(|(name, key)| name == "TagKeys" && *key == tag.key);
    retag(&inner, &arn, |tags| tags.retain(|tag| !removed(tag)))
}
