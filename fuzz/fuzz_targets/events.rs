//! Any bytes as a live stream: the same blocks however the network cuts it, each an event, one of a later version, or
//! refused.
#![no_main]

use std::io::{self, Read};

use cartera_client::transport::events::{Block, Blocks};
use libfuzzer_sys::fuzz_target;
use sync_protocol::wire::LiveEvent;

/// Hands over one byte at a time.
struct OneByOne<'b>(&'b [u8]);

impl Read for OneByOne<'_> {
    fn read(&mut self, into: &mut [u8]) -> io::Result<usize> {
        let Some(first) = into.get_mut(..1) else { return Ok(0) };
        self.0.read(first)
    }
}

/// All blocks, and whether the stream was refused after them.
fn blocks(stream: impl Read) -> (Vec<Block>, bool) {
    let mut read = Vec::new();
    for block in Blocks::of(stream) {
        match block {
            Ok(block) => read.push(block),
            Err(_) => return (read, true),
        }
    }
    (read, false)
}

fuzz_target!(|bytes: &[u8]| {
    let whole = blocks(bytes);
    assert_eq!(blocks(OneByOne(bytes)), whole, "it does not matter how the bytes arrive");
    for block in &whole.0 {
        if let Ok(event) = LiveEvent::read(&block.name, &block.data) {
            let is_known = matches!(block.name.as_str(), "poke" | "delta" | "order");
            assert_eq!(event.is_some(), is_known, "what is known is read, what is not is passed over");
        }
    }
});
