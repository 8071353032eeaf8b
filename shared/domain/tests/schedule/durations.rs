use chrono::TimeDelta;
use nightshift_domain::schedule::{coarse_duration, format_duration, parse_duration, resolve_at};
use proptest::prelude::*;

use crate::{cases, utc, vectors};

#[test]
fn durations_read_as_the_recorded_command_line_reads_them() {
    let file = vectors("durations");
    for case in cases(&file["cases"], "cases") {
        let input = case["input"].as_str().unwrap();
        let expected = case["ms"].as_i64().map(TimeDelta::milliseconds);
        assert_eq!(expected.is_none(), case["error"].is_string(), "{input:?} is a case with one outcome");
        assert_eq!(parse_duration(input).ok(), expected, "{input:?}");
    }
}

#[test]
fn further_spellings_of_durations() {
    let accepted = [("20m", 1_200_000), ("2h30m", 9_000_000), ("90s", 90_000), ("500ms", 500), ("1.5h", 5_400_000)];
    for (text, ms) in accepted {
        assert_eq!(parse_duration(text), Ok(TimeDelta::milliseconds(ms)), "{text}");
    }
    for text in ["1w", "1y", "h1", "1.m", ".5m", "1..5m", "1h-5m", "1h5", "٣m", "NaN", "inf", "1m\u{0}"] {
        assert!(parse_duration(text).is_err(), "{text:?} is refused");
    }
    let error = parse_duration("soon").unwrap_err().to_string();
    assert_eq!(error, "\"soon\" is not a duration; write 500ms, 30s, 5m, 2h, 1d or 1h30m");
}

#[test]
fn durations_are_written_in_the_fewest_units() {
    for (ms, text) in [
        (0, "0s"),
        (500, "500ms"),
        (90_000, "1m30s"),
        (9_000_000, "2h30m"),
        (86_400_000, "1d"),
        (90_061_001, "1d1h1m1s1ms"),
        (-5_400_000, "-1h30m"),
    ] {
        assert_eq!(format_duration(TimeDelta::milliseconds(ms)), text, "{ms} ms");
    }
}

#[test]
fn distances_are_told_in_the_one_unit_that_says_enough() {
    const DAY: i64 = 86_400;
    let cases = [
        (0, "0s"),
        (59, "59s"),
        (-60, "1m"),
        (3_599, "59m"),
        (2 * DAY - 1, "47h"),
        (2 * DAY, "2d"),
        (60 * DAY - 1, "59d"),
        (61 * DAY, "2mo"),
        (730 * DAY, "23mo"),
        (731 * DAY, "2y"),
        (-2_516 * DAY, "6y"),
    ];
    for (seconds, text) in cases {
        assert_eq!(coarse_duration(TimeDelta::seconds(seconds)), text, "{seconds} s");
    }
    assert!(coarse_duration(TimeDelta::MIN).ends_with('y'), "nothing overflows");
}

#[test]
fn an_at_of_the_command_line_may_be_a_duration_from_now() {
    let now = utc("2026-03-08T06:00:00Z");
    let at = |text| resolve_at(text, Some("America/New_York"), now).ok();
    assert_eq!(at("20m"), Some(utc("2026-03-08T06:20:00Z")));
    assert_eq!(at("+2h30m"), Some(utc("2026-03-08T08:30:00Z")));
    assert_eq!(at("1d"), Some(utc("2026-03-09T06:00:00Z")), "a day is 24 hours, whatever the clocks do");
    assert_eq!(at("2026-03-09T09:00:00"), Some(utc("2026-03-09T13:00:00Z")));
    assert_eq!(at("2026-03-09T09:00:00Z"), Some(utc("2026-03-09T09:00:00Z")));
    for text in ["0m", "-5m", "soon", ""] {
        assert_eq!(at(text), None, "{text:?} is refused");
    }
}

proptest! {
    #[test]
    fn a_written_duration_reads_back_unchanged(ms in 0_i64..9_007_199_254_740_991) {
        let duration = TimeDelta::milliseconds(ms);
        prop_assert_eq!(parse_duration(&format_duration(duration)), Ok(duration));
    }

    #[test]
    fn no_text_makes_the_parsers_panic(text in "\\PC{0,12}") {
        let _ = parse_duration(&text);
        let _ = resolve_at(&text, None, utc("2026-03-08T06:00:00Z"));
    }
}
