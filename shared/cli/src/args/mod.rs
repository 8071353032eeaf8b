//! The command line, as clap reads it. The doc comments here are the help.

use std::ffi::OsString;

use clap::parser::ValueSource;
use clap::{Args, CommandFactory as _, FromArgMatches as _, Parser, Subcommand};
use clap_complete::Shell;
use nightshift_wire::ExitCode;

use crate::error::ExpectedError;

mod alert;
mod clear;
mod config;
mod connection;
mod cost;
mod foreign;
mod heartbeat;
mod job;
mod plan;
mod runs;
mod secret;
mod sessions;
mod shelves;
mod slips;
mod transfer;
mod words;

pub use alert::AlertFlags;
pub use clear::ClearFlags;
pub use config::{ApplyArgs, Config, GetArgs, SetArgs, UnsetArgs, ValidateArgs};
pub use connection::Connection;
pub use cost::{CostArgs, CostBy};
pub use foreign::{Flags, Foreign, ForeignCommand, OfConnections, OfEvents, OfJobs, Refused};
pub use heartbeat::{Heartbeat, HeartbeatArgs, NotesArgs};
pub use job::{AddArgs, BatchFlags, DeliveryFlags, EditArgs, PayloadFlags, RuleFlags, ScheduleFlags};
pub use plan::{CheckupArgs, DoctorArgs, PlanArgs};
pub use runs::{CancelArgs, MOST_RUNS, RunArgs, RunsArgs};
pub use secret::{RmSecretArgs, Secret, SetSecretArgs};
pub use sessions::{ListSessionsArgs, RmSessionArgs, SessionArg, Sessions};
pub use shelves::{
    DocumentArg, Documents, Memory, MemoryArgs, MemoryFileArgs, PutDocumentArgs, PutMemoryArgs, RemovalFlags,
    RmDocumentArgs, RmMemoryArgs, TextFlags,
};
pub use slips::slip;
pub use transfer::{ExportArgs, ImportArgs};
pub use words::{AlertMode, BatchMode, DeliveryStatus, Missed, OnTimeout, Overlap, RunPath, RunStatus, Sort, Wake};

/// Schedule jobs for AI agents, run them by hand and read what they did
#[derive(Debug, Parser)]
#[command(name = "nightshift", version, after_help = exit_codes(), max_term_width = 100)]
pub struct Cli {
    /// Where to call.
    #[command(flatten)]
    pub connection: Connection,

    /// What to do.
    #[command(subcommand)]
    pub command: Command,
}

const WHERE_SCRIPTS_GO: &str = "\
Where the script goes:
  bash        ~/.local/share/bash-completion/completions/nightshift
  zsh         a folder of $fpath, as the file _nightshift
  fish        ~/.config/fish/completions/nightshift.fish
  elvish      the file rc.elv
  powershell  the file that $PROFILE names";

/// What `--help` says about them.
fn exit_codes() -> String {
    let lines = ExitCode::ALL.map(|(code, meaning)| format!("\n  {:>3}  {meaning}", code as u8));
    format!("Exit codes:{}", lines.concat())
}

/// A command line that cannot be carried out.
#[derive(Debug)]
pub enum ReadError {
    /// It is none of ours, or asks for help.
    Clap(clap::Error),
    /// It names two ways to the API.
    Contradiction(ExpectedError),
}

impl Cli {
    /// Reads a command line, and what variables add to it.
    pub fn read<I>(arguments: I) -> Result<Self, ReadError>
    where
        I: IntoIterator,
        I::Item: Into<OsString> + Clone,
    {
        let matches = Self::command().try_get_matches_from(arguments).map_err(ReadError::Clap)?;
        let format = |error: clap::Error| ReadError::Clap(error.format(&mut Self::command()));
        let mut cli = Self::from_arg_matches(&matches).map_err(format)?;
        let typed = |name: &str| matches.value_source(name) == Some(ValueSource::CommandLine);
        cli.connection.settle(typed).map_err(ReadError::Contradiction)?;
        Ok(cli)
    }
}

/// What to do.
#[derive(Debug, Subcommand)]
pub enum Command {
    /// Jobs and their runs
    #[command(subcommand, visible_alias = "automations")]
    Cron(Cron),

    /// The agent's main session
    #[command(subcommand)]
    System(System),

    /// Heartbeats: the agent's main session looking around by itself
    #[command(subcommand)]
    Heartbeat(Heartbeat),

    /// Named sessions, whose history stays from run to run
    #[command(subcommand)]
    Sessions(Sessions),

    /// The configuration document
    #[command(subcommand)]
    Config(Config),

    /// The workspace's documents, which agents have in their system prompts
    #[command(subcommand)]
    Documents(Documents),

    /// What agents remember from run to run
    #[command(subcommand)]
    Memory(Memory),

    /// Find what stands still, and with --aws what a stack on AWS lacks
    ///
    /// Exits with 9 where something is left to be repaired.
    Doctor(CheckupArgs),

    /// Print a completion script for a shell
    #[command(after_help = WHERE_SCRIPTS_GO)]
    Completions {
        /// Which shell
        shell: Shell,
    },
}

/// Jobs and their runs.
#[derive(Debug, Subcommand)]
pub enum Cron {
    /// Add a job
    #[command(visible_alias = "create")]
    Add(Box<AddArgs>),

    /// List jobs
    List(ListArgs),

    /// Print a job as JSON
    Get(JobArg),

    /// Show a job: for people on a terminal, else as `get` does
    Show(JobArg),

    /// Change a job
    ///
    /// Only what is given changes.
    Edit(Box<EditArgs>),

    /// Remove a job
    #[command(visible_alias = "remove")]
    Rm(RmArgs),

    /// Let a job's schedule run it
    Enable(JobArg),

    /// Stop a job's schedule from running it
    Disable(JobArg),

    /// Run a job now
    Run(RunArgs),

    /// List runs, newest first
    Runs(RunsArgs),

    /// Stop a run, and its batch
    Cancel(CancelArgs),

    /// Show whether timers run, how many jobs there are, and when the next one runs
    Status,

    /// Show what runs cost and saved
    ///
    /// A run counts on the day (UTC) it was queued, with all it cost. This month so far unless a range is given; sums reach as
    /// far back as history does.
    Cost(CostArgs),
    /// Show when a job, or a schedule, runs next
    ///
    /// Nothing is stored.
    Plan(PlanArgs),

    /// Compare jobs with their timers, and find what stands still
    ///
    /// Exits with 9 where something is left to be repaired.
    Doctor(DoctorArgs),

    /// Take jobs, how they fared, and their history from OpenClaw or from an export
    ///
    /// Every field that cannot be carried is named. The same import again changes nothing. When some jobs or runs are not
    /// taken, the others are, and the exit code is 10.
    Import(ImportArgs),

    /// Write all jobs as one JSON document that import takes back
    Export(ExportArgs),

    /// Known from `OpenClaw`, refused here.
    #[command(hide = true)]
    Scratch(ForeignCommand),
}

/// A job.
#[derive(Debug, Args)]
pub struct JobArg {
    /// The job's id
    pub id: String,
}

/// Flags of `cron list`.
#[derive(Debug, Args)]
pub struct ListArgs {
    /// Include disabled jobs
    #[arg(long)]
    pub all: bool,

    /// Only jobs of this agent
    #[arg(long, value_name = "ID")]
    pub agent: Option<String>,

    /// Jobs per page, 1 to 200; all jobs are listed without it
    #[arg(long, value_name = "N", value_parser = clap::value_parser!(u32).range(1..=200))]
    pub limit: Option<u32>,

    /// Go on where the page before ended
    #[arg(long, value_name = "CURSOR")]
    pub cursor: Option<String>,
}

/// Flags of `cron rm`.
#[derive(Debug, Args)]
pub struct RmArgs {
    /// The job's id
    pub id: String,

    /// Do not ask
    ///
    /// Only a terminal is asked; a script's command is carried out.
    #[arg(long, short = 'y')]
    pub yes: bool,

    /// Stop its live runs too; they end without a delivery otherwise
    #[arg(long)]
    pub cancel_runs: bool,
}

/// The agent's main session.
#[derive(Debug, Subcommand)]
pub enum System {
    /// Queue a text for the agent's main session
    Event(EventArgs),

    /// Known from `OpenClaw`, refused here.
    #[command(hide = true)]
    Heartbeat(ForeignCommand),

    /// Known from `OpenClaw`, refused here.
    #[command(hide = true)]
    Presence(ForeignCommand),
}

/// Flags of `system event`.
#[derive(Debug, Args)]
pub struct EventArgs {
    /// What to tell the session
    #[arg(long, value_name = "TEXT", allow_hyphen_values = true)]
    pub text: String,

    /// Whose session; the default agent's without it
    #[arg(long, value_name = "ID")]
    pub agent: Option<String>,

    /// When the session looks at it
    #[arg(long, value_name = "MODE", value_enum, default_value_t = Wake::NextHeartbeat)]
    pub mode: Wake,

    /// Refused ones.
    #[command(flatten)]
    pub foreign: Refused<OfEvents>,
}
