//! The official SDKs drive the fake: what they accept is what the fake may claim to be.

#![expect(clippy::unwrap_used, clippy::print_stdout, reason = "a test says what it skipped, and fails where it stands")]

use std::path::Path;
use std::process::{Child, Command, Stdio};
use std::time::Duration;

use nightshift_tests::local::{Local, batch_job};
use nightshift_tests::process::{pause, program, tools, workspace};
use nightshift_tests::recorded;
use serde_json::{Value, json};

/// The fake's own program, on a free port; ended when dropped.
struct Fake {
    child: Child,
    url: String,
}

impl Fake {
    async fn start() -> Self {
        let port = std::net::TcpListener::bind(("127.0.0.1", 0)).unwrap().local_addr().unwrap().port();
        let child = Command::new(program("nightshift-fake-anthropic"))
            .args(["--port", &port.to_string()])
            .stdin(Stdio::null())
            .stdout(Stdio::null())
            .spawn()
            .unwrap();
        let fake = Self { child, url: format!("http://127.0.0.1:{port}") };
        for _ in 0..100 {
            if reqwest::get(format!("{}/_fake/requests", fake.url)).await.is_ok() {
                return fake;
            }
            pause(Duration::from_millis(50)).await;
        }
        panic!("the fake does not answer at {}", fake.url);
    }
}

impl Drop for Fake {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

/// Runs a script against the fake; every check it makes is a line of its output.
fn drive(mut command: Command, url: &str) -> usize {
    let output = command
        .env("ANTHROPIC_BASE_URL", url)
        .env("ANTHROPIC_API_KEY", "sk-ant-api03-not-a-real-key")
        .stdin(Stdio::null())
        .output()
        .unwrap();
    let said = String::from_utf8_lossy(&output.stdout).into_owned();
    assert!(output.status.success(), "{said}\n{}", String::from_utf8_lossy(&output.stderr));
    said.lines().filter(|line| line.starts_with("ok")).count()
}

#[tokio::test]
async fn the_official_python_sdk_drives_the_fake() {
    let python = tools().join("venv/bin/python");
    assert!(python.exists(), "no Python tools in {}: `make tools` installs them", tools().display());
    let fake = Fake::start().await;
    let mut command = Command::new(python);
    command.arg(workspace().join("tests/sdk/python_sdk.py"));
    let checks = drive(command, &fake.url);
    assert!(checks >= 60, "only {checks} checks ran");
}

#[tokio::test]
async fn the_official_typescript_sdk_drives_the_fake() {
    let folder = tools().join("node");
    if !folder.join("node_modules/@anthropic-ai/sdk").exists() {
        println!("skipped: the TypeScript SDK is not installed; `make tools` installs it where npm is there");
        return;
    }
    // Node looks for packages beside the script.
    let script = folder.join(format!("typescript_sdk-{}.mjs", std::process::id()));
    std::fs::copy(workspace().join("tests/sdk/typescript_sdk.mjs"), &script).unwrap();
    let fake = Fake::start().await;
    let mut command = Command::new(Path::new("node"));
    command.arg(&script);
    let checks = drive(command, &fake.url);
    std::fs::remove_file(&script).unwrap();
    assert!(checks >= 55, "only {checks} checks ran");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn what_the_product_sends_fits_the_request_types_of_the_official_python_sdk() {
    let local = Local::start().await;
    local.configure(&everything_on(local.dir.path())).await;
    let thought = json!({ "type": "thinking", "thinking": "First I look.", "signature": "EqQB/A==" });
    for (batch, model) in [(true, "sonnet"), (false, "opus"), (false, "anthropic/claude-haiku-4-5"), (true, "haiku")] {
        let asks = json!([thought, { "type": "redacted_thinking", "data": "b3BhcXVl" },
            { "type": "tool_use", "id": "toolu_1", "name": "memory", "input": { "command": "view", "path": "/memories" } },
            { "type": "tool_use", "id": "toolu_2", "name": "nothing_like_it", "input": {} }]);
        let once = json!({ "match": "*", "times": 1, "content": asks });
        local.script(json!({ "batchDurationMs": 60_000, "replies": [once, { "match": "*", "text": "Nothing yet." }] }));
        let mut job = batch_job("Summarize this. It has two sentences.");
        job["payload"]["batch"] = json!({ "enabled": batch });
        job["payload"]["model"] = json!(model);
        job["payload"]["thinking"] = json!("high");
        job["sessionTarget"] = json!("session:standup");
        let id = local.add(&job).await;
        for _ in 0..2 {
            local.ok("cron.run", &json!({ "jobId": id, "mode": "force" })).await;
            local.advance(20).await;
            let run = local.last_run(&id).await;
            assert_eq!(run["status"], "ok", "{run:#}");
        }
    }
    let calls = recorded::calls(local.fake());
    let sent = serde_json::to_string(&calls).unwrap();
    for part in [
        r#""type":"adaptive""#,
        r#""type":"enabled""#,
        r#""effort":"high""#,
        r#""type":"mcp_toolset""#,
        r#""name":"nightshift""#,
        r#""input_schema""#,
        r#""is_error":true"#,
        r#""signature":"EqQB/A==""#,
        r#""cache_control""#,
        r#""system""#,
        r#""type":"web_search_20250305""#,
        r#""type":"code_execution_20250825""#,
    ] {
        assert!(sent.contains(part), "nothing was sent with {part}");
    }
    recorded::keep(&calls);
    for path in ["/v1/messages", "/v1/messages/batches"] {
        assert!(calls.iter().any(|call| call["path"] == path), "nothing was sent to {path}: {calls:#?}");
    }
    let verdict = recorded::judge(&calls);
    assert!(verdict.bad.is_empty(), "{:#?}", verdict.bad);
    assert_eq!(verdict.good, calls.len());
}

/// A configuration with every kind of tool.
fn everything_on(folder: &Path) -> Value {
    let token = folder.join("github-token");
    std::fs::write(&token, "not-a-real-token").unwrap();
    json!({
        "api": { "publicUrl": "https://nightshift.example" },
        "mcpServers": { "github": { "url": "https://mcp.example/github", "authorizationToken": format!("file:{}", token.display()) } },
        "webhookTools": { "ticket_create": { "description": "Opens a ticket.", "url": "https://tools.example/ticket",
            "inputSchema": { "type": "object", "properties": { "title": { "type": "string" } } } } },
        "agents": {
            "defaults": { "tools": { "codeExecution": true } },
            "entries": { "main": { "default": true, "instructions": "You are careful. ".repeat(1200), "mcpServers": ["github"] } },
        },
    })
}

#[test]
fn the_request_types_refuse_what_they_do_not_know_at_any_depth() {
    let call = |path: &str, body| json!({ "path": path, "body": body });
    let with = |content| json!({ "model": "claude-opus-5-5", "max_tokens": 5, "messages": [{ "role": "user", "content": content }] });
    let batch = |params| json!({ "requests": [{ "custom_id": "a", "params": params }] });
    let result = |inner| json!([{ "type": "tool_result", "tool_use_id": "t", "content": [inner] }]);
    let bodies = [
        ("/v1/messages", with(json!("hi"))),
        ("/v1/messages", with(result(json!({ "type": "text", "text": "x" })))),
        ("/v1/messages/batches", batch(with(json!("hi")))),
        ("/v1/messages", with(result(json!({ "type": "text", "text": "x", "mood": "good" })))),
        ("/v1/messages", with(json!([{ "type": "text", "txt": "x" }]))),
        ("/v1/messages/batches", batch(json!({ "model": "claude-opus-5-5", "max_tokens": "5", "messages": [] }))),
        ("/v1/messages", json!({ "model": "claude-opus-5-5" })),
    ];
    let verdict = recorded::judge(&bodies.map(|(path, body)| call(path, body)));
    assert_eq!(verdict.good, 3, "{verdict:#?}");
    for (said, word) in verdict.bad.iter().zip(["mood", "txt", "requests.0.params.max_tokens", "max_tokens"]) {
        assert!(said.contains(word), "{said}");
    }
}
