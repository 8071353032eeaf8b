//! A strict, scriptable stand-in for Anthropic's Messages and Message Batches APIs, served on loopback.
//!
//! It answers `/v1/messages`, `/v1/messages/count_tokens`, the six calls under `/v1/messages/batches` and `/v1/models`.
//! Where the real API is strict it is strict, and where the documentation leaves a question open it refuses: a client
//! that works here should not meet its first 400 in production. What it answers, how long a batch takes and which calls
//! go wrong is told to it as a [`Script`].
//!
//! Guarantees:
//! - Time is the [`Clock`](nightshift_engine::Clock)'s alone. Nothing runs in the background: the state of a batch is computed when it is read.
//! - With a state directory everything survives `kill -9` at any moment. One line is appended per call, before the
//!   answer leaves, and holds the call and all it changed: after a restart a call has happened entirely or not at all.
//!   The exception is a call, or a batch's row, that calls MCP tools: each step of it is a line, and killed between two
//!   it is not gone on with. The call then stays in the log without a status and unbilled, the row ends `errored`.
//! - The same calls at the same instants with the same script give the same answers, ids included.
//! - No API key is kept: a key is reduced to the hash that names its workspace. Bodies are kept as they came, the
//!   `authorization_token` of an MCP server included.
//! - Nothing leaves the machine: MCP servers are reached on loopback only.
//!
//! What it does not do: count tokens as the models do (it takes four characters for a token; scripts may set the `usage`
//! they want), limit rates unless a script says so, run code or search the web (scripts bring the
//! blocks), or stream while MCP tools are still at work (the stream begins when they are done).

mod answer;
mod auth;
mod batches;
mod bill;
mod cache;
mod fake;
mod ids;
mod journal;
mod lifecycle;
mod looping;
mod mcp;
mod messages;
mod models;
mod operation;
mod page;
mod reply;
mod script;
mod server;
mod state;
mod stream;
mod thinking;
mod validate;

pub use bill::{Bill, Tokens};
pub use fake::{Fake, Options};
pub use models::{Effort, Lifecycle, ScriptedModel, Thinking};
pub use script::{Action, CancelKeeps, Fault, Reply, RowEnd, Script, ScriptError, ScriptedError, StreamError, Target};
