//! Chunks as files, at most so many bytes of them: the longest unused go first.

use std::collections::HashMap;
use std::io;
use std::path::{Path, PathBuf};
use std::sync::{Mutex, MutexGuard, Weak};

use bytes::Bytes;
use sync_protocol::wire::chunk::ChunkHash;

/// The folder of chunks, compressed with zstd.
#[derive(Debug)]
pub struct Cache {
    folder: PathBuf,
    limit_bytes: u64,
    kept: Mutex<Kept>,
}

#[derive(Debug, Default)]
struct Kept {
    files: HashMap<ChunkHash, KeptFile>,
    bytes: u64,
    /// Counts uses: who was used last has the highest number.
    clock: u64,
}

#[derive(Debug)]
struct KeptFile {
    bytes: u64,
    used: u64,
    /// What is being sent at this moment, so that devices that fetch the same chunk at once share one copy.
    open: Weak<Vec<u8>>,
}

impl Cache {
    /// An empty cache in a folder that is nothing else's: what an earlier run left there goes.
    ///
    /// # Errors
    /// When the folder cannot be emptied or made.
    pub fn open(folder: &Path, limit_bytes: u64) -> io::Result<Self> {
        match std::fs::remove_dir_all(folder) {
            Err(error) if error.kind() != io::ErrorKind::NotFound => return Err(error),
            _ => std::fs::create_dir_all(folder)?,
        }
        Ok(Self { folder: folder.to_owned(), limit_bytes, kept: Mutex::default() })
    }

    fn kept(&self) -> MutexGuard<'_, Kept> {
        self.kept.lock().expect("no holder of this lock panics")
    }

    fn path(&self, hash: ChunkHash) -> PathBuf {
        self.folder.join(hash.to_string())
    }

    /// Whether the chunk is here; it counts as used.
    pub fn holds(&self, hash: ChunkHash) -> bool {
        let mut kept = self.kept();
        let now = kept.tick();
        kept.files.get_mut(&hash).map(|file| file.used = now).is_some()
    }

    /// Keeps a chunk, and lets go of the longest unused ones when they are too many.
    ///
    /// # Errors
    /// When the folder cannot be written to.
    pub async fn keep(&self, hash: ChunkHash, packed: Vec<u8>) -> io::Result<()> {
        if self.holds(hash) {
            return Ok(());
        }
        let bytes = packed.len() as u64;
        tokio::fs::write(self.path(hash), packed).await?;
        for gone in self.kept().add(hash, bytes, self.limit_bytes) {
            self.unlink(gone);
        }
        Ok(())
    }

    /// Lets go of a chunk.
    pub fn forget(&self, hash: ChunkHash) {
        if self.kept().remove(hash) {
            self.unlink(hash);
        }
    }

    fn unlink(&self, hash: ChunkHash) {
        if let Err(error) = std::fs::remove_file(self.path(hash)) {
            tracing::warn!(%error, %hash, "could not remove a chunk's file; it goes when the server next starts");
        }
    }

    /// The bytes of a chunk, compressed; none when it is not here any more.
    ///
    /// # Errors
    /// When its file cannot be read.
    pub async fn read(&self, hash: ChunkHash) -> io::Result<Option<Bytes>> {
        let open = {
            let mut kept = self.kept();
            let now = kept.tick();
            let Some(file) = kept.files.get_mut(&hash) else { return Ok(None) };
            file.used = now;
            file.open.upgrade()
        };
        if let Some(open) = open {
            return Ok(Some(Bytes::from_owner(Shared(open))));
        }
        let read = match tokio::fs::read(self.path(hash)).await {
            Ok(read) => std::sync::Arc::new(read),
            Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(None),
            Err(error) => return Err(error),
        };
        if let Some(file) = self.kept().files.get_mut(&hash) {
            file.open = std::sync::Arc::downgrade(&read);
        }
        Ok(Some(Bytes::from_owner(Shared(read))))
    }
}

/// A file's bytes, held by everybody who sends them.
struct Shared(std::sync::Arc<Vec<u8>>);

impl AsRef<[u8]> for Shared {
    fn as_ref(&self) -> &[u8] {
        &self.0
    }
}

impl Kept {
    fn tick(&mut self) -> u64 {
        self.clock += 1;
        self.clock
    }

    /// Adds a file; those that go for it.
    fn add(&mut self, hash: ChunkHash, bytes: u64, limit_bytes: u64) -> Vec<ChunkHash> {
        let used = self.tick();
        self.files.insert(hash, KeptFile { bytes, used, open: Weak::new() });
        self.bytes += bytes;
        let mut gone = Vec::new();
        while self.bytes > limit_bytes {
            let oldest = self.files.iter().filter(|(other, _)| **other != hash).min_by_key(|(_, file)| file.used);
            let Some(oldest) = oldest.map(|(hash, _)| *hash) else { break };
            self.remove(oldest);
            gone.push(oldest);
        }
        gone
    }

    fn remove(&mut self, hash: ChunkHash) -> bool {
        let removed = self.files.remove(&hash);
        self.bytes -= removed.as_ref().map_or(0, |file| file.bytes);
        removed.is_some()
    }
}
