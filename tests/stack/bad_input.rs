//! Bad input, by HTTP and by the command line: one clear sentence, the field's name, and nothing stored.

use std::process::Command;

use nightshift_tests::local::{Answer, Local, batch_job};
use nightshift_tests::process::program;
use serde_json::{Value, json};

/// What is wrong, what is sent, and the field the answer must name.
fn cases() -> Vec<(&'static str, Value, &'static str)> {
    let with = |field: &str, value: Value| {
        let mut job = batch_job("Anything.");
        job[field] = value;
        job
    };
    vec![
        ("main session with an agent turn", with("sessionTarget", json!("main")), "payload.kind"),
        (
            "isolated session with a system event",
            json!({ "schedule": { "kind": "every", "everyMs": 3_600_000 }, "sessionTarget": "isolated",
                "payload": { "kind": "systemEvent", "text": "hello" } }),
            "payload.kind",
        ),
        ("bad cron", with("schedule", json!({ "kind": "cron", "expr": "61 7 * * *" })), "schedule.expr"),
        ("cron that never fires", with("schedule", json!({ "kind": "cron", "expr": "0 9 31 2 *" })), "schedule.expr"),
        (
            "bad zone",
            with("schedule", json!({ "kind": "cron", "expr": "0 7 * * *", "tz": "Mars/Phobos" })),
            "schedule.tz",
        ),
        ("past at", with("schedule", json!({ "kind": "at", "at": "2020-01-01T00:00:00Z" })), "schedule.at"),
        ("every below a minute", with("schedule", json!({ "kind": "every", "everyMs": 59_999 })), "schedule.everyMs"),
        ("unknown field", with("colour", json!("blue")), "colour"),
        (
            "unknown payload field",
            with("payload", json!({ "kind": "agentTurn", "message": "x", "mood": 1 })),
            "payload.mood",
        ),
        ("no schedule", json!({ "payload": { "kind": "agentTurn", "message": "x" } }), "schedule"),
        ("no message", with("payload", json!({ "kind": "agentTurn" })), "payload.message"),
        ("webhook without an address", with("delivery", json!({ "mode": "webhook" })), "delivery.to"),
    ]
}

async fn nothing_is_stored(local: &Local) {
    let jobs = local.ok("cron.list", &json!({})).await;
    assert_eq!(jobs["jobs"], json!([]));
    assert_eq!(local.stack.scheduler.schedules().iter().filter(|one| one.name != "sweep").count(), 0);
}

fn is_refused(case: &str, answer: &Answer, status: u16, field: Option<&str>) {
    assert_eq!(answer.status, status, "{case}: {}", answer.body);
    let error = &answer.body["error"];
    assert!(error["code"].as_str().is_some_and(|code| !code.is_empty()), "{case}: {}", answer.body);
    assert!(error["message"].as_str().is_some_and(|text| text.len() > 10), "{case}: {}", answer.body);
    assert!(answer.body["requestId"].as_str().is_some_and(|id| !id.is_empty()), "{case}: {}", answer.body);
    if let Some(field) = field {
        assert_eq!(error["field"], field, "{case}: {}", answer.body);
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn bad_jobs_are_refused_by_http_with_the_field_and_nothing_is_stored() {
    let local = Local::start().await;
    for (case, job, field) in cases() {
        is_refused(case, &local.call("cron.add", &job).await, 400, Some(field));
    }
    nothing_is_stored(&local).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn requests_that_are_too_large_unreadable_or_unauthorized_are_refused_and_change_nothing() {
    let local = Local::start().await;
    let token = local.stack.ready.token.clone();
    let large = batch_job(&"x".repeat(300 * 1024)).to_string();
    is_refused("300 KB", &local.post("/v1/cron.add", Some(&token), large).await, 413, None);
    let job = batch_job("Anything.").to_string();
    is_refused("no token", &local.post("/v1/cron.add", None, job.clone()).await, 401, None);
    is_refused("wrong token", &local.post("/v1/cron.add", Some("ns-wrong"), job.clone()).await, 401, None);
    is_refused("not JSON", &local.post("/v1/cron.add", Some(&token), "{".to_owned()).await, 400, None);
    is_refused("unknown method", &local.post("/v1/cron.fly", Some(&token), "{}".to_owned()).await, 404, None);
    is_refused("unknown job", &local.call("cron.get", &json!({ "jobId": "nobody" })).await, 404, None);
    let control = local.post("/_local/clock/advance", Some("ns-wrong"), r#"{"ms":1}"#.to_owned()).await;
    assert_eq!(control.status, 401, "the control surface takes the same token");
    nothing_is_stored(&local).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn the_command_line_says_what_is_wrong_and_exits_with_a_code_of_its_kind() {
    let local = Local::start().await;
    let ready = &local.stack.ready;
    let run = |token: &str, words: &[&str]| {
        let output = Command::new(program("nightshift"))
            .args(words)
            .env("NIGHTSHIFT_URL", &ready.url)
            .env("NIGHTSHIFT_TOKEN", token)
            .env("NO_COLOR", "1")
            .output()
            .unwrap();
        let said = String::from_utf8_lossy(&output.stderr).into_owned();
        assert!(output.stdout.is_empty(), "errors belong on stderr: {words:?}");
        (output.status.code().unwrap(), said)
    };
    let refused: [(&[&str], &str); 7] = [
        (&["cron", "add", "--every", "1h", "--session", "main", "--message", "x"], "payload.kind"),
        (&["cron", "add", "--every", "1h", "--session", "isolated", "--system-event", "x"], "payload.kind"),
        (&["cron", "add", "--cron", "61 7 * * *", "--message", "x"], "schedule.expr"),
        (&["cron", "add", "--cron", "0 7 * * *", "--tz", "Mars/Phobos", "--message", "x"], "schedule.tz"),
        (&["cron", "add", "--at", "2020-01-01T00:00:00Z", "--message", "x"], "schedule.at"),
        (&["cron", "add", "--every", "59s", "--message", "x"], "schedule.everyMs"),
        (&["cron", "add", "--every", "1h", "--message", "x", "--webhook", "ftp://x"], "delivery.to"),
    ];
    let token = ready.token.clone();
    tokio::task::block_in_place(|| {
        for (words, field) in refused {
            let (code, said) = run(&token, words);
            assert!(matches!(code, 2 | 3), "{words:?} exited with {code}: {said}");
            assert!(said.contains("error:") && said.contains(field), "{words:?}: {said}");
        }
        let (usage, said) = run(&token, &["cron", "add", "--colour", "blue"]);
        assert_eq!(usage, 2, "{said}");
        let (unauthorized, said) = run("ns-wrong", &["cron", "list"]);
        assert_eq!(unauthorized, 5, "{said}");
        let (missing, said) = run(&token, &["cron", "get", "nobody"]);
        assert_eq!(missing, 4, "{said}");
    });
    nothing_is_stored(&local).await;
}
