//! `cron add`.

use chrono::{DateTime, Utc};
use serde_json::Value;

use super::{Fields, schedule};
use crate::args::AddArgs;
use crate::error::ExpectedError;

const ONE_SCHEDULE: &str = "choose exactly one schedule: --at, --every or --cron";
const ONE_PAYLOAD: &str = "choose exactly one payload: --message or --system-event";

/// The job to add. `file` is what `--message-file` holds.
pub(crate) fn add(args: &AddArgs, file: Option<String>, now: DateTime<Utc>) -> Result<Value, ExpectedError> {
    refuse_rest(args)?;
    let (name, schedule) = name_and_schedule(args, now)?;
    let mut job = Fields::default();
    job.put("name", name);
    job.put("declarationKey", args.declaration_key.as_deref());
    job.put("schedule", Some(schedule));
    job.put("payload", Some(payload(args, file)?));
    job.put("delivery", delivery(args));
    args.rules.put_into(&mut job);
    job.put("failureAlert", args.alert.to_json());
    job.put_if(args.disabled, "enabled", false);
    Ok(job.into())
}

/// Words beyond schedule and message nearly always come from quotes that were left out.
fn refuse_rest(args: &AddArgs) -> Result<(), ExpectedError> {
    let Some(first) = args.rest.first() else { return Ok(()) };
    let starts_a_cron =
        args.first.as_deref().is_some_and(|word| word.len() < 20 && !word.contains(char::is_alphabetic));
    let hint = if starts_a_cron {
        "put the cron expression in quotes: \"0 7 * * *\""
    } else {
        "put a text of several words in quotes"
    };
    Err(ExpectedError::usage_hint(format!("\"{first}\" is one argument too many"), hint))
}

/// The first positional argument is the schedule, or the name where a flag tells the schedule.
fn name_and_schedule(args: &AddArgs, now: DateTime<Utc>) -> Result<(Option<&str>, Value), ExpectedError> {
    let flagged = schedule::of_flags(&args.schedule, now)?;
    match (flagged, args.first.as_deref(), args.name.as_deref()) {
        (Some(schedule), None, name) | (Some(schedule), name @ Some(_), None) => Ok((name, schedule)),
        (Some(_), Some(first), Some(_)) => Err(ExpectedError::usage_hint(
            format!("\"{first}\" is one argument too many: the schedule and the name are given by flags"),
            "put the text the agent is asked in --message",
        )),
        (None, Some(first), name) => match schedule::of_text(first, &args.schedule, now)? {
            Some(schedule) => Ok((name, schedule)),
            None => Err(ExpectedError::usage_hint(
                format!("\"{first}\" is no schedule"),
                "write \"0 7 * * *\", 20m, 2026-12-24T18:00:00Z or \"every 20m\", or use --at, --every or --cron",
            )),
        },
        (None, None, _) => {
            Err(ExpectedError::usage_hint(ONE_SCHEDULE, "or write it first: nightshift cron add \"0 7 * * *\" \"…\""))
        }
    }
}

fn payload(args: &AddArgs, file: Option<String>) -> Result<Value, ExpectedError> {
    let flags = &args.payload;
    let message = match (flags.message.clone().or(file), &args.second) {
        (Some(_), Some(_)) => return Err(ExpectedError::usage("the message is given twice")),
        (Some(message), None) => Some(message),
        (None, second) => second.clone(),
    };
    let mut payload = Fields::default();
    match (message, &flags.system_event) {
        (Some(message), None) => {
            payload.put("kind", Some("agentTurn"));
            payload.put("message", Some(message));
        }
        (None, Some(text)) => {
            payload.put("kind", Some("systemEvent"));
            payload.put("text", Some(text.as_str()));
        }
        (Some(_), Some(_)) => return Err(ExpectedError::usage(ONE_PAYLOAD)),
        (None, None) => return Err(no_payload(args)),
    }
    flags.settings(&mut payload);
    let batch = args.batch.fields().some();
    if batch.is_some() && args.batch.batch.is_none() && !args.batch.no_batch {
        let flags = "--batch-timeout, --batch-on-timeout, --deliver-by and --earliest need --batch";
        return Err(ExpectedError::usage_hint(flags, "add --batch, or --batch=auto"));
    }
    payload.put("batch", batch);
    Ok(payload.into())
}

/// Nothing to do; where the only text given was taken as the name, that is why.
fn no_payload(args: &AddArgs) -> ExpectedError {
    let schedule = &args.schedule;
    let flags = [("--at", schedule.at.is_some()), ("--every", schedule.every.is_some()), ("--cron", true)];
    let flagged = schedule.at.is_some() || schedule.every.is_some() || schedule.cron.is_some();
    let flag = flags.iter().find(|(_, given)| *given).map_or("--cron", |(flag, _)| flag);
    match &args.first {
        Some(name) if flagged => ExpectedError::usage_hint(
            format!("\"{name}\" is the job's name, because {flag} says when to run; its message is missing"),
            format!("nightshift cron add {flag} … --message \"{name}\", or the name first and the message second"),
        ),
        Some(_) => ExpectedError::usage_hint(
            format!("the message is missing; {ONE_PAYLOAD}"),
            "or write it second: nightshift cron add \"0 7 * * *\" \"…\"",
        ),
        None => ExpectedError::usage_hint(ONE_PAYLOAD, "--message asks the agent, --system-event leaves it a note"),
    }
}

/// A target alone means that the answer is to be sent there.
fn delivery(args: &AddArgs) -> Option<Value> {
    let mut delivery = args.delivery.fields();
    if !delivery.is_empty() && !delivery.0.contains_key("mode") {
        delivery.put("mode", Some("announce"));
    }
    delivery.some()
}
