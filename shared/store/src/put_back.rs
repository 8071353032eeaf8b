//! Gives a row another place in the due index, and touches nothing else of it.
//!
//! Guarantee: a row that was written since it was found due keeps the place that write gave it; one that is gone stays gone.

use aws_sdk_dynamodb::error::SdkError;
use aws_sdk_dynamodb::operation::update_item::UpdateItemError;
use aws_sdk_dynamodb::types::AttributeValue;
use chrono::{DateTime, Utc};
use nightshift_engine::ports::{DueItem, StoreError};

use crate::dynamo::DynamoStore;
use crate::error::store_error;
use crate::keys::{self, Key};
use crate::request::{Terms, key};
use crate::schema::{DUE_PK, DUE_SK};

impl DynamoStore {
    pub(crate) async fn move_place(
        &self,
        what: &DueItem,
        before: DateTime<Utc>,
        until: DateTime<Utc>,
    ) -> Result<(), StoreError> {
        let operation = format!("put {what:?} back in the due index");
        let text = |text: String| AttributeValue::S(text);
        let (partition, place) = keys::due(what, until);
        let mut terms = Terms::default();
        let (pk, partition) = (terms.name(DUE_PK), terms.value("partition", text(partition)));
        let (sk, place) = (terms.name(DUE_SK), terms.value("place", text(place)));
        let before = terms.value("before", text(keys::instant(before)));
        let update = self.client.update_item().table_name(&self.table).set_key(Some(key(&Key::of_due(what))));
        let update = update.update_expression(format!("SET {sk} = {place}"));
        let update = update.condition_expression(format!("{pk} = {partition} AND {sk} < {before}"));
        let update = update.set_expression_attribute_names(terms.names());
        let update = update.set_expression_attribute_values(terms.values());
        match update.send().await {
            Ok(_) => Ok(()),
            Err(SdkError::ServiceError(refused))
                if matches!(refused.err(), UpdateItemError::ConditionalCheckFailedException(_)) =>
            {
                Ok(())
            }
            Err(error) => Err(store_error(&operation, error)),
        }
    }
}
