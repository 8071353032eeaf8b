//! The MCP connector against a real server on loopback: the loop, its caps, and what goes wrong.

use std::sync::{Arc, Mutex};

use axum::extract::State;
use axum::http::{HeaderMap, StatusCode};
use axum::response::{IntoResponse as _, Response};
use axum::routing::post;
use axum::{Json, Router};
use nightshift_engine::ManualClock;
use reqwest::Method;
use serde_json::{Value, json};
use tokio::sync::Semaphore;

use crate::{Answer, Stand, params, read, result, row, start};

pub(super) const ORIGIN: &str = "https://nightshift.example";
const BETA: &str = "mcp-client-2025-11-20";

/// A small MCP server: `add` counts its calls, `fail` says it failed, `hidden` is only listed.
#[derive(Debug, Clone)]
pub(super) struct Server {
    pub(super) url: String,
    /// Every message it got, by method.
    heard: Arc<Mutex<Vec<String>>>,
    /// Open, unless a test takes all its permits: then calls of tools wait.
    gate: Arc<Semaphore>,
}

const PERMITS: u32 = 100;

impl Server {
    pub(super) async fn start() -> Self {
        let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await.unwrap();
        let url = format!("http://{}", listener.local_addr().unwrap());
        let server = Self { url, heard: Arc::default(), gate: Arc::new(Semaphore::new(PERMITS as usize)) };
        let router = Router::new().route("/mcp", post(serve)).with_state(server.clone());
        tokio::spawn(async move { axum::serve(listener, router).await });
        server
    }

    /// Counts its calls from the first one again.
    pub(super) fn forget(&self) {
        self.heard.lock().unwrap().clear();
    }

    fn heard(&self, method: &str) -> usize {
        self.heard.lock().unwrap().iter().filter(|heard| *heard == method).count()
    }
}

async fn serve(State(server): State<Server>, headers: HeaderMap, Json(message): Json<Value>) -> Response {
    if headers.get("authorization").is_none_or(|token| token != "Bearer mcp-token") {
        return (StatusCode::UNAUTHORIZED, [("www-authenticate", "Bearer")]).into_response();
    }
    let method = message["method"].as_str().unwrap_or_default().to_owned();
    server.heard.lock().unwrap().push(method.clone());
    let _passed = if method == "tools/call" { Some(server.gate.acquire().await.unwrap()) } else { None };
    let tool = |name: &str| json!({"name": name, "inputSchema": {"type": "object"}});
    let result = match method.as_str() {
        "initialize" => json!({
            "protocolVersion": message["params"]["protocolVersion"],
            "capabilities": {"tools": {}},
            "serverInfo": {"name": "test", "version": "1"},
        }),
        "tools/list" => json!({"tools": [tool("add"), tool("fail"), tool("hidden")]}),
        "tools/call" if message["params"]["name"] == "add" => {
            let count = server.heard("tools/call");
            json!({"content": [{"type": "text", "text": format!("sum {count} of {}", message["params"]["arguments"])}]})
        }
        "tools/call" => json!({"content": [{"type": "text", "text": "it failed"}], "isError": true}),
        _ => return StatusCode::ACCEPTED.into_response(),
    };
    Json(json!({"jsonrpc": "2.0", "id": message["id"], "result": result})).into_response()
}

/// A request that may use the server.
pub(super) fn request(text: &str, token: &str) -> Value {
    let mut body = params(text);
    body["mcp_servers"] = json!([
        {"type": "url", "name": "jobs", "url": format!("{ORIGIN}/mcp"), "authorization_token": token},
    ]);
    body["tools"] =
        json!([{"type": "mcp_toolset", "mcp_server_name": "jobs", "configs": {"hidden": {"enabled": false}}}]);
    body
}

pub(super) fn call(name: &str) -> Value {
    json!({"type": "mcp_tool_use", "server_name": "jobs", "name": name, "input": {"n": 1}})
}

impl Stand {
    pub(super) async fn with_mcp(&self, path: &str, body: &Value) -> Answer {
        read(self.request(Method::POST, path).header("anthropic-beta", BETA).json(body).send().await.unwrap()).await
    }

    async fn ask(&self, body: &Value) -> Value {
        let answer = self.with_mcp("/v1/messages", body).await;
        assert_eq!(answer.status, 200, "{}", answer.body);
        answer.body
    }

    fn script_with(&self, server: &Server, more: &Value) {
        let mut script = json!({"mcpOrigins": {ORIGIN: server.url}});
        for (field, value) in more.as_object().unwrap() {
            script[field] = value.clone();
        }
        self.script(script);
    }
}

fn kinds(message: &Value) -> Vec<&str> {
    message["content"].as_array().unwrap().iter().filter_map(|block| block["type"].as_str()).collect()
}

fn two_calls() -> Value {
    json!({"replies": [
        {"match": "question", "content": [{"type": "text", "text": "I look."}, call("add")]},
        {"afterTool": "add", "match": "sum 1", "content": [call("add"), call("fail")]},
        {"match": "it failed", "hop": 2, "text": "There are two."},
    ]})
}

#[tokio::test]
async fn the_loop_goes_on_until_the_model_calls_no_more_and_is_billed_once() {
    let (stand, server) = (Stand::new().await, Server::start().await);
    stand.script_with(&server, &two_calls());
    let message = stand.ask(&request("question", "mcp-token")).await;
    assert_eq!(
        kinds(&message),
        [
            "text",
            "mcp_tool_use",
            "mcp_tool_result",
            "mcp_tool_use",
            "mcp_tool_use",
            "mcp_tool_result",
            "mcp_tool_result",
            "text"
        ]
    );
    let content = &message["content"];
    assert!(content[1]["id"].as_str().unwrap().starts_with("mcptoolu_01"));
    let first = json!({"type": "mcp_tool_result", "tool_use_id": content[1]["id"], "is_error": false,
        "content": [{"type": "text", "text": "sum 1 of {\"n\":1}"}]});
    assert_eq!(content[2], first);
    assert_eq!((&content[6]["is_error"], &content[6]["tool_use_id"]), (&json!(true), &content[4]["id"]));
    assert_eq!((&message["stop_reason"], &content[7]["text"]), (&json!("end_turn"), &json!("There are two.")));
    let usage = &message["usage"];
    let iterations = usage["iterations"].as_array().unwrap();
    assert_eq!(iterations.len(), 3);
    for field in ["input_tokens", "output_tokens"] {
        let sum: u64 = iterations.iter().filter_map(|iteration| iteration[field].as_u64()).sum();
        assert_eq!(usage[field].as_u64(), Some(sum), "{field}");
    }
    let billed = stand.fake.bill().realtime["claude-opus-5-5"];
    assert_eq!((billed.messages, Some(billed.output_tokens)), (1, usage["output_tokens"].as_u64()));
    assert_eq!((server.heard("initialize"), server.heard("tools/list"), server.heard("tools/call")), (3, 3, 3));
    let log = stand.fake.requests();
    assert_eq!((log.len(), &log[0]["status"]), (1, &json!(200)));
}

#[tokio::test]
async fn a_looped_message_streams_with_the_usage_of_its_first_step_first() {
    let (stand, server) = (Stand::new().await, Server::start().await);
    stand.script_with(&server, &two_calls());
    let mut body = request("question", "mcp-token");
    body["stream"] = json!(true);
    let text = stand.with_mcp("/v1/messages", &body).await.body["text"].as_str().unwrap().to_owned();
    let datum = |name: &str| -> Value {
        let at = text.find(&format!("event: {name}\ndata: ")).unwrap();
        serde_json::from_str(text[at..].lines().nth(1).unwrap().strip_prefix("data: ").unwrap()).unwrap()
    };
    let (start, end) = (datum("message_start"), datum("message_delta"));
    assert_eq!(start["message"]["usage"]["input_tokens"], end["usage"]["iterations"][0]["input_tokens"]);
    assert!(end["usage"]["input_tokens"].as_u64() > start["message"]["usage"]["input_tokens"].as_u64());
    assert_eq!(stand.fake.bill().realtime["claude-opus-5-5"].messages, 1);
    assert_eq!(
        stand.fake.bill().realtime["claude-opus-5-5"].output_tokens,
        end["usage"]["output_tokens"].as_u64().unwrap()
    );
}

#[tokio::test]
async fn what_goes_wrong_with_a_server_is_a_result_with_is_error() {
    let (stand, server) = (Stand::new().await, Server::start().await);
    let once = |name: &str| json!({"replies": [{"hop": 0, "content": [call(name)]}, {"text": "Sorry."}]});
    let told = async |body: Value| {
        let message = stand.ask(&body).await;
        assert_eq!(kinds(&message), ["mcp_tool_use", "mcp_tool_result", "text"]);
        assert_eq!(message["content"][1]["is_error"], true);
        message["content"][1]["content"][0]["text"].as_str().unwrap().to_owned()
    };
    stand.script_with(&server, &once("add"));
    assert!(told(request("q", "wrong-token")).await.contains("refused the authorization token"));
    for unknown in ["nothing", "hidden"] {
        stand.script_with(&server, &once(unknown));
        assert!(told(request("q", "mcp-token")).await.contains("has no tool"), "{unknown}");
    }
    assert_eq!(server.heard("tools/call"), 0);
    stand.script(once("add"));
    assert!(told(request("q", "mcp-token")).await.contains("could not be reached"), "an origin nobody mapped");
    let gone = Server { url: "http://127.0.0.1:1".to_owned(), ..server };
    stand.script_with(&gone, &once("add"));
    assert!(told(request("q", "mcp-token")).await.contains("could not be reached"));
}

#[tokio::test]
async fn a_loop_without_end_is_paused_and_goes_on_when_sent_back() {
    let (stand, server) = (Stand::new().await, Server::start().await);
    stand.script_with(
        &server,
        &json!({"replies": [
            {"match": "sum 10", "text": "Enough."}, {"content": [call("add")]},
        ]}),
    );
    let mut body = request("question", "mcp-token");
    let paused = stand.ask(&body).await;
    assert_eq!(paused["stop_reason"], "pause_turn");
    assert_eq!(kinds(&paused).len(), 19, "ten calls, nine results");
    assert_eq!((kinds(&paused)[18], server.heard("tools/call")), ("mcp_tool_use", 9));
    body["messages"].as_array_mut().unwrap().push(json!({"role": "assistant", "content": paused["content"]}));
    let done = stand.ask(&body).await;
    assert_eq!((kinds(&done), &done["stop_reason"]), (vec!["mcp_tool_result", "text"], &json!("end_turn")));
    assert_eq!(done["content"][0]["tool_use_id"], paused["content"][18]["id"]);
    assert_eq!(server.heard("tools/call"), 10);
    assert_eq!(stand.fake.bill().realtime["claude-opus-5-5"].messages, 2);
}

#[tokio::test]
async fn a_client_tool_beside_an_mcp_tool_is_answered_first_and_alone() {
    let (stand, server) = (Stand::new().await, Server::start().await);
    stand.script_with(
        &server,
        &json!({"replies": [
            {"hop": 0, "content": [call("add"), {"type": "tool_use", "name": "message", "input": {}}]},
            {"afterTool": "add", "match": "sum 1", "text": "Both done."},
        ]}),
    );
    let mut body = request("question", "mcp-token");
    body["tools"].as_array_mut().unwrap().push(json!({"name": "message", "input_schema": {"type": "object"}}));
    let mixed = stand.ask(&body).await;
    assert_eq!((&mixed["stop_reason"], server.heard("tools/call")), (&json!("tool_use"), 0));
    let answer = json!({"type": "tool_result", "tool_use_id": mixed["content"][1]["id"], "content": "sent"});
    let mut messages = body["messages"].as_array().unwrap().clone();
    messages.push(json!({"role": "assistant", "content": mixed["content"]}));
    body["messages"] = json!(messages);
    let with = |content: Value| {
        let mut body = body.clone();
        body["messages"].as_array_mut().unwrap().push(json!({"role": "user", "content": content}));
        body
    };
    let chatty = stand.with_mcp("/v1/messages", &with(json!([answer, {"type": "text", "text": "and?"}]))).await;
    assert_eq!(chatty.status, 400, "text may not follow while a server tool is pending");
    let done = stand.ask(&with(json!([answer]))).await;
    assert_eq!(kinds(&done), ["mcp_tool_result", "text"]);
    assert_eq!(server.heard("tools/call"), 1);
}

#[tokio::test]
async fn a_batch_makes_its_calls_once_when_it_is_due() {
    let dir = tempfile::tempdir().unwrap();
    let clock = ManualClock::new(start());
    let (stand, server) = (Stand::open(clock.clone(), Some(dir.path())).await, Server::start().await);
    stand.script_with(&server, &two_calls());
    let rows = json!({"requests": [row("loop", request("question", "mcp-token")), row("plain", params("hi"))]});
    let id = stand.with_mcp("/v1/messages/batches", &rows).await.body["id"].as_str().unwrap().to_owned();
    stand.advance_ms(59_999);
    assert_eq!(stand.retrieve(&id).await["processing_status"], "in_progress");
    assert_eq!(server.heard("initialize"), 0);
    stand.advance_ms(1);
    assert_eq!(stand.fake.batches()[0]["processing_status"], "in_progress", "its calls are still to be made");
    let read_at_once = || tokio::spawn(stand.request(Method::GET, &format!("/v1/messages/batches/{id}")).send());
    let gate = server.gate.acquire_many(PERMITS).await.unwrap();
    let one = read_at_once();
    while server.heard("tools/call") == 0 {
        tokio::task::yield_now().await;
    }
    // The second reader comes while the first one's calls are being made, and waits for them.
    let other = read_at_once();
    for _ in 0..5_000 {
        tokio::task::yield_now().await;
    }
    assert!(!one.is_finished() && !other.is_finished());
    drop(gate);
    let (one, other) = (read(one.await.unwrap().unwrap()).await.body, read(other.await.unwrap().unwrap()).await.body);
    assert_eq!((&one["processing_status"], &other["processing_status"]), (&json!("ended"), &json!("ended")));
    assert_eq!(one["request_counts"]["succeeded"], 2);
    let lines = stand.results(&id).await;
    let message = &result(&lines, "loop")["message"];
    assert_eq!(message["content"].as_array().unwrap().last().unwrap()["text"], "There are two.");
    assert_eq!(message["usage"]["service_tier"], "batch");
    assert_eq!(stand.fake.bill().batch["claude-opus-5-5"].messages, 2);
    let again = Stand::open(clock, Some(dir.path())).await;
    assert_eq!(again.results(&id).await, lines);
    assert_eq!(again.fake.bill(), stand.fake.bill());
    assert_eq!(server.heard("tools/call"), 3);
}

#[tokio::test]
async fn a_loop_in_a_batch_is_paused_after_twenty_steps() {
    let (stand, server) = (Stand::new().await, Server::start().await);
    stand.script_with(&server, &json!({"batchDurationMs": 0, "replies": [{"content": [call("add")]}]}));
    let rows = json!({"requests": [row("loop", request("question", "mcp-token"))]});
    let id = stand.with_mcp("/v1/messages/batches", &rows).await.body["id"].as_str().unwrap().to_owned();
    let lines = stand.results(&id).await;
    assert_eq!(result(&lines, "loop")["message"]["stop_reason"], "pause_turn");
    assert_eq!(server.heard("tools/call"), 19);
}

#[tokio::test]
async fn a_cancelled_or_expired_row_makes_no_calls() {
    let (stand, server) = (Stand::new().await, Server::start().await);
    stand.script_with(&server, &json!({"cancelDurationMs": 0, "replies": [{"content": [call("add")]}]}));
    let rows = json!({"requests": [row("loop", request("question", "mcp-token"))]});
    let id = stand.with_mcp("/v1/messages/batches", &rows).await.body["id"].as_str().unwrap().to_owned();
    stand.request(Method::POST, &format!("/v1/messages/batches/{id}/cancel")).send().await.unwrap();
    assert_eq!(stand.retrieve(&id).await["request_counts"]["canceled"], 1);
    assert_eq!(server.heard("initialize"), 0);
}

#[tokio::test]
async fn a_row_whose_fake_was_killed_in_its_calls_is_errored_and_not_called_again() {
    let dir = tempfile::tempdir().unwrap();
    let clock = ManualClock::new(start());
    let (stand, server) = (Stand::open(clock.clone(), Some(dir.path())).await, Server::start().await);
    stand.script_with(
        &server,
        &json!({"batchDurationMs": 0, "replies": [
            {"hop": 0, "content": [call("add")]}, {"text": "done"},
        ]}),
    );
    let rows = json!({"requests": [row("loop", request("question", "mcp-token"))]});
    let id = stand.with_mcp("/v1/messages/batches", &rows).await.body["id"].as_str().unwrap().to_owned();
    assert_eq!(result(&stand.results(&id).await, "loop")["type"], "succeeded");
    // What is left when the process dies right after it wrote down that the calls begin.
    let file = std::fs::read_dir(dir.path()).unwrap().next().unwrap().unwrap().path();
    let journal = std::fs::read_to_string(&file).unwrap();
    let begun = journal.lines().position(|line| line.contains("loopBegun")).unwrap();
    let kept: String = journal.lines().take(begun + 1).flat_map(|line| [line, "\n"]).collect();
    std::fs::write(&file, kept).unwrap();
    let again = Stand::open(clock, Some(dir.path())).await;
    assert_eq!(result(&again.results(&id).await, "loop")["error"]["error"]["type"], "api_error");
    assert_eq!(server.heard("tools/call"), 1);
    assert_eq!(again.fake.bill(), nightshift_fake_anthropic::Bill::default());
}
