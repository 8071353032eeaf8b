//! A report of 60,000 characters, delivered to every channel: each message within the limit, readable by itself in the
//! channel's format, in order, and nothing lost.
//!
//! Every part of the report holds words that are there once, whose first letters say how they are to look: `Plain000017`,
//! `Bold000018`. They are read back from what the servers were sent.

use std::collections::{BTreeMap, BTreeSet};
use std::fmt::Write as _;
use std::sync::Arc;

use nightshift_engine::SystemClock;
use nightshift_engine::ports::Channels;
use serde_json::json;

use crate::readers::{Shown, html, signal};
use crate::readers_marks::{markdown, mrkdwn, plain, whatsapp};
use crate::server::{Act, Asked, Server};
use crate::{config, opener, send};

/// How a word looks to its reader.
type Looks = BTreeSet<String>;

struct Report {
    markdown: String,
    /// The words, in order.
    words: Vec<String>,
}

impl Report {
    fn word(&mut self, kind: &str) -> String {
        let word = format!("{kind}{:06}", self.words.len());
        self.words.push(word.clone());
        word
    }

    fn line(&mut self, text: &str) {
        self.markdown.push_str(text);
        self.markdown.push('\n');
    }
}

/// Paragraphs, headings, quotes, long bold stretches, code blocks of any length, in lists too, tables, nested lists, emoji
/// and links.
fn report() -> Report {
    let mut report = Report { markdown: String::new(), words: Vec::new() };
    let mut round = 0;
    while report.markdown.encode_utf16().count() < 60_000 {
        let (heading, first) = (report.word("Heading"), report.word("Plain"));
        report.line(&format!(
            "## {heading} of round {round}\n\nIt said {first}, with 👩\u{200d}👩\u{200d}👧 and 🇦🇹 e\u{301},"
        ));
        let (bold, italic, strike) = (report.word("Bold"), report.word("Italic"), report.word("Strike"));
        report.line(&format!("then **{bold}**, *{italic}*, ~~{strike}~~ 🎉, `some code`"));
        let (label, code, end) = (report.word("Link"), report.word("Code"), report.word("Plain"));
        report.line(&format!("and [{label} in words](https://example.com/{round}?a=1&b=(2)) `{code}` {end}."));
        report.line("");
        let words: Vec<String> = (0..round % 7 * 40).map(|_| report.word("Bold")).collect();
        if !words.is_empty() {
            report.line(&format!("**{}**\n", words.join(" ")));
        }
        report.line("```rust");
        for _ in 0..[3, 40, 200][round % 3] {
            let code = report.word("Code");
            report.line(&format!("let {code} = \"a < b && c\"; // `*x*`"));
        }
        report.line("```\n");
        report.line("| name | what | how much |\n|---|:--|--:|");
        for _ in 0..[4, 40][round % 2] {
            let (first, second, third) = (report.word("Cell"), report.word("Cell"), report.word("Cell"));
            report.line(&format!("| {first} | {second} and | {third} |"));
        }
        report.line("");
        for _ in 0..12 {
            let (outer, inner, deep) = (report.word("Item"), report.word("Item"), report.word("Item"));
            report.line(&format!("- {outer} of the list"));
            report.line(&format!("  - {inner} within 🎈"));
            let _ = writeln!(report.markdown, "    1. {deep}");
            if round % 4 == 1 {
                let code = report.word("Code");
                report.line(&format!("\n       ```\n       {code}\n       ```\n"));
            }
        }
        // One item longer than a message: it is cut between the items inside it.
        for _ in 0..[0, 120][round % 2] {
            let inner = report.word("Item");
            report.line(&format!("    - {inner} is one of very many inside one item"));
        }
        report.line("");
        let quote = report.word("Quote");
        report.line(&format!("> {quote} was said\n> twice.\n"));
        round += 1;
    }
    report
}

/// Where it goes, how its messages are read, and the largest message.
type Case = (&'static str, &'static str, fn(&str) -> Shown, usize);

const CASES: [Case; 8] = [
    ("telegram", "-1001234567890", html, 300),
    ("slack", "C1234567890", mrkdwn, 4000),
    ("discord", "channel:5", markdown, 2000),
    ("whatsapp", "+15551234567", whatsapp, 4000),
    ("mattermost", "abcdefghijklmnopqrstuvwxyz", markdown, 4000),
    ("signal", "+15551234567", signal, 4000),
    ("imessage", "chat_guid:iMessage;-;+15551234567", plain, 4000),
    ("console", "ops", markdown, 100_000),
];

#[tokio::test]
async fn a_long_report_arrives_in_every_channel_in_order_and_well_formed() {
    let report = report();
    assert!(report.markdown.encode_utf16().count() >= 60_000);
    for case in CASES {
        deliver(&report, case, None).await;
    }
}

/// As small as some account's `textChunkLimit` makes them, and at Telegram's own size.
#[tokio::test]
async fn the_report_arrives_in_messages_of_other_sizes_too() {
    let report = report();
    deliver(&report, ("telegram", "-1001234567890", html, 4000), Some(4000)).await;
    for (name, to, read, _) in CASES.into_iter().filter(|(name, ..)| *name != "console") {
        deliver(&report, (name, to, read, 700), Some(700)).await;
    }
}

async fn deliver(report: &Report, (name, to, read, limit): Case, configured: Option<u32>) {
    let server = Server::routing(|_, _| taken()).await;
    let mut config = config(&server.url);
    if let Some(account) = config.channels.get_mut(name).and_then(|channel| channel.accounts.get_mut("default")) {
        account.text_chunk_limit = configured.or(account.text_chunk_limit);
    }
    let open = opener(Arc::new(SystemClock), Some(server.url.clone()));
    let channel = open.open(&config, name, None).await.unwrap();
    for body in channel.render(&report.markdown) {
        send(&*channel, to, None, &body).await.unwrap();
    }
    let sent: Vec<String> = server.asked().iter().map(|asked| text_of(name, asked)).collect();
    assert!(sent.len() > 1 || name == "console", "{name}");
    let mut looks: Vec<(String, Looks)> = Vec::new();
    for message in &sent {
        let size = message.encode_utf16().count();
        assert!(size <= limit, "{name}: {size} units");
        assert!(!message.trim().is_empty(), "{name}");
        assert!(!message.starts_with(['\u{200d}', '\u{301}', '\u{fe0f}']), "{name}: {message:?}");
        looks.extend(words_of(&read(message)));
    }
    let found: Vec<&str> = looks.iter().map(|(word, _)| word.as_str()).collect();
    let differs = found.iter().zip(&report.words).find(|(found, word)| found != word);
    assert_eq!(differs, None, "{name}: something is lost, doubled or out of order");
    assert_eq!(found.len(), report.words.len(), "{name}");
    let wrong: BTreeMap<&str, &Looks> = looks
        .iter()
        .filter(|(word, looks)| !looks_right(name, word, looks))
        .map(|(word, looks)| (word.as_str(), looks))
        .collect();
    assert!(wrong.is_empty(), "{name}: {} words look wrong: {wrong:?}", wrong.len());
}

/// Every channel's good answer in one.
fn taken() -> Act {
    let message = json!({ "message_id": 1, "guid": "g" });
    let body = json!({
        "ok": true, "result": message, "ts": "1.2", "id": "1", "messages": [{ "id": "w" }], "timestamp": "1",
        "data": message, "messageId": "c",
    });
    Act::Answer(200, "", body.to_string())
}

fn text_of(name: &str, asked: &Asked) -> String {
    let body = asked.json();
    let text = match name {
        "telegram" | "slack" | "console" => &body["text"],
        "discord" => &body["content"],
        "whatsapp" => &body["text"]["body"],
        _ => &body["message"],
    };
    text.as_str().unwrap().to_owned()
}

/// The report's own words, each with what all of its letters stand in.
fn words_of(shown: &Shown) -> Vec<(String, Looks)> {
    let mut words: Vec<(String, Looks)> = Vec::new();
    let mut word = String::new();
    let mut looks: Option<Looks> = None;
    for (char, styles) in shown.iter().cloned().chain([(' ', Looks::new())]) {
        if char.is_ascii_alphanumeric() {
            word.push(char);
            looks = Some(looks.map_or(styles.clone(), |looks| looks.intersection(&styles).cloned().collect()));
            continue;
        }
        let digits = word.len() - word.trim_end_matches(|char: char| char.is_ascii_digit()).len();
        let looks = looks.take().unwrap_or_default();
        if digits == 6 && word.starts_with(|char: char| char.is_ascii_uppercase()) {
            words.push((word.clone(), looks));
        }
        word.clear();
    }
    words
}

/// Whether a word stands in what its first letters say, and in nothing else that changes its looks.
fn looks_right(name: &str, word: &str, looks: &Looks) -> bool {
    let kind = word.trim_end_matches(|char: char| char.is_ascii_digit());
    let has = |style: &str| looks.iter().any(|one| one.split(' ').next() == Some(style));
    let only = |wanted: &[&str]| {
        let known = ["bold", "italic", "strike", "code", "link"];
        known.iter().all(|style| has(style) == wanted.contains(style))
    };
    let is_markdown = ["discord", "mattermost", "console"].contains(&name);
    match (name, kind) {
        ("imessage", _) => looks.is_empty(),
        (_, "Bold") | ("slack" | "whatsapp" | "signal", "Heading") => only(&["bold"]),
        (_, "Italic") => only(&["italic"]),
        (_, "Strike") => only(&["strike"]),
        ("whatsapp" | "signal", "Link") => only(&[]),
        (_, "Link") => only(&["link"]) && looks.iter().any(|style| style.starts_with("link https://example.com/")),
        ("whatsapp" | "signal", "Cell") => only(&[]) || only(&["bold"]),
        ("mattermost" | "console", "Cell") => only(&[]) && has("cell"),
        (_, "Code" | "Cell") => only(&["code"]),
        (_, "Item") => only(&[]) && (has("item") || !is_markdown),
        (_, "Quote") => only(&[]) && (has("quote") || name == "signal"),
        (_, _) => only(&[]),
    }
}
