//! What the tests of this module share: handlers as closures, and a Lambda over them on a manual clock.

use std::collections::HashMap;
use std::sync::{Arc, Mutex};

use async_trait::async_trait;
use bytes::Bytes;
use chrono::{DateTime, TimeDelta, Utc};
use futures::future::BoxFuture;
use nightshift_engine::{Clock, ManualClock};

use super::{Context, FunctionError, FunctionSpec, Handler, Host, Lambda};
use crate::state::StateDb;

pub(super) type Answer = Result<Bytes, FunctionError>;

struct Closure<F>(F);

#[async_trait]
impl<F> Handler for Closure<F>
where
    F: Fn(Bytes, Context) -> BoxFuture<'static, Answer> + Send + Sync,
{
    async fn call(&self, payload: Bytes, context: Context) -> Answer {
        (self.0)(payload, context).await
    }
}

pub(super) fn handler<F>(closure: F) -> Arc<dyn Handler>
where
    F: Fn(Bytes, Context) -> BoxFuture<'static, Answer> + Send + Sync + 'static,
{
    Arc::new(Closure(closure))
}

pub(super) fn start() -> DateTime<Utc> {
    DateTime::from_timestamp(1_795_219_200, 0).unwrap()
}

/// A function of 60 s and two places.
pub(super) fn spec(name: &str) -> FunctionSpec {
    FunctionSpec { name: name.to_owned(), timeout: TimeDelta::seconds(60), concurrency: 2 }
}

pub(super) async fn open(state: &StateDb, clock: Arc<dyn Clock>, function: Arc<dyn Handler>) -> Lambda {
    let host = Host::InProcess(HashMap::from([("nightshift-echo".to_owned(), function)]));
    Lambda::open(state.clone(), clock, vec![spec("nightshift-echo")], host, String::new()).await.unwrap()
}

/// Waits until nothing can happen before the clock moves.
pub(super) async fn settled(lambda: &Lambda, clock: &ManualClock) {
    while lambda.in_flight() != clock.parked() {
        tokio::task::yield_now().await;
    }
}

/// What happened, in order.
#[derive(Clone, Default)]
pub(super) struct Log(Arc<Mutex<Vec<String>>>);

impl Log {
    pub(super) fn note(&self, line: impl Into<String>) {
        self.0.lock().unwrap().push(line.into());
    }

    pub(super) fn lines(&self) -> Vec<String> {
        self.0.lock().unwrap().clone()
    }
}
