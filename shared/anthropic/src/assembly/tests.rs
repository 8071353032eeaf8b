//! Answers cut into events and put together again.

use proptest::prelude::*;
use serde_json::json;

use super::*;

const START: &str = r#"{"type":"message_start","message":{"id":"msg_1","type":"message","role":"assistant","model":"claude-x",
    "content":[],"stop_reason":null,"stop_sequence":null,"usage":{"input_tokens":25,"cache_read_input_tokens":7,
    "cache_creation":{"ephemeral_5m_input_tokens":3},"output_tokens":1,"service_tier":"standard"}}}"#;

/// Takes events in, each under the name its data has.
fn after(events: &[&str]) -> serde_json::Result<Assembly> {
    let mut answer = Assembly::default();
    for event in events {
        answer.take(None, event)?;
    }
    Ok(answer)
}

/// The content of an answer that stops for `stop`, made of `events` between its start and its end.
fn stopped(stop: &str, events: &[&str]) -> serde_json::Result<String> {
    let end = json!({"type": "message_delta", "delta": {"stop_reason": stop}}).to_string();
    let all = [&[START], events, &[end.as_str()]].concat();
    Ok(after(&all)?.finish(None)?.content)
}

fn content(events: &[&str]) -> String {
    stopped("end_turn", events).unwrap()
}

fn start(index: u64, block: &str) -> String {
    format!(r#"{{"type":"content_block_start","index":{index},"content_block":{block}}}"#)
}

fn delta(index: u64, delta: &str) -> String {
    format!(r#"{{"type":"content_block_delta","index":{index},"delta":{delta}}}"#)
}

/// The content of an answer of one block and its deltas.
fn one(block: &str, deltas: &[&str]) -> String {
    let events: Vec<String> = [start(0, block)].into_iter().chain(deltas.iter().map(|each| delta(0, each))).collect();
    content(&events.iter().map(String::as_str).collect::<Vec<_>>())
}

#[test]
fn a_text_grows_and_what_the_message_says_of_itself_is_kept() {
    let mut answer = Assembly::default();
    for (name, data) in [
        ("message_start", START),
        ("content_block_start", &start(0, r#"{"type":"text","text":""}"#)),
        ("ping", r#"{"type":"ping"}"#),
        ("content_block_delta", &delta(0, r#"{"type":"text_delta","text":"Hello, \"wo"}"#)),
        ("content_block_delta", &delta(0, r#"{"type":"text_delta","text":"rld\" \u00e9!"}"#)),
        ("content_block_stop", r#"{"type":"content_block_stop","index":0}"#),
        (
            "message_delta",
            r#"{"type":"message_delta","delta":{"stop_reason":"end_turn","stop_sequence":null,"container":
            {"id":"container_1","expires_at":"2026-11-21T00:00:00Z"}},"usage":{"output_tokens":15,"input_tokens":null,
            "server_tool_use":{"web_search_requests":2}}}"#,
        ),
    ] {
        assert_eq!(answer.take(Some(name), data).unwrap(), Step::Going, "{name}");
    }
    assert_eq!(answer.take(Some("message_stop"), r#"{"type":"message_stop"}"#).unwrap(), Step::Complete);
    let expected = Reply {
        message_id: "msg_1".into(),
        request_id: Some("req_1".into()),
        model: "claude-x".into(),
        stop_reason: StopReason::EndTurn,
        content: r#"[{"type":"text","text":"Hello, \"world\" é!"}]"#.into(),
        text: "Hello, \"world\" é!".into(),
        usage: json!({"input_tokens": 25, "cache_read_input_tokens": 7, "cache_creation":
            {"ephemeral_5m_input_tokens": 3}, "output_tokens": 15, "service_tier": "standard",
            "server_tool_use": {"web_search_requests": 2}}),
        container: Some("container_1".into()),
    };
    assert_eq!(answer.finish(Some("req_1".into())).unwrap(), expected);
}

#[test]
fn a_block_that_comes_complete_is_kept_byte_for_byte_whatever_it_is() {
    for block in [
        r#"{ "type" : "redacted_thinking","data":"E/+\u00e9==" }"#,
        r#"{"type":"web_search_tool_result","tool_use_id":"srvtoolu_1","content":[{"url":"\/x","n":1.50e+3}]}"#,
        r#"{"type":"from_2031","text":{"n":1.0}, "a" : [ ]}"#,
    ] {
        assert_eq!(one(block, &[]), format!("[{block}]"));
    }
}

#[test]
fn fields_that_no_piece_belongs_to_stay_byte_for_byte_and_in_their_order() {
    let block = r#"{ "z":1.50e+3, "text":"\u0061", "type":"text", "a":{ "n" : 0.10 } }"#;
    let grown = one(block, &[r#"{"type":"text_delta","text":"bc"}"#]);
    assert_eq!(grown, r#"[{"z":1.50e+3,"text":"abc","type":"text","a":{ "n" : 0.10 }}]"#);
    let untouched = one(block, &[r#"{"type":"text_delta","text":""}"#]);
    assert_eq!(untouched, r#"[{"z":1.50e+3,"text":"\u0061","type":"text","a":{ "n" : 0.10 }}]"#);
}

#[test]
fn thinking_comes_with_its_signature_even_when_it_is_omitted() {
    let block = r#"{"type":"thinking","thinking":"","signature":""}"#;
    let thought = r#"{"type":"thinking_delta","thinking":"Two and two"}"#;
    let more = r#"{"type":"thinking_delta","thinking":" are four."}"#;
    let signed = r#"{"type":"signature_delta","signature":"EqQB/+=="}"#;
    assert_eq!(
        one(block, &[thought, more, signed]),
        r#"[{"type":"thinking","thinking":"Two and two are four.","signature":"EqQB/+=="}]"#
    );
    assert_eq!(one(block, &[signed]), r#"[{"type":"thinking","thinking":"","signature":"EqQB/+=="}]"#);
    let unsigned = r#"{"type":"thinking","thinking":""}"#;
    assert_eq!(one(unsigned, &[signed]), r#"[{"type":"thinking","thinking":"","signature":"EqQB/+=="}]"#);
}

#[test]
fn a_tools_input_is_joined_byte_for_byte_and_nothing_is_an_empty_object() {
    let piece = |text: &str| json!({"type": "input_json_delta", "partial_json": text}).to_string();
    for kind in ["tool_use", "server_tool_use", "mcp_tool_use"] {
        let block =
            format!(r#"{{"type":"{kind}","id":"t_1","name":"look","input":{{}},"caller":{{"type":"direct"}}}}"#);
        let call = |pieces: &[&str]| {
            let pieces: Vec<String> = pieces.iter().map(|text| piece(text)).collect();
            one(&block, &pieces.iter().map(String::as_str).collect::<Vec<_>>())
        };
        let with = |input: &str| {
            format!(r#"[{{"type":"{kind}","id":"t_1","name":"look","input":{input},"caller":{{"type":"direct"}}}}]"#)
        };
        assert_eq!(
            call(&["", r#"{"q": "\u00"#, r#"e9", "n": 1.5"#, "0e+3, ", r#""n":2 }"#]),
            with(r#"{"q": "\u00e9", "n": 1.50e+3, "n":2 }"#)
        );
        assert_eq!(call(&[""]), format!("[{block}]"));
        assert_eq!(call(&["", ""]), with("{}"));
        assert_eq!(call(&[]), format!("[{block}]"));
    }
    let without = one(r#"{"type":"tool_use","id":"t_1"}"#, &[&piece("")]);
    assert_eq!(without, r#"[{"type":"tool_use","id":"t_1","input":{}}]"#);
    let full = one(r#"{"type":"tool_use","input":{"a":1}}"#, &[&piece(r#"{"b":2}"#)]);
    assert_eq!(full, r#"[{"type":"tool_use","input":{"b":2}}]"#);
}

#[test]
fn an_input_cut_short_is_wrapped_unless_the_tool_is_to_be_run() {
    let block = start(0, r#"{"type":"tool_use","id":"t_1","name":"look","input":{}}"#);
    let piece = delta(0, r#"{"type":"input_json_delta","partial_json":"{\"q\": \"ha"}"#);
    let events = [block.as_str(), &piece];
    for stop in ["max_tokens", "model_context_window_exceeded", "refusal", "from_2031"] {
        assert_eq!(
            stopped(stop, &events).unwrap(),
            r#"[{"type":"tool_use","id":"t_1","name":"look","input":{"INVALID_JSON":"{\"q\": \"ha"}}]"#,
            "{stop}"
        );
    }
    assert!(stopped("tool_use", &events).is_err());
}

#[test]
fn citations_are_gathered_as_they_came() {
    let cite = |citation: &str| format!(r#"{{"type":"citations_delta","citation":{citation}}}"#);
    let (first, second) = (r#"{"type":"page_location","n":1.0}"#, r#"{ "type":"from_2031" }"#);
    let text = r#"{"type":"text_delta","text":"four"}"#;
    let deltas = [&cite(first), text, &cite(second)];
    let expected = format!(r#"[{{"type":"text","text":"four","citations":[{first},{second}]}}]"#);
    for citations in ["", r#","citations":null"#, r#","citations":[]"#] {
        assert_eq!(one(&format!(r#"{{"type":"text","text":""{citations}}}"#), &deltas), expected);
    }
    let begun = r#"{"type":"text","text":"","citations":[ {"n":1.50} ]}"#;
    assert_eq!(
        one(begun, &[&cite(first)]),
        format!(r#"[{{"type":"text","text":"","citations":[{{"n":1.50}},{first}]}}]"#)
    );
}

#[test]
fn strings_of_deltas_nobody_knows_grow_the_field_of_their_name_and_the_rest_of_them_is_passed_over() {
    let compaction = r#"{"type":"compaction","content":null}"#;
    let summary = r#"{"type":"compaction_delta","content":"So far: four.","encrypted_content":null}"#;
    assert_eq!(one(compaction, &[summary]), r#"[{"type":"compaction","content":"So far: four."}]"#);
    let block = r#"{"type":"from_2031","note":"a","list":[1.0],"n":1.0}"#;
    let odd = r#"{"type":"from_2031_delta","note":"b","n":2,"list":"x","new":"c","more":{"note":"z"}}"#;
    let grown = one(block, &[odd, r#"{"type":"from_2031_delta","new":"d"}"#, r#"{"note":"!"}"#]);
    assert_eq!(grown, r#"[{"type":"from_2031","note":"ab!","list":[1.0],"n":1.0,"new":"cd"}]"#);
}

#[test]
fn blocks_stand_by_their_index_however_their_pieces_are_mixed() {
    let events = [
        start(2, r#"{"type":"text","text":"c"}"#),
        start(0, r#"{"type":"text","text":"a"}"#),
        delta(2, r#"{"type":"text_delta","text":"C"}"#),
        delta(0, r#"{"type":"text_delta","text":"A"}"#),
        start(7, r#"{"type":"from_2031"}"#),
    ];
    assert_eq!(
        content(&events.iter().map(String::as_str).collect::<Vec<_>>()),
        r#"[{"type":"text","text":"aA"},{"type":"text","text":"cC"},{"type":"from_2031"}]"#
    );
}

#[test]
fn events_nobody_knows_change_nothing_and_need_not_be_json() {
    let mut answer = after(&[START]).unwrap();
    for (name, data) in [
        (Some("from_2031"), r#"{"type":"content_block_start"}"#),
        (Some("ping"), ""),
        (None, r#"{"type":"from_2031"}"#),
        (None, "[DONE]"),
        (None, r#"{"type":"content_block_stop","index":9}"#),
    ] {
        assert_eq!(answer.take(name, data).unwrap(), Step::Going, "{data}");
    }
    assert_eq!(answer.finish(None).unwrap().content, "[]");
}

#[test]
fn usage_that_comes_last_overlays_what_came_first_and_null_says_nothing() {
    let ends = |usage: &str, stop: &str| format!(r#"{{"type":"message_delta","delta":{stop},"usage":{usage}}}"#);
    let first = ends(r#"{"output_tokens":9,"cache_creation":null,"new":{"a":1.5}}"#, r#"{"stop_reason":"pause_turn"}"#);
    let second = ends(r#"{"output_tokens":12,"input_tokens":30}"#, r#"{"stop_reason":null,"container":null}"#);
    let (third, fourth) = (r#"{"type":"message_delta"}"#, r#"{"type":"message_delta","delta":null,"usage":null}"#);
    let reply = after(&[START, &first, &second, third, fourth]).unwrap().finish(None).unwrap();
    assert_eq!(
        reply.usage,
        json!({"input_tokens": 30, "cache_read_input_tokens": 7, "cache_creation": {"ephemeral_5m_input_tokens": 3},
            "output_tokens": 12, "service_tier": "standard", "new": {"a": 1.5}})
    );
    assert_eq!((reply.stop_reason, reply.container), (StopReason::PauseTurn, None));
}

#[test]
fn a_message_that_begins_with_all_it_has_is_taken_as_it_is() {
    let whole = r#"{"type":"message_start","message":{"id":"m","model":"c","content":[ {"type":"text","text":"\u0061"} ],
        "stop_reason":"refusal","container":{"id":"container_9"}}}"#;
    let reply = after(&[whole]).unwrap().finish(None).unwrap();
    assert_eq!((reply.content.as_str(), reply.text.as_str()), (r#"[{"type":"text","text":"\u0061"}]"#, "a"));
    assert_eq!((reply.stop_reason, reply.container), (StopReason::Refusal, Some("container_9".into())));
}

#[test]
fn an_error_is_handed_on_as_it_was_said() {
    let said = r#"{"type":"error","error":{"type":"overloaded_error","message":"m"}}"#;
    for name in [Some("error"), None] {
        assert_eq!(after(&[START]).unwrap().take(name, said).unwrap(), Step::Failed(said.into()));
    }
}

#[test]
fn what_cannot_be_understood_is_an_error_rather_than_an_answer_with_a_hole() {
    let text = start(0, r#"{"type":"text","text":""}"#);
    for events in [
        &[r#"{"type":"message_start","message":{}}"#][..],
        &[START, r#"{"type":"content_block_start","index":0}"#],
        &[START, r#"{"type":"content_block_delta","index":0,"delta":{"type":"text_delta","text":"x"}}"#],
        &[START, &text, r#"{"type":"content_block_delta","index":0,"delta":"x"}"#],
        &[START, &text, r#"{"type":"content_block_delta","index":0,"delta":{"type":"input_json_delta"}}"#],
        &[START, &text, r#"{"type":"content_block_delta","index":0,"delta":{"type":"citations_delta"}}"#],
        &[START, r#"{"type":"message_delta","usage":7}"#],
    ] {
        assert!(after(events).is_err(), "{events:?}");
    }
    assert!(after(&[]).unwrap().finish(None).is_err());
}

/// A content block as it is whole, and the events that stream it.
fn streamed_block(index: u64) -> impl Strategy<Value = (Value, Vec<String>)> {
    let words = || prop::collection::vec("\\PC{0,6}", 0..5);
    let text = (words(), prop::collection::vec("[a-z]{1,4}", 0..3)).prop_map(move |(pieces, cited)| {
        let citations: Vec<Value> =
            cited.iter().map(|each| json!({"type": "page_location", "cited_text": each})).collect();
        let mut events = vec![start(index, r#"{"type":"text","text":""}"#)];
        events.extend(pieces.iter().map(|text| delta(index, &json!({"type": "text_delta", "text": text}).to_string())));
        let cite = |citation| delta(index, &json!({"type": "citations_delta", "citation": citation}).to_string());
        events.extend(citations.iter().map(cite));
        let mut block = json!({"type": "text", "text": pieces.concat()});
        if !citations.is_empty() {
            block["citations"] = citations.into();
        }
        (block, events)
    });
    let thinking = (words(), "[A-Za-z0-9+/=]{0,9}").prop_map(move |(pieces, signature)| {
        let mut events = vec![start(index, r#"{"type":"thinking","thinking":"","signature":""}"#)];
        let think = |text| delta(index, &json!({"type": "thinking_delta", "thinking": text}).to_string());
        events.extend(pieces.iter().map(think));
        events.push(delta(index, &json!({"type": "signature_delta", "signature": signature}).to_string()));
        (json!({"type": "thinking", "thinking": pieces.concat(), "signature": signature}), events)
    });
    let input = prop::collection::btree_map("\\PC{1,3}", "\\PC{0,9}", 0..4);
    let tool = (input, 1..7_usize).prop_map(move |(input, size)| {
        let block = |input: Value| json!({"type": "tool_use", "id": "t", "name": "n", "input": input});
        let json: Vec<char> = json!(input).to_string().chars().collect();
        let mut events = vec![start(index, &block(json!({})).to_string())];
        for piece in [&[][..]].into_iter().chain(json.chunks(size)) {
            let piece: String = piece.iter().collect();
            events.push(delta(index, &json!({"type": "input_json_delta", "partial_json": piece}).to_string()));
        }
        (block(json!(input)), events)
    });
    let other = "\\PC{0,9}".prop_map(move |data| {
        let block = json!({"type": "redacted_thinking", "data": data});
        (block.clone(), vec![start(index, &block.to_string())])
    });
    prop_oneof![text, thinking, tool, other]
}

proptest! {
    #[test]
    fn a_content_cut_into_events_and_put_together_again_is_the_same(
        blocks in (0..5_u64).prop_flat_map(|count| (0..count).map(streamed_block).collect::<Vec<_>>())
    ) {
        let whole: Vec<Value> = blocks.iter().map(|(block, _)| block.clone()).collect();
        let events: Vec<&str> = blocks.iter().flat_map(|(_, events)| events.iter().map(String::as_str)).collect();
        prop_assert_eq!(stopped("tool_use", &events).unwrap(), json!(whole).to_string());
    }
}
