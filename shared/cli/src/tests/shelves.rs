//! Documents and memory on the command line.

use nightshift_wire::ExitCode;
use serde_json::{Value, json};

use super::refusal;
use super::server::{Answer, run};

fn entry(name: &str, more: &Value) -> Value {
    let mut entry = json!({"bytes": 12, "revision": 3, "updatedAtMs": 1_795_176_000_000_i64});
    let key = if name.starts_with('/') { "path" } else { "name" };
    entry[key] = json!(name);
    entry.as_object_mut().unwrap().extend(more.as_object().unwrap().clone());
    entry
}

#[tokio::test]
async fn documents_are_listed_printed_written_and_removed() {
    let listed = json!({"documents": [entry("AGENTS.md", &json!({}))]});
    let ran = run(&["documents", "list"], vec![Answer::Json(200, listed)]).await;
    assert_eq!(
        ran.out, "name       bytes  revision  changed\nAGENTS.md  12     3         2026-11-20 12:00Z\n",
        "{}",
        ran.out
    );
    let ran = run(&["documents", "list"], vec![Answer::Json(200, json!({"documents": []}))]).await;
    assert_eq!((ran.out.as_str(), ran.err.as_str()), ("", "no documents\n"));

    let found = entry("AGENTS.md", &json!({"text": "Be brief.\n\n"}));
    let ran = run(&["documents", "get", "AGENTS.md"], vec![Answer::Json(200, found)]).await;
    assert_eq!((ran.out.as_str(), ran.err.as_str()), ("Be brief.\n\n", "revision 3\n"));
    assert_eq!(ran.requests[0].body, json!({"name": "AGENTS.md"}));

    let dir = tempfile::tempdir().unwrap();
    let path = dir.path().join("agents.md");
    std::fs::write(&path, " Be kind.\n").unwrap();
    let words = ["documents", "put", "AGENTS.md", "--file", path.to_str().unwrap(), "--expected-revision", "3"];
    let put = |changed: bool| vec![Answer::Json(200, entry("AGENTS.md", &json!({"ok": true, "changed": changed})))];
    let ran = run(&words, put(true)).await;
    assert_eq!(ran.requests[0].path, "/v1/documents.put");
    assert_eq!(ran.requests[0].body, json!({"name": "AGENTS.md", "text": " Be kind.\n", "expectedRevision": 3}));
    assert_eq!((ran.out.as_str(), ran.err.as_str()), ("AGENTS.md: 12 bytes, revision 3\n", ""));
    let ran = run(&words, put(false)).await;
    assert_eq!(ran.err, "note: nothing changed: it was so already\n");
    let ran = run(&words, vec![Answer::Json(409, refusal("revision_conflict", &json!({})))]).await;
    assert_eq!((ran.exit, ran.out.as_str()), (ExitCode::Refused, ""));

    let removed = vec![Answer::Json(200, json!({"ok": true, "removed": true}))];
    let ran = run(&["documents", "rm", "AGENTS.md", "--yes"], removed).await;
    assert_eq!((ran.requests[0].path.as_str(), ran.out.as_str()), ("/v1/documents.remove", "removed AGENTS.md\n"));
    let missing = vec![Answer::Json(404, refusal("document_not_found", &json!({})))];
    assert_eq!(run(&["documents", "get", "x"], missing).await.exit, ExitCode::NotFound);
}

#[tokio::test]
async fn memory_is_an_agents() {
    let files = json!([entry("/memories/people.md", &json!({}))]);
    let listed = json!({"agentId": "scout", "files": files, "bytes": 12, "maxBytes": 262_144});
    let ran = run(&["memory", "list", "--agent", "scout"], vec![Answer::Json(200, listed.clone())]).await;
    assert_eq!(ran.requests[0].body, json!({"agentId": "scout"}));
    assert!(ran.out.starts_with("path                 bytes"), "{}", ran.out);
    assert_eq!(ran.err, "scout: 12 of 262144 bytes\n");
    let ran = run(&["memory", "list", "--json"], vec![Answer::Json(200, listed.clone())]).await;
    assert_eq!((&ran.requests[0].body, serde_json::from_str::<Value>(&ran.out).unwrap()), (&json!({}), listed));

    let found = entry("/memories/people.md", &json!({"text": "Ada"}));
    let ran = run(&["memory", "get", "/memories/people.md"], vec![Answer::Json(200, found)]).await;
    assert_eq!((ran.out.as_str(), &ran.requests[0].body), ("Ada", &json!({"path": "/memories/people.md"})));

    let removed = vec![Answer::Json(200, json!({"ok": true, "removed": true}))];
    let ran = run(&["memory", "rm", "/memories/people.md", "--agent", "scout"], removed).await;
    assert_eq!(ran.requests[0].body, json!({"agentId": "scout", "path": "/memories/people.md"}));
    assert_eq!((ran.exit, ran.out.as_str()), (ExitCode::Ok, "removed /memories/people.md\n"));
}
