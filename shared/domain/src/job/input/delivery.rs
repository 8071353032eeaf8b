//! Where an answer and an alarm go, as somebody wrote it.

use serde_json::{Map, Value};

use super::fields::{Faults, Fields};
use crate::FieldError;
use crate::job::{AlertRule, Delivery, DeliveryMode, Destination, FailureAlert, SessionTarget};

/// The fields of a delivery.
pub(in crate::job) const DELIVERY: [&str; 7] =
    ["mode", "channel", "to", "threadId", "accountId", "bestEffort", "failureDestination"];
/// The fields of a place for notices.
pub(in crate::job) const DESTINATION: [&str; 4] = ["mode", "channel", "to", "accountId"];
/// The fields of a failure alert.
pub(in crate::job) const ALERT: [&str; 7] =
    ["after", "cooldownMs", "includeSkipped", "mode", "channel", "to", "accountId"];
/// `deliver` is what the first version called announcing.
const MODES: [(&str, DeliveryMode); 4] = [
    ("announce", DeliveryMode::Announce),
    ("webhook", DeliveryMode::Webhook),
    ("none", DeliveryMode::None),
    ("deliver", DeliveryMode::Announce),
];

/// Reads `delivery`, or the default for `target`.
pub(super) fn read(job: &Map<String, Value>, target: Option<&SessionTarget>, faults: &mut Faults) -> Option<Delivery> {
    let main = target == Some(&SessionTarget::Main);
    let Some(value) = job.get("delivery") else {
        return (!main).then(Delivery::default);
    };
    let Value::Object(map) = value else {
        faults.add(
            FieldError::new("invalid_delivery", "delivery", "delivery is not an object")
                .hint("leave it out, or write {\"mode\": \"none\"} to send nothing"),
        );
        return None;
    };
    if map.is_empty() {
        faults.add(
            FieldError::new("invalid_delivery", "delivery.mode", "delivery is empty")
                .hint("give a mode: announce, webhook or none"),
        );
        return None;
    }
    let fields = Fields::new(map, "delivery");
    fields.only(&DELIVERY, faults);
    let delivery = Delivery {
        mode: fields.word("mode", &MODES, faults).unwrap_or_default(),
        channel: fields.text("channel", faults).map(|name| name.to_lowercase()),
        to: place(fields, faults),
        thread_id: thread(fields, faults),
        account_id: fields.text("accountId", faults),
        best_effort: fields.flag("bestEffort", faults).unwrap_or(false),
        failure_destination: fields
            .object("failureDestination", faults)
            .map(|map| destination(Fields::new(map, "delivery.failureDestination"), faults)),
    };
    if delivery.mode == DeliveryMode::Webhook {
        webhook(fields, delivery.to.as_deref(), faults);
    }
    if main {
        if delivery.mode != DeliveryMode::None {
            faults.add(
                FieldError::new("invalid_delivery", "delivery", "a main-session job has no delivery of its own")
                    .hint("leave delivery out; the heartbeat's answer goes where the agent's answers go"),
            );
        }
        return None;
    }
    Some(delivery)
}

fn destination(fields: Fields<'_>, faults: &mut Faults) -> Destination {
    fields.only(&DESTINATION, faults);
    let destination = Destination {
        mode: fields.word("mode", &MODES, faults).unwrap_or_default(),
        channel: fields.text("channel", faults).map(|name| name.to_lowercase()),
        to: place(fields, faults),
        account_id: fields.text("accountId", faults),
    };
    if destination.mode == DeliveryMode::Webhook {
        webhook(fields, destination.to.as_deref(), faults);
    }
    destination
}

/// Reads `failureAlert`: `false`, `true` or a rule.
pub(super) fn alert(job: Fields<'_>, faults: &mut Faults) -> Option<FailureAlert> {
    let map = match job.get("failureAlert")? {
        Value::Bool(on) => return Some(FailureAlert::Switch(*on)),
        Value::Object(map) => map,
        Value::Null | Value::Number(_) | Value::String(_) | Value::Array(_) => {
            faults.add(
                FieldError::new("invalid_field", "failureAlert", "failureAlert is neither a rule nor false")
                    .hint("write false, or {\"after\": 2, \"channel\": \"telegram\", \"to\": \"123456789\"}"),
            );
            return None;
        }
    };
    let fields = Fields::new(map, "failureAlert");
    fields.only(&ALERT, faults);
    let rule = AlertRule {
        after: fields.whole("after", 1, "failures", faults).map(|after| u32::try_from(after).unwrap_or(u32::MAX)),
        cooldown_ms: fields.whole("cooldownMs", 0, "milliseconds", faults),
        include_skipped: fields.flag("includeSkipped", faults),
        mode: fields.word("mode", &MODES, faults),
        channel: fields.text("channel", faults).map(|name| name.to_lowercase()),
        to: place(fields, faults),
        account_id: fields.text("accountId", faults),
    };
    if rule.mode == Some(DeliveryMode::Webhook) {
        webhook(fields, rule.to.as_deref(), faults);
    }
    Some(FailureAlert::Rule(rule))
}

/// A target; one that is there may not be blank.
fn place(fields: Fields<'_>, faults: &mut Faults) -> Option<String> {
    let to = fields.text("to", faults);
    if to.is_none() && fields.get("to").is_some_and(Value::is_string) {
        faults.say("invalid_delivery", fields.at("to"), "to is empty");
    }
    to
}

/// A thread, which some chats number and some name.
fn thread(fields: Fields<'_>, faults: &mut Faults) -> Option<String> {
    match fields.get("threadId") {
        Some(Value::Number(number)) => Some(number.to_string()),
        Some(_) | None => fields.text("threadId", faults),
    }
}

fn webhook(fields: Fields<'_>, to: Option<&str>, faults: &mut Faults) {
    let problem = match to {
        None => "a webhook needs an address".to_owned(),
        Some(to) => match web_address(to) {
            Ok(()) => return,
            Err(problem) => problem.to_owned(),
        },
    };
    faults.add(FieldError::new("invalid_delivery", fields.at("to"), problem).hint("write https://host/path"));
}

/// Whether `text` is an http(s) address without a user or password in it.
fn web_address(text: &str) -> Result<(), &'static str> {
    let lower = text.to_ascii_lowercase();
    let rest = lower.strip_prefix("https://").or_else(|| lower.strip_prefix("http://"));
    let rest = rest.ok_or("a webhook's address is an http or https one")?;
    let authority = rest.split(['/', '?', '#']).next().unwrap_or_default();
    if authority.contains('@') {
        return Err("a webhook's address may not hold a user or password");
    }
    let host = authority.rsplit_once(':').map_or(authority, |(host, _)| host);
    if host.is_empty() || text.chars().any(|c| c.is_whitespace() || c.is_control() || c == '\\') {
        return Err("the webhook's address is not valid");
    }
    Ok(())
}
