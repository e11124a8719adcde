//! The bytes of an upload that is not complete: a file of the device's own, so that no device learns from another's.

use std::fs::File;
use std::io::{self, Read, SeekFrom};
use std::path::PathBuf;

use axum::body::Bytes;
use sha2::{Digest, Sha256};
use sync_protocol::wire::BlobHash;
use tokio::fs::OpenOptions;
use tokio::io::{AsyncSeekExt, AsyncWriteExt};

use super::Blobs;

/// Where an upload's bytes lie.
#[derive(Clone, Debug)]
pub(super) struct Part {
    pub(super) path: PathBuf,
}

impl Blobs {
    pub(super) fn part(&self, device: i64, hash: BlobHash) -> Part {
        Part { path: self.parts.join(format!("{device}-{hash}")) }
    }

    /// Every part that there is: its device, its blob.
    pub(super) fn parts(&self) -> io::Result<Vec<(i64, BlobHash)>> {
        let mut found = Vec::new();
        for entry in std::fs::read_dir(self.parts.as_path())? {
            let name = entry?.file_name();
            let named = name.to_str().and_then(|name| name.split_once('-'));
            found.extend(named.and_then(|(device, hash)| Some((device.parse().ok()?, hash.parse().ok()?))));
        }
        Ok(found)
    }
}

impl Part {
    /// How many bytes are here; none where there is no file.
    pub(super) async fn length(&self) -> io::Result<u64> {
        match tokio::fs::metadata(&self.path).await {
            Ok(metadata) => Ok(metadata.len()),
            Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(0),
            Err(error) => Err(error),
        }
    }

    /// Opens it for the bytes from `offset` on; from 0, in a new file: a request that was cut may still write to the old.
    pub(super) async fn open_at(&self, offset: u64) -> io::Result<OpenPart> {
        if offset == 0 {
            self.remove().await?;
        }
        let mut options = OpenOptions::new();
        let mut file = options.create(true).write(true).truncate(false).mode(0o600).open(&self.path).await?;
        file.seek(SeekFrom::Start(offset)).await?;
        Ok(OpenPart { file })
    }

    /// The SHA-256 of its bytes, and how many they are.
    pub(super) async fn hash(&self) -> io::Result<(BlobHash, u64)> {
        let path = self.path.clone();
        let hashed = tokio::task::spawn_blocking(move || {
            let mut file = File::open(path)?;
            let mut buffer = vec![0; 256 << 10];
            let (mut hash, mut length) = (Sha256::new(), 0);
            loop {
                match file.read(&mut buffer)? {
                    0 => return Ok((BlobHash(hash.finalize().into()), length)),
                    read => {
                        hash.update(&buffer[..read]);
                        length += read as u64;
                    }
                }
            }
        });
        hashed.await.map_err(io::Error::other)?
    }

    /// Throws it away; that it is gone already is no error.
    pub(super) async fn remove(&self) -> io::Result<()> {
        match tokio::fs::remove_file(&self.path).await {
            Err(error) if error.kind() != io::ErrorKind::NotFound => Err(error),
            _ => Ok(()),
        }
    }
}

/// A part that bytes are written to.
pub(super) struct OpenPart {
    file: tokio::fs::File,
}

impl OpenPart {
    pub(super) async fn write(&mut self, bytes: &Bytes) -> io::Result<()> {
        self.file.write_all(bytes).await
    }

    /// Hands what was written to the system: it survives the process. A power cut that takes some of it is found by
    /// the hash at the end.
    pub(super) async fn flush(&mut self) -> io::Result<()> {
        self.file.flush().await
    }
}
