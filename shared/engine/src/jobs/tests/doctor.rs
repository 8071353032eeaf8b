//! The doctor sees what does not fit, and nothing else; what it repairs fits afterwards.

use chrono::{DateTime, TimeDelta, Utc};
use nightshift_domain::config::Config;
use nightshift_domain::event::{Envelope, Wake};
use nightshift_domain::{AttemptId, JobId};
use serde_json::{Value, json};

use super::{World, daily, world};
use crate::clock::Clock;
use crate::deps::Invocation;
use crate::jobs::{Checkup, Refusal, Request, Stamp, doctor, remove, run_now, update};
use crate::ports::{JobTimer, TimerSpec, Timers};
use crate::runs::{Fire, Fired, Scene, fire};

/// A world with the sweeper's timer in it, which deployments make.
async fn deployed() -> World {
    let world = world();
    let spec = TimerSpec::Recurring { expression: "rate(15 minutes)".into(), timezone: "UTC".into(), start: None };
    put(&world, "sweep", spec, Wake::Sweep).await;
    world
}

async fn put(world: &World, name: &str, spec: TimerSpec, wake: Wake) {
    let job = JobId::parse("any").unwrap();
    let timer = JobTimer { job, name: name.to_owned(), spec, envelope: Envelope::new(wake), enabled: true };
    world.outside.put_job(&timer).await.unwrap();
}

fn chain() -> Value {
    let mut job = daily();
    job["jobId"] = json!("a-chain");
    job["schedule"] = json!({ "kind": "cron", "expr": "30 0 7 * * *" });
    job
}

fn wake(job: &str, generation: u64) -> Wake {
    Wake::Job { j: JobId::parse(job).unwrap(), g: generation, s: String::new(), slot: None, nb: None }
}

fn utc(text: &str) -> DateTime<Utc> {
    text.parse().unwrap()
}

impl World {
    /// One invocation of the doctor that has `seconds` left.
    async fn within(&self, seconds: i64, input: Value) -> Checkup {
        let now = self.clock.now();
        let invocation = Invocation { id: "inv-d".to_owned(), deadline: now + TimeDelta::seconds(seconds) };
        let stamp = Stamp::fresh(&self.deps, now);
        doctor(&Request { deps: &self.deps, invocation: &invocation, now, stamp }, &input).await.unwrap()
    }

    async fn check(&self) -> Vec<(&'static str, String)> {
        told(&self.within(60, json!({})).await)
    }

    async fn repair(&self) -> Checkup {
        self.within(60, json!({ "repair": true, "deep": true })).await
    }

    fn edit(&self, name: &str, change: impl FnOnce(&mut JobTimer)) {
        change(self.outside.timers.lock().unwrap().iter_mut().find(|timer| timer.name == name).unwrap());
    }

    fn lose(&self, name: &str) {
        self.outside.timers.lock().unwrap().retain(|timer| timer.name != name);
    }

    fn minutes(&self, minutes: i64) {
        self.clock.advance(TimeDelta::minutes(minutes));
    }
}

/// Each finding's kind, and the timer, run or job it names.
fn told(checkup: &Checkup) -> Vec<(&'static str, String)> {
    let mut told: Vec<_> = checkup
        .findings
        .iter()
        .map(|finding| {
            let run = finding.run.as_ref().map(ToString::to_string);
            let job = finding.job.as_ref().map(ToString::to_string);
            (finding.kind.word(), finding.timer.clone().or(run).or(job).unwrap_or_default())
        })
        .collect();
    told.sort();
    told
}

fn named(wanted: &[(&'static str, &str)]) -> Vec<(&'static str, String)> {
    wanted.iter().map(|(kind, name)| (*kind, (*name).to_owned())).collect()
}

#[tokio::test]
async fn jobs_and_timers_that_fit_have_no_findings() {
    let world = deployed().await;
    world.add(daily()).await;
    world.add(chain()).await;
    let mut every = daily();
    (every["jobId"], every["schedule"]) = (json!("every"), json!({ "kind": "every", "everyMs": 3_600_000 }));
    world.add(every).await;
    let mut off = daily();
    (off["jobId"], off["enabled"]) = (json!("off"), json!(false));
    world.add(off).await;
    world.minutes(10);
    world.outside.calls();
    for input in [json!({}), json!({ "deep": true }), json!({ "deep": true, "repair": true })] {
        let checkup = world.within(60, input).await;
        assert_eq!((told(&checkup), checkup.jobs, checkup.timers), (vec![], 4, 5));
        assert!(checkup.is_well() && !checkup.truncated);
    }
    let calls = world.outside.calls();
    assert!(calls.iter().all(|call| call == "list" || call.starts_with("get ")), "{calls:?}");
}

#[tokio::test]
async fn a_lost_a_stray_and_a_disabled_timer_are_seen_and_repaired() {
    let world = deployed().await;
    world.add(daily()).await;
    world.add(chain()).await;
    let mut weekly = daily();
    weekly["jobId"] = json!("weekly");
    world.add(weekly).await;
    world.minutes(10);
    let before = world.outside.timers.lock().unwrap().clone();
    world.lose("j-daily");
    world.lose("o-a-chain-20261121T070030Z-1");
    world.edit("j-weekly", |timer| timer.enabled = false);
    let night = TimerSpec::Recurring { expression: "cron(0 3 * * ? *)".into(), timezone: "UTC".into(), start: None };
    put(&world, "j-gone", night.clone(), wake("gone", 1)).await;
    put(&world, "copy-of-daily", night.clone(), wake("daily", 1)).await;
    let wanted = named(&[
        ("timer_missing", "j-daily"),
        ("timer_missing", "o-a-chain-20261121T070030Z-1"),
        ("timer_orphan", "copy-of-daily"),
        ("timer_orphan", "j-gone"),
        ("timer_state", "j-weekly"),
    ]);
    world.outside.calls();
    assert_eq!(world.check().await, wanted);
    assert!(world.outside.calls().iter().all(|call| call == "list" || call.starts_with("get ")), "a look is a look");

    let repaired = world.repair().await;
    assert_eq!(told(&repaired), wanted);
    assert!(repaired.is_well(), "{repaired:#?}");
    assert_eq!(world.check().await, []);
    let sorted = |mut timers: Vec<JobTimer>| {
        timers.sort_by(|one, other| one.name.cmp(&other.name));
        timers
    };
    let after = sorted(world.outside.timers.lock().unwrap().clone());
    assert_eq!(after, sorted(before), "every timer is as it was");
}

#[tokio::test]
async fn what_a_timer_holds_is_compared_only_when_that_is_asked_for() {
    let world = deployed().await;
    for (job, schedule) in [
        ("zone", json!({ "expr": "30 7 * * *" })),
        ("text", json!({ "expr": "30 8 * * *" })),
        ("old", json!({ "expr": "30 9 * * *" })),
        ("phase", json!({ "everyMs": 3_600_000 })),
        ("late", json!({ "expr": "30 0 7 * * *" })),
    ] {
        let mut input = daily();
        (input["jobId"], input["schedule"]) = (json!(job), schedule);
        world.add(input).await;
    }
    // Long enough that a rate's start lies in the past, as it always does.
    world.minutes(150);
    // Nobody claims here; the runs of `phase` are not what this is about.
    for hour in [13, 14] {
        let _ = fired(&world, "phase", utc(&format!("2026-11-20T{hour}:00:00Z"))).await;
    }
    assert_eq!(told(&world.within(60, json!({ "deep": true })).await), []);
    let recurring = |timer: &mut JobTimer, change: fn(&mut String, &mut String, &mut Option<DateTime<Utc>>)| {
        let TimerSpec::Recurring { expression, timezone, start } = &mut timer.spec else { panic!("{timer:?}") };
        change(expression, timezone, start);
    };
    world.edit("j-zone", |timer| recurring(timer, |_, zone, _| "Asia/Tokyo".clone_into(zone)));
    world.edit("j-text", |timer| recurring(timer, |text, _, _| "cron(0 8 * * ? *)".clone_into(text)));
    world.edit("j-old", |timer| timer.envelope = Envelope::new(wake("old", 7)));
    world.edit("j-phase", |timer| recurring(timer, |_, _, start| *start = start.map(|at| at + TimeDelta::minutes(1))));
    let late = "o-late-20261121T070030Z-1";
    world.edit(late, |timer| timer.spec = TimerSpec::Once(utc("2026-11-21T08:00:30Z")));
    assert_eq!(world.check().await, []);
    let deep = world.repair().await;
    let wanted = ["j-old", "j-phase", "j-text", "j-zone", late].map(|name| ("timer_differs", name));
    assert_eq!(told(&deep), named(&wanted));
    let said: Vec<&str> = deep.findings.iter().map(|finding| finding.message.as_str()).collect();
    let zone = "the timer j-zone of job zone fires by cron(30 7 * * ? *) in Asia/Tokyo, and should fire by \
        cron(30 7 * * ? *) in UTC; it is set";
    assert!(said.contains(&zone), "{said:#?}");
    assert_eq!(told(&world.repair().await), []);
}

#[tokio::test]
async fn a_job_that_was_changed_a_moment_ago_is_not_judged_and_counted_as_such() {
    let world = deployed().await;
    world.add(daily()).await;
    world.lose("j-daily");
    let checkup = world.within(60, json!({ "repair": true })).await;
    assert_eq!((told(&checkup), checkup.settling), (vec![], 1));
    world.minutes(1);
    assert_eq!(world.check().await, named(&[("timer_missing", "j-daily")]));
}

#[tokio::test]
async fn a_list_that_lags_makes_no_findings() {
    let world = deployed().await;
    world.add(daily()).await;
    world.minutes(10);
    let now = world.outside.timers.lock().unwrap().clone();
    let mut stale: Vec<JobTimer> = now.iter().filter(|timer| timer.name != "j-daily").cloned().collect();
    stale.push(JobTimer { name: "j-removed".to_owned(), ..now[0].clone() });
    *world.outside.stale_list.lock().unwrap() = Some(stale);
    assert_eq!(world.check().await, []);
}

#[tokio::test]
async fn a_link_that_is_firing_is_not_missing_and_a_broken_chain_is() {
    let world = deployed().await;
    world.add(chain()).await;
    world.clock.advance_to(utc("2026-11-21T06:59:30Z"));
    world.lose("o-a-chain-20261121T070030Z-1");
    assert_eq!(world.check().await, [], "so near, it may be waiting for its second without a timer");
    world.clock.advance_to(utc("2026-11-21T07:01:30Z"));
    assert_eq!(world.check().await, [], "it has fired and is being handled");
    world.clock.advance_to(utc("2026-11-21T07:03:00Z"));
    let wanted = named(&[("missed_fire", "a-chain"), ("timer_missing", "o-a-chain-20261122T070030Z-1")]);
    assert_eq!(world.check().await, wanted, "nothing came of it, and the next link is not there");
}

#[tokio::test]
async fn links_of_earlier_definitions_are_left_over_and_those_that_go_by_themselves_are_not() {
    let world = deployed().await;
    world.add(chain()).await;
    world.minutes(10);
    let once = |at| TimerSpec::Once(utc(at));
    let tomorrow = "2026-11-21T07:00:30Z";
    put(&world, "o-a-chain-20261121T070030Z-0", once(tomorrow), wake("a-chain", 0)).await;
    put(&world, "o-a-chain-20261120T115930Z-0", once("2026-11-20T11:59:30Z"), wake("a-chain", 0)).await;
    put(&world, "o-gone-20261120T115930Z-1", once("2026-11-20T11:59:30Z"), wake("gone", 1)).await;
    put(&world, "o-gone-20261121T070030Z-1", once(tomorrow), wake("gone", 1)).await;
    let poll = Wake::Poll { b: AttemptId::new("01KAHJ5Z3M7Q2W4E6R8T0YABCD"), n: 1 };
    put(&world, "p-01KAHJ5Z3M7Q2W4E6R8T0YABCD-1", once("2026-11-20T12:20:00Z"), poll.clone()).await;
    put(&world, "p-01KAHJ5Z3M7Q2W4E6R8T0YABCE-1", once("2026-11-20T09:00:00Z"), poll).await;
    let wanted = named(&[
        ("timer_orphan", "o-a-chain-20261121T070030Z-0"),
        ("timer_orphan", "o-gone-20261121T070030Z-1"),
        ("timer_orphan", "p-01KAHJ5Z3M7Q2W4E6R8T0YABCE-1"),
    ]);
    assert_eq!(world.check().await, wanted);
    assert!(world.repair().await.is_well());
    assert_eq!(world.check().await, []);
    assert!(world.outside.names().contains(&"o-a-chain-20261121T070030Z-1".to_owned()), "today's link stays");
}

#[tokio::test]
async fn a_disabled_job_keeps_no_timer_that_fires() {
    let world = deployed().await;
    world.add(daily()).await;
    world.add(chain()).await;
    for job in ["daily", "a-chain"] {
        update(&world.request(), &json!({ "jobId": job, "patch": { "enabled": false } })).await.unwrap();
    }
    world.minutes(10);
    assert_eq!(world.check().await, []);
    world.edit("j-daily", |timer| timer.enabled = true);
    let at = TimerSpec::Once(utc("2026-11-22T07:00:30Z"));
    put(&world, "o-a-chain-20261122T070030Z-2", at, wake("a-chain", 2)).await;
    let wanted = named(&[("timer_orphan", "o-a-chain-20261122T070030Z-2"), ("timer_state", "j-daily")]);
    assert_eq!(world.check().await, wanted);
    assert!(world.repair().await.is_well());
    let timers = world.outside.timers.lock().unwrap().clone();
    let daily = timers.iter().find(|timer| timer.name == "j-daily").unwrap();
    assert!(!daily.enabled, "it is disabled, not removed");
    assert!(!timers.iter().any(|timer| timer.name.starts_with("o-")));
}

async fn fired(world: &World, job: &str, at: DateTime<Utc>) -> Fired {
    let config = Config::default();
    let invocation = Invocation { id: format!("inv-{at}"), deadline: world.clock.now() + TimeDelta::minutes(10) };
    let scene = Scene { deps: &world.deps, invocation: &invocation, config: &config };
    let job = JobId::parse(job).unwrap();
    let envelope = Fire { job, generation: 1, scheduled: at, slot: Some(at), not_before: Some(at) };
    Box::pin(fire(scene, &envelope)).await.unwrap()
}

/// One sweep, as the `poll` function does it.
async fn swept(world: &World) -> usize {
    let config = Config::default();
    let deadline = world.clock.now() + TimeDelta::minutes(10);
    let invocation = Invocation { id: format!("inv-{deadline}"), deadline };
    Box::pin(crate::sweep::sweep(Scene { deps: &world.deps, invocation: &invocation, config: &config }))
        .await
        .unwrap()
        .repaired
}

#[tokio::test]
async fn a_run_that_nobody_began_is_left_to_the_sweep_which_begins_it() {
    let world = deployed().await;
    world.add(daily()).await;
    world.clock.advance_to(utc("2026-11-21T07:31:00Z"));
    assert_eq!(world.check().await, [], "a minute is what timers take");
    world.minutes(5);
    assert_eq!(world.check().await, named(&[("missed_fire", "daily")]));
    assert!(world.repair().await.is_well());
    let last = || world.outside.envelopes.lock().unwrap().last().cloned().unwrap().kind;
    assert_eq!(last(), Wake::Sweep, "the doctor does what the sweep does by calling it");
    assert_eq!(swept(&world).await, 1);
    let Wake::Resume { r } = last() else { panic!("{:?}", last()) };
    assert_eq!(r.as_str(), "daily_20261121T073000Z", "and it is handed to the trigger");
    assert_eq!(world.check().await, []);
    assert!(
        matches!(fired(&world, "daily", utc("2026-11-21T07:30:00Z")).await, Fired::Driven(_)),
        "late, its timer finds it"
    );
}

#[tokio::test]
async fn a_missed_run_of_a_job_that_skips_them_is_recorded_and_not_run() {
    let world = deployed().await;
    let mut skips = daily();
    skips["missed"] = json!("skip");
    let job = world.add(skips).await;
    world.clock.advance_to(utc("2026-11-21T09:00:00Z"));
    assert!(world.repair().await.is_well());
    assert_eq!(swept(&world).await, 1);
    let runs = world.runs_of(&job.job_id).await;
    assert_eq!((runs.len(), runs[0].state.name()), (1, "skipped"));
    assert_eq!(world.check().await, []);
}

#[tokio::test]
async fn a_run_that_stands_still_is_seen_and_one_that_waits_its_turn_is_not() {
    let world = deployed().await;
    let mut queues = daily();
    queues["overlap"] = json!("queue");
    world.add(queues).await;
    world.clock.advance_to(utc("2026-11-21T07:30:00Z"));
    let crate::jobs::Ran::Enqueued(live) = run_now(&world.request(), &json!({ "jobId": "daily" })).await.unwrap()
    else {
        panic!("it runs")
    };
    let Fired::Recorded(waiting) = fired(&world, "daily", utc("2026-11-21T07:30:00Z")).await else {
        panic!("it waits")
    };
    world.minutes(20);
    assert_eq!(world.check().await, named(&[("hand_over_lost", live.as_str())]), "{waiting} waits for {live}");
    let repaired = world.repair().await;
    assert!(repaired.is_well());
    let envelope = world.outside.envelopes.lock().unwrap().last().cloned().unwrap();
    assert_eq!(envelope.kind, Wake::Sweep, "the ordinary sweep takes it up");
}

#[tokio::test]
async fn the_sweepers_own_timer_is_looked_after() {
    let world = deployed().await;
    world.edit("sweep", |timer| timer.enabled = false);
    assert_eq!(world.check().await, named(&[("timer_state", "sweep")]));
    world.lose("sweep");
    assert_eq!(world.check().await, named(&[("timer_missing", "sweep")]));
    assert!(world.repair().await.is_well());
    assert_eq!(world.check().await, []);
}

#[tokio::test]
async fn a_timer_that_is_not_ours_is_reported_and_left_alone() {
    let world = deployed().await;
    let at = TimerSpec::Once(utc("2026-12-01T00:00:00Z"));
    put(&world, "backup", at, Wake::Heartbeat { a: "main".to_owned() }).await;
    let checkup = world.repair().await;
    assert_eq!(told(&checkup), named(&[("timer_orphan", "backup")]));
    assert!(!checkup.is_well());
    assert!(world.outside.names().contains(&"backup".to_owned()));
}

#[tokio::test]
async fn a_repair_that_fails_is_told_and_the_others_go_on() {
    let world = deployed().await;
    world.add(daily()).await;
    world.minutes(10);
    world.lose("j-daily");
    let spec = TimerSpec::Recurring { expression: "rate(1 hour)".into(), timezone: "UTC".into(), start: None };
    put(&world, "j-gone", spec, wake("gone", 1)).await;
    *world.outside.fails.lock().unwrap() = Some("put");
    let checkup = world.repair().await;
    let repaired: Vec<_> = checkup.findings.iter().map(|finding| (finding.kind.word(), finding.repaired)).collect();
    assert_eq!(repaired, [("timer_missing", false), ("timer_orphan", true)]);
    assert!(checkup.findings[0].message.ends_with("; the repair failed: failed to put j-daily"), "{checkup:?}");
    *world.outside.fails.lock().unwrap() = None;
    assert!(world.repair().await.is_well());
    assert_eq!(world.check().await, []);
}

impl World {
    async fn many(&self, count: usize) {
        for n in 0..count {
            let mut job = daily();
            (job["jobId"], job["name"]) = (json!(format!("job-{n:03}")), json!(format!("Job {n:03}")));
            self.add(job).await;
        }
        self.minutes(10);
    }

    /// Follows the cursors to the end: how many answers, jobs, and which findings.
    async fn whole(&self, seconds: i64) -> (usize, u64, Vec<(&'static str, String)>) {
        let (mut answers, mut jobs, mut found, mut cursor) = (0, 0, Vec::new(), Value::Null);
        loop {
            let checkup = self.within(seconds, json!({ "cursor": cursor })).await;
            answers += 1;
            jobs += checkup.jobs;
            found.extend(told(&checkup));
            assert!(checkup.truncated || checkup.next.is_none());
            match checkup.next {
                Some(next) => cursor = json!(next),
                None => return (answers, jobs, found),
            }
        }
    }
}

#[tokio::test]
async fn a_check_that_runs_out_of_time_goes_on_where_it_ended() {
    let world = deployed().await;
    world.many(250).await;
    world.lose("j-job-007");
    world.lose("j-job-249");
    let wanted = named(&[("timer_missing", "j-job-007"), ("timer_missing", "j-job-249")]);
    assert_eq!(world.whole(60).await, (1, 250, wanted.clone()));
    // Without time the list of timers is cut, and every page of jobs is an answer: what is not listed is asked for by name.
    assert_eq!(world.whole(5).await, (3, 250, wanted));
    assert!(world.within(5, json!({})).await.truncated);
}

#[tokio::test]
async fn a_flood_of_findings_comes_in_several_answers_and_each_once() {
    let world = deployed().await;
    world.many(350).await;
    let mut strays = world.outside.timers.lock().unwrap().clone();
    for timer in strays.iter_mut().filter(|timer| timer.name != "sweep") {
        timer.name = timer.name.replace("j-job", "j-gone");
    }
    *world.outside.timers.lock().unwrap() = strays;
    let (answers, jobs, mut found) = world.whole(60).await;
    assert_eq!((answers, jobs), (3, 350));
    found.sort();
    let missing = (0..350).map(|n| ("timer_missing", format!("j-job-{n:03}")));
    let orphans = (0..350).map(|n| ("timer_orphan", format!("j-gone-{n:03}")));
    assert_eq!(found, missing.chain(orphans).collect::<Vec<_>>());
}

#[tokio::test]
async fn bad_parameters_of_a_check_are_named_at_once() {
    let world = deployed().await;
    let bad = json!({ "cursor": "x", "depp": true, "repair": "yes" });
    let Err(Refusal::Invalid(faults)) = doctor(&world.request(), &bad).await else { panic!("it is refused") };
    let mut fields: Vec<&str> = faults.iter().map(|fault| fault.field.as_str()).collect();
    fields.sort_unstable();
    assert_eq!(fields, ["cursor", "depp", "repair"]);
    let old = doctor(&world.request(), &json!({ "cursor": "jobs:x" })).await;
    assert!(matches!(old, Err(Refusal::Invalid(_))), "a page's cursor that the table does not know");
}

#[tokio::test]
async fn a_job_removed_or_moved_while_the_doctor_looks_is_left_as_it_is() {
    let world = deployed().await;
    world.add(daily()).await;
    world.add(chain()).await;
    world.minutes(10);
    let before = world.outside.timers.lock().unwrap().clone();
    remove(&world.request(), &json!({ "jobId": "daily" })).await.unwrap();
    let zone = json!({ "jobId": "a-chain", "patch": { "schedule": { "tz": "Asia/Tokyo" } } });
    update(&world.request(), &zone).await.unwrap();
    world.minutes(1);
    *world.outside.stale_list.lock().unwrap() = Some(before);
    assert_eq!(told(&world.repair().await), []);
    assert_eq!(world.outside.names(), ["sweep", "o-a-chain-20261120T220030Z-2"]);
}
