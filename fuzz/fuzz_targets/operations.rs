//! Any bytes as a server's answers, one after the other, each read by a device whose outbox waits for them, or which
//! compares what it holds: plain JSON, or zstd where the first byte is odd.
#![no_main]

use cartera_client::transport::body::decode;
use cartera_fuzz::Host;
use libfuzzer_sys::fuzz_target;

fuzz_target!(|bytes: &[u8]| {
    let Some((encoding, body)) = bytes.split_first() else { return };
    let encoding = (encoding % 2 == 1).then_some("zstd");
    let Ok(body) = decode(body, encoding) else { return };
    let mut host = Host::new();
    for answer in body.split(|byte| *byte == b'\n') {
        host.answer(answer);
    }
});
