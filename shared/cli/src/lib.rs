//! The operator's command line: flags in, one or a few API calls, tables or JSON out.
//!
//! It translates and shows; what a job may be is judged by the API alone. AWS is asked for what no API can tell: credentials,
//! where a stack's API is, its secrets, and whether all of it is there. It knows nothing of any model, and keeps nothing
//! between two invocations.

pub mod args;
pub mod error;
pub mod output;

mod aws;
mod client;
mod clock;
mod commands;
mod haul;
mod human;
mod progress;
mod request;
mod table;
#[cfg(test)]
mod tests;

use std::ffi::OsString;

use nightshift_wire::ExitCode;

use crate::args::{Cli, ReadError, slip};
use crate::aws::Surroundings;
use crate::error::ExpectedError;
use crate::output::Output;

/// The whole program: this process's arguments and streams.
pub fn main() -> std::process::ExitCode {
    let mut output = Output::standard();
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build();
    let exit = match runtime {
        Ok(runtime) => runtime.block_on(run(std::env::args_os(), &mut output)),
        Err(error) => {
            output.error(&format!("failed to start: {error}"));
            ExitCode::Internal
        }
    };
    exit.into()
}

/// Carries out one command line and says how it ended. Whatever there is to print goes to `output`.
pub async fn run<I>(arguments: I, output: &mut Output) -> ExitCode
where
    I: IntoIterator,
    I::Item: Into<OsString>,
{
    run_within(arguments, output, Surroundings::default()).await
}

async fn run_within<I>(arguments: I, output: &mut Output, surroundings: Surroundings) -> ExitCode
where
    I: IntoIterator,
    I::Item: Into<OsString>,
{
    let arguments: Vec<OsString> = arguments.into_iter().map(Into::into).collect();
    // Read from the words themselves, because a wrong command line wants its answer as JSON too.
    let json = arguments.iter().any(|argument| argument == "--json");
    if let Some((message, hint)) = slip(&arguments) {
        return fail(&ExpectedError::usage_hint(message, hint), json, output);
    }
    let cli = match Cli::read(arguments) {
        Ok(cli) => cli,
        Err(ReadError::Contradiction(error)) => return fail(&error, json, output),
        Err(ReadError::Clap(error)) => {
            if json && error.use_stderr() {
                let text = error.to_string();
                let message = text.lines().next().unwrap_or_default().trim_start_matches("error: ");
                output.error_as_json(&ExpectedError::usage(message).to_json());
            }
            return output.clap(&error);
        }
    };
    match commands::dispatch(cli, output, surroundings).await {
        Ok(()) => ExitCode::Ok,
        Err(error) => {
            output.finish_line();
            if let Some(expected) = error.downcast_ref::<ExpectedError>() {
                fail(expected, json, output)
            } else {
                output.error(&format!("{error:#}"));
                output.hint("this is a bug in nightshift; please report it with the command that led to it");
                ExitCode::Internal
            }
        }
    }
}

/// Tells a failure to whoever asked.
fn fail(error: &ExpectedError, json: bool, output: &mut Output) -> ExitCode {
    if json {
        output.error_as_json(&error.to_json());
    }
    output.expected(error);
    error.exit()
}
