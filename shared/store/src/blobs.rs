//! Long texts on S3 or in a folder.

use std::path::Path as FilePath;
use std::sync::Arc;
use std::time::Duration;

use async_trait::async_trait;
use bytes::Bytes;
use nightshift_engine::ports::{BlobError, Blobs};
use object_store::aws::{AmazonS3Builder, AmazonS3ConfigKey};
use object_store::local::LocalFileSystem;
use object_store::path::Path;
use object_store::{Error, ObjectStore, ObjectStoreExt, RetryConfig};

/// How often, and how long, a call to S3 is repeated within itself.
const RETRIES: usize = 4;
const RETRY_FOR: Duration = Duration::from_secs(20);

/// Blobs in an object store, under a common prefix.
///
/// Guarantee: an object is there whole or not at all (S3 PUT; a file is written aside, synced and renamed), so a row that
/// names a blob may be written as soon as [`Blobs::put`] returned.
#[derive(Debug, Clone)]
pub struct ObjectBlobs {
    store: Arc<dyn ObjectStore>,
    prefix: String,
}

impl ObjectBlobs {
    /// Blobs in `store`, every key behind `prefix` (empty, or a path such as `blobs`).
    pub fn new(store: Arc<dyn ObjectStore>, prefix: impl Into<String>) -> Self {
        Self { store, prefix: prefix.into() }
    }

    /// Blobs as files under `dir`, which is created.
    pub fn local(dir: impl AsRef<FilePath>) -> Result<Self, BlobError> {
        let dir = dir.as_ref();
        let failed =
            |source: Arc<dyn std::error::Error + Send + Sync>| BlobError { key: dir.display().to_string(), source };
        std::fs::create_dir_all(dir).map_err(|error| failed(Arc::new(error)))?;
        let files = LocalFileSystem::new_with_prefix(dir).map_err(|error| failed(Arc::new(error)))?;
        Ok(Self::new(Arc::new(files.with_fsync(true)), ""))
    }

    /// Blobs in an S3 bucket; region, credentials and a local endpoint come from the `AWS_*` environment.
    pub fn s3(bucket: &str) -> Result<Self, BlobError> {
        let builder = AmazonS3Builder::from_env().with_bucket_name(bucket);
        let plain =
            builder.get_config_value(&AmazonS3ConfigKey::Endpoint).is_some_and(|url| url.starts_with("http://"));
        let retry = RetryConfig { max_retries: RETRIES, retry_timeout: RETRY_FOR, ..RetryConfig::default() };
        let store = builder.with_allow_http(plain).with_retry(retry).build();
        let store = store.map_err(|error| BlobError { key: bucket.to_owned(), source: Arc::new(error) })?;
        Ok(Self::new(Arc::new(store), ""))
    }

    fn path(&self, key: &str) -> Result<Path, BlobError> {
        let whole = if self.prefix.is_empty() { key.to_owned() } else { format!("{}/{key}", self.prefix) };
        Path::parse(whole).map_err(|error| failed(key, error))
    }
}

#[async_trait]
impl Blobs for ObjectBlobs {
    /// # Crash safety
    /// Stopped before it returns, the blob is there or not; nothing names it yet, and a repeat writes the same bytes.
    async fn put(&self, key: &str, body: Bytes) -> Result<(), BlobError> {
        let written = self.store.put(&self.path(key)?, body.into()).await;
        written.map(|_| ()).map_err(|error| failed(key, error))
    }

    /// Read after write is consistent on S3 and on files.
    async fn get(&self, key: &str) -> Result<Option<Bytes>, BlobError> {
        match self.store.get(&self.path(key)?).await {
            Ok(found) => found.bytes().await.map(Some).map_err(|error| failed(key, error)),
            Err(Error::NotFound { .. }) => Ok(None),
            Err(error) => Err(failed(key, error)),
        }
    }

    /// S3 does not tell whether the object was there; a file that is not there is gone already.
    async fn remove(&self, key: &str) -> Result<(), BlobError> {
        match self.store.delete(&self.path(key)?).await {
            Ok(()) | Err(Error::NotFound { .. }) => Ok(()),
            Err(error) => Err(failed(key, error)),
        }
    }
}

fn failed(key: &str, error: impl std::error::Error + Send + Sync + 'static) -> BlobError {
    BlobError { key: key.to_owned(), source: Arc::new(error) }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test]
    async fn a_blob_in_a_folder_is_read_back_byte_for_byte_after_a_restart() {
        let dir = tempfile::tempdir().unwrap();
        let body = Bytes::from_static(b"{\"a\": 1.0}\n\xf0\x9f\x8c\x99");
        let blobs = ObjectBlobs::local(dir.path().join("new")).unwrap();
        assert_eq!(blobs.get("runs/a_1/ff").await.unwrap(), None);
        blobs.put("runs/a_1/ff", body.clone()).await.unwrap();
        blobs.put("runs/a_1/ff", body.clone()).await.unwrap();
        let again = ObjectBlobs::local(dir.path().join("new")).unwrap();
        assert_eq!(again.get("runs/a_1/ff").await.unwrap(), Some(body));
        again.remove("runs/a_1/ff").await.unwrap();
        again.remove("runs/a_1/ff").await.unwrap();
        assert_eq!(blobs.get("runs/a_1/ff").await.unwrap(), None);
    }

    #[tokio::test]
    async fn a_key_cannot_leave_the_folder() {
        let dir = tempfile::tempdir().unwrap();
        let blobs = ObjectBlobs::local(dir.path()).unwrap();
        assert!(blobs.put("../outside", Bytes::new()).await.is_err());
        assert!(!dir.path().parent().unwrap().join("outside").exists());
    }

    #[tokio::test]
    async fn a_prefix_keeps_deployments_apart() {
        let dir = tempfile::tempdir().unwrap();
        let files: Arc<dyn ObjectStore> = Arc::new(LocalFileSystem::new_with_prefix(dir.path()).unwrap());
        let (one, two) = (ObjectBlobs::new(Arc::clone(&files), "one"), ObjectBlobs::new(files, "two"));
        one.put("a", Bytes::from_static(b"1")).await.unwrap();
        assert_eq!(two.get("a").await.unwrap(), None);
    }
}
