//! Runs: `run`, `runs`, `cancel`.

use std::time::Duration;

use nightshift_wire::{CancelAnswer, RunAnswer, RunView};
use serde_json::{Value, json};

use super::{Session, read, refuse, show, wait};
use crate::args::{CancelArgs, RunArgs, RunsArgs};
use crate::error::ExpectedError;
use crate::table::Surface;

pub(super) async fn run(session: &mut Session<'_>, args: &RunArgs) -> anyhow::Result<()> {
    let mode = if args.due { "due" } else { "force" };
    let answer = session.call("cron.run", &json!({"jobId": args.id, "mode": mode})).await?;
    let RunAnswer { enqueued, run_id, reason, .. } = read(&answer)?;
    let started = run_id.filter(|_| enqueued);
    if let (Some(run_id), true) = (&started, args.wait) {
        let limit = Duration::from_millis(args.wait_timeout);
        return wait::wait(session, run_id, limit, Duration::from_millis(args.poll_interval)).await;
    }
    let shown = session.json_wanted(&answer);
    let Some(run_id) = started else {
        let reason = reason.unwrap_or_else(|| "the API did not say why".to_owned()).replace('-', " ");
        return Err(ExpectedError::NotStarted { reason }.into());
    };
    if !shown {
        session.output.data(&run_id);
        session.output.hint(&format!("`nightshift cron runs --run-id {run_id}` shows how it goes"));
    }
    Ok(())
}

pub(super) async fn list(session: &mut Session<'_>, args: &RunsArgs) -> anyhow::Result<()> {
    refuse(&args.foreign)?;
    if let Some(run_id) = &args.run_id {
        return one(session, &full_id(args.job_id(), run_id)).await;
    }
    let mut request = json!({});
    let fields = [
        ("jobId", args.job_id().map(Value::from)),
        ("status", args.status.map(|status| status.word().into())),
        ("deliveryStatus", args.delivery_status.map(|status| status.word().into())),
        ("path", args.path.map(|path| path.word().into())),
        ("limit", args.limit.map(Value::from)),
        ("cursor", args.cursor.as_deref().map(Value::from)),
    ];
    for (name, value) in fields {
        if let Some(value) = value {
            request[name] = value;
        }
    }
    let answer = session.call("cron.runs", &request).await?;
    if session.json_wanted(&answer) {
        return Ok(());
    }
    let runs: Vec<RunView> = read(&answer["runs"])?;
    if runs.is_empty() {
        session.output.say("no runs");
    } else {
        let surface = Surface::of(session.output);
        let table = show::runs(&runs, args.job_id().is_some(), session.now, surface);
        session.output.data(&table);
    }
    if let Some(cursor) = answer["nextCursor"].as_str() {
        session.output.hint(&format!("more with --cursor {cursor}"));
    }
    Ok(())
}

async fn one(session: &mut Session<'_>, run_id: &str) -> anyhow::Result<()> {
    let answer = session.call("cron.runGet", &json!({"runId": run_id})).await?;
    if !session.json_wanted(&answer) {
        let run: RunView = read(&answer)?;
        session.output.data(&show::run(&run, session.now));
    }
    Ok(())
}

/// A run id is its job's id, an underscore and the rest, which alone is what a job's table shows.
fn full_id(job: Option<&str>, run_id: &str) -> String {
    match job {
        Some(job) if !run_id.contains('_') => format!("{job}_{run_id}"),
        Some(_) | None => run_id.to_owned(),
    }
}

pub(super) async fn cancel(session: &mut Session<'_>, args: &CancelArgs) -> anyhow::Result<()> {
    let answer = session.call("cron.cancel", &json!({"runId": args.run_id})).await?;
    if session.json_wanted(&answer) {
        return Ok(());
    }
    let CancelAnswer { canceled, run_id, state, .. } = read(&answer)?;
    session.output.data(&format!("{run_id} is {state}"));
    if !canceled {
        session.output.note("it was over already");
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_part_after_the_underscore_is_a_run_id_where_the_job_is_known() {
        assert_eq!(full_id(Some("job-1"), "20261120T070000Z"), "job-1_20261120T070000Z");
        assert_eq!(full_id(Some("job-1"), "job-1_20261120T070000Z"), "job-1_20261120T070000Z");
        assert_eq!(full_id(None, "job-1_20261120T070000Z"), "job-1_20261120T070000Z");
    }
}
