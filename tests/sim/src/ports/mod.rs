//! The ports as one invocation has them: every call passes its gate.

mod others;
mod store;

use std::sync::Arc;

pub use others::{GatedBlobs, GatedInvoker, GatedTimers, GatedWeb};
pub use store::GatedStore;

use crate::gate::{Call, Gate, Port};

/// Where the calls of one invocation pass.
#[derive(Debug, Clone)]
pub struct Door {
    /// The gate.
    pub gate: Arc<dyn Gate>,
    /// The invocation.
    pub invocation: u64,
}

impl Door {
    /// A call that only looks.
    pub fn read(&self, port: Port, name: impl Into<String>) -> Call {
        Call { invocation: self.invocation, port, name: name.into(), effect: false }
    }

    /// A call that changes something outside.
    pub fn effect(&self, port: Port, name: impl Into<String>) -> Call {
        Call { invocation: self.invocation, port, name: name.into(), effect: true }
    }
}
