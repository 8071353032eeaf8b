//! A Lambda of our own: the Invoke API that the unmodified AWS SDK calls, a durable queue for `Event` invocations, and
//! three hosts that run the functions.
//!
//! Guarantee: an `Event` invocation that was accepted runs at least once, however the process ends, and is gone from the
//! queue only after it succeeded or became a dead letter. A function error is an answer, never a transport error. What
//! this module does not know: what the functions do, when they are due, or who may call them (it binds nothing itself).

mod api;
mod binaries;
mod cargo_lambda;
#[cfg(test)]
mod fixture;
mod in_process;
mod places;
mod queue;
mod runtime_api;
mod url_event;

use std::collections::{BTreeMap, HashMap};
use std::path::PathBuf;
use std::sync::{Arc, Mutex, PoisonError};

use async_trait::async_trait;
use bytes::Bytes;
use chrono::{DateTime, TimeDelta, Utc};
use nightshift_engine::Clock;
use serde::{Deserialize, Serialize};
use tokio::sync::watch;

use crate::state::{StateDb, StateError};
use places::{Place, Places, Ticket};
use queue::EventLog;
use runtime_api::Instances;

pub(crate) use queue::left_behind;
pub use url_event::{BadResponse, http_event, http_response};

/// Largest payload and largest answer of a `RequestResponse` invocation, in bytes (Lambda quotas, "Invocation payload":
/// 6 MB each way, read 2026-11-20).
pub const SYNC_PAYLOAD_BYTES: usize = 6 * 1024 * 1024;
/// Largest payload of an `Event` invocation, in bytes (Lambda quotas, "Invocation payload": 1 MB, read 2026-11-20).
pub const ASYNC_PAYLOAD_BYTES: usize = 1024 * 1024;
/// The account all local ARNs name.
pub const ACCOUNT: &str = "000000000000";
/// The region all local ARNs name.
pub const REGION: &str = "us-east-1";

/// What a function is told about its invocation.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Context {
    /// The same for every retry of one `Event` invocation.
    pub request_id: String,
    /// When the host gives the invocation up.
    pub deadline: DateTime<Utc>,
    /// The bare function name.
    pub function: String,
}

/// A function's own failure: the body that goes with `X-Amz-Function-Error`.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, thiserror::Error)]
#[error("{error_type}: {message}")]
pub struct FunctionError {
    /// The function's own type, or one of Lambda's: `Unhandled`, `Sandbox.Timedout`, `Runtime.ExitError`.
    #[serde(rename = "errorType")]
    pub error_type: String,
    /// What happened, for people.
    #[serde(rename = "errorMessage")]
    pub message: String,
}

impl FunctionError {
    /// An error of `error_type` that says `message`.
    pub fn new(error_type: impl Into<String>, message: impl Into<String>) -> Self {
        Self { error_type: error_type.into(), message: message.into() }
    }

    fn timed_out(spec: &FunctionSpec) -> Self {
        let millis = spec.timeout.num_milliseconds();
        let message = format!("Task timed out after {}.{:02} seconds", millis / 1000, millis % 1000 / 10);
        Self::new("Sandbox.Timedout", message)
    }
}

/// A function that lives in this process.
#[async_trait]
pub trait Handler: Send + Sync {
    /// Runs one invocation. A panic counts as a function error.
    async fn call(&self, payload: Bytes, context: Context) -> Result<Bytes, FunctionError>;
}

/// What the local Lambda must know of a function.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct FunctionSpec {
    /// The name in ARNs, and the name of its binary.
    pub name: String,
    /// How long one invocation may take.
    pub timeout: TimeDelta,
    /// How many invocations run at once; the rest wait in order. At least 1.
    pub concurrency: usize,
}

/// Who runs the functions.
pub enum Host {
    /// Handlers in this process, by function name. The only host that works on a manual clock.
    InProcess(HashMap<String, Arc<dyn Handler>>),
    /// The real `lambda_runtime` binaries, `dir/<function name>`, started when first called, with a clean environment.
    Binaries {
        /// Where the binaries are.
        dir: PathBuf,
        /// Their whole environment, besides what Lambda itself sets.
        env: Vec<(String, String)>,
    },
    /// `cargo lambda watch`, started in `project` unless something answers on `port` already.
    CargoLambda {
        /// The workspace whose binaries carry the function names.
        project: PathBuf,
        /// The `cargo-lambda` executable.
        cargo_lambda: PathBuf,
        /// The loopback port of its Invoke API.
        port: u16,
        /// The environment of the functions.
        env: Vec<(String, String)>,
    },
}

/// Why an invocation was not accepted. The function did not run.
#[derive(Debug, thiserror::Error)]
pub enum InvokeError {
    /// No function has this name.
    #[error("Function not found: {}", arn(function))]
    NotFound {
        /// The name that was asked for.
        function: String,
    },
    /// The payload is larger than Lambda takes.
    #[error("Request must be smaller than {limit} bytes for the InvokeFunction operation")]
    TooLarge {
        /// The limit in bytes.
        limit: usize,
    },
    /// The payload is not JSON.
    #[error("Could not parse request body into json: {0}")]
    NotJson(#[source] serde_json::Error),
    /// The queue could not be written; nothing was accepted.
    #[error("failed to write the invocation to the queue")]
    Queue(#[source] StateError),
    /// The local stack is on its way down.
    #[error("the local Lambda is shutting down")]
    Closing,
}

/// The one thing the hosts have in common.
#[async_trait]
trait FunctionHost: Send + Sync {
    /// Runs one invocation to its end or its deadline. Dropping the future ends whatever it started for this call.
    async fn call(&self, spec: &FunctionSpec, payload: Bytes, context: Context) -> Result<Bytes, FunctionError>;

    /// Ends what outlives a call.
    async fn shutdown(&self);
}

/// The local Lambda. Clones share one queue and one host.
#[derive(Clone)]
pub struct Lambda {
    inner: Arc<Inner>,
}

struct Inner {
    clock: Arc<dyn Clock>,
    functions: BTreeMap<String, Arc<FunctionSpec>>,
    host: Box<dyn FunctionHost>,
    instances: Arc<Instances>,
    places: Arc<Places>,
    events: EventLog,
    closing: watch::Sender<bool>,
    begun: Mutex<BTreeMap<String, u64>>,
}

impl Lambda {
    /// Prepares the host and reads the queue's state; runs nothing until [`Lambda::resume`] or an invocation.
    ///
    /// `runtime_api` is the base URL under which [`Lambda::router`] will be served (`http://127.0.0.1:9001`); only
    /// [`Host::Binaries`] uses it.
    pub async fn open(
        state: StateDb,
        clock: Arc<dyn Clock>,
        functions: Vec<FunctionSpec>,
        host: Host,
        runtime_api: String,
    ) -> anyhow::Result<Self> {
        let instances = Arc::new(Instances::default());
        let host: Box<dyn FunctionHost> = match host {
            Host::InProcess(handlers) => {
                if let Some(spec) = functions.iter().find(|spec| !handlers.contains_key(&spec.name)) {
                    anyhow::bail!("no handler for the function {}", spec.name);
                }
                Box::new(in_process::InProcess::new(handlers, clock.clone()))
            }
            Host::Binaries { dir, env } => {
                Box::new(binaries::Binaries::new(dir, env, &runtime_api, instances.clone(), clock.clone()))
            }
            Host::CargoLambda { project, cargo_lambda, port, env } => {
                let watch =
                    cargo_lambda::Watch { project, cargo_lambda, port, env, concurrency: cargo_lambda::CONCURRENCY };
                Box::new(cargo_lambda::CargoLambda::start(watch, clock.clone()).await?)
            }
        };
        Ok(Self {
            inner: Arc::new(Inner {
                places: Arc::new(Places::new(&functions)),
                functions: functions.into_iter().map(|spec| (spec.name.clone(), Arc::new(spec))).collect(),
                events: EventLog::open(state)?,
                closing: watch::Sender::new(false),
                begun: Mutex::default(),
                clock,
                host,
                instances,
            }),
        })
    }

    /// The Invoke API, and the Runtime API for the processes of [`Host::Binaries`].
    pub fn router(&self) -> axum::Router {
        api::router(self.clone()).merge(runtime_api::router(self.inner.instances.clone()))
    }

    /// Invokes `function` (name, `name:alias` or ARN) and waits for its answer: `RequestResponse`. Waits for a place
    /// when the function is at its concurrency, where Lambda would throttle. Runs on when the caller goes away.
    pub async fn invoke(&self, function: &str, payload: Bytes) -> Result<Result<Bytes, FunctionError>, InvokeError> {
        let request_id = self.request_id();
        self.invoke_as(request_id, function, payload).await
    }

    async fn invoke_as(
        &self,
        request_id: String,
        function: &str,
        payload: Bytes,
    ) -> Result<Result<Bytes, FunctionError>, InvokeError> {
        let (spec, payload) = self.admit(function, payload, SYNC_PAYLOAD_BYTES)?;
        let ticket = self.inner.places.enter(&spec.name);
        let lambda = self.clone();
        let task = tokio::spawn(async move {
            let _place = lambda.wait_for(ticket).await?;
            lambda.run(&spec, request_id, payload).await
        });
        task.await.ok().flatten().ok_or(InvokeError::Closing)
    }

    /// How often each function was run since the process started, retries included.
    pub fn begun(&self) -> BTreeMap<String, u64> {
        self.inner.begun.lock().unwrap_or_else(PoisonError::into_inner).clone()
    }

    /// How many invocations run now, or could: a retry whose time has come counts, one that waits for its time does
    /// not. One that waits behind a full function is not counted either, since it can do nothing until one of those
    /// that are counted ends; so the number is 0 only when nothing is queued, and equals the sleepers parked on a
    /// manual clock only when nothing can happen before the clock moves.
    pub fn in_flight(&self) -> usize {
        self.inner.places.in_flight(self.inner.clock.now())
    }

    /// Completes when [`Lambda::in_flight`] may have changed since this call (not since the first poll).
    pub fn changed(&self) -> impl Future<Output = ()> + '_ {
        self.inner.places.changed()
    }

    /// Stops what runs and ends the processes it started, by id. `Event` invocations that were cut off stay queued,
    /// uncounted, for the next [`Lambda::resume`]; later invocations are refused or, for `Event`, only queued.
    pub async fn shutdown(&self) {
        self.inner.closing.send_replace(true);
        loop {
            let changed = self.changed();
            if self.inner.places.running() == 0 {
                break;
            }
            changed.await;
        }
        self.inner.host.shutdown().await;
    }

    /// Resolves the name, and checks size and syntax. An empty payload becomes `{}`, as on Lambda.
    fn admit(&self, function: &str, payload: Bytes, limit: usize) -> Result<(Arc<FunctionSpec>, Bytes), InvokeError> {
        let name = bare_name(function);
        let Some(spec) = self.inner.functions.get(name) else {
            return Err(InvokeError::NotFound { function: name.to_owned() });
        };
        if payload.len() > limit {
            return Err(InvokeError::TooLarge { limit });
        }
        if payload.is_empty() {
            return Ok((spec.clone(), Bytes::from_static(b"{}")));
        }
        serde_json::from_slice::<serde::de::IgnoredAny>(&payload).map_err(InvokeError::NotJson)?;
        Ok((spec.clone(), payload))
    }

    /// `None` when the stack shuts down first.
    async fn wait_for(&self, ticket: Ticket) -> Option<Place> {
        self.unless_closing(ticket.place()).await.flatten()
    }

    /// Runs one invocation whose place is held; `None` when the stack shuts down first.
    async fn run(
        &self,
        spec: &FunctionSpec,
        request_id: String,
        payload: Bytes,
    ) -> Option<Result<Bytes, FunctionError>> {
        let deadline = self.inner.clock.now() + spec.timeout;
        *self.inner.begun.lock().unwrap_or_else(PoisonError::into_inner).entry(spec.name.clone()).or_default() += 1;
        let context = Context { request_id, deadline, function: spec.name.clone() };
        let answer = self.unless_closing(self.inner.host.call(spec, payload, context)).await?;
        Some(
            answer.and_then(|body| if body.len() > SYNC_PAYLOAD_BYTES { Err(too_large_an_answer()) } else { Ok(body) }),
        )
    }

    async fn unless_closing<T>(&self, work: impl Future<Output = T>) -> Option<T> {
        let mut closing = self.inner.closing.subscribe();
        tokio::select! {
            biased;
            _ = closing.wait_for(|closing| *closing) => None,
            value = work => Some(value),
        }
    }

    /// A fresh id in the shape of Lambda's: a UUID (version 7), ordered by the clock.
    fn request_id(&self) -> String {
        let id = u128::from(ulid::Ulid::from_datetime(self.inner.clock.now().into()));
        let id = id & !(0xf << 76) & !(0b11 << 62) | (7 << 76) | (0b10 << 62);
        let hex = format!("{id:032x}");
        [&hex[..8], &hex[8..12], &hex[12..16], &hex[16..20], &hex[20..]].join("-")
    }
}

/// The function name in `name`, `name:alias`, `account:function:name` or an ARN, with or without a qualifier (Invoke API
/// reference, `FunctionName`).
fn bare_name(reference: &str) -> &str {
    let rest = reference.split_once(":function:").map_or(reference, |(_, rest)| rest);
    rest.split_once(':').map_or(rest, |(name, _)| name)
}

/// The ARN of a local function.
fn arn(function: &str) -> String {
    format!("arn:aws:lambda:{REGION}:{ACCOUNT}:function:{function}")
}

fn too_large_an_answer() -> FunctionError {
    let message = format!("Response payload size exceeded maximum allowed payload size ({SYNC_PAYLOAD_BYTES} bytes).");
    FunctionError::new("Function.ResponseSizeTooLarge", message)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_way_to_name_a_function_leads_to_its_bare_name() {
        for reference in [
            "nightshift-poll",
            "nightshift-poll:live",
            "000000000000:function:nightshift-poll",
            "arn:aws:lambda:us-east-1:000000000000:function:nightshift-poll",
            "arn:aws:lambda:eu-west-1:123456789012:function:nightshift-poll:$LATEST",
        ] {
            assert_eq!(bare_name(reference), "nightshift-poll", "{reference}");
        }
    }

    #[test]
    fn a_timeout_says_how_long_the_function_had() {
        let spec = FunctionSpec { name: "f".into(), timeout: TimeDelta::milliseconds(3_050), concurrency: 1 };
        let error = FunctionError::timed_out(&spec);
        assert_eq!(error.to_string(), "Sandbox.Timedout: Task timed out after 3.05 seconds");
    }
}
