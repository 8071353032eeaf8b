//! The commands of named sessions.

use clap::{Args, Subcommand};

/// Named sessions.
#[derive(Debug, Subcommand)]
pub enum Sessions {
    /// List an agent's sessions
    List(ListSessionsArgs),

    /// Show a session, and what its next run begins with
    #[command(visible_alias = "get")]
    Show(SessionArg),

    /// Remove a session: its next run begins without a history
    ///
    /// One that a run is using is left alone.
    #[command(visible_alias = "remove")]
    Rm(RmSessionArgs),
}

/// Flags of `sessions list`.
#[derive(Debug, Args)]
pub struct ListSessionsArgs {
    /// Whose; the default agent's without it
    #[arg(long, value_name = "ID")]
    pub agent: Option<String>,

    /// Sessions per page, 1 to 200; all are listed without it
    #[arg(long, value_name = "N", value_parser = clap::value_parser!(u32).range(1..=200))]
    pub limit: Option<u32>,

    /// Go on where the page before ended
    #[arg(long, value_name = "CURSOR")]
    pub cursor: Option<String>,
}

/// A session.
#[derive(Debug, Args)]
pub struct SessionArg {
    /// Its name: what a job says after `session:`
    pub name: String,

    /// Whose; the default agent's without it
    #[arg(long, value_name = "ID")]
    pub agent: Option<String>,
}

/// Flags of `sessions rm`.
#[derive(Debug, Args)]
pub struct RmSessionArgs {
    /// Which.
    #[command(flatten)]
    pub session: SessionArg,

    /// Do not ask
    ///
    /// Only a terminal is asked; a script's command is carried out.
    #[arg(long, short = 'y')]
    pub yes: bool,
}
