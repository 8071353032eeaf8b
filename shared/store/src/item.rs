//! The rows as DynamoDB sees them.
//!
//! A row holds its keys, a few scalars a person can read in the console, and the whole record as one JSON string in `doc`
//! (a map attribute would not keep raw JSON byte for byte). Readers take `doc` and ignore attributes they do not know, so
//! last week's code reads this week's rows.

use std::collections::HashMap;

use aws_sdk_dynamodb::types::AttributeValue;
use serde::{Deserialize, Serialize};

/// The shape rows are written in.
pub const ITEM_VERSION: u32 = 1;
/// Largest row this program writes. DynamoDB takes 400 KB, names included (Constraints page, 2026-10).
pub const ITEM_LIMIT_BYTES: usize = 390 * 1024;

/// A row's attributes.
pub type Attributes = HashMap<String, AttributeValue>;

/// A row that holds a record.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Record {
    /// Partition key.
    #[serde(rename = "PK")]
    pub pk: String,
    /// Sort key.
    #[serde(rename = "SK")]
    pub sk: String,
    /// The list it is in.
    #[serde(rename = "GSI1PK", default, skip_serializing_if = "Option::is_none")]
    pub list: Option<String>,
    /// Its place there.
    #[serde(rename = "GSI1SK", default, skip_serializing_if = "Option::is_none")]
    pub list_place: Option<String>,
    /// The shard of the due index, while somebody has to look at it.
    #[serde(rename = "GSI2PK", default, skip_serializing_if = "Option::is_none")]
    pub due: Option<String>,
    /// Its place there: when, and what.
    #[serde(rename = "GSI2SK", default, skip_serializing_if = "Option::is_none")]
    pub due_place: Option<String>,
    /// What it is: `job`, `run`, `batch`, `chunk`, `call`, `event`, `shelf`, `sheet`, `session`, `exchange`, `stop`,
    /// `memo`, `window`, `collected`, `config`.
    #[serde(default)]
    pub kind: String,
    /// The shape it was written in.
    #[serde(default)]
    pub v: u32,
    /// Rises with every write; the condition of the next one.
    #[serde(default)]
    pub rev: u64,
    /// When it may go, epoch seconds.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub ttl: Option<i64>,
    /// What people call it.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub name: Option<String>,
    /// How it stands.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub state: Option<String>,
    /// What was counted for it: a job's `enabled` or `disabled`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub counted: Option<String>,
    /// Which of the jobs that ever had its id it is.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub born: Option<String>,
    /// The record, as JSON.
    pub doc: String,
}

/// A row that only says where another one is.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Pointer {
    /// Partition key.
    #[serde(rename = "PK")]
    pub pk: String,
    /// Sort key.
    #[serde(rename = "SK")]
    pub sk: String,
    /// What it is: `declaration`, `remote`, `place` or `waiter`.
    #[serde(default)]
    pub kind: String,
    /// The shape it was written in.
    #[serde(default)]
    pub v: u32,
    /// When it may go, epoch seconds.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub ttl: Option<i64>,
    /// The id it leads to.
    pub target: String,
}

/// What `cron status` shows of the configuration.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Settings {
    /// Partition key.
    #[serde(rename = "PK")]
    pub pk: String,
    /// Sort key.
    #[serde(rename = "SK")]
    pub sk: String,
    /// `settings`.
    #[serde(default)]
    pub kind: String,
    /// The shape it was written in.
    #[serde(default)]
    pub v: u32,
    /// The document's revision.
    pub rev: u64,
    /// Whether it lets jobs run: `enabled` or `disabled`.
    pub state: String,
}

/// The answer that was given under an idempotency key.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Answer {
    /// Partition key.
    #[serde(rename = "PK")]
    pub pk: String,
    /// Sort key.
    #[serde(rename = "SK")]
    pub sk: String,
    /// `answer`.
    #[serde(default)]
    pub kind: String,
    /// The shape it was written in.
    #[serde(default)]
    pub v: u32,
    /// When it may go, epoch seconds.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub ttl: Option<i64>,
    /// The digest of the request it answered.
    pub digest: String,
    /// The answer, as JSON.
    pub doc: String,
}

/// What DynamoDB counts against a row's limit: names and values in UTF-8 (Item sizes page, 2026-10).
pub(crate) fn size_bytes(attributes: &Attributes) -> usize {
    // Rows of ours hold texts and numbers only.
    let number = |value: &AttributeValue| value.as_n().map_or(0, |digits| digits.len() / 2 + 2);
    let value = |value: &AttributeValue| value.as_s().map_or_else(|_| number(value), String::len);
    attributes.iter().map(|(name, one)| name.len() + value(one)).sum()
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_dynamo::aws_sdk_dynamodb_1::{from_item, to_item};

    fn record() -> Record {
        Record {
            pk: "JOB#a".into(),
            sk: "META".into(),
            list: Some("JOBS".into()),
            list_place: Some("a#a".into()),
            due: None,
            due_place: None,
            kind: "job".into(),
            v: ITEM_VERSION,
            rev: 3,
            ttl: None,
            name: Some("a".into()),
            state: Some("enabled".into()),
            counted: None,
            born: None,
            doc: "{\"a\": 1.0}".into(),
        }
    }

    #[test]
    fn a_row_of_a_later_release_is_read_and_its_unknown_attributes_are_ignored() {
        let mut later: Attributes = to_item(record()).unwrap();
        later.insert("v".into(), AttributeValue::N("9".into()));
        later.insert("colour".into(), AttributeValue::M(HashMap::new()));
        let read: Record = from_item(later).unwrap();
        assert_eq!(read, Record { v: 9, ..record() });
    }

    #[test]
    fn a_row_without_the_scalars_is_read_from_its_keys_and_doc() {
        let bare = ["PK", "SK", "doc"].map(|name| (name.to_owned(), AttributeValue::S("{}".into())));
        let read: Record = from_item(Attributes::from(bare)).unwrap();
        assert_eq!((read.rev, read.ttl, read.doc.as_str()), (0, None, "{}"));
    }

    #[test]
    fn absent_index_keys_are_not_written_at_all() {
        let written: Attributes = to_item(record()).unwrap();
        assert!(!written.contains_key("GSI2PK") && !written.contains_key("ttl"));
    }
}
