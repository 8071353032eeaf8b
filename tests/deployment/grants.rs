//! What each role grants is what its function was seen to use, by the whole test suite: no more and no less.

use std::collections::{BTreeMap, BTreeSet};
use std::path::PathBuf;

use nightshift_domain::event::Function;
use serde_json::Value;

use super::template::Template;

type Grants = BTreeMap<String, BTreeSet<String>>;

/// What AWS does in a function's name, or asks for besides: no call of ours says so.
const OF_AWS: [&str; 4] =
    ["logs:CreateLogStream logs", "logs:PutLogEvents logs", "xray:PutTelemetryRecords *", "xray:PutTraceSegments *"];
/// Where Lambda puts an asynchronous invocation that failed (Lambda, "Capturing records of asynchronous invocations").
const FAILURES: &str = "sqs:SendMessage failures";
/// S3 answers "forbidden" instead of "not found" without it.
const LISTING: &str = "s3:ListBucket bucket";

/// What a role of the template grants, in the words of the log of actions.
fn granted(template: &Template) -> Grants {
    let functions = template.all("AWS::Serverless::Function");
    let words: Vec<(String, String)> = vec![
        (template.arn("Table"), "table".to_owned()),
        (format!("{}/index/GSI1", template.arn("Table")), "index/GSI1".to_owned()),
        (format!("{}/index/GSI2", template.arn("Table")), "index/GSI2".to_owned()),
        (format!("{}/*", template.arn("Blobs")), "blobs".to_owned()),
        (template.arn("Blobs"), "bucket".to_owned()),
        (template.arn("SchedulerRole"), "role".to_owned()),
        (template.arn("FailedInvocations"), "failures".to_owned()),
        ("arn:aws:scheduler:eu-central-1:111122223333:schedule/nightshift/*".to_owned(), "schedule".to_owned()),
        ("arn:aws:ssm:eu-central-1:111122223333:parameter/nightshift/*".to_owned(), "parameter".to_owned()),
        ("*".to_owned(), "*".to_owned()),
    ]
    .into_iter()
    .chain(functions.iter().map(|id| (template.arn(id), format!("function/{}", id.to_lowercase()))))
    .chain(functions.iter().map(|id| (template.arn(&format!("{id}Logs")), "logs".to_owned())))
    .collect();
    let word = |arn: &str| {
        let found = words.iter().find(|(known, _)| known == arn);
        found.unwrap_or_else(|| panic!("a role names {arn}, which no test can place")).1.clone()
    };
    let mut all = Grants::new();
    for id in functions {
        let role = template.properties(&format!("{id}Role"));
        assert_eq!(role["Policies"].as_array().unwrap().len(), 1);
        let statements = role["Policies"][0]["PolicyDocument"]["Statement"].as_array().unwrap();
        let grants = all.entry(id.to_lowercase()).or_default();
        for statement in statements {
            assert_eq!(statement["Effect"], "Allow");
            for action in texts(&statement["Action"]) {
                assert!(!action.contains('*'), "{id} is granted {action}");
                for resource in texts(&statement["Resource"]) {
                    assert!(grants.insert(format!("{action} {}", word(&resource))), "{id}: {action} is granted twice");
                }
            }
        }
    }
    all
}

fn texts(value: &Value) -> Vec<String> {
    if let Value::String(one) = value {
        return vec![one.clone()];
    }
    value.as_array().unwrap().iter().map(|one| one.as_str().unwrap().to_owned()).collect()
}

/// What the functions were seen to use, and what follows from it.
fn used(folder: &PathBuf) -> Grants {
    let mut all = Grants::new();
    for entry in std::fs::read_dir(folder).unwrap() {
        for line in std::fs::read_to_string(entry.unwrap().path()).unwrap().lines() {
            let (function, action) = line.split_once(' ').unwrap();
            all.entry(function.to_owned()).or_default().insert(action.to_owned());
        }
    }
    // Methods come to the public address where they are switched on, and do there what they do at the private one.
    let methods = all["api"].clone();
    all.get_mut("tools").unwrap().extend(methods);
    for (function, actions) in &mut all {
        actions.extend(OF_AWS.map(str::to_owned));
        if actions.contains("s3:GetObject blobs") {
            actions.insert(LISTING.to_owned());
        }
        if !matches!(function.as_str(), "api" | "tools") {
            actions.insert(FAILURES.to_owned());
        }
    }
    all
}

#[test]
#[ignore = "judges what the whole suite has noted: `make test` runs it last"]
fn every_role_grants_what_its_function_was_seen_to_use_and_nothing_else() {
    let folder = std::env::var_os("NIGHTSHIFT_ACTIONS").map(PathBuf::from).unwrap();
    let (granted, used) = (granted(&Template::load()), used(&folder));
    assert_eq!(granted.keys().collect::<Vec<_>>(), used.keys().collect::<Vec<_>>());
    let mut wrong = Vec::new();
    for (function, granted) in &granted {
        let used = &used[function];
        wrong.extend(used.difference(granted).map(|one| format!("{function} needs {one}, which it is not granted")));
        wrong.extend(granted.difference(used).map(|one| format!("{function} is granted {one}, which it never used")));
    }
    assert!(wrong.is_empty(), "{wrong:#?}");
}

#[test]
fn a_wildcard_stands_only_where_aws_knows_no_narrower_resource() {
    for (function, grants) in granted(&Template::load()) {
        let wild: Vec<&str> = grants.iter().filter_map(|one| one.strip_suffix(" *")).collect();
        let allowed = ["scheduler:ListSchedules", "xray:PutTelemetryRecords", "xray:PutTraceSegments"];
        assert!(wild.iter().all(|action| allowed.contains(action)), "{function}: {wild:?}");
    }
}

#[test]
fn schedules_may_call_the_functions_that_take_envelopes_and_no_other_group_may() {
    let template = Template::load();
    let role = template.properties("SchedulerRole");
    let trust = &role["AssumeRolePolicyDocument"]["Statement"][0];
    assert_eq!(trust["Principal"]["Service"], "scheduler.amazonaws.com");
    let group = "arn:aws:scheduler:eu-central-1:111122223333:schedule-group/nightshift";
    assert_eq!(trust["Condition"]["StringEquals"]["aws:SourceArn"], group);
    assert_eq!(trust["Condition"]["StringEquals"]["aws:SourceAccount"], "111122223333");
    let statements = &role["Policies"][0]["PolicyDocument"]["Statement"];
    let callable = [Function::Trigger, Function::Poll, Function::Deliver, Function::Heartbeat];
    let callable =
        callable.map(|one| format!("arn:aws:lambda:eu-central-1:111122223333:function:nightshift-{}", one.name()));
    assert_eq!(texts(&statements[0]["Resource"]), callable);
    assert_eq!(texts(&statements[1]["Resource"]), [template.arn("UndeliveredTimers")]);
}
