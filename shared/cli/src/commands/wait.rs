//! Waiting for the end of a run.
//!
//! The run goes on whatever happens here; a wait that is cut off, by Ctrl-C too, leaves nothing behind and says how to look
//! again. An API that is away for a moment does not end the wait.

use std::time::Duration;

use nightshift_domain::job::DeliveryStatus;
use nightshift_wire::RunView;
use serde_json::{Value, json};

use super::{Session, read, show};
use crate::clock;
use crate::error::ExpectedError;
use crate::human;
use crate::progress::Progress;

/// The API is not asked more often than this.
const LEAST_INTERVAL: Duration = Duration::from_millis(100);

/// Waits at most `limit`, asking every `interval`; shows progress, then the answer and a summary.
pub(super) async fn wait(
    session: &mut Session<'_>,
    run_id: &str,
    limit: Duration,
    interval: Duration,
) -> anyhow::Result<()> {
    session.output.aside(&format!("run {run_id}"));
    let answer = tokio::select! {
        answer = until_over(session, run_id, limit, interval.max(LEAST_INTERVAL)) => answer?,
        // Where it cannot be listened to, Ctrl-C ends the process as it always does.
        Ok(()) = tokio::signal::ctrl_c() => {
            return Err(ExpectedError::Interrupted { run_id: run_id.to_owned() }.into());
        }
    };
    session.output.finish_line();
    let run: RunView = read(&answer)?;
    let text = run.text.as_deref().or(run.summary.as_deref()).filter(|text| !text.is_empty());
    if !session.json_wanted(&answer)
        && let Some(text) = text
    {
        session.output.data(text);
    }
    session.output.say(&show::summary(&run));
    for note in &run.notes {
        session.output.note(note);
    }
    if run.delivery_status == Some(DeliveryStatus::Unknown) {
        session.output.note("whether the answer arrived is not known; it is not sent again by itself");
    }
    match failure(&run) {
        Some(message) => Err(ExpectedError::RunFailed { message }.into()),
        None => Ok(()),
    }
}

async fn until_over(
    session: &mut Session<'_>,
    run_id: &str,
    limit: Duration,
    interval: Duration,
) -> anyhow::Result<Value> {
    let started = clock::now();
    let mut progress = Progress::new(started);
    let mut away = false;
    loop {
        match session.call("cron.runGet", &json!({"runId": run_id})).await {
            Ok(answer) => {
                let run: RunView = read(&answer)?;
                progress.show(session.output, &run, clock::now());
                if run.is_over() {
                    return Ok(answer);
                }
                away = false;
            }
            Err(error) if error.downcast_ref::<ExpectedError>().is_some_and(ExpectedError::is_passing) => {
                if !away {
                    session.output.note(&format!("{error:#}; still trying"));
                }
                away = true;
            }
            Err(error) => return Err(error),
        }
        let elapsed = (clock::now() - started).to_std().unwrap_or_default();
        if elapsed >= limit {
            let waited = human::duration(u64::try_from(limit.as_millis()).unwrap_or(u64::MAX));
            return Err(ExpectedError::WaitTimedOut { run_id: run_id.to_owned(), waited }.into());
        }
        clock::wait(interval.min(limit.saturating_sub(elapsed))).await;
    }
}

/// Why the run cannot be called a success; `None` when it can.
fn failure(run: &RunView) -> Option<String> {
    if let Some(error) = &run.error {
        return Some(format!("{}: {}", error.code, error.message));
    }
    (run.completion_status.as_deref() == Some("failed")).then(|| match &run.delivery_error {
        Some(why) => format!("the answer was not delivered: {why}"),
        None => "the answer was not delivered".to_owned(),
    })
}
