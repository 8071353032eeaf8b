//! The table: dynoxide on a SQLite file, behind a small reverse proxy of ours.
//!
//! The proxy is where the gate stands, so that the calls of every function host are logged and broken alike. Expired rows
//! are removed by us, through the API and on the stack's clock: dynoxide's own sweep follows the machine's clock and would
//! delete live rows under a manual one.

use std::collections::HashMap;
use std::path::Path;
use std::sync::Arc;

use anyhow::Context as _;
use aws_sdk_dynamodb::types::AttributeValue;
use axum::Router;
use axum::body::{Body, to_bytes};
use axum::extract::{Request, State};
use axum::http::{Response, StatusCode};
use axum::routing::any;
use chrono::TimeDelta;
use nightshift_engine::Clock;
use tokio::sync::oneshot;
use tracing::{debug, warn};

/// DynamoDB's own limit of a request.
const REQUEST_MAX: usize = 17 * 1024 * 1024;
/// How often expired rows are removed. DynamoDB takes days (Time to Live developer guide); readers filter in between.
const SWEEP_EVERY: TimeDelta = TimeDelta::hours(1);

/// The embedded table's server, on a loopback port of its own.
#[derive(Debug)]
pub(crate) struct Table {
    address: String,
    http: reqwest::Client,
    stop: Option<oneshot::Sender<()>>,
}

impl Table {
    /// Opens the file (or a table that goes with the process) and serves it.
    pub(crate) async fn open(path: Option<&Path>) -> anyhow::Result<Self> {
        let database = match path {
            Some(path) => {
                let path = path.to_str().context("the state folder's path is not Unicode")?;
                dynoxide::Database::new(path)
            }
            None => dynoxide::Database::memory(),
        }
        .map_err(|error| anyhow::anyhow!("the table cannot be opened: {error}"))?;
        let listener = tokio::net::TcpListener::bind(("127.0.0.1", 0)).await?;
        let address = format!("http://{}", listener.local_addr()?);
        let (stop, stopped) = oneshot::channel::<()>();
        tokio::spawn(dynoxide::server::serve_with_shutdown(listener, database, async move {
            // A dropped sender stops the server too.
            let _ = stopped.await;
        }));
        Ok(Self { address, http: reqwest::Client::new(), stop: Some(stop) })
    }

    /// The proxy's routes.
    pub(crate) fn router(&self) -> Router {
        let upstream = Arc::new((self.address.clone(), self.http.clone()));
        Router::new().fallback(any(forward)).with_state(upstream)
    }

    /// Where the server itself answers, past the gate.
    pub(crate) fn address(&self) -> &str {
        &self.address
    }
}

impl Drop for Table {
    fn drop(&mut self) {
        if let Some(stop) = self.stop.take() {
            let _ = stop.send(());
        }
    }
}

async fn forward(State(upstream): State<Arc<(String, reqwest::Client)>>, request: Request) -> Response<Body> {
    let (address, http) = upstream.as_ref();
    let (parts, body) = request.into_parts();
    let Ok(body) = to_bytes(body, REQUEST_MAX).await else {
        return status(StatusCode::PAYLOAD_TOO_LARGE);
    };
    let mut headers = parts.headers;
    headers.remove("host");
    headers.remove("content-length");
    let sent = http.request(parts.method, format!("{address}{}", parts.uri)).headers(headers).body(body).send().await;
    let Ok(answer) = sent else { return status(StatusCode::BAD_GATEWAY) };
    let mut response = Response::builder().status(answer.status());
    for (name, value) in answer.headers().iter().filter(|(name, _)| *name != "transfer-encoding") {
        response = response.header(name, value);
    }
    let Ok(body) = answer.bytes().await else { return status(StatusCode::BAD_GATEWAY) };
    response.body(Body::from(body)).unwrap_or_else(|_| status(StatusCode::BAD_GATEWAY))
}

fn status(code: StatusCode) -> Response<Body> {
    let mut response = Response::new(Body::empty());
    *response.status_mut() = code;
    response
}

/// Removes expired rows every hour of `clock`.
pub(crate) async fn sweep_expired(client: aws_sdk_dynamodb::Client, table: String, clock: Arc<dyn Clock>) {
    loop {
        clock.alarm(clock.now() + SWEEP_EVERY).await;
        match sweep_once(&client, &table, clock.now().timestamp()).await {
            Ok(0) => {}
            Ok(removed) => debug!("{removed} expired rows are gone"),
            Err(error) => warn!("expired rows could not be removed: {error:#}"),
        }
    }
}

async fn sweep_once(client: &aws_sdk_dynamodb::Client, table: &str, now: i64) -> anyhow::Result<u64> {
    let mut removed = 0;
    let mut from: Option<HashMap<String, AttributeValue>> = None;
    loop {
        // This is the table's side of the fence, where a scan is what the real service does.
        let page = client
            .scan()
            .table_name(table)
            .filter_expression("#ttl < :now")
            .projection_expression("PK, SK")
            .expression_attribute_names("#ttl", "ttl")
            .expression_attribute_values(":now", AttributeValue::N(now.to_string()))
            .set_exclusive_start_key(from)
            .send()
            .await?;
        for key in page.items.unwrap_or_default() {
            let deleted = client
                .delete_item()
                .table_name(table)
                .set_key(Some(key))
                .condition_expression("#ttl < :now")
                .expression_attribute_names("#ttl", "ttl")
                .expression_attribute_values(":now", AttributeValue::N(now.to_string()))
                .send()
                .await;
            removed += u64::from(deleted.is_ok());
        }
        from = page.last_evaluated_key;
        if from.is_none() {
            return Ok(removed);
        }
    }
}
