//! What methods answer, beside a job and a run.

use std::collections::BTreeMap;

use nightshift_domain::config::Change;
use nightshift_domain::cost::{self, Sum};
use nightshift_domain::job::Job;
use nightshift_domain::job::import::{JobReport, RunsReport};
use nightshift_domain::money::usd;
use nightshift_domain::stop::Stop;
use nightshift_domain::{FieldError, RunKey};
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

/// `cron.import`.
#[derive(Debug, Clone, PartialEq, Eq, Default, Serialize, Deserialize, JsonSchema)]
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

/// `cron.remove`, `sessions.remove`.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct RemoveAnswer {
    /// The request was understood.
    pub ok: bool,
    /// It is gone.
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
    /// How many realtime turns are in flight. Runs that wait in a batch are not among them.
    pub running_turns: u64,
    /// The earliest next run, epoch ms.
    pub next_wake_at_ms: Option<i64>,
    /// The revision of the configuration.
    pub config_revision: u64,
    /// What was counted: turns that were to go in a batch and did not, by reason (`fallback.batch_refused`), and the like.
    pub counters: BTreeMap<String, i64>,
    /// The providers to which nothing is sent for want of money; left out where there is none.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub stops: Vec<StopView>,
    /// The time of the answer, epoch ms.
    pub now_ms: i64,
}

/// A provider that refuses for want of money: a spend limit was reached, or the account cannot pay.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct StopView {
    /// Its name in the configuration.
    pub provider: String,
    /// `spend_limit` or `model_billing`.
    pub code: String,
    /// What it said.
    pub message: String,
    /// When it refused first, epoch ms.
    pub since_ms: i64,
    /// Nothing is sent before, epoch ms; what is sent first then tells whether it takes requests again.
    pub until_ms: i64,
}

impl From<Stop> for StopView {
    fn from(stop: Stop) -> Self {
        Self {
            provider: stop.provider,
            code: stop.code,
            message: stop.message,
            since_ms: stop.since.timestamp_millis(),
            until_ms: stop.until.timestamp_millis(),
        }
    }
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

/// `POST /hooks/agent` and `/hooks/<name>`.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct HookAnswer {
    /// The turn is begun.
    pub ok: bool,
    /// Its run.
    #[schemars(with = "nightshift_domain::RunKey")]
    pub run_id: String,
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

/// `config.apply`, `config.set`, `config.unset`.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct ConfigApplied {
    /// It is written, or was so already.
    pub ok: bool,
    /// The revision it has now.
    pub revision: u64,
    /// How many jobs run at other times because the zone they follow changed.
    pub jobs_moved: u64,
    /// What changed, field by field; empty when nothing did. A long value is told by its beginning.
    #[serde(default)]
    pub changes: Vec<Change>,
    /// How many more fields changed than are told.
    #[serde(default, skip_serializing_if = "is_zero")]
    pub more_changes: u64,
    /// What is accepted and worth knowing.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub notes: Vec<String>,
}

#[expect(clippy::trivially_copy_pass_by_ref, reason = "the shape serde asks for")]
fn is_zero(number: &u64) -> bool {
    *number == 0
}

/// `config.validate`.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct ConfigValidated {
    /// Whether the document could be applied.
    pub ok: bool,
    /// Every bad field.
    pub faults: Vec<FieldError>,
    /// What is accepted and worth knowing.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub notes: Vec<String>,
}

/// `cron.cost`. Money is US dollars.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct CostAnswer {
    /// What the rows are by: `job`, `agent`, `model`, `path`, `day` or `month`.
    pub by: String,
    /// Runs whose row was written from here on, the beginning of a day, epoch ms.
    pub from_ms: i64,
    /// And before this, epoch ms.
    pub to_ms: i64,
    /// Days and months (UTC) in their order, others the dearest first.
    pub rows: Vec<CostRow>,
    /// All of it. A run that is in several rows is one run here.
    pub total: CostSum,
    /// Whether the oldest part of the range was left out, because there is too much of it; a note says from where on.
    #[serde(default, skip_serializing_if = "is_false")]
    pub truncated: bool,
    /// What to know about the figures.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub notes: Vec<String>,
}

/// A row of `cron.cost`.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct CostRow {
    /// A job's or agent's id, `provider/model`, `realtime` or `batch`, `2026-11-20`, `2026-11`.
    pub key: String,
    /// A job's latest name.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub name: Option<String>,
    /// How many runs called a model.
    pub runs: u64,
    /// How many answers of models there were.
    pub hops: u64,
    /// What was paid.
    pub paid_usd: f64,
    /// The best that the same would have cost in realtime: the cheaper of with a cache and without, run by run.
    pub realtime_usd: f64,
    /// The difference; below zero where more was paid than realtime would have cost.
    pub saved_usd: f64,
    /// What was paid, of it all, for answers that came too late to be used.
    #[serde(default, skip_serializing_if = "is_nothing")]
    pub unused_usd: f64,
    /// What AWS charged beside it, reckoned from the calls such runs make, without free tiers.
    #[serde(default, skip_serializing_if = "is_nothing")]
    pub aws_usd: f64,
}

/// The total of `cron.cost`.
#[derive(Debug, Clone, Copy, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct CostSum {
    /// How many runs called a model.
    pub runs: u64,
    /// How many answers of models there were.
    pub hops: u64,
    /// What was paid.
    pub paid_usd: f64,
    /// The best that the same would have cost in realtime: the cheaper of with a cache and without, run by run.
    pub realtime_usd: f64,
    /// The difference; below zero where more was paid than realtime would have cost.
    pub saved_usd: f64,
    /// What was paid, of it all, for answers that came too late to be used.
    #[serde(default, skip_serializing_if = "is_nothing")]
    pub unused_usd: f64,
    /// What AWS charged beside it, reckoned from the calls such runs make, without free tiers.
    #[serde(default, skip_serializing_if = "is_nothing")]
    pub aws_usd: f64,
}

impl From<&Sum> for CostSum {
    fn from(sum: &Sum) -> Self {
        let saved = sum.saved();
        let size = usd(saved.unsigned_abs());
        Self {
            runs: sum.runs,
            hops: sum.hops,
            paid_usd: usd(sum.paid),
            realtime_usd: usd(sum.realtime),
            saved_usd: if saved < 0 { -size } else { size },
            unused_usd: usd(sum.unused),
            aws_usd: usd(sum.aws),
        }
    }
}

impl From<&cost::CostRow> for CostRow {
    fn from(row: &cost::CostRow) -> Self {
        let CostSum { runs, hops, paid_usd, realtime_usd, saved_usd, unused_usd, aws_usd } = CostSum::from(&row.sum);
        let (key, name) = (row.key.clone(), row.name.clone());
        Self { key, name, runs, hops, paid_usd, realtime_usd, saved_usd, unused_usd, aws_usd }
    }
}

#[expect(clippy::trivially_copy_pass_by_ref, reason = "the shape serde asks for")]
fn is_false(flag: &bool) -> bool {
    !flag
}

#[expect(clippy::trivially_copy_pass_by_ref, reason = "the shape serde asks for")]
fn is_nothing(usd: &f64) -> bool {
    usd.abs() < f64::EPSILON
}
