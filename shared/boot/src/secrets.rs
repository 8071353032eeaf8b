//! Secrets by reference: `ssm:name` and `ssm:/path`, and on one's own machine `env:NAME` and `file:/path`.
//!
//! A name is looked for under the deployment's own path, which is all that its functions may read: `ssm:anthropic-key` of the
//! stack `nightshift` is the parameter `/nightshift/anthropic-key`.

use std::collections::HashMap;
use std::sync::{Arc, Mutex, PoisonError};

use async_trait::async_trait;
use chrono::{DateTime, TimeDelta, Utc};
use nightshift_domain::config::SecretsPath;
use nightshift_engine::Clock;
use nightshift_engine::ports::{Secret, Secrets};

/// How long a value is kept before it is read again, so that a rotated key is taken up.
const KEEP: TimeDelta = TimeDelta::minutes(5);

/// Reads secrets of this process.
#[derive(Debug)]
pub struct ProcessSecrets {
    store: Option<ParameterStore>,
    local: bool,
    clock: Arc<dyn Clock>,
    kept: Mutex<HashMap<String, (DateTime<Utc>, Secret)>>,
}

/// Where `ssm:` references point.
#[derive(Debug, Clone)]
pub struct ParameterStore {
    client: aws_sdk_ssm::Client,
    path: SecretsPath,
}

impl ParameterStore {
    /// The store, with the `path` that names without one are under.
    pub fn new(client: aws_sdk_ssm::Client, path: SecretsPath) -> Self {
        Self { client, path }
    }
}

impl ProcessSecrets {
    /// With `local`, references to the environment and to files are honoured.
    pub fn new(store: Option<ParameterStore>, local: bool, clock: Arc<dyn Clock>) -> Self {
        Self { store, local, clock, kept: Mutex::new(HashMap::new()) }
    }

    fn kept(&self, reference: &str) -> Option<Secret> {
        let kept = self.kept.lock().unwrap_or_else(PoisonError::into_inner);
        kept.get(reference).filter(|(at, _)| self.clock.now() - *at < KEEP).map(|(_, secret)| secret.clone())
    }

    async fn read(&self, reference: &str) -> Result<Secret, String> {
        let Some((kind, name)) = reference.split_once(':') else {
            return Err("a secret is given as a reference: ssm:name, env:NAME or file:/path".to_owned());
        };
        match kind {
            "ssm" => self.parameter(name).await,
            "env" if self.local => {
                let value = std::env::var(name).ok().filter(|value| !value.is_empty());
                value.map(Secret::from).ok_or_else(|| format!("the variable {name} is not set"))
            }
            "file" if self.local => {
                let text = std::fs::read_to_string(name).map_err(|error| format!("{name} cannot be read: {error}"))?;
                Ok(Secret::new(&text))
            }
            "env" | "file" => Err(format!("{kind}: references work on the local stack only; use ssm:name")),
            _ => Err(format!("\"{kind}:\" is no kind of reference; use ssm:name, env:NAME or file:/path")),
        }
    }

    async fn parameter(&self, name: &str) -> Result<Secret, String> {
        let Some(store) = &self.store else {
            return Err("the local stack has no parameter store; use env:NAME or file:/path".to_owned());
        };
        let name = store.path.parameter(name);
        let answer = store.client.get_parameter().name(&name).with_decryption(true).send().await;
        let output = answer.map_err(|error| {
            let error = error.into_service_error();
            format!("parameter {name} cannot be read: {error}")
        })?;
        let value = output.parameter.and_then(|parameter| parameter.value);
        value.map(Secret::from).ok_or_else(|| format!("parameter {name} is empty"))
    }
}

#[async_trait]
impl Secrets for ProcessSecrets {
    async fn resolve(&self, reference: &str) -> Result<Secret, String> {
        if let Some(secret) = self.kept(reference) {
            return Ok(secret);
        }
        let secret = self.read(reference).await?;
        let mut kept = self.kept.lock().unwrap_or_else(PoisonError::into_inner);
        kept.insert(reference.to_owned(), (self.clock.now(), secret.clone()));
        Ok(secret)
    }
}
