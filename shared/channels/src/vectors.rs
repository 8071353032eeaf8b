//! The recorded cases in `tests/vectors`, held against the parsers, renderers and the chunker.

use std::collections::BTreeSet;

use serde_json::Value;

use crate::chunk::{chunk, utf16_len};
use crate::markdown::{Dialect, Document, Piece, parse, parse_raw, plain, render_raw};
use crate::{slack, telegram};

const TARGETS: &str = include_str!("../tests/vectors/targets.json");
const FORMATTING: &str = include_str!("../tests/vectors/formatting.json");
const CHUNKING: &str = include_str!("../tests/vectors/chunking.json");

/// Quirks that are not copied, and why.
const OTHER_TARGETS: [(&str, &str); 3] = [
    ("#my-channel", "accepted: Slack itself takes names with hyphens"),
    ("channel:", "refused: there is no channel called \"channel:\""),
    ("user:", "refused: there is no channel called \"user:\""),
];

/// Cases whose recorded markup is not matched, and why.
const OTHER_FORMATTING: [(&str, &str, &str); 1] =
    [("slack", "> quote\n> more", "every line of a quote gets its mark; Slack shows only marked lines as quoted")];

fn cases(document: &str) -> Vec<Value> {
    let document: Value = serde_json::from_str(document).unwrap();
    document["cases"].as_array().unwrap().clone()
}

#[test]
fn targets_are_read_as_recorded() {
    let mut differing = BTreeSet::new();
    for case in cases(TARGETS) {
        let to = case["to"].as_str().unwrap();
        let same = match case["channel"].as_str().unwrap() {
            "telegram" => telegram_reads(to, &case["parsed"]),
            _ => slack_reads(to, &case),
        };
        if !same {
            assert_eq!(case["tag"], "quirk", "{case}");
            differing.insert(to.to_owned());
        }
    }
    assert_eq!(differing, OTHER_TARGETS.iter().map(|(to, _)| (*to).to_owned()).collect());
}

fn telegram_reads(to: &str, expected: &Value) -> bool {
    let place = telegram::target::parse(to);
    let (thread, direct) = match place.topic {
        Some(telegram::target::Topic::Thread(number)) => (Some(number), None),
        Some(telegram::target::Topic::Direct(number)) => (None, Some(number)),
        None => (None, None),
    };
    place.chat == expected["chatId"].as_str().unwrap()
        && thread == expected["messageThreadId"].as_i64()
        && direct == expected["directMessagesTopicId"].as_i64()
        && telegram::target::recipient(&place.chat).as_deref() == expected["lookup"].as_str()
}

fn slack_reads(to: &str, case: &Value) -> bool {
    match slack::target::parse(to) {
        Err(error) => case["error"].as_str() == Some(&error),
        Ok((kind, id)) => {
            let kind = if kind == slack::target::Kind::User { "user" } else { "channel" };
            case["parsed"]["kind"] == kind && case["parsed"]["id"] == id.as_str()
        }
    }
}

#[test]
fn markdown_becomes_the_recorded_text_and_styles() {
    let mut differing = BTreeSet::new();
    for case in cases(FORMATTING) {
        let markdown = case["markdown"].as_str().unwrap();
        let document = parse(markdown, telegram::markup::DIALECT);
        let pieces = whole(&document);
        let html = telegram::markup::html(&pieces);
        if styled(&html) != styled(case["telegram_html"].as_str().unwrap()) {
            differing.insert(("telegram".to_owned(), markdown.to_owned(), html));
        }
        let text = plain(&pieces);
        if text != case["telegram_plain_fallback"].as_str().unwrap() {
            differing.insert(("plain".to_owned(), markdown.to_owned(), text));
        }
        let document = parse(markdown, slack::markup::DIALECT);
        let mrkdwn = slack::markup::mrkdwn(&whole(&document));
        if mrkdwn != case["slack_mrkdwn"].as_str().unwrap() {
            differing.insert(("slack".to_owned(), markdown.to_owned(), mrkdwn));
        }
    }
    let known = OTHER_FORMATTING.iter().map(|(channel, markdown, _)| ((*channel).to_owned(), (*markdown).to_owned()));
    let found: BTreeSet<(String, String)> =
        differing.iter().map(|(channel, markdown, _)| (channel.clone(), markdown.clone())).collect();
    assert_eq!(found, known.collect(), "{differing:#?}");
}

fn whole(document: &Document) -> Vec<Piece<'_>> {
    document.slice(document.trim_end(0..document.text().len()))
}

/// Every visible character of well-formed HTML with the tags it stands in.
fn styled(html: &str) -> Vec<(char, BTreeSet<String>)> {
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
        let entities = [("&amp;", '&'), ("&lt;", '<'), ("&gt;", '>'), ("&quot;", '"')];
        let entity = entities.iter().find(|(entity, _)| rest.starts_with(entity));
        assert!(next != '&' || entity.is_some(), "a bare ampersand in {html}");
        let (length, char) = entity.map_or((next.len_utf8(), next), |(entity, char)| (entity.len(), *char));
        shown.push((char, open.iter().cloned().collect()));
        rest = &rest[length..];
    }
    assert!(open.is_empty(), "{html}");
    shown
}

#[test]
fn every_recorded_text_is_cut_within_the_invariants() {
    for case in cases(CHUNKING) {
        let name = format!("{} {}", case["fn"].as_str().unwrap(), case["name"].as_str().unwrap());
        let text = case["text"].as_str().map_or_else(|| joined(&case["textParts"]), str::to_owned);
        let limit = usize::try_from(case["limit"].as_i64().unwrap()).unwrap_or(usize::MAX);
        match case["fn"].as_str().unwrap() {
            "telegram-html" => {
                let document = parse(&text, telegram::markup::DIALECT).without_long_links(limit);
                let whole = styled(&telegram::markup::html(&whole(&document)));
                let messages = check(&name, &document, limit, telegram::markup::html);
                let parts = messages.iter().flat_map(|message| styled(message)).collect();
                assert_eq!(dense(parts), dense(whole), "{name}");
            }
            "slack-mrkdwn" => {
                let document = parse(&text, slack::markup::DIALECT).without_long_links(limit);
                check(&name, &document, limit, slack::markup::mrkdwn);
            }
            _ => {
                let messages = check(&name, &parse_raw(&text, limit), limit, render_raw);
                // Fence markers that fill a message are left as text, and then nothing is closed or opened.
                if case["name"] != "limit too small for the fence markers" {
                    fences_are_whole(&name, &messages, &text);
                }
            }
        }
    }
}

fn joined(parts: &Value) -> String {
    let parts = parts.as_array().unwrap().iter();
    parts.map(|part| part[0].as_str().unwrap().repeat(part[1].as_u64().unwrap().try_into().unwrap())).collect()
}

fn dense(shown: Vec<(char, BTreeSet<String>)>) -> Vec<(char, BTreeSet<String>)> {
    shown.into_iter().filter(|(char, _)| !char.is_whitespace()).collect()
}

fn check(name: &str, document: &Document, limit: usize, render: fn(&[Piece<'_>]) -> String) -> Vec<String> {
    let cut = chunk(document, limit, render);
    let messages: Vec<String> = cut.iter().map(|pieces| render(pieces)).collect();
    for message in &messages {
        assert!(utf16_len(message) <= limit, "{name}: {message:?}");
        assert!(!message.trim().is_empty(), "{name}");
        assert!(!message.starts_with(['\u{301}', '\u{308}', '\u{200d}', '\u{fe0f}']), "{name}: {message:?}");
    }
    let squeeze = |text: &str| text.split_whitespace().collect::<String>();
    let parts: String = cut.iter().flatten().map(|piece| piece.text).collect();
    assert_eq!(squeeze(&parts), squeeze(document.text()), "{name}");
    messages
}

fn fences_are_whole(name: &str, messages: &[String], text: &str) {
    let fence = |line: &&str| ["```", "~~~"].iter().any(|mark| line.trim_start().starts_with(mark));
    let opener = text.lines().find(fence);
    for message in messages {
        let fences: Vec<&str> = message.lines().filter(fence).collect();
        assert_eq!(fences.len() % 2, 0, "{name}: {message:?}");
        assert!(fences.iter().step_by(2).all(|line| Some(*line) == opener), "{name}: {message:?}");
    }
}

/// What the renderers are asked for beyond the recorded cases: text, Telegram's HTML, Slack's mrkdwn.
#[test]
fn markup_is_well_formed_where_styles_nest_or_meet() {
    let telegram = |markdown: &str| render(markdown, telegram::markup::DIALECT, telegram::markup::html);
    let slack = |markdown: &str| render(markdown, slack::markup::DIALECT, slack::markup::mrkdwn);
    for (markdown, html, mrkdwn) in [
        ("# Title\n\ntext", "Title\n\ntext", "*Title*\n\ntext"),
        ("~~gone~~ and ~5 to ~10~", "<s>gone</s> and ~5 to ~10~", "~gone~ and ~5 to ~10~"),
        ("see README.md and a.b@x.at", "see <code>README.md</code> and a.b@x.at", "see README.md and a.b@x.at"),
        ("[x](javascript:alert(1))", "x", "x"),
        (
            "[a *b*](https://e.io?q=\"<&)",
            "<a href=\"https://e.io?q=&quot;&lt;&amp;\">a <i>b</i></a>",
            "<https://e.io?q=\"&lt;&amp;|a >_<https://e.io?q=\"&lt;&amp;|b>_",
        ),
        ("<b>x **y</b> z** </i>", "<b>x y z</b> &lt;/i&gt;", "&lt;b&gt;x *y&lt;/b&gt; z* &lt;/i&gt;"),
        ("> a\n\n> b", "<blockquote>a</blockquote>\n\n<blockquote>b</blockquote>", "> a\n\n> b"),
        ("- a\n\n  ```\n  x\n  ```\n- b", "• a\n\n<pre><code>x\n</code></pre>• b", "• a\n\n```\nx\n```\n• b"),
        ("**two\nlines**", "<b>two\nlines</b>", "*two*\n*lines*"),
        (
            "hi <@U123> <!here> <https://e.io|e> <x>",
            "hi &lt;@U123&gt; &lt;!here&gt; <a href=\"https://e.io|e\">https://e.io|e</a> &lt;x&gt;",
            "hi <@U123> <!here> <https://e.io|e> &lt;x&gt;",
        ),
        ("a || b || c", "a || b || c", "a || b || c"),
        (
            "(see https://e.io/a_(b).)",
            "(see <a href=\"https://e.io/a_(b)\">https://e.io/a_(b)</a>.)",
            "(see https://e.io/a_(b).)",
        ),
        ("[x]: https://e.io", "[x]: https://e.io", "[x]: https://e.io"),
        ("3. three\n4. four\n   - in", "3. three\n4. four\n  • in", "3. three\n4. four\n  • in"),
        ("`a` ``b ` c``", "<code>a</code> <code>b ` c</code>", "`a` `b ` c`"),
    ] {
        styled(&telegram(markdown));
        assert_eq!(telegram(markdown), html, "{markdown}");
        assert_eq!(slack(markdown), mrkdwn, "{markdown}");
    }
}

fn render(markdown: &str, dialect: Dialect, render: fn(&[Piece<'_>]) -> String) -> String {
    let document = parse(markdown, dialect);
    render(&whole(&document))
}

proptest::proptest! {
    #![proptest_config(proptest::prelude::ProptestConfig { cases: 96, failure_persistence: None, ..Default::default() })]

    #[test]
    fn any_markdown_becomes_well_formed_html_within_the_limit_that_loses_only_white_space(
        markdown in "([*_`~|<>&\\[\\](){}#!\"-]{0,3}[a-z.:/ é😀]{0,9}(\n|\n\n|\n- |\n> |\n```\n|</?b>|https://a.b/)?){0,24}",
        limit in 120_usize..400,
    ) {
        let document = parse(&markdown, telegram::markup::DIALECT).without_long_links(limit);
        let whole = styled(&telegram::markup::html(&whole(&document)));
        let cut = chunk(&document, limit, telegram::markup::html);
        let messages: Vec<String> = cut.iter().map(|pieces| telegram::markup::html(pieces)).collect();
        for message in &messages {
            proptest::prop_assert!(utf16_len(message) <= limit, "{message:?}");
        }
        let parts = messages.iter().flat_map(|message| styled(message)).collect();
        proptest::prop_assert_eq!(dense(parts), dense(whole));
        let document = parse(&markdown, slack::markup::DIALECT).without_long_links(limit);
        for pieces in chunk(&document, limit, slack::markup::mrkdwn) {
            proptest::prop_assert!(utf16_len(&slack::markup::mrkdwn(&pieces)) <= limit);
        }
    }
}
