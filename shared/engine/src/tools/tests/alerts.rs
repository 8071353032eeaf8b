//! Alerts at work: decided with a run's end, sent once whatever fails, and never where they do not belong.

use chrono::TimeDelta;
use nightshift_domain::alert::Notice;
use nightshift_domain::job::{AlertRule, DeliveryStatus, FailureAlert, JobRecord};
use nightshift_domain::model::ModelErrorKind;
use nightshift_domain::run::{Event, Run, State, attention_at};
use serde_json::{Value, json};

use super::{World, target, world};
use crate::clock::Clock;
use crate::deliver::{Delivered, deliver};
use crate::deps::Invocation;
use crate::ports::{DueItem, SendErrorKind, Store, Write};
use crate::runs::Scene;
use crate::runs::commit::{Along, apply};
use crate::testing::Mishap;

const TEXT: [&str; 3] = [
    "<b>Automation \"Daily\" failed</b>",
    "<b>Cause: the key was refused</b>",
    "<b>Run started: 2026-11-20 12:00 UTC</b>",
];

fn primary() -> Value {
    json!({ "mode": "announce", "channel": "telegram", "to": "-100" })
}

/// A run that is with the model, of a job that alerts at its first failure.
async fn running(world: &World, delivery: Value, alert: AlertRule) -> Run {
    let mut run = world.run(delivery, Some(target("telegram", "-100", None))).await;
    let mut record = world.store.job(&run.job_id).await.unwrap().unwrap();
    record.job.failure_alert = Some(FailureAlert::Rule(AlertRule { after: Some(1), ..alert }));
    record.rev += 1;
    run.state = State::Running { hop: 1, starts: 1, tries: 0 };
    run.started_at = Some(world.clock.now());
    world.store.commit(&[Write::Job(&record), Write::Run { run: &run, expires_at: None }]).await.unwrap();
    run
}

/// It fails.
async fn failed(world: &World, run: &Run) -> Run {
    let message = "the key was refused".to_owned();
    let event = Event::ModelFailed { kind: ModelErrorKind::Auth, message, retry_after: None };
    apply(world.scene(), run, event, Along::default()).await.unwrap();
    stands(world, run).await
}

async fn stands(world: &World, run: &Run) -> Run {
    world.store.run(&run.key).await.unwrap().unwrap()
}

async fn job(world: &World, run: &Run) -> JobRecord {
    world.store.job(&run.job_id).await.unwrap().unwrap()
}

fn notice(run: &Run) -> &Notice {
    let [notice] = run.alerts.as_ref().unwrap().notices.as_slice() else { panic!("{:?}", run.alerts) };
    notice
}

fn fate(run: &Run) -> (DeliveryStatus, Option<&str>) {
    let fate = notice(run).fate.as_ref().unwrap();
    (fate.status, fate.error.as_deref())
}

async fn told(world: &World, run: &Run) -> Delivered {
    deliver(world.scene(), &run.key).await.unwrap()
}

#[tokio::test]
async fn an_alert_is_written_with_the_end_of_its_run_and_its_fate_with_the_job() {
    let world = world(&json!({}));
    let run = failed(&world, &running(&world, primary(), AlertRule::default()).await).await;
    let at = world.clock.now();
    assert_eq!(attention_at(&run), Some(at + TimeDelta::minutes(5)));
    let state = job(&world, &run).await.job.state;
    assert_eq!(state.last_failure_alert_at_ms, Some(at.timestamp_millis()));
    assert_eq!(state.last_failure_notification_delivered, None);
    assert_eq!(told(&world, &run).await, Delivered::Told);
    assert_eq!(world.chats.texts(), TEXT);
    let run = stands(&world, &run).await;
    assert_eq!((fate(&run), run.lease.is_none()), ((DeliveryStatus::Delivered, None), true));
    assert_eq!(run.status(), Some(nightshift_domain::job::RunStatus::Error), "the run is what it was");
    assert_eq!(run.delivery_status, None);
    let state = job(&world, &run).await.job.state;
    assert_eq!((state.last_failure_notification_delivered, state.consecutive_errors), (Some(true), 1));
    // Whoever comes again finds nothing to do.
    assert_eq!(told(&world, &run).await, Delivered::Nothing);
    assert_eq!(world.chats.texts().len(), TEXT.len());
}

/// Plays from the run's failure to its alert's end with one mishap at the `nth` write, then until all is at rest. `false` where
/// there are not so many writes.
async fn plays(nth: usize, mishap: impl Fn(&World) -> Mishap, dedupes: Option<TimeDelta>) -> bool {
    let world = world(&json!({}));
    *world.chats.dedupes.lock().unwrap() = dedupes;
    let run = running(&world, primary(), AlertRule::default()).await;
    world.store.fail(nth, mishap(&world));
    let message = "the key was refused".to_owned();
    let event = Event::ModelFailed { kind: ModelErrorKind::Auth, message, retry_after: None };
    let mut reached = false;
    for round in 0..6 {
        let invocation = Invocation { id: format!("inv-{round}"), ..world.invocation.clone() };
        let scene = Scene { invocation: &invocation, ..world.scene() };
        let before = stands(&world, &run).await;
        if !before.state.is_terminal() {
            let _ = apply(scene, &before, event.clone(), Along::default()).await;
        }
        let _ = deliver(scene, &run.key).await;
        if round == 0 {
            reached = !world.store.heal();
        }
        world.clock.advance(TimeDelta::minutes(3));
    }
    let after = stands(&world, &run).await;
    let (status, _) = fate(&after);
    let texts = world.chats.texts();
    let mut once = texts.clone();
    once.dedup();
    assert_eq!(texts, once, "write {nth}: nothing is told twice");
    // A part that was on its way when the write after it failed is not sent again where it would be seen twice.
    match status {
        DeliveryStatus::Delivered => assert_eq!(texts, TEXT, "write {nth}"),
        DeliveryStatus::Unknown => {
            assert!(dedupes.is_none() && texts.len() + 1 >= TEXT.len(), "write {nth}: {texts:?}");
        }
        other @ (DeliveryStatus::Failed | DeliveryStatus::Suppressed | DeliveryStatus::NotRequested) => {
            panic!("write {nth}: {other:?}")
        }
    }
    let due = world.store.due(world.clock.now() + TimeDelta::days(300), 10).await.unwrap();
    assert!(!due.iter().any(|item| matches!(item, DueItem::Run(_))), "write {nth}: {due:?}");
    assert!(after.lease.is_none(), "write {nth}");
    let delivered = job(&world, &after).await.job.state.last_failure_notification_delivered;
    assert_eq!(delivered, Some(status == DeliveryStatus::Delivered), "write {nth}");
    reached
}

#[tokio::test]
async fn an_alert_is_neither_lost_nor_doubled_whichever_write_fails_or_is_repeated() {
    for dedupes in [None, Some(TimeDelta::hours(1))] {
        for kind in ["failed before", "failed after", "run twice"] {
            let mut nth = 0;
            loop {
                let mishap = |world: &World| match kind {
                    "failed before" => Mishap::Before,
                    "failed after" => Mishap::After,
                    _ => {
                        // Another delivery of the same envelope comes in between.
                        let (deps, config) = (world.deps.clone(), world.config.clone());
                        let invocation = Invocation { id: "other".to_owned(), ..world.invocation.clone() };
                        Mishap::First(Box::new(move |_| {
                            Box::pin(async move {
                                let scene = Scene { deps: &deps, invocation: &invocation, config: &config };
                                let key = nightshift_domain::RunKey::parse("daily_20261120T073000Z").unwrap();
                                let _ = deliver(scene, &key).await;
                            })
                        }))
                    }
                };
                if !Box::pin(plays(nth, mishap, dedupes)).await {
                    break;
                }
                nth += 1;
            }
            // The end, the lease, the plan, two writes for each of three parts, the fate.
            assert_eq!(nth, 10, "{kind}");
        }
    }
}

#[tokio::test]
async fn what_the_chat_answers_is_what_became_of_the_alert() {
    let cases = [
        (vec![Some(SendErrorKind::NotTaken), None], Delivered::Told, DeliveryStatus::Delivered, None, 3),
        (vec![Some(SendErrorKind::Refused)], Delivered::Told, DeliveryStatus::Failed, Some("chat not found"), 0),
        (
            vec![Some(SendErrorKind::Unknown), None],
            Delivered::Told,
            DeliveryStatus::Unknown,
            Some("the answer was lost"),
            3,
        ),
    ];
    for (answers, outcome, status, why, seen) in cases {
        let world = world(&json!({}));
        let run = failed(&world, &running(&world, primary(), AlertRule::default()).await).await;
        world.chats.answers(&answers);
        let mut came = told(&world, &run).await;
        if let Delivered::Later(at) = came {
            // Told to come back: it is not due before, and nobody has it meanwhile.
            let waits = stands(&world, &run).await;
            assert_eq!((at - world.clock.now(), waits.lease.is_none()), (TimeDelta::seconds(90), true));
            assert_eq!(attention_at(&waits), Some(at + TimeDelta::minutes(5)));
            world.clock.advance(TimeDelta::seconds(90));
            came = told(&world, &run).await;
        }
        let run = stands(&world, &run).await;
        assert_eq!((came, fate(&run), world.chats.texts().len()), (outcome, (status, why), seen), "{answers:?}");
        let state = job(&world, &run).await.job.state;
        assert_eq!(state.last_failure_notification_delivery_status, Some(status));
        assert_eq!(state.last_failure_notification_delivery_error.as_deref(), why);
    }
}

#[tokio::test]
async fn an_alert_goes_to_its_own_place_and_what_cannot_be_reached_is_said() {
    let rule = |channel: &str, to: &str| AlertRule {
        channel: Some(channel.to_owned()),
        to: Some(to.to_owned()),
        ..AlertRule::default()
    };
    let world = world(&json!({}));
    let run = failed(&world, &running(&world, primary(), rule("slack", "C9")).await).await;
    assert_eq!(told(&world, &run).await, Delivered::Told);
    assert_eq!(world.chats.targets()[0], target("slack", "C9", None));

    let world = super::world(&json!({}));
    let run = failed(&world, &running(&world, primary(), rule("fax", "1")).await).await;
    assert_eq!(told(&world, &run).await, Delivered::Told);
    let run = stands(&world, &run).await;
    assert_eq!(fate(&run), (DeliveryStatus::Failed, Some("there is no channel \"fax\"")));

    // A secret that cannot be had is asked for again, for a day.
    let world = super::world(&json!({}));
    let run = failed(&world, &running(&world, primary(), rule("locked", "1")).await).await;
    let Delivered::Later(at) = told(&world, &run).await else { panic!("it waits") };
    assert_eq!(at - world.clock.now(), TimeDelta::minutes(15));
    world.clock.advance(TimeDelta::days(1));
    assert_eq!(told(&world, &run).await, Delivered::Told);
    assert_eq!(fate(&stands(&world, &run).await).0, DeliveryStatus::Failed);
}

#[tokio::test]
async fn nobody_is_told_of_a_job_that_was_removed_meanwhile() {
    let world = world(&json!({}));
    let run = failed(&world, &running(&world, primary(), AlertRule::default()).await).await;
    let record = job(&world, &run).await;
    world.store.commit(&[Write::RemoveJob(&record)]).await.unwrap();
    assert_eq!(told(&world, &run).await, Delivered::Told);
    let run = stands(&world, &run).await;
    assert_eq!(fate(&run), (DeliveryStatus::Suppressed, Some("the job was removed")));
    assert!(world.chats.texts().is_empty() && attention_at(&run).is_none());
}

#[tokio::test]
async fn an_answer_that_was_refused_is_told_elsewhere_by_the_invocation_that_met_it() {
    let elsewhere = AlertRule { channel: Some("slack".into()), to: Some("C9".into()), ..AlertRule::default() };
    let world = world(&json!({}));
    let mut run = running(&world, primary(), elsewhere).await;
    run.state = State::Delivering;
    run.answer = Some(nightshift_domain::run::Text::Inline("The answer.".to_owned()));
    run.rev += 1;
    world.store.commit(&[Write::Run { run: &run, expires_at: None }]).await.unwrap();
    world.chats.answers(&[Some(SendErrorKind::Refused)]);
    assert_eq!(told(&world, &run).await, Delivered::Closed(DeliveryStatus::Failed));
    let run = stands(&world, &run).await;
    assert_eq!((run.state.name(), fate(&run).0), ("deliveryFailed", DeliveryStatus::Delivered));
    assert_eq!(world.chats.targets(), vec![target("slack", "C9", None); 4]);
    assert_eq!(
        world.chats.texts()[..2],
        ["<b>The answer of automation \"Daily\" was not delivered</b>", "<b>Cause: chat not found</b>"]
    );
    assert_eq!(job(&world, &run).await.job.state.consecutive_errors, 0);
}
