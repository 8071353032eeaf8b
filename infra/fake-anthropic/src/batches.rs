//! The six calls of Message Batches (docs page "batch-processing", 2026-10-01; Python SDK 2.11.0, `messages.batches`).
//!
//! The envelope is checked when a batch is created; each row's parameters are checked then too, but, as with the real
//! API, a row that fails shows only as an `errored` result once the batch has ended.

use std::borrow::Cow;
use std::collections::{BTreeMap, HashSet};

use serde_json::value::RawValue;
use serde_json::{Value, json};

use crate::answer::ApiError;
use crate::cache::Reader;
use crate::lifecycle::{Batch, Cancel, EXPIRY, Planned, ResultLines, Row, Status, after};
use crate::messages::page;
use crate::page::PageQuery;
use crate::reply::{Outcome, Sampling, Step, Turn};
use crate::server::Work;
use crate::state::Effect;
use crate::validate::{self, Context, Purpose, binding, is_plain};

/// Most requests in one batch (docs page "batch-processing", 2026-10-01).
const MAX_REQUESTS: usize = 100_000;
/// Length of the longest `custom_id` (docs page "batch-processing", 2026-10-01).
const MAX_CUSTOM_ID: usize = 64;

/// An object whose values are looked at later.
type RawObject<'a> = BTreeMap<Cow<'a, str>, &'a RawValue>;

/// `POST /v1/messages/batches`.
///
/// There is no idempotency key: every create that takes effect makes a batch, answered or not.
pub(crate) fn create(work: &mut Work<'_>) -> Result<Value, ApiError> {
    work.caller.may_batch()?;
    let requests = read_envelope(work.body)?;
    let mut uses = work.state.uses.clone();
    let mut rows = Vec::with_capacity(requests.len());
    let id = work.ids.fresh("msgbatch_");
    let given = work.state.script.blocks();
    let context = Context {
        catalogue: &work.state.catalogue,
        version: work.caller.version,
        betas: &work.caller.betas,
        purpose: Purpose::Batch,
        given: &given,
    };
    let duration = work.state.script.duration_ms(work.state.batches().count());
    let read_at = after(work.now, duration);
    let (mut dropped, mut kept) = (0, Vec::new());
    for (custom_id, params) in requests {
        let params: Value = serde_json::from_str(params.get()).map_err(|error| not_json(&error))?;
        let hits = work.state.script.batch_cache_hits;
        let prompts = Reader::new(&work.state.prompts, &work.caller.workspace, read_at, hits);
        let mut sampling =
            Sampling { script: &work.state.script, uses: &mut uses, ids: &mut *work.ids, now: work.now, prompts };
        let step = begin(params, &work.caller.workspace, context, &mut sampling, &mut dropped);
        // One that expires reads nothing.
        if read_at < work.now + EXPIRY {
            kept.append(&mut sampling.prompts.entries);
        }
        let request_id = work.ids.fresh("req_");
        let planned = match step {
            Ok(Step::Done(outcome)) => Planned::of(outcome, &request_id),
            Ok(Step::Open(turn)) => Planned::Looping { turn, request_id, begun: false },
            Err(error) => Planned::of(Outcome::Error(error), &request_id),
        };
        rows.push(Row { custom_id, planned });
    }
    if dropped > 0 {
        work.effects.push(Effect::Dropped { blocks: dropped });
    }
    if uses != work.state.uses {
        work.effects.push(Effect::Replied(uses));
    }
    if !kept.is_empty() {
        work.effects.push(Effect::Kept(kept));
    }
    let workspace = work.caller.workspace.clone();
    let batch = Batch::new(id, workspace, work.now, duration, rows);
    // As the instant of its creation sees it: a duration of 0 shows at the next read.
    let object = batch.object(work.now, work.base_url);
    work.effects.push(Effect::Created(Box::new(batch)));
    Ok(object)
}

/// The first sampling of a row. Replayed thinking whose prefix has changed is dropped, not refused, unless the row says
/// otherwise (docs page "preserved-thinking", 2026-10-01).
fn begin(
    params: Value,
    workspace: &str,
    context: Context<'_>,
    sampling: &mut Sampling<'_>,
    dropped: &mut u64,
) -> Result<Step, ApiError> {
    let model = validate::params(&params, context)?;
    let Value::Object(mut params) = params else {
        return Err(ApiError::field("params", "Input should be a valid dictionary"));
    };
    let bound = binding::bind(&mut params, model, Purpose::Batch, context.betas)?;
    *dropped += bound.dropped;
    let mut turn = Turn::new(params, &model.id, workspace, true, bound.transformations);
    turn.read_at = Some(sampling.prompts.at());
    Ok(turn.begin(sampling))
}

fn not_json(error: &serde_json::Error) -> ApiError {
    ApiError::invalid(format!("The request body is not valid JSON: {error}"))
}

/// Checks everything around the parameters: list, keys, `custom_id`s. The first problem is the answer.
fn read_envelope(body: &[u8]) -> Result<Vec<(String, &RawValue)>, ApiError> {
    let raw: &RawValue = serde_json::from_slice(body).map_err(|error| not_json(&error))?;
    let top = raw_object(raw, "body")?;
    refuse_unknown(&top, "", &["requests"])?;
    let list = top.get("requests").ok_or_else(|| ApiError::field("requests", "Field required"))?;
    let list: Vec<&RawValue> =
        serde_json::from_str(list.get()).map_err(|_| ApiError::field("requests", "Input should be a valid list"))?;
    if list.is_empty() {
        return Err(ApiError::field("requests", "List should have at least 1 item after validation, not 0"));
    }
    if list.len() > MAX_REQUESTS {
        let problem = format!("List should have at most {MAX_REQUESTS} items after validation, not {}", list.len());
        return Err(ApiError::field("requests", problem));
    }
    let mut seen = HashSet::with_capacity(list.len());
    let mut requests = Vec::with_capacity(list.len());
    for (index, row) in list.into_iter().enumerate() {
        let path = format!("requests.{index}");
        let row = raw_object(row, &path)?;
        refuse_unknown(&row, &path, &["custom_id", "params"])?;
        let id_path = format!("{path}.custom_id");
        let id = row.get("custom_id").ok_or_else(|| ApiError::field(&id_path, "Field required"))?;
        let id: String =
            serde_json::from_str(id.get()).map_err(|_| ApiError::field(&id_path, "Input should be a valid string"))?;
        if !is_plain(&id, MAX_CUSTOM_ID) {
            return Err(ApiError::field(&id_path, "String should match pattern '^[a-zA-Z0-9_-]{1,64}$'"));
        }
        if !seen.insert(id.clone()) {
            return Err(ApiError::field(&id_path, format!("custom_id must be unique within the batch: {id}")));
        }
        let params_path = format!("{path}.params");
        let params = *row.get("params").ok_or_else(|| ApiError::field(&params_path, "Field required"))?;
        if !params.get().starts_with('{') {
            return Err(ApiError::field(&params_path, "Input should be a valid dictionary"));
        }
        requests.push((id, params));
    }
    Ok(requests)
}

fn raw_object<'a>(raw: &'a RawValue, path: &str) -> Result<RawObject<'a>, ApiError> {
    serde_json::from_str(raw.get()).map_err(|_| ApiError::field(path, "Input should be a valid dictionary"))
}

fn refuse_unknown(object: &RawObject<'_>, path: &str, allowed: &[&str]) -> Result<(), ApiError> {
    match object.keys().find(|key| !allowed.contains(&key.as_ref())) {
        Some(key) if path.is_empty() => Err(ApiError::field(key, "Extra inputs are not permitted")),
        Some(key) => Err(ApiError::field(&format!("{path}.{key}"), "Extra inputs are not permitted")),
        None => Ok(()),
    }
}

/// `GET /v1/messages/batches`: newest first, of the caller's workspace.
pub(crate) fn list(work: &Work<'_>, query: &PageQuery) -> Result<Value, ApiError> {
    work.caller.may_batch()?;
    let own: Vec<&Batch> = work.state.batches().filter(|batch| batch.workspace == work.caller.workspace).collect();
    let ids: Vec<&str> = own.iter().map(|batch| batch.id.as_str()).collect();
    let (range, has_more) = query.slice(&ids)?;
    let shown = own.get(range.clone()).unwrap_or_default();
    let data: Vec<Value> = shown.iter().map(|batch| batch.object(work.now, work.base_url)).collect();
    Ok(page(&data, ids.get(range).unwrap_or_default(), has_more))
}

/// `GET /v1/messages/batches/{id}`.
pub(crate) fn retrieve(work: &Work<'_>, id: &str) -> Result<Value, ApiError> {
    Ok(find(work, id)?.object(work.now, work.base_url))
}

/// `GET /v1/messages/batches/{id}/results`. Before the end and after archiving the real answers are not documented;
/// here they are 400 and 404.
pub(crate) fn results(work: &Work<'_>, id: &str) -> Result<ResultLines, ApiError> {
    let batch = find(work, id)?;
    if batch.status(work.now) != Status::Ended {
        return Err(ApiError::invalid(format!("results of {id} are not available before it has ended")));
    }
    if batch.archived(work.now) {
        return Err(ApiError::not_found(format!("results of {id} have been archived")));
    }
    Ok(batch.results())
}

/// `POST /v1/messages/batches/{id}/cancel`. A second cancel changes nothing; for an ended batch the real answer is not
/// documented, here it is 400.
pub(crate) fn cancel(work: &mut Work<'_>, id: &str) -> Result<Value, ApiError> {
    let mut batch = find(work, id)?.clone();
    match batch.status(work.now) {
        Status::Ended => Err(ApiError::invalid(format!("{id} has ended and cannot be canceled"))),
        Status::Canceling => Ok(batch.object(work.now, work.base_url)),
        Status::InProgress => {
            let script = &work.state.script;
            let cancel = Cancel { at: work.now, duration_ms: script.cancel_duration_ms, keeps: script.cancel_keeps };
            batch.cancel(cancel);
            work.effects.push(Effect::Cancelled { id: batch.id.clone(), cancel });
            Ok(batch.object(work.now, work.base_url))
        }
    }
}

/// `DELETE /v1/messages/batches/{id}`: only once ended.
pub(crate) fn delete(work: &mut Work<'_>, id: &str) -> Result<Value, ApiError> {
    let batch = find(work, id)?;
    if batch.status(work.now) != Status::Ended {
        return Err(ApiError::invalid(format!("{id} has not ended; cancel it first")));
    }
    work.effects.push(Effect::Deleted { id: batch.id.clone() });
    Ok(json!({"id": batch.id, "type": "message_batch_deleted"}))
}

/// The caller's batch of that id; other workspaces' do not exist for it.
fn find<'a>(work: &Work<'a>, id: &str) -> Result<&'a Batch, ApiError> {
    work.caller.may_batch()?;
    work.state
        .batches()
        .find(|batch| batch.id == id && batch.workspace == work.caller.workspace)
        .ok_or_else(|| ApiError::not_found(format!("message batch not found: {id}")))
}
