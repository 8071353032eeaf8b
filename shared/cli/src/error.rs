//! Failures that are the user's or the world's, each with its exit code. Anything else that goes wrong is a bug and is
//! reported as one.

use std::error::Error;
use std::path::PathBuf;

use nightshift_domain::FieldError;
use nightshift_domain::schedule::ScheduleError;
use nightshift_wire::profile::ProfileError;
use nightshift_wire::{ApiError, ExitCode};
use serde_json::{Value, json};

pub use crate::aws::AwsFailure;
use crate::aws::LOG_IN;

/// A failure somebody can do something about.
#[derive(Debug, thiserror::Error)]
pub enum ExpectedError {
    /// The flags contradict each other or say nothing.
    #[error("{message}")]
    Usage {
        /// One sentence, without a full stop.
        message: String,
        /// What to write instead.
        hint: Option<String>,
    },
    /// A file cannot be read.
    #[error("failed to read {}", path.display())]
    ReadFile {
        /// The file.
        path: PathBuf,
        /// Why.
        #[source]
        source: std::io::Error,
    },
    /// A file is no JSON.
    #[error("{} is not JSON", path.display())]
    ParseFile {
        /// The file.
        path: PathBuf,
        /// Where and why.
        #[source]
        source: serde_json::Error,
    },
    /// A file cannot be written.
    #[error("failed to write {}", path.display())]
    WriteFile {
        /// The file.
        path: PathBuf,
        /// Why.
        #[source]
        source: std::io::Error,
    },
    /// A database cannot be read.
    #[error("failed to read the database {}", path.display())]
    ReadDatabase {
        /// The file.
        path: PathBuf,
        /// Why.
        #[source]
        source: rusqlite::Error,
    },
    /// Nothing tells where Nightshift is.
    #[error(
        "no Nightshift found: start one with `make run`, name its folder in NIGHTSHIFT_STATE_DIR, name one on AWS with --stack, or \
         give --url and --token"
    )]
    NoEndpoint,
    /// The local stack's profile cannot be used.
    #[error("the local stack's profile cannot be used")]
    Profile(#[source] ProfileError),
    /// An address is known, a token is not.
    #[error("no token for {url}")]
    NoToken {
        /// The address.
        url: String,
    },
    /// AWS is needed, and nothing says in which region.
    #[error("no AWS region is set")]
    NoRegion,
    /// AWS is needed, and nothing says as whom.
    #[error("no AWS credentials can be had")]
    NoCredentials {
        /// Why.
        #[source]
        source: Option<Box<dyn Error + Send + Sync>>,
    },
    /// There is no deployment of that name.
    #[error("there is no stack {stack} with an address in {region}")]
    NoStack {
        /// Its name.
        stack: String,
        /// Where it was looked for.
        region: String,
    },
    /// AWS did not let a call through to the API.
    #[error("AWS refused the call of {url}: {said}")]
    Forbidden {
        /// The address.
        url: String,
        /// What it said.
        said: String,
        /// What to do about it.
        hint: &'static str,
    },
    /// Another call of AWS failed.
    #[error(transparent)]
    Aws(#[from] Box<AwsFailure>),
    /// Nobody answers.
    #[error("Nightshift does not answer at {url}")]
    Unreachable {
        /// The address.
        url: String,
        /// Whether the address came from a local stack's profile.
        local: bool,
        /// Why.
        #[source]
        source: reqwest::Error,
    },
    /// The API answered with an error.
    #[error(transparent)]
    Api(#[from] Box<ApiFailure>),
    /// Something answered that is no Nightshift.
    #[error("{url} answered with status {status} and no JSON; is it a Nightshift?")]
    Stranger {
        /// The address.
        url: String,
        /// The HTTP status.
        status: u16,
    },
    /// The API did not start a run.
    #[error("no run was started: {reason}")]
    NotStarted {
        /// Why.
        reason: String,
    },
    /// There was nothing to remove.
    #[error("there is no job {id}")]
    NoSuchJob {
        /// The id that was asked for.
        id: String,
    },
    /// There was no secret to remove.
    #[error("the stack {stack} has no secret {name}")]
    NoSuchSecret {
        /// The stack.
        stack: String,
        /// The secret that was named.
        name: String,
    },
    /// The field of the configuration that was asked for is not there.
    #[error("{path} is not set")]
    NotSet {
        /// Where it would be.
        path: String,
        /// What to ask for instead.
        hint: Option<String>,
    },
    /// A document could not be applied; nobody tried.
    #[error("{} fields of the document are not valid", .0.len())]
    BadFields(Vec<FieldError>),
    /// There is no such job, and nothing is left of one.
    #[error("there is no job {id}, and no history of one")]
    NoHistory {
        /// The id that was asked for.
        id: String,
    },
    /// The person at the terminal said no.
    #[error("not confirmed, nothing was changed")]
    NotConfirmed,
    /// The awaited run did not end well.
    #[error("{message}")]
    RunFailed {
        /// What happened to it.
        message: String,
    },
    /// The doctor found what is not repaired, or could not look at everything.
    #[error("{message}")]
    Unwell {
        /// How much.
        message: String,
        /// Whether `cron doctor --fix` is worth a try.
        fixable: bool,
    },
    /// Some of an import was not taken.
    #[error("not taken: {what}")]
    Partial {
        /// How many of what.
        what: String,
        /// Some are here already and differ.
        conflicts: bool,
    },
    /// The awaited run did not end in time.
    #[error("run {run_id} has not ended after {waited}")]
    WaitTimedOut {
        /// The run.
        run_id: String,
        /// How long was waited.
        waited: String,
    },
    /// Somebody pressed Ctrl-C while a run was waited for.
    #[error("no longer waiting for run {run_id}")]
    Interrupted {
        /// The run.
        run_id: String,
    },
}

/// An error the API answered with.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("{}", body.error.message)]
pub struct ApiFailure {
    /// The HTTP status.
    pub status: u16,
    /// What it said.
    pub body: ApiError,
}

impl ExpectedError {
    /// A usage error without a hint.
    pub fn usage(message: impl Into<String>) -> Self {
        Self::Usage { message: message.into(), hint: None }
    }

    /// A usage error with one.
    pub fn usage_hint(message: impl Into<String>, hint: impl Into<String>) -> Self {
        Self::Usage { message: message.into(), hint: Some(hint.into()) }
    }

    /// Whether the same question may be answered a little later.
    pub fn is_passing(&self) -> bool {
        matches!(self, Self::Unreachable { .. } | Self::Stranger { status: 500.., .. })
            || matches!(self, Self::Api(failure) if failure.status == 429 || failure.status >= 500)
    }

    /// Every bad field, where fields are what is wrong.
    pub fn fields(&self) -> &[FieldError] {
        if let Self::Api(failure) = self {
            &failure.body.error.fields
        } else if let Self::BadFields(fields) = self {
            fields
        } else {
            &[]
        }
    }

    /// The same for a program, in the API's words where it spoke.
    pub fn to_json(&self) -> Value {
        let error = if let Self::Api(failure) = self {
            json!(failure.body.error)
        } else {
            json!({"code": self.exit().word(), "message": self.to_string(), "hint": self.hint()})
        };
        json!({"ok": false, "error": error, "exitCode": self.exit() as u8})
    }

    /// The exit code.
    pub fn exit(&self) -> ExitCode {
        match self {
            Self::Usage { .. }
            | Self::ReadFile { .. }
            | Self::WriteFile { .. }
            | Self::ReadDatabase { .. }
            | Self::ParseFile { .. }
            | Self::NoRegion
            | Self::NotConfirmed => ExitCode::Usage,
            Self::Partial { .. } => ExitCode::Partial,
            Self::NoEndpoint
            | Self::Profile(_)
            | Self::NoStack { .. }
            | Self::Unreachable { .. }
            | Self::Stranger { .. } => ExitCode::Unreachable,
            Self::NoToken { .. } | Self::NoCredentials { .. } | Self::Forbidden { .. } => ExitCode::Unauthorized,
            Self::NotStarted { .. } | Self::BadFields(_) => ExitCode::Refused,
            Self::NoSuchJob { .. } | Self::NoSuchSecret { .. } | Self::NotSet { .. } | Self::NoHistory { .. } => {
                ExitCode::NotFound
            }
            Self::RunFailed { .. } => ExitCode::RunFailed,
            Self::WaitTimedOut { .. } => ExitCode::WaitTimedOut,
            Self::Interrupted { .. } => ExitCode::Interrupted,
            Self::Unwell { .. } => ExitCode::Unwell,
            Self::Api(failure) => ExitCode::of_status(failure.status),
            Self::Aws(failure) => failure.exit(),
        }
    }

    /// What to do about it.
    pub fn hint(&self) -> Option<String> {
        let fixed = match self {
            Self::Usage { hint, .. } | Self::NotSet { hint, .. } => return hint.clone(),
            // Each field was told with its own.
            Self::Api(failure) if !failure.body.error.fields.is_empty() => return None,
            Self::Api(failure) => match (&failure.body.error.hint, failure.status) {
                (Some(hint), _) => return Some(hint.clone()),
                (None, 401) => "check --token or NIGHTSHIFT_TOKEN",
                (None, 404) => "`nightshift cron list --all` and `nightshift cron runs` show the ids",
                (None, _) => return None,
            },
            Self::Aws(failure) => return failure.hint().map(str::to_owned),
            Self::NoToken { .. } => {
                "give it with --token or NIGHTSHIFT_TOKEN; --iam signs with AWS credentials instead, where the address has AWS IAM auth"
            }
            Self::NoRegion => {
                "give --region or AWS_REGION, or set one in the profile: `aws configure set region eu-central-1`"
            }
            Self::NoCredentials { .. } => LOG_IN,
            Self::NoStack { .. } => "check --stack, --region and AWS_PROFILE",
            Self::Forbidden { hint, .. } => hint,
            Self::NoSuchSecret { .. } => "`nightshift config secret list` shows the names",
            Self::Unreachable { local: true, .. } => {
                "the local stack seems to have stopped: start it with `make run`, or give --url and --token"
            }
            Self::Unreachable { local: false, .. } => "check --url or NIGHTSHIFT_URL",
            Self::NoSuchJob { .. } => "`nightshift cron list --all` shows the ids",
            Self::NoHistory { .. } => {
                "`nightshift cron list --all` shows the ids of jobs, `nightshift cron runs` all runs"
            }
            Self::Unwell { fixable: true, .. } => "`nightshift cron doctor --fix` repairs what it can",
            Self::WaitTimedOut { run_id, .. } => {
                return Some(format!("it goes on; look at it with `nightshift cron runs --run-id {run_id}`"));
            }
            Self::Partial { conflicts: true, .. } => {
                "the reasons are above; --update redefines jobs that are here and differ"
            }
            Self::Partial { conflicts: false, .. } => "the reasons are above; everything else was taken",
            Self::Interrupted { run_id } => {
                return Some(format!(
                    "it goes on; look at it with `nightshift cron runs --run-id {run_id}`, or stop it with `nightshift cron \
                     cancel {run_id}`"
                ));
            }
            Self::ReadDatabase { .. } => {
                "stop OpenClaw's gateway, or use what `openclaw cron list --all --json` prints"
            }
            Self::ReadFile { .. }
            | Self::WriteFile { .. }
            | Self::ParseFile { .. }
            | Self::NoEndpoint
            | Self::Profile(_)
            | Self::Stranger { .. }
            | Self::NotStarted { .. }
            | Self::BadFields(_)
            | Self::NotConfirmed
            | Self::Unwell { fixable: false, .. }
            | Self::RunFailed { .. } => return None,
        };
        Some(fixed.to_owned())
    }
}

impl From<AwsFailure> for ExpectedError {
    fn from(failure: AwsFailure) -> Self {
        Self::Aws(Box::new(failure))
    }
}

impl From<ScheduleError> for ExpectedError {
    fn from(error: ScheduleError) -> Self {
        Self::Usage { message: error.message, hint: error.hint }
    }
}
