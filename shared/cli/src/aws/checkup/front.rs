//! The front: whether the API can be called, by whom, and whether the secrets that its configuration names are there.

use std::collections::BTreeSet;
use std::time::Duration;

use nightshift_domain::config::{self, SecretsPath};
use serde_json::{Value, json};

use super::functions::{Function, PARAMETERS, setting};
use super::{Check, DEPLOY};
use crate::aws::stack::FunctionUrl;
use crate::aws::{Aws, parameters, stack};
use crate::client::Client;
use crate::error::ExpectedError;

/// Asks for the address, then there for what only the API knows, then for the secrets.
pub(super) async fn look(aws: &Aws, name: &str, functions: &[Function], timeout: Duration) -> Vec<Check> {
    let unknown = |what: &str| Check::skipped(what, "the API cannot be asked");
    let url = match stack::find(aws, name).await {
        Ok(url) => url,
        Err(error) => return vec![no_address(name, functions, &error), unknown("api"), unknown("secrets")],
    };
    let mut checks = vec![judge_address(&url)];
    match ask(aws, &url.url, timeout).await {
        Ok((revision, config)) => {
            checks.push(Check::ok("api", format!("it answers; the configuration is at revision {revision}")));
            let path = SecretsPath::new(setting(functions, PARAMETERS).unwrap_or(name));
            checks.push(judge_key(&config, functions.iter().any(|function| function.has_key)));
            checks.push(secrets(aws, name, &config, &path).await);
        }
        Err(error) => {
            checks.push(match error.downcast_ref::<ExpectedError>() {
                Some(expected) => Check::failed("api", expected),
                None => Check::found("api", format!("{error:#}"), "this may be a bug in nightshift; please report it"),
            });
            checks.push(unknown("secrets"));
        }
    }
    checks
}

fn no_address(name: &str, functions: &[Function], error: &ExpectedError) -> Check {
    if matches!(error, ExpectedError::NoStack { .. }) {
        if functions.is_empty() {
            return Check::skipped("address", "there is no function to ask");
        }
        let function = stack::function(name, "api");
        return Check::found("address", format!("the function {function} has no address of its own"), DEPLOY);
    }
    Check::failed("address", error)
}

/// Whether AWS looks at who calls.
pub(super) fn judge_address(url: &FunctionUrl) -> Check {
    let FunctionUrl { url, auth } = url;
    if auth == "AWS_IAM" {
        Check::ok("address", format!("{url}, for whom AWS IAM lets in"))
    } else {
        Check::found("address", format!("everybody may call {url}: its auth type is {auth}, not AWS_IAM"), DEPLOY)
    }
}

/// The configuration's revision and document, and with them whether the API answers.
async fn ask(aws: &Aws, url: &str, timeout: Duration) -> anyhow::Result<(u64, Value)> {
    let client = Client::signed(url, aws.signer(aws.region()), timeout)?;
    client.call("cron.status", &json!({})).await?;
    let mut answer = client.call("config.get", &json!({})).await?;
    Ok((answer["revision"].as_u64().unwrap_or(0), answer["config"].take()))
}

/// Whether Anthropic can be called. The provider that jobs use by default is the one that is looked at.
pub(super) fn judge_key(config: &Value, in_environment: bool) -> Check {
    let check = "provider anthropic";
    match config["providers"]["anthropic"]["apiKey"].as_str() {
        Some(reference) => Check::ok(check, format!("its key is {reference}")),
        None if in_environment => Check::ok(check, "its key is in the variables of the functions"),
        None => Check::found(
            check,
            "it has no key",
            "`nightshift config secret set anthropic-key`, then `nightshift config set providers.anthropic.apiKey ssm:anthropic-key`, \
             with the --stack and --region of this command",
        ),
    }
}

async fn secrets(aws: &Aws, stack: &str, config: &Value, path: &SecretsPath) -> Check {
    let named: BTreeSet<&str> = config::references(config).into_iter().map(|reference| reference.name).collect();
    // Only what the functions read is looked up: the rest may be closed to whoever asks, too.
    let within = named.iter().filter(|name| path.holds(name)).map(|name| path.parameter(name)).collect();
    match parameters::missing(aws, &within).await {
        Ok(missing) => judge_secrets(stack, path, &named, &missing),
        Err(error) => Check::failed("secrets", &error),
    }
}

/// Whether the functions find what the configuration names; `missing` is not in the store.
pub(super) fn judge_secrets(stack: &str, path: &SecretsPath, named: &BTreeSet<&str>, missing: &[String]) -> Check {
    let below = path.parameter("");
    let outside: Vec<&str> = named.iter().filter(|name| !path.holds(name)).copied().collect();
    let mut found = Vec::new();
    if !missing.is_empty() {
        found.push(format!("not there: {}", missing.join(", ")));
    }
    if !outside.is_empty() {
        found.push(format!("not for the functions, which may read below {below} only: {}", outside.join(", ")));
    }
    if found.is_empty() {
        return match named.len() {
            0 => Check::ok("secrets", "the configuration refers to none"),
            many => Check::ok("secrets", format!("all {many} are there")),
        };
    }
    // A version or label behind the name is given by AWS, not by who stores it.
    let name = missing.first().and_then(|name| name.strip_prefix(&below)?.split(':').next()).unwrap_or("NAME");
    let hint = format!("`nightshift config secret set {name} --stack {stack}` stores one, which is ssm:{name}");
    Check::found("secrets", found.join("; "), hint)
}
