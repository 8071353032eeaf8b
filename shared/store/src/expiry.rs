//! Retention by number: lets the older runs of a job go earlier than their own time.

use aws_sdk_dynamodb::error::SdkError;
use aws_sdk_dynamodb::operation::update_item::UpdateItemError;
use aws_sdk_dynamodb::types::AttributeValue;
use chrono::{DateTime, Utc};
use futures::{StreamExt, TryStreamExt, stream};
use nightshift_domain::JobId;
use nightshift_domain::ids::slot_text;
use nightshift_domain::run::State;
use nightshift_engine::ports::StoreError;

use crate::dynamo::DynamoStore;
use crate::error::store_error;
use crate::item::Attributes;
use crate::keys::{RUN_PREFIX, job_partition};
use crate::request::{Terms, number};
use crate::schema::{PK, SK, TTL};

/// How many rows are written at a time.
const UPDATES_AT_ONCE: usize = 8;

impl DynamoStore {
    pub(crate) async fn expire(
        &self,
        job: &JobId,
        before: DateTime<Utc>,
        at: DateTime<Utc>,
    ) -> Result<u64, StoreError> {
        let operation = format!("let old runs of job {job} expire");
        let mut terms = Terms::default();
        let text = |text: String| AttributeValue::S(text);
        let (pk, job) = (terms.name(PK), terms.value("job", text(job_partition(job))));
        // A sort key goes on after the slot, so none is equal to the upper edge.
        let first = terms.value("first", text(RUN_PREFIX.to_owned()));
        let last = terms.value("last", text(format!("{RUN_PREFIX}{}", slot_text(before))));
        let sk = terms.name(SK);
        let condition = format!("{pk} = {job} AND {sk} BETWEEN {first} AND {last}");
        let filter = stays_longer(&mut terms, at);
        let (mut touched, mut start) = (0, None);
        loop {
            let query = self.client.query().table_name(&self.table).consistent_read(true);
            let query = query.key_condition_expression(&condition).filter_expression(&filter);
            let query = query.projection_expression(format!("{pk}, {sk}"));
            let query = query.set_expression_attribute_names(terms.names());
            let query = query.set_expression_attribute_values(terms.values()).set_exclusive_start_key(start.take());
            let answer = query.send().await.map_err(|error| store_error(&operation, error))?;
            let keys = stream::iter(answer.items.unwrap_or_default());
            let updates = keys.map(|key| self.expire_one(&operation, key, at)).buffer_unordered(UPDATES_AT_ONCE);
            touched += updates.try_fold(0, |sum, one| async move { Ok(sum + u64::from(one)) }).await?;
            start = answer.last_evaluated_key.filter(|key| !key.is_empty());
            if start.is_none() {
                return Ok(touched);
            }
        }
    }

    /// Whether the row at `key` still was one to touch.
    async fn expire_one(&self, operation: &str, key: Attributes, at: DateTime<Utc>) -> Result<bool, StoreError> {
        let mut terms = Terms::default();
        let condition = stays_longer(&mut terms, at);
        let change = format!("SET {} = {}", terms.name(TTL), terms.value("at", number(at.timestamp())));
        let update = self.client.update_item().table_name(&self.table).set_key(Some(key));
        let update = update.update_expression(change).condition_expression(condition);
        let update = update.set_expression_attribute_names(terms.names());
        let update = update.set_expression_attribute_values(terms.values());
        match update.send().await {
            Ok(_) => Ok(true),
            Err(SdkError::ServiceError(refused))
                if matches!(refused.err(), UpdateItemError::ConditionalCheckFailedException(_)) =>
            {
                Ok(false)
            }
            Err(error) => Err(store_error(operation, error)),
        }
    }
}

/// A run that has ended and stays beyond `at`. A row that is gone has no state, so nothing is made of it.
fn stays_longer(terms: &mut Terms, at: DateTime<Utc>) -> String {
    let mut ended =
        |(index, name): (usize, &&str)| terms.value(&format!("ended{index}"), AttributeValue::S((*name).to_owned()));
    let ended: Vec<String> = State::TERMINAL.iter().enumerate().map(&mut ended).collect();
    let (state, ttl) = (terms.name("state"), terms.name(TTL));
    let at = terms.value("at", number(at.timestamp()));
    format!("{state} IN ({}) AND (attribute_not_exists({ttl}) OR {ttl} > {at})", ended.join(", "))
}
