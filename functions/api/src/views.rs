//! Answers of use cases in the API's words.

use nightshift_domain::schedule::AwsPlan;
use nightshift_domain::session::Session;
use nightshift_engine::jobs::{Checkup, Message, Planned};
use nightshift_wire::{
    AwsKind, AwsView, DoctorAnswer, FindingView, ForecastView, PlanAnswer, PlannedStart, SaidView, SessionAnswer,
    SessionView, SkippedTime,
};

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
        forecast: planned.forecast.as_ref().map(ForecastView::new),
        ends: planned.preview.ends,
        aws: AwsView { kind, expression, timezone, note: planned.aws_note },
        notes: planned.notes,
    }
}

/// `sessions.get`.
pub(crate) fn session(session: &Session, history: &[Message]) -> SessionAnswer {
    let said = |one: &Message| SaidView::new(one.role, &one.text, one.from.as_ref().map(|(run, at)| (run, *at)));
    SessionAnswer { session: SessionView::from(session), history: history.iter().map(said).collect() }
}

/// `cron.doctor`.
pub(crate) fn checked(checkup: Checkup) -> DoctorAnswer {
    let ok = checkup.is_well();
    let findings = checkup.findings.into_iter().map(|finding| FindingView {
        kind: finding.kind.word().to_owned(),
        job_id: finding.job.map(|id| id.to_string()),
        run_id: finding.run.map(|key| key.to_string()),
        attempt_id: finding.batch.map(|id| id.to_string()),
        timer: finding.timer,
        message: finding.message,
        repaired: finding.repaired,
    });
    DoctorAnswer {
        ok,
        checked_jobs: checkup.jobs,
        checked_timers: checkup.timers,
        settling_jobs: checkup.settling,
        findings: findings.collect(),
        truncated: checkup.truncated,
        next_cursor: checkup.next,
    }
}
