//! Timers as the timer service keeps them: each fires at least once, one-shots delete themselves, and recurring ones are read
//! by the same code as the local stack's (`cron(…)`, `rate(…)`, their zones and what the service refuses).
//!
//! Nothing fires by itself: the world asks what is due and fires it, early, late or twice as it likes.

use std::collections::BTreeMap;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use async_trait::async_trait;
use chrono::{DateTime, SecondsFormat, SubsecRound, TimeDelta, Utc};
use nightshift_domain::event::{Envelope, Function, Wake};
use nightshift_engine::ports::{JobTimer, Page, TimerEntry, TimerError, TimerSpec, TimerView, Timers};
use nightshift_engine::{Clock, ManualClock};

use crate::expression::Expression;

/// What the service replaces by the time a schedule was due (Scheduler user guide, "Adding context attributes").
const SCHEDULED_TIME: &str = "<aws.scheduler.scheduled-time>";
/// Timers of a page (Scheduler API, `ListSchedules`).
const PAGE: usize = 100;

/// A fire.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Fired {
    /// The timer's name.
    pub name: String,
    /// When it was due.
    pub at: DateTime<Utc>,
    /// Whom it calls.
    pub function: Function,
    /// What it says.
    pub envelope: Envelope,
}

#[derive(Debug, Clone)]
struct Timer {
    spec: TimerSpec,
    expression: Option<Expression>,
    envelope: Envelope,
    enabled: bool,
    changed_at: DateTime<Utc>,
    next: Option<DateTime<Utc>>,
}

/// The timer service.
#[derive(Debug)]
pub struct SimTimers {
    clock: ManualClock,
    timers: Mutex<BTreeMap<String, Timer>>,
}

impl SimTimers {
    /// No timers.
    pub fn new(clock: ManualClock) -> Self {
        Self { clock, timers: Mutex::default() }
    }

    /// Sets a recurring timer that is not a job's: the sweep.
    pub fn recur(&self, name: &str, expression: &str, envelope: Envelope) -> Result<(), TimerError> {
        let (expression, timezone) = (expression.to_owned(), "UTC".to_owned());
        self.set(name, TimerSpec::Recurring { expression, timezone, start: None }, envelope, true)
    }

    /// What is due at `now`: when and which, earliest first.
    pub fn due(&self, now: DateTime<Utc>) -> Vec<(DateTime<Utc>, String)> {
        let mut due: Vec<_> = self.instants().into_iter().filter(|(at, _)| *at <= now).collect();
        due.sort();
        due
    }

    /// When the next one is due, and which.
    pub fn next(&self) -> Option<(DateTime<Utc>, String)> {
        self.instants().into_iter().min()
    }

    /// What a timer would send, without firing it: for one that fires twice, or early.
    pub fn peek(&self, name: &str) -> Option<Fired> {
        let timers = self.timers();
        let timer = timers.get(name).filter(|timer| timer.enabled)?;
        Some(fired(name, timer, timer.next?))
    }

    /// Fires a timer for the instant it is armed for, due or not. A one-shot is gone then, a recurring one armed for the next.
    pub fn fire(&self, name: &str) -> Option<Fired> {
        let mut timers = self.timers();
        let timer = timers.get_mut(name).filter(|timer| timer.enabled)?;
        let at = timer.next?;
        let fired = fired(name, timer, at);
        match &timer.expression {
            Some(expression) => timer.next = expression.next_after(at),
            None => drop(timers.remove(name)),
        }
        Some(fired)
    }

    /// Every timer there is, by name, and when it is due next; one that is switched off is not due.
    pub fn all(&self) -> Vec<(TimerView, Option<DateTime<Utc>>)> {
        let timers = self.timers();
        timers.iter().map(|(name, timer)| (view(name, timer), timer.next.filter(|_| timer.enabled))).collect()
    }

    /// Loses a timer, as somebody does who deletes it by hand; whether it was there.
    pub fn lose(&self, name: &str) -> bool {
        self.timers().remove(name).is_some()
    }

    fn instants(&self) -> Vec<(DateTime<Utc>, String)> {
        let timers = self.timers();
        let enabled = timers.iter().filter(|(_, timer)| timer.enabled);
        enabled.filter_map(|(name, timer)| Some((timer.next?, name.clone()))).collect()
    }

    fn set(&self, name: &str, spec: TimerSpec, envelope: Envelope, enabled: bool) -> Result<(), TimerError> {
        let now = self.clock.now();
        let (expression, next) = match &spec {
            TimerSpec::Once(at) => (None, Some(*at)),
            TimerSpec::Recurring { expression, timezone, start } => {
                let parsed = Expression::parse(expression, timezone).map_err(|error| TimerError {
                    operation: format!("set timer {name}"),
                    expression_refused: true,
                    source: Some(Arc::new(error)),
                })?;
                let armed_at = now.trunc_subsecs(0);
                let parsed = parsed.anchored(start.unwrap_or(armed_at));
                // A rate fires at its start too, and a cron strictly after it was set.
                let instant = TimeDelta::nanoseconds(1);
                let floor = if parsed.is_rate() { armed_at - instant } else { now };
                let next = parsed.next_after(start.map_or(floor, |start| floor.max(start - instant)));
                (Some(parsed), next)
            }
        };
        self.timers().insert(name.to_owned(), Timer { spec, expression, envelope, enabled, changed_at: now, next });
        Ok(())
    }

    fn timers(&self) -> MutexGuard<'_, BTreeMap<String, Timer>> {
        self.timers.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

fn fired(name: &str, timer: &Timer, at: DateTime<Utc>) -> Fired {
    let mut envelope = timer.envelope.clone();
    if let Wake::Job { s, .. } = &mut envelope.kind {
        *s = s.replace(SCHEDULED_TIME, &at.to_rfc3339_opts(SecondsFormat::Secs, true));
    }
    Fired { name: name.to_owned(), at, function: envelope.kind.function(), envelope }
}

fn view(name: &str, timer: &Timer) -> TimerView {
    TimerView {
        name: name.to_owned(),
        enabled: timer.enabled,
        spec: timer.spec.clone(),
        envelope: Some(timer.envelope.clone()),
        function: Some(timer.envelope.kind.function()),
    }
}

#[async_trait]
impl Timers for SimTimers {
    async fn put_job(&self, timer: &JobTimer) -> Result<(), TimerError> {
        self.set(&timer.name, timer.spec.clone(), timer.envelope.clone(), timer.enabled)
    }

    async fn remove(&self, name: &str) -> Result<(), TimerError> {
        self.timers().remove(name);
        Ok(())
    }

    async fn arm(&self, name: &str, at: DateTime<Utc>, envelope: &Envelope) -> Result<(), TimerError> {
        if self.timers().contains_key(name) {
            return Ok(());
        }
        self.set(name, TimerSpec::Once(at), envelope.clone(), true)
    }

    async fn list(&self, prefix: &str, cursor: Option<&str>) -> Result<Page<TimerEntry>, TimerError> {
        let timers = self.timers();
        let after = cursor.unwrap_or_default();
        let matching = timers.iter().filter(|(name, _)| name.starts_with(prefix) && name.as_str() > after);
        let mut items: Vec<TimerEntry> = matching
            .take(PAGE + 1)
            .map(|(name, timer)| TimerEntry {
                name: name.clone(),
                enabled: timer.enabled,
                changed_at: Some(timer.changed_at),
            })
            .collect();
        let more = items.len() > PAGE;
        items.truncate(PAGE);
        let next = items.last().filter(|_| more).map(|entry| entry.name.clone());
        Ok(Page { items, next })
    }

    async fn get(&self, name: &str) -> Result<Option<TimerView>, TimerError> {
        Ok(self.timers().get(name).map(|timer| view(name, timer)))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn start() -> DateTime<Utc> {
        DateTime::from_timestamp(1_795_219_200, 0).unwrap()
    }

    #[tokio::test]
    async fn a_one_shot_is_armed_once_and_deletes_itself() {
        let timers = SimTimers::new(ManualClock::new(start()));
        let at = start() + TimeDelta::minutes(5);
        timers.arm("p-1", at, &Envelope::new(Wake::Sweep)).await.unwrap();
        timers.arm("p-1", at + TimeDelta::hours(1), &Envelope::new(Wake::Sweep)).await.unwrap();
        assert!(timers.due(start()).is_empty());
        assert_eq!(timers.due(at), [(at, "p-1".to_owned())]);
        assert_eq!(timers.fire("p-1").unwrap().at, at);
        assert_eq!(timers.fire("p-1"), None);
        assert!(timers.all().is_empty());
    }

    #[tokio::test]
    async fn a_recurring_timer_says_when_it_was_due_and_misses_no_occurrence() {
        let clock = ManualClock::new(start());
        let timers = SimTimers::new(clock.clone());
        let wake = Wake::Job {
            j: nightshift_domain::JobId::parse("a").unwrap(),
            g: 1,
            s: SCHEDULED_TIME.to_owned(),
            slot: None,
            nb: None,
        };
        timers.recur("j-a", "rate(10 minutes)", Envelope::new(wake)).unwrap();
        let ten = TimeDelta::minutes(10);
        // A rate begins when it is set.
        for n in 0..3 {
            let fired = timers.fire("j-a").unwrap();
            assert_eq!(fired.at, start() + ten * n);
            let Wake::Job { s, .. } = fired.envelope.kind else { panic!("another envelope") };
            assert_eq!(s.parse::<DateTime<Utc>>().unwrap(), fired.at);
        }
        let refused = timers.recur("j-b", "cron(0 25 * * ? *)", Envelope::new(Wake::Sweep)).unwrap_err();
        assert!(refused.expression_refused);
    }
}
