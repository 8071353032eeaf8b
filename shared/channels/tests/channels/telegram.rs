//! Telegram.

use std::sync::Arc;

use chrono::TimeDelta;
use nightshift_engine::ports::{Channels, Outgoing, Rendered, SendErrorKind};
use nightshift_engine::{Clock, ManualClock, SystemClock};
use serde_json::{Value, json};

use crate::server::{Act, Server, nobody};
use crate::{TOKEN, channel, config, failure, opener, send, text};

const CHAT: &str = "-1001234567890";

fn taken(thread: Option<i64>) -> Value {
    json!({ "ok": true, "result": { "message_id": 101, "message_thread_id": thread, "chat": { "id": -1 }, "date": 1 } })
}

fn refusal(description: &str, parameters: &Value) -> String {
    json!({ "ok": false, "error_code": 400, "description": description, "parameters": parameters }).to_string()
}

#[tokio::test]
async fn a_message_is_posted_once_with_its_chat_its_topic_and_its_markup() {
    let server = Server::answering(200, &taken(Some(123))).await;
    let telegram = channel("telegram", &server.url).await;
    let sent =
        send(&*telegram, "telegram:group:-1001234567890:topic:7", Some("123"), &text("<b>hi</b>")).await.unwrap();
    assert_eq!(sent.message_id, "101");
    let asked = server.asked();
    assert_eq!(
        (asked[0].method.as_str(), asked[0].path.as_str()),
        ("POST", format!("/bot{TOKEN}/sendMessage").as_str())
    );
    assert_eq!(
        asked[0].json(),
        json!({ "chat_id": CHAT, "text": "<b>hi</b>", "message_thread_id": 123, "parse_mode": "HTML" })
    );
    assert_eq!(asked.len(), 1);
    assert_eq!(telegram.dedupes(), None);
}

#[tokio::test]
async fn the_general_topic_is_left_out() {
    let server = Server::answering(200, &taken(None)).await;
    let telegram = channel("telegram", &server.url).await;
    for (to, thread) in [("-1001234567890:topic:1", None), (CHAT, Some("1"))] {
        send(&*telegram, to, thread, &text("x")).await.unwrap();
    }
    for asked in server.asked() {
        assert_eq!(asked.json(), json!({ "chat_id": CHAT, "text": "x", "parse_mode": "HTML" }));
    }
}

#[tokio::test]
async fn a_message_that_ended_up_in_another_topic_is_refused_by_name() {
    let server = Server::answering(200, &taken(None)).await;
    let telegram = channel("telegram", &server.url).await;
    let (kind, _, message) = failure(send(&*telegram, CHAT, Some("123"), &text("x")).await);
    assert_eq!(kind, SendErrorKind::Refused);
    assert_eq!(message, "Telegram delivered message 101 to topic unknown; expected topic 123");
}

#[tokio::test]
async fn refused_markup_is_sent_once_more_as_plain_text() {
    let refused = refusal("Bad Request: can't parse entities: Unsupported start tag", &json!({}));
    let server = Server::new(vec![
        Act::Answer(400, "", refused.clone()),
        Act::Answer(200, "", taken(None).to_string()),
        Act::Answer(400, "", refused),
    ])
    .await;
    let telegram = channel("telegram", &server.url).await;
    let body =
        Rendered { text: "<b>private words</b>".to_owned(), plain: Some("private words".to_owned()), media: None };
    assert_eq!(send(&*telegram, CHAT, None, &body).await.unwrap().message_id, "101");
    assert_eq!(server.asked()[1].json(), json!({ "chat_id": CHAT, "text": "private words" }));
    assert_eq!(failure(send(&*telegram, CHAT, None, &body).await).0, SendErrorKind::Refused);
    assert_eq!(server.asked().len(), 4);
}

#[tokio::test]
async fn each_answer_says_what_became_of_the_message() {
    use SendErrorKind::{NotTaken, Refused, Unknown};
    let error = |description: &str| refusal(description, &json!({}));
    for (act, kind, wait, part) in [
        (
            Act::Answer(429, "", refusal("Too Many Requests: retry after 2", &json!({ "retry_after": 2 }))),
            NotTaken,
            Some(2),
            "rate-limiting",
        ),
        (Act::Answer(429, "retry-after: 9\r\n", String::new()), NotTaken, Some(9), "rate-limiting"),
        (
            Act::Answer(400, "", error("Bad Request: chat not found")),
            Refused,
            None,
            "chat not found (chat_id=-1001234567890). Likely: bot not started",
        ),
        (
            Act::Answer(400, "", error("Bad Request: message thread not found")),
            Refused,
            None,
            "message thread not found (topic 5",
        ),
        (
            Act::Answer(400, "", refusal("group chat was upgraded", &json!({ "migrate_to_chat_id": -100_777 }))),
            Refused,
            None,
            "-100777",
        ),
        (Act::Answer(400, "", error("Bad Request: message is too long")), Refused, None, "message is too long"),
        (Act::Answer(401, "", error("Unauthorized")), Refused, None, "channels.telegram.accounts.default"),
        (Act::Answer(403, "", error("Forbidden: bot was blocked by the user")), Refused, None, "add the bot"),
        (Act::Answer(404, "", error("Not Found")), Refused, None, "bot token"),
        (Act::Answer(302, "location: /x\r\n", String::new()), Refused, None, "302"),
        (Act::Answer(500, "", String::new()), Unknown, None, "may have taken"),
        (Act::Answer(502, "", "<html>".to_owned()), Unknown, None, "502"),
        (Act::Answer(200, "", "<html>".to_owned()), Unknown, None, "no id"),
        (Act::Drop, Unknown, None, "lost"),
    ] {
        let server = Server::new(vec![act.clone()]).await;
        let telegram = channel("telegram", &server.url).await;
        let (found, waits, message) = failure(send(&*telegram, CHAT, Some("5"), &text("private words")).await);
        assert_eq!((found, waits), (kind, wait), "{act:?}: {message}");
        assert!(message.contains(part), "{act:?}: {message}");
        assert_eq!(server.asked().len(), 1, "{act:?}");
    }
    let telegram = channel("telegram", &nobody().await).await;
    let (kind, _, message) = failure(send(&*telegram, CHAT, None, &text("private words")).await);
    assert_eq!((kind, message.as_str()), (NotTaken, "no connection to Telegram could be made"));
}

#[tokio::test]
async fn an_answer_that_does_not_come_by_the_deadline_leaves_the_outcome_unknown() {
    let server = Server::new(vec![Act::Hang]).await;
    let clock = ManualClock::new(SystemClock.now());
    let deadline = clock.now() + TimeDelta::seconds(10);
    let telegram = opener(Arc::new(clock.clone()), None).open(&config(&server.url), "telegram", None).await.unwrap();
    let sending = tokio::spawn(async move {
        let target = telegram.target(CHAT, None).unwrap();
        let body = text("x");
        let message = Outgoing { target: &target, body: &body, idempotency_key: "k" };
        let first = telegram.send(&message, deadline).await;
        (first, telegram.send(&message, deadline).await)
    });
    while server.asked().is_empty() {
        tokio::task::yield_now().await;
    }
    clock.advance_to(deadline);
    let (late, too_late) = sending.await.unwrap();
    assert_eq!(failure(late).0, SendErrorKind::Unknown);
    assert_eq!(failure(too_late).0, SendErrorKind::NotTaken);
    assert_eq!(server.asked().len(), 1);
}

#[tokio::test]
async fn markdown_is_rendered_in_messages_of_the_configured_size_with_plain_text_beside_it() {
    let telegram = channel("telegram", "http://127.0.0.1:1").await;
    let rendered = telegram.render("**Hi** [docs](https://e.io)");
    assert_eq!(rendered[0].text, "<b>Hi</b> <a href=\"https://e.io\">docs</a>");
    assert_eq!(rendered[0].plain.as_deref(), Some("Hi docs (https://e.io)"));
    let code = format!("Log:\n\n```sh\n{}```\n\nEnd.", "echo 0123456789\n".repeat(30));
    let messages = telegram.render(&code);
    assert!(messages.len() > 1);
    for message in &messages {
        assert!(message.text.encode_utf16().count() <= 300, "{message:?}");
        assert_eq!(message.text.matches("<pre>").count(), message.text.matches("</pre>").count());
    }
    assert!(messages[1].text.starts_with("<pre><code class=\"language-sh\">echo"));
    assert!(telegram.render(" \n").is_empty());
}

#[tokio::test]
async fn a_thread_that_is_no_number_is_refused_without_the_network() {
    let telegram = channel("telegram", "http://127.0.0.1:1").await;
    for (to, thread) in [(CHAT, Some("x")), (CHAT, Some("-5")), ("@ab", None), ("", None), ("slack:C123", None)] {
        assert!(telegram.target(to, thread).is_err(), "{to} {thread:?}");
    }
    let error = telegram.target("slack:C123", None).unwrap_err();
    assert_eq!(error.to_string(), "Target prefix \"slack:\" belongs to slack, not telegram.");
    let target = telegram.target("https://t.me/my_channel", None).unwrap();
    assert_eq!((target.to.as_str(), target.account.as_str()), ("@my_channel", "default"));
}
