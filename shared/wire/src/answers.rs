//! What methods answer, beside a job and a run.

use std::collections::BTreeMap;

use nightshift_domain::RunKey;
use nightshift_domain::job::Job;
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};
use serde_json::Value;

use crate::RunView;

/// `cron.add` and `cron.update`: the job as it stands now.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct JobAnswer {
    /// The job.
    #[serde(flatten)]
    pub job: Job,
    /// What its owner should know about it: a batch that will run in realtime, a place that cannot be reached. Left out
    /// where there is nothing to say.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub notes: Vec<String>,
}

/// `healthz`.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct HealthAnswer {
    /// The function runs. Nothing behind it was asked.
    pub ok: bool,
}

/// `cron.list`.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct JobPage {
    /// Jobs, by name.
    pub jobs: Vec<Job>,
    /// Ask for the next page with this; `null` on the last.
    pub next_cursor: Option<String>,
}

/// `cron.runs`: the rows twice, under the name of today and under `OpenClaw`'s.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct RunPage {
    /// Runs, newest first.
    pub runs: Vec<RunView>,
    /// The same rows.
    pub entries: Vec<RunView>,
    /// Ask for the next page with this; `null` on the last.
    pub next_cursor: Option<String>,
}

impl RunPage {
    /// A page of `runs`.
    pub fn new(runs: Vec<RunView>, next_cursor: Option<String>) -> Self {
        Self { entries: runs.clone(), runs, next_cursor }
    }
}

/// `cron.run`.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct RunAnswer {
    /// The request was understood.
    pub ok: bool,
    /// A run was written.
    pub enqueued: bool,
    /// Its id.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(with = "Option<RunKey>")]
    pub run_id: Option<String>,
    /// Why there is none: `not-due`, `already-running` or `disabled`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub reason: Option<String>,
}

/// `cron.remove`.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct RemoveAnswer {
    /// The request was understood.
    pub ok: bool,
    /// The job is gone.
    pub removed: bool,
}

/// `cron.cancel`.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct CancelAnswer {
    /// The request was understood.
    pub ok: bool,
    /// Whether this request stopped it; `false` when it was over already.
    pub canceled: bool,
    /// The run.
    #[schemars(with = "RunKey")]
    pub run_id: String,
    /// How it stands now. A batch takes a while to stop: `canceling`.
    pub state: String,
}

/// `cron.status`.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct StatusAnswer {
    /// Whether timers run jobs.
    pub enabled: bool,
    /// How many jobs there are.
    pub jobs: u64,
    /// How many of them are switched on.
    pub enabled_jobs: u64,
    /// How many have a live run.
    pub running_jobs: u64,
    /// The earliest next run, epoch ms.
    pub next_wake_at_ms: Option<i64>,
    /// The revision of the configuration.
    pub config_revision: u64,
    /// What was counted: batch fallbacks by reason and the like.
    pub counters: BTreeMap<String, i64>,
    /// The time of the answer, epoch ms.
    pub now_ms: i64,
}

/// `system.event`.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct EventAnswer {
    /// The event is queued.
    pub ok: bool,
    /// Its id.
    pub event_id: String,
}

/// `config.get`.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct ConfigAnswer {
    /// Rises with every change; 0 means none was ever written.
    pub revision: u64,
    /// The document, as it was applied: a `Config` of which every part may be missing.
    #[schemars(with = "serde_json::Map<String, Value>")]
    pub config: Value,
}

/// `config.apply`.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct ConfigApplied {
    /// It is written.
    pub ok: bool,
    /// The revision it has now.
    pub revision: u64,
    /// How many jobs run at other times because the zone they follow changed.
    pub jobs_moved: u64,
}
