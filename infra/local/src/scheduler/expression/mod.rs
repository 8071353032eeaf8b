//! When a schedule fires: `at(…)`, `rate(…)` and the service's own six-field `cron(…)`.
//!
//! Pure: instants in, instants out. Guarantee: what the real service is known to refuse is refused here, and so is what
//! its documentation is silent about (`0` as Sunday, wrapped ranges, lower-case names, `L-n`), so that nothing works on a
//! laptop only. Source: the User Guide, "Schedule types", and recorded answers of the service.

mod cron;
mod field;
#[cfg(test)]
mod tests;

use chrono::{DateTime, MappedLocalTime, NaiveDateTime, TimeDelta, TimeZone, Timelike, Utc};
use chrono_tz::Tz;

use self::cron::Cron;

/// Why an expression was refused; `Display` is the service's own message.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum ExpressionError {
    /// The text is not an expression.
    #[error("Invalid Schedule Expression {0}.")]
    Expression(String),
    /// The zone is not in the IANA database.
    #[error("Invalid Schedule Expression Timezone {0}.")]
    Timezone(String),
}

/// A parsed expression in its zone.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Expression {
    kind: Kind,
}

#[derive(Debug, Clone, PartialEq, Eq)]
enum Kind {
    At(DateTime<Utc>),
    Rate { period: TimeDelta, anchor: Option<DateTime<Utc>> },
    Cron { cron: Cron, zone: Tz },
}

impl Expression {
    /// Reads `text` in the IANA zone `timezone` ("UTC" where the caller gave none; `rate` does not look at it).
    ///
    /// # Errors
    /// [`ExpressionError`], worded as the service words it.
    pub fn parse(text: &str, timezone: &str) -> Result<Self, ExpressionError> {
        let zone: Tz = timezone.parse().map_err(|_| ExpressionError::Timezone(timezone.to_owned()))?;
        let inner = |prefix: &str| text.strip_prefix(prefix).and_then(|rest| rest.strip_suffix(')'));
        let kind = if let Some(fields) = inner("cron(") {
            Cron::parse(fields).map(|cron| Kind::Cron { cron, zone })
        } else if let Some(rate) = inner("rate(") {
            period(rate).map(|period| Kind::Rate { period, anchor: None })
        } else if let Some(wall) = inner("at(") {
            wall_time(wall).and_then(|wall| resolve(zone, wall)).map(Kind::At)
        } else {
            None
        };
        match kind {
            Some(kind) => Ok(Self { kind }),
            None => Err(ExpressionError::Expression(text.to_owned())),
        }
    }

    /// The same expression with a `rate` that fires at `anchor` and every period after it. Others stay as they are.
    #[must_use]
    pub fn anchored(self, anchor: DateTime<Utc>) -> Self {
        match self.kind {
            Kind::Rate { period, .. } => Self { kind: Kind::Rate { period, anchor: Some(anchor) } },
            kind @ (Kind::At(_) | Kind::Cron { .. }) => Self { kind },
        }
    }

    /// Whether it fires once only.
    pub fn is_one_time(&self) -> bool {
        matches!(self.kind, Kind::At(_))
    }

    /// Whether it is a `rate`.
    pub fn is_rate(&self) -> bool {
        matches!(self.kind, Kind::Rate { .. })
    }

    /// The first instant strictly after `instant`; `None` when there is none.
    ///
    /// A `cron` wall time that does not exist is skipped, one that comes twice counts on its first pass. A `rate` counts
    /// from its anchor ([`Expression::anchored`]), and from `instant` where it has none.
    pub fn next_after(&self, instant: DateTime<Utc>) -> Option<DateTime<Utc>> {
        match &self.kind {
            Kind::At(at) => Some(*at).filter(|at| *at > instant),
            Kind::Rate { period, anchor: None } => instant.checked_add_signed(*period),
            Kind::Rate { period, anchor: Some(anchor) } if instant < *anchor => {
                Some(*anchor).filter(|_| !period.is_zero())
            }
            Kind::Rate { period, anchor: Some(anchor) } => {
                let passed = (instant - *anchor).num_seconds() / period.num_seconds();
                let step = TimeDelta::try_seconds(period.num_seconds().checked_mul(passed + 1)?)?;
                anchor.checked_add_signed(step)
            }
            Kind::Cron { cron, zone } => cron.next_after(*zone, instant),
        }
    }
}

/// `10 minutes` → ten minutes: one space, a positive number without leading zeros, singular for 1 and plural otherwise.
/// A day is 24 hours whatever the zone does.
fn period(text: &str) -> Option<TimeDelta> {
    let (number, unit) = text.split_once(' ')?;
    let value: i64 = field::number(number).filter(|value| *value > 0 && !number.starts_with('0'))?.into();
    let (singular, plural) = (value == 1, value > 1);
    match unit {
        "minute" if singular => TimeDelta::try_minutes(value),
        "minutes" if plural => TimeDelta::try_minutes(value),
        "hour" if singular => TimeDelta::try_hours(value),
        "hours" if plural => TimeDelta::try_hours(value),
        "day" if singular => TimeDelta::try_days(value),
        "days" if plural => TimeDelta::try_days(value),
        _ => None,
    }
}

/// `yyyy-mm-ddThh:mm:ss` and nothing else: the service refuses fractions, `Z` and bare dates.
fn wall_time(text: &str) -> Option<NaiveDateTime> {
    let shape_holds = text.len() == 19
        && text.bytes().enumerate().all(|(at, byte)| match at {
            4 | 7 => byte == b'-',
            10 => byte == b'T',
            13 | 16 => byte == b':',
            _ => byte.is_ascii_digit(),
        });
    let wall = NaiveDateTime::parse_from_str(text, "%Y-%m-%dT%H:%M:%S").ok()?;
    // A leap second parses as 59 with a full second of nanoseconds.
    (shape_holds && wall.nanosecond() == 0).then_some(wall)
}

/// The instant of a one-shot's wall time. Twice there: the first pass. Not there at all: the documentation says only that
/// recurring fires are skipped; a one-shot that is skipped would be lost, so it runs as much later as the gap is wide.
fn resolve(zone: Tz, wall: NaiveDateTime) -> Option<DateTime<Utc>> {
    match zone.from_local_datetime(&wall) {
        MappedLocalTime::Single(at) | MappedLocalTime::Ambiguous(at, _) => Some(at.to_utc()),
        MappedLocalTime::None => (1..=26).find_map(|hours| {
            let back = TimeDelta::hours(hours);
            let before = zone.from_local_datetime(&wall.checked_sub_signed(back)?).latest()?;
            Some(before.to_utc() + back)
        }),
    }
}
