//! Records to write. They are made from JSON, as last week's rows are: a new field with a default needs no change here.

use chrono::{DateTime, TimeDelta, Utc};
use nightshift_domain::batch::{Batch, BatchState, Member};
use nightshift_domain::delivery::{Chunk, ChunkState, Target};
use nightshift_domain::job::JobRecord;
use nightshift_domain::run::{Lease, Run, State};
use nightshift_domain::{AttemptId, JobId, RunKey};
use nightshift_engine::ports::{Outcome, PageRequest, Store, SystemEvent, Write};
use serde_json::json;

use super::worlds::start;

pub(crate) fn job_id(id: &str) -> JobId {
    JobId::parse(id).unwrap()
}

pub(crate) fn job(id: &str, name: &str) -> JobRecord {
    let job = json!({
        "jobId": id, "name": name, "enabled": true, "deleteAfterRun": false, "createdAtMs": 0, "updatedAtMs": 0,
        "schedule": { "kind": "every", "everyMs": 60_000, "anchorMs": 0 }, "sessionTarget": "isolated",
        "wakeMode": "now", "payload": { "kind": "agentTurn", "message": "hello" }, "missed": "once", "overlap": "skip",
    });
    JobRecord::new(serde_json::from_value(job).unwrap())
}

pub(crate) fn declared(id: &str, key: &str) -> JobRecord {
    let mut record = job(id, id);
    record.job.declaration_key = Some(key.to_owned());
    record
}

/// The run of `job` whose slot is `minute` minutes after the start, created in that minute.
pub(crate) fn run(job: &str, minute: i64) -> Run {
    let slot = start() + TimeDelta::minutes(minute);
    let job = job_id(job);
    let run = json!({
        "key": RunKey::of_slot(&job, slot), "jobId": job, "jobName": "morning", "agentId": "main", "origin": "schedule",
        "slot": slot, "sequence": 1, "task": { "task": "turn" }, "createdAt": slot, "startedAt": null, "endedAt": null, "state": { "state": "due" },
        "stateSince": slot, "rev": 1, "turn": { "message": "hello" }, "prompt": { "inline": "hello" }, "delivery": null,
    });
    serde_json::from_value(run).unwrap()
}

/// The next write of `run`.
pub(crate) fn after(run: &Run, state: State) -> Run {
    Run { rev: run.rev + 1, state, ..run.clone() }
}

pub(crate) fn leased(run: &Run, owner: &str, until: DateTime<Utc>) -> Run {
    Run { lease: Some(Lease { owner: owner.to_owned(), until }), ..run.clone() }
}

pub(crate) fn batch(id: &str, state: &BatchState) -> Batch {
    let member = Member { run: run("a", 0).key, hop: 1, attempt: 1 };
    let batch = json!({
        "id": id, "provider": "anthropic", "state": state, "members": [member], "digest": "", "startedAt": start(),
        "deadline": start() + TimeDelta::days(1), "onTimeout": "fail", "polls": 1,
        "nextPollAt": start() + TimeDelta::minutes(2), "rev": 1,
    });
    serde_json::from_value(batch).unwrap()
}

pub(crate) fn open(remote: &str, adopted: bool) -> BatchState {
    BatchState::Open { remote: remote.to_owned(), adopted }
}

pub(crate) fn attempt(id: &str) -> AttemptId {
    AttemptId::new(id)
}

pub(crate) fn chunk(run: &Run, origin: &str, index: u32) -> Chunk {
    let target = Target { channel: "console".into(), account: "default".into(), to: "x".into(), thread: None };
    Chunk {
        run: run.key.clone(),
        origin: origin.to_owned(),
        index,
        of: 12,
        target,
        text: format!("part {index}"),
        plain: None,
        media: None,
        state: ChunkState::Planned,
        attempts: 0,
        rev: 1,
    }
}

pub(crate) fn event(agent: &str, id: &str) -> SystemEvent {
    let text = format!("text of {id}");
    SystemEvent::new(agent.to_owned(), id.to_owned(), text, start(), start() + TimeDelta::hours(1))
}

pub(crate) fn live(run: &Run) -> Write<'_> {
    Write::Run { run, expires_at: None }
}

pub(crate) fn kept(batch: &Batch) -> Write<'_> {
    Write::Batch { batch, expires_at: None }
}

/// Writes what must not be lost.
pub(crate) async fn write(store: &dyn Store, writes: &[Write<'_>]) {
    assert_eq!(store.commit(writes).await.unwrap(), Outcome::Applied);
}

pub(crate) fn first(limit: u32) -> PageRequest {
    PageRequest { limit, cursor: None }
}

pub(crate) fn next(limit: u32, cursor: Option<&str>) -> PageRequest {
    PageRequest { limit, cursor: Some(cursor.expect("a cursor to go on from").to_owned()) }
}
