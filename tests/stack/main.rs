//! The whole stack in one process, on a manual clock: what a person asks of it, and what breaks around it. Every test
//! starts a stack of its own.

mod alerts;
mod bad_input;
mod budgets;
mod calls;
mod doctor;
mod end_to_end;
mod examples;
mod faults;
mod heartbeats;
mod ledger;
mod mcp;
mod moving;
mod occurrences;
mod places;
mod punctual;
mod reach;
mod regressions;
mod results;
mod routes;
mod scale;
mod sessions;
mod spend_limit;
mod turns;
mod windows;
