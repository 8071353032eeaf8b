//! Channel by fault: what became of the message, and how many posts the far side saw.

use std::sync::Arc;

use chrono::TimeDelta;
use nightshift_engine::ports::{Channels, Outgoing, Rendered, SendErrorKind};

use nightshift_engine::{Clock, ManualClock, SystemClock};
use serde_json::{Value, json};

use crate::server::{Act, Asked, Server, nobody};
use crate::{KEY, config, failure, opener};

/// What goes wrong.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Fault {
    /// Too many requests, come back in two seconds, in the channel's own shape.
    RateLimit,
    /// The server fails.
    ServerError,
    /// The token is not known.
    Auth,
    /// The chat does not exist.
    NoChat,
    /// The format is refused.
    Format,
    /// The answer does not come by the deadline.
    Slow,
    /// Nobody listens there.
    NoListener,
    /// The connection is lost when the request has been read.
    Lost,
}

/// What the channel says of it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Became {
    Sent,
    /// Provably not taken, with the wait in seconds that was asked for.
    NotTaken(Option<i64>),
    Refused,
    Unknown,
}

use Became::{NotTaken, Refused, Sent, Unknown};
use Fault::{Auth, Format, Lost, NoChat, NoListener, RateLimit, ServerError, Slow};

const FAULTS: [Fault; 8] = [RateLimit, ServerError, Auth, NoChat, Format, Slow, NoListener, Lost];
const WAIT: Became = NotTaken(Some(2));
const NOT: Became = NotTaken(None);

/// In the order of [`FAULTS`]: what becomes of the message, and the posts that were seen. Two posts are one refused and one
/// without markup, or a repeat that the server knows by its key.
#[rustfmt::skip]
const TABLE: [(&str, [(Became, usize); 8]); 9] = [
    //              rate limit  server error  auth          no chat       format        slow          no listener  lost
    ("telegram",   [(WAIT, 1), (Unknown, 1), (Refused, 1), (Refused, 1), (Sent, 2),    (Unknown, 1), (NOT, 0),    (Unknown, 1)]),
    ("slack",      [(WAIT, 1), (Unknown, 1), (Refused, 1), (Refused, 1), (Refused, 1), (Unknown, 1), (NOT, 0),    (Unknown, 1)]),
    ("discord",    [(WAIT, 1), (Unknown, 1), (Refused, 1), (Refused, 1), (Refused, 1), (Unknown, 1), (NOT, 0),    (Unknown, 1)]),
    ("whatsapp",   [(WAIT, 1), (Unknown, 1), (Refused, 1), (Refused, 1), (Refused, 1), (Unknown, 1), (NOT, 0),    (Unknown, 1)]),
    ("mattermost", [(WAIT, 1), (Unknown, 2), (Refused, 1), (Refused, 1), (Refused, 1), (Unknown, 1), (NOT, 0),    (Unknown, 2)]),
    ("signal",     [(WAIT, 1), (Unknown, 1), (Refused, 1), (Refused, 1), (Refused, 1), (Unknown, 1), (NOT, 0),    (Unknown, 1)]),
    ("imessage",   [(WAIT, 1), (Unknown, 1), (Refused, 1), (Refused, 1), (Refused, 1), (Unknown, 1), (NOT, 0),    (Unknown, 1)]),
    ("webhook",    [(WAIT, 1), (Unknown, 1), (Refused, 1), (Refused, 1), (Refused, 1), (Unknown, 1), (NOT, 0),    (Unknown, 1)]),
    ("console",    [(WAIT, 1), (Unknown, 1), (Refused, 1), (Refused, 1), (Refused, 1), (Unknown, 1), (NOT, 0),    (Unknown, 1)]),
];

#[tokio::test]
async fn every_fault_of_every_channel_has_its_outcome_and_nothing_is_posted_twice() {
    for (name, row) in TABLE {
        for (fault, expected) in FAULTS.into_iter().zip(row) {
            let server = Server::new(acts(name, fault)).await;
            let url = if fault == NoListener { nobody().await } else { server.url.clone() };
            let found = outcome(name, place(name, &url), &url, &server, fault == Slow).await;
            assert_eq!((found, server.asked().len()), expected, "{name}, {fault:?}");
        }
    }
}

/// Where the place has to be asked for first, nothing was sent yet: no fault of the asking leaves the outcome unknown.
#[tokio::test]
async fn a_fault_while_the_place_is_looked_up_leaves_nothing_unknown_and_posts_nothing() {
    for (name, to) in [
        ("discord", "user:123"),
        ("discord", "#general"),
        ("mattermost", "@alice"),
        ("mattermost", "#town-square"),
        ("mattermost", "user:abcdefghijklmnopqrstuvwxyz"),
        ("imessage", "+15551234567"),
        ("imessage", "chat_id:7"),
    ] {
        for (fault, expected) in [
            (RateLimit, WAIT),
            (ServerError, NOT),
            (Auth, Refused),
            (NoChat, Refused),
            (Slow, NOT),
            (NoListener, NOT),
            (Lost, NOT),
        ] {
            let server = Server::new(acts(name, fault)).await;
            let url = if fault == NoListener { nobody().await } else { server.url.clone() };
            let found = outcome(name, to.to_owned(), &url, &server, fault == Slow).await;
            assert_eq!(found, expected, "{name} {to}, {fault:?}");
            assert!(!server.asked().iter().any(is_message), "{name} {to}, {fault:?}");
        }
    }
}

fn is_message(asked: &Asked) -> bool {
    ["/messages", "/posts", "/message/text", "/chat/new"]
        .iter()
        .any(|end| asked.path.split('?').next().unwrap().ends_with(end))
}

/// A place that needs no asking.
fn place(name: &str, url: &str) -> String {
    match name {
        "telegram" => "-1001234567890",
        "slack" => "C1234567890",
        "discord" => "channel:123456789012345678",
        "mattermost" => "abcdefghijklmnopqrstuvwxyz",
        "imessage" => "chat_guid:iMessage;+;chat123",
        "webhook" => return format!("{url}/hook"),
        _ => "+15551234567",
    }
    .to_owned()
}

/// Sends one message, with a clock that goes to the deadline as soon as a `slow` server has read it.
async fn outcome(name: &str, to: String, url: &str, server: &Server, slow: bool) -> Became {
    let manual = ManualClock::new(SystemClock.now());
    let clock: Arc<dyn Clock> = if slow { Arc::new(manual.clone()) } else { Arc::new(SystemClock) };
    let deadline = clock.now() + TimeDelta::seconds(20);
    let channel = opener(clock, Some(url.to_owned())).open(&config(url), name, None).await.unwrap();
    let sending = tokio::spawn(async move {
        let target = channel.target(&to, None).unwrap();
        let body = Rendered { text: "private words".into(), plain: Some("private words".into()), media: None };
        channel.send(&Outgoing { target: &target, body: &body, idempotency_key: KEY }, deadline).await
    });
    if slow {
        while server.asked().is_empty() {
            tokio::task::yield_now().await;
        }
        manual.advance_to(deadline);
    }
    match sending.await.unwrap() {
        Ok(_) => Sent,
        Err(error) => match failure(Err(error)) {
            (SendErrorKind::NotTaken, wait, _) => NotTaken(wait),
            (SendErrorKind::Refused, ..) => Refused,
            (SendErrorKind::Unknown, ..) => Unknown,
        },
    }
}

/// What the far side does, in the channel's own shape.
fn acts(name: &str, fault: Fault) -> Vec<Act> {
    let json = |status, body: Value| Act::Answer(status, "", body.to_string());
    let telegram = |status, text: &str| json(status, json!({ "ok": false, "error_code": status, "description": text }));
    let slack = |text: &str| json(200, json!({ "ok": false, "error": text }));
    let discord = |status, code| json(status, json!({ "message": "said so", "code": code }));
    let whatsapp = |status, code| json(status, json!({ "error": { "message": "said so", "code": code } }));
    let mattermost =
        |status| json(status, json!({ "id": "api.some.error", "message": "said so", "status_code": status }));
    let signal = |status, text: &str| json(status, json!({ "error": text }));
    let imessage =
        |status, text: &str| json(status, json!({ "status": status, "message": text, "error": { "message": text } }));
    let bare = |status| Act::Answer(status, "", String::new());
    let wait = |status| Act::Answer(status, "retry-after: 2\r\n", String::new());
    let limited = json!({ "message": "You are being rate limited.", "retry_after": 2.0, "global": false });
    let parameters = json!({ "ok": false, "description": "Too Many Requests", "parameters": { "retry_after": 2 } });
    vec![match (fault, name) {
        (Slow, _) => Act::Hang,
        (Lost | NoListener, _) => Act::Drop,
        (RateLimit, "telegram") => json(429, parameters),
        (RateLimit, "slack") => {
            Act::Answer(200, "retry-after: 2\r\n", json!({ "ok": false, "error": "ratelimited" }).to_string())
        }
        (RateLimit, "discord") => json(429, limited),
        (RateLimit, "mattermost") => Act::Answer(429, "x-ratelimit-reset: 2\r\n", String::new()),
        (RateLimit, _) => wait(429),
        (ServerError, "slack") => slack("internal_error"),
        (ServerError, "whatsapp") => whatsapp(500, 131_000),
        (ServerError, _) => bare(502),
        (Auth, "telegram") => telegram(401, "Unauthorized"),
        (Auth, "slack") => slack("invalid_auth"),
        (Auth, "discord") => discord(401, 0),
        (Auth, "whatsapp") => whatsapp(401, 190),
        (Auth, "mattermost") => mattermost(401),
        (Auth, "imessage") => imessage(401, "Unauthorized"),
        (Auth, _) => bare(401),
        (NoChat, "telegram") => telegram(400, "Bad Request: chat not found"),
        (NoChat, "slack") => slack("channel_not_found"),
        (NoChat, "discord") => discord(404, 10003),
        (NoChat, "whatsapp") => whatsapp(400, 131_026),
        (NoChat, "mattermost") => mattermost(404),
        (NoChat, "signal") => signal(400, "Unregistered user"),
        (NoChat, "imessage") => imessage(404, "Chat does not exist!"),
        (NoChat, _) => bare(404),
        (Format, "telegram") => {
            let taken = json(200, json!({ "ok": true, "result": { "message_id": 1 } }));
            return vec![telegram(400, "Bad Request: can't parse entities"), taken];
        }
        (Format, "slack") => slack("invalid_arguments"),
        (Format, "discord") => discord(400, 50035),
        (Format, "whatsapp") => whatsapp(400, 100),
        (Format, "mattermost") => mattermost(400),
        (Format, "signal") => signal(400, "invalid text mode"),
        (Format, _) => bare(400),
    }]
}
