//! A batch that has ended, with its runs, jobs and answers, written where the product would have written them.

use std::path::Path;
use std::sync::Arc;

use anyhow::{Context as _, ensure};
use bytes::Bytes;
use chrono::{DateTime, TimeDelta, Utc};
use futures::{StreamExt, TryStreamExt, stream};
use nightshift_domain::batch::{Batch, BatchState, MOST_LISTED, Marks, Member, Roll};
use nightshift_domain::event::{Envelope, Wake};
use nightshift_domain::job::{JobRecord, OnTimeout};
use nightshift_domain::run::{Run, State};
use nightshift_domain::{AttemptId, RunKey};
use nightshift_engine::Clock;
use nightshift_engine::ports::{Blobs, Outcome, Store, Timers, Write};
use nightshift_local::{Ready, endpoints};
use nightshift_store::{DynamoStore, ObjectBlobs};
use nightshift_timers::{Functions, SchedulerTimers};
use serde_json::{Value, json};

/// The key of the local stack: the fake keeps each key's batches apart.
const KEY: &str = "sk-ant-api03-fake-key-of-the-local-stack";
/// Jobs and runs of so many rows go in one transaction (of 100 rows at most).
const TOGETHER: usize = 20;
/// So many transactions are on their way at once.
const AT_ONCE: usize = 8;

/// The batch and what belongs to it.
pub(crate) struct Seeded {
    /// The table.
    pub(crate) store: Arc<DynamoStore>,
    /// The batch.
    pub(crate) id: AttemptId,
    /// Its runs.
    pub(crate) keys: Vec<RunKey>,
    anthropic_url: String,
    remote: String,
}

/// Writes `rows` runs that are in a batch which has ended at the fake, each with an answer of `answer` characters, and arms
/// the batch's poll for `poll_at`.
pub(crate) async fn seed(
    (ready, state_dir, clock): (&Ready, &Path, Arc<dyn Clock>),
    (rows, answer): (usize, usize),
    poll_at: DateTime<Utc>,
) -> anyhow::Result<Seeded> {
    let now = clock.now();
    let key = |n: usize| RunKey::parse(&format!("row-{n:06}_{}", now.format("%Y%m%dT%H%M%SZ")));
    let keys = (0..rows).map(key).collect::<Result<Vec<_>, _>>()?;
    let id = AttemptId::new("01KAHJ5Z3M7Q2W4E6R8T0YABCD");
    let remote = create(&ready.anthropic_url, &keys, answer).await?;

    let store = Arc::new(DynamoStore::new(endpoints::dynamodb(&ready.dynamodb_url), "nightshift", clock.clone()));
    stream::iter(keys.chunks(TOGETHER))
        .map(|keys| write_runs(&store, keys, &id, now))
        .buffer_unordered(AT_ONCE)
        .try_collect::<()>()
        .await?;

    let members: Vec<Member> = keys.iter().map(|run| Member { run: run.clone(), hop: 1, attempt: 1 }).collect();
    let members = if rows <= MOST_LISTED {
        Roll::Listed(members)
    } else {
        let key = format!("batches/{id}/members");
        let blobs = ObjectBlobs::local(state_dir.join("blobs"))?;
        blobs.put(&key, Bytes::from(serde_json::to_vec(&members)?)).await?;
        Roll::Blob { key, rows: u32::try_from(rows)? }
    };
    let batch = Batch {
        id: id.clone(),
        provider: "anthropic".to_owned(),
        state: BatchState::Open { remote: remote.clone(), adopted: false },
        members,
        settled: Marks::default(),
        digest: String::new(),
        started_at: now,
        deadline: now + TimeDelta::hours(24),
        on_timeout: OnTimeout::Fail,
        polls: 1,
        next_poll_at: poll_at,
        rejected: Vec::new(),
        creator: None,
        untold: false,
        checked_at: None,
        ended_at: None,
        not_found_since: None,
        broken_since: None,
        stopped_at_poll: None,
        rev: 1,
    };
    let written = store.commit(&[Write::Batch { batch: &batch, expires_at: None }]).await?;
    ensure!(written == Outcome::Applied, "the batch was there already");

    let timers = SchedulerTimers::new(
        endpoints::scheduler(&ready.scheduler_url),
        "nightshift".to_owned(),
        "arn:aws:iam::000000000000:role/nightshift-scheduler".to_owned(),
        Functions::new("arn:aws:lambda:us-east-1:000000000000:function:nightshift-"),
        clock,
    );
    let poll = Wake::Poll { b: id.clone(), n: 1 };
    timers.arm(&id.poll_timer(1), poll_at, &Envelope::new(poll)).await?;
    Ok(Seeded { store, id, keys, anthropic_url: ready.anthropic_url.clone(), remote })
}

fn http(method: reqwest::Method, url: String) -> reqwest::RequestBuilder {
    let request = reqwest::Client::new().request(method, url).header("x-api-key", KEY);
    request.header("anthropic-version", "2026-10-21").header("content-type", "application/json")
}

/// Creates the batch at the fake, where it has ended as soon as it is looked at.
async fn create(url: &str, keys: &[RunKey], answer: usize) -> anyhow::Result<String> {
    let script = json!({ "replies": [{ "text": "word ".repeat(answer / 5) }], "batchDurationMs": 0 });
    http(reqwest::Method::POST, format!("{url}/_fake/script"))
        .body(script.to_string())
        .send()
        .await?
        .error_for_status()?;
    let requests: Vec<Value> = keys
        .iter()
        .map(|key| {
            let message = json!({ "role": "user", "content": format!("This is {key}.") });
            let params = json!({ "model": "claude-haiku-5-5", "max_tokens": 8192, "messages": [message] });
            json!({ "custom_id": key.custom_id(1, 1), "params": params })
        })
        .collect();
    let body = json!({ "requests": requests }).to_string();
    let created = http(reqwest::Method::POST, format!("{url}/v1/messages/batches")).body(body).send().await?;
    let status = created.status();
    let created: Value = created.json().await?;
    ensure!(status.is_success(), "the batch was not created: {created}");
    Ok(created["id"].as_str().context("a batch has an id")?.to_owned())
}

async fn write_runs(store: &DynamoStore, keys: &[RunKey], id: &AttemptId, now: DateTime<Utc>) -> anyhow::Result<()> {
    let (mut runs, mut jobs) = (Vec::new(), Vec::new());
    for key in keys {
        runs.push(run(key, id, now)?);
        jobs.push(job(key)?);
    }
    let mut writes: Vec<Write<'_>> = runs.iter().map(|run| Write::Run { run, expires_at: None }).collect();
    writes.extend(jobs.iter().map(Write::Job));
    ensure!(store.commit(&writes).await? == Outcome::Applied, "a run was there already");
    Ok(())
}

fn run(key: &RunKey, id: &AttemptId, now: DateTime<Utc>) -> serde_json::Result<Run> {
    serde_json::from_value(json!({
        "key": key, "jobId": key.job_id(), "jobName": "row", "agentId": "main", "origin": "schedule", "slot": now,
        "sequence": 1, "task": { "task": "turn" }, "createdAt": now, "startedAt": now, "endedAt": null,
        "state": { "state": "submitted", "hop": 1, "attempt": 1, "batch": id }, "stateSince": now, "rev": 1,
        "turn": { "message": "This is a row." }, "prompt": { "inline": "This is a row." }, "delivery": null,
        "plan": { "path": "batch", "provider": "anthropic", "model": "claude-haiku-5-5", "maxTokens": 8192,
            "deadline": now + TimeDelta::hours(24), "onTimeout": "fail", "realtimeSeconds": 60, "maxHops": 5 },
    }))
}

fn job(key: &RunKey) -> serde_json::Result<JobRecord> {
    let job = json!({
        "jobId": key.job_id(), "name": "row", "enabled": true, "deleteAfterRun": false, "createdAtMs": 0,
        "updatedAtMs": 0, "schedule": { "kind": "every", "everyMs": 86_400_000, "anchorMs": 0 },
        "sessionTarget": "isolated", "wakeMode": "now", "payload": { "kind": "agentTurn", "message": "This is a row." },
        "missed": "once", "overlap": "skip",
    });
    Ok(JobRecord { active: vec![key.clone()], ..JobRecord::new(serde_json::from_value(job)?) })
}

impl Seeded {
    /// The batch.
    pub(crate) async fn batch(&self) -> anyhow::Result<Batch> {
        self.store.batch(&self.id).await?.context("the batch is there")
    }

    /// Compares every run and its job with the file of results: closed, once, with the message that was made for it, booked
    /// once. Answers how many bytes the file has.
    pub(crate) async fn check(&self) -> anyhow::Result<u64> {
        let url = format!("{}/v1/messages/batches/{}/results", self.anthropic_url, self.remote);
        let mut body = http(reqwest::Method::GET, url).send().await?.error_for_status()?.bytes_stream();
        let (mut buffer, mut bytes, mut lines) = (Vec::new(), 0, Vec::new());
        while let Some(piece) = body.try_next().await? {
            bytes += piece.len() as u64;
            buffer.extend_from_slice(&piece);
            while let Some(end) = buffer.iter().position(|byte| *byte == b'\n') {
                let line: Value = serde_json::from_slice(&buffer[..end])?;
                buffer.drain(..=end);
                lines.push((line["custom_id"].clone(), line["result"]["message"]["id"].clone()));
            }
        }
        ensure!(lines.len() == self.keys.len(), "the file has {} lines", lines.len());
        let checked = stream::iter(lines).map(|(row, message)| self.check_row(row, message));
        checked.buffer_unordered(AT_ONCE).try_collect::<()>().await?;
        Ok(bytes)
    }

    async fn check_row(&self, row: Value, message: Value) -> anyhow::Result<()> {
        let (key, ..) = row.as_str().and_then(RunKey::of_custom_id).context("the row is one of ours")?;
        let run = self.store.run(&key).await?.context("the run is there")?;
        ensure!(run.state == State::Succeeded, "run {key} is {}", run.state.name());
        let messages: Vec<&str> = run.hops.iter().map(|hop| hop.message_id.as_str()).collect();
        ensure!(messages == [message.as_str().unwrap_or_default()], "run {key} has {messages:?}, not {message}");
        ensure!(run.hops[0].cost == run.cost, "run {key} was booked otherwise than once");
        let ended = run.events.iter().filter(|line| line.event == "answered" || line.event == "done").count();
        ensure!(ended == 2, "run {key} ended {ended} times: {:?}", run.events);
        let job = self.store.job(&key.job_id()).await?.context("the job is there")?;
        ensure!(job.active.is_empty() && job.rev == 3, "job {} is at rev {}", key.job_id(), job.rev);
        Ok(())
    }
}
