//! What a waiting person sees of a run: one line that changes on a terminal, one line per event elsewhere.

use chrono::{DateTime, Utc};
use nightshift_domain::run::LogLine;
use nightshift_wire::{BatchView, RunView};

use crate::human;
use crate::output::Output;

/// Longest progress line, so that it fits a terminal of 80 columns without a line break.
const LINE: usize = 79;

/// What was shown so far.
#[derive(Debug)]
pub(crate) struct Progress {
    started: DateTime<Utc>,
    events: usize,
    polls: u32,
}

impl Progress {
    /// Nothing yet.
    pub(crate) fn new(started: DateTime<Utc>) -> Self {
        Self { started, events: 0, polls: 0 }
    }

    /// Shows how the run stands now.
    pub(crate) fn show(&mut self, output: &mut Output, run: &RunView, now: DateTime<Utc>) {
        if output.err_takes_progress() {
            output.progress(&line(run, self.started, now));
        } else {
            for news in self.news(run) {
                output.say(&news);
            }
        }
    }

    /// What happened since the last look, in order.
    fn news(&mut self, run: &RunView) -> Vec<String> {
        let fresh = run.events.get(self.events..).unwrap_or_default();
        let mut lines: Vec<String> = fresh.iter().map(event).collect();
        self.events = run.events.len();
        let logged = run.events.iter().any(|event| event.event.starts_with("poll"));
        if let Some(batch) = run.batch.as_ref().filter(|batch| !logged && batch.polls > self.polls) {
            lines.extend(poll(batch));
            self.polls = batch.polls;
        }
        if run.batch.is_none() {
            self.polls = 0;
        }
        lines
    }
}

/// `submitted msgbatch_…`.
fn event(event: &LogLine) -> String {
    match &event.detail {
        Some(detail) => format!("{} {detail}", event.event),
        None => event.event.clone(),
    }
}

/// `poll 3, next at 12:05:00Z`. As many polls were armed as the batch counts; all but the last have been.
fn poll(batch: &BatchView) -> Option<String> {
    let next = DateTime::from_timestamp_millis(batch.next_poll_at_ms?)?.format("%H:%M:%SZ");
    Some(match batch.polls {
        0 | 1 => format!("first poll at {next}"),
        armed => format!("poll {}, next at {next}", armed - 1),
    })
}

/// State, batch, polls and time spent, in one line.
fn line(run: &RunView, started: DateTime<Utc>, now: DateTime<Utc>) -> String {
    let mut parts = vec![run.state.clone()];
    if let Some(batch) = &run.batch {
        parts.extend(batch.batch_id.clone());
        if let Some(next) = batch.next_poll_at_ms {
            let done = batch.polls.saturating_sub(1);
            let plural = if done == 1 { "" } else { "s" };
            parts.push(format!("{done} poll{plural}, next {}", human::relative(next.max(now.timestamp_millis()), now)));
        }
    }
    parts.push(human::took((now - started).num_milliseconds()));
    let text = parts.join(" · ");
    match text.char_indices().nth(LINE) {
        None => text,
        Some((end, _)) => text[..end].to_owned(),
    }
}

#[cfg(test)]
mod tests {
    use serde_json::{Value, json};

    use super::*;

    fn run(events: &Value, batch: &Value) -> RunView {
        let view = json!({
            "runId": "job-1_20261120T070000Z", "jobId": "job-1", "jobName": "Digest", "agentId": "main",
            "origin": "manual", "slot": "2026-11-20T07:00:00Z", "scheduledAtMs": 0, "createdAtMs": 0,
            "startedAtMs": null, "endedAtMs": null, "durationMs": null, "state": "submitted", "status": null,
            "completionStatus": null, "deliveryStatus": null, "path": "batch", "model": null, "provider": null,
            "hops": [], "costUsd": 0.0, "realtimeCostUsd": 0.0, "savedUsd": 0.0, "notes": [],
            "events": events, "batch": batch,
        });
        serde_json::from_value(view).unwrap()
    }

    fn batch(polls: u32, next_poll_at_ms: i64) -> Value {
        json!({"attemptId": "01K", "batchId": "msgbatch_01", "polls": polls, "nextPollAtMs": next_poll_at_ms, "state": "open"})
    }

    #[test]
    fn every_event_and_every_poll_is_told_once() {
        let mut progress = Progress::new(DateTime::UNIX_EPOCH);
        let queued = json!([{"atMs": 1, "event": "queued"}]);
        assert_eq!(progress.news(&run(&queued, &Value::Null)), ["queued"]);
        assert_eq!(progress.news(&run(&queued, &Value::Null)), [""; 0]);
        let submitted =
            json!([{"atMs": 1, "event": "queued"}, {"atMs": 2, "event": "submitted", "detail": "msgbatch_01"}]);
        let news = progress.news(&run(&submitted, &batch(1, 120_000)));
        assert_eq!(news, ["submitted msgbatch_01", "first poll at 00:02:00Z"]);
        assert_eq!(progress.news(&run(&submitted, &batch(4, 300_000))), ["poll 3, next at 00:05:00Z"]);
        assert_eq!(progress.news(&run(&submitted, &batch(4, 300_000))), [""; 0]);
    }

    #[test]
    fn the_progress_line_tells_state_batch_polls_and_time_spent() {
        let now = DateTime::from_timestamp_millis(130_000).unwrap();
        let text = line(&run(&json!([]), &batch(3, 175_000)), DateTime::UNIX_EPOCH, now);
        assert_eq!(text, "submitted · msgbatch_01 · 2 polls, next in 45s · 2m10s");
    }
}
