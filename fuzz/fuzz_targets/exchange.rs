//! Any bytes as the body of an exchange, plain or compressed (the first byte says how): read, or refused with a problem
//! that is the sender's fault.
#![no_main]

use std::cell::RefCell;

use axum::body::Body;
use axum::http::{HeaderMap, HeaderValue, header};
use cartera_server::platform::http::encoding::read_body;
use cartera_server::platform::http::extract::parse_json;
use libfuzzer_sys::fuzz_target;
use sync_protocol::wire::ExchangeRequest;
use tokio::runtime::{Builder, Runtime};

const LIMIT_BYTES: usize = 64 * 1024;

thread_local! {
    static RUNTIME: RefCell<Runtime> = RefCell::new(Builder::new_current_thread().build().expect("a runtime"));
}

fuzz_target!(|bytes: &[u8]| {
    let Some((encoding, body)) = bytes.split_first() else { return };
    let mut headers = HeaderMap::new();
    if let Some(encoding) = [None, Some("zstd"), Some("gzip")][usize::from(encoding % 3)] {
        headers.insert(header::CONTENT_ENCODING, HeaderValue::from_static(encoding));
    }
    let body = Body::from(body.to_vec());
    let read = RUNTIME.with_borrow(|runtime| runtime.block_on(read_body(&headers, body, LIMIT_BYTES)));
    let request = read.and_then(|bytes| {
        assert!(bytes.len() <= LIMIT_BYTES, "what was read is within the limit");
        parse_json::<ExchangeRequest>(&bytes)
    });
    match request {
        Ok(request) => {
            let text = serde_json::to_vec(&request).expect("what was read can be written");
            let again: ExchangeRequest = serde_json::from_slice(&text).expect("what was written can be read");
            assert_eq!(again, request, "an exchange is written as it was read");
        }
        Err(error) => assert!(error.kind().status.is_client_error(), "{error:?}"),
    }
});
