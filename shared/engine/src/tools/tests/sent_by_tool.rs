//! A run that sent to its target by tool keeps that in its row, and its announce is skipped.

use nightshift_domain::delivery::Target;
use nightshift_domain::job::DeliveryStatus;
use nightshift_domain::run::{CallState, Run, State, Text, ToolCall, Via};
use serde_json::json;

use super::{KEY, World, target, world};
use crate::clock::Clock;
use crate::deliver::{Delivered, FINAL, deliver};
use crate::ports::{SendErrorKind, Store, Write};
use crate::runs::resume;

fn asked(input: &serde_json::Value) -> ToolCall {
    ToolCall {
        id: "toolu_1".to_owned(),
        hop: 1,
        name: "message".to_owned(),
        input: Text::Inline(input.to_string()),
        via: Via::Hop,
        state: CallState::Asked,
    }
}

async fn written(world: &World, run: &Run) {
    let put = [Write::Run { run, expires_at: None }];
    assert_eq!(world.store.commit(&put).await.unwrap(), crate::ports::Outcome::Applied);
}

/// A run that called `message`, as it stands in the table after its tools have run.
async fn talked(world: &World, input: serde_json::Value) -> Run {
    let own = target("telegram", "-100", None);
    let mut run = world.run(json!({ "mode": "announce", "channel": "telegram", "to": "-100" }), Some(own)).await;
    assert_eq!(asked(&input).key(), KEY);
    run.talk.calls.push(asked(&input));
    run.state = State::Tools { hop: 1, starts: 1 };
    written(world, &run).await;
    Box::pin(resume(world.scene(), &run.key)).await.unwrap();
    world.store.run(&run.key).await.unwrap().unwrap()
}

/// What becomes of the run's answer.
async fn delivered(world: &World, mut run: Run) -> Run {
    run.rev += 1;
    run.state = State::Delivering;
    run.state_since = world.clock.now();
    (run.lease, run.place, run.ended_at) = (None, None, None);
    run.answer = Some(Text::Inline("The answer.".to_owned()));
    written(world, &run).await;
    let outcome = deliver(world.scene(), &run.key).await.unwrap();
    assert!(matches!(outcome, Delivered::Closed(_)), "{outcome:?}");
    world.store.run(&run.key).await.unwrap().unwrap()
}

fn said(run: &Run) -> (Option<DeliveryStatus>, Option<&str>) {
    (run.delivery_status, run.delivery_note.as_deref())
}

#[tokio::test]
async fn an_announce_to_a_place_that_a_tool_sent_to_is_skipped_and_the_main_session_is_told() {
    let world = world(&json!({}));
    let run = talked(&world, json!({ "text": "Hello." })).await;
    assert!(run.talk.has_sent_to(&target("telegram", "-100", None)), "{:?}", run.talk.calls);
    let run = delivered(&world, run).await;
    assert_eq!(said(&run), (Some(DeliveryStatus::Suppressed), Some("sent_by_tool")));
    assert!(matches!(run.state, State::Succeeded));
    assert_eq!(world.chats.texts(), ["<b>Hello.</b>"]);
    assert!(world.store.chunks(&run.key, FINAL).await.unwrap().is_empty());
    let events = world.store.events("main").await.unwrap();
    assert_eq!(events.iter().map(|event| event.text.as_str()).collect::<Vec<_>>(), ["Cron: The answer."]);
}

#[tokio::test]
async fn another_chat_thread_or_account_is_another_place() {
    for input in [
        json!({ "text": "Hello.", "to": "-200" }),
        json!({ "text": "Hello.", "threadId": "7" }),
        json!({ "text": "Hello.", "to": "-100", "accountId": "ops" }),
        json!({ "text": "Hello.", "channel": "slack", "to": "-100" }),
    ] {
        let world = world(&json!({}));
        let run = talked(&world, input.clone()).await;
        let sent: Vec<&Target> = run.talk.calls.iter().filter_map(ToolCall::sent_to).collect();
        assert_eq!(sent.len(), 1, "{input}");
        let run = delivered(&world, run).await;
        assert_eq!(said(&run), (Some(DeliveryStatus::Delivered), None), "{input}");
        assert_eq!(world.chats.texts(), ["<b>Hello.</b>", "<b>The answer.</b>"], "{input}");
    }
}

#[tokio::test]
async fn a_message_that_was_not_sent_whole_does_not_stand_for_the_answer() {
    for kind in [SendErrorKind::Unknown, SendErrorKind::NotTaken, SendErrorKind::Refused] {
        let world = world(&json!({}));
        world.chats.answers(&[Some(kind), None]);
        let run = talked(&world, json!({ "text": "Hello.\nAgain." })).await;
        let [call] = run.talk.calls.as_slice() else { panic!("{:?}", run.talk.calls) };
        assert!(matches!(call.state, CallState::Done { is_error: true, sent_to: None, .. }), "{call:?}");
        let run = delivered(&world, run).await;
        assert_eq!(run.delivery_status, Some(DeliveryStatus::Delivered), "{kind:?}");
    }
}
