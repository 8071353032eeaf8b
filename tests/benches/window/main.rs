//! `make load`: thousands of batch jobs that are due in the same minute, with a collecting window and without one.
//!
//! Both days are lived in the same run, on stacks of their own, and their figures stand side by side: how many batches were
//! made, how often anybody looked at them, what was called and how often, and how long the machine took. The times say
//! something of this machine; what is checked is counted: everything is delivered once, and with a window the whole minute
//! shares a few batches. `LOAD_JOBS` says how many jobs.

mod load;
#[expect(dead_code, reason = "the other bench uses the rest")]
#[path = "../figures/stopwatch.rs"]
mod stopwatch;
#[expect(dead_code, reason = "the other bench uses the rest")]
#[path = "../figures/table.rs"]
mod table;

use anyhow::{Context as _, ensure};

use crate::load::{Figures, live};
use crate::table::{Table, ratio, say};

/// How many jobs are due in the minute.
const JOBS: usize = 5_000;
/// Windows compared, seconds.
const WINDOWS: [u32; 2] = [60, 0];
/// Most batches that the minute's jobs may share with a window.
const MOST_BATCHES: usize = 3;

fn main() -> anyhow::Result<()> {
    // Cargo passes this to benches it was asked to run; `cargo test --all-targets` does not.
    if !std::env::args().any(|argument| argument == "--bench") {
        say("this takes its time: run it with `make load`");
        return Ok(());
    }
    let jobs = match std::env::var("LOAD_JOBS") {
        Ok(text) => text.parse().with_context(|| format!("LOAD_JOBS={text} is no number"))?,
        Err(_) => JOBS,
    };
    let runtime = tokio::runtime::Builder::new_multi_thread().enable_all().build()?;
    let mut all = Vec::new();
    for window in WINDOWS {
        say(&format!("{jobs} jobs in one minute, windowSeconds {window} …"));
        all.push(runtime.block_on(live(jobs, window))?);
    }
    print(jobs, &all);
    all.iter().try_for_each(|figures| judge(jobs, figures))
}

/// What is counted has to be so.
fn judge(jobs: usize, figures: &Figures) -> anyhow::Result<()> {
    let Figures { window, batches, rows, .. } = figures;
    ensure!(figures.faults.is_empty(), "windowSeconds {window}: {}", figures.faults.join("\n"));
    ensure!(*rows == jobs, "windowSeconds {window}: {rows} rows were batched for {jobs} jobs");
    ensure!(
        figures.looks <= figures.most_looks(),
        "windowSeconds {window}: {} looks at {batches} batches are more than one poll chain each",
        figures.looks
    );
    ensure!(
        *window == 0 || *batches <= MOST_BATCHES,
        "windowSeconds {window}: {batches} batches for {jobs} jobs of one minute; at most {MOST_BATCHES} are expected"
    );
    Ok(())
}

#[expect(clippy::cast_precision_loss, reason = "figures here are far below 2^53")]
fn float(figure: u64) -> f64 {
    figure as f64
}

fn print(jobs: usize, all: &[Figures]) {
    let [with, without] = all else { return };
    let heads = ["", "window 60 s", "a run", "window 0", "a run", "to window 0"];
    let mut table = Table::new(format!("{jobs} batch jobs due in the same minute"), &heads);
    let each = float(jobs.max(1) as u64);
    let mut count = |name: &str, one: u64, other: u64| {
        let part = |figure: u64| format!("{:.3}", float(figure) / each);
        table.row(vec![
            name.to_owned(),
            one.to_string(),
            part(one),
            other.to_string(),
            part(other),
            ratio(float(one), float(other)),
        ]);
    };
    count("batches", with.batches as u64, without.batches as u64);
    count("looks at a batch", with.looks, without.looks);
    let names = |one: &Figures, other: &Figures, of: fn(&Figures) -> &std::collections::BTreeMap<String, u64>| {
        of(one).keys().chain(of(other).keys()).cloned().collect::<std::collections::BTreeSet<String>>()
    };
    for (kind, of) in [
        ("run ", (|it| &it.invocations) as fn(&Figures) -> &std::collections::BTreeMap<String, u64>),
        ("", |it| &it.calls),
    ] {
        for name in names(with, without, of) {
            let figure = |figures: &Figures| of(figures).get(&name).copied().unwrap_or(0);
            count(&format!("{kind}{name}"), figure(with), figure(without));
        }
    }
    count("calls in all", with.calls.values().sum(), without.calls.values().sum());
    for (name, of) in [
        ("seconds to add the jobs", (|it| it.adding) as fn(&Figures) -> f64),
        ("seconds from the minute to the last delivery", |it| it.living),
    ] {
        let (one, other) = (of(with), of(without));
        let cells =
            [format!("{one:.1}"), format!("{:.4}", one / each), format!("{other:.1}"), format!("{:.4}", other / each)];
        let mut row = vec![name.to_owned()];
        row.extend(cells);
        row.push(ratio(one, other));
        table.row(row);
    }
    table.print();
    for figures in all {
        let verdict = if figures.faults.is_empty() { "all delivered, each once" } else { "NOT all delivered once" };
        say(&format!("  windowSeconds {}: {verdict}", figures.window));
    }
}
