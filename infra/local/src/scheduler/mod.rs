//! The `EventBridge` Scheduler API, and timers that fire.
//!
//! The unmodified AWS SDK works against [`Scheduler::router`], and what it created fires through [`Target`], at the due
//! instant and so within the service's 60 seconds.
//!
//! Guarantee: at least once. A schedule whose creation was answered survives `kill -9`, and so do its retries; a fire
//! counts as done only after the target accepted it. Where the real service never misses an instant, a laptop may sleep:
//! a one-shot that fell due meanwhile fires once, a recurring schedule once for the latest instant it missed, and then it
//! goes on along its grid. Time comes from the clock alone, so a manual clock drives it: take [`Scheduler::next_due`],
//! move the clock there, call [`Scheduler::fire_due`], repeat.
//!
//! It does not know what it invokes, and it checks neither signatures nor permissions.

mod api;
mod book;
mod error;
pub mod expression;
mod fire;
mod group_api;
mod model;
#[cfg(test)]
mod tests;
mod timing;
mod tokens;
mod validate;

use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use async_trait::async_trait;
use chrono::{DateTime, TimeDelta, Utc};
use nightshift_engine::Clock;
use tokio::sync::watch;

use self::book::Book;
pub use self::expression::{Expression, ExpressionError};
pub use self::model::{ACCOUNT, REGION, State};
use crate::state::{StateDb, StateError};

/// The longest uninterrupted wait of [`Scheduler::run`]: a suspended machine's timers stand still while its wall clock
/// goes on, so the clock is looked at again at least this often.
const MAX_WAIT: TimeDelta = TimeDelta::seconds(30);

/// What schedules invoke.
#[async_trait]
pub trait Target: Send + Sync {
    /// Hands `input` to the target asynchronously (a Lambda `Event` invoke): `Ok` when accepted. It is called once per
    /// fire and once more for a fire whose acceptance a crash forgot.
    async fn invoke(&self, arn: &str, input: String) -> Result<(), TargetError>;
}

/// A target's refusal.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("the target refused with {code}: {message}")]
pub struct TargetError {
    /// The target service's error code, e.g. `AWS.Lambda.ResourceNotFoundException`; a dead letter's `ERROR_CODE`.
    pub code: String,
    /// Its words; a dead letter's `ERROR_MESSAGE`.
    pub message: String,
    /// Whether the retry policy applies. Missing functions and permissions go to the dead letters at once.
    pub retryable: bool,
}

/// One schedule as a test wants to see it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ScheduleView {
    /// Its name.
    pub name: String,
    /// Its group.
    pub group: String,
    /// `at(…)`, `rate(…)` or `cron(…)`.
    pub expression: String,
    /// An IANA zone.
    pub timezone: String,
    /// Whether it fires.
    pub state: State,
    /// When it fires next, its place in the flexible window included; `None` when disabled or completed. Retries are not
    /// counted.
    pub next_fire: Option<DateTime<Utc>>,
}

/// The scheduler. Clones share everything but what [`Scheduler::changed`] has seen: give each task that waits its own.
pub struct Scheduler {
    inner: Arc<Inner>,
    seen: AtomicU64,
}

struct Inner {
    book: Mutex<Book>,
    clock: Arc<dyn Clock>,
    target: Arc<dyn Target>,
    firing: tokio::sync::Mutex<()>,
    version: watch::Sender<u64>,
}

impl Inner {
    fn book(&self) -> MutexGuard<'_, Book> {
        self.book.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn announce(&self) {
        self.version.send_modify(|version| *version += 1);
    }
}

impl Clone for Scheduler {
    fn clone(&self) -> Self {
        Self { inner: Arc::clone(&self.inner), seen: AtomicU64::new(self.seen.load(Ordering::Acquire)) }
    }
}

impl std::fmt::Debug for Scheduler {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Scheduler").field("next_due", &self.inner.book().first_due()).finish_non_exhaustive()
    }
}

impl Scheduler {
    /// Loads what `state` holds. What fell due meanwhile is due now.
    ///
    /// # Errors
    /// [`StateError`] when the state file cannot be read or holds something else.
    pub fn open(state: StateDb, clock: Arc<dyn Clock>, target: Arc<dyn Target>) -> Result<Self, StateError> {
        let book = Mutex::new(Book::load(state, clock.now())?);
        let (version, _) = watch::channel(0);
        let inner = Inner { book, clock, target, firing: tokio::sync::Mutex::new(()), version };
        Ok(Self { inner: Arc::new(inner), seen: AtomicU64::new(0) })
    }

    /// The service's REST API.
    pub fn router(&self) -> axum::Router {
        api::router(Arc::clone(&self.inner)).merge(group_api::router(Arc::clone(&self.inner))).fallback(api::unknown)
    }

    /// The earliest pending fire or retry.
    pub fn next_due(&self) -> Option<DateTime<Utc>> {
        // First the version: a change in between is then reported once too often rather than not at all.
        self.seen.store(*self.inner.version.borrow(), Ordering::Release);
        self.inner.book().first_due().map(|(at, _)| at)
    }

    /// Completes when [`Scheduler::next_due`] may have changed since this clone last called it, or last waited here.
    pub async fn changed(&self) {
        let mut version = self.inner.version.subscribe();
        let seen = self.seen.load(Ordering::Acquire);
        // The sender lives as long as `self`, so this ends with a change only.
        if let Ok(now) = version.wait_for(|version| *version != seen).await {
            self.seen.store(*now, Ordering::Release);
        }
    }

    /// Fires for ever on a real clock: waits for [`Scheduler::next_due`] or a change, whichever comes first.
    pub async fn run(self) {
        loop {
            self.fire_due().await;
            let limit = self.inner.clock.now() + MAX_WAIT;
            let alarm = self.next_due().map_or(limit, |due| due.min(limit));
            tokio::select! {
                () = self.inner.clock.alarm(alarm) => {}
                () = self.changed() => {}
            }
        }
    }

    /// Every schedule, by group and name.
    pub fn schedules(&self) -> Vec<ScheduleView> {
        let book = self.inner.book();
        let view = |entry: &book::Entry| {
            let spec = &entry.record.spec;
            ScheduleView {
                name: spec.name.clone(),
                group: spec.group_name.clone(),
                expression: spec.schedule_expression.clone(),
                timezone: spec.schedule_expression_timezone.clone(),
                state: spec.state,
                next_fire: entry.next_fire(),
            }
        };
        book.schedules.values().map(view).collect()
    }

    /// What the retry policy gave up on, by scheduled time: the attributes the service gives a dead letter, its `Body`, and
    /// `DeadLetterArn`, the queue it would have gone to (`null` where none was configured and the service drops it).
    pub fn dead_letters(&self) -> Vec<serde_json::Value> {
        let state = self.inner.book().state.clone();
        match state.list(fire::DEAD_LETTERS) {
            Ok(letters) => letters.into_iter().map(|(_, letter)| letter).collect(),
            Err(error) => {
                tracing::error!(%error, "the dead letters could not be read");
                Vec::new()
            }
        }
    }
}
