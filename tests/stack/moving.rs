//! Moving in from `OpenClaw`, and from one Nightshift to another, on the whole stack with the real command line.
#![expect(clippy::unwrap_used, reason = "helpers of tests, which clippy knows only inside test functions")]

use std::path::Path;
use std::process::Output;

use chrono::{DateTime, Utc};
use nightshift_tests::local::Local;
use nightshift_tests::process::{program, workspace};
use serde_json::{Value, json};

/// Runs the command line against `stack`, its own environment left out.
async fn cli(local: &Local, arguments: &[&str]) -> Output {
    let ready = &local.stack.ready;
    let mut command = std::process::Command::new(program("nightshift"));
    command.args(arguments).args(["--url", &ready.url, "--token", &ready.token]).env("NO_COLOR", "1");
    tokio::task::spawn_blocking(move || command.output().expect("nightshift is built")).await.unwrap()
}

fn text(bytes: &[u8]) -> String {
    String::from_utf8(bytes.to_vec()).unwrap()
}

fn parsed(output: &Output) -> Value {
    serde_json::from_slice(&output.stdout).unwrap_or_else(|error| panic!("{error}: {}", text(&output.stderr)))
}

fn sample() -> String {
    workspace().join("tests/data/openclaw").to_str().unwrap().to_owned()
}

fn ms(instant: &str) -> i64 {
    instant.parse::<DateTime<Utc>>().unwrap().timestamp_millis()
}

const BRIEF: &str = "0b7c3a52-9f0e-4d6b-8a11-2f6f0c1d7e01";

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn an_openclaw_folder_moves_in_with_its_history_and_goes_on() {
    let local = Local::start().await;
    // Answers of jobs whose channel is not configured here would only fail: they go to the console.
    let mut store: Value =
        serde_json::from_str(&std::fs::read_to_string(Path::new(&sample()).join("cron/jobs.json")).unwrap()).unwrap();
    store["jobs"][0]["delivery"] = json!({ "mode": "announce", "channel": "console", "to": "me" });
    store["jobs"][0]["payload"]["model"] = Value::Null;
    let folder = local.dir.path().join("cron");
    std::fs::create_dir_all(folder.join("runs")).unwrap();
    std::fs::write(folder.join("jobs.json"), store.to_string()).unwrap();
    for log in std::fs::read_dir(Path::new(&sample()).join("cron/runs")).unwrap() {
        let log = log.unwrap();
        std::fs::copy(log.path(), folder.join("runs").join(log.file_name())).unwrap();
    }
    let folder = folder.to_str().unwrap();

    let first = cli(&local, &["cron", "import", folder]).await;
    let told = text(&first.stdout);
    assert_eq!(first.status.code(), Some(10), "{told}{}", text(&first.stderr));
    assert!(
        told.contains("jobs: 12 added, 3 refused\nruns: 6 imported, 1 older than history is kept, 1 refused"),
        "{told}"
    );
    assert!(told.contains("not carried: delivery.completionDestination: "), "{told}");

    let listed = parsed(&cli(&local, &["cron", "list", "--all", "--json"]).await);
    assert_eq!(listed["jobs"].as_array().unwrap().len(), 12);
    let brief = listed["jobs"].as_array().unwrap().iter().find(|job| job["jobId"] == BRIEF).unwrap();
    // 07:30 in Berlin.
    assert_eq!(brief["state"]["nextRunAtMs"], ms("2026-11-20T06:30:00Z"));
    assert_eq!(brief["state"]["lastStatus"], "ok");

    let second = parsed(&cli(&local, &["cron", "import", folder, "--json"]).await);
    let outcomes: Vec<&str> =
        second["jobs"].as_array().unwrap().iter().map(|job| job["outcome"].as_str().unwrap()).collect();
    let count = |word: &str| outcomes.iter().filter(|outcome| **outcome == word).count();
    assert_eq!((count("unchanged"), count("refused")), (12, 3), "{second:#}");
    assert_eq!((&second["runs"]["imported"], &second["runs"]["unchanged"]), (&json!(0), &json!(6)));

    local.advance(31).await;
    assert_eq!(local.delivered().len(), 1, "the next occurrence is delivered");
    let runs = parsed(&cli(&local, &["cron", "runs", BRIEF, "--json"]).await);
    let runs: Vec<(&str, &str, &str)> = runs["runs"]
        .as_array()
        .unwrap()
        .iter()
        .map(|run| (run["origin"].as_str().unwrap(), run["status"].as_str().unwrap(), run["summary"].as_str().unwrap()))
        .collect();
    assert_eq!(runs[0].0, "schedule");
    assert_eq!(runs[1..], [("import", "ok", "Quiet night."), ("import", "ok", "Two deploys, no incidents.")]);
    // What was never fired there is not fired here, however long ago it was due.
    let dentist = parsed(&cli(&local, &["cron", "runs", "0b7c3a52-9f0e-4d6b-8a11-2f6f0c1d7e05", "--json"]).await);
    assert_eq!(dentist["runs"], json!([]));
    let table = text(&cli(&local, &["cron", "runs", BRIEF]).await.stdout);
    assert_eq!(table.lines().count(), 4, "{table}");
}

/// Jobs and runs in an order of their own, jobs without the next run, which each stack computes anew.
fn comparable(document: &Value) -> Value {
    let mut document = document.clone();
    for job in document["jobs"].as_array_mut().unwrap() {
        job["state"]["nextRunAtMs"] = Value::Null;
    }
    document["runs"].as_array_mut().unwrap().sort_by_key(|run| run["runId"].to_string());
    document
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn an_export_comes_back_as_it_was() {
    let first = Local::start().await;
    cli(&first, &["cron", "import", &sample()]).await;
    let added = [
        json!({ "name": "Own", "schedule": { "kind": "every", "everyMs": 600_000 }, "declarationKey": "own/1", "missed": "all",
            "maxLatenessMs": 5_000, "overlap": "queue", "delivery": { "mode": "none" },
            "payload": { "kind": "agentTurn", "message": "x".repeat(60_000), "toolsAllow": [], "thinking": "low",
                "batch": { "enabled": true, "maxWaitMs": 7_200_000, "onTimeout": "realtime" } } }),
        json!({ "name": "Own event", "schedule": { "kind": "cron", "expr": "0 5 * * *", "tz": "Asia/Tokyo" }, "enabled": false,
            "payload": { "kind": "systemEvent", "text": "ping", "model": "haiku" }, "failureAlert": { "after": 4 } }),
        json!({ "name": "Own chat", "schedule": { "kind": "every", "everyMs": 86_400_000 }, "failureAlert": true,
            "payload": { "kind": "agentTurn", "message": "Say it." }, "delivery": { "mode": "announce" } }),
    ];
    for job in added {
        let answer = first.call("cron.add", &job).await;
        assert_eq!(answer.status, 200, "{}", answer.body);
        if job["name"] == "Own chat" {
            first.call("cron.run", &json!({ "jobId": answer.body["jobId"] })).await;
        }
    }
    first.advance(1).await;
    let file = first.dir.path().join("export.json");
    let file = file.to_str().unwrap();
    let wrote = cli(&first, &["cron", "export", "--runs", "--output", file]).await;
    assert_eq!(wrote.status.code(), Some(0), "{}", text(&wrote.stderr));
    let exported: Value = serde_json::from_str(&std::fs::read_to_string(file).unwrap()).unwrap();
    assert_eq!((exported["version"].clone(), exported["jobs"].as_array().unwrap().len()), (json!(1), 15));
    let own = exported["runs"].as_array().unwrap().iter().filter(|run| run["jobName"] == "Own chat").count();
    assert_eq!((own, exported["runs"].as_array().unwrap().len()), (1, 7));

    let same = parsed(&cli(&first, &["cron", "import", file, "--json"]).await);
    assert!(same["jobs"].as_array().unwrap().iter().all(|job| job["outcome"] == "unchanged"), "{same:#}");
    assert_eq!(same["runs"]["unchanged"], 7, "our own runs keep their ids");

    let second = Local::start().await;
    let taken = cli(&second, &["cron", "import", file]).await;
    assert_eq!(taken.status.code(), Some(0), "{}{}", text(&taken.stdout), text(&taken.stderr));
    assert!(!text(&taken.stdout).contains("not carried"), "{}", text(&taken.stdout));
    let again = parsed(&cli(&second, &["cron", "export", "--runs"]).await);
    assert_eq!(comparable(&again), comparable(&exported));
}
