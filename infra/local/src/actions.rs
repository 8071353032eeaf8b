//! Which AWS actions each function uses, seen on the wire: what its role has to grant, and no more.
//!
//! Written only where `NIGHTSHIFT_ACTIONS` names a folder, one line for each action the first time a stack sees it:
//! the function, the action as IAM spells it, and the resource in the template's words (`table`, `index/GSI1`, `schedule`,
//! `function/trigger`, `blobs`, `parameter`). A process that is killed has written what it saw. Who calls is known by the app
//! id of the SDK's user agent, which the stack gives every function; other callers have none and are passed over. Blobs and
//! secrets do not cross the wire here: their calls, and the opening of what needs a secret, are noted as what they are on AWS.

use std::collections::BTreeSet;
use std::io::Write as _;
use std::path::Path;
use std::sync::{Arc, Mutex, PoisonError};

use async_trait::async_trait;
use axum::http::HeaderMap;
use bytes::Bytes;
use nightshift_domain::config::Config;
use nightshift_engine::Deps;
use nightshift_engine::ports::{
    BlobError, Blobs, Channel, Channels, Models, OpenChannelError, OpenModelError, OpenedModel, Secret, Secrets,
};
use serde_json::Value;

use crate::functions::PREFIX;

/// The variable that names the folder.
pub(crate) const ACTIONS_VAR: &str = "NIGHTSHIFT_ACTIONS";

/// Notes actions; clones share what was seen.
#[derive(Debug, Clone, Default)]
pub(crate) struct Actions {
    seen: Option<Arc<Mutex<Seen>>>,
}

#[derive(Debug)]
struct Seen {
    lines: BTreeSet<String>,
    file: std::fs::File,
}

impl Actions {
    /// Into `folder`; nowhere without one.
    pub(crate) fn into_folder(folder: Option<&Path>) -> std::io::Result<Self> {
        let Some(folder) = folder else { return Ok(Self::default()) };
        std::fs::create_dir_all(folder)?;
        let file = folder.join(format!("{}.txt", std::process::id()));
        let file = std::fs::File::options().create(true).append(true).open(file)?;
        Ok(Self { seen: Some(Arc::new(Mutex::new(Seen { lines: BTreeSet::new(), file }))) })
    }

    /// Whether anything is noted: reading a request's body for it costs something.
    pub(crate) fn is_on(&self) -> bool {
        self.seen.is_some()
    }

    /// Notes what `function` asked of `service`.
    pub(crate) fn note_call(&self, function: &str, service: &str, operation: &str, path: &str, body: &[u8]) {
        for (action, resource) in actions(service, operation, path, body) {
            self.note(function, &action, &resource);
        }
    }

    fn note(&self, function: &str, action: &str, resource: &str) {
        let Some(seen) = &self.seen else { return };
        let line = format!("{function} {action} {resource}\n");
        let mut seen = seen.lock().unwrap_or_else(PoisonError::into_inner);
        if !seen.lines.contains(&line) {
            // A line that cannot be written is missed by the test that reads them.
            let _ = seen.file.write_all(line.as_bytes());
            seen.lines.insert(line);
        }
    }

    /// The same dependencies, whose blobs and secrets are noted for `function` (its full name).
    pub(crate) fn watching(&self, deps: Deps, function: &str) -> Deps {
        if !self.is_on() {
            return deps;
        }
        let function = function.strip_prefix(PREFIX).unwrap_or(function);
        let watched = || Watched { actions: self.clone(), function: function.to_owned() };
        Deps {
            blobs: Arc::new(WatchedBlobs { watched: watched(), inner: deps.blobs }),
            secrets: Arc::new(WatchedSecrets { watched: watched(), inner: deps.secrets }),
            models: Arc::new(WatchedModels { watched: watched(), inner: deps.models }),
            channels: Arc::new(WatchedChannels { watched: watched(), inner: deps.channels }),
            ..deps
        }
    }
}

/// The function that a request is of, by the app id in its user agent (`app/nightshift-poll`).
pub(crate) fn caller(headers: &HeaderMap) -> Option<&str> {
    let agent = headers.get("user-agent")?.to_str().ok()?;
    agent.split(' ').find_map(|part| part.strip_prefix("app/"))?.strip_prefix(PREFIX)
}

/// What IAM asks for, for one call (Service Authorization Reference: DynamoDB, EventBridge Scheduler, Lambda; read 2026-11).
fn actions(service: &str, operation: &str, path: &str, body: &[u8]) -> Vec<(String, String)> {
    let body: Value = serde_json::from_slice(body).unwrap_or_default();
    let one = |action: &str, resource: &str| vec![(action.to_owned(), resource.to_owned())];
    match service {
        // A transaction is asked for by what its items do.
        "dynamodb" if operation.starts_with("Transact") => {
            let items = body["TransactItems"].as_array().into_iter().flatten();
            let kinds = items.filter_map(|item| item.as_object()).flat_map(serde_json::Map::keys);
            let action = |kind: &String| match kind.as_str() {
                "ConditionCheck" => "dynamodb:ConditionCheckItem".to_owned(),
                kind => format!("dynamodb:{kind}Item"),
            };
            kinds.map(|kind| (action(kind), "table".to_owned())).collect()
        }
        "dynamodb" => {
            let resource = body["IndexName"].as_str().map_or("table".to_owned(), |index| format!("index/{index}"));
            one(&format!("dynamodb:{operation}"), &resource)
        }
        // Giving a schedule its role is an action of its own.
        "scheduler" if matches!(operation, "CreateSchedule" | "UpdateSchedule") => {
            let role = ("iam:PassRole".to_owned(), "role".to_owned());
            vec![(format!("scheduler:{operation}"), "schedule".to_owned()), role]
        }
        // A list has no resource narrower than all schedules.
        "scheduler" if path == "/schedules" => one("scheduler:ListSchedules", "*"),
        "scheduler" => one(&format!("scheduler:{operation}"), "schedule"),
        "lambda" => operation
            .strip_prefix("Invoke ")
            .map_or_else(Vec::new, |name| one("lambda:InvokeFunction", &format!("function/{name}"))),
        _ => Vec::new(),
    }
}

#[derive(Debug)]
struct Watched {
    actions: Actions,
    function: String,
}

impl Watched {
    fn note(&self, action: &str, resource: &str) {
        self.actions.note(&self.function, action, resource);
    }
}

#[derive(Debug)]
struct WatchedBlobs {
    watched: Watched,
    inner: Arc<dyn Blobs>,
}

#[async_trait]
impl Blobs for WatchedBlobs {
    async fn put(&self, key: &str, body: Bytes) -> Result<(), BlobError> {
        self.watched.note("s3:PutObject", "blobs");
        self.inner.put(key, body).await
    }

    async fn get(&self, key: &str) -> Result<Option<Bytes>, BlobError> {
        self.watched.note("s3:GetObject", "blobs");
        self.inner.get(key).await
    }

    async fn remove(&self, key: &str) -> Result<(), BlobError> {
        self.watched.note("s3:DeleteObject", "blobs");
        self.inner.remove(key).await
    }
}

#[derive(Debug)]
struct WatchedSecrets {
    watched: Watched,
    inner: Arc<dyn Secrets>,
}

#[async_trait]
impl Secrets for WatchedSecrets {
    async fn resolve(&self, reference: &str) -> Result<Secret, String> {
        self.watched.note("ssm:GetParameter", "parameter");
        self.inner.resolve(reference).await
    }
}

/// A provider and a channel are opened with what their references point at.
#[derive(Debug)]
struct WatchedModels {
    watched: Watched,
    inner: Arc<dyn Models>,
}

#[async_trait]
impl Models for WatchedModels {
    async fn open(&self, config: &Config, name: &str) -> Result<OpenedModel, OpenModelError> {
        self.watched.note("ssm:GetParameter", "parameter");
        self.inner.open(config, name).await
    }
}

#[derive(Debug)]
struct WatchedChannels {
    watched: Watched,
    inner: Arc<dyn Channels>,
}

#[async_trait]
impl Channels for WatchedChannels {
    async fn open(
        &self,
        config: &Config,
        name: &str,
        account: Option<&str>,
    ) -> Result<Arc<dyn Channel>, OpenChannelError> {
        self.watched.note("ssm:GetParameter", "parameter");
        self.inner.open(config, name, account).await
    }

    fn configured(&self, config: &Config) -> Vec<String> {
        self.inner.configured(config)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn of(service: &str, operation: &str, path: &str, body: &str) -> Vec<String> {
        let all = actions(service, operation, path, body.as_bytes());
        all.into_iter().map(|(action, resource)| format!("{action} {resource}")).collect()
    }

    #[test]
    fn a_transaction_is_what_its_items_do() {
        let body = r#"{"TransactItems":[{"Put":{}},{"Update":{}},{"Delete":{}},{"ConditionCheck":{}}]}"#;
        let expected = ["PutItem", "UpdateItem", "DeleteItem", "ConditionCheckItem"];
        let expected = expected.map(|action| format!("dynamodb:{action} table"));
        assert_eq!(of("dynamodb", "TransactWriteItems", "/", body), expected);
    }

    #[test]
    fn a_query_names_its_index_a_schedule_its_role_and_an_invocation_its_function() {
        assert_eq!(of("dynamodb", "Query", "/", r#"{"IndexName":"GSI2"}"#), ["dynamodb:Query index/GSI2"]);
        assert_eq!(of("dynamodb", "GetItem", "/", "{}"), ["dynamodb:GetItem table"]);
        let expected = ["scheduler:CreateSchedule schedule", "iam:PassRole role"];
        assert_eq!(of("scheduler", "CreateSchedule", "/schedules/p-1", "{}"), expected);
        assert_eq!(of("scheduler", "GetSchedule", "/schedules", ""), ["scheduler:ListSchedules *"]);
        assert_eq!(of("lambda", "Invoke deliver", "/x/invocations", "{}"), ["lambda:InvokeFunction function/deliver"]);
        assert_eq!(of("anthropic", "POST /v1/messages", "/v1/messages", "{}"), [""; 0]);
    }

    #[test]
    fn a_caller_is_known_by_its_app_id() {
        let headers = |agent: &str| HeaderMap::from_iter([(axum::http::header::USER_AGENT, agent.parse().unwrap())]);
        let agent = "aws-sdk-rust/1.3.9 os/linux lang/rust/1.95.0 app/nightshift-poll";
        assert_eq!(caller(&headers(agent)), Some("poll"));
        assert_eq!(caller(&headers("aws-sdk-rust/1.3.9 os/linux")), None);
    }
}
