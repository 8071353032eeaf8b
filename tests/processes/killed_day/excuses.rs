//! What a run's row says happened to it, that may make it other than on the calm day.

use std::collections::{BTreeMap, BTreeSet};

use chrono::{DateTime, Utc};
use serde_json::Value;

use super::day::MAX_WAIT;
use super::ledger::RunBook;

/// What the model is told of a call that a crash interrupted.
const INTERRUPTED: &str = "the call was interrupted; whether it took effect is not known, so it was not repeated";
/// What it is told of one that is asked for again and was carried out.
const CARRIED_OUT: &str = "Done: this very call was carried out before.";
/// What a delivery says that was cut off on a channel without idempotency keys.
const CUT_OFF: &str = "unknown";

/// What a run is told whose create came to nothing.
const NEVER_MADE: &str = "model_no_answer: the batch was never created";

/// Kills after which the tools of a hop are given up.
const TOOL_STARTS: usize = 3;

/// What a row says happened to its run.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub(super) enum Excuse {
    FoundLate,
    NeverMade,
    LostTwice,
    ToolsGivenUp,
    ToolCarriedOut,
    ToolInterrupted,
    MessageInterrupted,
    DeliveryUnknown,
}

impl Excuse {
    pub(super) fn why(self) -> &'static str {
        match self {
            Self::FoundLate => "a batch was found when it had ended, after its time was up",
            Self::NeverMade => "its batch was never made, and its time was up when that was known",
            Self::LostTwice => "a realtime answer was lost twice",
            Self::ToolsGivenUp => "the tools of a hop were interrupted three times",
            Self::ToolCarriedOut => "an acting tool was interrupted, and known to be done",
            Self::ToolInterrupted | Self::MessageInterrupted => "an acting tool was interrupted",
            Self::DeliveryUnknown => "a message to a chat without idempotency keys was cut off",
        }
    }
}

/// What makes a run end otherwise than on the calm day.
pub(super) const OTHER_END: [Excuse; 3] = [Excuse::FoundLate, Excuse::LostTwice, Excuse::ToolsGivenUp];

pub(super) fn ends_otherwise(excuses: &BTreeSet<Excuse>) -> Option<Excuse> {
    OTHER_END.into_iter().find(|excuse| excuses.contains(excuse))
}

pub(super) type Excuses = BTreeMap<String, BTreeSet<Excuse>>;

pub(super) fn items<'a>(value: &'a Value, field: &str) -> impl Iterator<Item = &'a Value> {
    value[field].as_array().into_iter().flatten()
}

/// How often a realtime hop of the run was begun once more, as its events say.
pub(super) fn begun_again(run: &RunBook) -> i64 {
    i64::try_from(resumed(run, "hop ")).unwrap()
}

/// How often tools of the run were begun once more.
fn tools_begun_again(run: &RunBook) -> usize {
    resumed(run, "the tools of hop ")
}

fn resumed(run: &RunBook, what: &str) -> usize {
    let again = |event: &&Value| {
        event["event"] == "resumed" && event["detail"].as_str().is_some_and(|detail| detail.starts_with(what))
    };
    items(&run.row, "events").filter(again).count()
}

pub(super) fn interrupted(tool: &Value) -> bool {
    (tool["state"] == "error" && tool["result"] == INTERRUPTED) || carried_out(tool)
}

fn carried_out(tool: &Value) -> bool {
    tool["state"] == "ok" && tool["result"] == CARRIED_OUT
}

/// How many of the kills came while the run was live.
pub(super) fn kills_within(run: &RunBook, kills: &[DateTime<Utc>]) -> usize {
    let instant = |field: &str| DateTime::from_timestamp_millis(run.row[field].as_i64()?);
    let (Some(from), Some(to)) = (instant("createdAtMs"), instant("endedAtMs")) else { return 0 };
    kills.iter().filter(|at| (from..=to).contains(at)).count()
}

/// What became of a create that was cut off, where that was known only after the run's time was up.
fn known_late(run: &RunBook) -> Option<Excuse> {
    if !["impatient", "hasty"].iter().any(|job| run.row["jobId"] == **job) {
        return None;
    }
    let begun = run.row["createdAtMs"].as_i64()?;
    let is_late = |event: &&Value| event["atMs"].as_i64().is_some_and(|at| at - begun >= MAX_WAIT.num_milliseconds());
    let told = items(&run.row, "events").find(|event| event["event"] == "submitted");
    let hops: Vec<&Value> = items(&run.entry, "hops").collect();
    let used = matches!(hops.as_slice(), [hop] if hop["path"] == "batch" && hop["stopReason"] == "end_turn");
    if told.as_ref().is_some_and(is_late) && used && run.entry["status"] == "ok" {
        return Some(Excuse::FoundLate);
    }
    let never = |event: &Value| event["event"] == "retry" && event["detail"] == NEVER_MADE;
    let learnt = told.is_none() && items(&run.row, "events").any(never);
    let timed_out = run.entry["error"]["code"] == "batch_timeout" || run.entry["fallbackReason"] == "batch_timeout";
    let waited = run.row["endedAtMs"].as_i64().is_some_and(|ended| ended - begun >= MAX_WAIT.num_milliseconds());
    (learnt && timed_out && waited).then_some(Excuse::NeverMade)
}

/// What the run's row says may be other than on the calm day, as far as there were kills to cause it.
pub(super) fn excuses(run: &RunBook, kills: &[DateTime<Utc>]) -> BTreeSet<Excuse> {
    let mut found = BTreeSet::new();
    let kills = kills_within(run, kills);
    if kills == 0 {
        return found;
    }
    found.extend(known_late(run));
    if kills > 1 && run.entry["error"]["code"] == "hop_too_long" && begun_again(run) > 0 {
        found.insert(Excuse::LostTwice);
    }
    if kills >= TOOL_STARTS
        && run.entry["error"]["code"] == "tools_too_long"
        && tools_begun_again(run) + 1 == TOOL_STARTS
    {
        found.insert(Excuse::ToolsGivenUp);
    }
    for tool in items(&run.entry, "tools").filter(|tool| interrupted(tool)) {
        found.insert(match tool["name"].as_str() {
            _ if carried_out(tool) => Excuse::ToolCarriedOut,
            Some("message") => Excuse::MessageInterrupted,
            Some(_) | None => Excuse::ToolInterrupted,
        });
    }
    // Only jobs whose chat has no keys: everywhere else a repeat is dropped, and nothing is unknown.
    let keyless = ["clerk", "letter"].iter().any(|job| run.row["jobId"] == **job);
    if keyless && run.entry["deliveryStatus"] == CUT_OFF {
        found.insert(Excuse::DeliveryUnknown);
    }
    found
}
