//! Any bytes as the body of a digest request, and as its answer: read, and written as they were read, or refused.
#![no_main]

use libfuzzer_sys::fuzz_target;
use sync_protocol::wire::{DigestRequest, DigestResponse, Operation};

fuzz_target!(|bytes: &[u8]| {
    if let Ok(request) = serde_json::from_slice::<DigestRequest>(bytes) {
        let text = serde_json::to_vec(&request).expect("what was read can be written");
        let again: DigestRequest = serde_json::from_slice(&text).expect("what was written can be read");
        assert_eq!(again, request, "a request is written as it was read");
    }
    if let Ok(response) = serde_json::from_slice::<DigestResponse>(bytes) {
        let text = serde_json::to_vec(&response).expect("what was read can be written");
        let again: DigestResponse = serde_json::from_slice(&text).expect("what was written can be read");
        assert_eq!((again.cursor, again.scopes, again.ranges), (response.cursor, response.scopes, response.ranges));
        let _ = serde_json::from_str::<Vec<Operation>>(response.operations.get());
    }
});
