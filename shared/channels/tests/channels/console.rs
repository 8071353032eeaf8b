//! The console.

use nightshift_engine::ports::SendErrorKind;
use serde_json::json;

use crate::server::{Act, Server, nobody};
use crate::{channel, failure, send};

#[tokio::test]
async fn a_message_is_handed_over_as_markdown_under_its_key() {
    let server = Server::answering(200, &json!({ "messageId": "m1" })).await;
    let console = channel("console", &server.url).await;
    let rendered = console.render("**bold**\n\n| a | b |\n");
    assert_eq!(rendered.len(), 1);
    assert_eq!(send(&*console, " ops ", Some("t"), &rendered[0]).await.unwrap().message_id, "m1");
    send(&*console, "", None, &rendered[0]).await.unwrap();
    let asked = server.asked();
    assert_eq!(asked[0].path, "/deliver");
    assert_eq!(
        asked[0].json(),
        json!({ "key": "job_20261120T070000Z-final-0", "channel": "console", "to": "ops", "thread": "t", "text": "**bold**\n\n| a | b |" })
    );
    assert_eq!(asked[1].json()["to"], "default");
    assert!(console.dedupes().unwrap().num_days() >= 36_500);
}

#[tokio::test]
async fn each_answer_says_what_became_of_the_message() {
    use SendErrorKind::{NotTaken, Refused, Unknown};
    for (act, kind, wait) in [
        (Act::Answer(429, "retry-after: 1\r\n", String::new()), NotTaken, Some(1)),
        (Act::Answer(500, "", String::new()), Unknown, None),
        (Act::Answer(200, "", "{}".to_owned()), Unknown, None),
        (Act::Answer(400, "", String::new()), Refused, None),
        (Act::Drop, Unknown, None),
    ] {
        let server = Server::new(vec![act.clone()]).await;
        let console = channel("console", &server.url).await;
        let (found, waits, _) = failure(send(&*console, "x", None, &console.render("private words")[0]).await);
        assert_eq!((found, waits), (kind, wait), "{act:?}");
    }
    let console = channel("console", &nobody().await).await;
    assert_eq!(failure(send(&*console, "x", None, &console.render("x")[0]).await).0, NotTaken);
}

#[tokio::test]
async fn a_text_longer_than_a_message_is_cut_with_its_fences_whole() {
    let console = channel("console", "").await;
    let messages = console.render(&format!("```log\n{}```\n", "line\n".repeat(30_000)));
    assert_eq!(messages.len(), 2);
    for message in messages {
        assert!(message.text.starts_with("```log\nline\n") && message.text.ends_with("line\n```"));
    }
}
