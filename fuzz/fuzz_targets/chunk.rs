//! Any bytes as a chunk: read, and written with the same records by whoever cuts chunks, or refused.
#![no_main]

use libfuzzer_sys::fuzz_target;
use serde_json::Value;
use sync_protocol::wire::chunk::{Chunk, ChunkWriter};

fuzz_target!(|bytes: &[u8]| {
    let Ok(chunk) = Chunk::read(bytes) else { return };
    assert_eq!(chunk.rows().count(), chunk.len(), "it has as many rows as it says");
    let mut writer = ChunkWriter::new(chunk.scope, &chunk.entity);
    for row in chunk.rows() {
        let Ok(fields) = row.fields() else { return };
        for (name, value) in &fields {
            let alone = row.json(name).map(|json| serde_json::from_str(json).expect("it was read before"));
            assert_eq!(alone.as_ref(), Some(value), "a field alone is as in its row");
        }
        // Every number in a record is an integer; another one is not read to its last bit.
        if !fields.values().all(is_whole) {
            return;
        }
        let body = serde_json::to_string(&fields).expect("what was read can be written");
        writer.push(row.id, row.seq, &body, |_| true).expect("fields are an object");
    }
    let written = writer.finish();
    let again = Chunk::read(&written).expect("what was written can be read");
    assert_eq!((again.scope, &again.entity, again.len()), (chunk.scope, &chunk.entity, chunk.len()));
    for (one, other) in chunk.rows().zip(again.rows()) {
        assert_eq!((one.id, one.seq, one.fields()), (other.id, other.seq, other.fields()), "rows are as they were");
    }
});

fn is_whole(value: &Value) -> bool {
    match value {
        Value::Number(number) => !number.is_f64(),
        Value::Array(values) => values.iter().all(is_whole),
        Value::Object(values) => values.values().all(is_whole),
        Value::Null | Value::Bool(_) | Value::String(_) => true,
    }
}
