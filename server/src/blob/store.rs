//! Complete blobs, by their hash: in a folder of the data folder, or in a bucket that speaks S3.

use std::fs::File;
use std::io;
use std::ops::Range;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::Duration;

use anyhow::Context;
use bytes::{Bytes, BytesMut};
use futures_util::StreamExt;
use futures_util::stream::BoxStream;
use object_store::local::LocalFileSystem;
use object_store::path::Path as Key;
use object_store::{GetOptions, GetRange, ObjectStore, ObjectStoreExt, PutPayload, WriteMultipart};
use sync_protocol::wire::BlobHash;
use tokio::io::AsyncReadExt;

use crate::platform::config;

/// What is sent to the store at once; S3 takes no smaller parts of a large object.
const CHUNK_BYTES: usize = 8 << 20;
/// Chunks that may be on their way at once.
const CHUNKS_UNDER_WAY: usize = 2;
/// How long a removal may take: whoever writes records waits for it.
const REMOVED_WITHIN: Duration = Duration::from_secs(5);

/// Why the store did not do what was asked.
#[derive(Debug, thiserror::Error)]
pub enum StoreError {
    /// It has no such blob.
    #[error("the blob {0} is not in the store")]
    Missing(BlobHash),
    /// The store did not say in time whether it removed it.
    #[error("the store of blobs did not answer in time whether it removed the blob {0}")]
    Silent(BlobHash),
    /// It could not be read or written.
    #[error("could not {attempt} the blob {hash}")]
    Failed {
        /// What was to be done.
        attempt: &'static str,
        /// With which blob.
        hash: BlobHash,
        /// What the store said.
        source: object_store::Error,
    },
    /// The file to be stored could not be read, or what was stored not be made durable.
    #[error("could not {attempt} the file of the blob {hash}")]
    File {
        /// What was to be done.
        attempt: &'static str,
        /// With which blob.
        hash: BlobHash,
        /// What the system said.
        source: io::Error,
    },
    /// The store does not tell what it has.
    #[error("could not list the store of blobs")]
    List(#[source] object_store::Error),
}

/// Handle to the store; cheap to clone.
#[derive(Clone, Debug)]
pub struct BlobStore {
    objects: Arc<dyn ObjectStore>,
    prefix: Key,
    /// The folder of a store on this machine, of which every write is made durable.
    folder: Option<Arc<PathBuf>>,
}

impl BlobStore {
    /// Opens the bucket that is configured, else `folder`, making it where it is missing.
    ///
    /// # Errors
    /// When the folder cannot be made, or this build knows no buckets.
    pub fn open(config: &config::Blob, folder: &Path) -> anyhow::Result<Self> {
        if let Some(bucket) = &config.s3_bucket {
            let prefix = Key::from(config.s3_prefix.as_deref().unwrap_or_default());
            return Ok(Self { objects: bucket_of(bucket, config)?, prefix, folder: None });
        }
        std::fs::create_dir_all(folder).with_context(|| format!("could not make the folder {}", folder.display()))?;
        let objects = LocalFileSystem::new_with_prefix(folder)?;
        Ok(Self { objects: Arc::new(objects), prefix: Key::default(), folder: Some(Arc::new(folder.to_owned())) })
    }

    /// Some folders with fewer files each: file systems and people read those faster.
    fn key(&self, hash: BlobHash) -> Key {
        let name = hash.to_string();
        self.prefix.clone().join(&name[..2]).join(name.as_str())
    }

    /// Stores a file's bytes; when this returns they are durable.
    ///
    /// # Errors
    /// [`StoreError::Failed`] or [`StoreError::File`]; then a reader sees nothing of it.
    pub async fn put_file(&self, hash: BlobHash, file: &Path) -> Result<(), StoreError> {
        let unreadable = |source| StoreError::File { attempt: "read", hash, source };
        let failed = |source| StoreError::Failed { attempt: "store", hash, source };
        let mut file = tokio::fs::File::open(file).await.map_err(unreadable)?;
        let first = read_chunk(&mut file).await.map_err(unreadable)?;
        if first.len() < CHUNK_BYTES {
            return self.put_bytes(hash, first).await;
        }
        let upload = self.objects.put_multipart(&self.key(hash)).await.map_err(failed)?;
        let mut upload = WriteMultipart::new_with_chunk_size(upload, CHUNK_BYTES);
        let mut chunk = first;
        while !chunk.is_empty() {
            upload.wait_for_capacity(CHUNKS_UNDER_WAY).await.map_err(failed)?;
            upload.put(chunk);
            chunk = match read_chunk(&mut file).await {
                Ok(chunk) => chunk,
                Err(error) => {
                    upload.abort().await.map_err(failed)?;
                    return Err(unreadable(error));
                }
            };
        }
        upload.finish().await.map_err(failed)?;
        self.make_durable(hash).await
    }

    /// Stores bytes; when this returns they are durable.
    ///
    /// # Errors
    /// As [`Self::put_file`].
    pub async fn put_bytes(&self, hash: BlobHash, bytes: Bytes) -> Result<(), StoreError> {
        let put = self.objects.put(&self.key(hash), PutPayload::from_bytes(bytes)).await;
        put.map_err(|source| StoreError::Failed { attempt: "store", hash, source })?;
        self.make_durable(hash).await
    }

    async fn make_durable(&self, hash: BlobHash) -> Result<(), StoreError> {
        let Some(folder) = self.folder.clone() else { return Ok(()) };
        let path = folder.join(self.key(hash).as_ref());
        let synced = tokio::task::spawn_blocking(move || {
            File::open(&path)?.sync_all()?;
            // The names too: of the file in its folder, and of that folder in its own.
            path.ancestors().skip(1).take(2).try_for_each(|folder| File::open(folder)?.sync_all())
        });
        let synced = synced.await.map_err(io::Error::other).and_then(|synced| synced);
        synced.map_err(|source| StoreError::File { attempt: "make durable", hash, source })
    }

    /// Reads some of a blob's bytes as they come from the store.
    ///
    /// # Errors
    /// [`StoreError::Missing`] or [`StoreError::Failed`].
    pub async fn read(
        &self,
        hash: BlobHash,
        range: Range<u64>,
    ) -> Result<BoxStream<'static, Result<Bytes, object_store::Error>>, StoreError> {
        let options = GetOptions { range: Some(GetRange::Bounded(range)), ..GetOptions::default() };
        match self.objects.get_opts(&self.key(hash), options).await {
            Ok(found) => Ok(found.into_stream()),
            Err(object_store::Error::NotFound { .. }) => Err(StoreError::Missing(hash)),
            Err(source) => Err(StoreError::Failed { attempt: "read", hash, source }),
        }
    }

    /// Whether it has a blob.
    ///
    /// # Errors
    /// [`StoreError::Failed`].
    pub async fn has(&self, hash: BlobHash) -> Result<bool, StoreError> {
        match self.objects.head(&self.key(hash)).await {
            Ok(_) => Ok(true),
            Err(object_store::Error::NotFound { .. }) => Ok(false),
            Err(source) => Err(StoreError::Failed { attempt: "look for", hash, source }),
        }
    }

    /// Removes a blob; one that is not there is no error.
    ///
    /// # Errors
    /// [`StoreError::Failed`]; [`StoreError::Silent`] where it may yet go.
    pub async fn remove(&self, hash: BlobHash) -> Result<(), StoreError> {
        match tokio::time::timeout(REMOVED_WITHIN, self.objects.delete(&self.key(hash))).await {
            Ok(Ok(()) | Err(object_store::Error::NotFound { .. })) => Ok(()),
            Ok(Err(source)) => Err(StoreError::Failed { attempt: "remove", hash, source }),
            Err(_) => Err(StoreError::Silent(hash)),
        }
    }

    /// Every blob that lies there since before `since_ms`.
    ///
    /// # Errors
    /// [`StoreError::List`].
    pub async fn older_than(&self, since_ms: i64) -> Result<Vec<BlobHash>, StoreError> {
        let mut objects = self.objects.list(Some(&self.prefix));
        let mut found = Vec::new();
        while let Some(object) = objects.next().await {
            let object = object.map_err(StoreError::List)?;
            let named = object.location.filename().and_then(|name| name.parse::<BlobHash>().ok());
            found.extend(named.filter(|_| object.last_modified.timestamp_millis() < since_ms));
        }
        Ok(found)
    }
}

async fn read_chunk(file: &mut tokio::fs::File) -> io::Result<Bytes> {
    let mut chunk = BytesMut::new();
    while chunk.len() < CHUNK_BYTES {
        chunk.reserve((CHUNK_BYTES - chunk.len()).min(1 << 20));
        let limit = u64::try_from(CHUNK_BYTES - chunk.len()).unwrap_or(u64::MAX);
        if (&mut *file).take(limit).read_buf(&mut chunk).await? == 0 {
            break;
        }
    }
    Ok(chunk.freeze())
}

#[cfg(feature = "s3")]
fn bucket_of(bucket: &str, config: &config::Blob) -> anyhow::Result<Arc<dyn ObjectStore>> {
    // The client of the bucket takes whichever provider of TLS the process has; ours is the same as for listening.
    let _ = rustls::crypto::ring::default_provider().install_default();
    // A long file over a slow line is no failure; silence is. Nobody waits minutes for an answer to a request.
    let patience =
        object_store::ClientOptions::new().with_timeout_disabled().with_read_timeout(Duration::from_secs(30));
    let retry =
        object_store::RetryConfig { max_retries: 4, retry_timeout: Duration::from_secs(20), ..Default::default() };
    // Credentials come from where every tool for S3 takes them: AWS_* variables, or the machine's own identity.
    let mut builder = object_store::aws::AmazonS3Builder::from_env()
        .with_bucket_name(bucket)
        .with_client_options(patience)
        .with_retry(retry);
    if let Some(region) = &config.s3_region {
        builder = builder.with_region(region);
    }
    if let Some(endpoint) = &config.s3_endpoint {
        builder = builder.with_endpoint(endpoint);
    }
    if config.s3_endpoint.as_deref().is_some_and(|endpoint| endpoint.starts_with("http://")) {
        builder = builder.with_allow_http(true);
    }
    Ok(Arc::new(builder.build().context("could not use the bucket of blob.s3_bucket")?))
}

#[cfg(not(feature = "s3"))]
fn bucket_of(bucket: &str, _: &config::Blob) -> anyhow::Result<Arc<dyn ObjectStore>> {
    anyhow::bail!(
        "blob.s3_bucket names {bucket:?}, and this build knows no S3: build it with `--features s3`, or leave the key out to keep blobs in the data folder"
    )
}
