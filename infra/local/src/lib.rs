//! The whole stack in one process: table, timers, functions, model and console, each over its real API on loopback.
//!
//! It is where tests start and where people start, and it knows nothing that a function could not know on AWS.

mod actions;
mod advance;
pub mod console;
pub mod endpoints;
mod front;
pub mod functions;
pub mod gate;
pub mod lambda;
pub mod left;
pub mod options;
pub mod scheduler;
pub mod stack;
pub mod state;
mod table;

pub use options::{ClockChoice, FunctionHost, ModelChoice, Options};
pub use stack::{DEFAULT_PORT, Ready, Stack};
