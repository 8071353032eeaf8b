//! Blobs in memory.

use std::collections::BTreeMap;
use std::sync::{Mutex, PoisonError};

use async_trait::async_trait;
use bytes::Bytes;

use crate::ports::{BlobError, Blobs};

/// Blobs that go with the process.
#[derive(Debug, Default)]
pub struct MemoryBlobs {
    bodies: Mutex<BTreeMap<String, Bytes>>,
}

impl MemoryBlobs {
    /// Nothing yet.
    pub fn new() -> Self {
        Self::default()
    }

    /// Every key, in order.
    pub fn keys(&self) -> Vec<String> {
        self.bodies.lock().unwrap_or_else(PoisonError::into_inner).keys().cloned().collect()
    }
}

#[async_trait]
impl Blobs for MemoryBlobs {
    async fn put(&self, key: &str, body: Bytes) -> Result<(), BlobError> {
        self.bodies.lock().unwrap_or_else(PoisonError::into_inner).insert(key.to_owned(), body);
        Ok(())
    }

    async fn get(&self, key: &str) -> Result<Option<Bytes>, BlobError> {
        Ok(self.bodies.lock().unwrap_or_else(PoisonError::into_inner).get(key).cloned())
    }

    async fn remove(&self, key: &str) -> Result<(), BlobError> {
        self.bodies.lock().unwrap_or_else(PoisonError::into_inner).remove(key);
        Ok(())
    }
}
