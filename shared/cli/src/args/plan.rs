//! Flags of `cron plan` and `cron doctor`.

use clap::Args;

use super::ScheduleFlags;

const EXAMPLES: &str = "\
Examples:
  nightshift cron plan 0d5ad75b-8d24-4a7b-b4b0-4e5ff4e5a4c5
  nightshift cron plan \"30 2 * * *\" --tz Europe/Vienna --from 2026-03-27 --count 5
  nightshift cron plan --every 90s";

/// Flags of `cron plan`.
#[derive(Debug, Args)]
#[command(after_help = EXAMPLES)]
pub struct PlanArgs {
    /// A job's id, or a schedule: a cron expression, a duration from now, an ISO time, or "every 20m"
    #[arg(value_name = "JOB_OR_SCHEDULE")]
    pub first: Option<String>,

    /// When.
    #[command(flatten)]
    pub schedule: ScheduleFlags,

    /// Agent whose time zone a schedule without one is read in
    #[arg(long, value_name = "ID")]
    pub agent: Option<String>,

    /// How many times to show, 1 to 100
    #[arg(long, value_name = "N", default_value_t = 10)]
    pub count: u32,

    /// Show the times from here on: an ISO time, or a duration from now such as 30d
    #[arg(long, value_name = "WHEN")]
    pub from: Option<String>,
}

/// Flags of `cron doctor`.
#[derive(Debug, Args)]
pub struct DoctorArgs {
    /// Repair what is found
    #[arg(long, visible_alias = "repair")]
    pub fix: bool,

    /// Read every job's timer and compare what it holds; a call per job
    #[arg(long)]
    pub deep: bool,
}

/// Flags of `doctor`.
#[derive(Debug, Args)]
pub struct CheckupArgs {
    /// Look at a stack on AWS: functions, table, timers, address, secrets
    ///
    /// Reads only, with your AWS credentials; --stack names it. Without this flag jobs are compared with their timers, as
    /// `cron doctor` does.
    #[arg(long, conflicts_with_all = ["fix", "deep"])]
    pub aws: bool,

    /// What `cron doctor` does.
    #[command(flatten)]
    pub jobs: DoctorArgs,
}
