//! Moves a manual clock: a day of timers in the time their work takes.
//!
//! Guarantee: time stands still while anything can still happen at the present instant, and never jumps past a timer, a
//! sleeper or a deadline. Settled means that every invocation in flight is parked in [`Clock::sleep_until`].

use chrono::{DateTime, TimeDelta, Utc};
use nightshift_engine::{Clock, ManualClock};

use crate::lambda::Lambda;
use crate::scheduler::Scheduler;
use crate::state::{StateDb, StateError};

const ROOM: &str = "clock";
const KEY: &str = "instant";

/// Drives a manual clock.
#[derive(Clone)]
pub(crate) struct Driver {
    clock: ManualClock,
    scheduler: Scheduler,
    lambda: Lambda,
    state: StateDb,
}

impl Driver {
    pub(crate) fn new(clock: ManualClock, scheduler: Scheduler, lambda: Lambda, state: StateDb) -> Self {
        Self { clock, scheduler, lambda, state }
    }

    /// Moves on by `step`; answers how many timers fired on the way.
    pub(crate) async fn advance(&self, step: TimeDelta) -> Result<usize, StateError> {
        let target = self.clock.now() + step;
        let mut fired = 0;
        loop {
            self.settle().await;
            fired += self.scheduler.fire_due().await;
            self.settle().await;
            let next = [self.scheduler.next_due(), self.clock.next_wake()].into_iter().flatten().min();
            let Some(next) = next.filter(|next| *next <= target) else { break };
            self.move_to(next)?;
        }
        self.move_to(target)?;
        self.settle().await;
        fired += self.scheduler.fire_due().await;
        self.settle().await;
        Ok(fired)
    }

    /// Waits until nothing can happen before time moves.
    pub(crate) async fn settle(&self) {
        loop {
            let (lambda, clock) = (self.lambda.changed(), self.clock.changed());
            if self.lambda.in_flight() <= self.clock.parked() {
                return;
            }
            tokio::select! {
                () = lambda => {}
                () = clock => {}
            }
        }
    }

    fn move_to(&self, instant: DateTime<Utc>) -> Result<(), StateError> {
        // Written first: a stack that is killed here starts at an instant that was certainly reached.
        self.state.put(ROOM, KEY, &serde_json::json!(instant))?;
        self.clock.advance_to(instant);
        Ok(())
    }
}

/// The instant a manual clock stood at when the stack was last stopped or killed.
pub(crate) fn remembered(state: &StateDb) -> Result<Option<DateTime<Utc>>, StateError> {
    Ok(state.get(ROOM, KEY)?.and_then(|value| serde_json::from_value(value).ok()))
}
