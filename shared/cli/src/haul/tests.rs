//! Files as people have them.

use std::path::{Path, PathBuf};

use serde_json::{Value, json};

use super::{Haul, gather};
use crate::error::ExpectedError;

fn sample() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("../../tests/data/openclaw/cron")
}

fn written(text: &str, name: &str) -> (tempfile::TempDir, PathBuf) {
    let dir = tempfile::tempdir().unwrap();
    let path = dir.path().join(name);
    std::fs::write(&path, text).unwrap();
    (dir, path)
}

fn read(text: &str, name: &str) -> Result<Haul, ExpectedError> {
    let (_dir, path) = written(text, name);
    gather(&[path], &[])
}

fn found(text: &str, name: &str) -> (usize, usize, usize) {
    let haul = read(text, name).unwrap();
    (haul.jobs.len(), haul.runs.len(), haul.refused.len())
}

#[test]
fn what_a_file_is_is_told_by_its_content() {
    let job =
        json!({ "id": "a", "schedule": { "kind": "every", "everyMs": 60_000 }, "payload": { "kind": "agentTurn" } });
    let run = json!({ "ts": 5, "jobId": "a", "action": "finished", "status": "ok" });
    let cases = [
        (json!({ "version": 1, "jobs": [job] }).to_string(), (1, 0, 0)),
        (json!({ "jobs": [job, job], "total": 2, "offset": 0, "hasMore": false }).to_string(), (2, 0, 0)),
        (json!({ "entries": [run], "total": 1 }).to_string(), (0, 1, 0)),
        (json!({ "version": 1, "jobs": [job], "runs": [run, run] }).to_string(), (1, 2, 0)),
        (json!([job, run]).to_string(), (1, 1, 0)),
        (job.to_string(), (1, 0, 0)),
        (json!({ "job": job }).to_string(), (1, 0, 0)),
        (run.to_string(), (0, 1, 0)),
        (format!("{run}\n\n{run}\n"), (0, 2, 0)),
        (format!("{run}\n{{\"ts\":6,\n{run}\n"), (0, 2, 1)),
        (format!("\u{feff}{}", json!([job])), (1, 0, 0)),
        ("  \n".to_owned(), (0, 0, 0)),
    ];
    for (text, expected) in cases {
        // A name says nothing.
        for name in ["jobs.json", "x.txt"] {
            assert_eq!(found(&text, name), expected, "{text}");
        }
    }
}

#[test]
fn bad_json_is_told_with_file_line_and_column() {
    let error = read("{\n  \"jobs\": [\n    {\"id\": }\n  ]\n}", "jobs.json").unwrap_err();
    assert_eq!(error.exit() as u8, 2);
    let told = format!("{error}: {}", std::error::Error::source(&error).unwrap());
    assert!(told.contains("jobs.json is not JSON: expected value at line 3 column 12"), "{told}");

    let haul = read("{\"ts\":5,\"jobId\":\"a\",\"status\":\"ok\"}\n{\"ts\":6,\"jo\n", "a.jsonl").unwrap();
    let refused = &haul.refused[0];
    assert_eq!(refused.line, Some(2));
    assert!(refused.file.as_ref().unwrap().ends_with("a.jsonl") && refused.reason.contains("column"), "{refused:?}");
}

#[test]
fn what_holds_nothing_to_import_is_refused_by_its_name() {
    for text in ["7", "\"jobs\"", "null"] {
        assert!(matches!(read(text, "x.json"), Err(ExpectedError::Usage { .. })), "{text}");
    }
    let states = r#"{"version":1,"jobs":{"a":{"state":{"lastRunAtMs":5}}}}"#;
    assert!(matches!(read(states, "jobs-state.json"), Err(ExpectedError::Usage { .. })));
    let missing = gather(&[PathBuf::from("/no/such/file")], &[]).unwrap_err();
    assert!(matches!(missing, ExpectedError::ReadFile { .. }));
    let empty = tempfile::tempdir().unwrap();
    assert!(matches!(gather(&[empty.path().to_owned()], &[]), Err(ExpectedError::Usage { .. })));
}

#[test]
fn a_cron_folder_gives_jobs_and_logs_and_a_logs_name_tells_its_job() {
    for folder in [sample(), sample().parent().unwrap().to_owned()] {
        let haul = gather(&[folder], &[]).unwrap();
        assert_eq!((haul.jobs.len(), haul.runs.len(), haul.refused.len()), (15, 7, 1));
        let gone: Vec<&Value> =
            haul.runs.iter().map(|run| &run.entry).filter(|entry| entry["jobId"] == "gone-job").collect();
        assert_eq!(gone.len(), 1);
        assert!(haul.refused[0].file.as_ref().unwrap().ends_with("e02.jsonl"), "{:?}", haul.refused);
        assert_eq!(haul.refused[0].line, Some(3));
    }
}

#[test]
fn of_the_runs_paths_only_runs_are_taken() {
    let haul = gather(&[sample().join("jobs.json")], &[sample().join("runs")]).unwrap();
    assert_eq!((haul.jobs.len(), haul.runs.len()), (15, 7));
    assert_eq!(haul.notes, Vec::<String>::new());
    let haul = gather(&[], &[sample()]).unwrap();
    assert_eq!((haul.jobs.len(), haul.runs.len()), (0, 7));
    assert!(haul.notes[0].contains("15 jobs found there are left out"), "{:?}", haul.notes);
}

#[test]
fn how_jobs_fared_is_taken_from_the_file_beside_them() {
    let dir = tempfile::tempdir().unwrap();
    let write = |name: &str, value: Value| std::fs::write(dir.path().join(name), value.to_string()).unwrap();
    write(
        "jobs.json",
        json!({ "version": 1, "jobs": [{ "id": "a", "payload": {}, "state": {} }, { "id": "b", "payload": {} }] }),
    );
    let states =
        json!({ "a": { "updatedAtMs": 7, "state": { "lastRunAtMs": 5 } }, "b": { "lastRunAtMs": 6 }, "gone": {} });
    write("jobs-state.json", json!({ "version": 1, "jobs": states }));
    let haul = gather(&[dir.path().to_owned()], &[]).unwrap();
    assert_eq!(haul.jobs[0]["state"], json!({ "lastRunAtMs": 5 }));
    assert_eq!(haul.jobs[1]["state"], json!({ "lastRunAtMs": 6 }));
}

/// A database as `OpenClaw` 2026.6 and later write it, with the columns that are relied on and some that are not.
fn database(home: &Path, with_logs: bool) {
    std::fs::create_dir_all(home.join("state")).unwrap();
    let connection = rusqlite::Connection::open(home.join("state/openclaw.sqlite")).unwrap();
    connection
        .execute_batch(
            "CREATE TABLE cron_jobs (store_key TEXT NOT NULL, job_id TEXT NOT NULL, name TEXT NOT NULL, enabled INTEGER,
               payload_kind TEXT, job_json TEXT NOT NULL, state_json TEXT NOT NULL DEFAULT '{}', sort_order INTEGER,
               updated_at INTEGER NOT NULL, PRIMARY KEY (store_key, job_id));",
        )
        .unwrap();
    let job = |id: &str| json!({ "id": id, "schedule": { "kind": "every", "everyMs": 60_000 }, "state": { "lastRunAtMs": 1 } });
    for (store, id, updated) in [("old", "x", 1), ("live", "a", 5), ("live", "b", 2)] {
        connection
            .execute(
                "INSERT INTO cron_jobs VALUES (?1, ?2, ?2, 1, 'agentTurn', ?3, '{\"lastRunAtMs\":9}', 0, ?4)",
                (store, id, job(id).to_string(), updated),
            )
            .unwrap();
    }
    if with_logs {
        connection
            .execute_batch(
                "CREATE TABLE cron_run_logs (store_key TEXT, job_id TEXT, seq INTEGER, ts INTEGER, entry_json TEXT);
                 INSERT INTO cron_run_logs VALUES ('live', 'a', 2, 20, '{\"ts\":20,\"status\":\"ok\"}'),
                   ('live', 'a', 1, 10, '{\"ts\":10,\"jobId\":\"a\",\"status\":\"ok\"}'), ('old', 'x', 1, 5, '{}');",
            )
            .unwrap();
    }
}

#[test]
fn a_state_database_gives_the_live_stores_jobs_how_they_fared_and_their_runs() {
    let home = tempfile::tempdir().unwrap();
    database(home.path(), true);
    for path in [home.path().to_owned(), home.path().join("state/openclaw.sqlite")] {
        let haul = gather(&[path], &[]).unwrap();
        let ids: Vec<&str> = haul.jobs.iter().map(|job| job["id"].as_str().unwrap()).collect();
        assert_eq!(ids, ["a", "b"]);
        assert_eq!(haul.jobs[0]["state"], json!({ "lastRunAtMs": 9 }));
        let times: Vec<_> =
            haul.runs.iter().map(|run| (&run.entry["jobId"], run.entry["ts"].as_i64().unwrap())).collect();
        assert_eq!(times, [(&json!("a"), 10), (&json!("a"), 20)]);
        assert!(haul.notes.iter().any(|note| note.contains("store old")), "{:?}", haul.notes);
    }
}

#[test]
fn a_database_without_run_logs_says_how_to_get_them_and_a_stale_store_file_is_left_out() {
    let home = tempfile::tempdir().unwrap();
    database(home.path(), false);
    std::fs::create_dir_all(home.path().join("cron")).unwrap();
    std::fs::write(home.path().join("cron/jobs.json"), r#"{"version":1,"jobs":[{"id":"stale","payload":{}}]}"#)
        .unwrap();
    let haul = gather(&[home.path().to_owned()], &[]).unwrap();
    assert_eq!((haul.jobs.len(), haul.runs.len()), (2, 0));
    let told = haul.notes.join("\n");
    assert!(told.contains("openclaw cron runs") && told.contains("jobs.json is left out"), "{told}");

    let other = tempfile::tempdir().unwrap();
    let path = other.path().join("x.sqlite");
    rusqlite::Connection::open(&path).unwrap().execute_batch("CREATE TABLE t (a)").unwrap();
    assert!(matches!(gather(&[path], &[]), Err(ExpectedError::Usage { .. })));
}
