//! What AWS answers when it does not do what it was asked.

use std::error::Error;

use aws_sdk_lambda::error::{ProvideErrorMetadata, SdkError};
use nightshift_wire::ExitCode;

/// A call of AWS that failed.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("AWS did not {doing}: {said}")]
pub struct AwsFailure {
    /// What it was asked to do, such as `show the function nightshift-api`.
    doing: String,
    kind: Kind,
    said: String,
}

/// What kind of failure it is, as far as that says what to do.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Kind {
    /// There is no such thing.
    Missing,
    /// The identity may not do it.
    Denied,
    /// The credentials are wrong or over.
    Credentials,
    /// No answer, or one that says to come back.
    Unreachable,
    /// Anything else it refuses.
    Refused,
}

/// `AWS` names errors by code; what these mean stands in the "Common errors" of each API reference, and the first row in the
/// operations of Lambda, `DynamoDB`, EventBridge Scheduler and Systems Manager.
fn kind_of(code: &str) -> Kind {
    match code {
        "ResourceNotFoundException" | "ParameterNotFound" | "TableNotFoundException" => Kind::Missing,
        "AccessDeniedException" | "AccessDenied" | "NotAuthorized" | "OptInRequired" => Kind::Denied,
        "ExpiredTokenException"
        | "ExpiredToken"
        | "IncompleteSignature"
        | "InvalidClientTokenId"
        | "InvalidSignatureException"
        | "MissingAuthenticationToken"
        | "MissingAuthenticationTokenException"
        | "RequestExpired"
        | "SignatureDoesNotMatch"
        | "UnrecognizedClientException" => Kind::Credentials,
        "InternalFailure"
        | "InternalServerError"
        | "ServiceException"
        | "ServiceUnavailable"
        | "ThrottlingException"
        | "TooManyRequestsException" => Kind::Unreachable,
        _ => Kind::Refused,
    }
}

impl AwsFailure {
    /// The failure of a call that was to `doing`.
    pub(crate) fn of<E, R>(doing: impl Into<String>, error: &SdkError<E, R>) -> Self
    where
        E: ProvideErrorMetadata + Error + 'static,
        R: std::fmt::Debug + 'static,
    {
        let (kind, said) = match error.as_service_error() {
            Some(refusal) => match (refusal.code(), refusal.message()) {
                (Some(code), message) => {
                    let said = message.map_or_else(|| code.to_owned(), |message| format!("{code}: {message}"));
                    (kind_of(code), said)
                }
                (None, message) => (Kind::Refused, message.unwrap_or("it gave no reason").to_owned()),
            },
            // Between the outermost error and the cause stand the parts of an HTTP client.
            None => (Kind::Unreachable, root(error)),
        };
        Self { doing: doing.into(), kind, said }
    }

    /// Whether what was asked for is not there.
    pub(crate) fn is_missing(&self) -> bool {
        self.kind == Kind::Missing
    }

    pub(crate) fn exit(&self) -> ExitCode {
        match self.kind {
            Kind::Missing => ExitCode::NotFound,
            Kind::Denied | Kind::Credentials => ExitCode::Unauthorized,
            Kind::Unreachable => ExitCode::Unreachable,
            Kind::Refused => ExitCode::Refused,
        }
    }

    pub(crate) fn hint(&self) -> Option<&'static str> {
        match self.kind {
            Kind::Missing => Some("check --stack, --region and AWS_PROFILE"),
            Kind::Denied => Some("`aws sts get-caller-identity` shows who you are to AWS; AWS_PROFILE names another"),
            Kind::Credentials => Some(LOG_IN),
            Kind::Unreachable => Some("check the network, --region, and AWS_PROFILE"),
            Kind::Refused => None,
        }
    }
}

/// What to do without credentials, or with ones that are over.
pub(crate) const LOG_IN: &str = "run `aws configure` or `aws sso login`, or name a profile that works with AWS_PROFILE";

/// The innermost cause in its own words.
fn root(error: &(dyn Error + 'static)) -> String {
    let causes = std::iter::successors(error.source(), |&cause| cause.source());
    causes.last().map_or_else(|| error.to_string(), ToString::to_string)
}
