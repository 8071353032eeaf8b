//! The recorded targets, sent for real: the same chat or channel, and the same thread.

use serde_json::{Value, json};

use crate::server::{Act, Asked, Server};
use crate::{TOKEN, channel, send, text};

/// Cases in which something else is sent on purpose, and why.
const OTHER: [(&str, &str, &str); 9] = [
    ("telegram", "@mychannel", "sent to the name itself, which sendMessage takes, without asking for its number first"),
    (
        "slack",
        "slack:channel:C1234567890",
        "read as the channel; the recorded call posts to a channel of that whole name",
    ),
    ("slack", "CHANNEL:C1234567890", "read as the channel; the recorded call posts to a channel of that whole name"),
    ("slack", "channel:", "refused; the recorded call posts to a channel of that name"),
    ("discord", "Channel:123", "read as the channel's id; the recorded call posts to a channel of that whole name"),
    (
        "mattermost",
        "@alice",
        "the direct channel with the user of that name; the recorded call takes the name for an id",
    ),
    ("discord", "alice", "refused: no channel is called so; the recorded call posts to a channel with that id"),
    (
        "discord",
        "<#555000000000000555>",
        "read as the channel, as Discord writes it; the recorded call posts to that text",
    ),
    ("discord", "discord:#general", "read as the channel; the recorded call opens a direct message to that text"),
];

#[tokio::test]
async fn every_recorded_target_is_sent_where_it_was_recorded() {
    let document: Value = serde_json::from_str(include_str!("../vectors/targets.json")).unwrap();
    let mut differing = Vec::new();
    for case in document["endToEnd"].as_array().unwrap() {
        let (name, to) = (case["channel"].as_str().unwrap(), case["to"].as_str().unwrap());
        let calls: Vec<(String, Value)> = case["http"].as_array().into_iter().flatten().map(recorded).collect();
        // The message, and how the place was asked for where there is a choice.
        let expected = (calls.last().cloned(), calls.iter().find(|call| is_opening(&call.0)).cloned());
        if sent(name, to).await != expected {
            differing.push((name, to));
        }
    }
    assert_eq!(differing, OTHER.map(|(name, to, _)| (name, to)));
}

fn recorded(call: &Value) -> (String, Value) {
    let path = call["path"].as_str().unwrap().replace("<TOKEN>", TOKEN);
    (path, place(&call["body"]))
}

/// Opens a direct message.
fn is_opening(path: &str) -> bool {
    path.ends_with("/users/@me/channels") || path.ends_with("/channels/direct")
}

/// The path and the place of the message, and of what opened it a channel; nothing when it is refused.
async fn sent(name: &str, to: &str) -> (Option<(String, Value)>, Option<(String, Value)>) {
    let server = Server::routing(|_, asked| answer(asked)).await;
    let channel = channel(name, &server.url).await;
    if channel.target(to, None).is_err() {
        return (None, None);
    }
    // The answer names no topic, so a message to one is reported as misplaced; what was asked is what counts here.
    let _ = send(&*channel, to, None, &text("ping")).await;
    let asked: Vec<(String, Value)> = server
        .asked()
        .iter()
        .filter(|asked| asked.method == "POST")
        .map(|asked| (asked.path.replace("/chat/api/v4", "/api/v4"), place(&asked.json())))
        .collect();
    (asked.last().cloned(), asked.iter().find(|call| is_opening(&call.0)).cloned())
}

/// What the recorded providers answered.
fn answer(asked: &Asked) -> Act {
    let path = asked.path.split("/api/v").last().unwrap();
    let body = match path.split_once('/').map_or(path, |(_, rest)| rest) {
        "users/@me/channels" => json!({ "id": "999000999000999000" }),
        "users/@me/guilds" => json!([{ "id": "500000000000000005" }]),
        "guilds/500000000000000005/channels" => json!([
            { "id": "555000000000000555", "name": "general", "type": 0 }, { "id": "6", "name": "general", "type": 2 },
        ]),
        "users/me" => json!({ "id": "mebtmebtmebtmebtmebtmebtme" }),
        "users/username/alice" => json!({ "id": "alicealicealicealicealicea" }),
        "channels/direct" => json!({ "id": "dmdmdmdmdmdmdmdmdmdmdmdmdm" }),
        "users/mebtmebtmebtmebtmebtmebtme/teams" => json!([{ "id": "teamteamteamteamteamteamte" }]),
        "teams/teamteamteamteamteamteamte/channels/name/town-square" => json!({ "id": "chanchanchanchanchanchanch" }),
        _ => json!({ "ok": true, "ts": "1.2", "result": { "message_id": 1 }, "id": "1", "timestamp": "1" }),
    };
    Act::Answer(200, "", body.to_string())
}

fn place(body: &Value) -> Value {
    let fields = [
        "chat_id",
        "message_thread_id",
        "direct_messages_topic_id",
        "channel",
        "thread_ts",
        "channel_id",
        "root_id",
        "recipients",
        "recipient_id",
        "number",
        "flags",
        "enforce_nonce",
    ];
    if body.is_array() {
        return body.clone();
    }
    fields
        .iter()
        .filter_map(|field| Some(((*field).to_owned(), body.get(field)?.clone())))
        .collect::<serde_json::Map<_, _>>()
        .into()
}
