use serde_json::json;

use super::*;
use crate::config::Config;
use crate::job::{Defaults, parse_new};
use crate::{JobId, RunKey};

fn at(text: &str) -> DateTime<Utc> {
    text.parse().unwrap()
}

fn job(missed: &str, overlap: &str) -> Job {
    let input = json!({
        "schedule": { "kind": "cron", "expr": "0 7 * * *", "tz": "Europe/Vienna", "staggerMs": 0 },
        "payload": { "kind": "agentTurn", "message": "Brief." }, "missed": missed, "overlap": overlap,
    });
    let config = Config::default();
    let defaults = Defaults { config: &config, now: at("2026-10-20T00:00:00Z"), local: true };
    parse_new(&input, &defaults, JobId::parse("job-1").unwrap()).unwrap()
}

fn table() -> Timetable {
    Timetable::new(&job("once", "skip").schedule, "UTC").unwrap()
}

#[test]
fn overdue_occurrences_are_told_across_a_change_of_clocks() {
    // Vienna sets its clocks back on 25 October 2026: 07:00 is 05:00Z before and 06:00Z after.
    let found = overdue(&table(), at("2026-10-23T05:00:00Z"), at("2026-10-26T12:00:00Z"), 100);
    let wanted = ["2026-10-24T05:00:00Z", "2026-10-25T06:00:00Z", "2026-10-26T06:00:00Z"].map(at);
    assert_eq!(found, Overdue { slots: wanted.to_vec(), unlisted: 0 });
}

#[test]
fn of_too_many_overdue_occurrences_the_latest_are_listed_and_the_others_counted() {
    let found = overdue(&table(), at("2026-10-01T05:00:00Z"), at("2026-10-11T05:00:00Z"), 3);
    assert_eq!((found.slots.len(), found.unlisted), (3, 7));
    assert_eq!(found.slots[2], at("2026-10-11T05:00:00Z"));
    assert_eq!(overdue(&table(), at("2026-10-11T05:00:00Z"), at("2026-10-11T05:00:00Z"), 3), Overdue::default());
}

fn told(job: &Job, count: i64, beside: bool, busy: bool) -> Vec<Verdict> {
    let now = at("2026-10-26T12:00:00Z");
    let slots: Vec<_> = (0..count).rev().map(|days| now - TimeDelta::hours(1) - TimeDelta::days(days)).collect();
    let starts = Starts::after(table(), TimeDelta::zero());
    verdicts(job, &slots, &starts, beside, busy, now)
}

#[test]
fn each_rule_for_missed_occurrences_makes_up_for_what_it_says() {
    use Verdict::{Run, Skip, Wait};
    let (missed, overlap) = (Skip("missed"), Skip("overlap"));
    // The rule, the overlap rule, whether one is on time, whether a run is live, and the verdicts of three occurrences.
    let table = [
        ("skip", "skip", false, false, [missed, missed, missed]),
        ("skip", "allow", false, false, [missed, missed, missed]),
        ("once", "skip", false, false, [missed, missed, Run]),
        ("once", "skip", true, false, [missed, missed, missed]),
        ("once", "skip", false, true, [missed, missed, overlap]),
        ("once", "queue", false, true, [missed, missed, Wait]),
        ("once", "allow", false, true, [missed, missed, Run]),
        ("all", "skip", false, false, [Run, Wait, Wait]),
        ("all", "skip", true, false, [Run, Wait, Wait]),
        ("all", "skip", false, true, [Wait, Wait, Wait]),
        ("all", "queue", false, false, [Run, Wait, Wait]),
        ("all", "allow", false, true, [Run, Run, Run]),
    ];
    for (rule, overlap, beside, busy, wanted) in table {
        assert_eq!(told(&job(rule, overlap), 3, beside, busy), wanted, "{rule} {overlap} {beside} {busy}");
    }
}

#[test]
fn an_occurrence_on_time_goes_by_what_is_live_and_what_waits() {
    use Verdict::{Run, Skip, Wait};
    let (overlap, full) = (Skip("overlap"), Skip("overlap_queue_full"));
    // The overlap rule, whether a run is live and one waits, the verdict, and that behind what was made up for.
    let table = [
        ("skip", false, false, Run, Run),
        ("skip", true, false, overlap, Wait),
        ("skip", false, true, overlap, Wait),
        ("skip", true, true, overlap, Wait),
        ("queue", false, false, Run, Run),
        ("queue", true, false, Wait, Wait),
        ("queue", false, true, full, Wait),
        ("queue", true, true, full, Wait),
        ("allow", true, true, Run, Run),
    ];
    for (rule, live, waits, alone, behind) in table {
        let mut record = JobRecord::new(job("once", rule));
        let other = || RunKey::of_slot(&record.job.job_id, at("2026-10-25T06:00:00Z"));
        let others = [live.then(other), waits.then(other)];
        record.active.extend(others[0].clone());
        record.waiting.extend(others[1].clone());
        assert_eq!((record.verdict(None, false), record.verdict(None, true)), (alone, behind), "{rule} {live} {waits}");
        assert_eq!(record.has_room(), alone == Run, "{rule} {live} {waits}");
        assert_eq!(record.verdict(Some("backoff"), true), Skip("backoff"));
    }
}

#[test]
fn all_makes_up_for_the_latest_twenty_four_only() {
    let verdicts = told(&job("all", "allow"), 30, false, false);
    let ran = verdicts.iter().filter(|verdict| **verdict == Verdict::Run).count();
    assert_eq!((ran, verdicts[5], verdicts[6]), (24, Verdict::Skip("missed"), Verdict::Run));
}

#[test]
fn what_is_made_up_for_is_never_later_than_the_job_allows() {
    let mut job = job("all", "allow");
    job.max_lateness_ms = Some(26 * 3_600_000);
    assert_eq!(told(&job, 3, false, false), [Verdict::Skip("too_late"), Verdict::Run, Verdict::Run]);
}

#[test]
fn a_history_is_never_longer_than_asked_for_and_hardly_shorter() {
    for keep in [1_u32, 2, 7, 20, 100, 2_000] {
        let mut record = JobRecord::new(job("once", "skip"));
        let mut rows: std::collections::BTreeSet<DateTime<Utc>> = std::collections::BTreeSet::new();
        let mut slot = at("2026-01-01T00:00:00Z");
        for n in 1..=u64::from(keep) * 3 {
            slot += TimeDelta::minutes(5);
            rows.insert(slot);
            record.sequence = n;
            if let Some(before) = prune_before(&mut record, slot, keep) {
                rows = rows.split_off(&before);
            }
            assert!(rows.len() as u64 <= u64::from(keep), "{} of {keep} after {n}", rows.len());
            let least = n.min(u64::from(keep - keep / 20).max(1));
            assert!(rows.len() as u64 >= least, "{} of {keep} after {n}", rows.len());
        }
        assert!(record.marks.len() <= 21, "{}", record.marks.len());
    }
}
