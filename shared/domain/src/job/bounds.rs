//! What a job may be that an agent adds or changes while it runs.
//!
//! Guarantee: pure. A job made by a run has no tool the run has not, and sends nowhere the run could not. What a person gave
//! a job stays as long as the agent changes neither what the job says nor where it sends.

use crate::FieldError;
use crate::delivery::Target;

use super::{AlertRule, Delivery, DeliveryMode, Destination, FailureAlert, Job, Payload, SessionTarget};

/// What the run has that adds or changes a job.
#[derive(Debug, Clone, Copy)]
pub struct Bounds<'a> {
    /// Names of the tools and MCP servers the run has, in its order.
    pub tools: &'a [String],
    /// Whether its own job keeps tools of the agent from it, so that it may not speak to the main session, which has them.
    pub narrowed: bool,
    /// The named session it speaks in, where it does.
    pub session: Option<&'a str>,
    /// Where its answers go, as its job says.
    pub delivery: Option<&'a Delivery>,
    /// The same, resolved.
    pub target: Option<&'a Target>,
}

/// A place as a job names it.
#[derive(Debug, Clone, Copy, Default)]
struct Place<'a> {
    mode: DeliveryMode,
    channel: Option<&'a str>,
    to: Option<&'a str>,
    thread: Option<&'a str>,
    account: Option<&'a str>,
}

impl<'a> Place<'a> {
    fn of_delivery(delivery: &'a Delivery) -> Self {
        Self {
            mode: delivery.mode,
            channel: delivery.channel.as_deref().filter(|channel| *channel != "last"),
            to: delivery.to.as_deref(),
            thread: delivery.thread_id.as_deref(),
            account: delivery.account_id.as_deref(),
        }
    }

    fn of_destination(destination: &'a Destination) -> Self {
        Self {
            mode: destination.mode,
            channel: destination.channel.as_deref().filter(|channel| *channel != "last"),
            to: destination.to.as_deref(),
            thread: None,
            account: destination.account_id.as_deref(),
        }
    }

    fn of_alert(rule: &'a AlertRule) -> Self {
        Self {
            mode: rule.mode.unwrap_or_default(),
            channel: rule.channel.as_deref().filter(|channel| *channel != "last"),
            to: rule.to.as_deref(),
            thread: None,
            account: rule.account_id.as_deref(),
        }
    }

    fn of_target(target: &'a Target) -> Self {
        Self {
            mode: if target.channel == "webhook" { DeliveryMode::Webhook } else { DeliveryMode::Announce },
            channel: Some(&target.channel),
            to: Some(&target.to),
            thread: target.thread.as_deref(),
            account: Some(&target.account),
        }
    }

    /// Whether it names nothing but a way to send.
    fn is_unnamed(&self) -> bool {
        [self.channel, self.to, self.thread, self.account].iter().all(Option::is_none)
    }

    /// Whether it is `own`, as far as it says anything.
    fn is(&self, own: &Self) -> bool {
        let same = |said: Option<&str>, own: Option<&str>| said.is_none() || said == own;
        self.mode == own.mode
            && same(self.channel, own.channel)
            && same(self.to, own.to)
            && same(self.thread, own.thread)
            && same(self.account, own.account)
    }
}

impl Bounds<'_> {
    /// Cuts `job` to what the run has; `old` is the job it is made from. Answers remarks, or every field that says what may
    /// not be.
    pub fn apply(&self, old: Option<&Job>, job: &mut Job) -> Result<Vec<String>, Vec<FieldError>> {
        let (mut notes, mut faults) = (Vec::new(), Vec::new());
        // A job's name stands in its prompt.
        let says = |job: &Job| (job.payload.clone(), job.name.clone());
        let says_anew = old.is_none_or(|old| says(old) != says(job));
        if says_anew {
            self.payload(job, &mut notes, &mut faults);
        }
        let moved = old.is_none_or(|old| old.session_target != job.session_target);
        if (says_anew || moved)
            && self.narrowed
            && let SessionTarget::Named(name) = &job.session_target
            && self.session != Some(name.as_str())
        {
            let message =
                "this run has not all of the agent's tools, so it cannot speak in a session that others share";
            let fault = FieldError::new("not_allowed", "sessionTarget", message);
            faults.push(fault.hint("leave sessionTarget out: the job has a session of its own"));
        }
        if old.is_none_or(|old| old.delivery != job.delivery) {
            self.delivery(old.and_then(|old| old.delivery.as_ref()), job, &mut notes, &mut faults);
        }
        if old.is_none_or(|old| old.failure_alert != job.failure_alert)
            && let Some(FailureAlert::Rule(rule)) = &job.failure_alert
            && !self.allows_alert(rule)
        {
            faults.push(elsewhere("failureAlert"));
        }
        if faults.is_empty() { Ok(notes) } else { Err(faults) }
    }

    fn payload(&self, job: &mut Job, notes: &mut Vec<String>, faults: &mut Vec<FieldError>) {
        match &mut job.payload {
            Payload::SystemEvent { .. } if self.narrowed => {
                let message = "this run has not all of the agent's tools, so it cannot speak to the main session";
                faults.push(FieldError::new("not_allowed", "payload.kind", message).hint("write an agentTurn"));
            }
            Payload::SystemEvent { .. } => {}
            Payload::AgentTurn(turn) => {
                let wished = turn.tools_allow.take();
                let (has, cut): (Vec<String>, Vec<String>) = match wished {
                    Some(names) if !names.iter().any(|name| name == "*") => {
                        names.into_iter().partition(|name| self.tools.contains(name))
                    }
                    Some(_) | None => (self.tools.to_vec(), Vec::new()),
                };
                if !cut.is_empty() {
                    notes.push(format!("the job goes without tools this run has not: {}", cut.join(", ")));
                }
                turn.tools_allow = Some(has);
            }
        }
    }

    fn delivery(&self, old: Option<&Delivery>, job: &mut Job, notes: &mut Vec<String>, faults: &mut Vec<FieldError>) {
        let Some(delivery) = &mut job.delivery else { return };
        let unchanged = old.is_some_and(|old| old.failure_destination == delivery.failure_destination);
        if !unchanged && let Some(destination) = &delivery.failure_destination {
            let place = Place::of_destination(destination);
            if place.mode != DeliveryMode::None && !self.may_send() && !self.is_own(&place) {
                faults.push(elsewhere("delivery.failureDestination"));
            } else if place.mode == DeliveryMode::Webhook && !self.is_own(&place) {
                faults.push(webhook("delivery.failureDestination"));
            }
        }
        let place = Place::of_delivery(delivery);
        let stays = old.is_some_and(|old| place_of(old) == place_of(delivery));
        if place.mode == DeliveryMode::None || stays {
            return;
        }
        if place.mode == DeliveryMode::Webhook {
            if !self.is_own(&place) {
                faults.push(webhook("delivery.to"));
            }
            return;
        }
        if self.may_send() {
            return;
        }
        let own = self.delivery.filter(|own| own.mode != DeliveryMode::None);
        match own {
            Some(own) if place.is_unnamed() || self.is_own(&place) => {
                delivery.mode = own.mode;
                delivery.channel.clone_from(&own.channel);
                delivery.to.clone_from(&own.to);
                delivery.thread_id.clone_from(&own.thread_id);
                delivery.account_id.clone_from(&own.account_id);
            }
            None if place.is_unnamed() => {
                delivery.mode = DeliveryMode::None;
                notes.push("the job sends nothing: this run's answers go nowhere".to_owned());
            }
            Some(_) | None => faults.push(elsewhere("delivery")),
        }
    }

    fn allows_alert(&self, rule: &AlertRule) -> bool {
        let place = Place::of_alert(rule);
        match place.mode {
            DeliveryMode::None => true,
            DeliveryMode::Announce => place.is_unnamed() || self.may_send() || self.is_own(&place),
            DeliveryMode::Webhook => self.is_own(&place),
        }
    }

    /// Whether the run may send to chats of its choice anyway.
    fn may_send(&self) -> bool {
        self.tools.iter().any(|name| name == "message")
    }

    fn is_own(&self, place: &Place<'_>) -> bool {
        let said = self.delivery.map(Place::of_delivery);
        let resolved = self.target.map(Place::of_target);
        said.into_iter().chain(resolved).any(|own| own.mode != DeliveryMode::None && place.is(&own))
    }
}

type Named<'a> = (DeliveryMode, [Option<&'a str>; 4]);

fn place_of(delivery: &Delivery) -> Named<'_> {
    let Place { mode, channel, to, thread, account } = Place::of_delivery(delivery);
    (mode, [channel, to, thread, account])
}

fn elsewhere(field: &str) -> FieldError {
    FieldError::new("not_allowed", field, "a job of yours sends only where this run's answers go")
        .hint("leave it out, or write {\"mode\": \"none\"}")
}

fn webhook(field: &str) -> FieldError {
    FieldError::new("not_allowed", field, "a job of yours posts to no address but this run's own")
        .hint("leave it out, or write {\"mode\": \"none\"}")
}

#[cfg(test)]
mod tests;
