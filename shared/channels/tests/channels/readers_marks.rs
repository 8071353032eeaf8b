//! Readers of Slack's and WhatsApp's marks, of Markdown, and of plain text: what a person sees, and in which styles. A text that
//! is not well formed fails.

use std::collections::BTreeSet;

use pulldown_cmark::{Event, Options, Parser, Tag, TagEnd};

use crate::readers::{NOTHING, Shown, entity};

/// Slack's mrkdwn.
pub(crate) fn mrkdwn(text: &str) -> Shown {
    marked(text, "`", true)
}

/// WhatsApp's marks.
pub(crate) fn whatsapp(text: &str) -> Shown {
    marked(text, "```", false)
}

fn marked(text: &str, code: &str, slack: bool) -> Shown {
    let mut shown = Vec::new();
    let mut in_block = false;
    for line in text.lines() {
        let (quoted, line) = line.strip_prefix("> ").map_or((false, line), |line| (true, line));
        if line == "```" {
            in_block = !in_block;
            continue;
        }
        let mut open: Vec<&str> = Vec::new();
        let mut address: Option<String> = None;
        let mut before = ' ';
        let mut rest = line;
        while let Some(next) = rest.chars().next() {
            let in_code = in_block || open.last() == Some(&code);
            if let Some(mark) = [code, "*", "_", "~"].into_iter().find(|mark| !in_block && rest.starts_with(mark)) {
                let after = rest[mark.len()..].chars().next();
                let closes = open.last() == Some(&mark) && !before.is_whitespace();
                let opens = !before.is_alphanumeric() && after.is_some_and(|char| !char.is_whitespace());
                if closes || (opens && !in_code && !open.contains(&mark)) {
                    if closes {
                        open.pop();
                    } else {
                        open.push(mark);
                    }
                    rest = &rest[mark.len()..];
                    continue;
                }
            }
            if slack && !in_code && address.is_none() && rest.starts_with('<') {
                let (inner, after) = rest[1..].split_once('>').expect("a link ends");
                let (url, label) = inner.split_once('|').unwrap_or((inner, inner));
                address = Some(unescaped(url));
                shown.extend(
                    unescaped(label)
                        .chars()
                        .map(|char| (char, styles(&open, code, quoted, in_block, address.as_deref()))),
                );
                address = None;
                (rest, before) = (after, '>');
                continue;
            }
            let (length, char) = if slack { entity(rest) } else { (next.len_utf8(), next) };
            if char != NOTHING {
                shown.push((char, styles(&open, code, quoted, in_block, None)));
            }
            (rest, before) = (&rest[length..], char);
        }
        assert!(open.is_empty(), "a mark is left open in {line:?}");
        shown.push(('\n', BTreeSet::new()));
    }
    assert!(!in_block, "a code block is left open in {text:?}");
    shown
}

fn unescaped(text: &str) -> String {
    text.replace("&lt;", "<").replace("&gt;", ">").replace("&amp;", "&")
}

fn styles(open: &[&str], code: &str, quoted: bool, in_block: bool, link: Option<&str>) -> BTreeSet<String> {
    let named = open.iter().map(|mark| match *mark {
        mark if mark == code => "code",
        "*" => "bold",
        "_" => "italic",
        _ => "strike",
    });
    let blocks = [(in_block, "code"), (quoted, "quote")].into_iter().filter(|(is, _)| *is).map(|(_, name)| name);
    named.chain(blocks).map(str::to_owned).chain(link.map(|url| format!("link {url}"))).collect()
}

/// Markdown.
pub(crate) fn markdown(text: &str) -> Shown {
    let options = Options::ENABLE_TABLES | Options::ENABLE_STRIKETHROUGH | Options::ENABLE_TASKLISTS;
    let mut shown = Vec::new();
    let mut open: Vec<String> = Vec::new();
    for event in Parser::new_ext(text, options) {
        match event {
            Event::Start(tag) => {
                if matches!(tag, Tag::Item | Tag::List(_)) {
                    shown.push(('\n', BTreeSet::new()));
                }
                open.push(match tag {
                    Tag::Strong => "bold".to_owned(),
                    Tag::Emphasis => "italic".to_owned(),
                    Tag::Strikethrough => "strike".to_owned(),
                    Tag::CodeBlock(_) => "code".to_owned(),
                    Tag::BlockQuote(_) => "quote".to_owned(),
                    Tag::Item => "item".to_owned(),
                    Tag::TableCell => "cell".to_owned(),
                    Tag::Link { dest_url, .. } | Tag::Image { dest_url, .. } => format!("link {dest_url}"),
                    Tag::Paragraph
                    | Tag::Heading { .. }
                    | Tag::HtmlBlock
                    | Tag::List(_)
                    | Tag::FootnoteDefinition(_)
                    | Tag::DefinitionList
                    | Tag::DefinitionListTitle
                    | Tag::DefinitionListDefinition
                    | Tag::Table(_)
                    | Tag::TableHead
                    | Tag::TableRow
                    | Tag::Superscript
                    | Tag::Subscript
                    | Tag::MetadataBlock(_) => String::new(),
                });
            }
            Event::End(end) => {
                open.pop();
                // Every block is on lines of its own.
                if !matches!(
                    end,
                    TagEnd::Strong | TagEnd::Emphasis | TagEnd::Strikethrough | TagEnd::Link | TagEnd::Image
                ) {
                    shown.push(('\n', BTreeSet::new()));
                }
            }
            Event::Text(part) | Event::Html(part) | Event::InlineHtml(part) => push(&mut shown, &part, &open, None),
            Event::Code(part) => push(&mut shown, &part, &open, Some("code")),
            Event::SoftBreak | Event::HardBreak | Event::Rule => shown.push(('\n', BTreeSet::new())),
            Event::InlineMath(_) | Event::DisplayMath(_) | Event::FootnoteReference(_) | Event::TaskListMarker(_) => {}
        }
    }
    shown
}

fn push(shown: &mut Shown, text: &str, open: &[String], also: Option<&str>) {
    let styles: BTreeSet<String> =
        open.iter().filter(|style| !style.is_empty()).cloned().chain(also.map(str::to_owned)).collect();
    shown.extend(text.chars().map(|char| (char, styles.clone())));
}

/// Text without markup.
pub(crate) fn plain(text: &str) -> Shown {
    text.chars().map(|char| (char, BTreeSet::new())).collect()
}
