//! Timers that fire, on our own scheduler and a manual clock.

use chrono::{DateTime, TimeDelta, Utc};
use nightshift_domain::event::Envelope;
use nightshift_engine::ports::{TimerSpec, Timers};
use serde_json::Value;

use super::worlds::{FUNCTIONS, World, cron, job_timer, poll, start};

/// Moves the clock from fire to fire until `end`: each fire's instant, function and event.
async fn fires_until(world: &World, end: DateTime<Utc>) -> Vec<(DateTime<Utc>, String, Envelope)> {
    let (scheduler, invoked) = world.ours.as_ref().unwrap();
    let mut fires = Vec::new();
    while let Some(due) = scheduler.next_due().filter(|due| *due <= end) {
        world.clock.advance_to(due);
        scheduler.fire_due().await;
        for (arn, event) in invoked.take() {
            fires.push((due, arn.replace(FUNCTIONS, ""), serde_json::from_value::<Envelope>(event).unwrap()));
        }
    }
    world.clock.advance_to(end);
    fires
}

fn scheduled_time(envelope: &Envelope) -> Option<String> {
    let event: Value = serde_json::to_value(envelope).unwrap();
    Some(event["s"].as_str()?.to_owned())
}

#[tokio::test]
async fn a_recurring_timer_fires_at_each_occurrence_and_tells_which() {
    let world = World::ours().await;
    let begin = start() + TimeDelta::minutes(7);
    let rate =
        TimerSpec::Recurring { expression: "rate(5 minutes)".into(), timezone: "UTC".into(), start: Some(begin) };
    world.timers.put_job(&job_timer(rate, true)).await.unwrap();
    let fires = fires_until(&world, start() + TimeDelta::minutes(20)).await;
    let wanted = [7, 12, 17].map(|minute| start() + TimeDelta::minutes(minute));
    assert_eq!(fires.iter().map(|(at, ..)| *at).collect::<Vec<_>>(), wanted);
    for (at, function, envelope) in &fires {
        let told = scheduled_time(envelope).unwrap();
        assert_eq!(DateTime::parse_from_rfc3339(&told).unwrap(), *at, "{told}");
        assert_eq!(function, "trigger");
    }
}

#[tokio::test]
async fn a_changed_timer_fires_at_its_new_times_only_and_a_disabled_one_never() {
    let world = World::ours().await;
    let day = start() + TimeDelta::days(1);
    world.timers.put_job(&job_timer(cron("cron(0 * ? * * *)", "UTC"), true)).await.unwrap();
    world.timers.put_job(&job_timer(cron("cron(30 7 ? * * *)", "Europe/Berlin"), true)).await.unwrap();
    let fires = fires_until(&world, day).await;
    assert_eq!(fires.len(), 1);
    assert_eq!(fires[0].0.format("%H:%M").to_string(), "05:30");
    world.timers.put_job(&job_timer(cron("cron(0 * ? * * *)", "UTC"), false)).await.unwrap();
    assert_eq!(fires_until(&world, day + TimeDelta::days(1)).await, []);
}

#[tokio::test]
async fn a_one_shot_fires_once_and_is_gone() {
    let world = World::ours().await;
    let at = start() + TimeDelta::milliseconds(120_500);
    world.timers.arm("p-1-1", at, &poll(1)).await.unwrap();
    world.timers.arm("p-1-2", start() - TimeDelta::hours(1), &poll(2)).await.unwrap();
    let fires = fires_until(&world, start() + TimeDelta::hours(1)).await;
    let wanted = [(start() + TimeDelta::seconds(5), poll(2)), (start() + TimeDelta::seconds(121), poll(1))];
    let seen: Vec<(DateTime<Utc>, Envelope)> = fires.into_iter().map(|(at, _, envelope)| (at, envelope)).collect();
    assert_eq!(seen, wanted);
    assert!(world.schedule("p-1-1").await.is_none());
}

#[tokio::test]
async fn a_removed_timer_does_not_fire() {
    let world = World::ours().await;
    world.timers.arm("p-1-1", start() + TimeDelta::minutes(2), &poll(1)).await.unwrap();
    world.timers.remove("p-1-1").await.unwrap();
    assert_eq!(fires_until(&world, start() + TimeDelta::hours(1)).await, []);
}
