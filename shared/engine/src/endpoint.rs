//! The MCP endpoint: tools that a provider's own loop calls from within one hop of a run.
//!
//! In a batch that loop runs inside one request, so that a turn of several tool calls is one hop and one wait. It may call
//! hours after the request was made, and it may make a call again: a batched request that failed half-way is run anew by the
//! provider, with nobody asking us.
//!
//! Guarantee: an acting call is known by its tool and its arguments ([`call_id`]) and is carried out at most once in a run.
//! It is written down as begun before it acts, and its result after. A repeat gets that result; one that finds the call begun
//! and not done is told that the outcome is not known. So two calls that mean to do the same thing twice collapse into one,
//! and one that failed is not tried again by saying the same words. Calls that only read leave no row: a repeat reads anew,
//! and sees what was changed in between.

use chrono::TimeDelta;
use nightshift_domain::run::{CallState, EndpointCall, Run, call_id};
use nightshift_domain::run_token::{claimed_run, verify};
use nightshift_domain::tools::changes;
use nightshift_domain::tools::endpoint::endpoint_definition;
use serde_json::Value;
use tracing::{info, warn};

use crate::deps::{Deps, Invocation};
use crate::error::EngineError;
use crate::ports::{Outcome, Write};
use crate::runs::commit::run_retention;
use crate::runs::{Scene, cut, load_config, load_text, run_text};
use crate::tools::{Answer, Call, execute, timeout_of};

/// What an invocation keeps for itself after a call: the write of its result.
const RESERVE: TimeDelta = TimeDelta::seconds(5);
/// What a model is told of a call that is begun and not done.
const UNKNOWN: &str = "this call was begun before, with the same arguments, and its outcome is not known, so it was not repeated; \
    look whether it took effect before you try another way";

/// Who may call.
#[derive(Debug)]
pub struct Granted {
    /// The run the calls are for.
    pub run: Run,
    /// The tools it may call.
    pub tools: Vec<String>,
}

/// Whom `token` lets in: nobody, unless it was made for a run of which a hop may be with the provider, and is in time. The
/// caller is not told why, the log is. Reads the run, and nothing else.
pub async fn authorize(deps: &Deps, token: &str) -> Result<Option<Granted>, EngineError> {
    let Ok(key) = claimed_run(token) else {
        info!("a call of a tool came with something that is no run token");
        return Ok(None);
    };
    let run = deps.store.run(&key).await?;
    let plan = run.as_ref().and_then(|run| run.plan.as_ref()?.endpoint.as_ref());
    let Some(endpoint) = plan else {
        info!("a call of a tool came with the token of a run that has no endpoint");
        return Ok(None);
    };
    let claims = match verify(&endpoint.key, token, deps.clock.now()) {
        Ok(claims) => claims,
        Err(error) => {
            info!(run.id = %key, "a call of a tool for run {key} was refused: {error}");
            return Ok(None);
        }
    };
    let open = run.filter(|run| run.key == claims.run && run.open_endpoint().is_some());
    if open.is_none() {
        info!(run.id = %key, "a call of a tool for run {key} was refused: no hop of it is with the provider");
    }
    Ok(open.map(|run| Granted { run, tools: claims.tools }))
}

/// The tools that `granted` may call, as the provider is told of them. The configuration is read only for tools that the user
/// declared; one that is not there any more is left out.
pub async fn definitions(deps: &Deps, granted: &Granted) -> Result<Vec<Value>, EngineError> {
    let none = std::collections::BTreeMap::new();
    let own = |name: &String| endpoint_definition(name, &none);
    if let Some(all) = granted.tools.iter().map(own).collect() {
        return Ok(all);
    }
    let config = load_config(deps).await?;
    Ok(granted.tools.iter().filter_map(|name| endpoint_definition(name, &config.webhook_tools)).collect())
}

/// Makes a call. What the world does wrong is told to the model; an error means that the call was not made, or that nobody
/// can say what became of it, and may be sent again.
///
/// # Crash safety
/// Stopped before an acting call is written as begun, nothing happened, and a repeat makes it. Stopped after that, a repeat
/// is told that the outcome is not known; stopped after the result was written, a repeat gets it.
pub async fn call(
    deps: &Deps,
    invocation: &Invocation,
    granted: &Granted,
    name: &str,
    arguments: Value,
) -> Result<Answer, EngineError> {
    if !granted.tools.iter().any(|tool| tool == name) {
        return Ok(Answer::error(format!("there is no tool \"{}\"", name.escape_debug())));
    }
    let run = &granted.run;
    let config = load_config(deps).await?;
    let scene = Scene { deps, invocation, config: &config };
    let now = deps.clock.now();
    let deadline = (now + timeout_of(name, &config)).min(invocation.deadline - RESERVE);
    let id = call_id(name, &arguments);
    let made = |arguments| {
        let id = id.clone();
        async move { execute(Call { scene, run, key: &id, deadline }, name, arguments).await }
    };
    info!(run.id = %run.key, "{name} of run {} is called over the endpoint", run.key);
    // A note is known by the call that made it only until the next one is made: hours later a repeat would undo what came since.
    if !changes(name, &arguments) {
        let answer = Box::pin(made(arguments)).await;
        return Ok(Answer { text: cut(answer.text).0, ..answer });
    }
    Box::pin(once(scene, run, name, &id, made(arguments))).await
}

/// The answer of `act`, which is awaited only where nobody began the call `id` before; the stored one otherwise.
async fn once(
    scene: Scene<'_>,
    run: &Run,
    tool: &str,
    id: &str,
    act: impl Future<Output = Answer>,
) -> Result<Answer, EngineError> {
    let store = scene.deps.store.as_ref();
    let now = scene.deps.clock.now();
    // The row outlasts the token, after which nobody can repeat the call.
    let token_ends = run.plan.as_ref().and_then(|plan| plan.endpoint.as_ref()).map_or(now, |endpoint| endpoint.expires);
    let expires_at = now.max(token_ends) + run_retention(scene);
    let begun = EndpointCall {
        run: run.key.clone(),
        id: id.to_owned(),
        tool: tool.to_owned(),
        by: scene.invocation.id.clone(),
        state: CallState::Started { at: now },
        rev: 1,
    };
    if let Outcome::Lost(_) = store.commit(&[Write::EndpointCall { call: &begun, expires_at }]).await? {
        let found = store.endpoint_call(&run.key, id).await?;
        return match found.map(|call| call.state) {
            Some(CallState::Done { is_error, result, sent_to, .. }) => {
                info!(run.id = %run.key, "{tool} of run {} was called before; its result is told again", run.key);
                Ok(Answer { text: load_text(scene.deps, &run.key, &result).await?, is_error, sent_to })
            }
            Some(CallState::Started { .. } | CallState::Asked) | None => {
                warn!(run.id = %run.key, "{tool} of run {} was begun before and is not repeated", run.key);
                Ok(Answer::error(UNKNOWN))
            }
        };
    }
    let mut answer = act.await;
    let cut_from;
    (answer.text, cut_from) = cut(answer.text);
    // The model is told what happened, also where that cannot be kept: a repeat is then told that nobody knows.
    if let Err(error) = Box::pin(keep(scene, begun, &answer, cut_from, expires_at)).await {
        warn!(run.id = %run.key, "the result of {tool} of run {} could not be kept: {}", run.key, error.chain());
    }
    Ok(answer)
}

/// Writes the result of a call that was begun.
async fn keep(
    scene: Scene<'_>,
    begun: EndpointCall,
    answer: &Answer,
    cut_from: Option<u64>,
    expires_at: chrono::DateTime<chrono::Utc>,
) -> Result<(), EngineError> {
    let Answer { text, is_error, sent_to } = answer.clone();
    let result = run_text(scene.deps, &begun.run, text).await?;
    let state = CallState::Done { at: scene.deps.clock.now(), is_error, result, cut_from, sent_to };
    let done = EndpointCall { state, rev: begun.rev + 1, ..begun };
    // Nobody else writes the row: it was ours from its first revision on.
    scene.deps.store.commit(&[Write::EndpointCall { call: &done, expires_at }]).await?;
    Ok(())
}

#[cfg(test)]
mod tests;
