use super::*;

fn instant(text: &str) -> DateTime<Utc> {
    text.parse().unwrap()
}

fn parse(text: &str) -> Result<Expression, ExpressionError> {
    Expression::parse(text, "UTC")
}

fn first(text: &str, zone: &str, count: usize, after: &str) -> Vec<String> {
    let expression = Expression::parse(text, zone).unwrap();
    let next = |from: &DateTime<Utc>| expression.next_after(*from);
    std::iter::successors(next(&instant(after)), next)
        .take(count)
        .map(|at| at.format("%Y-%m-%dT%H:%MZ").to_string())
        .collect()
}

#[test]
fn what_the_service_refuses_is_refused_with_its_own_message() {
    let refused = [
        "",
        "cron",
        "cron()",
        "cron(0 1 * * * *)",
        "cron(0 1 ? * ? *)",
        "cron(0 1 1 * MON *)",
        "cron(0 9 * * ?)",
        "cron(0 9 * * ? * *)",
        "cron(60 9 * * ? *)",
        "cron(0 24 * * ? *)",
        "cron(0 9 0 * ? *)",
        "cron(0 9 32 * ? *)",
        "cron(0 9 * 13 ? *)",
        "cron(0 9 ? * 0 *)",
        "cron(0 9 ? * 8 *)",
        "cron(0 9 ? * SAT-MON *)",
        "cron(0 22-2 * * ? *)",
        "cron(0 9 ? * mon *)",
        "cron(0 9 ? * 3#1,6#3 *)",
        "cron(0 9 ? * 3#6 *)",
        "cron(0 9 L-3 * ? *)",
        "cron(0 9 L,15 * ? *)",
        "cron(0 9 * * ? 1969)",
        "cron(0 9 * * ? 2200)",
        "cron(0 9 1, * ? *)",
        "cron(*/0 * * * ? *)",
        "cron(? 9 * * ? *)",
        "cron( 0 9 * * ? *)",
        "cron(0 9 * * ? * )",
        "cron(+1 9 * * ? *)",
        "cron(0 9 * * ? *",
        "CRON(0 9 * * ? *)",
        "rate(0 minutes)",
        "rate(1 minutes)",
        "rate(2 minute)",
        "rate(10 seconds)",
        "rate( 10 minutes )",
        "rate(10  minutes)",
        "rate(-1 minutes)",
        "rate(1.5 hours)",
        "rate(10minutes)",
        "rate(05 minutes)",
        "rate(99999999999 days)",
        "at(2026-12-01T09:00:00Z)",
        "at(2026-12-01)",
        "at(2026-12-01T09:00:00.5)",
        "at(2026-12-01 09:00:00)",
        "at(2026-02-30T09:00:00)",
        "at(2026-12-01T24:00:00)",
        "at(2026-12-01T09:00:60)",
        "at(+026-12-01T09:00:00)",
    ];
    for text in refused {
        let error = parse(text).expect_err(text);
        assert_eq!(error.to_string(), format!("Invalid Schedule Expression {text}."));
    }
    assert_eq!(
        Expression::parse("rate(1 day)", "Mars/Olympus").unwrap_err().to_string(),
        "Invalid Schedule Expression Timezone Mars/Olympus."
    );
}

/// The right-hand sides of the translation table, with the first two fires after Friday 2026-11-20T09:00Z.
#[test]
fn what_the_translation_emits_parses_and_fires_when_it_should() {
    let table = [
        ("cron(* * * * ? *)", "11-20T09:01 11-20T09:02"),
        ("cron(* * ? * * *)", "11-20T09:01 11-20T09:02"),
        ("cron(0,15,30,45 * * * ? *)", "11-20T09:15 11-20T09:30"),
        ("cron(0/15 * * * ? *)", "11-20T09:15 11-20T09:30"),
        ("cron(*/15 * * * ? *)", "11-20T09:15 11-20T09:30"),
        ("cron(0,7,14,21,28,35,42,49,56 * * * ? *)", "11-20T09:07 11-20T09:14"),
        ("cron(5,25,45 * * * ? *)", "11-20T09:05 11-20T09:25"),
        ("cron(0 0,5,10,15,20 * * ? *)", "11-20T10:00 11-20T15:00"),
        ("cron(0 9,11,13,15,17 * * ? *)", "11-20T11:00 11-20T13:00"),
        ("cron(0 0/2 * * ? *)", "11-20T10:00 11-20T12:00"),
        ("cron(0 7 * * ? *)", "11-21T07:00 11-22T07:00"),
        ("cron(0 7 ? * MON *)", "11-23T07:00 11-30T07:00"),
        ("cron(0 6 ? * MON-FRI *)", "11-23T06:00 11-24T06:00"),
        ("cron(0 6 ? * 2-6 *)", "11-23T06:00 11-24T06:00"),
        ("cron(0 3 ? * SUN *)", "11-22T03:00 11-29T03:00"),
        ("cron(0 3 ? * 1 *)", "11-22T03:00 11-29T03:00"),
        ("cron(0 10 ? * SUN,SAT *)", "11-21T10:00 11-22T10:00"),
        ("cron(0 10 ? * SUN,FRI,SAT *)", "11-20T10:00 11-21T10:00"),
        ("cron(0 10 ? * SUN,TUE,THU,SAT *)", "11-21T10:00 11-22T10:00"),
        ("cron(0 0 1,15 * ? *)", "12-01T00:00 12-15T00:00"),
        ("cron(0 0 1,8,15,22,29 * ? *)", "11-22T00:00 11-29T00:00"),
        ("cron(0 0 1/10 * ? *)", "11-21T00:00 12-01T00:00"),
        ("cron(0 9 * 1-3 ? *)", "2027-01-01T09:00 2027-01-02T09:00"),
        ("cron(0 9 * JAN-MAR ? *)", "2027-01-01T09:00 2027-01-02T09:00"),
        ("cron(0 9 1 1,4,7,10 ? *)", "2027-01-01T09:00 2027-04-01T09:00"),
        ("cron(7 9 * * ? *)", "11-20T09:07 11-21T09:07"),
        ("cron(0 9 29 2 ? *)", "2028-02-29T09:00 2032-02-29T09:00"),
        ("cron(0 9 L * ? *)", "11-30T09:00 12-31T09:00"),
        ("cron(0 9 L 2 ? *)", "2027-02-28T09:00 2028-02-29T09:00"),
        ("cron(0 9 LW * ? *)", "11-30T09:00 12-31T09:00"),
        ("cron(0 9 15W * ? *)", "12-15T09:00 2027-01-15T09:00"),
        ("cron(0 9 28W * ? *)", "11-27T09:00 12-28T09:00"),
        ("cron(0 9 30W 4,6,9,11 ? *)", "11-30T09:00 2027-04-30T09:00"),
        ("cron(0 9 1W * ? *)", "12-01T09:00 2027-01-01T09:00"),
        ("cron(0 9 ? * 6L *)", "11-27T09:00 12-25T09:00"),
        ("cron(0 9 ? * FRIL *)", "11-27T09:00 12-25T09:00"),
        ("cron(0 9 ? * 1L *)", "11-29T09:00 12-27T09:00"),
        ("cron(0 9 ? * L *)", "11-21T09:00 11-28T09:00"),
        ("cron(0 9 ? * 2#1 *)", "12-07T09:00 2027-01-04T09:00"),
        ("cron(0 9 ? * 1#2 *)", "12-13T09:00 2027-01-10T09:00"),
        ("cron(0 9 ? * 4#5 *)", "12-30T09:00 2027-03-31T09:00"),
        ("cron(0 9 ? * SAT#3 *)", "11-21T09:00 12-19T09:00"),
        ("cron(0 9 ? * FRI *)", "11-27T09:00 12-04T09:00"),
        ("cron(0 0 1 1 ? *)", "2027-01-01T00:00 2028-01-01T00:00"),
        ("cron(0 9 * * ? 2027)", "2027-01-01T09:00 2027-01-02T09:00"),
        ("cron(0 9 26-31 * ? *)", "11-26T09:00 11-27T09:00"),
        ("cron(0 9 15,28-31 * ? *)", "11-28T09:00 11-29T09:00"),
        ("cron(0 9 30-30 * ? *)", "11-30T09:00 12-30T09:00"),
        ("cron(0 9 31W * ? *)", "12-31T09:00 2027-01-29T09:00"),
    ];
    for (text, expected) in table {
        let expected: Vec<String> = expected
            .split(' ')
            .map(|at| if at.len() == 11 { format!("2026-{at}Z") } else { format!("{at}Z") })
            .collect();
        assert_eq!(first(text, "UTC", 2, "2026-11-20T09:00:00Z"), expected, "{text}");
    }
}

#[test]
fn an_impossible_date_never_fires() {
    assert_eq!(parse("cron(0 9 31 2 ? *)").unwrap().next_after(instant("2026-01-01T00:00:00Z")), None);
    assert_eq!(parse("cron(0 9 * * ? 1999)").unwrap().next_after(instant("2026-01-01T00:00:00Z")), None);
}

#[test]
fn spring_forward_gap_is_skipped() {
    let fired = first("cron(30 2 * * ? *)", "America/New_York", 2, "2026-03-07T12:00:00Z");
    assert_eq!(fired, ["2026-03-09T06:30Z", "2026-03-10T06:30Z"]);
    let fired = first("cron(0/30 * * * ? *)", "America/New_York", 3, "2026-03-08T06:00:00Z");
    assert_eq!(fired, ["2026-03-08T06:30Z", "2026-03-08T07:00Z", "2026-03-08T07:30Z"]);
    // Half an hour on Lord Howe Island, a midnight in Cairo, a whole day in Samoa.
    let fired = first("cron(15 2 * * ? *)", "Australia/Lord_Howe", 2, "2026-10-02T20:00:00Z");
    assert_eq!(fired, ["2026-10-04T15:15Z", "2026-10-05T15:15Z"]);
    let fired = first("cron(0 0 * * ? *)", "Africa/Cairo", 2, "2026-04-22T12:00:00Z");
    assert_eq!(fired, ["2026-04-22T22:00Z", "2026-04-24T21:00Z"]);
    let fired = first("cron(0 12 * * ? *)", "Pacific/Apia", 2, "2011-12-29T00:00:00Z");
    assert_eq!(fired, ["2011-12-29T22:00Z", "2011-12-30T22:00Z"]);
}

#[test]
fn autumn_overlap_runs_once_on_the_first_pass() {
    let fired = first("cron(30 1 * * ? *)", "America/New_York", 2, "2026-11-01T00:00:00Z");
    assert_eq!(fired, ["2026-11-01T05:30Z", "2026-11-02T06:30Z"]);
    let fired = first("cron(0/30 1-2 * * ? *)", "America/New_York", 3, "2026-11-01T04:59:00Z");
    assert_eq!(fired, ["2026-11-01T05:00Z", "2026-11-01T05:30Z", "2026-11-01T07:00Z"]);
    // Asked from within the second pass.
    let fired = first("cron(0/10 * * * ? *)", "America/New_York", 1, "2026-11-01T06:15:00Z");
    assert_eq!(fired, ["2026-11-01T07:00Z"]);
    let fired = first("cron(0/15 1 * * ? *)", "Antarctica/Troll", 4, "2026-10-24T23:00:00Z");
    assert_eq!(fired, ["2026-10-24T23:15Z", "2026-10-24T23:30Z", "2026-10-24T23:45Z", "2026-10-26T01:00Z"]);
}

/// Minute by minute over the transitions of many zones: an occurrence is a minute whose wall time matches and which is
/// the first to show that wall time.
#[test]
fn every_occurrence_around_a_shift_is_the_first_to_show_its_wall_time() {
    let zones = [
        "America/New_York",
        "Europe/Berlin",
        "Australia/Lord_Howe",
        "Pacific/Chatham",
        "America/Havana",
        "Africa/Cairo",
        "Antarctica/Troll",
        "Africa/Casablanca",
        "America/St_Johns",
        "Asia/Kolkata",
    ];
    let windows = [
        "2026-03-07",
        "2026-03-27",
        "2026-04-03",
        "2026-04-23",
        "2026-10-02",
        "2026-10-23",
        "2026-10-29",
        "2026-10-31",
    ];
    for zone_name in zones {
        let zone: Tz = zone_name.parse().unwrap();
        let expressions = ["cron(30 * * * ? *)", "cron(0/7 0-3 * * ? *)"];
        let parsed = expressions.map(|text| Expression::parse(text, zone_name).unwrap());
        for window in windows {
            let start = instant(&format!("{window}T00:00:00Z"));
            let end = start + TimeDelta::days(4);
            let mut expected: [Vec<DateTime<Utc>>; 2] = Default::default();
            let mut at = start + TimeDelta::minutes(1);
            while at <= end {
                let wall = at.with_timezone(&zone).naive_local();
                if zone.from_local_datetime(&wall).earliest().map(|first| first.to_utc()) == Some(at) {
                    if wall.minute() == 30 {
                        expected[0].push(at);
                    }
                    if wall.hour() <= 3 && wall.minute().is_multiple_of(7) {
                        expected[1].push(at);
                    }
                }
                at += TimeDelta::minutes(1);
            }
            for (expression, expected) in parsed.iter().zip(expected) {
                let next = |from: &DateTime<Utc>| expression.next_after(*from);
                let fired: Vec<_> = std::iter::successors(next(&start), next).take_while(|at| *at <= end).collect();
                assert_eq!(fired, expected, "{zone_name} {window}");
            }
        }
    }
}

#[test]
fn a_rate_keeps_its_grid_and_knows_no_daylight_saving() {
    let anchor = instant("2026-03-07T12:00:30Z");
    let daily = Expression::parse("rate(1 day)", "America/New_York").unwrap().anchored(anchor);
    assert_eq!(daily.next_after(anchor - TimeDelta::nanoseconds(1)), Some(anchor));
    assert_eq!(daily.next_after(anchor), Some(instant("2026-03-08T12:00:30Z")));
    assert_eq!(daily.next_after(instant("2026-03-09T12:00:29Z")), Some(instant("2026-03-09T12:00:30Z")));
    assert_eq!(parse("rate(15 minutes)").unwrap().next_after(anchor), Some(anchor + TimeDelta::minutes(15)));
}

#[test]
fn a_one_shot_is_read_in_its_zone() {
    let at = |zone: &str, wall: &str| {
        Expression::parse(&format!("at({wall})"), zone).unwrap().next_after(DateTime::<Utc>::MIN_UTC).unwrap()
    };
    assert_eq!(at("Asia/Tokyo", "2026-11-20T09:00:01"), instant("2026-11-20T00:00:01Z"));
    assert_eq!(at("America/New_York", "2026-11-01T01:30:00"), instant("2026-11-01T05:30:00Z"));
    assert_eq!(at("America/New_York", "2026-03-08T02:30:00"), instant("2026-03-08T07:30:00Z"));
    assert_eq!(at("Pacific/Apia", "2011-12-30T12:00:00"), instant("2011-12-30T22:00:00Z"));
    assert_eq!(parse("at(2022-12-31T23:59:59)").unwrap().next_after(instant("2026-01-01T00:00:00Z")), None);
}
