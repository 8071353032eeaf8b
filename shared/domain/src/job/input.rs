//! Reads what a user sends for a new job.
//!
//! Guarantee: every bad field is named, all at once; a field that is not known is refused by name, never dropped; what
//! older `OpenClaw` versions took means here what it meant there. A job that leaves here is complete and valid as a whole.

use chrono::{DateTime, Utc};
use serde_json::{Map, Value};

use super::{Job, JobState, Missed, Overlap, WakeMode, punctual};
use crate::config::{Budget, Config, MOST_USD};
use crate::schedule::{NormalizeContext, Schedule, ScheduleInput, normalize};
use crate::{FieldError, JobId};

mod delivery;
mod fields;
mod legacy;
mod payload;

pub(super) use delivery::{ALERT, DELIVERY, DESTINATION};
pub(super) use fields::Faults;
pub(super) use legacy::modern;
pub(super) use payload::{AGENT_TURN, SYSTEM_EVENT, kind_of};

use fields::Fields;

/// Longest name; it heads every prompt and sorts the list of jobs.
pub(super) const NAME_MAX: usize = 200;
/// Longest name made from a text, its ellipsis included (as in `OpenClaw`).
const INFERRED_MAX: usize = 60;
/// Longest declaration key.
const DECLARATION_MAX: usize = 200;
/// Least time between two runs off the local stack.
const LEAST_INTERVAL_MS: u64 = 60_000;

/// The fields of a job.
pub(super) const KNOWN: [&str; 20] = [
    "jobId",
    "agentId",
    "name",
    "description",
    "enabled",
    "deleteAfterRun",
    "createdAtMs",
    "updatedAtMs",
    "declarationKey",
    "schedule",
    "sessionTarget",
    "wakeMode",
    "payload",
    "delivery",
    "failureAlert",
    "missed",
    "maxLatenessMs",
    "overlap",
    "budget",
    "state",
];
const STATE: [&str; 14] = [
    "nextRunAtMs",
    "runningAtMs",
    "lastRunAtMs",
    "lastStatus",
    "lastError",
    "lastDurationMs",
    "lastDeliveryStatus",
    "consecutiveErrors",
    "consecutiveSkipped",
    "autoDisabled",
    "lastFailureAlertAtMs",
    "lastFailureNotificationDelivered",
    "lastFailureNotificationDeliveryStatus",
    "lastFailureNotificationDeliveryError",
];
const SCHEDULE: [&str; 8] = ["kind", "at", "atMs", "everyMs", "anchorMs", "expr", "tz", "staggerMs"];

/// What fills the gaps of a request.
#[derive(Debug, Clone, Copy)]
pub struct Defaults<'a> {
    /// The configuration.
    pub config: &'a Config,
    /// The instant of the request.
    pub now: DateTime<Utc>,
    /// Whether this is the local stack, where intervals under a minute may be allowed.
    pub local: bool,
}

/// The zone of a cron schedule that names none: the agent's, else the configured one, else UTC.
pub fn zone_of<'a>(config: &'a Config, agent_id: Option<&str>) -> &'a str {
    let entries = &config.agents.entries;
    let own = agent_id
        .and_then(|id| entries.get(id))
        .or_else(|| entries.values().find(|agent| agent.default))
        .or_else(|| entries.get("main"));
    own.and_then(|agent| agent.timezone.as_deref())
        .or(config.agents.defaults.timezone.as_deref())
        .or(config.cron.timezone.as_deref())
        .unwrap_or("UTC")
}

/// Reads the JSON of `cron.add`. `job_id` is used unless the request brings one.
pub fn parse_new(input: &Value, defaults: &Defaults<'_>, job_id: JobId) -> Result<Job, Vec<FieldError>> {
    let object = modern(input, "job").map_err(|fault| vec![fault])?;
    parse_object(&object, defaults, job_id, None)
}

/// Reads `schedule` of `object` as [`parse_new`] does, for a job of that agent, without a job around it.
pub fn parse_schedule(
    object: &Map<String, Value>,
    agent_id: Option<&str>,
    defaults: &Defaults<'_>,
) -> Result<Schedule, Vec<FieldError>> {
    let mut faults = Faults::default();
    let schedule = schedule(Fields::new(object, ""), &context(agent_id, defaults), &mut faults);
    faults.none(schedule)
}

/// Reads a job whose old spellings are gone. `kept` is a schedule that is not judged again.
pub(super) fn parse_object(
    object: &Map<String, Value>,
    defaults: &Defaults<'_>,
    job_id: JobId,
    kept: Option<Schedule>,
) -> Result<Job, Vec<FieldError>> {
    let mut faults = Faults::default();
    let fields = Fields::new(object, "");
    fields.only(&KNOWN, &mut faults);
    let job_id = id(fields, job_id, &mut faults);
    let agent_id = agent(fields, defaults.config, &mut faults);
    let schedule = kept.or_else(|| {
        let context = context(agent_id.as_deref(), defaults);
        schedule(fields, &context, &mut faults)
    });
    let (payload, target) = payload::read(fields, &mut faults);
    let delivery = delivery::read(object, target.as_ref(), &mut faults);
    let name = name(fields, payload.as_ref().map(super::Payload::text), &mut faults);
    let rules = &defaults.config.cron;
    let now_ms = defaults.now.timestamp_millis();
    let one_shot = matches!(schedule, Some(Schedule::At { .. }));
    let missed = [("skip", Missed::Skip), ("once", Missed::Once), ("all", Missed::All)];
    let overlap = [("skip", Overlap::Skip), ("allow", Overlap::Allow), ("queue", Overlap::Queue)];
    let wake = [("now", WakeMode::Now), ("next-heartbeat", WakeMode::NextHeartbeat)];
    let description = fields.text("description", &mut faults);
    let enabled = fields.flag("enabled", &mut faults).unwrap_or(true);
    let delete_after_run = fields.flag("deleteAfterRun", &mut faults).unwrap_or(one_shot);
    let declaration_key = bounded(fields, "declarationKey", DECLARATION_MAX, &mut faults);
    let created = fields.whole("createdAtMs", 0, "milliseconds", &mut faults);
    // Our own time counts, but what is sent has to be a time.
    let _ = fields.whole("updatedAtMs", 0, "milliseconds", &mut faults);
    let wake_mode = fields.word("wakeMode", &wake, &mut faults).unwrap_or_default();
    let failure_alert = delivery::alert(fields, &mut faults);
    let missed = fields.word("missed", &missed, &mut faults).unwrap_or(rules.missed);
    let max_lateness_ms = fields.whole("maxLatenessMs", 0, "milliseconds", &mut faults);
    let overlap = fields.word("overlap", &overlap, &mut faults).unwrap_or(rules.overlap);
    let budget = fields.object("budget", &mut faults).and_then(|map| budget(Fields::new(map, "budget"), &mut faults));
    let state = state(fields, &mut faults);
    let job = schedule.zip(payload).zip(target).map(|((schedule, payload), session_target)| Job {
        job_id,
        agent_id,
        name,
        description,
        enabled,
        delete_after_run,
        created_at_ms: created.and_then(|ms| i64::try_from(ms).ok()).unwrap_or(now_ms),
        updated_at_ms: now_ms,
        declaration_key,
        schedule,
        session_target,
        wake_mode,
        payload,
        delivery,
        failure_alert,
        missed,
        max_lateness_ms,
        overlap,
        budget,
        state,
    });
    for fault in job
        .iter()
        .flat_map(|job| punctual::faults_of(job, zone_of(defaults.config, job.agent_id.as_deref()), defaults.now))
    {
        faults.add(fault);
    }
    faults.none(job)
}

/// One without a limit is none.
fn budget(fields: Fields<'_>, faults: &mut Faults) -> Option<Box<Budget>> {
    fields.only(&["runUsd", "dayUsd", "monthUsd"], faults);
    let mut dollars = |name: &str| {
        let value = fields.get(name)?;
        let usd = value.as_f64().filter(|usd| (0.0..=MOST_USD).contains(usd));
        if usd.is_none() {
            let fault =
                FieldError::new("invalid_field", fields.at(name), format!("{name} is not an amount of dollars"));
            faults.add(fault.hint(format!("a number from 0 to {MOST_USD}")));
        }
        usd
    };
    let budget = Budget { run_usd: dollars("runUsd"), day_usd: dollars("dayUsd"), month_usd: dollars("monthUsd") };
    Some(budget).filter(|budget| *budget != Budget::default()).map(Box::new)
}

fn context<'a>(agent_id: Option<&str>, defaults: &Defaults<'a>) -> NormalizeContext<'a> {
    let default_tz = zone_of(defaults.config, agent_id);
    NormalizeContext { now: defaults.now, default_tz, min_interval_ms: least_interval(defaults) }
}

fn least_interval(defaults: &Defaults<'_>) -> u64 {
    let configured = defaults.config.cron.min_interval_ms;
    if defaults.local { configured } else { configured.max(LEAST_INTERVAL_MS) }
}

/// An empty id is a mistake, not the wish for a new one.
fn id(fields: Fields<'_>, otherwise: JobId, faults: &mut Faults) -> JobId {
    let text = match fields.get("jobId") {
        Some(Value::String(text)) => Some(text.trim().to_owned()),
        Some(_) | None => fields.text("jobId", faults),
    };
    match text.map(|text| JobId::parse(&text).and_then(JobId::not_built_in)) {
        None => otherwise,
        Some(Ok(id)) => id,
        Some(Err(fault)) => {
            faults.add(fault);
            otherwise
        }
    }
}

/// An agent as configured, else the name in lower case with hyphens for what an id cannot hold.
fn agent(fields: Fields<'_>, config: &Config, faults: &mut Faults) -> Option<String> {
    let text = fields.text("agentId", faults)?;
    if config.agents.entries.contains_key(&text) {
        return Some(text);
    }
    let fits = |c: char| c.is_ascii_alphanumeric() || matches!(c, '-' | '_');
    let words: Vec<String> =
        text.split(|c| !fits(c)).filter(|word| !word.is_empty()).map(str::to_ascii_lowercase).collect();
    let id = words.join("-");
    if id.is_empty() || id.len() > 64 {
        faults.add(
            FieldError::new("invalid_field", "agentId", format!("\"{}\" is not an agent's id", text.escape_debug()))
                .hint("1 to 64 letters, digits, \"-\" and \"_\""),
        );
    }
    Some(id)
}

fn bounded(fields: Fields<'_>, name: &str, most: usize, faults: &mut Faults) -> Option<String> {
    let text = fields.text(name, faults)?;
    let length = text.chars().count();
    if length > most {
        faults.say("invalid_field", name, format!("{name} has {length} characters, the most is {most}"));
    }
    Some(text)
}

fn name(fields: Fields<'_>, text: Option<&str>, faults: &mut Faults) -> String {
    let given = bounded(fields, "name", NAME_MAX, faults);
    let line = || text.and_then(|text| text.lines().map(str::trim).find(|line| !line.is_empty()));
    let name = given.or_else(|| line().map(shorten)).unwrap_or_else(|| "Cron job".to_owned());
    name.replace(char::is_control, " ")
}

fn shorten(line: &str) -> String {
    if line.chars().count() <= INFERRED_MAX {
        return line.to_owned();
    }
    let head: String = line.chars().take(INFERRED_MAX - 1).collect();
    format!("{}…", head.trim_end())
}

fn schedule(fields: Fields<'_>, context: &NormalizeContext<'_>, faults: &mut Faults) -> Option<Schedule> {
    let Some(value) = fields.get("schedule") else {
        faults.add(
            FieldError::new("missing_field", "schedule", "schedule is missing")
                .hint("write {\"kind\": \"cron\", \"expr\": \"0 7 * * *\", \"tz\": \"Europe/Berlin\"}"),
        );
        return None;
    };
    let mut value = value.clone();
    if let Value::Object(map) = &mut value {
        Fields::new(map, "schedule").only(&SCHEDULE, faults);
        map.retain(|name, _| SCHEDULE.contains(&name.as_str()));
    }
    let input = match ScheduleInput::from_json(&value) {
        Ok(input) => input,
        Err(error) => {
            faults.add(error.into());
            return None;
        }
    };
    match normalize(input.clone(), context) {
        Ok(schedule) => Some(schedule),
        Err(error) => {
            for other in beside(&input, error.field, context) {
                faults.add(other);
            }
            faults.add(error.into());
            None
        }
    }
}

/// What else is wrong with a cron schedule whose `field` is: each of its fields is tried by itself.
fn beside(input: &ScheduleInput, field: &str, context: &NormalizeContext<'_>) -> Vec<FieldError> {
    let ScheduleInput::Cron { expr, tz, stagger_ms } = input else { return Vec::new() };
    let yearly = || "0 0 1 1 *".to_owned();
    let alone = [
        ScheduleInput::Cron { expr: expr.clone(), tz: None, stagger_ms: None },
        ScheduleInput::Cron { expr: yearly(), tz: tz.clone(), stagger_ms: None },
        ScheduleInput::Cron { expr: yearly(), tz: None, stagger_ms: *stagger_ms },
    ];
    let faults = alone.into_iter().filter_map(|input| normalize(input, context).err());
    faults.filter(|fault| fault.field != field).map(FieldError::from).collect()
}

/// How a job that comes from elsewhere fared there. What is computed here (its next run, whether it runs) is not taken.
fn state(fields: Fields<'_>, faults: &mut Faults) -> JobState {
    let Some(map) = fields.object("state", faults) else { return JobState::default() };
    Fields::new(map, "state").only(&STATE, faults);
    let known: Map<String, Value> = map
        .iter()
        .filter(|(name, value)| STATE.contains(&name.as_str()) && !value.is_null())
        .map(|(name, value)| (name.clone(), value.clone()))
        .collect();
    match serde_json::from_value::<JobState>(Value::Object(known)) {
        Ok(state) => JobState { next_run_at_ms: None, running_at_ms: None, ..state },
        Err(error) => {
            faults.say("invalid_field", "state", format!("state cannot be read: {error}"));
            JobState::default()
        }
    }
}
