//! When a job starts for its occurrences: at them, somewhat after them, or early enough to be done by a time of day.
//!
//! Guarantee: starts come in the order of their occurrences, and `next_after` and `latest_at_or_before` agree with `of`.

use chrono::{DateTime, TimeDelta, Utc};
use chrono_tz::Tz;

use super::cron::parse_zone;
use super::{ScheduleError, Timetable, WallTime};

/// Earliest that a job starts before the time its answer is wanted by.
pub const LEAD_MOST: TimeDelta = TimeDelta::hours(12);
/// How long after its occurrence an answer may be wanted; a time of day that is further away is a slip.
pub const WANTED_WITHIN: TimeDelta = TimeDelta::hours(12);

/// When the answers of a job are wanted, instead of when it starts.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Wanted {
    /// By this time of day: the first one at or after each occurrence.
    pub by: WallTime,
    /// It starts at this time of day at the earliest.
    pub earliest: Option<WallTime>,
    /// How long before it starts.
    pub lead: TimeDelta,
    /// It starts at this instant at the earliest, which is when somebody asked for it so: what would have begun before begins
    /// at once.
    pub since: Option<DateTime<Utc>>,
}

/// A schedule, and when the job starts for each of its occurrences.
#[derive(Debug, Clone)]
pub struct Starts {
    /// The schedule.
    pub table: Timetable,
    stagger: TimeDelta,
    wanted: Option<(Wanted, Tz)>,
}

impl Starts {
    /// A job that starts `stagger` after each occurrence.
    pub fn after(table: Timetable, stagger: TimeDelta) -> Self {
        Self { table, stagger, wanted: None }
    }

    /// A job that starts so early that it is done in time, and `stagger` before that; `zone` is the one times of day are read
    /// in where the schedule has none.
    ///
    /// # Errors
    /// A zone that is none.
    pub fn before(table: Timetable, stagger: TimeDelta, wanted: Wanted, zone: &str) -> Result<Self, ScheduleError> {
        let zone = parse_zone(table.zone().unwrap_or(zone))?;
        Ok(Self { table, stagger, wanted: Some((wanted, zone)) })
    }

    /// How long after each occurrence the job starts; `None` where that differs.
    pub fn offset(&self) -> Option<TimeDelta> {
        self.wanted.is_none().then_some(self.stagger)
    }

    /// When the answer for `slot` is wanted, where that is what the job says, and the zone that is in.
    pub fn deadline(&self, slot: DateTime<Utc>) -> Option<(DateTime<Utc>, &'static str)> {
        let (wanted, zone) = self.wanted.as_ref()?;
        Some((wanted.deadline(slot, *zone), zone.name()))
    }

    /// Whether the job never starts as early as `earliest` allows for `slot`.
    pub fn is_out_of_reach(&self, earliest: WallTime, slot: DateTime<Utc>) -> bool {
        let Some((wanted, zone)) = &self.wanted else { return false };
        let by = wanted.deadline(slot, *zone);
        earliest.at_or_before(by, *zone).is_none_or(|floor| by - floor > LEAD_MOST)
    }

    /// Until when what starts for `slot` is the occurrence's own, where it may be `late`: as long as its answer can be in time.
    pub fn own_until(&self, slot: DateTime<Utc>, late: TimeDelta) -> DateTime<Utc> {
        let until = self.of(slot) + late;
        self.deadline(slot).map_or(until, |(by, _)| until.max(by))
    }

    /// An instant up to which every occurrence is missed at `now` that has no record, where a start may be so `late`.
    pub fn missed_until(&self, now: DateTime<Utc>, late: TimeDelta) -> DateTime<Utc> {
        let mut until = self.floor(now - late);
        while self.wanted.is_some() && until > DateTime::UNIX_EPOCH && self.own_until(until, late) >= now {
            let before = self.table.latest_at_or_before(until - TimeDelta::milliseconds(1));
            until = before.unwrap_or(DateTime::UNIX_EPOCH);
        }
        until
    }

    /// When the job starts for `slot`.
    pub fn of(&self, slot: DateTime<Utc>) -> DateTime<Utc> {
        let Some((wanted, zone)) = &self.wanted else { return slot + self.stagger };
        let by = wanted.deadline(slot, *zone);
        // The time of an occurrence before its deadline is when the job may begin, where nothing else says so.
        let floor = match wanted.earliest {
            Some(earliest) => earliest.at_or_before(by, *zone),
            None => Some(slot).filter(|slot| *slot < by),
        };
        let start = by - (wanted.lead + self.stagger).min(LEAD_MOST);
        [floor, wanted.since].into_iter().flatten().fold(start, DateTime::max).min(by)
    }

    /// An instant such that the occurrences after it are those that start at `start` or later.
    pub fn floor(&self, start: DateTime<Utc>) -> DateTime<Utc> {
        let before = start - TimeDelta::milliseconds(1);
        match self.offset() {
            Some(offset) => before - offset,
            None => self.latest_at_or_before(before).unwrap_or(DateTime::UNIX_EPOCH),
        }
    }

    /// The first occurrence whose start is after `instant`.
    pub fn next_after(&self, instant: DateTime<Utc>) -> Option<DateTime<Utc>> {
        if self.wanted.is_none() {
            return self.table.next_after(instant - self.stagger);
        }
        // None that far back starts later than that.
        let first = self.table.next_after(instant - WANTED_WITHIN - TimeDelta::days(1));
        std::iter::successors(first, |slot| self.table.next_after(*slot)).find(|slot| self.of(*slot) > instant)
    }

    /// The last occurrence whose start is at or before `instant`.
    pub fn latest_at_or_before(&self, instant: DateTime<Utc>) -> Option<DateTime<Utc>> {
        if self.wanted.is_none() {
            return self.table.latest_at_or_before(instant - self.stagger);
        }
        let last = self.table.latest_at_or_before(instant + LEAD_MOST);
        let before = |slot: &DateTime<Utc>| self.table.latest_at_or_before(*slot - TimeDelta::milliseconds(1));
        std::iter::successors(last, before).find(|slot| self.of(*slot) <= instant)
    }
}

impl Wanted {
    fn deadline(&self, slot: DateTime<Utc>, zone: Tz) -> DateTime<Utc> {
        self.by.at_or_after(slot, zone).unwrap_or(slot)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::schedule::Schedule;

    fn utc(text: &str) -> DateTime<Utc> {
        text.parse().unwrap()
    }

    fn time(text: &str) -> WallTime {
        WallTime::parse(text).unwrap()
    }

    fn starts(expr: &str, earliest: Option<&str>, lead: TimeDelta) -> Starts {
        let schedule =
            Schedule::Cron { expr: expr.to_owned(), tz: Some("Europe/Vienna".to_owned()), stagger_ms: Some(0) };
        let wanted = Wanted { by: time("07:00"), earliest: earliest.map(time), lead, since: None };
        Starts::before(Timetable::new(&schedule, "UTC").unwrap(), TimeDelta::zero(), wanted, "UTC").unwrap()
    }

    #[test]
    fn a_job_starts_so_long_before_its_answer_is_wanted_and_not_before_the_earliest() {
        let slot = utc("2026-11-20T06:00:00Z"); // 07:00 in Vienna
        let cases = [
            (None, 70, "2026-11-20T04:50:00Z"),
            (Some("05:30"), 70, "2026-11-20T04:50:00Z"),
            (Some("06:15"), 70, "2026-11-20T05:15:00Z"),
            (Some("22:00"), 600, "2026-11-19T21:00:00Z"),
            (None, 6_000, "2026-11-19T18:00:00Z"),
        ];
        for (earliest, lead, start) in cases {
            let starts = starts("0 7 * * *", earliest, TimeDelta::minutes(lead));
            assert_eq!(starts.of(slot), utc(start), "{earliest:?} {lead}");
            assert_eq!(starts.deadline(slot), Some((slot, "Europe/Vienna")));
        }
        // One that is scheduled before has its own time for the earliest.
        let early = starts("0 5 * * *", None, TimeDelta::hours(3));
        assert_eq!(early.of(utc("2026-11-20T04:00:00Z")), utc("2026-11-20T04:00:00Z"));
        let late = starts("0 5 * * *", None, TimeDelta::hours(1));
        assert_eq!(late.of(utc("2026-11-20T04:00:00Z")), utc("2026-11-20T05:00:00Z"));
    }

    #[test]
    fn occurrences_are_found_by_their_starts_over_both_clock_changes() {
        for (expr, earliest) in [("0 7 * * *", None), ("0 5 * * *", None), ("0 7 * * 1-5", Some("02:30"))] {
            for lead in [0, 50, 70, 300, 720] {
                let starts = starts(expr, earliest, TimeDelta::minutes(lead));
                for begin in ["2026-03-25T00:00:00Z", "2026-10-21T00:00:00Z"] {
                    let slots: Vec<_> = std::iter::successors(starts.table.next_after(utc(begin)), |slot| {
                        starts.table.next_after(*slot)
                    })
                    .take(9)
                    .collect();
                    for pair in slots.windows(2) {
                        let (one, other) = (starts.of(pair[0]), starts.of(pair[1]));
                        assert!(one < other, "{expr} {lead} {pair:?}");
                        let case = format!("{expr} {lead} {earliest:?} {one}");
                        let short = TimeDelta::milliseconds(1);
                        assert_eq!(starts.next_after(one), Some(pair[1]), "{case}");
                        assert_eq!(starts.next_after(one - short), Some(pair[0]), "{case}");
                        assert_eq!(starts.latest_at_or_before(one), Some(pair[0]), "{case}");
                        assert_eq!(starts.latest_at_or_before(other - short), Some(pair[0]), "{case}");
                        let (by, _) = starts.deadline(pair[0]).unwrap();
                        assert!(one <= by && by - pair[0] <= WANTED_WITHIN, "{case}");
                    }
                }
            }
        }
    }

    #[test]
    fn what_is_asked_for_late_starts_at_once_and_never_after_the_deadline() {
        let at = utc("2026-11-20T06:00:00Z");
        let schedule = Schedule::At { at: "2026-11-20T06:00:00.000Z".to_owned(), tz: None };
        let table = Timetable::new(&schedule, "UTC").unwrap();
        let of = |since: &str| {
            let (by, lead) = (time("06:00"), TimeDelta::minutes(70));
            let wanted = Wanted { by, earliest: None, lead, since: Some(utc(since)) };
            Starts::before(table.clone(), TimeDelta::zero(), wanted, "UTC").unwrap().of(at)
        };
        assert_eq!(of("2026-11-20T01:00:00Z"), utc("2026-11-20T04:50:00Z"));
        assert_eq!(of("2026-11-20T05:40:00Z"), utc("2026-11-20T05:40:00Z"));
        assert_eq!(of("2026-11-20T09:00:00Z"), at);
    }
}
