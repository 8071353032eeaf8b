//! Typed reading of JSON objects that notes every fault instead of stopping at the first.

use serde_json::{Map, Value};

use crate::FieldError;

/// What was found wrong so far.
#[derive(Debug, Default)]
pub(crate) struct Faults(Vec<FieldError>);

impl Faults {
    /// Notes a fault.
    pub(crate) fn add(&mut self, fault: FieldError) {
        self.0.push(fault);
    }

    /// Notes a fault without a hint.
    pub(crate) fn say(&mut self, code: &str, field: impl Into<String>, message: impl Into<String>) {
        self.0.push(FieldError::new(code, field, message));
    }

    /// `value` if nothing was wrong.
    pub(crate) fn none<T>(self, value: Option<T>) -> Result<T, Vec<FieldError>> {
        if !self.0.is_empty() {
            return Err(self.0);
        }
        value.ok_or_else(|| vec![FieldError::new("invalid_request", "job", "the request cannot be read")])
    }
}

/// The fields of an object at `path` (empty for the top level); `null` reads as absent.
#[derive(Clone, Copy)]
pub(super) struct Fields<'a> {
    map: &'a Map<String, Value>,
    path: &'a str,
}

impl<'a> Fields<'a> {
    pub(super) fn new(map: &'a Map<String, Value>, path: &'a str) -> Self {
        Self { map, path }
    }

    /// The path of a field below.
    pub(super) fn at(&self, name: &str) -> String {
        if self.path.is_empty() { name.to_owned() } else { format!("{}.{name}", self.path) }
    }

    pub(super) fn get(&self, name: &str) -> Option<&'a Value> {
        self.map.get(name).filter(|value| !value.is_null())
    }

    /// Notes every field that is not in `known`.
    pub(super) fn only(&self, known: &[&str], faults: &mut Faults) {
        for name in self.map.keys().filter(|name| !known.contains(&name.as_str())) {
            let shown = name.escape_debug().to_string();
            let fault = FieldError::new("unknown_field", self.at(&shown), format!("\"{shown}\" is not a known field"));
            faults.add(fault.hint(format!("the fields here are {}", known.join(", "))));
        }
    }

    /// A text, trimmed; a blank one is absent.
    pub(super) fn text(&self, name: &str, faults: &mut Faults) -> Option<String> {
        match self.get(name)? {
            Value::String(text) => Some(text.trim()).filter(|text| !text.is_empty()).map(str::to_owned),
            Value::Null | Value::Bool(_) | Value::Number(_) | Value::Array(_) | Value::Object(_) => {
                faults.say("invalid_field", self.at(name), format!("{name} is not a text"));
                None
            }
        }
    }

    /// `true`, `false`, or one of them as a text.
    pub(super) fn flag(&self, name: &str, faults: &mut Faults) -> Option<bool> {
        let value = self.get(name)?;
        let read = match value {
            Value::Bool(flag) => Some(*flag),
            Value::String(text) if text.trim().eq_ignore_ascii_case("true") => Some(true),
            Value::String(text) if text.trim().eq_ignore_ascii_case("false") => Some(false),
            Value::Null | Value::Number(_) | Value::String(_) | Value::Array(_) | Value::Object(_) => None,
        };
        if read.is_none() {
            faults.say("invalid_field", self.at(name), format!("{name} is neither true nor false"));
        }
        read
    }

    /// A whole number of at least `least`.
    pub(super) fn whole(&self, name: &str, least: u64, unit: &str, faults: &mut Faults) -> Option<u64> {
        let read = whole_number(self.get(name)?).filter(|number| *number >= least);
        if read.is_none() {
            let message = format!("{name} is not a whole number of {unit}");
            faults.add(FieldError::new("invalid_field", self.at(name), message).hint(format!("the least is {least}")));
        }
        read
    }

    /// One of the words of `choices`, in any letter case.
    pub(super) fn word<T: Copy>(&self, name: &str, choices: &[(&str, T)], faults: &mut Faults) -> Option<T> {
        let value = self.get(name)?;
        let word = value.as_str().map(|text| text.trim().to_ascii_lowercase());
        let found = word.as_ref().and_then(|word| choices.iter().find(|(known, _)| known == word)).map(|(_, it)| *it);
        if found.is_none() {
            let shown = word.unwrap_or_else(|| value.to_string());
            let known: Vec<&str> = choices.iter().map(|(word, _)| *word).collect();
            let message = format!("\"{}\" is not a {name}", shown.escape_debug());
            let hint = format!("it is one of {}", known.join(", "));
            faults.add(FieldError::new("invalid_field", self.at(name), message).hint(hint));
        }
        found
    }

    /// A list of texts, each trimmed and not blank.
    pub(super) fn texts(&self, name: &str, faults: &mut Faults) -> Option<Vec<String>> {
        let texts = self.get(name)?.as_array().and_then(|items| {
            let text = |item: &Value| item.as_str().map(|text| text.trim().to_owned()).filter(|text| !text.is_empty());
            items.iter().map(text).collect::<Option<Vec<_>>>()
        });
        if texts.is_none() {
            faults.say("invalid_field", self.at(name), format!("{name} is not a list of texts"));
        }
        texts
    }

    /// An object below.
    pub(super) fn object(&self, name: &str, faults: &mut Faults) -> Option<&'a Map<String, Value>> {
        let object = self.get(name)?.as_object();
        if object.is_none() {
            faults.say("invalid_field", self.at(name), format!("{name} is not an object"));
        }
        object
    }
}

/// A whole number that is not negative; a fraction of zero does no harm.
pub(super) fn whole_number(value: &Value) -> Option<u64> {
    let number = value.as_number()?;
    number.as_u64().or_else(|| {
        let float = number.as_f64().filter(|float| *float >= 0.0 && *float < 9.0e15 && float.fract() == 0.0)?;
        #[expect(clippy::cast_possible_truncation, clippy::cast_sign_loss, reason = "whole and bounded above")]
        let whole = float as u64;
        Some(whole)
    })
}
