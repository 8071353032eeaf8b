//! The calls of the API: which path and method lead to which.

use http::Method;

use crate::script::Target;

/// Largest body of a plain call (docs page "errors", 2026-10-01: 32 MB).
const BODY_LIMIT: usize = 32 * 1024 * 1024;
/// Largest body of a batch create (docs page "batch-processing", 2026-10-01: 256 MB).
const BATCH_BODY_LIMIT: usize = 256 * 1024 * 1024;
/// The calls of the API (Python SDK 2.11.0, resources `messages`, `messages.batches` and `models`).
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum Operation {
    Messages,
    CountTokens,
    Create,
    List,
    Retrieve(String),
    Results(String),
    Cancel(String),
    Delete(String),
    Models,
    Model(String),
    WrongMethod,
    Unknown,
}

impl Operation {
    pub(crate) fn of(method: &Method, path: &str) -> Self {
        let segments: Vec<&str> = path.trim_start_matches("/v1/").split('/').collect();
        let (found, wanted) = match segments.as_slice() {
            ["messages"] => (Self::Messages, Method::POST),
            ["messages", "count_tokens"] => (Self::CountTokens, Method::POST),
            ["messages", "batches"] if method == Method::POST => (Self::Create, Method::POST),
            ["messages", "batches"] => (Self::List, Method::GET),
            ["messages", "batches", id] if method == Method::DELETE => (Self::Delete((*id).to_owned()), Method::DELETE),
            ["messages", "batches", id] => (Self::Retrieve((*id).to_owned()), Method::GET),
            ["messages", "batches", id, "results"] => (Self::Results((*id).to_owned()), Method::GET),
            ["messages", "batches", id, "cancel"] => (Self::Cancel((*id).to_owned()), Method::POST),
            ["models"] => (Self::Models, Method::GET),
            ["models", id] => (Self::Model((*id).to_owned()), Method::GET),
            _ => return Self::Unknown,
        };
        if method == wanted { found } else { Self::WrongMethod }
    }

    pub(crate) fn target(&self) -> Option<Target> {
        Some(match self {
            Self::Messages => Target::Messages,
            Self::CountTokens => Target::CountTokens,
            Self::Create => Target::Create,
            Self::List => Target::List,
            Self::Retrieve(_) => Target::Retrieve,
            Self::Results(_) => Target::Results,
            Self::Cancel(_) => Target::Cancel,
            Self::Delete(_) => Target::Delete,
            Self::Models | Self::Model(_) => Target::Models,
            Self::WrongMethod | Self::Unknown => return None,
        })
    }

    pub(crate) fn body_limit(&self) -> usize {
        if *self == Self::Create { BATCH_BODY_LIMIT } else { BODY_LIMIT }
    }

    /// The batch it reads or changes, whose end may be due.
    pub(crate) fn batch(&self) -> Option<&str> {
        match self {
            Self::Retrieve(id) | Self::Results(id) | Self::Cancel(id) | Self::Delete(id) => Some(id),
            Self::Messages
            | Self::CountTokens
            | Self::Create
            | Self::List
            | Self::Models
            | Self::Model(_)
            | Self::WrongMethod
            | Self::Unknown => None,
        }
    }

    pub(crate) fn takes_json(&self) -> bool {
        matches!(self, Self::Messages | Self::CountTokens | Self::Create)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn paths_lead_to_calls_and_other_methods_are_405() {
        let of = |method: Method, path: &str| Operation::of(&method, path);
        assert_eq!(of(Method::POST, "/v1/messages"), Operation::Messages);
        assert_eq!(of(Method::GET, "/v1/messages"), Operation::WrongMethod);
        assert_eq!(of(Method::GET, "/v1/messages/batches"), Operation::List);
        assert_eq!(of(Method::GET, "/v1/messages/batches/b/results"), Operation::Results("b".to_owned()));
        assert_eq!(of(Method::GET, "/v1/messages/batches/b/cancel"), Operation::WrongMethod);
        assert_eq!(of(Method::DELETE, "/v1/messages/batches/b"), Operation::Delete("b".to_owned()));
        assert_eq!(of(Method::GET, "/v1/files"), Operation::Unknown);
    }
}
