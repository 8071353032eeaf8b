use serde_json::{Value, json};

use super::*;
use crate::JobId;
use crate::config::Config;
use crate::job::{Defaults, parse_new};

fn utc(text: &str) -> DateTime<Utc> {
    text.parse().unwrap()
}

fn now() -> DateTime<Utc> {
    utc("2026-11-20T12:00:00Z")
}

fn job(schedule: &Value, batch: &Value) -> Result<Job, Vec<FieldError>> {
    let config = Config::default();
    let payload = json!({ "kind": "agentTurn", "message": "Digest.", "batch": batch });
    let input = json!({ "schedule": schedule, "payload": payload });
    let defaults = Defaults { config: &config, now: now(), local: false };
    parse_new(&input, &defaults, JobId::parse("digest").unwrap())
}

fn cron(expr: &str) -> Value {
    json!({ "kind": "cron", "expr": expr, "tz": "Europe/Vienna" })
}

fn of_habits(turnarounds: &[u32], steps: u32) -> JobRecord {
    let mut record = JobRecord::new(job(&cron("0 7 * * *"), &json!({ "deliverBy": "07:00" })).unwrap());
    record.habits.turnarounds = turnarounds.to_vec();
    let went = json!({ "steps": steps, "output": 1 });
    record.habits.turns = vec![serde_json::from_value(went).unwrap()];
    record
}

#[test]
fn a_job_that_was_never_run_starts_an_hour_and_the_reserve_before() {
    let record = JobRecord::new(job(&cron("0 7 * * *"), &json!({ "deliverBy": "07:00" })).unwrap());
    let starts = record.starts("UTC").unwrap();
    let slot = utc("2026-11-21T06:00:00Z");
    assert_eq!(starts.next_after(now()), Some(slot));
    assert_eq!(starts.of(slot), utc("2026-11-21T04:50:00Z"));
    let due = record.due_by(&starts, slot).unwrap();
    assert_eq!((due.at, due.safe_until), (slot, utc("2026-11-21T05:50:00Z")));
    assert_eq!(due.zone, "Europe/Vienna");
    assert!(due.has_time_for_a_batch(starts.of(slot)) && !due.has_time_for_a_batch(utc("2026-11-21T05:48:00Z")));
}

#[test]
fn it_learns_how_early_from_the_slowest_but_one_in_twenty_of_its_turns_and_keeps_that_until_the_next() {
    let minute = 60;
    let mut few = of_habits(&[minute; 4], 1);
    few.learn_lead();
    assert_eq!(few.lead(), TimeDelta::minutes(70), "four are too few");
    let mut quick = of_habits(&[minute * 5 + 1; 20], 3);
    assert_eq!(quick.lead(), TimeDelta::minutes(70), "as its timer was set");
    quick.learn_lead();
    assert_eq!(quick.lead(), TimeDelta::minutes(6 + 8 + 6));
    let mut slow: Vec<u32> = (1..=40).map(|tens| tens * 10 * minute).collect();
    slow.reverse();
    let mut slow = of_habits(&slow, 40);
    slow.learn_lead();
    assert_eq!(slow.lead(), TimeDelta::minutes(380 + 30), "the reserve has its limit");
    let mut other = of_habits(&[minute; 20], 1);
    other.job = job(&cron("0 7 * * *"), &json!({ "enabled": true })).unwrap();
    other.learn_lead();
    assert_eq!(other.lead_seconds, None, "a job that says nothing of the kind");
}

#[test]
fn a_wish_that_cannot_be_met_is_refused_in_one_sentence() {
    let said = |schedule: &Value, batch: Value| {
        let faults = job(schedule, &batch).unwrap_err();
        let lines: Vec<String> =
            faults.into_iter().map(|fault| format!("{}: {}", fault.field, fault.message)).collect();
        lines.join("\n")
    };
    let daily = cron("0 7 * * *");
    let cases = [
        (&daily, json!({ "deliverBy": "7 am" }), "payload.batch.deliverBy: \"7 am\" is not a time of day"),
        (&daily, json!({ "earliest": "05:00" }), "payload.batch.earliest: earliest says nothing without deliverBy"),
        (
            &daily,
            json!({ "enabled": false, "deliverBy": "07:00" }),
            "payload.batch.deliverBy: deliverBy is for a batch",
        ),
        (
            &cron("0 7,19 * * *"),
            json!({ "deliverBy": "07:00" }),
            "payload.batch.deliverBy: deliverBy needs a schedule that comes at most once a day",
        ),
        (
            &json!({ "kind": "every", "everyMs": 86_400_000 }),
            json!({ "deliverBy": "07:00" }),
            "payload.batch.deliverBy: deliverBy needs a schedule that comes at most once a day",
        ),
        (
            &cron("0 8 * * *"),
            json!({ "deliverBy": "07:00" }),
            "payload.batch.deliverBy: 07:00 is 23h after the schedule's time",
        ),
        (
            &daily,
            json!({ "deliverBy": "07:00", "earliest": "06:50" }),
            "payload.batch.earliest: earliest leaves 10m before 07:00, too little for a batch",
        ),
        (
            &daily,
            json!({ "deliverBy": "07:00", "earliest": "07:30" }),
            "payload.batch.earliest: it never starts as early as that before 07:00",
        ),
        (
            &cron("50 6 * * *"),
            json!({ "deliverBy": "07:00" }),
            "payload.batch.deliverBy: the schedule leaves 10m before 07:00, too little for a batch",
        ),
    ];
    for (schedule, batch, sentence) in cases {
        assert_eq!(said(schedule, batch.clone()), sentence, "{batch}");
    }
    for schedule in
        [daily, cron("0 7 * * 1-5"), cron("30 4 1 * *"), json!({ "kind": "at", "at": "2026-11-21T06:00:00Z" })]
    {
        job(&schedule, &json!({ "deliverBy": "07:00", "earliest": "22:00" })).unwrap();
    }
}

#[test]
fn however_quick_its_batches_are_a_job_has_time_for_one_when_it_starts_as_late_as_a_timer_may() {
    for (seconds, steps) in [(1, 1), (120, 1), (300, 3), (3_000, 12)] {
        let mut record = of_habits(&[seconds; 20], steps);
        record.learn_lead();
        let starts = record.starts("UTC").unwrap();
        // Its turns became longer since.
        for more in [steps, steps + 9] {
            record.habits.turns[0].steps = more;
            let slot = utc("2026-11-21T06:00:00Z");
            let due = record.due_by(&starts, slot).unwrap();
            let begun = starts.of(slot) + SLACK;
            assert!(due.has_time_for_a_batch(begun), "{seconds} s, {steps} steps, then {more}");
            assert!(due.at - due.safe_until >= RESERVE + PER_STEP);
        }
    }
}

#[test]
fn the_time_of_day_is_one_of_the_zone_that_a_point_in_time_was_written_in() {
    let schedule = json!({ "kind": "at", "at": "2026-11-21T07:00:00", "tz": "America/New_York" });
    let job = job(&schedule, &json!({ "deliverBy": "07:00" })).unwrap();
    let starts = JobRecord::added(job, now()).starts("UTC").unwrap();
    let slot = utc("2026-11-21T12:00:00Z");
    assert_eq!(starts.deadline(slot), Some((slot, "America/New_York")));
}

#[test]
fn what_is_late_is_missed_only_when_its_answer_is_late() {
    let record = JobRecord::new(job(&cron("0 7 * * *"), &json!({ "deliverBy": "07:00" })).unwrap());
    let (starts, late) = (record.starts("UTC").unwrap(), TimeDelta::minutes(15));
    let (slot, day) = (utc("2026-11-21T06:00:00Z"), TimeDelta::days(1));
    assert_eq!(starts.own_until(slot, late), slot);
    for (now, missed) in
        [("2026-11-21T05:30:00Z", slot - day), ("2026-11-21T06:00:00Z", slot - day), ("2026-11-21T06:01:00Z", slot)]
    {
        assert_eq!(starts.missed_until(utc(now), late), missed, "{now}");
    }
}

#[test]
fn a_single_run_that_is_asked_for_late_starts_at_once() {
    let job = job(&json!({ "kind": "at", "at": "2026-11-20T12:30:00Z" }), &json!({ "deliverBy": "12:30" })).unwrap();
    let starts = JobRecord::added(job, now()).starts("UTC").unwrap();
    let slot = utc("2026-11-20T12:30:00Z");
    assert_eq!(starts.of(slot), now());
    assert_eq!(starts.next_after(now() - TimeDelta::seconds(61)), Some(slot));
}
