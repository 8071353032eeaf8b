//! Flags of the commands about runs.

use clap::Args;

use super::job::millis;
use super::{DeliveryStatus, RunPath, RunStatus, Sort};

/// Flags of `cron run`.
#[derive(Debug, Args)]
pub struct RunArgs {
    /// The job's id
    pub id: String,

    /// Run it now, due or not; this is the default
    #[arg(long, conflicts_with = "due")]
    pub force: bool,

    /// Run it only if it is due
    #[arg(long)]
    pub due: bool,

    /// Wait for the end of the run
    ///
    /// The answer goes to stdout, progress and a summary to stderr. Exit code 7 says that the run did not succeed, 8 that it
    /// goes on after --wait-timeout, 130 that Ctrl-C ended the wait; the run itself goes on then.
    #[arg(long)]
    pub wait: bool,

    /// How long to wait; the run goes on afterwards
    #[arg(long, value_name = "DURATION", default_value = "10m", value_parser = millis, requires = "wait")]
    pub wait_timeout: u64,

    /// How often to look
    #[arg(long, value_name = "DURATION", default_value = "2s", value_parser = millis, requires = "wait")]
    pub poll_interval: u64,
}

/// Most runs `cron runs` lists at once, as in `OpenClaw`.
pub const MOST_RUNS: u32 = 5000;

/// Flags of `cron runs`.
#[derive(Debug, Args)]
pub struct RunsArgs {
    /// Only runs of this job; a removed job's too, while its history is kept
    #[arg(value_name = "ID")]
    pub job: Option<String>,

    /// Same as the argument
    #[arg(long = "id", value_name = "ID", conflicts_with = "job")]
    pub job_flag: Option<String>,

    /// Show this run with everything that happened to it
    ///
    /// A job's table may show the end of a run's id only: with the job's id that is enough.
    #[arg(long, value_name = "RUN_ID", conflicts_with_all = ["limit", "cursor", "status", "delivery_status", "path",
        "query", "sort", "offset"])]
    pub run_id: Option<String>,

    /// Only runs with this status
    #[arg(long, value_name = "STATUS", value_enum)]
    pub status: Option<RunStatus>,

    /// Only runs whose delivery has this status
    #[arg(long, value_name = "STATUS", value_enum)]
    pub delivery_status: Option<DeliveryStatus>,

    /// Only runs that took this path
    #[arg(long, value_name = "PATH", value_enum)]
    pub path: Option<RunPath>,

    /// Only runs that have this text in their id, job's name, answer or error
    ///
    /// Letter case does not matter. Of a long answer only the beginning is looked at.
    #[arg(long, value_name = "TEXT", conflicts_with = "cursor")]
    pub query: Option<String>,

    /// Order of the rows; either way it is the newest runs that are shown
    #[arg(long, value_name = "DIRECTION", value_enum, default_value_t = Sort::Desc)]
    pub sort: Sort,

    /// How many, 1 to 5000; 50 without it
    #[arg(long, value_name = "N", value_parser = clap::value_parser!(u32).range(1..=i64::from(MOST_RUNS)))]
    pub limit: Option<u32>,

    /// Leave out the newest N
    #[arg(long, value_name = "N", conflicts_with = "cursor")]
    pub offset: Option<u32>,

    /// Go on where the page before ended
    #[arg(long, value_name = "CURSOR")]
    pub cursor: Option<String>,
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
