//! Plants the known bugs in a copy of the product, wakes one after the other, and plays the simulation. A bug that nobody
//! notices fails the program, and so does a violation while all are asleep.
//!
//! `nightshift-mutants [NAME…]` wakes all of them, or those named; `nightshift-mutants play SEED CASES` is what it runs of the
//! copy. The copy is made below the target folder, and built there beside the product's own crates, so that only the
//! workspace's crates are built again, once. It has to be started in the workspace's root, as `make mutants` does.

#![expect(clippy::print_stdout, clippy::print_stderr, reason = "a table for a person")]

use std::collections::{BTreeMap, BTreeSet};
use std::fs;
use std::io::{self, Read, Write};
use std::path::{Path, PathBuf};
use std::process::{Command, ExitCode, Stdio};
use std::time::{Duration, Instant};

use nightshift_sim::case::{Watch, play};
use nightshift_sim::hunt::{Kind, made_up};
use nightshift_sim::mutants::{AWAKE, LIST, Mutant};
use nightshift_sim::regressions;
use serde::{Deserialize, Serialize};

/// The cases each bug has to be found in, besides those that failed once: about as many as an ordinary test run plays. Most
/// bugs are found in the first hundred; some need two misfortunes to meet.
const SEED: u64 = 20_261_121;
const CASES: u64 = 6_000;
/// With all bugs asleep, fewer: it only shows that what is caught is the bug.
const ASLEEP: u64 = 1_500;
/// A copy that plays longer than this goes in a circle.
const LONGEST: Duration = Duration::from_mins(20);
/// This program, which plays the cases in the copy.
const PLAYER: &str = "nightshift-mutants";
/// What the workspace's crates are called in the copy, beside their version: with the same one cargo would take what it
/// built of the copy for the product's own.
const VERSION: (&str, &str) = ("\nversion = \"0.1.0\"\n", "\nversion = \"0.1.0-planted\"\n");
/// What is not copied: nothing in it is built.
const LEFT_OUT: [&str; 4] = ["target", ".git", ".tools", "node_modules"];

/// What playing came to.
#[derive(Debug, Serialize, Deserialize)]
struct Verdict {
    cases: u64,
    operations: u64,
    /// The rule that was broken first, and how.
    broken: Option<(String, String)>,
}

fn main() -> ExitCode {
    let words: Vec<String> = std::env::args().skip(1).collect();
    let done = match words.iter().map(String::as_str).collect::<Vec<_>>().as_slice() {
        ["play", seed, cases] => played(seed, cases),
        names => all(names),
    };
    match done {
        Ok(true) => ExitCode::SUCCESS,
        Ok(false) => ExitCode::FAILURE,
        Err(error) => {
            eprintln!("{error}");
            ExitCode::FAILURE
        }
    }
}

/// Plays what failed once, and cases made up, until one breaks a rule, and says so on standard output.
fn played(seed: &str, cases: &str) -> io::Result<bool> {
    let number = |word: &str| word.parse::<u64>().map_err(io::Error::other);
    let (seed, cases) = (number(seed)?, number(cases)?);
    let mut verdict = Verdict { cases: 0, operations: 0, broken: None };
    let known =
        regressions::LIST.iter().map(|one| one.case().map_err(io::Error::other)).collect::<Result<Vec<_>, _>>()?;
    let kinds = [Kind::Jobs, Kind::MainSession];
    // In turns, so that a bug of either is found soon.
    let made = (0..cases).flat_map(|n| kinds.map(|kind| made_up(kind, seed, n)).into_iter().flatten());
    for case in known.into_iter().chain(made) {
        verdict.cases += 1;
        match play(&case, Watch::Rules) {
            Ok(_) => verdict.operations += case.ops.len() as u64,
            Err(failure) => {
                verdict.operations += failure.after.map_or(case.ops.len(), |after| after + 1) as u64;
                let first = failure.violations.first();
                verdict.broken = first.map(|violation| (violation.rule.to_owned(), violation.detail.clone()));
                break;
            }
        }
    }
    println!("{}", serde_json::to_string(&verdict)?);
    Ok(true)
}

/// Plants the bugs one after the other.
fn all(names: &[&str]) -> io::Result<bool> {
    let known: BTreeSet<&str> = LIST.iter().map(|mutant| mutant.name).collect();
    if let Some(unknown) = names.iter().find(|name| !known.contains(**name)) {
        return Err(io::Error::other(format!("there is no bug \"{unknown}\"; there are: {known:?}")));
    }
    let root = std::env::current_dir()?;
    let target = std::env::var_os("CARGO_TARGET_DIR").map_or_else(|| root.join("target"), PathBuf::from);
    let copy = target.join("mutants");
    copied(&root, &copy)?;
    let player = built(&copy, &target)?;
    let asleep = tried(&player, None)?;
    let Tried::Clean(base) = asleep else {
        return Err(io::Error::other(format!("with all bugs asleep: {}", asleep.sentence())));
    };
    println!("all bugs asleep: {} cases, {} operations, no rule is broken\n", base.cases, base.operations);
    println!("{:<33} {:<37} {:>5} {:>7} {:>4}  caught by", "bug", "planted in", "cases", "ops", "s");
    let mut survivors = Vec::new();
    for mutant in LIST.iter().filter(|mutant| names.is_empty() || names.contains(&mutant.name)) {
        #[expect(clippy::disallowed_methods, reason = "how long the machine took")]
        let started = Instant::now();
        let outcome = tried(&player, Some(mutant))?;
        let (cases, operations) = match &outcome {
            Tried::Caught(verdict) | Tried::Clean(verdict) => (verdict.cases, verdict.operations),
            Tried::Endless | Tried::Died(_) => (0, 0),
        };
        let Mutant { name, file, why, .. } = mutant;
        let seconds = started.elapsed().as_secs();
        println!("{name:<33} {file:<37} {cases:>5} {operations:>7} {seconds:>4}  {}", outcome.sentence());
        io::stdout().flush()?;
        if matches!(outcome, Tried::Clean(_)) {
            survivors.push(format!("{name}: {why}"));
        }
    }
    if survivors.is_empty() {
        println!("\nall bugs were caught");
        return Ok(true);
    }
    println!("\nnot caught:\n  {}", survivors.join("\n  "));
    Ok(false)
}

/// What trying a copy came to.
enum Tried {
    Clean(Verdict),
    Caught(Verdict),
    Endless,
    /// It stopped without a verdict.
    Died(String),
}

impl Tried {
    fn sentence(&self) -> String {
        match self {
            Self::Clean(_) => "NOBODY".to_owned(),
            Self::Caught(Verdict { broken: Some((rule, detail)), .. }) => {
                format!("{rule} ({})", detail.chars().take(120).collect::<String>())
            }
            Self::Caught(_) => "a rule".to_owned(),
            Self::Endless => "it never comes to an end".to_owned(),
            Self::Died(last) => format!("it panics: {last}"),
        }
    }
}

/// Builds the copy, with the features of the whole workspace, so that what others made serves here too.
fn built(copy: &Path, target: &Path) -> io::Result<PathBuf> {
    let cargo = std::env::var_os("CARGO").unwrap_or_else(|| "cargo".into());
    let build = ["build", "--quiet", "--offline", "-j2", "--workspace", "--bin", PLAYER];
    let done = Command::new(cargo).args(build).current_dir(copy).env("CARGO_TARGET_DIR", target).output()?;
    if !done.status.success() {
        let said = String::from_utf8_lossy(&done.stderr);
        let errors = said.split("\n\n").filter(|part| part.starts_with("error")).collect::<Vec<_>>().join("\n\n");
        return Err(io::Error::other(format!("with the bugs in it the product does not build:\n{errors}")));
    }
    // Under a name of its own: a later build of the product itself puts its own where this one is.
    let player = target.join("debug").join(format!("{PLAYER}-copy"));
    fs::copy(target.join("debug").join(PLAYER), &player)?;
    Ok(player)
}

/// Plays with `awake` awake.
fn tried(player: &Path, awake: Option<&Mutant>) -> io::Result<Tried> {
    let mut child = Command::new(player)
        .args(["play", &SEED.to_string(), &if awake.is_some() { CASES } else { ASLEEP }.to_string()])
        .env(AWAKE, awake.map_or("", |mutant| mutant.name))
        .stdout(Stdio::piped())
        .stderr(Stdio::piped())
        .spawn()?;
    #[expect(clippy::disallowed_methods, reason = "a process is given its time")]
    let started = Instant::now();
    while child.try_wait()?.is_none() {
        if started.elapsed() > LONGEST {
            child.kill()?;
            child.wait()?;
            return Ok(Tried::Endless);
        }
        std::thread::sleep(Duration::from_millis(50));
    }
    let (mut out, mut err) = (String::new(), String::new());
    if let (Some(mut stdout), Some(mut stderr)) = (child.stdout.take(), child.stderr.take()) {
        stdout.read_to_string(&mut out)?;
        stderr.read_to_string(&mut err)?;
    }
    Ok(match serde_json::from_str::<Verdict>(out.trim()) {
        Ok(verdict) if verdict.broken.is_some() => Tried::Caught(verdict),
        Ok(verdict) => Tried::Clean(verdict),
        Err(_) => Tried::Died(err.lines().find(|line| !line.is_empty()).unwrap_or_default().to_owned()),
    })
}

/// Makes `copy` the same as `root` with the bugs in it, and writes only what differs, so that only that is built again.
fn copied(root: &Path, copy: &Path) -> io::Result<()> {
    let mut with_bugs: BTreeMap<PathBuf, String> = BTreeMap::new();
    for mutant in LIST {
        let path = root.join(mutant.file);
        let text = match with_bugs.remove(&path) {
            Some(text) => text,
            None => fs::read_to_string(&path)?,
        };
        let unplanted = || format!("{} cannot be planted: {:?} is not there once", mutant.name, mutant.before);
        with_bugs.insert(path, mutant.plant(&text).ok_or_else(|| io::Error::other(unplanted()))?);
    }
    let manifest = root.join("Cargo.toml");
    let text = fs::read_to_string(&manifest)?;
    if text.matches(VERSION.0).count() != 1 {
        return Err(io::Error::other("the workspace's version is not where it was"));
    }
    with_bugs.insert(manifest, text.replacen(VERSION.0, VERSION.1, 1));
    mirrored(root, copy, &with_bugs)
}

fn mirrored(from: &Path, copy: &Path, with_bugs: &BTreeMap<PathBuf, String>) -> io::Result<()> {
    fs::create_dir_all(copy)?;
    let mut there = BTreeSet::new();
    for entry in fs::read_dir(from)? {
        let entry = entry?;
        let (name, kind) = (entry.file_name(), entry.file_type()?);
        // A target folder by another name says what it is.
        let built = kind.is_dir() && entry.path().join("CACHEDIR.TAG").exists();
        if built || LEFT_OUT.iter().any(|left| name == *left) {
            continue;
        }
        let to = copy.join(&name);
        if kind.is_dir() {
            mirrored(&entry.path(), &to, with_bugs)?;
        } else if kind.is_file() {
            let text = match with_bugs.get(&entry.path()) {
                Some(text) => text.clone().into_bytes(),
                None => fs::read(entry.path())?,
            };
            if fs::read(&to).ok().as_ref() != Some(&text) {
                fs::write(&to, text)?;
            }
        }
        there.insert(name);
    }
    for entry in fs::read_dir(copy)? {
        let entry = entry?;
        if !there.contains(&entry.file_name()) {
            if entry.file_type()?.is_dir() { fs::remove_dir_all(entry.path())? } else { fs::remove_file(entry.path())? }
        }
    }
    Ok(())
}
