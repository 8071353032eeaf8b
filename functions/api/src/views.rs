//! Answers of use cases in the API's words.

use nightshift_domain::schedule::AwsPlan;
use nightshift_engine::jobs::Planned;
use nightshift_wire::{AwsKind, AwsView, PlanAnswer, PlannedStart, SkippedTime};

/// `cron.plan`.
pub(crate) fn planned(planned: Planned) -> PlanAnswer {
    let (kind, held) = match planned.aws {
        AwsPlan::Exact { expression, timezone } => (AwsKind::Exact, Some((expression, timezone))),
        AwsPlan::Superset { expression, timezone } => (AwsKind::Superset, Some((expression, timezone))),
        AwsPlan::OneShots => (AwsKind::OneShots, None),
    };
    let (expression, timezone) = held.unzip();
    let starts = planned.preview.starts.into_iter().map(|start| PlannedStart {
        at_ms: start.start.timestamp_millis(),
        slot_ms: (start.slot != start.start).then(|| start.slot.timestamp_millis()),
        local: start.local.to_rfc3339(),
        note: start.note,
    });
    let skipped = planned.preview.skipped.into_iter();
    PlanAnswer {
        job_id: planned.job.map(|id| id.to_string()),
        schedule: planned.schedule,
        timezone: planned.zone,
        stagger_ms: Some(planned.stagger_ms).filter(|ms| *ms > 0),
        occurrences: starts.collect(),
        skipped: skipped
            .map(|it| SkippedTime { wall: it.wall.format("%Y-%m-%dT%H:%M:%S").to_string(), reason: it.reason })
            .collect(),
        ends: planned.preview.ends,
        aws: AwsView { kind, expression, timezone, note: planned.aws_note },
        notes: planned.notes,
    }
}
