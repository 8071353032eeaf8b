//! Webhooks.

use std::sync::Arc;

use chrono::TimeDelta;
use nightshift_domain::signing::verify;
use nightshift_engine::ports::{Channels, SendErrorKind};
use nightshift_engine::{Clock, SystemClock};

use crate::server::{Act, Server, nobody};
use crate::{channel, failure, opener, send};

const EVENT: &str = r#"{"type":"run.finished", "text":"private words"}"#;
const KEY: &str = "job_20261120T070000Z-final-0";

#[tokio::test]
async fn the_event_is_posted_as_it_is_with_its_key_and_a_signature_over_exactly_that_body() {
    let server = Server::new(vec![
        Act::Answer(204, "", String::new()),
        Act::Answer(200, "x-request-id: req-7\r\n", "ignored".to_owned()),
    ])
    .await;
    let webhook = channel("webhook", &server.url).await;
    let rendered = webhook.render(EVENT);
    assert_eq!(rendered.len(), 1);
    let to = format!("{}/hooks/T0KEN?x=1", server.url);
    assert_eq!(send(&*webhook, &to, None, &rendered[0]).await.unwrap().message_id, KEY);
    assert_eq!(send(&*webhook, &to, None, &rendered[0]).await.unwrap().message_id, "req-7");
    for asked in server.asked() {
        assert_eq!((asked.method.as_str(), asked.path.as_str()), ("POST", "/hooks/T0KEN?x=1"));
        assert_eq!(asked.text, EVENT);
        assert_eq!(asked.header("content-type"), Some("application/json"));
        assert_eq!(asked.header("idempotency-key"), Some(KEY));
        let signature = asked.header("nightshift-signature").unwrap();
        let now = SystemClock.now().timestamp();
        assert_eq!(verify(b"signing-secret", signature, EVENT.as_bytes(), now, 60), Ok(()));
    }
    assert_eq!(webhook.dedupes(), Some(TimeDelta::hours(24)));
}

#[tokio::test]
async fn without_a_configured_secret_there_is_no_signature() {
    let server = Server::new(vec![Act::Answer(200, "", String::new())]).await;
    let mut config = crate::config(&server.url);
    config.cron.webhook_secret = None;
    let webhook = opener(Arc::new(SystemClock), None).open(&config, "webhook", None).await.unwrap();
    send(&*webhook, &server.url, None, &webhook.render(EVENT)[0]).await.unwrap();
    assert_eq!(server.asked()[0].header("nightshift-signature"), None);
}

#[tokio::test]
async fn each_answer_says_what_became_of_the_event() {
    use SendErrorKind::{NotTaken, Refused, Unknown};
    let answer = |status, headers| Act::Answer(status, headers, "private words".to_owned());
    for (act, kind, wait) in [
        (answer(429, "retry-after: 7\r\n"), NotTaken, Some(7)),
        (answer(429, ""), NotTaken, None),
        (answer(425, ""), NotTaken, None),
        (answer(503, "retry-after: 5\r\n"), NotTaken, Some(5)),
        (answer(503, ""), Unknown, None),
        (answer(408, ""), Unknown, None),
        (answer(500, ""), Unknown, None),
        (answer(502, ""), Unknown, None),
        (Act::Drop, Unknown, None),
        (answer(400, ""), Refused, None),
        (answer(401, ""), Refused, None),
        (answer(404, ""), Refused, None),
        (answer(410, ""), Refused, None),
        (answer(302, "location: http://127.0.0.1:1/\r\n"), Refused, None),
        (answer(307, "location: /again\r\n"), Refused, None),
    ] {
        let server = Server::new(vec![act.clone()]).await;
        let webhook = channel("webhook", &server.url).await;
        let (found, waits, message) =
            failure(send(&*webhook, &format!("{}/hooks/T0KEN", server.url), None, &webhook.render(EVENT)[0]).await);
        assert_eq!((found, waits), (kind, wait), "{act:?}: {message}");
        assert!(!message.contains("T0KEN"), "{message}");
        assert_eq!(server.asked().len(), 1, "{act:?}");
    }
    let webhook = channel("webhook", "").await;
    assert_eq!(failure(send(&*webhook, &nobody().await, None, &webhook.render(EVENT)[0]).await).0, NotTaken);
}

#[tokio::test]
async fn an_internal_or_unreadable_address_is_refused_when_the_job_is_checked() {
    let webhook = channel("webhook", "").await;
    for to in [
        "",
        "ftp://example.com",
        "https://user:pw@example.com/",
        "http://example.com/",
        "https://10.0.0.1/x",
        "https://[::1]/",
    ] {
        let error = webhook.target(to, None).unwrap_err().to_string();
        assert!(error.starts_with("cron webhook delivery requires delivery.to to be a valid http(s) URL"), "{error}");
    }
    let target = webhook.target(" https://example.com/hook ", Some("ignored")).unwrap();
    assert_eq!((target.to.as_str(), target.thread), ("https://example.com/hook", None));
}
