//! How much a simulation did.

use std::fmt;
use std::ops::AddAssign;

/// Counts of what was done.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Tally {
    /// Lists of operations.
    pub cases: u64,
    /// Operations.
    pub operations: u64,
    /// Invocations that were started.
    pub invocations: u64,
    /// Their calls to the world outside.
    pub calls: u64,
    /// Timers that fired.
    pub fires: u64,
    /// Calls that were made to fail.
    pub faults: u64,
    /// Of those, the ones that killed the invocation.
    pub crashes: u64,
    /// And the ones that held it up.
    pub stalls: u64,
    /// Invocations that ran out of time.
    pub timeouts: u64,
    /// Invocations that failed.
    pub failures: u64,
    /// Envelopes that were given up.
    pub dead_letters: u64,
    /// Simulated time, minutes.
    pub minutes: u64,
}

impl AddAssign for Tally {
    fn add_assign(&mut self, other: Self) {
        self.cases += other.cases;
        self.operations += other.operations;
        self.invocations += other.invocations;
        self.calls += other.calls;
        self.fires += other.fires;
        self.faults += other.faults;
        self.crashes += other.crashes;
        self.stalls += other.stalls;
        self.timeouts += other.timeouts;
        self.failures += other.failures;
        self.dead_letters += other.dead_letters;
        self.minutes += other.minutes;
    }
}

impl fmt::Display for Tally {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(
            formatter,
            "{} cases, {} operations, {} simulated days, {} invocations, {} calls, {} fires, {} faults ({} crashes, \
             {} stalls), {} time-outs, {} failed invocations, {} dead letters",
            self.cases,
            self.operations,
            self.minutes / (24 * 60),
            self.invocations,
            self.calls,
            self.fires,
            self.faults,
            self.crashes,
            self.stalls,
            self.timeouts,
            self.failures,
            self.dead_letters,
        )
    }
}
