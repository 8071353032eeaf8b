//! Reading a schedule from the JSON a user or an older client sends.
//!
//! Guarantee: a field that is not known is refused by name, never dropped, and every spelling accepted here means what
//! it meant to the client that wrote it. Values are judged in [`super::normalize`].

use serde_json::{Map, Value};

use super::ScheduleError;

/// A schedule as somebody may ask for it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum ScheduleInput {
    /// Once.
    At {
        /// ISO 8601 or epoch milliseconds.
        at: String,
        /// Zone of a time without an offset; UTC if none.
        tz: Option<String>,
    },
    /// At a fixed interval.
    Every {
        /// The interval in milliseconds.
        every_ms: u64,
        /// First point of the grid, epoch milliseconds; now if none.
        anchor_ms: Option<i64>,
    },
    /// At the wall times of a cron expression.
    Cron {
        /// The expression.
        expr: String,
        /// IANA zone.
        tz: Option<String>,
        /// Window the start is spread over, in milliseconds.
        stagger_ms: Option<u64>,
    },
}

impl From<super::Schedule> for ScheduleInput {
    fn from(schedule: super::Schedule) -> Self {
        match schedule {
            super::Schedule::At { at, tz } => Self::At { at, tz },
            super::Schedule::Every { every_ms, anchor_ms } => Self::Every { every_ms, anchor_ms: Some(anchor_ms) },
            super::Schedule::Cron { expr, tz, stagger_ms } => Self::Cron { expr, tz, stagger_ms },
        }
    }
}

impl ScheduleInput {
    /// Reads `{"kind": "at" | "every" | "cron", …}`.
    ///
    /// Also read, because `OpenClaw` wrote them: `kind` in any letter case or left out where one of `at`, `everyMs` and
    /// `expr` tells it, `atMs` for `at`, whole numbers as strings, fractions of a millisecond (cut off), `null` for a
    /// field that is not set, and a `tz` on `every`, which means nothing there.
    pub fn from_json(value: &Value) -> Result<Self, ScheduleError> {
        let Value::Object(object) = value else {
            return Err(ScheduleError::new("schedule", "the schedule is not an object")
                .hint("write {\"kind\": \"cron\", \"expr\": \"0 7 * * *\", \"tz\": \"Europe/Berlin\"}"));
        };
        let fields = Fields(object);
        let kind = fields.kind()?;
        match kind.as_str() {
            "at" => {
                fields.only(&kind, &["at", "atMs", "tz"])?;
                Ok(Self::At { at: fields.at()?, tz: fields.text("tz", "schedule.tz")? })
            }
            "every" => {
                fields.only(&kind, &["everyMs", "anchorMs", "tz"])?;
                let every_ms = fields.whole("everyMs", "schedule.everyMs")?;
                let every_ms = every_ms.ok_or_else(|| ScheduleError::new("schedule.everyMs", "everyMs is missing"))?;
                let every_ms = u64::try_from(every_ms)
                    .map_err(|_| ScheduleError::new("schedule.everyMs", format!("{every_ms} ms is not an interval")))?;
                Ok(Self::Every { every_ms, anchor_ms: fields.whole("anchorMs", "schedule.anchorMs")? })
            }
            "cron" => {
                fields.only(&kind, &["expr", "tz", "staggerMs"])?;
                let expr = fields.text("expr", "schedule.expr")?;
                let expr = expr.ok_or_else(|| ScheduleError::new("schedule.expr", "expr is missing"))?;
                let stagger_ms = match fields.whole("staggerMs", "schedule.staggerMs")? {
                    None => None,
                    Some(ms) => Some(u64::try_from(ms).map_err(|_| {
                        ScheduleError::new("schedule.staggerMs", format!("{ms} ms is not a window"))
                            .hint("0 turns the stagger off")
                    })?),
                };
                Ok(Self::Cron { expr, tz: fields.text("tz", "schedule.tz")?, stagger_ms })
            }
            other => Err(ScheduleError::new(
                "schedule.kind",
                format!("\"{}\" is not a kind of schedule", other.escape_debug()),
            )
            .hint("the kinds are at, every and cron")),
        }
    }
}

/// The fields of a schedule, `null` meaning absent.
struct Fields<'a>(&'a Map<String, Value>);

impl Fields<'_> {
    fn get(&self, name: &str) -> Option<&Value> {
        self.0.get(name).filter(|value| !value.is_null())
    }

    fn kind(&self) -> Result<String, ScheduleError> {
        if self.get("kind").is_some() {
            return Ok(self.text("kind", "schedule.kind")?.unwrap_or_default().trim().to_ascii_lowercase());
        }
        let told_by = [("at", "at"), ("atMs", "at"), ("everyMs", "every"), ("expr", "cron")];
        let kind = told_by.iter().find(|(field, _)| self.get(field).is_some()).map(|(_, kind)| (*kind).to_owned());
        kind.ok_or_else(|| {
            ScheduleError::new("schedule.kind", "kind is missing").hint("the kinds are at, every and cron")
        })
    }

    fn only(&self, kind: &str, known: &[&str]) -> Result<(), ScheduleError> {
        match self.0.keys().find(|name| *name != "kind" && !known.contains(&name.as_str())) {
            None => Ok(()),
            Some(name) => Err(ScheduleError::new(
                "schedule",
                format!("\"{}\" is not a field of a schedule of kind {kind}", name.escape_debug()),
            )
            .hint(format!("its fields are {}", known.join(", ")))),
        }
    }

    fn at(&self) -> Result<String, ScheduleError> {
        match self.get("at").or(self.get("atMs")) {
            None => Err(ScheduleError::new("schedule.at", "at is missing")),
            Some(Value::String(text)) => Ok(text.clone()),
            Some(value) => match whole_number(value) {
                Some(ms) => Ok(ms.to_string()),
                None => Err(ScheduleError::new("schedule.at", "at is not a text").hint("write 2026-02-01T16:00:00Z")),
            },
        }
    }

    fn text(&self, name: &str, path: &'static str) -> Result<Option<String>, ScheduleError> {
        match self.get(name) {
            None => Ok(None),
            Some(Value::String(text)) => Ok(Some(text.clone())),
            Some(_) => Err(ScheduleError::new(path, format!("{name} is not a text"))),
        }
    }

    fn whole(&self, name: &str, path: &'static str) -> Result<Option<i64>, ScheduleError> {
        match self.get(name) {
            None => Ok(None),
            Some(value) => whole_number(value).map(Some).ok_or_else(|| {
                ScheduleError::new(path, format!("{name} is not a number of milliseconds"))
                    .hint("write ten minutes as 600000")
            }),
        }
    }
}

/// A number, or a string of one, without its fraction.
fn whole_number(value: &Value) -> Option<i64> {
    match value {
        Value::Number(number) => number.as_i64().or_else(|| {
            let float = number.as_f64().filter(|float| float.abs() < 9.0e15)?;
            #[expect(clippy::cast_possible_truncation, reason = "bounded above, and the fraction is to go")]
            let floor = float.floor() as i64;
            Some(floor)
        }),
        Value::String(text) => text.trim().parse().ok(),
        Value::Null | Value::Bool(_) | Value::Array(_) | Value::Object(_) => None,
    }
}
