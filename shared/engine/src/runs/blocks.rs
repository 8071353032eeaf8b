//! Blocks of a model's answer, read without disturbing them: only the type is sure to be what it seems.

use serde::Deserialize;
use serde_json::value::RawValue;

/// A block of any kind, with the fields that calls of tools and their results have.
#[derive(Deserialize)]
pub(super) struct Block<'a> {
    #[serde(rename = "type", default)]
    pub(super) kind: String,
    #[serde(borrow, default)]
    pub(super) id: Option<&'a RawValue>,
    #[serde(borrow, default)]
    pub(super) name: Option<&'a RawValue>,
    #[serde(borrow, default)]
    pub(super) server_name: Option<&'a RawValue>,
    #[serde(borrow, default)]
    pub(super) input: Option<&'a RawValue>,
    #[serde(borrow, default)]
    pub(super) tool_use_id: Option<&'a RawValue>,
    #[serde(borrow, default)]
    pub(super) is_error: Option<&'a RawValue>,
    #[serde(borrow, default)]
    pub(super) content: Option<&'a RawValue>,
}

impl Block<'_> {
    /// The raw JSON of a call's input; a call without one has an empty object.
    pub(super) fn raw_input(&self) -> String {
        self.input.map_or_else(|| "{}".to_owned(), |input| input.get().to_owned())
    }
}

/// The blocks of a content; none where it is not an array of objects.
pub(super) fn blocks(content: &str) -> Vec<Block<'_>> {
    serde_json::from_str(content).unwrap_or_default()
}

/// A field that is a text.
pub(super) fn text(raw: Option<&RawValue>) -> Option<String> {
    serde_json::from_str(raw?.get()).ok()
}
