//! The provider's bill: a line for every answer that somebody pays for.

use std::sync::Arc;

use chrono::{DateTime, Utc};
use nightshift_domain::model::HopRequest;
use nightshift_domain::money::{self, Cost};
use serde_json::Value;

/// A paid answer.
#[derive(Debug, Clone)]
pub struct BillLine {
    /// Its message id, which no other answer has.
    pub message_id: String,
    /// How it was asked for.
    pub via: BilledVia,
    /// The model that answered.
    pub model: String,
    /// The raw usage.
    pub usage: Value,
    /// What it costs.
    pub cost: Cost,
    /// When it was answered.
    pub at: DateTime<Utc>,
    /// Whether it ever was in the hands of our code. What was not cannot be booked.
    pub reached: bool,
}

/// How a paid answer was asked for.
#[derive(Debug, Clone)]
pub enum BilledVia {
    /// In a batch.
    Batch {
        /// The batch.
        remote: String,
        /// The row.
        custom_id: String,
    },
    /// In realtime.
    Realtime {
        /// The invocation that asked.
        invocation: u64,
        /// What it asked.
        request: Arc<HopRequest>,
    },
}

impl BillLine {
    /// The line of an answer, at list price.
    pub(super) fn new(message_id: String, via: BilledVia, model: &str, usage: Value, at: DateTime<Utc>) -> Self {
        let batch = matches!(via, BilledVia::Batch { .. });
        let price = money::price(&format!("anthropic/{model}"), at, &[]);
        let cost = price.map(|price| money::cost(&usage, &price, batch)).unwrap_or_default();
        Self { message_id, via, model: model.to_owned(), usage, cost, at, reached: false }
    }

    /// For a person who reads a violation.
    pub fn label(&self) -> String {
        match &self.via {
            BilledVia::Batch { remote, custom_id } => {
                format!("{} (row {custom_id} of {remote}, {} n$)", self.message_id, self.cost.paid_nano_usd)
            }
            BilledVia::Realtime { invocation, .. } => {
                format!("{} (realtime, invocation {invocation}, {} n$)", self.message_id, self.cost.paid_nano_usd)
            }
        }
    }
}
