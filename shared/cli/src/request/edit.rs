//! `cron edit`.

use chrono::{DateTime, Utc};
use serde_json::Value;

use super::{Fields, schedule};
use crate::args::EditArgs;
use crate::error::ExpectedError;

/// The patch. `file` is what `--message-file` holds.
pub(crate) fn edit(args: &EditArgs, file: Option<String>, now: DateTime<Utc>) -> Result<Value, ExpectedError> {
    let mut patch = Fields::default();
    patch.put("name", args.name.as_deref());
    patch.put_if(args.enable, "enabled", true);
    patch.put_if(args.disable, "enabled", false);
    patch.put("schedule", schedule::change(&args.schedule, now)?);
    patch.put("payload", payload(args, file));
    patch.put("delivery", delivery(args));
    args.rules.put_into(&mut patch);
    patch.put("failureAlert", args.alert.to_json());
    patch.clear_if(args.clear.clear_agent, "agentId");
    patch.clear_if(args.clear.clear_max_lateness, "maxLatenessMs");
    patch.clear_if(args.clear.clear_budget, "budget");
    patch.clear_if(args.clear.clear_failure_alert, "failureAlert");
    let hint = "`nightshift cron edit --help` lists what can be";
    patch.some().ok_or_else(|| ExpectedError::usage_hint("nothing to change", hint))
}

/// The kind goes with the text; settings alone leave it as it is.
fn payload(args: &EditArgs, file: Option<String>) -> Option<Value> {
    let flags = &args.payload;
    let mut payload = Fields::default();
    if let Some(message) = flags.message.clone().or(file) {
        payload.put("kind", Some("agentTurn"));
        payload.put("message", Some(message));
    } else if let Some(text) = &flags.system_event {
        payload.put("kind", Some("systemEvent"));
        payload.put("text", Some(text.as_str()));
    }
    flags.settings(&mut payload);
    let clear = &args.clear;
    let mut batch = args.batch.fields();
    // Without a batch no answer is wanted at a time.
    batch.clear_if(clear.clear_deliver_by || args.batch.no_batch, "deliverBy");
    batch.clear_if(clear.clear_deliver_by || clear.clear_earliest || args.batch.no_batch, "earliest");
    payload.put("batch", batch.some());
    payload.clear_if(clear.clear_model, "model");
    payload.clear_if(clear.clear_fallbacks, "fallbacks");
    payload.clear_if(clear.clear_thinking, "thinking");
    payload.clear_if(clear.clear_timeout_seconds, "timeoutSeconds");
    payload.clear_if(clear.clear_tools, "toolsAllow");
    payload.clear_if(clear.clear_batch, "batch");
    payload.some()
}

fn delivery(args: &EditArgs) -> Option<Value> {
    let mut delivery = args.delivery.fields();
    let clear = &args.clear;
    delivery.clear_if(clear.clear_channel, "channel");
    delivery.clear_if(clear.clear_to, "to");
    delivery.clear_if(clear.clear_thread_id, "threadId");
    delivery.clear_if(clear.clear_account, "accountId");
    delivery.some()
}
