//! The route of an agent: where a text goes that names no place. It is the place where the agent's last answer arrived, and
//! until then the configuration's default.
//!
//! Guarantee: only an announced answer that arrived whole makes a route. What a model sends by its `message` tool does not,
//! or one message to somebody else would turn every later answer there; neither do alerts, which go to those who look after
//! jobs, nor webhooks and the console, which are no chats.

use nightshift_domain::config::{Agent, Config, Route};
use nightshift_domain::delivery::Target;
use nightshift_domain::job::DeliveryMode;
use nightshift_domain::run::Run;
use serde::{Deserialize, Serialize};
use serde_json::json;

use super::Scene;
use crate::deps::Deps;
use crate::error::EngineError;
use crate::ports::{Memo, Outcome, Write};

/// The note about an agent's last answer.
#[derive(Debug, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
struct Arrived {
    /// Where.
    target: Target,
    /// The default of that time: a changed one is what its people want now.
    #[serde(default)]
    default_route: Option<Route>,
}

fn note_of(agent: &str) -> String {
    format!("last_route/{agent}")
}

/// Where the last answer of the agent called `id` arrived, as long as that can be opened and the agent's default is the same.
/// One read, none where no chat is configured.
pub(super) async fn last(deps: &Deps, config: &Config, id: &str, agent: &Agent) -> Result<Option<Target>, EngineError> {
    if config.channels.is_empty() {
        return Ok(None);
    }
    let note = deps.store.memo(&note_of(id)).await?;
    let arrived = note.and_then(|note| serde_json::from_value::<Arrived>(note.document).ok());
    Ok(arrived
        .filter(|arrived| arrived.default_route == agent.default_route)
        .map(|arrived| arrived.target)
        .filter(|target| is_configured(config, target)))
}

fn is_configured(config: &Config, target: &Target) -> bool {
    config.channels.get(&target.channel).is_some_and(|channel| channel.accounts.contains_key(&target.account))
}

/// Notes that the answer of `run` arrived at `target`.
///
/// # Crash safety
/// Written before the run is closed, so that a repeat comes by again and finds it noted. Lost to another answer's note, which
/// is as good a last one.
pub(crate) async fn remember(scene: Scene<'_>, run: &Run, target: &Target) -> Result<(), EngineError> {
    let announced = run.delivery.as_ref().is_some_and(|delivery| delivery.mode == DeliveryMode::Announce);
    if !announced || !is_configured(scene.config, target) {
        return Ok(());
    }
    let (id, agent, _) = scene.config.agent(Some(&run.agent_id));
    let stands = scene.deps.store.memo(&note_of(&id)).await?;
    let document = json!(Arrived { target: target.clone(), default_route: agent.default_route });
    if stands.as_ref().is_some_and(|note| note.document == document) {
        return Ok(());
    }
    let memo = Memo { name: note_of(&id), document, rev: stands.map_or(1, |note| note.rev + 1) };
    let _: Outcome = scene.deps.store.commit(&[Write::Memo { memo: &memo, expires_at: None }]).await?;
    Ok(())
}
