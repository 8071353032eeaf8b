//! The Scheduler's words, read back.

use aws_sdk_scheduler::operation::get_schedule::GetScheduleOutput;
use aws_sdk_scheduler::types::{ScheduleState, ScheduleSummary, Target};
use aws_smithy_types::DateTime as SdkInstant;
use chrono::{DateTime, NaiveDateTime, Utc};
use nightshift_engine::ports::{TimerEntry, TimerSpec, TimerView};

use crate::Functions;

/// A row of a list. One without a name cannot be asked for, and is left out.
pub(crate) fn entry(summary: &ScheduleSummary) -> Option<TimerEntry> {
    Some(TimerEntry {
        name: summary.name()?.to_owned(),
        enabled: is_enabled(summary.state()),
        changed_at: summary.last_modification_date().and_then(instant),
    })
}

pub(crate) fn view(name: &str, schedule: &GetScheduleOutput, functions: &Functions) -> TimerView {
    let expression = schedule.schedule_expression().unwrap_or_default();
    let timezone = schedule.schedule_expression_timezone().unwrap_or("UTC");
    let spec = match one_shot(expression).filter(|_| timezone == "UTC") {
        Some(at) => TimerSpec::Once(at),
        None => TimerSpec::Recurring {
            expression: expression.to_owned(),
            timezone: timezone.to_owned(),
            start: schedule.start_date().and_then(instant),
        },
    };
    let target = schedule.target();
    TimerView {
        name: name.to_owned(),
        enabled: is_enabled(schedule.state()),
        spec,
        envelope: target.and_then(Target::input).and_then(|input| serde_json::from_str(input).ok()),
        function: target.and_then(|target| functions.named(target.arn())),
    }
}

/// Enabled is what a schedule is unless it says otherwise (Scheduler API, `CreateSchedule`).
fn is_enabled(state: Option<&ScheduleState>) -> bool {
    state != Some(&ScheduleState::Disabled)
}

fn one_shot(expression: &str) -> Option<DateTime<Utc>> {
    let inner = expression.strip_prefix("at(")?.strip_suffix(')')?;
    NaiveDateTime::parse_from_str(inner, "%Y-%m-%dT%H:%M:%S").ok().map(|wall| wall.and_utc())
}

fn instant(at: &SdkInstant) -> Option<DateTime<Utc>> {
    DateTime::from_timestamp(at.secs(), at.subsec_nanos())
}
