//! The flags of `cron cost`.

use clap::{Args, ValueEnum};

/// Flags of `cron cost`.
#[derive(Debug, Args)]
pub struct CostArgs {
    /// Only this job's runs
    pub job: Option<String>,

    /// Only runs of this agent
    #[arg(long, value_name = "ID")]
    pub agent: Option<String>,

    /// What the rows are by; days and months are UTC's
    #[arg(long, value_name = "WHAT", value_enum, default_value_t = CostBy::Job)]
    pub by: CostBy,

    /// Runs from here on: 2026-11-01, an ISO time, or 7d for a week back; the first of the month without it
    #[arg(long, value_name = "TIME")]
    pub from: Option<String>,

    /// Runs up to here: a date includes its day; now without it
    #[arg(long, value_name = "TIME")]
    pub to: Option<String>,

    /// Print comma-separated values, without a total
    #[arg(long)]
    pub csv: bool,
}

/// What costs are summed by.
#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
pub enum CostBy {
    /// The job
    Job,
    /// The agent that answered
    Agent,
    /// The model that answered
    Model,
    /// Realtime or batch, answer by answer
    Path,
    /// The day the run was queued
    Day,
    /// The month the run was queued
    Month,
}

impl CostBy {
    /// The word the API knows it by.
    pub fn word(self) -> &'static str {
        match self {
            Self::Job => "job",
            Self::Agent => "agent",
            Self::Model => "model",
            Self::Path => "path",
            Self::Day => "day",
            Self::Month => "month",
        }
    }
}
