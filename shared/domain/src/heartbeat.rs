//! An agent's main session looks around by itself: when, at what, and what it is told.
//!
//! A heartbeat is a run of a built-in job, `hb-<agent>`, whose definition follows the agent's configuration: it is claimed,
//! planned, delivered, alerted about and repaired as any other job's run. What is its own is here: the hours it keeps, when
//! there is nothing for it to do, which of the queued events it takes up, and the words it begins with.
//!
//! Guarantee: pure. An event is in one heartbeat's hands at a time, because the main session is ([`crate::session`]), and it
//! leaves the queue with the write that stores the turn which saw it.

use chrono::{DateTime, NaiveTime, TimeDelta, Timelike, Utc};
use chrono_tz::Tz;
use serde::{Deserialize, Serialize};

use crate::RunKey;
use crate::config::{ActiveHours, Agent, Config, HeartbeatRules};
use crate::job::{
    AgentTurn, BatchPolicy, Delivery, DeliveryMode, Job, JobState, Missed, Overlap, Payload, SessionTarget, Thinking,
    WakeMode, zone_of,
};
use crate::run::{Event, Run, State};
use crate::schedule::minutes_of_day;
use crate::schedule::{Schedule, parse_duration};

/// The session of an agent that its heartbeats go on with.
pub const MAIN: &str = "main";
/// The file of an agent's memory that every heartbeat reads: its notes.
pub const NOTES: &str = "/memories/heartbeat.md";

/// Most events of a turn: they leave the queue with the turn's last write, which has 100 rows at most (DynamoDB).
pub const MOST_EVENTS: usize = 40;
/// Most bytes of events in a turn, but for a single one that is longer.
const MOST_BYTES: usize = 64 * 1024;
/// After so many turns that were paid and failed, an event is given up: it may be what they failed for.
pub const MOST_TRIES: u32 = 3;
/// How long the id of an event that is over stays known, so that a repeat of the request that queued it queues nothing:
/// requests are repeated under their key for a day (PRODUCT §8).
pub const REMEMBERED: TimeDelta = TimeDelta::hours(25);
/// The cadence of a job that is switched off, for which there is none.
const ANY_CADENCE_MS: u64 = 30 * 60_000;

/// What it is asked where the configuration has no words of its own.
const PROMPT: &str = "This is a heartbeat: nobody is writing to you, you look around by yourself. Go through your notes and \
the events below. Do what is due, and tell your reader what concerns them, in a message that stands for itself: they see \
neither the notes nor the events. An event that is a reminder for them is to be passed on. If nothing needs their attention \
now, answer HEARTBEAT_OK and nothing else.";

/// A text queued for an agent's main session.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct SystemEvent {
    /// The agent.
    pub agent: String,
    /// Sorts and identifies: derived from what caused it, so that a repeat is the same event.
    pub id: String,
    /// The text; none once it is over.
    pub text: String,
    /// When it was queued.
    pub at: DateTime<Utc>,
    /// When it is stale.
    pub expires_at: DateTime<Utc>,
    /// Whether it only rides along: no turn is begun, and paid, for its sake. Summaries of what other runs said are so.
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    pub quiet: bool,
    /// The run that stays open until the turn that takes it up is done.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub run: Option<RunKey>,
    /// The model that turn is to have.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub model: Option<String>,
    /// How hard it is to think.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub thinking: Option<Thinking>,
    /// Turns that saw it, were paid, and failed.
    #[serde(default, skip_serializing_if = "is_zero")]
    pub tries: u32,
    /// What became of it; it is queued where nothing did.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub fate: Option<Fate>,
}

#[expect(clippy::trivially_copy_pass_by_ref, reason = "serde passes a reference")]
fn is_zero(number: &u32) -> bool {
    *number == 0
}

/// How an event left the queue.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct Fate {
    /// The run that took it: a heartbeat, or its own, which was stopped.
    pub by: RunKey,
    /// Whether a turn answered it.
    pub answered: bool,
}

impl SystemEvent {
    /// A text for the main session of `agent`, which asks for a turn.
    pub fn new(agent: String, id: String, text: String, at: DateTime<Utc>, expires_at: DateTime<Utc>) -> Self {
        Self {
            agent,
            id,
            text,
            at,
            expires_at,
            quiet: false,
            run: None,
            model: None,
            thinking: None,
            tries: 0,
            fate: None,
        }
    }

    /// It as it stands when the turn that saw it ended. It is no longer than its id then: it stays so that a repeat of what
    /// queued it finds it, and that its run finds what became of it.
    #[must_use]
    pub fn over(&self, by: &RunKey, answered: bool, now: DateTime<Utc>) -> Self {
        let fate = Some(Fate { by: by.clone(), answered });
        Self { text: String::new(), expires_at: now + REMEMBERED, fate, ..self.clone() }
    }

    /// It after a turn that saw it was paid and failed.
    #[must_use]
    pub fn tried(&self, by: &RunKey, now: DateTime<Utc>) -> Self {
        let tried = Self { tries: self.tries + 1, ..self.clone() };
        if tried.tries >= MOST_TRIES { tried.over(by, false, now) } else { tried }
    }
}

/// What a run that waits for its event is told of it at `now`; `None` while it is queued. `event` is its row, where it is
/// there.
pub fn outcome(event: Option<&SystemEvent>, now: DateTime<Utc>) -> Option<Event> {
    match event {
        Some(SystemEvent { fate: Some(fate), .. }) if fate.answered => Some(Event::PlaceFreed),
        Some(SystemEvent { fate: Some(fate), tries, .. }) => Some(Event::Refused {
            code: "heartbeat_failed".to_owned(),
            message: format!("{tries} heartbeats that saw it failed, the last one was {}", fate.by),
        }),
        Some(event) if event.expires_at > now => None,
        Some(_) | None => Some(Event::Refused {
            code: "event_expired".to_owned(),
            message: "no heartbeat took it up in the time that events are kept".to_owned(),
        }),
    }
}

/// A queue without what no turn will answer any more, and the ids of that: events that are stale at `now`, and of more than
/// `most` the oldest, those first that nobody asked a turn for. One that a run waits for stays.
pub fn shortened(queue: Vec<SystemEvent>, most: usize, now: DateTime<Utc>) -> (Vec<SystemEvent>, Vec<String>) {
    let (mut fresh, stale): (Vec<_>, Vec<_>) = queue.into_iter().partition(|event| event.expires_at > now);
    let mut surplus = fresh.len().saturating_sub(most);
    let mut leaving: Vec<String> = stale.into_iter().map(|event| event.id).collect();
    for only_quiet in [true, false] {
        fresh.retain(|event| {
            let goes = surplus > 0 && event.run.is_none() && (event.quiet || !only_quiet);
            if goes {
                surplus -= 1;
                leaving.push(event.id.clone());
            }
            !goes
        });
    }
    (fresh, leaving)
}

/// What becomes of `events`, which `run` had in hand, with the write that ends its turn at `now`. They are over after one that
/// ended well; one that was paid and failed, or that somebody stopped, counts; after any other they stay as they are.
pub fn left_by(run: &Run, events: &[SystemEvent], now: DateTime<Utc>) -> Vec<SystemEvent> {
    // A call that nobody heard of again may have been paid too.
    let is_paid = !run.hops.is_empty() || run.books.unanswered() > 0;
    match &run.state {
        State::Delivering => events.iter().map(|event| event.over(&run.key, true, now)).collect(),
        State::Failed { .. } if !is_paid => Vec::new(),
        State::Failed { .. } | State::Canceled => events.iter().map(|event| event.tried(&run.key, now)).collect(),
        State::Due
        | State::Waiting { .. }
        | State::Running { .. }
        | State::Tools { .. }
        | State::Paused { .. }
        | State::Ready { .. }
        | State::Submitting { .. }
        | State::Submitted { .. }
        | State::Canceling { .. }
        | State::Succeeded
        | State::DeliveryFailed
        | State::DeliveryUnknown
        | State::Skipped { .. } => Vec::new(),
    }
}

/// A heartbeat's part in a run.
#[derive(Debug, Clone, PartialEq, Eq, Default, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct Beat {
    /// Whether somebody asked for it by name: it is a turn even where there is nothing to do.
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    pub asked: bool,
    /// Whether an event woke the session for it: once another turn has answered that, it is none.
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    pub woken: bool,
    /// The ids of the events its turn saw.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub events: Vec<String>,
}

/// The built-in job of `agent` as its configuration has it at `now`, where `before` is what stands there. One whose agent is
/// not configured, or whose cadence is off, is switched off: it still runs when somebody wakes it.
pub fn job_of(id: crate::JobId, agent: &str, config: &Config, before: Option<&Job>, now: DateTime<Utc>) -> Job {
    let (found, own, _) = config.agent(Some(agent));
    let rules = config.heartbeat_of(&own);
    let every_ms = every_ms(&rules);
    let enabled = found == agent && every_ms > 0;
    let every_ms = if every_ms > 0 { every_ms } else { ANY_CADENCE_MS };
    let kept = before.map(|job| &job.schedule).filter(|schedule| has_cadence(schedule, every_ms)).cloned();
    let anchor_ms = now.timestamp_millis();
    Job {
        job_id: id,
        agent_id: Some(agent.to_owned()),
        name: format!("Heartbeat of {agent}"),
        description: None,
        enabled,
        delete_after_run: false,
        created_at_ms: before.map_or(anchor_ms, |job| job.created_at_ms),
        updated_at_ms: anchor_ms,
        declaration_key: None,
        schedule: kept.unwrap_or(Schedule::Every { every_ms, anchor_ms }),
        session_target: if rules.isolated_session {
            SessionTarget::Isolated
        } else {
            SessionTarget::Named(MAIN.to_owned())
        },
        wake_mode: WakeMode::Now,
        payload: Payload::AgentTurn(AgentTurn {
            model: rules.model.clone(),
            light_context: rules.light_context,
            // Whoever looks around now wants to know now.
            batch: Some(BatchPolicy::default()),
            ..AgentTurn::default()
        }),
        delivery: Some(delivery(&rules, &own)),
        failure_alert: None,
        missed: Missed::Skip,
        max_lateness_ms: None,
        overlap: Overlap::Skip,
        budget: None,
        state: before.map_or_else(JobState::default, |job| job.state.clone()),
    }
}

/// Whether `one` says the same as `other`, whatever became of them and whenever they were written.
pub fn is_same(one: &Job, other: &Job) -> bool {
    let bare = |job: &Job| Job { updated_at_ms: 0, state: JobState::default(), ..job.clone() };
    bare(one) == bare(other)
}

/// Whether heartbeats are what the configuration speaks of, for this agent or for all.
pub fn is_configured(config: &Config, agent: &Agent) -> bool {
    agent.heartbeat.is_some() || config.agents.defaults.heartbeat.is_some()
}

/// Whether it never looks around by itself.
pub fn is_off(rules: &HeartbeatRules) -> bool {
    every_ms(rules) == 0
}

fn every_ms(rules: &HeartbeatRules) -> u64 {
    let every = parse_duration(&rules.every).unwrap_or_default();
    u64::try_from(every.num_milliseconds()).unwrap_or(0)
}

fn has_cadence(schedule: &Schedule, wanted: u64) -> bool {
    matches!(schedule, Schedule::Every { every_ms, .. } if *every_ms == wanted)
}

/// Where an agent's heartbeats say what they have to say.
pub fn delivery(rules: &HeartbeatRules, agent: &Agent) -> Delivery {
    let (mode, to) = (DeliveryMode::Announce, rules.to.clone());
    match (rules.target.as_str(), &agent.default_route) {
        // Without a place of the owner's it is refused before anything is paid (`is_homeless`), and nobody else is told of it.
        ("none", _) | ("owner", None) => Delivery { mode: DeliveryMode::None, ..Delivery::default() },
        ("owner", Some(route)) => Delivery {
            mode,
            channel: Some(route.channel.clone()),
            to: Some(route.to.clone()),
            account_id: route.account_id.clone(),
            ..Delivery::default()
        },
        ("last", _) => Delivery { mode, to, ..Delivery::default() },
        (channel, _) => Delivery { mode, channel: Some(channel.to_owned()), to, ..Delivery::default() },
    }
}

/// Whether it is to speak to its owner, and nothing says where that is.
pub fn is_homeless(rules: &HeartbeatRules, agent: &Agent) -> bool {
    rules.target == "owner" && agent.default_route.is_none()
}

/// Whether `at` is within the hours that the agent keeps: from the first minute on and before the last, where a last one
/// that is earlier in the day than the first is on the next day. Always without hours.
pub fn is_awake(rules: &HeartbeatRules, agent: &str, config: &Config, at: DateTime<Utc>) -> bool {
    let Some(hours) = &rules.active_hours else { return true };
    let zone = hours.timezone.as_deref().unwrap_or_else(|| zone_of(config, Some(agent)));
    let local = zone.parse::<Tz>().map_or_else(|_| at.time(), |zone| at.with_timezone(&zone).time());
    within(hours, local)
}

fn within(hours: &ActiveHours, time: NaiveTime) -> bool {
    let (Some(start), Some(end)) = (minutes_of_day(&hours.start), minutes_of_day(&hours.end)) else { return true };
    let now = time.hour() * 60 + time.minute();
    if start <= end { (start..end).contains(&now) } else { now >= start || now < end }
}

/// Why a heartbeat that is due has nothing to do, so that it is not paid for: nothing is queued that asks for a turn, there
/// are no notes, and nobody configured a prompt.
pub fn is_idle(rules: &HeartbeatRules, queue: &[SystemEvent], notes: &str) -> bool {
    rules.prompt.is_none() && is_blank(notes) && queue.iter().all(|event| event.quiet)
}

impl Beat {
    /// Whether the heartbeat is a turn, with this before it: one that somebody asked for always, one that an event woke while
    /// any waits that asks for a turn, any other unless it is idle.
    pub fn is_turn(&self, rules: &HeartbeatRules, queue: &[SystemEvent], notes: &str) -> bool {
        let is_answered = self.woken && queue.iter().all(|event| event.quiet);
        self.asked || !(is_answered || is_idle(rules, queue, notes))
    }
}

/// Whether notes have nothing to act on: blank lines, headings, comments, fences and list items without a text.
pub fn is_blank(notes: &str) -> bool {
    let mut rest = notes.to_owned();
    while let Some(start) = rest.find("<!--") {
        let end = rest[start..].find("-->").map_or(rest.len(), |at| start + at + 3);
        rest.replace_range(start..end, "");
    }
    rest.lines().all(|line| {
        let line = line.trim();
        let heading = line.trim_start_matches('#');
        let is_heading = heading.len() < line.len() && (heading.is_empty() || heading.starts_with(' '));
        let item = line.trim_start_matches(['-', '*', '+']).trim();
        let is_stub = item.is_empty() || matches!(item, "[ ]" | "[x]" | "[X]");
        is_heading || is_stub || line.starts_with("```") || line.starts_with("~~~")
    })
}

/// Those of `queue`, which is in order, that the next turn takes up, in order: as many as fit of those that ask for a turn,
/// the oldest first, and then of those that ride along.
pub fn taken_up(queue: &[SystemEvent]) -> Vec<SystemEvent> {
    let mut bytes = 0;
    let (quiet, loud): (Vec<&SystemEvent>, Vec<&SystemEvent>) = queue.iter().partition(|event| event.quiet);
    let mut taken: Vec<SystemEvent> = Vec::new();
    for event in loud.into_iter().chain(quiet).take(MOST_EVENTS) {
        bytes += event.text.len();
        if bytes > MOST_BYTES && !taken.is_empty() {
            break;
        }
        taken.push(event.clone());
    }
    taken.sort_by(|one, other| one.id.cmp(&other.id));
    taken
}

/// What a heartbeat begins with. `zone` is the agent's.
pub fn prompt(rules: &HeartbeatRules, events: &[SystemEvent], notes: &str, zone: &str, now: DateTime<Utc>) -> String {
    let mut text = format!("[heartbeat {}]\n\n{}", local(now, zone), rules.prompt.as_deref().unwrap_or(PROMPT).trim());
    if !is_blank(notes) {
        text.push_str("\n\nYour notes:\n\n");
        text.push_str(notes.trim());
    }
    if !events.is_empty() {
        text.push_str("\n\nEvents:\n\n");
        text.push_str(&listed(events, zone));
    }
    text
}

/// What the session keeps of that: when it was, and the events. Notes and instructions are in every heartbeat.
pub fn kept(events: &[SystemEvent], zone: &str, now: DateTime<Utc>) -> String {
    if events.is_empty() {
        return format!("[heartbeat {}]", local(now, zone));
    }
    format!("[heartbeat {}]\n\n{}", local(now, zone), listed(events, zone))
}

fn listed(events: &[SystemEvent], zone: &str) -> String {
    let line = |event: &SystemEvent| format!("- {}: {}", local(event.at, zone), event.text.trim());
    events.iter().map(line).collect::<Vec<_>>().join("\n")
}

fn local(at: DateTime<Utc>, zone: &str) -> String {
    let zone = zone.parse::<Tz>().unwrap_or(Tz::UTC);
    at.with_timezone(&zone).format("%a %Y-%m-%d %H:%M %Z").to_string()
}

#[cfg(test)]
mod tests;
