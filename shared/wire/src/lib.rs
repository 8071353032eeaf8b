//! What the API says, as JSON types, and the exit codes of the command line: shared by the `api` function and the CLI.
//!
//! A field here is a promise to scripts: fields are added, never renamed or dropped. A job's JSON is
//! [`nightshift_domain::job::Job`] itself. It knows no HTTP and no storage.

mod answers;
mod doctor;
mod error;
mod exit;
mod heartbeat;
mod plan;
pub mod profile;
pub mod requests;
mod run;
pub mod schema;
mod session;
mod shelves;
mod tool;

/// The header with the time at the API, epoch ms: what `20m` and "in 5m" count from, also on a stack whose clock is not the
/// caller's.
pub const NOW_HEADER: &str = "nightshift-now-ms";

pub use answers::{
    CancelAnswer, ConfigAnswer, ConfigApplied, ConfigValidated, CostAnswer, CostRow, CostSum, EventAnswer,
    HealthAnswer, HookAnswer, ImportAnswer, JobAnswer, JobPage, RemoveAnswer, RunAnswer, RunPage, StatusAnswer,
    StopView,
};
pub use doctor::{DoctorAnswer, FindingView};
pub use error::{ApiError, ErrorBody};
pub use exit::ExitCode;
pub use heartbeat::{HeartbeatAnswer, NotesAnswer};
pub use nightshift_domain::job::import::{Dropped, JobOutcome, JobReport, RefusedRun, RunsReport};
pub use plan::{AwsKind, AwsView, ForecastView, PlanAnswer, PlannedStart, SkippedTime};
pub use run::{BatchView, FailureView, HopView, RunView, SUMMARY_CHARS, summary_of};
pub use session::{SAID_CHARS, SaidView, SessionAnswer, SessionPage, SessionView};
pub use shelves::{
    DocumentAnswer, DocumentList, DocumentPut, DocumentView, MemoryAnswer, MemoryFileView, MemoryList, MemoryPut,
};
pub use tool::{ToolState, ToolView};

/// A job as the API shows it.
pub type JobView = nightshift_domain::job::Job;
