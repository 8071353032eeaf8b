//! The fake over HTTP, as its clients meet it: headers, life cycle, faults, and what is left after a restart.

#![expect(clippy::unwrap_used, reason = "a test that cannot go on panics")]

mod batches;
mod cache;
mod durability;
mod envelope;
mod faults;
mod hops;
mod mcp;
mod replies;
mod streams;

use std::collections::BTreeMap;
use std::path::Path;
use std::sync::Arc;

use chrono::{DateTime, TimeDelta, Utc};
use nightshift_engine::ManualClock;
use nightshift_fake_anthropic::{Fake, Options, Script};
use reqwest::{Method, RequestBuilder, Response};
use serde_json::{Value, json};

/// A fake on a manual clock behind a real socket.
struct Stand {
    clock: ManualClock,
    fake: Fake,
    url: String,
    client: reqwest::Client,
}

/// A read answer.
#[derive(Debug)]
struct Answer {
    status: u16,
    headers: http::HeaderMap,
    body: Value,
}

fn start() -> DateTime<Utc> {
    DateTime::from_timestamp(1_795_219_200, 0).unwrap()
}

impl Stand {
    async fn new() -> Self {
        Self::open(ManualClock::new(start()), None).await
    }

    async fn open(clock: ManualClock, state_dir: Option<&Path>) -> Self {
        let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await.unwrap();
        let url = format!("http://{}", listener.local_addr().unwrap());
        let options = Options {
            clock: Arc::new(clock.clone()),
            state_dir: state_dir.map(Path::to_path_buf),
            base_url: url.clone(),
            mcp_origins: BTreeMap::new(),
        };
        let fake = Fake::open(options).unwrap();
        let router = fake.router();
        tokio::spawn(async move { axum::serve(listener, router).await });
        let client = reqwest::Client::builder().no_proxy().build().unwrap();
        Self { clock, fake, url, client }
    }

    #[expect(clippy::needless_pass_by_value, reason = "every caller makes it on the spot")]
    fn script(&self, script: Value) {
        self.fake.script(Script::from_json(&script.to_string()).unwrap()).unwrap();
    }

    fn advance_ms(&self, ms: i64) {
        self.clock.advance(TimeDelta::milliseconds(ms));
    }

    /// A request without any of the headers the API wants.
    fn bare(&self, method: Method, path: &str) -> RequestBuilder {
        self.client.request(method, format!("{}{path}", self.url))
    }

    fn request(&self, method: Method, path: &str) -> RequestBuilder {
        self.bare(method, path).bearer_auth("sk-ant-api03-test").header("anthropic-version", "2026-10-21")
    }

    async fn get(&self, path: &str) -> Answer {
        read(self.request(Method::GET, path).send().await.unwrap()).await
    }

    async fn delete(&self, path: &str) -> Answer {
        read(self.request(Method::DELETE, path).send().await.unwrap()).await
    }

    async fn post(&self, path: &str, body: &Value) -> Answer {
        read(self.request(Method::POST, path).json(body).send().await.unwrap()).await
    }

    async fn create(&self, rows: usize) -> String {
        let answer = self.post("/v1/messages/batches", &batch(rows)).await;
        assert_eq!(answer.status, 200, "{answer:?}");
        answer.body["id"].as_str().unwrap().to_owned()
    }

    async fn retrieve(&self, id: &str) -> Value {
        self.get(&format!("/v1/messages/batches/{id}")).await.body
    }

    /// The result lines, in the order they came.
    async fn results(&self, id: &str) -> Vec<Value> {
        let path = format!("/v1/messages/batches/{id}/results");
        let response = self.request(Method::GET, &path).send().await.unwrap();
        assert_eq!(response.status(), 200);
        assert_eq!(response.headers()["content-type"], "application/x-jsonl");
        response.text().await.unwrap().lines().map(|line| serde_json::from_str(line).unwrap()).collect()
    }
}

async fn read(response: Response) -> Answer {
    let (status, headers) = (response.status().as_u16(), response.headers().clone());
    let text = response.text().await.unwrap();
    let body = serde_json::from_str(&text).unwrap_or_else(|_| json!({ "text": text }));
    Answer { status, headers, body }
}

/// Parameters whose user text is `text`.
fn params(text: &str) -> Value {
    json!({"model": "claude-opus-5-5", "max_tokens": 1000, "messages": [{"role": "user", "content": text}]})
}

#[expect(clippy::needless_pass_by_value, reason = "most callers make them on the spot")]
fn row(custom_id: &str, params: Value) -> Value {
    json!({"custom_id": custom_id, "params": params})
}

/// A create call with rows `r0`, `r1`, …, each asking `ask 0`, `ask 1`, ….
fn batch(rows: usize) -> Value {
    let rows: Vec<Value> = (0..rows).map(|n| row(&format!("r{n}"), params(&format!("ask {n}")))).collect();
    json!({ "requests": rows })
}

/// The result of the row, among result lines.
fn result<'a>(lines: &'a [Value], custom_id: &str) -> &'a Value {
    &lines.iter().find(|line| line["custom_id"] == custom_id).unwrap()["result"]
}
