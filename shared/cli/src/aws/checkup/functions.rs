//! The functions: whether they can run, and whether they are told the same.

use std::collections::{BTreeMap, BTreeSet};

use aws_sdk_lambda::operation::get_function_configuration::GetFunctionConfigurationOutput;

use super::{Check, DEPLOY, ELSEWHERE, listed};
use crate::aws::{Aws, AwsFailure, stack};

pub(super) const TABLE: &str = "NIGHTSHIFT_TABLE";
pub(super) const GROUP: &str = "NIGHTSHIFT_GROUP";
pub(super) const PARAMETERS: &str = "NIGHTSHIFT_PARAMETERS";
const PREFIX: &str = "NIGHTSHIFT_FUNCTION_ARN_PREFIX";
const DEAD_LETTERS: &str = "NIGHTSHIFT_DEAD_LETTER_ARN";

/// Variables every function needs, with the same value.
const NEEDED: [&str; 5] = [TABLE, "NIGHTSHIFT_BLOBS", GROUP, "NIGHTSHIFT_SCHEDULER_ROLE_ARN", PREFIX];
/// Variables that have the same value wherever they are set.
const SHARED: [&str; 2] = [PARAMETERS, DEAD_LETTERS];

/// The functions of a stack, and whether each has to be there.
const ROLES: [(&str, bool); 6] =
    [("api", true), ("trigger", true), ("poll", true), ("deliver", true), ("heartbeat", true), ("tools", false)];
/// Those that are called without anybody waiting for the answer.
const ASYNCHRONOUS: [&str; 4] = ["trigger", "poll", "deliver", "heartbeat"];

/// A function as far as it is looked at. Its variables are kept only where they are ours: others may be secrets.
#[derive(Debug, Clone, Default)]
pub(super) struct Function {
    pub(super) role: &'static str,
    pub(super) name: String,
    pub(super) state: String,
    pub(super) state_reason: Option<String>,
    /// How its last update went.
    pub(super) update: String,
    pub(super) update_reason: Option<String>,
    pub(super) variables: BTreeMap<String, String>,
    /// Whether it has a key of Anthropic's in its variables.
    pub(super) has_key: bool,
    /// Where events go that it never managed, by the older of the two ways to say so.
    pub(super) dead_letters: Option<String>,
}

impl Function {
    fn new(role: &'static str, name: &str, told: GetFunctionConfigurationOutput) -> Self {
        let variables = told.environment.and_then(|environment| environment.variables).unwrap_or_default();
        let has_key = variables.contains_key("ANTHROPIC_API_KEY");
        Self {
            role,
            name: name.to_owned(),
            state: told.state.map(|state| state.as_str().to_owned()).unwrap_or_default(),
            state_reason: told.state_reason,
            update: told.last_update_status.map(|status| status.as_str().to_owned()).unwrap_or_default(),
            update_reason: told.last_update_status_reason,
            variables: variables.into_iter().filter(|(name, _)| name.starts_with("NIGHTSHIFT_")).collect(),
            has_key,
            dead_letters: told.dead_letter_config.and_then(|config| config.target_arn),
        }
    }
}

/// Asks for each function, and says what is wrong with it.
pub(super) async fn look(aws: &Aws, stack: &str) -> (Vec<Function>, Vec<Check>) {
    let mut seen = Vec::new();
    let mut checks = Vec::new();
    let mut missing = 0;
    for (role, needed) in ROLES {
        let name = stack::function(stack, role);
        match aws.lambda().get_function_configuration().function_name(&name).send().await {
            Ok(told) => {
                let function = Function::new(role, &name, told);
                checks.push(judge(&function));
                seen.push(function);
            }
            Err(error) => {
                let failure = AwsFailure::of(format!("show the function {name}"), &error);
                missing += usize::from(failure.is_missing());
                if needed || !failure.is_missing() {
                    checks.push(Check::asked(format!("function {name}"), "the function", failure));
                }
            }
        }
    }
    if missing == ROLES.len() {
        // Somebody looks in the wrong place, and needs to be told once.
        let message = format!("the stack {stack} has no function in {}", aws.region());
        checks = vec![Check::found("functions", message, ELSEWHERE)];
    }
    (seen, checks)
}

/// Whether it can be called. States are those of the Lambda Developer Guide, "Lambda function states".
pub(super) fn judge(function: &Function) -> Check {
    let Function { name, state, state_reason, update, update_reason, .. } = function;
    let check = format!("function {name}");
    let because = |reason: &Option<String>| reason.as_ref().map(|text| format!(": {text}")).unwrap_or_default();
    if state != "Active" {
        let hint = match state.as_str() {
            "Pending" => "it is being made; ask again in a minute",
            "Inactive" => "nobody called it for long; the next call wakes it",
            _ => DEPLOY,
        };
        return Check::found(check, format!("its state is {state}, not Active{}", because(state_reason)), hint);
    }
    match update.as_str() {
        "Successful" | "" => Check::ok(check, "active"),
        "InProgress" => Check::found(check, "it is being updated", "ask again in a minute"),
        _ => Check::found(check, format!("its last update is {update}{}", because(update_reason)), DEPLOY),
    }
}

/// A variable's value, where all that have it agree.
pub(super) fn setting<'a>(functions: &'a [Function], variable: &str) -> Option<&'a str> {
    let values: BTreeSet<&String> = functions.iter().filter_map(|function| function.variables.get(variable)).collect();
    match values.len() {
        1 => values.first().map(|value| value.as_str()),
        _ => None,
    }
}

/// Whether all functions work on the same table, timers and files.
pub(super) fn agreement(stack: &str, functions: &[Function]) -> Vec<Check> {
    if functions.is_empty() {
        return vec![Check::skipped("settings", "there is no function to ask")];
    }
    let mut checks = Vec::new();
    for variable in NEEDED.into_iter().chain(SHARED) {
        let check = format!("setting {variable}");
        let without: Vec<&str> =
            functions.iter().filter(|one| !one.variables.contains_key(variable)).map(|one| one.role).collect();
        if NEEDED.contains(&variable) && !without.is_empty() {
            checks.push(Check::found(&check, format!("it is not set in {}", listed(&without)), DEPLOY));
        }
        let mut holders: BTreeMap<&str, Vec<&str>> = BTreeMap::new();
        for function in functions {
            if let Some(value) = function.variables.get(variable) {
                holders.entry(value).or_default().push(function.role);
            }
        }
        if holders.len() > 1 {
            let sides: Vec<String> =
                holders.iter().map(|(value, roles)| format!("{value} in {}", listed(roles))).collect();
            checks.push(Check::found(&check, format!("functions differ: {}", sides.join("; ")), DEPLOY));
        }
    }
    if let Some(prefix) = setting(functions, PREFIX).filter(|prefix| !prefix.ends_with(&format!(":{stack}-"))) {
        let message = format!("functions call those of another stack: {prefix}…");
        checks.push(Check::found(format!("setting {PREFIX}"), message, DEPLOY));
    }
    if checks.is_empty() {
        let table = setting(functions, TABLE).unwrap_or_default();
        let group = setting(functions, GROUP).unwrap_or_default();
        checks.push(Check::ok("settings", format!("all functions use the table {table} and the group {group}")));
    }
    checks
}

/// Whether something keeps what failed for good. What lies there is not counted: that would take one more service.
pub(super) async fn dead_letters(aws: &Aws, functions: &[Function]) -> Check {
    let mut without = Vec::new();
    for function in functions.iter().filter(|one| ASYNCHRONOUS.contains(&one.role) && one.dead_letters.is_none()) {
        let answer = aws.lambda().get_function_event_invoke_config().function_name(&function.name).send().await;
        match answer {
            Ok(told) => {
                let failures = told.destination_config.and_then(|config| config.on_failure);
                if failures.and_then(|place| place.destination).is_none() {
                    without.push(function.role);
                }
            }
            Err(error) => {
                let failure = AwsFailure::of(format!("show the failures' place of {}", function.name), &error);
                if !failure.is_missing() {
                    return Check::failed("dead letters", &failure.into());
                }
                without.push(function.role);
            }
        }
    }
    judge_dead_letters(functions, &without)
}

/// `without` are the functions whose failed events are thrown away.
pub(super) fn judge_dead_letters(functions: &[Function], without: &[&str]) -> Check {
    let check = "dead letters";
    if functions.is_empty() {
        return Check::skipped(check, "there is no function to ask");
    }
    let timers = setting(functions, DEAD_LETTERS);
    match (timers, without) {
        (Some(queue), []) => {
            Check::ok(check, format!("timers that cannot fire go to {queue}; failed events are kept too"))
        }
        (None, []) => {
            Check::found(check, format!("timers that cannot fire are lost: {DEAD_LETTERS} is not set"), DEPLOY)
        }
        (_, without) => {
            let message =
                format!("events that {} failed at for good are lost: OnFailure has no destination", listed(without));
            Check::found(check, message, DEPLOY)
        }
    }
}
