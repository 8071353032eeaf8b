//! The words for how jobs and runs stand.

use chrono::{DateTime, Utc};
use nightshift_domain::job::{DeliveryStatus, Job, RunStatus};
use nightshift_wire::{FailureView, RunView};

use super::plain;
use crate::human;
use crate::table::Tone;

/// How a job stands, in `OpenClaw`'s words: `running`, `disabled`, `error (3x)`, `ok (not delivered)`, `idle`.
pub(super) fn job(job: &Job) -> (String, Tone) {
    if job.state.running_at_ms.is_some() {
        ("running".to_owned(), Tone::Busy)
    } else if job.state.auto_disabled.is_some() && !job.enabled {
        ("auto-disabled".to_owned(), Tone::Bad)
    } else if !job.enabled {
        ("disabled".to_owned(), Tone::Busy)
    } else {
        last(job)
    }
}

/// How a job's last run went.
pub(super) fn last(job: &Job) -> (String, Tone) {
    let state = &job.state;
    let times = |word: &str, count: u32| if count > 1 { format!("{word} ({count}x)") } else { word.to_owned() };
    match (state.last_status, state.last_delivery_status) {
        (None, _) => plain("idle"),
        (Some(RunStatus::Skipped), _) => (times("skipped", state.consecutive_skipped), Tone::Busy),
        (Some(RunStatus::Error), _) => (times("error", state.consecutive_errors), Tone::Bad),
        (Some(RunStatus::Ok), Some(DeliveryStatus::Failed)) => ("ok (not delivered)".to_owned(), Tone::Bad),
        (Some(RunStatus::Ok), Some(DeliveryStatus::Unknown)) => ("ok (delivery unknown)".to_owned(), Tone::Busy),
        (Some(RunStatus::Ok), Some(DeliveryStatus::Suppressed)) => ("ok (suppressed)".to_owned(), Tone::Good),
        (Some(RunStatus::Ok), Some(DeliveryStatus::Delivered | DeliveryStatus::NotRequested) | None) => {
            ("ok".to_owned(), Tone::Good)
        }
    }
}

/// How a run stands, in a word.
pub(super) fn run(run: &RunView) -> (String, Tone) {
    match run.status {
        Some(RunStatus::Ok) => ("ok".to_owned(), Tone::Good),
        Some(RunStatus::Error) => ("error".to_owned(), Tone::Bad),
        Some(RunStatus::Skipped) => ("skipped".to_owned(), Tone::Busy),
        None => (run.state.clone(), Tone::Busy),
    }
}

/// What became of a run's delivery, in a word.
pub(super) fn delivery(run: &RunView) -> (String, Tone) {
    match run.delivery_status {
        Some(DeliveryStatus::Delivered) => ("delivered".to_owned(), Tone::Good),
        Some(DeliveryStatus::Failed) => ("failed".to_owned(), Tone::Bad),
        Some(DeliveryStatus::Unknown) => ("unknown".to_owned(), Tone::Busy),
        Some(DeliveryStatus::Suppressed) => plain("suppressed"),
        Some(DeliveryStatus::NotRequested) => plain("none"),
        None => plain("-"),
    }
}

/// Why a run did not end well, or what it waits for; `None` where there is nothing to explain.
pub(super) fn reason(run: &RunView, now: DateTime<Utc>) -> Option<(String, Tone)> {
    let tone = self::run(run).1;
    if let Some(error) = &run.error {
        let paid = unanswered(run).map(|what| format!("; {what}")).unwrap_or_default();
        return Some((failure(error) + &paid, tone));
    }
    if let Some(why) = &run.delivery_error {
        return Some((format!("delivery: {why}"), delivery(run).1));
    }
    let waits = waiting(run, now).map(|what| (format!("waits {what}"), tone));
    waits.or_else(|| unanswered(run).map(|what| (what, Tone::Busy)))
}

/// That a run may have been charged for more than is booked.
pub(super) fn unanswered(run: &RunView) -> Option<String> {
    match run.unanswered {
        0 => None,
        1 => Some("a model call whose answer never came may have been paid".to_owned()),
        many => Some(format!("{many} model calls whose answers never came may have been paid")),
    }
}

/// What a run waits for: `for session standup, which another run uses`, `for batch msgbatch_…, looks again in 4m`.
pub(super) fn waiting(run: &RunView, now: DateTime<Utc>) -> Option<String> {
    match run.waits_for.as_deref() {
        Some("session") => {
            return Some(format!("for session {}, which another run uses", run.session.as_deref().unwrap_or("?")));
        }
        Some("overlap") => return Some("for the job's earlier run".to_owned()),
        Some("window") => {
            let end = run.window_ends_at_ms.map(|end| human::relative(end.max(now.timestamp_millis()), now));
            return Some(format!("for its window, which ends {}", end.unwrap_or_else(|| "soon".to_owned())));
        }
        Some("place") => return Some("for a place among the realtime turns".to_owned()),
        Some(_) | None => {}
    }
    let batch = run.batch.as_ref().filter(|_| run.status.is_none())?;
    let what = match &batch.batch_id {
        Some(id) => format!("for batch {id}"),
        None => "for its batch".to_owned(),
    };
    Some(match batch.next_poll_at_ms {
        Some(next) => format!("{what}, looks again {}", human::relative(next.max(now.timestamp_millis()), now)),
        None => what,
    })
}

/// `code: message`; a skip's message only repeats its code.
pub(super) fn failure(FailureView { code, message }: &FailureView) -> String {
    match skip(code).filter(|_| message.starts_with("the run was skipped")) {
        Some(words) => format!("{code}: {words}"),
        None if message.starts_with("the run was skipped") => code.clone(),
        None => format!("{code}: {message}"),
    }
}

/// What the reasons of skips mean.
fn skip(code: &str) -> Option<&'static str> {
    Some(match code {
        "overlap" => "an earlier run had not ended",
        "too_late" => "it would have started later than allowed",
        "cron_disabled" => "timers are switched off",
        "job_removed" => "the job was removed before it began",
        "budget" => "the budget was spent",
        _ => return None,
    })
}

#[cfg(test)]
mod tests {
    use chrono::DateTime;
    use serde_json::{Value, json};

    use super::*;
    use crate::table::Surface;

    fn view(unanswered: u32, unused: f64, error: &Value) -> RunView {
        let hop = json!({"n": 1, "path": "batch", "model": "m", "messageId": "msg", "stopReason": "end_turn", "usage": {},
            "costUsd": 0.5, "realtimeCostUsd": 0.5, "atMs": 0, "unused": unused > 0.0});
        let view = json!({
            "runId": "job-1_20261120T070000Z", "jobId": "job-1", "jobName": "Digest", "agentId": "main",
            "origin": "manual", "slot": "2026-11-20T07:00:00Z", "scheduledAtMs": 0, "createdAtMs": 0,
            "startedAtMs": null, "endedAtMs": null, "durationMs": null, "state": "canceled", "status": "error",
            "completionStatus": null, "deliveryStatus": null, "path": "batch", "model": null, "provider": null,
            "hops": [hop], "costUsd": 0.5, "realtimeCostUsd": 0.5, "savedUsd": 0.0, "notes": [], "events": [],
            "unusedUsd": unused, "unanswered": unanswered, "error": error,
        });
        serde_json::from_value(view).unwrap()
    }

    #[test]
    fn what_was_paid_for_nothing_and_what_may_have_been_is_told() {
        let (now, surface) = (DateTime::UNIX_EPOCH, Surface { width: 120, colour: false });
        let canceled = json!({"code": "canceled", "message": "the run was stopped on request"});
        let shown = super::super::run::run(&view(1, 0.5, &canceled), now, surface);
        assert!(shown.contains("$0.5000 of it, for an answer that came too late to be used"), "{shown}");
        assert!(shown.contains("a model call whose answer never came may have been paid"), "{shown}");
        let said = |view: &RunView| reason(view, now).map(|(text, _)| text);
        let one = said(&view(2, 0.0, &canceled)).unwrap();
        assert!(one.ends_with("; 2 model calls whose answers never came may have been paid"), "{one}");
        assert_eq!(said(&view(1, 0.0, &Value::Null)), unanswered(&view(1, 0.0, &Value::Null)));
        assert_eq!(said(&view(0, 0.0, &Value::Null)), None);
    }
}
