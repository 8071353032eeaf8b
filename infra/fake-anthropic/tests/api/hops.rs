//! Turns of several hops: how a script tells one from the next, what may be sent back, and what was executed where.

use serde_json::{Value, json};

use crate::{Stand, params, result, row};

/// A conversation that grows by the answers and the results of their calls.
struct Talk<'a> {
    stand: &'a Stand,
    body: Value,
}

impl Talk<'_> {
    fn new<'a>(stand: &'a Stand, fields: &Value) -> Talk<'a> {
        let mut body = params("start");
        body["tools"] = json!([
            {"name": "memory", "type": "memory_20250818"},
            {"name": "http_fetch", "input_schema": {"type": "object"}},
        ]);
        for (field, value) in fields.as_object().unwrap() {
            body[field] = value.clone();
        }
        Talk { stand, body }
    }

    /// One hop; the answer is kept.
    async fn hop(&mut self) -> Value {
        let answer = self.stand.post("/v1/messages", &self.body).await;
        assert_eq!(answer.status, 200, "{}", answer.body);
        self.push("assistant", &answer.body["content"]);
        answer.body
    }

    fn push(&mut self, role: &str, content: &Value) {
        self.body["messages"].as_array_mut().unwrap().push(json!({"role": role, "content": content}));
    }

    /// Answers every call of `message` with `content`.
    fn answer(&mut self, message: &Value, content: &Value) {
        let calls = message["content"].as_array().unwrap().iter().filter(|block| block["type"] == "tool_use");
        let results: Vec<Value> =
            calls.map(|call| json!({"type": "tool_result", "tool_use_id": call["id"], "content": content})).collect();
        self.push("user", &json!(results));
    }
}

#[tokio::test]
async fn a_turn_of_several_hops_is_scripted_by_hop_and_by_tool() {
    let stand = Stand::new().await;
    let call = |name: &str| json!({"type": "tool_use", "name": name, "input": {}});
    stand.script(json!({"replies": [
        {"hop": 0, "content": [call("memory"), call("http_fetch")]},
        {"afterTool": "memory", "match": "No such", "content": [call("http_fetch")]},
        {"afterTool": "memory", "text": "It was there."},
        {"afterTool": "http_fetch", "hop": 2, "match": "404", "text": "Nowhere."},
    ]}));
    let mut talk = Talk::new(&stand, &json!({}));
    let first = talk.hop().await;
    assert_eq!(first["content"].as_array().unwrap().len(), 2);
    talk.answer(&first, &json!([{"type": "text", "text": "No such path"}]));
    let second = talk.hop().await;
    assert_eq!(second["content"][0]["name"], "http_fetch");
    talk.answer(&second, &json!("status 404"));
    assert_eq!(talk.hop().await["content"][0]["text"], "Nowhere.");
}

#[tokio::test]
async fn a_container_is_named_when_code_was_executed_and_kept_when_sent_back() {
    let stand = Stand::new().await;
    let run = json!({"type": "server_tool_use", "name": "bash_code_execution", "input": {"command": "ls"}});
    stand.script(json!({"batchDurationMs": 0, "replies": [{"match": "start", "content": [
        run, {"type": "text", "text": "done"},
    ], "stopReason": "end_turn"}]}));
    let code = json!({"tools": [{"type": "code_execution_20250825", "name": "code_execution"}]});
    let container = Talk::new(&stand, &code).hop().await["container"].clone();
    assert!(container["id"].as_str().unwrap().starts_with("container_01"));
    assert_eq!(container["expires_at"], "2026-11-21T00:05:00.000000Z");
    let mut again = Talk::new(&stand, &code);
    again.body["container"] = container["id"].clone();
    assert_eq!(again.hop().await["container"]["id"], container["id"]);
    let body = json!({"requests": [row("a", Talk::new(&stand, &code).body)]});
    let id = stand.post("/v1/messages/batches", &body).await.body["id"].as_str().unwrap().to_owned();
    assert!(result(&stand.results(&id).await, "a")["message"]["container"]["id"].is_string());
    assert_eq!(
        Talk::new(&stand, &json!({"messages": [{"role": "user", "content": "x"}]})).hop().await["container"],
        json!(null)
    );
}

#[tokio::test]
async fn a_tool_result_of_five_megabytes_is_taken_where_the_model_can_read_it() {
    let stand = Stand::new().await;
    stand.script(json!({
        "models": [{"id": "claude-opus-5-5", "maxInputTokens": 2_000_000}],
        "replies": [
            {"hop": 0, "content": [{"type": "tool_use", "name": "http_fetch", "input": {}}]},
            {"hop": 1, "match": "the very end", "text": "Read."},
        ],
    }));
    let mut talk = Talk::new(&stand, &json!({}));
    let first = talk.hop().await;
    talk.answer(&first, &json!("x".repeat(5 * 1024 * 1024) + "the very end"));
    assert_eq!(talk.hop().await["content"][0]["text"], "Read.");
    // A million tokens is what the model has by default, and five megabytes of text are more.
    let sent = talk.body.clone();
    stand.script(json!({}));
    let mut sent = sent;
    sent["messages"].as_array_mut().unwrap().pop();
    let refused = stand.post("/v1/messages", &sent).await;
    assert_eq!(refused.status, 400);
    assert!(refused.body["error"]["message"].as_str().unwrap().starts_with("prompt is too long"));
    sent["messages"][2]["content"][0]["content"] = json!([{"type": "image", "source": {
        "type": "base64", "media_type": "image/png", "data": "A".repeat(5 * 1024 * 1024),
    }}]);
    assert_eq!(stand.post("/v1/messages", &sent).await.status, 200);
}

/// A script whose first answer thinks, unsigned, so that the fake signs it.
fn thinks() -> Value {
    json!({"batchDurationMs": 0, "replies": [
        {"hop": 0, "content": [
            {"type": "thinking", "thinking": "Let me look."},
            {"type": "tool_use", "id": "toolu_1", "name": "http_fetch", "input": {"url": "https://a.example"}},
        ]},
        {"hop": 1, "text": "Done."},
    ]})
}

#[tokio::test]
async fn thinking_sent_back_behind_a_changed_prefix_is_refused_in_realtime() {
    let stand = Stand::new().await;
    stand.script(thinks());
    let mut talk = Talk::new(&stand, &json!({"system": "It is Monday."}));
    let first = talk.hop().await;
    talk.answer(&first, &json!("ok"));
    let good = talk.body.clone();
    assert_eq!(talk.hop().await["content"][0]["text"], "Done.");
    let refused = async |change: &dyn Fn(&mut Value)| {
        let mut body = good.clone();
        change(&mut body);
        stand.post("/v1/messages", &body).await
    };
    let answer = refused(&|body| body["system"] = json!("It is Tuesday.")).await;
    assert_eq!((answer.status, &answer.body["error"]["type"]), (400, &json!("invalid_request_error")));
    let message = answer.body["error"]["message"].as_str().unwrap();
    assert!(message.starts_with("messages.1.content.0: "), "{message}");
    for (what, change) in [
        ("tools", &(|body: &mut Value| body["tools"].as_array_mut().unwrap().truncate(1)) as &dyn Fn(&mut Value)),
        ("the first message", &|body| body["messages"][0]["content"] = json!("begin")),
        ("the thought", &|body| body["messages"][1]["content"][0]["thinking"] = json!("I looked.")),
    ] {
        assert_eq!(refused(change).await.status, 400, "{what}");
    }
    for (what, change) in [
        ("max_tokens", &(|body: &mut Value| body["max_tokens"] = json!(7)) as &dyn Fn(&mut Value)),
        ("the effort", &|body| body["output_config"] = json!({"effort": "low"})),
        ("a breakpoint", &|body| body["tools"][1]["cache_control"] = json!({"type": "ephemeral"})),
        ("a model that does not preserve thinking", &|body| {
            body["model"] = json!("claude-opus-4-8");
            body["system"] = json!("It is Tuesday.");
        }),
    ] {
        assert_eq!(refused(change).await.status, 200, "{what}");
    }
    assert_eq!(stand.fake.dropped_thinking(), 0);
}

#[tokio::test]
async fn thinking_behind_a_changed_prefix_is_dropped_in_a_batch_and_told_only_with_the_beta() {
    let stand = Stand::new().await;
    stand.script(thinks());
    let mut talk = Talk::new(&stand, &json!({"system": "It is Monday."}));
    let first = talk.hop().await;
    talk.answer(&first, &json!("ok"));
    let mut changed = talk.body.clone();
    changed["system"] = json!("It is Friday.");
    let mut strict = changed.clone();
    strict["thinking"] = json!({"type": "adaptive", "block_binding": {"prefix_mismatch_behavior": "error"}});
    let rows =
        json!({"requests": [row("same", talk.body.clone()), row("changed", changed.clone()), row("strict", strict)]});
    let create = async |beta: Option<&str>| {
        let request = stand.request(reqwest::Method::POST, "/v1/messages/batches").json(&rows);
        let request = if let Some(beta) = beta { request.header("anthropic-beta", beta) } else { request };
        let id = request.send().await.unwrap().json::<Value>().await.unwrap()["id"].as_str().unwrap().to_owned();
        stand.results(&id).await
    };
    let silent = create(None).await;
    assert!(result(&silent, "changed")["message"].get("input_transformations").is_none());
    assert_eq!(stand.fake.dropped_thinking(), 1);
    let told = create(Some("thinking-binding-controls-2026-08-01")).await;
    assert_eq!(result(&told, "same")["message"]["input_transformations"], json!([]));
    assert_eq!(
        result(&told, "changed")["message"]["input_transformations"],
        json!([{"type": "thinking_dropped", "path": "messages.1.content.0", "reason": "prefix_binding_mismatch"}])
    );
    assert_eq!(result(&told, "strict")["error"]["error"]["type"], "invalid_request_error");
    let same = result(&told, "same")["message"]["usage"]["input_tokens"].as_u64().unwrap();
    let changed = result(&told, "changed")["message"]["usage"]["input_tokens"].as_u64().unwrap();
    assert!(changed < same, "a dropped block is not billed");
}
