//! The table of runs. The run id is never cut, and why a run did not end well always stands with it.

use chrono::{DateTime, Utc};
use nightshift_wire::RunView;

use super::{plain, words};
use crate::human;
use crate::table::{Grid, Surface, Tone};

const TITLES: [&str; 7] = ["started", "status", "delivery", "path", "took", "cost", "saved"];

/// What stands in a row beside the seven facts, and what under it.
#[derive(Debug, Clone, Copy)]
struct Layout {
    job: bool,
    id: Id,
    reason_below: bool,
}

/// Where the run id stands.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Id {
    /// In the row.
    Full,
    /// In the row, without the job's id before its underscore.
    AfterJob,
    /// Under the row.
    Below,
}

/// Runs as given, in the first layout that fits. `of_one_job` lets the job's name and the job's part of the ids out.
pub(in crate::commands) fn runs(runs: &[RunView], of_one_job: bool, now: DateTime<Utc>, surface: Surface) -> String {
    let shorter = if of_one_job { Id::AfterJob } else { Id::Full };
    let layouts = [(Id::Full, false), (shorter, false), (Id::Full, true), (shorter, true)];
    for (id, reason_below) in layouts {
        let grid = grid(runs, now, Layout { job: !of_one_job, id, reason_below });
        if grid.fits(surface) {
            return grid.render(surface);
        }
    }
    grid(runs, now, Layout { job: !of_one_job, id: Id::Below, reason_below: true }).render(surface)
}

fn grid(runs: &[RunView], now: DateTime<Utc>, layout: Layout) -> Grid {
    let reasons: Vec<_> = runs.iter().map(|run| words::reason(run, now)).collect();
    let reason_column = !layout.reason_below && reasons.iter().any(Option::is_some);
    let mut titles = TITLES.to_vec();
    titles.extend(layout.job.then_some("job"));
    titles.extend((layout.id != Id::Below).then_some("run id"));
    titles.extend(reason_column.then_some("reason"));
    let mut grid = Grid::new(&titles, if layout.id == Id::Below { &["job"] } else { &[] });
    if layout.id == Id::Below {
        grid.subtitle("run id".to_owned());
    }
    for (run, reason) in runs.iter().zip(reasons) {
        let mut cells = facts(run, now).to_vec();
        cells.extend(layout.job.then(|| plain(&run.job_name)));
        let mut below = Vec::new();
        match layout.id {
            Id::Full => cells.push(plain(&run.run_id)),
            Id::AfterJob => cells.push(plain(run.run_id.rsplit('_').next().unwrap_or_default())),
            Id::Below => below.push(plain(&run.run_id)),
        }
        if reason_column {
            cells.push(reason.unwrap_or_else(|| plain("")));
        } else {
            below.extend(reason);
        }
        grid.row_above(cells, below);
    }
    grid
}

fn facts(run: &RunView, now: DateTime<Utc>) -> [(String, Tone); TITLES.len()] {
    let paid = !run.hops.is_empty() || run.cost_usd > 0.0;
    let saved = run.saved_usd.abs() >= 1e-9;
    let dollars = |usd: f64, there: bool| plain(if there { human::dollars(usd) } else { "-".to_owned() });
    [
        plain(human::relative(run.started_at_ms.unwrap_or(run.created_at_ms), now)),
        words::run(run),
        words::delivery(run),
        plain(run.path.as_deref().unwrap_or("-")),
        plain(run.duration_ms.map_or("-".to_owned(), human::took)),
        dollars(run.cost_usd, paid),
        dollars(run.saved_usd, paid && saved),
    ]
}
