//! `cron`: an agent looks after its own jobs.
//!
//! Guarantee: jobs of other agents do not exist here; an agent has no more jobs than its rules allow; a job that a run adds
//! or rewrites has nothing the run has not ([`nightshift_domain::job::Bounds`]). A repeat of the same call makes the same
//! ids, and once it was carried out to its end it gets the same answer.

mod shown;

use std::sync::Mutex;

use chrono::{DateTime, TimeDelta, Utc};
use nightshift_domain::job::{Bounds, Job, JobRecord};
use nightshift_domain::run::CallState;
use nightshift_domain::schedule::parse_duration;
use nightshift_domain::{FieldError, JobId};
use serde_json::{Map, Value, json};
use tracing::warn;

use crate::clock::BoxFuture;
use crate::error::EngineError;
use crate::jobs::{self, Ran, Refusal, Request, Stamp};
use crate::ports::PageRequest;
use crate::runs::{digest, load_text};

use super::{Answer, Call};

/// How long the answer of a call is kept for its repeat. A crashed turn is taken up within minutes.
const KEPT: TimeDelta = TimeDelta::hours(24);
/// Most jobs of the table that are looked through for the agent's own.
const LOOKED_AT_MOST: usize = 20_000;
/// Runs that are shown.
const RUNS_SHOWN: u64 = 10;

/// Soonest a next run is moved to: timers are precise to a minute.
const CHECK_LEAST: TimeDelta = TimeDelta::seconds(60);
/// Latest.
const CHECK_MOST: TimeDelta = TimeDelta::days(30);

/// What the model is told of something it did wrong.
type Told = Result<Value, String>;

/// Carries out one call. Boxed under its own name, because what removes a job may drive a run, which may call a tool: the
/// compiler asks what type that circle has.
pub(super) fn run(call: Call<'_>, input: Value) -> BoxFuture<'_, Result<Answer, EngineError>> {
    Box::pin(carry_out(call, input))
}

async fn carry_out(call: Call<'_>, input: Value) -> Result<Answer, EngineError> {
    let action = input["action"].as_str().unwrap_or_default();
    let acts = nightshift_domain::tools::acts("cron", &input);
    let identity = format!("{}/{}", call.run.key, call.key);
    let (row, sent) = (format!("tool-{}", digest(identity.as_bytes())), digest(input.to_string().as_bytes()));
    let store = &call.scene.deps.store;
    if acts
        && let Some((before, answer)) = store.recall(&row).await?
        && before == sent
    {
        return Ok(Answer::ok(answer.to_string()));
    }
    let desk = Desk::new(call, &identity);
    let told = match action {
        "status" => Box::pin(desk.status()).await,
        "list" => Box::pin(desk.list()).await,
        "get" => Box::pin(desk.get(&input)).await,
        "runs" => Box::pin(desk.runs(&input)).await,
        "add" => Box::pin(desk.add(&input)).await,
        "update" => Box::pin(desk.update(&input)).await,
        "remove" => Box::pin(desk.remove(&input)).await,
        "run" => Box::pin(desk.start(&input)).await,
        "next_check" => Box::pin(desk.next_check(&input)).await,
        "" => Err(Refusal::from(FieldError::new("missing_field", "action", "action is missing"))),
        other => {
            let message = format!("there is no action \"{}\"", other.escape_debug());
            Err(FieldError::new("invalid_field", "action", message).into())
        }
    };
    match said(told)? {
        Err(refused) => Ok(Answer::error(refused)),
        Ok(answer) => {
            if acts && let Err(error) = store.remember(&row, &sent, &answer, desk.request.now + KEPT).await {
                warn!(run.id = %call.run.key, "the answer of a call of run {} is not kept for its repeat: {error}", call.run.key);
            }
            Ok(Answer::ok(answer.to_string()))
        }
    }
}

/// A refusal as the model is told of it; only a failure of the world stays one.
fn said(result: Result<Value, Refusal>) -> Result<Told, EngineError> {
    let fault = |fault: &FieldError| {
        let hint = fault.hint.as_ref().map(|hint| format!(" ({hint})")).unwrap_or_default();
        format!("{fault}{hint}")
    };
    match result {
        Ok(answer) => Ok(Ok(answer)),
        Err(Refusal::Failed(error)) => Err(error),
        Err(Refusal::Invalid(faults)) => Ok(Err(faults.iter().map(fault).collect::<Vec<_>>().join("; "))),
        Err(
            refusal @ (Refusal::NoJob(_)
            | Refusal::NoRun(_)
            | Refusal::NoDocument(_)
            | Refusal::NoMemory { .. }
            | Refusal::NoSession { .. }
            | Refusal::SessionBusy { .. }
            | Refusal::TextChanged { .. }
            | Refusal::JobExists(_)
            | Refusal::Changed(_)
            | Refusal::ConfigChanged { .. }),
        ) => Ok(Err(refusal.to_string())),
    }
}

/// One call at work.
struct Desk<'a> {
    call: Call<'a>,
    request: Request<'a>,
    /// The agent that answers.
    agent: String,
    most: u32,
}

impl<'a> Desk<'a> {
    fn new(call: Call<'a>, identity: &str) -> Self {
        let (deps, config) = (call.scene.deps, call.scene.config);
        let (agent, rules, _) = config.agent(Some(&call.run.agent_id));
        // Sixteen bytes of the digest are the chance that ids are made of, and when the call was begun the time.
        let bits = u128::from_str_radix(&digest(identity.as_bytes())[..32], 16).unwrap_or_default();
        let stamp = Stamp { at: begun_at(&call), bits, repeated: false };
        let request = Request { deps, invocation: call.scene.invocation, now: deps.clock.now(), stamp };
        Self { call, request, most: config.tools_of(&rules).max_jobs, agent }
    }

    fn owns(&self, agent_id: Option<&str>) -> bool {
        self.call.scene.config.agent(agent_id).0 == self.agent
    }

    /// The job the call names, if it is one of the agent's.
    async fn named(&self, input: &Value) -> Result<(JobId, Option<JobRecord>), Refusal> {
        let Some(text) = input.get("jobId").and_then(Value::as_str) else {
            let fault = FieldError::new("missing_field", "jobId", "jobId is missing");
            return Err(fault.hint("`list` shows your jobs").into());
        };
        let id = JobId::parse(text.trim())?;
        let record = self.request.deps.store.job(&id).await?;
        Ok((id, record.filter(|record| self.keeps(record))))
    }

    /// Whether the job is one the agent may look at and change. Its heartbeat is not: one that could start itself would never
    /// end.
    fn keeps(&self, record: &JobRecord) -> bool {
        self.owns(record.job.agent_id.as_deref()) && !record.job.job_id.is_built_in()
    }

    async fn own(&self, input: &Value) -> Result<JobRecord, Refusal> {
        let (id, record) = self.named(input).await?;
        record.ok_or_else(|| Refusal::NoJob(id.to_string()))
    }

    /// The agent's jobs by name, those that are switched off too.
    async fn jobs(&self) -> Result<Vec<Job>, Refusal> {
        let (mut jobs, mut looked_at, mut cursor) = (Vec::new(), 0, None);
        loop {
            let page = self.request.deps.store.jobs(&PageRequest { limit: 200, cursor }).await?;
            looked_at += page.items.len();
            let own = page.items.into_iter().filter(|record| self.keeps(record));
            jobs.extend(own.map(|record| record.job));
            cursor = page.next;
            if cursor.is_none() || looked_at >= LOOKED_AT_MOST {
                return Ok(jobs);
            }
        }
    }

    async fn status(&self) -> Result<Value, Refusal> {
        let jobs = self.jobs().await?;
        let next = jobs.iter().filter(|job| job.enabled).filter_map(|job| job.state.next_run_at_ms).min();
        Ok(json!({
            "agentId": self.agent,
            "now": shown::instant_of(self.request.now),
            "thisJobId": self.call.run.job_id,
            "timersOn": self.call.scene.config.cron.enabled && !self.request.deps.settings.skip_cron,
            "jobs": jobs.len(),
            "enabledJobs": jobs.iter().filter(|job| job.enabled).count(),
            "maxJobs": self.most,
            "nextRunAt": shown::instant(next),
        }))
    }

    async fn list(&self) -> Result<Value, Refusal> {
        Ok(shown::jobs(&self.jobs().await?, &self.call.run.job_id))
    }

    async fn get(&self, input: &Value) -> Result<Value, Refusal> {
        let record = self.own(input).await?;
        let job = jobs::load(self.request.deps, record).await.map_err(Refusal::Failed)?.job;
        Ok(serde_json::to_value(&job).unwrap_or_default())
    }

    /// Also of a job that is gone, as far as its runs were the agent's.
    async fn runs(&self, input: &Value) -> Result<Value, Refusal> {
        let (id, record) = self.named(input).await?;
        let asked = json!({ "jobId": id, "limit": RUNS_SHOWN });
        let listed = jobs::runs(&self.request, &asked).await?;
        let own = listed.rows.into_iter().filter(|row| self.owns(Some(&row.run.agent_id)));
        let rows: Vec<Value> = own.map(|row| shown::run(&row)).collect();
        if record.is_none() && rows.is_empty() {
            return Err(Refusal::NoJob(id.to_string()));
        }
        Ok(json!({ "runs": rows }))
    }

    /// # Crash safety
    /// The job's id is made from the call's identity: a repeat finds its row.
    async fn add(&self, input: &Value) -> Result<Value, Refusal> {
        let given = input.get("job").filter(|job| job.is_object());
        let inner =
            |job: &'_ Value| ["job", "data"].iter().find_map(|name| job.get(name)).is_some_and(Value::is_object);
        let Some(given) = given.filter(|job| !inner(job)) else {
            let fault = FieldError::new("missing_field", "job", "job is missing, or not a job");
            return Err(fault.hint("{\"schedule\": {…}, \"payload\": {…}}").into());
        };
        let mut job: Map<String, Value> = given.as_object().cloned().unwrap_or_default();
        if let Some(named) = job.get("agentId").and_then(Value::as_str).filter(|named| !self.owns(Some(named))) {
            let message = format!("your jobs are {}'s, not {}'s", self.agent, named.escape_debug());
            return Err(FieldError::new("not_allowed", "agentId", message).hint("leave it out").into());
        }
        job.insert("agentId".to_owned(), json!(self.agent));
        let made_up = self.request.stamp.job_id();
        self.room_for(&job, made_up.as_ref()).await?;
        let notes = Mutex::new(Vec::new());
        let held = self.tools().await?;
        let bounds = self.bounds(&held);
        let job = jobs::add_within(&self.request, &Value::Object(job), &|old, job| {
            if old.is_none() && Some(&job.job_id) != made_up.as_ref() {
                let fault = FieldError::new("not_allowed", "jobId", "the id of a new job is given to it");
                return Err(vec![fault.hint("leave it out")]);
            }
            self.bound(&bounds, old, job, &notes)
        })
        .await?;
        Ok(answered(&job, notes))
    }

    /// Whether the agent may have one more job. The list lags behind by moments.
    async fn room_for(&self, job: &Map<String, Value>, made_up: Option<&JobId>) -> Result<(), Refusal> {
        let store = &self.request.deps.store;
        let declared = job.get("declarationKey").and_then(Value::as_str).map(str::trim);
        if let Some(key) = declared.filter(|key| !key.is_empty())
            && store.job_by_declaration(key).await?.is_some()
        {
            return Ok(());
        }
        // The call's own job, which a first try wrote.
        if let Some(id) = made_up
            && store.job(id).await?.is_some()
        {
            return Ok(());
        }
        let jobs = self.jobs().await?.len();
        if jobs < self.most as usize {
            return Ok(());
        }
        let message = format!("you have {jobs} jobs, the most you may have is {}", self.most);
        Err(FieldError::new("too_many_jobs", "job", message).hint("remove or change one").into())
    }

    /// # Crash safety
    /// As [`jobs::update`].
    async fn update(&self, input: &Value) -> Result<Value, Refusal> {
        let id = self.own(input).await?.job.job_id;
        let notes = Mutex::new(Vec::new());
        let held = self.tools().await?;
        let bounds = self.bounds(&held);
        let asked = json!({ "jobId": id, "patch": input.get("patch") });
        let bound = |old: Option<&Job>, job: &mut Job| self.bound(&bounds, old, job, &notes);
        let job = jobs::update_within(&self.request, &asked, &bound).await?;
        Ok(answered(&job, notes))
    }

    /// # Crash safety
    /// As [`jobs::remove`].
    async fn remove(&self, input: &Value) -> Result<Value, Refusal> {
        let id = self.own(input).await?.job.job_id;
        jobs::remove(&self.request, &json!({ "jobId": id })).await?;
        Ok(json!({ "ok": true, "removed": id }))
    }

    /// One at a time: a job that could start itself would never end.
    ///
    /// # Crash safety
    /// The run's key is made from the call's identity: a repeat finds its row, and hands it over again.
    async fn start(&self, input: &Value) -> Result<Value, Refusal> {
        let record = self.own(input).await?;
        let id = record.job.job_id;
        let live = record.active.iter().chain(&record.waiting).any(|key| !self.made(key.as_str()));
        let ran = if live {
            Ran::Not("already-running")
        } else {
            jobs::run_now(&self.request, &json!({ "jobId": id })).await?
        };
        Ok(match ran {
            Ran::Enqueued(key) => json!({ "ok": true, "enqueued": true, "runId": key }),
            Ran::Not(reason) => json!({ "ok": true, "enqueued": false, "reason": reason }),
        })
    }

    /// # Crash safety
    /// As [`jobs::next_check`]; the time is counted from when the call was begun, so that a repeat moves to the same instant.
    async fn next_check(&self, input: &Value) -> Result<Value, Refusal> {
        let text = input.get("in").and_then(Value::as_str).unwrap_or_default();
        let wait = parse_duration(text).ok().filter(|wait| (CHECK_LEAST..=CHECK_MOST).contains(wait));
        let Some(wait) = wait else {
            let message = format!("in is not a duration from 60s to 30d: \"{}\"", text.escape_debug());
            return Err(FieldError::new("invalid_field", "in", message).hint("such as 20m or 2h").into());
        };
        let id = &self.call.run.job_id;
        let record = self.request.deps.store.job(id).await?;
        if !record.is_some_and(|record| self.owns(record.job.agent_id.as_deref())) {
            return Err(Refusal::NoJob(id.to_string()));
        }
        let at = (self.request.stamp.at + wait).max(self.request.now);
        let job = jobs::next_check(self.call.scene, &self.request, id, at).await?;
        Ok(json!({ "ok": true, "jobId": id, "nextRunAt": shown::instant(job.state.next_run_at_ms) }))
    }

    /// Whether this very call made the run before.
    fn made(&self, run: &str) -> bool {
        let ulid = self.request.stamp.ulid();
        run.ends_with(&ulid[ulid.len() - 10..])
    }

    /// Names of what the run may use, whichever way it reaches them: ours, the provider's, and MCP servers.
    async fn tools(&self) -> Result<Vec<String>, Refusal> {
        let run = self.call.run;
        let Some(plan) = &run.plan else { return Ok(Vec::new()) };
        let told: Vec<Value> = match &plan.tools {
            Some(text) => {
                let text = load_text(self.request.deps, &run.key, text).await.map_err(Refusal::Failed)?;
                serde_json::from_str(&text).unwrap_or_default()
            }
            None => Vec::new(),
        };
        let server = told.iter().filter(|tool| tool["type"] != "mcp_toolset").filter_map(|tool| tool["name"].as_str());
        let mut names: Vec<String> = server.map(str::to_owned).collect();
        for name in plan.client_tools.iter().chain(&plan.mcp_servers) {
            if !names.contains(name) {
                names.push(name.clone());
            }
        }
        Ok(names)
    }

    fn bounds<'b>(&'b self, tools: &'b [String]) -> Bounds<'b> {
        let run = self.call.run;
        let narrowed = run.turn.tools_allow.as_ref().is_some_and(|names| !names.iter().any(|name| name == "*"));
        let target = run.plan.as_ref().and_then(|plan| plan.target.as_ref());
        let session = run.session.as_ref().map(|session| session.name.as_str());
        Bounds { tools, narrowed, session, delivery: run.delivery.as_ref(), target }
    }

    fn bound(
        &self,
        bounds: &Bounds<'_>,
        old: Option<&Job>,
        job: &mut Job,
        notes: &Mutex<Vec<String>>,
    ) -> Result<(), Vec<FieldError>> {
        if old.is_some_and(|old| !self.owns(old.agent_id.as_deref())) {
            return Err(vec![FieldError::new("not_allowed", "declarationKey", "another job has this declarationKey")]);
        }
        if !self.owns(job.agent_id.as_deref()) {
            return Err(vec![FieldError::new("not_allowed", "agentId", "your jobs stay yours").hint("leave it out")]);
        }
        let remarks = bounds.apply(old, job)?;
        // The last try is what was written.
        *notes.lock().unwrap_or_else(std::sync::PoisonError::into_inner) = remarks;
        Ok(())
    }
}

/// When the call was begun, as its run says: the same for every repeat. One that came over the endpoint is made once only, so
/// that it is now.
fn begun_at(call: &Call<'_>) -> DateTime<Utc> {
    let own = call.run.talk.calls.iter().find(|each| each.key() == call.key);
    match own.map(|own| &own.state) {
        Some(CallState::Started { at }) => *at,
        Some(CallState::Asked | CallState::Done { .. }) => call.run.state_since,
        None => call.scene.deps.clock.now(),
    }
}

fn answered(job: &Job, notes: Mutex<Vec<String>>) -> Value {
    let mut answer = shown::job(job);
    let notes = notes.into_inner().unwrap_or_else(std::sync::PoisonError::into_inner);
    if !notes.is_empty() {
        answer["notes"] = json!(notes);
    }
    answer
}

#[cfg(test)]
mod tests;
