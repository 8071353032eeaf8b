//! Tools the user declares, against a receiver that checks what it is sent.

use bytes::Bytes;
use chrono::TimeDelta;
use nightshift_domain::signing::{SIGNATURE_HEADER, TOLERANCE_SECONDS, verify};
use serde_json::{Value, json};

use super::{World, world};
use crate::clock::Clock;
use crate::ports::{WebAnswer, WebFault, WebFaultKind, WebMethod, WebRequest};
use crate::tools::{Answer, timeout_of};

fn config(secret: Option<&str>) -> Value {
    json!({ "webhookTools": { "ticket_create": {
        "description": "Opens a ticket.", "url": "https://tickets.example/new", "secret": secret, "timeoutSeconds": 20,
        "inputSchema": { "type": "object", "required": ["title"], "additionalProperties": false,
            "properties": { "title": { "type": "string" }, "n": { "type": "integer" } } } } } })
}

fn answer(status: u16, content_type: &str, body: &'static str) -> WebAnswer {
    WebAnswer {
        status,
        content_type: Some(content_type.to_owned()),
        url: "https://tickets.example/new".to_owned(),
        body: Bytes::from(body),
        truncated: false,
        retry_after: None,
    }
}

async fn called(world: &World, answer: Result<WebAnswer, WebFault>) -> Answer {
    let run = world.run(json!({ "mode": "none" }), None).await;
    world.pages.answers(answer);
    world.call(&run, "ticket_create", json!({ "title": "Broken", "n": 1 })).await
}

fn header<'a>(request: &'a WebRequest, name: &str) -> Option<&'a str> {
    let mut found = request.headers.iter().filter(|(each, _)| each.eq_ignore_ascii_case(name));
    let value = found.next().map(|(_, value)| value.as_str());
    assert!(found.next().is_none(), "{name} is there twice");
    value
}

#[tokio::test]
async fn the_receiver_gets_the_call_once_with_its_key_and_a_signature_it_can_verify() {
    let world = world(&config(Some("env:KEY")));
    let told = called(&world, Ok(answer(201, "application/json", r#"{"ticket": 7}"#))).await;
    assert_eq!(told, Answer::ok(r#"{"ticket": 7}"#));
    let asked = world.pages.asked.lock().unwrap();
    let [(_, request, deadline)] = asked.as_slice() else { panic!("{asked:?}") };
    assert_eq!((request.method, request.url.as_str()), (WebMethod::Post, "https://tickets.example/new"));
    assert_eq!(request.most_bytes, 1024 * 1024);
    assert_eq!(*deadline, world.clock.now() + TimeDelta::seconds(60), "the call's own deadline");
    assert_eq!(timeout_of("ticket_create", &world.config), TimeDelta::seconds(20), "which callers set from this");
    assert_eq!(header(request, "content-type"), Some("application/json"));
    assert_eq!(header(request, "idempotency-key"), Some("daily_20261120T073000Z-1-toolu_1"));
    let body: Value = serde_json::from_slice(&request.body).unwrap();
    assert_eq!(
        body,
        json!({ "tool": "ticket_create", "input": { "title": "Broken", "n": 1 },
        "runId": "daily_20261120T073000Z", "jobId": "daily", "agentId": "main", "call": "1-toolu_1" })
    );
    let signature = header(request, SIGNATURE_HEADER).unwrap();
    let now = world.clock.now().timestamp();
    assert_eq!(verify(b"k3y", signature, &request.body, now, TOLERANCE_SECONDS), Ok(()));
    assert!(verify(b"other", signature, &request.body, now, TOLERANCE_SECONDS).is_err());
}

#[tokio::test]
async fn without_a_secret_nothing_is_signed_and_without_its_value_nothing_is_sent() {
    let world = world(&config(None));
    called(&world, Ok(answer(200, "text/plain", "ok"))).await;
    assert_eq!(header(&world.pages.asked.lock().unwrap()[0].1, SIGNATURE_HEADER), None);
    for secret in ["env:GONE", "env:EMPTY"] {
        let world = super::world(&config(Some(secret)));
        let told = called(&world, Ok(answer(200, "text/plain", "ok"))).await;
        assert_eq!(told, Answer::error("nothing was sent: the secret that signs this tool's calls cannot be had"));
        assert!(world.pages.asked.lock().unwrap().is_empty());
    }
}

#[tokio::test]
async fn an_input_that_does_not_fit_the_schema_is_not_sent_and_every_fault_is_told() {
    let world = world(&config(None));
    let run = world.run(json!({ "mode": "none" }), None).await;
    let told = world.call(&run, "ticket_create", json!({ "title": 7, "n": 1.5, "more": 1 })).await;
    assert!(told.is_error && told.text.starts_with("nothing was sent: the input does not fit"), "{told:?}");
    for part in ["/title: want string", "/n: want integer", "'more'"] {
        assert!(told.text.contains(part), "{part}: {told:?}");
    }
    let told = world.call(&run, "ticket_create", json!([])).await;
    assert!(told.is_error && told.text.contains("want object"), "{told:?}");
    assert!(world.pages.asked.lock().unwrap().is_empty());
}

#[tokio::test]
async fn a_schema_that_cannot_be_used_sends_nothing() {
    let mut world = world(&config(None));
    world.config.webhook_tools.get_mut("ticket_create").unwrap().input_schema = json!({ "type": "objekt" });
    let run = world.run(json!({ "mode": "none" }), None).await;
    let told = world.call(&run, "ticket_create", json!({ "title": "x" })).await;
    assert_eq!(told, Answer::error("nothing was sent: the schema this tool is configured with cannot be used"));
    assert!(world.pages.asked.lock().unwrap().is_empty());
}

#[tokio::test]
async fn any_2xx_is_a_success_whatever_its_body_is() {
    let world = world(&config(None));
    for (given, expected) in [
        (answer(204, "text/plain", ""), "ticket_create answered 204 without a body"),
        (answer(200, "text/html", "<p>Done.</p>"), "Done."),
        (
            answer(200, "image/png", "1234"),
            "ticket_create answered 200; its body cannot be shown: it is image/png, 4 bytes, which is no text",
        ),
        (
            WebAnswer { truncated: true, ..answer(200, "text/plain", "abc") },
            "abc\n\n[only the first 3 bytes were read]",
        ),
    ] {
        assert_eq!(called(&world, Ok(given)).await, Answer::ok(expected));
    }
}

#[tokio::test]
async fn every_other_answer_says_whether_it_may_have_taken_effect() {
    let none = "it did not take effect";
    let unknown = "whether it took effect is not known, so do not simply repeat it";
    for (status, effect) in [
        (400, none),
        (401, none),
        (404, none),
        (409, none),
        (422, none),
        (425, none),
        (429, none),
        (408, unknown),
        (500, unknown),
        (502, unknown),
        (503, unknown),
        (504, unknown),
        (302, unknown),
    ] {
        let world = world(&config(None));
        let told = called(&world, Ok(answer(status, "text/plain", " because \n"))).await;
        assert!(told.is_error, "{status}");
        let redirect = if status == 302 { "; redirects are not followed" } else { "" };
        assert_eq!(told.text, format!("ticket_create answered {status}; {effect}{redirect}\n\nbecause"));
    }
}

#[tokio::test]
async fn a_receiver_that_is_busy_says_when_it_may_be_asked_again() {
    for (status, says) in [(425, true), (429, true), (503, true), (500, false), (404, false)] {
        let world = world(&config(None));
        let busy = WebAnswer { retry_after: Some(TimeDelta::seconds(90)), ..answer(status, "text/plain", "") };
        let told = called(&world, Ok(busy)).await;
        let when = "; it asks not to be called again before 2026-11-20T12:01:30Z";
        assert_eq!(told.text.ends_with(when), says, "{status}: {told:?}");
    }
}

#[tokio::test]
async fn a_call_that_never_left_did_not_take_effect_and_a_lost_answer_is_not_known() {
    for (kind, effect) in [
        (WebFaultKind::Refused, "it did not take effect"),
        (WebFaultKind::NotSent, "it did not take effect"),
        (WebFaultKind::Unknown, "whether it took effect is not known, so do not simply repeat it"),
    ] {
        let world = world(&config(None));
        let told = called(&world, Err(WebFault { kind, message: "it is so".to_owned() })).await;
        assert_eq!(told, Answer::error(format!("ticket_create could not be called: it is so; {effect}")));
    }
}

#[tokio::test]
async fn a_receiver_that_hangs_is_given_up_at_the_deadline_and_nobody_knows() {
    let world = world(&config(None));
    let run = world.run(json!({ "mode": "none" }), None).await;
    *world.pages.hangs.lock().unwrap() = true;
    let call = world.call(&run, "ticket_create", json!({ "title": "x" }));
    let pass = async {
        while world.clock.next_wake().is_none() {
            tokio::task::yield_now().await;
        }
        world.clock.advance(TimeDelta::seconds(60));
    };
    let (told, ()) = tokio::join!(call, pass);
    assert_eq!(told, Answer::error("ticket_create did not answer in time; whether it took effect is not known"));
}
