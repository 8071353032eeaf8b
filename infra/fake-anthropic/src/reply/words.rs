//! What the model says when nobody scripted it: an account of what it was asked.

use serde_json::{Map, Value, json};

/// The answer to a request nobody scripted: JSON where a schema asks for it, `HEARTBEAT_OK` to a heartbeat prompt, else a
/// digest of what was asked.
pub(super) fn own_words(params: &Map<String, Value>, asked: &str) -> String {
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
