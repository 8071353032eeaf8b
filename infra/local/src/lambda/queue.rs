//! The queue of `Event` invocations.
//!
//! Guarantee: at least once. An invocation is in the state file before its id is answered, and leaves it after it
//! succeeded or after its dead letter was written. Three attempts, 60 s and 120 s apart, under one request id. An attempt
//! that was cut off by the end of the process does not count. Unlike Lambda's, the queue never drops an invocation for its
//! age: a laptop may sleep longer than Lambda's six hours.

use std::collections::HashSet;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use bytes::Bytes;
use chrono::{DateTime, SecondsFormat, TimeDelta, Utc};
use futures::future::BoxFuture;
use nightshift_engine::Clock;
use serde::{Deserialize, Serialize};
use serde_json::{Value, json};
use tracing::{error, warn};

use super::places::Ticket;
use super::{ASYNC_PAYLOAD_BYTES, FunctionError, InvokeError, Lambda, arn};
use crate::state::{StateDb, StateError};

/// Rooms of the state file.
const EVENTS: &str = "lambda-events";
const DEAD_LETTERS: &str = "lambda-dead-letters";

/// Waits before the second and the third attempt ("How Lambda handles errors and retries with asynchronous invocation":
/// "a one-minute wait before the first retry, and two minutes before the second", read 2026-11-20).
const RETRY_WAITS: [TimeDelta; 2] = [TimeDelta::seconds(60), TimeDelta::seconds(120)];

/// One queued invocation, as it stands in the state file.
#[derive(Debug, Clone, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
struct Event {
    request_id: String,
    function: String,
    /// The JSON text as it came.
    payload: String,
    received_at: DateTime<Utc>,
    /// Attempts that ended in a function error.
    failures: usize,
    /// When the next attempt may start; absent for the first.
    due_at: Option<DateTime<Utc>>,
}

/// The queue in the state file, and which of its entries this process already cares for.
pub(super) struct EventLog {
    state: StateDb,
    book: Mutex<Book>,
}

struct Book {
    next_serial: u64,
    live: HashSet<String>,
}

impl EventLog {
    pub(super) fn open(state: StateDb) -> Result<Self, StateError> {
        let mut next_serial = 0;
        for room in [EVENTS, DEAD_LETTERS] {
            // Keys are serial numbers of one width, so the last key is the greatest.
            let last = state.list(room)?.last().and_then(|(key, _)| key.parse::<u64>().ok());
            next_serial = next_serial.max(last.map_or(0, |last| last + 1));
        }
        Ok(Self { state, book: Mutex::new(Book { next_serial, live: HashSet::new() }) })
    }

    fn book(&self) -> MutexGuard<'_, Book> {
        self.book.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn append(&self, event: &Event) -> Result<String, StateError> {
        let mut book = self.book();
        let key = format!("{:016}", book.next_serial);
        self.state.put(EVENTS, &key, &document(event)?)?;
        book.next_serial += 1;
        book.live.insert(key.clone());
        Ok(key)
    }

    /// Entries nobody cares for yet, in the order they came; from now on the caller does.
    fn adopt(&self) -> Result<Vec<(String, Event)>, StateError> {
        let mut book = self.book();
        let mut adopted = Vec::new();
        for (key, document) in self.state.list(EVENTS)? {
            if book.live.insert(key.clone()) {
                adopted.push((key, serde_json::from_value(document)?));
            }
        }
        Ok(adopted)
    }

    fn rewrite(&self, key: &str, event: &Event) -> Result<(), StateError> {
        self.state.put(EVENTS, key, &document(event)?)
    }

    fn remove(&self, key: &str) -> Result<(), StateError> {
        self.state.delete(EVENTS, key)?;
        self.book().live.remove(key);
        Ok(())
    }

    /// Stopped between the two writes, the next start runs the last attempt once more and writes the same key again.
    fn bury(&self, key: &str, event: &Event, error: &FunctionError, now: DateTime<Utc>) -> Result<(), StateError> {
        self.state.put(DEAD_LETTERS, key, &dead_letter(event, error, now))?;
        self.remove(key)
    }
}

/// How many invocations in a stopped stack's `state` the next start takes up at once: those that were begun or could have
/// been.
pub(crate) fn left_behind(state: &StateDb) -> anyhow::Result<usize> {
    let mut left = 0;
    for (_, document) in state.list(EVENTS)? {
        let event: Event = serde_json::from_value(document)?;
        left += usize::from(event.due_at.is_none());
    }
    Ok(left)
}

fn document(event: &Event) -> Result<Value, StateError> {
    Ok(serde_json::to_value(event)?)
}

/// The record Lambda sends to an on-failure destination ("Capturing records of Lambda asynchronous invocations", read
/// 2026-11-20).
fn dead_letter(event: &Event, error: &FunctionError, now: DateTime<Utc>) -> Value {
    json!({
        "version": "1.0",
        "timestamp": now.to_rfc3339_opts(SecondsFormat::Millis, true),
        "requestContext": {
            "requestId": event.request_id,
            "functionArn": format!("{}:$LATEST", arn(&event.function)),
            "condition": "RetriesExhausted",
            "approximateInvokeCount": event.failures,
        },
        "requestPayload": serde_json::from_str(&event.payload).unwrap_or(Value::Null),
        "responseContext": { "statusCode": 200, "executedVersion": "$LATEST", "functionError": "Unhandled" },
        "responsePayload": { "errorType": error.error_type, "errorMessage": error.message },
    })
}

/// What an invocation waits for before its next attempt.
enum Turn {
    Place(Ticket),
    Due(BoxFuture<'static, ()>),
}

/// An alarm that already stands on the clock when this returns, so that whoever moves the clock sees it.
async fn armed(clock: Arc<dyn Clock>, due: DateTime<Utc>) -> BoxFuture<'static, ()> {
    let mut alarm: BoxFuture<'static, ()> = Box::pin(async move { clock.alarm(due).await });
    if futures::poll!(alarm.as_mut()).is_ready() { Box::pin(std::future::ready(())) } else { alarm }
}

impl Lambda {
    /// Accepts an `Event` invocation and answers its request id; it starts at once or waits for a place. Must be called
    /// within a Tokio runtime.
    ///
    /// # Crash safety
    /// One write before the answer. Stopped before it, nothing was accepted; stopped after it, [`Lambda::resume`] runs
    /// the invocation.
    pub fn enqueue(&self, function: &str, payload: Bytes) -> Result<String, InvokeError> {
        let request_id = self.request_id();
        self.enqueue_as(&request_id, function, payload)?;
        Ok(request_id)
    }

    pub(super) fn enqueue_as(&self, request_id: &str, function: &str, payload: Bytes) -> Result<(), InvokeError> {
        let (spec, payload) = self.admit(function, payload, ASYNC_PAYLOAD_BYTES)?;
        let event = Event {
            request_id: request_id.to_owned(),
            function: spec.name.clone(),
            payload: String::from_utf8_lossy(&payload).into_owned(),
            received_at: self.inner.clock.now(),
            failures: 0,
            due_at: None,
        };
        let key = self.inner.events.append(&event).map_err(InvokeError::Queue)?;
        let ticket = self.inner.places.enter(&spec.name);
        tokio::spawn(self.clone().attend(key, event, Turn::Place(ticket)));
        Ok(())
    }

    /// Takes up what a former process left: the interrupted and the waiting at once and in their old order, the failed
    /// when their retry is due. A repeated call does nothing.
    pub async fn resume(&self) {
        let left = match self.inner.events.adopt() {
            Ok(left) => left,
            Err(error) => {
                error!(error = &error as &dyn std::error::Error, "failed to read the queue of invocations");
                return;
            }
        };
        let now = self.inner.clock.now();
        for (key, event) in left {
            if !self.inner.functions.contains_key(&event.function) {
                warn!(
                    function = event.function,
                    request_id = event.request_id,
                    "a queued invocation names no function"
                );
                continue;
            }
            let turn = match event.due_at {
                Some(due) if due > now => {
                    self.inner.places.rest(&key, due);
                    Turn::Due(armed(self.inner.clock.clone(), due).await)
                }
                _ => Turn::Place(self.inner.places.enter(&event.function)),
            };
            tokio::spawn(self.clone().attend(key, event, turn));
        }
    }

    /// The invocations that failed three times, in the order they were accepted, as Lambda's failure records.
    pub fn dead_letters(&self) -> Vec<Value> {
        match self.inner.events.state.list(DEAD_LETTERS) {
            Ok(letters) => letters.into_iter().map(|(_, letter)| letter).collect(),
            Err(error) => {
                error!(error = &error as &dyn std::error::Error, "failed to read the dead letters");
                Vec::new()
            }
        }
    }

    /// Sees one queued invocation through to success, dead letter or the end of the process.
    async fn attend(self, key: String, mut event: Event, mut turn: Turn) {
        let Some(spec) = self.inner.functions.get(&event.function).cloned() else { return };
        loop {
            let ticket = match turn {
                Turn::Place(ticket) => ticket,
                Turn::Due(alarm) => {
                    if self.unless_closing(alarm).await.is_none() {
                        return;
                    }
                    self.inner.places.enter_rested(&spec.name, Some(&key))
                }
            };
            let Some(place) = self.wait_for(ticket).await else { return };
            let payload = Bytes::from(event.payload.clone());
            let Some(answer) = self.run(&spec, event.request_id.clone(), payload).await else { return };
            let Err(failure) = answer else {
                report(&event, self.inner.events.remove(&key));
                return;
            };
            let wait = RETRY_WAITS.get(event.failures).copied();
            event.failures += 1;
            let attempt = event.failures;
            warn!(
                function = event.function,
                request_id = event.request_id,
                attempt,
                error_type = failure.error_type,
                "an Event invocation of {} failed, attempt {attempt} of 3",
                event.function
            );
            let now = self.inner.clock.now();
            let Some(wait) = wait else {
                report(&event, self.inner.events.bury(&key, &event, &failure, now));
                return;
            };
            let due = now + wait;
            event.due_at = Some(due);
            report(&event, self.inner.events.rewrite(&key, &event));
            self.inner.places.rest(&key, due);
            turn = Turn::Due(armed(self.inner.clock.clone(), due).await);
            drop(place);
        }
    }
}

/// A queue that cannot be written is said aloud; the entry stays as it was and is run again after a restart.
fn report(event: &Event, written: Result<(), StateError>) {
    if let Err(error) = written {
        error!(
            function = event.function,
            request_id = event.request_id,
            error = &error as &dyn std::error::Error,
            "failed to record the outcome of an Event invocation"
        );
    }
}

#[cfg(test)]
#[path = "queue_tests.rs"]
mod tests;
