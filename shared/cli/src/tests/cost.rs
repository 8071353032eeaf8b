//! `cron cost` on the command line.

use nightshift_wire::ExitCode;
use serde_json::{Value, json};

use super::server::{Answer, run};

fn answer() -> Vec<Answer> {
    let row = json!({"key": "job-1", "name": "Digest", "runs": 2, "hops": 3, "paidUsd": 0.5, "realtimeUsd": 1.0, "savedUsd": 0.5});
    let total = json!({"runs": 2, "hops": 3, "paidUsd": 0.5, "realtimeUsd": 1.0, "savedUsd": 0.5});
    let cost = json!({"by": "job", "fromMs": 1_793_491_200_000_i64, "toMs": 1_795_176_000_000_i64, "rows": [row], "total": total,
        "truncated": true, "notes": ["only the newest are counted"]});
    vec![Answer::Json(200, cost)]
}

#[tokio::test]
async fn costs_are_asked_for_and_shown_as_a_table_as_values_and_as_json() {
    let line =
        ["cron", "cost", "job-1", "--agent", "ops", "--by", "month", "--from", "2026-11-01", "--to", "2026-11-20"];
    let ran = run(&line, answer()).await;
    assert_eq!(ran.exit, ExitCode::Ok, "{}", ran.err);
    let asked = json!({"by": "month", "jobId": "job-1", "agentId": "ops", "fromMs": 1_793_491_200_000_i64,
        "toMs": 1_795_219_200_000_i64});
    assert_eq!((ran.requests[0].path.as_str(), &ran.requests[0].body), ("/v1/cron.cost", &asked));
    let shown = "job     runs  hops  paid     realtime  saved\n\
        Digest  2     3     $0.5000  $1.00     $0.5000 (50%)\n\
        total   2     3     $0.5000  $1.00     $0.5000 (50%)\n";
    assert_eq!(ran.out, shown);
    assert_eq!(ran.err, "2026-11-01 00:00Z to 2026-11-20 12:00Z\nnote: only the newest are counted\n");

    let ran = run(&["cron", "cost"], answer()).await;
    assert_eq!(ran.requests[0].body, json!({"by": "job"}), "the API knows the range");
    let ran = run(&["cron", "cost", "--csv"], answer()).await;
    assert!(ran.out.ends_with("job-1,Digest,2,3,0.5,1,0.5\n"), "{}", ran.out);
    let ran = run(&["cron", "cost", "--json"], answer()).await;
    assert_eq!(serde_json::from_str::<Value>(&ran.out).unwrap()["truncated"], true);
    for line in
        [&["cron", "cost", "--csv", "--json"][..], &["cron", "cost", "--from", "soon"], &["cron", "cost", "--by", "x"]]
    {
        let ran = run(line, vec![]).await;
        assert_eq!((ran.exit, ran.requests.len()), (ExitCode::Usage, 0), "{line:?}: {}", ran.err);
    }
}
