//! Who may run now: per function a bounded number of places, handed on in the order of asking.
//!
//! Guarantee: a place passes from one invocation to the next without the number in flight dipping, and a retry whose time
//! has come is in flight from that instant, so that an observer on a manual clock never sees "nothing to do" in between.

use std::collections::{BTreeMap, HashMap, VecDeque};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use chrono::{DateTime, Utc};
use tokio::sync::{Notify, oneshot};

use super::FunctionSpec;

/// The places of all functions.
pub(super) struct Places {
    book: Mutex<Book>,
    changed: Notify,
}

struct Book {
    lanes: HashMap<String, Lane>,
    /// Queue key and due time of the invocations that wait for a retry.
    resting: BTreeMap<String, DateTime<Utc>>,
}

struct Lane {
    limit: usize,
    running: usize,
    waiting: VecDeque<oneshot::Sender<Place>>,
}

/// The right to run one invocation; dropping it lets the next one in.
pub(super) struct Place {
    /// Taken out when the place was given to nobody, so that dropping it frees nothing.
    places: Option<Arc<Places>>,
    function: String,
}

/// A place, or a turn in the line for one.
pub(super) enum Ticket {
    Ready(Place),
    Waiting(oneshot::Receiver<Place>),
}

impl Ticket {
    /// Waits for the turn.
    pub(super) async fn place(self) -> Option<Place> {
        match self {
            Self::Ready(place) => Some(place),
            Self::Waiting(turn) => turn.await.ok(),
        }
    }
}

impl Drop for Place {
    fn drop(&mut self) {
        if let Some(places) = self.places.take() {
            places.leave(&self.function);
        }
    }
}

impl Places {
    pub(super) fn new(functions: &[FunctionSpec]) -> Self {
        let lanes = functions.iter().map(|spec| {
            (spec.name.clone(), Lane { limit: spec.concurrency.max(1), running: 0, waiting: VecDeque::new() })
        });
        Self { book: Mutex::new(Book { lanes: lanes.collect(), resting: BTreeMap::new() }), changed: Notify::new() }
    }

    fn book(&self) -> MutexGuard<'_, Book> {
        self.book.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Joins the line of `function`, which is one of those given to [`Places::new`].
    pub(super) fn enter(self: &Arc<Self>, function: &str) -> Ticket {
        self.enter_rested(function, None)
    }

    /// Joins the line, ending the rest of queue entry `rested` in the same step.
    pub(super) fn enter_rested(self: &Arc<Self>, function: &str, rested: Option<&str>) -> Ticket {
        let mut book = self.book();
        if let Some(key) = rested {
            book.resting.remove(key);
        }
        let place = || Place { places: Some(self.clone()), function: function.to_owned() };
        let ticket = match book.lanes.get_mut(function) {
            Some(lane) if lane.running < lane.limit => {
                lane.running += 1;
                Ticket::Ready(place())
            }
            Some(lane) => {
                let (turn, waiting) = oneshot::channel();
                lane.waiting.push_back(turn);
                Ticket::Waiting(waiting)
            }
            None => Ticket::Ready(Place { places: None, function: function.to_owned() }),
        };
        drop(book);
        self.changed.notify_waiters();
        ticket
    }

    /// Notes that queue entry `key` waits until `due`.
    pub(super) fn rest(&self, key: &str, due: DateTime<Utc>) {
        self.book().resting.insert(key.to_owned(), due);
        self.changed.notify_waiters();
    }

    fn leave(self: &Arc<Self>, function: &str) {
        if let Some(lane) = self.book().lanes.get_mut(function) {
            let mut place = Place { places: Some(self.clone()), function: function.to_owned() };
            loop {
                let Some(turn) = lane.waiting.pop_front() else {
                    lane.running -= 1;
                    place.places = None;
                    break;
                };
                match turn.send(place) {
                    Ok(()) => break,
                    // Gone while it waited: the next in line.
                    Err(returned) => place = returned,
                }
            }
        }
        self.changed.notify_waiters();
    }

    /// Places held, and retries due by `now`.
    pub(super) fn in_flight(&self, now: DateTime<Utc>) -> usize {
        let book = self.book();
        let due = book.resting.values().filter(|due| **due <= now).count();
        book.lanes.values().map(|lane| lane.running).sum::<usize>() + due
    }

    /// Places held.
    pub(super) fn running(&self) -> usize {
        self.book().lanes.values().map(|lane| lane.running).sum()
    }

    /// Completes when the numbers may have changed since the call.
    pub(super) fn changed(&self) -> impl Future<Output = ()> + '_ {
        self.changed.notified()
    }
}
