//! The configuration document.

use nightshift_domain::config::Config;
use nightshift_domain::job::JobRecord;
use nightshift_domain::schedule::{Schedule, Timetable};
use nightshift_domain::{FieldError, JobId};
use serde_json::Value;
use tracing::info;

use crate::ports::{Outcome, PageRequest, Write};

use super::params::Params;
use super::timing::{next_start, set_timer};
use super::{MAX_RACES, Refusal, Request};

/// Fields that hold a secret, and so may hold a reference only.
const SECRETS: [&str; 9] = [
    "apiKey",
    "botToken",
    "accessToken",
    "token",
    "password",
    "webhookSecret",
    "secret",
    "authorizationToken",
    "tokenSha256",
];
/// How references begin; all but the first are for the local stack.
const REFERENCES: [&str; 3] = ["ssm:", "env:", "file:"];

/// What came of a new configuration.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Applied {
    /// The revision it has.
    pub revision: u64,
    /// How many jobs run at other times because the zone they follow changed.
    pub jobs_moved: u64,
}

/// The document and its revision.
pub async fn config_get(request: &Request<'_>, input: &Value) -> Result<(u64, Value), Refusal> {
    Params::new(input, &[]).done(())?;
    let (revision, document) = request.deps.store.config().await?;
    Ok((revision, if document.is_null() { Value::Object(serde_json::Map::new()) } else { document }))
}

/// Replaces the document: `{config, expectedRevision?}`. Jobs that follow a zone which changed are moved to it.
///
/// # Crash safety
/// One conditional write of the document, then the jobs one by one. Stopped among them, the rest keep the old zone's timer
/// until the request is repeated: whether a job has moved is told by its row, not by the document's change.
pub async fn config_apply(request: &Request<'_>, input: &Value) -> Result<Applied, Refusal> {
    let mut params = Params::new(input, &["config", "expectedRevision"]);
    let expected = params.whole("expectedRevision");
    let document = params.get("config").cloned();
    let mut config = None;
    match &document {
        None => params.fault(
            FieldError::new("missing_field", "config", "config is missing")
                .hint("send the whole document: {\"config\": {…}}"),
        ),
        Some(document) => match Config::parse(document) {
            Ok(read) => {
                config = Some(read);
                secrets(document, "config", request.deps.settings.local, &mut params);
            }
            Err(fault) => params.fault(fault),
        },
    }
    if let Some(config) = &config {
        zones(config, &mut params);
        for fault in config.out_of_range() {
            params.fault(fault);
        }
        if config.cron.min_interval_ms < 60_000 && !request.deps.settings.local {
            let field = "config.cron.minIntervalMs";
            params.fault(FieldError::new(
                "invalid_config",
                field,
                "an interval under a minute is for the local stack only",
            ));
        }
    }
    let (document, config) = params.needed(document.zip(config))?;
    let revision = write(request, &document, expected).await?;
    let jobs_moved = move_followers(request, &config).await?;
    info!(config.revision = revision, "the configuration is at revision {revision}");
    Ok(Applied { revision, jobs_moved })
}

async fn write(request: &Request<'_>, document: &Value, expected: Option<u64>) -> Result<u64, Refusal> {
    let store = &request.deps.store;
    for _ in 0..MAX_RACES {
        let (found, current) = store.config().await?;
        // A repeat, or a change of nothing.
        if current == *document && found > 0 {
            return Ok(found);
        }
        if let Some(expected) = expected.filter(|expected| *expected != found) {
            return Err(Refusal::ConfigChanged { expected, found });
        }
        if store.put_config(document, found).await? == Outcome::Applied {
            return Ok(found + 1);
        }
    }
    Err(Refusal::Changed("the configuration".to_owned()))
}

/// Names every secret that stands in the document as itself.
fn secrets(value: &Value, path: &str, local: bool, params: &mut Params<'_>) {
    match value {
        Value::Object(map) => {
            for (name, inner) in map {
                let path = format!("{path}.{name}");
                match inner {
                    Value::String(text) if SECRETS.contains(&name.as_str()) => {
                        let known = if local { &REFERENCES[..] } else { &REFERENCES[..1] };
                        if !known.iter().any(|reference| text.starts_with(reference)) {
                            let fault = FieldError::new("invalid_config", path, format!("{name} holds no reference"));
                            params.fault(
                                fault.hint("write where the secret is, such as ssm:/nightshift/key; never the secret"),
                            );
                        }
                    }
                    Value::String(_) | Value::Null | Value::Bool(_) | Value::Number(_) => {}
                    Value::Array(_) | Value::Object(_) => secrets(inner, &path, local, params),
                }
            }
        }
        Value::Array(items) => {
            for (index, inner) in items.iter().enumerate() {
                secrets(inner, &format!("{path}.{index}"), local, params);
            }
        }
        Value::Null | Value::Bool(_) | Value::Number(_) | Value::String(_) => {}
    }
}

fn zones(config: &Config, params: &mut Params<'_>) {
    let agents = config.agents.entries.iter();
    let named = agents
        .map(|(id, agent)| (format!("config.agents.entries.{id}.timezone"), &agent.timezone))
        .chain([("config.agents.defaults.timezone".to_owned(), &config.agents.defaults.timezone)])
        .chain([("config.cron.timezone".to_owned(), &config.cron.timezone)]);
    for (field, zone) in named {
        let Some(zone) = zone else { continue };
        let probe = Schedule::Cron { expr: "0 0 1 1 *".to_owned(), tz: Some(zone.clone()), stagger_ms: None };
        if let Err(error) = Timetable::new(&probe, "UTC") {
            let fault = FieldError::new("invalid_config", field, error.message);
            params.fault(match error.hint {
                Some(hint) => fault.hint(hint),
                None => fault,
            });
        }
    }
}

/// Moves every job whose next run is not where `config` puts it. Only those without a zone of their own can be.
async fn move_followers(request: &Request<'_>, config: &Config) -> Result<u64, Refusal> {
    let store = &request.deps.store;
    let mut moved = 0;
    let mut cursor = None;
    loop {
        let page = store.jobs(&PageRequest { limit: 200, cursor }).await?;
        for record in page.items.iter().filter(|record| misplaced(record, config, request).is_some()) {
            moved += u64::from(move_one(request, config, &record.job.job_id).await?);
        }
        cursor = page.next;
        if cursor.is_none() {
            return Ok(moved);
        }
    }
}

/// Where the job's next run is to be, if it is elsewhere.
fn misplaced(record: &JobRecord, config: &Config, request: &Request<'_>) -> Option<i64> {
    let Schedule::Cron { tz: None, .. } = record.job.schedule else { return None };
    let next = next_start(&record.job, config, request.now)?.timestamp_millis();
    (record.job.state.next_run_at_ms != Some(next)).then_some(next)
}

async fn move_one(request: &Request<'_>, config: &Config, id: &JobId) -> Result<bool, Refusal> {
    let store = &request.deps.store;
    for _ in 0..MAX_RACES {
        let Some(old) = store.job(id).await? else { return Ok(false) };
        let Some(next) = misplaced(&old, config, request) else { return Ok(false) };
        let mut new = old.clone();
        new.rev += 1;
        new.generation += 1;
        new.chained = false;
        new.job.state.next_run_at_ms = Some(next);
        // Every field of the row is as it was read, its text's form too.
        if store.commit(&[Write::Job(&new)]).await? == Outcome::Applied {
            set_timer(request, config, Some(&old), &new, true).await?;
            return Ok(true);
        }
    }
    Err(Refusal::Changed(format!("job {id}")))
}
