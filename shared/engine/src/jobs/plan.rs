//! What a schedule will do: its next starts and how `EventBridge` holds it. Nothing is stored.

use chrono::{DateTime, TimeDelta, Utc};
use nightshift_domain::config::Config;
use nightshift_domain::job::{JobRecord, Payload, parse_schedule, zone_of};
use nightshift_domain::money::price;
use nightshift_domain::planner::{Forecast, Way, guesses};
use nightshift_domain::run::own_model;
use nightshift_domain::schedule::{
    AwsPlan, Preview, Schedule, Starts, Timetable, format_duration, plan as aws_plan, preview, stagger_ms,
    why_one_shots,
};
use nightshift_domain::{FieldError, JobId};
use serde_json::Value;

use crate::runs::{Scene, load_config, prefix};

use super::params::Params;
use super::timing::LEAST_PAST;
use super::{Refusal, Request};

/// Most starts of a plan.
const COUNT_MOST: u64 = 100;
/// What costs are forecast for.
const MONTH: TimeDelta = TimeDelta::days(30);
/// Most runs of that: one a minute.
const MOST_RUNS: usize = 43_200;
/// Starts where nobody says how many.
const COUNT_DEFAULT: usize = 10;

/// What a schedule will do.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Planned {
    /// The job, where it is a job's.
    pub job: Option<JobId>,
    /// The schedule as it is stored.
    pub schedule: Schedule,
    /// The zone its times are shown in.
    pub zone: String,
    /// The window its start is spread over, ms.
    pub stagger_ms: u64,
    /// Its next starts.
    pub preview: Preview,
    /// How `EventBridge` holds it.
    pub aws: AwsPlan,
    /// What is worth knowing about that.
    pub aws_note: Option<String>,
    /// What its runs of the next 30 days will cost; `None` for a schedule that is no job's, a job that asks no model, and one
    /// whose model has no known price.
    pub forecast: Option<Forecast>,
    /// What is worth knowing about the whole.
    pub notes: Vec<String>,
}

/// The next starts of a job or of a schedule that is none yet: `{jobId | schedule, agentId?, fromMs?, count?}`. The
/// schedule is read, checked and refused as `cron.add` does.
pub async fn plan(request: &Request<'_>, input: &Value) -> Result<Planned, Refusal> {
    let mut params = Params::new(input, &["jobId", "id", "schedule", "agentId", "fromMs", "count"]);
    let id = params.job();
    let agent = params.text("agentId").map(str::to_owned);
    let (count, from) = (count(&mut params), from(&mut params));
    let bare = params.get("schedule").is_some();
    match (params.get("jobId").or(params.get("id")).is_some(), bare) {
        (true, true) => {
            let fault =
                FieldError::new("invalid_field", "schedule", "a plan is of a job or of a schedule, not of both");
            params.fault(fault.hint("leave out jobId, or schedule"));
        }
        (false, false) => params.fault(
            FieldError::new("missing_field", "jobId", "neither jobId nor schedule is there")
                .hint("{\"jobId\": \"…\"} or {\"schedule\": {\"kind\": \"cron\", \"expr\": \"0 7 * * *\"}}"),
        ),
        (true, false) if agent.is_some() => {
            params.fault(FieldError::new("invalid_field", "agentId", "a job has its agent already"));
        }
        (true, false) | (false, true) => {}
    }
    let config = load_config(request.deps).await?;
    let mut schedule = None;
    if let (true, Some(object)) = (bare, input.as_object()) {
        match parse_schedule(object, agent.as_deref(), &request.defaults(&config)) {
            Ok(read) => schedule = Some(read),
            Err(faults) => faults.into_iter().for_each(|fault| params.fault(fault)),
        }
    }
    params.done(())?;
    let view = View { from, now: request.now, count, settled: None };
    let mut planned = match (id, schedule) {
        (Some(id), _) => {
            let record = request.deps.store.job(&id).await?.ok_or_else(|| Refusal::NoJob(id.to_string()))?;
            let mut planned = of_job(&record, &config, View { settled: record.settled, ..view })?;
            let scene = Scene { deps: request.deps, invocation: request.invocation, config: &config };
            planned.forecast = Box::pin(forecast(scene, &record, request.now)).await?;
            if record.chained && !matches!(record.job.schedule, Schedule::At { .. }) {
                planned.aws = AwsPlan::OneShots;
                planned.aws_note = Some("the timer service refused the expression".to_owned());
            }
            planned
        }
        (None, Some(schedule)) => {
            let zone = zone_of(&config, agent.as_deref());
            let table = Timetable::new(&schedule, zone).map_err(FieldError::from)?;
            look(schedule, zone, &Starts::after(table, TimeDelta::zero()), view)
        }
        (None, None) => return Err(FieldError::new("missing_field", "jobId", "jobId is missing").into()),
    };
    if planned.job.is_none() && planned.stagger_ms > 0 {
        let window = format_duration(TimeDelta::milliseconds(i64::try_from(planned.stagger_ms).unwrap_or(i64::MAX)));
        planned.notes.push(format!(
            "a job starts up to {window} after these times, always by the same amount; the plan of the job itself shows it"
        ));
    }
    if request.deps.settings.skip_cron {
        planned
            .notes
            .push("timers are switched off (NIGHTSHIFT_SKIP_CRON): these times are recorded as skipped".into());
    } else if !config.cron.enabled {
        planned.notes.push("timers are switched off (cron.enabled): these times are recorded as skipped".to_owned());
    }
    Ok(planned)
}

/// Which starts are asked for.
#[derive(Debug, Clone, Copy)]
struct View {
    /// Those at or after this instant; without it those that are yet to come.
    from: Option<DateTime<Utc>>,
    now: DateTime<Utc>,
    count: usize,
    /// Up to where the job's occurrences have their records.
    settled: Option<DateTime<Utc>>,
}

fn of_job(record: &JobRecord, config: &Config, view: View) -> Result<Planned, Refusal> {
    let job = &record.job;
    let zone = zone_of(config, job.agent_id.as_deref());
    let unread = || Refusal::from(FieldError::new("invalid_schedule", "schedule", "the job's schedule cannot be read"));
    let starts = record.starts(zone).ok_or_else(unread)?;
    let mut planned = look(job.schedule.clone(), zone, &starts, view);
    planned.job = Some(job.job_id.clone());
    if !job.enabled {
        let why = job.state.auto_disabled.as_ref().map(|auto| format!(" after {}", auto.reason)).unwrap_or_default();
        planned
            .notes
            .insert(0, format!("the job is disabled{why}: it runs at none of these times until it is enabled"));
    }
    Ok(planned)
}

fn look(schedule: Schedule, default_zone: &str, starts: &Starts, view: View) -> Planned {
    let table = &starts.table;
    let own_zone = match &schedule {
        Schedule::At { tz, .. } => tz.clone(),
        Schedule::Every { .. } | Schedule::Cron { .. } => table.zone().map(str::to_owned),
    };
    let zone = own_zone.unwrap_or_else(|| default_zone.to_owned());
    let begin = match (&schedule, view.from) {
        (_, Some(from)) => from,
        // One that is past by no more than clocks differ still runs.
        (Schedule::At { .. }, None) => view.now - LEAST_PAST,
        (Schedule::Every { .. } | Schedule::Cron { .. }, None) => view.now + TimeDelta::milliseconds(1),
    };
    // One that has begun before its time is none of the next.
    let settled = view.settled.filter(|_| view.from.is_none() && starts.offset().is_none());
    let begin = settled.map_or(begin, |settled| begin.max(starts.of(settled) + TimeDelta::milliseconds(1)));
    let preview = preview(starts, &zone, begin, view.count);
    let notes = if preview.starts.is_empty() {
        let over = if view.from.is_none() { "its times are over" } else { "it has no time from then on" };
        vec![format!("the schedule never runs again: {over}")]
    } else {
        Vec::new()
    };
    let offset = starts.offset();
    let aws = offset.map_or(AwsPlan::OneShots, |offset| aws_plan(table, offset).aws);
    let aws_note = match (&aws, offset) {
        (AwsPlan::Exact { .. }, _) => None,
        (AwsPlan::Superset { .. }, _) => Some("the guard drops the fires that are none of these times".to_owned()),
        (AwsPlan::OneShots, Some(offset)) => why_one_shots(table, offset).map(str::to_owned),
        (AwsPlan::OneShots, None) => Some("how early it starts is learned from its turns".to_owned()),
    };
    let stagger_ms = stagger_ms(&schedule);
    Planned { job: None, schedule, zone, stagger_ms, preview, aws, aws_note, forecast: None, notes }
}

/// From the job's last turns; where it had none, from its prompt as its provider counts it, and a guess of its steps. `None` for a
/// model without a known price.
async fn forecast(scene: Scene<'_>, record: &JobRecord, now: DateTime<Utc>) -> Result<Option<Forecast>, Refusal> {
    let (job, config) = (&record.job, scene.config);
    let Payload::AgentTurn(turn) = &job.payload else { return Ok(None) };
    let Ok(table) = Timetable::new(&job.schedule, zone_of(config, job.agent_id.as_deref())) else { return Ok(None) };
    let runs = table.occurrences_between(now, now + MONTH, MOST_RUNS).len() as u64;
    if let Some(forecast) = Forecast::learned(&record.habits, runs) {
        return Ok(Some(forecast));
    }
    let (_, agent, _) = config.agent(job.agent_id.as_deref());
    let Ok((provider, model)) = config.model_ref(own_model(config, turn, &agent)) else { return Ok(None) };
    let Some(row) = price(&format!("{provider}/{model}"), now, &config.models.prices) else { return Ok(None) };
    let prefix = prefix(scene, record).await?;
    let batch = turn.batch.as_ref().map_or(config.cron.batch.default, |batch| batch.enabled) && config.cron.batch.allow;
    let way = match (batch, prefix.has_tools && prefix.one_call) {
        (false, _) => Way::Realtime,
        (true, true) => Way::OneCall,
        (true, false) => Way::Batch,
    };
    let guessed = Forecast::guessed(&guesses(prefix.tokens, prefix.has_tools), way, &row, runs);
    Ok(guessed.map(|forecast| Forecast { counted: prefix.counted, ..forecast }))
}

fn count(params: &mut Params<'_>) -> usize {
    let Some(value) = params.get("count") else { return COUNT_DEFAULT };
    let count = value.as_u64().filter(|count| (1..=COUNT_MOST).contains(count)).and_then(|it| usize::try_from(it).ok());
    count.unwrap_or_else(|| {
        let fault = FieldError::new("invalid_field", "count", "count is not a number of times");
        params.fault(fault.hint(format!("from 1 to {COUNT_MOST}")));
        COUNT_DEFAULT
    })
}

/// An instant up to the year 9999: no search that begins there leaves the calendar.
fn from(params: &mut Params<'_>) -> Option<DateTime<Utc>> {
    let ms = params.whole("fromMs")?;
    let most = 253_402_300_799_999;
    let instant = i64::try_from(ms).ok().filter(|it| *it <= most).and_then(DateTime::from_timestamp_millis);
    if instant.is_none() {
        let fault = FieldError::new("invalid_field", "fromMs", format!("{ms} is no point in time"));
        params.fault(fault.hint("fromMs is in milliseconds since 1970"));
    }
    instant
}
