//! Jobs, schedules and the run state machine: every decision, no IO
