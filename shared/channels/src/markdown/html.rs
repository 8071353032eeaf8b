//! The tags Telegram knows (Telegram Bot API, "Formatting options", HTML style), as authors write them into Markdown.

use super::Style;

/// A tag's meaning.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) enum Mark {
    /// It opens a style.
    Open(Style),
    /// It closes one of that kind.
    Close(Style),
}

/// What `tag` (`<b>`, `</a>`) means; `None` when it is not a tag Telegram knows.
pub(super) fn mark(tag: &str) -> Option<Mark> {
    let inner = tag.strip_prefix('<')?.strip_suffix('>')?;
    let (closes, inner) = inner.strip_prefix('/').map_or((false, inner), |rest| (true, rest));
    let (name, attributes) = inner.trim().split_once(char::is_whitespace).unwrap_or((inner.trim(), ""));
    let style = match name.to_ascii_lowercase().as_str() {
        "b" | "strong" => Style::Bold,
        "i" | "em" => Style::Italic,
        "u" | "ins" => Style::Underline,
        "s" | "strike" | "del" => Style::Strike,
        "tg-spoiler" => Style::Spoiler,
        "span" if closes || attribute(attributes, "class").as_deref() == Some("tg-spoiler") => Style::Spoiler,
        "code" => Style::Code,
        "pre" => Style::Pre(None),
        "blockquote" => Style::Quote,
        "a" if closes => Style::Link { url: String::new(), bare: false },
        "a" => Style::Link { url: attribute(attributes, "href")?, bare: false },
        _ => return None,
    };
    Some(if closes { Mark::Close(style) } else { Mark::Open(style) })
}

/// The parts of a block of HTML: text at even places, tags at odd ones.
pub(super) fn split(block: &str) -> impl Iterator<Item = &str> {
    let mut rest = block;
    let mut tag_next = false;
    let mut done = false;
    std::iter::from_fn(move || {
        if done {
            return None;
        }
        let end = if tag_next { rest.find('>').map(|at| at + 1) } else { next_tag(rest) };
        tag_next = !tag_next;
        let (part, left) = rest.split_at(end.unwrap_or(rest.len()));
        done = end.is_none();
        rest = left;
        Some(part)
    })
}

/// Where the next thing that looks like a whole tag begins.
fn next_tag(text: &str) -> Option<usize> {
    text.match_indices('<').map(|(at, _)| at).find(|at| {
        let name = text[at + 1..].trim_start_matches('/');
        name.starts_with(|char: char| char.is_ascii_alphabetic()) && name.contains('>')
    })
}

/// Text as it is shown, for the entities Telegram knows.
pub(super) fn unescape(text: &str) -> String {
    text.replace("&lt;", "<").replace("&gt;", ">").replace("&quot;", "\"").replace("&amp;", "&")
}

fn attribute(attributes: &str, name: &str) -> Option<String> {
    let (_, after) = attributes.split_once(name)?;
    let value = after.trim_start().strip_prefix('=')?.trim_start();
    let quote = value.chars().next().filter(|char| *char == '"' || *char == '\'')?;
    let (value, _) = value[1..].split_once(quote)?;
    Some(unescape(value))
}
