//! How a model call fails, and what that means for the run.

use serde::{Deserialize, Serialize};

/// How a model call failed.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum ModelErrorKind {
    /// The key is missing, wrong, revoked or expired (401).
    Auth,
    /// The key may not do this (403).
    Permission,
    /// The account cannot pay (402).
    Billing,
    /// The account's own spend limit is reached (429 without `retry-after`, or 400).
    SpendLimit,
    /// No such model or batch (404).
    NotFound,
    /// The request is wrong (400).
    Invalid,
    /// The request is too large (413).
    TooLarge,
    /// Too many requests (429).
    RateLimited,
    /// The provider is overloaded (529).
    Overloaded,
    /// The provider failed (5xx).
    Server,
    /// The provider or we gave up waiting.
    Timeout,
    /// It was never sent: name lookup or connection failed.
    NotSent,
    /// It may have been received; no answer came.
    Unanswered,
}

impl ModelErrorKind {
    /// Whether trying the same again later can help (PRODUCT §6: transient or permanent).
    pub fn is_transient(self) -> bool {
        match self {
            Self::RateLimited | Self::Overloaded | Self::Server | Self::Timeout | Self::NotSent | Self::Unanswered => {
                true
            }
            Self::Auth
            | Self::Permission
            | Self::Billing
            | Self::SpendLimit
            | Self::NotFound
            | Self::Invalid
            | Self::TooLarge => false,
        }
    }

    /// Whether it is about the provider's account and not about the request: whatever else is sent there fails too, until
    /// somebody pays or raises a limit.
    pub fn stops_provider(self) -> bool {
        matches!(self, Self::Billing | Self::SpendLimit)
    }

    /// Whether the request may have been received and answered to nobody, so that it may have been paid.
    pub fn may_be_paid(self) -> bool {
        matches!(self, Self::Timeout | Self::Unanswered)
    }

    /// The run's failure code when this ends it.
    pub fn code(self) -> &'static str {
        match self {
            Self::Auth => "model_auth",
            Self::Permission => "model_permission",
            Self::Billing => "model_billing",
            Self::SpendLimit => "spend_limit",
            Self::NotFound => "model_not_found",
            Self::Invalid => "model_invalid_request",
            Self::TooLarge => "request_too_large",
            Self::RateLimited => "rate_limited",
            Self::Overloaded => "model_overloaded",
            Self::Server => "model_error",
            Self::Timeout => "model_timeout",
            Self::NotSent => "model_unreachable",
            Self::Unanswered => "model_no_answer",
        }
    }
}
