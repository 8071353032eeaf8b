//! iMessage.

use nightshift_engine::ports::SendErrorKind;
use serde_json::{Value, json};

use crate::server::{Act, Asked, Server, nobody};
use crate::{channel, failure, send, text};

const CHAT: &str = "chat_guid:iMessage;+;chat123";
const QUERY: &str = "password=open+%26+shut%3F";

fn taken() -> Value {
    json!({ "status": 200, "message": "Message sent!", "data": { "guid": "G-1" } })
}

fn error(status: u16, message: &str) -> Act {
    let body = json!({ "status": status, "message": "Not good", "error": { "type": "Error", "message": message } });
    Act::Answer(status, "", body.to_string())
}

/// A server with some chats, which takes everything.
fn answer(asked: &Asked) -> Act {
    let chats = json!([
        { "originalROWID": 7, "guid": "iMessage;+;chat700", "chatIdentifier": "chat700" },
        { "originalROWID": 8, "guid": "SMS;-;+15551234567", "chatIdentifier": "+15551234567" },
        { "originalROWID": 9, "guid": "iMessage;-;+15551234567", "chatIdentifier": "+15551234567" },
        { "originalROWID": 10, "guid": "any;-;user@example.com", "chatIdentifier": "user@example.com" },
    ]);
    let body = match asked.path.split('?').next().unwrap() {
        "/api/v1/chat/query" => json!({ "status": 200, "data": chats }),
        "/api/v1/chat/new" => json!({ "status": 200, "data": { "guid": "c", "messages": [{ "guid": "G-2" }] } }),
        _ => taken(),
    };
    Act::Answer(200, "", body.to_string())
}

#[tokio::test]
async fn a_message_is_posted_once_with_the_password_in_the_query_and_a_guid_that_is_the_same_for_every_try() {
    let server = Server::answering(200, &taken()).await;
    let imessage = channel("imessage", &server.url).await;
    for _ in 0..2 {
        assert_eq!(send(&*imessage, CHAT, None, &text("hi")).await.unwrap().message_id, "G-1");
    }
    let asked = server.asked();
    assert_eq!((asked[0].method.as_str(), asked[0].path.clone()), ("POST", format!("/api/v1/message/text?{QUERY}")));
    let own = asked[0].json()["tempGuid"].as_str().unwrap().to_owned();
    assert_eq!(own.split('-').map(str::len).collect::<Vec<_>>(), [8, 4, 4, 4, 12]);
    let body = json!({ "chatGuid": "iMessage;+;chat123", "tempGuid": own, "message": "hi", "method": "apple-script" });
    assert_eq!((asked[0].json(), asked[1].json()), (body.clone(), body));
    assert_eq!((asked.len(), imessage.dedupes()), (2, None));
}

#[tokio::test]
async fn a_chat_or_person_is_found_among_the_chats_and_a_person_without_one_gets_one() {
    let server = Server::routing(|_, asked| answer(asked)).await;
    let imessage = channel("imessage", &server.url).await;
    for (to, guid) in [
        ("chat_id:7", "iMessage;+;chat700"),
        ("chat700", "iMessage;+;chat700"),
        ("+1 555 123 4567", "iMessage;-;+15551234567"),
        ("sms:+15551234567", "SMS;-;+15551234567"),
        ("User@Example.com", "any;-;user@example.com"),
    ] {
        send(&*imessage, to, None, &text("x")).await.unwrap();
        assert_eq!(server.asked().last().unwrap().json()["chatGuid"], guid, "{to}");
    }
    assert_eq!(send(&*imessage, "sms:+15550000000", None, &text("x")).await.unwrap().message_id, "G-2");
    let last = server.asked().pop().unwrap();
    assert_eq!(last.path, format!("/api/v1/chat/new?{QUERY}"));
    let body = last.json();
    assert_eq!(
        (&body["addresses"], &body["service"], &body["message"]),
        (&json!(["+15550000000"]), &json!("SMS"), &json!("x"))
    );
    let before = server.asked().len();
    let (kind, _, message) = failure(send(&*imessage, "chat_id:99", None, &text("x")).await);
    assert_eq!((kind, server.asked().len()), (SendErrorKind::Refused, before + 1));
    assert!(message.contains("no chat chat_id:99"), "{message}");
}

#[tokio::test]
async fn each_answer_says_what_became_of_the_message() {
    use SendErrorKind::{NotTaken, Refused, Unknown};
    for (act, kind, wait, part) in [
        (error(401, "Unauthorized"), Refused, None, "channels.imessage.accounts.default"),
        (error(404, "Chat does not exist!"), Refused, None, "Chat does not exist!"),
        (error(400, "A 'message' is required"), Refused, None, "is required"),
        (
            error(400, "Message is already queued to be sent! (Temp GUID: x)"),
            Unknown,
            None,
            "sending this message already",
        ),
        (error(500, "Failed to send message!"), Unknown, None, "may have sent"),
        (Act::Answer(429, "retry-after: 4\r\n", String::new()), NotTaken, Some(4), "rate-limiting"),
        (Act::Answer(200, "", "{}".to_owned()), Unknown, None, "no id"),
        (Act::Drop, Unknown, None, "lost"),
    ] {
        let server = Server::new(vec![act.clone()]).await;
        let imessage = channel("imessage", &server.url).await;
        let (found, waits, message) = failure(send(&*imessage, CHAT, None, &text("private words")).await);
        assert_eq!((found, waits), (kind, wait), "{act:?}: {message}");
        assert!(message.contains(part), "{act:?}: {message}");
        assert_eq!(server.asked().len(), 1, "{act:?}");
    }
    let imessage = channel("imessage", &nobody().await).await;
    assert_eq!(failure(send(&*imessage, CHAT, None, &text("x")).await).0, NotTaken);
    assert!(imessage.target("John Doe", None).is_err());
    assert!(imessage.target(CHAT, Some("1")).is_err());
}
