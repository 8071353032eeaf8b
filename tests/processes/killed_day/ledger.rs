//! The books of a day: what every run came to, what was paid, what arrived, and how the jobs stand.
//!
//! Instants, durations and ids that are made anew are left out: a killed day does the same later, under other ids.

use std::collections::BTreeMap;

use nightshift_tests::chats::Chats;
use nightshift_tests::process::Process;
use serde_json::{Value, json};

use super::day::{MEMORY, jobs};

/// What is compared of a run, and its row, which has to explain what differs.
#[derive(Debug, Clone)]
pub(crate) struct RunBook {
    /// The words of its entry.
    pub(crate) entry: Value,
    /// The whole row, as `cron.runGet` shows it.
    pub(crate) row: Value,
}

/// The books.
#[derive(Debug, Default)]
pub(crate) struct Ledger {
    /// Runs, by key.
    pub(crate) runs: BTreeMap<String, RunBook>,
    /// Jobs, by id; one that is gone is null.
    pub(crate) jobs: BTreeMap<String, Value>,
    /// Console messages and webhook events that arrived, by idempotency key.
    pub(crate) keyed: BTreeMap<String, Value>,
    /// Chat messages, which have no key: how often each text arrived.
    pub(crate) chat: BTreeMap<String, i64>,
    /// The file the day writes.
    pub(crate) memory: String,
    /// What the provider billed for batches.
    pub(crate) batch_bill: Value,
    /// How many realtime answers it billed.
    pub(crate) realtime_billed: i64,
    /// How many batches it made, by how their rows ended.
    pub(crate) batches: BTreeMap<String, i64>,
    /// What `cron.cost` adds up.
    pub(crate) cost: Value,
    /// What failed for good, and what `cron.doctor` finds.
    pub(crate) wrong: Vec<Value>,
    /// How often a message arrived again under a key that had been there.
    pub(crate) repeats: u64,
}

impl Ledger {
    /// How many hops the rows say were answered in realtime.
    pub(crate) fn realtime_hops(&self) -> i64 {
        let hops = self.runs.values().flat_map(|run| run.entry["hops"].as_array().into_iter().flatten());
        i64::try_from(hops.filter(|hop| hop["path"] == "realtime").count()).unwrap()
    }

    /// Reads the books. `skip` is how much had arrived at the chats before the day.
    pub(crate) async fn read(process: &Process, chats: &Chats, skip: usize) -> Self {
        let mut ledger = Self::default();
        for job in jobs(chats) {
            let id = job["jobId"].as_str().unwrap();
            ledger.jobs.insert(id.to_owned(), standing(process, id).await);
            let mut cursor = Value::Null;
            loop {
                let page = json!({ "jobId": id, "cursor": cursor, "limit": 200 });
                let page = process.post("/v1/cron.runs", &page).await.unwrap();
                for run in page["runs"].as_array().unwrap_or_else(|| panic!("{page}")) {
                    let row = process.post("/v1/cron.runGet", &json!({ "runId": run["runId"] })).await.unwrap();
                    let key = run["runId"].as_str().unwrap().to_owned();
                    ledger.runs.insert(key, RunBook { entry: entry(&row), row });
                }
                cursor = page["nextCursor"].clone();
                if cursor.is_null() {
                    break;
                }
            }
        }
        ledger.read_far_side(process, chats, skip).await;
        let file = process.post("/v1/memory.get", &json!({ "path": MEMORY })).await.unwrap();
        file["text"].as_str().unwrap().clone_into(&mut ledger.memory);
        let range = json!({ "fromMs": 1_795_000_000_000_i64 });
        ledger.cost = process.post("/v1/cron.cost", &range).await.unwrap()["total"].clone();
        let dead = process.get("/_local/dead-letters").await.unwrap();
        for letters in dead.as_object().unwrap().values() {
            ledger.wrong.extend(letters.as_array().unwrap().iter().cloned());
        }
        let doctor = process.post("/v1/cron.doctor", &json!({})).await.unwrap();
        ledger.wrong.extend(doctor["findings"].as_array().unwrap().iter().cloned());
        ledger
    }

    async fn read_far_side(&mut self, process: &Process, chats: &Chats, skip: usize) {
        for one in process.get("/_local/console").await.unwrap().as_array().unwrap() {
            self.repeats += one["arrivals"].as_u64().unwrap() - 1;
            let said = json!({ "to": one["to"], "text": one["text"] });
            self.keyed.insert(format!("console {}", one["key"].as_str().unwrap()), said);
        }
        for one in chats.arrived().into_iter().skip(skip) {
            if one.channel != "webhook" {
                *self.chat.entry(one.body["text"].as_str().unwrap().to_owned()).or_default() += 1;
                continue;
            }
            let event = &one.body;
            let said = json!({ "status": event["status"], "text": event["text"], "summary": event["summary"] });
            let key = format!("webhook {}", one.key.unwrap());
            self.repeats += u64::from(self.keyed.insert(key, said).is_some());
        }
        let url = format!("{}/_fake/bill", process.ready.anthropic_url);
        let bill: Value = reqwest::get(url).await.unwrap().json().await.unwrap();
        self.batch_bill = bill["batch"].clone();
        let realtime = bill["realtime"].as_object().unwrap().values();
        self.realtime_billed = realtime.map(|tokens| tokens["messages"].as_i64().unwrap()).sum();
        for batch in process.get("/_local/anthropic/batches").await.unwrap().as_array().unwrap() {
            let how = format!("{} {}", batch["processing_status"], batch["request_counts"]);
            *self.batches.entry(how).or_default() += 1;
        }
    }
}

/// How a job stands, but for instants of its last run.
async fn standing(process: &Process, id: &str) -> Value {
    let job = process.post("/v1/cron.get", &json!({ "jobId": id })).await.unwrap();
    if job["jobId"].is_null() {
        return Value::Null;
    }
    let state = &job["state"];
    json!({
        "enabled": job["enabled"], "nextRunAtMs": state["nextRunAtMs"], "runningAtMs": state["runningAtMs"],
        "lastStatus": state["lastStatus"], "lastError": state["lastError"],
        "lastDeliveryStatus": state["lastDeliveryStatus"], "consecutiveErrors": state["consecutiveErrors"],
        "consecutiveSkipped": state["consecutiveSkipped"], "autoDisabled": state["autoDisabled"]["consecutiveErrors"],
    })
}

/// What is compared of a run.
fn entry(row: &Value) -> Value {
    let hops = row["hops"].as_array().into_iter().flatten().map(|hop| {
        json!({
            "n": hop["n"], "path": hop["path"], "model": hop["model"], "stopReason": hop["stopReason"],
            "usage": hop["usage"], "costUsd": hop["costUsd"], "realtimeCostUsd": hop["realtimeCostUsd"],
        })
    });
    let tools = row["tools"].as_array().into_iter().flatten().map(
        |tool| json!({ "name": tool["name"], "hop": tool["hop"], "state": tool["state"], "result": tool["result"] }),
    );
    json!({
        "slot": row["slot"], "origin": row["origin"], "state": row["state"], "status": row["status"],
        "error": row["error"], "path": row["path"], "fallbackReason": row["fallbackReason"],
        "hops": hops.collect::<Vec<_>>(), "tools": tools.collect::<Vec<_>>(), "costUsd": row["costUsd"],
        "realtimeCostUsd": row["realtimeCostUsd"], "text": row["text"], "deliveryStatus": row["deliveryStatus"],
        "suppressed": row["deliverySuppressionReason"], "session": row["session"],
    })
}
