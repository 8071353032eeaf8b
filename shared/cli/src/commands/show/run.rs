//! One run, in full or in a line.

use std::fmt::Write as _;

use chrono::{DateTime, Utc};
use nightshift_domain::job::RunStatus;
use nightshift_domain::run::{Origin, Via};
use nightshift_wire::{RunView, ToolState, ToolView};

use super::words;
use crate::human;
use crate::table::{Surface, cut as cut_to, one_line, pairs_within};

/// One run with all that happened to it, and its answer.
pub(in crate::commands) fn run(run: &RunView, now: DateTime<Utc>, surface: Surface) -> String {
    let why_not = run.delivery_error.as_ref().or(run.delivery_suppression_reason.as_ref());
    let delivered = run.delivery_status.map(|_| match why_not {
        Some(why) => format!("{}: {why}", words::delivery(run).0),
        None => words::delivery(run).0,
    });
    let current = run.batch.as_ref().and_then(|batch| batch.batch_id.as_deref());
    let mut batches: Vec<&str> = run.hops.iter().filter_map(|hop| hop.batch_id.as_deref()).chain(current).collect();
    batches.dedup();
    let error = if run.status == Some(RunStatus::Skipped) { "reason" } else { "error" };
    let paid = !run.hops.is_empty();
    let mut text = pairs_within(
        &[
            ("run", Some(run.run_id.clone())),
            ("job", Some(format!("{} ({})", run.job_name, run.job_id))),
            ("agent", Some(run.agent_id.clone())),
            ("session", run.session.clone()),
            ("status", Some(status(run))),
            (error, run.error.as_ref().map(words::failure)),
            ("waiting", words::waiting(run, now)),
            ("origin", Some(origin(run))),
            ("started", run.started_at_ms.map(|at| human::relative_and_exact(at, now))),
            ("took", run.duration_ms.map(human::took)),
            ("wanted by", run.deliver_by_ms.map(|by| wanted_by(run, by, now))),
            ("data of", run.data_as_of_ms.map(|at| human::relative_and_exact(at, now))),
            ("model", run.model.clone()),
            ("path", run.path.clone()),
            ("fallback", run.fallback_reason.clone()),
            ("why so", run.path_reason.clone()),
            ("batch", (!batches.is_empty()).then(|| batches.join(", "))),
            ("hops", paid.then(|| run.hops.len().to_string())),
            ("delivery", delivered),
            ("cost", paid.then(|| cost(run))),
            ("unused", (run.unused_usd > 0.0).then(|| unused(run))),
            ("unanswered", words::unanswered(run)),
            ("notes", (!run.notes.is_empty()).then(|| run.notes.join("; "))),
        ],
        usize::from(surface.width),
    );
    if !run.events.is_empty() {
        text.push_str("\n\nevents");
        for event in &run.events {
            let at = DateTime::from_timestamp_millis(event.at_ms);
            let at = at.map(|at| at.format("%Y-%m-%d %H:%M:%SZ").to_string()).unwrap_or_default();
            let detail = event.detail.as_deref().map(|detail| format!(" {}", one_line(detail))).unwrap_or_default();
            // Writing to a String cannot fail.
            let _ = write!(text, "\n  {at}  {}{detail}", event.event);
        }
    }
    if !run.tools.is_empty() {
        text.push_str("\n\ntools");
        for call in &run.tools {
            tool(&mut text, call, usize::from(surface.width));
        }
    }
    if let Some(answer) = run.text.as_ref().or(run.summary.as_ref()).filter(|answer| !answer.is_empty()) {
        text.push_str("\n\n");
        text.push_str(answer);
    }
    text
}

/// Two lines for a call: what was asked, and what came of it.
fn tool(text: &mut String, tool: &ToolView, width: usize) {
    let state = match tool.state {
        ToolState::Ok => "ok",
        ToolState::Asked => "not begun",
        ToolState::Started => "at work",
        ToolState::Error => "error",
    };
    let over = if tool.via == Via::Endpoint { ", over the endpoint" } else { "" };
    let cut = tool.cut_from_bytes.map(|bytes| format!(", cut from {bytes} bytes")).unwrap_or_default();
    let asked = tool.input.as_deref().unwrap_or_default();
    let asked = format!("  hop {}  {} {}", tool.hop, tool.name, one_line(asked));
    let told = tool.result.as_deref().map(|result| format!(": {}", one_line(result))).unwrap_or_default();
    let told = format!("         {state}{over}{cut}{told}");
    // Writing to a String cannot fail.
    let _ = write!(text, "\n{}\n{}", cut_to(asked.trim_end(), width), cut_to(&told, width));
}

/// `ok (deliveryFailed)`: how it ended, and the state behind it where that says more.
fn status(run: &RunView) -> String {
    let word = words::run(run).0;
    if word == run.state || matches!(run.state.as_str(), "succeeded" | "failed") {
        word
    } else {
        format!("{word} ({})", run.state)
    }
}

/// What it stands for: an occurrence of its schedule, or somebody's wish.
fn origin(run: &RunView) -> String {
    let slot = human::minute(run.slot);
    match run.origin {
        Origin::Schedule => format!("schedule, for {slot}"),
        Origin::Manual => format!("manual, {slot}"),
        Origin::Import => format!("imported, {slot}"),
    }
}

/// `in 40m (2026-11-21 06:00Z)`, and once it is over whether it was in time.
fn wanted_by(run: &RunView, by_ms: i64, now: DateTime<Utc>) -> String {
    let by = human::relative_and_exact(by_ms, now);
    match (run.ended_at_ms, run.status) {
        (Some(ended), Some(RunStatus::Ok)) if ended <= by_ms => format!("{by}, and was there in time"),
        (Some(ended), Some(RunStatus::Ok)) => format!("{by}, and was there {} late", human::took(ended - by_ms)),
        _ => by,
    }
}

/// How a run ended, in a line: status, path, time, delivery, money.
pub(in crate::commands) fn summary(run: &RunView) -> String {
    let mut parts = vec![words::run(run).0];
    parts.extend(run.path.clone());
    if let Some(reason) = &run.fallback_reason {
        parts.push(format!("not batched: {reason}"));
    }
    parts.extend(run.duration_ms.map(human::took));
    parts.extend(run.delivery_status.map(|_| format!("delivery {}", words::delivery(run).0)));
    if !run.hops.is_empty() {
        parts.push(cost(run));
    }
    parts.extend(words::unanswered(run));
    parts.join(" · ")
}

/// `$0.0021 of it, for an answer that came too late to be used`.
fn unused(run: &RunView) -> String {
    let paid = human::dollars(run.unused_usd);
    match run.hops.iter().filter(|hop| hop.unused).count() {
        1 => format!("{paid} of it, for an answer that came too late to be used"),
        many => format!("{paid} of it, for {many} answers that came too late to be used"),
    }
}

/// `$0.0021, saved $0.0021 (50%)`.
fn cost(run: &RunView) -> String {
    let paid = human::dollars(run.cost_usd);
    if run.saved_usd.abs() < 1e-9 || run.realtime_cost_usd <= 0.0 {
        return paid;
    }
    let share = run.saved_usd / run.realtime_cost_usd * 100.0;
    format!("{paid}, saved {} ({share:.0}%)", human::dollars(run.saved_usd))
}
