//! What people ask about jobs and runs. Reads only.

use std::collections::BTreeMap;

use chrono::{Days, NaiveDate};
use futures::FutureExt;
use futures::future::try_join_all;
use nightshift_domain::batch::Batch;
use nightshift_domain::job::{DeliveryStatus, Job, JobRecord, RunStatus};
use nightshift_domain::run::{CallState, Run, ToolCall};
use nightshift_domain::stop::Stop;
use nightshift_domain::{AttemptId, FieldError, RunKey};
use serde_json::Value;

use crate::deps::Deps;
use crate::error::EngineError;
use crate::ports::{Page, PageRequest, RunFilter, StoreError, StoreErrorKind};
use crate::runs::{load_config, load_text};

use super::params::Params;
use super::text::load;
use super::{Refusal, Request, load_job};

/// Most pages of the table read for one page of an answer: a filter that hides most rows answers short pages instead of
/// taking for ever.
const MOST_PAGES: u32 = 12;
/// Most days looked at for one page of all jobs' runs: every one is a query, also where nothing ran.
const MOST_DAYS: u32 = 100;
/// Rows looked up at the same time.
const AT_ONCE: usize = 16;
/// Between a day and the table's own cursor in a cursor over all jobs.
const DAY_MARK: char = '~';

/// One page of an answer.
#[derive(Debug, Clone)]
pub struct Listed<T> {
    /// Its rows.
    pub rows: Vec<T>,
    /// Where the next one begins.
    pub next: Option<String>,
}

/// A run with what is shown of it.
#[derive(Debug, Clone)]
pub struct Shown {
    /// The run.
    pub run: Run,
    /// The batches its hops and state name.
    pub batches: Vec<Batch>,
    /// Its answer.
    pub answer: Option<String>,
    /// What went into its tool calls and what came back, in their order; only where one run is asked for.
    pub calls: Vec<(String, Option<String>)>,
}

/// The whole at a glance.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Status {
    /// Whether timers run jobs.
    pub enabled: bool,
    /// How many jobs there are.
    pub jobs: u64,
    /// How many are switched on.
    pub enabled_jobs: u64,
    /// How many realtime turns are in flight.
    pub running_turns: u64,
    /// The earliest next run, epoch ms.
    pub next_wake_at_ms: Option<i64>,
    /// The configuration's revision.
    pub config_revision: u64,
    /// What was counted.
    pub counters: BTreeMap<String, i64>,
    /// The providers to which nothing is sent for want of money, by name.
    pub stops: Vec<Stop>,
}

/// A job: `{jobId}`.
pub async fn get(request: &Request<'_>, input: &Value) -> Result<Job, Refusal> {
    let mut params = Params::new(input, &["jobId", "id"]);
    let id = params.needed_job();
    let id = params.needed(id)?;
    let record = load_job(request.deps, &id).await?.ok_or_else(|| Refusal::NoJob(id.to_string()))?;
    Ok(record.job)
}

/// Jobs by name: `{includeDisabled?, enabled?, agentId?, limit?, cursor?}`. Those that are switched off are left out
/// unless they are asked for, as in `OpenClaw`.
pub async fn list(request: &Request<'_>, input: &Value) -> Result<Listed<Job>, Refusal> {
    let mut params = Params::new(input, &["includeDisabled", "enabled", "agentId", "limit", "cursor"]);
    let all = params.flag("includeDisabled").unwrap_or(false);
    let which = params.words("enabled", "enabled", &["all", "enabled", "disabled"]).first().copied();
    let agent = params.text("agentId").map(str::to_owned);
    let (limit, mut cursor) = (params.limit(), params.text("cursor").map(str::to_owned));
    params.done(())?;
    let wanted = |record: &JobRecord| {
        let switched = match which {
            Some("all") => true,
            Some("disabled") => !record.job.enabled,
            Some(_) => record.job.enabled,
            None => all || record.job.enabled,
        };
        switched && (agent.is_none() || record.job.agent_id == agent)
    };
    let mut records = Vec::new();
    for _ in 0..MOST_PAGES {
        let left = limit - u32::try_from(records.len()).unwrap_or(limit);
        let page = PageRequest { limit: left, cursor: cursor.take() };
        let Page { items, next } = request.deps.store.jobs(&page).await.map_err(cursor_fault)?;
        records.extend(items.into_iter().filter(wanted));
        cursor = next;
        if cursor.is_none() || records.len() >= limit as usize {
            break;
        }
    }
    let mut rows = Vec::with_capacity(records.len());
    while !records.is_empty() {
        let some = records.drain(..records.len().min(AT_ONCE));
        rows.extend(
            try_join_all(some.map(|record| load(request.deps, record).boxed())).await?.into_iter().map(|it| it.job),
        );
    }
    Ok(Listed { rows, next: cursor })
}

/// A cursor that is not ours is the caller's fault; everything else the world's.
pub(super) fn cursor_fault(error: StoreError) -> Refusal {
    if error.kind == StoreErrorKind::BadCursor {
        return bad_cursor();
    }
    error.into()
}

fn bad_cursor() -> Refusal {
    FieldError::new("invalid_cursor", "cursor", "the cursor is not one of this list")
        .hint("send the nextCursor of the page before, with the same parameters")
        .into()
}

/// Which runs are wanted.
struct Wanted {
    statuses: Vec<&'static str>,
    paths: Vec<&'static str>,
    deliveries: Vec<&'static str>,
}

impl Wanted {
    fn takes(&self, run: &Run) -> bool {
        let status = match run.status() {
            Some(RunStatus::Ok) => "ok",
            Some(RunStatus::Error) => "error",
            Some(RunStatus::Skipped) => "skipped",
            None => "running",
        };
        let delivery = match run.delivery_status {
            Some(DeliveryStatus::Delivered) => "delivered",
            Some(DeliveryStatus::Failed) => "failed",
            Some(DeliveryStatus::Unknown) => "unknown",
            Some(DeliveryStatus::Suppressed) => "suppressed",
            Some(DeliveryStatus::NotRequested) => "not-requested",
            None => "",
        };
        let fits = |list: &[&str], word: &str| list.is_empty() || list.contains(&word);
        fits(&self.statuses, status)
            && fits(&self.deliveries, delivery)
            && fits(&self.paths, run.path_word().unwrap_or_default())
    }
}

/// Runs, newest first: `{jobId?, runId?, status?, path?, deliveryStatus?, limit?, cursor?}`. Without a job, those of all
/// jobs. A job that is gone, or never was, has the history that is left of it.
pub async fn runs(request: &Request<'_>, input: &Value) -> Result<Listed<Shown>, Refusal> {
    const KNOWN: [&str; 11] = [
        "jobId",
        "id",
        "runId",
        "status",
        "statuses",
        "path",
        "paths",
        "deliveryStatus",
        "deliveryStatuses",
        "limit",
        "cursor",
    ];
    let mut params = Params::new(input, &KNOWN);
    let (job, run) = (params.job(), params.run());
    let wanted = Wanted {
        statuses: params.words("status", "statuses", &["ok", "error", "skipped", "running"]),
        paths: params.words("path", "paths", &["realtime", "batch", "mixed"]),
        deliveries: params.words(
            "deliveryStatus",
            "deliveryStatuses",
            &["delivered", "failed", "unknown", "suppressed", "not-requested"],
        ),
    };
    let (limit, cursor) = (params.limit(), params.text("cursor").map(str::to_owned));
    params.done(())?;
    let deps = request.deps;
    let (found, next) = match (run, job) {
        (Some(key), _) => (deps.store.run(&key).await?.into_iter().collect(), None),
        (None, Some(job)) => {
            let (mut found, mut cursor) = (Vec::new(), cursor);
            for _ in 0..MOST_PAGES {
                let page = next_page(deps, &RunFilter::OfJob(job.clone()), limit, &found, cursor.take()).await?;
                found.extend(page.items.into_iter().filter(|run| wanted.takes(run)));
                cursor = page.next;
                if cursor.is_none() || found.len() >= limit as usize {
                    break;
                }
            }
            (found, cursor)
        }
        (None, None) => of_all_jobs(request, &wanted, limit, cursor).await?,
    };
    let mut rows = Vec::with_capacity(found.len());
    let mut found = found;
    while !found.is_empty() {
        let some = found.drain(..found.len().min(AT_ONCE));
        rows.extend(try_join_all(some.map(|run| show(deps, run).boxed())).await?);
    }
    Ok(Listed { rows, next })
}

async fn next_page(
    deps: &Deps,
    filter: &RunFilter,
    limit: u32,
    found: &[Run],
    cursor: Option<String>,
) -> Result<Page<Run>, Refusal> {
    let left = limit - u32::try_from(found.len()).unwrap_or(limit);
    deps.store.runs(filter, &PageRequest { limit: left, cursor }).await.map_err(cursor_fault)
}

/// Day by day, from today back to the end of what is kept.
async fn of_all_jobs(
    request: &Request<'_>,
    wanted: &Wanted,
    limit: u32,
    cursor: Option<String>,
) -> Result<(Vec<Run>, Option<String>), Refusal> {
    let deps = request.deps;
    let today = request.now.date_naive();
    let kept = u64::from(load_config(deps).await?.cron.retention.runs_days);
    let last = today.checked_sub_days(Days::new(kept)).unwrap_or(NaiveDate::MIN);
    let (mut day, mut inner) = match &cursor {
        None => (today, None),
        Some(cursor) => {
            let (day, inner) = cursor.split_once(DAY_MARK).ok_or_else(bad_cursor)?;
            let day: NaiveDate = day.parse().map_err(|_| bad_cursor())?;
            // Nothing has run after today, whatever a cursor says.
            (day.min(today), Some(inner.to_owned()).filter(|inner| !inner.is_empty()))
        }
    };
    let mut found = Vec::new();
    let (mut pages, mut days) = (0, 0);
    while day >= last {
        let page = next_page(deps, &RunFilter::OfDay(day), limit, &found, inner.take()).await?;
        pages += u32::from(!page.items.is_empty());
        found.extend(page.items.into_iter().filter(|run| wanted.takes(run)));
        match page.next {
            Some(next) => inner = Some(next),
            None => match day.pred_opt() {
                Some(before) => {
                    day = before;
                    days += 1;
                }
                None => break,
            },
        }
        if found.len() >= limit as usize || pages >= MOST_PAGES || days >= MOST_DAYS {
            let next = (day >= last).then(|| format!("{day}{DAY_MARK}{}", inner.unwrap_or_default()));
            return Ok((found, next));
        }
    }
    Ok((found, None))
}

/// One run with everything: `{runId}`.
pub async fn run_get(request: &Request<'_>, input: &Value) -> Result<Shown, Refusal> {
    let mut params = Params::new(input, &["runId"]);
    let key = params.needed_run();
    let key: RunKey = params.needed(key)?;
    let run = request.deps.store.run(&key).await?.ok_or_else(|| Refusal::NoRun(key.to_string()))?;
    let mut shown = show(request.deps, run).await?;
    let texts = shown.run.talk.calls.iter().map(|call| call_texts(request.deps, &key, call));
    shown.calls = try_join_all(texts).await?;
    Ok(shown)
}

async fn call_texts(deps: &Deps, key: &RunKey, call: &ToolCall) -> Result<(String, Option<String>), EngineError> {
    let input = load_text(deps, key, &call.input).await?;
    let result = match &call.state {
        CallState::Done { result, .. } => Some(load_text(deps, key, result).await?),
        CallState::Asked | CallState::Started { .. } => None,
    };
    Ok((input, result))
}

async fn show(deps: &Deps, run: Run) -> Result<Shown, EngineError> {
    let mut named: Vec<AttemptId> = run.hops.iter().filter_map(|hop| hop.batch.clone()).collect();
    named.extend(run.state.batch().cloned());
    named.sort_unstable();
    named.dedup();
    let batches = try_join_all(named.iter().map(|id| deps.store.batch(id))).await?;
    let answer = match &run.answer {
        Some(text) => Some(load_text(deps, &run.key, text).await?),
        None => None,
    };
    Ok(Shown { batches: batches.into_iter().flatten().collect(), answer, run, calls: Vec::new() })
}

/// The whole at a glance: two reads of the table however many jobs there are, because every write keeps the counts.
pub async fn status(request: &Request<'_>, input: &Value) -> Result<Status, Refusal> {
    Params::new(input, &[]).done(())?;
    let deps = request.deps;
    let overview = deps.store.overview().await?;
    Ok(Status {
        enabled: overview.cron_enabled && !deps.settings.skip_cron,
        jobs: overview.jobs,
        enabled_jobs: overview.enabled_jobs,
        running_turns: overview.running,
        next_wake_at_ms: overview.next_run_at.map(|at| at.timestamp_millis()),
        config_revision: overview.config_revision,
        counters: overview.counters.into_iter().collect(),
        stops: overview.stops,
    })
}
