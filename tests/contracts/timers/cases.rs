//! What the service keeps after each call.

use aws_sdk_scheduler::primitives::DateTime;
use aws_sdk_scheduler::types::{
    ActionAfterCompletion, DeadLetterConfig, FlexibleTimeWindow, FlexibleTimeWindowMode, ScheduleState, Target,
};
use chrono::TimeDelta;
use nightshift_domain::JobId;
use nightshift_domain::event::{Function, Wake};
use nightshift_engine::ports::{JobTimer, TimerSpec, Timers};
use nightshift_timers::{Functions, SchedulerTimers};
use serde_json::{Value, json};

use super::worlds::{FUNCTIONS, QUEUE, ROLE, World, cron, job_timer, poll, start};

pub(crate) async fn a_timer_that_is_set_again_is_replaced_whole(world: &World) {
    let begin = start() + TimeDelta::minutes(7);
    let rate =
        TimerSpec::Recurring { expression: "rate(5 minutes)".into(), timezone: "UTC".into(), start: Some(begin) };
    world.timers.put_job(&job_timer(rate, true)).await.unwrap();
    let first = world.schedule("j-a-1").await.unwrap();
    assert_eq!(first.schedule_expression(), Some("rate(5 minutes)"));
    assert_eq!(first.start_date().map(DateTime::secs), Some(begin.timestamp()));

    world.timers.put_job(&job_timer(cron("cron(0 7 ? * MON-FRI *)", "Europe/Berlin"), true)).await.unwrap();
    let second = world.schedule("j-a-1").await.unwrap();
    assert_eq!(second.schedule_expression(), Some("cron(0 7 ? * MON-FRI *)"));
    assert_eq!(second.schedule_expression_timezone(), Some("Europe/Berlin"));
    assert_eq!(second.start_date(), None);
    assert_eq!(second.state(), Some(&ScheduleState::Enabled));
    assert_eq!(second.flexible_time_window().map(FlexibleTimeWindow::mode), Some(&FlexibleTimeWindowMode::Off));
    let target = second.target().unwrap();
    assert_eq!((target.arn(), target.role_arn()), (format!("{FUNCTIONS}trigger").as_str(), ROLE));
    let retry = target.retry_policy().unwrap();
    assert_eq!((retry.maximum_retry_attempts(), retry.maximum_event_age_in_seconds()), (Some(10), Some(3_600)));
    assert_eq!(target.dead_letter_config().and_then(DeadLetterConfig::arn), Some(QUEUE));
    let input: Value = serde_json::from_str(target.input().unwrap()).unwrap();
    assert_eq!(input, json!({ "v": 1, "k": "job", "j": "a-1", "g": 3, "s": "<aws.scheduler.scheduled-time>" }));
    assert_eq!(world.count().await, 1);
}

pub(crate) async fn a_timer_set_back_and_forth_stands_as_it_was_set_last(world: &World) {
    for _ in 0..2 {
        for (expression, enabled) in [("cron(0 7 ? * * *)", true), ("cron(0 8 ? * * *)", false)] {
            world.timers.put_job(&job_timer(cron(expression, "UTC"), enabled)).await.unwrap();
            let schedule = world.schedule("j-a-1").await.unwrap();
            let state = if enabled { ScheduleState::Enabled } else { ScheduleState::Disabled };
            assert_eq!((schedule.schedule_expression(), schedule.state()), (Some(expression), Some(&state)));
        }
    }
}

pub(crate) async fn a_disabled_timer_is_there_and_disabled(world: &World) {
    world.timers.put_job(&job_timer(cron("cron(0 7 ? * * *)", "UTC"), false)).await.unwrap();
    assert_eq!(world.schedule("j-a-1").await.unwrap().state(), Some(&ScheduleState::Disabled));
}

pub(crate) async fn a_job_of_one_occurrence_deletes_its_timer_after_it(world: &World) {
    let at = start() + TimeDelta::hours(7);
    world.timers.put_job(&job_timer(TimerSpec::Once(at), true)).await.unwrap();
    let schedule = world.schedule("j-a-1").await.unwrap();
    let expression = format!("at({})", at.format("%Y-%m-%dT%H:%M:%S"));
    assert_eq!(schedule.schedule_expression(), Some(expression.as_str()));
    assert_eq!(schedule.schedule_expression_timezone(), Some("UTC"));
    assert_eq!(schedule.action_after_completion(), Some(&ActionAfterCompletion::Delete));
}

pub(crate) async fn a_timer_armed_twice_is_one_timer(world: &World) {
    let at = start() + TimeDelta::minutes(2);
    world.timers.arm("p-1-1", at, &poll(1)).await.unwrap();
    world.timers.arm("p-1-1", at, &poll(1)).await.unwrap();
    // A later pass may compute another instant for the same timer: the first stands.
    world.timers.arm("p-1-1", at + TimeDelta::minutes(9), &poll(1)).await.unwrap();
    let schedule = world.schedule("p-1-1").await.unwrap();
    let expression = format!("at({})", at.format("%Y-%m-%dT%H:%M:%S"));
    assert_eq!(schedule.schedule_expression(), Some(expression.as_str()));
    assert_eq!(schedule.target().map(Target::arn), Some(format!("{FUNCTIONS}poll").as_str()));
    assert_eq!(world.count().await, 1);
}

pub(crate) async fn a_timer_is_never_armed_in_the_past(world: &World) {
    world.timers.arm("p-1-1", start() - TimeDelta::days(1), &poll(1)).await.unwrap();
    let soon = format!("at({})", (start() + TimeDelta::seconds(5)).format("%Y-%m-%dT%H:%M:%S"));
    assert_eq!(world.schedule("p-1-1").await.unwrap().schedule_expression(), Some(soon.as_str()));
}

pub(crate) async fn a_timer_is_removed_once_and_a_repeat_is_content(world: &World) {
    world.timers.put_job(&job_timer(cron("cron(0 7 ? * * *)", "UTC"), true)).await.unwrap();
    world.timers.remove("j-a-1").await.unwrap();
    assert!(world.schedule("j-a-1").await.is_none());
    world.timers.remove("j-a-1").await.unwrap();
    world.timers.remove("never-there").await.unwrap();
}

/// Within the service's memory of client tokens.
pub(crate) async fn a_removed_timer_can_be_set_again(world: &World) {
    for _ in 0..2 {
        world.timers.put_job(&job_timer(cron("cron(0 7 ? * * *)", "UTC"), true)).await.unwrap();
        assert!(world.schedule("j-a-1").await.is_some());
        world.timers.remove("j-a-1").await.unwrap();
    }
}

pub(crate) async fn an_expression_the_service_cannot_read_is_told_apart(world: &World) {
    let too_long = format!("cron({} ? * * * *)", vec!["0"; 200].join(","));
    for expression in ["cron(* * *)", "cron(0 1 * * * *)", "rate(5 seconds)", too_long.as_str()] {
        let error = world.timers.put_job(&job_timer(cron(expression, "UTC"), true)).await.unwrap_err();
        assert!(error.expression_refused, "{expression}: {error:?}");
        assert!(world.schedule("j-a-1").await.is_none());
    }
    // The timer that stands is left as it is.
    world.timers.put_job(&job_timer(cron("cron(0 7 ? * * *)", "UTC"), true)).await.unwrap();
    let error = world.timers.put_job(&job_timer(cron("cron(* * *)", "UTC"), true)).await.unwrap_err();
    assert!(error.expression_refused);
    assert_eq!(world.schedule("j-a-1").await.unwrap().schedule_expression(), Some("cron(0 7 ? * * *)"));
}

pub(crate) async fn an_unknown_zone_is_told_apart(world: &World) {
    let error = world.timers.put_job(&job_timer(cron("cron(0 7 ? * * *)", "Mars/Base"), true)).await.unwrap_err();
    assert!(error.expression_refused, "{error:?}");
}

pub(crate) async fn another_refusal_is_no_refusal_of_the_expression(world: &World) {
    let clock = std::sync::Arc::new(world.clock.clone());
    let lost = SchedulerTimers::new(world.client.clone(), "no-such-group", ROLE, Functions::new(FUNCTIONS), clock);
    let error = lost.put_job(&job_timer(cron("cron(0 7 ? * * *)", "UTC"), true)).await.unwrap_err();
    assert!(!error.expression_refused, "{error:?}");
    assert_eq!(error.to_string(), "failed to set timer j-a-1");
}

pub(crate) async fn the_longest_names_are_accepted(world: &World) {
    let job = JobId::parse(&"x".repeat(36)).unwrap();
    let name = nightshift_domain::RunKey::of_slot(&job, start()).resume_timer(999);
    world.timers.arm(&name, start() + TimeDelta::minutes(2), &poll(1)).await.unwrap();
    let timer = JobTimer { name: job.timer_name(), job, ..job_timer(cron("cron(0 7 ? * * *)", "UTC"), true) };
    world.timers.put_job(&timer).await.unwrap();
    assert_eq!(world.count().await, 2);
}

pub(crate) async fn a_list_tells_names_by_prefix_and_which_are_disabled(world: &World) {
    world.timers.arm("p-1-1", start() + TimeDelta::minutes(30), &poll(1)).await.unwrap();
    world.timers.put_job(&job_timer(cron("cron(0 7 ? * * *)", "UTC"), false)).await.unwrap();
    for (prefix, wanted) in [("", vec![("j-a-1", false), ("p-1-1", true)]), ("j-", vec![("j-a-1", false)])] {
        let mut listed = world.timers.list(prefix, None).await.unwrap();
        listed.items.sort_by(|one, other| one.name.cmp(&other.name));
        assert!(listed.items.iter().all(|entry| entry.changed_at.is_some()));
        let seen: Vec<_> = listed.items.iter().map(|entry| (entry.name.as_str(), entry.enabled)).collect();
        assert_eq!((seen, listed.next), (wanted, None));
    }
}

pub(crate) async fn every_timer_is_listed_once_however_many_pages_it_takes(world: &World) {
    let at = start() + TimeDelta::minutes(30);
    let wanted: Vec<String> = (0..205).map(|n| format!("p-1-{n:03}")).collect();
    let arm = |name: &String| {
        let (timers, name) = (world.timers.clone(), name.clone());
        async move { timers.arm(&name, at, &poll(1)).await }
    };
    for names in wanted.chunks(16) {
        futures::future::try_join_all(names.iter().map(arm)).await.unwrap();
    }
    let (mut names, mut cursor, mut pages) = (Vec::new(), None, 0);
    loop {
        let page = world.timers.list("", cursor.as_deref()).await.unwrap();
        names.extend(page.items.into_iter().map(|entry| entry.name));
        pages += 1;
        cursor = page.next;
        if cursor.is_none() {
            break;
        }
    }
    names.sort_unstable();
    assert!(names == wanted, "{} of {} are listed", names.len(), wanted.len());
    assert_eq!(pages, 3, "the service lists a hundred at a time");
}

pub(crate) async fn a_timer_reads_back_as_it_was_set(world: &World) {
    assert_eq!(world.timers.get("j-a-1").await.unwrap(), None);
    let begin = start() + TimeDelta::minutes(7);
    let rate =
        TimerSpec::Recurring { expression: "rate(5 minutes)".into(), timezone: "UTC".into(), start: Some(begin) };
    let once = TimerSpec::Once(start() + TimeDelta::hours(7));
    for (spec, enabled) in [(rate, true), (cron("cron(0 7 ? * MON-FRI *)", "Europe/Berlin"), false), (once, true)] {
        let mut timer = job_timer(spec, enabled);
        world.timers.put_job(&timer).await.unwrap();
        let read = world.timers.get(&timer.name).await.unwrap().unwrap();
        if let (Wake::Job { s, .. }, TimerSpec::Recurring { .. }) = (&mut timer.envelope.kind, &timer.spec) {
            "<aws.scheduler.scheduled-time>".clone_into(s);
        }
        assert_eq!((read.name, read.spec, read.enabled), (timer.name, timer.spec, enabled));
        assert_eq!((read.envelope, read.function), (Some(timer.envelope), Some(Function::Trigger)));
    }
    // Somebody else's schedule in our group is told apart.
    let target = Target::builder().arn("arn:aws:lambda:us-east-1:000000000000:function:other").role_arn(ROLE);
    let window = FlexibleTimeWindow::builder().mode(FlexibleTimeWindowMode::Off).build().unwrap();
    let create = world.client.create_schedule().group_name(&world.group).name("stray").flexible_time_window(window);
    let create = create.schedule_expression("rate(1 hour)").target(target.input("{}").build().unwrap());
    create.send().await.unwrap();
    let stray = world.timers.get("stray").await.unwrap().unwrap();
    assert_eq!((stray.envelope, stray.function), (None, None));
}
