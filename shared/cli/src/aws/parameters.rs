//! Secrets of a stack in Systems Manager's Parameter Store.
//!
//! The secret `slack/token` of the stack `night` is the parameter `/night/slack/token`, a `SecureString` of the standard tier
//! (free, at most 4 KB), and the configuration calls it `ssm:slack/token`. Values are written here and never read.

use std::collections::BTreeSet;
use std::fmt;

use anyhow::Context as _;
use aws_sdk_ssm::types::{ParameterStringFilter, ParameterTier, ParameterType};
use nightshift_domain::config::SecretsPath;

use super::{Aws, AwsFailure};
use crate::error::ExpectedError;

/// What a parameter of the standard tier holds (Systems Manager User Guide, "Managing parameter tiers").
const MOST_BYTES: usize = 4096;
/// Names in one `GetParameters` (Systems Manager API reference).
const NAMES_AT_ONCE: usize = 10;

/// A secret's value on its way.
#[derive(Clone, PartialEq, Eq)]
pub(crate) struct SecretValue(String);

impl fmt::Debug for SecretValue {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("[redacted]")
    }
}

impl SecretValue {
    /// What was typed or read, without the line end that files and `echo` put behind it.
    pub(crate) fn parse(text: &str) -> Result<Self, ExpectedError> {
        let value = text.strip_suffix('\n').unwrap_or(text);
        let value = value.strip_suffix('\r').unwrap_or(value);
        if value.trim().is_empty() {
            return Err(ExpectedError::usage_hint(
                "the value is empty",
                "pipe it in, name its file with --file, or type it when asked",
            ));
        }
        if value.len() > MOST_BYTES {
            let message = format!("the value has {} bytes, and a secret has at most {MOST_BYTES}", value.len());
            return Err(ExpectedError::usage(message));
        }
        Ok(Self(value.to_owned()))
    }
}

/// What is known of a secret without looking at it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Kept {
    /// Without the stack's prefix.
    pub(crate) name: String,
    pub(crate) version: i64,
    pub(crate) changed_at_ms: Option<i64>,
}

/// A secret's name: words of letters, digits and `_.-`, with slashes between them.
pub(crate) fn parse_name(text: &str) -> Result<String, String> {
    // Words of dots alone would look like a way up, which there is none of.
    let is_word = |word: &str| {
        word.bytes().any(|byte| byte != b'.')
            && word.bytes().all(|byte| byte.is_ascii_alphanumeric() || matches!(byte, b'_' | b'.' | b'-'))
    };
    if text.split('/').all(is_word) {
        Ok(text.to_owned())
    } else {
        Err("a secret's name is letters, digits and _.- with slashes only between them, such as slack/token".to_owned())
    }
}

/// The parameter of the secret `name` of `stack`.
pub(crate) fn parameter(stack: &str, name: &str) -> String {
    SecretsPath::new(stack).parameter(name)
}

/// Writes a secret, in place of the one of that name if there is one, and gives its version.
pub(crate) async fn put(aws: &Aws, stack: &str, name: &str, value: SecretValue) -> Result<i64, ExpectedError> {
    let parameter = parameter(stack, name);
    let request = aws.ssm().put_parameter().name(&parameter).value(value.0);
    let request = request.r#type(ParameterType::SecureString).tier(ParameterTier::Standard).overwrite(true);
    let written = request.send().await.map_err(|error| AwsFailure::of(format!("write {parameter}"), &error))?;
    Ok(written.version)
}

/// The secrets of `stack` by name.
pub(crate) async fn list(aws: &Aws, stack: &str) -> anyhow::Result<Vec<Kept>> {
    let path = SecretsPath::new(stack);
    let prefix = path.parameter("");
    // Descriptions, because what else lists parameters gives their values along.
    let below = ParameterStringFilter::builder()
        .key("Path")
        .option("Recursive")
        .values(path.as_str())
        .build()
        .context("failed to name a folder of parameters")?;
    let mut pages = aws.ssm().describe_parameters().parameter_filters(below).into_paginator().send();
    let mut found = Vec::new();
    while let Some(page) = pages.next().await {
        let page = page.map_err(|error| {
            ExpectedError::from(AwsFailure::of(format!("list the parameters below {prefix}"), &error))
        })?;
        found.extend(page.parameters.unwrap_or_default().into_iter().filter_map(|item| {
            let name = item.name?.strip_prefix(&prefix)?.to_owned();
            let changed_at_ms = item.last_modified_date.and_then(|at| at.to_millis().ok());
            Some(Kept { name, version: item.version, changed_at_ms })
        }));
    }
    found.sort_by(|one, other| one.name.cmp(&other.name));
    Ok(found)
}

/// Removes a secret; `false` where there was none.
pub(crate) async fn remove(aws: &Aws, stack: &str, name: &str) -> Result<bool, ExpectedError> {
    let parameter = parameter(stack, name);
    match aws.ssm().delete_parameter().name(&parameter).send().await {
        Ok(_) => Ok(true),
        Err(error) => {
            let failure = AwsFailure::of(format!("remove {parameter}"), &error);
            if failure.is_missing() { Ok(false) } else { Err(failure.into()) }
        }
    }
}

/// Which of `parameters` are not there. Values come along encrypted, and are not looked at.
pub(crate) async fn missing(aws: &Aws, parameters: &BTreeSet<String>) -> Result<Vec<String>, ExpectedError> {
    let all: Vec<&String> = parameters.iter().collect();
    let mut missing = Vec::new();
    for some in all.chunks(NAMES_AT_ONCE) {
        let names = some.iter().map(|name| (*name).clone()).collect();
        let answer = aws.ssm().get_parameters().set_names(Some(names)).with_decryption(false).send().await;
        let answer = answer.map_err(|error| AwsFailure::of("look up the parameters", &error))?;
        missing.extend(answer.invalid_parameters.unwrap_or_default());
    }
    Ok(missing)
}
