//! The recorded cases in `tests/vectors`, held against the parsers, renderers and the chunker.

mod formatting;
#[path = "../tests/channels/readers.rs"]
mod readers;
mod targets;

use serde_json::Value;

use crate::chunk::{chunk, utf16_len};
use crate::markdown::{Document, Piece, parse, parse_raw, render_raw};
use crate::{signal, slack, telegram, whatsapp};
use readers::{Shown, html};

const CHUNKING: &str = include_str!("../tests/vectors/chunking.json");

fn cases(document: &str) -> Vec<Value> {
    let document: Value = serde_json::from_str(document).unwrap();
    document["cases"].as_array().unwrap().clone()
}

fn whole(document: &Document) -> Vec<Piece<'_>> {
    document.slice(document.trim_end(0..document.text().len()))
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
                let whole = html(&telegram::markup::html(&whole(&document)));
                let messages = check(&name, &document, limit, telegram::markup::html);
                let parts = messages.iter().flat_map(|message| html(message)).collect();
                assert_eq!(dense(parts), dense(whole), "{name}");
            }
            "slack-mrkdwn" => {
                let document = parse(&text, slack::markup::DIALECT).without_long_links(limit);
                check(&name, &document, limit, slack::markup::mrkdwn);
            }
            "whatsapp" => {
                let document = parse(&text, whatsapp::markup::DIALECT).links_as_text();
                check(&name, &document, limit, whatsapp::markup::marked);
            }
            "signal-text" => {
                let document = parse(&text, signal::markup::DIALECT).links_as_text();
                check(&name, &document, limit, signal::markup::styled);
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

fn dense(shown: Shown) -> Shown {
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

proptest::proptest! {
    #![proptest_config(proptest::prelude::ProptestConfig { cases: 96, failure_persistence: None, ..Default::default() })]

    #[test]
    fn any_markdown_becomes_well_formed_html_within_the_limit_that_loses_only_white_space(
        markdown in "([*_`~|<>&\\[\\](){}#!\"-]{0,3}[a-z.:/ é😀]{0,9}(\n|\n\n|\n- |\n> |\n```\n|</?b>|https://a.b/)?){0,24}",
        limit in 120_usize..400,
    ) {
        let document = parse(&markdown, telegram::markup::DIALECT).without_long_links(limit);
        let whole = html(&telegram::markup::html(&whole(&document)));
        let cut = chunk(&document, limit, telegram::markup::html);
        let messages: Vec<String> = cut.iter().map(|pieces| telegram::markup::html(pieces)).collect();
        for message in &messages {
            proptest::prop_assert!(utf16_len(message) <= limit, "{message:?}");
        }
        let parts = messages.iter().flat_map(|message| html(message)).collect();
        proptest::prop_assert_eq!(dense(parts), dense(whole));
        let document = parse(&markdown, slack::markup::DIALECT).without_long_links(limit);
        for pieces in chunk(&document, limit, slack::markup::mrkdwn) {
            proptest::prop_assert!(utf16_len(&slack::markup::mrkdwn(&pieces)) <= limit);
        }
    }

    #[test]
    fn any_markdown_that_stays_markdown_is_what_it_was_uncut_and_loses_no_letter_cut(
        markdown in "([*_~|`\\[\\](){}#!-]{0,3}[a-z.: é😀]{0,9}(\n|\n\n|\n- |\n    - |\n> |\n\n\\|1\\|2\\|\n\\|-\\|-\\|\n|https://a.b/)?){0,24}",
        limit in 60_usize..300,
    ) {
        // A fence left open is closed.
        proptest::prop_assume!(!markdown.contains("```") && !markdown.contains("~~~"));
        let uncut = render_raw(&whole(&parse_raw(&markdown, 4000)));
        proptest::prop_assert_eq!(uncut.trim_end(), markdown.trim_end());
        let document = parse_raw(&markdown, limit);
        let messages: Vec<String> = chunk(&document, limit, render_raw).iter().map(|pieces| render_raw(pieces)).collect();
        for message in &messages {
            proptest::prop_assert!(utf16_len(message) <= limit, "{message:?}");
        }
        // Marks are written again around what is cut, and the heads of tables, which have no letters here.
        let letters = |text: &str| text.chars().filter(|char| char.is_alphabetic()).collect::<String>();
        proptest::prop_assert_eq!(letters(&messages.concat()), letters(&markdown));
    }

    #[test]
    fn any_markdown_becomes_a_styled_text_that_reads_back_to_its_plain_text(
        markdown in "([*_~|`<>&\\[\\](){}#!\"\\\\-]{0,3}[a-z.: é😀]{0,9}(\n|\n\n|\n- |\n> |\n```\n|https://a.b/)?){0,24}",
        limit in 120_usize..400,
    ) {
        let mut letters = String::new();
        for message in signal::render(&markdown, limit) {
            proptest::prop_assert!(utf16_len(&message.text) <= limit, "{message:?}");
            let Some(plain) = message.plain else { letters.push_str(&message.text); continue };
            let shown: String = readers::signal(&message.text).into_iter().map(|(char, _)| char).collect();
            let squeeze = |text: &str| text.split_whitespace().collect::<String>();
            proptest::prop_assert_eq!(squeeze(&shown), squeeze(&plain), "{}", message.text);
            letters.push_str(&plain);
        }
        let squeeze = |text: &str| text.split_whitespace().collect::<String>();
        let whole: String = signal::render(&markdown, usize::MAX >> 8).into_iter().map(|body| body.plain.unwrap_or(body.text)).collect();
        let visible = |text: &str| squeeze(text).replace('>', "");
        proptest::prop_assert_eq!(visible(&letters), visible(&whole));
    }
}
