//! `make demo` and `make watch`: a batch job from `cron add` to its delivery, through the programs a user has.
//!
//! It starts `nightshift-local` and calls `nightshift`, and does nothing a person could not do in two terminals. Without
//! a key the model is the fake and, where the functions run in the process, time is fast-forwarded.

use std::path::{Path, PathBuf};
use std::process::{Child, Command, ExitCode, Stdio};
use std::thread;
use std::time::Duration;

use anyhow::{Context as _, bail};
use clap::Parser;
use serde_json::{Value, json};

/// How far the clock is moved at a time, and how often.
const STEP_MS: u64 = 10_000;
const STEP_PAUSE: Duration = Duration::from_millis(150);
/// How long the parts may take to answer; compiling under `cargo lambda watch` included.
const START_TRIES: u32 = 1200;

/// Shows a batch job from add to delivery
#[derive(Debug, Parser)]
struct Args {
    /// Who runs the functions: `in-process`, `binaries` or `cargo-lambda`
    #[arg(long, default_value = "in-process")]
    functions: String,
}

fn main() -> ExitCode {
    match run(&Args::parse()) {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            say(&format!("error: {error:#}"));
            ExitCode::FAILURE
        }
    }
}

fn run(args: &Args) -> anyhow::Result<()> {
    let dir = std::env::temp_dir().join(format!("nightshift-demo-{}", std::process::id()));
    std::fs::create_dir_all(&dir)?;
    let outcome = show(args, &dir);
    let _ = std::fs::remove_dir_all(&dir);
    outcome
}

fn show(args: &Args, dir: &Path) -> anyhow::Result<()> {
    let key = std::env::var("ANTHROPIC_API_KEY").is_ok_and(|key| !key.is_empty());
    let fast = !key && args.functions == "in-process";
    step("starting a stack");
    let stack = Running::start(args, dir, fast)?;
    if !key {
        // A batch of the fake ends after this long; on a real clock nobody wants to wait the usual minutes.
        let millis = if fast { 240_000 } else { 5_000 };
        stack.post("/_local/anthropic/script", &json!({ "batchDurationMs": millis }))?;
    }
    let message = Path::new("README.md");
    let message = if message.exists() { message.to_path_buf() } else { write_letter(dir)? };
    step(&format!("nightshift cron add --batch --message-file {}", message.display()));
    let added = stack.cli(&[
        "cron",
        "add",
        "--json",
        "--name",
        "Read and report",
        "--every",
        "6h",
        "--batch",
        "--batch-timeout",
        "2h",
        "--announce",
        "--message-file",
        message.to_str().context("the path is not Unicode")?,
    ])?;
    let job: Value = serde_json::from_str(&added).context("cron add printed no JSON")?;
    let id = job["jobId"].as_str().context("the job has no id")?.to_owned();
    stack.show(&["cron", "list"])?;
    step(&format!("nightshift cron run {id} --wait"));
    let clock = fast.then(|| stack.wind());
    // The answer itself is shown by the console it is delivered to; the progress is on stderr.
    let waited = stack.cli(&["cron", "run", &id, "--wait", "--wait-timeout", "2h", "--poll-interval", "200ms"]);
    drop(clock);
    waited?;
    step(&format!("nightshift cron runs {id}"));
    stack.show(&["cron", "runs", &id])?;
    let runs: Value = serde_json::from_str(&stack.cli(&["cron", "runs", &id, "--json"])?)?;
    let row = &runs["runs"][0];
    step("the run's row, in short");
    print_row(row);
    if row["path"] != "batch" || row["status"] != "ok" {
        bail!("the run should have gone through a batch and ended well");
    }
    step("done; the stack stops");
    Ok(())
}

#[expect(clippy::print_stdout, reason = "the row is what the demo shows")]
fn print_row(row: &Value) {
    for field in ["runId", "status", "deliveryStatus", "path", "model", "costUsd", "realtimeCostUsd", "savedUsd"] {
        println!("{field:>16}  {}", row[field]);
    }
}

/// A text to ask about, where the demo is not started in the project's folder.
fn write_letter(dir: &Path) -> anyhow::Result<PathBuf> {
    let file = dir.join("letter.md");
    std::fs::write(
        &file,
        "# A letter\n\nNightshift runs while you sleep, and tells you in the morning what it found.\n",
    )?;
    Ok(file)
}

/// A stack and how to talk to it; ended, by its own id, when dropped.
struct Running {
    child: Child,
    url: String,
    token: String,
    http: reqwest::Client,
    runtime: std::sync::Arc<tokio::runtime::Runtime>,
}

impl Running {
    fn start(args: &Args, dir: &Path, fast: bool) -> anyhow::Result<Self> {
        let ready = dir.join("ready.json");
        let clock = if fast { "manual" } else { "real" };
        let mut child = Command::new(beside("nightshift-local")?)
            .args(["--port", "0", "--clock", clock, "--functions", &args.functions, "--state-dir"])
            .arg(dir.join("state"))
            .arg("--ready-file")
            .arg(&ready)
            .env("RUST_LOG", "warn")
            .env("AWS_LAMBDA_LOG_LEVEL", "warn")
            .stdin(Stdio::null())
            .spawn()
            .context("nightshift-local does not start")?;
        for _ in 0..START_TRIES {
            if let Some(status) = child.try_wait()? {
                bail!("nightshift-local ended at once: {status}");
            }
            if let Ok(text) = std::fs::read_to_string(&ready) {
                let said: Value = serde_json::from_str(&text)?;
                let word = |name: &str| said[name].as_str().unwrap_or_default().to_owned();
                let runtime = tokio::runtime::Builder::new_multi_thread().worker_threads(1).enable_all().build()?;
                return Ok(Self {
                    child,
                    url: word("url"),
                    token: word("token"),
                    http: reqwest::Client::new(),
                    runtime: std::sync::Arc::new(runtime),
                });
            }
            pause(Duration::from_millis(100));
        }
        let _ = child.kill();
        bail!("nightshift-local did not become ready")
    }

    fn post(&self, path: &str, body: &Value) -> anyhow::Result<()> {
        let request = self.http.post(format!("{}{path}", self.url)).bearer_auth(&self.token).json(body);
        let answer = self.runtime.block_on(request.send())?;
        anyhow::ensure!(answer.status().is_success(), "{path} answered {}", answer.status());
        Ok(())
    }

    /// Winds the clock until the answer is dropped.
    fn wind(&self) -> Winding {
        let (http, url, token) = (self.http.clone(), format!("{}/_local/clock/advance", self.url), self.token.clone());
        let task = self.runtime.spawn(async move {
            loop {
                let _ = http.post(&url).bearer_auth(&token).json(&json!({ "ms": STEP_MS })).send().await;
                let _ = tokio::task::spawn_blocking(|| pause(STEP_PAUSE)).await;
            }
        });
        Winding(task)
    }

    fn command(&self, words: &[&str]) -> anyhow::Result<Command> {
        let mut command = Command::new(beside("nightshift")?);
        command.args(words).env("NIGHTSHIFT_URL", &self.url).env("NIGHTSHIFT_TOKEN", &self.token);
        Ok(command)
    }

    /// Runs the command line and takes what it prints.
    fn cli(&self, words: &[&str]) -> anyhow::Result<String> {
        let output = self.command(words)?.stderr(Stdio::inherit()).output()?;
        anyhow::ensure!(output.status.success(), "nightshift {} ended with {}", words.join(" "), output.status);
        Ok(String::from_utf8(output.stdout)?)
    }

    /// Runs the command line and shows what it prints.
    fn show(&self, words: &[&str]) -> anyhow::Result<()> {
        let status = self.command(words)?.status()?;
        anyhow::ensure!(status.success(), "nightshift {} ended with {status}", words.join(" "));
        Ok(())
    }
}

impl Drop for Running {
    fn drop(&mut self) {
        // Asked first, so that it ends what it started itself (`cargo lambda watch` and its functions).
        let id = self.child.id().to_string();
        for _ in 0..100 {
            if !matches!(self.child.try_wait(), Ok(None)) {
                return;
            }
            let _ = Command::new("kill").args(["-TERM", &id]).stderr(Stdio::null()).status();
            pause(Duration::from_millis(100));
        }
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

struct Winding(tokio::task::JoinHandle<()>);

impl Drop for Winding {
    fn drop(&mut self) {
        self.0.abort();
    }
}

/// A program that was built beside this one.
fn beside(name: &str) -> anyhow::Result<PathBuf> {
    let program = std::env::current_exe()?;
    Ok(program.parent().context("this program stands in no folder")?.join(name))
}

/// Waits in real time: this program stands outside the stack and its clock.
fn pause(time: Duration) {
    thread::sleep(time);
}

fn step(text: &str) {
    say(&format!("\n▸ {text}"));
}

#[expect(clippy::print_stderr, reason = "a program's word to the person who started it")]
fn say(text: &str) {
    eprintln!("{text}");
}
