//! Readers of Telegram's HTML and of Signal's styled texts: what a person sees, and in which styles. A text that is not well
//! formed fails.

use std::collections::BTreeSet;

/// Every visible character with what it stands in: `bold`, `italic`, `strike`, `spoiler`, `code`, `quote`, `item`, `cell`, and
/// `link <address>`.
pub(crate) type Shown = Vec<(char, BTreeSet<String>)>;

/// What is put between marks that would be read as one.
pub(crate) const NOTHING: char = '\u{200b}';

/// Well-formed HTML of the tags Telegram knows.
pub(crate) fn html(html: &str) -> Shown {
    let mut open: Vec<String> = Vec::new();
    let mut shown = Vec::new();
    let mut rest = html;
    while let Some(next) = rest.chars().next() {
        if let Some(tag) = rest.strip_prefix('<') {
            let (tag, after) = tag.split_once('>').expect("a tag ends");
            match tag.strip_prefix('/') {
                Some(name) => {
                    let opened = open.pop().expect("a tag that closes was opened");
                    assert_eq!(opened.split(' ').next(), Some(name), "{html}");
                }
                None => open.push(tag.to_owned()),
            }
            rest = after;
            continue;
        }
        let (length, char) = entity(rest);
        assert!(next != '&' || length > 1, "a bare ampersand in {html}");
        shown.push((char, open.iter().map(|tag| style_of_tag(tag)).collect()));
        rest = &rest[length..];
    }
    assert!(open.is_empty(), "{html}");
    shown
}

fn style_of_tag(tag: &str) -> String {
    match tag.split(' ').next().unwrap_or_default() {
        "b" => "bold".to_owned(),
        "i" => "italic".to_owned(),
        "s" => "strike".to_owned(),
        "tg-spoiler" => "spoiler".to_owned(),
        "pre" => "pre".to_owned(),
        "blockquote" => "quote".to_owned(),
        "a" => {
            let url = tag.split('"').nth(1).expect("a link has an address");
            format!(
                "link {}",
                url.replace("&quot;", "\"").replace("&lt;", "<").replace("&gt;", ">").replace("&amp;", "&")
            )
        }
        _ => tag.to_owned(),
    }
}

/// The first character of escaped text, and how many bytes it takes.
pub(crate) fn entity(text: &str) -> (usize, char) {
    let entities = [("&amp;", '&'), ("&lt;", '<'), ("&gt;", '>'), ("&quot;", '"')];
    let found = entities.iter().find(|(entity, _)| text.starts_with(entity));
    let next = text.chars().next().expect("there is text");
    found.map_or((next.len_utf8(), next), |(entity, char)| (entity.len(), *char))
}

/// The signal-cli REST API's styled text: a mark like the one opened last closes it, another one opens.
pub(crate) fn signal(text: &str) -> Shown {
    let mut shown: Shown = Vec::new();
    let mut open: Vec<&str> = Vec::new();
    let marks = ["**", "*", "||", "~", "`"];
    let mut rest = text;
    while let Some(next) = rest.chars().next() {
        let escaped = rest.strip_prefix('\\').filter(|rest| rest.starts_with(['*', '|', '~', '`']));
        let source = escaped.unwrap_or(rest);
        let mark = marks.into_iter().find(|mark| source.starts_with(mark));
        let literal = match (escaped, mark) {
            (None, Some(mark)) => {
                if open.last() == Some(&mark) {
                    open.pop();
                } else {
                    open.push(mark);
                }
                rest = &rest[mark.len()..];
                continue;
            }
            (Some(_), Some(mark)) => mark,
            (Some(after), None) => &after[..1],
            (None, None) => &rest[..next.len_utf8()],
        };
        let styles: BTreeSet<String> = open.iter().map(|mark| name(mark).to_owned()).collect();
        shown.extend(literal.chars().filter(|char| *char != NOTHING).map(|char| (char, styles.clone())));
        rest = &source[literal.len()..];
    }
    assert!(open.is_empty(), "a style is left open in {text:?}");
    shown
}

fn name(mark: &str) -> &'static str {
    match mark {
        "**" => "bold",
        "*" => "italic",
        "||" => "spoiler",
        "~" => "strike",
        _ => "code",
    }
}
