//! The table on DynamoDB and the blobs on object storage.
//!
//! Guarantee: every change is one conditional write (or one transaction of them), so a reader never sees half a
//! transition, and a write whose answer got lost is told apart from a lost race: the same record at the same `rev` means
//! it had gone through. It knows nothing of what the records mean; it keeps them as JSON beside the keys that find them.

pub mod item;
pub mod schema;

mod blobs;
mod commit;
mod dynamo;
mod error;
mod expiry;
mod keys;
mod overview;
mod page;
mod plan;
mod put_back;
mod request;
mod spending;
mod tally;

pub use blobs::ObjectBlobs;
pub use dynamo::DynamoStore;
pub use schema::{TTL, create_table, table_schema};
