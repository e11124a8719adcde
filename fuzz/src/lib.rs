//! What several fuzz targets need: bytes as a file, everything that a reader says, a device's host.

mod file;
mod host;
mod table;

pub use file::with_file;
pub use host::Host;
pub use table::check_table;
