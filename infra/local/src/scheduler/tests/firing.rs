use super::*;

#[tokio::test]
async fn everything_due_fires_in_order_of_time_then_name() {
    let world = World::at("2026-11-20T12:00:00Z");
    world.create("c", &schedule("at(2026-11-20T12:05:00)", "c")).await;
    world.create("b", &schedule("at(2026-11-20T12:05:00)", "b")).await;
    world.create("a", &schedule("at(2026-11-20T12:06:00)", "a")).await;
    world.create("z", &schedule("cron(4 * * * ? *)", "z")).await;
    world.clock.advance(minutes(10));
    assert_eq!(world.scheduler.fire_due().await, 4);
    assert_eq!(world.calls(), ["20 12:10:00 z", "20 12:10:00 b", "20 12:10:00 c", "20 12:10:00 a"]);
    assert_eq!(world.scheduler.fire_due().await, 0);
}

#[tokio::test]
async fn a_cron_fires_at_its_wall_time_in_its_zone() {
    let world = World::at("2026-11-20T12:00:00Z");
    let body =
        with(schedule("cron(0 7 ? * MON-FRI *)", "go"), &json!({"ScheduleExpressionTimezone": "America/New_York"}));
    world.create("j", &body).await;
    assert_eq!(world.run_until("2026-11-24T00:00:00Z").await, ["23 12:00:00 go"]);
}

#[tokio::test]
async fn a_gap_is_skipped_and_an_overlap_fires_once() {
    let zone = json!({"ScheduleExpressionTimezone": "America/New_York"});
    let world = World::at("2026-03-07T12:00:00Z");
    world.create("j", &with(schedule("cron(30 2 * * ? *)", "x"), &zone)).await;
    assert_eq!(world.run_until("2026-03-09T12:00:00Z").await, ["09 06:30:00 x"]);
    let world = World::at("2026-10-31T12:00:00Z");
    world.create("j", &with(schedule("cron(30 1 * * ? *)", "x"), &zone)).await;
    assert_eq!(world.run_until("2026-11-02T12:00:00Z").await, ["01 05:30:00 x", "02 06:30:00 x"]);
}

#[tokio::test]
async fn a_rate_fires_at_once_and_then_on_its_grid_or_from_its_start() {
    let world = World::at("2026-11-20T12:00:30.250Z");
    world.create("now", &schedule("rate(15 minutes)", "now")).await;
    let start = json!({"StartDate": instant("2026-11-20T12:20:00Z").timestamp()});
    world.create("later", &with(schedule("rate(1 hour)", "later"), &start)).await;
    let calls = world.run_until("2026-11-20T12:45:00Z").await;
    assert_eq!(calls, ["20 12:00:30 now", "20 12:15:30 now", "20 12:20:00 later", "20 12:30:30 now"]);
}

#[tokio::test]
async fn start_and_end_bound_a_recurring_schedule_and_delete_removes_it_after_its_last_fire() {
    let world = World::at("2026-11-20T12:00:00Z");
    let bounds = json!({
        "StartDate": instant("2026-11-20T12:02:00Z").timestamp(),
        "EndDate": instant("2026-11-20T12:04:00Z").timestamp(),
        "ActionAfterCompletion": "DELETE",
    });
    world.create("j", &with(schedule("cron(* * * * ? *)", "x"), &bounds)).await;
    let calls = world.run_until("2026-11-20T13:00:00Z").await;
    assert_eq!(calls, ["20 12:02:00 x", "20 12:03:00 x", "20 12:04:00 x"]);
    assert!(world.names().is_empty());
    // A one-shot does not look at them.
    let past = json!({"EndDate": instant("2026-11-20T12:00:00Z").timestamp()});
    world.create("once", &with(schedule("at(2026-11-20T13:30:00)", "once"), &past)).await;
    assert_eq!(world.run_until("2026-11-20T14:00:00Z").await, ["20 13:30:00 once"]);
}

#[tokio::test]
async fn a_one_shot_of_the_past_fires_at_once() {
    let world = World::at("2026-11-20T12:00:00Z");
    world.create("late", &schedule("at(2022-12-31T23:59:59)", "late")).await;
    assert_eq!(world.run_until("2026-11-20T12:00:00Z").await, ["20 12:00:00 late"]);
    assert_eq!(world.scheduler.next_due(), None);
    assert_eq!(world.names(), ["late"], "a completed one-shot stays without ActionAfterCompletion DELETE");
}

#[tokio::test]
async fn a_flexible_window_gives_each_schedule_a_stable_place_inside_it() {
    let world = World::at("2026-11-20T11:59:00Z");
    let window = json!({"FlexibleTimeWindow": {"Mode": "FLEXIBLE", "MaximumWindowInMinutes": 5}});
    let body = schedule("cron(0 * * * ? *)", "<aws.scheduler.scheduled-time>");
    for name in ["a", "b", "c", "d"] {
        world.create(name, &with(body.clone(), &window)).await;
    }
    let offsets = |views: Vec<super::super::ScheduleView>, hour: &str| -> Vec<TimeDelta> {
        views.iter().map(|view| view.next_fire.unwrap() - instant(hour)).collect()
    };
    let first = offsets(world.scheduler.schedules(), "2026-11-20T12:00:00Z");
    assert!(first.iter().all(|offset| *offset >= TimeDelta::zero() && *offset < minutes(5)));
    assert!(first.iter().any(|offset| *offset != first[0]));
    let calls = world.run_until("2026-11-20T12:30:00Z").await;
    assert!(calls.iter().all(|call| call.ends_with(" 2026-11-20T12:00:00Z")), "{calls:?}");
    assert_eq!(offsets(world.scheduler.schedules(), "2026-11-20T13:00:00Z"), first);
}

#[tokio::test]
async fn a_disabled_schedule_never_fires_and_does_not_make_up_for_what_it_missed() {
    let world = World::at("2026-11-20T12:00:00Z");
    let every = schedule("cron(0 * * * ? *)", "every");
    let once = schedule("at(2026-11-20T12:30:00)", "once");
    let disabled = json!({"State": "DISABLED"});
    world.create("every", &with(every.clone(), &disabled)).await;
    world.create("once", &with(once.clone(), &disabled)).await;
    assert_eq!(world.scheduler.next_due(), None);
    world.clock.advance_to(instant("2026-11-20T15:30:00Z"));
    world.ok("PUT", "/schedules/every", &every).await;
    world.ok("PUT", "/schedules/once", &once).await;
    assert_eq!(world.run_until("2026-11-20T16:00:00Z").await, ["20 15:30:00 once", "20 16:00:00 every"]);
}

#[tokio::test]
async fn an_update_keeps_the_place_unless_the_timing_changed() {
    let world = World::at("2026-11-20T12:00:00Z");
    world.create("r", &schedule("rate(1 hour)", "one")).await;
    world.create("o", &schedule("at(2026-11-20T12:10:00)", "o")).await;
    assert_eq!(world.run_until("2026-11-20T12:20:00Z").await, ["20 12:00:00 one", "20 12:10:00 o"]);
    world.ok("PUT", "/schedules/r", &schedule("rate(1 hour)", "two")).await;
    world.ok("PUT", "/schedules/o", &schedule("at(2026-11-20T12:10:00)", "again")).await;
    assert_eq!(world.run_until("2026-11-20T13:20:00Z").await, ["20 13:00:00 two"]);
    world.ok("PUT", "/schedules/o", &schedule("at(2026-11-20T13:25:00)", "moved")).await;
    assert_eq!(world.run_until("2026-11-20T13:30:00Z").await, ["20 13:25:00 moved"]);
}

#[tokio::test]
async fn context_attributes_are_replaced_and_a_missing_input_becomes_the_default_event() {
    let world = World::at("2026-11-20T12:00:00Z");
    let input = "<aws.scheduler.schedule-arn> <aws.scheduler.scheduled-time> <aws.scheduler.attempt-number> <aws.scheduler.execution-id>";
    world.create("j", &schedule("at(2026-11-20T12:00:07)", input)).await;
    let mut bare = schedule("at(2026-11-20T12:00:08)", "");
    bare["Target"].as_object_mut().unwrap().remove("Input");
    world.create("k", &bare).await;
    let calls = world.run_until("2026-11-20T12:01:00Z").await;
    let words: Vec<&str> = calls[0].split(' ').collect();
    assert_eq!(words[2], "arn:aws:scheduler:us-east-1:000000000000:schedule/default/j");
    assert_eq!(&words[3..5], ["2026-11-20T12:00:07Z", "1"]);
    assert_eq!(words[5].len(), 16);
    let event: Value = serde_json::from_str(calls[1].splitn(3, ' ').nth(2).unwrap()).unwrap();
    assert_eq!(event["detail-type"], "Scheduled Event");
    assert_eq!(event["time"], "2026-11-20T12:00:08Z");
}

#[tokio::test]
async fn a_refused_fire_is_retried_with_growing_pauses_and_then_accepted() {
    let world = World::at("2026-11-20T12:00:00Z");
    world.target.refusals.lock().unwrap().extend([refusal(true), refusal(true), refusal(true)]);
    let body = schedule("at(2026-11-20T12:00:10)", "<aws.scheduler.scheduled-time> <aws.scheduler.attempt-number>");
    world.create("j", &with(body, &json!({"ActionAfterCompletion": "DELETE"}))).await;
    let calls = world.run_until("2026-11-20T12:00:15Z").await;
    let expected = ["20 12:00:10", "20 12:00:11", "20 12:00:13"];
    for (at, (call, expected)) in calls.iter().zip(expected).enumerate() {
        assert_eq!(*call, format!("{expected} 2026-11-20T12:00:10Z {}", at + 1));
    }
    assert_eq!(world.names(), ["j"], "the schedule stays while its fire is retried");
    assert_eq!(world.run_until("2026-11-20T13:00:00Z").await, ["20 12:00:17 2026-11-20T12:00:10Z 4"]);
    assert!(world.names().is_empty());
    assert!(world.scheduler.dead_letters().is_empty());
}

#[tokio::test]
async fn the_retry_policy_ends_in_a_dead_letter_with_the_service_s_attributes() {
    let world = World::at("2026-11-20T12:00:00Z");
    *world.target.always.lock().unwrap() = Some(refusal(true));
    let queue = "arn:aws:sqs:us-east-1:000000000000:dead";
    let failing = |name: &str, policy: Value| {
        let mut body = schedule("at(2026-11-20T12:00:10)", name);
        body["Target"]["RetryPolicy"] = policy;
        body["Target"]["DeadLetterConfig"] = json!({"Arn": queue});
        body["ActionAfterCompletion"] = "DELETE".into();
        body
    };
    world.create("attempts", &failing("attempts", json!({"MaximumRetryAttempts": 2}))).await;
    world.create("age", &failing("age", json!({"MaximumEventAgeInSeconds": 60}))).await;
    world.create("none", &failing("none", json!({"MaximumRetryAttempts": 0}))).await;
    world.run_until("2026-11-20T13:00:00Z").await;
    let letters = world.scheduler.dead_letters();
    let of = |name: &str| letters.iter().find(|letter| letter["Body"].as_str() == Some(&format!("{name:?}"))).unwrap();
    assert_eq!(letters.len(), 3);
    assert_eq!(of("attempts")["EXHAUSTED_RETRY_CONDITION"], "MaximumRetryAttempts");
    assert_eq!(of("attempts")["RETRY_ATTEMPTS"], "2");
    assert_eq!(of("attempts")["ERROR_CODE"], "TooManyRequestsException");
    assert_eq!(of("attempts")["SCHEDULED_TIME"], "2026-11-20T12:00:10Z");
    assert_eq!(of("attempts")["DeadLetterArn"], queue);
    assert_eq!(of("age")["EXHAUSTED_RETRY_CONDITION"], "MaximumEventAgeInSeconds");
    assert_eq!(of("age")["RETRY_ATTEMPTS"], "5");
    assert_eq!(of("none")["RETRY_ATTEMPTS"], "0");
    assert!(world.names().is_empty());
}

#[tokio::test]
async fn an_error_no_retry_mends_goes_to_the_dead_letters_at_once() {
    let world = World::at("2026-11-20T12:00:00Z");
    world.target.refusals.lock().unwrap().push_back(refusal(false));
    world.create("j", &schedule("cron(* * * * ? *)", "x")).await;
    assert_eq!(world.run_until("2026-11-20T12:02:00Z").await, ["20 12:01:00 x", "20 12:02:00 x"]);
    let letters = world.scheduler.dead_letters();
    assert_eq!(letters.len(), 1);
    assert!(letters[0].get("EXHAUSTED_RETRY_CONDITION").is_none());
    assert_eq!(letters[0]["DeadLetterArn"], Value::Null);
}

#[tokio::test]
async fn a_retry_goes_to_the_target_it_was_meant_for_and_ends_when_the_schedule_is_disabled_or_deleted() {
    let world = World::at("2026-11-20T12:00:00Z");
    for name in ["updated", "disabled", "deleted"] {
        world.target.refusals.lock().unwrap().push_back(refusal(true));
        world.create(name, &schedule("at(2026-11-20T12:00:10)", name)).await;
    }
    assert_eq!(world.run_until("2026-11-20T12:00:10Z").await.len(), 3);
    world.ok("PUT", "/schedules/updated", &schedule("at(2026-11-20T12:30:00)", "new")).await;
    let disabled = with(schedule("at(2026-11-20T12:00:10)", "disabled"), &json!({"State": "DISABLED"}));
    world.ok("PUT", "/schedules/disabled", &disabled).await;
    world.ok("DELETE", "/schedules/deleted", &Value::Null).await;
    let calls = world.run_until("2026-11-20T13:00:00Z").await;
    assert_eq!(calls, ["20 12:00:11 updated", "20 12:30:00 new"]);
}

#[tokio::test]
async fn the_loop_fires_and_notices_a_new_schedule() {
    let world = World::at("2026-11-20T12:00:00Z");
    let running = tokio::spawn(world.scheduler.clone().run());
    world.create("late", &schedule("at(2026-11-20T12:00:20)", "late")).await;
    world.create("soon", &schedule("at(2026-11-20T12:00:05)", "soon")).await;
    let mut calls = Vec::new();
    while calls.len() < 2 {
        tokio::task::yield_now().await;
        if let Some(wake) = world.clock.next_wake().filter(|wake| Some(*wake) == world.scheduler.next_due()) {
            world.clock.advance_to(wake);
        }
        calls.extend(world.calls());
    }
    assert_eq!(calls, ["20 12:00:05 soon", "20 12:00:20 late"]);
    running.abort();
}

#[tokio::test]
async fn a_change_between_asking_and_waiting_is_not_missed() {
    let world = World::at("2026-11-20T12:00:00Z");
    assert_eq!(world.scheduler.next_due(), None);
    world.create("j", &schedule("at(2026-11-20T12:00:20)", "j")).await;
    world.scheduler.changed().await;
    assert_eq!(world.scheduler.next_due(), Some(instant("2026-11-20T12:00:20Z")));
    let waiting = world.scheduler.clone();
    let mut waiting = std::pin::pin!(waiting.changed());
    assert!(futures::poll!(&mut waiting).is_pending());
    world.ok("DELETE", "/schedules/j", &Value::Null).await;
    waiting.await;
}
