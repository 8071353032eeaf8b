//! Blobs, timers, calls between functions and the web, call by call.

use std::sync::Arc;

use async_trait::async_trait;
use bytes::Bytes;
use chrono::{DateTime, Utc};
use nightshift_domain::config::SsrfPolicy;
use nightshift_domain::event::{Envelope, Function};
use nightshift_engine::ports::{
    BlobError, Blobs, Invoker, JobTimer, Page, TimerEntry, TimerError, TimerView, Timers, Web, WebAnswer, WebFault,
    WebFaultKind, WebMethod, WebRequest,
};

use super::Door;
use crate::gate::{Broken, Port, through};

/// Blobs behind a gate.
#[derive(Debug)]
pub struct GatedBlobs {
    inner: Arc<dyn Blobs>,
    door: Door,
}

impl GatedBlobs {
    /// `inner` as the invocation at `door` has it.
    pub fn new(inner: Arc<dyn Blobs>, door: Door) -> Self {
        Self { inner, door }
    }
}

fn lost_blob(key: &str) -> impl FnOnce(Broken) -> BlobError {
    let key = key.to_owned();
    move |_| BlobError { key, source: Arc::new(std::io::Error::from(std::io::ErrorKind::ConnectionReset)) }
}

/// The folder of a blob: the rest of its key is a digest.
fn folder(key: &str) -> &str {
    key.split('/').next().unwrap_or(key)
}

#[async_trait]
impl Blobs for GatedBlobs {
    async fn put(&self, key: &str, body: Bytes) -> Result<(), BlobError> {
        let call = self.door.effect(Port::Blobs, format!("put {}", folder(key)));
        through(self.door.gate.as_ref(), call, self.inner.put(key, body), lost_blob(key)).await
    }

    async fn get(&self, key: &str) -> Result<Option<Bytes>, BlobError> {
        let call = self.door.read(Port::Blobs, format!("get {}", folder(key)));
        through(self.door.gate.as_ref(), call, self.inner.get(key), lost_blob(key)).await
    }

    async fn remove(&self, key: &str) -> Result<(), BlobError> {
        let call = self.door.effect(Port::Blobs, format!("remove {}", folder(key)));
        through(self.door.gate.as_ref(), call, self.inner.remove(key), lost_blob(key)).await
    }
}

/// Timers behind a gate.
#[derive(Debug)]
pub struct GatedTimers {
    inner: Arc<dyn Timers>,
    door: Door,
}

impl GatedTimers {
    /// `inner` as the invocation at `door` has it.
    pub fn new(inner: Arc<dyn Timers>, door: Door) -> Self {
        Self { inner, door }
    }
}

fn no_answer(operation: &str) -> impl FnOnce(Broken) -> TimerError {
    let operation = operation.to_owned();
    move |_| TimerError { operation, expression_refused: false, source: None }
}

/// What kind of timer a name is of: `p-`, `r-`, `j-`, …
fn kind(name: &str) -> &str {
    name.split_inclusive('-').next().unwrap_or(name)
}

#[async_trait]
impl Timers for GatedTimers {
    async fn put_job(&self, timer: &JobTimer) -> Result<(), TimerError> {
        let name = format!("put_job {}", kind(&timer.name));
        let call = self.door.effect(Port::Timers, name.clone());
        through(self.door.gate.as_ref(), call, self.inner.put_job(timer), no_answer(&name)).await
    }

    async fn remove(&self, timer: &str) -> Result<(), TimerError> {
        let name = format!("remove {}", kind(timer));
        let call = self.door.effect(Port::Timers, name.clone());
        through(self.door.gate.as_ref(), call, self.inner.remove(timer), no_answer(&name)).await
    }

    async fn arm(&self, timer: &str, at: DateTime<Utc>, envelope: &Envelope) -> Result<(), TimerError> {
        let name = format!("arm {}", kind(timer));
        let call = self.door.effect(Port::Timers, name.clone());
        through(self.door.gate.as_ref(), call, self.inner.arm(timer, at, envelope), no_answer(&name)).await
    }

    async fn list(&self, prefix: &str, cursor: Option<&str>) -> Result<Page<TimerEntry>, TimerError> {
        let call = self.door.read(Port::Timers, format!("list {prefix}"));
        through(self.door.gate.as_ref(), call, self.inner.list(prefix, cursor), no_answer("list timers")).await
    }

    async fn get(&self, timer: &str) -> Result<Option<TimerView>, TimerError> {
        let call = self.door.read(Port::Timers, format!("get {}", kind(timer)));
        through(self.door.gate.as_ref(), call, self.inner.get(timer), no_answer("get a timer")).await
    }
}

/// Calls between functions behind a gate.
#[derive(Debug)]
pub struct GatedInvoker {
    inner: Arc<dyn Invoker>,
    door: Door,
}

impl GatedInvoker {
    /// `inner` as the invocation at `door` has it.
    pub fn new(inner: Arc<dyn Invoker>, door: Door) -> Self {
        Self { inner, door }
    }
}

#[async_trait]
impl Invoker for GatedInvoker {
    async fn invoke(&self, function: Function, envelope: &Envelope) -> Result<(), TimerError> {
        let name = format!("invoke {}", function.name());
        let call = self.door.effect(Port::Invoker, name.clone());
        through(self.door.gate.as_ref(), call, self.inner.invoke(function, envelope), no_answer(&name)).await
    }
}

/// The web behind a gate.
#[derive(Debug)]
pub struct GatedWeb {
    inner: Arc<dyn Web>,
    door: Door,
}

impl GatedWeb {
    /// `inner` as the invocation at `door` has it.
    pub fn new(inner: Arc<dyn Web>, door: Door) -> Self {
        Self { inner, door }
    }
}

#[async_trait]
impl Web for GatedWeb {
    async fn send(
        &self,
        policy: &SsrfPolicy,
        request: &WebRequest,
        deadline: DateTime<Utc>,
    ) -> Result<WebAnswer, WebFault> {
        let call = match request.method {
            WebMethod::Get => self.door.read(Port::Web, "get"),
            WebMethod::Post => self.door.effect(Port::Web, "post"),
        };
        let broken = |broken| WebFault {
            kind: match broken {
                Broken::Before | Broken::Throttled => WebFaultKind::NotSent,
                Broken::After => WebFaultKind::Unknown,
            },
            message: "the far side did not answer".to_owned(),
        };
        through(self.door.gate.as_ref(), call, self.inner.send(policy, request, deadline), broken).await
    }
}
