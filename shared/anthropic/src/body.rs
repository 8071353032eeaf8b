//! What is sent: the body of a hop, and of a batch of hops.
//!
//! Guarantee: each message's `content` goes out byte for byte as it is stored, unknown blocks included, because thinking
//! blocks are only valid unchanged ("Extended thinking" page, 2026-10-01); so do the tools, which belong to the prefix
//! those blocks are bound to ("Preserved thinking" page, 2026-10-01). Sampling parameters are never sent: API version
//! 2026-10-21 refuses them even at their defaults ("Migration to 2026-10-21" page).

use nightshift_domain::model::{CacheFor, HopRequest, McpConnection, Role, ThinkingMode};
use nightshift_engine::ports::BatchRow;
use serde::Serialize;
use serde_json::value::RawValue;

/// What a run keeps from hop to hop comes first, what may differ between two hops after it.
#[derive(Serialize)]
struct Params<'a> {
    model: &'a str,
    #[serde(skip_serializing_if = "Option::is_none")]
    max_tokens: Option<u64>,
    #[serde(skip_serializing_if = "Option::is_none")]
    tools: Option<&'a RawValue>,
    #[serde(skip_serializing_if = "Option::is_none")]
    system: Option<&'a str>,
    messages: Vec<Message<'a>>,
    #[serde(skip_serializing_if = "Option::is_none")]
    thinking: Option<Thinking>,
    #[serde(skip_serializing_if = "Option::is_none")]
    output_config: Option<OutputConfig<'a>>,
    #[serde(skip_serializing_if = "Option::is_none")]
    cache_control: Option<CacheControl>,
    #[serde(skip_serializing_if = "Vec::is_empty")]
    mcp_servers: Vec<McpServer<'a>>,
    #[serde(skip_serializing_if = "Option::is_none")]
    container: Option<&'a str>,
    #[serde(skip_serializing_if = "std::ops::Not::not")]
    stream: bool,
}

#[derive(Serialize)]
struct Message<'a> {
    role: Role,
    content: &'a RawValue,
}

#[derive(Serialize)]
struct OutputConfig<'a> {
    effort: &'a str,
}

/// `ThinkingConfigParam` (Python SDK 2.11.0).
#[derive(Serialize)]
#[serde(tag = "type", rename_all = "snake_case")]
enum Thinking {
    Adaptive,
    Disabled,
    Enabled { budget_tokens: u64 },
}

impl From<ThinkingMode> for Thinking {
    fn from(mode: ThinkingMode) -> Self {
        match mode {
            ThinkingMode::Adaptive => Self::Adaptive,
            ThinkingMode::Disabled => Self::Disabled,
            ThinkingMode::Enabled { budget_tokens } => Self::Enabled { budget_tokens },
        }
    }
}

/// At the top level it means: a breakpoint at the last block that can be cached (Python SDK 2.11.0,
/// `CacheControlEphemeralParam`).
#[derive(Serialize)]
struct CacheControl {
    r#type: &'static str,
    ttl: &'static str,
}

impl From<CacheFor> for CacheControl {
    fn from(cache: CacheFor) -> Self {
        let ttl = match cache {
            CacheFor::FiveMinutes => "5m",
            CacheFor::Hour => "1h",
        };
        Self { r#type: "ephemeral", ttl }
    }
}

/// `BetaRequestMCPServerURLDefinition` (`OpenAPI` file, 2026-05-06). No `Debug`: it holds a secret.
#[derive(Serialize)]
struct McpServer<'a> {
    r#type: &'static str,
    name: &'a str,
    url: &'a str,
    #[serde(skip_serializing_if = "Option::is_none")]
    authorization_token: Option<&'a str>,
}

impl<'a> From<&'a McpConnection> for McpServer<'a> {
    fn from(server: &'a McpConnection) -> Self {
        let McpConnection { name, url, token } = server;
        Self { r#type: "url", name, url, authorization_token: token.as_deref() }
    }
}

#[derive(Serialize)]
struct Row<'a> {
    custom_id: &'a str,
    params: &'a RawValue,
}

/// The `params` of a batch row, which are the body of `POST /v1/messages` without streaming (Python SDK 2.11.0,
/// `message_create_params`).
///
/// # Errors
/// When a message's stored content or the tools are not JSON; nothing of it is sent then, since it could end the body
/// early.
pub fn params(request: &HopRequest) -> serde_json::Result<String> {
    written(request, false)
}

/// The body of `POST /v1/messages` whose answer is to come as server-sent events: [`params`] and `stream`.
///
/// # Errors
/// As [`params`].
pub fn streamed(request: &HopRequest) -> serde_json::Result<String> {
    written(request, true)
}

/// The body of `POST /v1/messages/count_tokens`: what is counted of [`params`] and nothing else (Python SDK 2.11.0,
/// `message_count_tokens_params`).
///
/// # Errors
/// As [`params`].
pub fn counted(request: &HopRequest) -> serde_json::Result<String> {
    let bare = HopRequest {
        model: request.model.clone(),
        system: request.system.clone(),
        tools: request.tools.clone(),
        messages: request.messages.clone(),
        ..HopRequest::default()
    };
    serde_json::to_string(&Params { max_tokens: None, ..all(&bare, false)? })
}

fn written(request: &HopRequest, stream: bool) -> serde_json::Result<String> {
    serde_json::to_string(&all(request, stream)?)
}

fn all(request: &HopRequest, stream: bool) -> serde_json::Result<Params<'_>> {
    let messages = request.messages.iter().map(|message| {
        let content = serde_json::from_str(&message.content)?;
        Ok(Message { role: message.role, content })
    });
    Ok(Params {
        model: &request.model,
        max_tokens: Some(request.max_tokens),
        tools: request.tools.as_deref().map(serde_json::from_str).transpose()?,
        system: request.system.as_deref(),
        messages: messages.collect::<serde_json::Result<_>>()?,
        thinking: request.thinking.map(Thinking::from),
        output_config: request.effort.as_deref().map(|effort| OutputConfig { effort }),
        cache_control: request.cache.map(CacheControl::from),
        mcp_servers: request.mcp_servers.iter().map(McpServer::from).collect(),
        container: request.container.as_deref(),
        stream,
    })
}

/// The body of `POST /v1/messages/batches`, written row by row ("Batch processing" page, 2026-10-01: at most 100,000 rows
/// and 256 MB; the caller stays far below).
///
/// # Errors
/// The `custom_id` of the first row that cannot be written.
pub fn create(rows: &[BatchRow]) -> Result<String, String> {
    let mut body = String::from("{\"requests\":[");
    for (index, row) in rows.iter().enumerate() {
        let refused = |_| row.custom_id.clone();
        let params = RawValue::from_string(params(&row.request).map_err(refused)?).map_err(refused)?;
        let written = serde_json::to_string(&Row { custom_id: &row.custom_id, params: &params }).map_err(refused)?;
        if index > 0 {
            body.push(',');
        }
        body.push_str(&written);
    }
    body.push_str("]}");
    Ok(body)
}

#[cfg(test)]
mod tests {
    use nightshift_domain::model::TurnMessage;
    use serde_json::{Value, json};

    use super::*;

    fn request(contents: &[&str]) -> HopRequest {
        let roles = [Role::User, Role::Assistant].into_iter().cycle();
        let message = |(content, role): (&&str, Role)| TurnMessage { role, content: (*content).to_owned() };
        HopRequest {
            model: "claude-opus-5-5".into(),
            max_tokens: 4096,
            system: Some("Be \"brief\".".into()),
            messages: contents.iter().zip(roles).map(message).collect(),
            effort: Some("low".into()),
            ..HopRequest::default()
        }
    }

    #[test]
    fn stored_content_goes_out_byte_for_byte_with_blocks_nobody_knows() {
        let odd = r#"[ {"type" : "thinking","thinking":"","signature":"E/+\u00e9=="},{"type":"from_2031","n":1.50e+3,"z":1,"a":{ }},
            {"type":"text","text":"\u0068i","text":"twice"}]"#;
        let body = params(&request(&["\"hello\"", odd, "[]"])).unwrap();
        assert!(body.contains(&format!("{{\"role\":\"assistant\",\"content\":{odd}}}")), "{body}");
        assert!(body.contains("{\"role\":\"user\",\"content\":\"hello\"}"));
    }

    #[test]
    fn what_is_counted_is_the_prompt_and_nothing_else() {
        let asked = HopRequest { tools: Some("[{\"name\":\"memory\"}]".into()), ..request(&["\"hi\""]) };
        let body: Value = serde_json::from_str(&counted(&asked).unwrap()).unwrap();
        let wanted = json!({ "model": "claude-opus-5-5", "system": "Be \"brief\".", "tools": [{ "name": "memory" }],
            "messages": [{ "role": "user", "content": "hi" }] });
        assert_eq!(body, wanted);
    }

    #[test]
    fn a_body_holds_exactly_the_fields_of_a_hop_and_no_sampling_parameters() {
        let body: Value = serde_json::from_str(&params(&request(&["\"hi\""])).unwrap()).unwrap();
        assert_eq!(
            body,
            json!({"model": "claude-opus-5-5", "max_tokens": 4096, "system": "Be \"brief\".",
                "messages": [{"role": "user", "content": "hi"}], "output_config": {"effort": "low"}})
        );
        let bare = HopRequest { system: None, effort: None, ..request(&["\"hi\""]) };
        let body: Value = serde_json::from_str(&params(&bare).unwrap()).unwrap();
        assert_eq!(body.as_object().unwrap().keys().collect::<Vec<_>>(), ["model", "max_tokens", "messages"]);
    }

    #[test]
    fn tools_go_out_byte_for_byte_before_the_conversation() {
        let odd = r#"[ {"name":"a","input_schema":{"type":"object","n":1.50e+3}}, {"type":"from_2031_x"} ]"#;
        let body = params(&HopRequest { tools: Some(odd.into()), ..request(&["\"hi\""]) }).unwrap();
        assert!(body.contains(&format!(r#""max_tokens":4096,"tools":{odd},"system":"#)), "{body}");
    }

    #[test]
    fn thinking_caching_servers_and_sandbox_are_in_the_words_of_the_api() {
        let full = |thinking, cache| {
            let server = |name: &str, token: Option<&str>| McpConnection {
                name: name.into(),
                url: format!("https://{name}.example/mcp"),
                token: token.map(str::to_owned),
            };
            let request = HopRequest {
                tools: Some("[]".into()),
                thinking: Some(thinking),
                cache: Some(cache),
                mcp_servers: vec![server("one", Some("hush")), server("two", None)],
                container: Some("container_1".into()),
                ..request(&["\"hi\""])
            };
            serde_json::from_str::<Value>(&params(&request).unwrap()).unwrap()
        };
        let body = full(ThinkingMode::Enabled { budget_tokens: 2048 }, CacheFor::Hour);
        assert_eq!(
            body,
            json!({"model": "claude-opus-5-5", "max_tokens": 4096, "tools": [], "system": "Be \"brief\".",
                "messages": [{"role": "user", "content": "hi"}], "thinking": {"type": "enabled", "budget_tokens": 2048},
                "output_config": {"effort": "low"}, "cache_control": {"type": "ephemeral", "ttl": "1h"}, "mcp_servers":
                [{"type": "url", "name": "one", "url": "https://one.example/mcp", "authorization_token": "hush"},
                {"type": "url", "name": "two", "url": "https://two.example/mcp"}], "container": "container_1"})
        );
        let fields = ["model", "max_tokens", "tools", "system", "messages", "thinking", "output_config"];
        let rest = ["cache_control", "mcp_servers", "container"];
        assert_eq!(body.as_object().unwrap().keys().collect::<Vec<_>>(), [&fields[..], &rest[..]].concat());
        let body = full(ThinkingMode::Adaptive, CacheFor::FiveMinutes);
        assert_eq!(body["thinking"], json!({"type": "adaptive"}));
        assert_eq!(body["cache_control"], json!({"type": "ephemeral", "ttl": "5m"}));
        assert_eq!(full(ThinkingMode::Disabled, CacheFor::Hour)["thinking"], json!({"type": "disabled"}));
    }

    #[test]
    fn a_streamed_body_differs_by_its_last_field_alone() {
        let plain = params(&request(&["\"hi\""])).unwrap();
        let streamed = streamed(&request(&["\"hi\""])).unwrap();
        assert_eq!(streamed, format!(r#"{},"stream":true}}"#, plain.strip_suffix('}').unwrap()));
    }

    #[test]
    fn content_that_is_not_json_is_refused_instead_of_ending_the_body_early() {
        assert!(params(&request(&[r#""x"}],"system":"mine"#])).is_err());
        let tools = Some(r#"[],"system":"mine""#.to_owned());
        assert!(params(&HopRequest { tools, ..request(&["\"x\""]) }).is_err());
        let rows = [row("good", &["\"x\""]), row("bad", &["{"])];
        assert_eq!(create(&rows), Err("bad".to_owned()));
    }

    fn row(custom_id: &str, contents: &[&str]) -> BatchRow {
        BatchRow { custom_id: custom_id.into(), request: request(contents) }
    }

    #[test]
    fn a_batch_row_holds_the_same_bytes_as_the_message_would() {
        let rows = [row("a", &["\"x\""]), row("b", &["[ 1.0 ]"])];
        let body = create(&rows).unwrap();
        let [first, second] = [&rows[0], &rows[1]].map(|row| params(&row.request).unwrap());
        assert_eq!(
            body,
            format!(r#"{{"requests":[{{"custom_id":"a","params":{first}}},{{"custom_id":"b","params":{second}}}]}}"#)
        );
        assert_eq!(create(&[]).unwrap(), r#"{"requests":[]}"#);
    }
}
