//! Realtime messages, token counts and the models.

use serde_json::{Value, json};

use crate::answer::{Answer, ApiError};
use crate::cache::Reader;
use crate::page::PageQuery;
use crate::reply::{self, Outcome, Sampling, Step, Turn};
use crate::server::Work;
use crate::state::Effect;
use crate::stream::Events;
use crate::validate::{self, Context, Purpose, binding};

/// How far a call to `POST /v1/messages` got at once.
#[derive(Debug)]
pub(crate) enum Said {
    Answer(Answer),
    /// The model has called MCP tools, which take their time.
    Open(Box<Turn>),
}

/// `POST /v1/messages`. Billed when it takes effect, whether or not the answer arrives.
pub(crate) fn create(work: &mut Work<'_>) -> Result<Said, ApiError> {
    let (params, model) = checked(work, Purpose::Realtime)?;
    let Value::Object(mut params) = params else { return Err(ApiError::invalid("the body must be an object")) };
    let bound = binding::bind(&mut params, model, Purpose::Realtime, &work.caller.betas)?;
    if bound.dropped > 0 {
        work.effects.push(Effect::Dropped { blocks: bound.dropped });
    }
    let stream = params.get("stream") == Some(&Value::Bool(true));
    let mut uses = work.state.uses.clone();
    let workspace = &work.caller.workspace;
    let prompts = Reader::new(&work.state.prompts, workspace, work.now, 1.0);
    let mut sampling =
        Sampling { script: &work.state.script, uses: &mut uses, ids: &mut *work.ids, now: work.now, prompts };
    let step = Turn::new(params, &model.id, workspace, false, bound.transformations).begin(&mut sampling);
    let kept = sampling.prompts.entries;
    if !kept.is_empty() {
        work.effects.push(Effect::Kept(kept));
    }
    if uses != work.state.uses {
        work.effects.push(Effect::Replied(uses));
    }
    match step {
        Step::Done(outcome) => answer(outcome, stream, work.request_id, work.effects).map(Said::Answer),
        Step::Open(turn) => Ok(Said::Open(turn)),
    }
}

/// The answer to a message that is done, and its bill. A stream that a script breaks off is not billed.
pub(crate) fn answer(
    outcome: Outcome,
    stream: bool,
    request_id: &str,
    effects: &mut Vec<Effect>,
) -> Result<Answer, ApiError> {
    match outcome {
        Outcome::Message(spoken) => {
            if !(stream && spoken.stream_error.is_some()) {
                effects.push(Effect::Billed { model: spoken.model.clone(), tokens: spoken.tokens });
            }
            Ok(if stream { Answer::Events(Events::of(&spoken, request_id)) } else { Answer::Json(spoken.message) })
        }
        Outcome::Error(error) => Err(error),
        // Replies with these ends are for batch rows only; `Script::reply` passes them over in realtime.
        Outcome::Expired | Outcome::Canceled => Err(ApiError::new(500, "api_error", "a batch row's end in realtime")),
    }
}

/// `POST /v1/messages/count_tokens` (Python SDK 2.11.0, `MessageTokensCount`).
pub(crate) fn count_tokens(work: &Work<'_>) -> Result<Value, ApiError> {
    let (params, _) = checked(work, Purpose::Count)?;
    Ok(json!({"input_tokens": params.as_object().map_or(0, reply::input_tokens)}))
}

fn checked<'a>(work: &Work<'a>, purpose: Purpose) -> Result<(Value, &'a crate::models::Model), ApiError> {
    let params: Value = serde_json::from_slice(work.body)
        .map_err(|error| ApiError::invalid(format!("The request body is not valid JSON: {error}")))?;
    let given = work.state.script.blocks();
    let context = Context {
        catalogue: &work.state.catalogue,
        version: work.caller.version,
        betas: &work.caller.betas,
        purpose,
        given: &given,
    };
    let model = validate::params(&params, context)?;
    let id = model.id.as_str();
    // The borrow of `context` ends with this call; the model belongs to the state.
    let model = work.state.catalogue.find(id).ok_or_else(|| ApiError::not_found(format!("model: {id}")))?;
    Ok((params, model))
}

/// `GET /v1/models`: newest first; `lifecycle` filters (Python SDK 2.11.0, resource `models`).
pub(crate) fn models(work: &Work<'_>, query: &PageQuery) -> Result<Value, ApiError> {
    let wanted: Vec<&str> = query
        .pairs
        .iter()
        .filter(|pair| matches!(pair.0.as_str(), "lifecycle" | "lifecycle[]"))
        .flat_map(|pair| pair.1.split(','))
        .collect();
    if let Some(stage) = wanted.iter().find(|stage| !matches!(**stage, "active" | "deprecated" | "retired")) {
        let problem = format!("Input should be 'active', 'deprecated' or 'retired', not '{stage}'");
        return Err(ApiError::field("lifecycle", problem));
    }
    let models = work.state.catalogue.all().iter();
    let shown: Vec<_> = models.filter(|model| wanted.is_empty() || wanted.contains(&model.stage())).collect();
    let ids: Vec<&str> = shown.iter().map(|model| model.id.as_str()).collect();
    let (range, has_more) = query.slice(&ids)?;
    let data: Vec<Value> = shown.get(range.clone()).unwrap_or_default().iter().map(|model| model.info()).collect();
    Ok(page(&data, ids.get(range).unwrap_or_default(), has_more))
}

/// `GET /v1/models/{id}`; an alias resolves to the dated id.
pub(crate) fn model(work: &Work<'_>, id: &str) -> Result<Value, ApiError> {
    let found = work.state.catalogue.find(id);
    found.map(crate::models::Model::info).ok_or_else(|| ApiError::not_found(format!("model: {id}")))
}

/// The page object of lists (Python SDK 2.11.0, `SyncPage`).
pub(crate) fn page(data: &[Value], ids: &[&str], has_more: bool) -> Value {
    json!({"data": data, "first_id": ids.first(), "last_id": ids.last(), "has_more": has_more})
}
