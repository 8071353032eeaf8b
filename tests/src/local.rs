//! A stack in the test's own process, on a manual clock, and a client of its API.

use std::sync::Arc;

use chrono::{DateTime, TimeDelta, Utc};
use nightshift_local::gate::{Action, Fault, When};
use nightshift_local::{Options, Stack};
use serde_json::{Value, json};
use tempfile::TempDir;

/// When every test's clock starts: a Friday morning, far from any change of clocks.
pub fn start() -> DateTime<Utc> {
    "2026-11-20T06:00:00Z".parse().expect("a literal instant parses")
}

/// How often the sweep comes.
pub const SWEEP_MINUTES: i64 = 15;

/// Whether a run has ended, and its answer was delivered or given up.
pub fn is_over(run: &Value) -> bool {
    !run["status"].is_null() && !run["deliveryStatus"].is_null()
}

/// A stack and its folder.
pub struct Local {
    /// The stack.
    pub stack: Stack,
    http: reqwest::Client,
    /// Goes with the test.
    pub dir: Arc<TempDir>,
}

/// An answer of the API.
#[derive(Debug)]
pub struct Answer {
    /// The status.
    pub status: u16,
    /// The body.
    pub body: Value,
}

impl Local {
    /// Starts a stack on a manual clock with the fake model.
    pub async fn start() -> Self {
        let dir = Arc::new(tempfile::tempdir().expect("a temporary folder can be made"));
        let options = Options::new(dir.path().join("state")).manual(start());
        Self::with(options, dir).await
    }

    /// Starts a stack with other options.
    pub async fn with(options: Options, dir: Arc<TempDir>) -> Self {
        let stack = Stack::start(options).await.expect("the stack starts");
        Self { stack, http: reqwest::Client::new(), dir }
    }

    /// Calls a method of the API with the right token.
    pub async fn call(&self, method: &str, body: &Value) -> Answer {
        let token = self.stack.ready.token.clone();
        self.post(&format!("/v1/{method}"), Some(&token), body.to_string()).await
    }

    /// Calls a method under an idempotency key.
    pub async fn call_under(&self, key: &str, method: &str, body: &Value) -> Answer {
        let request = self.http.post(format!("{}/v1/{method}", self.stack.ready.url)).body(body.to_string());
        let request = request.bearer_auth(&self.stack.ready.token).header("idempotency-key", key);
        Self::sent(request.header("content-type", "application/json")).await
    }

    /// Posts a body to a path of the front.
    pub async fn post(&self, path: &str, token: Option<&str>, body: String) -> Answer {
        let mut request = self.http.post(format!("{}{path}", self.stack.ready.url)).body(body);
        request = request.header("content-type", "application/json");
        if let Some(token) = token {
            request = request.bearer_auth(token);
        }
        Self::sent(request).await
    }

    async fn sent(request: reqwest::RequestBuilder) -> Answer {
        let answer = request.send().await.expect("the front answers");
        let status = answer.status().as_u16();
        let text = answer.text().await.expect("the answer has a body");
        Answer { status, body: serde_json::from_str(&text).unwrap_or(Value::String(text)) }
    }

    /// Calls a method that must succeed.
    pub async fn ok(&self, method: &str, body: &Value) -> Value {
        let answer = self.call(method, body).await;
        assert_eq!(answer.status, 200, "{method} {body}: {}", answer.body);
        answer.body
    }

    /// Adds a job and answers its id.
    pub async fn add(&self, job: &Value) -> String {
        let added = self.ok("cron.add", job).await;
        added["jobId"].as_str().expect("the job has an id").to_owned()
    }

    /// The newest run of a job.
    pub async fn last_run(&self, job: &str) -> Value {
        let runs = self.ok("cron.runs", &json!({ "jobId": job })).await;
        let newest = runs["runs"][0]["runId"].as_str().unwrap_or_else(|| panic!("job {job} has no run: {runs}"));
        self.ok("cron.runGet", &json!({ "runId": newest })).await
    }

    /// Hands an event to a function and waits for its end, as Lambda does with what a timer sends.
    pub async fn invoke(&self, function: &str, event: &Value) {
        let url = format!("{}/2015-03-31/functions/nightshift-{function}/invocations", self.stack.ready.lambda_url);
        let answer = self.http.post(url).body(event.to_string()).send().await.expect("the function host answers");
        let failed = answer.headers().contains_key("x-amz-function-error");
        let text = answer.text().await.expect("the answer has a body");
        assert!(!failed, "{function} {event}: {text}");
        self.stack.settle().await;
    }

    /// Removes a timer behind the product's back.
    pub async fn drop_timer(&self, name: &str) {
        let url = format!("{}/schedules/{name}?groupName=nightshift", self.stack.ready.scheduler_url);
        let answer = self.http.delete(url).send().await.expect("the scheduler answers");
        assert!(answer.status().is_success(), "there is no timer {name}: {}", answer.status());
    }

    /// Moves the clock on.
    pub async fn advance(&self, minutes: i64) {
        self.stack.advance(TimeDelta::minutes(minutes)).await.expect("a manual clock moves");
    }

    /// Moves the clock on until these runs are over, for `minutes` at most, and then past two sweeps, for whatever would come a
    /// second time.
    pub async fn advance_past(&self, runs: &[String], minutes: i64) {
        for _ in 0..minutes / SWEEP_MINUTES {
            self.advance(SWEEP_MINUTES).await;
            let mut over = true;
            for run in runs {
                over = over && is_over(&self.call("cron.runGet", &json!({ "runId": run })).await.body);
            }
            if over {
                break;
            }
        }
        self.advance(2 * SWEEP_MINUTES).await;
    }

    /// Sets the fake's behaviour.
    pub fn script(&self, script: Value) {
        let script = serde_json::from_value(script).expect("the script fits");
        self.fake().script(script).expect("the fake takes the script");
    }

    /// Every request the fake model saw, as the text of a JSON array: for what has to be equal to the byte.
    pub async fn asked_of_model(&self) -> String {
        let url = format!("{}/_fake/requests", self.stack.ready.anthropic_url);
        let answer = self.http.get(url).send().await.expect("the fake answers");
        answer.text().await.expect("the log is text")
    }

    /// Changes the configuration as `config.apply` does.
    pub async fn configure(&self, config: &Value) {
        let current = self.ok("config.get", &json!({})).await;
        let revision = current["revision"].clone();
        self.ok("config.apply", &json!({ "config": config, "expectedRevision": revision })).await;
    }

    /// Lets the next wake of a run fail, with the repeats of the SDK.
    pub fn lose_wakes(&self) {
        self.stack.gate.set_faults(vec![Fault {
            service: Some("lambda".to_owned()),
            operation: Some("Invoke trigger".to_owned()),
            nth: 1,
            times: Some(6),
            when: When::Before,
            action: Action::Fail,
        }]);
    }

    /// The fake model.
    pub fn fake(&self) -> &nightshift_fake_anthropic::Fake {
        self.stack.fake.as_ref().expect("tests run on the fake")
    }

    /// The texts that were delivered to the console.
    pub fn delivered(&self) -> Vec<String> {
        let all = self.stack.console.deliveries().expect("the console's memory can be read");
        all.into_iter().map(|delivery| delivery.text).collect()
    }
}

impl Drop for Local {
    fn drop(&mut self) {
        if std::thread::panicking() {
            return;
        }
        let dead = self.stack.dead_letters();
        assert!(dead.is_empty(), "something failed for good: {dead:#?}");
        // Whatever the test was about: a list is a query, and what lies beside it is not read.
        let scans = self.stack.gate.calls(0).into_iter().filter(|call| call.operation.contains("Scan")).count();
        assert_eq!(scans, 0, "the table was scanned");
    }
}

/// A job that batches, every six hours.
pub fn batch_job(message: &str) -> Value {
    json!({
        "name": "Brief",
        "schedule": { "kind": "every", "everyMs": 21_600_000 },
        "payload": { "kind": "agentTurn", "message": message, "batch": { "enabled": true } },
        "delivery": { "mode": "announce" },
    })
}
