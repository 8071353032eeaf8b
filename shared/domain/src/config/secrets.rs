//! The parameter store as the document refers to it.

use serde_json::Value;

use super::path::ConfigPath;

/// How a reference to it begins.
pub(super) const PARAMETER: &str = "ssm:";

/// A reference to the parameter store.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Reference<'a> {
    /// Where it stands.
    pub at: ConfigPath,
    /// What it names: a path of its own, or a name below the deployment's.
    pub name: &'a str,
}

/// All of them.
pub fn references(document: &Value) -> Vec<Reference<'_>> {
    fn walk<'a>(value: &'a Value, at: &mut ConfigPath, found: &mut Vec<Reference<'a>>) {
        match value {
            Value::String(text) => {
                found.extend(text.strip_prefix(PARAMETER).map(|name| Reference { at: at.clone(), name }));
            }
            Value::Array(values) => {
                for (index, value) in values.iter().enumerate() {
                    at.push_index(index);
                    walk(value, at, found);
                    at.pop();
                }
            }
            Value::Object(fields) => {
                for (name, value) in fields {
                    at.push_name(name);
                    walk(value, at, found);
                    at.pop();
                }
            }
            Value::Null | Value::Bool(_) | Value::Number(_) => {}
        }
    }
    let mut found = Vec::new();
    walk(document, &mut ConfigPath::default(), &mut found);
    found
}

/// Where the secrets of one deployment lie in the parameter store. What lies elsewhere its functions may not read: their roles
/// are granted this path alone.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct SecretsPath(String);

impl SecretsPath {
    /// The path `/night`, with or without its slashes; none is the root.
    pub fn new(path: &str) -> Self {
        let path = path.trim_matches('/');
        Self(if path.is_empty() { String::new() } else { format!("/{path}") })
    }

    /// The path as it was made, with a slash before it and none behind.
    pub fn as_str(&self) -> &str {
        &self.0
    }

    /// The parameter that `name` means.
    pub fn parameter(&self, name: &str) -> String {
        if name.starts_with('/') { name.to_owned() } else { format!("{}/{name}", self.0) }
    }

    /// Whether what `name` means lies below this path.
    pub fn holds(&self, name: &str) -> bool {
        self.parameter(name).strip_prefix(&self.0).is_some_and(|rest| rest.starts_with('/'))
    }

    /// What is to be said of the references of `document` that lie elsewhere. What they name is not repeated: nobody has checked
    /// yet that it is no secret in the wrong place.
    pub fn notes(&self, document: &Value) -> Vec<String> {
        let outside = references(document).into_iter().filter(|reference| !self.holds(reference.name));
        outside
            .map(|Reference { at, .. }| {
                format!("{at} refers to a parameter outside {}/, which is all that the functions may read", self.0)
            })
            .collect()
    }
}
