//! `kill -9` of the real process at random moments of a scripted day: in the evening the books say what those of an
//! undisturbed day say.
//!
//! The day is set up once and its folder copied: one copy goes through undisturbed, the other is killed again and again,
//! at moments of real time that fall wherever the work is, and started again on the same folder. `KILLS` says how often,
//! `KILL_SEED` when. What may differ is listed in `compare.rs`, and each such difference has to be found in the row of
//! the run it happened to.

#![expect(clippy::unwrap_used, clippy::print_stdout, reason = "a test says what it saw, and fails where it stands")]

mod compare;
mod day;
mod excuses;
mod ledger;

use std::path::Path;
use std::time::Duration;

use chrono::{DateTime, Utc};
use nightshift_local::left::left_behind;
use nightshift_tests::chats::Chats;
use nightshift_tests::process::Process;

use compare::compare;
use day::{CLOCK, advance, advance_for, evening, last_kill, now, set_up};
use ledger::Ledger;

/// As many as fit in the time of `make test`; `make kills` asks for 200.
const KILLS: u64 = 40;
/// Where the moments come from when none is given; a run prints it.
const SEED: u64 = 20_261_120;

/// The share of kills that come while the process starts.
const AT_START: f64 = 0.125;
/// Within what time of the start those come.
const START: Duration = Duration::from_millis(150);

/// `SplitMix64` (Steele, Lea and Flood, 2014): the same moments for the same seed.
struct Moments(u64);

impl Moments {
    /// The next number in [0, 1).
    fn next(&mut self) -> f64 {
        self.0 = self.0.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let mut bits = self.0;
        bits = (bits ^ (bits >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        bits = (bits ^ (bits >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        f64::from(u32::try_from((bits ^ (bits >> 31)) >> 32).unwrap()) / f64::from(u32::MAX)
    }
}

fn number(name: &str, default: u64) -> u64 {
    std::env::var(name).map_or(default, |text| text.parse().unwrap_or_else(|_| panic!("{name}={text} is no number")))
}

fn copy(from: &Path, to: &Path) {
    std::fs::create_dir_all(to).unwrap();
    for entry in std::fs::read_dir(from).unwrap() {
        let entry = entry.unwrap();
        let (path, to) = (entry.path(), to.join(entry.file_name()));
        if path.is_dir() {
            copy(&path, &to);
        } else {
            std::fs::copy(&path, &to).unwrap();
        }
    }
}

/// The day without a kill; how long its part that will be disturbed took, too.
async fn undisturbed(state: &Path, chats: &Chats) -> (Ledger, Duration) {
    let skip = chats.arrived().len();
    let process = Process::start(state, &["--clock", CLOCK]).await;
    let watch = stopwatch();
    assert!(advance(&process, last_kill()).await);
    let took = watch();
    assert!(advance(&process, evening()).await);
    (Ledger::read(&process, chats, skip).await, took)
}

/// What the kills met.
#[derive(Default)]
struct Kills {
    /// The day's instants at which they came.
    at: Vec<DateTime<Utc>>,
    /// How many interrupted an invocation.
    inside: u64,
    /// How many came before the process was ready.
    starting: u64,
}

/// The day with `kills` kills.
async fn killed(state: &Path, chats: &Chats, kills: u64, moments: &mut Moments, whole: Duration) -> (Ledger, Kills) {
    let skip = chats.arrived().len();
    let mut met = Kills::default();
    for left in (1..=kills).rev() {
        if moments.next() < AT_START {
            met.starting += 1;
            Process::start_and_kill(state, &["--clock", CLOCK], START.mul_f64(moments.next())).await;
        } else {
            let process = Process::start(state, &["--clock", CLOCK]).await;
            let ahead = (last_kill() - now(&process).await).as_seconds_f64().max(0.0);
            let ahead = ahead / (last_kill() - day::at(0)).as_seconds_f64();
            // Moments of real time, so that they fall where the work is, spread over what is left of the day.
            #[expect(clippy::cast_precision_loss, reason = "a few hundred")]
            let share = 2.0 * moments.next() * ahead / left as f64;
            advance_for(&process, last_kill(), whole.mul_f64(share)).await;
            process.kill();
        }
        let left = left_behind(state).unwrap();
        met.at.push(left.at.unwrap_or(day::at(0)));
        met.inside += u64::from(left.invocations > 0);
    }
    let process = Process::start(state, &["--clock", CLOCK]).await;
    assert!(advance(&process, evening()).await);
    (Ledger::read(&process, chats, skip).await, met)
}

#[expect(clippy::disallowed_methods, reason = "how long the machine took is told, and decides nothing")]
fn stopwatch() -> impl Fn() -> Duration {
    let start = std::time::Instant::now();
    move || start.elapsed()
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_day_of_kills_ends_with_the_books_of_an_undisturbed_day() {
    let (kills, seed) = (number("KILLS", KILLS), number("KILL_SEED", SEED));
    println!("{kills} kills, KILL_SEED={seed}");
    let folder = tempfile::tempdir().unwrap();
    let [morning, calm, rough] = ["morning", "calm", "rough"].map(|name| folder.path().join(name));
    let chats = Chats::serve().await;
    set_up(&morning, &chats).await;
    copy(&morning, &calm);
    copy(&morning, &rough);
    let (calm, whole) = undisturbed(&calm, &chats).await;
    calm.is_a_whole_day();
    let watch = stopwatch();
    let (rough, met) = killed(&rough, &chats, kills, &mut Moments(seed), whole).await;
    let differences = compare(&calm, &rough, &met.at);
    println!(
        "killed {kills} times, {} of them in the middle of an invocation and {} before it was ready, in {:.1} s; undisturbed the \
         day takes {:.1} s to the last kill; {} runs; {} repeats were dropped by their key",
        met.inside,
        met.starting,
        watch().as_secs_f64(),
        whole.as_secs_f64(),
        rough.runs.len(),
        rough.repeats,
    );
    for (why, what) in &differences.explained {
        println!("differs, as it may: {what}: {why}");
    }
    println!(
        "{} differences, {} without a reason",
        differences.explained.len() + differences.bad.len(),
        differences.bad.len()
    );
    assert!(differences.bad.is_empty(), "KILL_SEED={seed}\n{}", differences.bad.join("\n"));
    let inside = met.inside;
    assert!(inside * 4 >= kills, "only {inside} of {kills} kills met an invocation: the test does not hit the work");
}
