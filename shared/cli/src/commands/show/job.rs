//! One job with everything that was said about it.

use chrono::{DateTime, Utc};
use nightshift_domain::config::Budget;
use nightshift_domain::job::{
    AgentTurn, AlertRule, DeliveryMode, DeliveryStatus, Destination, FailureAlert, Job, Missed, Overlap, Payload,
    SessionTarget, Thinking, WakeMode,
};
use nightshift_domain::schedule::Schedule;

use super::words;
use crate::human;
use crate::table::{Surface, cut, one_line, pairs_within};

/// How much of a message is shown.
const MESSAGE_WIDTH: usize = 160;

/// One job, a line per thing that was said about it; what follows a default is left out.
pub(in crate::commands) fn job(job: &Job, now: DateTime<Utc>, surface: Surface) -> String {
    let (turn, text, model, thinking) = match &job.payload {
        Payload::AgentTurn(turn) => (Some(turn), ("message", &turn.message), &turn.model, turn.thinking),
        Payload::SystemEvent { text, model, thinking } => (None, ("event", text), model, *thinking),
    };
    let shown = Some(cut(&one_line(text.1), MESSAGE_WIDTH));
    let mut lines = vec![
        ("id", Some(job.job_id.to_string())),
        ("name", Some(job.name.clone())),
        ("description", job.description.clone()),
        ("status", Some(status(job))),
        ("agent", job.agent_id.clone()),
        ("session", Some(session(job))),
        ("schedule", Some(human::schedule_in_full(&job.schedule))),
        ("next", job.state.next_run_at_ms.map(|at| human::relative_and_exact(at, now))),
        ("last", job.state.last_run_at_ms.map(|at| last(job, at, now))),
        (text.0, shown),
        ("model", model.clone()),
        ("thinking", thinking.map(|level| thinking_word(level).to_owned())),
    ];
    lines.extend(turn.map(settings).into_iter().flatten());
    lines.extend([
        ("batch", human::batch(job)),
        ("delivery", job.delivery.as_ref().map(human::delivery)),
        ("on failure", job.delivery.as_ref().and_then(|it| it.failure_destination.as_ref()).map(destination)),
        ("alert", job.failure_alert.as_ref().map(alert)),
        ("alerted", job.state.last_failure_alert_at_ms.map(|at| alerted(job, at, now))),
        ("rules", rules(job)),
        ("budget", job.budget.as_deref().map(budget)),
        ("key", job.declaration_key.clone()),
    ]);
    pairs_within(&lines, usize::from(surface.width))
}

/// How it stands, and why where it was switched off.
fn status(job: &Job) -> String {
    let word = words::job(job).0;
    match &job.state.auto_disabled {
        Some(auto) if !job.enabled => format!("{word}: {}", auto.reason),
        Some(_) | None => word,
    }
}

/// `$0.50 a run, $2.00 a day`.
fn budget(budget: &Budget) -> String {
    let spans = [(budget.run_usd, "run"), (budget.day_usd, "day"), (budget.month_usd, "month")];
    let parts = spans.iter().filter_map(|(usd, span)| usd.map(|usd| format!("{} a {span}", human::dollars(usd))));
    parts.collect::<Vec<_>>().join(", ")
}

fn session(job: &Job) -> String {
    let target = String::from(job.session_target.clone());
    match (&job.session_target, job.wake_mode) {
        (SessionTarget::Main, WakeMode::Now) => format!("{target}, wakes it at once"),
        (SessionTarget::Main, WakeMode::NextHeartbeat) => format!("{target}, at its next heartbeat"),
        (SessionTarget::Isolated | SessionTarget::Named(_), _) => target,
    }
}

/// `2h ago (…): error (3x), took 12s: the model refused`.
fn last(job: &Job, at_ms: i64, now: DateTime<Utc>) -> String {
    let mut text = format!("{}: {}", human::relative_and_exact(at_ms, now), words::last(job).0);
    if let Some(took) = job.state.last_duration_ms {
        text = format!("{text}, took {}", human::took(took));
    }
    match &job.state.last_error {
        Some(error) => format!("{text}: {error}"),
        None => text,
    }
}

fn thinking_word(level: Thinking) -> &'static str {
    Thinking::WORDS.iter().find(|(_, known)| *known == level).map_or("-", |(word, _)| word)
}

/// What only an agent turn has.
fn settings(turn: &AgentTurn) -> [(&'static str, Option<String>); 4] {
    let tools = |names: &Vec<String>| if names.is_empty() { "none".to_owned() } else { names.join(", ") };
    [
        ("fallbacks", turn.fallbacks.as_ref().filter(|models| !models.is_empty()).map(|models| models.join(", "))),
        ("timeout", turn.timeout_seconds.map(|seconds| human::duration(seconds.saturating_mul(1_000)))),
        ("context", turn.light_context.then(|| "light: without the agent's instructions and documents".to_owned())),
        ("tools", turn.tools_allow.as_ref().map(tools)),
    ]
}

fn destination(destination: &Destination) -> String {
    human::place(destination.mode, destination.channel.as_deref(), destination.to.as_deref(), None)
}

/// `2h ago (…): delivered`, or why it was not.
fn alerted(job: &Job, at_ms: i64, now: DateTime<Utc>) -> String {
    let state = &job.state;
    let at = human::relative_and_exact(at_ms, now);
    let word = match state.last_failure_notification_delivery_status {
        None => "on its way",
        Some(DeliveryStatus::Delivered) => "delivered",
        Some(DeliveryStatus::Failed) => "not delivered",
        Some(DeliveryStatus::Unknown) => "may not have arrived",
        Some(DeliveryStatus::Suppressed | DeliveryStatus::NotRequested) => "not sent",
    };
    match &state.last_failure_notification_delivery_error {
        Some(why) => format!("{at}: {word}: {why}"),
        None => format!("{at}: {word}"),
    }
}

/// When an alert is raised, and where it goes.
fn alert(alert: &FailureAlert) -> String {
    match alert {
        FailureAlert::Switch(false) => "never".to_owned(),
        FailureAlert::Switch(true) => "as configured".to_owned(),
        FailureAlert::Rule(rule) => alert_rule(rule),
    }
}

fn alert_rule(rule: &AlertRule) -> String {
    let mut parts = Vec::new();
    parts.extend(rule.after.map(|after| match after {
        1 => "after 1 failure".to_owned(),
        more => format!("after {more} failures in a row"),
    }));
    parts.extend(rule.cooldown_ms.map(|cooldown| format!("at most every {}", human::duration(cooldown))));
    if rule.include_skipped == Some(true) {
        parts.push("skipped runs count".to_owned());
    }
    if rule.channel.is_some() || rule.to.is_some() || rule.mode.is_some() {
        let mode = rule.mode.unwrap_or(DeliveryMode::Announce);
        parts.push(format!("to {}", human::place(mode, rule.channel.as_deref(), rule.to.as_deref(), None)));
    }
    parts.extend(rule.account_id.as_ref().map(|account| format!("account {account}")));
    if parts.is_empty() { "as configured".to_owned() } else { parts.join(", ") }
}

/// What was said about missed, late and overlapping runs, and about the job's end.
fn rules(job: &Job) -> Option<String> {
    let mut parts = Vec::new();
    match job.missed {
        Missed::Once => {}
        Missed::Skip => parts.push("missed runs are skipped".to_owned()),
        Missed::All => parts.push("all missed runs are made up for".to_owned()),
    }
    match job.overlap {
        Overlap::Skip => {}
        Overlap::Allow => parts.push("runs may overlap".to_owned()),
        Overlap::Queue => parts.push("one run waits for the other".to_owned()),
    }
    parts.extend(job.max_lateness_ms.map(|late| format!("at most {} late", human::duration(late))));
    match (&job.schedule, job.delete_after_run) {
        (Schedule::At { .. }, true) => parts.push("removed after its success".to_owned()),
        (Schedule::At { .. }, false) => parts.push("kept after its success".to_owned()),
        (Schedule::Every { .. } | Schedule::Cron { .. }, true) => {
            parts.push("removed after its first success".to_owned());
        }
        (Schedule::Every { .. } | Schedule::Cron { .. }, false) => {}
    }
    (!parts.is_empty()).then(|| parts.join(", "))
}
