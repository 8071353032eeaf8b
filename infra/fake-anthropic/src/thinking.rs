//! Preserved thinking: a replayed thinking block is good only behind the very prefix it was thought behind.
//!
//! The fake signs the thinking it gives out, unless a script brings a signature of its own. Its signature holds a digest
//! of the block and one of the prefix: `system`, `tools` and every block before it. Outside the prefix are `cache_control`
//! and everything else of the request (docs page "preserved-thinking", 2026-10-01). Signatures of others are not judged.

use serde_json::{Map, Value};

use crate::ids::{hash, mix};

/// What a signature of the fake begins with; with the two digests it makes 44 characters of base 64.
const MARK: &str = "FakeThinking";

/// A replayed thinking block that is not what it was.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Mismatch {
    /// Its message, counted from 0.
    pub(crate) message: usize,
    /// Its place in that message.
    pub(crate) block: usize,
    pub(crate) kind: Kind,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Kind {
    /// The block itself was edited.
    Edited,
    /// What stands before it has changed.
    Prefix,
}

/// The signature of a thinking block that follows `before` in an answer to `params`.
pub(crate) fn signature(params: &Map<String, Value>, before: &[Value], block: &Value) -> String {
    let mut prefix = Prefix::of(params);
    for message in messages(params) {
        let role = message["role"].as_str().unwrap_or_default();
        prefix.content(role, &message["content"]);
    }
    for block in before {
        prefix.block("assistant", block);
    }
    format!("{MARK}{:016x}{:016x}", prefix.digest(), thought(block))
}

/// The replayed thinking blocks in `params` that the fake signed for something else.
pub(crate) fn mismatches(params: &Map<String, Value>) -> Vec<Mismatch> {
    let mut found = Vec::new();
    let mut prefix = Prefix::of(params);
    for (at, message) in messages(params).iter().enumerate() {
        let role = message["role"].as_str().unwrap_or_default();
        let Some(blocks) = message["content"].as_array() else {
            prefix.content(role, &message["content"]);
            continue;
        };
        for (index, block) in blocks.iter().enumerate() {
            if let Some(kind) = judge(block, &prefix) {
                found.push(Mismatch { message: at, block: index, kind });
            }
            prefix.block(role, block);
        }
    }
    found
}

fn judge(block: &Value, prefix: &Prefix) -> Option<Kind> {
    let signature = block["signature"].as_str().filter(|_| block["type"] == "thinking")?.strip_prefix(MARK)?;
    let (before, own) = signature.split_at_checked(16)?;
    if own != format!("{:016x}", thought(block)) {
        return Some(Kind::Edited);
    }
    // A block of another role's turn, as of no turn yet, has not been reached: the digest is taken before it is added.
    (before != format!("{:016x}", prefix.digest())).then_some(Kind::Prefix)
}

fn messages(params: &Map<String, Value>) -> &[Value] {
    params.get("messages").and_then(Value::as_array).map_or(&[], Vec::as_slice)
}

fn thought(block: &Value) -> u64 {
    hash(block["thinking"].as_str().unwrap_or_default().as_bytes())
}

/// A digest that grows with the conversation.
struct Prefix {
    base: u64,
    state: u64,
    user_spoke_last: Option<bool>,
}

impl Prefix {
    fn of(params: &Map<String, Value>) -> Self {
        let mut text = String::new();
        for field in ["system", "tools"] {
            let value = params.get(field).filter(|value| !value.as_array().is_some_and(Vec::is_empty));
            write_content(value.unwrap_or(&Value::Null), &mut text);
            text.push('\n');
        }
        let base = hash(text.as_bytes());
        Self { base, state: base, user_spoke_last: None }
    }

    fn content(&mut self, role: &str, content: &Value) {
        match content.as_array() {
            Some(blocks) => blocks.iter().for_each(|block| self.block(role, block)),
            None => self.add(role, content),
        }
    }

    fn block(&mut self, role: &str, block: &Value) {
        if block["type"] == "compaction" {
            // The model sees nothing from before a compaction, and clients may leave it out.
            (self.state, self.user_spoke_last) = (self.base, None);
        }
        self.add(role, block);
    }

    /// Messages of one role in a row are one turn, so only a change of role shows.
    fn add(&mut self, role: &str, block: &Value) {
        let user = role == "user";
        let mut text = String::new();
        if self.user_spoke_last.replace(user) != Some(user) {
            text.push_str(role);
        }
        write_block(block, &mut text);
        self.state = mix(self.state ^ hash(text.as_bytes()));
    }

    fn digest(&self) -> u64 {
        self.state
    }
}

/// A string is the same as one text block.
fn write_content(content: &Value, out: &mut String) {
    match content.as_array() {
        Some(blocks) => blocks.iter().for_each(|block| write_block(block, out)),
        None => write_block(content, out),
    }
}

fn write_block(block: &Value, out: &mut String) {
    let Some(map) = block.as_object() else {
        if let Some(text) = block.as_str() {
            write_block(&serde_json::json!({"type": "text", "text": text}), out);
        }
        return;
    };
    let counts = |field: &(&String, &Value)| field.0 != "cache_control" && !field.1.is_null();
    let mut fields: Vec<(&String, &Value)> = map.iter().filter(counts).collect();
    fields.sort_by_key(|field| field.0);
    for (field, value) in fields {
        out.push_str(field);
        out.push(':');
        if field == "content" {
            write_content(value, out);
        } else {
            write_value(value, out);
        }
        out.push(';');
    }
    out.push('|');
}

/// JSON with its fields in one order and without nulls: what a client's own types may change on the way back.
fn write_value(value: &Value, out: &mut String) {
    if let Some(items) = value.as_array() {
        out.push('[');
        for item in items {
            write_value(item, out);
            out.push(',');
        }
        out.push(']');
    } else if let Some(map) = value.as_object() {
        let mut fields: Vec<(&String, &Value)> = map.iter().filter(|field| !field.1.is_null()).collect();
        fields.sort_by_key(|field| field.0);
        out.push('{');
        for (field, value) in fields {
            out.push_str(field);
            out.push(':');
            write_value(value, out);
            out.push(',');
        }
        out.push('}');
    } else {
        out.push_str(&value.to_string());
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    fn params(value: &Value) -> Map<String, Value> {
        value.as_object().unwrap().clone()
    }

    /// A conversation whose second answer thinks twice, and the request that sends it back.
    fn conversation() -> Value {
        let mut body = json!({
            "model": "m", "max_tokens": 5, "system": "Be brief.",
            "tools": [{"name": "look", "input_schema": {"type": "object", "properties": {"cache_control": {}}}}],
            "messages": [{"role": "user", "content": "hello"}],
        });
        let first = json!({"type": "thinking", "thinking": "hm"});
        let before = json!({"type": "text", "text": "well"});
        let mut content = Vec::new();
        for block in [first.clone(), before, first] {
            let mut block = block;
            if block["type"] == "thinking" {
                block["signature"] = json!(signature(&params(&body), &content, &block));
            }
            content.push(block);
        }
        body["messages"].as_array_mut().unwrap().push(json!({"role": "assistant", "content": content}));
        body["messages"].as_array_mut().unwrap().push(json!({"role": "user", "content": "go on"}));
        body
    }

    fn found(body: &Value) -> Vec<(usize, usize, Kind)> {
        mismatches(&params(body)).into_iter().map(|found| (found.message, found.block, found.kind)).collect()
    }

    #[test]
    fn what_comes_back_unchanged_is_good() {
        let body = conversation();
        assert_eq!(found(&body), []);
        let mut same = body.clone();
        same["max_tokens"] = json!(7);
        same["system"] = json!([{"type": "text", "text": "Be brief.", "cache_control": {"type": "ephemeral"}}]);
        same["messages"][0]["content"] = json!([{"text": "hello", "type": "text", "citations": null}]);
        same["tools"][0]["cache_control"] = json!({"type": "ephemeral"});
        assert_eq!(found(&same), []);
        let content = body["messages"][1]["content"].as_array().unwrap().clone();
        same["messages"] = json!([
            {"role": "user", "content": "hello"},
            {"role": "assistant", "content": content[..1]},
            {"role": "assistant", "content": content[1..]},
        ]);
        assert_eq!(found(&same), [], "messages of one role in a row are one turn");
    }

    #[test]
    fn a_changed_prefix_is_found_in_every_block_behind_it() {
        let both = [(1, 0, Kind::Prefix), (1, 2, Kind::Prefix)];
        for (pointer, value) in [
            ("/system", json!("Be brief. It is Tuesday.")),
            ("/tools/0/name", json!("gaze")),
            ("/tools", json!([])),
            ("/tools/0/input_schema/properties", json!({})),
            ("/messages/0/content", json!("hullo")),
        ] {
            let mut body = conversation();
            *body.pointer_mut(pointer).unwrap() = value;
            assert_eq!(found(&body), both, "{pointer}");
        }
        let mut body = conversation();
        body["messages"][1]["content"][1]["text"] = json!("WELL");
        assert_eq!(found(&body), [(1, 2, Kind::Prefix)]);
    }

    #[test]
    fn an_edited_block_is_found_and_others_signatures_are_not_judged() {
        let mut body = conversation();
        body["messages"][1]["content"][0]["thinking"] = json!("aha");
        assert_eq!(found(&body)[0], (1, 0, Kind::Edited));
        body["messages"][1]["content"] = json!([{"type": "thinking", "thinking": "x", "signature": "c2ln"}]);
        assert_eq!(found(&body), []);
    }

    #[test]
    fn what_stands_before_a_compaction_does_not_count() {
        let mut body = conversation();
        let compaction = json!({"type": "compaction", "content": "They said hello."});
        body["messages"] = json!([
            {"role": "user", "content": "hello"}, {"role": "assistant", "content": [compaction]},
            {"role": "user", "content": "and?"},
        ]);
        let mut block = json!({"type": "thinking", "thinking": "hm"});
        block["signature"] = json!(signature(&params(&body), &[], &block));
        body["messages"].as_array_mut().unwrap().push(json!({"role": "assistant", "content": [block]}));
        assert_eq!(found(&body), []);
        body["messages"][0]["content"] = json!("something else");
        assert_eq!(found(&body), []);
        body["messages"][2]["content"] = json!("and then?");
        assert_eq!(found(&body), [(3, 0, Kind::Prefix)]);
    }
}
