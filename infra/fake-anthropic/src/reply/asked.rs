//! What a sampling of the model is about: what replies are chosen by.

use serde_json::{Map, Value};

/// What the model was told last.
#[derive(Debug, Default, PartialEq, Eq)]
pub(crate) struct Asked<'a> {
    /// The text: that of the last user message with its tool results, or of what a server's tools have just answered.
    pub(crate) text: String,
    /// The tools whose results came last.
    pub(crate) after: Vec<&'a str>,
    /// The tools it may call, and the MCP servers whose tools.
    pub(crate) offered: Vec<&'a str>,
    /// How many assistant messages there are so far; each sampling in the message being written counts as one.
    pub(crate) hop: usize,
}

impl<'a> Asked<'a> {
    /// `written` is the message being made, `told` the place in it where the results begin that came since its last
    /// sampling, `samplings` how many there were.
    pub(super) fn of(params: &'a Map<String, Value>, written: &'a [Value], told: usize, samplings: usize) -> Self {
        let messages = params.get("messages").and_then(Value::as_array).map_or(&[][..], Vec::as_slice);
        let hop = messages.iter().filter(|message| message["role"] == "assistant").count() + samplings;
        let mut asked = Self { hop, offered: offered(params).collect(), ..Self::default() };
        let mut parts = Vec::new();
        let calls = || messages.iter().flat_map(|message| blocks(&message["content"])).chain(written);
        let mut results: Vec<&Value> = Vec::new();
        if samplings == 0 {
            results.extend(latest_results(messages));
        }
        results.extend(written.get(told..).unwrap_or_default());
        for result in &results {
            let call = result["tool_use_id"].as_str();
            let name = calls().find(|block| block["id"].is_string() && block["id"].as_str() == call);
            asked.after.extend(name.and_then(|block| block["name"].as_str()));
        }
        let user = messages.iter().rfind(|message| message["role"] == "user");
        let server_spoke = results.iter().any(|block| block["type"] != "tool_result");
        if server_spoke {
            for result in &results {
                collect_text(&result["content"], &mut parts);
            }
        } else if let Some(user) = user {
            collect_text(&user["content"], &mut parts);
        }
        asked.text = parts.join("\n");
        asked
    }
}

/// The names of the tools in the request, and of the MCP servers whose tools it offers.
fn offered(params: &Map<String, Value>) -> impl Iterator<Item = &str> {
    let tools = params.get("tools").map_or(&[][..], blocks);
    tools.iter().filter_map(|tool| tool["name"].as_str().or_else(|| tool["mcp_server_name"].as_str()))
}

fn blocks(content: &Value) -> &[Value] {
    content.as_array().map_or(&[], Vec::as_slice)
}

/// The results that the last message brings: a user's `tool_result` blocks, or, of a paused turn sent back, the results
/// its content ends with.
fn latest_results(messages: &[Value]) -> Vec<&Value> {
    let Some(last) = messages.last() else { return Vec::new() };
    let content = blocks(&last["content"]);
    if last["role"] == "user" {
        return content.iter().filter(|block| block["type"] == "tool_result").collect();
    }
    let is_result = |block: &&Value| block["type"].as_str().is_some_and(|kind| kind.ends_with("_tool_result"));
    let mut ending: Vec<&Value> = content.iter().rev().take_while(is_result).collect();
    ending.reverse();
    ending
}

fn collect_text<'a>(content: &'a Value, parts: &mut Vec<&'a str>) {
    parts.extend(content.as_str());
    for block in blocks(content) {
        match block["type"].as_str() {
            Some("text") => parts.extend(block["text"].as_str()),
            Some("tool_result") => collect_text(&block["content"], parts),
            Some(_) | None => {}
        }
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    fn params(messages: &Value) -> Map<String, Value> {
        json!({ "messages": messages }).as_object().unwrap().clone()
    }

    #[test]
    fn the_last_user_text_includes_tool_results_and_names_their_tools() {
        let params = params(&json!([
            {"role": "user", "content": "first"},
            {"role": "assistant", "content": [
                {"type": "tool_use", "id": "t", "name": "look", "input": {}},
                {"type": "tool_use", "id": "u", "name": "feel", "input": {}},
            ]},
            {"role": "user", "content": [
                {"type": "tool_result", "tool_use_id": "t", "content": [{"type": "text", "text": "sunny"}]},
                {"type": "tool_result", "tool_use_id": "u", "content": "warm"},
                {"type": "text", "text": "go on"},
            ]},
        ]));
        let asked = Asked::of(&params, &[], 0, 0);
        assert_eq!((asked.text.as_str(), asked.hop), ("sunny\nwarm\ngo on", 1));
        assert_eq!(asked.after, ["look", "feel"]);
    }

    #[test]
    fn what_a_server_tool_answered_is_the_last_text() {
        let params = params(&json!([{"role": "user", "content": "ask"}]));
        let written = [
            json!({"type": "mcp_tool_use", "id": "m", "name": "list", "server_name": "s", "input": {}}),
            json!({"type": "mcp_tool_result", "tool_use_id": "m", "content": [{"type": "text", "text": "three jobs"}]}),
        ];
        let asked = Asked::of(&params, &written, 1, 1);
        assert_eq!(asked, Asked { text: "three jobs".to_owned(), after: vec!["list"], hop: 1, ..Asked::default() });
    }

    #[test]
    fn a_paused_turn_sent_back_goes_on_from_its_last_result_or_from_the_question() {
        let call = json!({"type": "mcp_tool_use", "id": "m", "name": "list", "server_name": "s", "input": {}});
        let result = json!({"type": "mcp_tool_result", "tool_use_id": "m", "content": "three jobs"});
        let paused = |content: Value| {
            params(&json!([{"role": "user", "content": "ask"}, {"role": "assistant", "content": content}]))
        };
        let answered = paused(json!([call, result]));
        assert_eq!(Asked::of(&answered, &[], 0, 0).text, "three jobs");
        assert_eq!(Asked::of(&answered, &[], 0, 0).after, ["list"]);
        let open = paused(json!([{"type": "server_tool_use", "id": "w", "name": "web_search", "input": {}}]));
        assert_eq!(Asked::of(&open, &[], 0, 0), Asked { text: "ask".to_owned(), hop: 1, ..Asked::default() });
    }
}
