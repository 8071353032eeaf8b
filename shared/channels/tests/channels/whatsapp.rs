//! WhatsApp.

use std::sync::Arc;

use nightshift_engine::SystemClock;
use nightshift_engine::ports::{Channels, SendErrorKind};
use serde_json::{Value, json};

use crate::server::{Act, Server, nobody};
use crate::{TOKEN, channel, config, failure, opener, send, text};

const PLACE: &str = "+1 (555) 123-4567";

fn taken() -> Value {
    json!({ "messaging_product": "whatsapp", "contacts": [{ "input": "1", "wa_id": "1" }], "messages": [{ "id": "wamid.X" }] })
}

fn error(status: u16, code: i64) -> Act {
    let error = json!({ "message": "(#1) said so", "type": "OAuthException", "code": code, "error_data": { "details": "more" } });
    Act::Answer(status, "", json!({ "error": error }).to_string())
}

#[tokio::test]
async fn a_message_is_posted_once_from_the_configured_number_with_its_answered_message() {
    let server = Server::answering(200, &taken()).await;
    let whatsapp = channel("whatsapp", &server.url).await;
    let sent = send(&*whatsapp, PLACE, Some("wamid.A"), &text("*hi*")).await.unwrap();
    assert_eq!(sent.message_id, "wamid.X");
    let old = opener(Arc::new(SystemClock), None).open(&config(&server.url), "whatsapp", Some("old")).await.unwrap();
    send(&*old, "whatsapp:15551234567@s.whatsapp.net", None, &text("x")).await.unwrap();
    let asked = server.asked();
    assert_eq!((asked[0].method.as_str(), asked[0].path.as_str()), ("POST", "/v23.0/1001/messages"));
    assert_eq!(asked[0].header("authorization"), Some(format!("Bearer {TOKEN}").as_str()));
    assert_eq!(
        asked[0].json(),
        json!({
            "messaging_product": "whatsapp", "recipient_type": "individual", "to": "15551234567", "type": "text",
            "text": { "preview_url": false, "body": "*hi*" }, "context": { "message_id": "wamid.A" },
        })
    );
    assert_eq!(asked[1].path, "/v20.0/1001/messages");
    assert_eq!(asked[1].json()["context"], Value::Null);
    assert_eq!(whatsapp.dedupes(), None);
}

#[tokio::test]
async fn each_answer_says_what_became_of_the_message() {
    use SendErrorKind::{NotTaken, Refused, Unknown};
    for (act, kind, wait, part) in [
        (error(429, 130_429), NotTaken, None, "rate-limiting this number"),
        (error(400, 80_007), NotTaken, None, "rate-limiting this number"),
        (error(403, 4), NotTaken, None, "rate-limiting this number"),
        (error(400, 131_056), NotTaken, Some(6), "this person"),
        (Act::Answer(429, "retry-after: 9\r\n", String::new()), NotTaken, Some(9), "rate-limiting"),
        (error(401, 190), Refused, None, "channels.whatsapp.accounts.default"),
        (error(401, 0), Refused, None, "channels.whatsapp.accounts.default"),
        (error(403, 10), Refused, None, "may not send"),
        (error(403, 200), Refused, None, "may not send"),
        (error(400, 100), Refused, None, "error 100): more"),
        (error(400, 131_026), Refused, None, "cannot deliver to +15551234567"),
        (error(400, 131_047), Refused, None, "more than 24 hours"),
        (error(400, 131_030), Refused, None, "allowed for testing"),
        (error(403, 368), Refused, None, "blocked the account"),
        (error(500, 131_000), Unknown, None, "may have taken"),
        (error(503, 2), Unknown, None, "may have taken"),
        (error(500, 131_016), Unknown, None, "may have taken"),
        (error(500, 131_047), Unknown, None, "may have taken"),
        (Act::Answer(500, "", String::new()), Unknown, None, "500"),
        (Act::Answer(200, "", "{}".to_owned()), Unknown, None, "no id"),
        (Act::Drop, Unknown, None, "lost"),
    ] {
        let server = Server::new(vec![act.clone()]).await;
        let whatsapp = channel("whatsapp", &server.url).await;
        let (found, waits, message) = failure(send(&*whatsapp, PLACE, None, &text("private words")).await);
        assert_eq!((found, waits), (kind, wait), "{act:?}: {message}");
        assert!(message.contains(part), "{act:?}: {message}");
        assert_eq!(server.asked().len(), 1, "{act:?}");
    }
    let whatsapp = channel("whatsapp", &nobody().await).await;
    assert_eq!(failure(send(&*whatsapp, PLACE, None, &text("x")).await).0, NotTaken);
}

#[tokio::test]
async fn a_group_is_refused_when_the_job_is_checked() {
    let whatsapp = channel("whatsapp", "http://127.0.0.1:1").await;
    for to in ["120363401234567890@g.us", "group:1-2@g.us", "120363401234567890@newsletter"] {
        let error = whatsapp.target(to, None).unwrap_err().to_string();
        assert!(error.contains("cannot send to the group or newsletter"), "{error}");
    }
    assert_eq!(whatsapp.target("15551234567:12@s.whatsapp.net", None).unwrap().to, "+15551234567");
}
