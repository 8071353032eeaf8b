//! Failures that reach a person: when an alert is due, and what is remembered of those that were raised.
//!
//! Guarantee: pure. What is decided here is written in the same conditional write that ends the run, so that an end is alerted
//! once or not at all. Of one incident (from its first alert to the next success) no cause is told twice, no two alerts come
//! within the cooldown, and a recovery is told once, to where the failure was. What a job's runs failed of is never told to
//! anybody while `failureAlert` is false.

use chrono::{DateTime, TimeDelta, Utc};
use serde::{Deserialize, Serialize};
use sha2::{Digest, Sha256};

use crate::budget;
use crate::config::CronConfig;
use crate::job::{DeliveryStatus, FailureAlert, JobRecord, RunStatus};
use crate::run::{BATCH_TIMEOUT, DELIVER_BY, Path, Run, State};
use crate::schedule::Schedule;

mod route;
mod text;

pub use route::{Route, Rules, rules};
pub use text::{Style, text};

/// Reasons of skips that somebody wished, or that follow from a failure which was counted: they are no failures to start.
const WISHED: [&str; 6] = ["backoff", "next_check", "cron_disabled", "job_removed", "nothing_to_do", "quiet_hours"];
/// Why a batch was not had although nothing forbids it. All other reasons are known beforehand, or asked for.
pub(crate) const UNEXPECTED: &str = "batch_refused";
/// The job asked to go on in realtime when its batch takes too long: that it was in one is shown by these.
const TIMED_OUT: [&str; 2] = [BATCH_TIMEOUT, DELIVER_BY];

/// What is remembered of a job's failures between its runs.
#[derive(Debug, Clone, PartialEq, Eq, Default, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", default)]
pub struct Incident {
    /// Of runs that failed, or did not start.
    #[serde(skip_serializing_if = "Thread::is_empty")]
    pub runs: Thread,
    /// Of answers that did not arrive.
    #[serde(skip_serializing_if = "Thread::is_empty")]
    pub deliveries: Thread,
    /// Occurrences in a row that were skipped, where skips count.
    #[serde(skip_serializing_if = "is_zero")]
    pub skips: u32,
    /// Runs in a row whose batch was refused.
    #[serde(skip_serializing_if = "is_zero")]
    pub refused: u32,
    /// Whether that was told.
    #[serde(skip_serializing_if = "std::ops::Not::not")]
    pub refused_told: bool,
}

/// One kind of trouble, from its first alert to its end.
#[derive(Debug, Clone, PartialEq, Eq, Default, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", default)]
pub struct Thread {
    /// The signatures of what was told.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub told: Vec<String>,
    /// Where, last.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub route: Option<Route>,
    /// When, last. It outlives the incident: the cooldown is between any two alerts.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub last_at: Option<DateTime<Utc>>,
}

/// What an alert is about.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Kind {
    /// Runs failed.
    Failed,
    /// Occurrences were skipped.
    Skipped,
    /// All is well again.
    Recovered,
    /// The job was switched off for its failures.
    AutoDisabled,
    /// An answer did not arrive.
    Delivery,
    /// Batches are refused again and again.
    Fallback,
}

impl Kind {
    /// What its chunks are called in the delivery ledger. A run has at most one of a kind.
    pub fn origin(self) -> &'static str {
        match self {
            Self::Failed => "alert-failed",
            Self::Skipped => "alert-skipped",
            Self::Recovered => "alert-recovered",
            Self::AutoDisabled => "alert-disabled",
            Self::Delivery => "alert-delivery",
            Self::Fallback => "alert-fallback",
        }
    }

    /// A machine's word for it.
    pub fn word(self) -> &'static str {
        &self.origin()["alert-".len()..]
    }
}

/// Why, in the words that `cron runs` shows.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct Cause {
    /// The failure code, or the reason of a skip.
    pub code: String,
    /// For a person.
    pub message: String,
}

/// An alert that is due, or was sent: everything its text is made of, with the run it stands in.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct Notice {
    /// What it is about.
    pub kind: Kind,
    /// When it was raised.
    pub at: DateTime<Utc>,
    /// Where it goes.
    pub route: Route,
    /// How many in a row.
    #[serde(default, skip_serializing_if = "is_zero")]
    pub count: u32,
    /// Why.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub cause: Option<Cause>,
    /// What it counts as told.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub signature: Option<String>,
    /// Whether the job has no other run to come.
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    pub last_chance: bool,
    /// What became of it; `None` while it is due.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub fate: Option<Fate>,
}

/// What became of an alert.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct Fate {
    /// Whether it arrived.
    pub status: DeliveryStatus,
    /// Why not.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub error: Option<String>,
}

/// The alerts of a run that has ended.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct Alerts {
    /// In the order they are sent.
    pub notices: Vec<Notice>,
    /// When those that are due may be sent.
    pub send_at: DateTime<Utc>,
}

impl Alerts {
    /// Whether one is still due.
    pub fn are_due(&self) -> bool {
        self.notices.iter().any(|notice| notice.fate.is_none())
    }
}

impl Run {
    /// Its alerts, while one is still due.
    pub fn due_alerts(&self) -> Option<&Alerts> {
        self.alerts.as_ref().filter(|alerts| self.state.is_terminal() && alerts.are_due())
    }
}

impl Incident {
    /// Whether there is nothing to remember.
    pub fn is_empty(&self) -> bool {
        *self == Self::default()
    }
}

impl Thread {
    fn is_empty(&self) -> bool {
        *self == Self::default()
    }

    /// Whether `signature` may be told now.
    fn may_tell(&self, signature: &str, cooldown: TimeDelta, now: DateTime<Utc>) -> bool {
        let cooled = self.last_at.is_none_or(|last| last + cooldown <= now);
        cooled && !self.told.iter().any(|told| told == signature)
    }

    fn tell(&mut self, signature: &str, route: &Route, now: DateTime<Utc>) {
        if !self.told.iter().any(|told| told == signature) {
            self.told.push(signature.to_owned());
        }
        self.route = Some(route.clone());
        self.last_at = Some(now);
    }

    /// Ends the incident; where its end is to be told, if anything of it was.
    fn end(&mut self) -> Option<Route> {
        let told = !std::mem::take(&mut self.told).is_empty();
        self.route.take().filter(|_| told)
    }
}

/// Enters in `record`, its job as the run's end leaves it, and in `run`, which has just ended, the alerts that are due.
/// `disabled` says that the job was switched off for this very failure.
pub fn on_ended(record: &mut JobRecord, run: &mut Run, disabled: bool, cron: &CronConfig, now: DateTime<Utc>) {
    let Some(status) = run.status() else { return };
    // A cancel is somebody's wish and says nothing about the job.
    if matches!(run.state, State::Canceled) {
        return;
    }
    let rules = rules(&record.job, cron.failure_alert.as_ref());
    let desk = Desk { rules: rules.as_ref(), one_shot: matches!(record.job.schedule, Schedule::At { .. }), now };
    let mut notices = Vec::new();
    match status {
        RunStatus::Error => notices.extend(desk.failed(record, run, disabled)),
        RunStatus::Skipped => notices.extend(desk.skipped(record, run)),
        RunStatus::Ok => notices.extend(desk.succeeded(record, run)),
    }
    notices.extend(desk.batches(record, run, cron.batch.unexpected_fallback_alert_after));
    if notices.is_empty() {
        return;
    }
    if notices.iter().any(|notice| notice.kind != Kind::Recovered) {
        let state = &mut record.job.state;
        state.last_failure_alert_at_ms = Some(now.timestamp_millis());
        state.last_failure_notification_delivered = None;
        state.last_failure_notification_delivery_status = None;
        state.last_failure_notification_delivery_error = None;
    }
    for notice in &notices {
        let to = notice.route.shown();
        run.log(now, "alert", Some(format!("{} is to be told to {to}", notice.kind.word())));
    }
    run.alerts = Some(Alerts { notices, send_at: now });
}

/// Enters in `record`, the job of a run, what became of one of the run's alerts. A cause that reached nobody may be told
/// again, after the cooldown.
pub fn on_sent(record: &mut JobRecord, notice: &Notice) {
    let Some(fate) = &notice.fate else { return };
    if fate.status == DeliveryStatus::Failed {
        let incident = &mut record.incident;
        let of = notice.signature.as_deref();
        for thread in [&mut incident.runs, &mut incident.deliveries] {
            thread.told.retain(|told| Some(told.as_str()) != of);
        }
        incident.refused_told &= notice.kind != Kind::Fallback;
    }
    let state = &mut record.job.state;
    // A younger alert says more.
    if notice.kind != Kind::Recovered && state.last_failure_alert_at_ms == Some(notice.at.timestamp_millis()) {
        state.last_failure_notification_delivered = Some(fate.status == DeliveryStatus::Delivered);
        state.last_failure_notification_delivery_status = Some(fate.status);
        state.last_failure_notification_delivery_error.clone_from(&fate.error);
    }
}

/// Who decides about one end.
struct Desk<'a> {
    /// `None` where nothing is told.
    rules: Option<&'a Rules>,
    one_shot: bool,
    now: DateTime<Utc>,
}

impl Desk<'_> {
    fn failed(&self, record: &mut JobRecord, run: &Run, disabled: bool) -> Option<Notice> {
        record.incident.skips = 0;
        let rules = self.rules?;
        let count = record.job.state.consecutive_errors;
        let cause = cause(run)?;
        let signature = signature(&["error", &cause.code, &rules.route.words()]);
        let thread = &mut record.incident.runs;
        let least = self.threshold(rules, record.job.failure_alert.as_ref());
        let due = disabled
            || tells_of_money(run, &cause).unwrap_or(count >= least)
                && thread.may_tell(&signature, rules.cooldown, self.now);
        if !due {
            return None;
        }
        thread.tell(&signature, &rules.route, self.now);
        let (kind, count) = match &record.job.state.auto_disabled {
            Some(auto) if disabled => (Kind::AutoDisabled, auto.consecutive_errors),
            Some(_) | None => (Kind::Failed, count),
        };
        Some(self.notice(kind, &rules.route, count, Some(cause), Some(signature)))
    }

    fn skipped(&self, record: &mut JobRecord, run: &Run) -> Option<Notice> {
        let cause = cause(run)?;
        let of_money = tells_of_money(run, &cause);
        let rules = self.rules.filter(|rules| rules.include_skipped || of_money.is_some())?;
        if WISHED.contains(&cause.code.as_str()) {
            return None;
        }
        let incident = &mut record.incident;
        incident.skips += 1;
        let count = incident.skips;
        let signature = signature(&["skipped", &cause.code, &rules.route.words()]);
        let due = of_money.unwrap_or(count >= self.threshold(rules, record.job.failure_alert.as_ref()))
            && incident.runs.may_tell(&signature, rules.cooldown, self.now);
        if !due {
            return None;
        }
        incident.runs.tell(&signature, &rules.route, self.now);
        Some(self.notice(Kind::Skipped, &rules.route, count, Some(cause), Some(signature)))
    }

    /// A success ends what was told of failures, and an arrival what was told of answers that did not arrive: one notice tells
    /// both. An answer that does not arrive is told elsewhere at once; it is no failure of the run.
    fn succeeded(&self, record: &mut JobRecord, run: &Run) -> Vec<Notice> {
        let incident = &mut record.incident;
        incident.skips = 0;
        let mut over = incident.runs.end();
        let lost = match run.delivery_status {
            Some(DeliveryStatus::Delivered) => {
                over = over.or_else(|| incident.deliveries.end());
                incident.deliveries.end();
                None
            }
            Some(status @ (DeliveryStatus::Failed | DeliveryStatus::Unknown)) => Some(status),
            Some(DeliveryStatus::Suppressed | DeliveryStatus::NotRequested) | None => None,
        };
        let Some(rules) = self.rules else { return Vec::new() };
        let recovered = over.map(|route| self.notice(Kind::Recovered, &route, 0, None, None));
        let lost = lost.filter(|_| !rules.route.primary).and_then(|status| {
            let code = if status == DeliveryStatus::Failed { "delivery_failed" } else { "delivery_unknown" };
            let signature = signature(&["delivery", code, &rules.route.words()]);
            let thread = &mut incident.deliveries;
            thread.may_tell(&signature, rules.cooldown, self.now).then(|| {
                thread.tell(&signature, &rules.route, self.now);
                let message = run.delivery_note.clone().unwrap_or_else(|| "nobody said why".to_owned());
                let cause = Cause { code: code.to_owned(), message };
                self.notice(Kind::Delivery, &rules.route, 1, Some(cause), Some(signature))
            })
        });
        recovered.into_iter().chain(lost).collect()
    }

    /// Batches that are refused cost the discount, and nothing else shows it: told once, until one is had again.
    fn batches(&self, record: &mut JobRecord, run: &Run, after: u32) -> Option<Notice> {
        let plan = run.plan.as_ref()?;
        let incident = &mut record.incident;
        match plan.fallback_reason.as_deref() {
            Some(UNEXPECTED) => incident.refused = incident.refused.saturating_add(1),
            None if plan.path == Path::Batch => (incident.refused, incident.refused_told) = (0, false),
            Some(reason) if TIMED_OUT.contains(&reason) => (incident.refused, incident.refused_told) = (0, false),
            Some(_) | None => return None,
        }
        let rules = self.rules?;
        if incident.refused < after.max(1) || incident.refused_told {
            return None;
        }
        incident.refused_told = true;
        Some(self.notice(Kind::Fallback, &rules.route, incident.refused, None, None))
    }

    /// A job with one run has no second failure to wait for, unless it says itself that it does.
    fn threshold(&self, rules: &Rules, own: Option<&FailureAlert>) -> u32 {
        let says = matches!(own, Some(FailureAlert::Rule(rule)) if rule.after.is_some());
        if self.one_shot && !says { 1 } else { rules.after }
    }

    fn notice(&self, kind: Kind, route: &Route, count: u32, cause: Option<Cause>, signature: Option<String>) -> Notice {
        let last_chance = self.one_shot && matches!(kind, Kind::Failed | Kind::Skipped);
        Notice { kind, at: self.now, route: route.clone(), count, cause, signature, last_chance, fate: None }
    }
}

/// Whether a run that ended for want of money is to be told of, whatever else is: the first one is, unless another job's run
/// told of the same purse. `None` for other ends.
fn tells_of_money(run: &Run, cause: &Cause) -> Option<bool> {
    (cause.code == budget::CODE).then_some(!run.reserve.told)
}

fn cause(run: &Run) -> Option<Cause> {
    run.failure().map(|(code, message)| Cause { code, message })
}

/// The same for the same status, cause and route. A digest, because a route may hold an address.
fn signature(parts: &[&str]) -> String {
    let digest = Sha256::digest(parts.join("\n"));
    let mut first = [0; 8];
    first.copy_from_slice(&digest[..8]);
    format!("{:016x}", u64::from_be_bytes(first))
}

#[expect(clippy::trivially_copy_pass_by_ref, reason = "the shape serde asks for")]
fn is_zero(number: &u32) -> bool {
    *number == 0
}

#[cfg(test)]
mod tests;
