//! Any endpoint that speaks `OpenAI`'s Chat Completions, realtime only: implements [`Model`] of `nightshift-engine`.
//!
//! Guarantee: a hop is sent at most once per call, on a connection of its own; the key goes to the configured base URL and
//! nowhere else. It has no batches, and of a turn it carries texts, calls of Nightshift's own tools and their results: other
//! blocks do not survive the way. A provider's tools, MCP servers, thinking modes and cache marks are left out.

mod answer;
mod ask;
mod content;
mod errors;
mod models;

use std::sync::{Arc, LazyLock};
use std::time::Duration;

use async_trait::async_trait;
use chrono::{DateTime, TimeDelta, Utc};
use nightshift_domain::model::{HopRequest, ModelErrorKind, ModelInfo, Reply};
use nightshift_engine::Clock;
use nightshift_engine::clock::timeout;
use nightshift_engine::ports::{Batches, Model, ModelError, Secret};
use reqwest::header::{AUTHORIZATION, CONTENT_TYPE, HeaderMap, HeaderValue, USER_AGENT};
use reqwest::{Client, ClientBuilder, Response, redirect, retry};

use ask::Limit;
use errors::{broken, failed, hiding, refusal};

/// How long a connection may take to stand.
const CONNECT_TIMEOUT: Duration = Duration::from_secs(10);
/// How long the list of models may take.
const LIST_TIMEOUT: TimeDelta = TimeDelta::seconds(30);
/// Largest answer that is read.
const LARGEST_ANSWER: usize = 64 << 20;
/// Largest error answer that is read.
const LARGEST_ERROR: usize = 64 << 10;

/// The client for hops: every one gets a new connection, so that none is lost on one that died unseen.
static ONCE: LazyLock<Client> = LazyLock::new(|| built(builder().pool_max_idle_per_host(0)));

/// A client as this crate wants it: rustls, no redirects, no retries, a bounded connect, and no proxy, whose settings
/// would come from the environment and, for plain HTTP, would show it the key.
///
/// # Panics
/// When TLS cannot be set up, for want of root certificates.
pub fn http_client() -> Client {
    built(builder())
}

fn builder() -> ClientBuilder {
    Client::builder()
        .redirect(redirect::Policy::none())
        .retry(retry::never())
        .connect_timeout(CONNECT_TIMEOUT)
        .tcp_keepalive(Duration::from_secs(30))
        .no_proxy()
}

fn built(builder: ClientBuilder) -> Client {
    builder.build().expect("building an HTTP client fails only where TLS cannot be set up at all")
}

/// How the endpoint is reached.
#[derive(Debug, Clone)]
pub struct Settings {
    /// Where it is, with its version (`https://api.openai.com/v1`, `http://localhost:11434/v1`).
    pub base_url: String,
    /// The key, sent as `Authorization: Bearer`; endpoints on one's own machine often have none.
    pub key: Option<Secret>,
}

/// An `OpenAI`-compatible endpoint.
#[derive(Debug)]
pub struct OpenAi {
    settings: Settings,
    http: Client,
    clock: Arc<dyn Clock>,
    models: models::Cache,
}

/// A whole answer, whatever its status.
struct Answer {
    status: u16,
    headers: HeaderMap,
    body: Vec<u8>,
}

impl OpenAi {
    /// The endpoint under `settings`. The list of models is read through `http`, which is to be [`http_client`] or built
    /// like it; hops use a client of this crate that keeps no connections.
    pub fn new(mut settings: Settings, http: Client, clock: Arc<dyn Clock>) -> Self {
        settings.base_url.truncate(settings.base_url.trim_end_matches('/').len());
        Self { settings, http, clock, models: models::Cache::default() }
    }

    fn key(&self) -> &str {
        self.settings.key.as_ref().map_or("", |key| key.expose())
    }

    fn url(&self, path: &str) -> String {
        format!("{}{path}", self.settings.base_url)
    }

    fn limit(&self) -> Limit {
        let url = reqwest::Url::parse(&self.settings.base_url).ok();
        let host = url.as_ref().and_then(reqwest::Url::host_str).unwrap_or_default();
        let newer = host == "api.openai.com" || host.ends_with(".openai.azure.com");
        if newer { Limit::MaxCompletionTokens } else { Limit::MaxTokens }
    }

    fn headers(&self) -> Result<HeaderMap, ModelError> {
        let mut headers = HeaderMap::new();
        headers.insert(USER_AGENT, HeaderValue::from_static(concat!("nightshift/", env!("CARGO_PKG_VERSION"))));
        if !self.key().is_empty() {
            let mut bearer = HeaderValue::from_str(&format!("Bearer {}", self.key()))
                .map_err(|_| failed(ModelErrorKind::Auth, "the key holds a character no HTTP header can carry"))?;
            bearer.set_sensitive(true);
            headers.insert(AUTHORIZATION, bearer);
        }
        Ok(headers)
    }

    async fn post_once(&self, body: String) -> Result<Answer, ModelError> {
        let request = ONCE.post(self.url("/chat/completions")).headers(self.headers()?);
        let sent = request.header(CONTENT_TYPE, "application/json").body(body).send().await;
        collect(sent.map_err(|error| broken(&error))?).await
    }

    /// The list of models, asked for once.
    async fn list(&self) -> Result<Answer, ModelError> {
        let work = async {
            let sent = self.http.get(self.url("/models")).headers(self.headers()?).send().await;
            collect(sent.map_err(|error| broken(&error))?).await
        };
        let late = || failed(ModelErrorKind::Timeout, "no answer within 30 seconds");
        timeout(&*self.clock, self.clock.now() + LIST_TIMEOUT, work).await.ok_or_else(late)?
    }

    fn refused(&self, answer: &Answer) -> ModelError {
        refusal(answer.status, &answer.headers, &answer.body, self.clock.now(), self.key())
    }
}

#[async_trait]
impl Model for OpenAi {
    async fn message(&self, request: &HopRequest, deadline: DateTime<Utc>) -> Result<Reply, ModelError> {
        if self.clock.now() >= deadline {
            return Err(failed(ModelErrorKind::Timeout, "the deadline had passed before the hop was sent"));
        }
        let body = ask::body(request, self.limit()).map_err(|_| {
            failed(ModelErrorKind::Invalid, "a stored message of the turn, or its tools, cannot be read")
        })?;
        let Some(answer) = timeout(&*self.clock, deadline, self.post_once(body)).await else {
            return Err(failed(ModelErrorKind::Timeout, "no answer before the deadline"));
        };
        let answer = answer?;
        // Some gateways say 200 and then, in the body, that it failed.
        if !(200..300).contains(&answer.status) || errors::is_error(&answer.body) {
            return Err(hiding(self.refused(&answer), request));
        }
        let request_id = errors::request_id(&answer.headers);
        answer::reply(&answer.body, &request.model, request_id.clone()).map_err(|_| ModelError {
            request_id,
            ..failed(ModelErrorKind::Server, "the answer is not a chat completion that could be read")
        })
    }

    /// Without batches and efforts. Taken from `GET /models` where that tells, and cautious defaults where it does not; only
    /// a refused key is an error. Asked once an hour per model.
    async fn info(&self, model: &str) -> Result<ModelInfo, ModelError> {
        let now = self.clock.now();
        if let Some(known) = self.models.get(model, now) {
            return Ok(known);
        }
        let answer = match self.list().await {
            Ok(answer) if matches!(answer.status, 401 | 403) => return Err(self.refused(&answer)),
            Err(error) if error.kind == ModelErrorKind::Auth => return Err(error),
            Ok(answer) => answer,
            Err(_) => return Ok(models::info(model, &[])),
        };
        let info = models::info(model, &answer.body);
        self.models.put(model, now, info.clone());
        Ok(info)
    }

    fn batches(&self) -> Option<&dyn Batches> {
        None
    }
}

/// Reads a body to its end, up to a limit; of an answer with a bad status, the status is enough.
async fn collect(mut response: Response) -> Result<Answer, ModelError> {
    let (status, headers) = (response.status(), std::mem::take(response.headers_mut()));
    let limit = if status.is_success() { LARGEST_ANSWER } else { LARGEST_ERROR };
    let mut body = Vec::new();
    loop {
        match response.chunk().await {
            Ok(Some(chunk)) if body.len() + chunk.len() <= limit => body.extend_from_slice(&chunk),
            Ok(None) => break,
            Ok(Some(_)) | Err(_) if !status.is_success() => break,
            Ok(Some(_)) => return Err(failed(ModelErrorKind::Unanswered, "the answer is longer than 64 MB")),
            Err(error) => return Err(broken(&error)),
        }
    }
    Ok(Answer { status: status.as_u16(), headers, body })
}
