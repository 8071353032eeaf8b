//! Where every call of a handler to the world outside passes, and where it can go wrong.

use futures::future::BoxFuture;

/// A part of the world outside.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Port {
    /// The table.
    Store,
    /// Long texts.
    Blobs,
    /// Timers.
    Timers,
    /// Calls between functions.
    Invoker,
    /// Models and their batches.
    Model,
    /// Delivery channels.
    Channel,
    /// Addresses that users and models supply.
    Web,
}

/// A call about to be made.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Call {
    /// The invocation that makes it.
    pub invocation: u64,
    /// Of what.
    pub port: Port,
    /// Its name, and for a write of the table what is written: `commit Run+Job`, `arm p-`, `create`, `send`.
    pub name: String,
    /// Whether it changes anything outside.
    pub effect: bool,
}

/// What happens to a call.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Verdict {
    /// It goes through.
    Go,
    /// It fails and has no effect.
    FailBefore,
    /// It has its effect, and its answer is lost.
    FailAfter,
    /// It is refused for now, as a service does that is asked too often; no effect.
    Throttle,
    /// The invocation dies before it: nothing of it goes on.
    CrashBefore,
    /// The call has its effect, and the invocation dies before it learns of it.
    CrashAfter,
}

/// What went wrong, for a port to put in its own words.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Broken {
    /// It certainly had no effect.
    Before,
    /// It had its effect; the caller cannot know.
    After,
    /// The service asked to come back later.
    Throttled,
}

/// Decides about every call, and when it goes on.
pub trait Gate: Send + Sync + std::fmt::Debug {
    /// Completes when the call may go on.
    fn pass(&self, call: Call) -> BoxFuture<'_, Verdict>;

    /// A call of `invocation` to `port` that passed has come back, or nobody waits for it any more.
    fn back(&self, _invocation: u64, _port: Port) {}
}

/// Tells the gate that a call is back, however it ends.
struct Out<'a> {
    gate: &'a dyn Gate,
    invocation: u64,
    port: Port,
}

impl Drop for Out<'_> {
    fn drop(&mut self) {
        self.gate.back(self.invocation, self.port);
    }
}

/// Makes a call through the gate. `act` is its effect and its answer, `broken` says a failure in the port's words.
pub async fn through<T, E>(
    gate: &dyn Gate,
    call: Call,
    act: impl Future<Output = Result<T, E>>,
    broken: impl FnOnce(Broken) -> E,
) -> Result<T, E> {
    let (invocation, port) = (call.invocation, call.port);
    let verdict = gate.pass(call).await;
    let out = Out { gate, invocation, port };
    match verdict {
        Verdict::Go => act.await,
        Verdict::FailBefore => Err(broken(Broken::Before)),
        Verdict::FailAfter => {
            // An effect that is refused by its own rules is refused; only an answer that would have been good is lost.
            act.await?;
            Err(broken(Broken::After))
        }
        Verdict::Throttle => Err(broken(Broken::Throttled)),
        Verdict::CrashBefore => std::future::pending().await,
        Verdict::CrashAfter => {
            // Nobody learns what came of it.
            drop(act.await);
            drop(out);
            std::future::pending().await
        }
    }
}
