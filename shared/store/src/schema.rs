//! The table itself: its keys and indexes, in one place for the local stack and the tests. The deployed table is made by
//! the SAM template, which says the same.

use std::time::Duration;

use aws_sdk_dynamodb::Client;
use aws_sdk_dynamodb::client::Waiters;
use aws_sdk_dynamodb::error::ProvideErrorMetadata;
use aws_sdk_dynamodb::operation::create_table::CreateTableError;
use aws_sdk_dynamodb::operation::create_table::builders::CreateTableInputBuilder;
use aws_sdk_dynamodb::types::{
    AttributeDefinition, BillingMode, GlobalSecondaryIndex, KeySchemaElement, KeyType, Projection, ProjectionType,
    ScalarAttributeType, TimeToLiveSpecification, TimeToLiveStatus,
};
use aws_smithy_types::error::operation::BuildError;
use nightshift_engine::ports::{StoreError, StoreErrorKind};

use crate::error::{refused, store_error};

/// Partition key of the table.
pub const PK: &str = "PK";
/// Sort key of the table.
pub const SK: &str = "SK";
/// The index behind every list.
pub const LISTS: &str = "GSI1";
/// Partition key of [`LISTS`].
pub const LISTS_PK: &str = "GSI1PK";
/// Sort key of [`LISTS`].
pub const LISTS_SK: &str = "GSI1SK";
/// The sparse index of what somebody has to look at.
pub const DUE: &str = "GSI2";
/// Partition key of [`DUE`].
pub const DUE_PK: &str = "GSI2PK";
/// Sort key of [`DUE`].
pub const DUE_SK: &str = "GSI2SK";
/// The TTL attribute, epoch seconds. DynamoDB removes a row within a few days of it; readers here hide it at once.
pub const TTL: &str = "ttl";

/// How long a new table may take to become usable.
const CREATED_WITHIN: Duration = Duration::from_mins(1);

/// The table called `name`: on demand, with both indexes. Lists project everything, so that a page needs no second read;
/// the due index projects keys only, because whoever finds a row there reads it again by key anyway.
pub fn table_schema(name: &str) -> Result<CreateTableInputBuilder, BuildError> {
    let mut table = CreateTableInputBuilder::default().table_name(name).billing_mode(BillingMode::PayPerRequest);
    for attribute in [PK, SK, LISTS_PK, LISTS_SK, DUE_PK, DUE_SK] {
        let definition = AttributeDefinition::builder().attribute_name(attribute);
        table = table.attribute_definitions(definition.attribute_type(ScalarAttributeType::S).build()?);
    }
    for element in keys(PK, SK)? {
        table = table.key_schema(element);
    }
    for (index, pk, sk, projection) in
        [(LISTS, LISTS_PK, LISTS_SK, ProjectionType::All), (DUE, DUE_PK, DUE_SK, ProjectionType::KeysOnly)]
    {
        let projection = Projection::builder().projection_type(projection).build();
        let index = GlobalSecondaryIndex::builder().index_name(index).projection(projection);
        table = table.global_secondary_indexes(index.set_key_schema(Some(keys(pk, sk)?.into())).build()?);
    }
    Ok(table)
}

fn keys(pk: &str, sk: &str) -> Result<[KeySchemaElement; 2], BuildError> {
    let element = |name: &str, kind| KeySchemaElement::builder().attribute_name(name).key_type(kind).build();
    Ok([element(pk, KeyType::Hash)?, element(sk, KeyType::Range)?])
}

/// Creates the table called `name` where it is absent, waits until it can be used and turns its TTL on.
///
/// Safe to repeat and to run from several processes at once; stopped half-way, a repeat finishes it.
pub async fn create_table(client: &Client, name: &str) -> Result<(), StoreError> {
    let operation = format!("create table {name}");
    let schema = table_schema(name).map_err(|error| refused(&operation, error))?;
    if let Err(error) = schema.send_with(client).await {
        let there = error.as_service_error().is_some_and(CreateTableError::is_resource_in_use_exception);
        if !there {
            return Err(store_error(&operation, error));
        }
    }
    let created = client.wait_until_table_exists().table_name(name).wait(CREATED_WITHIN).await;
    created.map_err(|error| StoreError {
        operation: operation.clone(),
        kind: StoreErrorKind::Unavailable,
        source: Some(std::sync::Arc::new(error)),
    })?;
    enable_ttl(client, name).await
}

async fn enable_ttl(client: &Client, name: &str) -> Result<(), StoreError> {
    let operation = format!("turn on the TTL of table {name}");
    let described = client.describe_time_to_live().table_name(name).send().await;
    let described = described.map_err(|error| store_error(&operation, error))?;
    let status = described.time_to_live_description().and_then(|ttl| ttl.time_to_live_status());
    if matches!(status, Some(TimeToLiveStatus::Enabled | TimeToLiveStatus::Enabling)) {
        return Ok(());
    }
    let specification = TimeToLiveSpecification::builder().attribute_name(TTL).enabled(true).build();
    let specification = specification.map_err(|error| refused(&operation, error))?;
    match client.update_time_to_live().table_name(name).time_to_live_specification(specification).send().await {
        Ok(_) => Ok(()),
        // Somebody else turned it on since we looked.
        Err(error) if error.message().is_some_and(|message| message.contains("already enabled")) => Ok(()),
        Err(error) => Err(store_error(&operation, error)),
    }
}
