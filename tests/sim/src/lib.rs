//! The whole system in one process, on one manual clock: the real handlers and the real engine on a table in memory, with
//! timers, models and channels that keep their own books. Every call of a handler to the world outside goes through a
//! [`gate`], which says when it goes on and what goes wrong with it.
//!
//! Guarantee: nothing here depends on the machine's time, on chance that is not seeded, or on the order in which threads
//! run, so that the same operations end in the same state.

pub mod channel;
pub mod gate;
pub mod ledger;
pub mod main_session;
pub mod provider;
mod purse;

pub mod case;
pub mod chance;
pub mod diary;
#[path = "../../../infra/local/src/scheduler/expression/mod.rs"]
pub mod expression;
pub mod generate;
pub mod hunt;
pub mod invariants;
pub mod lambda;
pub mod mishap;
pub mod mutants;
pub mod older;
pub mod ops;
pub mod outside;
pub mod ports;
pub mod queue;
pub mod regressions;
pub mod switch;
pub mod tally;
pub mod timers;
pub mod trace;
pub mod web;
pub mod world;
