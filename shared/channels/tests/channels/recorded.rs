//! The recorded targets, sent for real: the same chat or channel, and the same thread.

use serde_json::{Value, json};

use crate::server::Server;
use crate::{TOKEN, channel, send, text};

/// Cases in which something else is sent on purpose, and why.
const OTHER: [(&str, &str); 4] = [
    ("@mychannel", "sent to the name itself, which sendMessage takes, without asking for its number first"),
    ("slack:channel:C1234567890", "read as the channel; the recorded call posts to a channel of that whole name"),
    ("CHANNEL:C1234567890", "read as the channel; the recorded call posts to a channel of that whole name"),
    ("channel:", "refused; the recorded call posts to a channel of that name"),
];

#[tokio::test]
async fn every_recorded_target_is_sent_where_it_was_recorded() {
    let document: Value = serde_json::from_str(include_str!("../vectors/targets.json")).unwrap();
    let mut differing = Vec::new();
    for case in document["endToEnd"].as_array().unwrap() {
        let (name, to) = (case["channel"].as_str().unwrap(), case["to"].as_str().unwrap());
        let recorded = case["http"].as_array().and_then(|calls| calls.last());
        let sent = sent(name, to).await;
        let expected = recorded.map(|call| {
            let path = call["path"].as_str().unwrap().replace("<TOKEN>", TOKEN);
            (path, place(&call["body"]))
        });
        if sent != expected {
            differing.push(to.to_owned());
        }
    }
    assert_eq!(differing, OTHER.map(|(to, _)| to));
}

/// The path and the place a target leads to; nothing when it is refused before anything is sent.
async fn sent(name: &str, to: &str) -> Option<(String, Value)> {
    let answer = match name {
        "telegram" => json!({ "ok": true, "result": { "message_id": 1 } }),
        _ => json!({ "ok": true, "ts": "1.2" }),
    };
    let server = Server::answering(200, &answer).await;
    let channel = channel(name, &server.url).await;
    channel.target(to, None).ok()?;
    // The answer names no topic, so a message to one is reported as misplaced; what was asked is what counts here.
    let _ = send(&*channel, to, None, &text("ping")).await;
    let asked = server.asked().into_iter().next().unwrap();
    Some((asked.path.clone(), place(&asked.json())))
}

fn place(body: &Value) -> Value {
    let fields = ["chat_id", "message_thread_id", "direct_messages_topic_id", "channel", "thread_ts"];
    fields
        .iter()
        .filter_map(|field| Some(((*field).to_owned(), body.get(field)?.clone())))
        .collect::<serde_json::Map<_, _>>()
        .into()
}
