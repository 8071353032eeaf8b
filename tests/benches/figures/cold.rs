//! Cold starts: how long each function takes from the start of its process until it asks for work, and how long its first
//! invocation takes then, beside the least that a function in Rust can be.
//!
//! The Runtime API is a few lines here, so that nothing but the function is measured (Lambda, "Building a custom runtime").
//! The table, timers and model are those of the local stack, on the same machine: on AWS the network and TLS come on top.

use std::path::{Path, PathBuf};
use std::process::Stdio;
use std::sync::Arc;
use std::time::Duration;

use anyhow::{Context as _, ensure};
use axum::Router;
use axum::extract::State;
use axum::http::{HeaderMap, HeaderName, HeaderValue, Method, StatusCode, Uri};
use axum::response::{IntoResponse as _, Response};
use axum::routing::{get, post};
use chrono::TimeDelta;
use nightshift_boot::Environment;
use nightshift_engine::{Clock as _, SystemClock, clock};
use nightshift_local::Ready;
use nightshift_local::lambda::http_event;
use nightshift_tests::process::program;
use serde_json::{Value, json};
use tokio::process::Command;
use tokio::sync::{Mutex, mpsc};

use crate::memory::resident_kib;
use crate::stopwatch::{Stopwatch, median};
use crate::table::{Table, millis, ratio, say};

/// How often each function is started.
const TIMES: usize = 20;
/// How long one may take to ask for work, and to do it.
const PATIENCE: TimeDelta = TimeDelta::seconds(30);
/// The functions, the least one first.
const HELLO: &str = "hello-lambda";
const FUNCTIONS: [&str; 6] = ["api", "trigger", "poll", "deliver", "heartbeat", "tools"];

/// What a function did.
#[derive(Debug, PartialEq, Eq)]
enum Did {
    Asked,
    Answered { well: bool },
}

/// One end of the Runtime API.
struct Runtime {
    did: mpsc::UnboundedSender<Did>,
    /// The one event there is; whoever asks a second time waits for ever.
    event: Mutex<Option<Value>>,
}

/// Measures and prints.
pub(crate) async fn measure(ready: &Ready) -> anyhow::Result<()> {
    let title = format!("Cold starts of the release binaries, {TIMES} of each, medians");
    let heads = ["", "init", "first invocation", "together", "to hello", "memory", "bootstrap", "zipped"];
    let mut table = Table::new(title, &heads);
    let mut least = Duration::ZERO;
    for name in std::iter::once(HELLO).chain(FUNCTIONS) {
        let binary = place(name);
        if !binary.is_file() {
            say(&format!("{} is not built: `make bench` builds it", binary.display()));
            return Ok(());
        }
        let (mut inits, mut firsts, mut memory) = (Vec::new(), Vec::new(), 0);
        for _ in 0..TIMES {
            let start = start(ready, name, &binary).await?;
            inits.push(start.init);
            firsts.push(start.first);
            memory = memory.max(start.resident_kib);
        }
        inits.sort_unstable();
        firsts.sort_unstable();
        let (init, first) = (median(&inits), median(&firsts));
        if least.is_zero() {
            least = init + first;
        }
        let together = ratio((init + first).as_secs_f64(), least.as_secs_f64());
        table.row(vec![
            name.to_owned(),
            millis(init),
            millis(first),
            millis(init + first),
            together,
            format!("{} MiB", memory / 1024),
            megabytes(std::fs::metadata(&binary)?.len()),
            megabytes(zipped(&binary).await?),
        ]);
    }
    table.print();
    Ok(())
}

/// The release build, beside the bench's own.
fn place(name: &str) -> PathBuf {
    if name == HELLO { program("examples").join(name) } else { program(&format!("nightshift-{name}")) }
}

struct Start {
    init: Duration,
    first: Duration,
    resident_kib: u64,
}

async fn start(ready: &Ready, name: &str, binary: &Path) -> anyhow::Result<Start> {
    let (did, mut told) = mpsc::unbounded_channel();
    let runtime = Arc::new(Runtime { did, event: Mutex::new(Some(event(name))) });
    let router = Router::new()
        .route("/2018-06-01/runtime/invocation/next", get(next))
        .route("/2018-06-01/runtime/invocation/{id}/{outcome}", post(answer))
        .with_state(runtime);
    let listener = tokio::net::TcpListener::bind(("127.0.0.1", 0)).await?;
    let address = listener.local_addr()?.to_string();
    let server = tokio::spawn(async move { axum::serve(listener, router).await });

    let mut command = Command::new(binary);
    command.env_clear().envs(environment(ready, name, &address)).kill_on_drop(true);
    command.stdin(Stdio::null()).stdout(Stdio::null()).stderr(Stdio::null());
    let watch = Stopwatch::start();
    let mut child = command.spawn().with_context(|| format!("{} does not start", binary.display()))?;
    let clock = SystemClock;
    let mut heard = async || clock::timeout(&clock, clock.now() + PATIENCE, told.recv()).await.flatten();
    let asked = heard().await;
    let init = watch.elapsed();
    ensure!(asked == Some(Did::Asked), "{name} did not ask for work: {asked:?}");
    let answered = heard().await;
    let whole = watch.elapsed();
    ensure!(answered == Some(Did::Answered { well: true }), "{name} did not answer well: {answered:?}");
    let resident_kib = child.id().and_then(resident_kib).unwrap_or(0);
    child.kill().await?;
    server.abort();
    Ok(Start { init, first: whole.saturating_sub(init), resident_kib })
}

/// What a function is started with on AWS, as far as it looks at it, with the endpoints of the stack.
fn environment(ready: &Ready, name: &str, address: &str) -> Vec<(String, String)> {
    let mut settings = Environment::local("http://127.0.0.1:9", &std::env::temp_dir());
    settings.model.base_url = Some(ready.anthropic_url.clone());
    let mut all = settings.variables();
    let own = [
        ("AWS_LAMBDA_RUNTIME_API", address),
        ("AWS_LAMBDA_FUNCTION_NAME", name),
        ("AWS_LAMBDA_FUNCTION_VERSION", "$LATEST"),
        ("AWS_LAMBDA_FUNCTION_MEMORY_SIZE", "256"),
        ("AWS_LAMBDA_LOG_GROUP_NAME", "bench"),
        ("AWS_LAMBDA_LOG_STREAM_NAME", "bench"),
        ("AWS_REGION", "us-east-1"),
        ("AWS_ACCESS_KEY_ID", "local"),
        ("AWS_SECRET_ACCESS_KEY", "local"),
        ("AWS_ENDPOINT_URL_DYNAMODB", &ready.dynamodb_url),
        ("AWS_ENDPOINT_URL_SCHEDULER", &ready.scheduler_url),
        ("AWS_ENDPOINT_URL_LAMBDA", &ready.lambda_url),
    ];
    all.extend(own.map(|(name, value)| (name.to_owned(), value.to_owned())));
    all
}

/// A first event that reads the table at least, and finds nothing to do.
fn event(name: &str) -> Value {
    let run = "nobody_20261120T070000Z";
    match name {
        "api" => request("/v1/cron.status"),
        "tools" => request("/mcp"),
        "trigger" => json!({ "v": 1, "k": "resume", "r": run }),
        "deliver" => json!({ "v": 1, "k": "deliver", "r": run }),
        "poll" => json!({ "v": 1, "k": "sweep" }),
        "heartbeat" => json!({ "v": 1, "k": "heartbeat", "a": "main" }),
        _ => json!({}),
    }
}

fn request(path: &str) -> Value {
    let headers = [("content-type", "application/json"), ("authorization", "Bearer ns1.none")];
    let headers = headers.map(|(name, value)| (HeaderName::from_static(name), HeaderValue::from_static(value)));
    http_event(&Method::POST, path, None, &HeaderMap::from_iter(headers), b"{}", SystemClock.now())
}

async fn next(State(runtime): State<Arc<Runtime>>) -> Response {
    let Some(event) = runtime.event.lock().await.take() else { return std::future::pending().await };
    let _ = runtime.did.send(Did::Asked);
    let headers = [
        ("lambda-runtime-aws-request-id", "8476a536-e9f4-11e8-9739-2dfe598c3fcd"),
        ("lambda-runtime-deadline-ms", "4102444800000"),
        ("lambda-runtime-invoked-function-arn", "arn:aws:lambda:us-east-1:000000000000:function:bench"),
        ("lambda-runtime-trace-id", "Root=1-5bef4de7-ad49b0e87f6ef6c87fc2e700"),
    ];
    (headers, event.to_string()).into_response()
}

async fn answer(State(runtime): State<Arc<Runtime>>, uri: Uri) -> StatusCode {
    let _ = runtime.did.send(Did::Answered { well: uri.path().ends_with("/response") });
    StatusCode::ACCEPTED
}

/// The size of what is uploaded: a zip holds the same bytes as gzip makes of them, and a few more.
async fn zipped(binary: &Path) -> anyhow::Result<u64> {
    let output = Command::new("gzip").arg("-9c").arg(binary).output().await.context("gzip is not there")?;
    Ok(output.stdout.len() as u64)
}

#[expect(clippy::cast_precision_loss, reason = "no function has 2^53 bytes")]
fn megabytes(bytes: u64) -> String {
    format!("{:.2} MB", bytes as f64 / 1e6)
}
