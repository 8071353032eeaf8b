//! The configuration document.

use nightshift_domain::config::{self, Change, Checked, Config, ConfigPath};
use nightshift_domain::job::JobRecord;
use nightshift_domain::{FieldError, JobId};
use serde_json::{Map, Value};
use tracing::info;

use crate::deps::Settings;
use crate::ports::{Outcome, PageRequest, Write};

use super::params::Params;
use super::timing::{default_zone, next_start, retime, set_timer, settle_timer};
use super::{MAX_RACES, Refusal, Request, heartbeats};

/// What came of a new configuration.
#[derive(Debug, Clone, PartialEq)]
pub struct Applied {
    /// The revision it has.
    pub revision: u64,
    /// How many jobs run at other times because the zone they follow changed.
    pub jobs_moved: u64,
    /// What changed in the document; nothing when it was so already.
    pub changes: Vec<Change>,
    /// How many more changes there were.
    pub more_changes: u64,
    /// What is accepted and worth knowing.
    pub notes: Vec<String>,
}

/// What is to be said about a document that was only looked at.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Validated {
    /// Every bad field; none when it could be applied.
    pub faults: Vec<FieldError>,
    /// What is accepted and worth knowing.
    pub notes: Vec<String>,
}

/// The document and its revision.
pub async fn config_get(request: &Request<'_>, input: &Value) -> Result<(u64, Value), Refusal> {
    Params::new(input, &[]).done(())?;
    let (revision, document) = request.deps.store.config().await?;
    Ok((revision, object(document)))
}

/// Says whether a document could be applied: `{config}`. Changes nothing.
pub fn config_validate(request: &Request<'_>, input: &Value) -> Result<Validated, Refusal> {
    let mut params = Params::new(input, &["config"]);
    let document = document(input, &mut params);
    let Checked { faults, notes, .. } = checked(params.needed(document)?, &request.deps.settings);
    Ok(Validated { faults, notes })
}

/// Replaces the document: `{config, expectedRevision?}`. Jobs that follow a zone which changed are moved to it, and heartbeats
/// beat as it says.
///
/// # Crash safety
/// One conditional write of the document, then the jobs one by one, each its row and its timer. Stopped among them, the rest
/// keep the old zone's timer until the request is repeated: a repeat, which changes nothing in the document, looks at the row
/// of every job that follows a zone and sets its timer again.
pub async fn config_apply(request: &Request<'_>, input: &Value) -> Result<Applied, Refusal> {
    let mut params = Params::new(input, &["config", "expectedRevision"]);
    let expected = params.whole("expectedRevision");
    let document = document(input, &mut params);
    let checked = document.map(|document| checked(document, &request.deps.settings));
    for fault in checked.iter().flat_map(|checked| &checked.faults) {
        params.fault(fault.clone());
    }
    let Checked { document, notes, .. } = params.needed(checked)?;
    // A document that was never written is not the same as an empty one that was.
    let change = |_: &Value| Ok((document.clone(), notes.clone()));
    Box::pin(write(request, expected, true, change)).await
}

/// Puts a value at a path: `{path, value, expectedRevision?}`. Objects on the way that are missing are made.
///
/// # Crash safety
/// As [`config_apply`]; without `expectedRevision` a change that somebody else made meanwhile to another field stays.
pub async fn config_set(request: &Request<'_>, input: &Value) -> Result<Applied, Refusal> {
    let mut params = Params::new(input, &["path", "value", "expectedRevision"]);
    let expected = params.whole("expectedRevision");
    let path = path(&mut params);
    let value = input.get("value");
    if value.is_none() {
        let fault = FieldError::new("missing_field", "value", "value is missing");
        params.fault(fault.hint("send any JSON; config.unset takes a field away"));
    }
    let (path, value) = params.needed(path.zip(value))?;
    let settings = &request.deps.settings;
    let change = |stored: &Value| {
        let mut document = stored.clone();
        path.set(&mut document, value.clone())?;
        accepted(&document, settings)
    };
    Box::pin(write(request, expected, false, change)).await
}

/// Takes away what stands at a path: `{path, expectedRevision?}`. A field that is not set is left so, and no change is told:
/// a repeat is no error. A field there is not is refused.
///
/// # Crash safety
/// As [`config_set`].
pub async fn config_unset(request: &Request<'_>, input: &Value) -> Result<Applied, Refusal> {
    let mut params = Params::new(input, &["path", "expectedRevision"]);
    let expected = params.whole("expectedRevision");
    let path = path(&mut params);
    let path = params.needed(path)?;
    let settings = &request.deps.settings;
    let change = |stored: &Value| {
        let mut document = stored.clone();
        match path.unset(&mut document) {
            Some(_) => accepted(&document, settings),
            None => Ok((document, Vec::new())),
        }
    };
    Box::pin(write(request, expected, false, change)).await
}

/// The field `config`, whatever it holds.
fn document<'v>(input: &'v Value, params: &mut Params<'_>) -> Option<&'v Value> {
    let document = input.get("config");
    if document.is_none() {
        let fault = FieldError::new("missing_field", "config", "config is missing");
        params.fault(fault.hint("send the whole document: {\"config\": {…}}"));
    }
    document
}

/// The field `path`, under its name of today.
fn path(params: &mut Params<'_>) -> Option<ConfigPath> {
    let Some(text) = params.text("path") else {
        if params.get("path").is_none_or(Value::is_string) {
            let fault = FieldError::new("missing_field", "path", "path is missing");
            params.fault(fault.hint("send a path such as cron.timezone"));
        }
        return None;
    };
    let path = ConfigPath::parse(text).and_then(|path| {
        let path = config::current_path(&path);
        config::unknown_field(&path).map_or(Ok(path), Err)
    });
    path.map_err(|fault| params.fault(fault)).ok()
}

/// The document as this deployment sees it.
fn checked(document: &Value, settings: &Settings) -> Checked {
    let mut checked = config::check(document, settings.local);
    if let Some(secrets) = &settings.secrets {
        checked.notes.extend(secrets.notes(&checked.document));
    }
    checked
}

/// The document as it is stored, if it may be.
fn accepted(document: &Value, settings: &Settings) -> Result<(Value, Vec<String>), Refusal> {
    let Checked { document, faults, notes, .. } = checked(document, settings);
    if faults.is_empty() { Ok((document, notes)) } else { Err(Refusal::Invalid(faults)) }
}

fn object(document: Value) -> Value {
    if document.is_null() { Value::Object(Map::new()) } else { document }
}

/// Writes what `change` makes of the stored document, and moves the jobs that follow it. `first` says that even a document
/// without a change is written, if none ever was.
async fn write(
    request: &Request<'_>,
    expected: Option<u64>,
    first: bool,
    change: impl Fn(&Value) -> Result<(Value, Vec<String>), Refusal>,
) -> Result<Applied, Refusal> {
    let store = &request.deps.store;
    for _ in 0..MAX_RACES {
        let (found, current) = store.config().await?;
        let current = object(current);
        let wanted = change(&current);
        // A repeat, or a change of nothing: told before a revision that has moved on, which may be the repeat's own doing.
        let idle = matches!(&wanted, Ok((document, _)) if *document == current && (found > 0 || !first));
        if let Some(expected) = expected.filter(|expected| !idle && *expected != found) {
            return Err(Refusal::ConfigChanged { expected, found });
        }
        let (document, notes) = wanted?;
        if !idle && store.put_config(&document, found).await? != Outcome::Applied {
            continue;
        }
        let revision = if idle { found } else { found + 1 };
        let jobs_moved = match Config::stored(&document) {
            Ok((new, _)) => {
                let old = Config::stored(&current).ok().filter(|_| !idle && !request.stamp.repeated);
                let old = old.as_ref().map(|(old, _)| old);
                Box::pin(heartbeats::follow(request, &new, old)).await?;
                move_followers(request, &Follow { new: &new, old }).await?
            }
            // Nothing was written, and what stands there is for `config.apply` to repair.
            Err(_) => 0,
        };
        let (changes, more_changes) = config::changes(&current, &document);
        if !idle {
            info!(config.revision = revision, "the configuration is at revision {revision}");
        }
        return Ok(Applied { revision, jobs_moved, changes, more_changes, notes });
    }
    Err(Refusal::Changed("the configuration".to_owned()))
}

/// The configuration jobs are to follow.
struct Follow<'a> {
    /// As it is now.
    new: &'a Config,
    /// As it was; `None` where the request may be the repeat of one that was cut off, so that no job's timer can be trusted.
    old: Option<&'a Config>,
}

impl Follow<'_> {
    /// Whether the job's timer may be another zone's. Only jobs without a zone of their own follow one.
    fn concerns(&self, record: &JobRecord, request: &Request<'_>) -> bool {
        let job = &record.job;
        if !job.enabled || !job.follows_a_zone() {
            return false;
        }
        let zone = |config| default_zone(job, config);
        self.old.is_none_or(|old| zone(old) != zone(self.new)) || misplaced(record, self.new, request).is_some()
    }
}

/// Moves every job whose next run is not where the configuration puts it, and sets its timer.
async fn move_followers(request: &Request<'_>, follow: &Follow<'_>) -> Result<u64, Refusal> {
    let store = &request.deps.store;
    let mut moved = 0;
    let mut cursor = None;
    loop {
        let page = store.jobs(&PageRequest { limit: 200, cursor }).await?;
        for record in page.items.iter().filter(|record| follow.concerns(record, request)) {
            moved += u64::from(move_one(request, follow, &record.job.job_id).await?);
        }
        cursor = page.next;
        if cursor.is_none() {
            return Ok(moved);
        }
    }
}

/// Where the job's next run is to be, if it is elsewhere. One that pauses after a failure, was moved once, or has occurrences to make up
/// for, is where it belongs.
fn misplaced(record: &JobRecord, config: &Config, request: &Request<'_>) -> Option<i64> {
    let now_ms = request.now.timestamp_millis();
    if record.hold_until.is_some()
        || record.check.is_some()
        || record.job.state.next_run_at_ms.is_some_and(|next| next <= now_ms)
    {
        return None;
    }
    let next = next_start(record, config, request.now)?.timestamp_millis();
    (record.job.state.next_run_at_ms != Some(next)).then_some(next)
}

/// Whether the job now runs at another time. Its timer is set even where its row is right: the row is written first, and a
/// zone may change without moving the next run.
async fn move_one(request: &Request<'_>, follow: &Follow<'_>, id: &JobId) -> Result<bool, Refusal> {
    let store = &request.deps.store;
    for _ in 0..MAX_RACES {
        let Some(old) = store.job(id).await? else { return Ok(false) };
        if !follow.concerns(&old, request) {
            return Ok(false);
        }
        if misplaced(&old, follow.new, request).is_none() {
            set_timer(request, follow.new, Some(&old), &old, true).await?;
            return Ok(false);
        }
        let mut new = old.clone();
        new.rev += 1;
        retime(&old, &mut new, follow.new, request.now);
        new.job.state.next_run_at_ms = next_start(&new, follow.new, request.now).map(|at| at.timestamp_millis());
        // Every field of the row is as it was read, its text's form too.
        if store.commit(&[Write::Job(&new)]).await? == Outcome::Applied {
            set_timer(request, follow.new, Some(&old), &new, true).await?;
            settle_timer(request, follow.new, new).await?;
            return Ok(true);
        }
    }
    Err(Refusal::Changed(format!("job {id}")))
}
