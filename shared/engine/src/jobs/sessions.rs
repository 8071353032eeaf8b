//! Named sessions: what people see of them, and how they clear one.

use chrono::{DateTime, Utc};
use nightshift_domain::job::SessionTarget;
use nightshift_domain::model::Role;
use nightshift_domain::run::Text;
use nightshift_domain::session::{Session, holds};
use nightshift_domain::{FieldError, RunKey};
use serde_json::Value;
use tracing::info;

use crate::ports::{Outcome, Page, PageRequest, Write};
use crate::runs::{load_config, sessions};

use super::params::Params;
use super::read::{Listed, cursor_fault};
use super::{MAX_RACES, Refusal, Request};

/// A message of a session's history.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Message {
    /// Who speaks.
    pub role: Role,
    /// The text.
    pub text: String,
    /// The run it comes from, and when its turn ended; none for a summary.
    pub from: Option<(RunKey, DateTime<Utc>)>,
}

/// An agent's sessions by name: `{agentId?, limit?, cursor?}`.
pub async fn sessions_list(request: &Request<'_>, input: &Value) -> Result<Listed<Session>, Refusal> {
    let mut params = Params::new(input, &["agentId", "limit", "cursor"]);
    let agent = params.text("agentId").map(str::to_owned);
    let page = PageRequest { limit: params.limit(), cursor: params.text("cursor").map(str::to_owned) };
    params.done(())?;
    let agent = agent_of(request, agent).await?;
    let Page { items, next } = request.deps.store.sessions(&agent, &page).await.map_err(cursor_fault)?;
    Ok(Listed { rows: items, next })
}

/// A session and its history: `{agentId?, name}`.
pub async fn session_get(request: &Request<'_>, input: &Value) -> Result<(Session, Vec<Message>), Refusal> {
    let session = named(request, input).await?;
    let mut history = Vec::new();
    if let Some(summary) = &session.summary {
        let text = text_of(request, &summary.content).await?;
        history.push(Message { role: Role::User, text, from: None });
    }
    for exchange in sessions::exchanges(request.deps, &session).await? {
        for said in &exchange.said {
            let text = text_of(request, &said.content).await?;
            history.push(Message { role: said.role, text, from: Some((exchange.run.clone(), exchange.at)) });
        }
    }
    Ok((session, history))
}

/// Removes a session: `{agentId?, name}`. One that a run is using is left alone. Runs that wait for it stay, and begin it anew.
///
/// # Crash safety
/// One transaction for the rows; then the blobs, which nothing names any more. A repeat finds no session.
pub async fn session_remove(request: &Request<'_>, input: &Value) -> Result<(), Refusal> {
    let store = &request.deps.store;
    for _ in 0..MAX_RACES {
        let session = named(request, input).await?;
        if let Some(holder) = &session.holder
            && let Some(run) = store.run(holder).await?
            && holds(&run, &session.agent, &session.name)
        {
            return Err(Refusal::SessionBusy { name: session.name, run: run.key });
        }
        let exchanges = sessions::exchanges(request.deps, &session).await?;
        if store.commit(&[Write::RemoveSession(&session)]).await? == Outcome::Applied {
            info!("a session of agent {} is removed", session.agent);
            let summary = session.summary.as_ref().and_then(|summary| sessions::blob(&summary.content));
            let litter = exchanges.iter().flat_map(sessions::blobs).chain(summary).collect();
            sessions::clear(request.deps, litter).await;
            return Ok(());
        }
    }
    Err(Refusal::Changed("the session".to_owned()))
}

/// The session that `{agentId?, name}` names.
async fn named(request: &Request<'_>, input: &Value) -> Result<Session, Refusal> {
    let mut params = Params::new(input, &["agentId", "name"]);
    let agent = params.text("agentId").map(str::to_owned);
    let name = params.text("name").map(str::to_owned);
    let fits = |name: &str| matches!(SessionTarget::parse(&format!("session:{name}")), Some(SessionTarget::Named(_)));
    match &name {
        Some(name) if !fits(name) => {
            let hint = "letters, digits, - _ and ., at most 64 bytes: what a job says after session:";
            params.fault(FieldError::new("invalid_field", "name", "name is no name of a session").hint(hint));
        }
        None if params.get("name").is_none_or(Value::is_string) => {
            params.fault(FieldError::new("missing_field", "name", "name is missing"));
        }
        Some(_) | None => {}
    }
    let name = params.needed(name)?;
    let agent = agent_of(request, agent).await?;
    let session = request.deps.store.session(&agent, &name).await?;
    session.ok_or(Refusal::NoSession { agent, name })
}

/// Whose session is meant. An agent that is not configured any more keeps its sessions until they are removed.
async fn agent_of(request: &Request<'_>, named: Option<String>) -> Result<String, Refusal> {
    match named {
        Some(agent) => Ok(agent),
        None => Ok(load_config(request.deps).await?.agent(None).0),
    }
}

/// The text of a message; its content as it is where it is no text.
async fn text_of(request: &Request<'_>, content: &Text) -> Result<String, Refusal> {
    let raw = match content {
        Text::Inline(raw) => raw.clone(),
        Text::Blob { key, .. } => match request.deps.blobs.get(key).await? {
            Some(body) => String::from_utf8_lossy(&body).into_owned(),
            None => return Ok(String::new()),
        },
    };
    Ok(serde_json::from_str::<String>(&raw).unwrap_or(raw))
}
