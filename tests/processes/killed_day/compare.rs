//! Compares the books of two days. All that may differ, and why:
//!
//! 1. A realtime answer that a kill lost is asked for a second time: it is billed twice. Lost twice, the run fails with
//!    `hop_too_long`, for a third time is not paid. (The Messages API has no idempotency key.)
//! 2. An acting tool that a kill interrupted is not repeated: the model is told that its outcome is not known, and reads
//!    other words from then on. What the tool does may have happened; the memory knows, and says so. Where a hop's tools are interrupted three times, the
//!    run fails with `tools_too_long`.
//! 3. A chat without idempotency keys is not sent a message again whose outcome is not known: the run says so.
//! 4. An event whose attempts met the lease of one that was killed, and whose last attempt was killed too, is given up by
//!    Lambda, with a dead letter that says so. Its run is taken up by the sweeper, and has to end as on the calm day.
//!
//! Each has to be found in the row of the run it happened to, and the process to have been killed while that run was live,
//! twice where an answer was lost twice; a job's last words may differ where its last run's do, and
//! sums by what their runs differ. Everything else is a fault of the product.

use std::collections::{BTreeMap, BTreeSet};

use chrono::{DateTime, TimeDelta, Utc};
use nightshift_domain::run::LEASE;
use serde_json::{Value, json};

use super::ledger::{Ledger, RunBook};

/// What the model is told of a call that a crash interrupted.
const INTERRUPTED: &str = "the call was interrupted; whether it took effect is not known, so it was not repeated";
/// What it is told of one that is asked for again and was carried out.
const CARRIED_OUT: &str = "Done: this very call was carried out before.";
/// What a delivery says that was cut off on a channel without idempotency keys.
const CUT_OFF: &str = "unknown";

/// What differs.
#[derive(Debug, Default)]
pub(crate) struct Differences {
    /// Why, and what.
    pub(crate) explained: Vec<(&'static str, String)>,
    /// What must not.
    pub(crate) bad: Vec<String>,
}

/// What an attempt fails with that finds the lease of an earlier one of its own event.
const HELD_BY_TWIN: &str = "Twin";
/// From an event's first failed attempt to its last ("How Lambda handles errors and retries with asynchronous invocation":
/// one minute, then two, read 2026-11-20).
const ATTEMPTS_TAKE: TimeDelta = TimeDelta::minutes(3);

/// Kills after which the tools of a hop are given up.
const TOOL_STARTS: usize = 3;

/// What a row says happened to its run.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
enum Excuse {
    LostTwice,
    ToolsGivenUp,
    ToolCarriedOut,
    ToolInterrupted,
    MessageInterrupted,
    DeliveryUnknown,
}

impl Excuse {
    fn why(self) -> &'static str {
        match self {
            Self::LostTwice => "a realtime answer was lost twice",
            Self::ToolsGivenUp => "the tools of a hop were interrupted three times",
            Self::ToolCarriedOut => "an acting tool was interrupted, and known to be done",
            Self::ToolInterrupted | Self::MessageInterrupted => "an acting tool was interrupted",
            Self::DeliveryUnknown => "a message to a chat without idempotency keys was cut off",
        }
    }
}

type Excuses = BTreeMap<String, BTreeSet<Excuse>>;

fn items<'a>(value: &'a Value, field: &str) -> impl Iterator<Item = &'a Value> {
    value[field].as_array().into_iter().flatten()
}

/// How often a realtime hop of the run was begun once more, as its events say.
fn begun_again(run: &RunBook) -> i64 {
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

fn interrupted(tool: &Value) -> bool {
    (tool["state"] == "error" && tool["result"] == INTERRUPTED) || carried_out(tool)
}

fn carried_out(tool: &Value) -> bool {
    tool["state"] == "ok" && tool["result"] == CARRIED_OUT
}

/// How many of the kills came while the run was live.
fn kills_within(run: &RunBook, kills: &[DateTime<Utc>]) -> usize {
    let instant = |field: &str| DateTime::from_timestamp_millis(run.row[field].as_i64()?);
    let (Some(from), Some(to)) = (instant("createdAtMs"), instant("endedAtMs")) else { return 0 };
    kills.iter().filter(|at| (from..=to).contains(at)).count()
}

/// What the run's row says may be other than on the calm day, as far as there were kills to cause it.
fn excuses(run: &RunBook, kills: &[DateTime<Utc>]) -> BTreeSet<Excuse> {
    let mut found = BTreeSet::new();
    let kills = kills_within(run, kills);
    if kills == 0 {
        return found;
    }
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

/// The entry without what `excuses` say may differ. `other` is the killed day's, which says from which hop on.
fn without(entry: &Value, other: &Value, excuses: &BTreeSet<Excuse>) -> Value {
    let mut entry = entry.clone();
    let drop = |entry: &mut Value, fields: &[&str]| {
        for field in fields {
            entry[field] = Value::Null;
        }
    };
    if excuses.contains(&Excuse::DeliveryUnknown) {
        drop(&mut entry, &["deliveryStatus", "state"]);
    }
    if excuses.contains(&Excuse::LostTwice) || excuses.contains(&Excuse::ToolsGivenUp) {
        drop(&mut entry, &["state", "status", "error", "text", "deliveryStatus", "costUsd", "realtimeCostUsd"]);
        // What it had until then has to be the same.
        let hops = other["hops"].as_array().unwrap().len();
        entry["hops"].as_array_mut().unwrap().truncate(hops);
        let tools = entry["tools"].as_array_mut().unwrap();
        tools.retain(|tool| tool["hop"].as_u64().unwrap() <= hops as u64);
        if excuses.contains(&Excuse::ToolsGivenUp) {
            tools.iter_mut().filter(|tool| tool["hop"] == hops).for_each(|tool| drop(tool, &["state", "result"]));
        }
    }
    let first = items(other, "tools").find(|tool| interrupted(tool)).and_then(|tool| tool["hop"].as_u64());
    if let Some(first) = first {
        drop(&mut entry, &["costUsd", "realtimeCostUsd"]);
        for hop in entry["hops"].as_array_mut().unwrap().iter_mut().filter(|hop| hop["n"].as_u64().unwrap() > first) {
            drop(hop, &["usage", "costUsd", "realtimeCostUsd"]);
        }
        let others: Vec<bool> = items(other, "tools").map(interrupted).collect();
        for (tool, _) in entry["tools"].as_array_mut().unwrap().iter_mut().zip(others).filter(|(_, cut)| *cut) {
            drop(tool, &["state", "result"]);
        }
    }
    entry
}

/// The memory is shown around a change: after an interrupted one, other runs' tools may be told of one line less.
fn without_file(entry: &Value) -> Value {
    let mut entry = entry.clone();
    drop_cost(&mut entry);
    for tool in entry["tools"].as_array_mut().unwrap().iter_mut().filter(|tool| tool["name"] == "memory") {
        tool["result"] = Value::Null;
    }
    for hop in entry["hops"].as_array_mut().unwrap() {
        drop_cost(hop);
        hop["usage"] = Value::Null;
    }
    entry
}

fn drop_cost(value: &mut Value) {
    value["costUsd"] = Value::Null;
    value["realtimeCostUsd"] = Value::Null;
}

/// The run whose event Lambda gave up for the kills: one whose lease its first attempts met, and one in its last attempt.
fn given_up(letter: &Value, rough: &Ledger, kills: &[DateTime<Utc>]) -> Option<String> {
    let answer = &letter["responsePayload"];
    if answer["errorType"] != HELD_BY_TWIN {
        return None;
    }
    let at: DateTime<Utc> = letter["timestamp"].as_str()?.parse().ok()?;
    let since = |from: DateTime<Utc>| kills.iter().filter(|kill| (from..=at).contains(*kill)).count();
    if since(at - LEASE) == 0 || since(at - ATTEMPTS_TAKE) < 2 {
        return None;
    }
    let named =
        rough.runs.keys().find(|key| answer["errorMessage"].as_str().is_some_and(|said| said.contains(*key)))?;
    Some(format!("event of run {named} at {}", at.format("%H:%M:%S")))
}

/// Compares.
pub(crate) fn compare(calm: &Ledger, rough: &Ledger, kills: &[DateTime<Utc>]) -> Differences {
    let mut found = Differences::default();
    for wrong in &rough.wrong {
        if let Some(run) = given_up(wrong, rough, kills) {
            found
                .explained
                .push(("Lambda gave an event up whose attempts were killed or met a killed one's lease", run));
            continue;
        }
        found.bad.push(format!("in the evening something is wrong: {wrong:#}"));
    }
    let told: Excuses = rough.runs.iter().map(|(key, run)| (key.clone(), excuses(run, kills))).collect();
    runs(calm, rough, &told, &mut found);
    jobs(calm, rough, &told, &mut found);
    arrivals(calm, rough, &told, &mut found);
    money(calm, rough, &told, &mut found);
    found
}

fn count(told: &Excuses, excuse: Excuse) -> i64 {
    i64::try_from(told.values().filter(|excuses| excuses.contains(&excuse)).count()).unwrap()
}

fn runs(calm: &Ledger, rough: &Ledger, told: &Excuses, found: &mut Differences) {
    let file_differs = calm.memory != rough.memory;
    let keys: BTreeSet<&String> = calm.runs.keys().chain(rough.runs.keys()).collect();
    for key in keys {
        let (Some(one), Some(other)) = (calm.runs.get(key), rough.runs.get(key)) else {
            let day = if calm.runs.contains_key(key) { "undisturbed" } else { "killed" };
            found.bad.push(format!("run {key} is on the {day} day only"));
            continue;
        };
        if one.entry == other.entry {
            continue;
        }
        let excuses = &told[key];
        let (mut left, mut right) =
            (without(&one.entry, &other.entry, excuses), without(&other.entry, &other.entry, excuses));
        if left != right && file_differs {
            (left, right) = (without_file(&left), without_file(&right));
        }
        match excuses.iter().next().map(|excuse| excuse.why()) {
            Some(why) if left == right => found.explained.push((why, format!("run {key}"))),
            None if left == right => found.explained.push(("the memory has a line less", format!("run {key}"))),
            Some(_) | None => {
                found.bad.push(format!(
                    "run {key} differs:\nundisturbed {:#}\nkilled {:#}\n{}",
                    one.entry,
                    other.entry,
                    events(other)
                ));
            }
        }
    }
}

fn events(run: &RunBook) -> String {
    let lines =
        items(&run.row, "events").map(|line| format!("  {} {} {}", line["atMs"], line["event"], line["detail"]));
    lines.collect::<Vec<_>>().join("\n")
}

fn jobs(calm: &Ledger, rough: &Ledger, told: &Excuses, found: &mut Differences) {
    for (id, one) in &calm.jobs {
        let other = &rough.jobs[id];
        if one == other {
            continue;
        }
        let prefix = format!("{id}_");
        let last = rough.runs.keys().rfind(|key| key.starts_with(&prefix));
        let excuse = last.and_then(|key| told[key].iter().next());
        let same = |field: &str| one[field] == other[field];
        match excuse {
            Some(excuse) if ["enabled", "nextRunAtMs", "runningAtMs"].into_iter().all(same) => {
                found.explained.push((excuse.why(), format!("job {id}")));
            }
            Some(_) | None => found.bad.push(format!("job {id} differs:\nundisturbed {one:#}\nkilled {other:#}")),
        }
    }
}

/// What arrived, without the line of an alert that says when its run began.
fn but_for_the_start(arrived: &Value) -> Value {
    let mut rest = arrived.clone();
    if let Some(text) = arrived["text"].as_str() {
        let lines = text.lines().filter(|line| !line.starts_with("Run started: "));
        rest["text"] = lines.collect::<Vec<_>>().join("\n").into();
    }
    rest
}

/// The line of an alert that says when its run began; of the same length, so that the later one is the greater one.
fn start_told(arrived: &Value) -> Option<&str> {
    arrived["text"].as_str()?.lines().find(|line| line.starts_with("Run started: "))
}

fn arrivals(calm: &Ledger, rough: &Ledger, told: &Excuses, found: &mut Differences) {
    let keys: BTreeSet<&String> = calm.keyed.keys().chain(rough.keyed.keys()).collect();
    for key in keys {
        let (one, other) = (calm.keyed.get(key), rough.keyed.get(key));
        if one == other {
            continue;
        }
        if let (Some(one), Some(other)) = (one, other)
            && but_for_the_start(one) == but_for_the_start(other)
            && start_told(one) < start_told(other)
        {
            found
                .explained
                .push(("it tells when its run began, which was later: an invocation was killed before", key.clone()));
            continue;
        }
        let run = key.split(' ').nth(1).and_then(|key| key.split('-').next().map(|_| key)).unwrap_or(key);
        let excuses = told.iter().find(|(name, _)| run.starts_with(&format!("{name}-"))).map(|(_, excuses)| excuses);
        let may = excuses.and_then(|excuses| {
            let all = [Excuse::LostTwice, Excuse::ToolsGivenUp, Excuse::MessageInterrupted];
            all.into_iter().find(|excuse| excuses.contains(excuse))
        });
        match may {
            Some(excuse) => found.explained.push((excuse.why(), key.clone())),
            None => found.bad.push(format!("{key}: {one:?} arrived undisturbed, {other:?} with kills")),
        }
    }
    let given_up = count(told, Excuse::LostTwice) + count(told, Excuse::ToolsGivenUp);
    let may_miss = count(told, Excuse::DeliveryUnknown) + given_up;
    let texts: BTreeSet<&String> = calm.chat.keys().chain(rough.chat.keys()).collect();
    for text in texts {
        let of = |ledger: &Ledger| ledger.chat.get(text).copied().unwrap_or(0);
        let missing = of(calm) - of(rough);
        if missing < 0 || missing > may_miss {
            let start: String = text.chars().take(40).collect();
            found.bad.push(format!("{} chat messages \"{start}…\" undisturbed, {} with kills", of(calm), of(rough)));
        } else if missing > 0 {
            found.explained.push((Excuse::DeliveryUnknown.why(), format!("{missing} messages did not arrive")));
        }
    }
    let missing = calm.memory.lines().count().cast_signed() - rough.memory.lines().count().cast_signed();
    let may_miss = count(told, Excuse::ToolInterrupted) + given_up;
    if missing != 0 {
        let what = format!("{missing} lines of memory are missing");
        let may = (1..=may_miss).contains(&i64::try_from(missing).unwrap());
        let only_notes = rough.memory.lines().all(|line| line == "noted");
        if may && only_notes {
            found.explained.push((Excuse::ToolInterrupted.why(), what));
        } else {
            found.bad.push(format!("{what}, at most {may_miss} may be:\n{}", rough.memory));
        }
    }
}

/// Batched hops of the calm day that runs which were given up never came to.
fn never_batched(calm: &Ledger, rough: &Ledger, told: &Excuses) -> i64 {
    let batched = |run: &RunBook| items(&run.entry, "hops").filter(|hop| hop["path"] == "batch").count();
    let given_up = told
        .iter()
        .filter(|(_, excuses)| excuses.contains(&Excuse::LostTwice) || excuses.contains(&Excuse::ToolsGivenUp));
    let never = given_up.filter_map(|(key, _)| Some(batched(calm.runs.get(key)?) - batched(rough.runs.get(key)?)));
    i64::try_from(never.sum::<usize>()).unwrap()
}

fn money(calm: &Ledger, rough: &Ledger, told: &Excuses, found: &mut Differences) {
    let same = |name: &str, one: &Value, other: &Value, found: &mut Differences| {
        if one != other {
            found.bad.push(format!("{name}: undisturbed {one:#}, with kills {other:#}"));
        }
    };
    let mut batches = rough.batches.clone();
    // A run that was given up did not put its later hops in batches.
    let never = never_batched(calm, rough, told);
    if never > 0 {
        let ended_well = calm.batches.keys().find(|how| how.contains("\"succeeded\":1")).unwrap();
        *batches.entry(ended_well.clone()).or_default() += never;
    }
    same("batches", &json!(calm.batches), &json!(batches), found);
    // Words that a model reads cost something; answers are counted in any case.
    let other_words = told.values().any(|excuses| excuses.iter().any(|excuse| *excuse != Excuse::DeliveryUnknown));
    let answers = |bill: &Value| -> i64 {
        bill.as_object().unwrap().values().map(|tokens| tokens["messages"].as_i64().unwrap()).sum()
    };
    if other_words {
        let (one, other) = (json!(answers(&calm.batch_bill)), json!(answers(&rough.batch_bill) + never));
        same("answers billed in batches", &one, &other, found);
    } else {
        same("the bill for batches", &calm.batch_bill, &rough.batch_bill, found);
        same("what cron.cost says", &calm.cost, &rough.cost, found);
    }
    let sum: f64 = rough.runs.values().map(|run| run.entry["costUsd"].as_f64().unwrap()).sum();
    if (sum - rough.cost["paidUsd"].as_f64().unwrap()).abs() > 1e-6 {
        found.bad.push(format!("the runs cost {sum} and cron.cost says {}", rough.cost));
    }
    let twice = rough.realtime_billed - rough.realtime_hops();
    let may = rough.runs.values().map(begun_again).sum::<i64>() + count(told, Excuse::LostTwice);
    if !(0..=may).contains(&twice) {
        found.bad.push(format!("{twice} realtime answers were billed and not used; the rows explain {may}"));
    } else if twice > 0 {
        found.explained.push(("a realtime answer was lost", format!("{twice} answers were billed and not used")));
    }
}

impl Ledger {
    /// The undisturbed day has everything the comparison is about.
    pub(crate) fn is_a_whole_day(&self) {
        assert!(self.wrong.is_empty(), "{:#?}", self.wrong);
        assert!(self.runs.len() > 90, "{} runs", self.runs.len());
        assert_eq!(self.realtime_billed, self.realtime_hops(), "nothing is asked twice");
        assert_eq!(self.repeats, 0, "nothing is sent twice");
        let all = |field: &str| -> BTreeSet<&str> {
            self.runs.values().filter_map(|run| run.entry.pointer(field)?.as_str()).collect()
        };
        assert_eq!(all("/status"), BTreeSet::from(["ok", "error"]));
        assert_eq!(all("/error/code"), BTreeSet::from(["batch_timeout", "model_invalid_request"]));
        assert_eq!(all("/path"), BTreeSet::from(["batch", "realtime"]));
        assert_eq!(all("/fallbackReason"), BTreeSet::from(["batch_timeout"]));
        assert!(all("/deliveryStatus").contains("delivered"));
        assert_eq!(self.jobs.values().filter(|job| job.is_null()).count(), 5, "one-shots that go");
        assert_eq!(self.jobs["kept"]["enabled"], false);
        assert_eq!(self.memory.lines().count(), 8);
        assert_eq!(self.chat.values().sum::<i64>(), 5 + 2 * 3, "two of every long one");
        let sum: f64 = self.runs.values().map(|run| run.entry["costUsd"].as_f64().unwrap()).sum();
        assert!(sum > 0.0 && (sum - self.cost["paidUsd"].as_f64().unwrap()).abs() < 1e-6, "{sum} {}", self.cost);
    }
}
