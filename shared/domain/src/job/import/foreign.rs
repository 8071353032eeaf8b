//! Fields of payloads, deliveries and alerts that have no place here.

use serde_json::{Map, Value, json};

use super::{Log, is_main, says_something};
use crate::FieldError;
use crate::job::input::{AGENT_TURN, ALERT, DELIVERY, DESTINATION, SYSTEM_EVENT, kind_of};
use crate::job::{SessionTarget, Thinking};

/// Longest turn, seconds, as for a new job.
const TIMEOUT_MOST: f64 = 604_800.0;

/// Why a field of a job stays behind.
pub(super) fn why(name: &str) -> &'static str {
    match name {
        "sessionKey" => "sessions are not carried; the job's runs have sessions of their own here",
        "displayName" => "the job has a name, which is what is shown here",
        "owner" => "jobs have no owner here; whoever has the API's token may change them",
        "trigger" | "triggers" => "a script that decides whether a run happens cannot be run here",
        "pacing" => "the limits within which a job may move its own next run are not kept here",
        "configRevision" | "configUpdatedAtMs" | "scheduleIdentity" => "it counts changes where it comes from",
        "notify" => "the old webhook of finished runs; give the job a delivery of mode webhook instead",
        "deliveryPreview" => "a remark of the list it comes from",
        _ => "it is not a field Nightshift knows",
    }
}

/// Takes the fields of the object at `path` that are not in `known`, and names them.
fn only(map: &mut Map<String, Value>, path: &str, known: &[&str], log: &mut Log, reason: impl Fn(&str) -> String) {
    let names: Vec<String> = map.keys().filter(|name| !known.contains(&name.as_str())).cloned().collect();
    for name in names {
        if map.shift_remove(&name).is_some_and(|value| says_something(&value)) {
            log.drop(format!("{path}.{}", name.escape_debug()), reason(&name));
        }
    }
}

fn unknown(_: &str) -> String {
    "it is not a field Nightshift knows".to_owned()
}

/// A session name that cannot be one here is made one.
pub(super) fn session(object: &mut Map<String, Value>, log: &mut Log) {
    let Some(Value::String(target)) = object.get("sessionTarget") else { return };
    let target = target.trim().to_owned();
    if target.eq_ignore_ascii_case("current") {
        log.note("it ran in the session it was made in, which is not carried: here every run has a session of its own");
        object.insert("sessionTarget".to_owned(), json!("isolated"));
        return;
    }
    let named = target.to_ascii_lowercase().starts_with("session:");
    if !named || SessionTarget::parse(&target).is_some() {
        return;
    }
    let name = &target["session:".len()..];
    let fitting: String = name
        .trim()
        .chars()
        .map(|c| if c.is_alphanumeric() || matches!(c, '-' | '_' | '.') { c } else { '-' })
        .collect();
    let renamed = format!("session:{fitting}");
    if SessionTarget::parse(&renamed).is_some() {
        log.note(format!("its session \"{}\" is called \"{fitting}\" here, and begins empty", name.escape_debug()));
        object.insert("sessionTarget".to_owned(), json!(renamed));
    }
}

/// Keeps what a turn or an event can have here; a payload that cannot be run is a fault.
pub(super) fn payload(object: &mut Map<String, Value>, log: &mut Log) {
    let Some(Value::Object(payload)) = object.get_mut("payload") else { return };
    let known: &[&str] = match kind_of(payload).as_deref() {
        Some("systemevent") => &SYSTEM_EVENT,
        Some("agentturn") => &AGENT_TURN,
        Some(kind @ ("command" | "script" | "shell")) => {
            log.faults.push(program(kind));
            return;
        }
        Some(_) | None => return,
    };
    only(payload, "payload", known, log, |name| match name {
        "allowUnsafeExternalContent" => "there is no such switch here".to_owned(),
        "externalContentSource" | "toolsAllowIsDefault" => "a remark of where it comes from".to_owned(),
        _ => unknown(name),
    });
    timeout(payload, log);
    if let Some(value) = payload.get("thinking") {
        let word = value.as_str().map(str::trim).unwrap_or_default().to_owned();
        if says_something(value) && Thinking::parse(&word).is_none() {
            log.drop("payload.thinking", "it is no level Nightshift knows; the agent's own is used");
            payload.shift_remove("thinking");
        }
    }
    for (name, fits) in [("model", Value::is_string as fn(&Value) -> bool), ("fallbacks", Value::is_array)] {
        if payload.get(name).is_some_and(|value| says_something(value) && !fits(value)) {
            log.drop(format!("payload.{name}"), "it cannot be read, and was not obeyed where it comes from");
            payload.shift_remove(name);
        }
    }
    let tools = payload.get("toolsAllow").and_then(Value::as_array);
    if tools.is_some_and(|tools| tools.iter().any(|tool| tool.as_str() != Some("*"))) {
        log.note(
            "its payload.toolsAllow names tools of where it comes from; here only tools of the same name are meant",
        );
    }
}

fn program(kind: &str) -> FieldError {
    let message = format!("a {kind} payload runs a program on the machine it comes from, which Nightshift does not do");
    FieldError::new("not_available", "payload.kind", message)
        .hint("give it a payload of kind agentTurn, or run the program from the machine's own crontab")
}

fn timeout(payload: &mut Map<String, Value>, log: &mut Log) {
    let Some(value) = payload.get("timeoutSeconds").filter(|value| !value.is_null()) else { return };
    let reason = match value.as_f64() {
        Some(0.0) => "0 meant no limit; here the agent's own limit holds, an hour unless configured",
        Some(seconds) if seconds > TIMEOUT_MOST => "a turn takes at most seven days here; the agent's own limit holds",
        Some(seconds) if seconds > 0.0 => {
            // Below a second a whole one is meant, as where it comes from.
            let least = seconds.max(1.0);
            payload.insert("timeoutSeconds".to_owned(), json!(least));
            return;
        }
        Some(_) | None => "it is no time, and was not obeyed where it comes from",
    };
    log.drop("payload.timeoutSeconds", reason);
    payload.shift_remove("timeoutSeconds");
}

/// Keeps what a delivery can have here.
pub(super) fn delivery(object: &mut Map<String, Value>, log: &mut Log) {
    let main = is_main(object);
    let silent =
        object.get("delivery").is_none_or(|value| value.is_null() || value.as_object().is_some_and(Map::is_empty));
    if silent {
        object.shift_remove("delivery");
        if !main {
            log.note("it names no delivery: its answers are announced to the agent's route, as those of a new job are");
        }
    }
    let Some(value) = object.get_mut("delivery") else { return };
    let Value::Object(delivery) = value else { return };
    if main {
        let off =
            delivery.get("mode").and_then(Value::as_str).is_some_and(|mode| mode.trim().eq_ignore_ascii_case("none"));
        if !off {
            log.drop(
                "delivery",
                "a main-session job has none of its own: the heartbeat's answer goes where the agent's go",
            );
        }
        object.shift_remove("delivery");
        return;
    }
    only(delivery, "delivery", &DELIVERY, log, |name| match name {
        "completionDestination" => {
            "a second delivery of the finished run is not made here; only the first is kept".to_owned()
        }
        _ => unknown(name),
    });
    if let Some(Value::Object(destination)) = delivery.get_mut("failureDestination") {
        only(destination, "delivery.failureDestination", &DESTINATION, log, unknown);
    }
}

/// Keeps what a failure alert can have here.
pub(super) fn alert(object: &mut Map<String, Value>, log: &mut Log) {
    if let Some(Value::Object(alert)) = object.get_mut("failureAlert") {
        only(alert, "failureAlert", &ALERT, log, unknown);
    }
}
