//! `make bench`: figures of speed and size, and ratios between figures of the same run.
//!
//! A figure alone says more of the machine than of the program, so each stands beside one of something simpler that was
//! measured in the same minute: a command beside `--version`, a method beside `/healthz`, a schedule beside plain croner.
//! Nothing here fails for being slow.

mod cli;
mod cold;
mod costs;
mod http;
mod hundred;
mod memory;
mod schedules;
mod stopwatch;
mod table;

use nightshift_engine::{Clock as _, SystemClock};
use nightshift_tests::process::Process;

use crate::memory::Memory;
use crate::table::say;

fn main() -> anyhow::Result<()> {
    // Cargo passes this to benches it was asked to run; `cargo test --all-targets` does not.
    if !std::env::args().any(|argument| argument == "--bench") {
        say("this takes its time: run it with `make bench`");
        return Ok(());
    }
    let runtime = tokio::runtime::Builder::new_multi_thread().enable_all().build()?;
    if std::env::args().any(|argument| argument == "costs") {
        // They need no release build.
        costs::reckon(SystemClock.now());
        return runtime.block_on(hundred::measure());
    }
    runtime.block_on(run())
}

async fn run() -> anyhow::Result<()> {
    introduce();
    let folder = tempfile::tempdir()?;
    let stack = Process::start(&folder.path().join("state"), &["--clock", "real"]).await;
    let mut memory = Memory::default();
    memory.read("after its start", stack.ready.pid);
    tokio::task::block_in_place(|| cli::measure(&stack.ready))?;
    memory.read("after the commands above", stack.ready.pid);
    http::measure(&stack.ready).await?;
    memory.read("after the requests above", stack.ready.pid);
    cold::measure(&stack.ready).await?;
    drop(stack);
    schedules::measure()?;
    costs::reckon(SystemClock.now());
    Box::pin(hundred::measure()).await?;
    memory.print();
    Ok(())
}

/// What the figures were measured on.
fn introduce() {
    let cores = std::thread::available_parallelism().map_or(0, std::num::NonZero::get);
    let build =
        if cfg!(debug_assertions) { "debug: these figures mean little" } else { "bench (opt-level 3, no fat LTO)" };
    let load = std::fs::read_to_string("/proc/loadavg").unwrap_or_default();
    let load = load.split(' ').next().filter(|load| !load.is_empty()).unwrap_or("unknown");
    say(&format!(
        "nightshift {} on {} {}, {cores} cores, {}; load before the run: {load}; build: {build}",
        env!("CARGO_PKG_VERSION"),
        std::env::consts::OS,
        std::env::consts::ARCH,
        processor().unwrap_or_else(|| "unknown processor".to_owned()),
    ));
}

fn processor() -> Option<String> {
    let info = std::fs::read_to_string("/proc/cpuinfo").ok()?;
    let line = info.lines().find(|line| line.starts_with("model name"))?;
    Some(line.split_once(':')?.1.trim().to_owned())
}
