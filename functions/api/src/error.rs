//! Every refusal, with its status and its words: the one table.

use nightshift_engine::EngineError;
use nightshift_engine::jobs::Refusal;
use nightshift_engine::ports::{StoreError, StoreErrorKind};
use nightshift_wire::ErrorBody;

use crate::methods::METHODS;

/// When a client is asked to try again after a 503, seconds.
const RETRY_AFTER_S: u64 = 5;

/// Why a request is refused.
#[derive(Debug, thiserror::Error)]
pub(crate) enum Fault {
    /// The path is no path of the API.
    #[error("no such path")]
    NoPath,
    /// There is no such method.
    #[error("no method {0}")]
    NoMethod(String),
    /// There is no such hook.
    #[error("no hook {0}")]
    NoHook(String),
    /// The secret that a caller is to know cannot be had.
    #[error("a secret cannot be had: {0}")]
    NoSecret(String),
    /// The path takes another HTTP method.
    #[error("only {0} is served here")]
    Verb(&'static str),
    /// There is no token.
    #[error("no token")]
    NoToken,
    /// It is the wrong one.
    #[error("wrong token")]
    WrongToken,
    /// Wrong tokens came from there, too many to listen on.
    #[error("too many wrong tokens")]
    TooManyTries {
        /// How long it is not listened to.
        seconds: u64,
    },
    /// The body is too long.
    #[error("{bytes} bytes are too many")]
    TooLarge {
        /// How long it is.
        bytes: usize,
        /// How long it may be.
        most: usize,
    },
    /// The body is `null`.
    #[error("null is no object")]
    NoObject,
    /// The body is no JSON.
    #[error("no JSON")]
    NotJson {
        /// Where.
        line: usize,
        /// Where.
        column: usize,
    },
    /// The `Idempotency-Key` cannot be one.
    #[error("bad idempotency key")]
    BadKey,
    /// The `Idempotency-Key` was used for something else.
    #[error("idempotency key used for another request")]
    KeyReused,
    /// The use case refused.
    #[error(transparent)]
    Refused(#[from] Refusal),
}

impl From<StoreError> for Fault {
    fn from(error: StoreError) -> Self {
        Self::Refused(error.into())
    }
}

impl Fault {
    /// Status and body. Sentences of 5xx say nothing of the inside; the log does.
    pub(crate) fn answer(&self) -> (u16, ErrorBody) {
        match self {
            Self::NoPath => (
                404,
                say("unknown_path", "there is nothing at this path")
                    .hint("methods are at POST /v1/<method>, hooks, where they are on, at POST /hooks/<name>"),
            ),
            Self::NoMethod(name) => {
                let known: Vec<&str> = METHODS.iter().map(|method| method.name()).collect();
                let message = format!("there is no method \"{}\"", name.escape_debug());
                (404, say("unknown_method", message).hint(format!("the methods are {}", known.join(", "))))
            }
            Self::NoHook(name) => {
                let message = format!("there is no hook \"{}\"", name.escape_debug());
                (404, say("unknown_hook", message).hint("wake and agent are there always, others in hooks.named"))
            }
            Self::NoSecret(_) => {
                (503, say("unavailable", "the token that callers are to show cannot be looked up now"))
            }
            Self::Verb(verb) => {
                (405, say("method_not_allowed", format!("only {verb} is served here")).hint(format!("use {verb}")))
            }
            Self::NoToken => (
                401,
                say("unauthorized", "a bearer token is needed").hint("send the header Authorization: Bearer <token>"),
            ),
            Self::WrongToken => (401, say("unauthorized", "the bearer token is not the right one")),
            Self::TooManyTries { seconds } => (
                429,
                say("too_many_attempts", "too many wrong tokens came from your address")
                    .hint(format!("come back in {seconds} s with the right one")),
            ),
            Self::TooLarge { bytes, most } => {
                (413, say("payload_too_large", format!("the request has {bytes} bytes, the most is {most}")))
            }
            Self::NotJson { line, column } => {
                (400, say("invalid_json", format!("the body is not JSON: line {line}, column {column}")))
            }
            Self::NoObject => {
                (400, say("invalid_request", "the body is null, not a JSON object").hint("send {} or no body at all"))
            }
            Self::BadKey => (
                400,
                say("invalid_idempotency_key", "the Idempotency-Key is empty, too long, or not plain text")
                    .hint("1 to 255 printable ASCII characters, such as a UUID"),
            ),
            Self::KeyReused => (
                409,
                say("idempotency_key_reused", "this Idempotency-Key was used for another request")
                    .hint("use a new key for a new request"),
            ),
            Self::Refused(refusal) => refused(refusal),
        }
    }

    /// When a client may come back, in seconds.
    pub(crate) fn retry_after(&self, status: u16) -> Option<u64> {
        if let Self::TooManyTries { seconds } = self {
            return Some(*seconds);
        }
        (status == 503).then_some(RETRY_AFTER_S)
    }

    /// What a 405 allows.
    pub(crate) fn allow(&self) -> Option<&'static str> {
        if let Self::Verb(verb) = self { Some(verb) } else { None }
    }

    /// The fault and everything behind it, for the log.
    pub(crate) fn chain(&self) -> String {
        let mut text = self.to_string();
        let mut source = std::error::Error::source(self);
        while let Some(error) = source {
            text.push_str(": ");
            text.push_str(&error.to_string());
            source = error.source();
        }
        text
    }
}

fn say(code: &str, message: impl Into<String>) -> ErrorBody {
    ErrorBody::new(code, message)
}

fn refused(refusal: &Refusal) -> (u16, ErrorBody) {
    match refusal {
        Refusal::Invalid(faults) => (400, ErrorBody::of_fields(faults.clone())),
        Refusal::NoJob(_) => {
            let hint = "`nightshift cron list --all` shows the jobs there are";
            (404, say("job_not_found", refusal.to_string()).hint(hint))
        }
        Refusal::NoRun(_) => {
            let hint =
                "`nightshift cron runs` shows the runs there are; they are kept 30 days unless configured otherwise";
            (404, say("run_not_found", refusal.to_string()).hint(hint))
        }
        Refusal::NoDocument(_) => {
            let hint = "`nightshift documents list` shows the documents there are";
            (404, say("document_not_found", refusal.to_string()).hint(hint))
        }
        Refusal::NoMemory { agent, .. } => {
            let hint = format!("`nightshift memory list --agent {agent}` shows the files there are");
            (404, say("memory_not_found", refusal.to_string()).hint(hint))
        }
        Refusal::TextChanged { .. } => {
            (409, say("revision_conflict", refusal.to_string()).hint("read it again and apply your change to that"))
        }
        Refusal::NoSession { .. } => {
            let hint = "`nightshift sessions list` shows the sessions there are";
            (404, say("session_not_found", refusal.to_string()).hint(hint))
        }
        Refusal::SessionBusy { .. } => {
            let hint = "wait until the run has ended, or stop it with cron.cancel";
            (409, say("session_busy", refusal.to_string()).hint(hint))
        }
        Refusal::JobExists(_) => {
            (409, say("job_exists", refusal.to_string()).hint("leave jobId out, or change the job with cron.update"))
        }
        Refusal::Changed(_) => (409, say("conflict", refusal.to_string()).hint("try again")),
        Refusal::ConfigChanged { .. } => (
            409,
            say("config_conflict", refusal.to_string())
                .hint("read it again with config.get and apply your change to that"),
        ),
        Refusal::Failed(EngineError::Contended { subject, .. }) => {
            (409, say("conflict", format!("{subject} is being changed by others")).hint("try again"))
        }
        Refusal::Failed(EngineError::Store(error)) if error.kind == StoreErrorKind::Unavailable => {
            (503, say("unavailable", "the table cannot be reached now").hint("try again"))
        }
        Refusal::Failed(EngineError::Timer(_)) => (
            503,
            say("unavailable", "a timer or function cannot be reached now")
                .hint("repeat the request; what was done already is not done twice"),
        ),
        Refusal::Failed(EngineError::Blob(_)) => {
            (503, say("unavailable", "the blob store cannot be reached now").hint("try again"))
        }
        Refusal::Failed(EngineError::Config(_)) => (
            500,
            say("config_unreadable", "the stored configuration cannot be read").hint("repair it with config.apply"),
        ),
        Refusal::Failed(_) => (500, say("internal", "something went wrong inside; the log says what")),
    }
}
