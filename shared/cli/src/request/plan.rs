//! `cron plan`.

use chrono::{DateTime, Utc};
use nightshift_domain::JobId;
use nightshift_domain::schedule::resolve_at;
use serde_json::Value;

use super::{Fields, schedule};
use crate::args::PlanArgs;
use crate::error::ExpectedError;

/// What is to be planned: a job, or a schedule that is none.
pub(crate) fn plan(args: &PlanArgs, now: DateTime<Utc>) -> Result<Value, ExpectedError> {
    let flags = &args.schedule;
    let mut request = Fields::default();
    match (args.first.as_deref().map(str::trim), schedule::of_flags(flags, now)?) {
        (None, Some(schedule)) => request.put("schedule", Some(schedule)),
        (Some(first), Some(_)) => {
            return Err(ExpectedError::usage_hint(
                format!("\"{first}\" is one argument too many: the schedule is given by a flag"),
                "plan a job by its id alone",
            ));
        }
        (Some(first), None) if is_job(first, args, now) => {
            if flags.tz.is_some() || flags.exact || flags.stagger.is_some() || args.agent.is_some() {
                return Err(ExpectedError::usage_hint(
                    "--tz, --exact, --stagger and --agent belong to a schedule, and a job has its own",
                    format!("leave them out, or change the job: nightshift cron edit {first} …"),
                ));
            }
            request.put("jobId", Some(first));
        }
        (Some(first), None) => match schedule::of_text(first, flags, now)? {
            Some(schedule) => request.put("schedule", Some(schedule)),
            None => {
                return Err(ExpectedError::usage_hint(
                    format!("\"{first}\" is neither a job's id nor a schedule"),
                    "write an id, \"0 7 * * *\", 20m, 2026-12-24T18:00:00Z or \"every 20m\"",
                ));
            }
        },
        (None, None) => {
            return Err(ExpectedError::usage(
                "name a job or a schedule: an id, an expression, --at, --every or --cron",
            ));
        }
    }
    request.put("agentId", args.agent.as_deref());
    request.put("count", Some(args.count));
    let from = args.from.as_deref().map(|from| resolve_at(from, flags.tz.as_deref(), now)).transpose()?;
    request.put("fromMs", from.map(|from| from.timestamp_millis()));
    Ok(request.into())
}

/// A text that could be an id is one, unless it says when: a duration or a time.
fn is_job(text: &str, args: &PlanArgs, now: DateTime<Utc>) -> bool {
    let digits = text.bytes().all(|byte| byte.is_ascii_digit());
    let is_time = || resolve_at(text, args.schedule.tz.as_deref(), now).is_ok();
    JobId::parse(text).is_ok() && (digits || !is_time())
}
