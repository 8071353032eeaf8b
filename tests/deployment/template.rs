//! `infra/template.yaml`, read and filled in as CloudFormation would.
//!
//! Only what the template uses of CloudFormation is known here; anything else panics, so that a test never passes over what
//! it does not understand.

use std::path::Path;

use nightshift_tests::process::workspace;
use saphyr::{LoadableYamlNode, Scalar, Yaml};
use serde_json::{Map, Value, json};

pub(crate) const STACK: &str = "nightshift";
const REGION: &str = "eu-central-1";
const ACCOUNT: &str = "111122223333";

/// The template with everything switched on: public, traced, with somebody to mail to.
pub(crate) struct Template {
    whole: Value,
}

impl Template {
    pub(crate) fn load() -> Self {
        let text = std::fs::read_to_string(Path::new(&workspace()).join("infra/template.yaml")).unwrap();
        let documents = Yaml::load_from_str(&text).unwrap();
        Self { whole: json_of(&documents[0]) }
    }

    /// The logical ids of the resources of `kind`.
    pub(crate) fn all(&self, kind: &str) -> Vec<&str> {
        let resources = self.whole["Resources"].as_object().unwrap();
        resources.iter().filter(|(_, one)| one["Type"] == kind).map(|(id, _)| id.as_str()).collect()
    }

    /// The filled-in properties of a resource.
    pub(crate) fn properties(&self, id: &str) -> Value {
        let resource = &self.whole["Resources"][id];
        assert!(resource.is_object(), "there is no resource {id}");
        self.filled(&resource["Properties"])
    }

    /// The program that a function is made of.
    pub(crate) fn binary(&self, id: &str) -> &str {
        self.whole["Resources"][id]["Metadata"]["BuildProperties"]["Binary"].as_str().unwrap()
    }

    /// A function's properties with what all functions share.
    pub(crate) fn function(&self, id: &str) -> Value {
        let mut all = self.filled(&self.whole["Globals"]["Function"]);
        merge(&mut all, self.properties(id));
        all
    }

    /// The ARN of a resource.
    pub(crate) fn arn(&self, id: &str) -> String {
        let properties = || self.properties(id);
        let named = |service: &str, what: String| format!("arn:aws:{service}:{REGION}:{ACCOUNT}:{what}");
        match self.whole["Resources"][id]["Type"].as_str().unwrap_or_else(|| panic!("there is no resource {id}")) {
            "AWS::Serverless::Function" => {
                named("lambda", format!("function:{}", properties()["FunctionName"].as_str().unwrap()))
            }
            "AWS::IAM::Role" => format!("arn:aws:iam::{ACCOUNT}:role/{STACK}-{id}"),
            "AWS::SQS::Queue" => named("sqs", format!("{STACK}-{id}")),
            "AWS::DynamoDB::Table" => named("dynamodb", format!("table/{STACK}-{id}")),
            "AWS::S3::Bucket" => format!("arn:aws:s3:::{}", self.reference(id)),
            // It ends so, and covers the streams (CloudFormation, AWS::Logs::LogGroup, return values).
            "AWS::Logs::LogGroup" => named("logs", format!("log-group:{}:*", self.reference(id))),
            other => panic!("the ARN of a {other} is not known here"),
        }
    }

    fn reference(&self, name: &str) -> String {
        let known = match name {
            "AWS::StackName" => STACK,
            "AWS::Region" => REGION,
            "AWS::AccountId" => ACCOUNT,
            "AWS::Partition" => "aws",
            "PublicFront" => "true",
            "Tracing" => "Active",
            "AlarmEmail" => "somebody@example.com",
            _ => "",
        };
        if !known.is_empty() {
            return known.to_owned();
        }
        let parameter = &self.whole["Parameters"][name]["Default"];
        if !parameter.is_null() {
            return parameter.as_str().map_or_else(|| parameter.to_string(), str::to_owned);
        }
        let name_of = |field: &str| self.properties(name)[field].as_str().unwrap().to_owned();
        match self.whole["Resources"][name]["Type"].as_str().unwrap_or_else(|| panic!("nothing is called {name}")) {
            "AWS::Serverless::Function" => name_of("FunctionName"),
            "AWS::Scheduler::ScheduleGroup" => name_of("Name"),
            "AWS::Logs::LogGroup" => name_of("LogGroupName"),
            "AWS::S3::Bucket" => format!("{STACK}-{}", name.to_lowercase()),
            _ => format!("{STACK}-{name}"),
        }
    }

    fn attribute(&self, path: &str) -> String {
        let (id, attribute) = path.split_once('.').unwrap();
        match attribute {
            "Arn" => self.arn(id),
            "QueueName" => format!("{STACK}-{id}"),
            "FunctionUrl" => format!("https://{}.lambda-url.{REGION}.on.aws/", id.to_lowercase()),
            other => panic!("the attribute {other} is not known here"),
        }
    }

    fn is(&self, condition: &str) -> bool {
        let truth = |value: &Value| -> bool { self.truth(value) };
        truth(&self.whole["Conditions"][condition])
    }

    fn truth(&self, value: &Value) -> bool {
        let (name, inner) = value.as_object().unwrap().iter().next().unwrap();
        match name.as_str() {
            "Fn::Equals" => self.filled(&inner[0]) == self.filled(&inner[1]),
            "Fn::Not" => !self.truth(&inner[0]),
            other => panic!("the condition {other} is not known here"),
        }
    }

    /// A value with its functions replaced by what they stand for.
    fn filled(&self, value: &Value) -> Value {
        match value {
            Value::Array(all) => {
                all.iter().map(|one| self.filled(one)).filter(|one| !one.is_null()).collect::<Vec<_>>().into()
            }
            Value::Object(fields) => {
                if let Some((name, inner)) = fields.iter().next().filter(|_| fields.len() == 1) {
                    match (name.as_str(), inner) {
                        ("Ref", Value::String(name)) if name == "AWS::NoValue" => return Value::Null,
                        ("Ref", Value::String(name)) => return self.reference(name).into(),
                        ("Fn::GetAtt", Value::String(path)) => return self.attribute(path).into(),
                        ("Fn::Sub", Value::String(text)) => return self.substituted(text).into(),
                        ("Fn::If", Value::Array(parts)) => {
                            let holds = self.is(parts[0].as_str().unwrap());
                            return self.filled(&parts[if holds { 1 } else { 2 }]);
                        }
                        (function, _) if function.starts_with("Fn::") => panic!("{function} is not known here"),
                        _ => {}
                    }
                }
                Value::Object(fields.iter().map(|(name, one)| (name.clone(), self.filled(one))).collect())
            }
            plain @ (Value::Null | Value::Bool(_) | Value::Number(_) | Value::String(_)) => plain.clone(),
        }
    }

    fn substituted(&self, text: &str) -> String {
        let mut filled = String::new();
        let mut rest = text;
        while let Some((before, after)) = rest.split_once("${") {
            let (name, tail) = after.split_once('}').unwrap();
            filled.push_str(before);
            filled.push_str(&if name.contains('.') { self.attribute(name) } else { self.reference(name) });
            rest = tail;
        }
        filled + rest
    }
}

fn merge(into: &mut Value, from: Value) {
    match (into, from) {
        (Value::Object(into), Value::Object(from)) => {
            for (name, value) in from {
                merge(into.entry(name).or_insert(Value::Null), value);
            }
        }
        (into, from) => *into = from,
    }
}

/// YAML as the JSON that CloudFormation makes of it: `!Ref x` is `{"Ref": "x"}`.
fn json_of(yaml: &Yaml<'_>) -> Value {
    match yaml {
        Yaml::Value(Scalar::Null) => Value::Null,
        Yaml::Value(Scalar::Boolean(value)) => (*value).into(),
        Yaml::Value(Scalar::Integer(value)) => (*value).into(),
        Yaml::Value(Scalar::FloatingPoint(value)) => json!(value.into_inner()),
        Yaml::Value(Scalar::String(value)) => value.as_ref().into(),
        Yaml::Sequence(all) => all.iter().map(json_of).collect::<Vec<_>>().into(),
        Yaml::Mapping(fields) => {
            let fields = fields.iter().map(|(name, value)| (name.as_str().unwrap().to_owned(), json_of(value)));
            Value::Object(fields.collect::<Map<_, _>>())
        }
        Yaml::Tagged(tag, inner) => {
            let name = if tag.suffix == "Ref" { "Ref".to_owned() } else { format!("Fn::{}", tag.suffix) };
            json!({ name: json_of(inner) })
        }
        other @ (Yaml::Representation(..) | Yaml::Alias(_) | Yaml::BadValue) => panic!("{other:?} is not known here"),
    }
}
