//! From flags to the JSON the API takes. Pure: files are read and the clock is looked at before.
//!
//! Only what was given is sent, so the API's defaults and its judgement are the only ones there are.

use serde_json::{Map, Value};

mod add;
mod edit;
mod parts;
mod plan;
mod schedule;

pub(crate) use add::add;
pub(crate) use edit::edit;
pub(crate) use plan::plan;

#[cfg(test)]
mod tests;

/// An object under construction.
#[derive(Debug, Default)]
struct Fields(Map<String, Value>);

impl Fields {
    fn put<T: Into<Value>>(&mut self, name: &str, value: Option<T>) {
        if let Some(value) = value {
            self.0.insert(name.to_owned(), value.into());
        }
    }

    /// `value` if `given`.
    fn put_if(&mut self, given: bool, name: &str, value: impl Into<Value>) {
        self.put(name, given.then(|| value.into()));
    }

    /// `null` if `given`.
    fn clear_if(&mut self, given: bool, name: &str) {
        self.put_if(given, name, Value::Null);
    }

    fn is_empty(&self) -> bool {
        self.0.is_empty()
    }

    /// The object, unless nothing is in it.
    fn some(self) -> Option<Value> {
        if self.is_empty() { None } else { Some(self.into()) }
    }
}

impl From<Fields> for Value {
    fn from(fields: Fields) -> Self {
        Self::Object(fields.0)
    }
}

/// A list written with commas or spaces.
fn list(text: &str) -> Value {
    text.split([',', ' ']).map(str::trim).filter(|item| !item.is_empty()).collect()
}
