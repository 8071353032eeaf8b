//! What the model says: the scripted reply, or an answer made from the request, and the `Message` around it.

use serde_json::{Map, Value, json};

use crate::answer::ApiError;
use crate::bill::Tokens;
use crate::ids::Ids;
use crate::models::Model;
use crate::script::{Reply, RowEnd, Script, ScriptedError};

/// Characters this fake counts as one token.
const CHARS_PER_TOKEN: usize = 4;
/// Tokens an image or a document costs here, whatever its size.
const ATTACHMENT_TOKENS: u64 = 1_600;

/// How a request ends.
#[derive(Debug)]
pub(crate) enum Outcome {
    Message { model: String, message: Value, tokens: Tokens },
    Error(ApiError),
    Expired,
    Canceled,
}

/// Decides how a valid request ends; books the use of a scripted reply in `uses`.
pub(crate) fn decide(
    script: &Script,
    uses: &mut [u32],
    ids: &mut Ids,
    params: &Map<String, Value>,
    model: &Model,
    in_batch: bool,
) -> Outcome {
    let text = last_user_text(params);
    let found = script.reply(&text, in_batch, uses);
    if let Some(used) = found.and_then(|(index, _)| uses.get_mut(index)) {
        *used += 1;
    }
    let reply = found.map(|(_, reply)| reply);
    match reply.and_then(|reply| reply.row) {
        Some(RowEnd::Expired) => return Outcome::Expired,
        Some(RowEnd::Canceled) => return Outcome::Canceled,
        Some(RowEnd::Errored) => {
            let error = reply.and_then(|reply| reply.error.clone()).unwrap_or_default();
            return Outcome::Error(ApiError::from(&error));
        }
        None => {}
    }
    if let Some(error) = reply.and_then(|reply| reply.error.as_ref()) {
        return Outcome::Error(ApiError::from(error));
    }
    let message = message(reply, ids, params, model, &text, in_batch);
    let tokens = Tokens::of_usage(&message["usage"]);
    Outcome::Message { model: model.id.clone(), message, tokens }
}

/// An error a row ends with when the script says no more.
impl Default for ApiError {
    fn default() -> Self {
        Self::from(&ScriptedError::default())
    }
}

/// The `Message` object (Python SDK 2.11.0).
fn message(
    reply: Option<&Reply>,
    ids: &mut Ids,
    params: &Map<String, Value>,
    model: &Model,
    asked: &str,
    in_batch: bool,
) -> Value {
    let id = ids.fresh("msg_");
    let written = match reply {
        Some(Reply { content: Some(blocks), .. }) => Written::blocks(blocks, ids),
        Some(Reply { text: Some(text), .. }) => Written::text(text, params),
        Some(_) | None => Written::text(&own_words(params, asked), params),
    };
    let output = tokens_in(&Value::Array(written.content.clone())).max(1);
    let mut usage = json!({
        "input_tokens": input_tokens(params),
        "cache_creation_input_tokens": 0,
        "cache_read_input_tokens": 0,
        "cache_creation": {"ephemeral_5m_input_tokens": 0, "ephemeral_1h_input_tokens": 0},
        "output_tokens": written.cut_at.unwrap_or(output),
        "output_tokens_details": null,
        "server_tool_use": null,
        "service_tier": if in_batch { "batch" } else { "standard" },
        "inference_geo": null,
        "speed": null,
    });
    for (field, value) in reply.and_then(|reply| reply.usage.as_ref()).into_iter().flatten() {
        usage[field] = value.clone();
    }
    let stop_reason = reply.and_then(|reply| reply.stop_reason.clone()).unwrap_or(written.stop_reason);
    json!({
        "id": id,
        "type": "message",
        "role": "assistant",
        "model": model.id,
        "content": written.content,
        "stop_reason": stop_reason,
        "stop_sequence": written.stop_sequence,
        "stop_details": reply.and_then(|reply| reply.stop_details.clone()),
        "usage": usage,
        "container": null,
        "diagnostics": null,
    })
}

/// The content of an answer and why it stops.
struct Written {
    content: Vec<Value>,
    stop_reason: String,
    stop_sequence: Option<String>,
    /// `max_tokens`, when the text was cut there.
    cut_at: Option<u64>,
}

impl Written {
    fn blocks(blocks: &[Value], ids: &mut Ids) -> Self {
        let mut content = blocks.to_vec();
        let mut stop_reason = "end_turn";
        for block in &mut content {
            let prefix = match block.get("type").and_then(Value::as_str) {
                Some("tool_use") => {
                    stop_reason = "tool_use";
                    "toolu_"
                }
                Some("server_tool_use") => "srvtoolu_",
                Some(_) | None => continue,
            };
            if block.get("id").is_none() {
                block["id"] = json!(ids.fresh(prefix));
            }
        }
        Self { content, stop_reason: stop_reason.to_owned(), stop_sequence: None, cut_at: None }
    }

    /// A text block, cut at the first stop sequence and then at `max_tokens`.
    fn text(text: &str, params: &Map<String, Value>) -> Self {
        let sequences = params.get("stop_sequences").and_then(Value::as_array).into_iter().flatten();
        let first = sequences
            .filter_map(Value::as_str)
            .filter_map(|sequence| text.find(sequence).map(|at| (at, sequence)))
            .min_by_key(|found| found.0);
        let (mut text, mut stop_reason) = (text, "end_turn");
        if let Some((at, _)) = first {
            (text, stop_reason) = (&text[..at], "stop_sequence");
        }
        let max_tokens = params.get("max_tokens").and_then(Value::as_u64).unwrap_or(u64::MAX);
        let most = usize::try_from(max_tokens).unwrap_or(usize::MAX).saturating_mul(CHARS_PER_TOKEN);
        let cut = text.char_indices().nth(most).map(|(at, _)| at);
        if let Some(at) = cut {
            (text, stop_reason) = (&text[..at], "max_tokens");
        }
        Self {
            content: if text.is_empty() { Vec::new() } else { vec![json!({"type": "text", "text": text})] },
            stop_reason: stop_reason.to_owned(),
            stop_sequence: first.filter(|_| cut.is_none()).map(|found| found.1.to_owned()),
            cut_at: cut.map(|_| max_tokens),
        }
    }
}

/// The prompt's length: a quarter of its characters, plus a little for every message.
pub(crate) fn input_tokens(params: &Map<String, Value>) -> u64 {
    let parts = ["system", "tools", "messages", "mcp_servers"];
    let messages = params.get("messages").and_then(Value::as_array).map_or(0, Vec::len) as u64;
    parts.iter().filter_map(|part| params.get(*part)).map(tokens_in).sum::<u64>() + 3 * messages
}

fn tokens_in(value: &Value) -> u64 {
    let (chars, attachments) = weigh(value);
    chars.div_ceil(CHARS_PER_TOKEN as u64) + attachments * ATTACHMENT_TOKENS
}

fn weigh(value: &Value) -> (u64, u64) {
    let add = |sum: (u64, u64), next: (u64, u64)| (sum.0 + next.0, sum.1 + next.1);
    if let Some(text) = value.as_str() {
        return (text.chars().count() as u64, 0);
    }
    if let Some(items) = value.as_array() {
        return items.iter().map(weigh).fold((0, 0), add);
    }
    let Some(map) = value.as_object() else { return (1, 0) };
    let attachment = matches!(map.get("type").and_then(Value::as_str), Some("image" | "document"));
    if attachment && map.get("source").is_some_and(Value::is_object) {
        return (0, 1);
    }
    map.iter().map(|(field, value)| add((field.len() as u64 / 2, 0), weigh(value))).fold((0, 0), add)
}

/// The text of the last user message: its text blocks and the text in its tool results.
fn last_user_text(params: &Map<String, Value>) -> String {
    let mut messages = params.get("messages").and_then(Value::as_array).into_iter().flatten();
    let last = messages.rfind(|message| message["role"] == "user");
    let mut parts = Vec::new();
    if let Some(message) = last {
        collect_text(&message["content"], &mut parts);
    }
    parts.join("\n")
}

fn collect_text<'a>(content: &'a Value, parts: &mut Vec<&'a str>) {
    if let Some(text) = content.as_str() {
        parts.push(text);
    }
    for block in content.as_array().into_iter().flatten() {
        match block["type"].as_str() {
            Some("text") => parts.extend(block["text"].as_str()),
            Some("tool_result") => collect_text(&block["content"], parts),
            Some(_) | None => {}
        }
    }
}

/// The answer to a request nobody scripted: JSON where a schema asks for it, `HEARTBEAT_OK` to a heartbeat prompt, else a
/// digest of what was asked.
fn own_words(params: &Map<String, Value>, asked: &str) -> String {
    let schema = params.get("output_config").and_then(|config| config.pointer("/format/schema"));
    if let Some(schema) = schema {
        return instance(schema, &digest(asked)).to_string();
    }
    if is_heartbeat(asked) { "HEARTBEAT_OK".to_owned() } else { digest(asked) }
}

/// A short prompt that offers `HEARTBEAT_OK` as a reply; a long document that mentions the word is not one.
fn is_heartbeat(asked: &str) -> bool {
    asked.len() < 4_000 && asked.contains("reply HEARTBEAT_OK")
}

/// The smallest value that fits the common part of JSON Schema.
fn instance(schema: &Value, text: &str) -> Value {
    if let Some(value) = schema.get("const").or_else(|| schema.pointer("/enum/0")) {
        return value.clone();
    }
    if let Some(branch) = schema.pointer("/anyOf/0").or_else(|| schema.pointer("/oneOf/0")) {
        return instance(branch, text);
    }
    let kind = schema.get("type").and_then(|kind| kind.as_str().or_else(|| kind.pointer("/0").and_then(Value::as_str)));
    match kind {
        Some("string") => json!(text),
        Some("integer" | "number") => schema.get("minimum").cloned().unwrap_or_else(|| json!(0)),
        Some("boolean") => json!(false),
        Some("array") => {
            match schema.get("items").filter(|_| schema.get("minItems").is_some_and(|least| *least != 0)) {
                Some(items) => json!([instance(items, text)]),
                None => json!([]),
            }
        }
        Some("null") => Value::Null,
        Some(_) | None => {
            let properties = schema.get("properties").and_then(Value::as_object).into_iter().flatten();
            Value::Object(properties.map(|(name, schema)| (name.clone(), instance(schema, text))).collect())
        }
    }
}

/// A short, plain account of a text: what it opens with, how long it is, how it is divided.
fn digest(asked: &str) -> String {
    let text = without_tag(asked).trim();
    let outline = Outline::of(text);
    let words = text.split_whitespace().count();
    let length = format!("{} {}", thousands(words), if words == 1 { "word" } else { "words" });
    let opening = outline.sentence.as_deref().map_or_else(String::new, |sentence| format!(" {sentence}"));
    let shape = match outline.headings.as_slice() {
        [] => format!("{length} in all."),
        [one] => format!("{length} in 1 section, “{one}”."),
        [first, second] => format!("{length} in 2 sections, starting with “{first}”, then “{second}”."),
        [first, second, .., last] => format!(
            "{length} in {} sections, starting with “{first}” and “{second}” and ending with “{last}”.",
            thousands(outline.headings.len())
        ),
    };
    format!("Here is the brief you asked for.{opening}\n\n{shape}")
}

/// Drops a leading `[cron:… name]` tag: it names the job, not the matter.
fn without_tag(text: &str) -> &str {
    let rest = text.strip_prefix("[cron:").and_then(|rest| rest.split_once(']'));
    rest.map_or(text, |parts| parts.1)
}

/// Headings and first sentence of a Markdown text; fenced code is passed over.
struct Outline {
    headings: Vec<String>,
    sentence: Option<String>,
}

impl Outline {
    fn of(text: &str) -> Self {
        let mut outline = Self { headings: Vec::new(), sentence: None };
        let mut paragraph = String::new();
        let mut in_code = false;
        for line in text.lines().map(str::trim) {
            if line.starts_with("```") {
                in_code = !in_code;
                continue;
            }
            if in_code {
                continue;
            }
            let heading = line.trim_start_matches('#').strip_prefix(' ').filter(|_| line.starts_with('#'));
            if let Some(heading) = heading {
                // What stands before the first heading is an instruction; the document's own opening is wanted.
                if outline.headings.is_empty() {
                    paragraph.clear();
                    outline.sentence = None;
                }
                outline.headings.push(shortened(heading.trim(), 60));
            }
            let prose = heading.is_none()
                && line.starts_with(|first: char| first.is_alphanumeric() || "\"'*_“(".contains(first));
            if prose && outline.sentence.is_none() {
                paragraph.push_str(line);
                paragraph.push(' ');
            } else if !paragraph.is_empty() && outline.sentence.is_none() {
                outline.sentence = Some(first_sentence(&paragraph));
            }
        }
        if outline.sentence.is_none() && !paragraph.is_empty() {
            outline.sentence = Some(first_sentence(&paragraph));
        }
        outline
    }
}

/// Up to the first full stop that ends a sentence, at most 240 characters.
fn first_sentence(paragraph: &str) -> String {
    let end = [". ", "! ", "? "].iter().filter_map(|stop| paragraph.find(stop)).min();
    let sentence = end.map_or(paragraph, |end| &paragraph[..=end]).trim();
    match sentence.chars().last() {
        Some(last) if last.is_alphanumeric() && sentence.chars().count() <= 240 => format!("{sentence}."),
        Some(_) | None => shortened(sentence, 240),
    }
}

/// The text, or its first `most` characters and an ellipsis.
fn shortened(text: &str, most: usize) -> String {
    match text.char_indices().nth(most) {
        Some((at, _)) => format!("{}…", text[..at].trim_end()),
        None => text.to_owned(),
    }
}

fn thousands(number: usize) -> String {
    let digits = number.to_string();
    let mut grouped = String::with_capacity(digits.len() + digits.len() / 3);
    for (index, digit) in digits.chars().enumerate() {
        if index > 0 && (digits.len() - index).is_multiple_of(3) {
            grouped.push(',');
        }
        grouped.push(digit);
    }
    grouped
}

#[cfg(test)]
mod tests {
    use super::*;

    fn params(value: &Value) -> Map<String, Value> {
        value.as_object().unwrap().clone()
    }

    #[test]
    fn a_document_is_digested_with_its_opening_length_and_sections() {
        let text = "[cron:job_1 readme] Summarise this:\n\n# Nightshift\n\nCron for agents. It sleeps.\n\n## Start\n\n```\n# not one\n```\n\n## Use\n\nMore.\n";
        let digest = digest(text);
        assert!(digest.starts_with("Here is the brief you asked for. Cron for agents.\n\n"), "{digest}");
        assert!(
            digest.contains("in 3 sections, starting with “Nightshift” and “Start” and ending with “Use”."),
            "{digest}"
        );
        assert_eq!(thousands(1_234_567), "1,234,567");
        assert!(super::digest("Say hi").ends_with("Say hi.\n\n2 words in all."));
    }

    #[test]
    fn text_is_cut_at_max_tokens_and_at_stop_sequences() {
        let written = Written::text("abcdefghijkl", &params(&json!({"max_tokens": 2})));
        assert_eq!((written.stop_reason.as_str(), written.cut_at), ("max_tokens", Some(2)));
        assert_eq!(written.content[0]["text"], "abcdefgh");
        let written = Written::text("one STOP two", &params(&json!({"max_tokens": 20, "stop_sequences": ["STOP"]})));
        assert_eq!((written.stop_reason.as_str(), written.stop_sequence.as_deref()), ("stop_sequence", Some("STOP")));
    }

    #[test]
    fn the_last_user_text_includes_tool_results() {
        let params = params(&json!({"messages": [
            {"role": "user", "content": "first"},
            {"role": "assistant", "content": [{"type": "tool_use", "id": "t", "name": "n", "input": {}}]},
            {"role": "user", "content": [
                {"type": "tool_result", "tool_use_id": "t", "content": [{"type": "text", "text": "sunny"}]},
                {"type": "tool_result", "tool_use_id": "u", "content": "warm"},
                {"type": "text", "text": "go on"},
            ]},
        ]}));
        assert_eq!(last_user_text(&params), "sunny\nwarm\ngo on");
    }

    #[test]
    fn a_schema_is_answered_with_json_that_fits_it() {
        let schema = json!({"type": "object", "properties": {
            "title": {"type": "string"}, "count": {"type": "integer"}, "level": {"enum": ["low", "high"]},
        }});
        let params = params(&json!({"output_config": {"format": {"type": "json_schema", "schema": schema}}}));
        let value: Value = serde_json::from_str(&own_words(&params, "hi")).unwrap();
        assert_eq!((&value["count"], &value["level"]), (&json!(0), &json!("low")));
        assert!(value["title"].is_string());
    }

    #[test]
    fn a_heartbeat_has_nothing_to_report() {
        let asked = "Read HEARTBEAT.md. If nothing needs attention, reply HEARTBEAT_OK.";
        assert_eq!(own_words(&Map::new(), asked), "HEARTBEAT_OK");
        assert_ne!(own_words(&Map::new(), "# Guide\n\nAnswer HEARTBEAT_OK when nothing is new."), "HEARTBEAT_OK");
    }
}
