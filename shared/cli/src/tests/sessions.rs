//! Sessions on the command line.

use nightshift_wire::ExitCode;
use serde_json::{Value, json};

use super::refusal;
use super::server::{Answer, run};

fn view(name: &str, extra: &Value) -> Value {
    let mut view = json!({"agentId": "ops", "name": name, "messages": 4, "tokens": 120, "summarised": false,
        "createdAtMs": 0, "updatedAtMs": 0, "heldBy": null, "waiting": 0});
    view.as_object_mut().unwrap().extend(extra.as_object().unwrap().clone());
    view
}

#[tokio::test]
async fn all_pages_of_an_agents_sessions_are_listed() {
    let busy = view("standup", &json!({"heldBy": "a_20261120T070000Z", "waiting": 2}));
    let pages = vec![
        Answer::Json(200, json!({"sessions": [view("diary", &json!({}))], "nextCursor": "c"})),
        Answer::Json(200, json!({"sessions": [busy], "nextCursor": null})),
    ];
    let ran = run(&["sessions", "list", "--agent", "ops"], pages).await;
    assert_eq!((ran.exit, ran.requests[0].path.as_str()), (ExitCode::Ok, "/v1/sessions.list"));
    assert_eq!(ran.requests[0].body, json!({"limit": 200, "agentId": "ops"}));
    assert_eq!(ran.requests[1].body["cursor"], "c");
    let lines: Vec<Vec<&str>> = ran.out.lines().map(|line| line.split_whitespace().collect()).collect();
    assert_eq!(lines[0], ["name", "messages", "tokens", "last", "status"]);
    assert_eq!(lines[1][..3], ["diary", "4", "120"]);
    assert!(lines[2].ends_with(&["in", "use,", "2", "waiting"]), "{}", ran.out);
    let none = vec![Answer::Json(200, json!({"sessions": [], "nextCursor": null}))];
    let ran = run(&["sessions", "list", "--limit", "3"], none).await;
    assert_eq!((ran.out.as_str(), ran.err.as_str()), ("", "no sessions\n"));
}

#[tokio::test]
async fn a_session_is_shown_with_its_history() {
    let mut answer = view("standup", &json!({}));
    answer["history"] = json!([
        {"role": "user", "text": "[Summary]", "runId": null, "atMs": null},
        {"role": "assistant", "text": "All quiet.", "runId": "a_20261120T070000Z", "atMs": 0},
    ]);
    let ran = run(&["sessions", "show", "standup", "--agent", "ops"], vec![Answer::Json(200, answer)]).await;
    assert_eq!(ran.requests[0].body, json!({"name": "standup", "agentId": "ops"}));
    assert!(ran.out.starts_with("session   standup\nagent     ops\nstatus    free\n"), "{}", ran.out);
    assert!(ran.out.ends_with("\n\nuser\n[Summary]\n\nassistant  a_20261120T070000Z\nAll quiet.\n"), "{}", ran.out);
}

#[tokio::test]
async fn a_session_is_removed_or_the_refusal_told() {
    let gone = vec![Answer::Json(200, json!({"ok": true, "removed": true}))];
    let ran = run(&["sessions", "rm", "standup"], gone).await;
    assert_eq!((ran.exit, ran.out.as_str()), (ExitCode::Ok, "removed standup\n"));
    assert_eq!(
        (ran.requests[0].path.as_str(), &ran.requests[0].body),
        ("/v1/sessions.remove", &json!({"name": "standup"}))
    );
    let busy = Answer::Json(409, refusal("session_busy", &json!({"hint": "wait"})));
    let ran = run(&["sessions", "rm", "standup"], vec![busy]).await;
    assert_eq!((ran.exit, ran.err.as_str()), (ExitCode::Refused, "error: it cannot be\nhint: wait\n"));
    let missing = Answer::Json(404, refusal("session_not_found", &json!({})));
    assert_eq!(run(&["sessions", "rm", "x"], vec![missing]).await.exit, ExitCode::NotFound);
}
