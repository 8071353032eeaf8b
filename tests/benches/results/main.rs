//! The results of the largest batch there may be, through the real `poll`: how fast, in how much memory, and what a kill in
//! the middle costs.
//!
//! `RESULTS_ROWS` is the number of rows (100,000), `RESULTS_ANSWER` the characters of each answer (1,600, with which a line of
//! the file has about 2 KB). The figures end with a check of every run against the file, and of the memory; what is not as it
//! should be fails the whole.

mod processes;
mod seed;

use std::collections::BTreeMap;
use std::path::PathBuf;
use std::time::{Duration, Instant};

use anyhow::{Context as _, ensure};
use chrono::TimeDelta;
use nightshift_domain::batch::BatchState;
use nightshift_local::gate::tally;
use nightshift_local::{FunctionHost, Options, Stack};
use nightshift_tests::process::{pause, program};

use crate::processes::Processes;
use crate::seed::{Seeded, seed};

/// Most memory that `poll` may use, bytes.
const MOST_MEMORY: u64 = 128_000_000;
/// How often the table is read for a row.
const READS_EACH: f64 = 3.0;
/// How a call that reads the results is logged.
const READS_RESULTS: &str = "GET /v1/messages/batches/{id}/results";

/// Prints a line.
#[expect(clippy::print_stdout, reason = "figures are what this program is for")]
fn say(line: &str) {
    println!("{line}");
}

fn main() -> anyhow::Result<()> {
    // Cargo passes this to benches it was asked to run; `cargo test --all-targets` does not.
    if !std::env::args().any(|argument| argument == "--bench") {
        say("this takes its time: run it with `make load`");
        return Ok(());
    }
    tokio::runtime::Builder::new_multi_thread().enable_all().build()?.block_on(run())
}

fn setting(name: &str, default: usize) -> anyhow::Result<usize> {
    std::env::var(name).map_or(Ok(default), |text| text.parse().with_context(|| format!("{name} is not a number")))
}

async fn run() -> anyhow::Result<()> {
    let (rows, answer) = (setting("RESULTS_ROWS", 100_000)?, setting("RESULTS_ANSWER", 1_600)?);
    let folder = tempfile::tempdir()?;
    let mut options = Options::new(folder.path().join("state"));
    let poll = program("nightshift-poll");
    ensure!(poll.exists(), "{} is not built", poll.display());
    options.functions =
        FunctionHost::Binaries { dir: poll.parent().map_or_else(PathBuf::new, std::path::Path::to_path_buf) };
    let state_dir = options.state_dir.clone();
    let stack = Stack::start(options).await?;
    let began = machine_time();
    let poll_at = stack.now() + TimeDelta::seconds(2);
    let seeded = seed((&stack.ready, &state_dir, stack.clock()), (rows, answer), poll_at).await?;
    say(&format!("{rows} jobs, runs and rows are there after {:.0} s", began.elapsed().as_secs_f64()));
    let before = stack.gate.calls(0).len() as u64;
    let watched = watch(&seeded, (&stack, before), rows).await?;
    let calls = tally(&stack.gate.calls(before));
    let began = machine_time();
    let bytes = seeded.check().await?;
    watched.print(rows, bytes, &calls);
    say(&format!("every run is as its row says (checked in {:.0} s)", began.elapsed().as_secs_f64()));
    stack.stop().await;
    watched.judge()
}

/// What was seen from outside.
struct Watched {
    /// How long `poll` was at it: without the waits between two invocations.
    busy: Duration,
    /// How often the results were read.
    readings: u64,
    /// The wait from the kill to the next reading.
    waited: Duration,
    /// How often the table was read to watch.
    looks: u32,
    /// Peak memory of each process, in KiB.
    peaks: BTreeMap<u32, u64>,
}

#[expect(clippy::disallowed_methods, reason = "how long the machine takes is what is measured")]
fn machine_time() -> Instant {
    Instant::now()
}

/// Watches the batch until it is settled; kills the first process when half of the rows are marked. `before` is the number of
/// calls there had been.
async fn watch(seeded: &Seeded, (stack, before): (&Stack, u64), rows: usize) -> anyhow::Result<Watched> {
    let half = u32::try_from(rows / 2)?;
    let mut processes = Processes::default();
    let (mut seen, mut killed, mut last) = (before, None, machine_time());
    let (mut readings, mut looks, mut reading) = (0, 0, false);
    let (mut busy, mut waited) = (Duration::ZERO, Duration::ZERO);
    loop {
        pause(Duration::from_millis(100)).await;
        let now = machine_time();
        let running = processes.look("nightshift-poll");
        let batch = seeded.batch().await?;
        looks += 1;
        let calls = stack.gate.calls(seen);
        seen += calls.len() as u64;
        let read = calls.iter().filter(|call| call.operation == READS_RESULTS).count() as u64;
        readings += read;
        if let Some(at) = killed.filter(|_| read > 0 && waited.is_zero()) {
            waited = now - at;
        }
        // Our own look is one call; while rows are skipped that were done before, there is none.
        let called = calls.len() > 1;
        reading = read > 0 || (reading && !called);
        if called || reading {
            busy += now - last;
        }
        last = now;
        let count = batch.settled.count();
        if matches!(batch.state, BatchState::Settled { .. }) {
            ensure!(killed.is_some(), "it was settled before it could be killed: more rows are needed");
            return Ok(Watched { busy, readings, waited, looks, peaks: processes.peaks });
        }
        if killed.is_none() && count >= half {
            for pid in running {
                processes::kill(pid)?;
            }
            (killed, reading) = (Some(now), false);
            say(&format!("killed poll with {count} rows marked"));
        }
    }
}

impl Watched {
    #[expect(clippy::cast_precision_loss, reason = "figures here are far below 2^53")]
    fn print(&self, rows: usize, bytes: u64, calls: &BTreeMap<String, u64>) {
        let (rows_f, seconds, megabytes) = (rows as f64, self.busy.as_secs_f64(), bytes as f64 / 1e6);
        say(&format!("rows                       {rows}"));
        say(&format!("file of results            {megabytes:.0} MB"));
        say(&format!("settling                   {seconds:.0} s"));
        say(&format!("                           {:.0} rows/s, {:.2} MB/s", rows_f / seconds, megabytes / seconds));
        say(&format!("rows in an invocation      about {:.0}", rows_f / seconds * 270.0));
        say(&format!("readings of the file       {} (one for each invocation that settles)", self.readings));
        say(&format!(
            "wait after the kill        {:.0} s (the function's retry leaves it to the poll at the end of the killed invocation)",
            self.waited.as_secs_f64()
        ));
        for (pid, peak) in &self.peaks {
            say(&format!("peak memory of process {pid}  {:.1} MB", *peak as f64 * 1024.0 / 1e6));
        }
        let table = |name: &str| calls.get(&format!("dynamodb {name}")).copied().unwrap_or(0);
        let watching = f64::from(self.looks);
        let (reads, puts, transactions) = (table("GetItem"), table("PutItem"), table("TransactWriteItems"));
        say(&format!("reads of the table         {:.3} a row", (reads as f64 - watching) / rows_f));
        say(&format!("writes of one row          {:.3} a row", puts as f64 / rows_f));
        say(&format!("transactions               {:.3} a row", transactions as f64 / rows_f));
        let again = reads as f64 - watching - READS_EACH * rows_f;
        say(&format!(
            "reads for what was done    {again:.0} (rows after the last mark before the kill, and each poll's own)"
        ));
    }

    /// What the figures have to be.
    fn judge(&self) -> anyhow::Result<()> {
        ensure!(self.readings > 1, "nothing was left to do after the kill");
        for (pid, peak) in &self.peaks {
            let bytes = peak * 1024;
            ensure!(bytes < MOST_MEMORY, "process {pid} of poll used {bytes} bytes: at most {MOST_MEMORY} are allowed");
        }
        Ok(())
    }
}
