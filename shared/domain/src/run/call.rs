//! The tools a run has called.

use chrono::{DateTime, Utc};
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use super::Text;
use crate::delivery::Target;

/// One call of a tool that Nightshift runs. An acting one is written as [`CallState::Started`] before it acts; one that is
/// found so after a crash has an outcome nobody knows and is never begun again.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct ToolCall {
    /// The id the model gave it; unique within its hop.
    pub id: String,
    /// The hop that asked for it, from 1.
    pub hop: u32,
    /// The tool.
    pub name: String,
    /// The raw JSON of its input.
    pub input: Text,
    /// How the model reached it.
    #[serde(default)]
    pub via: Via,
    /// How it stands.
    pub state: CallState,
}

/// How a model reaches a tool.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub enum Via {
    /// It stopped, and the run's next hop brings the result.
    #[default]
    Hop,
    /// The provider's own loop called Nightshift's MCP endpoint within the hop.
    Endpoint,
}

/// How a call stands.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(tag = "state", rename_all = "camelCase", rename_all_fields = "camelCase")]
pub enum CallState {
    /// Not begun.
    Asked,
    /// Begun.
    Started {
        /// When.
        at: DateTime<Utc>,
    },
    /// It came back, or was given up.
    Done {
        /// When.
        at: DateTime<Utc>,
        /// Whether the model is told of an error.
        is_error: bool,
        /// What the model is told.
        result: Text,
        /// The result's length before it was cut, bytes, where it was.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        cut_from: Option<u64>,
        /// Where it sent a whole message to, where it did.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        sent_to: Option<Target>,
    },
}

impl ToolCall {
    /// Identifies the call among all calls of all runs; a webhook tool's idempotency key, a delivery's origin. At most as
    /// long as the model's id allows, and made of characters that any header can carry.
    pub fn key(&self) -> String {
        let plain = |each: char| if each.is_ascii_alphanumeric() || each == '_' || each == '-' { each } else { '-' };
        format!("{}-{}", self.hop, self.id.chars().take(64).map(plain).collect::<String>())
    }

    /// Whether it is over.
    pub fn is_done(&self) -> bool {
        matches!(self.state, CallState::Done { .. })
    }

    /// Where it sent a whole message to, where it did.
    pub fn sent_to(&self) -> Option<&Target> {
        match &self.state {
            CallState::Done { sent_to, .. } => sent_to.as_ref(),
            CallState::Asked | CallState::Started { .. } => None,
        }
    }
}
