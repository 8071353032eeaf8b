//! The words by which a model says that there is nothing to say: `HEARTBEAT_OK` and `NO_REPLY`.
//!
//! Guarantee: an answer with anything to read besides such a word is delivered, without the word. The words count at an edge
//! of the text, alone or in markup; within it they are text like any other.

use std::borrow::Cow;

use serde_json::Value;

const OK: &str = "HEARTBEAT_OK";
const SILENT: &str = "NO_REPLY";
/// Most that may follow a word at the end of a text for it to be at the end: `HEARTBEAT_OK.`
const MOST_AFTER: usize = 4;
/// Most characters beside `HEARTBEAT_OK` for the answer of a heartbeat to be nothing but an acknowledgement.
const MOST_BESIDE: usize = 300;

/// An answer as it is delivered, or why it is not: `empty`, `silent` or `heartbeat`.
pub fn deliverable(text: &str) -> Result<Cow<'_, str>, &'static str> {
    let text = text.trim();
    if text.is_empty() {
        return Err("empty");
    }
    if is_silent(text) {
        return Err("silent");
    }
    let rest = match (without_ok(text), before(text, SILENT)) {
        (Some(rest), _) => Cow::Owned(rest),
        (None, Some(rest)) => Cow::Borrowed(rest),
        (None, None) => return Ok(Cow::Borrowed(text)),
    };
    let is_word = text.contains(OK);
    if rest.chars().any(char::is_alphanumeric) && !is_silent(&rest) {
        Ok(rest)
    } else {
        Err(if is_word { "heartbeat" } else { "silent" })
    }
}

/// Whether the answer of a heartbeat only acknowledges it, with no more than a few words besides.
pub fn acknowledges(text: &str) -> bool {
    let text = text.trim();
    let words = |rest: String| rest.split_whitespace().collect::<Vec<_>>().join(" ");
    is_silent(text) || without_ok(text).is_some_and(|rest| words(rest).chars().count() <= MOST_BESIDE)
}

/// Whether the text is nothing but the word for silence, in any case, with marks around it or in an object of its own.
fn is_silent(text: &str) -> bool {
    let bare = bare(text);
    let word = bare.trim_end_matches(|char: char| char.is_ascii_punctuation() && char != '_' || char == '…');
    if word.eq_ignore_ascii_case(SILENT) {
        return true;
    }
    let object = serde_json::from_str::<Value>(text).ok();
    let action = object.as_ref().and_then(Value::as_object).filter(|object| object.len() == 1);
    action.and_then(|object| object.get("action")).is_some_and(|action| action == SILENT)
}

/// The text without `HEARTBEAT_OK` at its edges; `None` where it has none there.
fn without_ok(text: &str) -> Option<String> {
    let mut rest = text;
    while let Some(shorter) = after(rest, OK).or_else(|| before(rest, OK)) {
        rest = shorter;
    }
    if rest.len() < text.len() {
        return Some(rest.to_owned());
    }
    let bare = bare(text);
    (bare.len() < text.len())
        .then(|| without_ok(&bare))
        .flatten()
        .filter(|rest| !rest.chars().any(char::is_alphanumeric))
}

/// What comes after `word` where the text begins with it, without the marks between them.
fn after<'t>(text: &'t str, word: &str) -> Option<&'t str> {
    let rest = text.strip_prefix(word)?;
    let ends = !rest.starts_with(is_of_word);
    // Marks of the same line belong to the word; those of the next may begin a list.
    ends.then(|| rest.trim_start_matches(|char| " \t.,:;!-–—".contains(char)).trim_start())
}

/// What comes before `word` where the text ends with it.
fn before<'t>(text: &'t str, word: &str) -> Option<&'t str> {
    let end = text.trim_end_matches(|char| !is_of_word(char));
    if text[end.len()..].chars().count() > MOST_AFTER {
        return None;
    }
    let rest = end.strip_suffix(word)?;
    let begins = !rest.ends_with(is_of_word);
    begins.then(|| rest.trim_end())
}

fn is_of_word(char: char) -> bool {
    char.is_alphanumeric() || char == '_'
}

/// The text without tags, invisible characters, and marks around it.
fn bare(text: &str) -> String {
    let (mut out, mut rest) = (String::new(), text);
    while let Some(start) = rest.find('<') {
        let (before, from) = rest.split_at(start);
        out.push_str(before);
        let is_tag = from[1..].starts_with(|char: char| char.is_ascii_alphabetic() || char == '/');
        if let Some(end) = from.find('>').filter(|_| is_tag) {
            rest = &from[end + 1..];
        } else {
            out.push('<');
            rest = &from[1..];
        }
    }
    out.push_str(rest);
    let out = out.replace("&nbsp;", " ").replace(['\u{200b}', '\u{feff}'], "");
    out.trim_matches(|char: char| char.is_whitespace() || "*_~`#>\"'".contains(char)).to_owned()
}

#[cfg(test)]
mod tests {
    use super::*;

    /// `HEARTBEAT_OK` and `NO_REPLY` as OpenClaw reads them.
    const VECTORS: &str = include_str!("../../tests/vectors/heartbeat-ok.json");

    #[test]
    fn heartbeats_are_acknowledged_as_in_openclaw() {
        let vectors: Value = serde_json::from_str(VECTORS).unwrap();
        let cases = vectors["cases"].as_array().unwrap();
        let core: Vec<&Value> = cases.iter().filter(|case| case["tag"] == "core").collect();
        for case in &core {
            let text = case["text"].as_str().unwrap();
            assert_eq!(acknowledges(text), case["ack"] == true, "{text:?}");
        }
        assert!(core.len() > 20, "{}", core.len());
    }

    #[test]
    fn an_announced_answer_is_held_back_only_where_openclaw_does_and_only_if_it_says_nothing() {
        let vectors: Value = serde_json::from_str(VECTORS).unwrap();
        for case in vectors["cases"].as_array().unwrap() {
            let text = case["text"].as_str().unwrap();
            let visible = case["cron"]["disposition"] == "visible";
            match deliverable(text) {
                Ok(rest) if visible && !text.contains(SILENT) => {
                    assert!(rest == text.trim() || text.starts_with(OK), "{text:?} became {rest:?}");
                }
                Ok(rest) => assert!(rest.chars().any(char::is_alphanumeric), "{text:?}"),
                Err(reason) => assert!(!visible, "{text:?} is {reason}"),
            }
        }
    }

    #[test]
    fn an_answer_of_nothing_but_a_word_is_not_delivered_and_any_other_without_the_word() {
        for (text, delivered) in [
            ("\n", Err("empty")),
            ("  NO_REPLY \n", Err("silent")),
            ("**no_reply**.", Err("silent")),
            ("{\"action\": \"NO_REPLY\"}", Err("silent")),
            ("HEARTBEAT_OK", Err("heartbeat")),
            ("HEARTBEAT_OK.", Err("heartbeat")),
            ("```\nHEARTBEAT_OK\n```", Err("heartbeat")),
            ("<p>HEARTBEAT_OK</p>&nbsp;", Err("heartbeat")),
            ("HEARTBEAT_OK HEARTBEAT_OK", Err("heartbeat")),
            ("HEARTBEAT_OK ✅", Err("heartbeat")),
            ("HEARTBEAT_OK NO_REPLY", Err("heartbeat")),
            ("HEARTBEAT_OK: 3 alerts", Ok("3 alerts")),
            ("HEARTBEAT_OK\n\n- one\n- two", Ok("- one\n- two")),
            ("All quiet.\n\nHEARTBEAT_OK", Ok("All quiet.")),
            ("Done. NO_REPLY", Ok("Done.")),
            ("Say HEARTBEAT_OK when done", Ok("Say HEARTBEAT_OK when done")),
            ("HEARTBEAT_OKAY", Ok("HEARTBEAT_OKAY")),
            ("MY_HEARTBEAT_OK", Ok("MY_HEARTBEAT_OK")),
            (" NO_REPLY needed ", Ok("NO_REPLY needed")),
            ("a < b and b > c", Ok("a < b and b > c")),
        ] {
            assert_eq!(deliverable(text).as_deref(), delivered.as_ref().copied(), "{text:?}");
        }
    }
}
