//! The one source of time.
//!
//! Handlers read [`Clock::now`] once per invocation and wait only through this trait, so that a test, or the local stack
//! on a manual clock, can move a whole day in milliseconds. What it does not know: zones (those live in
//! `domain::schedule`).

use std::collections::BTreeMap;
use std::future::Future;
use std::pin::Pin;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use async_trait::async_trait;
use chrono::{DateTime, TimeDelta, Utc};
use tokio::sync::{Notify, oneshot};

/// A future that a clock can bound.
pub type BoxFuture<'a, T> = Pin<Box<dyn Future<Output = T> + Send + 'a>>;

/// Where the time comes from, and the only way to wait.
#[async_trait]
pub trait Clock: Send + Sync + std::fmt::Debug {
    /// The present instant.
    fn now(&self) -> DateTime<Utc>;

    /// Waits until `instant`; returns at once when it has passed. On a manual clock the caller counts as *parked*: it
    /// does nothing until time moves.
    async fn sleep_until(&self, instant: DateTime<Utc>);

    /// Completes at `instant` without counting as parked: the other arm of a race with real work ([`timeout`], a lease
    /// renewal while the model answers).
    async fn alarm(&self, instant: DateTime<Utc>);
}

/// Runs `work`, giving up at `deadline`; `None` when the deadline came first.
pub async fn timeout<T>(clock: &dyn Clock, deadline: DateTime<Utc>, work: impl Future<Output = T>) -> Option<T> {
    tokio::select! {
        biased;
        value = work => Some(value),
        () = clock.alarm(deadline) => None,
    }
}

/// The machine's clock.
#[derive(Debug, Default, Clone, Copy)]
pub struct SystemClock;

#[async_trait]
impl Clock for SystemClock {
    #[expect(clippy::disallowed_methods, reason = "the one place that reads the machine's time")]
    fn now(&self) -> DateTime<Utc> {
        Utc::now()
    }

    #[expect(clippy::disallowed_methods, reason = "the one place that really waits")]
    async fn sleep_until(&self, instant: DateTime<Utc>) {
        if let Ok(wait) = (instant - self.now()).to_std() {
            tokio::time::sleep(wait).await;
        }
    }

    async fn alarm(&self, instant: DateTime<Utc>) {
        self.sleep_until(instant).await;
    }
}

/// A clock that moves only when told. Clones share one instant.
#[derive(Debug, Clone)]
pub struct ManualClock {
    inner: Arc<ManualInner>,
}

#[derive(Debug)]
struct ManualInner {
    state: Mutex<ManualState>,
    changed: Notify,
}

#[derive(Debug)]
struct ManualState {
    now: DateTime<Utc>,
    serial: u64,
    waiters: BTreeMap<(DateTime<Utc>, u64), Waiter>,
}

#[derive(Debug)]
struct Waiter {
    parked: bool,
    wake: oneshot::Sender<()>,
}

/// Takes a waiter off the clock when its future is dropped before the time came.
struct Registration {
    clock: ManualClock,
    key: (DateTime<Utc>, u64),
}

impl Drop for Registration {
    fn drop(&mut self) {
        self.clock.state().waiters.remove(&self.key);
        self.clock.inner.changed.notify_waiters();
    }
}

impl ManualClock {
    /// A clock that stands at `start`.
    pub fn new(start: DateTime<Utc>) -> Self {
        let state = ManualState { now: start, serial: 0, waiters: BTreeMap::new() };
        Self { inner: Arc::new(ManualInner { state: Mutex::new(state), changed: Notify::new() }) }
    }

    /// Moves to `instant` and wakes everyone due by then. An instant in the past is ignored: time never runs back.
    pub fn advance_to(&self, instant: DateTime<Utc>) {
        let mut state = self.state();
        state.now = state.now.max(instant);
        let now = state.now;
        while let Some(entry) = state.waiters.first_entry() {
            if entry.key().0 > now {
                break;
            }
            // The receiver may be gone: its future was dropped while it waited.
            let _ = entry.remove().wake.send(());
        }
        drop(state);
        self.inner.changed.notify_waiters();
    }

    /// Moves on by `step`.
    pub fn advance(&self, step: TimeDelta) {
        let target = self.now() + step;
        self.advance_to(target);
    }

    /// How many callers sit in [`Clock::sleep_until`].
    pub fn parked(&self) -> usize {
        self.state().waiters.values().filter(|waiter| waiter.parked).count()
    }

    /// The earliest instant anyone waits for, parked or not.
    pub fn next_wake(&self) -> Option<DateTime<Utc>> {
        self.state().waiters.keys().next().map(|key| key.0)
    }

    /// Completes when the set of waiters has changed since the call (not since the first poll).
    pub fn changed(&self) -> impl Future<Output = ()> + '_ {
        self.inner.changed.notified()
    }

    fn state(&self) -> MutexGuard<'_, ManualState> {
        self.inner.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    async fn wait(&self, instant: DateTime<Utc>, parked: bool) {
        let (registration, woken) = {
            let mut state = self.state();
            if instant <= state.now {
                return;
            }
            state.serial += 1;
            let key = (instant, state.serial);
            let (wake, woken) = oneshot::channel();
            state.waiters.insert(key, Waiter { parked, wake });
            (Registration { clock: self.clone(), key }, woken)
        };
        self.inner.changed.notify_waiters();
        let _ = woken.await;
        drop(registration);
    }
}

#[async_trait]
impl Clock for ManualClock {
    fn now(&self) -> DateTime<Utc> {
        self.state().now
    }

    async fn sleep_until(&self, instant: DateTime<Utc>) {
        self.wait(instant, true).await;
    }

    async fn alarm(&self, instant: DateTime<Utc>) {
        self.wait(instant, false).await;
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn start() -> DateTime<Utc> {
        DateTime::from_timestamp(1_795_219_200, 0).unwrap()
    }

    #[tokio::test]
    async fn a_sleeper_wakes_when_its_instant_is_reached_and_not_before() {
        let clock = ManualClock::new(start());
        let sleeper = tokio::spawn({
            let clock = clock.clone();
            async move { clock.sleep_until(start() + TimeDelta::seconds(60)).await }
        });
        while clock.parked() == 0 {
            tokio::task::yield_now().await;
        }
        clock.advance(TimeDelta::seconds(59));
        assert_eq!(clock.parked(), 1);
        clock.advance(TimeDelta::seconds(1));
        assert_eq!(clock.parked(), 0);
        sleeper.await.unwrap();
    }

    #[tokio::test]
    async fn an_alarm_bounds_work_without_counting_as_parked() {
        let clock = ManualClock::new(start());
        let bounded = tokio::spawn({
            let clock = clock.clone();
            async move { timeout(&clock, start() + TimeDelta::seconds(1), std::future::pending::<()>()).await }
        });
        while clock.next_wake().is_none() {
            tokio::task::yield_now().await;
        }
        assert_eq!(clock.parked(), 0);
        clock.advance(TimeDelta::seconds(1));
        assert_eq!(bounded.await.unwrap(), None);
        assert_eq!(clock.next_wake(), None);
    }

    #[tokio::test]
    async fn a_dropped_sleeper_leaves_nothing_behind() {
        let clock = ManualClock::new(start());
        let raced = timeout(&clock, start() + TimeDelta::seconds(5), async { 7 }).await;
        assert_eq!(raced, Some(7));
        assert_eq!(clock.next_wake(), None);
    }
}
