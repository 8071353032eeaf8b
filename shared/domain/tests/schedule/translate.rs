use chrono::TimeDelta;
use nightshift_domain::schedule::{AwsPlan, Plan, Schedule, Timetable, plan};

use crate::aws_cron::AwsCron;
use crate::{cases, cron, vectors};

fn planned(expr: &str, tz: &str, offset_seconds: i64) -> Plan {
    plan(&cron(expr, tz), TimeDelta::seconds(offset_seconds))
}

fn exact(expression: &str, timezone: &str) -> AwsPlan {
    AwsPlan::Exact { expression: expression.to_owned(), timezone: timezone.to_owned() }
}

fn every(every_ms: u64) -> Plan {
    let schedule = Schedule::Every { every_ms, anchor_ms: 7 };
    plan(&Timetable::new(&schedule, "UTC").expect("an interval"), TimeDelta::zero())
}

#[test]
fn expressions_translate_as_the_table_says() {
    let file = vectors("cron-translate");
    for case in cases(&file, "cron-translate") {
        let (expr, why) = (case["cron"].as_str().unwrap(), case["why"].as_str().unwrap());
        if why.starts_with("invalid") {
            continue; // They have no timetable, which the refusals check.
        }
        let aws = planned(expr, "UTC", 0).aws;
        match (case["aws"].as_str(), case["superset"].as_str()) {
            (Some(expected), _) => {
                let AwsPlan::Exact { expression, .. } = &aws else { panic!("{expr}: {aws:?}, not exact") };
                assert_eq!(AwsCron::parse(expression), AwsCron::parse(expected), "{expr}: {expression}, {expected}");
                for same in case["equivalent"].as_array().into_iter().flatten() {
                    assert_eq!(AwsCron::parse(expression), AwsCron::parse(same.as_str().unwrap()), "{expr}: {same}");
                }
            }
            (None, Some(expected)) => {
                let AwsPlan::Superset { expression, .. } = &aws else { panic!("{expr}: {aws:?}, not a superset") };
                assert_eq!(AwsCron::parse(expression), AwsCron::parse(expected), "{expr}: {expression}, {expected}");
            }
            (None, None) if why.starts_with("never fires") => {} // Refused before it is planned.
            (None, None) => assert_eq!(aws, AwsPlan::OneShots, "{expr}"),
        }
    }
}

#[test]
fn the_spelling_is_canonical() {
    for (expr, expression) in [
        ("*/15 * * * *", "cron(0,15,30,45 * * * ? *)"),
        ("0 6 * * 1-5", "cron(0 6 ? * MON-FRI *)"),
        ("0 10 * * 5-7", "cron(0 10 ? * SUN,FRI,SAT *)"),
        ("0 9 * jan-mar sun", "cron(0 9 ? 1-3 SUN *)"),
        ("0 9 * * 7L", "cron(0 9 ? * 1L *)"),
        ("0 9 * * 7#2", "cron(0 9 ? * 1#2 *)"),
        ("0 9 29-31 * +WED", "cron(0 9 ? * 4#5 *)"),
        ("0 0 9 * * * 2027-2029", "cron(0 9 * * ? 2027-2029)"),
        ("@midnight", "cron(0 0 * * ? *)"),
    ] {
        assert_eq!(planned(expr, "Europe/Berlin", 0).aws, exact(expression, "Europe/Berlin"), "{expr}");
    }
}

#[test]
fn years_aws_cannot_name_are_clipped_or_left_to_one_shots() {
    assert_eq!(planned("0 0 9 * * * 1-2027", "UTC", 0).aws, exact("cron(0 9 * * ? 1970-2027)", "UTC"));
    assert_eq!(planned("0 0 9 * * * 2200-2300", "UTC", 0).aws, AwsPlan::OneShots);
    let odd_years = AwsPlan::Superset { expression: "cron(0 9 * * ? *)".to_owned(), timezone: "UTC".to_owned() };
    assert_eq!(planned("0 0 9 * * * */2", "UTC", 0).aws, odd_years, "the list would be longer than 256 characters");
}

#[test]
fn whole_minutes_of_stagger_go_into_the_expression_and_the_rest_is_waited_for() {
    let plan = planned("0 * * * *", "America/New_York", 226);
    assert_eq!(plan.aws, exact("cron(3 * * * ? *)", "America/New_York"));
    assert_eq!((plan.shift, plan.not_before), (TimeDelta::minutes(3), TimeDelta::seconds(46)));
    let plan = planned("*/20 9 * * *", "America/New_York", 19 * 60 + 59);
    assert_eq!(plan.aws, exact("cron(19,39,59 9 * * ? *)", "America/New_York"));
    let plan = planned("59 9 * * *", "America/New_York", 59);
    assert_eq!(plan.aws, exact("cron(59 9 * * ? *)", "America/New_York"));
    assert_eq!((plan.shift, plan.not_before), (TimeDelta::zero(), TimeDelta::seconds(59)));
}

#[test]
fn stagger_that_would_leave_the_hour_makes_one_shots() {
    for expr in ["58 9 * * *", "*/20 * * * *", "* * * * *"] {
        let plan = planned(expr, "UTC", 20 * 60);
        assert_eq!(plan.aws, AwsPlan::OneShots, "{expr}");
        assert_eq!((plan.shift, plan.not_before), (TimeDelta::minutes(20), TimeDelta::zero()), "{expr}");
    }
    assert_eq!(planned("0 9 * * *", "UTC", 86_399).aws, AwsPlan::OneShots);
}

#[test]
fn a_clock_change_inside_the_hour_limits_the_shift_to_the_quarter() {
    let chatham = |expr, minutes: i64| planned(expr, "Pacific/Chatham", minutes * 60).aws;
    assert_eq!(chatham("0 * * * *", 4), exact("cron(4 * * * ? *)", "Pacific/Chatham"));
    assert_eq!(chatham("40 2 * * *", 4), exact("cron(44 2 * * ? *)", "Pacific/Chatham"));
    assert_eq!(chatham("40 2 * * *", 5), AwsPlan::OneShots, "02:45 does not exist on the day of the gap");
}

#[test]
fn whole_minute_intervals_are_rates() {
    assert_eq!(every(60_000).aws, exact("rate(1 minute)", "UTC"));
    assert_eq!(every(3_600_000).aws, exact("rate(60 minutes)", "UTC"));
    for odd in [90_000, 61_500, 1_000] {
        assert_eq!(every(odd).aws, AwsPlan::OneShots, "{odd} ms");
    }
}

#[test]
fn a_single_time_is_one_one_shot() {
    let schedule = Schedule::At { at: "2026-02-01T16:00:00.000Z".to_owned(), tz: None };
    let timetable = Timetable::new(&schedule, "UTC").unwrap();
    assert_eq!(plan(&timetable, TimeDelta::zero()).aws, AwsPlan::OneShots);
}
