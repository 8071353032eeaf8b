//! An AWS cron expression, read by the rules of the Scheduler User Guide and independently of what writes it.

use std::collections::BTreeSet;

use chrono::{DateTime, Datelike, Days, NaiveDate, NaiveDateTime, TimeZone, Timelike, Utc};
use chrono_tz::Tz;

/// Which days one of the two day fields allows.
#[derive(Debug, Clone, PartialEq, Eq)]
enum DayRule {
    Unrestricted,
    Values(BTreeSet<u32>),
    LastDay,
    NearestWeekday(u32),
    LastWeekday(u32),
    NthWeekday(u32, u32),
}

/// The six fields expanded to sets, so that two spellings of one schedule are equal.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct AwsCron {
    minutes: BTreeSet<u32>,
    hours: BTreeSet<u32>,
    days: DayRule,
    months: BTreeSet<u32>,
    weekdays: DayRule,
    years: BTreeSet<u32>,
}

const MONTHS: [&str; 12] = ["JAN", "FEB", "MAR", "APR", "MAY", "JUN", "JUL", "AUG", "SEP", "OCT", "NOV", "DEC"];
const WEEKDAYS: [&str; 7] = ["SUN", "MON", "TUE", "WED", "THU", "FRI", "SAT"];

impl AwsCron {
    pub(crate) fn parse(expression: &str) -> Self {
        let inner = expression.strip_prefix("cron(").and_then(|rest| rest.strip_suffix(')'));
        let fields: Vec<&str> = inner.unwrap_or_else(|| panic!("{expression}")).split(' ').collect();
        let [minutes, hours, days, months, weekdays, years] = fields[..] else { panic!("{expression}: six fields") };
        assert!(expression.len() <= 256, "{expression}");
        assert_eq!([days, weekdays].iter().filter(|field| **field == "?").count(), 1, "{expression}: exactly one ?");
        Self {
            minutes: values(minutes, 0, 59, &[]),
            hours: values(hours, 0, 23, &[]),
            days: day_of_month(days),
            months: values(months, 1, 12, &MONTHS),
            weekdays: day_of_week(weekdays),
            years: values(years, 1970, 2199, &[]),
        }
    }

    /// Whether it fires when a clock in the zone shows `wall`.
    pub(crate) fn matches(&self, wall: NaiveDateTime) -> bool {
        self.minutes.contains(&wall.minute())
            && self.hours.contains(&wall.hour())
            && wall.second() == 0
            && self.matches_date(wall.date())
    }

    fn matches_date(&self, date: NaiveDate) -> bool {
        self.months.contains(&date.month())
            && self.years.contains(&date.year().unsigned_abs())
            && on_day(&self.days, date, date.day())
            && on_day(&self.weekdays, date, date.weekday().num_days_from_sunday() + 1)
    }

    /// Every fire on the given local days: wall times that do not exist are skipped, repeated ones fire once.
    pub(crate) fn fires(&self, zone: Tz, from: NaiveDate, days: u64) -> Vec<DateTime<Utc>> {
        let dates =
            (0..days).filter_map(|n| from.checked_add_days(Days::new(n))).filter(|date| self.matches_date(*date));
        let times = |date: NaiveDate| {
            self.hours
                .iter()
                .flat_map(move |hour| self.minutes.iter().filter_map(move |minute| date.and_hms_opt(*hour, *minute, 0)))
        };
        dates
            .flat_map(times)
            .filter_map(|wall| zone.from_local_datetime(&wall).earliest())
            .map(|at| at.to_utc())
            .collect()
    }
}

fn on_day(rule: &DayRule, date: NaiveDate, value: u32) -> bool {
    let length = u32::from(date.num_days_in_month());
    match rule {
        DayRule::Unrestricted => true,
        DayRule::Values(set) => set.contains(&value),
        DayRule::LastDay => date.day() == length,
        DayRule::NearestWeekday(day) => {
            let Some(named) = date.with_day(*day) else { return false };
            let moved = match named.weekday() {
                chrono::Weekday::Sat if *day == 1 => 3,
                chrono::Weekday::Sat => day - 1,
                chrono::Weekday::Sun if *day == length => day - 2,
                chrono::Weekday::Sun => day + 1,
                chrono::Weekday::Mon
                | chrono::Weekday::Tue
                | chrono::Weekday::Wed
                | chrono::Weekday::Thu
                | chrono::Weekday::Fri => *day,
            };
            date.day() == moved
        }
        DayRule::LastWeekday(weekday) => value == *weekday && date.day() + 7 > length,
        DayRule::NthWeekday(weekday, nth) => value == *weekday && (date.day() - 1) / 7 + 1 == *nth,
    }
}

fn day_of_month(field: &str) -> DayRule {
    match field {
        "*" | "?" => DayRule::Unrestricted,
        "L" => DayRule::LastDay,
        other => match other.strip_suffix('W') {
            Some(day) => DayRule::NearestWeekday(int(day)),
            None => DayRule::Values(values(other, 1, 31, &[])),
        },
    }
}

fn day_of_week(field: &str) -> DayRule {
    if let Some((weekday, nth)) = field.split_once('#') {
        return DayRule::NthWeekday(int(weekday), int(nth));
    }
    match field {
        "*" | "?" => DayRule::Unrestricted,
        other => match other.strip_suffix('L') {
            Some(weekday) => DayRule::LastWeekday(int(weekday)),
            None => DayRule::Values(values(other, 1, 7, &WEEKDAYS)),
        },
    }
}

fn int(text: &str) -> u32 {
    text.parse().unwrap_or_else(|error| panic!("{text}: {error}"))
}

/// `*`, `a`, `a-b`, `a/n`, `a-b/n`, `*/n` and lists of them.
fn values(field: &str, least: u32, most: u32, names: &[&str]) -> BTreeSet<u32> {
    let number = |text: &str| {
        let index = names.iter().position(|name| *name == text).and_then(|index| u32::try_from(index).ok());
        let number: u32 = index.map_or_else(|| int(text), |index| index + 1);
        assert!((least..=most).contains(&number), "{field}: {number} is not in {least}-{most}");
        number
    };
    let mut set = BTreeSet::new();
    for item in field.split(',') {
        let (range, step) = item.split_once('/').map_or((item, None), |(range, step)| (range, Some(step)));
        let (start, end) = match range.split_once('-') {
            _ if range == "*" => (least, most),
            Some((start, end)) => (number(start), number(end)),
            None if step.is_some() => (number(range), most),
            None => (number(range), number(range)),
        };
        assert!(start <= end, "{field}: ranges do not wrap");
        set.extend((start..=end).step_by(step.map_or(1, |step| int(step) as usize)));
    }
    set
}
