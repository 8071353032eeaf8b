//! Timers that no job has: those of jobs that are gone, those that should have gone by themselves, and the sweeper's own.

use std::collections::HashSet;

use chrono::{DateTime, Utc};
use futures::FutureExt;
use futures::future::try_join_all;
use nightshift_domain::JobId;
use nightshift_domain::event::{Envelope, Wake};

use crate::error::EngineError;
use crate::ports::{JobTimer, TimerEntry, TimerSpec, TimerView};

use super::judge::FAR_PAST;
use super::names::{Named, SWEEP};
use super::{AT_ONCE, Checkup, Finding, FindingKind, TIMERS, Visit, instant};

/// How often the sweeper comes (DESIGN §4).
const SWEEP_RATE: &str = "rate(15 minutes)";

/// The sweeper's timer as the deployment makes it.
pub(super) fn sweeper() -> Option<JobTimer> {
    let spec = TimerSpec::Recurring { expression: SWEEP_RATE.to_owned(), timezone: "UTC".to_owned(), start: None };
    // It belongs to no job; the port asks for one to name.
    let job = JobId::parse(SWEEP).ok()?;
    Some(JobTimer { job, name: SWEEP.to_owned(), spec, envelope: Envelope::new(Wake::Sweep), enabled: true })
}

impl Visit<'_> {
    /// Timers after a name; answers the cursor of what is left.
    pub(super) async fn strays(
        &self,
        timers: &[(Named, TimerEntry)],
        after: &str,
        seen: &HashSet<JobId>,
        checkup: &mut Checkup,
    ) -> Result<Option<String>, EngineError> {
        let rest: Vec<&(Named, TimerEntry)> = timers
            .iter()
            .filter(|(named, entry)| entry.name.as_str() > after && named.job().is_none_or(|job| !seen.contains(job)))
            .collect();
        for some in rest.chunks(AT_ONCE) {
            let looks = some.iter().map(|(named, entry)| self.stray(named, entry).boxed());
            checkup.findings.extend(try_join_all(looks).await?.into_iter().flatten());
            let last = some.last().filter(|_| self.is_over(checkup)).map(|(_, entry)| entry.name.as_str());
            if let Some(last) = last.filter(|last| rest.last().is_some_and(|(_, end)| end.name != *last)) {
                return Ok(Some(format!("{TIMERS}{last}")));
            }
        }
        // A list that was cut short says nothing about what is not on it.
        let listed = timers.iter().any(|(named, _)| *named == Named::Sweep);
        if !listed && self.request.deps.timers.get(SWEEP).await?.is_none() {
            let message = "the sweeper's timer is not there: what is lost stays lost".to_owned();
            checkup.findings.push(self.treat(found(FindingKind::TimerMissing, None, SWEEP, message), None).await);
        }
        Ok(None)
    }

    /// A timer that belongs to none of the jobs that were seen.
    async fn stray(&self, named: &Named, entry: &TimerEntry) -> Result<Option<Finding>, EngineError> {
        let deps = self.request.deps;
        let name = entry.name.as_str();
        let now = deps.clock.now();
        Ok(match named {
            Named::Job(job) | Named::Link { job, .. } => {
                // A list of jobs lags; a job that is there after all is looked at with the others, next time.
                if deps.store.job(job).await?.is_some() || deps.timers.get(name).await?.is_none() {
                    return Ok(None);
                }
                if let Named::Link { slot, .. } = named
                    && *slot <= now
                    && now - *slot <= FAR_PAST
                {
                    // It fires, finds nothing, and goes.
                    return Ok(None);
                }
                let message = format!("the timer {name} is there, and job {job} is not");
                Some(self.treat(found(FindingKind::TimerOrphan, Some(job), name, message), None).await)
            }
            Named::Poll(_) | Named::Resume(_) => {
                // A one-shot fires, finds that its run is over, and goes; most are minutes old.
                if entry.changed_at.is_some_and(|at| now - at < FAR_PAST) {
                    return Ok(None);
                }
                self.stuck(name, now - FAR_PAST).await?
            }
            Named::Sweep if !entry.enabled => {
                if deps.timers.get(name).await?.is_none_or(|held| held.enabled) {
                    return Ok(None);
                }
                let message = "the sweeper's timer is disabled: what is lost stays lost".to_owned();
                Some(self.treat(found(FindingKind::TimerState, None, name, message), None).await)
            }
            Named::Sweep | Named::Other => None,
            Named::Unknown => self.unknown(name).await?,
        })
    }

    /// A one-shot whose time is long over.
    async fn stuck(&self, name: &str, before: DateTime<Utc>) -> Result<Option<Finding>, EngineError> {
        let held = self.request.deps.timers.get(name).await?;
        let Some(TimerSpec::Once(at)) = held.map(|held| held.spec) else { return Ok(None) };
        if at >= before {
            return Ok(None);
        }
        let message = format!("the timer {name} should have fired at {} and gone", instant(at));
        Ok(Some(self.treat(found(FindingKind::TimerOrphan, None, name, message), None).await))
    }

    /// A timer under a name that is not given here. One that speaks of a job is a copy that nobody will remove; anything
    /// else is not ours to judge, and left alone.
    async fn unknown(&self, name: &str) -> Result<Option<Finding>, EngineError> {
        let Some(TimerView { envelope, function, .. }) = self.request.deps.timers.get(name).await? else {
            return Ok(None);
        };
        let kind = FindingKind::TimerOrphan;
        let ours = envelope.map(|envelope| envelope.kind).filter(|_| function.is_some());
        if let Some(Wake::Job { j, .. }) = ours {
            let message = format!("the timer {name} fires job {j} under a name that is not given here");
            return Ok(Some(self.treat(found(kind, Some(&j), name, message), None).await));
        }
        let message = format!("the timer {name} is none of Nightshift's kinds and is left alone");
        Ok(Some(found(kind, None, name, message)))
    }
}

fn found(kind: FindingKind, job: Option<&JobId>, timer: &str, message: String) -> Finding {
    Finding { job: job.cloned(), timer: Some(timer.to_owned()), ..Finding::new(kind, message) }
}
