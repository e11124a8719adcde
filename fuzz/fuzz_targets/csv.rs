//! Any bytes as a CSV file, in any encoding: read twice alike, or refused.
#![no_main]

use cartera_server::import::read::{Format, ReadOptions};
use libfuzzer_sys::fuzz_target;

fuzz_target!(|bytes: &[u8]| {
    let options = ReadOptions { format: Some(Format::Csv), ..ReadOptions::default() };
    cartera_fuzz::check_table(bytes, &options);
});
