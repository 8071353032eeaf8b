use super::*;

#[tokio::test]
async fn overdue_after_a_restart_a_one_shot_fires_once_and_a_recurring_schedule_for_the_latest_instant() {
    let mut world = World::at("2026-11-20T12:00:30Z");
    let input = "<aws.scheduler.scheduled-time>";
    world.create("cron", &schedule("cron(* * * * ? *)", input)).await;
    world.create("once", &schedule("at(2026-11-20T12:30:00)", input)).await;
    world.create("rate", &schedule("rate(7 minutes)", input)).await;
    assert_eq!(world.run_until("2026-11-20T12:02:00Z").await.len(), 3);
    world.clock.advance_to(instant("2026-11-20T15:00:59Z"));
    world.restart();
    assert_eq!(world.scheduler.fire_due().await, 3);
    let mut calls = world.calls();
    calls.sort();
    let at = "20 15:00:59";
    assert_eq!(
        calls,
        [
            format!("{at} 2026-11-20T12:30:00Z"),
            format!("{at} 2026-11-20T14:55:30Z"),
            format!("{at} 2026-11-20T15:00:00Z")
        ]
    );
    // On along the grid, and the one-shot never again.
    world.restart();
    let calls = world.run_until("2026-11-20T15:01:00Z").await;
    assert_eq!(calls, ["20 15:01:00 2026-11-20T15:01:00Z"]);
    assert_eq!(world.names(), ["cron", "once", "rate"]);
}

#[tokio::test]
async fn a_fire_whose_acceptance_was_not_written_down_is_repeated() {
    let mut world = World::at("2026-11-20T12:00:00Z");
    let body = with(schedule("at(2026-11-20T12:05:00)", "x"), &json!({"ActionAfterCompletion": "DELETE"}));
    world.create("j", &body).await;
    let before = world.state.get("scheduler.schedules", "default/j").unwrap().unwrap();
    assert_eq!(world.run_until("2026-11-20T12:06:00Z").await, ["20 12:05:00 x"]);
    assert_eq!(world.state.get("scheduler.schedules", "default/j").unwrap(), None);
    world.state.put("scheduler.schedules", "default/j", &before).unwrap();
    world.restart();
    assert_eq!(world.run_until("2026-11-20T12:07:00Z").await, ["20 12:06:00 x"]);
    world.restart();
    assert!(world.names().is_empty());
}

#[tokio::test]
async fn retries_and_dead_letters_survive_a_restart() {
    let mut world = World::at("2026-11-20T12:00:00Z");
    *world.target.always.lock().unwrap() = Some(refusal(true));
    let mut body = schedule("at(2026-11-20T12:00:10)", "<aws.scheduler.attempt-number>");
    body["Target"]["RetryPolicy"] = json!({"MaximumRetryAttempts": 3});
    world.create("j", &body).await;
    assert_eq!(world.run_until("2026-11-20T12:00:11Z").await, ["20 12:00:10 1", "20 12:00:11 2"]);
    world.restart();
    assert_eq!(world.scheduler.next_due(), Some(instant("2026-11-20T12:00:13Z")));
    assert_eq!(world.run_until("2026-11-20T13:00:00Z").await, ["20 12:00:13 3", "20 12:00:17 4"]);
    world.restart();
    assert_eq!(world.scheduler.next_due(), None);
    assert_eq!(world.scheduler.dead_letters().len(), 1);
}

#[tokio::test]
async fn a_token_is_remembered_over_a_restart_even_when_its_own_document_was_not_written() {
    let mut world = World::at("2026-11-20T12:00:00Z");
    let body = with(
        schedule("at(2026-11-20T12:05:00)", "x"),
        &json!({"ClientToken": "t1", "ActionAfterCompletion": "DELETE"}),
    );
    world.create("j", &body).await;
    world.state.delete("scheduler.tokens", "CreateSchedule/t1").unwrap();
    world.restart();
    assert_eq!(world.run_until("2026-11-20T12:06:00Z").await.len(), 1);
    world.restart();
    world.create("j", &body).await;
    assert!(world.names().is_empty(), "the repeat of a create that was carried out makes no second schedule");
    world.clock.advance(TimeDelta::hours(25));
    world.create("j", &body).await;
    assert_eq!(world.names(), ["j"]);
    assert_eq!(world.state.list("scheduler.tokens").unwrap().len(), 1);
}

#[tokio::test]
async fn a_group_whose_deletion_was_interrupted_is_gone_after_a_restart() {
    let mut world = World::at("2026-11-20T12:00:00Z");
    world.ok("POST", "/schedule-groups/g", &json!({})).await;
    world.create("j", &with(schedule("rate(1 minute)", "x"), &json!({"GroupName": "g"}))).await;
    let mut group = world.state.get("scheduler.groups", "g").unwrap().unwrap();
    group["deleting"] = true.into();
    world.state.put("scheduler.groups", "g", &group).unwrap();
    world.restart();
    assert!(world.names().is_empty());
    assert_eq!(world.call("GET", "/schedule-groups/g", &Value::Null).await.0, 404);
    assert!(world.state.list("scheduler.schedules").unwrap().is_empty());
}

#[tokio::test]
async fn thousands_of_schedules_fall_due_together_and_all_fire() {
    let world = World::at("2026-11-20T12:00:00Z");
    let body = with(schedule("at(2026-11-20T12:05:00)", "x"), &json!({"ActionAfterCompletion": "DELETE"}));
    for number in 0..3000 {
        world.create(&format!("j-{number}"), &body).await;
    }
    world.clock.advance(minutes(5));
    assert_eq!(world.scheduler.fire_due().await, 3000);
    assert!(world.names().is_empty());
}
