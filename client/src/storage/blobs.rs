//! Files that records name, beside the device's file: whole ones, those that are still to be sent, and what has come of
//! those that are being fetched.

use std::fs::{self, File, OpenOptions};
use std::io::{self, Read, Seek, SeekFrom, Write};
use std::path::{Path, PathBuf};

use sha2::{Digest, Sha256};
use sync_protocol::wire::BlobHash;

use super::StorageError;
use super::file::{make_private_folder, private};

/// What a device keeps of blobs. Whoever seals the store implements this anew.
pub trait BlobFiles {
    /// Keeps what `source` has, to be sent; returns its hash and how many bytes it has. Durable when this returns.
    ///
    /// # Errors
    /// When the source cannot be read or the storage fails.
    fn keep(&self, source: &mut dyn Read) -> Result<(BlobHash, u64), StorageError>;

    /// Those that are still to be sent, sorted.
    ///
    /// # Errors
    /// When the storage fails; likewise in every other method here.
    fn outgoing(&self) -> Result<Vec<BlobHash>, StorageError>;

    /// Notes that one was sent, or need not be.
    ///
    /// # Errors
    /// When the storage fails.
    fn sent(&self, hash: BlobHash) -> Result<(), StorageError>;

    /// Opens one that is whole; `None` when the device does not have it.
    ///
    /// # Errors
    /// When the storage fails.
    fn open(&self, hash: BlobHash) -> Result<Option<File>, StorageError>;

    /// Opens what has come of one that is being fetched, for more behind it; and how many bytes have come.
    ///
    /// # Errors
    /// When the storage fails.
    fn part(&self, hash: BlobHash) -> Result<(File, u64), StorageError>;

    /// Takes a part as whole if it has the right hash; else throws it away, and says so by `false`.
    ///
    /// # Errors
    /// When the storage fails.
    fn complete(&self, hash: BlobHash) -> Result<bool, StorageError>;

    /// Those of which anything is here and that need not be sent, sorted.
    ///
    /// # Errors
    /// When the storage fails.
    fn kept(&self) -> Result<Vec<BlobHash>, StorageError>;

    /// Removes one, whole or in part.
    ///
    /// # Errors
    /// When the storage fails.
    fn remove(&self, hash: BlobHash) -> Result<(), StorageError>;
}

/// The folder `blobs` in a device's home.
#[derive(Clone, Debug)]
pub struct BlobFolder {
    path: PathBuf,
}

impl BlobFolder {
    /// In that home; nothing is made before something is kept.
    #[must_use]
    pub fn in_home(home: &Path) -> Self {
        Self { path: home.join("blobs") }
    }

    fn failed(&self) -> impl Fn(io::Error) -> StorageError + '_ {
        |source| StorageError::Open { path: self.path.clone(), source }
    }

    fn whole(&self, hash: BlobHash) -> PathBuf {
        self.path.join(hash.to_string())
    }

    fn mark(&self, hash: BlobHash) -> PathBuf {
        self.path.join(format!("{hash}.out"))
    }

    fn coming(&self, hash: BlobHash) -> PathBuf {
        self.path.join(format!("{hash}.part"))
    }

    /// The blobs of the files whose names are a hash and one of these endings.
    fn named_with(&self, endings: &[&str]) -> Result<Vec<BlobHash>, StorageError> {
        let failed = self.failed();
        let entries = match fs::read_dir(&self.path) {
            Ok(entries) => entries,
            Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(Vec::new()),
            Err(error) => return Err(failed(error)),
        };
        let mut found = Vec::new();
        for entry in entries {
            let name = entry.map_err(&failed)?.file_name();
            let stems = endings.iter().filter_map(|ending| name.to_str()?.strip_suffix(ending));
            found.extend(stems.filter_map(|stem| stem.parse::<BlobHash>().ok()));
        }
        Ok(found)
    }

    /// Offers every whole one to the server again, which may have lost it; what it has is not sent.
    ///
    /// # Errors
    /// When the storage fails.
    pub fn offer_again(&self) -> Result<(), StorageError> {
        let failed = self.failed();
        let whole = self.named_with(&[""])?;
        for hash in &whole {
            create(&self.mark(*hash)).map_err(&failed)?;
        }
        if whole.is_empty() { Ok(()) } else { self.sync_folder().map_err(failed) }
    }

    fn sync_folder(&self) -> io::Result<()> {
        File::open(&self.path)?.sync_all()
    }
}

fn create(path: &Path) -> io::Result<File> {
    private(OpenOptions::new().write(true).create(true).truncate(true)).open(path)
}

impl BlobFiles for BlobFolder {
    fn keep(&self, source: &mut dyn Read) -> Result<(BlobHash, u64), StorageError> {
        let failed = self.failed();
        make_private_folder(&self.path).map_err(&failed)?;
        // Commands that change something take turns: nobody else writes here.
        let new = self.path.join("new");
        let mut file = create(&new).map_err(&failed)?;
        let (hash, size) = copy(source, &mut file).map_err(&failed)?;
        let kept = file.sync_all().and_then(|()| fs::rename(&new, self.whole(hash)));
        let marked = kept.and_then(|()| create(&self.mark(hash))?.sync_all()).and_then(|()| self.sync_folder());
        marked.map_err(&failed)?;
        Ok((hash, size))
    }

    fn outgoing(&self) -> Result<Vec<BlobHash>, StorageError> {
        let mut found = self.named_with(&[".out"])?;
        found.sort_unstable();
        Ok(found)
    }

    fn sent(&self, hash: BlobHash) -> Result<(), StorageError> {
        fs::remove_file(self.mark(hash)).map_err(self.failed())
    }

    fn open(&self, hash: BlobHash) -> Result<Option<File>, StorageError> {
        match File::open(self.whole(hash)) {
            Ok(file) => Ok(Some(file)),
            Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(None),
            Err(error) => Err(self.failed()(error)),
        }
    }

    fn part(&self, hash: BlobHash) -> Result<(File, u64), StorageError> {
        let failed = self.failed();
        make_private_folder(&self.path).map_err(&failed)?;
        let mut options = OpenOptions::new();
        let mut file =
            private(options.write(true).create(true).truncate(false)).open(self.coming(hash)).map_err(&failed)?;
        let here = file.seek(SeekFrom::End(0)).map_err(&failed)?;
        Ok((file, here))
    }

    fn complete(&self, hash: BlobHash) -> Result<bool, StorageError> {
        let failed = self.failed();
        let mut part = File::open(self.coming(hash)).map_err(&failed)?;
        let (found, _) = copy(&mut part, &mut io::sink()).map_err(&failed)?;
        if found != hash {
            fs::remove_file(self.coming(hash)).map_err(&failed)?;
            return Ok(false);
        }
        let kept = part.sync_all().and_then(|()| fs::rename(self.coming(hash), self.whole(hash)));
        kept.and_then(|()| self.sync_folder()).map_err(&failed)?;
        Ok(true)
    }

    fn kept(&self) -> Result<Vec<BlobHash>, StorageError> {
        let outgoing = self.outgoing()?;
        let mut found = self.named_with(&["", ".part"])?;
        found.retain(|hash| outgoing.binary_search(hash).is_err());
        found.sort_unstable();
        found.dedup();
        Ok(found)
    }

    fn remove(&self, hash: BlobHash) -> Result<(), StorageError> {
        for path in [self.whole(hash), self.coming(hash)] {
            match fs::remove_file(path) {
                Err(error) if error.kind() != io::ErrorKind::NotFound => return Err(self.failed()(error)),
                _ => {}
            }
        }
        Ok(())
    }
}

/// Copies all bytes; their hash and how many they were.
fn copy(source: &mut dyn Read, target: &mut dyn Write) -> io::Result<(BlobHash, u64)> {
    let mut buffer = vec![0; 256 << 10];
    let (mut hash, mut size) = (Sha256::new(), 0);
    loop {
        let read = match source.read(&mut buffer) {
            Ok(0) => return Ok((BlobHash(hash.finalize().into()), size)),
            Ok(read) => read,
            Err(error) if error.kind() == io::ErrorKind::Interrupted => continue,
            Err(error) => return Err(error),
        };
        hash.update(&buffer[..read]);
        target.write_all(&buffer[..read])?;
        size += read as u64;
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_kept_is_outgoing_until_it_was_sent_and_whole_until_it_is_removed() {
        let home = tempfile::tempdir().expect("a folder");
        let blobs = BlobFolder::in_home(home.path());
        assert_eq!(blobs.outgoing().expect("nothing is no error"), []);
        let (hash, size) = blobs.keep(&mut b"plan".as_slice()).expect("is kept");
        assert_eq!((size, blobs.outgoing().expect("is listed")), (4, vec![hash]));
        assert_eq!(blobs.kept().expect("is listed"), [], "what is still to be sent is not up for removal");
        blobs.sent(hash).expect("is noted");
        assert_eq!(blobs.kept().expect("is listed"), [hash]);
        assert_eq!(blobs.outgoing().expect("is listed"), []);
        let mut text = String::new();
        let mut file = blobs.open(hash).expect("opens").expect("is there");
        file.read_to_string(&mut text).expect("is read");
        assert_eq!(text, "plan");
        blobs.offer_again().expect("is noted");
        assert_eq!(blobs.outgoing().expect("is listed"), [hash]);
        blobs.sent(hash).expect("is noted");
        blobs.remove(hash).expect("is removed");
        assert!(blobs.open(hash).expect("is no error").is_none() && blobs.kept().expect("is listed").is_empty());
    }

    #[test]
    fn a_part_goes_on_where_it_ended_and_is_whole_only_with_the_right_bytes() {
        let home = tempfile::tempdir().expect("a folder");
        let blobs = BlobFolder::in_home(home.path());
        let hash = BlobHash(Sha256::digest(b"two halves").into());
        let (mut file, here) = blobs.part(hash).expect("opens");
        assert_eq!(here, 0);
        file.write_all(b"two ").expect("is written");
        let (mut file, here) = blobs.part(hash).expect("opens again");
        assert_eq!(here, 4);
        file.write_all(b"halves").expect("is written");
        assert!(blobs.complete(hash).expect("is read") && blobs.open(hash).expect("opens").is_some());

        let other = BlobHash(Sha256::digest(b"other").into());
        blobs.part(other).expect("opens").0.write_all(b"wrong").expect("is written");
        assert!(!blobs.complete(other).expect("is read"));
        assert_eq!(blobs.part(other).expect("opens").1, 0, "wrong bytes are thrown away");
    }
}
