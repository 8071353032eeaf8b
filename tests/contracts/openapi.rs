//! The API against its own description: schemathesis makes requests from `/openapi.json`, good and bad ones, and every answer
//! has to be one that the description allows.

#![expect(clippy::unwrap_used, reason = "a test says what it skipped, and fails where it stands")]

use std::process::{Command, Stdio};

use nightshift_tests::local::{Local, batch_job};
use nightshift_tests::process::tools;
use serde_json::{Value, json};

/// What is checked of every answer. Left out of schemathesis's list:
/// - `positive_data_acceptance`: rules that tie fields together (a session's payload, a webhook's address, an expression that
///   fires, a time that is ahead) are no JSON Schema, so a request that fits the schema may be refused with 400;
/// - `missing_required_header`: no header of a request is required but the token, and that is what `ignored_auth` tries;
/// - `use_after_free` and `ensure_resource_availability`: they know resources by REST's verbs, and here everything is POST;
/// - `object_level_authorization`: there is one token, and it may do everything.
const CHECKS: [&str; 9] = [
    "not_a_server_error",
    "status_code_conformance",
    "content_type_conformance",
    "response_headers_conformance",
    "response_schema_conformance",
    "negative_data_rejection",
    "unsupported_method",
    "allow_header_conformance",
    "ignored_auth",
];

/// Requests per method in each of the phases that draw them; more find more, and take longer.
const EXAMPLES: &str = "30";
const SEED: &str = "20261120";

/// How a request that breaks the description may be refused.
const SETTINGS: &str = "[checks]\nnegative_data_rejection.expected-statuses = [400, 401, 404, 405, 409, 413]\n";

/// Jobs and runs of every kind, so that lists and pages have something to show; `brief` and its run are what the description's
/// examples ask for.
async fn furnish(local: &Local) {
    let job = |id: &str, changes: Value| {
        let mut job = batch_job("What is new?");
        job["jobId"] = json!(id);
        for (name, value) in changes.as_object().unwrap() {
            job[name] = value.clone();
        }
        job
    };
    let realtime = json!({ "kind": "agentTurn", "message": "What is new?" });
    let at_seven = json!({ "kind": "cron", "expr": "0 7 * * *", "tz": "UTC" });
    local.add(&job("brief", json!({ "schedule": at_seven }))).await;
    local.add(&job("old-brief", json!({ "payload": realtime, "delivery": { "mode": "none" } }))).await;
    local
        .add(&job("lost", json!({ "delivery": { "mode": "announce", "channel": "slack", "to": "channel:C1" } })))
        .await;
    let once = json!({ "jobId": "once", "schedule": { "at": "2026-11-21T06:00:00Z" }, "payload": { "text": "Look." },
        "deleteAfterRun": false });
    local.add(&once).await;
    for id in ["old-brief", "lost", "once"] {
        local.ok("cron.run", &json!({ "jobId": id })).await;
    }
    local.advance(120).await;
    let run = local.ok("cron.runGet", &json!({ "runId": "brief_20261120T070000Z" })).await;
    assert_eq!(run["status"], "ok", "{run}");
    local.ok("cron.run", &json!({ "jobId": "brief" })).await;
    let runs = local.ok("cron.runs", &json!({})).await;
    let (beats, others): (Vec<&Value>, Vec<&Value>) =
        runs["runs"].as_array().unwrap().iter().partition(|run| run["jobId"] == "hb-main");
    assert_eq!((beats.len(), others.len()), (4, 5), "a heartbeat each half-hour since `once` queued its text: {runs}");
}

/// How many requests a report says were made.
fn tried(report: &str) -> usize {
    let count = |line: &str| line.trim().split_once(" generated,")?.0.parse().ok();
    report.lines().find_map(count).unwrap_or(0)
}

/// Has schemathesis judge the paths that `which` selects; answers how many requests it made.
fn judged(local: &Local, which: [&str; 2]) -> usize {
    let program = tools().join("venv/bin/schemathesis");
    assert!(program.exists(), "no schemathesis in {}: `make tools` installs it", tools().display());
    let settings = local.dir.path().join("schemathesis.toml");
    std::fs::write(&settings, SETTINGS).unwrap();
    let ready = &local.stack.ready;
    let mut command = Command::new(program);
    command
        .arg("--config-file")
        .arg(settings)
        .args(["--no-color", "run"])
        .arg(format!("{}/openapi.json", ready.url))
        .args(["--header", &format!("Authorization: Bearer {}", ready.token)])
        .args(which)
        .args(["--checks", &CHECKS.join(",")])
        .args(["--phases", "examples,coverage,fuzzing,stateful"])
        .args(["--max-examples", EXAMPLES, "--seed", SEED, "--generation-database", "none", "--continue-on-failure"])
        .current_dir(local.dir.path())
        .env("NO_PROXY", "127.0.0.1")
        .stdin(Stdio::null());
    let output = tokio::task::block_in_place(|| command.output()).unwrap();
    let said = String::from_utf8_lossy(&output.stdout);
    assert!(output.status.success(), "{said}\n{}", String::from_utf8_lossy(&output.stderr));
    tried(&said)
}

// A run that selects nothing would end well too: requests are counted.

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn schemathesis_finds_no_answer_that_the_description_does_not_allow() {
    let local = Local::start().await;
    furnish(&local).await;
    let tried = judged(&local, ["--exclude-path-regex", "^/hooks/"]);
    assert!(tried > 2_000, "{tried} requests");
}

/// By themselves, because what is tried of the configuration switches hooks off.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn nor_any_of_a_hooks() {
    let local = Local::start().await;
    let token = local.dir.path().join("hook-token");
    std::fs::write(&token, &local.stack.ready.token).unwrap();
    let hooks = json!({ "enabled": true, "token": format!("file:{}", token.display()), "named": { "gmail": {} } });
    local.ok("config.set", &json!({ "path": "hooks", "value": hooks })).await;
    let tried = judged(&local, ["--include-path-regex", "^/hooks/"]);
    assert!(tried > 300, "{tried} requests");
    let runs = local.ok("cron.runs", &json!({ "jobId": "hk-main" })).await;
    assert!(!runs["runs"].as_array().unwrap().is_empty(), "turns were begun");
}
