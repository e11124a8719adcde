use std::cell::RefCell;
use std::fs::File;
use std::io::{Seek, SeekFrom, Write};

thread_local! {
    /// One file for all runs: making one takes longer than most of them.
    static FILE: RefCell<File> = RefCell::new(new_file());
}

/// In memory where the system has a folder there.
fn new_file() -> File {
    tempfile::tempfile_in("/dev/shm").or_else(|_| tempfile::tempfile()).expect("a temporary file")
}

/// Hands bytes on as a file.
///
/// # Panics
/// When the machine has no room for them.
pub fn with_file<T>(bytes: &[u8], read: impl FnOnce(&mut File) -> T) -> T {
    FILE.with_borrow_mut(|file| {
        file.set_len(0).expect("the file can be cut");
        file.seek(SeekFrom::Start(0)).expect("the file has a beginning");
        file.write_all(bytes).expect("there is room");
        read(file)
    })
}
