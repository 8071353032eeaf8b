//! The HTTP surface: every refusal has the one shape and changes nothing; a repeated request is carried out once.
#![expect(clippy::unwrap_used, reason = "helpers of tests, which clippy knows only inside test functions")]

use std::sync::{Arc, Mutex};

use async_trait::async_trait;
use chrono::{DateTime, TimeDelta, Utc};
use lambda_http::{Body, Request, http};
use nightshift_domain::RunKey;
use nightshift_domain::config::Config;
use nightshift_domain::event::{Envelope, Function};
use nightshift_engine::ports::{
    Channel, Channels, Entropy, Invoker, JobTimer, Models, OpenChannelError, OpenModelError, OpenedModel, Outcome,
    Page, PageRequest, Secret, Secrets, TimerEntry, TimerError, TimerView, Timers, Write,
};
use nightshift_engine::testing::{MemoryBlobs, MemoryStore, NoMetrics, NoWeb};
use nightshift_engine::{Deps, ManualClock, Settings};
use serde_json::{Value, json};

/// SHA-256 of `secret`.
const TOKEN_SHA256: &str = "2bb80d537b1da3e38bd30361aa855686bde0eacd7162fef6a25fe97bf527a25b";

/// Timers and calls that only count.
#[derive(Debug, Default)]
struct Outside {
    calls: Mutex<Vec<String>>,
    chance: Mutex<u128>,
    failing: Mutex<bool>,
}

impl Outside {
    fn call(&self, call: String) -> Result<(), TimerError> {
        self.calls.lock().unwrap().push(call.clone());
        let error = TimerError { operation: call, expression_refused: false, source: None };
        if *self.failing.lock().unwrap() { Err(error) } else { Ok(()) }
    }
}

impl Entropy for Outside {
    fn bits(&self) -> u128 {
        let mut chance = self.chance.lock().unwrap();
        *chance += 1;
        *chance
    }
}

#[async_trait]
impl Timers for Outside {
    async fn put_job(&self, timer: &JobTimer) -> Result<(), TimerError> {
        self.call(format!("put {}", timer.name))
    }
    async fn remove(&self, name: &str) -> Result<(), TimerError> {
        self.call(format!("remove {name}"))
    }
    async fn arm(&self, name: &str, _: DateTime<Utc>, _: &Envelope) -> Result<(), TimerError> {
        self.call(format!("arm {name}"))
    }
    async fn list(&self, prefix: &str, _: Option<&str>) -> Result<Page<TimerEntry>, TimerError> {
        self.call(format!("list {prefix}"))?;
        Ok(Page { items: Vec::new(), next: None })
    }
    async fn get(&self, name: &str) -> Result<Option<TimerView>, TimerError> {
        self.call(format!("get {name}")).map(|()| None)
    }
}

#[async_trait]
impl Invoker for Outside {
    async fn invoke(&self, function: Function, _: &Envelope) -> Result<(), TimerError> {
        self.call(format!("invoke {}", function.name()))
    }
}

#[async_trait]
impl Models for Outside {
    async fn open(&self, _: &Config, name: &str) -> Result<OpenedModel, OpenModelError> {
        Err(OpenModelError::Unknown(name.to_owned()))
    }
}

#[async_trait]
impl Channels for Outside {
    async fn open(&self, _: &Config, name: &str, _: Option<&str>) -> Result<Arc<dyn Channel>, OpenChannelError> {
        Err(OpenChannelError::NotConfigured(name.to_owned()))
    }
    fn configured(&self, _: &Config) -> Vec<String> {
        Vec::new()
    }
}

#[path = "http/hooks.rs"]
mod hooks;
#[path = "http/openapi.rs"]
mod openapi;
#[path = "http/public.rs"]
mod public;

/// SHA-256 of `public secret`.
const PUBLIC_SHA256: &str = "edc7e5a5cd42dced25b7d32ebd1a5a86e1bfd6f6177cacc3aa18ee080350a91b";

/// What opens the hooks and the public API, and nothing else.
#[derive(Debug)]
struct TwoSecrets;

#[async_trait]
impl Secrets for TwoSecrets {
    async fn resolve(&self, reference: &str) -> Result<Secret, String> {
        match reference {
            "ssm:hook-token" => Ok(Secret::new("knock knock")),
            "ssm:digest" => Ok(Secret::new(PUBLIC_SHA256)),
            _ => Err("there is none".to_owned()),
        }
    }
}

struct Api {
    deps: Deps,
    outside: Arc<Outside>,
    clock: ManualClock,
}

struct Answer {
    status: u16,
    body: Value,
    replayed: bool,
    allow: Option<String>,
}

fn api() -> Api {
    let clock = ManualClock::new("2026-11-20T12:00:00Z".parse().unwrap());
    let outside = Arc::new(Outside::default());
    let deps = Deps {
        clock: Arc::new(clock.clone()),
        entropy: outside.clone(),
        store: Arc::new(MemoryStore::new(Arc::new(clock.clone()))),
        blobs: Arc::new(MemoryBlobs::new()),
        timers: outside.clone(),
        invoker: outside.clone(),
        models: outside.clone(),
        channels: outside.clone(),
        secrets: Arc::new(TwoSecrets),
        web: Arc::new(NoWeb),
        attempts: Arc::default(),
        metrics: Arc::new(NoMetrics),
        settings: Settings { api_token_sha256: Some(TOKEN_SHA256.to_owned()), ..Settings::default() },
    };
    Api { deps, outside, clock }
}

impl Api {
    async fn send(&self, verb: &str, path: &str, headers: &[(&str, &str)], body: String) -> Answer {
        let mut request = http::Request::builder().method(verb).uri(path);
        for (name, value) in headers {
            request = request.header(*name, *value);
        }
        let request: Request = request.body(Body::from(body)).unwrap();
        let response = Box::pin(nightshift_api::handle(&self.deps, request)).await.unwrap();
        let replayed = response.headers().contains_key("idempotency-replayed");
        assert_eq!(response.headers()["content-type"], "application/json");
        let status = response.status().as_u16();
        let allow = response.headers().get("allow").map(|value| value.to_str().unwrap().to_owned());
        Answer { status, body: serde_json::from_slice(response.body().as_ref()).unwrap(), replayed, allow }
    }

    async fn call(&self, method: &str, body: &Value) -> Answer {
        self.send("POST", &format!("/v1/{method}"), &[("Authorization", "Bearer secret")], body.to_string()).await
    }

    async fn keyed(&self, method: &str, key: &str, body: &Value) -> Answer {
        let headers = [("Authorization", "Bearer secret"), ("Idempotency-Key", key)];
        self.send("POST", &format!("/v1/{method}"), &headers, body.to_string()).await
    }

    async fn jobs(&self) -> usize {
        self.deps.store.jobs(&PageRequest { limit: 200, cursor: None }).await.unwrap().items.len()
    }
}

fn refused(answer: &Answer, status: u16, code: &str, field: Option<&str>) {
    assert_eq!(answer.status, status, "{}", answer.body);
    let error = &answer.body["error"];
    assert_eq!(error["code"], code, "{}", answer.body);
    assert_eq!(error.get("field").and_then(Value::as_str), field, "{}", answer.body);
    let message = error["message"].as_str().unwrap();
    assert!(!message.is_empty() && !message.ends_with('.'), "{message}");
    assert!(!answer.body["requestId"].as_str().unwrap().is_empty());
}

fn job(extra: &Value) -> Value {
    let mut job = json!({ "schedule": { "kind": "cron", "expr": "0 7 * * *" },
        "payload": { "kind": "agentTurn", "message": "Summarize." } });
    for (name, value) in extra.as_object().unwrap() {
        job[name] = value.clone();
    }
    job
}

#[tokio::test]
async fn bad_jobs_are_refused_by_field_and_nothing_is_stored() {
    let api = api();
    let event = json!({ "kind": "systemEvent", "text": "ping" });
    let cases = [
        (json!({ "sessionTarget": "main" }), "invalid_session", "payload.kind"),
        (json!({ "sessionTarget": "isolated", "payload": event }), "invalid_session", "payload.kind"),
        (json!({ "schedule": { "kind": "cron", "expr": "99 7 * * *" } }), "invalid_schedule", "schedule.expr"),
        (json!({ "schedule": { "kind": "cron", "expr": "0 0 30 2 *" } }), "invalid_schedule", "schedule.expr"),
        (
            json!({ "schedule": { "kind": "cron", "expr": "0 7 * * *", "tz": "Mars/Phobos" } }),
            "invalid_schedule",
            "schedule.tz",
        ),
        (json!({ "schedule": { "kind": "at", "at": "2026-11-20T11:00:00Z" } }), "invalid_schedule", "schedule.at"),
        (json!({ "schedule": { "kind": "every", "everyMs": 59_999 } }), "invalid_schedule", "schedule.everyMs"),
        (json!({ "colour": "red" }), "unknown_field", "colour"),
        (json!({ "payload": { "kind": "agentTurn", "message": " " } }), "missing_field", "payload.message"),
        (json!({ "delivery": { "mode": "webhook", "to": "ftp://x" } }), "invalid_delivery", "delivery.to"),
    ];
    for (extra, code, field) in cases {
        let answer = api.keyed("cron.add", "k", &job(&extra)).await;
        refused(&answer, 400, code, Some(field));
    }
    let both = api.call("cron.add", &job(&json!({ "colour": 1, "enabled": "maybe" }))).await;
    assert_eq!(both.body["error"]["fields"].as_array().unwrap().len(), 2, "{}", both.body);
    assert_eq!(api.jobs().await, 0);
    assert!(api.outside.calls.lock().unwrap().is_empty());
}

#[tokio::test]
async fn requests_that_never_reach_a_use_case_are_refused_in_the_same_shape() {
    let api = api();
    let good = job(&json!({})).to_string();
    let auth = ("Authorization", "Bearer secret");
    let post = |headers: Vec<(&'static str, &'static str)>, body: String| {
        let api = &api;
        async move { api.send("POST", "/v1/cron.add", &headers, body).await }
    };
    refused(&post(vec![], good.clone()).await, 401, "unauthorized", None);
    refused(&post(vec![("Authorization", "Bearer wrong")], good.clone()).await, 401, "unauthorized", None);
    refused(&post(vec![("Authorization", "Basic secret")], good.clone()).await, 401, "unauthorized", None);
    let long = job(&json!({ "payload": { "kind": "agentTurn", "message": "x".repeat(300 * 1024) } })).to_string();
    refused(&post(vec![auth], long).await, 413, "payload_too_large", None);
    refused(&post(vec![auth], "{\"a\": ".to_owned()).await, 400, "invalid_json", None);
    refused(&post(vec![auth, ("Idempotency-Key", "")], good.clone()).await, 400, "invalid_idempotency_key", None);
    refused(&post(vec![auth], "[1]".to_owned()).await, 400, "invalid_request", Some("job"));
    refused(&api.send("GET", "/v1/cron.add", &[auth], String::new()).await, 405, "method_not_allowed", None);
    refused(&api.send("POST", "/v2/cron.add", &[auth], good.clone()).await, 404, "unknown_path", None);
    refused(&post(vec![auth], "null".to_owned()).await, 400, "invalid_request", None);
    let unknown = api.call("cron.ad", &json!({})).await;
    refused(&unknown, 404, "unknown_method", None);
    assert!(unknown.body["error"]["hint"].as_str().unwrap().contains("cron.add"));
    assert_eq!(api.jobs().await, 0);
}

#[tokio::test]
async fn health_needs_no_token_and_nothing_else_does_without() {
    let api = api();
    assert_eq!(api.send("GET", "/healthz", &[], String::new()).await.status, 200);
    for method in ["cron.list", "cron.status", "config.get", "no.such.method"] {
        let answer = api.send("POST", &format!("/v1/{method}"), &[], "{}".to_owned()).await;
        refused(&answer, 401, "unauthorized", None);
    }
}

/// Takes the notes off the answer to an add; what is left is the job.
fn without_notes(answer: &mut Value) -> String {
    answer.as_object_mut().unwrap().remove("notes").map_or_else(String::new, |notes| notes.to_string())
}

#[tokio::test]
async fn a_job_lives_through_the_api() {
    let api = api();
    let mut added = api.call("cron.add", &job(&json!({ "jobId": "a", "name": "A" }))).await;
    assert_eq!((added.status, &added.body["jobId"]), (200, &json!("a")), "{}", added.body);
    assert!(without_notes(&mut added.body).contains("would not be delivered"), "there is no channel here");
    assert_eq!(api.call("cron.get", &json!({ "id": "a" })).await.body, added.body);
    let listed = api.call("cron.list", &json!({})).await.body;
    assert_eq!((&listed["jobs"][0], &listed["nextCursor"]), (&added.body, &Value::Null));
    let patch =
        json!({ "jobId": "a", "patch": { "enabled": false, "schedule": { "kind": "every", "everyMs": 3_600_000 } } });
    assert_eq!(api.call("cron.update", &patch).await.body["enabled"], false);
    let ran = api.call("cron.run", &json!({ "jobId": "a", "mode": "force" })).await.body;
    assert_eq!((&ran["ok"], &ran["enqueued"]), (&json!(true), &json!(true)));
    let refused_run = api.call("cron.run", &json!({ "jobId": "a", "mode": "if-enabled" })).await.body;
    assert_eq!(refused_run, json!({ "ok": true, "enqueued": false, "reason": "disabled" }));
    let run = api.call("cron.runGet", &json!({ "runId": ran["runId"] })).await.body;
    assert_eq!((&run["state"], &run["origin"], &run["jobName"]), (&json!("due"), &json!("manual"), &json!("A")));
    let page = api.call("cron.runs", &json!({ "jobId": "a" })).await.body;
    assert_eq!((&page["runs"][0]["runId"], &page["entries"]), (&ran["runId"], &page["runs"]));
    let config = json!({ "config": { "cron": { "timezone": "UTC" } } });
    assert_eq!(api.call("config.apply", &config).await.body["revision"], 1);
    let key = RunKey::parse(ran["runId"].as_str().unwrap()).unwrap();
    let places = [Write::HoldPlace { place: 0, run: &key }, Write::Count { name: "fallback.test", by: 2 }];
    assert_eq!(api.deps.store.commit(&places).await.unwrap(), Outcome::Applied);
    let status = api.call("cron.status", &json!({})).await.body;
    let wanted = json!({ "enabled": true, "jobs": 1, "enabledJobs": 0, "runningTurns": 1, "nextWakeAtMs": null,
        "configRevision": 1, "counters": { "fallback.test": 2 }, "nowMs": status["nowMs"] });
    assert_eq!(status, wanted);
    let canceled = api.call("cron.cancel", &json!({ "runId": ran["runId"] })).await.body;
    assert_eq!((&canceled["canceled"], &canceled["state"]), (&json!(true), &json!("canceled")));
    let event = api.call("system.event", &json!({ "text": "Hello.", "mode": "now" })).await.body;
    assert_eq!(event["ok"], true);
    assert_eq!(api.deps.store.events("main").await.unwrap().len(), 1);
    assert_eq!(api.call("cron.remove", &json!({ "jobId": "a" })).await.body, json!({ "ok": true, "removed": true }));
    refused(&api.call("cron.get", &json!({ "jobId": "a" })).await, 404, "job_not_found", None);
    refused(&api.call("cron.runGet", &json!({ "runId": "a_20200101T000000Z" })).await, 404, "run_not_found", None);
    refused(&api.call("system.event", &json!({ "text": " " })).await, 400, "missing_field", Some("text"));
}

#[tokio::test]
async fn a_repeated_request_is_carried_out_once_for_24_hours() {
    let api = api();
    let first = api.keyed("cron.add", "key-1", &job(&json!({}))).await;
    let again = api.keyed("cron.add", "key-1", &job(&json!({}))).await;
    assert!(!first.replayed && again.replayed);
    assert_eq!(first.body, again.body);
    let other = api.keyed("cron.add", "key-1", &job(&json!({ "name": "other" }))).await;
    refused(&other, 409, "idempotency_key_reused", None);
    let id = &first.body["jobId"];
    let (one, two) = (
        api.keyed("cron.run", "key-1", &json!({ "jobId": id })).await,
        api.keyed("cron.run", "key-1", &json!({ "jobId": id })).await,
    );
    assert_eq!(one.body["runId"], two.body["runId"], "another method, another key space");
    api.clock.advance(TimeDelta::hours(25));
    let later = api.keyed("cron.add", "key-1", &job(&json!({}))).await;
    assert_ne!(later.body["jobId"], first.body["jobId"]);
    assert_eq!(api.jobs().await, 2);
}

#[tokio::test]
async fn a_request_that_was_cut_off_is_completed_by_its_repeat() {
    let api = api();
    *api.outside.failing.lock().unwrap() = true;
    refused(&api.keyed("cron.add", "k", &job(&json!({}))).await, 503, "unavailable", None);
    assert_eq!(api.jobs().await, 1, "the row was written before the timer failed");
    *api.outside.failing.lock().unwrap() = false;
    let repeat = api.keyed("cron.add", "k", &job(&json!({}))).await;
    assert_eq!((repeat.status, api.jobs().await), (200, 1), "{}", repeat.body);
    *api.outside.failing.lock().unwrap() = true;
    let run = json!({ "jobId": repeat.body["jobId"] });
    refused(&api.keyed("cron.run", "r", &run).await, 503, "unavailable", None);
    *api.outside.failing.lock().unwrap() = false;
    let enqueued = api.keyed("cron.run", "r", &run).await.body;
    let page = api.call("cron.runs", &run).await.body;
    assert_eq!(page["runs"].as_array().unwrap().len(), 1, "one run, not two");
    assert_eq!(page["runs"][0]["runId"], enqueued["runId"]);
}

#[tokio::test]
async fn a_long_text_is_added_once_and_answered_whole_every_time() {
    let api = api();
    let long = job(&json!({ "payload": { "kind": "agentTurn", "message": "x".repeat(200 * 1024) } }));
    let mut first = api.keyed("cron.add", "k", &long).await;
    let mut again = api.keyed("cron.add", "k", &long).await;
    // An answer too long to be remembered is made again from the job; notes are remarks of the moment.
    without_notes(&mut first.body);
    without_notes(&mut again.body);
    assert_eq!((first.status, &first.body), (200, &again.body));
    assert!(again.replayed);
    assert_eq!(api.call("cron.list", &json!({})).await.body["jobs"][0], first.body);
}

#[tokio::test]
async fn the_configuration_is_changed_only_from_the_revision_it_was_read_at() {
    let api = api();
    assert_eq!(api.call("config.get", &json!({})).await.body, json!({ "revision": 0, "config": {} }));
    let change = json!({ "config": { "cron": { "overlap": "queue" } }, "expectedRevision": 0 });
    let told = json!([{ "path": "cron.overlap", "new": "queue" }]);
    let applied = json!({ "ok": true, "revision": 1, "jobsMoved": 0, "changes": told });
    assert_eq!(api.call("config.apply", &change).await.body, applied);
    let late = json!({ "config": {}, "expectedRevision": 0 });
    refused(&api.call("config.apply", &late).await, 409, "config_conflict", None);
    assert_eq!(api.call("cron.add", &job(&json!({}))).await.body["overlap"], "queue");
}

#[tokio::test]
async fn one_field_is_set_or_taken_away_and_every_bad_one_is_named() {
    let api = api();
    let set = json!({ "path": "cron.timezone", "value": "Europe/Vienna", "expectedRevision": 0 });
    let first = api.keyed("config.set", "s", &set).await;
    let told = json!([{ "path": "cron.timezone", "new": "Europe/Vienna" }]);
    assert_eq!(first.body, json!({ "ok": true, "revision": 1, "jobsMoved": 0, "changes": told }));
    let again = api.keyed("config.set", "s", &set).await;
    assert!(again.replayed && again.body == first.body);
    let null = json!({ "path": "cron.timezone", "value": null });
    let told = json!([{ "path": "cron.timezone", "old": "Europe/Vienna", "new": null }]);
    assert_eq!(api.call("config.set", &null).await.body["changes"], told);
    let unset = api.call("config.unset", &json!({ "path": "cron.timezone" })).await;
    assert_eq!((&unset.body["revision"], &unset.body["changes"][0]["old"]), (&json!(3), &Value::Null));
    let late = json!({ "path": "cron.enabled", "value": false, "expectedRevision": 1 });
    refused(&api.call("config.set", &late).await, 409, "config_conflict", None);

    let cron = json!({ "maxConcurrentRuns": 0, "webhookSecret": "hunter2", "colour": 1 });
    let bad = api.call("config.set", &json!({ "path": "cron", "value": cron })).await;
    refused(&bad, 400, "invalid_config", Some("config.cron.maxConcurrentRuns"));
    let looked = api.call("config.validate", &json!({ "config": { "cron": cron } })).await;
    assert_eq!((looked.status, &looked.body["ok"]), (200, &json!(false)));
    assert_eq!(looked.body["faults"], bad.body["error"]["fields"]);
    let fields: Vec<_> =
        looked.body["faults"].as_array().unwrap().iter().map(|it| it["field"].as_str().unwrap()).collect();
    assert_eq!(fields, ["config.cron.maxConcurrentRuns", "config.cron.webhookSecret", "config.cron.colour"]);
    assert!(!looked.body.to_string().contains("hunter2"), "a secret in the wrong place is not repeated");
    let good = api.call("config.validate", &json!({ "config": { "cron": { "store": "x" } } })).await.body;
    assert_eq!((&good["ok"], good["notes"].as_array().unwrap().len()), (&json!(true), 1));
    assert_eq!(api.call("config.get", &json!({})).await.body, json!({ "revision": 3, "config": { "cron": {} } }));
}

#[tokio::test]
async fn costs_are_summed_over_this_month_and_a_bad_range_is_refused() {
    let api = api();
    let nothing = json!({ "runs": 0, "hops": 0, "paidUsd": 0.0, "realtimeUsd": 0.0, "savedUsd": 0.0 });
    let november = json!({ "by": "day", "fromMs": 1_793_491_200_000_i64, "toMs": 1_795_176_000_000_i64, "rows": [], "total": nothing });
    assert_eq!(api.call("cron.cost", &json!({ "by": "day" })).await.body, november);
    refused(&api.call("cron.cost", &json!({ "fromMs": 5, "toMs": 5 })).await, 400, "invalid_field", Some("fromMs"));
    refused(&api.call("cron.cost", &json!({ "by": "mood" })).await, 400, "invalid_field", Some("by"));
}

#[tokio::test]
async fn a_plan_and_a_check_answer_in_the_contracts_shape() {
    let api = api();
    let schedule = json!({ "kind": "cron", "expr": "0 * * * *", "staggerMs": 0 });
    let planned = api.call("cron.plan", &json!({ "schedule": schedule, "count": 1 })).await;
    assert_eq!(planned.status, 200, "{}", planned.body);
    let aws = json!({ "kind": "exact", "expression": "cron(0 * * * ? *)", "timezone": "UTC" });
    let at_ms = "2026-11-20T13:00:00Z".parse::<DateTime<chrono::Utc>>().unwrap().timestamp_millis();
    let whole = json!({
        "schedule": schedule, "timezone": "UTC", "skipped": [], "ends": false, "aws": aws, "notes": [],
        "occurrences": [{ "atMs": at_ms, "local": "2026-11-20T13:00:00+00:00" }],
    });
    assert_eq!(planned.body, whole);
    assert!(api.outside.calls.lock().unwrap().is_empty(), "nothing is set for a plan");

    let checked = api.call("cron.doctor", &json!({})).await;
    let message = "the sweeper's timer is not there: what is lost stays lost";
    let finding = json!({ "kind": "timer_missing", "timer": "sweep", "message": message, "repaired": false });
    let whole = json!({
        "ok": false, "checkedJobs": 0, "checkedTimers": 0, "settlingJobs": 0, "findings": [finding],
        "truncated": false, "nextCursor": null,
    });
    assert_eq!((checked.status, checked.body), (200, whole));
}

#[tokio::test]
async fn an_import_answers_for_every_job_and_run_and_is_carried_out_once() {
    let api = api();
    let program = json!({ "id": "b", "name": "B", "schedule": { "kind": "every", "everyMs": 3_600_000 },
        "payload": { "kind": "command", "argv": ["true"] } });
    let good = json!({ "id": "a", "name": "A", "sessionKey": "agent:main:x", "wakeMode": "now",
        "schedule": { "kind": "cron", "expr": "30 7 * * *", "tz": "UTC" },
        "payload": { "kind": "agentTurn", "message": "Summarize." } });
    let runs =
        json!([{ "ts": 1_795_069_841_200_i64, "jobId": "a", "status": "ok", "durationMs": 1_200 }, { "jobId": "a" }]);
    let request = json!({ "jobs": [good, program], "runs": runs });
    let answer = api.keyed("cron.import", "k-1", &request).await;
    assert_eq!(answer.status, 200, "{}", answer.body);
    assert_eq!((&answer.body["ok"], &answer.body["dryRun"]), (&json!(true), &json!(false)));
    let [a, b] = answer.body["jobs"].as_array().unwrap().as_slice() else { panic!("{}", answer.body) };
    assert_eq!((&a["sourceId"], &a["jobId"], &a["outcome"]), (&json!("a"), &json!("a"), &json!("added")));
    assert_eq!(a["dropped"][0]["field"], "sessionKey");
    assert_eq!((&b["outcome"], &b["faults"][0]["field"]), (&json!("refused"), &json!("payload.kind")));
    let told = &answer.body["runs"];
    assert_eq!((&told["imported"], &told["refused"][0]["line"]), (&json!(1), &json!(2)), "{told}");

    let replay = api.keyed("cron.import", "k-1", &request).await;
    assert!(replay.replayed);
    assert_eq!(replay.body, answer.body);
    let again = api.keyed("cron.import", "k-2", &request).await;
    assert_eq!((&again.body["jobs"][0]["outcome"], &again.body["runs"]["unchanged"]), (&json!("unchanged"), &json!(1)));
    assert_eq!(api.jobs().await, 1);
    let shown = api.call("cron.runs", &json!({ "jobId": "a" })).await;
    let run = &shown.body["runs"][0];
    assert_eq!(
        (&run["origin"], &run["status"], &run["costUsd"]),
        (&json!("import"), &json!("ok"), &json!(0.0)),
        "{run}"
    );
    refused(&api.call("cron.import", &json!({ "job": [] })).await, 400, "unknown_field", Some("job"));
}
