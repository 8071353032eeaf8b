//! A session as the API shows it.

use chrono::{DateTime, Utc};
use nightshift_domain::RunKey;
use nightshift_domain::model::Role;
use nightshift_domain::session::Session;
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

/// Longest text of a message that is shown, in characters, its ellipsis left out: with the most messages a session has, all
/// of them fit an answer.
pub const SAID_CHARS: usize = 8_000;

/// A session. Instants are epoch ms.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct SessionView {
    /// The agent whose session it is.
    pub agent_id: String,
    /// Its name.
    pub name: String,
    /// How many messages its history has.
    pub messages: u64,
    /// How many tokens these are, estimated.
    pub tokens: u64,
    /// Whether a summary stands for its older part.
    pub summarised: bool,
    /// When it began.
    pub created_at_ms: i64,
    /// When something was said in it last.
    pub updated_at_ms: i64,
    /// The run that has it.
    #[schemars(with = "Option<RunKey>")]
    pub held_by: Option<String>,
    /// How many runs wait for it.
    pub waiting: u64,
}

/// `sessions.list`.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct SessionPage {
    /// Sessions, by name.
    pub sessions: Vec<SessionView>,
    /// Ask for the next page with this; `null` on the last.
    pub next_cursor: Option<String>,
}

/// `sessions.get`.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct SessionAnswer {
    /// The session.
    #[serde(flatten)]
    pub session: SessionView,
    /// What its next run begins with, oldest first.
    pub history: Vec<SaidView>,
}

/// A message of a session's history.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct SaidView {
    /// Who speaks: `user` or `assistant`.
    pub role: String,
    /// The text, at most 8,000 characters of it and an ellipsis.
    pub text: String,
    /// The run it comes from; none for a summary.
    #[schemars(with = "Option<RunKey>")]
    pub run_id: Option<String>,
    /// When that run's turn ended.
    pub at_ms: Option<i64>,
}

impl From<&Session> for SessionView {
    fn from(session: &Session) -> Self {
        Self {
            agent_id: session.agent.clone(),
            name: session.name.clone(),
            messages: session.messages() as u64,
            tokens: session.tokens(),
            summarised: session.summary.is_some(),
            created_at_ms: session.created_at.timestamp_millis(),
            updated_at_ms: session.updated_at.timestamp_millis(),
            held_by: session.holder.as_ref().map(ToString::to_string),
            waiting: session.waiting.len() as u64,
        }
    }
}

impl SaidView {
    /// Shows a message of `from`, a run and when its turn ended.
    pub fn new(role: Role, text: &str, from: Option<(&RunKey, DateTime<Utc>)>) -> Self {
        let role = match role {
            Role::User => "user",
            Role::Assistant => "assistant",
        };
        let text = match text.char_indices().nth(SAID_CHARS) {
            None => text.to_owned(),
            Some((end, _)) => format!("{}…", &text[..end]),
        };
        let (run_id, at_ms) = from.map(|(run, at)| (run.to_string(), at.timestamp_millis())).unzip();
        Self { role: role.to_owned(), text, run_id, at_ms }
    }
}
