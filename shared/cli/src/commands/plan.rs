//! `cron plan`.

use chrono::{DateTime, Utc};
use nightshift_domain::schedule::Schedule;
use nightshift_wire::{AwsKind, AwsView, ForecastView, PlanAnswer, PlannedStart};

use super::jobs::counts_from_now;
use super::{Session, read};
use crate::args::PlanArgs;
use crate::human;
use crate::request;
use crate::table::{Grid, Surface, Tone, pairs};

const TITLES: [&str; 4] = ["local", "utc", "when", "note"];

pub(super) async fn plan(session: &mut Session<'_>, args: &PlanArgs) -> anyhow::Result<()> {
    let told = [args.first.as_deref(), args.schedule.at.as_deref(), args.from.as_deref()];
    if told.into_iter().any(counts_from_now) {
        session.meet().await;
    }
    let answer = session.call("cron.plan", &request::plan(args, session.now)?).await?;
    if session.json_wanted(&answer) {
        return Ok(());
    }
    let plan: PlanAnswer = read(&answer)?;
    let text = shown(&plan, session.now, Surface::of(session.output));
    session.output.data(&text);
    for note in &plan.notes {
        session.output.note(note);
    }
    Ok(())
}

/// What is planned, its times, and how `EventBridge` holds it.
fn shown(plan: &PlanAnswer, now: DateTime<Utc>, surface: Surface) -> String {
    let mut parts = vec![pairs(&[
        ("job", plan.job_id.clone()),
        ("schedule", Some(human::schedule(&plan.schedule))),
        ("zone", Some(plan.timezone.clone())),
        ("stagger", plan.stagger_ms.map(|ms| format!("up to {}", human::duration(ms)))),
    ])];
    if !plan.occurrences.is_empty() {
        parts.push(times(plan, now, surface));
    }
    // A skipped time that no start follows has no line of its own to be noted at. Both texts begin with the wall time.
    let last = plan.occurrences.last().map_or("", |start| start.local.as_str());
    let silent: Vec<&str> =
        plan.skipped.iter().filter(|it| it.wall.as_str() > last).map(|it| it.reason.as_str()).collect();
    if !silent.is_empty() {
        parts.push(silent.join("\n"));
    }
    parts.push(held(plan, surface));
    parts.extend(plan.forecast.as_ref().map(cost));
    parts.join("\n\n")
}

/// What its runs will cost, with where that is from.
fn cost(forecast: &ForecastView) -> String {
    let money = human::dollars;
    let runs = if forecast.runs == 1 { "one run".to_owned() } else { format!("{} runs", forecast.runs) };
    let range = |least: f64, most: f64| {
        if money(least) == money(most) { money(most) } else { format!("{} to {}", money(least), money(most)) }
    };
    let saved = match forecast.month_saved_usd {
        saved if saved > 0.0 => format!(",\n          {} less than realtime at its best", money(saved)),
        saved if saved < 0.0 => format!(",\n          {} more than realtime at its best", money(-saved)),
        _ => String::new(),
    };
    let source = match forecast.turns {
        0 if forecast.counted => "its prompt was counted, how many steps it takes is a guess".to_owned(),
        0 => "a guess, because none of its turns is known".to_owned(),
        1 => "as its last turn went".to_owned(),
        turns => format!("as its last {turns} turns went"),
    };
    format!(
        "cost      about {} in 30 days{saved}\n          {runs} of {}; {source}",
        range(forecast.month_least_usd, forecast.month_most_usd),
        range(forecast.run_least_usd, forecast.run_most_usd),
    )
}

/// The times as a table; notes that find no room stand under their line.
fn times(plan: &PlanAnswer, now: DateTime<Utc>, surface: Surface) -> String {
    let noted = plan.occurrences.iter().any(|it| it.note.is_some());
    let titles = if noted { &TITLES[..] } else { &TITLES[..3] };
    let wide = grid(plan, now, titles);
    if wide.fits(surface) {
        return wide.render(surface);
    }
    let rows = grid(plan, now, &TITLES[..3]).render(surface);
    let mut lines = rows.lines().map(str::to_owned);
    let mut shown: Vec<String> = lines.next().into_iter().collect();
    for (line, start) in lines.zip(&plan.occurrences) {
        shown.push(line);
        shown.extend(
            start.note.as_deref().into_iter().flat_map(|note| note.split("; ")).map(|note| format!("  {note}")),
        );
    }
    shown.join("\n")
}

fn grid(plan: &PlanAnswer, now: DateTime<Utc>, titles: &[&'static str]) -> Grid {
    let mut grid = Grid::new(titles, &[]);
    let clock = if plan.occurrences.iter().all(|it| it.at_ms % 60_000 == 0) { "%H:%M" } else { "%H:%M:%S" };
    for start in &plan.occurrences {
        let utc = DateTime::from_timestamp_millis(start.at_ms).unwrap_or_default();
        let note = start.note.clone().map_or((String::new(), Tone::Plain), |note| (note, Tone::Busy));
        let mut row = vec![
            (local(start, clock), Tone::Plain),
            (utc.format(&format!("%Y-%m-%d {clock}Z")).to_string(), Tone::Plain),
            (human::relative(start.at_ms, now), Tone::Plain),
            note,
        ];
        row.truncate(titles.len());
        grid.row(row);
    }
    grid
}

/// `Sun 2026-03-29 03:30 +02:00`.
fn local(start: &PlannedStart, clock: &str) -> String {
    match DateTime::parse_from_rfc3339(&start.local) {
        Ok(local) => local.format(&format!("%a %Y-%m-%d {clock} %:z")).to_string(),
        Err(_) => start.local.clone(),
    }
}

/// How AWS holds it, in a line, or with its reason on a second one where that is too long.
fn held(plan: &PlanAnswer, surface: Surface) -> String {
    let AwsView { kind, expression, timezone, note } = &plan.aws;
    let zone = timezone.as_deref().map(|zone| format!(" in {zone}")).unwrap_or_default();
    let expression = expression.as_deref().unwrap_or("-");
    let how = match (kind, &plan.schedule) {
        (AwsKind::Exact, _) => format!("{expression}{zone}, exact"),
        (AwsKind::Superset, _) => format!("{expression}{zone}, a superset"),
        (AwsKind::OneShots, Schedule::At { .. }) => "a single one-shot".to_owned(),
        (AwsKind::OneShots, Schedule::Every { .. } | Schedule::Cron { .. }) => "a chain of one-shots".to_owned(),
    };
    let line = format!("EventBridge: {how}");
    match note {
        None => line,
        Some(note) if line.chars().count() + 2 + note.chars().count() <= usize::from(surface.width) => {
            format!("{line}: {note}")
        }
        Some(note) => format!("{line}\n  {note}"),
    }
}
