//! The recorded formats, as the renderers make them.

use std::collections::BTreeSet;

use nightshift_engine::ports::Rendered;
use serde_json::Value;

use super::{cases, readers};
use crate::{discord, mattermost, signal, slack, telegram, whatsapp};

const FORMATTING: &str = include_str!("../../tests/vectors/formatting.json");
/// So long that nothing is cut.
const LONG: usize = 4000;

/// Cases whose recorded form is not matched, and why.
const OTHERS: [(&str, &str, &str); 6] = [
    ("slack", "> quote\n> more", "every line of a quote gets its mark; Slack shows only marked lines as quoted"),
    ("whatsapp", "> quote\n> more", "every line of a quote gets its mark, as WhatsApp wants it"),
    ("signal", "> quote\n> more", "every line of a quote gets its mark, as the first one does"),
    ("whatsapp", "<https://example.com>", "without the brackets, which are Markdown's and not the author's"),
    ("whatsapp", "- [ ] todo\n- [x] done", "a task keeps its bullet, as on every other channel"),
    ("signal", "![alt](https://example.com/i.png)", "the image's address is kept: Signal is sent no media by address"),
];

#[test]
fn markdown_becomes_the_recorded_text_and_styles() {
    let mut differing = BTreeSet::new();
    for case in cases(FORMATTING) {
        let markdown = case["markdown"].as_str().unwrap();
        let telegram = one(telegram::render(markdown, LONG));
        let signal = one(signal::render(markdown, LONG));
        let checks = [
            ("telegram", readers::html(&telegram.text) == readers::html(case["telegram_html"].as_str().unwrap())),
            ("plain", telegram.plain.as_deref() == case["telegram_plain_fallback"].as_str()),
            ("slack", same(&slack::render(markdown, LONG), &case["slack_mrkdwn"])),
            ("whatsapp", same(&whatsapp::render(markdown, LONG), &case["whatsapp"])),
            ("signal", readers::signal(&signal.text) == recorded(&case["signal"])),
            ("discord", same(&discord::render(markdown, LONG), &case["discord"])),
            ("mattermost", same(&mattermost::render(markdown, LONG), &case["markdown"])),
        ];
        for (channel, _) in checks.iter().filter(|(_, same)| !same) {
            differing.insert(((*channel).to_owned(), markdown.to_owned()));
        }
    }
    // An image alone is media with its description as caption: on Discord the picture stands for its Markdown.
    assert!(differing.remove(&("discord".to_owned(), "![alt](https://example.com/i.png)".to_owned())));
    let known = OTHERS.iter().map(|(channel, markdown, _)| ((*channel).to_owned(), (*markdown).to_owned()));
    assert_eq!(differing, known.collect());
}

fn one(messages: Vec<Rendered>) -> Rendered {
    let [message] = <[Rendered; 1]>::try_from(messages).expect("one message");
    message
}

/// But for white space at its end, which no message needs.
fn same(messages: &[Rendered], recorded: &Value) -> bool {
    matches!(messages, [message] if message.text == recorded.as_str().unwrap().trim_end())
}

/// Text with ranges of styles, in UTF-16 units.
fn recorded(signal: &Value) -> readers::Shown {
    let ranges: Vec<(usize, usize, String)> = signal["styles"].as_array().unwrap().iter().map(range).collect();
    let mut at = 0;
    let text = signal["text"].as_str().unwrap().chars();
    text.map(|char| {
        let inside = ranges.iter().filter(|(start, end, _)| (*start..*end).contains(&at));
        let styles = inside.map(|(_, _, name)| name.clone()).collect();
        at += char.len_utf16();
        (char, styles)
    })
    .collect()
}

fn range(range: &Value) -> (usize, usize, String) {
    let mut parts = range.as_str().unwrap().split(':');
    let mut number = || parts.next().unwrap().parse::<usize>().unwrap();
    let (start, length) = (number(), number());
    let name = match parts.next().unwrap() {
        "MONOSPACE" => "code".to_owned(),
        other => other.to_lowercase(),
    };
    (start, start + length, name)
}

/// What the renderers are asked for beyond the recorded cases: text, Telegram's HTML, Slack's mrkdwn.
#[test]
fn markup_is_well_formed_where_styles_nest_or_meet() {
    let telegram = |markdown: &str| one(telegram::render(markdown, LONG)).text;
    let slack = |markdown: &str| one(slack::render(markdown, LONG)).text;
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
        readers::html(&telegram(markdown));
        assert_eq!(telegram(markdown), html, "{markdown}");
        assert_eq!(slack(markdown), mrkdwn, "{markdown}");
    }
}

/// The same for WhatsApp's marks, Signal's, and plain text.
#[test]
fn marks_stay_apart_where_styles_nest_or_meet() {
    let whatsapp = |markdown: &str| one(whatsapp::render(markdown, LONG)).text;
    let signal = |markdown: &str| one(signal::render(markdown, LONG)).text;
    let plain = |markdown: &str| one(crate::imessage::render(markdown, LONG)).text;
    for (markdown, marks, styled, text) in [
        ("# Title\n\ntext", "*Title*\n\ntext", "**Title**\n\ntext", "Title\n\ntext"),
        ("***both***", "_*both*_", "*\u{200b}**both**\u{200b}*", "both"),
        ("a\\*b ~ c | d", "a*b ~ c | d", "a\\*b \\~ c \\| d", "a*b ~ c | d"),
        ("**a\\***", "*a**", "**a\\*\u{200b}**", "a*"),
        ("**c:\\\\**", "*c:\\*", "**c:\\\u{200b}**", "c:\\"),
        ("~~gone~~ `x*y`", "~gone~ ```x*y```", "~gone~ `x\\*y`", "gone x*y"),
        ("[a *b*](https://e.io)", "a _b_ (https://e.io)", "a *b* (https://e.io)", "a b (https://e.io)"),
        ("[https://e.io](https://e.io)", "https://e.io", "https://e.io", "https://e.io"),
        (
            "see ![x](https://e.io/i.png)",
            "see x (https://e.io/i.png)",
            "see x (https://e.io/i.png)",
            "see x (https://e.io/i.png)",
        ),
        ("> a\n\n> b", "> a\n\n> b", "> a\n\n> b", "> a\n\n> b"),
        ("```sh\na\n\nb\n```", "```\na\n\nb\n```", "`a`\n\n`b`", "a\n\nb"),
        (
            "| a | b | c |\n|-|-|-|\n| 1 | | 3 |\n| 4 | 5 | 6 |",
            "*1*\n• c: 3\n\n*4*\n• b: 5\n• c: 6",
            "**1**\n• c: 3\n\n**4**\n• b: 5\n• c: 6",
            "1\n• c: 3\n\n4\n• b: 5\n• c: 6",
        ),
    ] {
        assert_eq!(whatsapp(markdown), marks, "{markdown}");
        assert_eq!(signal(markdown), styled, "{markdown}");
        assert_eq!(plain(markdown), text, "{markdown}");
        let shown: String = readers::signal(styled).into_iter().map(|(char, _)| char).collect();
        assert_eq!(shown, text, "{markdown}");
    }
}

#[test]
fn a_text_for_signal_without_styles_is_sent_as_it_is_and_one_with_styles_has_its_plain_text_beside_it() {
    assert_eq!(one(signal::render("plain & simple_text", LONG)).plain, None);
    let styled = one(signal::render("2 * 3 and **b**", LONG));
    assert_eq!((styled.text.as_str(), styled.plain.as_deref()), ("2 \\* 3 and **b**", Some("2 * 3 and b")));
}

/// Tables are code on Discord, which has none; the rest stays as it is.
#[test]
fn only_tables_change_on_discord() {
    let discord = |markdown: &str| one(discord::render(markdown, LONG)).text;
    assert_eq!(
        discord("**a**\n\n| x | `y` |\n|---|---|\n| 1 | a \\| b |\n\n- z\n"),
        "**a**\n\n```\n| x   | `y`   |\n| --- | ----- |\n| 1   | a | b |\n```\n\n- z"
    );
}
