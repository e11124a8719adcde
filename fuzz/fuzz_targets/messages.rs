//! Any bytes as each of the small bodies that a device and its server send: read, and written as they were read, or
//! refused.
#![no_main]

use libfuzzer_sys::fuzz_target;
use serde::Serialize;
use serde::de::DeserializeOwned;
use serde_json::Value;
use sync_protocol::wire::{
    ChunksRequest, HelloAnswer, HelloRequest, LiveAnswer, ManifestRequest, ManifestResponse, Problem, Report,
};

/// Compared as what is written: a raw part of a body is equal to nothing.
fn check<Message: Serialize + DeserializeOwned>(bytes: &[u8]) {
    let Ok(message) = serde_json::from_slice::<Message>(bytes) else { return };
    let text = serde_json::to_vec(&message).expect("what was read can be written");
    let again: Message = serde_json::from_slice(&text).expect("what was written can be read");
    assert_eq!(serde_json::to_vec(&again).expect("it can be written again"), text, "it is written as it was read");
    let written: Value = serde_json::from_slice(&text).expect("it is JSON");
    assert!(written.is_object(), "every body is an object: {written}");
}

fuzz_target!(|bytes: &[u8]| {
    check::<HelloRequest>(bytes);
    check::<HelloAnswer>(bytes);
    check::<Report>(bytes);
    check::<ManifestRequest>(bytes);
    check::<ManifestResponse>(bytes);
    check::<ChunksRequest>(bytes);
    check::<Problem>(bytes);
    check::<LiveAnswer>(bytes);
});
