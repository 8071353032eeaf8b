//! Functions as libraries: each call is a task of this process.
//!
//! Guarantee: a panic or a passed deadline ends that call and nothing else. It bounds a call only where the handler
//! yields; a handler that blocks its thread is not interrupted.

use std::any::Any;
use std::collections::HashMap;
use std::sync::Arc;

use async_trait::async_trait;
use bytes::Bytes;
use nightshift_engine::Clock;
use nightshift_engine::clock::timeout;
use tokio::task::JoinSet;

use super::{Context, FunctionError, FunctionHost, FunctionSpec, Handler};

pub(super) struct InProcess {
    handlers: HashMap<String, Arc<dyn Handler>>,
    clock: Arc<dyn Clock>,
}

impl InProcess {
    pub(super) fn new(handlers: HashMap<String, Arc<dyn Handler>>, clock: Arc<dyn Clock>) -> Self {
        Self { handlers, clock }
    }
}

#[async_trait]
impl FunctionHost for InProcess {
    async fn call(&self, spec: &FunctionSpec, payload: Bytes, context: Context) -> Result<Bytes, FunctionError> {
        let Some(handler) = self.handlers.get(&spec.name).cloned() else {
            return Err(FunctionError::new("Runtime.InvalidEntrypoint", format!("no handler for {}", spec.name)));
        };
        let deadline = context.deadline;
        // A set of one: dropping it aborts the task, where a bare handle would leave it running.
        let mut task = JoinSet::new();
        task.spawn(async move { handler.call(payload, context).await });
        match timeout(self.clock.as_ref(), deadline, task.join_next()).await {
            Some(Some(Ok(answer))) => answer,
            Some(Some(Err(error))) => Err(panicked(error.try_into_panic().ok().as_deref())),
            Some(None) => Err(panicked(None)),
            None => {
                // Waited for, so that what the handler was parked on has left the clock when the answer goes out.
                task.shutdown().await;
                Err(FunctionError::timed_out(spec))
            }
        }
    }

    async fn shutdown(&self) {}
}

/// The message is the one that `lambda_runtime` 1.5 answers (`layers/panic.rs`).
fn panicked(payload: Option<&(dyn Any + Send)>) -> FunctionError {
    let said = payload.and_then(|payload| {
        payload.downcast_ref::<&str>().map(|said| (*said).to_owned()).or_else(|| payload.downcast_ref().cloned())
    });
    let message = said.map_or_else(|| "Lambda panicked".to_owned(), |said: String| format!("Lambda panicked: {said}"));
    FunctionError::new("Unhandled", message)
}

#[cfg(test)]
mod tests {
    use super::super::Lambda;
    use super::super::fixture::{handler, open, settled, start};
    use super::*;
    use crate::state::StateDb;
    use chrono::TimeDelta;
    use nightshift_engine::ManualClock;

    const ECHO: &str = "nightshift-echo";

    async fn call(lambda: &Lambda) -> Result<Bytes, FunctionError> {
        lambda.invoke(ECHO, Bytes::new()).await.unwrap()
    }

    #[tokio::test]
    async fn a_panic_ends_its_call_and_nothing_else() {
        let clock = ManualClock::new(start());
        let panicking = handler(|payload, _| {
            Box::pin(async move {
                assert!(payload.as_ref() != b"1", "boom");
                Ok(payload)
            })
        });
        let lambda = open(&StateDb::memory().unwrap(), Arc::new(clock), panicking).await;
        let error = lambda.invoke(ECHO, Bytes::from_static(b"1")).await.unwrap().unwrap_err();
        assert_eq!(error, FunctionError::new("Unhandled", "Lambda panicked: boom"));
        assert_eq!(call(&lambda).await.unwrap(), Bytes::from_static(b"{}"));
    }

    #[tokio::test]
    async fn a_call_ends_at_its_deadline_and_leaves_no_sleeper_behind() {
        let clock = ManualClock::new(start());
        let slow = handler({
            let clock = clock.clone();
            move |payload, context| {
                let clock = clock.clone();
                Box::pin(async move {
                    clock.sleep_until(context.deadline + TimeDelta::hours(1)).await;
                    Ok(payload)
                })
            }
        });
        let lambda = open(&StateDb::memory().unwrap(), Arc::new(clock.clone()), slow).await;
        let called = tokio::spawn({
            let lambda = lambda.clone();
            async move { call(&lambda).await }
        });
        while clock.parked() == 0 {
            tokio::task::yield_now().await;
        }
        settled(&lambda, &clock).await;
        clock.advance(TimeDelta::seconds(60));
        let error = called.await.unwrap().unwrap_err();
        assert_eq!(error, FunctionError::new("Sandbox.Timedout", "Task timed out after 60.00 seconds"));
        assert_eq!((clock.parked(), lambda.in_flight()), (0, 0));
    }

    #[tokio::test]
    async fn an_answer_larger_than_lambda_takes_is_a_function_error() {
        let clock = ManualClock::new(start());
        let large = handler(|_, _| Box::pin(async { Ok(vec![b' '; 6 * 1024 * 1024 + 1].into()) }));
        let lambda = open(&StateDb::memory().unwrap(), Arc::new(clock), large).await;
        assert_eq!(call(&lambda).await.unwrap_err().error_type, "Function.ResponseSizeTooLarge");
    }
}
