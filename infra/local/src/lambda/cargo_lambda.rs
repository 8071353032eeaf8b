//! `cargo lambda watch` as the host, for a developer who wants its view of the functions.
//!
//! Guarantee: what that server lacks is made up for here: bare function names, function errors that it sends as plain
//! 500s, and a bound on its answers, which never come when a function's process has died. After such a call a server that
//! we started is started afresh as soon as nothing runs on it. It listens on loopback only. What it cannot do: end the
//! server when we are killed with -9; the next start uses that one, with the environment and the losses it has.

use std::path::PathBuf;
use std::process::Stdio;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};

use anyhow::Context as _;
use async_trait::async_trait;
use bytes::Bytes;
use chrono::TimeDelta;
use nightshift_engine::Clock;
use nightshift_engine::clock::timeout;
use tokio::io::{AsyncBufReadExt, AsyncRead, BufReader};
use tokio::net::TcpStream;
use tokio::process::{Child, Command};
use tokio::sync::RwLock;
use tracing::{info, warn};

use super::{Context, FunctionError, FunctionHost, FunctionSpec, REGION};

/// How long the server may take to listen; it compiles nothing before the first call.
const START: TimeDelta = TimeDelta::seconds(30);
/// How long it may take to end its functions after SIGTERM.
const STOP: TimeDelta = TimeDelta::seconds(5);

/// Processes per function. Each is a `cargo run` of its own, and they wait for each other's build lock, so a high number
/// makes the first call slow.
pub(super) const CONCURRENCY: usize = 2;

/// What `cargo lambda watch` is started with.
pub(super) struct Watch {
    pub(super) project: PathBuf,
    pub(super) cargo_lambda: PathBuf,
    pub(super) port: u16,
    pub(super) env: Vec<(String, String)>,
    pub(super) concurrency: usize,
}

pub(super) struct CargoLambda {
    watch: Watch,
    client: reqwest::Client,
    clock: Arc<dyn Clock>,
    /// Whether the server is ours to stop and start.
    ours: bool,
    /// The server, when it is ours. Held for reading by every call, for writing while it is started afresh.
    server: RwLock<Option<Child>>,
    /// A call was never answered, so the server has lost at least one process for good (1.9.2).
    maimed: AtomicBool,
}

impl CargoLambda {
    /// Uses the server on the port, or starts one and waits until it listens.
    pub(super) async fn start(watch: Watch, clock: Arc<dyn Clock>) -> anyhow::Result<Self> {
        // Retried, a call would run the function twice.
        let client = reqwest::Client::builder().no_proxy().retry(reqwest::retry::never()).build()?;
        let port = watch.port;
        let server = if listens(port).await {
            info!(port, "using the cargo lambda watch on port {port}");
            None
        } else {
            Some(watch.start(clock.as_ref()).await?)
        };
        Ok(Self {
            watch,
            client,
            clock,
            ours: server.is_some(),
            server: RwLock::new(server),
            maimed: AtomicBool::new(false),
        })
    }

    /// Replaces a server of ours that has lost processes, unless something runs on it.
    async fn mend(&self) -> anyhow::Result<()> {
        if !self.ours || !self.maimed.load(Ordering::Relaxed) {
            return Ok(());
        }
        let Ok(mut server) = self.server.try_write() else { return Ok(()) };
        warn!("starting cargo lambda watch afresh: a call was never answered");
        // Absent when the last try to start it failed.
        if let Some(old) = server.take() {
            stop(old, self.clock.as_ref()).await;
        }
        *server = Some(self.watch.start(self.clock.as_ref()).await?);
        self.maimed.store(false, Ordering::Relaxed);
        Ok(())
    }
}

/// Ends the server and its functions, each of which it gave a process group of its own and ends only on SIGTERM.
async fn stop(mut server: Child, clock: &dyn Clock) {
    if let Some(pid) = server.id() {
        // An error means that it has exited already, as below.
        let _ = Command::new("kill").args(["-TERM", &pid.to_string()]).status().await;
    }
    if timeout(clock, clock.now() + STOP, server.wait()).await.is_none() {
        let _ = server.kill().await;
    }
}

async fn listens(port: u16) -> bool {
    TcpStream::connect(("127.0.0.1", port)).await.is_ok()
}

/// What cargo and rustup need of the user's environment; the functions see it too, and nothing else of it.
const TOOLCHAIN: [&str; 10] = [
    "PATH",
    "HOME",
    "CARGO_HOME",
    // It is part of what cargo takes for another build: with another one, all would be built anew.
    "CARGO_INCREMENTAL",
    "CARGO_TARGET_DIR",
    "RUSTUP_HOME",
    "RUSTUP_TOOLCHAIN",
    "RUSTFLAGS",
    "TMPDIR",
    "LANG",
];

/// Dummy credentials, and no way to the files that may hold real ones.
const DEFAULTS: [(&str, &str); 6] = [
    ("AWS_REGION", REGION),
    ("AWS_DEFAULT_REGION", REGION),
    ("AWS_ACCESS_KEY_ID", "local"),
    ("AWS_SECRET_ACCESS_KEY", "local"),
    ("AWS_CONFIG_FILE", "/dev/null"),
    ("AWS_SHARED_CREDENTIALS_FILE", "/dev/null"),
];

impl Watch {
    fn arguments(&self) -> Vec<String> {
        // Never `--timeout`: it also cuts the functions' long poll, and an idle function dies of it (1.9.2).
        let arguments = ["lambda", "watch", "--ignore-changes", "-A", "127.0.0.1", "-P"];
        let mut arguments: Vec<String> = arguments.into_iter().map(str::to_owned).collect();
        arguments.extend([self.port.to_string(), "--concurrency".to_owned(), self.concurrency.to_string()]);
        arguments
    }

    async fn start(&self, clock: &dyn Clock) -> anyhow::Result<Child> {
        let mut server = self.spawn().with_context(|| format!("failed to start {}", self.cargo_lambda.display()))?;
        let deadline = clock.now() + START;
        while !listens(self.port).await {
            if let Some(status) = server.try_wait()? {
                anyhow::bail!("cargo lambda watch ended before it listened: {status}");
            }
            anyhow::ensure!(clock.now() < deadline, "cargo lambda watch did not listen on port {} in time", self.port);
            clock.sleep_until(clock.now() + TimeDelta::milliseconds(50)).await;
        }
        Ok(server)
    }

    /// The environment goes by inheritance, not by `--env-file`: that file's parser (1.9.2) refuses a JSON value, and a
    /// secret would lie on the disk.
    fn spawn(&self) -> std::io::Result<Child> {
        let inherited = TOOLCHAIN.iter().filter_map(|name| Some((*name, std::env::var_os(name)?)));
        let mut child = Command::new(&self.cargo_lambda)
            .args(self.arguments())
            .current_dir(&self.project)
            .env_clear()
            .envs(inherited)
            .envs(DEFAULTS)
            .envs(self.env.iter().map(|(key, value)| (key, value)))
            .stdin(Stdio::null())
            .stdout(Stdio::piped())
            .stderr(Stdio::piped())
            .kill_on_drop(true)
            .spawn()?;
        if let Some(stdout) = child.stdout.take() {
            tokio::spawn(forward(stdout));
        }
        if let Some(stderr) = child.stderr.take() {
            tokio::spawn(forward(stderr));
        }
        Ok(child)
    }
}

#[async_trait]
impl FunctionHost for CargoLambda {
    async fn call(&self, spec: &FunctionSpec, payload: Bytes, context: Context) -> Result<Bytes, FunctionError> {
        if let Err(error) = self.mend().await {
            return Err(FunctionError::new("Runtime.ExitError", format!("{error:#}")));
        }
        let _in_use = self.server.read().await;
        let url = format!("http://127.0.0.1:{}/2015-03-31/functions/{}/invocations", self.watch.port, spec.name);
        let call = async {
            let response =
                self.client.post(url).header("content-type", "application/json").body(payload).send().await?;
            let status = response.status();
            Ok::<_, reqwest::Error>((status, response.bytes().await?))
        };
        match timeout(self.clock.as_ref(), context.deadline, call).await {
            Some(Ok((status, body))) if status.is_success() => Ok(body),
            Some(Ok((status, body))) => Err(function_error(status, &body)),
            Some(Err(error)) => {
                let message = format!("cargo lambda watch did not answer: {error}");
                Err(FunctionError::new("Runtime.ExitError", message))
            }
            None => {
                self.maimed.store(true, Ordering::Relaxed);
                if !self.ours {
                    warn!(function = spec.name, "cargo lambda watch lost a process; it is not ours to start afresh");
                }
                Err(FunctionError::timed_out(spec))
            }
        }
    }

    async fn shutdown(&self) {
        if let Some(server) = self.server.write().await.take() {
            stop(server, self.clock.as_ref()).await;
        }
    }
}

/// A function error comes as 500 `{"errorType","errorMessage"}`, the server's own failure as `{"title","detail"}`.
fn function_error(status: reqwest::StatusCode, body: &[u8]) -> FunctionError {
    if let Ok(error) = serde_json::from_slice::<FunctionError>(body) {
        return error;
    }
    let own: serde_json::Value = serde_json::from_slice(body).unwrap_or_default();
    let kind = own["title"].as_str().map_or_else(|| "Unhandled".to_owned(), |title| title.replace(' ', ""));
    let said = own["detail"].as_str().map_or_else(|| String::from_utf8_lossy(body).into_owned(), str::to_owned);
    FunctionError::new(kind, format!("cargo lambda watch answered {status}: {said}"))
}

async fn forward(output: impl AsyncRead + Unpin) {
    let mut lines = BufReader::new(output).split(b'\n');
    while let Ok(Some(line)) = lines.next_segment().await {
        info!(target: "function", "{}", String::from_utf8_lossy(&line).trim_end());
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_plain_500_becomes_the_functions_error_and_the_servers_own_failures_are_told_apart() {
        let status = reqwest::StatusCode::INTERNAL_SERVER_ERROR;
        let own = function_error(status, br#"{"errorType":"Probe.Failed","errorMessage":"told to"}"#);
        assert_eq!(own, FunctionError::new("Probe.Failed", "told to"));
        let missing = br#"{"detail":"that function doesn't exist","title":"Missing function"}"#;
        let servers = function_error(reqwest::StatusCode::NOT_FOUND, missing);
        assert_eq!(servers.error_type, "Missingfunction");
        assert!(servers.message.contains("that function doesn't exist"), "{servers}");
    }

    #[test]
    fn watch_is_bound_to_loopback_and_given_no_timeout() {
        let watch = Watch {
            project: PathBuf::new(),
            cargo_lambda: PathBuf::new(),
            port: 9000,
            env: Vec::new(),
            concurrency: 4,
        };
        assert_eq!(watch.arguments().join(" "), "lambda watch --ignore-changes -A 127.0.0.1 -P 9000 --concurrency 4");
    }
}
