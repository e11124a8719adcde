//! Files of other systems become records.

pub mod job;
pub mod mapping;
pub mod plan;
pub mod read;
pub mod report;
pub mod routes;
pub mod run;
pub mod undo;
mod upload;
pub mod value;

/// A folder of the shared test data, which lies beside the repository or where `CARTERA_TEST_DATA` says.
#[cfg(test)]
pub(crate) fn test_data(folder: &str) -> std::path::PathBuf {
    use std::path::{Path, PathBuf};
    let beside = || Path::new(env!("CARGO_MANIFEST_DIR")).ancestors().map(|above| above.join("shared/data"));
    let root = std::env::var_os("CARTERA_TEST_DATA").map(PathBuf::from);
    let root = root.or_else(|| beside().find(|data| data.is_dir())).unwrap_or_default();
    let found = root.join(folder);
    assert!(
        found.is_dir(),
        "the test data `{folder}` is not there: put the folder shared/data beside the repository, or set \
         CARTERA_TEST_DATA to it"
    );
    found
}

#[cfg(test)]
pub(crate) mod tests;
