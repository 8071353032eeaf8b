//! Tools that work side by side, fail, hang, or say too much.

use nightshift_tests::pages::HUGE;
use serde_json::{Value, json};

use super::{PATHS, calls, job, run, text, with_pages};

fn asks_all(content: &Value) -> Value {
    json!({ "match": "*", "times": 1, "content": content })
}

fn call(n: u32, name: &str, input: &Value) -> Value {
    json!({ "type": "tool_use", "id": format!("toolu_{n}"), "name": name, "input": input })
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn parallel_tools_answer_in_one_message_and_one_that_fails_does_not_touch_the_others() {
    for path in PATHS {
        let (local, pages) = with_pages().await;
        let script = json!({ "batchDurationMs": 60_000, "replies": [
            asks_all(&json!([
                call(1, "http_fetch", &json!({ "url": format!("{}/note", pages.url) })),
                call(2, "http_fetch", &json!({ "url": format!("{}/gone", pages.url) })),
                call(3, "no_such_tool", &json!({})),
                call(4, "http_fetch", &json!({ "url": "http://169.254.169.254/latest" })),
                call(5, "memory", &json!({ "command": "view", "path": "/memories" })),
            ])),
            text("Two of five."),
        ] });
        let ran = run(&local, &job(path, "Try."), script).await;
        assert_eq!(ran["status"], "ok", "{path:?}: {ran:#}");
        let states: Vec<String> = calls(&ran).into_iter().map(|(_, state, _)| state).collect();
        assert_eq!(states, ["ok", "error", "error", "error", "ok"], "{ran:#}");
        let sent = local.asked_of_model().await;
        let ids: Vec<usize> = (1..6).map(|n| sent.find(&format!(r#""tool_use_id":"toolu_{n}""#)).unwrap()).collect();
        assert!(ids.is_sorted(), "results come in the order the model asked");
        assert_eq!(sent.matches(r#""is_error":true"#).count(), 3);
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_tool_that_hangs_is_given_up_and_the_model_told() {
    for path in PATHS {
        let (local, pages) = with_pages().await;
        let script = json!({ "batchDurationMs": 60_000, "replies": [
            asks_all(&json!([call(1, "http_fetch", &json!({ "url": format!("{}/slow", pages.url) }))])),
            text("No answer from there."),
        ] });
        let ran = run(&local, &job(path, "Try."), script).await;
        assert_eq!(ran["status"], "ok", "{path:?}: {ran:#}");
        assert_eq!(ran["tools"][0]["state"], "error");
        assert!(ran["tools"][0]["result"].as_str().unwrap().contains("in time"), "{ran:#}");
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_result_of_five_megabytes_is_cut_and_says_so() {
    for path in PATHS {
        let (local, pages) = with_pages().await;
        let script = json!({ "batchDurationMs": 60_000, "replies": [
            asks_all(&json!([call(1, "http_fetch", &json!({ "url": format!("{}/huge", pages.url) }))])),
            text("That was long."),
        ] });
        let ran = run(&local, &job(path, "Read."), script).await;
        assert_eq!((&ran["status"], &ran["tools"][0]["state"]), (&json!("ok"), &json!("ok")), "{path:?}: {ran:#}");
        assert!(ran["tools"][0]["cutFromBytes"].as_u64().unwrap() > 1024 * 1024, "{ran:#}");
        let sent = local.asked_of_model().await;
        assert!(sent.contains("[cut here: "), "the model is told");
        assert!(sent.len() < HUGE / 2, "{} bytes were sent", sent.len());
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_token_that_cannot_be_had_ends_the_turn_with_its_name_before_anything_is_sent() {
    for path in PATHS {
        let (local, _) = with_pages().await;
        let missing = local.dir.path().join("no-such-token");
        local
            .configure(&json!({
                "mcpServers": { "github": { "url": "https://mcp.example/github", "authorizationToken": format!("file:{}", missing.display()) } },
                "agents": { "entries": { "main": { "default": true, "mcpServers": ["github"] } } },
            }))
            .await;
        let ran = run(&local, &job(path, "Look."), json!({})).await;
        assert_eq!(ran["error"]["code"], "mcp_server", "{path:?}: {ran:#}");
        assert!(ran["error"]["message"].as_str().unwrap().contains("github"), "{ran:#}");
        let sent = local.asked_of_model().await;
        assert!(!sent.contains(r#""method":"POST""#), "{sent}");
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn calls_of_one_tool_that_keeps_something_are_made_in_the_order_they_were_asked_for() {
    for path in PATHS {
        let (local, _) = with_pages().await;
        let memory = |n, more: Value| {
            let mut input = json!({ "path": "/memories/o.md" });
            input.as_object_mut().unwrap().extend(more.as_object().unwrap().clone());
            call(n, "memory", &input)
        };
        let script = json!({ "batchDurationMs": 60_000, "replies": [
            asks_all(&json!([
                memory(1, json!({ "command": "create", "file_text": "one\n" })),
                memory(2, json!({ "command": "insert", "insert_line": 1, "insert_text": "two\n" })),
                memory(3, json!({ "command": "str_replace", "old_str": "two", "new_str": "three" })),
                memory(4, json!({ "command": "view" })),
            ])),
            text("Noted."),
        ] });
        let ran = run(&local, &job(path, "Note."), script).await;
        let states: Vec<String> = calls(&ran).into_iter().map(|(_, state, _)| state).collect();
        assert_eq!(states, ["ok"; 4], "{path:?}: {ran:#}");
        assert!(ran["tools"][3]["result"].as_str().unwrap().contains("three"), "{ran:#}");
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_tool_that_may_take_longer_than_an_invocation_is_run_all_the_same() {
    for path in PATHS {
        let (local, pages) = with_pages().await;
        local
            .configure(&json!({
                "cron": { "webhookSsrfPolicy": { "allowedHostnames": ["127.0.0.1"] } },
                "webhookTools": { "report": { "description": "Reports.", "url": format!("{}/hook", pages.url), "timeoutSeconds": 900 } },
            }))
            .await;
        let script = json!({ "batchDurationMs": 60_000, "replies": [
            asks_all(&json!([call(1, "report", &json!({ "n": 1 }))])), text("Reported."),
        ] });
        let ran = run(&local, &job(path, "Report."), script).await;
        assert_eq!((&ran["status"], &ran["tools"][0]["state"]), (&json!("ok"), &json!("ok")), "{path:?}: {ran:#}");
        assert_eq!(pages.posted().len(), 1, "{path:?}");
    }
}
