//! Runs: `run`, `runs`, `cancel`.

use std::time::Duration;

use nightshift_wire::{CancelAnswer, RunAnswer, RunView};
use serde_json::json;

use super::{Session, history, read, show, wait};
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
    match &args.run_id {
        Some(run_id) => one(session, &full_id(args.job_id(), run_id)?).await,
        None => history::list(session, args).await,
    }
}

async fn one(session: &mut Session<'_>, run_id: &str) -> anyhow::Result<()> {
    let answer = session.call("cron.runGet", &json!({"runId": run_id})).await?;
    if !session.json_wanted(&answer) {
        let run: RunView = read(&answer)?;
        session.output.data(&show::run(&run, session.now, Surface::of(session.output)));
    }
    Ok(())
}

/// A run id is its job's id, an underscore and the rest, which alone is what a job's table shows.
fn full_id(job: Option<&str>, run_id: &str) -> Result<String, ExpectedError> {
    match job {
        _ if run_id.contains('_') => Ok(run_id.to_owned()),
        Some(job) => Ok(format!("{job}_{run_id}")),
        None => Err(ExpectedError::usage_hint(
            format!("\"{run_id}\" is only the end of a run's id"),
            format!(
                "write all of it, <jobId>_{run_id}; `nightshift cron runs <jobId> --run-id {run_id}` shows the run too"
            ),
        )),
    }
}

pub(super) async fn cancel(session: &mut Session<'_>, args: &CancelArgs) -> anyhow::Result<()> {
    let run_id = full_id(None, &args.run_id)?;
    let answer = session.call("cron.cancel", &json!({"runId": run_id})).await?;
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
        let whole = "job-1_20261120T070000Z";
        for (job, text) in [(Some("job-1"), "20261120T070000Z"), (Some("job-1"), whole), (None, whole)] {
            assert_eq!(full_id(job, text).unwrap(), whole);
        }
        let error = full_id(None, "m01KAHJ5Z3M7Q2W4E6R8T0YABCD").unwrap_err();
        assert_eq!(error.to_string(), "\"m01KAHJ5Z3M7Q2W4E6R8T0YABCD\" is only the end of a run's id");
        assert!(error.hint().unwrap().contains("<jobId>_m01KAHJ5Z3M7Q2W4E6R8T0YABCD"));
    }
}
