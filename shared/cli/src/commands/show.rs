//! Jobs and runs as people see them.

use std::fmt::Write as _;

use chrono::{DateTime, Utc};
use nightshift_domain::job::{DeliveryStatus, Job, RunStatus};
use nightshift_wire::RunView;

use crate::human;
use crate::table::{Grid, Surface, Tone, pairs};

const JOB_TITLES: [&str; 7] = ["id", "name", "schedule", "next", "last", "batch", "enabled"];
const RUN_TITLES: [&str; 8] = ["started", "status", "delivery", "path", "took", "cost", "saved", "run id"];

fn plain(text: impl Into<String>) -> (String, Tone) {
    (text.into(), Tone::Plain)
}

/// The table of jobs; whether each is enabled only matters `with_disabled`.
pub(super) fn jobs(jobs: &[Job], with_disabled: bool, now: DateTime<Utc>) -> Grid {
    let columns = if with_disabled { JOB_TITLES.len() } else { JOB_TITLES.len() - 1 };
    let mut grid = Grid::new(&JOB_TITLES[..columns], &["name", "schedule"]);
    for job in jobs {
        let next = job.state.next_run_at_ms.map_or("-".to_owned(), |at| human::relative(at, now));
        let enabled = if job.enabled { plain("yes") } else { ("no".to_owned(), Tone::Busy) };
        let mut row = vec![
            plain(job.job_id.as_str()),
            plain(&job.name),
            plain(human::schedule(&job.schedule)),
            plain(next),
            last(job),
            plain(human::batch_word(job)),
            enabled,
        ];
        row.truncate(columns);
        grid.row(row);
    }
    grid
}

/// How a job's last run went.
fn last(job: &Job) -> (String, Tone) {
    let state = &job.state;
    if state.running_at_ms.is_some() {
        return ("running".to_owned(), Tone::Busy);
    }
    match (state.last_status, state.last_delivery_status) {
        (None, _) => plain("-"),
        (Some(RunStatus::Skipped), _) => ("skipped".to_owned(), Tone::Busy),
        (Some(RunStatus::Error), _) if state.consecutive_errors > 1 => {
            (format!("error ({}x)", state.consecutive_errors), Tone::Bad)
        }
        (Some(RunStatus::Error), _) => ("error".to_owned(), Tone::Bad),
        (Some(RunStatus::Ok), Some(DeliveryStatus::Failed)) => ("undelivered".to_owned(), Tone::Bad),
        (Some(RunStatus::Ok), Some(DeliveryStatus::Unknown)) => ("ok, unsure".to_owned(), Tone::Busy),
        (Some(RunStatus::Ok), _) => ("ok".to_owned(), Tone::Good),
    }
}

/// One job, in a few lines.
pub(super) fn job(job: &Job, now: DateTime<Utc>) -> String {
    let next = job.state.next_run_at_ms.and_then(|at| {
        let instant = DateTime::from_timestamp_millis(at)?;
        Some(format!("{} ({})", human::relative(at, now), human::minute(instant)))
    });
    let disabled = match &job.state.auto_disabled {
        Some(auto) => format!("no: {}", auto.reason),
        None => "no".to_owned(),
    };
    pairs(&[
        ("id", Some(job.job_id.to_string())),
        ("name", Some(job.name.clone())),
        ("agent", job.agent_id.clone()),
        ("session", Some(String::from(job.session_target.clone()))),
        ("schedule", Some(human::schedule(&job.schedule))),
        ("next", next),
        ("enabled", (!job.enabled).then_some(disabled)),
        ("batch", human::batch(job)),
        ("delivery", job.delivery.as_ref().map(human::delivery)),
    ])
}

/// The table of runs, newest first. Where a full run id finds no room, it is shown without the job's id if all runs are
/// `of_one_job`, else on a line of its own.
pub(super) fn runs(runs: &[RunView], of_one_job: bool, now: DateTime<Utc>, surface: Surface) -> String {
    let full = run_grid(runs, now, &RUN_TITLES, |run| run.run_id.clone());
    if full.fits(surface) {
        return full.render(surface);
    }
    let after_job = |run: &RunView| run.run_id.rsplit('_').next().unwrap_or_default().to_owned();
    let short = run_grid(runs, now, &RUN_TITLES, after_job);
    if of_one_job && short.fits(surface) {
        return short.render(surface);
    }
    let mut titles = RUN_TITLES;
    titles[RUN_TITLES.len() - 1] = "job";
    let rows = run_grid(runs, now, &titles, |run| run.job_name.clone()).render(surface);
    let mut lines = rows.lines().map(str::to_owned);
    let mut shown: Vec<String> = lines.next().into_iter().collect();
    for (line, run) in lines.zip(runs) {
        shown.extend([line, format!("  {}", run.run_id)]);
    }
    shown.join("\n")
}

fn run_grid(runs: &[RunView], now: DateTime<Utc>, titles: &[&'static str], last: impl Fn(&RunView) -> String) -> Grid {
    let mut grid = Grid::new(titles, &["job"]);
    for run in runs {
        let started = run.started_at_ms.unwrap_or(run.created_at_ms);
        grid.row(vec![
            plain(human::relative(started, now)),
            status(run),
            delivery(run),
            plain(run.path.as_deref().unwrap_or("-")),
            plain(run.duration_ms.map_or("-".to_owned(), human::took)),
            plain(human::dollars(run.cost_usd)),
            plain(human::dollars(run.saved_usd)),
            plain(last(run)),
        ]);
    }
    grid
}

fn status(run: &RunView) -> (String, Tone) {
    match run.status {
        Some(RunStatus::Ok) => ("ok".to_owned(), Tone::Good),
        Some(RunStatus::Error) => ("error".to_owned(), Tone::Bad),
        Some(RunStatus::Skipped) => ("skipped".to_owned(), Tone::Busy),
        None => (run.state.clone(), Tone::Busy),
    }
}

fn delivery(run: &RunView) -> (String, Tone) {
    match run.delivery_status {
        Some(DeliveryStatus::Delivered) => ("delivered".to_owned(), Tone::Good),
        Some(DeliveryStatus::Failed) => ("failed".to_owned(), Tone::Bad),
        Some(DeliveryStatus::Unknown) => ("unknown".to_owned(), Tone::Busy),
        Some(DeliveryStatus::Suppressed) => plain("suppressed"),
        Some(DeliveryStatus::NotRequested) => plain("none"),
        None => plain("-"),
    }
}

/// One run with all that happened to it.
pub(super) fn run(run: &RunView, now: DateTime<Utc>) -> String {
    let instant = |ms: i64| DateTime::from_timestamp_millis(ms);
    let error = run.error.as_ref().map(|error| format!("{}: {}", error.code, error.message));
    let why_not = run.delivery_error.as_ref().or(run.delivery_suppression_reason.as_ref());
    let delivered = run.delivery_status.map(|_| match why_not {
        Some(why) => format!("{}: {why}", delivery(run).0),
        None => delivery(run).0,
    });
    let batches: Vec<&str> = run.hops.iter().filter_map(|hop| hop.batch_id.as_deref()).collect();
    let current = run.batch.as_ref().and_then(|batch| batch.batch_id.as_deref());
    let batches: Vec<&str> = batches.into_iter().chain(current).collect();
    let paid = !run.hops.is_empty();
    let mut text = pairs(&[
        ("run", Some(run.run_id.clone())),
        ("job", Some(run.job_name.clone())),
        ("state", Some(run.state.clone())),
        ("error", error),
        ("started", run.started_at_ms.map(|at| human::relative(at, now))),
        ("took", run.duration_ms.map(human::took)),
        ("model", run.model.clone()),
        ("path", run.path.clone()),
        ("fallback", run.fallback_reason.clone()),
        ("batch", (!batches.is_empty()).then(|| batches.join(", "))),
        ("delivery", delivered),
        ("cost", paid.then(|| cost(run))),
        ("notes", (!run.notes.is_empty()).then(|| run.notes.join("; "))),
    ]);
    if !run.events.is_empty() {
        text.push_str("\n\nevents");
        for event in &run.events {
            let at = instant(event.at_ms).map(|at| at.format("%Y-%m-%d %H:%M:%SZ").to_string()).unwrap_or_default();
            let detail = event.detail.as_deref().map(|detail| format!(" {detail}")).unwrap_or_default();
            // Writing to a String cannot fail.
            let _ = write!(text, "\n  {at}  {}{detail}", event.event);
        }
    }
    if let Some(answer) = run.text.as_ref().or(run.summary.as_ref()) {
        text.push_str("\n\n");
        text.push_str(answer);
    }
    text
}

/// How a run ended, in a line: status, path, time, delivery, money.
pub(super) fn summary(run: &RunView) -> String {
    let mut parts = vec![status(run).0];
    parts.extend(run.path.clone());
    if let Some(reason) = &run.fallback_reason {
        parts.push(format!("not batched: {reason}"));
    }
    parts.extend(run.duration_ms.map(human::took));
    parts.extend(run.delivery_status.map(|_| format!("delivery {}", delivery(run).0)));
    if !run.hops.is_empty() {
        parts.push(cost(run));
    }
    parts.join(" · ")
}

/// `$0.0021, saved $0.0021 (50%)`.
fn cost(run: &RunView) -> String {
    let paid = human::dollars(run.cost_usd);
    if run.saved_usd.abs() < 1e-9 || run.realtime_cost_usd <= 0.0 {
        return paid;
    }
    let share = run.saved_usd / run.realtime_cost_usd * 100.0;
    format!("{paid}, saved {} ({share:.0}%)", human::dollars(run.saved_usd))
}
