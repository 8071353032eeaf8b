//! `system event`, `cron status`.

use std::collections::BTreeMap;

use chrono::{DateTime, Utc};
use nightshift_wire::{StatusAnswer, StopView};
use serde_json::json;

use super::{Session, read, refuse};
use crate::args::EventArgs;
use crate::human;
use crate::table::{one_line, pairs};

pub(super) async fn event(session: &mut Session<'_>, args: &EventArgs) -> anyhow::Result<()> {
    refuse(&args.foreign)?;
    let mut request = json!({"text": args.text, "mode": args.mode.word()});
    if let Some(agent) = &args.agent {
        request["agentId"] = json!(agent);
    }
    let answer = session.call("system.event", &request).await?;
    if !session.json_wanted(&answer) {
        session.output.data("ok");
    }
    Ok(())
}

/// What the names of counters of repairs begin with.
const REPAIRED: &str = "repaired.";

/// What the sweep and the doctor have mended so far, in words: `3: 2 dead lease, 1 missed fire`.
fn repaired(counters: &BTreeMap<String, i64>) -> Option<String> {
    let kinds = counters.iter().filter_map(|(name, count)| Some((name.strip_prefix(REPAIRED)?, *count)));
    let kinds: Vec<(String, i64)> = kinds.map(|(kind, count)| (kind.replace('_', " "), count)).collect();
    let all: i64 = kinds.iter().map(|(_, count)| count).sum();
    let each: Vec<String> = kinds.iter().map(|(kind, count)| format!("{count} {kind}")).collect();
    (!each.is_empty()).then(|| format!("{all}: {}", each.join(", ")))
}

pub(super) async fn status(session: &mut Session<'_>) -> anyhow::Result<()> {
    let answer = session.call("cron.status", &json!({})).await?;
    if session.json_wanted(&answer) {
        return Ok(());
    }
    let status: StatusAnswer = read(&answer)?;
    let timers = if status.enabled { "run jobs" } else { "off: cron.enabled is false, or NIGHTSHIFT_SKIP_CRON is set" };
    let jobs = format!("{}, {} enabled", status.jobs, status.enabled_jobs);
    let mut lines = vec![
        ("timers", Some(timers.to_owned())),
        ("jobs", Some(jobs)),
        ("turns", Some(format!("{} realtime in flight", status.running_turns))),
        ("next", status.next_wake_at_ms.map(|at| human::relative(at, session.now))),
        ("config", Some(format!("revision {}", status.config_revision))),
    ];
    lines.extend(status.stops.iter().map(|stop| ("stopped", Some(stopped(stop, session.now)))));
    lines.push(("repaired", repaired(&status.counters)));
    let others = status.counters.iter().filter(|(name, _)| !name.starts_with(REPAIRED));
    lines.extend(others.map(|(name, count)| (name.as_str(), Some(count.to_string()))));
    session.output.data(&pairs(&lines));
    Ok(())
}

/// Since when nothing is sent to a provider, until when, and why.
fn stopped(stop: &StopView, now: DateTime<Utc>) -> String {
    let at = |ms| human::relative(ms, now);
    let next = if stop.until_ms > now.timestamp_millis() {
        format!("nothing is sent before {}", at(stop.until_ms))
    } else {
        "the next run asks again".to_owned()
    };
    format!("{}, {} since {}: {next} ({})", stop.provider, stop.code, at(stop.since_ms), one_line(&stop.message))
}
