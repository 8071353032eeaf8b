//! `cron export`: all jobs, and their history, as one document that `cron import` takes back.
//!
//! The document looks like `OpenClaw`'s older store (`version`, `jobs` with `id`), its runs like entries of its run log.

use std::path::Path;

use nightshift_domain::JobId;
use nightshift_wire::{RunView, SUMMARY_CHARS};
use serde_json::{Map, Value, json};

use super::{Session, read};
use crate::args::ExportArgs;
use crate::error::ExpectedError;

/// Rows per page.
const PAGE: u32 = 200;

pub(super) async fn export(session: &mut Session<'_>, args: &ExportArgs) -> anyhow::Result<()> {
    let jobs = pages(session, "cron.list", &json!({ "limit": PAGE, "includeDisabled": true }), "jobs").await?;
    let own = jobs.into_iter().filter(|job| !is_built_in(job)).map(job);
    let mut document = json!({ "version": 1, "jobs": own.collect::<Vec<_>>() });
    if args.runs {
        let mut entries = Vec::new();
        let rows = pages(session, "cron.runs", &json!({ "limit": PAGE }), "runs").await?;
        for row in rows.into_iter().filter(|row| !is_built_in(row)) {
            let run: RunView = read(&row)?;
            if run.is_over() {
                entries.push(entry(&whole(session, run).await?));
            }
        }
        document["runs"] = Value::Array(entries);
    }
    let counted = |name: &str| document[name].as_array().map_or(0, Vec::len);
    let told = format!("{} jobs, {} runs", counted("jobs"), counted("runs"));
    match &args.output {
        None => session.output.json(&document),
        Some(file) => {
            write(file, &document)?;
            session.output.aside(&format!("wrote {told} to {}", file.display()));
        }
    }
    Ok(())
}

fn write(file: &Path, document: &Value) -> Result<(), ExpectedError> {
    let failed = |source| ExpectedError::WriteFile { path: file.to_owned(), source };
    std::fs::write(file, format!("{document:#}\n")).map_err(failed)
}

/// The rows of all pages of a list.
async fn pages(session: &mut Session<'_>, method: &str, request: &Value, rows: &str) -> anyhow::Result<Vec<Value>> {
    let (mut all, mut request) = (Vec::new(), request.clone());
    loop {
        let mut page = session.call(method, &request).await?;
        if let Some(rows) = page[rows].as_array_mut() {
            all.append(rows);
        }
        match page["nextCursor"].take() {
            cursor @ Value::String(_) => request["cursor"] = cursor,
            Value::Null | Value::Bool(_) | Value::Number(_) | Value::Array(_) | Value::Object(_) => return Ok(all),
        }
    }
}

/// Whether it is a job of the product's own, or a run of one: heartbeats and hooks come with the configuration.
fn is_built_in(row: &Value) -> bool {
    row["jobId"].as_str().and_then(|id| JobId::parse(id).ok()).is_some_and(|id| id.is_built_in())
}

/// A job with its id where the store has it.
fn job(job: Value) -> Value {
    let Value::Object(mut fields) = job else { return job };
    let id = fields.shift_remove("jobId").unwrap_or_default();
    let mut job = Map::from_iter([("id".to_owned(), id)]);
    job.append(&mut fields);
    Value::Object(job)
}

/// The run with its whole answer, where the list cut it.
async fn whole(session: &mut Session<'_>, run: RunView) -> anyhow::Result<RunView> {
    let cut = run.summary.as_ref().is_some_and(|summary| summary.chars().count() > SUMMARY_CHARS);
    if !cut {
        return Ok(run);
    }
    read(&session.call("cron.runGet", &json!({ "runId": run.run_id })).await?)
}

/// A finished run as an entry of a run log, without what is not there.
fn entry(run: &RunView) -> Value {
    let word = |value: Value| Some(value).filter(|value| !value.is_null());
    let skipped = run.state == "skipped";
    let error = run.error.as_ref();
    let text = |text: &Option<String>| text.clone().map(Value::from);
    let fields = [
        ("ts", run.ended_at_ms.map(Value::from)),
        ("jobId", Some(json!(run.job_id))),
        ("action", Some(json!("finished"))),
        ("status", word(json!(run.status))),
        // The reason of a skip is all there is to it; its sentence is made of that.
        ("error", error.map(|error| json!(if skipped { &error.code } else { &error.message }))),
        ("errorReason", error.filter(|_| !skipped).map(|error| json!(error.code))),
        ("summary", text(&run.text).or_else(|| text(&run.summary))),
        ("runAtMs", run.started_at_ms.map(Value::from)),
        ("durationMs", run.duration_ms.map(Value::from)),
        ("runId", Some(json!(run.run_id))),
        ("jobName", Some(json!(run.job_name))),
        ("agentId", Some(json!(run.agent_id))),
        ("completionStatus", text(&run.completion_status)),
        ("deliveryStatus", word(json!(run.delivery_status))),
        ("deliverySuppressionReason", text(&run.delivery_suppression_reason)),
        ("deliveryError", text(&run.delivery_error)),
        ("model", text(&run.model)),
        ("provider", text(&run.provider)),
        ("path", text(&run.path).filter(|path| path != "realtime")),
        ("fallbackReason", text(&run.fallback_reason)),
        ("usage", usage(run)),
    ];
    let there = fields.into_iter().filter_map(|(name, value)| Some((name.to_owned(), value?)));
    Value::Object(there.collect())
}

/// What the run's calls used: as the model said it, or added up where there were several.
fn usage(run: &RunView) -> Option<Value> {
    let (first, more) = run.hops.split_first()?;
    if more.is_empty() {
        return Some(first.usage.clone()).filter(|usage| usage.as_object().is_some_and(|usage| !usage.is_empty()));
    }
    let mut sum: Map<String, Value> = Map::new();
    for (name, used) in run.hops.iter().filter_map(|hop| hop.usage.as_object()).flatten() {
        if let Some(tokens) = used.as_u64() {
            let before = sum.get(name).and_then(Value::as_u64).unwrap_or(0);
            sum.insert(name.clone(), json!(before + tokens));
        }
    }
    Some(Value::Object(sum))
}
