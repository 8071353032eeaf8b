//! What became of an import, in the words of the API.

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use crate::FieldError;

/// A field that could not be carried.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct Dropped {
    /// Where it stood, as a path: `delivery.completionDestination`.
    pub field: String,
    /// Why it stays behind, and what that means.
    pub reason: String,
}

/// What became of one job.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "lowercase")]
pub enum JobOutcome {
    /// It is new here.
    Added,
    /// It is here already, defined as it comes.
    Unchanged,
    /// It was here and is now defined as it comes.
    Updated,
    /// Its id belongs to a job that is defined otherwise, which stays as it is.
    Conflict,
    /// It cannot be run here; nothing was changed.
    Refused,
}

/// One job of an import.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct JobReport {
    /// Its id where it comes from; `null` where it had none.
    pub source_id: Option<String>,
    /// Its id here.
    pub job_id: String,
    /// What people call it.
    pub name: String,
    /// What became of it.
    pub outcome: JobOutcome,
    /// What could not be carried.
    pub dropped: Vec<Dropped>,
    /// What else a person should know.
    pub notes: Vec<String>,
    /// What speaks against it.
    pub faults: Vec<FieldError>,
}

/// The runs of an import.
#[derive(Debug, Clone, PartialEq, Eq, Default, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct RunsReport {
    /// How many are now history.
    pub imported: u64,
    /// How many were history already.
    pub unchanged: u64,
    /// How many are older than history is kept, and were left out.
    pub expired: u64,
    /// Those that cannot be read.
    pub refused: Vec<RefusedRun>,
}

/// A run that cannot be read.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct RefusedRun {
    /// Its place in the request's list, from 1; for the command line, its line in the file.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub line: Option<u64>,
    /// The file, where the command line read one.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub file: Option<String>,
    /// Why.
    pub reason: String,
}
