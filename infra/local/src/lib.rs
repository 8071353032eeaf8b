//! The whole stack in one process: table, timers, functions, model and console
pub mod lambda;
pub mod scheduler;
pub mod state;
