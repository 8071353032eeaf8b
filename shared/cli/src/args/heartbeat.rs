//! The commands of heartbeats.

use std::path::PathBuf;

use clap::{Args, Subcommand};

/// Heartbeats.
#[derive(Debug, Subcommand)]
pub enum Heartbeat {
    /// Show how an agent's heartbeats fare, and the last of them
    Last(HeartbeatArgs),

    /// Show what an agent's heartbeats keep in mind, or write it
    ///
    /// The notes are a file of the agent's memory, /memories/heartbeat.md, which every heartbeat reads and may change. A
    /// heartbeat with notes is a turn even where nothing else waits.
    Notes(NotesArgs),
}

/// Whose heartbeats.
#[derive(Debug, Args)]
pub struct HeartbeatArgs {
    /// Whose; the default agent's without it
    #[arg(long, value_name = "ID")]
    pub agent: Option<String>,
}

/// Flags of `heartbeat notes`.
#[derive(Debug, Args)]
pub struct NotesArgs {
    /// Whose.
    #[command(flatten)]
    pub whose: HeartbeatArgs,

    /// The notes as they are to be
    #[arg(long, value_name = "TEXT", allow_hyphen_values = true, group = "written")]
    pub set: Option<String>,

    /// Where the notes are that are to be, or - for standard input
    #[arg(long, value_name = "FILE", group = "written")]
    pub file: Option<PathBuf>,

    /// Leave none
    #[arg(long, group = "written")]
    pub unset: bool,

    /// Refuse unless the stored notes are of this revision; 0 is none
    #[arg(long, value_name = "REVISION", requires = "written")]
    pub expected_revision: Option<u64>,
}
