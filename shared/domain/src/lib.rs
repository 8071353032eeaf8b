//! Jobs, schedules and the run state machine: every decision Nightshift makes, as pure functions over data.
//!
//! Nothing here reads a clock, the network or the environment: `now` is always a parameter, and what to do next comes back
//! as [`run::Effect`]s that `engine` performs. It knows nothing of DynamoDB, EventBridge, HTTP or any chat platform.

pub mod alert;
pub mod attempts;
pub mod aws;
pub mod batch;
pub mod budget;
pub mod config;
pub mod cost;
pub mod delivery;
pub mod event;
pub mod fault;
pub mod heartbeat;
pub mod ids;
pub mod job;
pub mod memory;
pub mod metrics;
pub mod model;
pub mod money;
pub mod planner;
pub mod prompt;
pub mod run;
pub mod run_token;
pub mod schedule;
pub mod session;
pub mod shelf;
pub mod signing;
pub mod stop;
pub mod tools;

pub use fault::FieldError;
pub use ids::{AttemptId, JobId, RunKey};
