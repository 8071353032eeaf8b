//! Whether something that is overdue is lost. Pure: the same rows give the same verdict to the sweep and to the doctor.
//!
//! Guarantee: what is on its way is no finding. A timer that is there is given time to come, and a run that waits for
//! another one, for its batch or for its retry is well.

use chrono::{DateTime, SecondsFormat, TimeDelta, Utc};
use nightshift_domain::batch::{Batch, BatchState, Window};
use nightshift_domain::job::LATE_AT_MOST;
use nightshift_domain::run::{Run, State, WaitReason, attention_at};

use super::FindingKind;

/// How long past its time something may be before it counts as lost: the Scheduler fires within a minute, and its and
/// Lambda's repeats come first.
pub(crate) const GRACE: TimeDelta = TimeDelta::minutes(2);
/// How long past its time a timer that is still there is waited for.
pub(crate) const PATIENCE: TimeDelta = LATE_AT_MOST;
/// How long something that is well is left alone.
const WELL_FOR: TimeDelta = TimeDelta::minutes(5);
/// The same for a run whose batch is looked after: longer than any interval between sweeps, since there may be thousands of
/// them and a sweep looks at few.
const WELL_IN_BATCH: TimeDelta = TimeDelta::hours(1);
/// How soon something that could not be mended is tried again at the earliest, and at the latest.
const AGAIN: (TimeDelta, TimeDelta) = (TimeDelta::minutes(10), TimeDelta::hours(6));

/// How long at most something that was looked at is put back.
pub(crate) const PUT_BACK: TimeDelta = AGAIN.1;

/// What is to be said of something in the due index.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum Verdict {
    /// It has moved on.
    Moved,
    /// It is well, and need not be looked at before.
    Well(DateTime<Utc>),
    /// It is lost.
    Lost(FindingKind, String),
}

/// What has to be known of a run beside its row.
#[derive(Debug, Clone, Default)]
pub(crate) struct About {
    /// When the timer that takes it up is due, where it is there and enabled.
    pub(crate) timer: Option<DateTime<Utc>>,
    /// Its batch, where it is in one that is there.
    pub(crate) batch: Option<Batch>,
    /// Whether everybody in the batch wishes to leave it, and it may be told so.
    pub(crate) may_stop: bool,
    /// Whether the batch it says it is in was created without it.
    pub(crate) left_out: bool,
    /// Whether its turn has come, where it waits for another run or is asked for its job.
    pub(crate) its_turn: bool,
}

/// Whether a run that stands in the due index is lost.
pub(crate) fn run(run: &Run, about: &About, now: DateTime<Utc>) -> Verdict {
    let Some(since) = attention_at(run).filter(|at| *at < now - GRACE) else { return Verdict::Moved };
    let (key, state, at) = (&run.key, run.state.name(), instant(since));
    let lost = |kind, what: String| Verdict::Lost(kind, what);
    if run.state.batch().is_some() {
        return in_batch(run, about, now);
    }
    if run.state.is_terminal() {
        return match about.timer.filter(|due| run.lease.is_none() && now - *due < PATIENCE) {
            Some(due) => Verdict::Well(due + PATIENCE),
            None => lost(
                FindingKind::Undelivered,
                format!("an alert about run {key} is not sent, and nobody was at it since {at}"),
            ),
        };
    }
    if run.lease.is_some() {
        let kind =
            if matches!(run.state, State::Delivering) { FindingKind::Undelivered } else { FindingKind::DeadLease };
        return lost(kind, format!("run {key} is {state}, and who worked on it has not been heard of since {at}"));
    }
    if let Some(due) = about.timer.filter(|due| now - *due < PATIENCE) {
        return Verdict::Well(due + PATIENCE);
    }
    match &run.state {
        State::Waiting { reason: WaitReason::Overlap | WaitReason::Session | WaitReason::Heartbeat }
            if !about.its_turn =>
        {
            Verdict::Well(now + WELL_FOR)
        }
        State::Waiting { reason: WaitReason::Overlap | WaitReason::Session | WaitReason::Heartbeat } => lost(
            FindingKind::NeverWoken,
            format!("run {key} waits since {}, and its turn has come", instant(run.state_since)),
        ),
        State::Paused { .. } | State::Tools { .. } => lost(
            FindingKind::ResumeLost,
            format!("run {key} is {state} and was to go on at {at}, and no timer says so"),
        ),
        State::Delivering => lost(
            FindingKind::Undelivered,
            format!("the answer of run {key} is not delivered, and nobody was at it since {at}"),
        ),
        State::Due | State::Running { .. } | State::Ready { .. } => {
            lost(FindingKind::HandOverLost, format!("run {key} is {state}, and nobody took it up since {at}"))
        }
        State::Waiting { reason: WaitReason::Place { .. } }
        | State::Submitting { .. }
        | State::Submitted { .. }
        | State::Canceling { .. }
        | State::Succeeded
        | State::DeliveryFailed
        | State::DeliveryUnknown
        | State::Failed { .. }
        | State::Skipped { .. }
        | State::Canceled => Verdict::Moved,
    }
}

/// A run in a batch is looked after with its batch, as long as there is one.
fn in_batch(run: &Run, about: &About, now: DateTime<Utc>) -> Verdict {
    let key = &run.key;
    let Some(batch) = &about.batch else {
        return Verdict::Lost(FindingKind::BatchStranded, format!("run {key} waits for a batch that is not there"));
    };
    let id = &batch.id;
    if about.left_out {
        let what = format!("run {key} came too late for batch {id}, which was created without it");
        return Verdict::Lost(FindingKind::BatchStranded, what);
    }
    match &batch.state {
        BatchState::Settled { .. } => {
            Verdict::Lost(FindingKind::BatchStranded, format!("run {key} waits for batch {id}, which is over"))
        }
        BatchState::Open { .. } if matches!(run.state, State::Canceling { .. }) && about.may_stop => {
            Verdict::Lost(FindingKind::CancelLost, format!("batch {id} was to stop for run {key}, and was never told"))
        }
        BatchState::Sealing { .. } | BatchState::Creating | BatchState::Open { .. } | BatchState::Canceling { .. } => {
            Verdict::Well(batch.next_poll_at.max(now + WELL_IN_BATCH))
        }
    }
}

/// Whether the poll chain of a batch is broken. `timer` is when the poll its row names is due, where that timer is there and
/// enabled.
pub(crate) fn batch(batch: &Batch, timer: Option<DateTime<Utc>>, now: DateTime<Utc>) -> Verdict {
    if matches!(batch.state, BatchState::Settled { .. }) || batch.next_poll_at >= now - GRACE {
        return Verdict::Moved;
    }
    if let Some(due) = timer.filter(|due| now - *due < PATIENCE) {
        return Verdict::Well(due + PATIENCE);
    }
    let at = instant(batch.next_poll_at);
    let what = format!("batch {} was to be looked at {at}, and nobody did", batch.id);
    Verdict::Lost(FindingKind::PollChainBroken, what)
}

/// Whether those who wait in a window that is over since `since` were forgotten. `timer` is when its timer is due, where that
/// is there and enabled.
pub(crate) fn window(
    window: &Window,
    since: DateTime<Utc>,
    timer: Option<DateTime<Utc>>,
    now: DateTime<Utc>,
) -> Verdict {
    if let Some(due) = timer.filter(|due| now - *due < PATIENCE) {
        return Verdict::Well(due + PATIENCE);
    }
    let what = format!("window {} was to be sealed {}, and nobody did", window.id, instant(since));
    Verdict::Lost(FindingKind::WindowLost, what)
}

/// When something that stands since `since` is tried again, if the repair comes to nothing: the longer it stands, the later,
/// so that what cannot be mended never keeps the rest from it.
pub(crate) fn again(since: DateTime<Utc>, now: DateTime<Utc>) -> DateTime<Utc> {
    now + (now - since).clamp(AGAIN.0, AGAIN.1)
}

/// An instant that lies past, for a person.
pub(crate) fn instant(at: DateTime<Utc>) -> String {
    at.to_rfc3339_opts(SecondsFormat::Secs, true)
}
