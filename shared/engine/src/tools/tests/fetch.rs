//! `http_fetch`, one test per outcome.

use bytes::Bytes;
use chrono::TimeDelta;
use serde_json::json;

use super::{World, world};
use crate::clock::Clock;
use crate::ports::{WebAnswer, WebFault, WebFaultKind, WebMethod};
use crate::tools::Answer;

fn page(status: u16, content_type: Option<&str>, body: impl Into<Bytes>) -> WebAnswer {
    WebAnswer {
        status,
        content_type: content_type.map(str::to_owned),
        url: "https://x.example/final".to_owned(),
        body: body.into(),
        truncated: false,
        retry_after: None,
    }
}

async fn fetched(world: &World, answer: Result<WebAnswer, WebFault>) -> Answer {
    let run = world.run(json!({ "mode": "none" }), None).await;
    world.pages.answers(answer);
    world.call(&run, "http_fetch", json!({ "url": "https://x.example/start" })).await
}

#[tokio::test]
async fn a_page_is_asked_for_once_through_the_guard_and_its_text_told_under_its_final_address() {
    let world = world(&json!({ "cron": { "webhookSsrfPolicy": { "allowedHostnames": ["inside.example"] } } }));
    let html = "<!doctype html><title>T</title><h1>Hi</h1><p>See <a href=/a>this</a>";
    let answer = fetched(&world, Ok(page(200, Some("text/html; charset=utf-8"), html))).await;
    let head = "URL: https://x.example/final\nStatus: 200\nContent-Type: text/html; charset=utf-8\n\n";
    assert_eq!(answer, Answer::ok(format!("{head}# Hi\n\nSee [this][1]\n\n[1]: /a")));
    let asked = world.pages.asked.lock().unwrap();
    let [(policy, request, deadline)] = asked.as_slice() else { panic!("{asked:?}") };
    assert_eq!(policy.allowed_hostnames, ["inside.example"]);
    assert_eq!((request.method, request.url.as_str()), (WebMethod::Get, "https://x.example/start"));
    assert_eq!((request.most_bytes, request.body.len()), (2 * 1024 * 1024, 0));
    assert_eq!(*deadline, world.clock.now() + TimeDelta::seconds(60));
}

#[tokio::test]
async fn json_stays_as_it_is_and_a_cut_body_says_so() {
    let world = world(&json!({}));
    let answer = fetched(&world, Ok(page(200, Some("application/json"), "{\"a\":  1}"))).await;
    let head = "URL: https://x.example/final\nStatus: 200\nContent-Type: application/json\n";
    assert_eq!(answer, Answer::ok(format!("{head}\n{{\"a\":  1}}")));
    let cut = WebAnswer { truncated: true, ..page(200, Some("application/json"), "{\"a") };
    let answer = fetched(&world, Ok(cut)).await;
    assert_eq!(answer, Answer::ok(format!("{head}Only the first 3 bytes were read.\n\n{{\"a")));
}

#[tokio::test]
async fn a_file_is_refused_by_its_type_and_size() {
    let world = world(&json!({}));
    let answer = fetched(&world, Ok(page(200, Some("application/pdf"), "%PDF-1.7"))).await;
    assert!(answer.is_error);
    assert!(
        answer.text.ends_with("\n\nthe body cannot be shown: it is application/pdf, 8 bytes, which is no text"),
        "{answer:?}"
    );
}

#[tokio::test]
async fn a_status_that_is_no_success_is_an_error_with_the_beginning_of_the_body() {
    let world = world(&json!({}));
    let long = format!("<p>Not here.</p>{}", "x".repeat(10_000));
    let answer = fetched(&world, Ok(page(404, Some("text/html"), long))).await;
    assert!(
        answer.is_error && answer.text.contains("Status: 404\n") && answer.text.contains("\n\nNot here."),
        "{answer:?}"
    );
    assert!(answer.text.chars().count() < 2_200);
    let answer = fetched(&world, Ok(page(500, Some("image/png"), "1"))).await;
    assert_eq!(answer, Answer::error("URL: https://x.example/final\nStatus: 500\nContent-Type: image/png\n"));
    let answer = fetched(&world, Ok(page(302, None, ""))).await;
    assert!(answer.is_error && answer.text.contains("another address once too often"), "{answer:?}");
}

#[tokio::test]
async fn an_address_that_is_refused_or_does_not_answer_is_an_error_answer() {
    let world = world(&json!({}));
    for (kind, expected) in [
        (WebFaultKind::Refused, "url was not fetched: it is so"),
        (WebFaultKind::NotSent, "url could not be fetched: it is so"),
        (WebFaultKind::Unknown, "url could not be fetched: it is so"),
    ] {
        let answer = fetched(&world, Err(WebFault { kind, message: "it is so".to_owned() })).await;
        assert_eq!(answer, Answer::error(expected));
    }
}

#[tokio::test]
async fn an_input_without_a_usable_url_is_told_by_its_field_and_nothing_is_asked() {
    let world = world(&json!({}));
    let run = world.run(json!({ "mode": "none" }), None).await;
    for (input, expected) in [
        (json!({}), "nothing was done: url is missing"),
        (json!({ "url": null }), "nothing was done: url is missing"),
        (json!({ "url": "" }), "nothing was done: url is empty"),
        (json!({ "url": ["https://x.example"] }), "nothing was done: url is not a string"),
        (
            json!({ "url": "https://x.example", "method": "POST" }),
            "nothing was done: method is not a field of this tool",
        ),
        (json!(["https://x.example"]), "nothing was done: the input is not an object"),
    ] {
        assert_eq!(world.call(&run, "http_fetch", input.clone()).await, Answer::error(expected), "{input}");
    }
    assert!(world.pages.asked.lock().unwrap().is_empty());
}

#[tokio::test]
async fn an_address_that_hangs_is_given_up_at_the_deadline() {
    let world = world(&json!({}));
    let run = world.run(json!({ "mode": "none" }), None).await;
    *world.pages.hangs.lock().unwrap() = true;
    let call = world.call(&run, "http_fetch", json!({ "url": "https://x.example" }));
    let pass = async {
        while world.clock.next_wake().is_none() {
            tokio::task::yield_now().await;
        }
        world.clock.advance(TimeDelta::seconds(60));
    };
    let (answer, ()) = tokio::join!(call, pass);
    assert_eq!(answer, Answer::error("http_fetch did not answer in time"));
}
