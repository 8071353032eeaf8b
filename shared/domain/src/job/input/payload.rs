//! What a job is to do, as somebody wrote it.

use serde_json::{Map, Value};

use super::fields::{Faults, Fields};
use crate::FieldError;
use crate::job::{
    AgentTurn, BatchMode, BatchPolicy, MAX_WAIT_LEAST_MS, MAX_WAIT_LIMIT_MS, OnTimeout, Payload, SessionTarget,
    Thinking,
};
use crate::schedule::WallTime;

/// The fields of a system event.
pub(in crate::job) const SYSTEM_EVENT: [&str; 4] = ["kind", "text", "model", "thinking"];
/// The fields of an agent turn.
pub(in crate::job) const AGENT_TURN: [&str; 9] =
    ["kind", "message", "model", "fallbacks", "thinking", "timeoutSeconds", "lightContext", "toolsAllow", "batch"];
const BATCH: [&str; 6] = ["enabled", "mode", "maxWaitMs", "onTimeout", "deliverBy", "earliest"];

/// The kind of a payload: what it says, else what its text tells.
pub(crate) fn kind_of(payload: &Map<String, Value>) -> Option<String> {
    match payload.get("kind") {
        Some(Value::String(kind)) => Some(kind.trim().to_ascii_lowercase()),
        Some(Value::Null) | None if payload.contains_key("message") => Some("agentturn".to_owned()),
        Some(Value::Null) | None if payload.contains_key("text") => Some("systemevent".to_owned()),
        Some(_) | None => None,
    }
}

/// Reads a payload and the session it is for, and judges the two together.
pub(super) fn read(job: Fields<'_>, faults: &mut Faults) -> (Option<Payload>, Option<SessionTarget>) {
    let target = target(job, faults);
    let Some(value) = job.get("payload") else {
        faults.add(FieldError::new("missing_field", "payload", "payload is missing").hint(
            "write {\"kind\": \"agentTurn\", \"message\": \"…\"} or {\"kind\": \"systemEvent\", \"text\": \"…\"}",
        ));
        return (None, target);
    };
    let Some(map) = value.as_object() else {
        faults.say("invalid_payload", "payload", "payload is not an object");
        return (None, target);
    };
    let fields = Fields::new(map, "payload");
    let kind = kind_of(map);
    match kind.as_deref() {
        Some("systemevent") => {
            if map.contains_key("batch") {
                faults.add(
                    FieldError::new("invalid_session", "payload.batch", "a main-session job cannot be batched")
                        .hint("give the job an agentTurn payload to run it in a session of its own"),
                );
            }
            fields.only(&[&SYSTEM_EVENT[..], &["batch"]].concat(), faults);
            let target = target.unwrap_or(SessionTarget::Main);
            if target != SessionTarget::Main {
                faults.add(
                    FieldError::new("invalid_session", "payload.kind", "a systemEvent goes to the main session only")
                        .hint("use sessionTarget \"main\", or a payload of kind agentTurn"),
                );
            }
            let text = said(fields, "text", faults);
            let model = fields.text("model", faults);
            let payload = text.map(|text| Payload::SystemEvent { text, model, thinking: thinking(fields, faults) });
            (payload, Some(target))
        }
        Some("agentturn") => {
            fields.only(&AGENT_TURN, faults);
            let target = target.unwrap_or(SessionTarget::Isolated);
            if target == SessionTarget::Main {
                faults.add(
                    FieldError::new("invalid_session", "payload.kind", "the main session takes a systemEvent only")
                        .hint("use sessionTarget \"isolated\" or \"session:<name>\", or a payload of kind systemEvent"),
                );
            }
            (turn(fields, faults).map(Payload::AgentTurn), Some(target))
        }
        Some(other) => {
            faults.add(
                FieldError::new(
                    "invalid_payload",
                    "payload.kind",
                    format!("\"{}\" is not a kind of payload", map["kind"].as_str().unwrap_or(other).escape_debug()),
                )
                .hint("the kinds are agentTurn and systemEvent"),
            );
            (None, target)
        }
        None => {
            faults.add(
                FieldError::new("missing_field", "payload.kind", "payload.kind is missing")
                    .hint("the kinds are agentTurn and systemEvent"),
            );
            (None, target)
        }
    }
}

fn target(job: Fields<'_>, faults: &mut Faults) -> Option<SessionTarget> {
    let text = job.text("sessionTarget", faults)?;
    let target = SessionTarget::parse(&text);
    if target.is_none() {
        faults.add(
            FieldError::new(
                "invalid_session",
                "sessionTarget",
                format!("\"{}\" is not a session target", text.escape_debug()),
            )
            .hint("write main, isolated or session:<name> with letters, digits, \".\", \"_\" and \"-\""),
        );
    }
    target
}

/// The text of the payload, which may not be blank.
fn said(fields: Fields<'_>, name: &str, faults: &mut Faults) -> Option<String> {
    match fields.get(name) {
        Some(Value::String(text)) if !text.trim().is_empty() => Some(text.trim().to_owned()),
        Some(Value::String(_)) | None => {
            faults.say("missing_field", fields.at(name), format!("{name} is empty"));
            None
        }
        Some(_) => {
            faults.say("invalid_field", fields.at(name), format!("{name} is not a text"));
            None
        }
    }
}

fn thinking(fields: Fields<'_>, faults: &mut Faults) -> Option<Thinking> {
    fields.text("thinking", faults)?;
    fields.word("thinking", &Thinking::WORDS, faults)
}

fn turn(fields: Fields<'_>, faults: &mut Faults) -> Option<AgentTurn> {
    let message = said(fields, "message", faults);
    let turn = AgentTurn {
        message: message.clone().unwrap_or_default(),
        model: fields.text("model", faults),
        fallbacks: fields.texts("fallbacks", faults),
        thinking: thinking(fields, faults),
        timeout_seconds: timeout(fields, faults),
        light_context: fields.flag("lightContext", faults).unwrap_or(false),
        tools_allow: fields.texts("toolsAllow", faults),
        batch: fields.object("batch", faults).map(|map| batch(Fields::new(map, "payload.batch"), faults)),
    };
    message.map(|_| turn)
}

/// At least a second; fractions are cut. A text was never obeyed by any version and is left out, as it was there.
fn timeout(fields: Fields<'_>, faults: &mut Faults) -> Option<u64> {
    let value = fields.get("timeoutSeconds").filter(|value| !value.is_string())?;
    let floor = value.as_f64().map(f64::floor).filter(|seconds| *seconds >= 1.0 && *seconds <= 604_800.0);
    if floor.is_none() {
        faults.add(
            FieldError::new(
                "invalid_field",
                fields.at("timeoutSeconds"),
                "timeoutSeconds is not a time a turn can take",
            )
            .hint("a number from 1 to 604800, seven days"),
        );
    }
    #[expect(clippy::cast_possible_truncation, clippy::cast_sign_loss, reason = "whole and bounded above")]
    floor.map(|seconds| seconds as u64)
}

fn batch(fields: Fields<'_>, faults: &mut Faults) -> BatchPolicy {
    fields.only(&BATCH, faults);
    let mode = fields.word("mode", &[("always", BatchMode::Always), ("auto", BatchMode::Auto)], faults);
    let max_wait_ms = fields.whole("maxWaitMs", 0, "milliseconds", faults);
    if let Some(ms) = max_wait_ms.filter(|ms| !(MAX_WAIT_LEAST_MS..=MAX_WAIT_LIMIT_MS).contains(ms)) {
        faults.add(
            FieldError::new("invalid_batch", "payload.batch.maxWaitMs", format!("a wait of {ms} ms is out of range"))
                .hint(format!("from {MAX_WAIT_LEAST_MS} (a minute) to {MAX_WAIT_LIMIT_MS} (seven days)")),
        );
    }
    let on_timeout = [("fail", OnTimeout::Fail), ("realtime", OnTimeout::Realtime)];
    BatchPolicy {
        enabled: fields.flag("enabled", faults).unwrap_or(true),
        mode,
        max_wait_ms,
        on_timeout: fields.word("onTimeout", &on_timeout, faults),
        deliver_by: time_of_day(fields, "deliverBy", faults),
        earliest: time_of_day(fields, "earliest", faults),
    }
}

fn time_of_day(fields: Fields<'_>, name: &str, faults: &mut Faults) -> Option<WallTime> {
    let value = fields.get(name)?;
    let time = value.as_str().and_then(WallTime::parse);
    if time.is_none() {
        let shown = value.as_str().map_or_else(|| value.to_string(), |text| text.escape_debug().to_string());
        let message = format!("\"{shown}\" is not a time of day");
        let fault = FieldError::new("invalid_batch", fields.at(name), message);
        faults.add(fault.hint("write it as 07:00, from 00:00 to 23:59, in the schedule's zone"));
    }
    time
}
