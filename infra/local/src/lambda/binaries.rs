//! The real `lambda_runtime` binaries as processes of ours, one invocation at a time each.
//!
//! Guarantee: a process starts with a clean environment, is kept warm while it behaves, and never outlives its call by
//! more than a signal when it fails or times out. When this process is killed its children find their long poll broken
//! and exit by themselves.

use std::collections::HashMap;
use std::path::PathBuf;
use std::process::{ExitStatus, Stdio};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use async_trait::async_trait;
use bytes::Bytes;
use nightshift_engine::Clock;
use tokio::io::{AsyncBufReadExt, AsyncRead, BufReader};
use tokio::process::{Child, Command};
use tracing::{debug, info};

use super::runtime_api::{Instance, Instances, Invocation};
use super::{Context, FunctionError, FunctionHost, FunctionSpec, REGION};

pub(super) struct Binaries {
    dir: PathBuf,
    env: Vec<(String, String)>,
    runtime_api: String,
    instances: Arc<Instances>,
    clock: Arc<dyn Clock>,
    idle: Mutex<HashMap<String, Vec<Process>>>,
}

/// One running binary. Dropping it kills it and closes its path.
struct Process {
    child: Child,
    id: String,
    instance: Arc<Instance>,
    instances: Arc<Instances>,
}

impl Drop for Process {
    fn drop(&mut self) {
        self.instances.remove(&self.id);
    }
}

impl Binaries {
    pub(super) fn new(
        dir: PathBuf,
        env: Vec<(String, String)>,
        runtime_api: &str,
        instances: Arc<Instances>,
        clock: Arc<dyn Clock>,
    ) -> Self {
        let runtime_api = runtime_api.trim_end_matches('/').to_owned();
        Self { dir, env, runtime_api, instances, clock, idle: Mutex::default() }
    }

    fn idle(&self) -> MutexGuard<'_, HashMap<String, Vec<Process>>> {
        self.idle.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// A warm process that is still alive.
    fn take_idle(&self, function: &str) -> Option<Process> {
        let mut idle = self.idle();
        let warm = idle.get_mut(function)?;
        while let Some(mut process) = warm.pop() {
            if matches!(process.child.try_wait(), Ok(None)) {
                return Some(process);
            }
        }
        None
    }

    fn start(&self, spec: &FunctionSpec) -> Result<Process, FunctionError> {
        let id = ulid::Ulid::from_datetime(self.clock.now().into()).to_string();
        let binary = self.dir.join(&spec.name);
        let instance = self.instances.add(&id, &spec.name);
        let started = Command::new(&binary)
            .env_clear()
            .envs(DEFAULTS)
            .envs(self.env.iter().map(|(key, value)| (key, value)))
            // Last, since nobody else may say who the function is (lambda_runtime 1.5 wants the first four).
            .env("AWS_LAMBDA_RUNTIME_API", format!("{}/.rt/{}/{id}", self.runtime_api, spec.name))
            .env("AWS_LAMBDA_FUNCTION_NAME", &spec.name)
            .env("AWS_LAMBDA_FUNCTION_VERSION", "$LATEST")
            .env("AWS_LAMBDA_FUNCTION_MEMORY_SIZE", "256")
            .env("AWS_LAMBDA_LOG_GROUP_NAME", format!("/aws/lambda/{}", spec.name))
            .env("AWS_LAMBDA_LOG_STREAM_NAME", &id)
            // The SDK writes it into its user agent, by which the gate knows who calls.
            .env("AWS_SDK_UA_APP_ID", &spec.name)
            .stdin(Stdio::null())
            .stdout(Stdio::piped())
            .stderr(Stdio::piped())
            .kill_on_drop(true)
            .spawn();
        let mut child = started.map_err(|error| {
            self.instances.remove(&id);
            let message = format!("failed to start {}: {error}", binary.display());
            FunctionError::new("Runtime.InvalidEntrypoint", message)
        })?;
        debug!(function = spec.name, pid = child.id(), "started a process of {}", spec.name);
        if let Some(stdout) = child.stdout.take() {
            tokio::spawn(forward(spec.name.clone(), stdout));
        }
        if let Some(stderr) = child.stderr.take() {
            tokio::spawn(forward(spec.name.clone(), stderr));
        }
        Ok(Process { child, id, instance, instances: self.instances.clone() })
    }
}

/// What the SDK needs to find in order not to ask the instance metadata service; the stack's own values come after.
const DEFAULTS: [(&str, &str); 4] = [
    ("AWS_REGION", REGION),
    ("AWS_DEFAULT_REGION", REGION),
    ("AWS_ACCESS_KEY_ID", "local"),
    ("AWS_SECRET_ACCESS_KEY", "local"),
];

enum Outcome {
    Answered(Result<Bytes, FunctionError>),
    Exited(std::io::Result<ExitStatus>),
    TimedOut,
}

#[async_trait]
impl FunctionHost for Binaries {
    async fn call(&self, spec: &FunctionSpec, payload: Bytes, context: Context) -> Result<Bytes, FunctionError> {
        let mut process = match self.take_idle(&spec.name) {
            Some(process) => process,
            None => self.start(spec)?,
        };
        let Context { request_id, deadline, .. } = context;
        let invocation = Invocation { request_id: request_id.clone(), payload, deadline };
        let answered = process.instance.hand_over(invocation);
        let outcome = tokio::select! {
            biased;
            Ok(answer) = answered => Outcome::Answered(answer),
            status = process.child.wait() => Outcome::Exited(status),
            () = self.clock.alarm(deadline) => Outcome::TimedOut,
        };
        match outcome {
            Outcome::Answered(answer) => {
                self.idle().entry(spec.name.clone()).or_default().push(process);
                answer
            }
            Outcome::Exited(status) => {
                let how = match status {
                    Ok(status) => {
                        status.code().map_or_else(|| status.to_string(), |code| format!("exit status {code}"))
                    }
                    Err(error) => error.to_string(),
                };
                let message = format!("RequestId: {request_id} Error: Runtime exited with error: {how}");
                Err(FunctionError::new("Runtime.ExitError", message))
            }
            Outcome::TimedOut => {
                // An error means that it has exited already.
                let _ = process.child.kill().await;
                Err(FunctionError::timed_out(spec))
            }
        }
    }

    async fn shutdown(&self) {
        let warm: Vec<Process> = self.idle().drain().flat_map(|(_, processes)| processes).collect();
        for mut process in warm {
            // An error means that it has exited already.
            let _ = process.child.kill().await;
        }
    }
}

/// Passes a process's output on, a line at a time, until it ends.
async fn forward(function: String, output: impl AsyncRead + Unpin) {
    let mut lines = BufReader::new(output).split(b'\n');
    while let Ok(Some(line)) = lines.next_segment().await {
        info!(target: "function", function, "{}", String::from_utf8_lossy(&line).trim_end());
    }
}

#[cfg(test)]
mod tests {
    use super::super::{Host, InvokeError, Lambda};
    use super::*;
    use crate::state::StateDb;
    use chrono::TimeDelta;
    use nightshift_engine::SystemClock;

    /// Calls a function that is a shell script and has half a second.
    async fn call_script(script: Option<&str>) -> Result<Result<Bytes, FunctionError>, InvokeError> {
        let dir = tempfile::tempdir().unwrap();
        if let Some(script) = script {
            // Written by another process: a writable handle of ours, inherited by a child that another test just
            // forked, would make the script "busy".
            let write = r#"printf '#!/bin/sh\n%s\n' "$1" > "$0" && chmod 755 "$0""#;
            let path = dir.path().join("nightshift-script");
            let written =
                std::process::Command::new("/bin/sh").args(["-c", write]).arg(path).arg(script).status().unwrap();
            assert!(written.success());
        }
        let spec = FunctionSpec {
            name: "nightshift-script".to_owned(),
            timeout: TimeDelta::milliseconds(500),
            concurrency: 1,
        };
        let host = Host::Binaries { dir: dir.path().to_owned(), env: vec![("GIVEN".to_owned(), "7".to_owned())] };
        let state = StateDb::memory().unwrap();
        let lambda = Lambda::open(state, Arc::new(SystemClock), vec![spec], host, "http://127.0.0.1:1".to_owned())
            .await
            .unwrap();
        let answer = lambda.invoke("nightshift-script", Bytes::new()).await;
        lambda.shutdown().await;
        answer
    }

    #[tokio::test]
    async fn a_process_that_exits_during_a_call_is_an_exit_error() {
        // Its status tells that the given environment is there and ours is not.
        let error = call_script(Some("[ -z \"$HOME\" ] && exit $GIVEN")).await.unwrap().unwrap_err();
        assert_eq!(error.error_type, "Runtime.ExitError");
        assert!(error.message.ends_with("Runtime exited with error: exit status 7"), "{error}");
    }

    #[tokio::test]
    async fn a_process_that_never_answers_is_killed_at_the_deadline() {
        let error = call_script(Some("exec /bin/sleep 600")).await.unwrap().unwrap_err();
        assert_eq!(error, FunctionError::new("Sandbox.Timedout", "Task timed out after 0.50 seconds"));
    }

    #[tokio::test]
    async fn a_binary_that_is_not_there_is_named() {
        let error = call_script(None).await.unwrap().unwrap_err();
        assert_eq!(error.error_type, "Runtime.InvalidEntrypoint");
        assert!(error.message.contains("nightshift-script"), "{error}");
    }
}
