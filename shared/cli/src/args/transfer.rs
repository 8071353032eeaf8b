//! Flags of `cron import` and `cron export`.

use std::path::PathBuf;

use clap::Args;

/// Flags of `cron import`.
#[derive(Debug, Args)]
pub struct ImportArgs {
    /// What to read: a file, a folder, or - for standard input
    ///
    /// What it is is told by its content: an OpenClaw store (jobs.json), what `openclaw cron list --all --json` and
    /// `openclaw cron runs --json` print, run logs (JSONL), an OpenClaw state database (state/openclaw.sqlite), a folder
    /// with any of them (~/.openclaw, ~/.openclaw/cron), or what `nightshift cron export` wrote.
    #[arg(value_name = "PATH", required_unless_present = "runs")]
    pub files: Vec<PathBuf>,

    /// Run logs to read beside that; of what is found there only runs are taken
    #[arg(long, value_name = "PATH", num_args = 1..)]
    pub runs: Vec<PathBuf>,

    /// Say what would become of it, and write nothing
    #[arg(long)]
    pub dry_run: bool,

    /// Redefine jobs that are here under the same id and differ; they stay as they are without it
    #[arg(long)]
    pub update: bool,
}

/// Flags of `cron export`.
#[derive(Debug, Args)]
pub struct ExportArgs {
    /// Include the history: every finished run with its answer
    ///
    /// What runs cost, and what happened in them step by step, is not exported.
    #[arg(long)]
    pub runs: bool,

    /// The file to write; standard output without it
    #[arg(long, short = 'o', value_name = "FILE")]
    pub output: Option<PathBuf>,
}
