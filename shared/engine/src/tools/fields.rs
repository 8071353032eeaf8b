//! Reads the fields of a call's input, and names every one that is not as it should be.

use serde_json::{Map, Value};

/// An input being read.
#[derive(Debug)]
pub(super) struct Fields<'a> {
    map: Option<&'a Map<String, Value>>,
    known: Vec<&'static str>,
    problems: Vec<String>,
}

impl<'a> Fields<'a> {
    /// The fields of `input`, which should be an object.
    pub(super) fn of(input: &'a Value) -> Self {
        let map = input.as_object();
        let problems = if map.is_some() { Vec::new() } else { vec!["the input is not an object".to_owned()] };
        Self { map, known: Vec::new(), problems }
    }

    /// A text that must be there; empty where it is not, which [`Self::end`] tells.
    pub(super) fn text(&mut self, name: &'static str) -> &'a str {
        self.known.push(name);
        let Some(map) = self.map else { return "" };
        match map.get(name) {
            Some(Value::String(text)) if !text.trim().is_empty() => return text.trim(),
            Some(Value::String(_)) => self.problems.push(format!("{name} is empty")),
            None | Some(Value::Null) => self.problems.push(format!("{name} is missing")),
            Some(Value::Bool(_) | Value::Number(_) | Value::Array(_) | Value::Object(_)) => {
                self.problems.push(format!("{name} is not a string"));
            }
        }
        ""
    }

    /// A text that may be left out; a whole number counts as one, because models write ids without quotes.
    pub(super) fn optional(&mut self, name: &'static str) -> Option<String> {
        self.known.push(name);
        match self.map?.get(name)? {
            Value::Null => None,
            Value::String(text) => Some(text.trim().to_owned()).filter(|text| !text.is_empty()),
            Value::Number(number) if number.is_i64() || number.is_u64() => Some(number.to_string()),
            Value::Bool(_) | Value::Number(_) | Value::Array(_) | Value::Object(_) => {
                self.problems.push(format!("{name} is not a string"));
                None
            }
        }
    }

    /// What to tell the model where anything was wrong.
    pub(super) fn end(mut self) -> Result<(), String> {
        let unknown = self.map.into_iter().flat_map(Map::keys).filter(|name| !self.known.contains(&name.as_str()));
        self.problems.extend(unknown.map(|name| format!("{name} is not a field of this tool")));
        if self.problems.is_empty() {
            return Ok(());
        }
        Err(format!("nothing was done: {}", self.problems.join("; ")))
    }
}
