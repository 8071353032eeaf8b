//! Slack.

use nightshift_engine::ports::SendErrorKind;
use serde_json::{Value, json};

use crate::server::{Act, Server, nobody};
use crate::{TOKEN, channel, failure, send, text};

fn error(name: &str) -> Act {
    Act::Answer(200, "", json!({ "ok": false, "error": name, "needed": "chat:write" }).to_string())
}

fn taken() -> Value {
    json!({ "ok": true, "channel": "C1234567890", "ts": "1700000000.000119", "message": {} })
}

#[tokio::test]
async fn a_message_is_posted_once_with_its_channel_and_thread_and_no_previews() {
    let server = Server::answering(200, &taken()).await;
    let slack = channel("slack", &server.url).await;
    let sent = send(&*slack, "channel:c1234567890", Some("1700000000.000100"), &text("*hi*")).await.unwrap();
    assert_eq!(sent.message_id, "1700000000.000119");
    send(&*slack, "<@U1234567890>", None, &text("x")).await.unwrap();
    let asked = server.asked();
    assert_eq!((asked[0].method.as_str(), asked[0].path.as_str()), ("POST", "/api/chat.postMessage"));
    assert_eq!(asked[0].header("authorization"), Some(format!("Bearer {TOKEN}").as_str()));
    assert_eq!(
        asked[0].json(),
        json!({ "channel": "C1234567890", "text": "*hi*", "thread_ts": "1700000000.000100", "unfurl_links": false })
    );
    assert_eq!(asked[1].json(), json!({ "channel": "U1234567890", "text": "x", "unfurl_links": false }));
    assert_eq!(slack.dedupes(), None);
}

#[tokio::test]
async fn each_answer_says_what_became_of_the_message() {
    use SendErrorKind::{NotTaken, Refused, Unknown};
    let limited = json!({ "ok": false, "error": "ratelimited" }).to_string();
    for (act, kind, wait, part) in [
        (error("channel_not_found"), Refused, None, "invite the bot"),
        (error("not_in_channel"), Refused, None, "invite the bot"),
        (error("is_archived"), Refused, None, "is_archived"),
        (error("invalid_auth"), Refused, None, "channels.slack.accounts.default"),
        (error("missing_scope"), Refused, None, "chat:write"),
        (error("msg_too_long"), Refused, None, "msg_too_long"),
        (error("internal_error"), Unknown, None, "may have taken"),
        (error("fatal_error"), Unknown, None, "may have taken"),
        (error("service_unavailable"), Unknown, None, "may have taken"),
        (Act::Answer(200, "retry-after: 30\r\n", limited.clone()), NotTaken, Some(30), "rate-limiting"),
        (Act::Answer(429, "retry-after: 3\r\n", limited), NotTaken, Some(3), "rate-limiting"),
        (Act::Answer(500, "", String::new()), Unknown, None, "500"),
        (Act::Answer(403, "", String::new()), Refused, None, "403"),
        (Act::Answer(200, "", "<html>".to_owned()), Unknown, None, "no id"),
        (Act::Answer(200, "", json!({ "ok": true }).to_string()), Unknown, None, "no id"),
        (Act::Drop, Unknown, None, "lost"),
    ] {
        let server = Server::new(vec![act.clone()]).await;
        let slack = channel("slack", &server.url).await;
        let (found, waits, message) = failure(send(&*slack, "C1234567890", None, &text("private words")).await);
        assert_eq!((found, waits), (kind, wait), "{act:?}: {message}");
        assert!(message.contains(part), "{act:?}: {message}");
        assert_eq!(server.asked().len(), 1, "{act:?}");
    }
    let slack = channel("slack", &nobody().await).await;
    assert_eq!(failure(send(&*slack, "C1234567890", None, &text("x")).await).0, NotTaken);
}

#[tokio::test]
async fn markdown_becomes_mrkdwn_in_messages_of_four_thousand_units() {
    let slack = channel("slack", "http://127.0.0.1:1").await;
    let rendered = slack.render("# Report\n\n**All** [well](https://e.io) & _good_");
    assert_eq!(rendered[0].text, "*Report*\n\n*All* <https://e.io|well> &amp; _good_");
    assert_eq!(rendered[0].plain, None);
    let messages = slack.render(&"word ".repeat(1800));
    assert_eq!(messages.len(), 3);
    assert!(messages.iter().all(|message| message.text.len() <= 4000));
}
