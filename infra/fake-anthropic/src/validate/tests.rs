use serde_json::json;

use super::*;

struct Case {
    version: Version,
    betas: Vec<String>,
    purpose: Purpose,
}

impl Case {
    fn realtime() -> Self {
        Self { version: Version::V20261021, betas: Vec::new(), purpose: Purpose::Realtime }
    }

    fn batch() -> Self {
        Self { purpose: Purpose::Batch, ..Self::realtime() }
    }

    fn beta(beta: &str) -> Self {
        Self { betas: vec![beta.to_owned()], ..Self::realtime() }
    }

    fn check(&self, fields: &Value) -> Result<(), ApiError> {
        let changes = json!([{"id": "plain-test", "structuredOutputs": false, "serverTools": false, "batch": false}]);
        let catalogue = Catalogue::new(&serde_json::from_value::<Vec<_>>(changes).unwrap());
        let mut body = json!({
            "model": "claude-opus-5-5", "max_tokens": 1000, "messages": [{"role": "user", "content": "hi"}],
        });
        for (field, value) in fields.as_object().unwrap() {
            body[field] = value.clone();
            if value == "absent" {
                body.as_object_mut().unwrap().remove(field);
            }
        }
        let given = json!({"type": "hologram", "beam": 1});
        let context = Context {
            catalogue: &catalogue,
            version: self.version,
            betas: &self.betas,
            purpose: self.purpose,
            given: &[&given],
        };
        params(&body, context).map(|_| ())
    }

    fn good(&self, fields: &Value) {
        assert_eq!(self.check(fields), Ok(()), "{fields}");
    }

    /// The refusal, a 400 whose message contains `word`.
    fn bad(&self, fields: &Value, word: &str) {
        let error = self.check(fields).unwrap_err();
        assert_eq!((error.status, error.kind.as_str()), (400, "invalid_request_error"), "{fields}");
        assert!(error.message.contains(word), "{fields}: {}", error.message);
    }
}

fn messages(messages: &Value) -> Value {
    json!({ "messages": messages })
}

fn user(content: &Value) -> Value {
    messages(&json!([{"role": "user", "content": content}]))
}

#[test]
fn required_fields_are_named_when_missing() {
    for field in ["max_tokens", "messages", "model"] {
        Case::realtime().bad(&json!({field: "absent"}), &format!("{field}: Field required"));
    }
    Case { purpose: Purpose::Count, ..Case::realtime() }.good(&json!({"max_tokens": "absent"}));
}

#[test]
fn unknown_fields_are_refused() {
    Case::realtime().bad(&json!({"max_token": 5}), "max_token: Extra inputs are not permitted");
    Case { purpose: Purpose::Count, ..Case::realtime() }.bad(&json!({}), "max_tokens: Extra inputs");
}

#[test]
fn beta_fields_need_their_header() {
    let servers = json!({
        "mcp_servers": [{"type": "url", "name": "a", "url": "https://a.example"}],
        "tools": [{"type": "mcp_toolset", "mcp_server_name": "a"}],
    });
    Case::realtime().bad(&servers, "mcp_servers: Extra inputs");
    Case::beta("mcp-client-2025-11-20").good(&servers);
    Case::realtime().bad(&json!({"context_management": {}}), "Extra inputs");
    Case::beta("context-management-2025-06-27").good(&json!({"context_management": {}}));
}

#[test]
fn every_mcp_server_is_used_by_one_toolset_over_https() {
    let case = Case::beta("mcp-client-2025-11-20");
    let server = |url: &str| json!([{"type": "url", "name": "a", "url": url}]);
    case.bad(&json!({"mcp_servers": server("https://a.example")}), "exactly one mcp_toolset");
    let toolset = json!([{"type": "mcp_toolset", "mcp_server_name": "a"}]);
    case.bad(&json!({"mcp_servers": server("http://a.example"), "tools": toolset}), "https");
    case.bad(&json!({"tools": toolset}), "not in mcp_servers");
}

#[test]
fn sampling_parameters_left_with_version_2026_10_21() {
    for field in ["temperature", "top_p", "top_k"] {
        Case::realtime().bad(&json!({field: 1}), field);
        Case { version: Version::V20230601, ..Case::realtime() }.good(&json!({field: 1}));
    }
}

#[test]
fn max_tokens_is_between_one_and_what_the_model_can_write() {
    for value in [json!(0), json!(-1), json!("5"), json!(1.5), json!(128_001)] {
        Case::realtime().bad(&json!({"max_tokens": value}), "max_tokens");
    }
    Case::realtime().good(&json!({"max_tokens": 128_000}));
    Case::realtime().bad(&json!({"model": "claude-haiku-4-5", "max_tokens": 64_001}), "64001 > 64000");
}

#[test]
fn a_beta_raises_the_output_limit_in_batches_only() {
    let long = |purpose| Case { purpose, ..Case::beta("output-300k-2026-03-24") };
    let fields = json!({"max_tokens": 300_000});
    long(Purpose::Batch).good(&fields);
    long(Purpose::Realtime).bad(&fields, "max_tokens");
    long(Purpose::Batch).bad(&json!({"max_tokens": 300_000, "model": "claude-fable-5-1"}), "max_tokens");
}

#[test]
fn an_unknown_model_is_404() {
    let error = Case::realtime().check(&json!({"model": "claude-opus-9"})).unwrap_err();
    assert_eq!((error.status, error.kind.as_str()), (404, "not_found_error"));
}

#[test]
fn fields_that_batches_refuse_are_refused_there_only() {
    for field in
        ["store", "previous_thread_event_id", "cache_hint", "context_hint", "research_preview_2026_02", "thread"]
    {
        Case::batch().bad(&json!({field: "x"}), field);
    }
    Case::batch().bad(&json!({"speed": "standard"}), "speed");
    Case::realtime().good(&json!({"speed": "standard"}));
    Case::batch().bad(&json!({"stream": true}), "stream");
    Case::batch().good(&json!({"stream": false}));
    Case::batch().bad(&json!({"max_tokens": 0}), "max_tokens");
    Case::batch().bad(&json!({"model": "plain-test"}), "does not support the Message Batches API");
    Case::realtime().good(&json!({"model": "plain-test"}));
}

#[test]
fn streaming_is_for_realtime_messages() {
    Case::realtime().good(&json!({"stream": true}));
    Case::realtime().bad(&json!({"stream": "yes"}), "stream");
    Case { purpose: Purpose::Count, ..Case::realtime() }
        .bad(&json!({"stream": true, "max_tokens": "absent"}), "stream");
}

#[test]
fn block_binding_is_a_beta_with_two_behaviors() {
    let binding = |binding: Value| json!({"thinking": {"type": "adaptive", "block_binding": binding}});
    let case = Case::beta("thinking-binding-controls-2026-08-01");
    Case::realtime().bad(&binding(json!({})), "Extra inputs");
    case.good(&binding(json!({})));
    case.good(&binding(json!({"prefix_mismatch_behavior": "drop_block"})));
    case.bad(&binding(json!({"prefix_mismatch_behavior": "ignore"})), "prefix_mismatch_behavior");
    case.bad(&binding(json!({"mismatch": "error"})), "Extra inputs");
}

#[test]
fn thinking_types_depend_on_the_model() {
    let thinking = |model: &str, thinking: Value| json!({"model": model, "max_tokens": 4000, "thinking": thinking});
    for (model, kind, good) in [
        ("claude-opus-5-5", "adaptive", true),
        ("claude-opus-5-5", "disabled", false),
        ("claude-sonnet-5-5", "between_tools", true),
        ("claude-sonnet-5-5", "disabled", false),
        ("claude-opus-5", "disabled", true),
        ("claude-opus-5", "between_tools", false),
        ("claude-haiku-4-5", "adaptive", false),
        ("claude-haiku-4-5", "disabled", true),
        ("claude-fable-5-2", "disabled", false),
    ] {
        let fields = thinking(model, json!({"type": kind}));
        assert_eq!(Case::realtime().check(&fields).is_ok(), good, "{model} {kind}");
    }
    let enabled = |budget: u64| thinking("claude-haiku-4-5", json!({"type": "enabled", "budget_tokens": budget}));
    Case::realtime().good(&enabled(1024));
    Case::realtime().bad(&enabled(1023), "1024");
    Case::realtime().bad(&enabled(4000), "greater than");
    Case::realtime()
        .bad(&thinking("claude-opus-5", json!({"type": "enabled", "budget_tokens": 1024})), "thinking.type");
    Case::realtime().bad(&thinking("claude-opus-5", json!({"type": "adaptive", "budget": 1})), "Extra inputs");
}

#[test]
fn effort_levels_depend_on_the_model() {
    let effort = |model: &str, level: &str| json!({"model": model, "output_config": {"effort": level}});
    for (model, level, good) in [
        ("claude-opus-5-5", "xhigh", true),
        ("claude-opus-4-6", "max", true),
        ("claude-opus-4-6", "xhigh", false),
        ("claude-opus-4-5", "max", false),
        ("claude-haiku-4-5", "low", false),
        ("claude-opus-5-5", "minimal", false),
    ] {
        assert_eq!(Case::realtime().check(&effort(model, level)).is_ok(), good, "{model} {level}");
    }
    let quiet = json!({"model": "claude-opus-5", "thinking": {"type": "disabled"}, "output_config": {"effort": "max"}});
    Case::realtime().bad(&quiet, "at most");
}

#[test]
fn structured_outputs_need_a_schema_and_a_model_that_can() {
    let format = json!({"type": "json_schema", "schema": {"type": "object"}});
    Case::realtime().good(&json!({"output_config": {"format": format}}));
    Case::realtime().bad(&json!({"output_config": {"format": {"type": "json_schema"}}}), "schema: Field required");
    Case::realtime().bad(&json!({"model": "plain-test", "output_config": {"format": format}}), "not supported");
}

fn tool(name: &str) -> Value {
    json!({"name": name, "description": "d", "input_schema": {"type": "object", "properties": {}}})
}

#[test]
fn tools_are_checked_by_type() {
    for (tool, word) in [
        (json!({"name": "a b", "input_schema": {"type": "object"}}), "pattern"),
        (json!({"name": "a"}), "input_schema: Field required"),
        (json!({"name": "a", "input_schema": {"type": "string"}}), "object"),
        (json!({"name": "a", "input_schema": {"type": "object"}, "parameters": {}}), "Extra inputs"),
        (json!({"type": "web_search_20200101", "name": "web_search"}), "expected tags"),
        (json!({"type": "web_search_20250305", "name": "search"}), "web_search"),
        (json!({"type": "web_search_20250305", "name": "web_search", "max_content_tokens": 5}), "Extra inputs"),
    ] {
        Case::realtime().bad(&json!({"tools": [tool]}), word);
    }
    Case::realtime().bad(&json!({"tools": [tool("a"), tool("a")]}), "unique");
    let search = json!([{"type": "web_search_20260318", "name": "web_search", "max_uses": 3}, tool("a")]);
    Case::realtime().good(&json!({"tools": search}));
    Case::realtime().bad(&json!({"model": "plain-test", "tools": search}), "not supported");
}

#[test]
fn forced_tool_use_is_refused_by_the_newest_models() {
    let forced = |model: &str, choice: Value| json!({"model": model, "tools": [tool("a")], "tool_choice": choice});
    for model in ["claude-opus-5-5", "claude-sonnet-5-5", "claude-fable-5-1", "claude-fable-5-2"] {
        Case::realtime().bad(&forced(model, json!({"type": "any"})), "tool_choice");
        Case::realtime().bad(&forced(model, json!({"type": "tool", "name": "a"})), "tool_choice");
        Case::realtime().good(&forced(model, json!({"type": "auto", "disable_parallel_tool_use": true})));
    }
    Case::realtime().good(&forced("claude-opus-5", json!({"type": "tool", "name": "a"})));
    Case::realtime().bad(&forced("claude-opus-5", json!({"type": "tool", "name": "b"})), "not found");
    Case::realtime().bad(&json!({"tool_choice": {"type": "auto"}}), "while providing tools");
    Case::realtime().good(&json!({"tool_choice": {"type": "none"}}));
}

#[test]
fn messages_have_known_roles_and_content() {
    let case = Case::realtime();
    case.bad(&messages(&json!([])), "at least one");
    case.bad(&messages(&json!([{"role": "system", "content": "x"}])), "role");
    case.bad(&messages(&json!([{"role": "assistant", "content": "x"}, {"role": "user", "content": "x"}])), "first");
    case.bad(&user(&json!("  ")), "non-whitespace");
    case.bad(&user(&json!([])), "non-empty");
    case.bad(&user(&json!([{"type": "text", "text": ""}])), "non-whitespace");
    case.bad(&user(&json!([{"type": "text"}])), "messages.0.content.0.text: Field required");
    case.bad(&user(&json!([{"type": "text", "text": "x", "colour": 1}])), "colour: Extra inputs");
    case.bad(&user(&json!([{"type": "thinking", "thinking": "", "signature": "s"}])), "not permitted in user");
    case.bad(&user(&json!([{"type": "video", "source": {}}])), "expected tags");
    case.good(&user(&json!([{"type": "image", "source": {"type": "url", "url": "https://a.example/a.png"}}])));
}

#[test]
fn a_request_has_at_most_100_000_messages() {
    let message = json!({"role": "user", "content": "x"});
    Case::realtime().bad(&messages(&json!(vec![message; 100_001])), "100000");
}

#[test]
fn prefill_is_refused_since_4_6_but_a_paused_turn_may_be_sent_back() {
    let ending = |content: Value| json!([{"role": "user", "content": "hi"}, {"role": "assistant", "content": content}]);
    Case::realtime().bad(&messages(&ending(json!("Dear"))), "prefill");
    let mut old = messages(&ending(json!("Dear")));
    old["model"] = json!("claude-haiku-4-5");
    Case::realtime().good(&old);
    let paused = json!([
        {"type": "text", "text": "Let me look."},
        {"type": "server_tool_use", "id": "srvtoolu_1", "name": "web_search", "input": {"query": "x"}},
    ]);
    Case::realtime().good(&messages(&ending(paused)));
}

fn call(results: &Value) -> Value {
    let use_of = |id: &str| json!({"type": "tool_use", "id": id, "name": "a", "input": {}});
    messages(&json!([
        {"role": "user", "content": "hi"},
        {"role": "assistant", "content": [use_of("toolu_1"), use_of("toolu_2")]},
        {"role": "user", "content": results},
    ]))
}

fn result(id: &str) -> Value {
    json!({"type": "tool_result", "tool_use_id": id, "content": "ok"})
}

#[test]
fn every_tool_use_is_answered_at_once_and_first() {
    let case = Case::realtime();
    case.good(&call(&json!([result("toolu_2"), result("toolu_1")])));
    case.good(&call(&json!([result("toolu_1"), result("toolu_2"), {"type": "text", "text": "go on"}])));
    case.bad(&call(&json!([result("toolu_1")])), "toolu_2");
    case.bad(&call(&json!("never mind")), "toolu_1");
    case.bad(&call(&json!([result("toolu_1"), result("toolu_1"), result("toolu_2")])), "unexpected");
    case.bad(&call(&json!([result("toolu_1"), result("toolu_2"), result("toolu_9")])), "unexpected");
    case.bad(&call(&json!([{"type": "text", "text": "first"}, result("toolu_1"), result("toolu_2")])), "first");
    case.bad(&user(&json!([result("toolu_1")])), "unexpected");
    let unanswered = json!([{"role": "user", "content": "hi"},
        {"role": "assistant", "content": [{"type": "tool_use", "id": "toolu_1", "name": "a", "input": {}}]}]);
    case.bad(&messages(&unanswered), "toolu_1");
}

#[test]
fn only_results_may_follow_while_a_server_tool_is_pending() {
    let mixed = |rest: Value| {
        messages(&json!([
            {"role": "user", "content": "hi"},
            {"role": "assistant", "content": [
                {"type": "server_tool_use", "id": "srvtoolu_1", "name": "web_search", "input": {}},
                {"type": "tool_use", "id": "toolu_1", "name": "a", "input": {}},
            ]},
            {"role": "user", "content": rest},
        ]))
    };
    Case::realtime().good(&mixed(json!([result("toolu_1")])));
    Case::realtime().bad(&mixed(json!([result("toolu_1"), {"type": "text", "text": "and"}])), "pending");
}

#[test]
fn version_2026_10_21_refuses_assistant_documents_and_user_citations() {
    let document = json!({"type": "document", "source": {"type": "text", "media_type": "text/plain", "data": "x"}});
    let told = messages(&json!([
        {"role": "user", "content": "hi"}, {"role": "assistant", "content": [document]}, {"role": "user", "content": "so"},
    ]));
    let cited = user(&json!([{"type": "text", "text": "x", "citations": [{"type": "char_location"}]}]));
    let old = Case { version: Version::V20230601, ..Case::realtime() };
    for fields in [told, cited] {
        Case::realtime().bad(&fields, "not permitted");
        old.good(&fields);
    }
    Case::realtime().good(&user(&json!([{"type": "text", "text": "x", "citations": []}])));
}

#[test]
fn cache_control_is_ephemeral_and_at_most_four_times() {
    let block = json!({"type": "text", "text": "x", "cache_control": {"type": "ephemeral", "ttl": "1h"}});
    Case::realtime().good(&user(&json!(vec![block.clone(); 4])));
    Case::realtime().bad(&user(&json!(vec![block.clone(); 5])), "Found 5");
    let mut with_system = user(&json!(vec![block.clone(); 4]));
    with_system["system"] = json!([block]);
    Case::realtime().bad(&with_system, "Found 5");
    Case::realtime().bad(&json!({"cache_control": {"type": "persistent"}}), "cache_control.type");
    Case::realtime().bad(&json!({"cache_control": {"type": "ephemeral", "ttl": "2h"}}), "cache_control.ttl");
}

#[test]
fn a_scripted_block_of_unknown_type_may_be_sent_back_unchanged_only() {
    let history = |block: Value| {
        messages(&json!([
            {"role": "user", "content": "hi"}, {"role": "assistant", "content": [block]}, {"role": "user", "content": "so"},
        ]))
    };
    Case::realtime().good(&history(json!({"type": "hologram", "beam": 1})));
    Case::realtime().bad(&history(json!({"type": "hologram", "beam": 2})), "expected tags");
}

#[test]
fn a_prompt_longer_than_the_window_is_refused() {
    let mut long = user(&json!("word ".repeat(170_000)));
    long["model"] = json!("claude-haiku-4-5");
    Case::realtime().bad(&long, "prompt is too long");
    long["model"] = json!("claude-haiku-5-5");
    Case::realtime().good(&long);
}

#[test]
fn small_fields_have_their_types() {
    for (fields, word) in [
        (json!({"metadata": {"team": "x"}}), "metadata.team"),
        (json!({"stop_sequences": [" "]}), "stop_sequences.0"),
        (json!({"service_tier": "priority"}), "service_tier"),
        (json!({"system": [{"type": "image", "source": {}}]}), "system.0.type"),
        (json!({"system": 5}), "system"),
        (json!({"container": 5}), "container"),
    ] {
        Case::realtime().bad(&fields, word);
    }
    Case::realtime().good(&json!({"metadata": {"user_id": "u"}, "service_tier": "auto", "stop_sequences": ["END"]}));
}
