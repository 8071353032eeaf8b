//! The front: whether the API can be called, by whom, and whether the secrets that its configuration names are there.

use std::collections::BTreeSet;
use std::time::Duration;

use serde_json::{Value, json};

use super::functions::{Function, PARAMETERS, setting};
use super::{Check, DEPLOY};
use crate::aws::stack::FunctionUrl;
use crate::aws::{Aws, parameters, stack};
use crate::client::Client;
use crate::error::ExpectedError;

/// What references to parameters begin with.
const REFERENCE: &str = "ssm:";

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
            let prefix = setting(functions, PARAMETERS).map_or_else(|| parameters::prefix(name), str::to_owned);
            checks.push(judge_key(&config, functions.iter().any(|function| function.has_key)));
            checks.push(secrets(aws, name, &references(&config), &prefix).await);
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

/// All that the document refers to in the parameter store.
pub(super) fn references(config: &Value) -> BTreeSet<String> {
    fn walk(value: &Value, found: &mut BTreeSet<String>) {
        match value {
            Value::String(text) => found.extend(text.strip_prefix(REFERENCE).map(str::to_owned)),
            Value::Array(values) => values.iter().for_each(|value| walk(value, found)),
            Value::Object(fields) => fields.values().for_each(|value| walk(value, found)),
            Value::Null | Value::Bool(_) | Value::Number(_) => {}
        }
    }
    let mut found = BTreeSet::new();
    walk(config, &mut found);
    found
}

async fn secrets(aws: &Aws, stack: &str, references: &BTreeSet<String>, prefix: &str) -> Check {
    if references.is_empty() {
        return Check::ok("secrets", "the configuration refers to none");
    }
    let names = references.iter().map(|name| parameters::parameter(prefix, name)).collect();
    match parameters::missing(aws, &names).await {
        Ok(missing) if missing.is_empty() => Check::ok("secrets", format!("all {} are there", references.len())),
        Ok(missing) => {
            let name = missing.first().and_then(|name| name.strip_prefix(&parameters::prefix(stack))).unwrap_or("NAME");
            let hint = format!("`nightshift config secret set {name} --stack {stack}` stores one");
            Check::found("secrets", format!("not there: {}", missing.join(", ")), hint)
        }
        Err(error) => Check::failed("secrets", &error),
    }
}
