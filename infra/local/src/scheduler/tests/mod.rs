//! The scheduler on a manual clock, called through its API.

mod api;
mod durability;
mod firing;
mod validation;

use std::collections::VecDeque;
use std::sync::{Arc, Mutex};

use async_trait::async_trait;
use axum::body::Body;
use axum::http::Request;
use chrono::{DateTime, TimeDelta, Utc};
use http_body_util::BodyExt;
use nightshift_engine::{Clock, ManualClock};
use serde_json::{Value, json};
use tower::ServiceExt;

use super::{Scheduler, Target, TargetError};
use crate::state::StateDb;

/// Accepts everything but what `refusals` says, and remembers every call.
#[derive(Default)]
struct Recorder {
    calls: Mutex<Vec<(DateTime<Utc>, String)>>,
    refusals: Mutex<VecDeque<TargetError>>,
    always: Mutex<Option<TargetError>>,
    clock: Mutex<Option<ManualClock>>,
}

#[async_trait]
impl Target for Recorder {
    async fn invoke(&self, _arn: &str, input: String) -> Result<(), TargetError> {
        let now = self.clock.lock().unwrap().as_ref().unwrap().now();
        self.calls.lock().unwrap().push((now, input));
        let refusal = self.refusals.lock().unwrap().pop_front().or_else(|| self.always.lock().unwrap().clone());
        refusal.map_or(Ok(()), Err)
    }
}

struct World {
    clock: ManualClock,
    target: Arc<Recorder>,
    state: StateDb,
    scheduler: Scheduler,
}

fn instant(text: &str) -> DateTime<Utc> {
    text.parse().unwrap()
}

fn refusal(retryable: bool) -> TargetError {
    TargetError { code: "TooManyRequestsException".to_owned(), message: "Rate exceeded.".to_owned(), retryable }
}

/// A body that is valid as it stands.
fn schedule(expression: &str, input: &str) -> Value {
    json!({
        "ScheduleExpression": expression,
        "FlexibleTimeWindow": { "Mode": "OFF" },
        "Target": {
            "Arn": "arn:aws:lambda:us-east-1:000000000000:function:trigger",
            "RoleArn": "arn:aws:iam::000000000000:role/scheduler",
            "Input": json!(input).to_string(),
        },
    })
}

/// The same with members set.
fn with(mut body: Value, members: &Value) -> Value {
    for (name, value) in members.as_object().unwrap() {
        body[name] = value.clone();
    }
    body
}

impl World {
    fn at(now: &str) -> Self {
        let clock = ManualClock::new(instant(now));
        let target = Arc::new(Recorder::default());
        *target.clock.lock().unwrap() = Some(clock.clone());
        let state = StateDb::memory().unwrap();
        let scheduler = Scheduler::open(state.clone(), Arc::new(clock.clone()), target.clone()).unwrap();
        Self { clock, target, state, scheduler }
    }

    /// Drops the scheduler and opens another on the same state.
    fn restart(&mut self) {
        self.scheduler =
            Scheduler::open(self.state.clone(), Arc::new(self.clock.clone()), self.target.clone()).unwrap();
    }

    async fn call(&self, method: &str, path: &str, body: &Value) -> (u16, String, Value) {
        let body = if body.is_null() { Body::empty() } else { Body::from(body.to_string()) };
        let request = Request::builder().method(method).uri(path).body(body).unwrap();
        let response = self.scheduler.router().oneshot(request).await.unwrap();
        let status = response.status().as_u16();
        let error = response.headers().get("x-amzn-errortype").map(|value| value.to_str().unwrap().to_owned());
        let bytes = response.into_body().collect().await.unwrap().to_bytes();
        (status, error.unwrap_or_default(), serde_json::from_slice(&bytes).unwrap())
    }

    async fn ok(&self, method: &str, path: &str, body: &Value) -> Value {
        let (status, error, answer) = self.call(method, path, body).await;
        assert_eq!((status, error.as_str()), (200, ""), "{answer}");
        answer
    }

    async fn create(&self, name: &str, body: &Value) {
        self.ok("POST", &format!("/schedules/{name}"), body).await;
    }

    /// Moves from one due instant to the next until `end`; returns the calls made since, as `HH:MM:SS input`.
    async fn run_until(&self, end: &str) -> Vec<String> {
        let end = instant(end);
        while let Some(due) = self.scheduler.next_due().filter(|due| *due <= end) {
            self.clock.advance_to(due);
            assert!(self.scheduler.fire_due().await > 0, "next_due promised a fire at {due}");
        }
        self.clock.advance_to(end);
        self.calls()
    }

    fn calls(&self) -> Vec<String> {
        let calls = std::mem::take(&mut *self.target.calls.lock().unwrap());
        let line = |(at, input): (DateTime<Utc>, String)| {
            let text = serde_json::from_str::<String>(&input).unwrap_or(input);
            format!("{} {text}", at.format("%d %H:%M:%S"))
        };
        calls.into_iter().map(line).collect()
    }

    fn names(&self) -> Vec<String> {
        self.scheduler.schedules().into_iter().map(|view| view.name).collect()
    }
}

fn minutes(count: i64) -> TimeDelta {
    TimeDelta::minutes(count)
}
