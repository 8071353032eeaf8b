//! Where to call.

use std::time::Duration;

use clap::{ArgAction, Args};

use super::{OfConnections, Refused, job};
use crate::aws::stack;
use crate::error::ExpectedError;

/// Where to call, and how to answer.
#[derive(Debug, Args)]
#[command(next_help_heading = "Connection")]
pub struct Connection {
    /// Address of the API
    ///
    /// Without it a running local stack is found by its profile file. Calls of a Lambda function URL are signed with AWS
    /// credentials unless there is a token.
    #[arg(long, global = true, env = "NIGHTSHIFT_URL", value_name = "URL", hide_env_values = true)]
    pub url: Option<String>,

    /// Bearer token of the API
    #[arg(long, global = true, env = "NIGHTSHIFT_TOKEN", value_name = "TOKEN", hide_env_values = true)]
    pub token: Option<String>,

    /// Name of a stack on AWS, in place of an address
    ///
    /// Its address is asked of Lambda, and calls are signed with AWS credentials.
    #[arg(
        long,
        global = true,
        env = "NIGHTSHIFT_STACK",
        value_name = "NAME",
        hide_env_values = true,
        value_parser = stack::parse_name
    )]
    pub stack: Option<String>,

    /// AWS region of the stack; that of the environment or the profile without it
    #[arg(long, global = true, value_name = "REGION")]
    pub region: Option<String>,

    /// Sign calls with AWS credentials, whatever the address
    ///
    /// The variable is iam, or token.
    #[arg(
        long,
        global = true,
        env = "NIGHTSHIFT_AUTH",
        hide_env_values = true,
        action = ArgAction::SetTrue,
        value_parser = parse_auth
    )]
    pub iam: bool,

    /// How long to wait for an answer of the API
    #[arg(long, global = true, value_name = "DURATION", default_value = "30s", value_parser = job::millis)]
    pub timeout: u64,

    /// Print the API's JSON; an error's too
    #[arg(long, global = true, help_heading = None, display_order = 900)]
    pub json: bool,

    /// Accepted for scripts written for `OpenClaw`, where it waits for a last answer; there is only one here.
    #[arg(long, global = true, hide = true)]
    pub expect_final: bool,

    /// Refused ones.
    #[command(flatten)]
    pub foreign: Refused<OfConnections>,
}

/// What `NIGHTSHIFT_AUTH` says; the flag alone is `true`.
fn parse_auth(text: &str) -> Result<bool, String> {
    match text {
        "true" | "iam" => Ok(true),
        "" | "false" | "token" => Ok(false),
        _ => Err("NIGHTSHIFT_AUTH is iam or token".to_owned()),
    }
}

impl Connection {
    /// How long to wait for an answer.
    pub(crate) fn timeout(&self) -> Duration {
        Duration::from_millis(self.timeout)
    }

    /// Leaves one way to the API: what was `typed` wins over variables, and what contradicts itself is refused. An empty
    /// value is none.
    pub(crate) fn settle(&mut self, typed: impl Fn(&str) -> bool) -> Result<(), ExpectedError> {
        for text in [&mut self.url, &mut self.token, &mut self.stack] {
            *text = text.take().filter(|text| !text.trim().is_empty());
        }
        if self.stack.is_some() && self.url.is_some() {
            match (typed("stack"), typed("url")) {
                (true, false) => self.url = None,
                (false, true) => self.stack = None,
                (true, true) | (false, false) => {
                    return Err(ExpectedError::usage_hint(
                        "an address and a stack are given, and both say where to call",
                        "leave --url (or NIGHTSHIFT_URL) or --stack (or NIGHTSHIFT_STACK) out",
                    ));
                }
            }
        }
        if (self.stack.is_some() || self.iam) && self.token.is_some() {
            let other = if self.stack.is_some() { "stack" } else { "iam" };
            match (typed(other), typed("token")) {
                (true, true) => {
                    return Err(ExpectedError::usage_hint(
                        format!("--token has no meaning with --{other}: calls are signed with AWS credentials"),
                        "leave one of them out",
                    ));
                }
                (false, true) => (self.stack, self.iam) = (None, false),
                (_, false) => self.token = None,
            }
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::super::{Cli, ReadError};

    /// What is left of flags, as `url token stack iam`.
    fn settled(flags: &str, variables: &[&str]) -> Result<String, String> {
        let line = ["nightshift", "cron", "status"].into_iter().chain(flags.split_whitespace());
        let mut cli = match Cli::read(line) {
            Ok(cli) => cli,
            Err(ReadError::Clap(error)) => return Err(error.to_string()),
            Err(ReadError::Contradiction(error)) => return Err(error.to_string()),
        };
        let connection = &mut cli.connection;
        for variable in variables {
            match variable.split_once('=').unwrap() {
                ("url", value) => connection.url = Some(value.to_owned()),
                ("token", value) => connection.token = Some(value.to_owned()),
                ("stack", value) => connection.stack = Some(value.to_owned()),
                (_, value) => connection.iam = super::parse_auth(value)?,
            }
        }
        let typed = |name: &str| flags.contains(&format!("--{name}"));
        connection.settle(typed).map_err(|error| error.to_string())?;
        let word = |text: &Option<String>| text.clone().unwrap_or_else(|| "-".to_owned());
        let (url, token, stack) = (word(&connection.url), word(&connection.token), word(&connection.stack));
        Ok(format!("{url} {token} {stack} {}", if connection.iam { "iam" } else { "-" }))
    }

    #[test]
    fn what_is_typed_wins_over_variables_and_one_way_is_left() {
        let cases: [(&str, &[&str], &str); 9] = [
            ("--stack night", &[], "- - night -"),
            ("--stack night", &["url=u", "token=t"], "- - night -"),
            ("--url u", &["stack=night", "token=t"], "u t - -"),
            ("--url u --token t", &["stack=night", "iam=iam"], "u t - -"),
            ("", &["stack=night", "token=t"], "- - night -"),
            ("--token t", &["stack=night"], "- t - -"),
            ("--iam", &["url=u", "token=t"], "u - - iam"),
            ("", &["url=u", "token=t", "iam=iam"], "u - - iam"),
            ("", &["url=", "stack= ", "token=", "iam="], "- - - -"),
        ];
        for (flags, variables, left) in cases {
            assert_eq!(settled(flags, variables).as_deref(), Ok(left), "{flags} {variables:?}");
        }
    }

    #[test]
    fn two_ways_at_once_are_refused() {
        for (flags, variables) in [("--stack night --url u", &[][..]), ("", &["url=u", "stack=night"])] {
            let message = settled(flags, variables).unwrap_err();
            assert!(message.starts_with("an address and a stack are given"), "{message}");
        }
        for flags in ["--stack night --token t", "--url u --iam --token t"] {
            let message = settled(flags, &[]).unwrap_err();
            assert!(message.starts_with("--token has no meaning with --"), "{message}");
        }
        for name in ["9lives", "a_b", "a/b", "-a", &"a".repeat(55)] {
            assert!(settled(&format!("--stack={name}"), &[]).is_err(), "{name}");
        }
    }
}
