//! `cron plan` and `cron doctor`: what is asked, what is shown, and when a script is told to worry.

use nightshift_wire::ExitCode;
use serde_json::{Value, json};

use super::server::{Answer, run_within};

fn answer() -> Value {
    let note = "02:30 does not exist on 2026-03-29 in Europe/Vienna: skipped";
    json!({
        "jobId": "job-1",
        "schedule": { "kind": "cron", "expr": "30 2 * * *", "tz": "Europe/Vienna" },
        "timezone": "Europe/Vienna",
        "staggerMs": 30_000,
        "occurrences": [
            { "atMs": 1_774_661_400_000_i64, "local": "2026-03-28T02:30:00+01:00" },
            { "atMs": 1_774_830_612_000_i64, "slotMs": 1_774_830_600_000_i64, "local": "2026-03-30T02:30:12+02:00",
                "note": format!("{note}; the last one, the schedule ends with it") },
        ],
        "skipped": [
            { "wall": "2026-03-29T02:30:00", "reason": note },
            { "wall": "2027-03-28T02:30:00", "reason": "02:30 does not exist on 2027-03-28 in Europe/Vienna: skipped" },
        ],
        "ends": true,
        "aws": { "kind": "exact", "expression": "cron(30 2 * * ? *)", "timezone": "Europe/Vienna" },
        "notes": ["the job is disabled: it runs at none of these times until it is enabled"],
    })
}

#[tokio::test]
async fn a_plan_fits_80_columns_with_its_notes_under_their_lines() {
    let ran = run_within(Some(80), &["cron", "plan", "job-1", "--count", "2"], vec![Answer::Json(200, answer())]).await;
    assert_eq!(ran.exit, ExitCode::Ok, "{}", ran.err);
    assert_eq!(ran.requests[0].path, "/v1/cron.plan");
    assert_eq!(ran.requests[0].body, json!({ "jobId": "job-1", "count": 2 }));
    assert!(ran.out.lines().all(|line| line.chars().count() <= 80), "{}", ran.out);
    let lines: Vec<&str> = ran.out.lines().collect();
    assert_eq!(
        lines[..5],
        [
            "job       job-1",
            "schedule  cron 30 2 * * * @ Europe/Vienna",
            "zone      Europe/Vienna",
            "stagger   up to 30s",
            ""
        ]
    );
    assert!(lines[5].starts_with("local "), "{}", ran.out);
    assert!(lines[6].starts_with("Sat 2026-03-28 02:30:00 +01:00 ") && lines[6].contains("2026-03-28 01:30:00Z"));
    assert!(lines[7].starts_with("Mon 2026-03-30 02:30:12 +02:00 ") && lines[7].contains("2026-03-30 00:30:12Z"));
    assert_eq!(
        lines[8..],
        [
            "  02:30 does not exist on 2026-03-29 in Europe/Vienna: skipped",
            "  the last one, the schedule ends with it",
            "",
            "02:30 does not exist on 2027-03-28 in Europe/Vienna: skipped",
            "",
            "EventBridge: cron(30 2 * * ? *) in Europe/Vienna, exact",
        ]
    );
    assert_eq!(ran.err, "note: the job is disabled: it runs at none of these times until it is enabled\n");
}

#[tokio::test]
async fn a_plan_takes_a_job_or_every_spelling_of_a_schedule_that_add_takes() {
    let asked = async |line: &[&str]| {
        let line = [&["cron", "plan"], line].concat();
        let ran = run_within(Some(80), &line, vec![Answer::Json(200, answer())]).await;
        assert_eq!(ran.exit, ExitCode::Ok, "{line:?}: {}", ran.err);
        ran.requests[0].body.clone()
    };
    let cron = json!({ "kind": "cron", "expr": "0 7 * * *", "tz": "Europe/Vienna", "staggerMs": 0 });
    let line = ["0 7 * * *", "--tz", "Europe/Vienna", "--exact", "--agent", "ops"];
    assert_eq!(asked(&line).await, json!({ "schedule": cron, "agentId": "ops", "count": 10 }));
    let from = asked(&["@daily", "--tz", "Europe/Vienna", "--from", "2026-03-27"]).await;
    assert_eq!(from["fromMs"], 1_774_566_000_000_i64, "midnight in Vienna");
    assert_eq!(asked(&["every 90s"]).await["schedule"], json!({ "kind": "every", "everyMs": 90_000 }));
    assert_eq!(asked(&["--every", "90s"]).await["schedule"], json!({ "kind": "every", "everyMs": 90_000 }));
    let at = json!({ "kind": "at", "at": "2026-12-24T18:00:00.000Z" });
    assert_eq!(asked(&["2026-12-24T18:00:00Z"]).await["schedule"], at);
    assert_eq!(asked(&["20m"]).await["schedule"]["kind"], "at");
    for id in ["0d5ad75b-8d24-4a7b-b4b0-4e5ff4e5a4c5", "12345", "Digest"] {
        assert_eq!(asked(&[id]).await, json!({ "jobId": id, "count": 10 }));
    }
    for line in [&["job-1", "--tz", "UTC"][..], &["job-1", "--every", "5m"], &["what is this"], &[]] {
        let ran = run_within(Some(80), &[&["cron", "plan"], line].concat(), vec![]).await;
        assert_eq!((ran.exit, ran.requests.len()), (ExitCode::Usage, 0), "{line:?}");
    }
}

#[tokio::test]
async fn a_plan_says_why_eventbridge_needs_more_than_one_schedule() {
    for (aws, line) in [
        (
            json!({ "kind": "oneshots", "note": "the expression has seconds" }),
            "a chain of one-shots: the expression has seconds",
        ),
        (
            json!({ "kind": "superset", "expression": "cron(0 9 * * ? *)", "timezone": "America/Argentina/Buenos_Aires",
                "note": "the guard drops some" }),
            "cron(0 9 * * ? *) in America/Argentina/Buenos_Aires, a superset\n  the guard drops some",
        ),
        (
            json!({ "kind": "superset", "expression": "cron(0 9 * * ? *)", "timezone": "UTC", "note": "the guard drops some" }),
            "cron(0 9 * * ? *) in UTC, a superset: the guard drops some",
        ),
    ] {
        let mut answer = answer();
        answer["aws"] = aws;
        let ran = run_within(Some(80), &["cron", "plan", "job-1"], vec![Answer::Json(200, answer)]).await;
        assert!(ran.out.ends_with(&format!("\nEventBridge: {line}\n")), "{}", ran.out);
    }
}

fn checked(findings: &Value, extra: &Value) -> Answer {
    let ok = findings.as_array().unwrap().iter().all(|finding| finding["repaired"] == true);
    let mut answer = json!({ "ok": ok, "checkedJobs": 12, "checkedTimers": 13, "settlingJobs": 0, "findings": findings,
        "truncated": false, "nextCursor": null });
    answer.as_object_mut().unwrap().extend(extra.as_object().unwrap().clone());
    Answer::Json(200, answer)
}

fn finding(kind: &str, repaired: bool) -> Value {
    let message = "job 0d5ad75b-8d24-4a7b-b4b0-4e5ff4e5a4c5 is enabled, and its timer \
        j-0d5ad75b-8d24-4a7b-b4b0-4e5ff4e5a4c5 is not there";
    json!({ "kind": kind, "jobId": "job-1", "timer": "j-job-1", "message": message, "repaired": repaired })
}

#[tokio::test]
async fn a_doctor_with_nothing_to_say_says_so() {
    let ran = run_within(Some(80), &["cron", "doctor"], vec![checked(&json!([]), &json!({}))]).await;
    assert_eq!((ran.exit, ran.out.as_str(), ran.err.as_str()), (ExitCode::Ok, "all is well: 12 jobs, 13 timers\n", ""));
    assert_eq!(ran.requests[0].body, json!({ "repair": false, "deep": false }));
    let ran = run_within(
        Some(80),
        &["cron", "doctor"],
        vec![checked(&json!([]), &json!({ "settlingJobs": 1, "checkedJobs": 1 }))],
    )
    .await;
    assert_eq!(ran.out, "all is well: 1 job, 13 timers\n");
    assert_eq!(ran.err, "note: 1 job was changed a moment ago and not judged yet; ask again\n");
}

#[tokio::test]
async fn what_is_left_to_be_repaired_has_an_exit_code_of_its_own() {
    let found = json!([finding("timer_missing", false)]);
    let ran = run_within(Some(80), &["cron", "doctor"], vec![checked(&found, &json!({}))]).await;
    assert_eq!(ran.exit, ExitCode::Unwell);
    let text = "found  timer_missing\n       job 0d5ad75b-8d24-4a7b-b4b0-4e5ff4e5a4c5 is enabled, and its timer\n       \
        j-0d5ad75b-8d24-4a7b-b4b0-4e5ff4e5a4c5 is not there\n\n12 jobs, 13 timers: 1 finding, 0 repaired\n";
    assert_eq!(ran.out, text);
    let told = "error: 1 finding is left to be repaired\nhint: `nightshift cron doctor --fix` repairs what it can\n";
    assert_eq!(ran.err, told);
    let fixed = json!([finding("timer_missing", true)]);
    let ran = run_within(Some(80), &["cron", "doctor", "--fix", "--deep"], vec![checked(&fixed, &json!({}))]).await;
    assert_eq!((ran.exit, ran.err.as_str()), (ExitCode::Ok, ""));
    assert!(ran.out.starts_with("fixed  timer_missing\n"), "{}", ran.out);
    assert_eq!(ran.requests[0].body, json!({ "repair": true, "deep": true }));
}

#[tokio::test]
async fn a_check_in_several_answers_is_shown_as_one() {
    let more = json!({ "truncated": true, "nextCursor": "jobs:x" });
    let answers = || {
        vec![
            checked(&json!([finding("timer_missing", false)]), &more),
            checked(&json!([finding("timer_orphan", true)]), &json!({ "checkedJobs": 3, "checkedTimers": 0 })),
        ]
    };
    let ran = run_within(Some(80), &["cron", "doctor", "--fix", "--json"], answers()).await;
    assert_eq!(ran.exit, ExitCode::Unwell);
    assert_eq!(ran.requests[1].body, json!({ "repair": true, "deep": false, "cursor": "jobs:x" }));
    let whole: Value = serde_json::from_str(&ran.out).unwrap();
    assert_eq!((&whole["checkedJobs"], &whole["checkedTimers"], &whole["ok"]), (&json!(15), &json!(13), &json!(false)));
    assert_eq!((whole["findings"].as_array().unwrap().len(), &whole["nextCursor"]), (2, &Value::Null));
    assert_eq!(ran.err, "error: 1 finding is left to be repaired\n");
    let ran = run_within(Some(80), &["cron", "doctor"], answers()).await;
    assert!(ran.out.ends_with("15 jobs, 13 timers: 2 findings, 1 repaired\n"), "{}", ran.out);
}

#[tokio::test]
async fn a_forecast_is_a_range_with_where_it_is_from() {
    let mut plan = answer();
    let view = |turns: u32, saved: f64| {
        json!({ "runs": 30, "runLeastUsd": 0.02, "runUsd": 0.04, "runMostUsd": 0.07, "monthLeastUsd": 0.6,
            "monthUsd": 1.2, "monthMostUsd": 2.1, "monthSavedUsd": saved, "turns": turns })
    };
    plan["forecast"] = view(10, 1.1);
    let ran = run_within(Some(80), &["cron", "plan", "job-1"], vec![Answer::Json(200, plan.clone())]).await;
    let lines: Vec<&str> = ran.out.lines().rev().take(3).collect();
    assert_eq!(
        lines,
        [
            "          30 runs of $0.0200 to $0.0700; as its last 10 turns went",
            "          $1.10 less than realtime at its best",
            "cost      about $0.6000 to $2.10 in 30 days,",
        ],
        "{}",
        ran.out
    );
    assert!(ran.out.lines().all(|line| line.chars().count() <= 80), "{}", ran.out);
    plan["forecast"] = view(0, -0.5);
    let ran = run_within(Some(80), &["cron", "plan", "job-1"], vec![Answer::Json(200, plan)]).await;
    assert!(ran.out.contains("$0.5000 more than realtime") && ran.out.contains("a guess, because"), "{}", ran.out);
}
