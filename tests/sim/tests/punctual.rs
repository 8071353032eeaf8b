//! Answers that are wanted by a time of day, over a month in which batches take as long as they were seen to take.

#![expect(clippy::unwrap_used, reason = "a test fails where it stands")]
#![expect(clippy::print_stdout, reason = "figures for people")]

use chrono::{DateTime, TimeDelta, Utc};
use nightshift_domain::JobId;
use nightshift_domain::job::RunStatus;
use nightshift_domain::run::{DELIVER_BY, Run};
use nightshift_engine::ManualClock;
use nightshift_engine::ports::{PageRequest, RunFilter};
use nightshift_sim::lambda::Wish;
use nightshift_sim::outside::Outside;
use nightshift_sim::provider::{BatchPlan, Plan, RowPlan, Say};
use nightshift_sim::world::World;
use serde_json::{Value, json};

/// How long batches take, minutes, and for how many of a thousand that is enough: half within 7 minutes, 90 of 100 within an
/// hour (`OpenRouter`'s figures over 230,000 batches, a third party); the ends are guesses, and the last is a batch's life.
const TURN_AROUND: [(f64, f64); 6] =
    [(0.0, 1.5), (500.0, 7.0), (900.0, 60.0), (990.0, 360.0), (999.0, 1_200.0), (1_000.0, 1_440.0)];
/// How many batches are drawn: a prime, so that steps of another number come to each of them once.
const DRAWN: u32 = 1_999;
/// Of how many turns one looks something up before it answers, so that it has two hops.
const LOOKS_ONE_IN: u32 = 6;

fn instant(text: &str) -> DateTime<Utc> {
    text.parse().unwrap()
}

/// Draws from that, spread evenly and in no order: the same in every run of the test. In seconds.
#[expect(clippy::cast_possible_truncation, clippy::cast_sign_loss, reason = "a day at the most")]
fn takes(n: u32) -> u32 {
    let place = f64::from(n * 1_237 % DRAWN) * 1_000.0 / f64::from(DRAWN);
    let above = TURN_AROUND.iter().position(|(at, _)| place < *at).unwrap();
    let ((from, least), (to, most)) = (TURN_AROUND[above - 1], TURN_AROUND[above]);
    (least * f64::powf(most / least, (place - from) / (to - from)) * 60.0) as u32
}

/// Jobs of two zones at ten times of day, some of them not before a time, some on weekdays alone.
fn jobs() -> Vec<Value> {
    let job = |name: &str, tz: &str, expr: &str, by: &str, earliest: Option<&str>| {
        json!({
            "jobId": name, "name": name, "schedule": { "kind": "cron", "expr": expr, "tz": tz },
            "payload": { "kind": "agentTurn", "message": "Say how it went.", "toolsAllow": ["memory"],
                "batch": { "enabled": true, "deliverBy": by, "earliest": earliest } },
            "delivery": { "mode": "announce", "channel": "telegram", "to": format!("chat-{name}") },
        })
    };
    let (vienna, new_york) = ("Europe/Vienna", "America/New_York");
    vec![
        job("brief", vienna, "0 7 * * *", "07:00", None),
        job("fresh", vienna, "0 8 * * *", "08:00", Some("07:00")),
        job("night", vienna, "30 2 * * *", "02:30", None),
        job("work", vienna, "0 6 * * 1-5", "06:00", None),
        job("noon", vienna, "0 9 * * *", "12:00", None),
        job("paper", new_york, "0 7 * * *", "07:00", None),
        job("dark", new_york, "30 1 * * *", "01:30", Some("22:00")),
        job("far", new_york, "15 6 * * *", "06:15", Some("05:00")),
        job("late", new_york, "0 23 * * *", "23:00", None),
        job("even", new_york, "40 17 * * 1-5", "17:40", None),
    ]
}

/// The month has the end of summer time in Vienna (25 October) and in New York (1 November) in it.
#[test]
fn over_a_month_with_two_clock_changes_answers_are_there_when_they_are_wanted() {
    let (begin, end) = (instant("2026-10-11T16:00:00Z"), instant("2026-11-11T16:00:00Z"));
    let clock = ManualClock::new(begin);
    let runs = futures::executor::block_on(async {
        let outside = Outside::new(clock, 1);
        let kept = json!({ "cron": { "retention": { "runsDays": 60 } } });
        outside.store.put_config(&kept, 0).await.unwrap();
        for n in 0..DRAWN {
            let plan = BatchPlan { takes: takes(n), stops_after: 90, ..BatchPlan::default() };
            outside.provider.plan(Plan::Batch(plan));
            let say = if n % LOOKS_ONE_IN == 0 { Say::Looks } else { Say::Done };
            outside.provider.plan(Plan::Row(RowPlan::Answered(say)));
        }
        let mut world = World::new(outside).unwrap();
        for job in jobs() {
            world.ask(Wish::Add(job));
        }
        Box::pin(world.advance_to(end)).await.unwrap();
        assert!(world.refused().is_empty(), "{:?}", world.refused());
        let mut runs: Vec<Run> = Vec::new();
        for job in jobs() {
            let filter = RunFilter::OfJob(JobId::parse(job["jobId"].as_str().unwrap()).unwrap());
            let page = PageRequest { limit: 200, cursor: None };
            runs.extend(world.outside.store.runs(&filter, &page).await.unwrap().items);
        }
        runs
    });
    let wanted: Vec<&Run> = runs.iter().filter(|run| run.due_by.as_ref().is_some_and(|due| due.at <= end)).collect();
    // 31 days of eight jobs, and the weekdays of two.
    assert!((285..=300).contains(&wanted.len()), "{} answers were wanted", wanted.len());
    let (mut in_time, mut escalated, mut ahead) = (0, 0, TimeDelta::zero());
    for run in &wanted {
        let due = run.due_by.as_ref().unwrap();
        let (started, ended) = (run.started_at.unwrap(), run.ended_at.unwrap_or(end));
        let name = run.job_id.as_str();
        in_time += usize::from(run.status() == Some(RunStatus::Ok) && ended <= due.at);
        let plan = run.plan.as_ref().unwrap();
        escalated += usize::from(plan.fallback_reason.as_deref() == Some(DELIVER_BY));
        assert_ne!(plan.fallback_reason.as_deref(), Some("no_time_for_batch"), "{name}: {due:?} {started}");
        ahead += due.at - started;
        assert_eq!(run.slot, if name == "noon" { due.at - TimeDelta::hours(3) } else { due.at }, "{name}");
        let most = match name {
            "fresh" => 60,
            "far" => 75,
            "noon" => 180,
            _ => 12 * 60,
        };
        assert!(due.at - started <= TimeDelta::minutes(most), "{name} starts too early: {due:?} {started}");
        let data = run.data_as_of().unwrap();
        assert!((started..=ended).contains(&data), "{name} says {data}: {started} to {ended}");
    }
    let share = |count: usize| {
        format!(
            "{:.1} %",
            100.0 * f64::from(u32::try_from(count).unwrap()) / f64::from(u32::try_from(wanted.len()).unwrap())
        )
    };
    println!(
        "of {} answers {} were in time, and {} were asked for in realtime at the latest safe moment; begun {} min before, on the average",
        wanted.len(),
        share(in_time),
        share(escalated),
        ahead.num_minutes() / i64::try_from(wanted.len()).unwrap(),
    );
    assert!(in_time * 100 >= wanted.len() * 99, "{in_time}");
    assert!(escalated > 0 && escalated * 100 <= wanted.len() * 15, "{escalated}");
}
