//! A deployment by its name.
//!
//! All that belongs to the stack `night` is called after it: the functions `night-api`, `night-trigger` and so on, the
//! parameters `/night/…`. Knows nothing of templates.

use super::{Aws, AwsFailure};
use crate::error::ExpectedError;

/// The longest name: `<name>-heartbeat` is a function's, and those have at most 64 characters (Lambda API reference,
/// `CreateFunction`).
const MOST_LETTERS: usize = 54;

/// The address of a stack's API, and who may call it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct FunctionUrl {
    pub(crate) url: String,
    /// `AWS_IAM`, or `NONE` for everybody.
    pub(crate) auth: String,
}

/// The function of a stack that does `role`.
pub(crate) fn function(stack: &str, role: &str) -> String {
    format!("{stack}-{role}")
}

/// A stack's name, by `CloudFormation`'s rules for them; an empty one is none.
pub(crate) fn parse_name(text: &str) -> Result<String, String> {
    let mut letters = text.chars();
    let starts = letters.next().is_none_or(|first| first.is_ascii_alphabetic());
    if starts && letters.all(|letter| letter.is_ascii_alphanumeric() || letter == '-') && text.len() <= MOST_LETTERS {
        Ok(text.to_owned())
    } else {
        Err(format!("a stack's name is letters, digits and hyphens, at most {MOST_LETTERS}, and starts with a letter"))
    }
}

/// Asks Lambda where the API of `stack` is.
pub(crate) async fn find(aws: &Aws, stack: &str) -> Result<FunctionUrl, ExpectedError> {
    let name = function(stack, "api");
    let answer = aws.lambda().get_function_url_config().function_name(&name).send().await;
    match answer {
        Ok(found) => Ok(FunctionUrl { url: found.function_url, auth: found.auth_type.as_str().to_owned() }),
        Err(error) => {
            let failure = AwsFailure::of(format!("show the address of {name}"), &error);
            Err(if failure.is_missing() {
                ExpectedError::NoStack { stack: stack.to_owned(), region: aws.region().to_owned() }
            } else {
                failure.into()
            })
        }
    }
}
