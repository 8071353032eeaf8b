//! Repairs, each by the step that ordinarily does it.

use chrono::SecondsFormat;
use nightshift_domain::JobId;
use nightshift_domain::job::JobRecord;
use tracing::warn;

use crate::ports::TimerSpec;
use crate::runs::make_up_for_fire;
use crate::sweep::{once, say};

use super::super::timing::{set_timer, timer_for};
use super::super::{MAX_RACES, Refusal};
use super::strays::sweeper;
use super::{Finding, FindingKind, Visit};

impl Visit<'_> {
    /// The finding, repaired if that is wanted and can be; its message says what was done. `record` is the job it is about,
    /// where that is there.
    pub(super) async fn treat(&self, mut finding: Finding, record: Option<&JobRecord>) -> Finding {
        if !self.repair {
            return finding;
        }
        match self.repair(&finding, record).await {
            Ok(Some(done)) => {
                finding.repaired = true;
                finding.message = format!("{}; {done}", finding.message);
                self.count(&finding).await;
                say(&finding);
            }
            Ok(None) => {}
            Err(error) => {
                warn!(doctor.kind = finding.kind.word(), "not repaired: {}: {error}", finding.message);
                finding.message = format!("{}; the repair failed: {error}", finding.message);
            }
        }
        finding
    }

    /// What was done; `None` when there is nothing to do about it.
    async fn repair(&self, finding: &Finding, record: Option<&JobRecord>) -> Result<Option<&'static str>, Refusal> {
        let timers = &self.request.deps.timers;
        match (finding.kind, record, &finding.timer) {
            (FindingKind::TimerMissing | FindingKind::TimerState | FindingKind::TimerDiffers, Some(record), _) => {
                self.set(record.clone()).await?;
                Ok(Some("it is set"))
            }
            (FindingKind::TimerMissing | FindingKind::TimerState, None, _) => {
                let Some(timer) = sweeper() else { return Ok(None) };
                timers.put_job(&timer).await?;
                Ok(Some("it is set"))
            }
            (FindingKind::TimerOrphan, _, Some(name)) => {
                timers.remove(name).await?;
                if let Some(job) = &finding.job {
                    self.restore(job, name).await?;
                }
                Ok(Some("it is removed"))
            }
            (FindingKind::MissedFire, Some(record), _) if self.sweeping => {
                let begun = Box::pin(make_up_for_fire(self.scene(), record)).await?;
                Ok(begun.then_some("it is begun or recorded"))
            }
            (FindingKind::TimerDiffers, None, _)
            | (FindingKind::TimerOrphan, _, None)
            | (
                FindingKind::MissedFire
                | FindingKind::DeadLease
                | FindingKind::HandOverLost
                | FindingKind::ResumeLost
                | FindingKind::Undelivered
                | FindingKind::NeverWoken
                | FindingKind::CancelLost
                | FindingKind::BatchStranded
                | FindingKind::PollChainBroken
                | FindingKind::PlaceLeaked
                | FindingKind::BatchOrphan
                | FindingKind::WindowLost
                | FindingKind::Unreadable
                | FindingKind::SpendLimit,
                _,
                _,
            ) => Ok(None),
        }
    }

    /// Counts a repair of a timer; what is begun is counted with its run.
    async fn count(&self, finding: &Finding) {
        let Some(timer) = &finding.timer else { return };
        let at = self.request.deps.clock.now().to_rfc3339_opts(SecondsFormat::Millis, true);
        if let Err(error) = once(self.scene(), finding.kind, &format!("{timer}/{at}"), &[]).await {
            warn!(doctor.kind = finding.kind.word(), "a repair could not be counted: {error}");
        }
    }

    /// Sets a job's timer, and again as long as the job was changed meanwhile: the change's own timer may have come before
    /// ours.
    async fn set(&self, mut record: JobRecord) -> Result<(), Refusal> {
        let id = record.job.job_id.clone();
        for _ in 0..MAX_RACES {
            set_timer(self.request, self.config, None, &record, true).await?;
            match self.request.deps.store.job(&id).await? {
                Some(again) if !again.is_timed_as(&record) || again.job.enabled != record.job.enabled => {
                    record = again;
                }
                Some(_) => return Ok(()),
                None => {
                    // It was removed under our hands, its timer before it.
                    if let Some(timer) = timer_for(&record, self.config, self.request.now) {
                        self.request.deps.timers.remove(&timer.name).await?;
                    }
                    return Ok(());
                }
            }
        }
        Err(Refusal::Changed(format!("job {id}")))
    }

    /// Gives back the timer `name` that was removed from a job which needs it by now.
    async fn restore(&self, job: &JobId, name: &str) -> Result<(), Refusal> {
        let Some(record) = self.request.deps.store.job(job).await? else { return Ok(()) };
        let needed = timer_for(&record, self.config, self.request.deps.clock.now());
        let off = |spec: &TimerSpec, enabled: bool| matches!(spec, TimerSpec::Once(_)) && !enabled;
        if needed.is_some_and(|timer| timer.name == name && !off(&timer.spec, timer.enabled)) {
            self.set(record).await?;
        }
        Ok(())
    }
}
