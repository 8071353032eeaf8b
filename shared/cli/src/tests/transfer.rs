//! `cron import` and `cron export` against a server.

use std::path::Path;

use nightshift_wire::ExitCode;
use serde_json::{Value, json};

use super::server::{Answer, run};
use super::{job, run_view};

fn sample() -> String {
    let path = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../tests/data/openclaw/cron");
    path.to_str().unwrap().to_owned()
}

fn report(id: &str, name: &str, outcome: &str) -> Value {
    json!({ "sourceId": id, "jobId": id, "name": name, "outcome": outcome, "dropped": [], "notes": [], "faults": [] })
}

fn answer(jobs: &Value, runs: &Value) -> Answer {
    let none = json!({ "imported": 0, "unchanged": 0, "expired": 0, "refused": [] });
    let runs = if runs.is_null() { &none } else { runs };
    Answer::Json(
        200,
        json!({ "ok": true, "dryRun": false, "notes": ["a wake mode is assumed"], "jobs": jobs, "runs": runs }),
    )
}

fn store(text: &str) -> (tempfile::TempDir, String) {
    let dir = tempfile::tempdir().unwrap();
    let path = dir.path().join("jobs.json");
    std::fs::write(&path, text).unwrap();
    let name = path.to_str().unwrap().to_owned();
    (dir, name)
}

#[tokio::test]
async fn an_import_is_told_job_by_job_with_what_stays_behind_and_counts() {
    let mut left = report("b", "Weekly report", "added");
    left["dropped"] = json!([{ "field": "sessionKey", "reason": "sessions are not carried" }]);
    left["notes"] = json!(["its schedule names no time zone"]);
    let mut refused = report("c", "Backup", "refused");
    refused["faults"] = json!([{ "code": "not_available", "field": "payload.kind", "message": "it runs a program", "hint": "ask an agent" }]);
    let runs = json!({ "imported": 4, "unchanged": 0, "expired": 1, "refused": [{ "line": 6, "reason": "it has no status" }] });
    let jobs = json!([report("a", "Brief", "added"), left, refused]);
    let ran = run(&["cron", "import", &sample()], vec![answer(&jobs, &Value::Null), answer(&json!([]), &runs)]).await;
    assert_eq!(ran.exit, ExitCode::Partial, "{}", ran.err);
    assert_eq!(ran.requests[0].path, "/v1/cron.import");
    assert_eq!(ran.requests[0].body["jobs"].as_array().unwrap().len(), 15);
    assert_eq!(ran.requests[1].body["runs"].as_array().unwrap().len(), 7);
    assert!(ran.requests[0].body.get("dryRun").is_none());
    let log = |name: &str| format!("{}/runs/{name}.jsonl", sample());
    let unread = log("0b7c3a52-9f0e-4d6b-8a11-2f6f0c1d7e02");
    // The sixth run of the request is where the third log has its fourth line.
    let expected = format!(
        "outcome  job id  name\nadded    a       Brief\nadded    b       Weekly report\nrefused  c       Backup\n\
        \nWeekly report\n  not carried: sessionKey: sessions are not carried\n  note: its schedule names no time zone\n\
        \nBackup\n  refused: payload.kind: it runs a program\n  hint: ask an agent\n\
        \nruns that were not taken\n  {unread}:3: it is not JSON from column 81 on\n  \
        {unread}:4: it has no status\n\
        \njobs: 2 added, 1 refused\nruns: 4 imported, 1 older than history is kept, 2 refused\n"
    );
    assert_eq!(ran.out, expected);
    assert_eq!(
        ran.err,
        "note: a wake mode is assumed\nerror: not taken: 1 job, 2 runs\nhint: the reasons are above; everything else was taken\n"
    );
}

#[tokio::test]
async fn flags_reach_the_api_and_json_is_one_answer() {
    let (_dir, file) = store(r#"[{"id":"a","payload":{}}]"#);
    let ran = run(
        &["cron", "import", &file, "--dry-run", "--update", "--json"],
        vec![answer(&json!([report("a", "A", "updated")]), &Value::Null)],
    )
    .await;
    assert_eq!(ran.exit, ExitCode::Ok, "{}", ran.err);
    assert_eq!(ran.requests[0].body, json!({ "jobs": [{ "id": "a", "payload": {} }], "dryRun": true, "update": true }));
    let printed: Value = serde_json::from_str(&ran.out).unwrap();
    assert_eq!((&printed["dryRun"], &printed["jobs"][0]["outcome"]), (&json!(true), &json!("updated")));
}

#[tokio::test]
async fn a_conflict_has_its_hint_and_a_job_no_request_can_hold_is_refused_here() {
    let long = "x".repeat(256 * 1024);
    let jobs = json!([{ "id": "a", "payload": {} }, { "id": "long", "name": "Long", "payload": { "message": long } }]);
    let (_dir, file) = store(&jobs.to_string());
    let ran = run(&["cron", "import", &file], vec![answer(&json!([report("a", "A", "conflict")]), &Value::Null)]).await;
    assert_eq!((ran.exit, ran.requests.len()), (ExitCode::Partial, 1));
    assert!(ran.out.contains("refused   long    Long\n"), "{}", ran.out);
    assert!(ran.out.contains("refused: job: it has 262196 bytes, the most is 261120"), "{}", ran.out);
    assert!(ran.out.ends_with("\njobs: 1 in conflict, 1 refused\n"), "{}", ran.out);
    assert!(ran.err.contains("--update redefines jobs"), "{}", ran.err);
}

#[tokio::test]
async fn many_jobs_go_in_several_requests_and_what_was_done_is_told_when_one_fails() {
    let jobs: Vec<Value> = (0..51).map(|n| json!({ "id": format!("j-{n}"), "payload": {} })).collect();
    let (_dir, file) = store(&json!(jobs).to_string());
    let refusal = json!({ "error": { "code": "unavailable", "message": "not now" }, "requestId": "r" });
    let answers = vec![answer(&json!([report("j-0", "First", "added")]), &Value::Null), Answer::Json(503, refusal)];
    let ran = run(&["cron", "import", &file], answers).await;
    assert_eq!(ran.exit, ExitCode::Unreachable);
    assert_eq!(ran.requests[0].body["jobs"].as_array().unwrap().len(), 50);
    assert_eq!(ran.requests[1].body["jobs"][0]["id"], "j-50");
    assert!(ran.out.contains("added    j-0"), "{}", ran.out);
    assert!(
        ran.err.contains("the same command again does the rest") && ran.err.contains("error: not now"),
        "{}",
        ran.err
    );
}

#[tokio::test]
async fn what_cannot_be_read_sends_nothing() {
    let (_dir, file) = store("{\"jobs\": [}");
    let ran = run(&["cron", "import", &file], vec![]).await;
    assert_eq!((ran.exit, ran.requests.len()), (ExitCode::Usage, 0));
    assert!(ran.err.contains("is not JSON: expected value at line 1 column 11"), "{}", ran.err);
    let (_dir, empty) = store("{\"jobs\": []}");
    for line in [vec!["cron", "import", &empty], vec!["cron", "import"]] {
        let ran = run(&line, vec![]).await;
        assert_eq!((ran.exit, ran.requests.len()), (ExitCode::Usage, 0), "{line:?}");
    }
}

#[tokio::test]
async fn an_export_reads_every_page_and_writes_a_store() {
    let pages = || {
        vec![
            Answer::Json(200, json!({ "jobs": [job("a")], "nextCursor": "c1" })),
            Answer::Json(200, json!({ "jobs": [job("b")], "nextCursor": null })),
        ]
    };
    let ran = run(&["cron", "export"], pages()).await;
    assert_eq!(ran.exit, ExitCode::Ok, "{}", ran.err);
    assert_eq!(ran.requests[1].body, json!({ "limit": 200, "includeDisabled": true, "cursor": "c1" }));
    let printed: Value = serde_json::from_str(&ran.out).unwrap();
    assert_eq!((&printed["version"], &printed["jobs"][1]["id"]), (&json!(1), &json!("b")));
    assert!(printed["jobs"][0].get("jobId").is_none() && printed.get("runs").is_none());

    let dir = tempfile::tempdir().unwrap();
    let file = dir.path().join("out.json");
    let ran = run(&["cron", "export", "--output", file.to_str().unwrap()], pages()).await;
    assert_eq!((ran.exit, ran.out.as_str()), (ExitCode::Ok, ""));
    let text = std::fs::read_to_string(&file).unwrap();
    assert_eq!(serde_json::from_str::<Value>(&text).unwrap(), printed);
    let nowhere = dir.path().join("no/such/folder.json");
    let ran = run(&["cron", "export", "-o", nowhere.to_str().unwrap()], pages()).await;
    assert_eq!(ran.exit, ExitCode::Usage);
}

#[tokio::test]
async fn exported_runs_are_whole_and_live_ones_are_left_out() {
    let summary = format!("{}…", "x".repeat(2000));
    let cut = run_view(
        "succeeded",
        Some("ok"),
        &json!({ "summary": summary, "endedAtMs": 5, "deliveryStatus": "delivered" }),
    );
    let mut full = cut.clone();
    full["text"] = json!("x".repeat(2500));
    let error = json!({ "error": { "code": "overlap", "message": "the run was skipped: overlap" }, "startedAtMs": null,
        "durationMs": null, "endedAtMs": 9, "path": null });
    let rows = json!([cut, run_view("skipped", Some("skipped"), &error), run_view("due", None, &json!({}))]);
    let answers = vec![
        Answer::Json(200, json!({ "jobs": [], "nextCursor": null })),
        Answer::Json(200, json!({ "runs": rows, "entries": rows, "nextCursor": null })),
        Answer::Json(200, full),
    ];
    let ran = run(&["cron", "export", "--runs"], answers).await;
    assert_eq!(ran.exit, ExitCode::Ok, "{}", ran.err);
    let printed: Value = serde_json::from_str(&ran.out).unwrap();
    let runs = printed["runs"].as_array().unwrap();
    assert_eq!(runs.len(), 2);
    assert_eq!(runs[0]["summary"].as_str().unwrap().len(), 2500);
    assert_eq!((&runs[0]["ts"], &runs[0]["path"]), (&json!(5), &json!("batch")));
    assert_eq!(
        (&runs[1]["error"], runs[1].get("runAtMs"), runs[1].get("errorReason")),
        (&json!("overlap"), None, None)
    );
}
