//! Discord.

use chrono::TimeDelta;
use nightshift_engine::ports::SendErrorKind;
use serde_json::{Value, json};

use crate::server::{Act, Server, nobody};
use crate::{TOKEN, channel, failure, send, text};

const PLACE: &str = "channel:123456789012345678";

fn taken(channel: &str) -> Value {
    json!({ "id": "777", "channel_id": channel, "content": "…" })
}

fn error(status: u16, code: i64, message: &str) -> Act {
    Act::Answer(status, "", json!({ "message": message, "code": code }).to_string())
}

#[tokio::test]
async fn a_message_is_posted_once_with_a_nonce_that_is_the_same_for_every_try_and_no_previews() {
    let server = Server::answering(200, &taken("123456789012345678")).await;
    let discord = channel("discord", &server.url).await;
    for _ in 0..2 {
        assert_eq!(send(&*discord, PLACE, None, &text("**hi**")).await.unwrap().message_id, "777");
    }
    let asked = server.asked();
    assert_eq!(
        (asked[0].method.as_str(), asked[0].path.as_str()),
        ("POST", "/api/v10/channels/123456789012345678/messages")
    );
    assert_eq!(asked[0].header("authorization"), Some(format!("Bot {TOKEN}").as_str()));
    let body = asked[0].json();
    let nonce = body["nonce"].as_str().unwrap();
    assert!(nonce.len() == 24 && nonce.bytes().all(|byte| byte.is_ascii_hexdigit()), "{nonce}");
    assert_eq!(body, json!({ "content": "**hi**", "flags": 4, "nonce": nonce, "enforce_nonce": true }));
    assert_eq!(asked[1].json(), body);
    send(&*discord, "channel:9", None, &text("**hi**")).await.unwrap_err();
    assert_ne!(server.asked()[2].json()["nonce"], body["nonce"], "another place, another message");
    assert_eq!(discord.dedupes(), Some(TimeDelta::minutes(2)));
}

#[tokio::test]
async fn a_thread_is_posted_into_by_its_own_id() {
    let server = Server::answering(200, &taken("42")).await;
    let discord = channel("discord", &server.url).await;
    send(&*discord, PLACE, Some("42"), &text("x")).await.unwrap();
    assert_eq!(server.asked()[0].path, "/api/v10/channels/42/messages");
    assert_eq!(server.asked().len(), 1);
}

#[tokio::test]
async fn a_direct_message_is_opened_first_and_a_name_is_looked_up() {
    let server = Server::routing(|_, asked| {
        let body = match asked.path.as_str() {
            "/api/v10/users/@me/channels" => json!({ "id": "999" }),
            "/api/v10/users/@me/guilds" => json!([{ "id": "5" }, { "id": "6" }]),
            "/api/v10/guilds/5/channels" => json!([{ "id": "51", "name": "news", "type": 5 }]),
            "/api/v10/guilds/6/channels" => json!([
                { "id": "61", "name": "general", "type": 0 }, { "id": "62", "name": "news", "type": 0 },
                { "id": "63", "name": "general", "type": 4 },
            ]),
            path => taken(path.split('/').nth(4).unwrap()),
        };
        Act::Answer(200, "", body.to_string())
    })
    .await;
    let discord = channel("discord", &server.url).await;
    send(&*discord, "user:123", None, &text("x")).await.unwrap();
    send(&*discord, "user:123", None, &text("y")).await.unwrap();
    assert_eq!(server.asked().len(), 3, "opened once as long as the channel is open");
    send(&*discord, "#general", None, &text("x")).await.unwrap();
    let asked = server.asked();
    assert_eq!(asked[0].json(), json!({ "recipient_id": "123" }));
    assert_eq!(asked[1].path, "/api/v10/channels/999/messages");
    assert_eq!(asked.last().unwrap().path, "/api/v10/channels/61/messages");
    for (name, part) in [("#news", "2 channels are called \"news\""), ("absent", "no channel is called \"absent\"")] {
        let (kind, _, message) = failure(send(&*discord, name, None, &text("x")).await);
        assert_eq!(kind, SendErrorKind::Refused);
        assert!(message.contains(part), "{message}");
    }
}

#[tokio::test]
async fn each_answer_says_what_became_of_the_message() {
    use SendErrorKind::{NotTaken, Refused, Unknown};
    let limited = json!({ "message": "You are being rate limited.", "retry_after": 1.2, "global": false }).to_string();
    for (act, kind, wait, part) in [
        (Act::Answer(429, "retry-after: 5\r\n", limited), NotTaken, Some(1200), "rate-limiting"),
        (Act::Answer(429, "retry-after: 5\r\n", "<html>".to_owned()), NotTaken, Some(5000), "rate-limiting"),
        (error(401, 0, "401: Unauthorized"), Refused, None, "channels.discord.accounts.default"),
        (error(403, 50013, "Missing Permissions"), Refused, None, "let the bot send"),
        (error(403, 50001, "Missing Access"), Refused, None, "let the bot see"),
        (error(403, 50007, "Cannot send messages to this user"), Refused, None, "share a server"),
        (error(404, 10003, "Unknown Channel"), Refused, None, "Unknown Channel"),
        (error(400, 50035, "Invalid Form Body"), Refused, None, "code 50035"),
        (Act::Answer(302, "location: /x\r\n", String::new()), Refused, None, "302"),
        (Act::Answer(500, "", String::new()), Unknown, None, "may have taken"),
        (Act::Answer(200, "", "{}".to_owned()), Unknown, None, "no id"),
        (Act::Answer(200, "", taken("8").to_string()), Refused, None, "to channel 8; expected 123456789012345678"),
        (Act::Drop, Unknown, None, "lost"),
    ] {
        let server = Server::new(vec![act.clone()]).await;
        let discord = channel("discord", &server.url).await;
        let error = send(&*discord, PLACE, None, &text("private words")).await.unwrap_err();
        let waits = error.retry_after.map(|wait| wait.num_milliseconds());
        let (found, _, message) = failure(Err(error));
        assert_eq!((found, waits), (kind, wait), "{act:?}: {message}");
        assert!(message.contains(part), "{act:?}: {message}");
        assert_eq!(server.asked().len(), 1, "{act:?}");
    }
    let discord = channel("discord", &nobody().await).await;
    assert_eq!(failure(send(&*discord, PLACE, None, &text("x")).await).0, NotTaken);
}

#[tokio::test]
async fn a_place_without_threads_or_a_thread_without_an_id_is_refused_without_the_network() {
    let discord = channel("discord", "http://127.0.0.1:1").await;
    for (to, thread) in [("user:1", Some("2")), (PLACE, Some("general")), ("", None), ("slack:C1", None)] {
        assert!(discord.target(to, thread).is_err(), "{to} {thread:?}");
    }
    let target = discord.target("123", Some(" 7 ")).unwrap();
    assert_eq!((target.to.as_str(), target.thread.as_deref()), ("channel:123", Some("7")));
}
