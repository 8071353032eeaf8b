//! Compares jobs with their timers, both ways, and looks for what stands still; repairs it on demand.
//!
//! Guarantee: without `repair` nothing is changed. Lists lag, so whatever a list makes suspicious is read again by key
//! before it counts as a fault, and so is safe beside running traffic. Every repair is an ordinary step that may be
//! repeated, and looks once more at the job it was for: a change made meanwhile has the last word.
//!
//! It does not know what a deployment has in other schedule groups.

mod judge;
mod names;
mod overdue;
mod repair;
mod round;
mod stops;
mod strays;

pub(crate) use round::{look_at_job, round};

use std::collections::{BTreeMap, HashSet};

use chrono::{DateTime, TimeDelta};
use futures::FutureExt;
use futures::future::try_join_all;
use nightshift_domain::config::Config;
use nightshift_domain::event::{Envelope, Wake};
use nightshift_domain::job::JobRecord;
use nightshift_domain::{FieldError, JobId};
use serde_json::Value;
use tracing::info;

use crate::error::EngineError;
use crate::ports::{PageRequest, StoreErrorKind, TimerEntry};
use crate::runs::{Scene, load_config};
use crate::sweep::judge::instant;
use crate::sweep::orphans;
pub use crate::sweep::{Finding, FindingKind};

use super::params::Params;
use super::timing::timer_for;
use super::{Refusal, Request};

use judge::{Fault, Present, faults};
use names::Named;

/// Jobs read at once.
const PAGE: u32 = 100;
/// Things looked up, and repaired, at the same time.
const AT_ONCE: usize = 16;
/// Findings after which an answer ends; it must fit the table's row of remembered answers (DynamoDB: 400 KB).
const MOST_FINDINGS: usize = 300;
/// What is kept of the invocation's time for the answer.
const RESERVE: TimeDelta = TimeDelta::seconds(10);
/// How long a request may take from a job's row to its timer: the `api` function's timeout.
const SETTLES: TimeDelta = TimeDelta::seconds(30);
/// How cursors begin, by what is left to be looked at.
const JOBS: &str = "jobs:";
const TIMERS: &str = "timers:";
const BATCHES: &str = "batches:";

/// What a check came to.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Checkup {
    /// Jobs that were compared with their timers.
    pub jobs: u64,
    /// Timers there are.
    pub timers: u64,
    /// Jobs that look wrong and were changed so recently that the change may still be under way.
    pub settling: u64,
    /// What was found.
    pub findings: Vec<Finding>,
    /// Not everything was looked at.
    pub truncated: bool,
    /// Where the check goes on.
    pub next: Option<String>,
}

impl Checkup {
    /// Whether nothing is left to be repaired.
    pub fn is_well(&self) -> bool {
        self.findings.iter().all(|finding| finding.repaired)
    }
}

/// What every step of a check shares.
#[derive(Debug, Clone, Copy)]
struct Visit<'a> {
    request: &'a Request<'a>,
    config: &'a Config,
    repair: bool,
    deep: bool,
    /// It is the sweep that looks: it mends by itself what the doctor calls the sweep for.
    sweeping: bool,
}

/// Where a check is.
enum Stage {
    /// Jobs from this page on.
    Jobs(Option<String>),
    /// Timers without a job, after this name.
    Timers(String),
    /// The providers' batches, from here on.
    Batches(String),
}

/// Checks, and with `repair` repairs: `{repair?, deep?, cursor?}`. `deep` reads every job's timer and compares what it
/// holds.
///
/// # Crash safety
/// Reads only, but for repairs; each of those may be repeated, and stopped anywhere the next check finds what is left.
pub async fn doctor(request: &Request<'_>, input: &Value) -> Result<Checkup, Refusal> {
    let mut params = Params::new(input, &["repair", "deep", "cursor"]);
    let (repair, deep) = (params.flag("repair").unwrap_or(false), params.flag("deep").unwrap_or(false));
    let stage = stage(&mut params);
    let stage = params.needed(stage)?;
    let config = load_config(request.deps).await?;
    let visit = Visit { request, config: &config, repair, deep, sweeping: false };
    let mut checkup = Checkup::default();
    checkup.next = visit.stages(stage, &mut checkup).await?;
    if checkup.next.is_none() {
        visit.overdue(&mut checkup).await?;
        visit.stops(&mut checkup).await?;
    }
    visit.call_the_sweep(&mut checkup).await;
    checkup.truncated |= checkup.next.is_some();
    let repaired = checkup.findings.iter().filter(|finding| finding.repaired).count();
    info!(
        doctor.jobs = checkup.jobs,
        doctor.timers = checkup.timers,
        doctor.findings = checkup.findings.len(),
        doctor.repaired = repaired,
        "the doctor has {} findings, {repaired} repaired",
        checkup.findings.len()
    );
    Ok(checkup)
}

fn stage(params: &mut Params<'_>) -> Option<Stage> {
    let Some(cursor) = params.text("cursor") else { return Some(Stage::Jobs(None)) };
    let read = stage_of(cursor);
    if read.is_none() {
        params.fault(bad_cursor());
    }
    read
}

/// The stage that a cursor names.
fn stage_of(cursor: &str) -> Option<Stage> {
    let rest = |kind: &str| cursor.strip_prefix(kind).map(str::to_owned);
    let (jobs, timers, batches) = (rest(JOBS), rest(TIMERS), rest(BATCHES));
    jobs.map(|page| Stage::Jobs(Some(page).filter(|page| !page.is_empty())))
        .or(timers.map(Stage::Timers))
        .or(batches.map(Stage::Batches))
}

fn bad_cursor() -> FieldError {
    FieldError::new("invalid_cursor", "cursor", "the cursor is not one of a check")
        .hint("send the nextCursor of the answer before, with the same parameters")
}

impl Visit<'_> {
    /// Whether an answer has to end here.
    fn is_over(&self, checkup: &Checkup) -> bool {
        self.request.deps.clock.now() >= self.request.invocation.deadline - RESERVE
            || checkup.findings.len() >= MOST_FINDINGS
    }

    /// Goes through the stages from `stage` on, as far as there is time; answers the cursor of what is left.
    async fn stages(&self, stage: Stage, checkup: &mut Checkup) -> Result<Option<String>, Refusal> {
        let mut batches = String::new();
        let left = match stage {
            Stage::Batches(from) => {
                batches = from;
                None
            }
            Stage::Jobs(_) | Stage::Timers(_) => self.timers(stage, checkup).await?,
        };
        if left.is_some() {
            return Ok(left);
        }
        let looked = orphans::look(self.scene(), &batches, self.repair).await?;
        checkup.findings.extend(looked.findings);
        Ok(looked.next.map(|next| format!("{BATCHES}{next}")))
    }

    /// Jobs and timers, both ways; answers the cursor of what is left.
    async fn timers(&self, stage: Stage, checkup: &mut Checkup) -> Result<Option<String>, Refusal> {
        let timers = self.list(checkup).await?;
        let mut by_job: BTreeMap<&JobId, Vec<Present>> = BTreeMap::new();
        for (named, entry) in &timers {
            if let Some(job) = named.job() {
                let there = Present { name: entry.name.clone(), enabled: entry.enabled, held: None };
                by_job.entry(job).or_default().push(there);
            }
        }
        let mut seen = HashSet::new();
        let after = match stage {
            Stage::Jobs(cursor) => {
                let left = self.jobs(cursor, &by_job, &mut seen, checkup).await?;
                if left.is_some() {
                    return Ok(left);
                }
                String::new()
            }
            Stage::Timers(after) => after,
            Stage::Batches(_) => return Ok(None),
        };
        Ok(self.strays(&timers, &after, &seen, checkup).await?)
    }

    /// What the sweep looks after is left to it: it is called, once for all of it.
    async fn call_the_sweep(&self, checkup: &mut Checkup) {
        let mut due: Vec<&mut Finding> =
            checkup.findings.iter_mut().filter(|finding| finding.kind.is_swept() && !finding.repaired).collect();
        if !self.repair || due.is_empty() {
            return;
        }
        let sweep = Wake::Sweep;
        let called = self.request.deps.invoker.invoke(sweep.function(), &Envelope::new(sweep)).await;
        for finding in &mut due {
            finding.repaired = called.is_ok();
            finding.message.push_str(match &called {
                Ok(()) => "; the sweep is called to take it up",
                Err(_) => "; the sweep cannot be called now",
            });
        }
    }

    fn scene(&self) -> Scene<'_> {
        Scene { deps: self.request.deps, invocation: self.request.invocation, config: self.config }
    }

    /// Every timer by name. They are listed before the jobs, so that a timer whose job has gone meanwhile shows.
    async fn list(&self, checkup: &mut Checkup) -> Result<Vec<(Named, TimerEntry)>, EngineError> {
        let mut timers = Vec::new();
        let mut cursor = None;
        loop {
            let page = self.request.deps.timers.list("", cursor.as_deref()).await?;
            timers.extend(page.items.into_iter().map(|entry| (Named::of(&entry.name), entry)));
            cursor = page.next;
            if cursor.is_none() {
                break;
            }
            if self.is_over(checkup) {
                checkup.truncated = true;
                break;
            }
        }
        timers.sort_by(|(_, one), (_, other)| one.name.cmp(&other.name));
        checkup.timers = u64::try_from(timers.len()).unwrap_or(u64::MAX);
        Ok(timers)
    }

    /// Jobs against their timers, from a page on; answers the cursor of what is left.
    async fn jobs(
        &self,
        mut cursor: Option<String>,
        by_job: &BTreeMap<&JobId, Vec<Present>>,
        seen: &mut HashSet<JobId>,
        checkup: &mut Checkup,
    ) -> Result<Option<String>, Refusal> {
        let now = self.request.now;
        loop {
            let page = PageRequest { limit: PAGE, cursor: cursor.take() };
            let page = self.request.deps.store.jobs(&page).await.map_err(|error| match error.kind {
                StoreErrorKind::BadCursor => bad_cursor().into(),
                StoreErrorKind::Unavailable | StoreErrorKind::Corrupt | StoreErrorKind::Refused => Refusal::from(error),
            })?;
            let mut suspects = Vec::new();
            for record in page.items {
                let present = by_job.get(&record.job.job_id).map_or(&[][..], Vec::as_slice);
                checkup.jobs += 1;
                seen.insert(record.job.job_id.clone());
                if self.deep || !faults(&record, self.config, now, present).is_empty() {
                    suspects.push((record, present));
                }
            }
            while !suspects.is_empty() {
                let some = suspects.drain(..suspects.len().min(AT_ONCE));
                let looks = some.map(|(record, present)| async move { self.look(&record, present).await }.boxed());
                for looked in try_join_all(looks).await? {
                    match looked {
                        Looked::Gone(job) => drop(seen.remove(&job)),
                        Looked::Settling => checkup.settling += 1,
                        Looked::Found(findings) => checkup.findings.extend(findings),
                    }
                }
            }
            cursor = page.next;
            match &cursor {
                None => return Ok(None),
                Some(next) if self.is_over(checkup) => return Ok(Some(format!("{JOBS}{next}"))),
                Some(_) => {}
            }
        }
    }

    /// Looks again at a job that a list made suspicious, by key this time.
    async fn look(&self, listed: &JobRecord, present: &[Present]) -> Result<Looked, EngineError> {
        let deps = self.request.deps;
        let id = &listed.job.job_id;
        let Some(record) = deps.store.job(id).await? else { return Ok(Looked::Gone(id.clone())) };
        let now = deps.clock.now();
        let mut names: Vec<String> = present.iter().map(|there| there.name.clone()).collect();
        names.extend(timer_for(&record, self.config, now).map(|timer| timer.name));
        names.sort_unstable();
        names.dedup();
        let there = match self.present(names).await {
            Ok(there) => there,
            Err(error) => {
                // What was missed needs no timer, and is not kept waiting by a timer service that does not answer.
                let missed = faults(&record, self.config, now, &[]).into_iter();
                for fault in missed.filter(|fault| fault.kind == FindingKind::MissedFire) {
                    self.attend(&record, fault).await;
                }
                return Err(error);
            }
        };
        let faults = faults(&record, self.config, now, &there);
        let changed = DateTime::from_timestamp_millis(record.job.updated_at_ms).unwrap_or_default();
        if !faults.is_empty() && now - changed < SETTLES {
            return Ok(Looked::Settling);
        }
        let mut findings = Vec::new();
        for fault in &faults {
            findings.push(self.attend(&record, fault.clone()).await);
        }
        // Once the missed run is begun the job is due no more, and its timer would be missed until its next occurrence.
        for (finding, fault) in findings.iter_mut().zip(faults) {
            if self.repair && finding.timer.is_some() && !finding.repaired {
                *finding = self.attend(&record, fault).await;
            }
        }
        Ok(Looked::Found(findings))
    }

    /// Those of `names` that there are.
    async fn present(&self, names: Vec<String>) -> Result<Vec<Present>, EngineError> {
        let mut there = Vec::new();
        for name in names {
            if let Some(held) = self.request.deps.timers.get(&name).await? {
                there.push(Present { name, enabled: held.enabled, held: self.deep.then_some(held) });
            }
        }
        Ok(there)
    }

    /// A job's fault as a finding, repaired if that is wanted.
    async fn attend(&self, record: &JobRecord, fault: Fault) -> Finding {
        let Fault { kind, timer, message } = fault;
        let id = record.job.job_id.clone();
        let finding = Finding { job: Some(id), timer, ..Finding::new(kind, message) };
        self.treat(finding, Some(record)).await
    }
}

/// What a second look at a job came to.
enum Looked {
    /// There is no such job any more.
    Gone(JobId),
    /// It was changed a moment ago.
    Settling,
    /// This, or nothing.
    Found(Vec<Finding>),
}
