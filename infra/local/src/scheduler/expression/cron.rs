//! `cron(minutes hours day-of-month month day-of-week year)`.
//!
//! Exactly one day field is `?`; `L`, `W`, `LW` stand alone in the day of month, `L`, `nL`, `n#m` alone in the day of
//! week. Occurrences ascend: wall times are walked in order, and the first pass of a doubled hour keeps that order.

use chrono::{DateTime, Datelike, Days as DaySpan, Months, NaiveDate, TimeDelta, TimeZone, Utc};
use chrono_tz::Tz;

use super::field::{DAYS_OF_MONTH, DAYS_OF_WEEK, HOURS, MINUTES, MONTHS, YEARS, number};

#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Cron {
    minutes: Vec<u32>,
    hours: Vec<u32>,
    days: Days,
    months: Vec<u32>,
    years: Vec<u32>,
}

/// Days of the week count from 1, Sunday.
#[derive(Debug, Clone, PartialEq, Eq)]
enum Days {
    OfMonth(Vec<u32>),
    LastOfMonth,
    LastWorkday,
    NearestWorkday(u32),
    OfWeek(Vec<u32>),
    LastOfWeek(u32),
    NthOfWeek { day: u32, nth: u32 },
}

impl Days {
    fn parse(of_month: &str, of_week: &str) -> Option<Self> {
        match (of_month, of_week) {
            ("?", "?") => None,
            (of_month, "?") => Self::of_month(of_month),
            ("?", of_week) => Self::of_week(of_week),
            _ => None,
        }
    }

    fn of_month(text: &str) -> Option<Self> {
        match text {
            "L" => return Some(Self::LastOfMonth),
            "LW" => return Some(Self::LastWorkday),
            _ => {}
        }
        match text.strip_suffix('W') {
            Some(day) => DAYS_OF_MONTH.value(day).map(Self::NearestWorkday),
            None => DAYS_OF_MONTH.parse(text).map(Self::OfMonth),
        }
    }

    fn of_week(text: &str) -> Option<Self> {
        if text == "L" {
            return Some(Self::OfWeek(vec![DAYS_OF_WEEK.high]));
        }
        if let Some(day) = text.strip_suffix('L') {
            return DAYS_OF_WEEK.value(day).map(Self::LastOfWeek);
        }
        if let Some((day, nth)) = text.split_once('#') {
            let nth = number(nth).filter(|nth| (1..=5).contains(nth))?;
            return DAYS_OF_WEEK.value(day).map(|day| Self::NthOfWeek { day, nth });
        }
        DAYS_OF_WEEK.parse(text).map(Self::OfWeek)
    }

    /// The matching days of one month, ascending.
    fn within(&self, year: i32, month: u32) -> Vec<NaiveDate> {
        let Some(first) = NaiveDate::from_ymd_opt(year, month, 1) else { return Vec::new() };
        let Some(after) = first.checked_add_months(Months::new(1)) else { return Vec::new() };
        let last = after - DaySpan::new(1);
        let on = |day: u32| NaiveDate::from_ymd_opt(year, month, day);
        let nth = |day: u32, nth: u32| on((day + 7 - day_of_week(first)) % 7 + 1 + 7 * (nth - 1));
        match self {
            Self::OfMonth(days) => days.iter().filter_map(|day| on(*day)).collect(),
            Self::LastOfMonth => vec![last],
            Self::LastWorkday => vec![nearest_workday(last)],
            Self::NearestWorkday(day) => on(*day).map(nearest_workday).into_iter().collect(),
            Self::OfWeek(days) => first
                .iter_days()
                .take_while(|date| *date <= last)
                .filter(|date| days.contains(&day_of_week(*date)))
                .collect(),
            Self::LastOfWeek(day) => nth(*day, 5).or_else(|| nth(*day, 4)).into_iter().collect(),
            Self::NthOfWeek { day, nth: n } => nth(*day, *n).into_iter().collect(),
        }
    }
}

fn day_of_week(date: NaiveDate) -> u32 {
    date.weekday().number_from_sunday()
}

/// Saturday goes back to Friday and Sunday on to Monday, but never out of the month.
fn nearest_workday(date: NaiveDate) -> NaiveDate {
    let stays = |moved: NaiveDate| moved.month() == date.month();
    match day_of_week(date) {
        1 if stays(date + DaySpan::new(1)) => date + DaySpan::new(1),
        1 => date - DaySpan::new(2),
        7 if stays(date - DaySpan::new(1)) => date - DaySpan::new(1),
        7 => date + DaySpan::new(2),
        _ => date,
    }
}

impl Cron {
    /// What stands between `cron(` and `)`.
    pub(super) fn parse(text: &str) -> Option<Self> {
        if text.trim() != text {
            return None;
        }
        let fields: Vec<&str> = text.split_whitespace().collect();
        let [minutes, hours, of_month, months, of_week, years] = fields.as_slice() else { return None };
        Some(Self {
            minutes: MINUTES.parse(minutes)?,
            hours: HOURS.parse(hours)?,
            days: Days::parse(of_month, of_week)?,
            months: MONTHS.parse(months)?,
            years: YEARS.parse(years)?,
        })
    }

    /// The first occurrence strictly after `instant`. A wall time the zone skips is passed over.
    pub(super) fn next_after(&self, zone: Tz, instant: DateTime<Utc>) -> Option<DateTime<Utc>> {
        // No year before 1970 can match; the floor keeps the local time of a far past instant representable.
        let floor = instant.max(DateTime::UNIX_EPOCH - TimeDelta::days(2));
        let local = floor.with_timezone(&zone).naive_local();
        let from = (local.year(), local.month());
        for year in self.years.iter().filter_map(|year| i32::try_from(*year).ok()).filter(|year| *year >= from.0) {
            for month in self.months.iter().filter(|month| (year, **month) >= from) {
                for date in self.days.within(year, *month).into_iter().filter(|date| *date >= local.date()) {
                    let times =
                        self.hours.iter().flat_map(|hour| self.minutes.iter().map(move |minute| (*hour, *minute)));
                    let walls = times.filter_map(|(hour, minute)| date.and_hms_opt(hour, minute, 0));
                    let instants = walls.filter_map(|wall| zone.from_local_datetime(&wall).earliest());
                    if let Some(found) = instants.map(|at| at.to_utc()).find(|at| *at > instant) {
                        return Some(found);
                    }
                }
            }
        }
        None
    }
}
