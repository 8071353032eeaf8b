//! What the template gives the functions is what they read, and what it makes is what they expect.

use std::cell::RefCell;
use std::collections::BTreeSet;

use nightshift_boot::{BlobPlace, Environment};
use nightshift_domain::config::SecretsPath;
use nightshift_domain::event::{Envelope, Function, Wake};
use nightshift_local::functions;
use nightshift_local::scheduler::Expression;
use serde_json::{Value, json};

use super::template::{STACK, Template};

fn functions_of(template: &Template) -> Vec<(&str, Value)> {
    let all = template.all("AWS::Serverless::Function");
    all.into_iter().map(|id| (id, template.function(id))).collect()
}

#[test]
fn every_function_is_given_what_it_reads_and_nothing_else() {
    let template = Template::load();
    for (id, function) in functions_of(&template) {
        let variables = function["Environment"]["Variables"].as_object().unwrap();
        let asked = RefCell::new(BTreeSet::new());
        let read = Environment::read(|name| {
            asked.borrow_mut().insert(name.to_owned());
            variables.get(name).map(|value| value.as_str().unwrap_or_else(|| panic!("{name} is no text")).to_owned())
        });
        let read = read.unwrap_or_else(|error| panic!("{id} does not start: {error}"));
        for name in variables.keys() {
            assert!(asked.borrow().contains(name), "{id} is given {name}, which it never reads");
        }
        assert_eq!(read.table, format!("{STACK}-Table"));
        assert_eq!(read.blobs, BlobPlace::Bucket(format!("{STACK}-blobs")));
        assert_eq!(read.group, template.properties("Group")["Name"]);
        assert_eq!(read.scheduler_role_arn, template.arn("SchedulerRole"));
        assert_eq!(read.dead_letter_arn, Some(template.arn("UndeliveredTimers")));
        assert_eq!(read.settings.secrets, Some(SecretsPath::new(STACK)));
        assert_eq!((read.settings.local, read.settings.skip_cron, read.console_url), (false, false, None));
        for (other, function) in functions_of(&template) {
            let name = function["FunctionName"].as_str().unwrap();
            let short = name.strip_prefix(&format!("{STACK}-")).unwrap();
            assert_eq!(format!("{}{short}", read.function_arn_prefix), template.arn(other));
        }
    }
}

#[test]
fn every_function_is_deployed_under_its_own_name_with_the_time_the_local_stack_gives_it() {
    let template = Template::load();
    let mut deployed: Vec<(String, i64)> = functions_of(&template)
        .iter()
        .map(|(id, function)| {
            let name = function["FunctionName"].as_str().unwrap().to_owned();
            assert_eq!(name, template.binary(id), "the binary of {id} is another function's");
            (name, function["Timeout"].as_i64().unwrap())
        })
        .collect();
    deployed.sort();
    let specs = functions::specs();
    let mut local: Vec<_> = specs.iter().map(|spec| (spec.name.clone(), spec.timeout.num_seconds())).collect();
    local.sort();
    assert_eq!(deployed, local);
}

#[test]
fn the_deployed_table_has_the_keys_and_indexes_of_ours() {
    let template = Template::load();
    let table = template.properties("Table");
    let schema = nightshift_store::table_schema("t").unwrap();
    let attributes = schema.get_attribute_definitions().as_ref().unwrap();
    let attributes: Vec<Value> = attributes
        .iter()
        .map(|one| json!({ "AttributeName": one.attribute_name(), "AttributeType": one.attribute_type().as_str() }))
        .collect();
    assert_eq!(table["AttributeDefinitions"], json!(attributes));
    let keys = |elements: &[aws_sdk_dynamodb::types::KeySchemaElement]| -> Value {
        elements
            .iter()
            .map(|one| json!({ "AttributeName": one.attribute_name(), "KeyType": one.key_type().as_str() }))
            .collect::<Vec<_>>()
            .into()
    };
    assert_eq!(table["KeySchema"], keys(schema.get_key_schema().as_ref().unwrap()));
    let indexes = schema.get_global_secondary_indexes().as_ref().unwrap().iter().map(|index| {
        let projection = index.projection().and_then(|one| one.projection_type()).unwrap();
        json!({
            "IndexName": index.index_name(), "KeySchema": keys(index.key_schema()),
            "Projection": { "ProjectionType": projection.as_str() },
        })
    });
    assert_eq!(table["GlobalSecondaryIndexes"], json!(indexes.collect::<Vec<_>>()));
    assert_eq!(table["BillingMode"], "PAY_PER_REQUEST");
    assert_eq!(table["TimeToLiveSpecification"]["AttributeName"], nightshift_store::TTL);
}

#[test]
fn the_templates_schedules_are_ones_the_timer_service_takes_and_poll_understands() {
    let template = Template::load();
    let schedules = template.all("AWS::Scheduler::Schedule");
    assert_eq!(schedules, ["Sweep"]);
    let sweep = template.properties("Sweep");
    Expression::parse(sweep["ScheduleExpression"].as_str().unwrap(), "UTC").unwrap();
    let envelope: Envelope = serde_json::from_str(sweep["Target"]["Input"].as_str().unwrap()).unwrap();
    assert_eq!(envelope, Envelope::new(Wake::Sweep));
    assert_eq!(envelope.kind.function(), Function::Poll);
    assert_eq!(sweep["Target"]["Arn"], template.arn("Poll"));
    assert_eq!(sweep["GroupName"], template.properties("Group")["Name"]);
}
