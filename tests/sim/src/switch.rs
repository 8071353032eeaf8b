//! The gate of the world: each call waits here until the world lets it go on.
//!
//! Guarantee: no call goes on by itself, and the order in which calls came is the order of their numbers. One that is held up
//! does not count as waiting until its time.

use std::collections::BTreeMap;
use std::pin::Pin;
use std::sync::{Mutex, MutexGuard, PoisonError};
use std::task::{Context, Poll, Waker};

use chrono::{DateTime, Utc};
use futures::FutureExt;
use futures::future::BoxFuture;

use crate::gate::{Call, Gate, Port, Verdict};

/// Holds calls until they are let on.
#[derive(Debug, Default)]
pub struct Switch {
    desk: Mutex<Desk>,
}

#[derive(Debug, Default)]
struct Desk {
    serial: u64,
    waiting: BTreeMap<u64, Ticket>,
    /// Calls that were let on and have not come back, by invocation and port.
    out: BTreeMap<(u64, Port), u32>,
}

#[derive(Debug)]
struct Ticket {
    call: Call,
    verdict: Option<Verdict>,
    /// Until when it is held up, if it is or was.
    held_up: Option<DateTime<Utc>>,
    /// Whom to tell of the verdict: within an invocation, calls made side by side are polled only when they are woken.
    waker: Waker,
}

impl Switch {
    /// The calls of `invocation` that wait at `now`, by number, in the order they came; and whether they were held up before.
    pub fn waiting(&self, invocation: u64, now: DateTime<Utc>) -> Vec<(u64, Call, bool)> {
        let desk = self.desk();
        let waiting = desk.waiting.iter().filter(|(_, ticket)| ticket.waits(invocation, now));
        waiting.map(|(n, ticket)| (*n, ticket.call.clone(), ticket.held_up.is_some())).collect()
    }

    /// Whether any call of `invocation` waits at `now`.
    pub fn has_waiting(&self, invocation: u64, now: DateTime<Utc>) -> bool {
        self.desk().waiting.values().any(|ticket| ticket.waits(invocation, now))
    }

    /// Holds call number `n` up until `until`.
    pub fn hold_up(&self, n: u64, until: DateTime<Utc>) {
        if let Some(ticket) = self.desk().waiting.get_mut(&n) {
            ticket.held_up = Some(until);
        }
    }

    /// When the next call that is held up after `now` may go on.
    pub fn next_to_go_on(&self, now: DateTime<Utc>) -> Option<DateTime<Utc>> {
        self.desk().waiting.values().filter_map(|ticket| ticket.held_up).filter(|until| *until > now).min()
    }

    /// Lets call number `n` go on when its future is polled next.
    pub fn let_on(&self, n: u64, verdict: Verdict) {
        if let Some(ticket) = self.desk().waiting.get_mut(&n) {
            ticket.verdict = Some(verdict);
            ticket.waker.wake_by_ref();
        }
    }

    /// How many calls of `invocation` to `port` are out: let on and not back.
    pub fn out(&self, invocation: u64, port: Port) -> u32 {
        self.desk().out.get(&(invocation, port)).copied().unwrap_or(0)
    }

    fn desk(&self) -> MutexGuard<'_, Desk> {
        self.desk.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Ticket {
    fn waits(&self, invocation: u64, now: DateTime<Utc>) -> bool {
        let goes_on = self.held_up.is_none_or(|until| until <= now);
        self.call.invocation == invocation && self.verdict.is_none() && goes_on
    }
}

impl Gate for Switch {
    fn pass(&self, call: Call) -> BoxFuture<'_, Verdict> {
        Passing { switch: self, call: Some(call), n: None }.boxed()
    }

    fn back(&self, invocation: u64, port: Port) {
        let mut desk = self.desk();
        if let Some(out) = desk.out.get_mut(&(invocation, port)) {
            *out = out.saturating_sub(1);
            if *out == 0 {
                desk.out.remove(&(invocation, port));
            }
        }
    }
}

/// A call at the gate.
struct Passing<'a> {
    switch: &'a Switch,
    call: Option<Call>,
    n: Option<u64>,
}

impl Future for Passing<'_> {
    type Output = Verdict;

    fn poll(self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<Verdict> {
        let this = self.get_mut();
        let mut desk = this.switch.desk();
        if let Some(call) = this.call.take() {
            desk.serial += 1;
            let n = desk.serial;
            desk.waiting.insert(n, Ticket { call, verdict: None, held_up: None, waker: context.waker().clone() });
            this.n = Some(n);
            return Poll::Pending;
        }
        let Some(n) = this.n else { return Poll::Pending };
        let Some(ticket) = desk.waiting.get_mut(&n) else { return Poll::Pending };
        let Some(verdict) = ticket.verdict else {
            ticket.waker.clone_from(context.waker());
            return Poll::Pending;
        };
        if let Some(Ticket { call, .. }) = desk.waiting.remove(&n) {
            *desk.out.entry((call.invocation, call.port)).or_default() += 1;
        }
        this.n = None;
        Poll::Ready(verdict)
    }
}

impl Drop for Passing<'_> {
    fn drop(&mut self) {
        if let Some(n) = self.n {
            self.switch.desk().waiting.remove(&n);
        }
    }
}
