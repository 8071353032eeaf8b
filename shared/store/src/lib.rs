//! The table on DynamoDB and the blobs on object storage
