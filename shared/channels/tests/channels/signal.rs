//! Signal.

use nightshift_engine::ports::{Rendered, SendErrorKind};
use serde_json::json;

use crate::server::{Act, Server, nobody};
use crate::{TOKEN, channel, failure, send, text};

const PLACE: &str = "+15551234567";

fn error(status: u16, error: &str) -> Act {
    Act::Answer(status, "", json!({ "error": error }).to_string())
}

#[tokio::test]
async fn a_message_is_posted_once_with_the_proxys_headers_and_says_whether_it_is_styled() {
    let server = Server::answering(201, &json!({ "timestamp": "1700000000123" })).await;
    let signal = channel("signal", &server.url).await;
    let sent = send(&*signal, "signal:group:AbCdEf+/==", None, &text("hi")).await.unwrap();
    assert_eq!(sent.message_id, "1700000000123");
    let styled = Rendered { text: "**hi**".to_owned(), plain: Some("hi".to_owned()), media: None };
    send(&*signal, "u:Alice.01", None, &styled).await.unwrap();
    let asked = server.asked();
    assert_eq!((asked[0].method.as_str(), asked[0].path.as_str()), ("POST", "/v2/send"));
    assert_eq!((asked[0].header("authorization"), asked[0].header("x-site")), (Some(TOKEN), Some("home")));
    assert_eq!(
        asked[0].json(),
        json!({ "message": "hi", "number": "+15550001111", "recipients": ["group.QWJDZEVmKy89PQ=="] })
    );
    assert_eq!(
        asked[1].json(),
        json!({ "message": "**hi**", "number": "+15550001111", "recipients": ["alice.01"], "text_mode": "styled" })
    );
    assert_eq!(signal.dedupes(), None);
}

#[tokio::test]
async fn each_answer_says_what_became_of_the_message() {
    use SendErrorKind::{NotTaken, Refused, Unknown};
    let challenge = json!({ "error": "Rate limit", "challenge_tokens": ["t"], "account": "+15550001111" }).to_string();
    for (act, kind, wait, part) in [
        (error(400, "Unregistered user \"+15551234567\""), Refused, None, "not registered"),
        (error(400, "Invalid group id"), Refused, None, "Invalid group id"),
        (error(400, "Failed to send message: Network failure"), Unknown, None, "may have sent"),
        (Act::Answer(429, "", challenge), Refused, None, "captcha"),
        (Act::Answer(429, "retry-after: 4\r\n", String::new()), NotTaken, Some(4), "rate-limiting"),
        (Act::Answer(401, "", String::new()), Refused, None, "channels.signal.accounts.default"),
        (Act::Answer(500, "", String::new()), Unknown, None, "may have sent"),
        (Act::Answer(201, "", "{}".to_owned()), Unknown, None, "no timestamp"),
        (Act::Drop, Unknown, None, "lost"),
    ] {
        let server = Server::new(vec![act.clone()]).await;
        let signal = channel("signal", &server.url).await;
        let (found, waits, message) = failure(send(&*signal, PLACE, None, &text("private words")).await);
        assert_eq!((found, waits), (kind, wait), "{act:?}: {message}");
        assert!(message.contains(part), "{act:?}: {message}");
        assert_eq!(server.asked().len(), 1, "{act:?}");
    }
    let signal = channel("signal", &nobody().await).await;
    assert_eq!(failure(send(&*signal, PLACE, None, &text("x")).await).0, NotTaken);
    assert!(signal.target(PLACE, Some("5")).unwrap_err().to_string().contains("no threads"));
}
