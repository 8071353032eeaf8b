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
//! 5. Whether a create that a kill cut off was made is known after ten minutes, and where several batches could be it, only by
//!    their rows: when they have ended. The time of its run may be up by then. Was it made, its answer, which is paid, is
//!    used; was it not, the run had no batch, and says so where it tells why it failed.
//! 6. When a batch is looked at depends on its id, which is made anew, and on when a kill let it: what AWS is reckoned to have
//!    charged for a run with a batch may differ by whole looks, a few for each batch and for each kill while it was live.
//!
//! The others have each to be found in the row of the run it happened to, and the process to have been killed while that run was live,
//! twice where an answer was lost twice; a job's last words may differ where its last run's do, its alerts and its count of
//! failures from such a run on, and sums by what their runs differ. Everything else is a fault of the product.

use std::collections::BTreeSet;

use chrono::{DateTime, TimeDelta, Utc};
use nightshift_domain::aws;
use nightshift_domain::run::LEASE;
use serde_json::{Value, json};

use super::excuses::{Excuse, Excuses, begun_again, ends_otherwise, excuses, interrupted, items, kills_within};
use super::ledger::{Ledger, RunBook};

/// What differs.
#[derive(Debug, Default)]
pub(crate) struct Differences {
    /// Why, and what.
    pub(crate) explained: Vec<(&'static str, String)>,
    /// What must not.
    pub(crate) bad: Vec<String>,
}

/// How many looks a kill may put off or bring forward: those of a quarter of an hour, after which a sweep goes on.
const LOOKS_A_KILL: usize = 6;
/// What an attempt fails with that finds the lease of an earlier one of its own event.
const HELD_BY_TWIN: &str = "Twin";
/// From an event's first failed attempt to its last ("How Lambda handles errors and retries with asynchronous invocation":
/// one minute, then two, read 2026-11-20).
const ATTEMPTS_TAKE: TimeDelta = TimeDelta::minutes(3);

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
    if excuses.contains(&Excuse::NeverMade) && !entry["error"].is_null() {
        entry["error"]["message"] = Value::Null;
    }
    if excuses.contains(&Excuse::FoundLate) {
        let end = ["state", "status", "error", "text", "deliveryStatus", "costUsd", "realtimeCostUsd"];
        drop(&mut entry, &end);
        drop(&mut entry, &["path", "fallbackReason"]);
        entry["hops"] = json!([]);
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
    looks(calm, rough, kills, &mut found);
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
        let last = rough.runs.keys().rfind(|key| is_of(id, key));
        let excuse = last.and_then(|key| told[key].iter().next().copied());
        let same = |field: &str| one[field] == other[field];
        let as_planned = ["enabled", "nextRunAtMs", "runningAtMs"].into_iter().all(same);
        let as_last = ["lastStatus", "lastError", "lastDeliveryStatus", "autoDisabled"].into_iter().all(same);
        let counted = last.and_then(|key| ended_otherwise_until(key, told));
        match (excuse, counted) {
            (Some(excuse), _) if as_planned => found.explained.push((excuse.why(), format!("job {id}"))),
            (None, Some(before)) if as_planned && as_last => {
                found.explained.push((before.why(), format!("how often job {id} failed in a row")));
            }
            _ => found.bad.push(format!("job {id} differs:\nundisturbed {one:#}\nkilled {other:#}")),
        }
    }
}

/// Whether the run called `key` is one of the job's.
fn is_of(job: &str, key: &str) -> bool {
    key.strip_prefix(job).is_some_and(|rest| rest.starts_with('_'))
}

/// Why the run called `key`, or one of its job before it, ended otherwise: what is said of failures in a row may differ.
fn ended_otherwise_until(key: &str, told: &Excuses) -> Option<Excuse> {
    let (job, _) = key.rsplit_once('_')?;
    told.range(..=key.to_owned()).filter(|(run, _)| is_of(job, run)).find_map(|(_, excuses)| ends_otherwise(excuses))
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

/// Whether a delivery called `name` is one of the run's.
fn names(name: &str, run: &str) -> bool {
    name.strip_prefix(run).is_some_and(|rest| rest.starts_with('-'))
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
        // `<channel> <run>-<origin>-<chunk>`
        let run = told.keys().find(|run| key.split_once(' ').is_some_and(|(_, name)| names(name, run)));
        let may = run.and_then(|run| {
            let own = ends_otherwise(&told[run]);
            let cut = Excuse::MessageInterrupted;
            let own = own.or(told[run].contains(&cut).then_some(cut));
            let alert = || {
                let why = told[run].contains(&Excuse::NeverMade).then_some(Excuse::NeverMade);
                why.or_else(|| ended_otherwise_until(run, told))
            };
            own.or_else(|| key.contains("-alert-").then(alert).flatten())
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
    // One that was found late was not told to stop, and has an answer; one that was never made was told nothing.
    let (late, unmade) = (count(told, Excuse::FoundLate), count(told, Excuse::NeverMade));
    for (end, more) in [("\"succeeded\":1", -late), ("\"canceled\":1", late + unmade)].iter().filter(|(_, n)| *n != 0) {
        let how = calm.batches.keys().find(|how| how.contains(end)).unwrap();
        *batches.entry(how.clone()).or_default() += more;
    }
    same("batches", &json!(calm.batches), &json!(batches), found);
    // Words that a model reads cost something; answers are counted in any case.
    let other_words = told.values().any(|excuses| excuses.iter().any(|excuse| *excuse != Excuse::DeliveryUnknown));
    let answers = |bill: &Value| -> i64 {
        bill.as_object().unwrap().values().map(|tokens| tokens["messages"].as_i64().unwrap()).sum()
    };
    if other_words {
        let (one, other) = (json!(answers(&calm.batch_bill)), json!(answers(&rough.batch_bill) + never - late));
        same("answers billed in batches", &one, &other, found);
    } else {
        same("the bill for batches", &calm.batch_bill, &rough.batch_bill, found);
        let but_for_aws = |cost: &Value| {
            let mut cost = cost.clone();
            cost["awsUsd"] = Value::Null;
            cost
        };
        same("what cron.cost says", &but_for_aws(&calm.cost), &but_for_aws(&rough.cost), found);
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

/// What AWS is reckoned to have charged, in nano-dollars.
fn of_aws(value: &Value) -> i64 {
    #[expect(clippy::cast_possible_truncation, reason = "far below a dollar")]
    let nano = (value["awsUsd"].as_f64().unwrap_or(0.0) * 1e9).round() as i64;
    nano
}

/// What AWS charged is the runs' sum, and a run's own differs by looks at its batches alone.
fn looks(calm: &Ledger, rough: &Ledger, kills: &[DateTime<Utc>], found: &mut Differences) {
    let a_look = i64::try_from(aws::look()).unwrap();
    let (mut differ, mut more) = (0, 0);
    for (key, other) in &rough.runs {
        let Some(one) = calm.runs.get(key).filter(|one| one.entry == other.entry) else { continue };
        let by = of_aws(&other.row) - of_aws(&one.row);
        let batched = items(&other.entry, "hops").filter(|hop| hop["path"] == "batch").count();
        let most = if batched > 0 { 2 * batched + LOOKS_A_KILL * kills_within(other, kills) } else { 0 };
        if by % a_look != 0 || usize::try_from((by / a_look).abs()).unwrap() > most {
            found.bad.push(format!("run {key}: AWS charged {by} nano-dollars more than undisturbed"));
        }
        differ += u32::from(by != 0);
        more += by / a_look;
    }
    if differ > 0 {
        let what = format!("{differ} runs, {more} looks more in all");
        found.explained.push(("a batch was looked at more or fewer times", what));
    }
    for (name, ledger) in [("undisturbed", calm), ("with kills", rough)] {
        let sum: i64 = ledger.runs.values().map(|run| of_aws(&run.row)).sum();
        if sum != of_aws(&ledger.cost) {
            found.bad.push(format!(
                "{name} AWS charged {sum} nano-dollars for the runs, and cron.cost says {}",
                ledger.cost
            ));
        }
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
