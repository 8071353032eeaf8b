//! How long the prompt is that a job's turn begins with, for a job whose turns nobody knows yet.

use nightshift_domain::job::{JobRecord, Payload};
use nightshift_domain::model::{BYTES_PER_TOKEN, HopRequest, Role, TurnMessage};
use nightshift_domain::run::{Candidate, Origin, Text};
use nightshift_domain::{RunKey, run::Run};

use crate::clock;
use crate::error::EngineError;
use crate::jobs::load_message;
use crate::runs::Scene;
use crate::runs::claim::{bare_run, new_ulid, said_by};
use crate::runs::endpoint::can_have_endpoint;
use crate::runs::picking::{Picked, pick};
use crate::runs::prompt::system_prompt;

use super::{NOTE_TIMEOUT, offer_bytes, offered};

/// What tools take of a prompt, about, where nobody knows them.
const TOOLS_TOKENS: u64 = 2_000;

/// What a turn would begin with.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub(crate) struct Prefix {
    /// System prompt, tools and message, tokens.
    pub(crate) tokens: u64,
    /// Whether the provider counted them; otherwise that is what texts of their length have.
    pub(crate) counted: bool,
    /// Whether it may call tools that Nightshift runs.
    pub(crate) has_tools: bool,
    /// Whether the provider can call some of those itself.
    pub(crate) one_call: bool,
}

/// Puts the prompt together as a run of `record` would and has its provider count it, which costs nothing (Token counting
/// page, 2026-10). Where the model or its key cannot be had, or not within some seconds, it is a guess by the message alone.
/// Reads only.
pub(crate) async fn prefix(scene: Scene<'_>, record: &JobRecord) -> Result<Prefix, EngineError> {
    let text = said_by(&record.job, &load_message(scene.deps, record).await?);
    let deadline = scene.deps.clock.now() + NOTE_TIMEOUT;
    let looked = Box::pin(looked(scene, record, text.clone()));
    let found = clock::timeout(scene.deps.clock.as_ref(), deadline, looked).await.transpose()?.flatten();
    let Payload::AgentTurn(turn) = &record.job.payload else { return Ok(found.unwrap_or_default()) };
    let has_tools = turn.tools_allow.as_ref().is_none_or(|tools| !tools.is_empty());
    let tools = if has_tools { TOOLS_TOKENS } else { 0 };
    let tokens = text.len() as u64 / BYTES_PER_TOKEN + tools;
    Ok(found.unwrap_or(Prefix { tokens, has_tools, ..Prefix::default() }))
}

async fn looked(scene: Scene<'_>, record: &JobRecord, text: String) -> Result<Option<Prefix>, EngineError> {
    let (deps, config, now) = (scene.deps, scene.config, scene.deps.clock.now());
    let key = RunKey::manual(&record.job.job_id, &new_ulid(deps, now));
    let run: Run = bare_run(record, key, Origin::Manual, Text::Inline(text.clone()), now);
    let (_, agent, _) = config.agent(Some(&run.agent_id));
    let Ok(Picked { candidate, info, .. }) = pick(scene, &run, &agent, &mut Vec::new()).await else { return Ok(None) };
    let Candidate { provider_name, provider, model } = candidate;
    let offer = offered(config, &run, &agent, &provider, &info);
    let (system, _) = system_prompt(deps, &run, &agent, &config.agents.defaults, &offer.client).await?;
    let bytes = system.as_ref().map_or(0, String::len) + offer_bytes(&offer) + text.len();
    let prefix = Prefix {
        tokens: bytes as u64 / BYTES_PER_TOKEN,
        counted: false,
        has_tools: !offer.client.is_empty(),
        one_call: provider.is_anthropic() && can_have_endpoint(scene, &agent, &offer),
    };
    // What remote servers offer is known to the provider alone, once it asks them.
    if !offer.servers.is_empty() {
        return Ok(Some(prefix));
    }
    let Ok(opened) = deps.models.open(config, &provider_name).await else { return Ok(Some(prefix)) };
    let request = HopRequest {
        model,
        system,
        tools: (!offer.tools.is_empty()).then(|| serde_json::Value::from(offer.tools.as_slice()).to_string()),
        messages: vec![TurnMessage { role: Role::User, content: serde_json::Value::String(text).to_string() }],
        ..HopRequest::default()
    };
    Ok(Some(match opened.model.count(&request).await {
        Ok(Some(tokens)) => Prefix { tokens, counted: true, ..prefix },
        Ok(None) | Err(_) => prefix,
    }))
}
