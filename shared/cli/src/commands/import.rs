//! `cron import`: what was found, in requests the API takes, and one report of it all.

use nightshift_domain::FieldError;
use nightshift_wire::{ImportAnswer, JobOutcome, JobReport, RefusedRun, RunsReport};
use serde_json::{Value, json};

use super::{Session, read};
use crate::args::ImportArgs;
use crate::error::ExpectedError;
use crate::haul::{Haul, Line, gather};
use crate::table::{Grid, Surface, Tone};

/// Longest entry the API can take: its requests have at most 256 KB, the rest is for what stands around it.
const ENTRY_MAX: usize = 255 * 1024;
/// Where a request is full. Far below the limit, so that an answer comes soon.
const REQUEST_FULL: usize = 128 * 1024;
/// Jobs and runs of one request; the API takes 100 and 500.
const JOBS_AT_ONCE: usize = 50;
const RUNS_AT_ONCE: usize = 250;

pub(super) async fn import(session: &mut Session<'_>, args: &ImportArgs) -> anyhow::Result<()> {
    let haul = gather(&args.files, &args.runs)?;
    if haul.jobs.is_empty() && haul.runs.is_empty() && haul.refused.is_empty() {
        return Err(ExpectedError::usage_hint(
            "there is nothing to import",
            "give a jobs.json, a run log, ~/.openclaw, or what `nightshift cron export` wrote",
        )
        .into());
    }
    for note in &haul.notes {
        session.output.note(note);
    }
    let mut answer = ImportAnswer { ok: true, dry_run: args.dry_run, ..ImportAnswer::default() };
    let sent = send(session, args, haul, &mut answer).await;
    if answer.jobs.is_empty() && answer.runs == RunsReport::default() {
        return sent;
    }
    if session.connection.json {
        session.output.json(&serde_json::to_value(&answer).unwrap_or_default());
    } else {
        show(session, &answer);
    }
    if let Err(error) = sent {
        session.output.note("what is above was done before this; the same command again does the rest");
        return Err(error);
    }
    let bad = answer.jobs.iter().filter(|job| is_left(job)).count();
    if bad > 0 || !answer.runs.refused.is_empty() {
        let told = [counted(bad, "job"), counted(answer.runs.refused.len(), "run")];
        let conflicts = answer.jobs.iter().any(|job| job.outcome == JobOutcome::Conflict);
        return Err(ExpectedError::Partial {
            what: told.into_iter().flatten().collect::<Vec<_>>().join(", "),
            conflicts,
        }
        .into());
    }
    Ok(())
}

/// Whether a job was not taken.
fn is_left(job: &JobReport) -> bool {
    matches!(job.outcome, JobOutcome::Conflict | JobOutcome::Refused)
}

fn counted(number: usize, what: &str) -> Option<String> {
    match number {
        0 => None,
        1 => Some(format!("1 {what}")),
        many => Some(format!("{many} {what}s")),
    }
}

/// Sends everything, jobs first, and adds up the answers.
async fn send(
    session: &mut Session<'_>,
    args: &ImportArgs,
    haul: Haul,
    answer: &mut ImportAnswer,
) -> anyhow::Result<()> {
    let Haul { jobs, runs, refused, notes: _ } = haul;
    answer.runs.refused = refused;
    for chunk in chunks(jobs, JOBS_AT_ONCE, Value::to_string) {
        match chunk {
            Chunk::TooLong(job, bytes) => answer.jobs.push(too_long(&job, bytes)),
            Chunk::Fits(jobs) => {
                let part = call(session, args, &json!({ "jobs": jobs })).await?;
                for note in part.notes {
                    if !answer.notes.contains(&note) {
                        answer.notes.push(note);
                    }
                }
                answer.jobs.extend(part.jobs);
            }
        }
    }
    for chunk in chunks(runs, RUNS_AT_ONCE, |line: &Line| line.entry.to_string()) {
        match chunk {
            Chunk::TooLong(line, bytes) => answer.runs.refused.push(RefusedRun {
                line: line.number,
                file: Some(line.file),
                reason: format!("it has {bytes} bytes, the most is {ENTRY_MAX}"),
            }),
            Chunk::Fits(lines) => {
                let entries: Vec<&Value> = lines.iter().map(|line| &line.entry).collect();
                let part = call(session, args, &json!({ "runs": entries })).await?.runs;
                answer.runs.imported += part.imported;
                answer.runs.unchanged += part.unchanged;
                answer.runs.expired += part.expired;
                answer.runs.refused.extend(part.refused.into_iter().map(|refused| placed(refused, &lines)));
            }
        }
    }
    Ok(())
}

async fn call(session: &mut Session<'_>, args: &ImportArgs, request: &Value) -> anyhow::Result<ImportAnswer> {
    let mut request = request.clone();
    for (name, wanted) in [("dryRun", args.dry_run), ("update", args.update)] {
        if wanted {
            request[name] = json!(true);
        }
    }
    read(&session.call("cron.import", &request).await?)
}

/// A refusal with its place in the request turned into its place in a file.
fn placed(refused: RefusedRun, lines: &[Line]) -> RefusedRun {
    let index = refused.line.and_then(|line| usize::try_from(line).ok()?.checked_sub(1));
    match index.and_then(|index| lines.get(index)) {
        Some(line) => RefusedRun { line: line.number, file: Some(line.file.clone()), ..refused },
        None => refused,
    }
}

/// Some of what is to be sent.
enum Chunk<T> {
    /// One request's worth.
    Fits(Vec<T>),
    /// One that no request can hold, and its length.
    TooLong(T, usize),
}

/// Cuts `items` into what one request can hold, in their order.
fn chunks<T>(items: Vec<T>, most: usize, text: impl Fn(&T) -> String) -> Vec<Chunk<T>> {
    let mut chunks = Vec::new();
    let (mut open, mut bytes) = (Vec::new(), 0);
    for item in items {
        let length = text(&item).len();
        let full = !open.is_empty() && (open.len() >= most || bytes + length > REQUEST_FULL);
        if full || (length > ENTRY_MAX && !open.is_empty()) {
            chunks.push(Chunk::Fits(std::mem::take(&mut open)));
            bytes = 0;
        }
        if length > ENTRY_MAX {
            chunks.push(Chunk::TooLong(item, length));
        } else {
            bytes += length + 1;
            open.push(item);
        }
    }
    if !open.is_empty() {
        chunks.push(Chunk::Fits(open));
    }
    chunks
}

/// The report of a job the API cannot even be asked about.
fn too_long(job: &Value, bytes: usize) -> JobReport {
    let text = |names: &[&str]| names.iter().find_map(|name| job.get(*name)?.as_str()).map(str::to_owned);
    let id = text(&["id", "jobId"]);
    let fault = FieldError::new("payload_too_large", "job", format!("it has {bytes} bytes, the most is {ENTRY_MAX}"))
        .hint("shorten its text; long material belongs in a document the agent reads");
    JobReport {
        job_id: id.clone().unwrap_or_default(),
        source_id: id,
        name: text(&["name"]).unwrap_or_default(),
        outcome: JobOutcome::Refused,
        dropped: Vec::new(),
        notes: Vec::new(),
        faults: vec![fault],
    }
}

/// The report for people: every job, then what is to be said of each, then the counts.
fn show(session: &mut Session<'_>, answer: &ImportAnswer) {
    if !answer.jobs.is_empty() {
        let mut grid = Grid::new(&["outcome", "job id", "name"], &["name"]);
        for job in &answer.jobs {
            let (word, tone) = outcome(job.outcome);
            grid.row(vec![(word.to_owned(), tone), (job.job_id.clone(), Tone::Plain), (job.name.clone(), Tone::Plain)]);
        }
        let table = grid.render(Surface::of(session.output));
        session.output.data(&table);
    }
    for job in &answer.jobs {
        let lines = said(job);
        if !lines.is_empty() {
            let name = if job.name.is_empty() { &job.job_id } else { &job.name };
            session.output.data(&format!("\n{name}\n  {}", lines.join("\n  ")));
        }
    }
    if !answer.runs.refused.is_empty() {
        let lines: Vec<String> = answer.runs.refused.iter().map(refusal).collect();
        session.output.data(&format!("\nruns that were not taken\n  {}", lines.join("\n  ")));
    }
    session.output.data(&format!("\n{}", totals(answer)));
    for note in &answer.notes {
        session.output.note(note);
    }
}

fn outcome(outcome: JobOutcome) -> (&'static str, Tone) {
    match outcome {
        JobOutcome::Added => ("added", Tone::Good),
        JobOutcome::Unchanged => ("unchanged", Tone::Plain),
        JobOutcome::Updated => ("updated", Tone::Good),
        JobOutcome::Conflict => ("conflict", Tone::Bad),
        JobOutcome::Refused => ("refused", Tone::Bad),
    }
}

/// What is to be said of a job. One that is as it was has been told of before.
fn said(job: &JobReport) -> Vec<String> {
    if job.outcome == JobOutcome::Unchanged {
        return Vec::new();
    }
    let mut lines = Vec::new();
    for fault in &job.faults {
        lines.push(format!("refused: {fault}"));
        lines.extend(fault.hint.as_ref().map(|hint| format!("hint: {hint}")));
    }
    lines.extend(job.dropped.iter().map(|dropped| format!("not carried: {}: {}", dropped.field, dropped.reason)));
    lines.extend(job.notes.iter().map(|note| format!("note: {note}")));
    lines
}

fn refusal(refused: &RefusedRun) -> String {
    let place = match (&refused.file, refused.line) {
        (Some(file), Some(line)) => format!("{file}:{line}: "),
        (Some(file), None) => format!("{file}: "),
        (None, _) => String::new(),
    };
    format!("{place}{}", refused.reason)
}

fn totals(answer: &ImportAnswer) -> String {
    let of = |outcome: JobOutcome| answer.jobs.iter().filter(|job| job.outcome == outcome).count();
    let jobs = [
        (of(JobOutcome::Added), "added"),
        (of(JobOutcome::Updated), "updated"),
        (of(JobOutcome::Unchanged), "unchanged"),
        (of(JobOutcome::Conflict), "in conflict"),
        (of(JobOutcome::Refused), "refused"),
    ];
    let number = |number: u64| usize::try_from(number).unwrap_or(usize::MAX);
    let runs = [
        (number(answer.runs.imported), "imported"),
        (number(answer.runs.unchanged), "unchanged"),
        (number(answer.runs.expired), "older than history is kept"),
        (answer.runs.refused.len(), "refused"),
    ];
    let list = |name: &str, counts: &[(usize, &str)]| {
        let told: Vec<String> =
            counts.iter().filter(|(count, _)| *count > 0).map(|(count, word)| format!("{count} {word}")).collect();
        (!told.is_empty()).then(|| format!("{name}: {}", told.join(", ")))
    };
    let mut lines: Vec<String> = [list("jobs", &jobs), list("runs", &runs)].into_iter().flatten().collect();
    if answer.dry_run {
        lines.push("nothing was written: this was a dry run".to_owned());
    }
    lines.join("\n")
}

#[cfg(test)]
mod tests {
    use super::*;

    fn cut(items: Vec<String>, most: usize) -> Vec<String> {
        let chunks = chunks(items, most, Clone::clone);
        let told = chunks.iter().map(|chunk| match chunk {
            Chunk::Fits(items) => items.iter().map(|item| item.chars().take(1).collect::<String>()).collect(),
            Chunk::TooLong(item, bytes) => format!("{}:{bytes}", item.chars().take(1).collect::<String>()),
        });
        told.collect()
    }

    #[test]
    fn requests_stay_under_the_limit_and_keep_the_order() {
        let of = |letter: &str, bytes: usize| letter.repeat(bytes);
        assert_eq!(cut(vec![of("a", 3), of("b", 3), of("c", 3)], 2), ["ab", "c"]);
        let half = REQUEST_FULL / 2;
        assert_eq!(cut(vec![of("a", half), of("b", half), of("c", 3)], 9), ["a", "bc"]);
        assert_eq!(cut(vec![of("a", 3), of("b", ENTRY_MAX + 1), of("c", 3)], 9), ["a", "b:261121", "c"]);
        assert_eq!(cut(vec![of("a", 3), of("b", ENTRY_MAX), of("c", 3)], 9), ["a", "b", "c"]);
        assert_eq!(cut(Vec::new(), 9), Vec::<String>::new());
    }
}
