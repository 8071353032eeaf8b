//! Repairs, each by the step that ordinarily does it.

use nightshift_domain::JobId;
use nightshift_domain::event::{Envelope, Wake};
use nightshift_domain::job::JobRecord;
use nightshift_domain::schedule::{Timetable, stagger_ms, stagger_offset};
use tracing::{info, warn};

use crate::error::EngineError;
use crate::ports::TimerSpec;

use super::super::timing::{default_zone, set_timer, timer_for};
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
                info!(doctor.kind = finding.kind.word(), "repaired: {}", finding.message);
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
            (FindingKind::JobOverdue, Some(record), _) => Ok(self.begin(record.clone()).await?),
            (FindingKind::TimerDiffers | FindingKind::JobOverdue, None, _)
            | (FindingKind::TimerOrphan, _, None)
            | (FindingKind::RunOverdue | FindingKind::BatchOverdue | FindingKind::SpendLimit, _, _) => Ok(None),
        }
    }

    /// Sets a job's timer, and again as long as the job was changed meanwhile: the change's own timer may have come before
    /// ours.
    async fn set(&self, mut record: JobRecord) -> Result<(), Refusal> {
        let id = record.job.job_id.clone();
        for _ in 0..MAX_RACES {
            set_timer(self.request, self.config, None, &record, true).await?;
            match self.request.deps.store.job(&id).await? {
                Some(again) if again.generation != record.generation || again.job.enabled != record.job.enabled => {
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

    /// Begins the run that nobody began: as a late fire of its own timer, which makes up for what was missed, or records it, by
    /// the job's rules.
    ///
    /// # Crash safety
    /// The fire is an envelope that may come twice; the run's key is its occurrence's. A timer that comes after all finds the
    /// run there.
    async fn begin(&self, record: JobRecord) -> Result<Option<&'static str>, EngineError> {
        let deps = self.request.deps;
        let now = deps.clock.now();
        let job = &record.job;
        let offset = stagger_offset(job.job_id.as_str(), stagger_ms(&job.schedule));
        let Ok(table) = Timetable::new(&job.schedule, &default_zone(job, self.config)) else { return Ok(None) };
        let Some(slot) = table.latest_at_or_before(now - offset) else { return Ok(None) };
        let start = slot + offset;
        let (j, g) = (job.job_id.clone(), record.generation);
        let wake = Wake::Job { j, g, s: start.to_rfc3339(), slot: Some(slot), nb: Some(start) };
        deps.invoker.invoke(wake.function(), &Envelope::new(wake)).await?;
        Ok(Some("it is handed to the trigger"))
    }
}
