//! A realtime hop: one call of the Messages API, with the lease renewed while the model thinks.

use chrono::{DateTime, TimeDelta, Utc};
use nightshift_domain::model::{
    HopRequest, McpConnection, Prospect, Reply, Role, TurnMessage, cache_for, estimated_tokens,
};
use nightshift_domain::run::{Call, Event, Hop, Path, Plan, RENEW_EVERY, Run, take};
use tracing::warn;

use crate::clock;
use crate::error::EngineError;
use crate::ports::{ModelError, OpenedModel};
use crate::stops::Gate;

use super::Scene;
use super::absorb::absorb;
use super::booking::{Asked, hop_of};
use super::commit::save;
use super::patience::patiently;
use super::sessions::{ask_for_summary, spoken};
use super::texts::load_text;

/// What an invocation keeps for itself after a hop.
pub(super) const RESERVE: TimeDelta = TimeDelta::seconds(60);
/// A hop is not begun with less time than this: `poll`, which is not given as much, leaves realtime hops to `trigger`.
pub(super) const LEAST: TimeDelta = TimeDelta::minutes(10);

/// What calling the model came to.
pub(super) enum Called {
    /// The event for the run, which holds the answer already.
    Back(Box<Run>, Box<Event>),
    /// The lease was lost, and whoever took it goes on: with the answer that came all the same, or `None` for a refusal.
    TooLate(Option<Box<Hop>>),
    /// The lease was lost, and whether the call was paid is not known.
    LeaseLost,
}

/// Sends the hop `n` of a run whose lease we hold.
///
/// # Crash safety
/// The Messages API knows no idempotency key: a crash while the model answers costs that answer. The run is `Running` with
/// one more start counted when it is taken up again, it says that the call may have been paid, and a hop is started twice at
/// most. An answer that comes when the run has another holder, or none, is handed back to be booked; one that cannot be
/// written at once is held for some seconds.
pub(super) async fn call(scene: Scene<'_>, run: Run, n: u32) -> Result<Called, EngineError> {
    let clock = scene.deps.clock.as_ref();
    let Some(plan) = run.plan.clone() else {
        return Ok(Called::Back(Box::new(run), Box::new(unplanned())));
    };
    let now = clock.now();
    if now >= plan.deadline {
        return Ok(Called::Back(Box::new(run), Box::new(Event::DeadlinePassed)));
    }
    let bound = scene.invocation.deadline - RESERVE;
    if bound < now + LEAST {
        return Ok(Called::Back(Box::new(run), Box::new(Event::TimeRanOut)));
    }
    let gate = Gate::of(scene, &plan.provider).await?;
    if let Some(ModelError { kind, message, retry_after, .. }) = gate.closed(now) {
        let event = Event::ModelFailed { kind, message, retry_after };
        return Ok(Called::Back(Box::new(run), Box::new(event)));
    }
    let OpenedModel { model, .. } = match scene.deps.models.open(scene.config, &plan.provider).await {
        Ok(opened) => opened,
        Err(error) => {
            let event = Event::ModelFailed {
                kind: nightshift_domain::model::ModelErrorKind::Auth,
                message: error.to_string(),
                retry_after: None,
            };
            return Ok(Called::Back(Box::new(run), Box::new(event)));
        }
    };
    let request = match hop_request(scene, &run, &plan).await {
        Ok(request) => request,
        Err(EngineError::Secret(message)) => {
            let event = Event::Refused { code: "mcp_server".to_owned(), message };
            return Ok(Called::Back(Box::new(run), Box::new(event)));
        }
        Err(error) => return Err(error),
    };
    let Some(run) = still_ours(scene, run).await? else { return Ok(Called::TooLate(None)) };
    let attempt = run.state.attempt();
    let mut answer = std::pin::pin!(model.message(&request, plan.deadline.min(bound)));
    let (held, answer) = match renewing(scene, run, answer.as_mut()).await? {
        Renewed::Held(run, answer) => (Some(*run), answer),
        Renewed::Lost(Some(answer)) => (None, answer),
        // The model is at work and is paid for it, whoever waits: what it says belongs in the books.
        Renewed::Lost(None) => (None, answer.await),
    };
    match &answer {
        Ok(_) => gate.passed(scene).await,
        Err(error) => gate.refused(scene, error).await,
    }
    let now = clock.now();
    let Some(mut run) = held else { return Ok(too_late(scene, &plan, (n, attempt), answer, now)) };
    match answer {
        Ok(reply) => {
            let run = patiently(scene.deps, true, || absorb(scene, &run, n, &reply, None, now)).await?;
            Ok(Called::Back(Box::new(run), Box::new(Event::Replied(reply))))
        }
        Err(error) if now >= plan.deadline => {
            if error.kind.may_be_paid() {
                run.gave_up(Call::realtime(n), now);
            }
            Ok(Called::Back(Box::new(run), Box::new(Event::DeadlinePassed)))
        }
        Err(ModelError { kind, message, retry_after, .. }) => {
            warn!(job.id = %run.job_id, run.id = %run.key, attempt, "hop {n} of run {} failed: {message}", run.key);
            Ok(Called::Back(Box::new(run), Box::new(Event::ModelFailed { kind, message, retry_after })))
        }
    }
}

/// The run, under a lease that has some time left; `None` where it ran out while the request was put together, and somebody
/// else has the run: he asks the model.
async fn still_ours(scene: Scene<'_>, run: Run) -> Result<Option<Run>, EngineError> {
    let now = scene.deps.clock.now();
    if run.lease.as_ref().is_some_and(|lease| now + RENEW_EVERY <= lease.until) {
        return Ok(Some(run));
    }
    let Ok(renewed) = take(&run, &scene.invocation.id, now) else { return Ok(None) };
    Ok(save(scene, &renewed).await?.then_some(renewed))
}

/// What the answer to a call comes to that somebody gave up meanwhile.
fn too_late(
    scene: Scene<'_>,
    plan: &Plan,
    (hop, attempt): (u32, u32),
    answer: Result<Reply, ModelError>,
    now: DateTime<Utc>,
) -> Called {
    let asked = Asked { provider: &plan.provider, hop, attempt, path: Path::Realtime, batch: None, before: 0 };
    match answer {
        Ok(reply) => Called::TooLate(Some(Box::new(hop_of(scene, asked, &reply, now)))),
        Err(error) if error.kind.may_be_paid() => Called::LeaseLost,
        Err(_) => Called::TooLate(None),
    }
}

fn unplanned() -> Event {
    Event::Refused { code: "unplanned".to_owned(), message: "the run has no plan".to_owned() }
}

/// What waiting under a lease came to.
pub(super) enum Renewed<T> {
    /// The run as it stands under the lease, and what was waited for.
    Held(Box<Run>, T),
    /// The lease was lost, before what was waited for came or just then.
    Lost(Option<T>),
}

/// Awaits `answer`, renewing the run's lease meanwhile.
pub(super) async fn renewing<T>(
    scene: Scene<'_>,
    mut run: Run,
    answer: impl Future<Output = T>,
) -> Result<Renewed<T>, EngineError> {
    let mut answer = std::pin::pin!(answer);
    // A renewal whose own answer was lost is written again as it was, so that a repeat is told from a rival.
    let mut unsure: Option<Run> = None;
    loop {
        let renew_at: DateTime<Utc> = scene.deps.clock.now() + RENEW_EVERY;
        if let Some(answer) = clock::timeout(scene.deps.clock.as_ref(), renew_at, answer.as_mut()).await {
            // A renewal that nobody answered may have been written: what follows has to build on the row as it is.
            let Some(renewed) = unsure else { return Ok(Renewed::Held(Box::new(run), answer)) };
            return Ok(match save(scene, &renewed).await {
                Ok(true) => Renewed::Held(Box::new(renewed), answer),
                Ok(false) => Renewed::Lost(Some(answer)),
                Err(error) => {
                    warn!(run.id = %run.key, "the lease of run {} could not be renewed: {error}", run.key);
                    // Neither may have been written, and the answer must not be booked as somebody else's for that: the
                    // row tells which of them to build on. Where it cannot be read either, the next write will tell.
                    let stands = scene.deps.store.run(&run.key).await.ok().flatten();
                    let unwritten = stands.is_some_and(|stands| stands.rev == run.rev);
                    Renewed::Held(Box::new(if unwritten { run } else { renewed }), answer)
                }
            });
        }
        let renewed = match unsure.take() {
            Some(again) => again,
            None => match take(&run, &scene.invocation.id, scene.deps.clock.now()) {
                Ok(renewed) => renewed,
                Err(_) => return Ok(Renewed::Lost(None)),
            },
        };
        match save(scene, &renewed).await {
            Ok(true) => run = renewed,
            Ok(false) => return Ok(Renewed::Lost(None)),
            // The answer is worth more than the lease: it is awaited, and the lease renewed at the next tick.
            Err(error) => {
                warn!(run.id = %run.key, "the lease of run {} could not be renewed: {error}", run.key);
                unsure = Some(renewed);
            }
        }
    }
}

/// The request of the run's next hop: the frozen prefix and everything said since, byte for byte.
pub(crate) async fn hop_request(scene: Scene<'_>, run: &Run, plan: &Plan) -> Result<HopRequest, EngineError> {
    let prompt = load_text(scene.deps, &run.key, &run.prompt).await?;
    let system = match &plan.system {
        Some(text) => Some(load_text(scene.deps, &run.key, text).await?),
        None => None,
    };
    let tools = match &plan.tools {
        Some(text) => Some(load_text(scene.deps, &run.key, text).await?),
        None => None,
    };
    let mut messages = Vec::with_capacity(run.talk.opening.len() + run.talk.said.len() + 1);
    messages.extend(spoken(scene, &run.key, &run.talk.opening).await?);
    messages.push(TurnMessage { role: Role::User, content: serde_json::Value::String(prompt).to_string() });
    let prefix_tokens = estimated_tokens(system.as_deref(), tools.as_deref(), &messages);
    messages.extend(spoken(scene, &run.key, &run.talk.said).await?);
    let hop = u32::try_from(run.used().count() + 1).unwrap_or(u32::MAX);
    let cache = cache_for(Prospect {
        path: plan.path,
        hop,
        expected_hops: run.talk.expected_hops,
        loops: plan.endpoint.is_some(),
        expected_calls: run.talk.expected_within(hop),
        prefix_tokens,
        sent_tokens: estimated_tokens(system.as_deref(), tools.as_deref(), &messages),
        client_tools: !plan.client_tools.is_empty(),
        way: plan.way,
    });
    let mut request = HopRequest {
        model: plan.model.clone(),
        max_tokens: plan.max_tokens,
        system,
        tools,
        messages,
        effort: plan.effort.clone(),
        // A batch that goes on in realtime has shorter hops than it was planned with.
        thinking: plan.thinking.map(|mode| mode.within(plan.max_tokens)),
        cache,
        mcp_servers: mcp_servers(scene, run, plan).await?,
        container: run.talk.container.clone(),
    };
    if run.is_compacting() {
        request.messages.truncate(run.talk.opening.len());
        ask_for_summary(&mut request);
    }
    Ok(request)
}

/// The configured MCP servers of the run, with their tokens, which are read anew for each hop and written nowhere; and our
/// own endpoint, with the run's token.
async fn mcp_servers(scene: Scene<'_>, run: &Run, plan: &Plan) -> Result<Vec<McpConnection>, EngineError> {
    let mut servers = Vec::new();
    for name in &plan.mcp_servers {
        let missing = || EngineError::Secret(format!("the MCP server \"{name}\" is not configured any more"));
        let server = scene.config.mcp_servers.get(name).ok_or_else(missing)?;
        let token = match &server.authorization_token {
            Some(reference) => {
                let token = scene.deps.secrets.resolve(reference).await;
                Some(token.map_err(|reason| {
                    EngineError::Secret(format!("the token of the MCP server \"{name}\" cannot be had: {reason}"))
                })?)
            }
            None => None,
        };
        let token = token.map(|token| token.expose().to_owned());
        servers.push(McpConnection { name: name.clone(), url: server.url.clone(), token });
    }
    servers.extend(plan.endpoint.as_ref().map(|endpoint| endpoint.connection(&run.key)));
    Ok(servers)
}

#[cfg(test)]
mod tests {
    use std::sync::Arc;

    use nightshift_domain::config::Config;
    use tokio::sync::oneshot;
    use tokio::task::yield_now;

    use super::*;
    use crate::Deps;
    use crate::jobs::tests::world;
    use crate::ports::Write;
    use crate::testing::{Faulty, Mishap};

    #[tokio::test]
    async fn an_answer_after_a_renewal_whose_own_answer_was_lost_builds_on_the_row_as_it_is() {
        let world = world();
        let table = Arc::new(Faulty::new(world.deps.store.clone()));
        let deps = Deps { store: table.clone(), ..world.deps.clone() };
        let config = Config::default();
        let scene = Scene { deps: &deps, invocation: &world.invocation, config: &config };
        let run = crate::tools::tests::bare("main");
        let key = run.key.clone();
        deps.store.commit(&[Write::Run { run: &run, expires_at: None }]).await.unwrap();
        table.fail(0, Mishap::After);
        let (send, answer) = oneshot::channel();
        let provider = async {
            while world.clock.next_wake().is_none() {
                yield_now().await;
            }
            world.clock.advance(RENEW_EVERY);
            while deps.store.run(&key).await.unwrap().unwrap().rev == 1 || world.clock.next_wake().is_none() {
                yield_now().await;
            }
            send.send(7).unwrap();
        };
        let (renewed, ()) = tokio::join!(renewing(scene, run, answer), provider);
        let Renewed::Held(run, answer) = renewed.unwrap() else { panic!("the lease was kept") };
        assert_eq!(answer, Ok(7));
        assert_eq!(deps.store.run(&key).await.unwrap().unwrap().rev, run.rev, "what follows can be written");
    }
}
