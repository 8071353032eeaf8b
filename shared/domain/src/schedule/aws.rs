//! How `EventBridge` Scheduler is asked for a schedule.
//!
//! Guarantee: every occurrence is among the fires of the plan, [`Plan::shift`] later; a [`AwsPlan::Superset`] has more
//! fires, which [`super::slot`] tells apart. Only `*`, `?`, `,`, `-`, `L`, `nW`, `nL` and `n#m` are written, in their
//! documented places (`EventBridge` Scheduler User Guide, "Schedule types"), and never more than 256 characters
//! (Scheduler API, `ScheduleExpression`). Clock changes need no care: Scheduler, too, skips a gap and
//! runs once in a fold.
//!
//! The translation works from croner's parsed fields, never from the text.

use chrono::TimeDelta;
use croner::{Cron, CronComponent, CronPattern};

use super::Timetable;
use super::timetable::Kind;

/// Longest `ScheduleExpression` (Scheduler API, `CreateSchedule`).
pub const MAX_EXPRESSION_CHARS: usize = 256;

/// Years an AWS cron expression can name ("Schedule types").
const YEARS: std::ops::RangeInclusive<u16> = 1970..=2199;

const WEEKDAYS: [&str; 7] = ["SUN", "MON", "TUE", "WED", "THU", "FRI", "SAT"];

/// Days in each month, February at its shortest.
const MONTH_DAYS: [u16; 12] = [31, 28, 31, 30, 31, 30, 31, 31, 30, 31, 30, 31];

/// croner's bits for a value (croner 4.0.3, `component.rs`): bit m for its m-th weekday of the month.
const NTH_BITS: [u8; 5] = [1 << 1, 1 << 2, 1 << 3, 1 << 4, 1 << 5];
const LAST_BIT: u8 = 1 << 6;
const NEAREST_WEEKDAY_BIT: u8 = 1 << 7;

/// What to create in `EventBridge` Scheduler.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum AwsPlan {
    /// A recurring schedule that fires at the occurrences and at nothing else.
    Exact {
        /// `cron(…)` or `rate(…)`.
        expression: String,
        /// IANA zone, `UTC` for a rate.
        timezone: String,
    },
    /// A recurring schedule that fires at every occurrence, and at other times too.
    Superset {
        /// `cron(…)`.
        expression: String,
        /// IANA zone.
        timezone: String,
    },
    /// No recurring schedule can do it; one `at(…)` per occurrence.
    OneShots,
}

/// An [`AwsPlan`] and what it leaves of the job's stagger.
///
/// A job starts at occurrence + offset. The plan's timer is set for occurrence + `shift`, and the function it invokes
/// waits for the remaining `not_before`.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Plan {
    /// What to create.
    pub aws: AwsPlan,
    /// How far the timer lies behind the occurrence: whole minutes in a recurring expression, the whole offset for
    /// one-shots.
    pub shift: TimeDelta,
    /// How long after its timer the job starts; under a minute.
    pub not_before: TimeDelta,
}

/// Plans a schedule whose job starts `offset` after each occurrence ([`super::stagger_offset`]).
///
/// - `every` of whole minutes: `rate(N minutes)`, to be given the next occurrence as its `StartDate`.
/// - `cron`: translated, the offset's whole minutes added to the minute field. Where that would carry over the hour, or
///   the zone changes its clocks in the middle of an hour, one-shots.
/// - `at`, other intervals, expressions with seconds: one-shots.
pub fn plan(timetable: &Timetable, offset: TimeDelta) -> Plan {
    let one_shots = Plan { aws: AwsPlan::OneShots, shift: offset, not_before: TimeDelta::zero() };
    match &timetable.0 {
        Kind::At(_) => one_shots,
        Kind::Every { every_ms, .. } => match every_ms / 60_000 {
            minutes if every_ms % 60_000 == 0 => {
                let unit = if minutes == 1 { "minute" } else { "minutes" };
                let expression = format!("rate({minutes} {unit})");
                let aws = AwsPlan::Exact { expression, timezone: "UTC".to_owned() };
                Plan { aws, shift: TimeDelta::zero(), not_before: offset }
            }
            _ => one_shots,
        },
        Kind::Cron(cron) => {
            let minutes = offset.num_minutes();
            let carried =
                u16::try_from(minutes).ok().filter(|shift| *shift == 0 || can_shift(&cron.cron, *shift, cron.zone()));
            match carried.and_then(|shift| translate(&cron.cron, shift)) {
                None => one_shots,
                Some(Translated { exact, expression }) => {
                    let timezone = cron.zone().to_owned();
                    let aws = if exact {
                        AwsPlan::Exact { expression, timezone }
                    } else {
                        AwsPlan::Superset { expression, timezone }
                    };
                    let shift = TimeDelta::minutes(minutes);
                    Plan { aws, shift, not_before: offset - shift }
                }
            }
        }
    }
}

/// Whether all minutes can move by `shift` and stay in their hour, with no clock change between old and new minute.
///
/// Clocks change on the wall's full hour everywhere but on the Chatham Islands (02:45 to 03:45), where a minute moved
/// over :45 would fall into the gap, or past the end of the fold and come an hour late. Moves within a quarter of an
/// hour are safe there too.
fn can_shift(cron: &Cron, shift: u16, zone: &str) -> bool {
    let block = if changes_clock_within_the_hour(zone) { 15 } else { 60 };
    cron.pattern.minutes.values().iter().all(|minute| minute % block + shift < block)
}

/// Zones whose clock changes touch wall times in the middle of an hour. A test checks the rest of the zone data.
pub(super) fn changes_clock_within_the_hour(zone: &str) -> bool {
    matches!(zone, "Pacific/Chatham" | "NZ-CHAT")
}

struct Translated {
    exact: bool,
    expression: String,
}

/// One expression with its minutes moved by `shift`; `None` where none can hold every occurrence.
fn translate(cron: &Cron, shift: u16) -> Option<Translated> {
    let pattern = &cron.pattern;
    if pattern.seconds.values() != [0] {
        return None;
    }
    let minutes: Vec<u16> = pattern.minutes.values().iter().map(|minute| minute + shift).collect();
    let days = Days::of(pattern)?;
    let years: Vec<u16> = pattern.years.values().into_iter().filter(|year| YEARS.contains(year)).collect();
    let write = |year: &str| {
        format!(
            "cron({} {} {} {} {} {year})",
            field(&minutes, 60),
            field(&pattern.hours.values(), 24),
            days.day_of_month,
            field(&pattern.months.values(), 12),
            days.day_of_week,
        )
    };
    let fits = |expression: &String| expression.len() <= MAX_EXPRESSION_CHARS;
    if years.is_empty() {
        return None;
    }
    let exact = write(&field(&years, YEARS.len()));
    if fits(&exact) {
        return Some(Translated { exact: days.exact, expression: exact });
    }
    // A long list of years is the only thing that can overflow.
    Some(write("*")).filter(fits).map(|expression| Translated { exact: false, expression })
}

/// The two day fields of an AWS expression, exactly one of them `?`.
struct Days {
    exact: bool,
    day_of_month: String,
    day_of_week: String,
}

impl Days {
    fn every() -> Self {
        Self { exact: true, day_of_month: "*".to_owned(), day_of_week: "?".to_owned() }
    }

    fn of_month(exact: bool, text: String) -> Self {
        Self { exact, day_of_month: text, day_of_week: "?".to_owned() }
    }

    fn of_week(exact: bool, text: String) -> Self {
        Self { exact, day_of_month: "?".to_owned(), day_of_week: text }
    }

    /// Day of month and day of week are OR when both are restricted, AND with `+`. AWS has neither, so most of those
    /// become supersets. `None` where no day can match.
    fn of(pattern: &CronPattern) -> Option<Self> {
        let full_month = pattern.days.values().len() == 31;
        let full_week = week_values(pattern).len() == 7;
        match (pattern.is_dom_wildcard(), pattern.is_dow_wildcard()) {
            (true, true) => Some(Self::every()),
            (false, true) => month_side(pattern),
            (true, false) => week_side(pattern),
            (false, false) if !pattern.matches_dom_and_dow() => {
                Some(Self { exact: full_month || full_week, ..Self::every() })
            }
            (false, false) if full_month => week_side(pattern),
            (false, false) if full_week => month_side(pattern),
            (false, false) => {
                nth_weekday(pattern).or_else(|| week_side(pattern).map(|days| Self { exact: false, ..days }))
            }
        }
    }
}

/// Days 1-7, 8-14, … AND one weekday is that weekday's first, second, …; 29-31 holds every fifth.
fn nth_weekday(pattern: &CronPattern) -> Option<Days> {
    let [weekday] = week_values(pattern)[..] else { return None };
    if pattern.days.has_modifiers() || pattern.days_of_week.has_modifiers() {
        return None;
    }
    let days = pattern.days.values();
    let first = *days.first()?;
    let week = (first - 1) / 7;
    let whole = (first..=(first + 6).min(31)).collect::<Vec<_>>();
    let aligned = (first - 1).is_multiple_of(7) && days == whole;
    aligned.then(|| Days::of_week(true, format!("{}#{}", weekday + 1, week + 1)))
}

/// Only the day of month restricts.
fn month_side(pattern: &CronPattern) -> Option<Days> {
    let component = &pattern.days;
    let plain = component.values();
    if plain.len() == 31 {
        return Some(Days::every());
    }
    let nearest = component.get_set_values(NEAREST_WEEKDAY_BIT);
    let last = component.is_feature_enabled(LAST_BIT);
    let last_weekday = last && component.is_feature_enabled(NEAREST_WEEKDAY_BIT);
    match (plain.as_slice(), nearest.as_slice(), last) {
        ([], [], false) => None,
        (plain, [], false) => Some(Days::of_month(true, list(plain))),
        ([], [], true) if !last_weekday => Some(Days::of_month(true, "L".to_owned())),
        ([], [day], false) if pattern.months.values().iter().all(|month| has_day(*month, *day)) => {
            Some(Days::of_month(true, format!("{day}W")))
        }
        _ => {
            let near = nearest.iter().flat_map(|day| day.saturating_sub(2).max(1)..=(day + 2).min(31));
            let end = if !last {
                32
            } else if last_weekday {
                26
            } else {
                28
            };
            let mut days: Vec<u16> = plain.iter().copied().chain(near).chain(end..=31).collect();
            days.sort_unstable();
            days.dedup();
            Some(Days::of_month(false, if days.len() == 31 { "*".to_owned() } else { list(&days) }))
        }
    }
}

fn has_day(month: u16, day: u16) -> bool {
    MONTH_DAYS.get(usize::from(month) - 1).is_some_and(|length| day <= *length)
}

/// Only the day of week restricts.
fn week_side(pattern: &CronPattern) -> Option<Days> {
    let component = &pattern.days_of_week;
    let mut special: Vec<(u16, String)> = Vec::new();
    for (index, bit) in NTH_BITS.iter().enumerate() {
        for day in week(component, *bit) {
            special.push((day, format!("{}#{}", day + 1, index + 1)));
        }
    }
    for day in week(component, LAST_BIT) {
        special.push((day, format!("{}L", day + 1)));
    }
    let plain = week_values(pattern);
    match (plain.as_slice(), special.as_slice()) {
        ([], []) => None,
        ([], [(_, text)]) => Some(Days::of_week(true, text.clone())),
        _ => {
            let mut days: Vec<u16> = plain.iter().copied().chain(special.iter().map(|(day, _)| *day)).collect();
            days.sort_unstable();
            days.dedup();
            let exact = plain.len() == days.len();
            Some(if days.len() == 7 { Days { exact, ..Days::every() } } else { Days::of_week(exact, weekdays(&days)) })
        }
    }
}

/// Plain weekdays, 0 = Sunday.
fn week_values(pattern: &CronPattern) -> Vec<u16> {
    pattern.days_of_week.values().into_iter().filter(|day| *day < 7).collect()
}

fn week(component: &CronComponent, bit: u8) -> Vec<u16> {
    component.get_set_values(bit).into_iter().filter(|day| *day < 7).collect()
}

/// `*` when all `size` values are there, else a list.
fn field(values: &[u16], size: usize) -> String {
    if values.len() == size { "*".to_owned() } else { list(values) }
}

/// Sorted values as a list, runs of three and more as ranges.
fn list(values: &[u16]) -> String {
    spell(values, u16::to_string)
}

fn weekdays(values: &[u16]) -> String {
    spell(values, |day| WEEKDAYS.get(usize::from(*day)).copied().unwrap_or_default().to_owned())
}

fn spell(values: &[u16], name: impl Fn(&u16) -> String) -> String {
    let runs = values.chunk_by(|left, right| left + 1 == *right);
    let parts = runs.flat_map(|run| match run {
        [first, _, .., last] => vec![format!("{}-{}", name(first), name(last))],
        short => short.iter().map(&name).collect(),
    });
    parts.collect::<Vec<_>>().join(",")
}

#[cfg(test)]
mod tests {
    use chrono::{DateTime, NaiveDateTime, TimeZone, Timelike, Utc};
    use chrono_tz::{TZ_VARIANTS, Tz};

    use super::changes_clock_within_the_hour;

    /// Weekly samples of twelve years; a changed offset between two is bisected to the minute.
    fn changes(zone: Tz) -> Vec<DateTime<Utc>> {
        const WEEK: i64 = 7 * 24 * 60;
        let at = |minute: i64| DateTime::from_timestamp(minute * 60, 0).unwrap();
        let shown = |minute| at(minute).with_timezone(&zone).naive_local() - at(minute).naive_utc();
        let first = "2026-01-01T00:00:00Z".parse::<DateTime<Utc>>().unwrap().timestamp() / 60;
        let weeks = (0..12 * 52).map(|week| first + week * WEEK);
        let changed = weeks.filter(|start| shown(*start) != shown(*start + WEEK));
        changed
            .map(|start| {
                let (mut before, mut after) = (start, start + WEEK);
                while after - before > 1 {
                    let middle = i64::midpoint(before, after);
                    if shown(middle) == shown(start) { before = middle } else { after = middle }
                }
                at(after)
            })
            .collect()
    }

    #[test]
    fn only_the_chatham_islands_change_clocks_within_the_hour() {
        for zone in TZ_VARIANTS {
            let harmful = |change: &DateTime<Utc>| {
                let before = (*change - chrono::TimeDelta::seconds(1)).with_timezone(&zone).naive_local();
                let after: NaiveDateTime = change.with_timezone(&zone).naive_local();
                let end_of_old = before + chrono::TimeDelta::seconds(1);
                // A gap is entered at `end_of_old`; a fold is left for good there too.
                debug_assert!(zone.from_local_datetime(&after).earliest().is_some());
                end_of_old.minute() != 0
            };
            let within = changes(zone).iter().any(harmful);
            assert_eq!(within, changes_clock_within_the_hour(zone.name()), "{}", zone.name());
        }
    }
}
