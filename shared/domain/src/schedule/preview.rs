//! A look ahead: the next starts of a schedule, what clock changes do to them, and where it ends.
//!
//! Guarantee: what is shown is what [`Timetable`] computes and nothing else, so that a preview and the timers agree. A
//! wall time that a clock change drops is never silent: it is listed, and noted at the start that follows it.

use std::collections::BTreeMap;

use chrono::{DateTime, FixedOffset, MappedLocalTime, NaiveDate, NaiveDateTime, TimeDelta, TimeZone, Timelike, Utc};
use chrono_tz::Tz;

use super::cron::parse_zone;
use super::timetable::Kind;
use super::{AwsPlan, DstNote, DstNoteKind, HORIZON, Starts, Timetable, plan};

/// Most wall times of clock changes in one preview; a minute's expression loses sixty in one night.
const MOST_NOTES: usize = 500;

/// One start to come.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Start {
    /// The occurrence.
    pub slot: DateTime<Utc>,
    /// When the job starts: the occurrence and the job's own part of the stagger.
    pub start: DateTime<Utc>,
    /// The start on the wall of the schedule's zone.
    pub local: DateTime<FixedOffset>,
    /// What is worth knowing about it, for a person.
    pub note: Option<String>,
}

/// A wall time of the schedule at which nothing runs.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct SkippedWall {
    /// What the clock on the wall would have shown.
    pub wall: NaiveDateTime,
    /// Why, for a person.
    pub reason: String,
}

/// The next starts.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Preview {
    /// In order of time.
    pub starts: Vec<Start>,
    /// Wall times between them that do not exist, in order.
    pub skipped: Vec<SkippedWall>,
    /// Nothing comes after them.
    pub ends: bool,
}

/// The first `count` starts at or after `from`, shown in the expression's zone, or in `zone` where the schedule has no wall
/// clock.
pub fn preview(starts: &Starts, zone: &str, from: DateTime<Utc>, count: usize) -> Preview {
    let timetable = &starts.table;
    let tz = parse_zone(timetable.zone().unwrap_or(zone)).unwrap_or(Tz::UTC);
    let before = starts.floor(from);
    let first = timetable.next_after(before);
    let slots: Vec<DateTime<Utc>> =
        std::iter::successors(first, |last| timetable.next_after(*last)).take(count).collect();
    let ends = slots.last().map_or(first, |last| timetable.next_after(*last)).is_none();
    // What comes after the last start shown is of interest only where no other start follows to be noted at.
    let until = slots.last().filter(|_| !ends).copied().or_else(|| before.checked_add_signed(HORIZON));
    let changes = until.map_or_else(Vec::new, |until| timetable.dst_notes_between(before, until, MOST_NOTES));
    let mut notes: Vec<Vec<String>> = slots.iter().map(|slot| once_more(timetable, tz, *slot)).collect();
    let mut skipped = Vec::new();
    let mut gaps: BTreeMap<usize, Vec<NaiveDateTime>> = BTreeMap::new();
    for DstNote { wall, kind } in changes {
        match kind {
            DstNoteKind::Skipped => {
                skipped.push(SkippedWall { wall, reason: gap_note(&[wall], tz) });
                let after = slots.iter().position(|slot| slot.with_timezone(&tz).naive_local() > wall);
                if let Some(after) = after {
                    gaps.entry(after).or_default().push(wall);
                }
            }
            DstNoteKind::RunsOnFirstPass { first, .. } => {
                if let Some(at) = slots.iter().position(|slot| *slot == first) {
                    notes[at].push(format!("{}: runs on the first pass only", twice(wall, tz)));
                }
            }
        }
    }
    for (at, walls) in gaps {
        let days = walls.chunk_by(|one, other| one.date() == other.date());
        notes[at].splice(0..0, days.map(|day| gap_note(day, tz)));
    }
    if let (true, Some(last)) = (ends, notes.last_mut()) {
        let only = matches!(timetable.0, Kind::At(_));
        last.push(if only { "runs once" } else { "the last one, the schedule ends with it" }.to_owned());
    }
    let starts = slots.into_iter().zip(notes).map(|(slot, notes)| {
        let start = starts.of(slot);
        let wanted =
            starts.deadline(slot).map(|(by, _)| format!("wanted by {}", by.with_timezone(&tz).format("%H:%M")));
        let notes: Vec<String> = wanted.into_iter().chain(notes).collect();
        let note = Some(notes.join("; ")).filter(|note| !note.is_empty());
        Start { slot, start, local: start.with_timezone(&tz).fixed_offset(), note }
    });
    Preview { starts: starts.collect(), skipped, ends }
}

/// A single point of time whose wall time comes twice: which of the two it is.
fn once_more(timetable: &Timetable, tz: Tz, slot: DateTime<Utc>) -> Vec<String> {
    let wall = slot.with_timezone(&tz).naive_local();
    match (&timetable.0, tz.from_local_datetime(&wall)) {
        (Kind::At(_), MappedLocalTime::Ambiguous(first, _)) => {
            let pass = if first == slot { "first" } else { "second" };
            vec![format!("{}: this is the {pass} pass", twice(wall, tz))]
        }
        (Kind::At(_) | Kind::Every { .. } | Kind::Cron(_), _) => Vec::new(),
    }
}

/// `02:30 does not exist on 2026-03-29 in Europe/Vienna: skipped`, for wall times of one day.
fn gap_note(walls: &[NaiveDateTime], tz: Tz) -> String {
    let (Some(first), Some(last)) = (walls.first(), walls.last()) else { return String::new() };
    let day: NaiveDate = first.date();
    if walls.len() == 1 {
        return format!("{} does not exist on {day} in {}: skipped", clock(*first), tz.name());
    }
    let (from, to) = (clock(*first), clock(*last));
    format!("{from} to {to} do not exist on {day} in {}: {} times skipped", tz.name(), walls.len())
}

fn twice(wall: NaiveDateTime, tz: Tz) -> String {
    format!("{} comes twice on {} in {}", clock(wall), wall.date(), tz.name())
}

fn clock(wall: NaiveDateTime) -> String {
    let format = if wall.second() == 0 { "%H:%M" } else { "%H:%M:%S" };
    wall.format(format).to_string()
}

/// Why `EventBridge` holds the schedule as single shots, for a person; `None` where it does not.
pub fn why_one_shots(timetable: &Timetable, offset: TimeDelta) -> Option<&'static str> {
    if plan(timetable, offset).aws != AwsPlan::OneShots {
        return None;
    }
    Some(match &timetable.0 {
        Kind::At(_) => "it runs once",
        Kind::Every { .. } => "the interval is no whole number of minutes",
        Kind::Cron(cron) if cron.cron.pattern.seconds.values() != [0] => "the expression has seconds",
        Kind::Cron(_) if plan(timetable, TimeDelta::zero()).aws != AwsPlan::OneShots => {
            "the stagger moves a minute past its hour"
        }
        Kind::Cron(_) => "no expression of EventBridge holds all its times",
    })
}
