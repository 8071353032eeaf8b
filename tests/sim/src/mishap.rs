//! What is planned to go wrong, and with which call.

use chrono::TimeDelta;
use serde::{Deserialize, Serialize};

use crate::gate::{Call, Port, Verdict};

/// What goes wrong.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub enum Harm {
    /// It fails and has no effect.
    FailBefore,
    /// It has its effect, and its answer is lost.
    FailAfter,
    /// It is refused for now.
    Throttle,
    /// The invocation dies before it.
    CrashBefore,
    /// It has its effect, and the invocation dies.
    CrashAfter,
    /// The invocation stands still before it, and goes on as if nothing had been: a service that does not answer for a while.
    /// Models, channels and addresses are left out, whose calls are bounded in time and have delays of their own.
    Stall {
        /// For how long.
        seconds: u32,
    },
}

/// What is done to a call.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Blow {
    /// It goes on, and this is what becomes of it.
    Verdict(Verdict),
    /// It goes on later.
    Stall(TimeDelta),
}

/// To whom.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub enum Whom {
    /// Any call.
    Any,
    /// Any that changes something.
    Effects,
    /// Calls to the table.
    Store,
    /// Of those, what is written of windows and of those who wait in them.
    Windows,
    /// To the blobs.
    Blobs,
    /// To the timers.
    Timers,
    /// To functions.
    Invoker,
    /// To a model.
    Model,
    /// To a channel.
    Channel,
}

/// A fault to come.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub struct Mishap {
    /// What goes wrong.
    pub harm: Harm,
    /// With which calls.
    pub whom: Whom,
    /// How many of them go well before.
    pub after: u32,
    /// How many in a row go wrong.
    pub times: u32,
}

impl Mishap {
    /// What happens to `call`, if anything; the fault counts it.
    pub fn strike(&mut self, call: &Call) -> Option<Blow> {
        let bounded = matches!(call.port, Port::Model | Port::Channel | Port::Web);
        if self.is_spent() || !self.whom.is(call) || (bounded && matches!(self.harm, Harm::Stall { .. })) {
            return None;
        }
        if self.after > 0 {
            self.after -= 1;
            return None;
        }
        self.times -= 1;
        Some(Blow::Verdict(match self.harm {
            Harm::Stall { seconds } => return Some(Blow::Stall(TimeDelta::seconds(i64::from(seconds)))),
            Harm::FailBefore => Verdict::FailBefore,
            Harm::FailAfter => Verdict::FailAfter,
            Harm::Throttle => Verdict::Throttle,
            Harm::CrashBefore => Verdict::CrashBefore,
            Harm::CrashAfter => Verdict::CrashAfter,
        }))
    }

    /// Whether it has done all its harm.
    pub fn is_spent(&self) -> bool {
        self.times == 0
    }
}

impl Whom {
    fn is(self, call: &Call) -> bool {
        match self {
            Self::Any => true,
            Self::Effects => call.effect,
            Self::Store => call.port == Port::Store,
            Self::Windows => {
                call.port == Port::Store && ["Window", "ollect"].iter().any(|word| call.name.contains(word))
            }
            Self::Blobs => call.port == Port::Blobs,
            Self::Timers => call.port == Port::Timers,
            Self::Invoker => call.port == Port::Invoker,
            Self::Model => call.port == Port::Model,
            Self::Channel => call.port == Port::Channel,
        }
    }
}
