//! What a provider's own loop may call within a hop of a run, and the calls that act.
//!
//! A call over the endpoint has no id of the model's that could be trusted to stay the same: the provider may run a batched
//! request again, hours later, and the model then words its calls anew. What it wants done is the tool and its arguments, so
//! that is what an acting call is known by: the same one is carried out once in a run, whoever repeats it. Two calls that are
//! meant to do the same thing twice (two messages with one text) collapse into one; a model that means it has to say
//! something else.

use chrono::{DateTime, Utc};
use serde::{Deserialize, Serialize};
use serde_json::Value;
use sha2::{Digest, Sha256};

use super::{CallState, Run, State};
use crate::RunKey;
use crate::model::McpConnection;
use crate::run_token::{Claims, TokenKey, render};
use crate::tools::endpoint::SERVER_NAME;

/// The MCP endpoint as one run has it, frozen with its plan.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct Endpoint {
    /// Its address.
    pub url: String,
    /// The tools it has for the run, by the names they have there.
    pub tools: Vec<String>,
    /// What signs the run's token.
    pub key: TokenKey,
    /// When the token ends, whatever becomes of the run.
    pub expires: DateTime<Utc>,
}

impl Endpoint {
    /// As the provider is told of it, in every hop the same bytes.
    pub fn connection(&self, run: &RunKey) -> McpConnection {
        let claims = Claims { run: run.clone(), tools: self.tools.clone(), expires: self.expires };
        let token = Some(render(&self.key, &claims));
        McpConnection { name: SERVER_NAME.to_owned(), url: self.url.clone(), token }
    }
}

impl Run {
    /// The endpoint, while a model may be calling it: a hop of the run is with the provider, or may be already, and nobody
    /// wants it stopped.
    pub fn open_endpoint(&self) -> Option<&Endpoint> {
        if self.cancel_requested {
            return None;
        }
        match self.state {
            State::Running { .. } | State::Submitting { .. } | State::Submitted { .. } | State::Canceling { .. } => {
                self.plan.as_ref()?.endpoint.as_ref()
            }
            State::Due
            | State::Waiting { .. }
            | State::Tools { .. }
            | State::Paused { .. }
            | State::Ready { .. }
            | State::Delivering
            | State::Succeeded
            | State::DeliveryFailed
            | State::DeliveryUnknown
            | State::Failed { .. }
            | State::Skipped { .. }
            | State::Canceled => None,
        }
    }
}

/// An acting call over the endpoint. It is written as begun before it acts.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct EndpointCall {
    /// The run.
    pub run: RunKey,
    /// What it is known by in the run: [`call_id`].
    pub id: String,
    /// The tool.
    pub tool: String,
    /// The invocation that makes it: two that begin it at the same moment are told apart by this.
    pub by: String,
    /// How it stands; never asked only.
    pub state: CallState,
    /// Rises with every write; the condition of the next one.
    pub rev: u64,
}

/// What a call of `tool` with `arguments` is known by in its run: the same for every way of writing the same arguments down.
/// 45 characters that any header can carry.
pub fn call_id(tool: &str, arguments: &Value) -> String {
    use std::fmt::Write as _;
    let mut digest = Sha256::new();
    digest.update(tool.as_bytes());
    digest.update(b"\n");
    digest.update(canonical(arguments).to_string().as_bytes());
    digest.finalize().iter().take(20).fold("once-".to_owned(), |mut id, byte| {
        // Writing to a string cannot fail.
        let _ = write!(id, "{byte:02x}");
        id
    })
}

/// The value with the fields of every object in the order of their names.
fn canonical(value: &Value) -> Value {
    match value {
        Value::Object(fields) => {
            let mut fields: Vec<(&String, &Value)> = fields.iter().collect();
            fields.sort_by_key(|(name, _)| *name);
            fields.into_iter().map(|(name, value)| (name.clone(), canonical(value))).collect()
        }
        Value::Array(values) => values.iter().map(canonical).collect(),
        Value::Null | Value::Bool(_) | Value::Number(_) | Value::String(_) => value.clone(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    fn endpoint() -> Endpoint {
        Endpoint {
            url: "https://example.com/mcp".to_owned(),
            tools: vec!["http_fetch".to_owned()],
            key: TokenKey::new(1, 2),
            expires: "2026-11-22T08:00:00Z".parse().unwrap(),
        }
    }

    #[test]
    fn the_connection_is_the_same_after_the_plan_was_stored() {
        let run = RunKey::parse("a-1_20261120T070000Z").unwrap();
        let stored: Endpoint = serde_json::from_str(&serde_json::to_string(&endpoint()).unwrap()).unwrap();
        assert_eq!(stored.connection(&run), endpoint().connection(&run));
        let token = stored.connection(&run).token.unwrap();
        let now = endpoint().expires - chrono::TimeDelta::hours(1);
        assert_eq!(crate::run_token::verify(&endpoint().key, &token, now).unwrap().tools, ["http_fetch"]);
    }

    #[test]
    fn neither_key_nor_token_is_in_debug_output() {
        let run = RunKey::parse("a-1_20261120T070000Z").unwrap();
        let key = serde_json::to_string(&endpoint().key).unwrap();
        let connection = endpoint().connection(&run);
        let shown = format!("{:?} {connection:?}", endpoint());
        assert!(!shown.contains(key.trim_matches('"')), "{shown}");
        assert!(!shown.contains(connection.token.as_deref().unwrap()), "{shown}");
        assert!(!serde_json::to_string(&connection).unwrap().contains("nst1"));
    }

    #[test]
    fn a_call_is_known_by_what_it_does_and_not_by_how_that_was_written() {
        let one = json!({ "b": 1, "a": { "d": [1, { "y": 2, "x": 1 }], "c": null } });
        let other: Value = serde_json::from_str(r#"{"a":{"c":null,"d":[1,{"x":1,"y":2}]},"b":1}"#).unwrap();
        let id = call_id("message", &one);
        assert_eq!(id, call_id("message", &other));
        assert_eq!((id.len(), id.starts_with("once-")), (45, true));
        for (tool, arguments) in [
            ("messag", one.clone()),
            ("message", json!({ "b": "1", "a": one["a"] })),
            ("message", json!({ "b": 1, "a": { "d": [{ "y": 2, "x": 1 }, 1], "c": null } })),
            ("message", Value::Null),
        ] {
            assert_ne!(call_id(tool, &arguments), id, "{tool} {arguments}");
        }
    }
}
