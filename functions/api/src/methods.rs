//! The methods: names, and use cases mapped to answers.

use nightshift_domain::job::Job;
use nightshift_engine::jobs::{self, Applied, CostReport, Listed, Ran, Refusal, Request, Shown, Validated};
use nightshift_engine::runs;
use nightshift_wire::{
    CancelAnswer, ConfigAnswer, ConfigApplied, ConfigValidated, CostAnswer, CostRow, CostSum, EventAnswer,
    ImportAnswer, JobAnswer, JobPage, RemoveAnswer, RunAnswer, RunPage, RunView, SessionPage, SessionView,
    StatusAnswer,
};
use serde::Serialize;
use serde_json::{Value, json};

use crate::{heartbeats, shelves, views};

/// Longest list; Lambda's limit of an answer is 6 MB (Lambda quotas page). Longer ones are cut to fewer rows.
const LIST_MAX: usize = 4 * 1024 * 1024;

/// A method of the API.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Method {
    /// `cron.list`.
    List,
    /// `cron.get`.
    Get,
    /// `cron.add`.
    Add,
    /// `cron.update`.
    Update,
    /// `cron.remove`.
    Remove,
    /// `cron.run`.
    Run,
    /// `cron.cancel`.
    Cancel,
    /// `cron.runs`.
    Runs,
    /// `cron.runGet`.
    RunGet,
    /// `cron.status`.
    Status,
    /// `cron.plan`.
    Plan,
    /// `cron.doctor`.
    Doctor,
    /// `cron.import`.
    Import,
    /// `system.event`.
    SystemEvent,
    /// `heartbeat.last`.
    HeartbeatLast,
    /// `heartbeat.notes`.
    HeartbeatNotes,
    /// `config.get`.
    ConfigGet,
    /// `config.apply`.
    ConfigApply,
    /// `config.set`.
    ConfigSet,
    /// `config.unset`.
    ConfigUnset,
    /// `config.validate`.
    ConfigValidate,
    /// `cron.cost`.
    Cost,
    /// `documents.list`.
    DocumentsList,
    /// `documents.get`.
    DocumentsGet,
    /// `documents.put`.
    DocumentsPut,
    /// `documents.remove`.
    DocumentsRemove,
    /// `memory.list`.
    MemoryList,
    /// `memory.get`.
    MemoryGet,
    /// `memory.put`.
    MemoryPut,
    /// `memory.remove`.
    MemoryRemove,
    /// `sessions.list`.
    SessionsList,
    /// `sessions.get`.
    SessionsGet,
    /// `sessions.remove`.
    SessionsRemove,
}

/// Every method.
pub(crate) const METHODS: [Method; 33] = [
    Method::List,
    Method::Get,
    Method::Add,
    Method::Update,
    Method::Remove,
    Method::Run,
    Method::Cancel,
    Method::Runs,
    Method::RunGet,
    Method::Status,
    Method::Plan,
    Method::Doctor,
    Method::Import,
    Method::SystemEvent,
    Method::HeartbeatLast,
    Method::HeartbeatNotes,
    Method::ConfigGet,
    Method::ConfigApply,
    Method::ConfigSet,
    Method::ConfigUnset,
    Method::ConfigValidate,
    Method::Cost,
    Method::DocumentsList,
    Method::DocumentsGet,
    Method::DocumentsPut,
    Method::DocumentsRemove,
    Method::MemoryList,
    Method::MemoryGet,
    Method::MemoryPut,
    Method::MemoryRemove,
    Method::SessionsList,
    Method::SessionsGet,
    Method::SessionsRemove,
];

/// Whether a call of `path` changes something.
pub(crate) fn changes(path: &str) -> bool {
    path.strip_prefix("/v1/").and_then(Method::named).is_some_and(Method::changes_something)
}

/// Whether a path is one of ours, so that it may stand in the log.
pub(crate) fn is_known(path: &str) -> bool {
    // The names of other hooks are their owner's.
    matches!(path, "/healthz" | "/openapi.json" | "/hooks/wake" | "/hooks/agent")
        || path.strip_prefix("/v1/").and_then(Method::named).is_some()
}

impl Method {
    /// The method called `name`.
    pub(crate) fn named(name: &str) -> Option<Self> {
        METHODS.into_iter().find(|method| method.name() == name)
    }

    /// Its name in the path.
    pub(crate) fn name(self) -> &'static str {
        match self {
            Self::List => "cron.list",
            Self::Get => "cron.get",
            Self::Add => "cron.add",
            Self::Update => "cron.update",
            Self::Remove => "cron.remove",
            Self::Run => "cron.run",
            Self::Cancel => "cron.cancel",
            Self::Runs => "cron.runs",
            Self::RunGet => "cron.runGet",
            Self::Status => "cron.status",
            Self::Plan => "cron.plan",
            Self::Doctor => "cron.doctor",
            Self::Import => "cron.import",
            Self::SystemEvent => "system.event",
            Self::HeartbeatLast => "heartbeat.last",
            Self::HeartbeatNotes => "heartbeat.notes",
            Self::ConfigGet => "config.get",
            Self::ConfigApply => "config.apply",
            Self::ConfigSet => "config.set",
            Self::ConfigUnset => "config.unset",
            Self::ConfigValidate => "config.validate",
            Self::Cost => "cron.cost",
            Self::DocumentsList => "documents.list",
            Self::DocumentsGet => "documents.get",
            Self::DocumentsPut => "documents.put",
            Self::DocumentsRemove => "documents.remove",
            Self::MemoryList => "memory.list",
            Self::MemoryGet => "memory.get",
            Self::MemoryPut => "memory.put",
            Self::MemoryRemove => "memory.remove",
            Self::SessionsList => "sessions.list",
            Self::SessionsGet => "sessions.get",
            Self::SessionsRemove => "sessions.remove",
        }
    }

    /// Whether it changes anything, so that it honours an `Idempotency-Key`.
    pub(crate) fn changes_something(self) -> bool {
        match self {
            Self::Add
            | Self::Update
            | Self::Remove
            | Self::Run
            | Self::Cancel
            | Self::Doctor
            | Self::Import
            | Self::SystemEvent
            | Self::HeartbeatNotes
            | Self::SessionsRemove
            | Self::ConfigApply
            | Self::ConfigSet
            | Self::ConfigUnset
            | Self::DocumentsPut
            | Self::DocumentsRemove
            | Self::MemoryPut
            | Self::MemoryRemove => true,
            Self::List
            | Self::Get
            | Self::Runs
            | Self::RunGet
            | Self::Status
            | Self::HeartbeatLast
            | Self::ConfigGet
            | Self::ConfigValidate
            | Self::Plan
            | Self::DocumentsList
            | Self::DocumentsGet
            | Self::MemoryList
            | Self::MemoryGet
            | Self::SessionsList
            | Self::SessionsGet
            | Self::Cost => false,
        }
    }

    /// Carries it out.
    pub(crate) async fn call(self, request: &Request<'_>, input: &Value) -> Result<Value, Refusal> {
        let now = request.now;
        match self {
            Self::List => shrinking(request, input, Rows::Jobs).await,
            Self::Get => Ok(shown(&jobs::get(request, input).await?)),
            Self::Add => Ok(noted(request, jobs::add(request, input).await?).await),
            Self::Update => Ok(noted(request, jobs::update(request, input).await?).await),
            Self::Remove => {
                jobs::remove(request, input).await?;
                Ok(shown(&RemoveAnswer { ok: true, removed: true }))
            }
            Self::Run => {
                let (run_id, reason) = match jobs::run_now(request, input).await? {
                    Ran::Enqueued(key) => (Some(key.to_string()), None),
                    Ran::Not(reason) => (None, Some(reason.to_owned())),
                };
                Ok(shown(&RunAnswer { ok: true, enqueued: run_id.is_some(), run_id, reason }))
            }
            Self::Cancel => {
                let canceled = jobs::cancel(request, input).await?;
                Ok(shown(&CancelAnswer {
                    ok: true,
                    canceled: canceled.canceled,
                    run_id: canceled.run.to_string(),
                    state: canceled.state.to_owned(),
                }))
            }
            Self::Runs => shrinking(request, input, Rows::Runs).await,
            Self::RunGet => {
                let Shown { run, batches, answer, calls } = jobs::run_get(request, input).await?;
                let view = RunView::new(&run, &batches, answer.as_deref(), now).with_tool_texts(&calls);
                Ok(shown(&view.with_text(answer)))
            }
            Self::Status => {
                let status = jobs::status(request, input).await?;
                Ok(shown(&StatusAnswer {
                    enabled: status.enabled,
                    jobs: status.jobs,
                    enabled_jobs: status.enabled_jobs,
                    running_turns: status.running_turns,
                    next_wake_at_ms: status.next_wake_at_ms,
                    config_revision: status.config_revision,
                    counters: status.counters,
                    stops: status.stops.into_iter().map(Into::into).collect(),
                    now_ms: now.timestamp_millis(),
                }))
            }
            Self::Plan => Ok(shown(&views::planned(jobs::plan(request, input).await?))),
            Self::Doctor => Ok(shown(&views::checked(jobs::doctor(request, input).await?))),
            Self::Import => {
                let jobs::Imported { dry_run, notes, jobs, runs } = jobs::import(request, input).await?;
                Ok(shown(&ImportAnswer { ok: true, dry_run, notes, jobs, runs }))
            }
            Self::SystemEvent => {
                let event_id = Box::pin(jobs::system_event(request, input)).await?;
                Ok(shown(&EventAnswer { ok: true, event_id }))
            }
            Self::HeartbeatLast => heartbeats::last(request, input).await,
            Self::HeartbeatNotes => heartbeats::notes(request, input).await,
            Self::ConfigGet => {
                let (revision, config) = jobs::config_get(request, input).await?;
                Ok(shown(&ConfigAnswer { revision, config }))
            }
            Self::ConfigApply => Ok(applied(jobs::config_apply(request, input).await?)),
            Self::ConfigSet => Ok(applied(jobs::config_set(request, input).await?)),
            Self::ConfigUnset => Ok(applied(jobs::config_unset(request, input).await?)),
            Self::Cost => {
                let CostReport { by, from, to, rows, total, truncated, notes } = jobs::cost(request, input).await?;
                Ok(shown(&CostAnswer {
                    by: by.word().to_owned(),
                    from_ms: from.timestamp_millis(),
                    to_ms: to.timestamp_millis(),
                    rows: rows.iter().map(CostRow::from).collect(),
                    total: CostSum::from(&total),
                    truncated,
                    notes,
                }))
            }
            Self::DocumentsList => shelves::documents_list(request, input).await,
            Self::DocumentsGet => shelves::documents_get(request, input).await,
            Self::DocumentsPut => shelves::documents_put(request, input).await,
            Self::MemoryList => shelves::memory_list(request, input).await,
            Self::MemoryGet => shelves::memory_get(request, input).await,
            Self::MemoryPut => shelves::memory_put(request, input).await,
            Self::DocumentsRemove => {
                jobs::documents_remove(request, input).await?;
                Ok(shown(&RemoveAnswer { ok: true, removed: true }))
            }
            Self::MemoryRemove => {
                jobs::memory_remove(request, input).await?;
                Ok(shown(&RemoveAnswer { ok: true, removed: true }))
            }
            Self::SessionsList => {
                let Listed { rows, next } = jobs::sessions_list(request, input).await?;
                let sessions = rows.iter().map(SessionView::from).collect();
                Ok(shown(&SessionPage { sessions, next_cursor: next }))
            }
            Self::SessionsGet => {
                let (session, history) = jobs::session_get(request, input).await?;
                Ok(shown(&views::session(&session, &history)))
            }
            Self::SessionsRemove => {
                jobs::session_remove(request, input).await?;
                Ok(shown(&RemoveAnswer { ok: true, removed: true }))
            }
            Self::ConfigValidate => {
                let Validated { faults, notes } = jobs::config_validate(request, input)?;
                Ok(shown(&ConfigValidated { ok: faults.is_empty(), faults, notes }))
            }
        }
    }
}

/// A job with what its owner should know about it. Notes are remarks: without the configuration there are none.
async fn noted(request: &Request<'_>, job: Job) -> Value {
    let notes = match runs::load_config(request.deps).await {
        Ok(config) => runs::remarks(request.deps, &config, &job).await,
        Err(_) => Vec::new(),
    };
    shown(&JobAnswer { job, notes })
}

/// What came of a new configuration.
fn applied(applied: Applied) -> Value {
    let Applied { revision, jobs_moved, changes, more_changes, notes } = applied;
    shown(&ConfigApplied { ok: true, revision, jobs_moved, changes, more_changes, notes })
}

/// Wire types serialise; `null` stands in for one that one day would not.
pub(crate) fn shown(answer: &impl Serialize) -> Value {
    serde_json::to_value(answer).unwrap_or_default()
}

/// Asks for a list, with half the rows as long as it is too long for an answer.
async fn shrinking(request: &Request<'_>, input: &Value, what: Rows) -> Result<Value, Refusal> {
    let mut input = input.clone();
    loop {
        let answer = what.page(request, &input).await?;
        let rows = ["jobs", "runs"].iter().find_map(|name| answer.get(name)?.as_array()).map_or(0, Vec::len);
        if rows <= 1 || answer.to_string().len() <= LIST_MAX {
            return Ok(answer);
        }
        if let Value::Object(map) = &mut input {
            map.insert("limit".to_owned(), json!(rows / 2));
        }
    }
}

/// What a list is of.
#[derive(Debug, Clone, Copy)]
enum Rows {
    Jobs,
    Runs,
}

impl Rows {
    async fn page(self, request: &Request<'_>, input: &Value) -> Result<Value, Refusal> {
        match self {
            Self::Jobs => {
                let Listed { rows, next } = jobs::list(request, input).await?;
                Ok(shown(&JobPage { jobs: rows, next_cursor: next }))
            }
            Self::Runs => {
                let Listed { rows, next } = jobs::runs(request, input).await?;
                let view = |row: &Shown| RunView::new(&row.run, &row.batches, row.answer.as_deref(), request.now);
                Ok(shown(&RunPage::new(rows.iter().map(view).collect(), next)))
            }
        }
    }
}
