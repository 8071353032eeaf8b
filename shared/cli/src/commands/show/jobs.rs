//! The table of jobs. The id and the schedule are never cut: where a job does not fit a line, it takes two.

use chrono::{DateTime, Utc};
use nightshift_domain::job::Job;
use unicode_width::UnicodeWidthStr as _;

use super::{plain, words};
use crate::human;
use crate::table::{Grid, Surface, Tone, pad};

/// A job in a line, or its state in a line with the id and schedule under it.
pub(in crate::commands) fn jobs(jobs: &[Job], now: DateTime<Utc>, surface: Surface) -> String {
    let columns = Columns {
        batch: jobs.iter().any(|job| human::batch_word(job) != "-"),
        agent: jobs.iter().any(|job| job.agent_id.is_some()),
    };
    let one = in_a_line(jobs, now, columns);
    if one.fits(surface) {
        return one.render(surface);
    }
    in_two(jobs, now, surface).render(surface)
}

/// Columns that stand only where a job has something to say in them.
#[derive(Debug, Clone, Copy)]
struct Columns {
    batch: bool,
    agent: bool,
}

impl Columns {
    fn titles(self) -> impl Iterator<Item = &'static str> {
        self.batch.then_some("batch").into_iter().chain(self.agent.then_some("agent"))
    }

    fn cells(self, job: &Job) -> impl Iterator<Item = (String, Tone)> {
        let batch = self.batch.then(|| plain(human::batch_word(job)));
        let agent = self.agent.then(|| plain(job.agent_id.as_deref().unwrap_or("-")));
        batch.into_iter().chain(agent)
    }
}

fn in_a_line(jobs: &[Job], now: DateTime<Utc>, columns: Columns) -> Grid {
    let titles: Vec<_> =
        ["id", "name", "schedule", "next", "last", "status"].into_iter().chain(columns.titles()).collect();
    let mut grid = Grid::new(&titles, &[]);
    for job in jobs {
        let mut cells = vec![plain(job.job_id.as_str()), plain(&job.name), plain(human::schedule(&job.schedule))];
        cells.extend(times(job, now));
        cells.extend(columns.cells(job));
        grid.row(cells);
    }
    grid
}

fn in_two(jobs: &[Job], now: DateTime<Utc>, surface: Surface) -> Grid {
    let ids = jobs.iter().map(|job| job.job_id.as_str().width()).max().unwrap_or(0);
    let schedules: Vec<String> = jobs.iter().map(schedule_and_more).collect();
    let beside = |schedule: &String| 2 + ids + 2 + schedule.width() <= usize::from(surface.width);
    let mut grid = Grid::new(&["name", "next", "last", "status"], &["name"]);
    grid.subtitle(format!("{}  schedule", pad("id", ids)));
    for (job, schedule) in jobs.iter().zip(schedules) {
        let mut cells = vec![plain(&job.name)];
        cells.extend(times(job, now));
        let id = job.job_id.as_str();
        let below = if beside(&schedule) {
            vec![plain(format!("{}  {schedule}", pad(id, ids)))]
        } else {
            vec![plain(id), plain(schedule)]
        };
        grid.row_above(cells, below);
    }
    grid
}

/// The schedule, and what has a column of its own where there is room for one.
fn schedule_and_more(job: &Job) -> String {
    let mut text = human::schedule(&job.schedule);
    match human::batch_word(job) {
        "-" => {}
        "yes" => text.push_str(" · batch"),
        other => text = format!("{text} · batch {other}"),
    }
    if let Some(agent) = &job.agent_id {
        text = format!("{text} · agent {agent}");
    }
    text
}

/// When it runs next, when it ran last, and how it stands.
fn times(job: &Job, now: DateTime<Utc>) -> [(String, Tone); 3] {
    let told = |at: Option<i64>| plain(at.map_or("-".to_owned(), |at| human::relative(at, now)));
    [told(job.state.next_run_at_ms), told(job.state.last_run_at_ms), words::job(job)]
}
