//! Why a request to a supplied address failed.

/// What a failure says about the request.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum WebErrorKind {
    /// The address is not one that may be asked; nothing was sent, and a repeat will not help.
    Refused,
    /// No connection was made; nothing was sent.
    NotSent,
    /// It may have arrived: the answer did not come in time, or was cut off.
    Unknown,
}

/// A request to a supplied address failed.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("{message}")]
pub struct WebError {
    /// What that means.
    pub kind: WebErrorKind,
    /// One sentence; names a host at most, never a path, a query or a body.
    pub message: String,
}

impl WebError {
    pub(crate) fn refused(message: impl Into<String>) -> Self {
        Self { kind: WebErrorKind::Refused, message: message.into() }
    }

    pub(crate) fn not_sent(message: impl Into<String>) -> Self {
        Self { kind: WebErrorKind::NotSent, message: message.into() }
    }

    pub(crate) fn unknown(message: impl Into<String>) -> Self {
        Self { kind: WebErrorKind::Unknown, message: message.into() }
    }
}
