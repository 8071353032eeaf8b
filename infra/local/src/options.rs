//! How a stack is started.

use std::path::PathBuf;

use chrono::{DateTime, Utc};
use nightshift_engine::ports::Secret;

/// How a stack is started.
#[derive(Debug, Clone)]
pub struct Options {
    /// Everything that must outlive the process.
    pub state_dir: PathBuf,
    /// The front's port; the parts have the five after it. 0 means any, for all of them.
    pub port: u16,
    /// The clock.
    pub clock: ClockChoice,
    /// The model.
    pub model: ModelChoice,
    /// Who runs the functions.
    pub functions: FunctionHost,
    /// More variables of functions that are processes of their own.
    pub variables: Vec<(String, String)>,
    /// Written when everything answers.
    pub ready_file: Option<PathBuf>,
    /// Whether deliveries to the console are printed.
    pub print: bool,
}

impl Options {
    /// What tests and most people start with: any ports, functions in the process, the fake model.
    pub fn new(state_dir: impl Into<PathBuf>) -> Self {
        Self {
            state_dir: state_dir.into(),
            port: 0,
            clock: ClockChoice::Real,
            model: ModelChoice::Fake,
            functions: FunctionHost::InProcess,
            variables: Vec::new(),
            ready_file: None,
            print: false,
        }
    }

    /// The same on a manual clock that starts at `start`, unless the state folder remembers a later instant.
    #[must_use]
    pub fn manual(mut self, start: DateTime<Utc>) -> Self {
        self.clock = ClockChoice::Manual(Some(start));
        self
    }
}

/// The stack's clock.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum ClockChoice {
    /// The machine's.
    Real,
    /// One that moves when told, from this instant or from where it stood.
    Manual(Option<DateTime<Utc>>),
}

/// The stack's model.
#[derive(Debug, Clone)]
pub enum ModelChoice {
    /// The bundled fake.
    Fake,
    /// The real API with this key.
    Real(Secret),
    /// Whatever answers at this address.
    At(String),
}

/// Who runs the functions.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum FunctionHost {
    /// Handlers in the process.
    InProcess,
    /// The real binaries, over a Runtime API of ours.
    Binaries {
        /// Where they are.
        dir: PathBuf,
    },
    /// `cargo lambda watch`.
    CargoLambda {
        /// The workspace.
        project: PathBuf,
        /// The `cargo-lambda` executable.
        cargo_lambda: PathBuf,
    },
}
