//! The six functions: as handlers in this process, and what the local Lambda must know of each.

use std::collections::HashMap;
use std::sync::Arc;

use async_trait::async_trait;
use bytes::Bytes;
use chrono::TimeDelta;
use futures::future::BoxFuture;
use lambda_http::request::LambdaRequest;
use lambda_http::{Adapter, Body, Request, Response, Service, service_fn};
use lambda_runtime::LambdaEvent;
use nightshift_domain::event::Envelope;
use nightshift_engine::{Deps, EngineError, Invocation};
use serde_json::Value;

use crate::lambda::{Context, FunctionError, FunctionSpec, Handler};

/// What every function's name starts with.
pub const PREFIX: &str = "nightshift-";
/// The function behind the Function URL.
pub const API: &str = "nightshift-api";

/// The function behind the MCP endpoint.
pub const TOOLS: &str = "nightshift-tools";

/// The function that serves `path`: what is at the public address on AWS is served by its function here too, though there is
/// one address for both.
pub(crate) fn serving(path: &str) -> &'static str {
    let path = nightshift_api::one_slash(path);
    if path == nightshift_tools::PATH || path.starts_with("/hooks/") { TOOLS } else { API }
}

/// Names, timeouts and concurrency, as the deployment has them.
pub fn specs() -> Vec<FunctionSpec> {
    let spec = |name: &str, seconds, concurrency| FunctionSpec {
        name: format!("{PREFIX}{name}"),
        timeout: TimeDelta::seconds(seconds),
        concurrency,
    };
    vec![
        spec("api", 30, 8),
        spec("trigger", 900, 16),
        spec("poll", 300, 8),
        spec("deliver", 300, 8),
        spec("heartbeat", 900, 2),
        // As long as a tool that the user declared may take.
        spec("tools", 900, 16),
    ]
}

/// The handlers of this process, each with the dependencies that `deps` gives for its full name.
pub(crate) fn handlers(deps: impl Fn(&str) -> Deps) -> HashMap<String, Arc<dyn Handler>> {
    let mut all: HashMap<String, Arc<dyn Handler>> = HashMap::new();
    all.insert(API.to_owned(), Arc::new(Http { deps: Arc::new(deps(API)), answer: api }));
    all.insert(TOOLS.to_owned(), Arc::new(Http { deps: Arc::new(deps(TOOLS)), answer: tools }));
    for kind in [Kind::Trigger, Kind::Poll, Kind::Deliver, Kind::Heartbeat] {
        let name = format!("{PREFIX}{}", kind.name());
        let deps = deps(&name);
        all.insert(name, Arc::new(Worker { deps, kind }));
    }
    all
}

#[derive(Clone, Copy)]
enum Kind {
    Trigger,
    Poll,
    Deliver,
    Heartbeat,
}

impl Kind {
    fn name(self) -> &'static str {
        match self {
            Self::Trigger => "trigger",
            Self::Poll => "poll",
            Self::Deliver => "deliver",
            Self::Heartbeat => "heartbeat",
        }
    }
}

struct Worker {
    deps: Deps,
    kind: Kind,
}

#[async_trait]
impl Handler for Worker {
    async fn call(&self, payload: Bytes, context: Context) -> Result<Bytes, FunctionError> {
        let envelope: Envelope = serde_json::from_slice(&payload)
            .map_err(|error| FunctionError::new("Runtime.BadEnvelope", error.to_string()))?;
        let invocation = nightshift_boot::invocation(&self.deps, &context.request_id, context.deadline);
        let answer = self.run(envelope, &invocation).await.map_err(|error| failed(&error))?;
        Ok(Bytes::from(answer.to_string()))
    }
}

impl Worker {
    async fn run(&self, envelope: Envelope, invocation: &Invocation) -> Result<Value, EngineError> {
        let deps = &self.deps;
        match self.kind {
            Kind::Trigger => nightshift_trigger::handle(deps, envelope, invocation).await,
            Kind::Poll => nightshift_poll::handle(deps, envelope, invocation).await,
            Kind::Deliver => nightshift_deliver::handle(deps, envelope, invocation).await,
            Kind::Heartbeat => nightshift_heartbeat::handle(deps, envelope, invocation).await,
        }
    }
}

fn failed(error: &EngineError) -> FunctionError {
    FunctionError::new(error.kind(), error.chain())
}

type Answering = BoxFuture<'static, Result<Response<Body>, lambda_http::Error>>;

/// A function that answers HTTP.
struct Http {
    deps: Arc<Deps>,
    answer: fn(Arc<Deps>, Request) -> Answering,
}

#[async_trait]
impl Handler for Http {
    async fn call(&self, payload: Bytes, context: Context) -> Result<Bytes, FunctionError> {
        let bad = |error: String| FunctionError::new("Runtime.BadEvent", error);
        let request: LambdaRequest = serde_json::from_slice(&payload).map_err(|error| bad(error.to_string()))?;
        let (deps, answer) = (self.deps.clone(), self.answer);
        let mut adapter = Adapter::from(service_fn(move |request| answer(deps.clone(), request)));
        let mut inner = lambda_runtime::Context::default();
        inner.request_id = context.request_id;
        let answer = adapter.call(LambdaEvent::new(request, inner)).await.map_err(|error| bad(error.to_string()))?;
        serde_json::to_vec(&answer).map(Bytes::from).map_err(|error| bad(error.to_string()))
    }
}

/// Boxed, because the compiler cannot prove the future `Send` for every lifetime through the adapter's own generics.
fn api(deps: Arc<Deps>, request: Request) -> Answering {
    Box::pin(async move { nightshift_api::handle(&deps, request).await.map_err(Into::into) })
}

fn tools(deps: Arc<Deps>, request: Request) -> Answering {
    Box::pin(async move { nightshift_tools::handle(&deps, request).await.map_err(Into::into) })
}
