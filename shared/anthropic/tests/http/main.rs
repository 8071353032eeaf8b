//! The adapter against servers that answer, break off, or say nothing.
#![expect(clippy::unwrap_used, reason = "helpers of tests, which clippy knows only inside test functions")]

mod create;
mod reads;
mod results;
mod server;
mod streams;
mod turns;
