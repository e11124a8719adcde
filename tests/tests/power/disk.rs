//! A disk that loses its power: a virtual file system of SQLite over the real one that remembers what was written since
//! each file was last synced. When the power goes, a random part of that is on the disk, whole or in torn sectors.

#![expect(unsafe_code, reason = "SQLite takes a virtual file system as C functions")]

use std::collections::HashMap;
use std::ffi::{CStr, c_char, c_int, c_void};
use std::path::{Path, PathBuf};
use std::slice;
use std::sync::{Mutex, MutexGuard, OnceLock};

use rusqlite::ffi;
use tempfile::TempDir;

use crate::chance::Chance;

/// Its name among SQLite's virtual file systems.
pub const NAME: &str = "losing";

const SECTOR_BYTES: usize = 512;

/// Something done to a file that need not be on the disk yet.
enum Change {
    Write { at: usize, bytes: Vec<u8> },
    Truncate { length: usize },
}

/// A file as the disk has it.
struct File {
    path: PathBuf,
    /// As of the last sync; none: it need not exist.
    synced: Option<Vec<u8>>,
    /// Since then, in order.
    pending: Vec<Change>,
}

/// A handle that SQLite holds.
struct Handle {
    file: usize,
    real: &'static ffi::sqlite3_io_methods,
}

#[derive(Default)]
struct Disk {
    files: Vec<File>,
    /// By the address of SQLite's structure.
    handles: HashMap<usize, Handle>,
}

static DISK: Mutex<Option<Disk>> = Mutex::new(None);

fn with_disk<T>(work: impl FnOnce(&mut Disk) -> T) -> T {
    let mut disk: MutexGuard<Option<Disk>> = DISK.lock().expect("nobody panics with it");
    work(disk.get_or_insert_default())
}

impl Disk {
    /// The file of that path; what it holds when it is first seen counts as synced.
    fn file(&mut self, path: &Path) -> usize {
        let known = self.files.iter().position(|file| file.path == path);
        known.unwrap_or_else(|| {
            self.files.push(File { path: path.to_owned(), synced: std::fs::read(path).ok(), pending: vec![] });
            self.files.len() - 1
        })
    }
}

impl File {
    fn sync(&mut self) {
        let mut bytes = self.synced.take().unwrap_or_default();
        self.pending.drain(..).for_each(|change| change.carry_out(&mut bytes));
        self.synced = Some(bytes);
    }

    /// What is found when the power is back.
    fn left(&self, chance: &mut Chance) -> Option<Vec<u8>> {
        let mut left = self.synced.clone();
        for change in &self.pending {
            let part = match chance.below(5) {
                0 | 1 => None,
                2 | 3 => Some(change.whole()),
                _ => Some(change.torn(chance)),
            };
            for change in part.into_iter().flatten() {
                change.carry_out(left.get_or_insert_default());
            }
        }
        left
    }
}

impl Change {
    fn carry_out(self, file: &mut Vec<u8>) {
        match self {
            Self::Write { at, bytes } => {
                let end = at + bytes.len();
                if file.len() < end {
                    file.resize(end, 0);
                }
                file[at..end].copy_from_slice(&bytes);
            }
            Self::Truncate { length } => file.resize(length, 0),
        }
    }

    fn whole(&self) -> Vec<Self> {
        match self {
            Self::Write { at, bytes } => vec![Self::Write { at: *at, bytes: bytes.clone() }],
            Self::Truncate { length } => vec![Self::Truncate { length: *length }],
        }
    }

    /// Some of its sectors.
    fn torn(&self, chance: &mut Chance) -> Vec<Self> {
        let Self::Write { at, bytes } = self else { return vec![] };
        let sectors = bytes.chunks(SECTOR_BYTES).enumerate();
        let sectors = sectors.map(|(n, part)| Self::Write { at: at + n * SECTOR_BYTES, bytes: part.to_vec() });
        sectors.filter(|_| chance.below(2) == 0).collect()
    }
}

/// The power goes: what a folder holds when it is back. Whoever still writes writes into the void.
pub fn lose_power(folder: &Path, chance: &mut Chance) -> TempDir {
    with_disk(|disk| {
        let found = TempDir::new().expect("a temporary folder");
        for file in disk.files.iter_mut().filter(|file| file.path.parent() == Some(folder)) {
            if let Some(bytes) = file.left(chance) {
                let name = file.path.file_name().expect("a file has a name");
                std::fs::write(found.path().join(name), bytes).expect("a new disk");
            }
            (file.synced, file.pending) = (None, vec![]);
        }
        found
    })
}

/// Makes it known to SQLite; once for a process.
pub fn plug_in() {
    static PLUGGED_IN: OnceLock<()> = OnceLock::new();
    PLUGGED_IN.get_or_init(|| {
        // SAFETY: the default file system is there for as long as the process, and so is what is registered: it is leaked.
        unsafe {
            let real = ffi::sqlite3_vfs_find(std::ptr::null());
            assert!(!real.is_null(), "SQLite has a file system");
            let own = Box::new(ffi::sqlite3_vfs {
                zName: c"losing".as_ptr(),
                pNext: std::ptr::null_mut(),
                // Where `real()` finds what it stands on.
                pAppData: real.cast(),
                xOpen: Some(open),
                xDelete: Some(delete),
                ..*real
            });
            assert_eq!(ffi::sqlite3_vfs_register(Box::leak(own), 0), ffi::SQLITE_OK, "SQLite takes the file system");
        }
    });
}

/// # Safety
/// `own` is what [`plug_in`] registered.
unsafe fn real(own: *mut ffi::sqlite3_vfs) -> *mut ffi::sqlite3_vfs {
    // SAFETY: SQLite hands over what was registered, whose data is the file system below.
    unsafe { (*own).pAppData.cast() }
}

unsafe extern "C" fn open(
    own: *mut ffi::sqlite3_vfs,
    name: *const c_char,
    handle: *mut ffi::sqlite3_file,
    flags: c_int,
    flags_out: *mut c_int,
) -> c_int {
    let lasting = ffi::SQLITE_OPEN_MAIN_DB | ffi::SQLITE_OPEN_WAL | ffi::SQLITE_OPEN_MAIN_JOURNAL;
    with_disk(|disk| {
        // SAFETY: SQLite hands over a file system, a name that is null or ends with a zero, and room for a handle; the
        // handle is the real one, with a table of functions that differs in four of them and lives for ever.
        unsafe {
            let is_lasting = !name.is_null() && flags & lasting != 0;
            let path = is_lasting.then(|| PathBuf::from(CStr::from_ptr(name).to_string_lossy().into_owned()));
            let file = path.map(|path| disk.file(&path));
            let real = real(own);
            let code = (*real).xOpen.expect("file systems open")(real, name, handle, flags, flags_out);
            if let (ffi::SQLITE_OK, Some(file)) = (code, file) {
                let real: &'static ffi::sqlite3_io_methods = &*(*handle).pMethods;
                let own = ffi::sqlite3_io_methods {
                    xClose: Some(close),
                    xWrite: Some(write),
                    xTruncate: Some(truncate),
                    xSync: Some(sync),
                    ..*real
                };
                (*handle).pMethods = Box::leak(Box::new(own));
                disk.handles.insert(handle as usize, Handle { file, real });
            }
            code
        }
    })
}

unsafe extern "C" fn delete(own: *mut ffi::sqlite3_vfs, name: *const c_char, sync_folder: c_int) -> c_int {
    with_disk(|disk| {
        // SAFETY: as in `open`.
        unsafe {
            let path = PathBuf::from(CStr::from_ptr(name).to_string_lossy().into_owned());
            let file = disk.file(&path);
            (disk.files[file].synced, disk.files[file].pending) = (None, vec![]);
            let real = real(own);
            (*real).xDelete.expect("file systems delete")(real, name, sync_folder)
        }
    })
}

unsafe extern "C" fn close(handle: *mut ffi::sqlite3_file) -> c_int {
    with_disk(|disk| {
        let Handle { real, .. } = disk.handles.remove(&(handle as usize)).expect("it was opened");
        // SAFETY: the handle goes back to the file system that made it, as that made it.
        unsafe {
            (*handle).pMethods = real;
            real.xClose.expect("handles close")(handle)
        }
    })
}

/// Calls the real function and, when that succeeds, remembers what it did.
fn note(
    handle: *mut ffi::sqlite3_file,
    work: impl FnOnce(&ffi::sqlite3_io_methods) -> c_int,
    note: impl FnOnce(&mut File),
) -> c_int {
    with_disk(|disk| {
        let Handle { file, real } = &disk.handles[&(handle as usize)];
        let code = work(real);
        if code == ffi::SQLITE_OK {
            note(&mut disk.files[*file]);
        }
        code
    })
}

fn position(offset: i64) -> usize {
    usize::try_from(offset).expect("a position in a file")
}

unsafe extern "C" fn write(handle: *mut ffi::sqlite3_file, from: *const c_void, length: c_int, at: i64) -> c_int {
    // SAFETY: SQLite hands over so many bytes.
    let bytes = unsafe { slice::from_raw_parts(from.cast::<u8>(), position(length.into())) }.to_vec();
    // SAFETY: handed on as it came.
    let work =
        |real: &ffi::sqlite3_io_methods| unsafe { real.xWrite.expect("handles write")(handle, from, length, at) };
    note(handle, work, |file| file.pending.push(Change::Write { at: position(at), bytes }))
}

unsafe extern "C" fn truncate(handle: *mut ffi::sqlite3_file, length: i64) -> c_int {
    // SAFETY: handed on as it came.
    let work = |real: &ffi::sqlite3_io_methods| unsafe { real.xTruncate.expect("handles truncate")(handle, length) };
    note(handle, work, |file| file.pending.push(Change::Truncate { length: position(length) }))
}

unsafe extern "C" fn sync(handle: *mut ffi::sqlite3_file, _flags: c_int) -> c_int {
    // The real disk need not do it: its power stays.
    note(handle, |_| ffi::SQLITE_OK, File::sync)
}
