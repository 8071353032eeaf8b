//! Calls between functions that were handed over and not yet run.

use std::sync::{Mutex, MutexGuard, PoisonError};

use async_trait::async_trait;
use chrono::{DateTime, Utc};
use nightshift_domain::event::{Envelope, Function};
use nightshift_engine::ports::{Invoker, TimerError};
use nightshift_engine::{Clock, ManualClock};

/// A call that is durably queued.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Queued {
    /// Its number; later ones are higher.
    pub id: u64,
    /// Which function it is for.
    pub function: Function,
    /// What it says.
    pub envelope: Envelope,
    /// When it was handed over.
    pub at: DateTime<Utc>,
}

/// Lambda's queue for asynchronous calls. It loses nothing; who takes a call answers for it.
#[derive(Debug)]
pub struct SimQueue {
    clock: ManualClock,
    inner: Mutex<Inner>,
}

#[derive(Debug, Default)]
struct Inner {
    last: u64,
    calls: Vec<Queued>,
}

impl SimQueue {
    /// Nothing yet.
    pub fn new(clock: ManualClock) -> Self {
        Self { clock, inner: Mutex::default() }
    }

    /// Hands a call over; its number.
    pub fn push(&self, function: Function, envelope: Envelope) -> u64 {
        let at = self.clock.now();
        let mut inner = self.inner();
        inner.last += 1;
        let id = inner.last;
        inner.calls.push(Queued { id, function, envelope, at });
        id
    }

    /// What waits, oldest first.
    pub fn all(&self) -> Vec<Queued> {
        self.inner().calls.clone()
    }

    /// Takes a call off the queue to run it.
    pub fn take(&self, id: u64) -> Option<Queued> {
        let mut inner = self.inner();
        let at = inner.calls.iter().position(|call| call.id == id)?;
        Some(inner.calls.remove(at))
    }

    /// Takes the oldest.
    pub fn take_next(&self) -> Option<Queued> {
        let mut inner = self.inner();
        if inner.calls.is_empty() { None } else { Some(inner.calls.remove(0)) }
    }

    /// Whether nothing waits.
    pub fn is_empty(&self) -> bool {
        self.inner().calls.is_empty()
    }

    fn inner(&self) -> MutexGuard<'_, Inner> {
        self.inner.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

#[async_trait]
impl Invoker for SimQueue {
    async fn invoke(&self, function: Function, envelope: &Envelope) -> Result<(), TimerError> {
        self.push(function, envelope.clone());
        Ok(())
    }
}
