//! When a whole job runs next, against the recorded results of the schedule vectors.

use chrono::DateTime;
use nightshift_domain::config::Config;
use nightshift_domain::job::{Job, JobRecord};
use nightshift_engine::jobs::next_start;
use serde_json::{Value, json};

/// Where Nightshift differs on purpose.
const DIFFERENT: (&str, &str) = (
    "at: past and never ran -> still due (catch-up)",
    "the timer service holds a one-shot until it has fired, so its run is late, never still to come",
);

#[test]
fn a_job_runs_next_when_the_recorded_one_does() {
    let file: Value =
        serde_json::from_str(include_str!("../../shared/domain/tests/vectors/schedule-next.json")).unwrap();
    let cases = file["jobNext"].as_array().unwrap();
    assert_eq!(cases.len(), 4);
    for case in cases {
        let name = case["name"].as_str().unwrap();
        let job = json!({
            "jobId": case["job"]["id"], "name": name, "enabled": case["job"]["enabled"], "deleteAfterRun": false,
            "createdAtMs": case["job"]["createdAtMs"], "updatedAtMs": 0, "schedule": case["job"]["schedule"],
            "sessionTarget": "isolated", "wakeMode": "now", "payload": { "kind": "agentTurn", "message": "x" },
            "missed": "once", "overlap": "skip", "state": { "lastRunAtMs": case["job"]["state"]["lastRunAtMs"] },
        });
        let job: Job = serde_json::from_value(job).unwrap();
        let now = DateTime::from_timestamp_millis(case["nowMs"].as_i64().unwrap()).unwrap();
        let expected = if name == DIFFERENT.0 { None } else { case["nextMs"].as_i64() };
        let ours = next_start(&JobRecord::new(job), &Config::default(), now).map(|at| at.timestamp_millis());
        assert_eq!(ours, expected, "{name}; differs where {}", DIFFERENT.1);
    }
}
