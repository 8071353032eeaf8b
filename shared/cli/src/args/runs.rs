//! Flags of the commands about runs.

use clap::Args;

use super::job::millis;
use super::{DeliveryStatus, OfRuns, Refused, RunPath, RunStatus};

/// Flags of `cron run`.
#[derive(Debug, Args)]
pub struct RunArgs {
    /// The job's id
    pub id: String,

    /// Run it whether it is due or not; this is the default
    #[arg(long, conflicts_with = "due")]
    pub force: bool,

    /// Run it only if it is due
    #[arg(long)]
    pub due: bool,

    /// Wait for the end of the run
    ///
    /// The answer goes to stdout, progress and a summary to stderr.
    #[arg(long)]
    pub wait: bool,

    /// How long to wait; the run goes on afterwards
    #[arg(long, value_name = "DURATION", default_value = "10m", value_parser = millis, requires = "wait")]
    pub wait_timeout: u64,

    /// How often to look
    #[arg(long, value_name = "DURATION", default_value = "2s", value_parser = millis, requires = "wait")]
    pub poll_interval: u64,
}

/// Flags of `cron runs`.
#[derive(Debug, Args)]
pub struct RunsArgs {
    /// Only runs of this job
    #[arg(value_name = "ID")]
    pub job: Option<String>,

    /// The same
    #[arg(long = "id", value_name = "ID", conflicts_with = "job")]
    pub job_flag: Option<String>,

    /// Show this run with its events; with a job's id, the part after the underscore will do
    #[arg(long, value_name = "RUN_ID", conflicts_with_all = ["limit", "cursor", "status", "delivery_status", "path"])]
    pub run_id: Option<String>,

    /// Only runs that stand so
    #[arg(long, value_name = "STATUS", value_enum)]
    pub status: Option<RunStatus>,

    /// Only runs whose delivery ended so
    #[arg(long, value_name = "STATUS", value_enum)]
    pub delivery_status: Option<DeliveryStatus>,

    /// Only runs that took this path
    #[arg(long, value_name = "PATH", value_enum)]
    pub path: Option<RunPath>,

    /// How many, 1 to 200
    #[arg(long, value_name = "N")]
    pub limit: Option<u32>,

    /// Where the page before ended
    #[arg(long, value_name = "CURSOR")]
    pub cursor: Option<String>,

    /// Refused ones.
    #[command(flatten)]
    pub foreign: Refused<OfRuns>,
}

impl RunsArgs {
    /// The job, either way it was given.
    pub fn job_id(&self) -> Option<&str> {
        self.job.as_deref().or(self.job_flag.as_deref())
    }
}

/// Flags of `cron cancel`.
#[derive(Debug, Args)]
pub struct CancelArgs {
    /// The run's id
    #[arg(value_name = "RUN_ID")]
    pub run_id: String,
}
