//! What methods answer, beside a job and a run.

use std::collections::BTreeMap;

use nightshift_domain::job::Job;
use nightshift_domain::job::import::{JobReport, RunsReport};
use serde::{Deserialize, Serialize};
use serde_json::Value;

use crate::RunView;

/// `cron.list`.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct JobPage {
    /// Jobs, by name.
    pub jobs: Vec<Job>,
    /// Ask for the next page with this; `null` on the last.
    pub next_cursor: Option<String>,
}

/// `cron.runs`: the rows twice, under the name of today and under `OpenClaw`'s.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
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
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct RunAnswer {
    /// The request was understood.
    pub ok: bool,
    /// A run was written.
    pub enqueued: bool,
    /// Its id.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub run_id: Option<String>,
    /// Why there is none: `not-due`, `already-running` or `disabled`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub reason: Option<String>,
}

/// `cron.import`.
#[derive(Debug, Clone, PartialEq, Eq, Default, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct ImportAnswer {
    /// The request was understood; what became of each entry is below.
    pub ok: bool,
    /// Nothing was written.
    pub dry_run: bool,
    /// Remarks about all of it.
    pub notes: Vec<String>,
    /// Every job, in the order it was sent.
    pub jobs: Vec<JobReport>,
    /// The runs.
    pub runs: RunsReport,
}

/// `cron.remove`.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct RemoveAnswer {
    /// The request was understood.
    pub ok: bool,
    /// The job is gone.
    pub removed: bool,
}

/// `cron.cancel`.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct CancelAnswer {
    /// The request was understood.
    pub ok: bool,
    /// Whether this request stopped it; `false` when it was over already.
    pub canceled: bool,
    /// The run.
    pub run_id: String,
    /// How it stands now. A batch takes a while to stop: `canceling`.
    pub state: String,
}

/// `cron.status`.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
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
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct EventAnswer {
    /// The event is queued.
    pub ok: bool,
    /// Its id.
    pub event_id: String,
}

/// `config.get`.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct ConfigAnswer {
    /// Rises with every change; 0 means none was ever written.
    pub revision: u64,
    /// The document.
    pub config: Value,
}

/// `config.apply`.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct ConfigApplied {
    /// It is written.
    pub ok: bool,
    /// The revision it has now.
    pub revision: u64,
    /// How many jobs run at other times because the zone they follow changed.
    pub jobs_moved: u64,
}
