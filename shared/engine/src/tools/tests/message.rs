//! `message`, one test per outcome, and that no crash makes it send a thing twice.

use chrono::TimeDelta;
use nightshift_domain::delivery::ChunkState;
use nightshift_domain::run::Run;
use serde_json::{Value, json};

use crate::testing::Mishap;

use super::{KEY, World, target, world};
use crate::ports::{SendErrorKind, Store};
use crate::runs::target::{NoTarget, Wish, resolve};

const CONFIG: fn() -> Value = || {
    json!({ "agents": { "entries": { "main": { "default": true,
        "defaultRoute": { "channel": "slack", "to": "C1", "accountId": "ops" } } } } })
};

fn announce() -> Value {
    json!({ "mode": "announce", "channel": "telegram", "to": "-100" })
}

async fn announcing(world: &World) -> Run {
    world.run(announce(), Some(target("telegram", "-100", Some("7")))).await
}

/// The same a day later.
fn another(run: &Run) -> Run {
    Run { key: super::RunKey::parse("daily_20261121T073000Z").unwrap(), ..run.clone() }
}

#[tokio::test]
async fn a_text_alone_goes_where_the_runs_answer_goes() {
    let world = world(&CONFIG());
    let run = announcing(&world).await;
    let answer = world.call(&run, "message", json!({ "text": " Hello. \n" })).await;
    assert_eq!(answer.text, "sent to telegram -100, thread 7: message id id-1");
    assert!(!answer.is_error);
    assert_eq!(answer.sent_to, Some(target("telegram", "-100", Some("7"))));
    assert_eq!(world.chats.targets(), [target("telegram", "-100", Some("7"))]);
    assert_eq!(world.chats.texts(), ["<b>Hello.</b>"]);
    assert_eq!(world.chats.seen.lock().unwrap()[0].key, format!("{}-{KEY}-0", run.key));
}

#[tokio::test]
async fn what_is_asked_for_wins_over_the_runs_own_place_piece_by_piece() {
    let ops = |to: &str| super::Target { account: "ops".into(), ..target("slack", to, None) };
    let cases = [
        (json!({ "threadId": 9 }), target("telegram", "-100", Some("9"))),
        (json!({ "channel": "telegram" }), target("telegram", "-100", Some("7"))),
        (json!({ "channel": "last", "to": "" }), target("telegram", "-100", Some("7"))),
        (json!({ "to": "-200" }), target("telegram", "-200", None)),
        (json!({ "to": "-200", "threadId": "3" }), target("telegram", "-200", Some("3"))),
        (json!({ "channel": "slack" }), ops("C1")),
        (json!({ "channel": "slack", "to": "C2", "accountId": "default" }), target("slack", "C2", None)),
        (json!({ "channel": "slack", "to": "C2" }), ops("C2")),
        (json!({ "to": "Slack:channel:C2" }), ops("Slack:channel:C2")),
        (json!({ "to": "channel:C2" }), target("telegram", "channel:C2", None)),
    ];
    for (mut input, expected) in cases {
        let world = world(&CONFIG());
        let run = announcing(&world).await;
        input["text"] = json!("hi");
        let answer = world.call(&run, "message", input.clone()).await;
        assert!(!answer.is_error, "{input}: {}", answer.text);
        assert_eq!(world.chats.targets(), [expected], "{input}");
    }
}

#[tokio::test]
async fn an_image_goes_with_its_message_also_where_that_is_tried_again_from_its_row() {
    let world = world(&CONFIG());
    let run = announcing(&world).await;
    let input = json!({ "text": "Look:\n![](https://e.io/a.png)" });
    world.chats.answers.lock().unwrap().push_back(SendErrorKind::NotTaken);
    world.call(&run, "message", input.clone()).await;
    world.clock.advance(TimeDelta::seconds(120));
    let answer = world.call(&run, "message", input).await;
    assert!(!answer.is_error, "{}", answer.text);
    let images: Vec<Option<String>> = world.chats.seen.lock().unwrap().iter().map(|seen| seen.image.clone()).collect();
    assert_eq!(images, [None, Some("https://e.io/a.png".to_owned())]);
}

/// The same for answers, whose channel may be left out or `last`.
#[tokio::test]
async fn a_target_with_the_name_of_a_channel_in_front_of_it_chooses_that_channel_where_none_is_named() {
    let world = world(&CONFIG());
    for (channel, to, expected) in [
        (None, Some("tg:-5:topic:7"), Ok("telegram")),
        (Some("last"), Some("telegram:-5"), Ok("telegram")),
        (Some("slack"), Some("C9"), Ok("slack")),
        (None, Some("C9"), Ok("slack")),
        (None, None, Ok("slack")),
        (None, Some("matrix:@a:b"), Err(NoTarget::Refused("there is no channel \"matrix\"".to_owned()))),
    ] {
        let wish = Wish { channel, to, ..Wish::default() };
        let found = resolve(world.scene().deps, world.scene().config, wish, "main").await.unwrap();
        assert_eq!(found.map(|found| found.target.channel), expected.map(str::to_owned), "{channel:?} {to:?}");
    }
}

#[tokio::test]
async fn a_run_that_delivers_to_a_webhook_or_nowhere_sends_to_the_agents_route_or_where_it_is_asked() {
    let webhook =
        (json!({ "mode": "webhook", "to": "https://x.example" }), Some(target("webhook", "https://x.example", None)));
    for (delivery, planned) in [webhook, (json!({ "mode": "none" }), None)] {
        let world = world(&CONFIG());
        let run = world.run(delivery, planned).await;
        let answer = world.call(&run, "message", json!({ "text": "hi" })).await;
        assert_eq!(answer.text, "sent to slack C1, from account ops: message id id-1");
        let other = another(&run);
        let answer = world.call(&other, "message", json!({ "text": "hi", "channel": "telegram", "to": "5" })).await;
        assert_eq!(answer.text, "sent to telegram 5: message id id-2");
    }
}

#[tokio::test]
async fn a_place_that_cannot_be_told_is_an_error_that_says_what_is_missing_and_nothing_is_sent() {
    for (input, expected) in [
        (
            json!({ "text": "x" }),
            "nothing was sent: the message names no channel and 2 are configured; say channel and to, for one of slack, telegram",
        ),
        (json!({ "text": "x", "channel": "slack" }), "nothing was sent: the message to slack names no target in to"),
        (json!({ "text": "x", "channel": "fax", "to": "1" }), "nothing was sent: there is no channel \"fax\""),
        (json!({ "text": "x", "channel": "slack", "to": "a b" }), "nothing was sent: slack has no place like that"),
        (
            json!({ "text": "x", "channel": "slack", "to": "C1", "accountId": "z" }),
            "nothing was sent: channel \"slack\" has no account \"z\"",
        ),
        (
            json!({ "text": "x", "channel": "locked", "to": "1" }),
            "nothing was sent: the secret of channel \"locked\" cannot be used: it is not set",
        ),
        (
            json!({ "text": "x", "channel": "webhook", "to": "https://x" }),
            "nothing was sent: channel names a webhook, which is no chat",
        ),
        (json!({ "text": "NO_REPLY" }), "nothing was sent: text is only the token that says there is nothing to send"),
        (
            json!({ "text": "[hidden]", "channel": "slack", "to": "C1" }),
            "nothing was sent: nothing is left of text in the format of slack",
        ),
        (json!({}), "nothing was done: text is missing"),
        (
            json!({ "text": 5, "to": [], "subject": "x" }),
            "nothing was done: text is not a string; to is not a string; subject is not a field of this tool",
        ),
        (json!({ "text": " " }), "nothing was done: text is empty"),
        (json!("hi"), "nothing was done: the input is not an object"),
    ] {
        let world = world(&json!({}));
        let run = world.run(json!({ "mode": "none" }), None).await;
        let answer = world.call(&run, "message", input.clone()).await;
        assert_eq!((answer.text.as_str(), answer.is_error, answer.sent_to), (expected, true, None), "{input}");
        assert!(world.chats.targets().is_empty());
    }
    let world = world(&json!({}));
    *world.chats.single.lock().unwrap() = true;
    let run = world.run(json!({ "mode": "none" }), None).await;
    let answer = world.call(&run, "message", json!({ "text": "x", "to": "5" })).await;
    assert_eq!(answer.text, "sent to telegram 5: message id id-1", "the only channel there is");
}

#[tokio::test]
async fn a_long_text_is_sent_in_order_and_all_its_ids_are_told() {
    let world = world(&CONFIG());
    let run = announcing(&world).await;
    let answer = world.call(&run, "message", json!({ "text": "one\ntwo\nthree" })).await;
    assert_eq!(answer.text, "sent to telegram -100, thread 7 in 3 messages: ids id-1, id-2, id-3");
    assert_eq!(world.chats.texts(), ["<b>one</b>", "<b>two</b>", "<b>three</b>"]);
}

#[tokio::test]
async fn a_message_that_was_not_taken_is_not_tried_again_by_itself_and_says_when_it_may_be() {
    let world = world(&CONFIG());
    let run = announcing(&world).await;
    world.chats.answers(&[Some(SendErrorKind::NotTaken)]);
    let answer = world.call(&run, "message", json!({ "text": "one" })).await;
    let when = "a new call may send it from 2026-11-20T12:01:30Z on, not earlier";
    assert_eq!(answer.text, format!("to telegram -100, thread 7: not sent: told to come back; {when}"));
    assert_eq!((answer.is_error, answer.sent_to), (true, None));
    assert!(world.chats.texts().is_empty());
}

#[tokio::test]
async fn after_one_that_was_not_taken_the_rest_is_not_sent_and_the_model_learns_where_to_go_on() {
    let world = world(&CONFIG());
    let run = announcing(&world).await;
    // The first is of a call of its own.
    world.call(&another(&run), "message", json!({ "text": "zero" })).await;
    world.chats.answers(&[Some(SendErrorKind::Unknown), Some(SendErrorKind::NotTaken)]);
    let answer = world.call(&run, "message", json!({ "text": "one\ntwo\nthree" })).await;
    let lines: Vec<&str> = answer.text.lines().collect();
    assert_eq!(
        lines,
        [
            "the text takes 3 messages to telegram -100, thread 7, and not all of them were sent:",
            "- message 1: whether it was sent is not known, so do not send it again: the answer was lost",
            "- message 2: not sent: told to come back; a new call may send it from 2026-11-20T12:01:30Z on, not earlier",
            "- message 3: not sent; a new call may send it from 2026-11-20T12:01:30Z on",
            "Do not send again what was sent or may have been. What was not sent begins with \"two\"",
        ]
    );
    assert!(answer.is_error);
    assert_eq!(world.chats.texts(), ["<b>zero</b>", "<b>one</b>"]);
}

#[tokio::test]
async fn a_refusal_ends_the_message_and_an_unknown_outcome_does_not() {
    let world = world(&CONFIG());
    let run = announcing(&world).await;
    world.chats.answers(&[Some(SendErrorKind::Refused)]);
    let answer = world.call(&run, "message", json!({ "text": "one\ntwo" })).await;
    assert!(
        answer.is_error && answer.text.contains("message 1: not sent, refused for good: chat not found"),
        "{answer:?}"
    );
    assert!(answer.text.contains("message 2: not sent\n"), "{answer:?}");
    assert!(world.chats.texts().is_empty());

    for dedupes in [None, Some(TimeDelta::hours(24))] {
        let world = super::world(&CONFIG());
        let run = announcing(&world).await;
        *world.chats.dedupes.lock().unwrap() = dedupes;
        world.chats.answers(&[Some(SendErrorKind::Unknown), None]);
        let answer = world.call(&run, "message", json!({ "text": "one\ntwo" })).await;
        let lines: Vec<&str> = answer.text.lines().skip(1).collect();
        assert_eq!(
            lines,
            [
                "- message 1: whether it was sent is not known, so do not send it again: the answer was lost",
                "- message 2: sent, message id id-2",
            ]
        );
        assert_eq!((answer.is_error, answer.sent_to), (true, None));
        assert_eq!(world.chats.texts(), ["<b>one</b>", "<b>two</b>"], "after an unknown chunk the rest is sent");
    }
}

#[tokio::test]
async fn what_there_is_no_time_for_is_not_begun() {
    let world = world(&CONFIG());
    let run = announcing(&world).await;
    let deadline = super::Clock::now(&world.clock) + TimeDelta::seconds(5);
    let call = super::Call { scene: world.scene(), run: &run, key: KEY, deadline };
    let answer = super::execute(call, "message", json!({ "text": "one" })).await;
    assert_eq!(
        answer.text,
        "to telegram -100, thread 7: not sent; a new call may send it from 2026-11-20T12:00:00Z on"
    );
    assert!(world.chats.texts().is_empty());
}

#[tokio::test]
async fn the_same_call_again_sends_nothing_again_and_stays_at_its_place() {
    let mut world = world(&CONFIG());
    let run = world.run(json!({ "mode": "none" }), None).await;
    let first = world.call(&run, "message", json!({ "text": "one\ntwo" })).await;
    world.config = super::Config::parse(&json!({})).unwrap();
    let again = world.call(&run, "message", json!({ "text": "one\ntwo" })).await;
    assert_eq!(again, first, "the route that is gone is not asked");
    assert_eq!(world.chats.texts(), ["<b>one</b>", "<b>two</b>"]);
}

#[tokio::test]
async fn a_crash_before_or_after_any_write_sends_no_chunk_twice() {
    let input = || json!({ "text": "one\ntwo\nthree" });
    for dedupes in [None, Some(TimeDelta::hours(24))] {
        let (mut nth, mut crashes) = (0, 0);
        'writes: loop {
            for when in ["before", "after"] {
                let world = world(&CONFIG());
                *world.chats.dedupes.lock().unwrap() = dedupes;
                let run = announcing(&world).await;
                world.store.fail(nth, if when == "before" { Mishap::Before } else { Mishap::After });
                let cut_off = world.call(&run, "message", input()).await;
                if world.store.heal() {
                    break 'writes;
                }
                crashes += 1;
                assert!(
                    cut_off.is_error && cut_off.text.ends_with("whether it took effect is not known"),
                    "{cut_off:?}"
                );
                assert_eq!(cut_off.sent_to, None);

                let again = world.call(&run, "message", input()).await;
                let texts = world.chats.texts();
                let mut unique = texts.clone();
                unique.sort();
                unique.dedup();
                assert_eq!(texts.len(), unique.len(), "write {nth}, {when}: a chunk was sent twice");
                let chunks = world.store.chunks(&run.key, KEY).await.unwrap();
                assert_eq!(chunks.len(), 3);
                for chunk in &chunks {
                    let sent = texts.contains(&chunk.text);
                    match &chunk.state {
                        ChunkState::Sent { .. } => assert!(sent, "write {nth}, {when}: {chunk:?}"),
                        ChunkState::Unknown { .. } => assert!(dedupes.is_none() && again.is_error, "{chunk:?}"),
                        other @ (ChunkState::Planned
                        | ChunkState::Sending { .. }
                        | ChunkState::Failed { .. }
                        | ChunkState::Refused { .. }) => panic!("write {nth}, {when}: {other:?}"),
                    }
                }
                assert_eq!(again.sent_to.is_some(), !again.is_error);
                if dedupes.is_some() {
                    assert_eq!(texts, ["<b>one</b>", "<b>two</b>", "<b>three</b>"], "write {nth}, {when}");
                    assert!(!again.is_error, "{again:?}");
                }
                let third = world.call(&run, "message", input()).await;
                assert_eq!((third.text, world.chats.texts()), (again.text, texts), "write {nth}, {when}");
            }
            nth += 1;
        }
        assert_eq!((nth, crashes), (7, 14), "one write of the plan, and two for every chunk");
    }
}
