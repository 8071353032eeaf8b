//! Lists, a page at a time.
//!
//! A cursor is base64url JSON of the list it belongs to and the key of the last row it gave, so a page goes on where the
//! last one ended whatever was written in between, and a cursor cannot be carried to another list.

use std::collections::BTreeMap;

use aws_sdk_dynamodb::error::ProvideErrorMetadata;
use aws_sdk_dynamodb::types::AttributeValue;
use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use nightshift_engine::ports::{Page, PageRequest, StoreError, StoreErrorKind};
use serde::de::DeserializeOwned;
use serde::{Deserialize, Serialize};
use serde_dynamo::aws_sdk_dynamodb_1::from_item;

use crate::dynamo::DynamoStore;
use crate::error::{bad_cursor, corrupt, store_error};
use crate::item::{Attributes, Record};
use crate::request::{Terms, visible};
use crate::schema::{LISTS, LISTS_PK, LISTS_SK, PK, SK};

/// Most rows of a page.
const MOST: u32 = 200;

/// One partition of the table or of the list index.
#[derive(Debug)]
pub(crate) struct List {
    pub(crate) partition: String,
    /// Only rows whose sort key begins so.
    pub(crate) prefix: Option<String>,
    pub(crate) indexed: bool,
    pub(crate) newest_first: bool,
}

impl List {
    /// A partition of the table, whose reads are consistent.
    pub(crate) fn of_table(partition: String, prefix: Option<String>) -> Self {
        Self { partition, prefix, indexed: false, newest_first: false }
    }

    /// A partition of the list index, which lags behind by moments.
    pub(crate) fn of_index(partition: String) -> Self {
        Self { partition, prefix: None, indexed: true, newest_first: false }
    }

    pub(crate) fn newest_first(self) -> Self {
        Self { newest_first: true, ..self }
    }

    fn keys(&self) -> (&'static str, &'static str) {
        if self.indexed { (LISTS_PK, LISTS_SK) } else { (PK, SK) }
    }
}

#[derive(Debug, Serialize, Deserialize)]
struct Cursor {
    /// The partition it belongs to.
    list: String,
    /// The key of the last row.
    after: BTreeMap<String, String>,
}

impl Cursor {
    fn encode(&self) -> Option<String> {
        serde_json::to_vec(self).ok().map(|json| URL_SAFE_NO_PAD.encode(json))
    }

    fn decode(text: &str, list: &List) -> Option<Attributes> {
        let cursor: Self = serde_json::from_slice(&URL_SAFE_NO_PAD.decode(text).ok()?).ok()?;
        let (pk, sk) = list.keys();
        let mut wanted = vec![PK, SK, pk, sk];
        wanted.sort_unstable();
        wanted.dedup();
        let fits = cursor.list == list.partition
            && cursor.after.get(pk) == Some(&list.partition)
            && cursor.after.keys().eq(wanted);
        fits.then(|| cursor.after.into_iter().map(|(name, text)| (name, AttributeValue::S(text))).collect())
    }
}

impl DynamoStore {
    /// One page of records, expired rows left out and made up for.
    pub(crate) async fn page<T: DeserializeOwned>(
        &self,
        operation: &str,
        list: &List,
        request: &PageRequest,
    ) -> Result<Page<T>, StoreError> {
        self.page_of(operation, list, request, |row| document(operation, row)).await
    }

    /// The same, of rows that `read` reads.
    pub(crate) async fn page_of<T>(
        &self,
        operation: &str,
        list: &List,
        request: &PageRequest,
        read: impl Fn(Attributes) -> Result<T, StoreError>,
    ) -> Result<Page<T>, StoreError> {
        let limit = request.limit.clamp(1, MOST) as usize;
        let start = match &request.cursor {
            Some(text) => Some(Cursor::decode(text, list).ok_or_else(|| bad_cursor(operation))?),
            None => None,
        };
        // One row more than asked for tells whether there is a next page.
        let mut rows = self.query(operation, list, start, Some(limit + 1)).await?;
        let more = rows.len() > limit;
        rows.truncate(limit);
        let next = rows.last().filter(|_| more).and_then(|last| {
            let (pk, sk) = list.keys();
            let text = |name: &str| last.get(name).and_then(|value| value.as_s().ok()).cloned();
            let after = [PK, SK, pk, sk].into_iter().filter_map(|name| Some((name.to_owned(), text(name)?)));
            Cursor { list: list.partition.clone(), after: after.collect() }.encode()
        });
        let items = rows.into_iter().map(read).collect::<Result<Vec<T>, _>>()?;
        Ok(Page { items, next })
    }

    /// All records of a list.
    pub(crate) async fn all<T: DeserializeOwned>(&self, operation: &str, list: &List) -> Result<Vec<T>, StoreError> {
        let rows = self.query(operation, list, None, None).await?;
        rows.into_iter().map(|row| document(operation, row)).collect()
    }

    /// Rows of a list that have not expired, from `start` on, at most `enough`.
    pub(crate) async fn query(
        &self,
        operation: &str,
        list: &List,
        mut start: Option<Attributes>,
        enough: Option<usize>,
    ) -> Result<Vec<Attributes>, StoreError> {
        let from_cursor = start.is_some();
        let (pk, sk) = list.keys();
        let mut terms = Terms::default();
        let mut condition =
            format!("{} = {}", terms.name(pk), terms.value("list", AttributeValue::S(list.partition.clone())));
        if let Some(prefix) = &list.prefix {
            let (sk, prefix) = (terms.name(sk), terms.value("prefix", AttributeValue::S(prefix.clone())));
            condition = format!("{condition} AND begins_with({sk}, {prefix})");
        }
        let filter = visible(&mut terms, self.now());
        let mut rows = Vec::new();
        loop {
            let query = self.client.query().table_name(&self.table).consistent_read(!list.indexed);
            let query = query.set_index_name(list.indexed.then(|| LISTS.to_owned()));
            let query = query.key_condition_expression(&condition).filter_expression(&filter);
            let query = query.set_expression_attribute_names(terms.names());
            let query = query.set_expression_attribute_values(terms.values());
            let query = query.scan_index_forward(!list.newest_first).set_exclusive_start_key(start.take());
            let query = query.set_limit(enough.and_then(|enough| i32::try_from(enough).ok()));
            let answer = query.send().await.map_err(|error| {
                // The only part of the query that a caller chose is the cursor.
                let refused = from_cursor && error.code() == Some("ValidationException");
                if refused { bad_cursor(operation) } else { store_error(operation, error) }
            })?;
            rows.extend(answer.items.unwrap_or_default());
            start = answer.last_evaluated_key.filter(|key| !key.is_empty());
            if start.is_none() || enough.is_some_and(|enough| rows.len() >= enough) {
                return Ok(rows);
            }
        }
    }
}

/// The record in a row's `doc`.
pub(crate) fn document<T: DeserializeOwned>(operation: &str, row: Attributes) -> Result<T, StoreError> {
    let row: Record = from_item(row).map_err(|error| corrupt(operation, error))?;
    serde_json::from_str(&row.doc).map_err(|error| StoreError {
        operation: format!("{operation} (row {} / {})", row.pk, row.sk),
        kind: StoreErrorKind::Corrupt,
        source: Some(std::sync::Arc::new(error)),
    })
}
