//! Plans a run before anything is paid: agent, model, path, target.

use chrono::{DateTime, TimeDelta, Utc};
use nightshift_domain::alert::rules;
use nightshift_domain::config::{Agent, Config, Provider};
use nightshift_domain::delivery::channel_of;
use nightshift_domain::heartbeat::{delivery as heartbeat_delivery, is_homeless};
use nightshift_domain::job::{BatchMode, DeliveryMode, Job, OnTimeout, Payload};
use nightshift_domain::model::{BYTES_PER_TOKEN, Chosen, ModelInfo, known, thinking_for};
use nightshift_domain::planner::Way;
use nightshift_domain::run::{
    BATCH_MAX_TOKENS, Candidate, Event, Fallback, Path, PathChoice, Plan, REALTIME_MAX_TOKENS, Run, choose_path,
    lineup, own_model,
};
use nightshift_domain::tools::{self, Offer, Wishes};
use tracing::info;

use crate::clock;
use crate::deps::Deps;
use crate::error::EngineError;
use crate::heartbeat::{self, Look, Seen};
use crate::ports::OpenedModel;

use super::Scene;
use super::endpoint::{can_have_endpoint, endpoint};
use super::picking::{Picked, pick};
use super::prompt::system_prompt;
use super::target::{of_route, target};
use super::texts::plan_text;

/// Longest realtime turn of those.
const DEFAULT_TIMEOUT_S: u64 = 3600;
/// Most model calls of those.
const DEFAULT_MAX_HOPS: u32 = 25;

/// What planning came to.
pub(super) struct Planned {
    /// The event for the run.
    pub event: Event,
    /// What is known of the model's context, in tokens.
    pub room: Option<u64>,
    /// What a heartbeat has before it.
    pub seen: Option<Box<Seen>>,
}

impl From<Event> for Planned {
    fn from(event: Event) -> Self {
        Self { event, room: None, seen: None }
    }
}

/// Plans `run`. Reads only (and writes one content-addressed blob for a long system prompt), so a repeat is harmless.
pub(super) async fn plan(scene: Scene<'_>, run: &Run) -> Result<Planned, EngineError> {
    let now = scene.deps.clock.now();
    let mut seen = match heartbeat::look(scene, run, now).await? {
        Look::NoBeat => None,
        Look::Nothing(reason) => return Ok(Event::Skipped { reason: reason.to_owned() }.into()),
        Look::Sees(seen) => Some(seen),
    };
    let bare = run;
    let mut with_events = seen.as_ref().map(|seen| seen.in_hands_of(bare));
    let run = with_events.as_ref().unwrap_or(bare);
    let (agent_id, agent, unknown_agent) = scene.config.agent(Some(&run.agent_id));
    let defaults = &scene.config.agents.defaults;
    let mut notes = Vec::new();
    if unknown_agent {
        notes.push(format!("agent \"{}\" is not configured; \"{agent_id}\" answers", run.agent_id));
    }
    if run.beat.is_some() && is_homeless(&scene.config.heartbeat_of(&agent), &agent) {
        let message = format!("the heartbeat of {agent_id} is for its owner, and its defaultRoute is not configured");
        return Ok(refused("delivery_target", message).into());
    }
    let target = match target(scene.deps, scene.config, run.delivery.as_ref(), &agent_id).await? {
        Ok(target) => target,
        Err(message) if run.delivery.as_ref().is_some_and(|delivery| delivery.best_effort) => {
            notes.push(format!("not delivered: {message}"));
            None
        }
        Err(message) => return Ok(refused("delivery_target", message).into()),
    };
    let mut picked = pick(scene, run, &agent, &mut notes).await;
    if picked.as_ref().is_err_and(|event| is_for_good(event))
        && let Some(seen) = &mut seen
        && let Some(wanted) = seen.refuse_model()
    {
        // An event whose model cannot be had is no reason for the others to wait, nor for itself.
        notes.push(format!("an event wants the model \"{}\", which cannot be used", wanted.escape_debug()));
        with_events = Some(seen.in_hands_of(bare));
        picked = pick(scene, with_events.as_ref().unwrap_or(bare), &agent, &mut notes).await;
    }
    let run = with_events.as_ref().unwrap_or(bare);
    let Picked { which, left, candidate, credential, info } = match picked {
        Ok(picked) => picked,
        Err(event) => return Ok((*event).into()),
    };
    let Candidate { provider_name, provider, model } = candidate;
    let PathChoice { mut path, mut fallback } = choose_path(&run.turn, scene.config, &provider, credential, &info);
    let has_time = run.due_by.as_ref().is_none_or(|due| due.has_time_for_a_batch(now) || !goes_on(scene.config, run));
    if path == Path::Batch && !has_time {
        (path, fallback) = (Path::Realtime, Some(Fallback::NoTime));
    }
    if let Some(fallback) = fallback {
        info!(job.id = %run.job_id, run.id = %run.key, fallback = fallback.code(), "run {} falls back to realtime: {}", run.key, fallback.sentence());
    }
    if run.delivery.as_ref().is_some_and(|delivery| delivery.mode == DeliveryMode::Webhook)
        && scene.config.cron.webhook_secret.is_none()
    {
        notes.push("the webhook is not signed: cron.webhookSecret is not configured".to_owned());
    }
    let mut offer = offered(scene.config, run, &agent, &provider, &info);
    notes.extend(offer.notes.iter().cloned());
    let (system, remarks) = system_prompt(scene.deps, run, &agent, defaults, &offer.client).await?;
    notes.extend(remarks);
    let realtime_seconds =
        run.turn.timeout_seconds.or(agent.timeout_seconds).or(defaults.timeout_seconds).unwrap_or(DEFAULT_TIMEOUT_S);
    let mut chosen = None;
    if path == Path::Batch && run.turn.batch.as_ref().is_some_and(|batch| batch.mode == Some(BatchMode::Auto)) {
        let reference = format!("{provider_name}/{model}");
        let bytes = system.as_ref().map_or(0, String::len) + offer_bytes(&offer) + run.prompt.bytes();
        let turn = auto::Turn {
            reference: &reference,
            prefix: bytes as u64 / BYTES_PER_TOKEN,
            has_tools: !offer.client.is_empty(),
            one_call: provider.is_anthropic() && can_have_endpoint(scene, &agent, &offer),
            time: deadline(scene.config, run, path, realtime_seconds, now) - now,
        };
        let choice = auto::choose(scene, run, &turn).await?;
        if choice.way == Way::Realtime {
            path = Path::Realtime;
        }
        chosen = Some(choice);
    }
    let max_tokens = max_tokens(path, &info);
    let level = run.turn.thinking.or(agent.thinking).or(defaults.thinking);
    let Chosen { effort, mode: thinking, notes: clamped } = thinking_for(level, &info, max_tokens);
    notes.extend(clamped);
    let system = match system {
        Some(text) => Some(plan_text(scene.deps, &run.key, text).await?),
        None => None,
    };
    let deadline = deadline(scene.config, run, path, realtime_seconds, now);
    let on_timeout = on_timeout(scene.config, run);
    let asks_alone = chosen.as_ref().is_none_or(|choice| choice.way == Way::OneCall);
    let endpoint = match path {
        Path::Batch if provider.is_anthropic() && asks_alone => {
            endpoint(scene, &agent, &mut offer, deadline, realtime_seconds)
        }
        Path::Batch | Path::Realtime => None,
    };
    if scene.config.api.public_url.as_ref().is_some_and(|url| !url.starts_with("https://")) {
        notes.push("api.publicUrl is not https: the tools are not offered over it".to_owned());
    }
    let tools = match offer.tools.as_slice() {
        [] => None,
        some => Some(plan_text(scene.deps, &run.key, serde_json::Value::from(some).to_string()).await?),
    };
    let plan = Plan {
        path,
        way: chosen.as_ref().map(|choice| choice.way),
        reason: chosen.map(|choice| choice.reason),
        fallback_reason: fallback.map(|fallback| fallback.code().to_owned()),
        provider: provider_name,
        model,
        max_tokens,
        effort,
        thinking,
        fallback: which,
        fallbacks_left: left,
        system,
        tools,
        client_tools: offer.client,
        mcp_servers: offer.servers,
        endpoint,
        target,
        deadline,
        on_timeout,
        realtime_seconds,
        searches: offer.tools.iter().filter(|tool| tool["name"] == "web_search").map(most_uses).sum(),
        max_hops: agent.max_hops.or(defaults.max_hops).unwrap_or(DEFAULT_MAX_HOPS),
        notes,
    };
    Ok(Planned { event: Event::Planned(Box::new(plan)), room: info.max_input_tokens, seen })
}

/// Whether what kept a run from being planned is there tomorrow too.
fn is_for_good(event: &Event) -> bool {
    matches!(event, Event::Refused { .. }) || matches!(event, Event::ModelFailed { kind, .. } if !kind.is_transient())
}

/// How long `cron.add` and `cron.plan` wait for what a provider says of a model.
const NOTE_TIMEOUT: TimeDelta = TimeDelta::seconds(3);

/// What a person should know when adding `job`: what its runs would say at night. Remarks, not refusals: the run itself
/// decides, under the configuration of its time.
pub async fn remarks(deps: &Deps, config: &Config, job: &Job) -> Vec<String> {
    let mut remarks = Vec::new();
    let (id, agent, is_missing) = config.agent(job.agent_id.as_deref());
    if matches!(job.payload, Payload::SystemEvent { .. }) {
        remarks.extend(heartbeat::remark(config, job));
        let rules = config.heartbeat_of(&agent);
        if is_homeless(&rules, &agent) {
            remarks.push(format!("the heartbeat of {id} is for its owner, and its defaultRoute is not configured"));
        }
        let delivery = heartbeat_delivery(&rules, &agent);
        if let Ok(Err(message)) = target(deps, config, Some(&delivery), &id).await {
            remarks.push(format!("as things stand what {id} says to it would not be delivered: {message}"));
        }
    }
    if let (true, Some(asked)) = (is_missing, &job.agent_id) {
        remarks.push(format!("agent \"{}\" is not configured; as things stand \"{id}\" answers", asked.escape_debug()));
    }
    match target(deps, config, job.delivery.as_ref(), &id).await {
        Ok(Err(message)) => remarks.push(format!("as things stand it would not be delivered: {message}")),
        Ok(Ok(_)) => remarks.extend(wandering(deps, config, job)),
        Err(_) => {}
    }
    if let Some(rules) = rules(job, config.cron.failure_alert.as_ref())
        && !rules.route.primary
        && let Ok(Err(why)) = of_route(deps, config, &rules.route, &id).await
    {
        let why = why.sentence("the alert", "the alert's to");
        remarks.push(format!("as things stand nobody would be told of its failures: {why}"));
    }
    match &job.payload {
        Payload::AgentTurn(turn) => {
            remarks.extend(lineup(config, turn, &agent).into_iter().flat_map(|lineup| lineup.notes));
        }
        Payload::SystemEvent { model: Some(model), .. } => {
            let found = config.model_ref(model).ok().and_then(|(provider, _)| config.provider(&provider));
            if found.is_none() {
                let model = model.escape_debug();
                remarks.push(format!("the model \"{model}\" cannot be used; the heartbeat has the agent's then"));
            }
        }
        Payload::SystemEvent { model: None, .. } => {}
    }
    remarks.extend(batch_note(deps, config, job).await);
    remarks
}

/// That a target without a channel is one of whichever channel the agent answered on last; `None` where there is one only.
fn wandering(deps: &Deps, config: &Config, job: &Job) -> Option<String> {
    let delivery = job.delivery.as_ref().filter(|delivery| delivery.mode == DeliveryMode::Announce)?;
    let is_named = delivery.channel.as_deref().is_some_and(|name| name != "last");
    let to = delivery.to.as_deref().filter(|to| !is_named && channel_of(to).is_none())?;
    (deps.channels.configured(config).len() > 1).then(|| {
        format!(
            "\"{}\" is a target of whichever channel its agent answered on last; delivery.channel would say which",
            to.escape_debug()
        )
    })
}

/// That the batch `job` asks for will not be one; `None` where it will, or where that cannot be told now.
async fn batch_note(deps: &Deps, config: &Config, job: &Job) -> Option<String> {
    let Payload::AgentTurn(turn) = &job.payload else { return None };
    if !turn.batch.as_ref().map_or(config.cron.batch.default, |batch| batch.enabled) {
        return None;
    }
    let (_, agent, _) = config.agent(job.agent_id.as_deref());
    let (name, model) = config.model_ref(own_model(config, turn, &agent)).ok()?;
    let provider = config.provider(&name)?;
    let OpenedModel { model: place, credential } = deps.models.open(config, &name).await.ok()?;
    let unknown = ModelInfo { id: model.clone(), batch: true, ..ModelInfo::default() };
    // Everything but the model's own capability is known without asking anybody.
    let told = choose_path(turn, config, &provider, credential, &unknown).fallback;
    let fallback = if let Some(fallback) = told {
        fallback
    } else {
        let deadline = deps.clock.now() + NOTE_TIMEOUT;
        let info = clock::timeout(deps.clock.as_ref(), deadline, place.info(&model)).await?.ok()?;
        let told =
            known(&name, &model, provider.is_anthropic(), Ok(info), &config.models.capabilities, deps.clock.now());
        choose_path(turn, config, &provider, credential, &told.ok()?.info).fallback?
    };
    Some(format!("batch not possible: {}", fallback.sentence()))
}

pub(super) fn refused(code: &str, message: String) -> Event {
    Event::Refused { code: code.to_owned(), message }
}

fn max_tokens(path: Path, info: &ModelInfo) -> u64 {
    let cap = match path {
        Path::Realtime => REALTIME_MAX_TOKENS,
        Path::Batch => BATCH_MAX_TOKENS,
    };
    info.max_tokens.min(cap)
}

/// The tools of the run.
fn offered(config: &Config, run: &Run, agent: &Agent, provider: &Provider, info: &ModelInfo) -> Offer {
    let servers: Vec<String> =
        agent.mcp_servers.iter().filter(|name| config.mcp_servers.contains_key(*name)).cloned().collect();
    tools::offer(Wishes {
        rules: &config.tools_of(agent),
        job: run.turn.tools_allow.as_deref(),
        announces: run.delivery.as_ref().is_some_and(|delivery| delivery.mode == DeliveryMode::Announce),
        server_tools: provider.is_anthropic() && info.server_tools,
        mcp: provider.is_anthropic(),
        webhooks: &config.webhook_tools,
        servers: &servers,
    })
}

/// How often a hop may use one of the provider's tools.
fn most_uses(tool: &serde_json::Value) -> u64 {
    tool["max_uses"].as_u64().unwrap_or(0)
}

/// What the tools take of a prompt.
fn offer_bytes(offer: &Offer) -> usize {
    offer.tools.iter().map(|tool| tool.to_string().len()).sum()
}

/// What happens to a batch turn whose time is up.
fn on_timeout(config: &Config, run: &Run) -> OnTimeout {
    let own = run.turn.batch.as_ref().and_then(|batch| batch.on_timeout);
    // Who says when the answer is wanted wants it then, whatever is usual.
    let usual = if run.due_by.is_some() { OnTimeout::Realtime } else { config.cron.batch.on_timeout };
    own.unwrap_or(usual)
}

fn goes_on(config: &Config, run: &Run) -> bool {
    on_timeout(config, run) == OnTimeout::Realtime
}

/// When the turn must have ended, or, in batches, must have been answered.
fn deadline(config: &Config, run: &Run, path: Path, realtime_seconds: u64, now: DateTime<Utc>) -> DateTime<Utc> {
    let most = TimeDelta::days(7);
    let own = run.turn.batch.as_ref().and_then(|batch| batch.max_wait_ms);
    let wait_ms = match path {
        Path::Batch => own.unwrap_or(config.cron.batch.max_wait_ms),
        Path::Realtime => realtime_seconds.saturating_mul(1000),
    };
    let wait = i64::try_from(wait_ms).ok().and_then(TimeDelta::try_milliseconds);
    let deadline = now + wait.map_or(most, |wait| wait.min(most));
    match run.due_by.as_ref().filter(|_| path == Path::Batch) {
        Some(due) => deadline.min(due.safe_until),
        None => deadline,
    }
}

mod auto;
pub(crate) mod prefix;
#[cfg(test)]
mod tests;
