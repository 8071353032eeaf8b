//! One step of an invocation: its next call, what is done to it, and what becomes of the invocation then.

use futures::poll;
use nightshift_engine::Clock;

use super::{Violation, World};
use crate::gate::{Call, Port, Verdict};
use crate::mishap::{Blow, Mishap};

/// The provider that all jobs use.
const PROVIDER: &str = "anthropic";

impl World {
    /// Lets invocation `n` make its next call, and go on to the one after it.
    pub(super) async fn step(&mut self, n: u64) -> Result<(), Violation> {
        let now = self.outside.clock.now();
        let waiting = self.switch.waiting(n, now);
        let Some(execution) = self.running.get_mut(&n) else { return Ok(()) };
        if let Some((ticket, call, held_up)) = waiting.get(self.chance.below(waiting.len())) {
            let blow = if *held_up { None } else { judge(&mut self.mishaps, call) };
            let verdict = match blow {
                None => Verdict::Go,
                Some(Blow::Verdict(verdict)) => verdict,
                Some(Blow::Stall(time)) => {
                    self.trace.line(|| format!("{now} {n} {:?} {} is held up for {time}", call.port, call.name));
                    self.tally.faults += 1;
                    self.tally.stalls += 1;
                    execution.hurt = true;
                    self.hurt.insert(n);
                    self.switch.hold_up(*ticket, now + time);
                    return Ok(());
                }
            };
            self.tally.calls += 1;
            self.trace.line(|| format!("{now} {n} {:?} {} {verdict:?}", call.port, call.name));
            if verdict != Verdict::Go {
                self.tally.faults += 1;
                execution.hurt = true;
                self.hurt.insert(n);
            }
            match verdict {
                Verdict::CrashBefore => {
                    self.tally.crashes += 1;
                    self.die(n, "it crashed before a call");
                    return Ok(());
                }
                Verdict::CrashAfter => {
                    self.tally.crashes += 1;
                    execution.doomed = Some(call.port);
                }
                Verdict::Go | Verdict::FailBefore | Verdict::FailAfter | Verdict::Throttle => {}
            }
            if call.port == Port::Store && call.name.contains("Stop") {
                self.stopped = Some(now);
            }
            if is_request(call) && self.stopped.is_some_and(|at| at < execution.started) && !execution.older {
                let stop = self.outside.store.stop(PROVIDER).await;
                let stop =
                    stop.map_err(|error| Violation { rule: "the table can be read", detail: format!("{error:?}") })?;
                if let Some(stop) = stop.filter(|stop| stop.holds(now)) {
                    let detail = format!("{} is sent at {now} although {}", call.name, stop.sentence());
                    return Err(Violation { rule: "nothing is sent to a provider that is stopped", detail });
                }
            }
            self.switch.let_on(*ticket, verdict);
        }
        execution.fresh = false;
        loop {
            match poll!(&mut execution.future) {
                std::task::Poll::Ready(finish) => {
                    self.finish(n, finish);
                    return Ok(());
                }
                std::task::Poll::Pending => {
                    if let Some(port) = execution.doomed
                        && self.switch.out(n, port) == 0
                    {
                        self.die(n, "it crashed after a call");
                        return Ok(());
                    }
                    // A real table answers when the machine gets round to it.
                    if self.switch.out(n, Port::Store) == 0 || self.switch.has_waiting(n, now) {
                        return Ok(());
                    }
                    tokio::task::yield_now().await;
                }
            }
        }
    }
}

/// Whether `call` asks a model for something that is paid.
fn is_request(call: &Call) -> bool {
    call.port == Port::Model && matches!(call.name.as_str(), "create" | "message")
}

/// What is done to `call`, if anything.
fn judge(mishaps: &mut Vec<Mishap>, call: &Call) -> Option<Blow> {
    let blow = mishaps.iter_mut().find_map(|mishap| mishap.strike(call));
    mishaps.retain(|mishap| !mishap.is_spent());
    blow
}
