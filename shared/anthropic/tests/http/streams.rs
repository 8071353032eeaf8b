//! A hop whose answer is streamed: put together, or given up with the right word for it.

use std::sync::Arc;

use chrono::TimeDelta;
use nightshift_domain::model::{HopRequest, McpConnection, ModelErrorKind, Reply, StopReason};
use nightshift_engine::ManualClock;
use nightshift_engine::ports::{Model, ModelError};
use serde_json::json;

use crate::server::{Act, HastyClock, Last, Server, anthropic, hop, start};

/// A turn that thinks, looks something up, cites it and calls a tool, with all that may stand between.
const STREAM: &str = concat!(
    "event: message_start\n",
    r#"data: {"type":"message_start","message":{"id":"msg_1","type":"message","role":"assistant","model":"claude-x","content":[],"#,
    r#""stop_reason":null,"usage":{"input_tokens":25,"output_tokens":1,"service_tier":"standard"}}}"#,
    "\n\n: a comment\n\nevent: content_block_start\r\n",
    r#"data: {"type":"content_block_start","index":0,"content_block":{"type":"thinking","thinking":"","signature":""}}"#,
    "\r\n\r\nevent: ping\ndata: {\"type\": \"ping\"}\n\nevent: content_block_delta\n",
    r#"data: {"type":"content_block_delta","index":0,"delta":{"type":"thinking_delta","thinking":"Où?"}}"#,
    "\n\nevent: content_block_delta\n",
    r#"data: {"type":"content_block_delta","index":0,"delta":{"type":"signature_delta","signature":"E/+="}}"#,
    "\n\nevent: from_2031\nid: 7\nretry: 9\nodd line\ndata: not json\n\nevent: content_block_stop\n",
    r#"data: {"type":"content_block_stop","index":0}"#,
    "\n\nevent: content_block_start\n",
    r#"data: {"type":"content_block_start","index":1,"content_block":{ "type":"from_2031","n":1.50 }}"#,
    "\n\nevent: content_block_start\n",
    r#"data: {"type":"content_block_start","index":2,"content_block":{"type":"text","text":""}}"#,
    "\n\nevent: content_block_delta\n",
    r#"data: {"type":"content_block_delta","index":2,"delta":{"type":"text_delta","text":"à "}}"#,
    "\n\nevent: content_block_delta\ndata: {\"type\":\"content_block_delta\",\"index\":2,\ndata: ",
    r#""delta":{"type":"text_delta","text":"Paris"}}"#,
    "\n\nevent: content_block_delta\n",
    r#"data: {"type":"content_block_delta","index":2,"delta":{"type":"citations_delta","citation":{"type":"x","n":1.0}}}"#,
    "\n\nevent: content_block_start\n",
    r#"data: {"type":"content_block_start","index":3,"content_block":{"type":"tool_use","id":"t_1","name":"look","input":{}}}"#,
    "\n\nevent: content_block_delta\n",
    r#"data: {"type":"content_block_delta","index":3,"delta":{"type":"input_json_delta","partial_json":""}}"#,
    "\n\nevent: content_block_delta\n",
    r#"data: {"type":"content_block_delta","index":3,"delta":{"type":"input_json_delta","partial_json":"{\"a\": 1.5"}}"#,
    "\n\nevent: content_block_delta\n",
    r#"data: {"type":"content_block_delta","index":3,"delta":{"type":"input_json_delta","partial_json":"0}"}}"#,
    "\n\nevent: message_delta\n",
    r#"data: {"type":"message_delta","delta":{"stop_reason":"tool_use","container":{"id":"container_1"}},"usage":{"output_tokens":15}}"#,
    "\n\nevent: message_stop\ndata: {\"type\":\"message_stop\"}\n\n",
);

fn expected() -> Reply {
    Reply {
        message_id: "msg_1".into(),
        request_id: Some("req_s".into()),
        model: "claude-x".into(),
        stop_reason: StopReason::ToolUse,
        content: concat!(
            r#"[{"type":"thinking","thinking":"Où?","signature":"E/+="},{ "type":"from_2031","n":1.50 },"#,
            r#"{"type":"text","text":"à Paris","citations":[{"type":"x","n":1.0}]},"#,
            r#"{"type":"tool_use","id":"t_1","name":"look","input":{"a": 1.50}}]"#
        )
        .into(),
        text: "à Paris".into(),
        usage: json!({"input_tokens": 25, "output_tokens": 15, "service_tier": "standard"}),
        container: Some("container_1".into()),
    }
}

/// What the server streams in one piece.
fn whole(text: &str, last: Last) -> Act {
    Act::Stream(vec![text.as_bytes().to_vec()], last)
}

/// The stream up to `event`, which is left out.
fn before(event: &str) -> &'static str {
    &STREAM[..STREAM.find(&format!("event: {event}\n")).unwrap()]
}

/// Sends a hop to a server that plays `act`, and makes sure that it was sent once.
async fn sent(act: Act) -> Result<Reply, ModelError> {
    let server = Server::start(&[act, whole(STREAM, Last::End)]).await;
    let result = anthropic(&server.url, HastyClock::new()).message(&hop(), start() + TimeDelta::minutes(5)).await;
    assert_eq!(server.lines(), ["POST /v1/messages"]);
    result
}

async fn failed(act: Act) -> (ModelErrorKind, String) {
    let error = sent(act).await.unwrap_err();
    assert_eq!(error.request_id.as_deref(), Some("req_s"));
    (error.kind, error.message)
}

#[tokio::test]
async fn an_answer_is_the_same_in_one_piece_and_byte_by_byte() {
    assert_eq!(sent(whole(STREAM, Last::End)).await.unwrap(), expected());
    let single = STREAM.bytes().map(|byte| vec![byte]).collect();
    assert_eq!(sent(Act::Stream(single, Last::End)).await.unwrap(), expected());
}

#[tokio::test]
async fn line_ends_of_all_kinds_and_a_byte_order_mark_make_no_difference() {
    let plain = STREAM.replace("\r\n", "\n");
    for text in [plain.replace('\n', "\r\n"), plain.replace('\n', "\r"), format!("\u{feff}{plain}")] {
        assert_eq!(sent(whole(&text, Last::End)).await.unwrap(), expected());
    }
}

#[tokio::test]
async fn what_comes_after_the_end_is_not_waited_for() {
    for last in [Last::Silence, Last::Close] {
        assert_eq!(sent(whole(STREAM, last)).await.unwrap(), expected());
    }
    let more = format!("{STREAM}event: error\ndata: {{\"type\":\"error\"}}\n\n");
    assert_eq!(sent(whole(&more, Last::End)).await.unwrap(), expected());
}

#[tokio::test]
async fn an_answer_that_ends_or_breaks_off_before_it_is_complete_is_unanswered() {
    let events: Vec<&str> = STREAM.split_inclusive("\n\n").collect();
    for count in 0..events.len() {
        let begun = events[..count].concat();
        for last in [Last::End, Last::Close] {
            let (kind, message) = failed(whole(&begun, last)).await;
            assert_eq!(kind, ModelErrorKind::Unanswered, "{count} events, {last:?}: {message}");
            let said =
                if count == 0 || matches!(last, Last::Close) { "" } else { "the answer ended before it was complete" };
            assert!(message.contains(said), "{message}");
        }
    }
}

#[tokio::test]
async fn an_error_within_the_stream_has_the_kind_of_its_type() {
    let errors = [
        ("overloaded_error", ModelErrorKind::Overloaded),
        ("rate_limit_error", ModelErrorKind::RateLimited),
        ("api_error", ModelErrorKind::Server),
        ("timeout_error", ModelErrorKind::Timeout),
        ("authentication_error", ModelErrorKind::Auth),
        ("invalid_request_error", ModelErrorKind::Invalid),
        ("from_2031", ModelErrorKind::Server),
    ];
    for begun in ["", before("content_block_stop"), before("message_stop")] {
        for (name, expected) in errors {
            let said = format!(r#"{{"type":"error","error":{{"type":"{name}","message":"said sk-ant-api03-hush"}}}}"#);
            let stream = format!("{begun}event: error\ndata: {said}\n\n");
            let told = failed(whole(&stream, Last::Silence)).await;
            assert_eq!(told, (expected, format!("the answer broke off, {name}: said [redacted]")));
        }
    }
    let (kind, message) = failed(whole("event: error\ndata: ?\n\n", Last::End)).await;
    assert_eq!(
        (kind, message.as_str()),
        (ModelErrorKind::Server, "the answer broke off with an error that could not be read")
    );
}

#[tokio::test]
async fn an_error_within_the_stream_that_quotes_a_servers_token_is_left_out() {
    let said = r#"{"type":"error","error":{"type":"api_error","message":"notes refused 'hush-0123456789'"}}"#;
    let server = Server::start(&[whole(&format!("event: error\ndata: {said}\n\n"), Last::End)]).await;
    let token = Some("hush-0123456789".to_owned());
    let mcp_servers = vec![McpConnection { name: "notes".into(), url: "https://mcp.example/mcp".into(), token }];
    let request = HopRequest { mcp_servers, ..hop() };
    let api = anthropic(&server.url, HastyClock::new());
    let error = api.message(&request, start() + TimeDelta::minutes(5)).await.unwrap_err();
    assert!(!format!("{error:?} {request:?} {api:?}").contains("hush"), "{error:?}");
    let seen = server.seen();
    assert!(seen[0].contains("\r\nanthropic-beta: mcp-client-2025-11-20\r\n"), "{}", seen[0]);
    assert!(seen[0].contains(r#""authorization_token":"hush-0123456789""#), "{}", seen[0]);
}

#[tokio::test]
async fn what_we_say_ourselves_of_a_stream_is_not_taken_for_a_quotation() {
    let server = Server::start(&[whole("", Last::End)]).await;
    let request = HopRequest { system: Some("the answer ended before it was complete".into()), ..hop() };
    let api = anthropic(&server.url, HastyClock::new());
    let error = api.message(&request, start() + TimeDelta::minutes(5)).await.unwrap_err();
    assert_eq!(error.message, "the answer ended before it was complete");
}

#[tokio::test]
async fn a_stream_that_cannot_be_read_is_unanswered() {
    let text =
        "event: content_block_start\ndata: {\"index\":0,\"content_block\":{\"type\":\"text\",\"text\":\"\"}}\n\n";
    let stop = "event: message_stop\ndata: {}\n\n";
    let broken_text = format!("{}{}", before("content_block_start\r"), "event: message_delta\ndata: {\n\n");
    for stream in [
        format!("{text}{stop}"),
        "event: content_block_delta\ndata: {}\n\n".to_owned(),
        broken_text,
        STREAM.replace("\"0}\"", "\"0\""),
    ] {
        let (kind, message) = failed(whole(&stream, Last::End)).await;
        assert_eq!(kind, ModelErrorKind::Unanswered);
        assert_eq!(message, "the answer is not a message that could be read");
    }
    let mut damaged = STREAM.as_bytes().to_vec();
    let at = STREAM.find('ù').unwrap();
    damaged[at] = 0xff;
    let (kind, _) = failed(Act::Stream(vec![damaged], Last::End)).await;
    assert_eq!(kind, ModelErrorKind::Unanswered);
}

/// Lets a hop begin to stream and then say nothing, with an alarm at `wakes` as the last that is set.
async fn silent(deadline: TimeDelta, wakes: TimeDelta) -> ModelError {
    let server = Server::start(&[whole(before("content_block_stop"), Last::Silence)]).await;
    let clock = ManualClock::new(start());
    let api = anthropic(&server.url, Arc::new(clock.clone()));
    let sending = tokio::spawn(async move { api.message(&hop(), start() + deadline).await });
    server.wait_for_requests(1).await;
    while clock.next_wake() != Some(start() + wakes) {
        tokio::task::yield_now().await;
    }
    clock.advance(wakes - TimeDelta::milliseconds(1));
    for _ in 0..100 {
        tokio::task::yield_now().await;
    }
    assert!(!sending.is_finished());
    clock.advance(TimeDelta::milliseconds(1));
    // A piece that came in the meantime has set the alarm anew.
    while !sending.is_finished() {
        if let Some(wake) = clock.next_wake() {
            clock.advance_to(wake);
        }
        tokio::task::yield_now().await;
    }
    sending.await.unwrap().unwrap_err()
}

#[tokio::test]
async fn a_stream_that_falls_silent_for_a_minute_is_unanswered() {
    let error = silent(TimeDelta::minutes(5), TimeDelta::seconds(60)).await;
    assert_eq!(error.kind, ModelErrorKind::Unanswered);
    assert_eq!(error.message, "the answer stopped coming for 60 seconds");
}

#[tokio::test]
async fn a_stream_is_given_up_at_the_deadline_of_its_hop() {
    let error = silent(TimeDelta::seconds(40), TimeDelta::seconds(40)).await;
    assert_eq!(error.kind, ModelErrorKind::Timeout);
    assert_eq!(error.message, "the answer was not complete before the deadline");
}
