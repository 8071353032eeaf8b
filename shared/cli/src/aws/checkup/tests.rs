use std::collections::BTreeMap;

use aws_sdk_dynamodb::types::{
    GlobalSecondaryIndexDescription, IndexStatus, TableDescription, TableStatus, TimeToLiveDescription,
    TimeToLiveStatus,
};
use nightshift_domain::config::SecretsPath;
use serde_json::json;

use super::functions::{Function, agreement, judge, judge_dead_letters};
use super::*;
use crate::aws::stack::FunctionUrl;

fn function(role: &'static str, changes: &[(&str, &str)]) -> Function {
    let mut variables = BTreeMap::new();
    let own = [
        ("NIGHTSHIFT_TABLE", "night"),
        ("NIGHTSHIFT_BLOBS", "s3://night"),
        ("NIGHTSHIFT_GROUP", "night"),
        ("NIGHTSHIFT_SCHEDULER_ROLE_ARN", "arn:aws:iam::1:role/night"),
        ("NIGHTSHIFT_FUNCTION_ARN_PREFIX", "arn:aws:lambda:x:1:function:night-"),
    ];
    for (name, value) in own.iter().chain(changes) {
        variables.insert((*name).to_owned(), (*value).to_owned());
    }
    variables.retain(|_, value| !value.is_empty());
    let (state, update) = ("Active".to_owned(), "Successful".to_owned());
    Function { role, name: format!("night-{role}"), state, update, variables, ..Function::default() }
}

fn found(checks: &[Check]) -> Vec<String> {
    let found = checks.iter().filter(|check| check.verdict == Verdict::Found);
    found.map(|check| format!("{}: {}", check.subject, check.message)).collect()
}

#[test]
fn a_function_is_well_when_it_is_active_and_its_update_went_through() {
    let with = |state: &str, update: &str| {
        let reason = Some("because".to_owned());
        let function = Function { state: state.to_owned(), update: update.to_owned(), ..function("poll", &[]) };
        judge(&Function { state_reason: reason.clone(), update_reason: reason, ..function })
    };
    assert_eq!(with("Active", "Successful"), Check::ok("function night-poll", "active"));
    let cases = [
        (with("Failed", "Successful"), "function night-poll: its state is Failed, not Active: because"),
        (with("Pending", "Successful"), "function night-poll: its state is Pending, not Active: because"),
        (with("Active", "Failed"), "function night-poll: its last update is Failed: because"),
        (with("Active", "InProgress"), "function night-poll: it is being updated"),
    ];
    for (check, told) in cases {
        assert_eq!(found(&[check]), [told]);
    }
}

#[test]
fn functions_that_are_told_different_things_are_found() {
    let with = |change: (&str, &str)| {
        agreement("night", &[function("api", &[]), function("trigger", &[]), function("poll", &[change])])
    };
    assert_eq!(found(&with(("NIGHTSHIFT_LOCAL", "1"))), Vec::<String>::new());
    assert_eq!(
        found(&with(("NIGHTSHIFT_TABLE", "other"))),
        ["setting NIGHTSHIFT_TABLE: functions differ: night in api and trigger; other in poll"]
    );
    assert_eq!(found(&with(("NIGHTSHIFT_GROUP", ""))), ["setting NIGHTSHIFT_GROUP: it is not set in poll"]);
    assert_eq!(found(&with(("NIGHTSHIFT_PARAMETERS", "/night/"))), Vec::<String>::new(), "not all need it");
    let prefix = ("NIGHTSHIFT_FUNCTION_ARN_PREFIX", "arn:aws:lambda:x:1:function:day-");
    let all = agreement("night", &[function("api", &[prefix])]);
    assert_eq!(
        found(&all),
        [
            "setting NIGHTSHIFT_FUNCTION_ARN_PREFIX: functions call those of another stack: arn:aws:lambda:x:1:function:day-…"
        ]
    );
    assert_eq!(agreement("night", &[])[0].verdict, Verdict::Skipped);
}

#[test]
fn failures_that_nothing_keeps_are_found() {
    let queue = [("NIGHTSHIFT_DEAD_LETTER_ARN", "arn:aws:sqs:x:1:dead")];
    assert_eq!(judge_dead_letters(&[function("api", &queue)], &[]).verdict, Verdict::Ok);
    let check = judge_dead_letters(&[function("api", &queue)], &["poll", "deliver"]);
    assert!(check.message.starts_with("events that poll and deliver failed at for good are lost"), "{}", check.message);
    let check = judge_dead_letters(&[function("api", &[])], &[]);
    assert!(check.message.starts_with("timers that cannot fire are lost"), "{}", check.message);
}

fn described(status: TableStatus, indexes: &[(&str, IndexStatus)]) -> TableDescription {
    let index = |(name, status): &(&str, IndexStatus)| {
        GlobalSecondaryIndexDescription::builder().index_name(*name).index_status(status.clone()).build()
    };
    let indexes = indexes.iter().map(index).collect();
    TableDescription::builder().table_status(status).set_global_secondary_indexes(Some(indexes)).build()
}

#[test]
fn a_table_needs_both_its_indexes() {
    let both = [("GSI1", IndexStatus::Active), ("GSI2", IndexStatus::Updating)];
    assert_eq!(table::judge("night", &described(TableStatus::Active, &both)).verdict, Verdict::Ok);
    let cases = [
        (described(TableStatus::Creating, &both), "table night: its status is CREATING, not ACTIVE"),
        (described(TableStatus::Active, &both[..1]), "table night: it has no index GSI2"),
        (
            described(TableStatus::Active, &[both[0].clone(), ("GSI2", IndexStatus::Creating)]),
            "table night: the status of its index GSI2 is CREATING, not ACTIVE",
        ),
    ];
    for (table, told) in cases {
        assert_eq!(found(&[table::judge("night", &table)]), [told]);
    }
}

#[test]
fn a_table_forgets_by_the_right_attribute_and_can_be_brought_back() {
    let ttl = |status, attribute: &str| {
        let description = TimeToLiveDescription::builder().time_to_live_status(status).attribute_name(attribute);
        table::judge_expiry(Some(&description.build())).verdict
    };
    assert_eq!(ttl(TimeToLiveStatus::Enabled, "ttl"), Verdict::Ok);
    assert_eq!(ttl(TimeToLiveStatus::Enabled, "expires"), Verdict::Found);
    assert_eq!(ttl(TimeToLiveStatus::Disabled, "ttl"), Verdict::Found);
    assert_eq!(table::judge_expiry(None).verdict, Verdict::Found);
    assert_eq!(table::judge_backups(None).verdict, Verdict::Found);
}

#[test]
fn the_sweep_has_to_fire() {
    assert_eq!(timers::judge_sweep(Some("ENABLED")).verdict, Verdict::Ok);
    assert_eq!(
        found(&[timers::judge_sweep(Some("DISABLED")), timers::judge_sweep(None)]),
        [
            "sweep: what is lost stays lost: the timer sweep is DISABLED, not ENABLED",
            "sweep: what is lost stays lost: there is no timer sweep"
        ]
    );
}

#[test]
fn an_open_address_is_found() {
    let url = |auth: &str| FunctionUrl { url: "https://x/".to_owned(), auth: auth.to_owned() };
    assert_eq!(front::judge_address(&url("AWS_IAM")).verdict, Verdict::Ok);
    assert_eq!(front::judge_address(&url("NONE")).verdict, Verdict::Found);
}

#[test]
fn a_key_is_in_the_configuration_or_with_the_functions() {
    let config = json!({"providers": {"anthropic": {"apiKey": "ssm:anthropic"}}});
    assert_eq!(front::judge_key(&config, false).verdict, Verdict::Ok);
    assert_eq!(front::judge_key(&json!({}), true).verdict, Verdict::Ok);
    assert_eq!(front::judge_key(&json!({}), false).verdict, Verdict::Found);
}

#[test]
fn secrets_are_there_and_where_the_functions_may_read_them() {
    let path = SecretsPath::new("/night");
    let judged = |named: &[&str], missing: &[&str]| {
        let missing: Vec<String> = missing.iter().map(|name| (*name).to_owned()).collect();
        let check = front::judge_secrets("night", &path, &named.iter().copied().collect(), &missing);
        (check.verdict, check.message, check.hint)
    };
    assert_eq!(judged(&[], &[]), (Verdict::Ok, "the configuration refers to none".to_owned(), None));
    assert_eq!(judged(&["a", "/night/b"], &[]), (Verdict::Ok, "all 2 are there".to_owned(), None));
    let hint =
        |name| Some(format!("`nightshift config secret set {name} --stack night` stores one, which is ssm:{name}"));
    let told = "not there: /night/a; not for the functions, which may read below /night/ only: /nightly/b".to_owned();
    assert_eq!(judged(&["a", "/nightly/b"], &["/night/a"]), (Verdict::Found, told, hint("a")));
    let told = "not there: /night/a:3".to_owned();
    assert_eq!(judged(&["a:3"], &["/night/a:3"]), (Verdict::Found, told, hint("a")));
    let told = "not for the functions, which may read below /night/ only: /b".to_owned();
    assert_eq!(judged(&["/b"], &[]), (Verdict::Found, told, hint("NAME")));
}
