//! A little web of pages and receivers, for tools: plain, huge, slow, broken.

use std::sync::{Arc, Mutex, PoisonError};

use axum::Router;
use axum::extract::State;
use axum::http::{HeaderMap, StatusCode};
use axum::response::{Html, IntoResponse};
use axum::routing::{get, post};
use chrono::TimeDelta;
use nightshift_engine::Clock;

/// Until when a manual clock may pass over `/slow`, which never answers: longer than a tool may take, and shorter than the
/// lease of the run that waits for it. From then on time stands still until the tool was given up.
const SLOW: TimeDelta = TimeDelta::seconds(65);
/// The length of `/huge`, bytes.
pub const HUGE: usize = 5 * 1024 * 1024;

/// A post that arrived.
#[derive(Debug, Clone)]
pub struct Posted {
    /// Its body.
    pub body: String,
    /// Its headers.
    pub headers: HeaderMap,
}

/// The pages. Clones share what arrived.
#[derive(Debug, Clone)]
pub struct Pages {
    /// Their address.
    pub url: String,
    clock: Arc<dyn Clock>,
    posted: Arc<Mutex<Vec<Posted>>>,
}

impl Pages {
    /// Serves them on a free port; the slow ones wait on `clock`.
    pub async fn serve(clock: Arc<dyn Clock>) -> Self {
        let listener = tokio::net::TcpListener::bind(("127.0.0.1", 0)).await.expect("a loopback port is free");
        let url = format!("http://{}", listener.local_addr().expect("a bound port has an address"));
        let pages = Self { url, clock, posted: Arc::default() };
        let router = Router::new()
            .route("/note", get(|| async { "The harbour is closed on Friday." }))
            .route("/page", get(|| async { Html("<h1>News</h1><p>Rain &amp; wind.</p><script>no()</script>") }))
            .route("/huge", get(|| async { "x".repeat(HUGE) }))
            .route("/gone", get(|| async { (StatusCode::NOT_FOUND, "nothing here") }))
            .route("/slow", get(slow))
            .route("/hook", post(hook))
            .with_state(pages.clone());
        tokio::spawn(async move { axum::serve(listener, router).await });
        pages
    }

    /// What was posted to `/hook` so far, in order.
    pub fn posted(&self) -> Vec<Posted> {
        self.posted.lock().unwrap_or_else(PoisonError::into_inner).clone()
    }
}

async fn slow(State(pages): State<Pages>) -> &'static str {
    let until = pages.clock.now() + SLOW;
    pages.clock.sleep_until(until).await;
    std::future::pending().await
}

async fn hook(State(pages): State<Pages>, headers: HeaderMap, body: String) -> impl IntoResponse {
    let mut posted = pages.posted.lock().unwrap_or_else(PoisonError::into_inner);
    posted.push(Posted { body, headers });
    format!("taken as number {}", posted.len())
}
