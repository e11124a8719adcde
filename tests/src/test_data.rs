use std::path::{Path, PathBuf};

/// A folder of the real data that lies beside the repository; `CARTERA_TEST_DATA` says where it lies otherwise.
#[track_caller]
#[must_use]
pub fn test_data(folder: &str) -> PathBuf {
    let places: Vec<PathBuf> = match std::env::var_os("CARTERA_TEST_DATA") {
        Some(root) => vec![PathBuf::from(root)],
        // Beside the checkout, or beside a folder that holds several.
        None => Path::new(env!("CARGO_MANIFEST_DIR")).ancestors().map(|above| above.join("shared/data")).collect(),
    };
    let found = places.iter().map(|root| root.join(folder)).find(|found| found.is_dir());
    found.unwrap_or_else(|| {
        panic!("the test data `{folder}` is in none of {places:?}: set CARTERA_TEST_DATA to the folder that holds it")
    })
}
