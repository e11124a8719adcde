//! Any bytes as a server's answers, one after the other, each read by a device whose outbox waits for them, or which
//! compares what it holds: plain JSON, or zstd where the first byte is odd. Where its highest bit is set, the device begins by
//! chunks: those of a manifest are the lines behind it.
#![no_main]

use cartera_client::transport::body::decode;
use cartera_fuzz::Host;
use libfuzzer_sys::fuzz_target;

fuzz_target!(|bytes: &[u8]| {
    let Some((how, body)) = bytes.split_first() else { return };
    let encoding = (how & 1 == 1).then_some("zstd");
    let Ok(body) = decode(body, encoding) else { return };
    let mut host = Host::new(how & 0x80 != 0);
    let answers: Vec<&[u8]> = body.split(|byte| *byte == b'\n').collect();
    for (at, answer) in answers.iter().enumerate() {
        host.answer(answer, &answers[at + 1..]);
    }
});
