//! Every occurrence of an enabled job has one record, whatever becomes of its timer, of the machine and of the clocks.

#![expect(clippy::unwrap_used, reason = "a test fails where it stands")]

use std::collections::BTreeMap;

use chrono::{DateTime, TimeDelta, Utc};
use nightshift_local::Options;
use nightshift_tests::local::{Local, batch_job, start};
use serde_json::{Value, json};

/// A realtime job on a cron expression in UTC, without stagger.
fn job(name: &str, expr: &str) -> Value {
    json!({
        "name": name,
        "schedule": { "kind": "cron", "expr": expr, "tz": "UTC", "staggerMs": 0 },
        "payload": { "kind": "agentTurn", "message": "Brief." },
        "delivery": { "mode": "announce" },
    })
}

/// What a job's timer sends.
fn envelope(id: &str, generation: u64, scheduled: &str) -> Value {
    json!({ "v": 1, "k": "job", "j": id, "g": generation, "s": scheduled })
}

/// Every run of a job, oldest first: its slot and its status, with the reason of a skip.
async fn records(local: &Local, id: &str) -> Vec<(String, String)> {
    let (mut all, mut cursor) = (Vec::new(), Value::Null);
    loop {
        let page = local.ok("cron.runs", &json!({ "jobId": id, "limit": 200, "cursor": cursor })).await;
        for run in page["runs"].as_array().unwrap() {
            let word = run["status"].as_str().unwrap_or("live").to_owned();
            let word = if word == "skipped" { run["error"]["code"].as_str().unwrap().to_owned() } else { word };
            all.push((run["slot"].as_str().unwrap().to_owned(), word));
        }
        cursor = page["nextCursor"].clone();
        if cursor.is_null() {
            all.reverse();
            return all;
        }
    }
}

fn words(records: &[(String, String)]) -> BTreeMap<&str, usize> {
    let mut words = BTreeMap::new();
    for (_, word) in records {
        *words.entry(word.as_str()).or_default() += 1;
    }
    words
}

fn slots(records: &[(String, String)]) -> Vec<&str> {
    records.iter().map(|(slot, _)| slot.as_str()).collect()
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_timer_that_comes_again_and_again_finds_the_run_it_started() {
    let local = Local::start().await;
    let id = local.add(&job("Brief", "0 7 * * *")).await;
    local.advance(60).await;
    for _ in 0..3 {
        local.invoke("trigger", &envelope(&id, 1, "2026-11-20T07:00:00Z")).await;
    }
    let twice = envelope(&id, 1, "2026-11-20T07:00:00Z");
    tokio::join!(local.invoke("trigger", &twice), local.invoke("trigger", &twice));
    assert_eq!(records(&local, &id).await, [("2026-11-20T07:00:00Z".to_owned(), "ok".to_owned())]);
    assert_eq!(local.delivered().len(), 1);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_timer_in_flight_is_judged_by_the_schedule_as_it_is_now() {
    let local = Local::start().await;
    // Moved away: seven o'clock is no occurrence any more, so its late timer starts nothing.
    let moved = local.add(&job("Moved", "0 7 * * *")).await;
    // Moved so that seven o'clock still is one: it has its record, once.
    let kept = local.add(&job("Kept", "0 7 * * *")).await;
    local.advance(59).await;
    for (id, expr) in [(&moved, "0 8 * * *"), (&kept, "0 7,8 * * *")] {
        let patch = json!({ "schedule": { "kind": "cron", "expr": expr, "tz": "UTC", "staggerMs": 0 } });
        local.ok("cron.update", &json!({ "jobId": id, "patch": patch })).await;
    }
    local.advance(2).await;
    for id in [&moved, &kept] {
        local.invoke("trigger", &envelope(id, 1, "2026-11-20T07:00:00Z")).await;
    }
    assert_eq!(records(&local, &moved).await, []);
    assert_eq!(slots(&records(&local, &kept).await), ["2026-11-20T07:00:00Z"]);
    local.advance(60).await;
    assert_eq!(slots(&records(&local, &moved).await), ["2026-11-20T08:00:00Z"]);
    assert_eq!(slots(&records(&local, &kept).await), ["2026-11-20T07:00:00Z", "2026-11-20T08:00:00Z"]);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn an_edit_that_overtakes_its_timer_loses_no_occurrence() {
    let local = Local::start().await;
    let id = local.add(&job("Brief", "0 7 * * *")).await;
    local.drop_timer(&format!("j-{id}")).await;
    local.advance(60).await;
    // Seven o'clock is now; the schedule is changed before its timer arrives, and with it the timer is gone.
    let patch = json!({ "schedule": { "kind": "cron", "expr": "0 7,9 * * *", "tz": "UTC", "staggerMs": 0 } });
    local.ok("cron.update", &json!({ "jobId": id, "patch": patch })).await;
    local.advance(125).await;
    let records = records(&local, &id).await;
    let wanted = [("2026-11-20T07:00:00Z", "missed"), ("2026-11-20T09:00:00Z", "ok")];
    assert_eq!(records, wanted.map(|(slot, word)| (slot.to_owned(), word.to_owned())));
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_timer_ten_minutes_late_runs_its_occurrence_once() {
    for missed in ["skip", "once", "all"] {
        let local = Local::start().await;
        let mut late = job("Late", "0 7 * * *");
        late["missed"] = json!(missed);
        let id = local.add(&late).await;
        local.drop_timer(&format!("j-{id}")).await;
        local.advance(70).await;
        assert_eq!(records(&local, &id).await, [], "nothing came so far");
        local.invoke("trigger", &envelope(&id, 1, "2026-11-20T07:00:00Z")).await;
        local.advance(60).await;
        assert_eq!(records(&local, &id).await, [("2026-11-20T07:00:00Z".to_owned(), "ok".to_owned())], "{missed}");
        assert_eq!(local.delivered().len(), 1);
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn what_is_too_late_for_the_job_is_recorded_and_not_run() {
    let local = Local::start().await;
    let mut picky = job("Picky", "0 7 * * *");
    picky["maxLatenessMs"] = json!(300_000);
    let id = local.add(&picky).await;
    local.drop_timer(&format!("j-{id}")).await;
    local.advance(70).await;
    local.invoke("trigger", &envelope(&id, 1, "2026-11-20T07:00:00Z")).await;
    assert_eq!(records(&local, &id).await, [("2026-11-20T07:00:00Z".to_owned(), "too_late".to_owned())]);
    assert!(local.delivered().is_empty());
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn the_timer_of_a_disabled_job_leaves_no_record() {
    let local = Local::start().await;
    let id = local.add(&job("Off", "0 7 * * *")).await;
    local.ok("cron.update", &json!({ "jobId": id, "patch": { "enabled": false } })).await;
    local.advance(61).await;
    local.invoke("trigger", &envelope(&id, 1, "2026-11-20T07:00:00Z")).await;
    assert_eq!(records(&local, &id).await, []);
    // Switched on again, it has the occurrences from then on and none of those in between.
    local.advance(24 * 60).await;
    local.ok("cron.update", &json!({ "jobId": id, "patch": { "enabled": true } })).await;
    local.advance(24 * 60).await;
    assert_eq!(slots(&records(&local, &id).await), ["2026-11-22T07:00:00Z"]);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_job_that_lost_its_timer_is_found_and_runs_again() {
    let local = Local::start().await;
    let id = local.add(&job("Lost", "0 * * * *")).await;
    let mut once = job("Once", "0 7 * * *");
    once["schedule"] = json!({ "kind": "at", "at": "2026-11-20T07:00:00Z" });
    once["deleteAfterRun"] = json!(false);
    let reminder = local.add(&once).await;
    let names: Vec<String> = local.stack.scheduler.schedules().into_iter().map(|one| one.name).collect();
    for name in names.iter().filter(|name| name.contains(&id) || name.contains(&reminder)) {
        local.drop_timer(name).await;
    }
    local.advance(200).await;
    let hourly = records(&local, &id).await;
    assert_eq!(slots(&hourly), ["2026-11-20T07:00:00Z", "2026-11-20T08:00:00Z", "2026-11-20T09:00:00Z"]);
    assert_eq!(words(&hourly), [("ok", 3)].into());
    assert_eq!(words(&records(&local, &reminder).await), [("ok", 1)].into(), "the sweep made up for it");
}

/// Three days around the end of summer time in Vienna (25 October 2026, 01:00 UTC), during which nothing ran.
async fn after_three_days(mut jobs: Vec<Value>) -> (Local, Vec<String>) {
    let folder = std::sync::Arc::new(tempfile::tempdir().unwrap());
    let state = folder.path().join("state");
    let before: DateTime<Utc> = "2026-10-24T03:30:00Z".parse().unwrap();
    let local = Local::with(Options::new(&state).manual(before), folder.clone()).await;
    let mut ids = Vec::new();
    for job in &mut jobs {
        job["schedule"]["tz"] = json!("Europe/Vienna");
        ids.push(local.add(job).await);
    }
    drop(local);
    let local = Local::with(Options::new(&state).manual(before + TimeDelta::days(3)), folder).await;
    // Long enough for what was made up for, and short of the next hour.
    local.advance(20).await;
    (local, ids)
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_jump_of_three_days_over_a_change_of_clocks_leaves_one_record_each() {
    let rule = |name: &str, expr: &str, missed: &str| {
        let mut job = job(name, expr);
        job["missed"] = json!(missed);
        job
    };
    let jobs = vec![
        rule("Hourly", "0 * * * *", "once"),
        rule("Daily", "0 7 * * *", "skip"),
        rule("All", "30 2 * * *", "all"),
        rule("Hourly all", "0 * * * *", "all"),
    ];
    let (local, ids) = after_three_days(jobs).await;
    // 03:30Z to 03:50Z three days later: 72 hours, and the hour that comes twice in Vienna runs on its first pass only.
    let hourly = records(&local, &ids[0]).await;
    assert_eq!(words(&hourly), [("missed", 70), ("ok", 1)].into(), "{hourly:?}");
    assert_eq!(hourly.last().unwrap(), &("2026-10-27T03:00:00Z".to_owned(), "ok".to_owned()), "the latest ran");
    let mut seen = slots(&hourly);
    seen.dedup();
    assert_eq!(seen.len(), hourly.len(), "one row per occurrence");
    assert!(seen.contains(&"2026-10-25T00:00:00Z") && !seen.contains(&"2026-10-25T01:00:00Z"), "{seen:?}");
    // 07:00 in Vienna: 05:00Z in summer, 06:00Z in winter.
    let daily = records(&local, &ids[1]).await;
    let wanted = ["2026-10-24T05:00:00Z", "2026-10-25T06:00:00Z", "2026-10-26T06:00:00Z"];
    assert_eq!((slots(&daily), words(&daily)), (wanted.to_vec(), [("missed", 3)].into()));
    // 02:30 comes twice on the 25th and counts once; all three were made up for.
    let all = records(&local, &ids[2]).await;
    let wanted = ["2026-10-25T00:30:00Z", "2026-10-26T01:30:00Z", "2026-10-27T01:30:00Z"];
    assert_eq!((slots(&all), words(&all)), (wanted.to_vec(), [("ok", 3)].into()));
    let many = records(&local, &ids[3]).await;
    assert_eq!(words(&many), [("missed", 47), ("ok", 24)].into(), "the latest 24 are made up for, one after the other");
    assert_eq!(local.delivered().len(), 1 + 3 + 24);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_one_shot_that_fell_due_while_the_machine_was_off_follows_its_rule() {
    for (missed, wanted) in [("once", "ok"), ("skip", "missed")] {
        let mut once = job("Once", "0 7 * * *");
        once["schedule"] = json!({ "kind": "at", "at": "2026-10-25T02:00:00Z" });
        once["deleteAfterRun"] = json!(false);
        once["missed"] = json!(missed);
        let (local, ids) = after_three_days(vec![once]).await;
        assert_eq!(words(&records(&local, &ids[0]).await), [(wanted, 1)].into());
        assert_eq!(local.ok("cron.get", &json!({ "jobId": ids[0] })).await["enabled"], false);
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_recurring_job_pauses_after_a_failure_and_says_so() {
    let local = Local::start().await;
    let refused = json!({ "match": "*", "times": 4, "error": { "status": 401, "type": "authentication_error" } });
    local.script(json!({ "replies": [refused, { "match": "*", "text": "Fine again." }] }));
    let mut often = job("Often", "* * * * *");
    often["delivery"] = json!({ "mode": "none" });
    let id = local.add(&often).await;
    local.advance(40).await;
    let records = records(&local, &id).await;
    let words: Vec<&str> = records.iter().map(|(_, word)| word.as_str()).collect();
    // After the first failure 30 s, after the second 60 s, then five and fifteen minutes.
    let failures = words.iter().filter(|word| **word == "error").count();
    assert_eq!(failures, 4, "{words:?}");
    assert_eq!(words.len(), 40, "every occurrence has its record: {words:?}");
    assert!(words.iter().filter(|word| **word == "backoff").count() >= 18, "{words:?}");
    assert_eq!(words.last(), Some(&"ok"));
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_schedule_that_is_set_just_before_its_minute_does_not_miss_it() {
    let local = Local::start().await;
    local.stack.advance(TimeDelta::seconds(30)).await.unwrap();
    let id = local.add(&job("Soon", "1 6 * * *")).await;
    // As on AWS, where a schedule of half a minute's age may not fire.
    local.drop_timer(&format!("j-{id}")).await;
    local.advance(2).await;
    assert_eq!(records(&local, &id).await, [("2026-11-20T06:01:00Z".to_owned(), "ok".to_owned())]);
    assert_eq!(local.stack.now(), start() + TimeDelta::seconds(150));
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn no_more_runs_are_kept_than_the_configuration_says() {
    let local = Local::start().await;
    let config = json!({ "cron": { "retention": { "runsPerJob": 20 } } });
    local.ok("config.apply", &json!({ "config": config, "expectedRevision": 0 })).await;
    let mut often = job("Often", "*/5 * * * *");
    often["delivery"] = json!({ "mode": "none" });
    let id = local.add(&often).await;
    let other = local.add(&batch_job("Mine stay.")).await;
    local.ok("cron.run", &json!({ "jobId": other, "mode": "force" })).await;
    local.advance(8 * 60).await;
    let kept = records(&local, &id).await;
    assert!((19..=20).contains(&kept.len()), "{}", kept.len());
    assert_eq!(kept.last().unwrap().0, "2026-11-20T14:00:00Z");
    assert!(!records(&local, &other).await.is_empty());
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_pause_after_a_failure_does_not_hold_up_a_new_timing() {
    let local = Local::start().await;
    let refused = json!({ "match": "*", "times": 3, "error": { "status": 401, "type": "authentication_error" } });
    local.script(json!({ "replies": [refused, { "match": "*", "text": "Fine again." }] }));
    let id = local.add(&job("Often", "* * * * *")).await;
    // Three failures: a pause of five minutes has begun.
    local.advance(4).await;
    let patch = json!({ "schedule": { "kind": "at", "at": "2026-11-20T06:06:30Z" }, "deleteAfterRun": false });
    local.ok("cron.update", &json!({ "jobId": id, "patch": patch })).await;
    local.advance(5).await;
    let records = records(&local, &id).await;
    assert_eq!(records.last().unwrap(), &("2026-11-20T06:06:30Z".to_owned(), "ok".to_owned()), "{records:?}");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_fire_that_sleeps_while_its_one_shot_is_moved_away_starts_nothing() {
    let local = Local::start().await;
    let mut once = job("Once", "0 7 * * *");
    once["schedule"] = json!({ "kind": "at", "at": "2026-11-20T06:01:20Z" });
    once["deleteAfterRun"] = json!(false);
    // So near that the trigger has it and sleeps.
    let id = local.add(&once).await;
    local.stack.advance(TimeDelta::seconds(30)).await.unwrap();
    let patch = json!({ "schedule": { "kind": "at", "at": "2026-11-20T07:00:00Z" } });
    local.ok("cron.update", &json!({ "jobId": id, "patch": patch })).await;
    local.advance(20).await;
    assert_eq!(records(&local, &id).await, []);
    local.advance(60).await;
    assert_eq!(records(&local, &id).await, [("2026-11-20T07:00:00Z".to_owned(), "ok".to_owned())]);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn occurrences_that_come_out_of_order_leave_no_gap_behind() {
    let local = Local::start().await;
    let id = local.add(&job("Often", "*/5 6 * * *")).await;
    local.drop_timer(&format!("j-{id}")).await;
    local.advance(10).await;
    for scheduled in ["2026-11-20T06:10:00Z", "2026-11-20T06:05:00Z"] {
        local.invoke("trigger", &envelope(&id, 1, scheduled)).await;
    }
    assert_eq!(slots(&records(&local, &id).await), ["2026-11-20T06:05:00Z", "2026-11-20T06:10:00Z"]);
    let next = local.ok("cron.get", &json!({ "jobId": id })).await["state"]["nextRunAtMs"].clone();
    let wanted: DateTime<Utc> = "2026-11-20T06:15:00Z".parse().unwrap();
    assert_eq!(next, json!(wanted.timestamp_millis()), "nothing lies behind");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn an_occurrence_whose_row_is_gone_from_history_does_not_run_again() {
    let local = Local::start().await;
    let config = json!({ "cron": { "retention": { "runsPerJob": 1 } } });
    local.ok("config.apply", &json!({ "config": config, "expectedRevision": 0 })).await;
    let mut often = job("Often", "* * * * *");
    often["missed"] = json!("all");
    let id = local.add(&often).await;
    local.advance(5).await;
    assert_eq!((records(&local, &id).await.len(), local.delivered().len()), (1, 5));
    local.invoke("trigger", &envelope(&id, 1, "2026-11-20T06:02:00Z")).await;
    local.advance(30).await;
    assert_eq!(local.delivered().len(), 35, "one message per minute and none twice");
}
