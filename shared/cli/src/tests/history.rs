//! `cron runs` against an API of pages.

use nightshift_wire::ExitCode;
use serde_json::{Value, json};

use super::server::{Answer, Ran, run};
use super::{job, refusal, run_view};

fn rows(names: &[&str]) -> Vec<Value> {
    names.iter().map(|name| run_view("succeeded", Some("ok"), &json!({"runId": format!("job-1_{name}")}))).collect()
}

fn page(names: &[&str], next: Option<&str>) -> Answer {
    Answer::Json(200, json!({"runs": rows(names), "entries": rows(names), "nextCursor": next}))
}

/// The ends of the run ids, in the order shown.
fn listed(ran: &Ran) -> Vec<String> {
    let answer: Value = serde_json::from_str(&ran.out).unwrap();
    assert_eq!(answer["runs"], answer["entries"]);
    let ids = answer["runs"].as_array().unwrap().iter().map(|row| row["runId"].as_str().unwrap());
    ids.map(|id| id.trim_start_matches("job-1_").to_owned()).collect()
}

#[tokio::test]
async fn a_plain_list_is_one_page_and_the_way_to_the_next_is_told() {
    let line = ["cron", "runs", "job-1", "--limit", "2", "--delivery-status", "delivered"];
    let ran = run(&line, vec![page(&["b", "a"], Some("c1"))]).await;
    assert_eq!(ran.requests[0].body, json!({"jobId": "job-1", "deliveryStatus": "delivered", "limit": 2}));
    assert_eq!((ran.exit, ran.err.as_str()), (ExitCode::Ok, "hint: older ones with --offset 2\n"));
    let ran = run(&["cron", "runs", "--cursor", "c1"], vec![page(&["b", "a"], Some("c2"))]).await;
    assert_eq!(
        (&ran.requests[0].body, ran.err.as_str()),
        (&json!({"cursor": "c1"}), "hint: older ones with --cursor c2\n")
    );
}

#[tokio::test]
async fn asc_turns_the_page_around() {
    let ran = run(&["cron", "runs", "--sort", "asc", "--json"], vec![page(&["b", "a"], Some("c1"))]).await;
    assert_eq!(listed(&ran), ["a", "b"]);
    assert_eq!(ran.requests[0].body, json!({}), "the API's order is its own");
}

#[tokio::test]
async fn an_offset_leaves_the_newest_out_and_tells_the_next_one() {
    let line = ["cron", "runs", "job-1", "--offset", "1", "--limit", "2"];
    let answers = || vec![page(&["d", "c"], Some("c1")), page(&["b", "a"], Some("c2"))];
    let ran = run(&[&line[..], &["--json"]].concat(), answers()).await;
    assert_eq!(listed(&ran), ["c", "b"]);
    let answer: Value = serde_json::from_str(&ran.out).unwrap();
    assert_eq!((&answer["hasMore"], &answer["nextOffset"]), (&json!(true), &json!(3)));
    assert_eq!(ran.requests[0].body, json!({"jobId": "job-1", "limit": 4}));
    assert_eq!(ran.requests[1].body, json!({"jobId": "job-1", "limit": 2, "cursor": "c1"}));
    let ran = run(&line, answers()).await;
    assert_eq!(ran.err, "hint: older ones with --offset 3\n");
}

#[tokio::test]
async fn a_query_reads_on_until_enough_runs_have_its_text() {
    let found =
        run_view("failed", Some("error"), &json!({"runId": "job-1_c", "error": {"code": "timeout", "message": "m"}}));
    let first = json!({"runs": [rows(&["d"])[0], found], "nextCursor": "c1"});
    let answers = vec![Answer::Json(200, first), page(&["b", "a"], None)];
    let ran = run(&["cron", "runs", "job-1", "--query", "TimeOut", "--json"], answers).await;
    assert_eq!(listed(&ran), ["c"]);
    assert_eq!(ran.requests[0].body, json!({"jobId": "job-1", "limit": 200}));
    assert_eq!(ran.requests.len(), 2);
}

#[tokio::test]
async fn more_than_a_page_is_read_page_by_page() {
    let ran =
        run(&["cron", "runs", "--limit", "250", "--json"], vec![page(&["b"], Some("c1")), page(&["a"], None)]).await;
    assert_eq!(listed(&ran), ["b", "a"]);
    assert_eq!(ran.requests[0].body, json!({"limit": 200}));
}

#[tokio::test]
async fn a_limit_out_of_range_is_a_wrong_command_line() {
    for limit in ["0", "5001", "-1", "many"] {
        let ran = run(&["cron", "runs", "--limit", limit], vec![]).await;
        assert_eq!((ran.exit, ran.requests.len()), (ExitCode::Usage, 0), "{limit}");
    }
    let ran = run(&["cron", "runs", "--limit", "0"], vec![]).await;
    assert!(ran.err.contains("0 is not in 1..=5000"), "{}", ran.err);
}

#[tokio::test]
async fn a_job_without_runs_and_a_job_that_is_not_are_told_apart() {
    let nobody = || Answer::Json(404, refusal("not_found", &json!({})));
    let ran = run(&["cron", "runs", "nope"], vec![page(&[], None), nobody()]).await;
    assert_eq!((ran.exit, ran.out.as_str()), (ExitCode::NotFound, ""));
    assert!(ran.err.starts_with("error: there is no job nope, and no history of one\nhint: "), "{}", ran.err);

    let ran = run(&["cron", "runs", "job-1"], vec![page(&[], None), Answer::Json(200, job("job-1"))]).await;
    assert_eq!((ran.exit, ran.err.as_str()), (ExitCode::Ok, "this job has not run yet\n"));

    let ran = run(&["cron", "runs", "job-1", "--status", "error"], vec![page(&[], None), page(&["a"], None)]).await;
    assert_eq!((ran.exit, ran.err.as_str()), (ExitCode::Ok, "no runs of this job fit\n"));
    assert_eq!(ran.requests[1].body, json!({"jobId": "job-1", "limit": 1}));

    let ran = run(&["cron", "runs"], vec![page(&[], None)]).await;
    assert_eq!((ran.exit, ran.err.as_str()), (ExitCode::Ok, "no runs yet\n"));
}

#[tokio::test]
async fn the_end_of_a_run_id_needs_its_job() {
    let ran = run(&["cron", "runs", "--run-id", "m01KAHJ5Z3M7Q2W4E6R8T0YABCD"], vec![]).await;
    assert_eq!(ran.exit, ExitCode::Usage);
    assert!(
        ran.err.contains("only the end of a run's id") && ran.err.contains("cron runs <jobId> --run-id"),
        "{}",
        ran.err
    );
    let view = run_view("succeeded", Some("ok"), &json!({}));
    let ran = run(&["cron", "runs", "job-1", "--run-id", "m01"], vec![Answer::Json(200, view)]).await;
    assert_eq!(ran.requests[0].body, json!({"runId": "job-1_m01"}));
}
