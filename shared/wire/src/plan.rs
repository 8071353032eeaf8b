//! What a schedule will do, as the API shows it.

use nightshift_domain::money::{NanoUsd, usd};
use nightshift_domain::planner::Forecast;
use nightshift_domain::schedule::Schedule;
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

/// `cron.plan`.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct PlanAnswer {
    /// The job, where the plan is a job's.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub job_id: Option<String>,
    /// The schedule as it is, or would be, stored.
    pub schedule: Schedule,
    /// The zone of every `local` and `wall`.
    pub timezone: String,
    /// The window a job's start is spread over, ms; only where there is one.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub stagger_ms: Option<u64>,
    /// The next starts, in order.
    pub occurrences: Vec<PlannedStart>,
    /// Wall times between them that do not exist, so that nothing runs.
    pub skipped: Vec<SkippedTime>,
    /// Whether nothing comes after them.
    pub ends: bool,
    /// How `EventBridge` Scheduler holds the schedule.
    pub aws: AwsView,
    /// What the job's runs of the next 30 days will cost, where that can be told.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub forecast: Option<ForecastView>,
    /// What is worth knowing about the whole, for a person.
    pub notes: Vec<String>,
}

/// What a job will cost, US dollars; a month is the next 30 days.
#[derive(Debug, Clone, Copy, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct ForecastView {
    /// How many runs there will be.
    pub runs: u64,
    /// What a run costs at the least.
    pub run_least_usd: f64,
    /// What it costs on the average.
    pub run_usd: f64,
    /// What it costs at the most.
    pub run_most_usd: f64,
    /// What the month costs at the least.
    pub month_least_usd: f64,
    /// What it costs as expected.
    pub month_usd: f64,
    /// What it costs at the most.
    pub month_most_usd: f64,
    /// What the month saves against the best of realtime; below zero where it costs more.
    pub month_saved_usd: f64,
    /// How many of the job's last turns that is made from; 0 for a guess.
    pub turns: u32,
    /// Whether the provider counted the prompt for that guess.
    #[serde(default)]
    pub counted: bool,
}

impl ForecastView {
    /// Shows `forecast`.
    pub fn new(forecast: &Forecast) -> Self {
        let month = |nano: NanoUsd| usd(nano.saturating_mul(forecast.runs));
        let saved = month(forecast.saved.unsigned_abs());
        Self {
            runs: forecast.runs,
            run_least_usd: usd(forecast.least),
            run_usd: usd(forecast.mean),
            run_most_usd: usd(forecast.most),
            month_least_usd: month(forecast.least),
            month_usd: month(forecast.mean),
            month_most_usd: month(forecast.most),
            month_saved_usd: if forecast.saved < 0 { -saved } else { saved },
            turns: forecast.learned,
            counted: forecast.counted,
        }
    }
}

/// One start to come.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct PlannedStart {
    /// When the job starts, epoch ms.
    pub at_ms: i64,
    /// The occurrence it starts for, epoch ms; only where a stagger moves the start.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub slot_ms: Option<i64>,
    /// The start in the zone, RFC 3339.
    pub local: String,
    /// What is worth knowing about it, for a person.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub note: Option<String>,
}

/// A wall time at which nothing runs.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct SkippedTime {
    /// What the clock on the wall would have shown, ISO 8601 without an offset.
    pub wall: String,
    /// Why, for a person.
    pub reason: String,
}

/// How `EventBridge` Scheduler holds a schedule.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct AwsView {
    /// Exactly, with more fires than wanted, or as single shots.
    pub kind: AwsKind,
    /// `cron(…)` or `rate(…)`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub expression: Option<String>,
    /// The expression's zone.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub timezone: Option<String>,
    /// What is worth knowing about it, for a person: why it is single shots, for example.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub note: Option<String>,
}

/// The ways `EventBridge` Scheduler holds a schedule.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "lowercase")]
pub enum AwsKind {
    /// One recurring schedule that fires at the occurrences and at nothing else.
    Exact,
    /// One recurring schedule that fires at other times too; a guard drops those.
    Superset,
    /// A chain of schedules that fire once each.
    OneShots,
}
