//! What Nightshift knows of the models and says to them about thinking, held against an API that refuses what they lack.

#![expect(clippy::unwrap_used, reason = "a test that cannot go on panics")]

use std::sync::Arc;

use chrono::DateTime;
use nightshift_domain::job::Thinking;
use nightshift_domain::model::{built_in, thinking_for};
use nightshift_engine::ManualClock;
use nightshift_fake_anthropic::{Fake, Options};
use reqwest::{Client, RequestBuilder};
use serde_json::{Value, json};

async fn serve() -> String {
    let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await.unwrap();
    let base_url = format!("http://{}", listener.local_addr().unwrap());
    let clock = Arc::new(ManualClock::new(DateTime::from_timestamp(1_795_219_200, 0).unwrap()));
    let fake = Fake::open(Options {
        clock,
        state_dir: None,
        base_url: base_url.clone(),
        mcp_origins: std::collections::BTreeMap::default(),
    })
    .unwrap();
    tokio::spawn(async move { axum::serve(listener, fake.router()).await });
    base_url
}

async fn read(request: RequestBuilder) -> (u16, Value) {
    let request = request.bearer_auth("sk-ant-api03-test").header("anthropic-version", "2026-10-21");
    let answer = request.send().await.unwrap();
    (answer.status().as_u16(), answer.json().await.unwrap())
}

async fn models(client: &Client, url: &str) -> Vec<Value> {
    let (status, page) = read(client.get(format!("{url}/v1/models?limit=1000"))).await;
    assert_eq!(status, 200);
    page["data"].as_array().unwrap().clone()
}

fn supported(capabilities: &Value) -> Vec<&str> {
    let all = capabilities.as_object().unwrap().iter();
    let mut names: Vec<&str> =
        all.filter(|(_, each)| each["supported"] == true).map(|(name, _)| name.as_str()).collect();
    names.sort_unstable();
    names
}

#[tokio::test]
async fn the_built_in_list_says_what_the_api_says() {
    let (client, url) = (Client::builder().no_proxy().build().unwrap(), serve().await);
    let shown = models(&client, &url).await;
    assert_eq!(shown.len(), 15);
    for shown in shown {
        let id = shown["id"].as_str().unwrap();
        let mut info = built_in(id).unwrap_or_else(|| panic!("{id} is not on the list"));
        assert_eq!(
            json!([info.max_tokens, info.max_input_tokens]),
            json!([shown["max_tokens"], shown["max_input_tokens"]])
        );
        let capabilities = &shown["capabilities"];
        info.efforts.sort_unstable();
        info.thinking.sort_unstable();
        assert_eq!(info.efforts, supported(&capabilities["effort"]), "{id}");
        assert_eq!(info.thinking, supported(&capabilities["thinking"]["types"]), "{id}");
        assert_eq!((info.batch, info.server_tools), (true, true));
        let retires = shown["retires_at"].as_str().map(|at| at.parse().unwrap());
        assert_eq!(info.retires_at, retires, "{id}");
    }
}

#[tokio::test]
async fn no_level_on_any_model_is_a_400() {
    let (client, url) = (Client::builder().no_proxy().build().unwrap(), serve().await);
    for shown in models(&client, &url).await {
        let id = shown["id"].as_str().unwrap();
        let info = built_in(id).unwrap();
        for max_tokens in [16_000, 2000] {
            for (word, level) in Thinking::WORDS {
                let chosen = thinking_for(Some(level), &info, max_tokens);
                let mut body =
                    json!({ "model": id, "max_tokens": max_tokens, "messages": [{ "role": "user", "content": "hi" }] });
                if let Some(effort) = &chosen.effort {
                    body["output_config"] = json!({ "effort": effort });
                }
                if let Some(mode) = chosen.mode {
                    // As the adapter writes it.
                    body["thinking"] = serde_json::to_value(mode).unwrap();
                    if let Some(budget) = body["thinking"].as_object_mut().unwrap().remove("budgetTokens") {
                        body["thinking"]["budget_tokens"] = budget;
                    }
                }
                let (status, answer) = read(client.post(format!("{url}/v1/messages")).json(&body)).await;
                assert_eq!(status, 200, "thinking {word} on {id}: {answer}");
            }
        }
    }
}
