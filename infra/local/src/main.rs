//! `nightshift-local`: the whole stack on this machine.

use std::path::PathBuf;
use std::process::ExitCode;

use anyhow::Context as _;
use chrono::{DateTime, Utc};
use clap::{Parser, ValueEnum};
use nightshift_engine::ports::Secret;
use nightshift_local::{ClockChoice, DEFAULT_PORT, FunctionHost, ModelChoice, Options, Stack};

/// Runs Nightshift on this machine: table, timers, functions and a model, in one process
///
/// State is kept in the state folder and survives a restart. Everything listens on loopback only.
#[derive(Debug, Parser)]
#[command(name = "nightshift-local", version)]
struct Args {
    /// Where state is kept
    #[arg(long, value_name = "DIR", env = "NIGHTSHIFT_STATE_DIR")]
    state_dir: Option<PathBuf>,
    /// The API's port; the parts use the five after it, 0 means any
    #[arg(long, value_name = "N", default_value_t = DEFAULT_PORT)]
    port: u16,
    /// `real`, or `manual[:RFC3339]` for a clock that moves when told
    #[arg(long, default_value = "real", value_parser = parse_clock)]
    clock: ClockChoice,
    /// A Messages API to use instead of the real one or the fake
    #[arg(long, value_name = "URL")]
    model_url: Option<String>,
    /// Who runs the functions
    #[arg(long, value_enum, default_value_t = Functions::InProcess)]
    functions: Functions,
    /// Written when everything answers
    #[arg(long, value_name = "FILE")]
    ready_file: Option<PathBuf>,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
enum Functions {
    /// The handlers, in this process
    InProcess,
    /// The function binaries beside this program, over a Runtime API
    Binaries,
    /// `cargo lambda watch` in the current folder
    CargoLambda,
}

fn parse_clock(text: &str) -> Result<ClockChoice, String> {
    match text.split_once(':') {
        None if text == "real" => Ok(ClockChoice::Real),
        None if text == "manual" => Ok(ClockChoice::Manual(None)),
        Some(("manual", instant)) => {
            let start: DateTime<Utc> = instant
                .parse()
                .map_err(|_| format!("\"{instant}\" is not an RFC 3339 instant such as 2026-11-20T07:00:00Z"))?;
            Ok(ClockChoice::Manual(Some(start)))
        }
        _ => Err("give real, manual or manual:2026-11-20T07:00:00Z".to_owned()),
    }
}

#[tokio::main]
async fn main() -> ExitCode {
    nightshift_boot::init_tracing();
    match run(Args::parse()).await {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            say(&format!("error: {error:#}"));
            ExitCode::FAILURE
        }
    }
}

async fn run(args: Args) -> anyhow::Result<()> {
    let manual = args.clock != ClockChoice::Real;
    let model = match (&args.model_url, std::env::var("ANTHROPIC_API_KEY").ok().filter(|key| !key.is_empty())) {
        (Some(url), _) => ModelChoice::At(url.trim_end_matches('/').to_owned()),
        (None, Some(key)) if !manual => ModelChoice::Real(Secret::from(key)),
        (None, _) => ModelChoice::Fake,
    };
    say(match &model {
        ModelChoice::Real(_) => "model: the real Anthropic API, with ANTHROPIC_API_KEY; runs cost money",
        ModelChoice::At(_) => "model: the one given with --model-url",
        ModelChoice::Fake if manual => "model: the bundled fake (a manual clock never uses a real key)",
        ModelChoice::Fake => "model: the bundled fake; set ANTHROPIC_API_KEY for the real one",
    });
    let options = Options {
        state_dir: args
            .state_dir
            .or_else(nightshift_wire::profile::default_state_dir)
            .context("there is no place for state: give --state-dir, or set HOME")?,
        port: args.port,
        clock: args.clock,
        model,
        functions: host(args.functions)?,
        variables: said_of_logs(),
        ready_file: args.ready_file,
        print: true,
    };
    let state_dir = options.state_dir.clone();
    let stack = Stack::start(options).await?;
    say(&format!("api: {}   state: {}", stack.ready.url, state_dir.display()));
    say("stop with ctrl-c; what is queued and due goes on at the next start");
    stopped().await?;
    stack.stop().await;
    Ok(())
}

/// What this process was told of logs and metrics holds for functions that are processes of their own, as Lambda tells them.
fn said_of_logs() -> Vec<(String, String)> {
    let names = ["AWS_LAMBDA_LOG_FORMAT", "AWS_LAMBDA_LOG_LEVEL", "NIGHTSHIFT_METRICS"];
    names.into_iter().filter_map(|name| Some((name.to_owned(), std::env::var(name).ok()?))).collect()
}

fn host(functions: Functions) -> anyhow::Result<FunctionHost> {
    Ok(match functions {
        Functions::InProcess => FunctionHost::InProcess,
        Functions::Binaries => {
            let program = std::env::current_exe()?;
            let dir = program.parent().context("this program stands in no folder")?.to_path_buf();
            FunctionHost::Binaries { dir }
        }
        Functions::CargoLambda => {
            let cargo_lambda = std::env::var_os("NIGHTSHIFT_CARGO_LAMBDA").map_or("cargo-lambda".into(), PathBuf::from);
            FunctionHost::CargoLambda { project: std::env::current_dir()?, cargo_lambda }
        }
    })
}

async fn stopped() -> anyhow::Result<()> {
    let mut terminated = tokio::signal::unix::signal(tokio::signal::unix::SignalKind::terminate())?;
    tokio::select! {
        interrupted = tokio::signal::ctrl_c() => Ok(interrupted?),
        _ = terminated.recv() => Ok(()),
    }
}

#[expect(clippy::print_stderr, reason = "a program's word to the person who started it")]
fn say(text: &str) {
    eprintln!("{text}");
}
